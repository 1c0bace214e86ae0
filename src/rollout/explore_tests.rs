//! Every order of events of small fleets: all histories of three clusters with a few faults.
//!
//! # Expected flow
//! [`explore`] walks the histories breadth first, from a commit on. A [`Move`] is one thing that
//! may happen next; [`State::make`] does it with the real `ensure`, `advance` and `command`, and
//! tells the laws that broke. States that differ only in times too long ago to count are one.
//! From every state, faults stop and the fleet must get where git wants it.
//!
//! # Assumptions
//! - One minute passes at a time. Nothing in the policies is longer than [`AGE_MAX`] minutes.
//! - An attempt takes no time; when it is made is a move of its own.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::json;

use super::model::MemberState;
use super::stages::Labels;
use super::*;
use crate::base::clock::Timestamp;
use crate::base::ids::{ClusterName, Digest};
use crate::fleet::model::RolloutPolicySpec;
use crate::health::Health;

/// Minutes after which it no longer matters how long ago something was.
const AGE_MAX: i64 = 6;
/// Rounds in which a fleet without faults must get where git wants it.
const ROUNDS_MAX: u32 = 60;

/// A fleet, its newest rollout, and what the controller has under way.
#[derive(Clone)]
struct State {
    now: Timestamp,
    clusters: BTreeMap<ClusterName, Instance>,
    wish: Wish,
    rollout: Option<Rollout>,
    /// What was seen last: a tick may come too late for it.
    seen: Instances,
    /// How many faults may still happen.
    faults_left: u32,
}

/// One instance, and what is under way there.
#[derive(Clone, Default)]
struct Instance {
    place: Option<Place>,
    attempt: Option<Attempt>,
    /// A decision on record that is not carried out yet.
    pending: Option<(RolloutId, Action, Option<Place>)>,
    is_down: bool,
    has_gaps: bool,
    is_blocked: bool,
    is_unwell: bool,
}

/// How an attempt ends.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Done,
    /// It was done, and the answer is lost.
    DoneUnheard,
    Passing,
    Final,
}

/// What may happen next.
#[derive(Clone, Debug)]
enum Move {
    /// The controller looks, decides and records.
    Tick,
    /// As a tick, on what was seen the last time.
    StaleTick,
    Wait,
    Attempt(ClusterName, Ending),
    Crash,
    Toggle(ClusterName, Trouble),
    Say(Command),
    Commit(&'static str),
}

#[derive(Clone, Copy, Debug)]
enum Trouble {
    Down,
    Gaps,
    Blocked,
    Unwell,
}

impl Move {
    /// Whether it counts against the faults that may happen.
    fn is_fault(&self) -> bool {
        !matches!(self, Self::Tick | Self::Wait | Self::Attempt(_, Ending::Done))
    }
}

/// What an exploration has seen.
#[derive(Debug)]
struct Counts {
    states: usize,
    steps: usize,
    /// Whether there was nothing left to look at.
    is_whole: bool,
}

fn names() -> [ClusterName; 3] {
    ["a".into(), "b".into(), "c".into()]
}

fn place(digest: &str, release_revision: u32) -> Place {
    Place { rev: Some(digest.into()), digest: Some(digest.into()), release_revision }
}

impl State {
    fn new(policy: &RolloutPolicySpec, faults_left: u32) -> Self {
        let label = |name: &ClusterName| ("ring".to_owned(), name.to_string());
        let instance = Instance { place: Some(place("d1", 1)), ..Instance::default() };
        let mut state = Self {
            now: Timestamp::from_second(1_800_000_000).expect("in range"),
            clusters: names().into_iter().map(|name| (name, instance.clone())).collect(),
            wish: Wish {
                depends_on: BTreeSet::new(),
                addon: "traefik".into(),
                rev: "d1".into(),
                author: None,
                goals: BTreeMap::new(),
                labels: names().iter().map(|n| (n.clone(), Labels::from([label(n)]))).collect(),
                policy_name: None,
                policy: policy.clone(),
            },
            rollout: None,
            seen: Instances::new(),
            faults_left,
        };
        state.commit("d2");
        state
    }

