//! What a rollout is: goals, members, stages, phase.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::approval::Approving;
use super::stages::{Picked, Seat};
use super::train::Train;
use crate::base::author::Author;
use crate::base::clock::Timestamp;
use crate::base::ids::{AddonName, ClusterName, Digest, PolicyName, Rev};
use crate::fleet::model::{OnFailure, RolloutPolicySpec, Stage};

/// `ADDON-N`: the N-th rollout of an addon.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RolloutId {
    /// The addon.
    pub addon: AddonName,
    /// From 1.
    pub number: u32,
}

impl RolloutId {
    /// Reads `ADDON-N`.
    pub fn parse(text: &str) -> Option<Self> {
        let (addon, number) = text.rsplit_once('-')?;
        let number = number.parse().ok()?;
        (!addon.is_empty()).then(|| Self { addon: addon.into(), number })
    }

    /// The one after it.
    pub fn next(&self) -> Self {
        Self { addon: self.addon.clone(), number: self.number + 1 }
    }
}

impl fmt::Display for RolloutId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}-{}", self.addon, self.number))
    }
}

impl TryFrom<String> for RolloutId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("`{text}` is no rollout: ADDON-NUMBER is"))
    }
}

impl From<RolloutId> for String {
    fn from(id: RolloutId) -> Self {
        id.to_string()
    }
}

/// Where an instance shall go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Goal {
    /// The commit that says so.
    pub rev: Rev,
    /// Of what is rendered; none where the instance shall not be.
    pub digest: Option<Digest>,
}

/// Where an instance is, by its newest deployed release record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// The commit; absent for a release that Helm made.
    pub rev: Option<Rev>,
    /// Of what was rendered; absent for a release that Helm made.
    pub digest: Option<Digest>,
    /// Helm's revision number.
    pub release_revision: u32,
}

/// One rollout. Made of events only: see [`super::event::fold`].
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    /// Its name.
    pub id: RolloutId,
    /// The commit it is pinned to.
    pub rev: Rev,
    /// The policy's name; none where all clusters change at once.
    pub policy_name: Option<PolicyName>,
    /// The policy as it was when the rollout began.
    pub policy: RolloutPolicySpec,
    /// Who has written the commit.
    pub author: Option<Author>,
    /// What it moves with; none where it moves alone.
    pub train: Option<Train>,
    /// When it began.
    pub started_at: Timestamp,
    /// Where it is.
    pub phase: Phase,
    /// The stage that is under way, or the first that is not passed.
    pub stage: usize,
    /// One for each stage of the policy.
    pub stages: Vec<StageProgress>,
    /// Every cluster that has the addon or shall have it.
    pub members: BTreeMap<ClusterName, Member>,
    /// Failures that count against `maxFailures`.
    pub failures: BTreeSet<ClusterName>,
    /// Whether somebody wants its goals to be tried again after it went back or was ended.
    pub is_retried: bool,
}

/// Where a rollout is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Going on.
    Running,
    /// Somebody has stopped it for a while: what has begun is watched, nothing new begins.
    Paused {
        /// Who.
        by: String,
        /// Since when.
        since: Timestamp,
    },
    /// Too many failures, and the policy says to wait for somebody.
    Stopped {
        /// Why.
        reason: String,
        /// Since when.
        since: Timestamp,
    },
    /// What the stage changed goes back.
    GoingBack {
        /// Why.
        reason: String,
        /// Since when.
        since: Timestamp,
    },
    /// Every stage has passed.
    Completed,
    /// It went back.
    RolledBack {
        /// Why.
        reason: String,
    },
    /// Somebody has ended it.
    Aborted {
        /// Who.
        by: String,
    },
    /// A newer commit has taken its place.
    Superseded {
        /// The rollout that did; none where everything is as the newer commit wants it.
        by: Option<RolloutId>,
    },
}

impl Phase {
    /// Whether nothing more will happen.
    pub fn is_ended(&self) -> bool {
        matches!(
            self,
            Self::Completed
                | Self::RolledBack { .. }
                | Self::Aborted { .. }
                | Self::Superseded { .. }
        )
    }

