//! The transition: what follows from a rollout's state, what was seen, and the time.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::{Event, EventKind};
use super::model::{Member, MemberState, Phase, Place, Rollout};
use super::observation::{Attempt, AttemptResult, GateSeen, Observation, Readiness, Seen, Verdict};
use super::stages::allowed;
use super::train::Whole;
use super::waiting::WaitingOn;
use crate::base::clock::{Timestamp, after};
use crate::base::ids::{ClusterName, Digest};
use crate::base::planted::{Planted, is_planted};
use crate::fleet::calendar::Closed;
use crate::fleet::model::{AskedGate, Gate, OnFailure, OnUnreachable, Stage};
use crate::health::Condition;

mod conductor;
mod explain;

/// How long a cluster may take when the policy does not say.
const PROGRESS_DEADLINE: Duration = Duration::from_mins(20);

/// What is to be done on a cluster. It may be done any number of times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Where.
    pub cluster: ClusterName,
    /// What.
    pub action: Action,
}

/// What is to be done on a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Bring it to its goal.
    Move,
    /// Take it back to where it was.
    GoBack,
}

/// What follows.
#[derive(Clone, Debug)]
pub struct Advance {
    /// The state after the events.
    pub rollout: Rollout,
    /// What happened, in order. Must be on record before a decision is carried out.
    pub events: Vec<Event>,
    /// What is to be done.
    pub decisions: Vec<Decision>,
    /// Why each member that is not done is not.
    pub waiting: BTreeMap<ClusterName, WaitingOn>,
    /// When to look again at the latest: time alone, or a look at what has not been asked yet,
    /// will change the answer.
    pub wake_at: Option<Timestamp>,
}

/// One step of a rollout that moves alone, and what it comes to.
pub fn advance(rollout: &Rollout, seen: &Observation, now: Timestamp) -> Advance {
    let together = advance_together(&[(rollout, seen)], now);
    together.parts.into_iter().next().expect("there is one for each")
}

/// What follows for rollouts that move together.
#[derive(Clone, Debug)]
pub struct Together {
    /// What happened, in order: to be recorded together, or not at all.
    pub events: Vec<Event>,
    /// What follows for each, in the order in which they were given.
    pub parts: Vec<Advance>,
}

/// One step of all rollouts of a train, or of one alone.
///
/// # Guarantees
/// - Deterministic: equal arguments give equal results.
/// - No cluster is begun whose earlier stages have not passed, nor more than `batch` at a time,
///   nor any while the rollout is paused, stopped or going back, or while the policy's calendar is
///   closed. What has begun goes on, and back, at any time.
/// - A member counts as healthy, and a gate as passed, only on an observation that began after the
///   attempt that changed it had ended, and that shows the goal's digest.
/// - Every member that is neither done nor decided upon is in `waiting`.
/// - What moves together passes a stage in one step, stops in one step, and goes back in one.
///
/// # Assumptions
/// They are all that is under way of one train, in the order of [`super::train::trains`].
pub fn advance_together(rollouts: &[(&Rollout, &Observation)], now: Timestamp) -> Together {
    conductor::conduct(rollouts, now)
}

/// A step being made.
struct Turn<'a> {
    rollout: Rc<Rollout>,
    /// The others of its train as they are now, each with what was seen of it.
    others: Vec<(Rc<Rollout>, &'a Observation)>,
    seen: &'a Observation,
    now: Timestamp,
    events: Vec<Event>,
    decisions: Vec<Decision>,
    waiting: BTreeMap<ClusterName, WaitingOn>,
    wake_at: Option<Timestamp>,
}

impl<'a> Turn<'a> {
    fn new(rollout: &Rollout, seen: &'a Observation, now: Timestamp) -> Self {
        Self {
            rollout: Rc::new(rollout.clone()),
            others: Vec::new(),
            seen,
            now,
            events: Vec::new(),
            decisions: Vec::new(),
            waiting: BTreeMap::new(),
            wake_at: None,
        }
    }

