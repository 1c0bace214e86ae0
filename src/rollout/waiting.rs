//! What a member waits for. Whatever is not done has one of these.

use std::fmt;

use serde::Serialize;

use crate::base::clock::{Timestamp, moment};
use crate::base::ids::{AddonName, ClusterName};
use crate::fleet::calendar::Closed;

/// Why a member is not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum WaitingOn {
    /// Its stage has not begun.
    EarlierStage {
        /// The stage that must pass first.
        stage: String,
    },
    /// As many as may be in flight are.
    Batch {
        /// In flight.
        in_flight: Vec<ClusterName>,
        /// How many may be.
        allowed: usize,
    },
    /// What it depends on.
    Dependency(String),
    /// A time at which the policy lets new clusters begin.
    Closed(Closed),
    /// Its cluster does not answer.
    Unreachable(String),
    /// Nothing is known of it yet.
    Observation,
    /// An attempt on it is under way, or is made again.
    Attempt {
        /// Why the last one did not get through.
        last: Option<String>,
    },
    /// Evidence made after the change that it is healthy.
    Health {
        /// What was seen last.
        message: String,
        /// When it counts as failed.
        until: Timestamp,
    },
    /// Time.
    Soak {
        /// Until when it must stay healthy.
        until: Timestamp,
    },
    /// The others of its stage.
    Others {
        /// Which.
        clusters: Vec<ClusterName>,
    },
    /// What moves with it.
    Train {
        /// Addons of its train that are not done in this stage.
        addons: Vec<AddonName>,
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
        /// For this stage.
        stage: String,
        /// How many have.
        have: usize,
        /// How many must.
        need: usize,
        /// Whether only signed commits count.
        signed: bool,
        /// Approvals in git that do not count, and why.
        refused: Vec<String>,
    },
    /// Somebody to go on.
    Resume {
        /// Why it stands still.
        reason: String,
    },
    /// The way back.
    WayBack {
        /// What was seen last, or why the last attempt did not get through.
        message: String,
    },
    /// A policy with a stage for it.
    Stage,
}

impl fmt::Display for WaitingOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EarlierStage { stage } => write!(f, "stage {stage}, which has to pass first"),
            Self::Batch { in_flight, allowed } => write!(
                f,
                "room in the batch, which is {allowed} at a time: {} in flight",
                crate::base::diagnostic::few(
                    &in_flight.iter().map(ClusterName::as_str).collect::<Vec<_>>()
                )
            ),
            Self::Dependency(reason) => f.write_str(reason),
            Self::Closed(Closed { reason, until: Some(until) }) => {
                write!(f, "{}, when its policy opens: {reason}", moment(*until))
            }
            Self::Closed(Closed { reason, until: None }) => {
                write!(f, "a policy that opens again: {reason}")
            }
            Self::Unreachable(reason) => write!(f, "the cluster, which does not answer: {reason}"),
            Self::Observation => f.write_str("a look at the cluster"),
            Self::Attempt { last: None } => f.write_str("an attempt that is under way"),
            Self::Attempt { last: Some(last) } => {
                write!(f, "the next attempt; the last one: {last}")
            }
            Self::Health { message, until } => {
                write!(f, "health, until {}: {message}", moment(*until))
            }
            Self::Soak { until } => write!(f, "the soak: healthy until {}", moment(*until)),
            Self::Others { clusters } => {
                let names: Vec<_> = clusters.iter().map(ClusterName::as_str).collect();
                write!(f, "the others of its stage: {}", crate::base::diagnostic::few(&names))
            }
            Self::Train { addons } => {
                let names: Vec<_> = addons.iter().map(AddonName::as_str).collect();
                write!(f, "the others of its train: {}", crate::base::diagnostic::few(&names))
            }
            Self::Gate { gate, message } => write!(f, "gate {gate}: {message}"),
            Self::Approval { stage, have, need, refused, .. } => {
                write!(f, "approval of stage {stage}: {have} of {need} given")?;
                refused.iter().try_for_each(|refused| write!(f, "; {refused}"))
            }
            Self::Resume { reason } => write!(f, "somebody to resume it: {reason}"),
            Self::WayBack { message } => write!(f, "the way back: {message}"),
            Self::Stage => f.write_str("a policy with a stage that takes this cluster"),
        }
    }
}

impl WaitingOn {
    /// Whether it passes by itself: by what is under way, or by time that it is measured over.
    pub fn is_moving(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(_)
                | Self::Observation
                | Self::Attempt { .. }
                | Self::Health { .. }
                | Self::Soak { .. }
                | Self::Gate { .. }
                | Self::WayBack { .. }
        )
    }

    /// Whether it is held on purpose: until somebody says so, or a policy opens.
    pub fn is_held(&self) -> bool {
        matches!(self, Self::Approval { .. } | Self::Resume { .. } | Self::Closed(_))
    }

    /// What somebody can do about it, as a command.
    pub fn way_out(&self, rollout: &super::RolloutId) -> Option<String> {
        match self {
            Self::Approval { signed: true, .. } => {
                Some(format!("fitout rollout approve {rollout} --in-git says what to commit"))
            }
            Self::Approval { .. } => Some(format!("fitout rollout approve {rollout}")),
            Self::Resume { .. } => {
                Some(format!("fitout rollout resume {rollout}, or fitout rollout abort {rollout}"))
            }
            Self::Closed(_) => Some(
                "change the policy's windows or freezes in git, if it must not wait".to_owned(),
            ),
            _ => None,
        }
    }
}
