//! Tests of the rollout state machine: pictures of single histories, and laws over random ones.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::stages::Labels;
use super::*;
use crate::base::clock::Timestamp;
use crate::base::ids::{ClusterName, Digest};
use crate::fleet::model::{Gate, RolloutPolicySpec};
use crate::health::Health;

mod life;
mod trains;

/// A fleet of instances of one addon, with a clock, whose attempts succeed or fail as told.
#[derive(Clone)]
struct World {
    now: Timestamp,
    clusters: BTreeMap<ClusterName, Instance>,
    wish: Wish,
    log: Vec<Event>,
    waiting: BTreeMap<ClusterName, WaitingOn>,
    /// What gates that ask somebody else say, and when they did if that is not just now.
    gates: BTreeMap<String, (Option<Timestamp>, Verdict)>,
    /// What others of them say by evidence.
    evidence: BTreeMap<String, (Gate, Evidence)>,
}

/// One instance and how it behaves.
#[derive(Clone, Default)]
struct Instance {
    place: Option<Place>,
    attempt: Option<Attempt>,
    is_down: bool,
    is_blocked: bool,
    /// Digests that never become healthy here.
    bad: BTreeSet<Digest>,
    /// How many attempts do not get through before one does.
    stumbles: u32,
}

impl Instance {
    /// What a look at it shows.
    fn seen(&self, readiness: Readiness, now: Timestamp) -> Seen {
        let digest = self.place.as_ref().and_then(|place| place.digest.as_ref());
        let is_bad = digest.is_some_and(|digest| self.bad.contains(digest));
        Seen {
            observed_at: now,
            unreachable: self.is_down.then(|| "no route".to_owned()),
            has_gaps: false,
            place: self.place.clone(),
            is_settled: true,
            health: if is_bad {
                Health::progressing("0 of 1 replicas are ready")
            } else {
                Health::ready("is ready")
            },
            readiness,
            attempt: self.attempt.clone(),
        }
    }

    /// An attempt at what was decided, which takes a second.
    fn carry_out(&mut self, rollout: &Rollout, decision: &Decision, now: Timestamp) {
        let member = rollout.members[&decision.cluster].clone();
        let result = if self.is_down {
            AttemptResult::Passing("no route".to_owned())
        } else if self.stumbles > 0 {
            self.stumbles -= 1;
            AttemptResult::Passing("too many requests".to_owned())
        } else {
            let revision = self.place.as_ref().map_or(1, |place| place.release_revision + 1);
            self.place = match decision.action {
                Action::Move => member.goal.digest.map(|digest| Place {
                    rev: Some(member.goal.rev),
                    digest: Some(digest),
                    release_revision: revision,
                }),
                Action::GoBack => {
                    member.from.flatten().map(|from| Place { release_revision: revision, ..from })
                }
            };
            AttemptResult::Done { release_revision: revision }
        };
        let (rollout, action) = (rollout.id.clone(), decision.action);
        let ended_at = now + Duration::from_secs(1);
        self.attempt = Some(Attempt { began_at: now, ended_at, rollout, action, result });
    }

    fn digest(&self) -> String {
        let digest = self.place.as_ref().and_then(|place| place.digest.as_ref());
        digest.map_or("-".to_owned(), Digest::to_string)
    }
}

/// A log, a line each, with minutes since the start.
fn picture(log: &[Event]) -> String {
    let line = |event: &Event| {
        let minutes = event.at.duration_since(log[0].at).as_mins();
        let json = serde_json::to_value(event).expect("it is plain data");
        let place = [event.stage.as_deref(), event.cluster.as_ref().map(ClusterName::as_str)];
        let place: Vec<_> = place.into_iter().flatten().collect();
        let gate = json["gate"].as_str().map(|gate| format!(" {gate}")).unwrap_or_default();
        let reason = event.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        let name = json["event"].as_str().unwrap_or_default();
        let (rollout, place) = (&event.rollout, place.join("/"));
        format!("{minutes:>3} {rollout} {name}{gate} {place}{reason}\n")
    };
    log.iter().map(line).collect::<Vec<_>>().concat()
}

fn policy(spec: serde_json::Value) -> RolloutPolicySpec {
    serde_json::from_value(spec).expect("a policy")
}

fn standard() -> RolloutPolicySpec {
    policy(json!({
        "stages": [
            {"name": "staging", "clusters": {"matchLabels": {"environment": "staging"}}, "soak": "10m"},
            {"name": "canary", "clusters": {"matchLabels": {"environment": "prod"}},
             "pick": {"atLeast": 1}, "soak": "20m"},
            {"name": "prod", "clusters": {"matchLabels": {"environment": "prod"}},
             "batch": {"atMost": 2}, "soak": "5m"},
        ],
        "progressDeadline": "10m",
    }))
}

