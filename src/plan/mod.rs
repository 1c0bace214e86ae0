//! Immutable plans: every step, edge, precondition and reason.
//!
//! A plan is data in canonical JSON with a digest over it. Whoever has approved the digest has
//! approved exactly these steps: applying a plan makes it again and refuses when anything moved.

mod canonical;
pub mod check;
pub mod planner;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::base::ids::{Digest, InstanceKey, Rev};
use crate::diff::Op;
use crate::live::ReleaseStatus;

pub use check::{Moved, moved};
pub use planner::{Candidate, Evidence, Wish, make};

/// The version of the form.
pub const API_VERSION: &str = "fitout.dev/v1alpha1";

/// Steps, and what was not made a step.
#[must_use = "an unread report is not actionable"]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plan {
    /// [`API_VERSION`].
    pub api_version: String,
    /// `Plan`.
    pub kind: String,
    /// SHA-256 over the canonical JSON of everything else.
    pub digest: Digest,
    /// The commit it brings clusters to.
    pub rev: Rev,
    /// By cluster and addon.
    pub steps: Vec<Step>,
    /// What must be done and healthy before what.
    pub edges: Vec<Edge>,
    /// Everything that is no step, with the reason.
    pub report: PlanReport,
}

/// One instance's change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Step {
    /// `CLUSTER/ADDON`, or `CLUSTER/ADDON@NAMESPACE/RELEASE` for one that goes away.
    pub id: String,
    /// Cluster and addon.
    pub key: InstanceKey,
    /// The release's namespace.
    pub namespace: String,
    /// The release's name.
    pub release: String,
    /// What is done.
    pub action: StepAction,
    /// Why.
    pub reason: Reason,
    /// The chart's version before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_version: Option<String>,
    /// The chart's version after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_version: Option<String>,
    /// Object by object.
    pub changes: Vec<ObjectChange>,
    /// What must still be so when the step is done.
    pub preconditions: Preconditions,
}

/// What is done with an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StepAction {
    /// There is no release yet.
    Install,
    /// The release gets a new revision.
    Upgrade,
    /// Objects that somebody changed go back to what they were.
    Heal,
    /// The release goes away.
    Uninstall,
}

impl fmt::Display for StepAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Install => "install",
            Self::Upgrade => "upgrade",
            Self::Heal => "heal",
            Self::Uninstall => "uninstall",
        })
    }
}

/// Why a step is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// It is not on the cluster.
    NotInstalled,
    /// Helm installed it: fitout takes it over in place.
    Adopted,
    /// What is rendered differs from what is there.
    Changed,
    /// The last attempt failed.
    LastAttemptFailed,
    /// The last attempt did not end.
    LastAttemptInterrupted,
    /// Somebody changed objects on the cluster.
    Drifted,
    /// Git no longer wants it there.
    NoLongerWanted,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotInstalled => "it is not on the cluster",
            Self::Adopted => "Helm installed it, and fitout takes it over",
            Self::Changed => "what is rendered has changed",
            Self::LastAttemptFailed => "the last attempt failed",
            Self::LastAttemptInterrupted => "the last attempt did not end",
            Self::Drifted => "somebody changed objects on the cluster",
            Self::NoLongerWanted => "git no longer wants it there",
        })
    }
}

/// What happens to an object: never a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectChange {
    /// What happens.
    pub op: Op,
    /// Which object.
    pub object: String,
    /// The paths of fields that change; empty where the whole object does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// What there is to know besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What it may break.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// What must still be so when a step is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Preconditions {
    /// What is rendered; absent where nothing is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired_digest: Option<Digest>,
    /// Helm's revision number; absent where there is no release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_revision: Option<u32>,
    /// The status of that revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_status: Option<ReleaseStatus>,
    /// The state of each object that is touched, as an opaque word.
    pub objects: BTreeMap<String, String>,
}

/// One step before another, both by id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Edge {
    /// Done, and healthy, first.
    pub before: String,
    /// Done then.
    pub after: String,
}

/// What is no step, with the reason.
#[must_use = "an unread report is not actionable"]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlanReport {
    /// What waits for something else.
    pub waiting: Vec<Waiting>,
    /// What must not, or cannot, be done.
    pub refused: Vec<RefusedInstance>,
    /// What needs nothing.
    pub skipped: Vec<Skipped>,
}