    fn commit(&mut self, digest: &str) {
        let goal = Goal { rev: digest.into(), digest: Some(digest.into()) };
        self.wish.rev = digest.into();
        self.wish.goals = names().into_iter().map(|name| (name, goal.clone())).collect();
    }

    /// Everything that may happen next.
    fn moves(&self) -> Vec<Move> {
        let mut moves = vec![Move::Tick, Move::Wait];
        let pending = self.clusters.iter().filter(|(_, one)| one.pending.is_some());
        let pending: Vec<_> = pending.map(|(name, _)| name.clone()).collect();
        moves.extend(pending.iter().map(|name| Move::Attempt(name.clone(), Ending::Done)));
        if self.faults_left == 0 {
            return moves;
        }
        for name in pending {
            for ending in [Ending::DoneUnheard, Ending::Passing, Ending::Final] {
                moves.push(Move::Attempt(name.clone(), ending));
            }
        }
        moves.extend([Move::StaleTick, Move::Crash, Move::Commit("d1"), Move::Commit("d3")]);
        for name in names() {
            for trouble in [Trouble::Down, Trouble::Gaps, Trouble::Blocked, Trouble::Unwell] {
                moves.push(Move::Toggle(name.clone(), trouble));
            }
        }
        let abort = |goes_back| Command::Abort { goes_back };
        let said = [
            Command::Approve(Approving::default()),
            Command::Pause,
            Command::Resume,
            Command::Retry,
        ];
        moves.extend(said.into_iter().chain([abort(false), abort(true)]).map(Move::Say));
        moves
    }

    /// Does it, and gives the laws that broke.
    fn make(&mut self, one: &Move) -> Vec<String> {
        self.faults_left -= u32::from(one.is_fault());
        match one {
            Move::Tick => {
                self.seen = self.observe();
                return self.tick();
            }
            Move::StaleTick => return self.tick(),
            Move::Wait => self.now += Duration::from_mins(1),
            Move::Attempt(name, ending) => self.attempt(name, *ending),
            Move::Crash => {
                for instance in self.clusters.values_mut() {
                    (instance.attempt, instance.pending) = (None, None);
                }
            }
            Move::Toggle(name, trouble) => {
                let one = self.clusters.get_mut(name).expect("a cluster");
                let flag = match trouble {
                    Trouble::Down => &mut one.is_down,
                    Trouble::Gaps => &mut one.has_gaps,
                    Trouble::Blocked => &mut one.is_blocked,
                    Trouble::Unwell => &mut one.is_unwell,
                };
                *flag = !*flag;
            }
            Move::Say(what) => return self.say(what.clone()),
            Move::Commit(digest) => self.commit(digest),
        }
        Vec::new()
    }

    fn say(&mut self, what: Command) -> Vec<String> {
        let Some(rollout) = &self.rollout else { return Vec::new() };
        // That it is refused is an answer as well.
        let event = command(rollout, what, "ada", None, self.now).ok();
        event.map_or_else(Vec::new, |event| self.record(&[event]))
    }

    fn observe(&self) -> Instances {
        let see = |(name, one): (&ClusterName, &Instance)| {
            let member = self.rollout.as_ref().and_then(|rollout| {
                rollout.members.get(name).filter(|member| member.stage == Some(rollout.stage))
            });
            let readiness = match member {
                None => Readiness::NotAsked,
                Some(_) if one.is_blocked => Readiness::Blocked("eosxd".to_owned()),
                Some(_) => Readiness::Ready,
            };
            let is_new = one.place.as_ref().is_some_and(|place| place.release_revision > 1);
            let health = if one.is_unwell && is_new {
                Health::progressing("0 of 1 replicas are ready")
            } else {
                Health::ready("is ready")
            };
            let seen = Seen {
                observed_at: self.now,
                unreachable: one.is_down.then(|| "no route".to_owned()),
                has_gaps: one.has_gaps,
                place: one.place.clone().filter(|_| !one.has_gaps),
                is_settled: true,
                health,
                readiness,
                attempt: one.attempt.clone(),
            };
            (name.clone(), seen)
        };
        self.clusters.iter().map(see).collect()
    }

