//! What happened to a rollout: the log that its state is the fold of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::approval::Approving;
use super::model::{Member, MemberState, Phase, Place, Rollout, RolloutId, StageProgress};
use super::observation::Evidence;
use super::train::Train;
use crate::base::author::Author;
use crate::base::clock::Timestamp;
use crate::base::ids::{AddonName, ClusterName, PolicyName, Rev};
use crate::fleet::model::RolloutPolicySpec;

/// One entry of the log. As JSON: `event`, `at`, `rollout`, `addon`, `revision`, where they apply
/// `stage`, `cluster` and `reason`, and what the kind adds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
    /// When it was decided.
    pub at: Timestamp,
    /// To which rollout.
    pub rollout: RolloutId,
    /// Of which addon.
    pub addon: AddonName,
    /// The commit that the rollout is pinned to.
    pub revision: Rev,
    /// In which stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// On which cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterName>,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Event {
    /// Something that happened to a whole rollout.
    pub(super) fn of(rollout: &Rollout, kind: EventKind, at: Timestamp) -> Self {
        Self {
            kind,
            at,
            rollout: rollout.id.clone(),
            addon: rollout.addon().clone(),
            revision: rollout.rev.clone(),
            stage: None,
            cluster: None,
            reason: None,
        }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event")]
pub enum EventKind {
    /// It began, with everything that it is pinned to.
    #[serde(rename = "rollout.started", rename_all = "camelCase")]
    RolloutStarted {
        /// The policy's name.
        policy_name: Option<PolicyName>,
        /// The policy.
        policy: Box<RolloutPolicySpec>,
        /// Who has written the commit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        author: Option<Author>,
        /// What it moves with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        train: Option<Train>,
        /// Every cluster.
        members: BTreeMap<ClusterName, Member>,
        /// The rollout whose place it takes.
        supersedes: Option<RolloutId>,
    },
    /// A stage began.
    #[serde(rename = "stage.started")]
    StageStarted,
    /// A cluster of the stage is about to be changed.
    #[serde(rename = "instance.started")]
    InstanceStarted {
        /// Where it was.
        from: Option<Place>,
    },
    /// Everything was sent and taken.
    #[serde(rename = "instance.applied", rename_all = "camelCase")]
    InstanceApplied {
        /// Helm's revision number.
        release_revision: u32,
        /// When the attempt had ended.
        applied_at: Timestamp,
    },
    /// It was seen to be healthy after the change.
    #[serde(rename = "instance.healthy", rename_all = "camelCase")]
    InstanceHealthy {
        /// When the reading began that showed it.
        observed_at: Timestamp,
    },
    /// It has been healthy for as long as the stage asks for.
    #[serde(rename = "instance.soaked", rename_all = "camelCase")]
    InstanceSoaked {
        /// When the reading began that showed it last.
        observed_at: Timestamp,
    },
    /// It has lost its health before its stage had passed.
    #[serde(rename = "instance.unhealthy")]
    InstanceUnhealthy,
    /// It did not get there.
    #[serde(rename = "instance.failed")]
    InstanceFailed,
    /// It is left out.
    #[serde(rename = "instance.skipped")]
    InstanceSkipped {
        /// Who says so; none where it is by policy.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// Somebody wants a cluster that failed or was left out to be tried again.
    #[serde(rename = "instance.retried")]
    InstanceRetried {
        /// Who.
        by: String,
    },
    /// A gate of the stage holds.
    #[serde(rename = "gate.passed")]
    GatePassed {
        /// `health`, `soak`, `approval`, or the name of one that asks somebody else.
        gate: String,
        /// When that one was asked.
        #[serde(default, rename = "observedAt", skip_serializing_if = "Option::is_none")]
        observed_at: Option<Timestamp>,
        /// What it was decided by, where that is more than the reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evidence: Option<Box<Evidence>>,
    },
    /// A gate of the stage is broken.
    #[serde(rename = "gate.failed", rename_all = "camelCase")]
    GateFailed {
        /// Its name.
        gate: String,
        /// When it was asked.
        observed_at: Timestamp,
        /// What it was decided by, where that is more than the reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evidence: Option<Box<Evidence>>,
    },
    /// Somebody has approved.
    #[serde(rename = "gate.approved")]
    GateApproved {
        /// Who.
        by: String,
        /// What, and how.
        #[serde(flatten)]
        how: Approving,
    },
    /// Somebody has waived the stage's soak and gates.
    #[serde(rename = "stage.promoted")]
    StagePromoted {
        /// Who.
        by: String,
    },
    /// Every gate of the stage holds.
    #[serde(rename = "stage.passed")]
    StagePassed,
    /// Nothing changes in this stage.
    #[serde(rename = "stage.skipped")]
    StageSkipped,
    /// Too many failures.
    #[serde(rename = "rollout.stopped", rename_all = "camelCase")]
    RolloutStopped {
        /// Whether what the stage changed goes back.
        goes_back: bool,
    },
    /// It is where it was before.
    #[serde(rename = "instance.rolledBack")]
    InstanceRolledBack,
    /// The attempt that takes it back had ended.
    #[serde(rename = "instance.reverted", rename_all = "camelCase")]
    InstanceReverted {
        /// When.
        applied_at: Timestamp,
    },
    /// It could not be taken back.
    #[serde(rename = "instance.stuck")]
    InstanceStuck,
    /// Everything that goes back has.
    #[serde(rename = "rollout.rolledBack")]
    RolloutRolledBack,
    /// Every stage has passed.
    #[serde(rename = "rollout.completed")]
    RolloutCompleted,
    /// Somebody holds it.
    #[serde(rename = "rollout.paused")]
    RolloutPaused {
        /// Who.
        by: String,
    },
    /// Somebody lets it go on.
    #[serde(rename = "rollout.resumed")]
    RolloutResumed {
        /// Who.
        by: String,
    },
    /// Somebody has ended it.
    #[serde(rename = "rollout.aborted", rename_all = "camelCase")]
    RolloutAborted {
        /// Who.
        by: String,
        /// Whether what the stage changed goes back first.
        goes_back: bool,
    },
    /// A newer commit has taken its place.
    #[serde(rename = "rollout.superseded")]
    RolloutSuperseded {
        /// The rollout that did; none where everything is as the newer commit wants it.
        by: Option<RolloutId>,
    },
    /// A cluster came to the fleet.
    #[serde(rename = "instance.joined")]
    InstanceJoined {
        /// What it is to do.
        member: Member,
    },
    /// A cluster left the fleet.
    #[serde(rename = "instance.left")]
    InstanceLeft,
    /// Git has other windows or freezes now.
    #[serde(rename = "rollout.rescheduled", rename_all = "camelCase")]
    RolloutRescheduled {
        /// The commit that says so.
        calendar_of: Rev,
        /// The policy that it goes on by: its own, with the new calendar.
        policy: Box<RolloutPolicySpec>,
    },
    /// Somebody wants an ended rollout's goals to be tried again.
    #[serde(rename = "rollout.retried")]
    RolloutRetried {
        /// Who.
        by: String,
    },
}

impl EventKind {
    /// What the log calls it, as `event`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::RolloutStarted { .. } => "rollout.started",
            Self::StageStarted => "stage.started",
            Self::InstanceStarted { .. } => "instance.started",
            Self::InstanceApplied { .. } => "instance.applied",
            Self::InstanceHealthy { .. } => "instance.healthy",
            Self::InstanceSoaked { .. } => "instance.soaked",
            Self::InstanceUnhealthy => "instance.unhealthy",
            Self::InstanceFailed => "instance.failed",
            Self::InstanceSkipped { .. } => "instance.skipped",
            Self::InstanceRetried { .. } => "instance.retried",
            Self::GatePassed { .. } => "gate.passed",
            Self::GateFailed { .. } => "gate.failed",
            Self::GateApproved { .. } => "gate.approved",
            Self::StagePromoted { .. } => "stage.promoted",
            Self::StagePassed => "stage.passed",
            Self::StageSkipped => "stage.skipped",
            Self::RolloutStopped { .. } => "rollout.stopped",
            Self::InstanceRolledBack => "instance.rolledBack",
            Self::InstanceReverted { .. } => "instance.reverted",
            Self::InstanceStuck => "instance.stuck",
            Self::RolloutRolledBack => "rollout.rolledBack",
            Self::RolloutCompleted => "rollout.completed",
            Self::RolloutPaused { .. } => "rollout.paused",
            Self::RolloutResumed { .. } => "rollout.resumed",
            Self::RolloutAborted { .. } => "rollout.aborted",
            Self::RolloutSuperseded { .. } => "rollout.superseded",
            Self::InstanceJoined { .. } => "instance.joined",
            Self::InstanceLeft => "instance.left",
            Self::RolloutRescheduled { .. } => "rollout.rescheduled",
            Self::RolloutRetried { .. } => "rollout.retried",
        }
    }

    /// Whether nothing more happens to the rollout.
    pub fn is_end(&self) -> bool {
        matches!(
            self,
            Self::RolloutCompleted
                | Self::RolloutRolledBack
                | Self::RolloutSuperseded { .. }
                | Self::RolloutAborted { goes_back: false, .. }
        )
    }
}