impl World {
    fn new(policy: RolloutPolicySpec, staging: usize, prod: usize) -> Self {
        let mut labels: BTreeMap<ClusterName, Labels> = BTreeMap::new();
        for (environment, count) in [("staging", staging), ("prod", prod)] {
            for number in 1..=count {
                let name = format!("{environment}-{number}");
                let label = ("environment".to_owned(), environment.to_owned());
                let own = ("name".to_owned(), name.clone());
                labels.insert(name.into(), Labels::from([label, own]));
            }
        }
        let place =
            Place { rev: Some("r1".into()), digest: Some("d1".into()), release_revision: 1 };
        let instance = Instance { place: Some(place), ..Instance::default() };
        let mut world = Self {
            now: Timestamp::from_second(1_800_000_000).expect("in range"),
            clusters: labels.keys().map(|name| (name.clone(), instance.clone())).collect(),
            wish: Wish {
                depends_on: BTreeSet::new(),
                addon: "traefik".into(),
                rev: "r1".into(),
                author: None,
                goals: BTreeMap::new(),
                labels,
                policy_name: None,
                policy,
            },
            log: Vec::new(),
            waiting: BTreeMap::new(),
            gates: BTreeMap::new(),
            evidence: BTreeMap::new(),
        };
        world.commit("r1", "d1");
        world
    }

    /// Git wants a digest everywhere.
    fn commit(&mut self, rev: &str, digest: &str) {
        let goal = Goal { rev: rev.into(), digest: Some(digest.into()) };
        self.wish.rev = rev.into();
        self.wish.goals = self.clusters.keys().map(|name| (name.clone(), goal.clone())).collect();
    }

    /// As a controller looks: what a member depends on is only asked for in its stage.
    fn observe(&self) -> Instances {
        let newest = self.newest();
        let readiness = |name: &ClusterName, instance: &Instance| {
            let stage = newest.as_ref().map(|rollout| rollout.stage);
            let member = newest.as_ref().and_then(|rollout| rollout.members.get(name));
            match member.filter(|member| member.stage == stage) {
                None => Readiness::NotAsked,
                Some(_) if instance.is_blocked => {
                    Readiness::Blocked("eosxd, which is not healthy".to_owned())
                }
                Some(_) => Readiness::Ready,
            }
        };
        let seen = self.clusters.iter().map(|(name, instance)| {
            (name.clone(), instance.seen(readiness(name, instance), self.now))
        });
        seen.collect()
    }

    fn newest(&self) -> Option<Rollout> {
        let last = self.log.last()?.rollout.clone();
        fold(self.log.iter().filter(|event| event.rollout == last))
    }

    /// One tick of a controller: observe, begin, advance, record, carry out.
    fn tick(&mut self) {
        let seen = self.observe();
        let mut newest = self.newest();
        if let Ensure::Changed(events) = ensure(newest.as_ref(), &self.wish, &seen, self.now) {
            self.log.extend(events);
            newest = self.newest();
        }
        let Some(rollout) = newest else { return };
        let seen = self.observe();
        let gates = self.gates.iter().map(|(name, (at, verdict))| {
            let observed_at = at.unwrap_or(self.now);
            (name.clone(), GateSeen::new(observed_at, verdict.clone()))
        });
        let by = |(name, (gate, evidence)): (&String, &(Gate, Evidence))| {
            (name.clone(), GateSeen::by(self.now, gate, evidence.clone()))
        };
        let gates = gates.chain(self.evidence.iter().map(by));
        let seen = Observation { instances: seen, gates: gates.collect(), refused: Vec::new() };
        let step = advance(&rollout, &seen, self.now);
        for event in &step.events {
            // Law 3.
            let begins = matches!(event.kind, EventKind::InstanceStarted { .. });
            let name = event.cluster.as_ref().filter(|_| begins);
            assert!(name.is_none_or(|name| !self.clusters[name].is_blocked), "{event:?}");
        }
        self.log.extend(step.events);
        if step.wake_at == Some(self.now) && step.decisions.is_empty() {
            return self.tick();
        }
        self.waiting = step.waiting;
        for decision in step.decisions {
            let instance = self.clusters.get_mut(&decision.cluster).expect("a cluster");
            instance.carry_out(&step.rollout, &decision, self.now);
        }
    }