    /// Puts an event on the log and into the state.
    fn emit(&mut self, kind: EventKind, cluster: Option<&ClusterName>, reason: Option<String>) {
        let stage = match (&kind, cluster.and_then(|name| self.rollout.members.get(name))) {
            (EventKind::RolloutCompleted | EventKind::RolloutRolledBack, _) => None,
            (_, Some(member)) => member.stage,
            _ => Some(self.rollout.stage),
        };
        let event = Event {
            stage: stage.map(|stage| self.rollout.stage_name(stage).to_owned()),
            cluster: cluster.cloned(),
            reason,
            ..Event::of(&self.rollout, kind, self.now)
        };
        Rc::make_mut(&mut self.rollout).take(&event);
        self.events.push(event);
    }

    fn stage(&self) -> Option<&Stage> {
        self.rollout.present_stage()
    }

    fn deadline(&self) -> Duration {
        let deadline = self.rollout.policy.progress_deadline(self.stage());
        deadline.map_or(PROGRESS_DEADLINE, |deadline| deadline.0)
    }

    /// When a member has failed: the deadline counts from its last progress.
    fn until(&self, since: Timestamp, applied_at: Option<Timestamp>) -> Timestamp {
        after(applied_at.map_or(since, |at| at.max(since)), self.deadline())
    }

    fn soak(&self) -> Duration {
        if is_planted(Planted::NoSoak) || self.rollout.is_promoted(self.rollout.stage) {
            return Duration::ZERO;
        }
        self.stage().and_then(|stage| stage.soak).map_or(Duration::ZERO, |soak| soak.0)
    }

    fn wake(&mut self, at: Timestamp) {
        if at > self.now {
            self.wake_at = Some(self.wake_at.map_or(at, |wake| wake.min(at)));
        }
    }

    /// Names and states of the present stage's members that the rollout changes.
    fn present(&self) -> Vec<(ClusterName, Member)> {
        let of_stage = self.rollout.changing(self.rollout.stage);
        of_stage.map(|(name, member)| (name.clone(), member.clone())).collect()
    }

    // Forward.

