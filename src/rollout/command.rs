//! What people say to a rollout: approve, pause, resume, abort, retry.

use serde::{Deserialize, Serialize};

use super::approval::Approving;
use super::event::{Event, EventKind};
use super::model::{MemberState, Phase, Rollout};
use super::train::Whole;
use crate::base::clock::Timestamp;
use crate::base::ids::{ClusterName, Digest};

/// What somebody says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "camelCase")]
pub enum Command {
    /// The present stage may pass, as far as they are concerned.
    Approve(Approving),
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
    /// A cluster that failed or was left out is tried again; the others stay as they are.
    RetryCluster {
        /// Which.
        cluster: ClusterName,
    },
    /// A cluster that has not begun is left out, whatever its stage.
    SkipCluster {
        /// Which.
        cluster: ClusterName,
    },
    /// The present stage passes without its soak and its gates, once its clusters are healthy.
    Promote,
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
    /// It is not for them to say.
    #[error(
        "{by} may not approve stage {stage} of rollout {rollout}: its policy says who may (`from`, \
         `notAuthor`)"
    )]
    NotApprover {
        /// Which.
        rollout: String,
        /// Its present stage.
        stage: String,
        /// Who.
        by: String,
    },
    /// What was approved is not what it brings now.
    #[error(
        "that is for another plan than rollout {rollout} has now, since clusters came or went: look at it \
         again, its plan is {plan}"
    )]
    OtherPlan {
        /// Which.
        rollout: String,
        /// The digest of its plan.
        plan: Digest,
    },
    /// Only signed commits count.
    #[error(
        "stage {stage} of rollout {rollout} is approved by signed commits only: `fitout rollout approve \
         {rollout} --in-git` says what to commit"
    )]
    Unsigned {
        /// Which.
        rollout: String,
        /// Its present stage.
        stage: String,
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
    /// The cluster is not one for which that can be said.
    #[error("{cluster} is {state} in rollout {rollout}: {help}")]
    Cluster {
        /// Which.
        rollout: String,
        /// Which cluster.
        cluster: ClusterName,
        /// How it is, in a word or two.
        state: &'static str,
        /// What it would have to be.
        help: &'static str,
    },
    /// What overrides the policy has to say why.
    #[error("that overrides the policy of rollout {rollout}: say why, for the record (--reason)")]
    NoReason {
        /// Which.
        rollout: String,
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
        Command::Approve(how) => rollout.approve(by, how)?,
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
        Command::Promote | Command::SkipCluster { .. } if reason.is_none() => {
            return Err(Refused::NoReason { rollout: rollout.id.to_string() });
        }
        Command::Promote if rollout.is_promoted(rollout.stage) => {
            return Err(Refused::Already { rollout: rollout.id.to_string(), phase: "promoted" });
        }
        Command::Promote => EventKind::StagePromoted { by },
        Command::RetryCluster { cluster } => {
            let kind = EventKind::InstanceRetried { by };
            return of_cluster(rollout, &cluster, kind, reason, now);
        }
        Command::SkipCluster { cluster } => {
            let kind = EventKind::InstanceSkipped { by: Some(by) };
            return of_cluster(rollout, &cluster, kind, reason, now);
        }
    };
    Ok(event(rollout, kind, reason, now))
}

/// What follows from a command for a rollout and all that moves with it: to be recorded together, or not at
/// all. It is said to each for which it makes sense.
///
/// # Errors
/// Says why it has no effect on any.
pub fn command_together(
    whole: &Whole<'_>,
    what: &Command,
    by: &str,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<Vec<Event>, Refused> {
    let mut events = Vec::new();
    let mut refused = None;
    for rollout in whole.rollouts() {
        match command(rollout, what.clone(), by, reason.map(str::to_owned), now) {
            Ok(event) => events.push(event),
            Err(why) => {
                refused.get_or_insert(why);
            }
        }
    }
    match refused {
        Some(why) if events.is_empty() => Err(why),
        _ => Ok(events),
    }
}

/// What somebody says of one cluster.
fn of_cluster(
    rollout: &Rollout,
    cluster: &ClusterName,
    kind: EventKind,
    reason: Option<String>,
    now: Timestamp,
) -> Result<Event, Refused> {
    let member = rollout.members.get(cluster);
    let is_skip = matches!(kind, EventKind::InstanceSkipped { .. });
    let fits = member.is_some_and(|member| match &member.state {
        MemberState::Waiting => is_skip,
        MemberState::Failed { .. } | MemberState::Skipped { .. } => {
            !is_skip && member.stage == Some(rollout.stage)
        }
        _ => false,
    });
    if !fits {
        return Err(Refused::Cluster {
            rollout: rollout.id.to_string(),
            cluster: cluster.clone(),
            state: member.map_or("unknown", |member| member.state.word()),
            help: if is_skip {
                "only one that has not begun can be left out"
            } else {
                "only one of the present stage that failed or was left out can be tried again"
            },
        });
    }
    let stage = member.and_then(|member| member.stage).map(|stage| rollout.stage_name(stage));
    let stage = stage.map(str::to_owned);
    Ok(Event { stage, cluster: Some(cluster.clone()), ..event(rollout, kind, reason, now) })
}

fn retry(
    rollout: &Rollout,
    by: String,
    reason: Option<String>,
    now: Timestamp,
) -> Result<Event, Refused> {
    let is_short = match rollout.phase {
        Phase::RolledBack { .. } | Phase::Aborted { .. } => true,
        Phase::Completed => rollout.members.values().any(|member| member.state.is_given_up()),
        _ => false,
    };
    if is_short {
        return Ok(event(rollout, EventKind::RolloutRetried { by }, reason, now));
    }
    let phase = rollout.phase.word();
    Err(Refused::Already { rollout: rollout.id.to_string(), phase })
}

fn event(rollout: &Rollout, kind: EventKind, reason: Option<String>, at: Timestamp) -> Event {
    let is_of_stage =
        matches!(kind, EventKind::GateApproved { .. } | EventKind::StagePromoted { .. });
    let stage = is_of_stage.then(|| rollout.stage_name(rollout.stage).to_owned());
    Event { stage, reason, ..Event::of(rollout, kind, at) }
}
