//! Bringing a cluster to a release: one attempt, waiting, rollback, uninstall.
//!
//! Every function makes **one attempt** and can be repeated at any time: what an attempt that was
//! killed left behind is what the next one starts from. Callers loop.
//!
//! # Expected flow
//! [`realize`] → [`wait`] → done, or [`rollback`]; [`uninstall`]. From other tools: [`adopt`]; back to
//! Helm: [`hand_over`].
//!
//! # Guarantees
//! - Nothing is deleted that is not in the inventory of the release, nothing because of a
//!   [`crate::live::Gap`], and nothing beyond the limits.
//! - An object that belongs to another release, or to nobody, is not taken over.
//! - A record is marked as under way before anything changes and as deployed after everything has.
//!
//! # Assumptions
//! - Two processes that work on one release at the same time see one another's record: the second
//!   one gets [`ApplyError::Busy`], and a write of one that lost its place fails.
//!
//! # Errors
//! [`ApplyError::is_passing`] tells whether the same attempt may succeed later.

mod adopt;
mod along;
mod attempt;
pub mod blue_green;
mod bring;
mod compare;
mod crd_safety;
mod crds;
mod error;
mod flux;
mod gone;
mod hand_over;
mod history;
pub mod holder;
mod hooks;
pub mod neighbours;
mod objects;
mod ownership;
mod predict;
mod prune;
mod random;
mod rollback;
mod target;
mod test;
mod uninstall;
mod wait;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc::UnboundedSender;

use crate::health::Health;
use crate::live::{Gap, ObservedObject, PodLog};
use crate::object::key::ObjectKey;

pub use adopt::{Adoption, Disruption, Former, Taken, adopt, compare_adoption, disruptions};
pub use along::Along;
pub use attempt::realize;
pub use bring::{Brought, Failure, HEALTH_TIMEOUT, Recovery, bring, health_timeout, mark_failed};
pub use compare::{Comparison, compare, state_of};
pub use error::{ApplyError, NotServed, ObjectError, Refused};
pub use flux::HelmRelease;
pub use hand_over::{HandedOver, hand_over};
pub use hooks::HookResult;
pub use rollback::rollback;
pub use target::Rules;
pub use test::{Tested, Tests, secrets_of, test, tests_of};
pub use uninstall::{Allowance, Removal, compare_uninstall, removal, uninstall};
pub use wait::{WaitError, wait};

/// How an attempt is made.
#[derive(Clone, Debug)]
pub struct ApplyOptions {
    /// Who makes it: whoever finds the record of an attempt that did not end knows by this
    /// whether it goes on somewhere. See [`holder::current`].
    pub holder: String,
    /// Fields that other managers own are taken over.
    pub is_forced: bool,
    /// Objects that are there but belong to no release are taken over, with the fields that their
    /// files have set.
    pub takes_ownership: bool,
    /// What is there is taken over as it is: no hooks run, and a release that was handed over to
    /// Helm is taken back.
    pub adopts: bool,
    /// Whoever began the change that is under way is gone: somebody has looked.
    pub is_unlocked: bool,
    /// Limits of what may be deleted do not count: somebody has agreed.
    pub ignores_limits: bool,
    /// The credentials may only read: what the server refuses to tell by a dry run is worked out here
    /// as far as it can be, and release records that may not be read are a Gap. For a comparison.
    pub is_read_only: bool,
    /// How long a hook, a CRD or a deletion may take, where the addon's health has no timeout.
    pub timeout: Duration,
    /// What the addon says about changes, for a way back; forward, what git says counts.
    pub rules: Rules,
    /// Who is told of the steps of a change that takes its time.
    pub news: Option<UnboundedSender<String>>,
}

impl ApplyOptions {
    /// What is usual, for `holder`.
    pub fn new(holder: impl Into<String>) -> Self {
        Self {
            holder: holder.into(),
            is_forced: false,
            takes_ownership: false,
            adopts: false,
            is_unlocked: false,
            ignores_limits: false,
            is_read_only: false,
            timeout: Duration::from_mins(5),
            rules: Rules::default(),
            news: None,
        }
    }

    /// Whose fields are taken over with an object.
    fn takes(&self) -> ownership::Takes {
        if self.takes_ownership { ownership::Takes::HelmAndFiles } else { ownership::Takes::Helm }
    }
}

/// What an attempt did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// What it came to.
    pub action: Action,
    /// Helm's revision number now.
    pub release_revision: u32,
    /// Objects that were written, with the evidence of it.
    #[serde(skip)]
    pub applied: BTreeMap<ObjectKey, Applied>,
    /// How many objects were as they should be, and were not written.
    pub unchanged: usize,
    /// Objects that were deleted.
    #[serde(skip)]
    pub pruned: Vec<ObjectKey>,
    /// Of those, the ones that a finalizer holds: since when, and who is to take it off.
    #[serde(skip)]
    pub lingering: Vec<(ObjectKey, String)>,
    /// Objects that are no longer wanted and still are there, and why.
    #[serde(skip)]
    pub kept: Vec<(ObjectKey, Kept)>,
    /// What hooks said, where their `helm.sh/hook-output-log-policy` asks for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<PodLog>,
    /// Which of two releases beside one another has the traffic, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beside: Option<String>,
}

/// What an attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// There was no release.
    Installed,
    /// There is a new revision.
    Upgraded,
    /// What was there is fitout's now.
    Adopted,
    /// Somebody had changed objects; they are as git says again, at the same revision.
    Healed,
    /// All was as it should be.
    Unchanged,
    /// A new revision repeats an earlier one.
    RolledBack,
    /// The release is gone.
    Uninstalled,
}

/// The state of an object right after it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Its identity on the cluster.
    pub uid: String,
    /// Of kinds that have one: health only counts from here on.
    pub generation: Option<i64>,
    /// The version that was written.
    pub resource_version: String,
}

impl From<&Applied> for ObservedObject {
    /// An object of a kind that is ready once it is written.
    fn from(applied: &Applied) -> Self {
        Self {
            health: Health::ready("is there"),
            uid: applied.uid.clone(),
            resource_version: applied.resource_version.clone(),
            generation: applied.generation,
            observed_generation: None,
        }
    }
}

/// Why an object that is no longer wanted was not deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// `helm.sh/resource-policy: keep`.
    Policy,
    /// It belongs to another release, or to none.
    NotOurs,
    /// Namespaces and CRDs go only where that is asked for.
    NotAsked,
    /// It could not be read.
    Gap(Gap),
}
