//! Why each member that is not done is not.

use std::rc::Rc;

use super::{Turn, last_said, last_word};
use crate::base::clock::after;
use crate::base::ids::{AddonName, ClusterName};
use crate::rollout::advance::Action;
use crate::rollout::model::{Member, MemberState, Phase, Rollout};
use crate::rollout::observation::Seen;
use crate::rollout::waiting::WaitingOn;

impl Turn<'_> {
    /// Gives every member that is not done, and was not told of yet, its reason.
    pub(super) fn explain(&mut self) {
        if self.rollout.phase.is_ended() {
            self.waiting.clear();
            return;
        }
        let held = match &self.rollout.phase {
            Phase::Paused { by, .. } => Some(format!("paused by {by}")),
            Phase::Stopped { reason, .. } => Some(reason.clone()),
            _ => None,
        };
        for (name, member) in &self.rollout.members {
            let reason = self.reason(name, member, held.as_deref());
            match reason {
                Some(reason) => {
                    self.waiting.entry(name.clone()).or_insert(reason);
                }
                None => {
                    self.waiting.remove(name);
                }
            }
        }
    }

    fn reason(&self, name: &ClusterName, member: &Member, held: Option<&str>) -> Option<WaitingOn> {
        let seen = self.seen.instances.get(name);
        let resume = || held.map(|reason| WaitingOn::Resume { reason: reason.to_owned() });
        match &member.state {
            MemberState::Waiting => match member.stage {
                None => Some(WaitingOn::Stage),
                Some(stage) if stage > self.rollout.stage => {
                    let stage = self.rollout.stage_name(self.rollout.stage).to_owned();
                    Some(WaitingOn::EarlierStage { stage })
                }
                Some(_) => resume().or(Some(WaitingOn::Observation)),
            },
            MemberState::Moving { since, applied_at } => Some(match (seen, applied_at) {
                (Some(Seen { unreachable: Some(reason), .. }), _) => {
                    WaitingOn::Unreachable(reason.clone())
                }
                (_, None) => {
                    let attempt =
                        seen.and_then(|seen| self.attempt_since(seen, Action::Move, *since));
                    WaitingOn::Attempt { last: attempt.and_then(last_said) }
                }
                (_, Some(_)) => WaitingOn::Health {
                    message: last_word(seen),
                    until: self.until(*since, *applied_at),
                },
            }),
            MemberState::Healthy { since, .. } => {
                Some(WaitingOn::Soak { until: after(*since, self.soak()) })
            }
            MemberState::Soaked { .. } if member.stage == Some(self.rollout.stage) => {
                resume().or_else(|| self.gate(name))
            }
            MemberState::Failed { .. } => resume(),
            MemberState::GoingBack { since, .. } => {
                let attempt =
                    seen.and_then(|seen| self.attempt_since(seen, Action::GoBack, *since));
                let behind = self.behind_on(name);
                let message = match behind.first() {
                    Some(other) => format!("{name}/{} is to be back before it", other.addon()),
                    None => attempt.and_then(last_said).unwrap_or_else(|| last_word(seen)),
                };
                Some(WaitingOn::WayBack { message })
            }
            _ => None,
        }
    }

    /// What a member that is done waits for before its stage passes.
    fn gate(&self, name: &ClusterName) -> Option<WaitingOn> {
        let is_open = |(other, member): &(ClusterName, Member)| {
            let is_done = matches!(member.state, MemberState::Soaked { .. });
            other != name && !is_done && !member.state.is_over()
        };
        let clusters: Vec<_> =
            self.present().into_iter().filter(is_open).map(|(other, _)| other).collect();
        if !clusters.is_empty() {
            return Some(WaitingOn::Others { clusters });
        }
        let missing =
            self.asked().find_map(|gate| Some((gate.name.to_owned(), self.missing(gate)?)));
        if let Some((gate, message)) = missing {
            return Some(WaitingOn::Gate { gate, message });
        }
        let (have, need) = self.rollout.approvals();
        let stage = self.rollout.stage_name(self.rollout.stage).to_owned();
        if have < need {
            let signed = self.rollout.approval_gates().any(|gate| gate.signed);
            let refused = self.seen.refused.clone();
            return Some(WaitingOn::Approval { stage, have, need, signed, refused });
        }
        let is_open = |(other, _): &&(Rc<Rollout>, _)| {
            let mut members = other.changing(self.rollout.stage);
            members.any(|(_, one)| {
                !matches!(one.state, MemberState::Soaked { .. }) && !one.state.is_over()
            })
        };
        let addons: Vec<AddonName> =
            self.others.iter().filter(is_open).map(|(other, _)| other.addon().clone()).collect();
        (!addons.is_empty()).then_some(WaitingOn::Train { addons })
    }
}
