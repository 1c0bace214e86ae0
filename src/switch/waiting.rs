//! What a switch waits for. Whatever is not done has one of these.

use std::fmt;

use serde::Serialize;

use super::model::SwitchId;
use crate::base::clock::{Timestamp, moment};
use crate::base::ids::ClusterName;
use crate::fleet::calendar::Closed;

/// Why a switch does not go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Waiting {
    /// A look at the clusters.
    Look {
        /// At which, or what could not be seen.
        what: String,
    },
    /// Green to be at parity with blue.
    Parity {
        /// What it lacks.
        lacks: Vec<String>,
        /// Whether only a commit brings it there.
        is_by_git: bool,
    },
    /// A gate that asks somebody else.
    Gate {
        /// Its name.
        gate: String,
        /// What it lacks.
        message: String,
    },
    /// Somebody to say so.
    Approval {
        /// How many have.
        have: usize,
        /// How many must.
        need: usize,
    },
    /// A time at which traffic may be switched.
    Closed(Closed),
    /// The hook.
    Hook {
        /// Where traffic shall go.
        to: ClusterName,
        /// What it said last.
        message: String,
    },
    /// A cluster to be well.
    Health {
        /// Which.
        cluster: ClusterName,
        /// What is wrong with it.
        message: String,
    },
    /// The end of the time for which blue is drained or kept.
    Time {
        /// When that is.
        until: Timestamp,
        /// Whether it is drained, and not only kept.
        is_drain: bool,
    },
    /// Somebody to decide.
    Decision {
        /// Why it stands still.
        reason: String,
    },
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Look { what } => write!(f, "a fresh look: {what}"),
            Self::Parity { lacks, .. } => match lacks.as_slice() {
                [] => f.write_str("parity"),
                [one] => write!(f, "parity: {one}"),
                [one, rest @ ..] => write!(f, "parity: {one}, and {} more", rest.len()),
            },
            Self::Gate { gate, message } => write!(f, "gate {gate}: {message}"),
            Self::Approval { have, need } => write!(f, "approval: {have} of {need} given"),
            Self::Closed(Closed { reason, until: Some(until) }) => {
                write!(f, "{}, when its policy opens: {reason}", moment(*until))
            }
            Self::Closed(Closed { reason, until: None }) => {
                write!(f, "a policy that opens again: {reason}")
            }
            Self::Hook { to, message } => write!(f, "traffic to go to {to}: {message}"),
            Self::Health { cluster, message } => write!(f, "{cluster} to be well: {message}"),
            Self::Time { until, is_drain: true } => {
                write!(f, "the old cluster to be drained, until {}", moment(*until))
            }
            Self::Time { until, is_drain: false } => {
                write!(f, "the end of its keeping, {}", moment(*until))
            }
            Self::Decision { reason } => write!(f, "somebody to decide: {reason}"),
        }
    }
}

impl Waiting {
    /// Whether it is held until somebody says so, or a policy opens.
    pub fn is_held(&self) -> bool {
        matches!(
            self,
            Self::Approval { .. }
                | Self::Closed(_)
                | Self::Decision { .. }
                | Self::Parity { is_by_git: true, .. }
        )
    }

    /// What somebody can do about it, as commands.
    pub fn way_out(&self, switch: &SwitchId) -> Option<String> {
        match self {
            Self::Approval { .. } => Some(format!("fitout switch approve {switch}")),
            Self::Decision { .. } => {
                Some(format!("fitout switch retry {switch}, or fitout switch back {switch}"))
            }
            Self::Time { .. } => Some(format!("`fitout switch back {switch}` goes back")),
            Self::Parity { is_by_git: true, .. } => {
                Some("change that in git, or allow it in the policy's `parity.allow`".to_owned())
            }
            Self::Closed(_) => Some("change the policy's windows or freezes in git".to_owned()),
            _ => None,
        }
    }
}
