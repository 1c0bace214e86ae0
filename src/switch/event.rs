//! What happened to pairs and switches: the log that their state is the fold of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::model::{Decision, Pair, PairId, Phase, Switch, SwitchId};
use crate::base::clock::Timestamp;
use crate::base::ids::{ClusterName, PolicyName, Rev};
use crate::fleet::switch::SwitchPolicySpec;

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SwitchEvent {
    /// What happened.
    #[serde(flatten)]
    pub kind: SwitchEventKind,
    /// When it was decided.
    pub at: Timestamp,
    /// To which pair.
    pub pair: PairId,
    /// To which switch; none for what concerns the pair alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switch: Option<SwitchId>,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event")]
pub enum SwitchEventKind {
    /// A cluster serves.
    #[serde(rename = "pair.serving")]
    Serving {
        /// Which.
        cluster: ClusterName,
        /// Who says so; none where it is alone in its pair, or the one that another replaces.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// A cluster has joined that is to take the place of the one that serves.
    #[serde(rename = "switch.started")]
    Started {
        /// The one that serves.
        blue: ClusterName,
        /// The other one.
        green: ClusterName,
        /// The commit.
        revision: Rev,
        /// What it goes by.
        policy: Box<SwitchPolicySpec>,
    },
    /// The policy says something else, and traffic was not touched yet: it begins again with that.
    #[serde(rename = "switch.repinned")]
    Repinned {
        /// The commit.
        revision: Rev,
        /// What it goes by.
        policy: Box<SwitchPolicySpec>,
    },
    /// Green was seen to be at parity.
    #[serde(rename = "parity.reached", rename_all = "camelCase")]
    ParityReached {
        /// When the reading began that showed it.
        observed_at: Timestamp,
    },
    /// Green was seen not to be at parity any more.
    #[serde(rename = "parity.lost", rename_all = "camelCase")]
    ParityLost {
        /// When the reading began that showed it.
        observed_at: Timestamp,
    },
    /// A gate is broken.
    #[serde(rename = "gate.failed", rename_all = "camelCase")]
    GateFailed {
        /// Its name.
        gate: String,
        /// When it was asked.
        observed_at: Timestamp,
    },
    /// Somebody has approved.
    #[serde(rename = "gate.approved")]
    Approved {
        /// Who.
        by: String,
    },
    /// Traffic shall go to a cluster. What carries it out comes after.
    #[serde(rename = "switch.decided")]
    Decided {
        /// The number of the decision.
        number: u32,
        /// Where traffic shall go.
        to: ClusterName,
        /// Who says so; none where it is by policy.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// What it was decided by.
        #[serde(default, skip_serializing_if = "Proof::is_empty")]
        proof: Proof,
    },
    /// The hook of a decision has done it.
    #[serde(rename = "hook.done")]
    HookDone {
        /// Of which decision.
        number: u32,
    },
    /// The hook of a decision has failed.
    #[serde(rename = "hook.failed")]
    HookFailed {
        /// Of which decision.
        number: u32,
    },
    /// Green, which serves, was seen to be unwell.
    #[serde(rename = "green.unwell", rename_all = "camelCase")]
    Unwell {
        /// When the reading began that showed it.
        observed_at: Timestamp,
    },
    /// Green was seen to be well again.
    #[serde(rename = "green.well", rename_all = "camelCase")]
    Well {
        /// When the reading began that showed it.
        observed_at: Timestamp,
    },
    /// Blue is drained, and green was well to the end.
    #[serde(rename = "switch.drained", rename_all = "camelCase")]
    Drained {
        /// When the reading began that showed that green is well.
        observed_at: Timestamp,
    },
    /// Blue was kept as long as it had to be, or has left the fleet.
    #[serde(rename = "switch.done", rename_all = "camelCase")]
    Done {
        /// Whether blue has left the pair before its time was over.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        has_left: bool,
    },
    /// Somebody wants it tried again.
    #[serde(rename = "switch.retried")]
    Retried {
        /// Who.
        by: String,
    },
    /// It comes to nothing.
    #[serde(rename = "switch.abandoned")]
    Abandoned,
}

/// What a decision was made by, each with the time at which its reading began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proof {
    /// That green is at parity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parity: Option<Timestamp>,
    /// That the cluster that traffic goes to is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub well: Option<Timestamp>,
    /// That gates hold.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub gates: BTreeMap<String, Timestamp>,
}

impl Proof {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl SwitchEventKind {
    /// As in the log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Serving { .. } => "pair.serving",
            Self::Started { .. } => "switch.started",
            Self::Repinned { .. } => "switch.repinned",
            Self::ParityReached { .. } => "parity.reached",
            Self::ParityLost { .. } => "parity.lost",
            Self::GateFailed { .. } => "gate.failed",
            Self::Approved { .. } => "gate.approved",
            Self::Decided { .. } => "switch.decided",
            Self::HookDone { .. } => "hook.done",
            Self::HookFailed { .. } => "hook.failed",
            Self::Unwell { .. } => "green.unwell",
            Self::Well { .. } => "green.well",
            Self::Drained { .. } => "switch.drained",
            Self::Done { .. } => "switch.done",
            Self::Retried { .. } => "switch.retried",
            Self::Abandoned => "switch.abandoned",
        }
    }
}