    fn run(&mut self, minutes: u32) {
        for _ in 0..minutes {
            self.tick();
            self.now += Duration::from_mins(1);
        }
    }

    fn say(&mut self, what: Command) -> Result<(), Refused> {
        let rollout = self.newest().expect("there is one");
        let overrides = matches!(what, Command::Promote | Command::SkipCluster { .. });
        let reason = overrides.then(|| "because".to_owned());
        let event = command(&rollout, what, "ada", reason, self.now)?;
        self.log.push(event);
        Ok(())
    }

    fn picture(&self) -> String {
        picture(&self.log)
    }

    /// The log of each rollout.
    fn logs(&self) -> Vec<Vec<Event>> {
        let mut logs: BTreeMap<String, Vec<Event>> = BTreeMap::new();
        for event in &self.log {
            logs.entry(event.rollout.to_string()).or_default().push(event.clone());
        }
        logs.into_values().collect()
    }

    fn violations(&self) -> Vec<laws::Violation> {
        self.logs().iter().flat_map(|log| laws::check(log)).collect()
    }

    fn digests(&self) -> Vec<String> {
        self.clusters.iter().map(|(name, one)| format!("{name} {}", one.digest())).collect()
    }

    fn instance(&mut self, name: &str) -> &mut Instance {
        self.clusters.get_mut(name).expect("a cluster")
    }
}

#[test]
fn a_good_change_goes_stage_by_stage() {
    let mut world = World::new(standard(), 1, 3);
    world.commit("r2", "d2");
    world.run(70);
    insta::assert_snapshot!(world.picture());
    assert_eq!(world.violations(), []);
}

#[test]
fn a_bad_change_stops_in_canary_and_what_the_stage_changed_goes_back() {
    let mut world = World::new(standard(), 1, 3);
    for name in ["prod-1", "prod-2", "prod-3"] {
        world.instance(name).bad.insert("d2".into());
    }
    world.commit("r2", "d2");
    world.run(90);
    insta::assert_snapshot!(world.picture());
    let at: Vec<_> = world.digests();
    assert_eq!(at, ["prod-1 d1", "prod-2 d1", "prod-3 d1", "staging-1 d2"]);
    assert_eq!(world.violations(), []);
}

#[test]
fn what_went_back_is_not_tried_again_until_git_changes_or_somebody_says_so() {
    let mut world = World::new(standard(), 1, 1);
    world.instance("prod-1").bad.insert("d2".into());
    world.commit("r2", "d2");
    world.run(60);
    let ended = world.log.len();
    world.run(60);
    assert_eq!(world.log.len(), ended, "{}", world.picture());
    let held = ensure(world.newest().as_ref(), &world.wish, &world.observe(), world.now);
    assert!(matches!(held, Ensure::Held { .. }), "{held:?}");
    world.instance("prod-1").bad.clear();
    world.say(Command::Retry).unwrap();
    world.run(60);
    assert_eq!(world.digests(), ["prod-1 d2", "staging-1 d2"]);
    world.commit("r3", "d3");
    world.run(90);
    assert_eq!(world.digests(), ["prod-1 d3", "staging-1 d3"]);
    assert_eq!(world.violations(), []);
}

#[test]
fn health_from_before_the_change_is_no_evidence() {
    let mut world = World::new(standard(), 1, 0);
    world.commit("r2", "d2");
    world.tick();
    let rollout = world.newest().unwrap();
    let mut seen = world.observe();
    // The attempt ends a second from now; what is seen now was before it.
    let step = advance(&rollout, &seen.clone().into(), world.now);
    let told: Vec<_> = step.events.iter().map(|event| format!("{:?}", event.kind)).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("InstanceApplied"), "{told:?}");
    assert!(matches!(step.waiting.values().next(), Some(WaitingOn::Health { .. })));
    // Fresh, but of another digest.
    for one in seen.values_mut() {
        one.observed_at = world.now + Duration::from_secs(5);
        one.place = Some(Place { digest: Some("d1".into()), rev: None, release_revision: 1 });
    }
    let step = advance(&step.rollout, &seen.clone().into(), world.now);
    assert_eq!(step.events, []);
    assert_eq!(step.decisions.len(), 1, "somebody took it away: it is brought there again");
}

#[test]
fn a_deadline_that_passed_while_nobody_looked_is_no_failure() {
    let mut world = World::new(standard(), 1, 0);
    world.commit("r2", "d2");
    world.tick();
    world.now += Duration::from_hours(5);
    world.run(30);
    assert_eq!(world.newest().unwrap().phase, Phase::Completed, "{}", world.picture());
}

