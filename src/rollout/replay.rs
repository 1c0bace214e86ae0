//! The decisions of a rollout, made again from what its log has.
//!
//! Each event is either something that was put in from outside (what people said, what git did) or
//! something that [`advance`] decided by evidence that the event carries. The evidence is turned back
//! into an [`Observation`], and [`advance`] must decide the same.

use std::collections::{BTreeMap, BTreeSet};

use super::advance::Action;
use super::event::{Event, EventKind, fold};
use super::model::{Member, MemberState, Place, Rollout, RolloutId};
use super::observation::{
    Attempt, AttemptResult, Evidence, GateSeen, Observation, Readiness, Seen, Verdict,
};
use super::train::advance_each;
use crate::base::clock::Timestamp;
use crate::fleet::model::Gate;
use crate::health::Health;

/// What came of making the decisions again.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// Events that were put in from outside.
    pub given: usize,
    /// Events that were decided again, the same each time.
    pub decided: usize,
    /// Where that ended, if it did.
    pub difference: Option<Difference>,
}

/// The first decision that is not made again.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Where in the log.
    pub index: usize,
    /// What the log has there; none past its end.
    pub recorded: Option<Event>,
    /// What is decided there now; none where nothing is.
    pub decided: Option<Event>,
}

/// Makes the decisions of one rollout's log again, or of all rollouts of a train in the order in which they
/// were written.
///
/// # Assumptions
/// The log does not say when a gate that it has as passed was asked last: it is taken to hold as long as
/// its stage goes on.
pub fn replay(log: &[Event]) -> Replay {
    let mut replay = Replay { given: 0, decided: 0, difference: None };
    let mut rollouts = State::new();
    let mut at = 0;
    while let Some(event) = log.get(at) {
        if is_given(&event.kind) {
            take(&mut rollouts, event);
            replay.given += 1;
            at += 1;
            continue;
        }
        let group = group(&log[at..]);
        let Some(same) = decided_again(&rollouts, group) else {
            let decided = decide(&rollouts, group);
            let same = group.iter().zip(&decided).take_while(|(one, other)| one == other).count();
            let (recorded, decided) = (group.get(same).cloned(), decided.get(same).cloned());
            replay.difference = Some(Difference { index: at + same, recorded, decided });
            return replay;
        };
        group[..same].iter().for_each(|event| take(&mut rollouts, event));
        replay.decided += same;
        at += same;
    }
    replay
}

/// The rollouts of a log, as far as it was read.
type State = BTreeMap<RolloutId, Rollout>;

fn take(rollouts: &mut State, event: &Event) {
    match rollouts.get_mut(&event.rollout) {
        Some(rollout) => rollout.take(event),
        None => rollouts.extend(fold([event]).map(|begun| (begun.id.clone(), begun))),
    }
}

/// Whether an event is no decision of [`advance`].
fn is_given(kind: &EventKind) -> bool {
    matches!(
        kind,
        EventKind::RolloutStarted { .. }
            | EventKind::RolloutPaused { .. }
            | EventKind::RolloutResumed { .. }
            | EventKind::RolloutAborted { .. }
            | EventKind::RolloutRetried { .. }
            | EventKind::RolloutSuperseded { .. }
            | EventKind::RolloutRescheduled { .. }
            | EventKind::GateApproved { .. }
            | EventKind::StagePromoted { .. }
            | EventKind::InstanceRetried { .. }
            | EventKind::InstanceSkipped { by: Some(_) }
            | EventKind::InstanceJoined { .. }
            | EventKind::InstanceLeft
    )
}

/// What was decided at the same time: one step, or a few of them.
fn group(log: &[Event]) -> &[Event] {
    let at = log.first().map(|event| event.at);
    let is_of_group = |event: &&Event| Some(event.at) == at && !is_given(&event.kind);
    &log[..log.iter().take_while(is_of_group).count()]
}

/// How many events at the beginning of a group are decided again by what some of its events were
/// decided by, so that a group may be of several steps.
fn decided_again(rollouts: &State, group: &[Event]) -> Option<usize> {
    let steps = (1..=group.len()).rev().map(|end| decide(rollouts, &group[..end]));
    let mut fitting = steps.filter(|decided| !decided.is_empty() && group.starts_with(decided));
    fitting.next().map(|decided| decided.len())
}

fn decide(rollouts: &State, step: &[Event]) -> Vec<Event> {
    let Some(first) = step.first() else { return Vec::new() };
    let active = rollouts.values().filter(|rollout| !rollout.phase.is_ended());
    let seen = active.map(|rollout| (rollout, observation(rollout, step))).collect();
    advance_each(seen, first.at).flat_map(|together| together.events).collect()
}