/// The state that events lead to; `None` unless the first is `rollout.started`.
pub fn fold<'a>(events: impl IntoIterator<Item = &'a Event>) -> Option<Rollout> {
    let mut events = events.into_iter();
    let mut rollout = begun(events.next()?)?;
    for event in events {
        rollout.take(event);
    }
    Some(rollout)
}

/// The state right after `rollout.started`.
fn begun(event: &Event) -> Option<Rollout> {
    let EventKind::RolloutStarted { policy_name, policy, author, train, members, .. } = &event.kind
    else {
        return None;
    };
    Some(Rollout {
        id: event.rollout.clone(),
        rev: event.revision.clone(),
        policy_name: policy_name.clone(),
        policy: (**policy).clone(),
        author: author.clone(),
        train: train.clone(),
        started_at: event.at,
        phase: Phase::Running,
        stage: 0,
        stages: policy.stages.iter().map(|_| StageProgress::default()).collect(),
        members: members.clone(),
        failures: std::collections::BTreeSet::new(),
        is_retried: false,
    })
}

impl Rollout {
    /// Takes one more event in.
    pub fn take(&mut self, event: &Event) {
        if let Some(cluster) = &event.cluster {
            self.take_of_instance(cluster, event);
        } else {
            self.take_of_rollout(event);
        }
    }