#[test]
fn a_newer_commit_starts_at_the_first_stage_again() {
    let mut world = World::new(standard(), 1, 2);
    world.commit("r2", "d2");
    world.run(15);
    world.commit("r3", "d3");
    world.run(80);
    insta::assert_snapshot!(world.picture());
    assert_eq!(world.violations(), []);
}

#[test]
fn what_a_superseded_rollout_brought_is_proven_before_production_gets_it() {
    // The newer commit is the same for staging, whose soak had only begun.
    let mut world = World::new(standard(), 1, 2);
    world.commit("r2", "d2");
    world.run(5);
    world.commit("r3", "d3");
    let goal = Goal { rev: "r3".into(), digest: Some("d2".into()) };
    world.wish.goals.insert("staging-1".into(), goal);
    world.run(4);
    let started = world.log.iter().filter(|one| one.kind.name() == "instance.started");
    let touched: BTreeSet<String> =
        started.filter_map(|one| Some(one.cluster.as_ref()?.to_string())).collect();
    assert_eq!(touched, BTreeSet::from(["staging-1".to_owned()]), "{}", world.picture());
    world.run(80);
    assert_eq!(world.digests(), ["prod-1 d3", "prod-2 d3", "staging-1 d2"]);
}

#[test]
fn clusters_that_come_and_go_do_not_end_a_rollout() {
    let mut world = World::new(standard(), 1, 3);
    world.commit("r2", "d2");
    world.run(15);
    world.clusters.remove("prod-3");
    world.wish.goals.remove("prod-3");
    let label = ("environment".to_owned(), "prod".to_owned());
    world.wish.labels.insert("prod-9".into(), Labels::from([label]));
    world.clusters.insert("prod-9".into(), Instance::default());
    world.commit("r2b", "d2");
    world.run(80);
    assert_eq!(world.log[0].rollout, world.log.last().unwrap().rollout, "{}", world.picture());
    let all = ["prod-1 d2", "prod-2 d2", "prod-9 d2", "staging-1 d2"];
    assert_eq!(world.digests(), all);
    assert_eq!(world.newest().unwrap().phase, Phase::Completed);
    assert_eq!(world.violations(), []);
}

#[test]
fn an_unreachable_cluster_is_left_out_and_catches_up() {
    let mut world = World::new(standard(), 1, 3);
    world.instance("prod-2").is_down = true;
    world.commit("r2", "d2");
    world.run(100);
    assert_eq!(world.newest().unwrap().phase, Phase::Completed, "{}", world.picture());
    assert_eq!(world.digests()[1], "prod-2 d1");
    world.instance("prod-2").is_down = false;
    world.run(40);
    assert_eq!(world.digests()[1], "prod-2 d2", "{}", world.picture());
    assert_eq!(world.violations(), []);
}

#[test]
fn an_approval_is_asked_for_and_counted_by_person() {
    let mut world = World::new(
        policy(json!({"stages": [
            {"name": "staging", "clusters": {"matchLabels": {"environment": "staging"}},
             "gates": [{"approval": {"count": 1}}]},
            {"name": "prod", "clusters": {}},
        ]})),
        1,
        1,
    );
    world.commit("r2", "d2");
    world.run(5);
    let waits = &world.waiting["staging-1"];
    assert_eq!(waits.to_string(), "approval of stage staging: 0 of 1 given");
    assert_eq!(world.waiting["prod-1"].to_string(), "stage staging, which has to pass first");
    world.say(Command::Approve(Approving::default())).unwrap();
    assert!(matches!(
        world.say(Command::Approve(Approving::default())),
        Err(Refused::Twice { .. })
    ));
    world.run(5);
    assert_eq!(world.newest().unwrap().phase, Phase::Completed);
    assert!(matches!(
        world.say(Command::Approve(Approving::default())),
        Err(Refused::Ended { .. })
    ));
}

#[test]
fn a_policy_may_pause_instead_and_somebody_resumes() {
    let mut spec = standard();
    spec.on_failure = crate::fleet::model::OnFailure::Pause;
    let mut world = World::new(spec, 1, 1);
    world.instance("staging-1").bad.insert("d2".into());
    world.commit("r2", "d2");
    world.run(30);
    assert!(matches!(world.newest().unwrap().phase, Phase::Stopped { .. }));
    assert_eq!(world.digests(), ["prod-1 d1", "staging-1 d2"], "everything stays as it is");
    assert!(world.waiting["staging-1"].to_string().starts_with("somebody to resume it"));
    world.instance("staging-1").bad.clear();
    world.say(Command::Resume).unwrap();
    world.run(60);
    assert_eq!(world.newest().unwrap().phase, Phase::Completed, "{}", world.picture());
    assert_eq!(world.violations(), []);
}