/// What must have been seen for a step to be decided.
fn observation(rollout: &Rollout, step: &[Event]) -> Observation {
    let mut seen = Observation::default();
    let now = step.first().map_or(rollout.started_at, |event| event.at);
    let known = rollout.stages.get(rollout.stage).into_iter().flat_map(|stage| &stage.gates);
    let asked = rollout.present_stage().into_iter().flat_map(|stage| &stage.gates);
    // One that holds for good is not asked again.
    let once: BTreeSet<&str> =
        asked.filter_map(Gate::asked).filter(|gate| gate.is_once).map(|gate| gate.name).collect();
    for gate in known.filter(|gate| !once.contains(gate.as_str())) {
        let verdict = Verdict::Holds(String::new());
        seen.gates.insert(gate.clone(), GateSeen::new(now, verdict));
    }
    for event in step.iter().filter(|event| event.rollout == rollout.id) {
        let reason = event.reason.clone().unwrap_or_default();
        match (&event.kind, &event.cluster) {
            (EventKind::GatePassed { gate, observed_at: Some(at), evidence }, _) => {
                let said = said(rollout, gate, *at, Verdict::Holds(reason), evidence.as_deref());
                seen.gates.insert(gate.clone(), said);
            }
            (EventKind::GateFailed { gate, observed_at: at, evidence }, _) => {
                let said = said(rollout, gate, *at, Verdict::Broken(reason), evidence.as_deref());
                seen.gates.insert(gate.clone(), said);
            }
            (_, Some(cluster)) => {
                let Some(member) = rollout.members.get(cluster) else { continue };
                let one = seen.instances.remove(cluster).unwrap_or_else(|| unseen(now));
                let one = Witness { rollout, member, one }.tell(event, reason);
                seen.instances.insert(cluster.clone(), one);
            }
            _ => {}
        }
    }
    seen
}

/// What a gate said: what follows from the evidence, where the log has some.
fn said(
    rollout: &Rollout,
    name: &str,
    at: Timestamp,
    recorded: Verdict,
    evidence: Option<&Evidence>,
) -> GateSeen {
    let gates = rollout.present_stage().into_iter().flat_map(|stage| &stage.gates);
    let gate = gates.into_iter().find(|gate| gate.asked().is_some_and(|asked| asked.name == name));
    match (gate, evidence) {
        (Some(gate), Some(evidence)) => GateSeen::by(at, gate, evidence.clone()),
        _ => GateSeen::new(at, recorded),
    }
}

/// A look that shows nothing.
fn unseen(now: Timestamp) -> Seen {
    Seen {
        observed_at: now,
        unreachable: None,
        has_gaps: false,
        place: None,
        is_settled: false,
        health: Health::unknown(""),
        readiness: Readiness::NotAsked,
        attempt: None,
    }
}

/// What is known to have been seen of a member.
struct Witness<'a> {
    rollout: &'a Rollout,
    member: &'a Member,
    one: Seen,
}

impl Witness<'_> {
    /// What an event adds to it.
    fn tell(mut self, event: &Event, reason: String) -> Seen {
        match &event.kind {
            EventKind::InstanceStarted { from } => {
                self.one.place.clone_from(from);
                self.one.readiness = Readiness::Ready;
            }
            EventKind::InstanceApplied { release_revision, applied_at } => {
                let result = AttemptResult::Done { release_revision: *release_revision };
                self.tried(Action::Move, *applied_at, result);
                self.one.observed_at = *applied_at;
            }
            EventKind::InstanceHealthy { observed_at }
            | EventKind::InstanceSoaked { observed_at } => {
                self.one.observed_at = *observed_at;
                self.is_at(self.goal());
            }
            EventKind::InstanceUnhealthy => self.one.health = Health::progressing(reason),
            EventKind::InstanceFailed => self.failed(event.at, reason),
            EventKind::InstanceSkipped { .. } => self.is_silent(&reason),
            EventKind::InstanceReverted { applied_at } => {
                self.tried(
                    Action::GoBack,
                    *applied_at,
                    AttemptResult::Done { release_revision: 0 },
                );
                self.one.observed_at = *applied_at;
            }
            EventKind::InstanceRolledBack => {
                self.one.observed_at = event.at;
                self.is_at(self.member.from.clone().flatten());
            }
            EventKind::InstanceStuck => {
                self.tried(Action::GoBack, event.at, AttemptResult::Final(reason));
            }
            _ => {}
        }
        self.one
    }

    /// It was there, and well.
    fn is_at(&mut self, place: Option<Place>) {
        self.one.place = place;
        self.one.is_settled = true;
        self.one.health = Health::ready("");
    }

    /// One that never began has failed because nobody answered, one that was just applied because it
    /// said so itself, and another one because the attempt did.
    fn failed(&mut self, at: Timestamp, reason: String) {
        if self.member.state == MemberState::Waiting {
            self.is_silent(&reason);
        } else if self.one.attempt.is_some() {
            self.one.observed_at = at;
            self.is_at(self.goal());
            self.one.health = Health::failed(reason);
        } else {
            self.tried(Action::Move, at, AttemptResult::Final(reason));
        }
    }

    fn goal(&self) -> Option<Place> {
        let digest = self.member.goal.digest.clone()?;
        let rev = Some(self.member.goal.rev.clone());
        Some(Place { rev, digest: Some(digest), release_revision: 0 })
    }

    fn is_silent(&mut self, reason: &str) {
        let why = reason.strip_prefix("the cluster does not answer: ").unwrap_or(reason);
        self.one.unreachable = Some(why.to_owned());
    }

    fn tried(&mut self, action: Action, ended_at: Timestamp, result: AttemptResult) {
        let began_at = match &self.member.state {
            MemberState::Moving { since, .. } | MemberState::GoingBack { since, .. } => *since,
            _ => ended_at,
        };
        let rollout = self.rollout.id.clone();
        self.one.attempt = Some(Attempt { began_at, ended_at, rollout, action, result });
    }
}