    fn take_of_instance(&mut self, cluster: &ClusterName, event: &Event) {
        let at = event.at;
        let reason = || event.reason.clone().unwrap_or_default();
        match &event.kind {
            EventKind::InstanceJoined { member } => {
                if member.is_changed() {
                    self.lapse_approvals();
                }
                self.members.insert(cluster.clone(), member.clone());
                return;
            }
            EventKind::InstanceLeft => {
                self.members.remove(cluster);
                self.failures.remove(cluster);
                return;
            }
            EventKind::InstanceFailed => {
                self.failures.insert(cluster.clone());
            }
            EventKind::InstanceRetried { .. } => {
                self.failures.remove(cluster);
                self.progress(self.stage, |stage| stage.changed(at));
            }
            EventKind::InstanceApplied { applied_at, .. } => {
                let stage = self.members.get(cluster).and_then(|member| member.stage);
                self.progress(stage.unwrap_or(self.stage), |stage| stage.changed(*applied_at));
            }
            EventKind::InstanceUnhealthy => {
                let gates = self.stages.get_mut(self.stage).map(|stage| &mut stage.gates);
                gates.into_iter().for_each(std::collections::BTreeSet::clear);
            }
            _ => {}
        }
        let Some(member) = self.members.get_mut(cluster) else { return };
        let applied_at = |state: &MemberState| match state {
            MemberState::Moving { applied_at, .. } => *applied_at,
            MemberState::Healthy { applied_at, .. } | MemberState::Soaked { applied_at } => {
                Some(*applied_at)
            }
            _ => None,
        };
        let before = applied_at(&member.state);
        member.state = match &event.kind {
            EventKind::InstanceStarted { from } => {
                member.from.get_or_insert_with(|| from.clone());
                MemberState::Moving { since: at, applied_at: None }
            }
            EventKind::InstanceApplied { applied_at, .. } => {
                let since = match member.state {
                    MemberState::Moving { since, .. } => since,
                    _ => at,
                };
                MemberState::Moving { since, applied_at: Some(*applied_at) }
            }
            EventKind::InstanceHealthy { observed_at } => MemberState::Healthy {
                since: *observed_at,
                applied_at: before.unwrap_or(*observed_at),
            },
            EventKind::InstanceSoaked { observed_at } => {
                MemberState::Soaked { applied_at: before.unwrap_or(*observed_at) }
            }
            EventKind::InstanceUnhealthy => MemberState::Moving { since: at, applied_at: before },
            EventKind::InstanceFailed => MemberState::Failed { reason: reason() },
            EventKind::InstanceSkipped { by } => {
                MemberState::Skipped { reason: reason(), by: by.clone() }
            }
            EventKind::InstanceRetried { .. } => member.retried(at),
            EventKind::InstanceReverted { applied_at } => {
                let since = match member.state {
                    MemberState::GoingBack { since, .. } => since,
                    _ => at,
                };
                MemberState::GoingBack { since, applied_at: Some(*applied_at) }
            }
            EventKind::InstanceRolledBack => MemberState::Back,
            EventKind::InstanceStuck => MemberState::Stuck { reason: reason() },
            _ => return,
        };
    }