#[test]
fn abort_may_take_back_what_the_stage_changed() {
    let mut world = World::new(standard(), 1, 1);
    world.commit("r2", "d2");
    world.run(3);
    world.say(Command::Abort { goes_back: true }).unwrap();
    world.run(5);
    assert_eq!(world.digests(), ["prod-1 d1", "staging-1 d1"], "{}", world.picture());
    assert!(matches!(world.newest().unwrap().phase, Phase::RolledBack { .. }));
    assert_eq!(world.violations(), []);
}

#[test]
fn a_paused_rollout_begins_nothing_new() {
    let mut world = World::new(standard(), 2, 1);
    world.commit("r2", "d2");
    world.run(3);
    world.say(Command::Pause).unwrap();
    world.run(60);
    assert_eq!(world.digests()[0], "prod-1 d1");
    assert!(matches!(world.say(Command::Pause), Err(Refused::Already { .. })));
    world.say(Command::Resume).unwrap();
    world.run(60);
    assert_eq!(world.newest().unwrap().phase, Phase::Completed);
    assert_eq!(world.violations(), []);
}

#[test]
fn nothing_begins_outside_its_window_and_what_fails_goes_back_at_any_time() {
    let mut policy = standard();
    let window = json!([{"from": "09:00", "to": "09:10"}]);
    policy.windows = serde_json::from_value(window).expect("a window");
    policy.stages[0].windows = Some(Vec::new());
    let mut world = World::new(policy, 1, 3);
    world.now = "2026-11-25T08:30:00Z".parse().expect("a time");
    world.commit("r2", "d2");
    world.run(15);
    let waits: BTreeSet<_> = world.waiting.values().map(ToString::to_string).collect();
    assert!(waits.iter().any(|waits| waits.contains("2026-11-25 09:00:00Z")), "{waits:?}");
    world.run(20);
    // By 09:05 the canary has it. When the window is closed, it turns bad there.
    world.run(8);
    for instance in world.clusters.values_mut() {
        instance.bad.insert("d2".into());
    }
    world.run(40);
    insta::assert_snapshot!(world.picture());
    assert_eq!(world.violations(), []);
}

#[test]
fn a_freeze_holds_what_has_not_begun() {
    let mut policy = standard();
    let freeze = json!([{"from": "2026-11-20", "to": "2026-11-25", "reason": "a conference"}]);
    policy.freezes = serde_json::from_value(freeze).expect("a freeze");
    let mut world = World::new(policy, 1, 1);
    world.now = "2026-11-25T23:00:00Z".parse().expect("a time");
    world.commit("r2", "d2");
    world.run(59);
    assert!(!world.picture().contains("instance"), "{}", world.picture());
    world.run(60);
    assert!(world.picture().contains("rollout.completed"), "{}", world.picture());
    assert_eq!(world.violations(), []);
}

#[test]
fn a_freeze_that_is_committed_holds_a_rollout_that_is_under_way() {
    let mut world = World::new(standard(), 1, 3);
    world.now = "2026-11-25T08:30:00Z".parse().expect("a time");
    world.commit("r2", "d2");
    world.run(15);
    let begun = |world: &World| world.picture().matches("instance.started").count();
    let (open, before) = (world.wish.policy.clone(), begun(&world));
    let freeze = json!([{"from": "2026-11-25", "to": "2026-11-26", "reason": "an incident"}]);
    world.wish.policy.freezes = serde_json::from_value(freeze).expect("a freeze");
    // What else changes in the policy counts from the next rollout on.
    world.wish.policy.stages[2].batch = None;
    world.run(60);
    assert_eq!(begun(&world), before, "{}", world.picture());
    assert!(world.waiting.values().any(|waits| waits.to_string().contains("an incident")));
    world.wish.policy = open;
    world.run(60);
    assert!(world.picture().contains("rollout.completed"), "{}", world.picture());
    assert_eq!(world.violations(), []);
    assert_eq!(world.newest().unwrap().id.number, 1);
}

/// The canary has a query to pass.
fn gated() -> RolloutPolicySpec {
    let mut policy = standard();
    let gate = json!([{"prometheus": {"name": "errors", "url": "http://localhost", "query": "x", "max": 1}}]);
    policy.stages[1].gates = serde_json::from_value(gate).expect("a gate");
    policy
}