    /// Takes events in. Gives the laws that they break.
    fn record(&mut self, events: &[Event]) -> Vec<String> {
        let mut broken = Vec::new();
        for event in events {
            match self.rollout.as_mut().filter(|rollout| rollout.id == event.rollout) {
                Some(rollout) => {
                    let found = laws::check_next(&train::Whole::of(rollout, []), event);
                    broken.extend(found.iter().map(|(law, what)| format!("law {law}: {what}")));
                    rollout.take(event);
                }
                None => self.rollout = fold([event]),
            }
        }
        broken
    }

    fn tick(&mut self) -> Vec<String> {
        let mut broken = Vec::new();
        let begun = ensure(self.rollout.as_ref(), &self.wish, &self.seen, self.now);
        if let Ensure::Changed(events) = begun {
            broken.extend(self.record(&events));
        }
        let Some(rollout) = &self.rollout else { return broken };
        let step = advance(rollout, &self.seen.clone().into(), self.now);
        broken.extend(self.broken_by(&step));
        broken.extend(self.record(&step.events));
        for decision in step.decisions {
            let member = &step.rollout.members[&decision.cluster];
            let to = match decision.action {
                Action::Move => member.goal.digest.as_ref().map(|digest| place(digest.as_str(), 0)),
                Action::GoBack => member.from.clone().flatten(),
            };
            let pending = (step.rollout.id.clone(), decision.action, to);
            self.clusters.get_mut(&decision.cluster).expect("a cluster").pending = Some(pending);
        }
        broken
    }

    /// Laws that no log shows: what a step decides, and why it does not.
    fn broken_by(&self, step: &Advance) -> Vec<String> {
        let mut broken = Vec::new();
        for event in &step.events {
            let name = event.cluster.as_ref();
            let seen = name.and_then(|name| self.seen.get(name));
            let begins = matches!(event.kind, EventKind::InstanceStarted { .. });
            if begins && seen.is_none_or(|seen| seen.readiness != Readiness::Ready) {
                broken.push(format!("law 3: {name:?} starts before what it depends on"));
            }
        }
        for Decision { cluster, action } in &step.decisions {
            let state = step.rollout.members.get(cluster).map(|member| &member.state);
            let is_on_record = match action {
                Action::Move => matches!(state, Some(MemberState::Moving { .. })),
                Action::GoBack => matches!(state, Some(MemberState::GoingBack { .. })),
            };
            if !is_on_record {
                broken.push(format!("law 8: {action:?} on {cluster}, which is {state:?}"));
            }
        }
        for (name, member) in &step.rollout.members {
            let is_open = member.state.is_in_flight()
                || matches!(member.state, MemberState::Waiting | MemberState::GoingBack { .. });
            let is_told = step.waiting.contains_key(name) || step.rollout.phase.is_ended();
            if is_open && !is_told {
                broken.push(format!("law 7: no reason for {name}, which is {:?}", member.state));
            }
        }
        broken
    }

    fn attempt(&mut self, name: &ClusterName, ending: Ending) {
        let at = self.now;
        let one = self.clusters.get_mut(name).expect("a cluster");
        let Some((rollout, action, to)) = one.pending.take() else { return };
        let ending = if one.is_down { Ending::Passing } else { ending };
        let release_revision = 2;
        if matches!(ending, Ending::Done | Ending::DoneUnheard) {
            one.place = to.map(|to| Place { release_revision, ..to });
        }
        let result = match ending {
            Ending::Done => AttemptResult::Done { release_revision },
            Ending::DoneUnheard | Ending::Passing => AttemptResult::Passing("no answer".to_owned()),
            Ending::Final => AttemptResult::Final("forbidden".to_owned()),
        };
        one.attempt = Some(Attempt { began_at: at, ended_at: at, rollout, action, result });
    }