    fn take_of_rollout(&mut self, event: &Event) {
        let at = event.at;
        let reason = || event.reason.clone().unwrap_or_default();
        let stage = self.stage;
        match &event.kind {
            EventKind::StageStarted => self.progress(stage, |stage| stage.started_at = Some(at)),
            EventKind::GatePassed { gate, .. } => {
                self.progress(stage, |stage| {
                    stage.gates.insert(gate.clone());
                });
            }
            EventKind::GateApproved { by, how } => {
                self.progress(stage, |stage| {
                    stage.approved(by, how);
                });
            }
            EventKind::StagePromoted { by } => {
                self.progress(stage, |stage| stage.promoted_by = Some(by.clone()));
            }
            EventKind::StagePassed | EventKind::StageSkipped => {
                self.progress(stage, |stage| stage.passed_at = Some(at));
                self.stage += 1;
            }
            EventKind::RolloutStopped { goes_back: false } => {
                self.phase = Phase::Stopped { reason: reason(), since: at };
            }
            EventKind::RolloutStopped { goes_back: true }
            | EventKind::RolloutAborted { goes_back: true, .. } => self.turn_back(&reason(), at),
            EventKind::RolloutAborted { by, goes_back: false } => {
                self.phase = Phase::Aborted { by: by.clone() };
            }
            EventKind::RolloutPaused { by } => {
                self.phase = Phase::Paused { by: by.clone(), since: at };
            }
            EventKind::RolloutResumed { .. } => self.resume(at),
            EventKind::RolloutRolledBack => {
                self.phase = Phase::RolledBack { reason: reason() };
            }
            EventKind::RolloutRetried { .. } => self.is_retried = true,
            EventKind::RolloutRescheduled { policy, .. } => self.policy.clone_from(policy),
            EventKind::RolloutCompleted => self.phase = Phase::Completed,
            EventKind::RolloutSuperseded { by } => {
                self.phase = Phase::Superseded { by: by.clone() };
            }
            _ => {}
        }
    }

    fn progress(&mut self, stage: usize, change: impl FnOnce(&mut StageProgress)) {
        if let Some(stage) = self.stages.get_mut(stage) {
            change(stage);
        }
    }

    /// What the stage changed is on its way back from now on.
    fn turn_back(&mut self, reason: &str, at: Timestamp) {
        self.phase = Phase::GoingBack { reason: reason.to_owned(), since: at };
        let stage = self.stage;
        for member in self.members.values_mut() {
            // One that was never begun is where it was.
            let is_begun = member.state.is_touched() && member.from.is_some();
            if member.stage == Some(stage) && is_begun {
                member.state = MemberState::GoingBack { since: at, applied_at: None };
            }
        }
    }

    /// Members that failed are tried again, and no longer count; those of the stage that were left out
    /// are waited for again.
    fn resume(&mut self, at: Timestamp) {
        if matches!(self.phase, Phase::Stopped { .. }) {
            self.failures.clear();
            let stage = self.stage;
            for member in self.members.values_mut() {
                let is_left_out = matches!(member.state, MemberState::Skipped { .. });
                if !is_left_out || member.stage == Some(stage) {
                    member.state = member.retried(at);
                }
            }
        }
        self.phase = Phase::Running;
        self.progress(self.stage, |stage| stage.changed(at));
    }
}

impl StageProgress {
    /// What held before does not say anything of what is there now.
    fn changed(&mut self, at: Timestamp) {
        self.changed_at = self.changed_at.max(Some(at));
        self.gates.clear();
    }
}