    /// One word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused { .. } => "paused",
            Self::Stopped { .. } => "stopped",
            Self::GoingBack { .. } => "going back",
            Self::Completed => "completed",
            Self::RolledBack { .. } => "rolled back",
            Self::Aborted { .. } => "aborted",
            Self::Superseded { .. } => "superseded",
        }
    }
}

/// What is on record of a stage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StageProgress {
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it passed, or was found to have nothing to do.
    pub passed_at: Option<Timestamp>,
    /// When a cluster of it was changed last, or it was resumed: what a gate says is judged from then on.
    pub changed_at: Option<Timestamp>,
    /// Gates that hold at present.
    pub gates: BTreeSet<String>,
    /// Who has approved its present plan, and how.
    pub approvals: BTreeMap<String, Approving>,
    /// Who has waived its soak and its gates: what is healthy is done.
    pub promoted_by: Option<String>,
}

/// One cluster of a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// Where it shall go.
    pub goal: Goal,
    /// The index of its stage; none when no stage of the policy takes it.
    pub stage: Option<usize>,
    /// Of its stage's clusters, the lower is begun first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub order: usize,
    /// Why it was picked, where its stage takes a sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picked: Option<Picked>,
    /// Where it goes back to; settled when it is begun, or handed on by a superseded rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Option<Place>>,
    /// How far it is.
    #[serde(default)]
    pub state: MemberState,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_zero(order: &usize) -> bool {
    *order == 0
}

/// How far a member is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MemberState {
    /// It is at its goal already: the rollout does not touch it.
    Unchanged,
    /// Not begun.
    #[default]
    Waiting,
    /// Begun. In flight.
    Moving {
        /// Since when: the deadline counts from here.
        since: Timestamp,
        /// When the attempt that brought it there had ended: only what was observed after it
        /// is evidence.
        applied_at: Option<Timestamp>,
    },
    /// Seen healthy at its goal. In flight until it has soaked.
    Healthy {
        /// The observation that showed it first; soak counts from here.
        since: Timestamp,
        /// As for a moving one.
        applied_at: Timestamp,
    },
    /// Healthy for as long as the stage asks for.
    Soaked {
        /// As for a moving one.
        applied_at: Timestamp,
    },
    /// It did not get there.
    Failed {
        /// Why.
        reason: String,
    },
    /// On its way back.
    GoingBack {
        /// Since when.
        since: Timestamp,
        /// When the attempt that took it back had ended.
        applied_at: Option<Timestamp>,
    },
    /// It is where it was before.
    Back,
    /// It could not be taken back.
    Stuck {
        /// Why.
        reason: String,
    },
    /// Left out: it catches up with the next rollout.
    Skipped {
        /// Why.
        reason: String,
        /// Who says so; none where it is by policy. What somebody has left out is not begun again until
        /// somebody says so, or git changes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
}

impl Member {
    /// One that comes from nowhere yet.
    pub(super) fn new(goal: Goal, seat: Option<&Seat>, state: MemberState) -> Self {
        let mut member = Self { goal, stage: None, order: 0, picked: None, from: None, state };
        member.sit(seat);
        member
    }

    /// Whether the rollout changes it, sooner or later.
    pub fn is_changed(&self) -> bool {
        self.stage.is_some() && self.state != MemberState::Unchanged
    }

    /// Gives it its place in the policy, or takes it away.
    pub(super) fn sit(&mut self, seat: Option<&Seat>) {
        self.stage = seat.map(|seat| seat.stage);
        self.order = seat.map_or(0, |seat| seat.order);
        self.picked = seat.and_then(|seat| seat.picked.clone());
    }

    /// How far it is once it is to be tried again: what was begun and failed is in flight at once, what was not,
    /// or was left out, has not begun.
    pub(super) fn retried(&self, at: Timestamp) -> MemberState {
        match &self.state {
            MemberState::Failed { .. } if self.from.is_some() => {
                MemberState::Moving { since: at, applied_at: None }
            }
            MemberState::Failed { .. } | MemberState::Skipped { .. } => MemberState::Waiting,
            other => other.clone(),
        }
    }
}

