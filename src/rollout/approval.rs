//! What an approval is of, how it was given, and when it counts.
//!
//! An approval is of a stage of one rollout, and of the plan that the rollout has: what it brings to which
//! cluster. When a cluster joins that plan is another one, and what was approved before lapses.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::command::Refused;
use super::event::EventKind;
use super::model::{Rollout, StageProgress};
use crate::base::author::Author;
use crate::base::ids::{ClusterName, Digest, Rev};
use crate::fleet::model::ApprovalGate;

/// The trailer of a commit's message that approves: `Fitout-Approve: ROLLOUT STAGE PLAN`.
pub const TRAILER: &str = "Fitout-Approve";
/// The gate's name in the log.
pub(super) const GATE: &str = "approval";

/// How somebody approves. All of it is absent where a command just says so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approving {
    /// The plan that they approve; what the rollout has at the time where they do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Digest>,
    /// The commit that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Rev>,
    /// Who has written that commit, as it says itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<Author>,
    /// The fingerprint of the key that the commit is signed with; none where it was not verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl Approving {
    /// Whether a signature shows whose it is.
    pub fn is_signed(&self) -> bool {
        self.key.is_some()
    }
}

impl StageProgress {
    /// What the same person has said, perhaps by another name: one with a signature is worth more than one without.
    fn given_by<'a>(
        &'a self,
        by: &'a str,
        how: &'a Approving,
    ) -> impl Iterator<Item = (&'a String, &'a Approving)> {
        let is_called = |how: &Approving, name: &str| {
            how.author.as_ref().is_some_and(|author| author.is_called(name))
        };
        let is_same = move |(known, before): &(&String, &Approving)| {
            *known == by || is_called(how, known) || is_called(before, by)
        };
        self.approvals.iter().filter(is_same)
    }

    /// Takes in what somebody says, in place of what they have said before.
    pub(super) fn approved(&mut self, by: &str, how: &Approving) {
        let before: Vec<String> = self.given_by(by, how).map(|(known, _)| known.clone()).collect();
        for known in &before {
            self.approvals.remove(known);
        }
        self.approvals.insert(by.to_owned(), how.clone());
    }
}

impl Rollout {
    /// The digest of its plan: what it brings to which cluster. Another one as soon as a cluster is added, leaves, or
    /// gets anything else.
    pub fn plan(&self) -> Digest {
        let goals: BTreeMap<&ClusterName, &Option<Digest>> = self
            .members
            .iter()
            .filter(|(_, member)| member.is_changed())
            .map(|(name, member)| (name, &member.goal.digest))
            .collect();
        let plan = serde_json::json!({"addon": self.addon(), "clusters": goals});
        Digest::of(plan.to_string().as_bytes())
    }

    /// How many approvals the present stage has and needs: of the gate that lacks most.
    pub fn approvals(&self) -> (usize, usize) {
        let given = self.stages.get(self.stage).map(|stage| &stage.approvals);
        let counted = self.approval_gates().map(|gate| {
            let counts = |(by, how): &(&String, &Approving)| self.is_approver(gate, by, how);
            let have = given.into_iter().flatten().filter(counts).count();
            (have, gate.count as usize)
        });
        counted.max_by_key(|(have, need)| (need.saturating_sub(*have), *need)).unwrap_or_default()
    }

    /// The approvals that the present stage asks for, unless somebody has waived them.
    pub fn approval_gates(&self) -> impl Iterator<Item = &ApprovalGate> {
        let policy = self.present_stage().filter(|_| !self.is_promoted(self.stage));
        let gates = policy.into_iter().flat_map(|stage| &stage.gates);
        gates.filter_map(|gate| gate.approval.as_ref())
    }

    /// Whether it stands before a stage's gates that ask for approvals which are not there yet.
    pub fn lacks_approval(&self) -> bool {
        let (have, need) = self.approvals();
        have < need && self.has_begun_stage()
    }

    /// Whether somebody's approval counts for a gate.
    fn is_approver(&self, gate: &ApprovalGate, by: &str, how: &Approving) -> bool {
        let is_named = gate.people(&self.policy).is_none_or(|people| people.contains(by));
        let is_known = how.is_signed() || !gate.signed;
        is_named && is_known && !(gate.not_author && self.is_author(by, how))
    }

    /// Whether whoever approves has written what they approve.
    fn is_author(&self, by: &str, how: &Approving) -> bool {
        let Some(author) = &self.author else { return false };
        let is_same = |other: &Author| {
            author.is_called(&other.email) || (!other.name.is_empty() && author.name == other.name)
        };
        author.is_called(by) || how.author.as_ref().is_some_and(is_same)
    }

    fn has_begun_stage(&self) -> bool {
        self.stages.get(self.stage).is_some_and(|stage| stage.started_at.is_some())
    }

    /// The plan is another one now: nobody has approved that.
    pub(super) fn lapse_approvals(&mut self) {
        for stage in self.stages.iter_mut().skip(self.stage) {
            stage.approvals.clear();
            stage.gates.remove(GATE);
        }
    }

    /// What follows when somebody approves the present stage.
    ///
    /// # Errors
    /// Says why it does not count.
    pub(super) fn approve(&self, by: String, how: Approving) -> Result<EventKind, Refused> {
        let rollout = self.id.to_string();
        let stage = self.stage_name(self.stage).to_owned();
        if self.approval_gates().next().is_none() || !self.has_begun_stage() {
            return Err(Refused::NoApproval { rollout, stage });
        }
        let plan = self.plan();
        if how.plan.as_ref().is_some_and(|approved| *approved != plan) {
            return Err(Refused::OtherPlan { rollout, plan });
        }
        let is_enough = |before: &Approving| before.is_signed() || !how.is_signed();
        let progress = self.stages.get(self.stage);
        let is_given = progress
            .is_some_and(|stage| stage.given_by(&by, &how).any(|(_, before)| is_enough(before)));
        if is_given {
            return Err(Refused::Twice { rollout, stage, by });
        }
        if !self.approval_gates().any(|gate| self.is_approver(gate, &by, &how)) {
            let signed = Approving { key: Some(String::new()), ..how };
            let is_short = self.approval_gates().any(|gate| self.is_approver(gate, &by, &signed));
            return Err(if is_short {
                Refused::Unsigned { rollout, stage }
            } else {
                Refused::NotApprover { rollout, stage, by }
            });
        }
        Ok(EventKind::GateApproved { by, how: Approving { plan: Some(plan), ..how } })
    }
}