/// An instance that waits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Waiting {
    /// Which instance.
    pub instance: InstanceKey,
    /// For what.
    pub on: WaitingOn,
}

/// What an instance waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WaitingOn {
    /// An instance it depends on cannot be brought to its desired state.
    Dependency(InstanceKey),
    /// An instance it depends on is not wanted on its cluster.
    MissingDependency(InstanceKey),
}

impl fmt::Display for WaitingOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dependency(key) => {
                write!(f, "it depends on {key}, which cannot be brought to its desired state")
            }
            Self::MissingDependency(key) => {
                write!(f, "it depends on {key}, which is not there and not wanted")
            }
        }
    }
}

/// An instance that must not, or cannot, be changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RefusedInstance {
    /// Which instance.
    pub instance: InstanceKey,
    /// Why.
    pub because: RefusedBecause,
}

/// Why an instance is not changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RefusedBecause {
    /// The cluster does not answer, or refuses to.
    Unreachable(String),
    /// Something of it could not be read.
    Gap(String),
    /// A request about an object failed.
    Failed(String),
    /// The server does not take objects as they are.
    Objects(String),
    /// For safety: limits, or objects of others.
    Guard(String),
}

impl RefusedBecause {
    /// Whether the world failed, rather than that something is not allowed.
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Gap(_) | Self::Failed(_))
    }
}

impl fmt::Display for RefusedBecause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) | Self::Failed(why) | Self::Objects(why) | Self::Guard(why) => {
                f.write_str(why)
            }
            Self::Gap(why) => write!(f, "could not be read: {why}"),
        }
    }
}

/// An instance that needs nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Skipped {
    /// Which instance.
    pub instance: InstanceKey,
    /// Why.
    pub because: SkippedBecause,
}

/// Why an instance needs nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SkippedBecause {
    /// It is as git says.
    UpToDate,
    /// It is on the cluster, but fitout did not put it there.
    NotOurs,
    /// It was handed over to Helm.
    HandedOver,
}

impl PlanReport {
    /// What is refused and why, by what it is called. A cluster that does not answer is told
    /// once, under its own name.
    pub fn refusals(&self) -> Vec<(String, &RefusedBecause)> {
        let mut down = BTreeSet::new();
        let mut refusals = Vec::new();
        for RefusedInstance { instance, because } in &self.refused {
            let is_down = matches!(because, RefusedBecause::Unreachable(_));
            if !is_down {
                refusals.push((instance.to_string(), because));
            } else if down.insert(&instance.cluster) {
                refusals.push((instance.cluster.to_string(), because));
            }
        }
        refusals
    }
}

impl Plan {
    /// Seals steps, edges and report into a plan with its digest.
    pub(crate) fn sealed(rev: Rev, steps: Vec<Step>, edges: Vec<Edge>, report: PlanReport) -> Self {
        let mut plan = Self {
            api_version: API_VERSION.to_owned(),
            kind: "Plan".to_owned(),
            digest: Digest::from(""),
            rev,
            steps,
            edges,
            report,
        };
        plan.digest = plan.computed_digest();
        plan
    }

    /// Whether nothing would be done.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether the digest is that of the content.
    pub fn is_intact(&self) -> bool {
        self.digest == self.computed_digest()
    }

    /// The canonical JSON of the whole plan: sorted keys, no spaces, one line.
    pub fn to_json(&self) -> String {
        canonical::text(&serde_json::to_value(self).expect("a plan has text keys only"))
    }

    fn computed_digest(&self) -> Digest {
        let mut value = serde_json::to_value(self).expect("a plan has text keys only");
        if let Some(fields) = value.as_object_mut() {
            fields.remove("digest");
        }
        Digest::of(canonical::text(&value).as_bytes())
    }

    /// The steps that must be done before a step, by id.
    pub fn before<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a str> {
        self.edges.iter().filter(move |edge| edge.after == id).map(|edge| edge.before.as_str())
    }
}

impl Step {
    /// How many objects each operation is done to.
    pub fn counts(&self) -> BTreeMap<Op, usize> {
        let mut counts = BTreeMap::new();
        for change in &self.changes {
            *counts.entry(change.op).or_default() += 1;
        }
        counts
    }
}