impl MemberState {
    /// Whether it is under way to its goal: what `batch` counts.
    pub fn is_in_flight(&self) -> bool {
        matches!(self, Self::Moving { .. } | Self::Healthy { .. })
    }

    /// Whether it failed or was left out: no more is expected of it.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Failed { .. } | Self::Skipped { .. })
    }

    /// Whether it is not to be tried again before somebody says so, or git changes.
    pub fn is_given_up(&self) -> bool {
        matches!(self, Self::Failed { .. } | Self::Skipped { by: Some(_), .. })
    }

    /// Whether the rollout has changed it, or may have.
    pub fn is_touched(&self) -> bool {
        matches!(
            self,
            Self::Moving { .. } | Self::Healthy { .. } | Self::Soaked { .. } | Self::Failed { .. }
        )
    }

    /// One or two words.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Waiting => "waiting",
            Self::Moving { applied_at: None, .. } => "applying",
            Self::Moving { .. } => "getting healthy",
            Self::Healthy { .. } => "soaking",
            Self::Soaked { .. } => "done",
            Self::Failed { .. } => "failed",
            Self::GoingBack { .. } => "going back",
            Self::Back => "rolled back",
            Self::Stuck { .. } => "stuck",
            Self::Skipped { .. } => "skipped",
        }
    }
}

impl Rollout {
    /// The addon that it moves.
    pub fn addon(&self) -> &AddonName {
        &self.id.addon
    }

    /// A stage's name; `-` past the last.
    pub fn stage_name(&self, index: usize) -> &str {
        self.policy.stages.get(index).map_or("-", |stage| stage.name.as_str())
    }

    /// The members of a stage that the rollout changes.
    pub fn changing(&self, stage: usize) -> impl Iterator<Item = (&ClusterName, &Member)> {
        self.members.iter().filter(move |(_, member)| {
            member.stage == Some(stage) && member.state != MemberState::Unchanged
        })
    }

    /// Whether later stages would go by what the present one shows.
    pub fn is_followed(&self) -> bool {
        let is_later = |member: &&Member| member.stage > Some(self.stage);
        let mut later = self.members.values().filter(is_later);
        later.any(|member| member.state != MemberState::Unchanged)
    }

    /// Whether any cluster of the present stage, or of an earlier one, has got where it should.
    pub fn is_shown(&self) -> bool {
        self.members.values().any(|member| {
            member.stage <= Some(self.stage) && matches!(member.state, MemberState::Soaked { .. })
        })
    }

    /// Whether somebody has waived a stage's soak and gates.
    pub fn is_promoted(&self, stage: usize) -> bool {
        self.stages.get(stage).is_some_and(|stage| stage.promoted_by.is_some())
    }

    /// When the present stage was changed last.
    pub fn changed_at(&self) -> Option<Timestamp> {
        self.stages.get(self.stage)?.changed_at
    }

    /// The stage that is under way, as the policy has it; none past the last.
    pub fn present_stage(&self) -> Option<&Stage> {
        self.policy.stages.get(self.stage)
    }

    /// Failures that count against the present stage's budget: those of the stage where it has one of its own,
    /// else those of all stages that the policy's is for.
    pub fn failures_counted(&self) -> impl Iterator<Item = &ClusterName> {
        let is_apart = |stage: &Stage| {
            let goes_on = self.policy.on_failure(Some(stage)) == OnFailure::Continue;
            goes_on || stage.max_failures.is_some()
        };
        let has_own = self.present_stage().is_some_and(|stage| stage.max_failures.is_some());
        let counts = move |name: &&ClusterName| {
            let index = self.members.get(*name).and_then(|member| member.stage);
            let stage = index.and_then(|index| self.policy.stages.get(index));
            if has_own { index == Some(self.stage) } else { !stage.is_some_and(is_apart) }
        };
        self.failures.iter().filter(counts)
    }

    /// How many members it changes, over all stages.
    pub fn changing_count(&self) -> usize {
        self.members.values().filter(|member| member.is_changed()).count()
    }

    /// Whether nothing new may begin although it has not ended.
    pub fn is_held(&self) -> bool {
        matches!(self.phase, Phase::Paused { .. } | Phase::Stopped { .. })
    }
}
