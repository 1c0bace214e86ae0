//! A switch: the traffic of one cluster on its way to the one that takes its place.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::base::clock::Timestamp;
use crate::base::ids::{ClusterName, PolicyName, Rev};
use crate::fleet::switch::SwitchPolicySpec;

/// The name of a switch: its policy, and its number among that policy's, such as `batch-3`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SwitchId {
    /// The policy.
    pub policy: PolicyName,
    /// From 1.
    pub number: u32,
}

impl SwitchId {
    /// The name of that text, if it can be one.
    pub fn parse(text: &str) -> Option<Self> {
        let (policy, number) = text.rsplit_once('-')?;
        Some(Self { policy: policy.into(), number: number.parse().ok()? })
    }
}

impl fmt::Display for SwitchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.policy, self.number)
    }
}

impl Serialize for SwitchId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SwitchId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("no switch: `{text}`")))
    }
}

/// Clusters that replace one another: of one policy, and equal in its labels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PairId {
    /// The policy.
    pub policy: PolicyName,
    /// The labels that they have in common.
    pub labels: BTreeMap<String, String>,
}

impl fmt::Display for PairId {
    /// `role=batch,site=meyrin`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (label, value)) in self.labels.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{label}={value}")?;
        }
        Ok(())
    }
}

/// One switch, as of its newest event.
#[derive(Clone, Debug, PartialEq)]
pub struct Switch {
    /// Its name.
    pub id: SwitchId,
    /// Whose traffic it is.
    pub pair: PairId,
    /// The cluster that served when it began.
    pub blue: ClusterName,
    /// The one that is to take its place.
    pub green: ClusterName,
    /// The commit whose policy it goes by.
    pub rev: Rev,
    /// What it goes by.
    pub policy: SwitchPolicySpec,
    /// When it began.
    pub started_at: Timestamp,
    /// Where it stands.
    pub phase: Phase,
    /// Who has approved since parity was reached.
    pub approvals: BTreeSet<String>,
    /// How many decisions there were about the pair's traffic so far, earlier switches included.
    pub decisions: u32,
    /// Since when green has been seen to be unwell.
    pub unwell_since: Option<Timestamp>,
    /// Why it is where it is, where that needs saying.
    pub reason: Option<String>,
}

/// Where a switch stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Phase {
    /// Green is not at parity with blue yet.
    BringingUp,
    /// Green is at parity; the gates are asked.
    Gates {
        /// Since when.
        since: Timestamp,
    },
    /// A gate is broken. Blue serves, until somebody says to try again.
    Stopped,
    /// Traffic is on its way, by a decision that is on record.
    Switching {
        /// The decision.
        decision: Decision,
    },
    /// The hook of a decision has failed: nobody knows where traffic goes.
    Failed {
        /// The decision.
        decision: Decision,
    },
    /// Green serves and is watched; blue is left as it is.
    Draining {
        /// Since when.
        since: Timestamp,
    },
    /// Green serves; blue is kept.
    Kept {
        /// Since when.
        since: Timestamp,
    },
    /// Green serves, and blue can be removed from git.
    Done,
    /// Blue serves again.
    Back,
    /// It came to nothing before traffic was switched.
    Abandoned,
}

/// That traffic shall go to a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Among the decisions about the pair, from 1.
    pub number: u32,
    /// Where traffic goes.
    pub to: ClusterName,
    /// When it was decided.
    pub at: Timestamp,
}

impl Phase {
    /// In a word or two.
    pub fn word(&self) -> &'static str {
        match self {
            Self::BringingUp => "bringing up",
            Self::Gates { .. } => "at the gates",
            Self::Stopped => "stopped",
            Self::Switching { .. } => "switching",
            Self::Failed { .. } => "failed",
            Self::Draining { .. } => "draining",
            Self::Kept { .. } => "kept",
            Self::Done => "done",
            Self::Back => "back",
            Self::Abandoned => "abandoned",
        }
    }

    /// Whether nothing more comes of it by itself.
    pub fn is_ended(&self) -> bool {
        matches!(self, Self::Done | Self::Back | Self::Abandoned)
    }

    /// Whether traffic was not touched yet.
    pub fn is_before(&self) -> bool {
        matches!(self, Self::BringingUp | Self::Gates { .. } | Self::Stopped)
    }
}

impl Switch {
    /// Where a decision's traffic comes from.
    pub fn other(&self, cluster: &ClusterName) -> &ClusterName {
        if *cluster == self.blue { &self.green } else { &self.blue }
    }

    /// Whether it is between these two clusters, whichever served.
    pub fn is_between(&self, one: &ClusterName, other: &ClusterName) -> bool {
        (&self.blue, &self.green) == (one, other) || (&self.green, &self.blue) == (one, other)
    }

    /// How many approvals it asks for.
    pub fn approvals_needed(&self) -> usize {
        self.policy.approval().map_or(0, |approval| approval.count as usize)
    }
}

/// A pair of clusters, as of its newest event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pair {
    /// The cluster that serves; none where nobody knows.
    pub serving: Option<ClusterName>,
    /// Its switches, oldest first.
    pub switches: Vec<Switch>,
    /// How many decisions there were about its traffic.
    pub decisions: u32,
    /// Whether the one that serves was seen to be alone since the last switch began.
    pub is_alone: bool,
}