#[test]
fn a_stage_waits_for_its_gate_and_nothing_is_no_pass() {
    let mut world = World::new(gated(), 1, 3);
    let waits = |world: &World| world.waiting.values().map(ToString::to_string).collect::<Vec<_>>();
    world.commit("r2", "d2");
    world.run(60);
    let unasked = "gate errors: it has not been asked since the change".to_owned();
    assert!(waits(&world).contains(&unasked), "{:?}", waits(&world));
    let nothing = Verdict::Unknown("the query has no data".to_owned());
    world.gates.insert("errors".to_owned(), (None, nothing));
    world.run(60);
    assert!(waits(&world).contains(&"gate errors: the query has no data".to_owned()));
    // An answer from before the change says nothing about it, and neither does an old one.
    let holds = Verdict::Holds("0, which is at most 1".to_owned());
    world.gates.insert("errors".to_owned(), (Some(world.log[0].at), holds.clone()));
    world.run(5);
    assert!(waits(&world).contains(&unasked));
    world
        .gates
        .insert("errors".to_owned(), (Some(world.now - Duration::from_mins(5)), holds.clone()));
    world.run(5);
    assert!(waits(&world).contains(&"gate errors: its last answer is too old".to_owned()));
    world.gates.insert("errors".to_owned(), (None, holds));
    world.run(60);
    assert!(world.picture().contains("gate.passed errors"), "{}", world.picture());
    assert_eq!(world.newest().unwrap().phase, Phase::Completed);
    assert_eq!(world.violations(), []);
}

#[test]
fn a_broken_gate_stops_the_rollout_while_its_stage_soaks() {
    let mut world = World::new(gated(), 1, 3);
    world.commit("r2", "d2");
    let broken = Verdict::Broken("4, which has to be at most 1".to_owned());
    world.gates.insert("errors".to_owned(), (None, broken));
    world.run(25);
    assert_eq!(
        world.newest().unwrap().phase,
        Phase::RolledBack { reason: "gate errors: 4, which has to be at most 1".to_owned() }
    );
    let moved = world.digests().iter().filter(|digest| digest.ends_with("d2")).count();
    assert_eq!(moved, 1, "staging alone keeps it");
    assert_eq!(world.violations(), []);
}

#[test]
fn what_stopped_for_a_gate_goes_on_only_by_a_new_answer() {
    let mut policy = gated();
    policy.on_failure = crate::fleet::model::OnFailure::Pause;
    let mut world = World::new(policy, 1, 3);
    world.commit("r2", "d2");
    let broken = Verdict::Broken("4, which has to be at most 1".to_owned());
    world.gates.insert("errors".to_owned(), (None, broken.clone()));
    world.run(25);
    assert!(matches!(world.newest().unwrap().phase, Phase::Stopped { .. }));
    world.gates.insert("errors".to_owned(), (Some(world.now - Duration::from_secs(1)), broken));
    world.say(Command::Resume).unwrap();
    world.run(5);
    assert_eq!(world.newest().unwrap().phase, Phase::Running);
    world.gates.insert("errors".to_owned(), (None, Verdict::Holds("0".to_owned())));
    world.run(90);
    assert_eq!(world.newest().unwrap().phase, Phase::Completed);
    assert_eq!(world.violations(), []);
}

#[test]
fn what_an_instance_depends_on_holds_it_back() {
    let mut world = World::new(standard(), 1, 1);
    world.instance("staging-1").is_blocked = true;
    world.commit("r2", "d2");
    world.run(30);
    assert_eq!(world.waiting["staging-1"].to_string(), "eosxd, which is not healthy");
    assert_eq!(world.digests()[1], "staging-1 d1");
    world.instance("staging-1").is_blocked = false;
    world.run(60);
    assert_eq!(world.newest().unwrap().phase, Phase::Completed);
}

#[test]
fn an_addon_that_git_no_longer_wants_goes_away_stage_by_stage() {
    let mut world = World::new(standard(), 1, 2);
    world.wish.goals.values_mut().for_each(|goal| goal.digest = None);
    world.run(9);
    assert_eq!(world.digests(), ["prod-1 d1", "prod-2 d1", "staging-1 -"]);
    world.run(60);
    assert_eq!(world.digests(), ["prod-1 -", "prod-2 -", "staging-1 -"]);
    assert_eq!(world.violations(), []);
}

#[test]
fn an_event_reads_back_as_it_was_written() {
    let mut world = World::new(standard(), 1, 1);
    world.commit("r2", "d2");
    world.run(60);
    for event in &world.log {
        let text = serde_json::to_string(event).unwrap();
        let read: Event = serde_json::from_str(&text).unwrap();
        let named: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(named["event"], event.kind.name());
        assert_eq!(&read, event, "{text}");
    }
}

