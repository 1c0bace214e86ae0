//! What is on a cluster: release records, observed objects, and Gaps where a list failed.
//!
//! Reads only what is in an inventory, through a [`crate::k8s::ClusterClient`] that it is given,
//! and never writes. What could not be read is a [`Gap`], never an absence.

pub mod blue_green;
pub mod cause;
pub mod drift;
pub mod hold;
pub mod observe;
pub mod read;
pub mod record;
pub mod releases;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::base::clock::Timestamp;
use crate::base::ids::{AddonName, Digest, Rev};
use crate::fleet::instance::Instance;
use crate::health::Health;
use crate::k8s::RequestError;
use crate::object::key::ObjectKey;

pub use cause::{Cause, PodLog, causes};
pub use drift::{Drift, Fight, Heal};
pub use observe::{Subject, look, observe};
pub use record::{ReleaseRecord, ReleaseStatus};

/// A Helm release within a cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReleaseId {
    /// Where its records are.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl ReleaseId {
    /// The release of an instance.
    pub fn of(instance: &Instance) -> Self {
        Self { namespace: instance.namespace.clone(), name: instance.release_name.clone() }
    }
}

impl fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// An object to look at: its identity and a version it may be asked for with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectRef {
    /// Identity. The namespace does not count for cluster-scoped kinds.
    pub key: ObjectKey,
    /// `apiVersion`.
    pub api_version: String,
}

/// Objects as they were at one time.
#[derive(Clone, Debug)]
pub struct Live {
    /// By identity; scopes are settled.
    pub objects: BTreeMap<ObjectKey, Json>,
    /// What could not be read: an object missing from `objects` is only absent if no Gap covers it.
    pub gaps: Vec<Gap>,
    /// When the reading began.
    pub observed_at: Timestamp,
}

impl Live {
    /// The Gap that hides an object, if any.
    pub fn gap_over(&self, key: &ObjectKey) -> Option<&Gap> {
        self.gaps.iter().find(|gap| gap.covers(key))
    }
}

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// What could not be read.
    pub subject: GapSubject,
    /// Why, in words.
    pub reason: String,
}

/// What could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GapSubject {
    /// Nothing of the cluster: it does not answer.
    Cluster,
    /// The release records.
    Records,
    /// One object.
    Object(ObjectKey),
    /// The pods of a workload.
    Pods(ObjectKey),
}

impl Gap {
    /// A Gap for a request that failed.
    pub fn of(subject: GapSubject, error: &RequestError) -> Self {
        let subject = if error.is_whole_cluster() { GapSubject::Cluster } else { subject };
        Self { subject, reason: error.to_string() }
    }

    /// Whether an object that was not seen may be there all the same.
    pub fn covers(&self, key: &ObjectKey) -> bool {
        match &self.subject {
            GapSubject::Cluster => true,
            GapSubject::Object(gap) => gap == key,
            GapSubject::Records | GapSubject::Pods(_) => false,
        }
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            GapSubject::Cluster => write!(f, "the cluster: {}", self.reason),
            GapSubject::Records => write!(f, "the release records: {}", self.reason),
            GapSubject::Object(key) => write!(f, "{key}: {}", self.reason),
            GapSubject::Pods(key) => write!(f, "the pods of {key}: {}", self.reason),
        }
    }
}

/// What an instance is at, by the newest release record that is not under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Adopted {
    /// The commit; absent for a release that Helm made.
    pub rev: Option<Rev>,
    /// The digest of what was rendered; absent for a release that Helm made.
    pub digest: Option<Digest>,
    /// The addon; absent for a release that Helm made.
    pub addon: Option<AddonName>,
    /// The chart's version.
    pub chart_version: String,
    /// Helm's revision number.
    pub release_revision: u32,
    /// Whether it was deployed or failed.
    pub status: ReleaseStatus,
    /// Whether it was handed over to Helm, and is none of fitout's business any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_handed_over: bool,
}

/// One release, seen at one time.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Observation {
    /// What it is at; `None` when there is no release, or when `gaps` has the records.
    pub adopted: Option<Adopted>,
    /// A change that is under way, or that somebody left half done.
    pub pending: Option<Adopted>,
    /// Of all its objects as one.
    pub health: Health,
    /// Each of its objects.
    pub objects: BTreeMap<String, ObservedObject>,
    /// Whether somebody took, changed or removed a field that fitout had applied. `None` when
    /// that cannot be told.
    pub has_drifted: Option<bool>,
    /// What of it is no longer as it was applied, as far as the cluster tells.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drifts: Vec<Drift>,
    /// What was put back at this revision.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heals: Vec<Heal>,
    /// When the reading began.
    pub observed_at: Timestamp,
    /// Whether two revisions are on record as deployed: an attempt was killed at its very end.
    #[serde(default)]
    pub is_unfinished: bool,
    /// Of two releases beside one another, what the other one is to the instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<String>,
    /// What could not be read.
    pub gaps: Vec<Gap>,
}

impl Observation {
    /// Whether the cluster did not answer at all.
    pub fn is_unreachable(&self) -> bool {
        self.gaps.iter().any(|gap| gap.subject == GapSubject::Cluster)
    }

    /// Whether this is evidence that `digest` runs and is healthy: it is what is deployed,
    /// nothing is under way, and every object was seen to be ready at its newest generation.
    pub fn is_healthy_at(&self, digest: &Digest) -> bool {
        let adopted = self.adopted.as_ref().is_some_and(|adopted| {
            adopted.digest.as_ref() == Some(digest) && adopted.status == ReleaseStatus::Deployed
        });
        adopted && self.pending.is_none() && self.gaps.is_empty() && self.health.is_ready()
    }
}

/// One object, seen at one time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedObject {
    /// How it is.
    pub health: Health,
    /// Empty when it is absent.
    pub uid: String,
    /// Empty when it is absent.
    pub resource_version: String,
    /// Of kinds that have one.
    pub generation: Option<i64>,
    /// What its controller has seen, of kinds that say so.
    pub observed_generation: Option<i64>,
}