    /// One round without faults, in which whoever has to say something does.
    fn calm_round(&mut self) -> Vec<String> {
        let mut broken = self.make(&Move::Tick);
        for name in names() {
            self.attempt(&name, Ending::Done);
        }
        if let Some(rollout) = &self.rollout {
            let what = match &rollout.phase {
                Phase::Paused { .. } | Phase::Stopped { .. } => Command::Resume,
                Phase::RolledBack { .. } | Phase::Aborted { .. } if !rollout.is_retried => {
                    Command::Retry
                }
                _ => Command::Approve(Approving::default()),
            };
            broken.extend(self.say(what));
        }
        self.now += Duration::from_mins(1);
        broken
    }

    fn heal(&mut self) {
        self.faults_left = 0;
        for one in self.clusters.values_mut() {
            (one.is_down, one.has_gaps) = (false, false);
            (one.is_blocked, one.is_unwell) = (false, false);
        }
    }

    fn is_at_rest(&self) -> bool {
        let digest = |one: &Instance| one.place.as_ref().and_then(|place| place.digest.clone());
        let is_there = self.clusters.iter().all(|(name, one)| {
            one.pending.is_none() && digest(one) == self.wish.goals[name].digest
        });
        is_there && self.rollout.as_ref().is_none_or(|rollout| rollout.phase.is_ended())
    }

