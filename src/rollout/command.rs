//! What people say to a rollout: approve, pause, resume, abort, retry.

use serde::{Deserialize, Serialize};

use super::event::{Event, EventKind};
use super::model::{Phase, Rollout};
use crate::base::clock::Timestamp;

/// What somebody says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "camelCase")]
pub enum Command {
    /// The present stage may pass, as far as they are concerned.
    Approve,
    /// Nothing new begins.
    Pause,
    /// It goes on; failed clusters are tried again.
    Resume,
    /// It ends.
    #[serde(rename_all = "camelCase")]
    Abort {
        /// What the present stage changed goes back first.
        goes_back: bool,
    },
    /// The goals of a rollout that went back or was ended may be tried again.
    Retry,
}

/// Why a command has no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is over.
    #[error("rollout {rollout} is {phase}")]
    Ended {
        /// Which.
        rollout: String,
        /// How.
        phase: &'static str,
    },
    /// No approval is asked for.
    #[error("stage {stage} of rollout {rollout} asks for no approval")]
    NoApproval {
        /// Which.
        rollout: String,
        /// Its present stage.
        stage: String,
    },
    /// It is so already.
    #[error("rollout {rollout} is {phase} already")]
    Already {
        /// Which.
        rollout: String,
        /// What it is.
        phase: &'static str,
    },
    /// The same person has approved this stage.
    #[error("{by} has approved stage {stage} of rollout {rollout} already")]
    Twice {
        /// Which.
        rollout: String,
        /// Its present stage.
        stage: String,
        /// Who.
        by: String,
    },
    /// It is on its way back, which ends by itself.
    #[error("rollout {rollout} is going back")]
    GoingBack {
        /// Which.
        rollout: String,
    },
}

/// What follows from a command, to be recorded.
///
/// # Errors
/// Says why it has no effect.
pub fn command(
    rollout: &Rollout,
    command: Command,
    by: &str,
    reason: Option<String>,
    now: Timestamp,
) -> Result<Event, Refused> {
    let by = by.to_owned();
    let kind = match command {
        Command::Retry => return retry(rollout, by, reason, now),
        _ if rollout.phase.is_ended() => {
            let phase = rollout.phase.word();
            return Err(Refused::Ended { rollout: rollout.id.to_string(), phase });
        }
        _ if matches!(rollout.phase, Phase::GoingBack { .. }) => {
            return Err(Refused::GoingBack { rollout: rollout.id.to_string() });
        }
        Command::Approve => approve(rollout, by)?,
        Command::Pause if rollout.is_held() => {
            let phase = rollout.phase.word();
            return Err(Refused::Already { rollout: rollout.id.to_string(), phase });
        }
        Command::Pause => EventKind::RolloutPaused { by },
        Command::Resume if !rollout.is_held() => {
            let phase = rollout.phase.word();
            return Err(Refused::Already { rollout: rollout.id.to_string(), phase });
        }
        Command::Resume => EventKind::RolloutResumed { by },
        Command::Abort { goes_back } => EventKind::RolloutAborted { by, goes_back },
    };
    Ok(event(rollout, kind, reason, now))
}

fn approve(rollout: &Rollout, by: String) -> Result<EventKind, Refused> {
    let stage = rollout.stage_name(rollout.stage).to_owned();
    let policy = rollout.policy.stages.get(rollout.stage);
    let asks = policy.is_some_and(|stage| stage.gates.iter().any(|gate| gate.approval.is_some()));
    let progress = rollout.stages.get(rollout.stage);
    let has_begun = progress.is_some_and(|stage| stage.started_at.is_some());
    if !asks || !has_begun {
        return Err(Refused::NoApproval { rollout: rollout.id.to_string(), stage });
    }
    if progress.is_some_and(|stage| stage.approvals.contains(&by)) {
        return Err(Refused::Twice { rollout: rollout.id.to_string(), stage, by });
    }
    Ok(EventKind::GateApproved { by })
}

fn retry(
    rollout: &Rollout,
    by: String,
    reason: Option<String>,
    now: Timestamp,
) -> Result<Event, Refused> {
    if matches!(rollout.phase, Phase::RolledBack { .. } | Phase::Aborted { .. }) {
        return Ok(event(rollout, EventKind::RolloutRetried { by }, reason, now));
    }
    let phase = rollout.phase.word();
    Err(Refused::Already { rollout: rollout.id.to_string(), phase })
}

fn event(rollout: &Rollout, kind: EventKind, reason: Option<String>, at: Timestamp) -> Event {
    let is_of_stage = matches!(kind, EventKind::GateApproved { .. });
    let stage = is_of_stage.then(|| rollout.stage_name(rollout.stage).to_owned());
    Event { stage, reason, ..Event::of(rollout, kind, at) }
}