    /// It with the others of its train.
    fn whole(&self) -> Whole<'_> {
        Whole::of(&self.rollout, self.others.iter().map(|(other, _)| &**other))
    }

    /// Whether nothing changes in the present stage.
    fn has_nothing_to_do(&self) -> bool {
        self.rollout.changing(self.rollout.stage).next().is_none()
    }

    /// Whether nothing changes in the present stage, and nothing ever did.
    fn has_nothing_left(&self) -> bool {
        let stage = self.rollout.stages.get(self.rollout.stage);
        stage.is_some_and(|stage| stage.started_at.is_none()) && self.has_nothing_to_do()
    }

    /// Begins the present stage where something changes.
    fn begin_stage(&mut self) {
        let stage = self.rollout.stage;
        let is_new = self.rollout.stages.get(stage).is_some_and(|one| one.started_at.is_none());
        if is_new && !self.has_nothing_to_do() {
            self.emit(EventKind::StageStarted, None, None);
        }
    }

    /// Passes the present stage, or skips it where nothing changes.
    fn pass_stage(&mut self) {
        if self.has_nothing_left() {
            let reason = "nothing changes in this stage".to_owned();
            self.emit(EventKind::StageSkipped, None, Some(reason));
        } else {
            self.emit(EventKind::StagePassed, None, None);
        }
    }

    /// What was seen of members that were begun.
    fn look(&mut self) {
        for (name, member) in self.present() {
            self.look_at(&name, &member);
        }
        self.pass_asked(|gate| gate.is_once);
    }

    /// What an observation says about a member that was begun.
    fn look_at(&mut self, name: &ClusterName, member: &Member) {
        let seen = self.seen.instances.get(name);
        let goal = member.goal.digest.as_ref();
        match &member.state {
            MemberState::Moving { since, applied_at } => {
                self.look_at_moving(name, goal, *since, *applied_at);
            }
            MemberState::Healthy { since, applied_at } => {
                let Some(seen) = seen.filter(|seen| seen.observed_at > *applied_at) else { return };
                let until = after(*since, self.soak());
                if !seen.is_healthy_at(goal) {
                    self.lost_health(name, seen);
                } else if seen.observed_at >= until {
                    let observed_at = seen.observed_at;
                    self.emit(EventKind::InstanceSoaked { observed_at }, Some(name), None);
                } else {
                    self.wake(until);
                }
            }
            MemberState::Soaked { applied_at } => {
                let fresh = seen.filter(|seen| seen.observed_at > *applied_at);
                if let Some(seen) = fresh.filter(|seen| !seen.is_healthy_at(goal)) {
                    self.lost_health(name, seen);
                }
            }
            _ => {}
        }
    }

    fn look_at_moving(
        &mut self,
        name: &ClusterName,
        goal: Option<&Digest>,
        since: Timestamp,
        mut applied_at: Option<Timestamp>,
    ) {
        let seen = self.seen.instances.get(name);
        if let Some(attempt) = seen.and_then(|seen| self.attempt_since(seen, Action::Move, since)) {
            match &attempt.result {
                AttemptResult::Done { release_revision }
                    if applied_at.is_none_or(|at| attempt.ended_at > at) =>
                {
                    let (release_revision, ended_at) = (*release_revision, attempt.ended_at);
                    let kind =
                        EventKind::InstanceApplied { release_revision, applied_at: ended_at };
                    self.emit(kind, Some(name), None);
                    applied_at = Some(ended_at);
                }
                AttemptResult::Final(reason) => {
                    let reason = reason.clone();
                    self.emit(EventKind::InstanceFailed, Some(name), Some(reason));
                    return;
                }
                _ => {}
            }
        }
        let is_fresh = |seen: &&Seen| {
            applied_at.is_some_and(|at| seen.observed_at > at)
                || is_planted(Planted::StaleEvidence) && applied_at.is_some()
        };
        let fresh = seen.filter(is_fresh);
        if let Some(seen) = fresh.filter(|seen| seen.is_healthy_at(goal)) {
            let observed_at = seen.observed_at;
            self.emit(EventKind::InstanceHealthy { observed_at }, Some(name), None);
            self.wake(after(observed_at, self.soak()));
            if self.soak().is_zero() {
                self.emit(EventKind::InstanceSoaked { observed_at }, Some(name), None);
            }
            return;
        }
        let has_failed = fresh.filter(|seen| {
            seen.is_at(goal) && goal.is_some() && seen.health.condition == Condition::Failed
        });
        if let Some(seen) = has_failed {
            let reason = seen.health.message.clone();
            self.emit(EventKind::InstanceFailed, Some(name), Some(reason));
            return;
        }
        let until = self.until(since, applied_at);
        let attempt = seen.and_then(|seen| self.attempt_since(seen, Action::Move, since));
        if is_late(seen, attempt, applied_at, until) {
            let after = humantime::format_duration(self.deadline());
            let reason = format!("not healthy after {after}: {}", last_word(seen));
            self.emit(EventKind::InstanceFailed, Some(name), Some(reason));
            return;
        }
        self.wake(until);
        if fresh.is_none_or(|seen| !seen.is_at(goal)) && needs_attempt(fresh, applied_at) {
            self.decisions.push(Decision { cluster: name.clone(), action: Action::Move });
        }
    }

    fn attempt_since(
        &self,
        seen: &'a Seen,
        action: Action,
        since: Timestamp,
    ) -> Option<&'a Attempt> {
        seen.attempt.as_ref().filter(|attempt| {
            attempt.rollout == self.rollout.id
                && attempt.action == action
                && attempt.began_at >= since
        })
    }

    /// An unreachable cluster has not lost its health, as far as is known.
    fn lost_health(&mut self, name: &ClusterName, seen: &Seen) {
        if seen.unreachable.is_none() && !seen.has_gaps {
            let reason = seen.health.message.clone();
            self.emit(EventKind::InstanceUnhealthy, Some(name), Some(reason));
            self.wake(after(self.now, self.deadline()));
        }
    }

    /// Why it has to stop for too many failures, where it has some itself.
    fn too_many_failures(&mut self) -> Option<String> {
        let max = self.whole().failures_max()?;
        let one_more = usize::from(is_planted(Planted::BudgetOffByOne));
        let failures = self.whole().failures().len().saturating_sub(one_more);
        let is_over = failures >= max && !matches!(self.rollout.phase, Phase::Stopped { .. });
        let has_own = self.rollout.failures_counted().next().is_some();
        (is_over && has_own).then(|| self.failure_reason())
    }

    /// Why it has to stop when every member of a stage has failed or was left out, however many failures
    /// are allowed: there is nothing that gates or later stages could go by. The last stage may pass when
    /// all of it was left out.
    fn nothing_is_shown(&mut self) -> Option<String> {
        let members = self.present();
        let has_failed =
            |(_, member): &(_, Member)| matches!(member.state, MemberState::Failed { .. });
        let is_needed = self.rollout.is_followed() && !self.rollout.is_shown();
        let all_over = members.iter().all(|(_, member)| member.state.is_over());
        if members.is_empty() || !all_over || !is_needed && !members.iter().any(has_failed) {
            return None;
        }
        let told = "no cluster of the stage has got there".to_owned();
        let reason = self.failure_reason();
        Some(if reason.is_empty() { told } else { format!("{told}: {reason}") })
    }

    /// Stops as the policy says. Tells whether it goes back.
    fn stop(&mut self, reason: String) -> bool {
        let goes_back = self.rollout.policy.on_failure(self.stage()) == OnFailure::Rollback;
        self.decisions.clear();
        self.emit(EventKind::RolloutStopped { goes_back }, None, Some(reason));
        goes_back
    }

    /// Why it has to stop for a gate that asks somebody else and is broken.
    fn broken_gate(&mut self) -> Option<String> {
        if matches!(self.rollout.phase, Phase::Stopped { .. }) {
            return None;
        }
        let broken = self.asked().find_map(|gate| {
            let seen = self.evidence(gate)?;
            let reason = match &seen.verdict {
                Verdict::Broken(reason) => reason.clone(),
                Verdict::Unknown(reason) if self.is_overdue(gate, seen) => {
                    let after = humantime::format_duration(gate.deadline?);
                    format!("it does not hold after {after}: {reason}")
                }
                _ => return None,
            };
            Some((gate.name.to_owned(), seen.clone(), reason))
        });
        let Some((gate, seen, reason)) = broken else {
            let deadlines: Vec<_> = self.asked().filter_map(|gate| self.due(gate)).collect();
            for due in deadlines {
                self.wake(due);
            }
            return None;
        };
        let told = format!("gate {gate}: {reason}");
        let GateSeen { observed_at, evidence, .. } = seen;
        let evidence = evidence.map(Box::new);
        self.emit(EventKind::GateFailed { gate, observed_at, evidence }, None, Some(reason));
        Some(told)
    }

    /// By when a gate has to hold.
    fn due(&self, gate: AskedGate<'_>) -> Option<Timestamp> {
        let changed_at = self.whole().changed_at()?;
        Some(after(changed_at, self.soak() + gate.deadline?))
    }

    /// Whether a gate still said nothing when it had to hold.
    fn is_overdue(&self, gate: AskedGate<'_>, seen: &GateSeen) -> bool {
        self.due(gate).is_some_and(|due| seen.observed_at >= due)
    }

    /// The present stage's gates that ask somebody else, unless somebody has waived them.
    fn asked(&self) -> impl Iterator<Item = AskedGate<'_>> {
        let is_promoted = self.rollout.is_promoted(self.rollout.stage);
        let stage = self.stage().filter(|_| !is_promoted);
        let gates = stage.into_iter().flat_map(|stage| &stage.gates);
        gates.filter(|gate| !gate.is_moot(&self.rollout)).filter_map(Gate::asked)
    }

    /// What a gate said since the stage was changed last.
    fn evidence(&self, gate: AskedGate<'_>) -> Option<&GateSeen> {
        let changed_at = self.whole().changed_at()?;
        let is_fresh =
            |seen: &&GateSeen| seen.observed_at > changed_at || is_planted(Planted::StaleGate);
        self.seen.gates.get(gate.name).filter(is_fresh)
    }

    /// What is missing of a gate: it holds by an answer that is not old.
    fn missing(&self, gate: AskedGate<'_>) -> Option<String> {
        if gate.is_once && self.has_passed(gate) {
            return None;
        }
        let Some(seen) = self.evidence(gate) else {
            return Some("it has not been asked since the change".to_owned());
        };
        match &seen.verdict {
            Verdict::Unknown(reason) | Verdict::Broken(reason) => Some(reason.clone()),
            Verdict::Holds(_) if self.now > after(seen.observed_at, gate.interval * 2) => {
                Some("its last answer is too old".to_owned())
            }
            Verdict::Holds(_) => None,
        }
    }

    /// Whether a gate of the present stage is on record as one that holds.
    fn has_passed(&self, gate: AskedGate<'_>) -> bool {
        self.rollout.stages[self.rollout.stage].gates.contains(gate.name)
    }

    /// The first failures that count, of all that moves together.
    fn failure_reason(&self) -> String {
        let told = |one: &Rollout| -> Vec<String> {
            let failed = one.failures_counted().filter_map(|name| {
                let MemberState::Failed { reason } = &one.members.get(name)?.state else {
                    return None;
                };
                Some(if one.id == self.rollout.id {
                    format!("{name}: {reason}")
                } else {
                    format!("{name}/{}: {reason}", one.addon())
                })
            });
            failed.collect()
        };
        let failed: Vec<String> = self.whole().rollouts().flat_map(told).collect();
        match failed.as_slice() {
            [] => String::new(),
            [one] => one.clone(),
            [first, others @ ..] => format!("{first} (and {} more)", others.len()),
        }
    }

    /// Begins as many members as the batch has room for.
    fn begin_members(&mut self) {
        let mut members = self.present();
        members.sort_by_key(|(_, member)| member.order);
        let mut room = self.room();
        let closed = self.closed();
        for (name, member) in members {
            if member.state != MemberState::Waiting {
                continue;
            }
            if let Some(reason) = self.lost_on(&name) {
                self.emit(EventKind::InstanceFailed, Some(&name), Some(reason));
                // Whether there are too many failures now is for the next step to say.
                self.wake_at = Some(self.now);
                continue;
            }
            if let Some(closed) = &closed {
                closed.until.into_iter().for_each(|until| self.wake(until));
                self.waiting.insert(name, WaitingOn::Closed(closed.clone()));
                continue;
            }
            if let Some(hindrance) = self.hindrance(&name) {
                if self.is_to_be_asked(&name) {
                    self.wake_at = Some(self.now);
                }
                self.waiting.insert(name, hindrance);
            } else if room.takes(&name) {
                let from = self.seen.instances.get(&name).and_then(|seen| seen.place.clone());
                self.emit(EventKind::InstanceStarted { from }, Some(&name), None);
                self.wake(after(self.now, self.deadline()));
                self.decisions.push(Decision { cluster: name, action: Action::Move });
            } else {
                let (in_flight, allowed) = (room.told(), room.allowed);
                self.waiting.insert(name, WaitingOn::Batch { in_flight, allowed });
            }
        }
    }

    /// The room that the batch has now, for all that moves together.
    fn room(&self) -> Room {
        let whole = self.whole();
        let batch = self.stage().and_then(|stage| stage.batch.as_ref());
        let one_more = usize::from(is_planted(Planted::BatchOffByOne));
        let is_down = |name: &ClusterName| {
            let all = self.others.iter().map(|(_, seen)| *seen).chain([self.seen]);
            let mut seen = all.filter_map(|seen| seen.instances.get(name));
            seen.any(|seen| seen.unreachable.is_some())
        };
        let half_done = whole.half_done().into_iter().filter(|name| !is_down(name)).cloned();
        Room {
            allowed: allowed(batch, whole.clusters().len()) + one_more,
            in_flight: whole.in_flight().into_iter().cloned().collect(),
            half_done: half_done.collect(),
        }
    }

    /// Why a member will not be begun in this stage: what goes before it on its cluster has not got there.
    fn lost_on(&self, name: &ClusterName) -> Option<String> {
        let before = self.before_on(name);
        let lost = before.into_iter().find(|(_, member)| member.state.is_over())?;
        let (addon, member) = (lost.0.addon(), lost.1);
        Some(format!(
            "{addon}, which it depends on, {} there",
            match member.state {
                MemberState::Failed { .. } => "has failed",
                _ => "is left out",
            }
        ))
    }

    /// Members of the same cluster and stage, or an earlier one, that go before it.
    fn before_on(&self, name: &ClusterName) -> Vec<(&Rollout, &Member)> {
        let is_going_off = |one: &Member| one.goal.digest.is_none();
        let off = self.rollout.members.get(name).is_some_and(is_going_off);
        let others = self.others.iter().map(|(other, _)| &**other);
        let before = others.filter(|other| !off && other.goes_before(&self.rollout));
        let members = before.filter_map(|other| Some((other, other.members.get(name)?)));
        members
            .filter(|(_, member)| !is_going_off(member) && member.stage <= Some(self.rollout.stage))
            .filter(|(_, member)| member.stage.is_some())
            .collect()
    }

    /// Why the present stage may not begin new clusters at this time.
    fn closed(&self) -> Option<Closed> {
        if is_planted(Planted::NoCalendar) {
            return None;
        }
        self.rollout.policy.calendar(self.stage()?).closed(self.now)
    }

    /// Whether all that is missing is a look at what a member depends on: its stage has only just
    /// begun.
    fn is_to_be_asked(&self, name: &ClusterName) -> bool {
        self.seen
            .instances
            .get(name)
            .is_some_and(|seen| seen.unreachable.is_none() && seen.readiness == Readiness::NotAsked)
    }

    /// Why a member must not be begun now.
    fn hindrance(&self, name: &ClusterName) -> Option<WaitingOn> {
        let Some(seen) = self.seen.instances.get(name) else { return Some(WaitingOn::Observation) };
        if let Some(reason) = &seen.unreachable {
            return Some(WaitingOn::Unreachable(reason.clone()));
        }
        match &seen.readiness {
            Readiness::Ready => {}
            Readiness::NotAsked => return Some(WaitingOn::Observation),
            Readiness::Blocked(reason) => return Some(WaitingOn::Dependency(reason.clone())),
        }
        // Without knowing where it is there would be no way back.
        if seen.has_gaps {
            return Some(WaitingOn::Observation);
        }
        let is_open = |member: &Member| {
            matches!(member.state, MemberState::Waiting | MemberState::Moving { .. })
        };
        let before = self.before_on(name).into_iter().find(|(_, member)| is_open(member))?;
        let (addon, word) = (before.0.addon(), before.1.state.word());
        Some(WaitingOn::Dependency(format!("{name}/{addon}, which goes before it and is {word}")))
    }

    /// Whether the present stage may pass, as far as this rollout is concerned: every gate holds.
    fn is_ready(&mut self) -> bool {
        if self.has_nothing_left() {
            return true;
        }
        if !self.settle_unreachable() {
            return false;
        }
        let members = self.present();
        let is_all = |holds: fn(&MemberState) -> bool| {
            members.iter().all(|(_, member)| holds(&member.state) || member.state.is_over())
        };
        let is_healthy = |state: &MemberState| {
            matches!(state, MemberState::Healthy { .. } | MemberState::Soaked { .. })
        };
        if is_planted(Planted::StageEarly) && members.iter().any(|(_, one)| is_healthy(&one.state))
        {
            return true;
        }
        if !is_all(is_healthy) {
            return false;
        }
        self.pass_gate("health");
        if !is_all(|state| matches!(state, MemberState::Soaked { .. })) {
            return false;
        }
        if !self.soak().is_zero() {
            self.pass_gate("soak");
        }
        // Where nothing was changed there is nothing that a gate could judge.
        let is_changed = members.iter().any(|(_, member)| !member.state.is_over());
        if is_changed && self.asked().any(|gate| self.missing(gate).is_some()) {
            return false;
        }
        self.pass_asked(|_| true);
        let (have, need) = self.rollout.approvals();
        if have + usize::from(is_planted(Planted::ApprovalOffByOne)) < need {
            return false;
        }
        if need > 0 {
            self.pass_gate(super::approval::GATE);
        }
        true
    }

    fn pass_gate(&mut self, gate: &str) {
        if !self.rollout.stages[self.rollout.stage].gates.contains(gate) {
            let gate = gate.to_owned();
            let kind = EventKind::GatePassed { gate, observed_at: None, evidence: None };
            self.emit(kind, None, None);
        }
    }

    /// Records which gates that ask somebody else hold; of those that hold for good at once, so that whatever
    /// they were asked of may go.
    fn pass_asked(&mut self, is_due: impl Fn(&AskedGate<'_>) -> bool) {
        let asked = self.asked().filter(|gate| !self.has_passed(*gate)).filter(is_due);
        let passed = asked.filter_map(|gate| {
            let GateSeen { observed_at, verdict: Verdict::Holds(reason), evidence } =
                self.evidence(gate)?
            else {
                return None;
            };
            let (gate, observed_at) = (gate.name.to_owned(), Some(*observed_at));
            let evidence = evidence.clone().map(Box::new);
            Some((EventKind::GatePassed { gate, observed_at, evidence }, reason.clone()))
        });
        for (kind, reason) in passed.collect::<Vec<_>>() {
            self.emit(kind, None, Some(reason));
        }
    }

    /// Clusters that still do not answer when the deadline has passed since all others were
    /// done are left out: they catch up with the next rollout. Where no cluster of this or an earlier
    /// stage has shown anything they are waited for: later stages would go by nothing. The policy may
    /// say that they have failed, or are waited for. Tells whether the stage may pass as far as they
    /// are concerned.
    fn settle_unreachable(&mut self) -> bool {
        let members = self.present();
        let mut silent = Vec::new();
        for (name, member) in &members {
            match &member.state {
                MemberState::Waiting => match self.hindrance(name) {
                    Some(WaitingOn::Unreachable(reason)) => silent.push((name.clone(), reason)),
                    _ => return true,
                },
                MemberState::Moving { .. } | MemberState::Healthy { .. } => return true,
                _ => {}
            }
        }
        let on_unreachable = self.rollout.policy.on_unreachable(self.stage());
        if silent.is_empty() || on_unreachable == OnUnreachable::Wait {
            return true;
        }
        let started = self.rollout.stages[self.rollout.stage].started_at.unwrap_or(self.now);
        let until = after(started, self.deadline());
        if self.now < until {
            self.wake(until);
            return true;
        }
        let has_failed = on_unreachable == OnUnreachable::Fail;
        if !has_failed && self.rollout.is_followed() && !self.rollout.is_shown() {
            return true;
        }
        for (name, reason) in silent {
            let reason = format!("the cluster does not answer: {reason}");
            let kind = if has_failed {
                EventKind::InstanceFailed
            } else {
                EventKind::InstanceSkipped { by: None }
            };
            self.emit(kind, Some(&name), Some(reason));
        }
        if has_failed {
            // Whether there are too many failures now is for the next step to say.
            self.wake_at = Some(self.now);
        }
        !has_failed
    }

    // Back.

    fn back(&mut self) {
        for (name, member) in self.present() {
            if let MemberState::GoingBack { since, applied_at } = member.state {
                if applied_at.is_none() && !self.behind_on(&name).is_empty() {
                    continue;
                }
                self.look_at_going_back(&name, member.from.flatten().as_ref(), since, applied_at);
            }
        }
        let is_done = |(_, member): &(ClusterName, Member)| {
            !matches!(member.state, MemberState::GoingBack { .. })
        };
        if self.present().iter().all(is_done) {
            let reason = match &self.rollout.phase {
                Phase::GoingBack { reason, .. } => reason.clone(),
                _ => String::new(),
            };
            self.emit(EventKind::RolloutRolledBack, None, Some(reason));
        }
    }

    /// What has to be back before it on a cluster: whatever goes after it, and is not back yet.
    fn behind_on(&self, name: &ClusterName) -> Vec<&Rollout> {
        let others = self.others.iter().map(|(other, _)| &**other);
        let behind = others.filter(|other| self.rollout.goes_before(other));
        let is_open = |other: &&Rollout| {
            let state = other.members.get(name).map(|member| &member.state);
            state.is_some_and(|state| matches!(state, MemberState::GoingBack { .. }))
        };
        behind.filter(is_open).collect()
    }

    /// When it could not be taken back: each that had to go before it has had its own time.
    fn until_back(&self, since: Timestamp, applied_at: Option<Timestamp>) -> Timestamp {
        let behind =
            self.others.iter().filter(|(other, _)| self.rollout.goes_before(other)).count();
        let times = u32::try_from(behind + 1).unwrap_or(u32::MAX);
        match applied_at {
            None => after(since, self.deadline().saturating_mul(times)),
            Some(_) => self.until(since, applied_at),
        }
    }

    fn look_at_going_back(
        &mut self,
        name: &ClusterName,
        from: Option<&Place>,
        since: Timestamp,
        mut applied_at: Option<Timestamp>,
    ) {
        let seen = self.seen.instances.get(name);
        let attempt = seen.and_then(|seen| self.attempt_since(seen, Action::GoBack, since));
        match attempt.map(|attempt| (&attempt.result, attempt.ended_at)) {
            Some((AttemptResult::Done { .. }, ended_at))
                if applied_at.is_none_or(|at| ended_at > at) =>
            {
                let kind = EventKind::InstanceReverted { applied_at: ended_at };
                self.emit(kind, Some(name), None);
                applied_at = Some(ended_at);
            }
            Some((AttemptResult::Final(reason), _)) => {
                let reason = reason.clone();
                self.emit(EventKind::InstanceStuck, Some(name), Some(reason));
                return;
            }
            _ => {}
        }
        let fresh = seen.filter(|seen| applied_at.is_some_and(|at| seen.observed_at > at));
        let digest = from.and_then(|place| place.digest.as_ref());
        let is_there = |seen: &&Seen| match from {
            None => seen.is_healthy_at(None),
            // A release that Helm made has no digest: that it is well is all that can be told.
            Some(Place { digest: None, .. }) => seen.is_settled && seen.health.is_ready(),
            Some(_) => seen.is_healthy_at(digest),
        };
        if fresh.is_some_and(|seen| is_there(&seen)) {
            self.emit(EventKind::InstanceRolledBack, Some(name), None);
            return;
        }
        let until = self.until_back(since, applied_at);
        if is_late(seen, attempt, applied_at, until) {
            let after = humantime::format_duration(self.deadline());
            let reason = format!("not back after {after}: {}", last_word(seen));
            self.emit(EventKind::InstanceStuck, Some(name), Some(reason));
            return;
        }
        self.wake(until);
        let is_elsewhere = from.is_none_or(|place| place.digest.is_some())
            && fresh.is_some_and(|seen| !seen.is_at(digest));
        if applied_at.is_none() || is_elsewhere && needs_attempt(fresh, applied_at) {
            self.decisions.push(Decision { cluster: name.clone(), action: Action::GoBack });
        }
    }
}