    /// What counts of a state: times as minutes ago, no words, no numbers that only grow.
    fn key(&self) -> String {
        let ago = |at: &Timestamp| self.now.duration_since(*at).as_mins().min(AGE_MAX);
        let mut key = format!("{} {}", self.wish.rev, self.faults_left);
        let newest = self.rollout.as_ref().map(|rollout| &rollout.id);
        let attempt = |one: &Attempt| {
            let result = std::mem::discriminant(&one.result);
            let is_of_newest = Some(&one.rollout) == newest;
            format!("{is_of_newest} {:?} {} {result:?}", one.action, ago(&one.began_at))
        };
        let digest = |place: &Option<Place>| {
            place.as_ref().map(|place| (place.digest.clone(), place.release_revision > 1))
        };
        for one in self.clusters.values() {
            let flags = (one.is_down, one.has_gaps, one.is_blocked, one.is_unwell);
            let pending = one.pending.as_ref().map(|(id, action, to)| {
                (Some(id) == newest, action, to.as_ref().map(|to| to.digest.clone()))
            });
            let attempt = one.attempt.as_ref().map(attempt);
            let _ = write!(key, "|{:?} {flags:?} {pending:?} {attempt:?}", digest(&one.place));
        }
        // What was seen last only counts while a tick may still come too late for it.
        for seen in self.seen.values().filter(|_| self.faults_left > 0) {
            let flags = (seen.unreachable.is_some(), seen.has_gaps, seen.health.is_ready());
            let ready = (&seen.readiness, seen.attempt.as_ref().map(attempt));
            let at = ago(&seen.observed_at);
            let _ = write!(key, "|{at} {:?} {flags:?} {ready:?}", digest(&seen.place));
        }
        let Some(rollout) = &self.rollout else { return key };
        let _ = write!(key, "|{} {}", rollout.phase.word(), rollout.is_retried);
        let _ = write!(key, " {} {} {:?}", rollout.rev, rollout.stage, rollout.failures);
        for stage in &rollout.stages {
            let started = stage.started_at.as_ref().map(ago);
            let passed = stage.passed_at.is_some();
            let _ = write!(key, "|{started:?} {passed} {:?}{:?}", stage.gates, stage.approvals);
        }
        for member in rollout.members.values() {
            let times = match &member.state {
                MemberState::Moving { since, applied_at }
                | MemberState::GoingBack { since, applied_at } => {
                    (Some(ago(since)), applied_at.as_ref().map(ago))
                }
                MemberState::Healthy { since, applied_at } => {
                    (Some(ago(since)), Some(ago(applied_at)))
                }
                MemberState::Soaked { applied_at } => (None, Some(ago(applied_at))),
                _ => (None, None),
            };
            let from = member.from.as_ref().map(digest);
            let state = (member.state.word(), times, from, member.goal.digest.as_ref());
            let _ = write!(key, "|{:?} {state:?}", member.stage);
        }
        key
    }
}

/// Walks the histories, the shortest first, until `states_max` states are known.
fn explore(policy: &RolloutPolicySpec, faults: u32, states_max: usize) -> Counts {
    let first = State::new(policy, faults);
    let mut known = HashSet::from([first.key()]);
    let mut calm = HashSet::new();
    let mut counts = Counts { states: 1, steps: 0, is_whole: true };
    let mut open: VecDeque<(State, Vec<Move>)> = VecDeque::from([(first, Vec::new())]);
    while let Some((state, history)) = open.pop_front() {
        converge(&state, &history, &mut calm);
        for one in state.moves() {
            let mut next = state.clone();
            let broken = next.make(&one);
            counts.steps += 1;
            let mut history = history.clone();
            history.push(one);
            assert!(broken.is_empty(), "{broken:?} after {history:?}");
            if known.contains(&next.key()) {
                continue;
            }
            if known.len() >= states_max {
                counts.is_whole = false;
                continue;
            }
            known.insert(next.key());
            open.push_back((next, history));
        }
    }
    counts.states = known.len();
    counts
}

/// Faults stop: the fleet gets where git wants it. `calm` has the states from which it does.
fn converge(state: &State, history: &[Move], calm: &mut HashSet<String>) {
    let mut state = state.clone();
    state.heal();
    let mut passed = BTreeSet::new();
    for _ in 0..ROUNDS_MAX {
        let key = state.key();
        if state.is_at_rest() || calm.contains(&key) {
            calm.extend(passed);
            return;
        }
        passed.insert(key);
        let broken = state.calm_round();
        assert!(broken.is_empty(), "{broken:?} in the calm after {history:?}");
    }
    let places: BTreeMap<_, Option<Digest>> = state
        .clusters
        .iter()
        .map(|(name, one)| (name, one.place.as_ref().and_then(|place| place.digest.clone())))
        .collect();
    let phase = state.rollout.map(|rollout| rollout.phase);
    panic!("law 10: {places:?}, {phase:?}, for {} after {history:?}", state.wish.rev);
}

fn policy(spec: serde_json::Value) -> RolloutPolicySpec {
    serde_json::from_value(spec).expect("a policy")
}

fn ring(name: &str) -> serde_json::Value {
    json!({"name": name, "clusters": {"matchLabels": {"ring": name}}, "soak": "1m"})
}

/// How many states each exploration may know, `FITOUT_EXPLORE` or few enough for a debug build,
/// and how many faults a history may have.
fn bounds() -> (usize, u32) {
    let states = std::env::var("FITOUT_EXPLORE").ok().and_then(|text| text.parse().ok());
    states.map_or((40_000, 1), |states| (states, 2))
}

#[track_caller]
fn explore_and_tell(what: &str, policy: &RolloutPolicySpec) {
    let (states_max, faults) = bounds();
    let counts = explore(policy, faults, states_max);
    let end = if counts.is_whole { "all of them" } else { "as far as the bound" };
    println!("{what}, {faults} faults: {} states, {} steps, {end}", counts.states, counts.steps);
    assert!(counts.states > 500, "{counts:?}");
}

#[test]
fn every_order_of_three_stages_with_a_cluster_each() {
    let policy = policy(json!({
        "stages": [ring("a"), ring("b"), ring("c")], "progressDeadline": "3m",
    }));
    explore_and_tell("three stages", &policy);
}

#[test]
fn every_order_of_one_stage_with_batches_that_pauses() {
    let policy = policy(json!({
        "stages": [{"name": "all", "clusters": {}, "batch": {"atMost": 2}}],
        "progressDeadline": "3m", "onFailure": "pause",
    }));
    explore_and_tell("one stage in batches", &policy);
}

#[test]
fn every_order_of_two_stages_with_approval_and_two_failures() {
    let mut first = ring("a");
    first["gates"] = json!([{"approval": {"count": 1}}]);
    let policy = policy(json!({
        "stages": [first, {"name": "rest", "clusters": {}, "batch": {"atMost": 1}}],
        "progressDeadline": "2m", "maxFailures": 2,
    }));
    explore_and_tell("two stages with approval", &policy);
}
