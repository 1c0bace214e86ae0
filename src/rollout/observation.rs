//! What a rollout is told of the world, each piece with its time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::advance::Action;
use super::comparison::{self, Compared};
use super::job::{self, Jobs};
use super::model::{Place, RolloutId};
use crate::base::clock::Timestamp;
use crate::base::ids::{ClusterName, Digest};
use crate::fleet::model::Gate;
use crate::health::Health;

/// What a rollout is told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observation {
    /// Its members.
    pub instances: Instances,
    /// Gates of the present stage that ask somebody else, by their names. One that is not there was not
    /// asked.
    pub gates: BTreeMap<String, GateSeen>,
    /// Approvals in git that do not count, and why.
    pub refused: Vec<String>,
}

impl From<Instances> for Observation {
    fn from(instances: Instances) -> Self {
        Self { instances, ..Self::default() }
    }
}

/// The instances of one addon, as they were seen. A cluster that is not there was not looked at.
pub type Instances = BTreeMap<ClusterName, Seen>;

/// What a gate said.
#[derive(Clone, Debug, PartialEq)]
pub struct GateSeen {
    /// When it was asked.
    pub observed_at: Timestamp,
    /// What it said.
    pub verdict: Verdict,
    /// What that follows from, where more than an answer was needed.
    pub evidence: Option<Evidence>,
}

impl GateSeen {
    /// One that just says something.
    pub fn new(observed_at: Timestamp, verdict: Verdict) -> Self {
        Self { observed_at, verdict, evidence: None }
    }

    /// One whose verdict follows from evidence.
    pub fn by(observed_at: Timestamp, gate: &Gate, evidence: Evidence) -> Self {
        Self { observed_at, verdict: evidence.verdict(gate), evidence: Some(evidence) }
    }
}

/// What a verdict follows from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Evidence {
    /// Samples of changed clusters and of others.
    Comparison(Compared),
    /// Jobs on clusters.
    Jobs(Jobs),
}

impl Evidence {
    /// What follows from it for a gate.
    pub fn verdict(&self, gate: &Gate) -> Verdict {
        match (self, &gate.prometheus) {
            (Self::Comparison(seen), Some(gate)) => comparison::verdict(gate, seen),
            (Self::Jobs(seen), None) if gate.job.is_some() => job::verdict(seen),
            _ => Verdict::Unknown("it is evidence of another gate".to_owned()),
        }
    }

    /// Whether all of it is of the time after a change.
    pub fn is_after(&self, changed_at: Timestamp) -> bool {
        match self {
            Self::Comparison(seen) => seen.from > changed_at,
            Self::Jobs(seen) => seen.runs.values().all(|run| run.begun_for >= changed_at),
        }
    }
}

/// What a gate says, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// All is well.
    Holds(String),
    /// It is not.
    Broken(String),
    /// Nobody can tell: no pass, and no failure.
    Unknown(String),
}

/// One instance, seen at one time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// When the reading began.
    pub observed_at: Timestamp,
    /// Why the cluster could not be asked.
    pub unreachable: Option<String>,
    /// Whether some of it could not be read: then it is no evidence.
    pub has_gaps: bool,
    /// Where it is; none when there is no release.
    pub place: Option<Place>,
    /// Whether the newest record is deployed: not under way, not failed.
    pub is_settled: bool,
    /// Of all its objects as one.
    pub health: Health,
    /// Whether what it depends on lets it begin. Asked for members of the present stage.
    pub readiness: Readiness,
    /// The newest attempt on it by this process.
    pub attempt: Option<Attempt>,
}

/// Whether what an instance depends on lets it begin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Readiness {
    /// Nobody has looked: it must not begin.
    #[default]
    NotAsked,
    /// Everything it depends on is there, healthy, and at the version asked for.
    Ready,
    /// It must not begin, and why.
    Blocked(String),
}

/// One attempt to bring an instance somewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// When it began.
    pub began_at: Timestamp,
    /// When it had ended.
    pub ended_at: Timestamp,
    /// For which rollout.
    pub rollout: RolloutId,
    /// Which way it went.
    pub action: Action,
    /// How it ended.
    pub result: AttemptResult,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AttemptResult {
    /// Everything was sent and taken.
    Done {
        /// Helm's revision number now.
        release_revision: u32,
    },
    /// It goes on, and there is more to be done: what it waits for bounds itself.
    UnderWay(String),
    /// It may get through later.
    Passing(String),
    /// It will not get through as it is.
    Final(String),
}

impl Seen {
    /// The digest that is deployed: `Some(None)` when nothing is there, `None` when that cannot be
    /// told, or when something is under way or failed.
    pub fn deployed(&self) -> Option<Option<&Digest>> {
        if self.unreachable.is_some() || self.has_gaps {
            return None;
        }
        match &self.place {
            None if self.is_settled => Some(None),
            Some(Place { digest: Some(digest), .. }) if self.is_settled => Some(Some(digest)),
            _ => None,
        }
    }

    /// Whether the instance is at a digest, or absent where there is none.
    pub fn is_at(&self, digest: Option<&Digest>) -> bool {
        self.deployed() == Some(digest)
    }

    /// Whether this is evidence that the instance is well at a digest, or gone where there is none.
    pub fn is_healthy_at(&self, digest: Option<&Digest>) -> bool {
        self.is_at(digest) && (digest.is_none() || self.health.is_ready())
    }
}