/// How many clusters may be in flight, and which are.
struct Room {
    allowed: usize,
    in_flight: BTreeSet<ClusterName>,
    /// On which one addon of a train is done and another one is next.
    half_done: BTreeSet<ClusterName>,
}

impl Room {
    /// Whether something may begin on a cluster. It is in flight then.
    fn takes(&mut self, name: &ClusterName) -> bool {
        let may = if self.in_flight.contains(name) {
            true
        } else if self.half_done.contains(name) {
            self.in_flight.len() < self.allowed
        } else {
            self.in_flight.union(&self.half_done).count() < self.allowed
        };
        if may {
            self.in_flight.insert(name.clone());
        }
        may
    }

    fn told(&self) -> Vec<ClusterName> {
        self.in_flight.union(&self.half_done).cloned().collect()
    }
}

/// An attempt is needed until one has ended well, and again when what it brought is seen to be
/// gone.
fn needs_attempt(fresh: Option<&Seen>, applied_at: Option<Timestamp>) -> bool {
    applied_at.is_none() || fresh.is_some_and(|seen| seen.deployed().is_some())
}

/// Whether there is evidence, from after the deadline, that a member has not got where it should:
/// a look at it, a cluster that does not answer, or an attempt that did not get through. Time alone
/// is none: nobody may have been there to look.
fn is_late(
    seen: Option<&Seen>,
    attempt: Option<&Attempt>,
    applied_at: Option<Timestamp>,
    until: Timestamp,
) -> bool {
    let Some(seen) = seen.filter(|seen| seen.observed_at >= until) else { return false };
    if seen.unreachable.is_some() {
        return true;
    }
    match applied_at {
        None => {
            attempt.is_some_and(|attempt| passing(attempt).is_some() && attempt.ended_at >= until)
        }
        Some(at) => {
            let has_looked = seen.has_gaps || seen.health.condition != Condition::Unknown;
            has_looked && seen.observed_at > at
        }
    }
}

/// Why an attempt did not get through, where it may later.
fn passing(attempt: &Attempt) -> Option<String> {
    match &attempt.result {
        AttemptResult::Passing(reason) => Some(reason.clone()),
        _ => None,
    }
}

/// What an attempt that has more to do said last.
fn last_said(attempt: &Attempt) -> Option<String> {
    match &attempt.result {
        AttemptResult::UnderWay(told) => Some(told.clone()),
        _ => passing(attempt),
    }
}

/// What was seen last, in words.
fn last_word(seen: Option<&Seen>) -> String {
    match seen {
        None => "it has not been looked at".to_owned(),
        Some(Seen { unreachable: Some(reason), .. }) => {
            format!("the cluster does not answer: {reason}")
        }
        Some(Seen { attempt: Some(attempt), health, .. }) => {
            last_said(attempt).unwrap_or_else(|| health.message.clone())
        }
        Some(Seen { health, .. }) => health.message.clone(),
    }
}