/// Something that happens to the fleet between two ticks.
#[derive(Clone, Debug)]
enum Chance {
    Commit(u8),
    Down(usize, bool),
    Blocked(usize, bool),
    Bad(usize, u8),
    Stumble(usize, u32),
    Say(Command),
    Leave(usize),
    Join,
    /// The place of an instance is changed behind fitout's back.
    Meddle(usize),
    Crash,
}

fn chance() -> impl Strategy<Value = Chance> {
    prop_oneof![
        (2..5_u8).prop_map(Chance::Commit),
        (0..6_usize, any::<bool>()).prop_map(|(at, is)| Chance::Down(at, is)),
        (0..6_usize, any::<bool>()).prop_map(|(at, is)| Chance::Blocked(at, is)),
        (0..6_usize, 2..5_u8).prop_map(|(at, digest)| Chance::Bad(at, digest)),
        (0..6_usize, 0..4_u32).prop_map(|(at, count)| Chance::Stumble(at, count)),
        prop_oneof![
            Just(Command::Approve(Approving::default())),
            Just(Command::Pause),
            Just(Command::Resume),
            any::<bool>().prop_map(|goes_back| Command::Abort { goes_back }),
            Just(Command::Retry),
            Just(Command::Promote),
            of_some_cluster().prop_map(|cluster| Command::RetryCluster { cluster }),
            of_some_cluster().prop_map(|cluster| Command::SkipCluster { cluster }),
        ]
        .prop_map(Chance::Say),
        (0..6_usize).prop_map(Chance::Leave),
        Just(Chance::Join),
        (0..6_usize).prop_map(Chance::Meddle),
        Just(Chance::Crash),
    ]
}

fn of_some_cluster() -> impl Strategy<Value = ClusterName> {
    let names = ["staging-1", "staging-2", "prod-1", "prod-2", "prod-3"];
    prop::sample::select(names.to_vec()).prop_map(ClusterName::from)
}

fn any_policy() -> impl Strategy<Value = RolloutPolicySpec> {
    let batch = prop_oneof![Just(None), (1..3_u32).prop_map(Some)];
    let on_failure = prop::sample::select(vec!["rollback", "pause", "continue"]);
    let on_unreachable = prop::sample::select(vec!["skip", "wait", "fail"]);
    let on = (on_failure, on_unreachable);
    let own = prop_oneof![Just(None), (1..3_u32).prop_map(Some)];
    let in_prod = prop_oneof![Just(None), Just(Some("pause")), Just(Some("continue"))];
    let failures = (1..3_u32, own, in_prod);
    (batch, 0..15_u32, failures, on, any::<bool>(), any::<bool>()).prop_map(
        |(batch, soak, failures, (on_failure, on_unreachable), asks, has_windows)| {
            let (failures, own, in_prod) = failures;
            let hours = if has_windows { 0..24 } else { 0..0 };
            let half_of_each =
                |hour| json!({"from": format!("{hour:02}:00"), "to": format!("{hour:02}:30")});
            let windows: Vec<_> = hours.map(half_of_each).collect();
            let gates = if asks { json!([{"approval": {"count": 1}}]) } else { json!([]) };
            let batch = batch.map_or(json!({}), |count| json!({"atMost": count}));
            policy(json!({
                "stages": [
                    {"name": "staging", "clusters": {"matchLabels": {"environment": "staging"}},
                     "soak": format!("{soak}m"), "batch": batch, "gates": gates, "maxFailures": own},
                    {"name": "canary", "clusters": {"matchLabels": {"environment": "prod"}},
                     "pick": {"atLeast": 1}, "soak": format!("{soak}m")},
                    {"name": "prod", "clusters": {"matchLabels": {"environment": "prod"}},
                     "batch": batch, "soak": "1m", "onFailure": in_prod, "progressDeadline": "5m",
                     "order": [{"matchLabels": {"name": "prod-3"}}]},
                ],
                "maxFailures": failures,
                "progressDeadline": "8m",
                "onFailure": on_failure,
                "onUnreachable": on_unreachable,
                "windows": windows,
            }))
        },
    )
}