impl SwitchEvent {
    /// Something that happened to a switch.
    pub fn of(switch: &Switch, kind: SwitchEventKind, at: Timestamp) -> Self {
        Self { kind, at, pair: switch.pair.clone(), switch: Some(switch.id.clone()), reason: None }
    }

    /// With a reason.
    #[must_use]
    pub fn because(self, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..self }
    }
}

impl Switch {
    /// Takes in what happened to it.
    pub fn take(&mut self, event: &SwitchEvent) {
        use SwitchEventKind as Kind;
        let at = event.at;
        match &event.kind {
            Kind::Serving { .. } | Kind::Started { .. } => return,
            Kind::Approved { by } => {
                self.approvals.insert(by.clone());
                return;
            }
            Kind::Unwell { observed_at } => {
                self.unwell_since = Some(*observed_at);
                self.reason.clone_from(&event.reason);
                return;
            }
            Kind::Well { .. } => {
                self.unwell_since = None;
                self.reason = None;
                return;
            }
            _ => {}
        }
        // Why traffic went somewhere says more than how.
        if let Kind::Decided { by: Some(by), .. } = &event.kind {
            let reason = event.reason.as_ref().map(|reason| format!(": {reason}"));
            self.reason = Some(format!("{by} said so{}", reason.unwrap_or_default()));
        } else if !matches!(event.kind, Kind::HookDone { .. }) {
            self.reason.clone_from(&event.reason);
        }
        self.phase = match &event.kind {
            Kind::Repinned { revision, policy } => {
                self.rev = revision.clone();
                self.policy = (**policy).clone();
                Phase::BringingUp
            }
            Kind::ParityReached { observed_at } => Phase::Gates { since: *observed_at },
            Kind::ParityLost { .. } | Kind::Retried { .. } => Phase::BringingUp,
            Kind::GateFailed { .. } => Phase::Stopped,
            Kind::Decided { number, to, .. } => {
                self.decisions = *number;
                self.unwell_since = None;
                let decision = Decision { number: *number, to: to.clone(), at };
                Phase::Switching { decision }
            }
            Kind::HookDone { .. } => match &self.phase {
                Phase::Switching { decision } if decision.to == self.green => {
                    Phase::Draining { since: at }
                }
                Phase::Switching { .. } => Phase::Back,
                phase => phase.clone(),
            },
            Kind::HookFailed { .. } => match &self.phase {
                Phase::Switching { decision } => Phase::Failed { decision: decision.clone() },
                phase => phase.clone(),
            },
            Kind::Drained { .. } => Phase::Kept { since: at },
            Kind::Done { .. } => Phase::Done,
            Kind::Abandoned => Phase::Abandoned,
            _ => self.phase.clone(),
        };
        if self.phase == Phase::BringingUp {
            self.approvals.clear();
            self.unwell_since = None;
        }
    }
}

/// Every pair, as far as the log was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Switches {
    /// By what they are.
    pub pairs: BTreeMap<PairId, Pair>,
}

impl Switches {
    /// Takes in one more event.
    pub fn take(&mut self, event: &SwitchEvent) {
        let pair = self.pairs.entry(event.pair.clone()).or_default();
        if let SwitchEventKind::Serving { cluster, by } = &event.kind {
            pair.serving = Some(cluster.clone());
            pair.is_alone |= by.is_none();
        }
        let Some(id) = &event.switch else { return };
        if let SwitchEventKind::Started { blue, green, revision, policy } = &event.kind {
            pair.is_alone = false;
            pair.switches.push(Switch {
                id: id.clone(),
                pair: event.pair.clone(),
                blue: blue.clone(),
                green: green.clone(),
                rev: revision.clone(),
                policy: (**policy).clone(),
                started_at: event.at,
                phase: Phase::BringingUp,
                approvals: std::collections::BTreeSet::new(),
                decisions: pair.decisions,
                unwell_since: None,
                reason: None,
            });
            return;
        }
        let Some(switch) = pair.switches.iter_mut().rev().find(|switch| switch.id == *id) else {
            return;
        };
        if let (SwitchEventKind::HookDone { .. }, Phase::Switching { decision }) =
            (&event.kind, &switch.phase)
        {
            pair.serving = Some(decision.to.clone());
        }
        switch.take(event);
        pair.decisions = pair.decisions.max(switch.decisions);
    }

    /// The fold of a log.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a SwitchEvent>) -> Self {
        let mut switches = Self::default();
        events.into_iter().for_each(|event| switches.take(event));
        switches
    }

    /// Every switch, by pair, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Switch> {
        self.pairs.values().flat_map(|pair| &pair.switches)
    }

    /// A switch by its name.
    pub fn get(&self, id: &SwitchId) -> Option<&Switch> {
        self.iter().find(|switch| switch.id == *id)
    }

    /// The newest switch from or to a cluster.
    pub fn of_cluster(&self, cluster: &ClusterName) -> Option<&Switch> {
        self.iter()
            .filter(|switch| switch.blue == *cluster || switch.green == *cluster)
            .max_by_key(|switch| switch.started_at)
    }

    /// The number of a policy's next switch.
    pub fn next_number(&self, policy: &PolicyName) -> u32 {
        let of_policy = self.iter().filter(|switch| switch.id.policy == *policy);
        of_policy.map(|switch| switch.id.number).max().unwrap_or(0) + 1
    }
}