impl World {
    fn befall(&mut self, chance: &Chance) {
        let name = |world: &Self, at: usize| world.clusters.keys().nth(at).cloned();
        match chance {
            Chance::Commit(number) => self.commit(&format!("r{number}"), &format!("d{number}")),
            Chance::Say(what) => {
                if self.newest().is_some() {
                    // That it is refused is an answer as well.
                    let _ = self.say(what.clone());
                }
            }
            Chance::Join => {
                let new: ClusterName = format!("prod-late-{}", self.log.len()).into();
                let label = ("environment".to_owned(), "prod".to_owned());
                self.wish.labels.insert(new.clone(), Labels::from([label]));
                let goal = self.wish.goals.values().next().cloned();
                self.clusters.insert(new.clone(), Instance::default());
                self.wish.goals.extend(goal.map(|goal| (new, goal)));
            }
            Chance::Leave(at) if self.clusters.len() > 1 => {
                if let Some(name) = name(self, *at) {
                    self.clusters.remove(&name);
                    self.wish.goals.remove(&name);
                }
            }
            Chance::Leave(_) => {}
            // What the process remembered of its attempts is gone.
            Chance::Crash => self.clusters.values_mut().for_each(|one| one.attempt = None),
            Chance::Down(at, _)
            | Chance::Blocked(at, _)
            | Chance::Bad(at, _)
            | Chance::Stumble(at, _)
            | Chance::Meddle(at) => {
                let Some(name) = name(self, *at) else { return };
                let instance = self.instance(name.as_str());
                match chance {
                    Chance::Down(_, is) => instance.is_down = *is,
                    Chance::Blocked(_, is) => instance.is_blocked = *is,
                    Chance::Bad(_, number) => {
                        instance.bad.insert(format!("d{number}").into());
                    }
                    Chance::Stumble(_, count) => instance.stumbles = *count,
                    _ => {
                        if let Some(place) = &mut instance.place {
                            place.digest = Some("meddled".into());
                        }
                    }
                }
            }
        }
    }

    /// Every fault ends, and whoever has to say something does.
    fn heal(&mut self) {
        for instance in self.clusters.values_mut() {
            (instance.is_down, instance.is_blocked, instance.stumbles) = (false, false, 0);
            instance.bad.clear();
        }
    }

    fn unblock(&mut self) {
        let Some(rollout) = self.newest() else { return };
        if rollout.is_held() {
            self.say(Command::Resume).expect("it is held");
        } else if matches!(rollout.phase, Phase::RolledBack { .. } | Phase::Aborted { .. }) {
            self.say(Command::Retry).expect("it went back");
        } else if rollout.phase == Phase::Completed && !rollout.is_retried {
            // Where it went on without nobody, it is refused.
            let _ = self.say(Command::Retry);
        } else if !rollout.phase.is_ended() {
            // Not every stage asks.
            let _ = self.say(Command::Approve(Approving::default()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]

    #[test]
    fn the_laws_hold_on_every_history_and_the_fleet_converges_once_faults_stop(
        policy in any_policy(),
        chances in prop::collection::vec((chance(), 0..6_u32), 0..24),
    ) {
        let mut world = World::new(policy, 2, 3);
        world.commit("r2", "d2");
        for (chance, minutes) in &chances {
            world.befall(chance);
            world.run(*minutes);
            // Law 7: whoever is not done has a reason.
            if let Some(rollout) = world.newest().filter(|rollout| !rollout.phase.is_ended()) {
                let step = advance(&rollout, &world.observe().into(), world.now);
                for (name, member) in &step.rollout.members {
                    let is_open = matches!(member.state,
                        MemberState::Waiting | MemberState::Moving { .. }
                        | MemberState::Healthy { .. } | MemberState::GoingBack { .. });
                    let is_told = step.waiting.contains_key(name);
                    prop_assert!(
                        !is_open || is_told || step.rollout.phase.is_ended(),
                        "{} {:?}", name, member
                    );
                }
            }
        }
        world.heal();
        for _ in 0..40 {
            world.run(20);
            world.unblock();
        }
        prop_assert_eq!(world.violations(), vec![], "{}", world.picture());
        for log in world.logs() {
            let again = replay::replay(&log);
            prop_assert_eq!(&again.difference, &None, "{}", world.picture());
            prop_assert_eq!(again.given + again.decided, log.len());
        }
        let goals = world.wish.goals.clone();
        for (name, goal) in goals {
            let digest = world.clusters[&name].place.as_ref().and_then(|at| at.digest.clone());
            prop_assert_eq!(digest, goal.digest, "{} {}", name, world.picture());
        }
        // And the next tick has nothing to do.
        let length = world.log.len();
        world.tick();
        prop_assert_eq!(world.log.len(), length, "{}", world.picture());
    }
}
