//! What people say of single clusters and stages, and policies for what fails or does not answer.

use super::*;
use crate::base::author::Author;

fn with(spec: serde_json::Value) -> World {
    let mut whole = json!({
        "stages": [
            {"name": "staging", "clusters": {"matchLabels": {"environment": "staging"}}},
            {"name": "prod", "clusters": {"matchLabels": {"environment": "prod"}}},
        ],
        "progressDeadline": "10m",
    });
    for (field, value) in spec.as_object().expect("fields of a policy") {
        whole[field] = value.clone();
    }
    let mut world = World::new(policy(whole), 2, 2);
    world.commit("r2", "d2");
    world
}

fn cluster(name: &str) -> ClusterName {
    name.into()
}

#[test]
fn a_stage_that_is_promoted_passes_without_its_soak_and_gates_but_not_without_health() {
    let mut world = with(json!({"stages": [
        {"name": "staging", "clusters": {"matchLabels": {"environment": "staging"}},
         "soak": "2h", "gates": [{"approval": {"count": 2}}]},
        {"name": "prod", "clusters": {"matchLabels": {"environment": "prod"}}, "soak": "2h"},
    ]}));
    world.instance("staging-2").stumbles = 3;
    world.run(2);
    let (rollout, now) = (world.newest().unwrap(), world.now);
    let silent = command(&rollout, Command::Promote, "ada", None, now);
    assert!(matches!(silent, Err(Refused::NoReason { .. })), "{silent:?}");
    world.say(Command::Promote).unwrap();
    assert!(matches!(world.say(Command::Promote), Err(Refused::Already { .. })));
    world.run(1);
    assert_eq!(world.newest().unwrap().stage, 0, "one is not healthy yet\n{}", world.picture());
    world.run(8);
    assert_eq!(world.newest().unwrap().stage, 1, "{}", world.picture());
    world.run(60);
    assert_eq!(world.newest().unwrap().stage, 1, "the next stage has its own soak");
    world.run(80);
    assert_eq!(world.newest().unwrap().phase, Phase::Completed);
    assert_eq!(world.violations(), []);
}

#[test]
fn a_cluster_that_somebody_leaves_out_is_not_begun_again_until_somebody_says_so() {
    let mut world = with(json!({}));
    world.run(1);
    world.say(Command::SkipCluster { cluster: cluster("prod-1") }).unwrap();
    let again = world.say(Command::SkipCluster { cluster: cluster("prod-1") });
    assert!(matches!(again, Err(Refused::Cluster { .. })), "{again:?}");
    world.run(30);
    assert_eq!(world.digests(), ["prod-1 d1", "prod-2 d2", "staging-1 d2", "staging-2 d2"]);
    assert_eq!(world.newest().unwrap().phase, Phase::Completed);
    let held = ensure(world.newest().as_ref(), &world.wish, &world.observe(), world.now);
    let Ensure::Held { reason, .. } = held else { panic!("{held:?}") };
    assert_eq!(reason, "it went on without some: prod-1 was left out by ada: because");
    world.say(Command::Retry).unwrap();
    world.run(30);
    assert_eq!(world.digests()[0], "prod-1 d2", "{}", world.picture());
    assert_eq!(world.violations(), []);
}

#[test]
fn a_cluster_that_joins_does_not_begin_what_was_given_up() {
    let mut world = with(json!({}));
    world.run(1);
    world.say(Command::SkipCluster { cluster: cluster("prod-1") }).unwrap();
    world.run(30);
    world.befall(&Chance::Join);
    world.run(30);
    let rollout = world.newest().unwrap();
    assert_eq!((rollout.id.number, rollout.phase), (2, Phase::Completed), "{}", world.picture());
    assert_eq!(world.digests()[0], "prod-1 d1", "{}", world.picture());
    assert_eq!(world.violations(), []);
}

#[test]
fn one_failed_cluster_is_tried_again_and_the_others_stay_as_they_are() {
    let mut world = with(json!({"onFailure": "pause", "maxFailures": 2}));
    for name in ["staging-1", "staging-2"] {
        world.instance(name).bad.insert("d2".into());
    }
    world.run(30);
    assert!(matches!(world.newest().unwrap().phase, Phase::Stopped { .. }), "{}", world.picture());
    world.instance("staging-1").bad.clear();
    world.say(Command::RetryCluster { cluster: cluster("staging-1") }).unwrap();
    world.run(5);
    let rollout = world.newest().unwrap();
    let word = |name: &str| rollout.members[&cluster(name)].state.word();
    assert_eq!([word("staging-1"), word("staging-2")], ["done", "failed"], "{}", world.picture());
    assert!(matches!(rollout.phase, Phase::Stopped { .. }), "somebody has to resume it");
    assert_eq!(world.violations(), []);
}

#[test]
fn a_policy_may_go_on_whatever_fails_as_long_as_something_gets_there() {
    let mut world = with(json!({"onFailure": "continue"}));
    for name in ["staging-1", "prod-1"] {
        world.instance(name).bad.insert("d2".into());
    }
    world.run(60);
    let rollout = world.newest().unwrap();
    assert_eq!((rollout.id.number, &rollout.phase), (1, &Phase::Completed), "{}", world.picture());
    assert_eq!(rollout.failures.len(), 2);
    assert_eq!(world.violations(), []);
    // Where nothing gets there, later stages would go by nothing.
    let mut world = with(json!({"onFailure": "continue"}));
    for name in ["staging-1", "staging-2"] {
        world.instance(name).bad.insert("d2".into());
    }
    world.run(60);
    assert!(matches!(world.newest().unwrap().phase, Phase::Stopped { .. }), "{}", world.picture());
    assert_eq!(world.digests()[..2], ["prod-1 d1", "prod-2 d1"]);
    assert_eq!(world.violations(), []);
}

#[test]
fn a_cluster_that_does_not_answer_is_left_out_waited_for_or_has_failed() {
    for (on_unreachable, phase, state) in [
        ("skip", "completed", "skipped"),
        ("wait", "running", "waiting"),
        ("fail", "rolled back", "failed"),
    ] {
        let mut world = with(json!({"onUnreachable": on_unreachable}));
        world.instance("staging-1").is_down = true;
        world.run(30);
        let rollout = world.newest().unwrap();
        let member = &rollout.members[&cluster("staging-1")];
        let picture = world.picture();
        assert_eq!(rollout.phase.word(), phase, "{on_unreachable}\n{picture}");
        let is_stuck = matches!(member.state, MemberState::Stuck { .. });
        assert!(member.state.word() == state || is_stuck, "{on_unreachable}\n{picture}");
        assert_eq!(world.violations(), []);
    }
}

#[test]
fn a_gate_that_says_nothing_until_its_deadline_is_broken() {
    let mut spec = gated();
    for gate in spec.stages.iter_mut().flat_map(|stage| &mut stage.gates) {
        let prometheus = gate.prometheus.as_mut().expect("it is one of Prometheus");
        prometheus.deadline = serde_json::from_value(json!("15m")).expect("a duration");
    }
    let mut world = World::new(spec, 1, 3);
    world.commit("r2", "d2");
    let nothing = Verdict::Unknown("the query gives no data".to_owned());
    world.gates.insert("errors".to_owned(), (None, nothing));
    world.run(120);
    let why = "gate errors: it does not hold after 15m: the query gives no data";
    let phase = world.newest().unwrap().phase;
    assert_eq!(phase, Phase::RolledBack { reason: why.to_owned() }, "{}", world.picture());
    assert_eq!(world.violations(), []);
}

#[test]
fn an_approval_counts_by_whom_the_policy_names_and_not_by_the_author_of_the_change() {
    let mut world = with(json!({
        "groups": {"sre": ["ada", "ben", "cleo"]},
        "stages": [
            {"name": "staging", "clusters": {"matchLabels": {"environment": "staging"}}, "gates": [
                {"approval": {"count": 2, "from": ["sre"], "notAuthor": true}},
                {"approval": {"count": 1, "from": ["dora"]}},
            ]},
            {"name": "prod", "clusters": {}},
        ],
    }));
    let author = Author { name: "Ada L.".to_owned(), email: "ada@example.org".to_owned() };
    world.wish.author = Some(author);
    world.run(3);
    let say = |world: &mut World, by: &str| {
        let rollout = world.newest().unwrap();
        let event = command(&rollout, Command::Approve, by, None, world.now)?;
        world.log.push(event);
        Ok::<_, Refused>(())
    };
    for by in ["ada", "eve"] {
        let refused = say(&mut world, by);
        assert!(matches!(refused, Err(Refused::NotApprover { .. })), "{by}: {refused:?}");
    }
    for (by, counts) in [("ben", (1, 2)), ("cleo", (0, 1)), ("dora", (2, 2))] {
        assert_eq!(world.newest().unwrap().stage, 0);
        say(&mut world, by).unwrap();
        let (have, need) = world.newest().unwrap().approvals();
        assert_eq!((have, need), counts, "{by}");
        world.run(2);
    }
    assert_eq!(world.newest().unwrap().phase, Phase::Completed, "{}", world.picture());
    assert_eq!(world.violations(), []);
}

#[test]
fn decisions_are_made_again_from_the_log_and_one_that_is_not_is_named() {
    let mut world = World::new(gated(), 1, 3);
    world.commit("r2", "d2");
    world.gates.insert("errors".to_owned(), (None, Verdict::Holds("0".to_owned())));
    world.run(90);
    assert_eq!(world.newest().unwrap().phase, Phase::Completed);
    let again = replay::replay(&world.log);
    assert_eq!((again.given, again.decided), (1, world.log.len() - 1), "{}", world.picture());
    assert_eq!(again.difference, None);
    // Somebody has taken a line out of the log.
    let begins = |event: &Event| matches!(event.kind, EventKind::InstanceHealthy { .. });
    let at = world.log.iter().position(begins).unwrap();
    world.log.remove(at);
    let difference = replay::replay(&world.log).difference.expect("it is noticed");
    assert_eq!(difference.index, at);
    let recorded = difference.recorded.map(|event| event.kind.name());
    assert_eq!((recorded, difference.decided), (Some("gate.passed"), None), "without evidence");
}

#[test]
fn a_batch_begins_clusters_in_the_order_of_its_stage() {
    let stage = |order: serde_json::Value| json!({"stages": [{"name": "all", "clusters": {}, "batch": {"atMost": 1}, "order": order}]});
    let begun = |world: &World| -> Vec<String> {
        let begins = |event: &&Event| matches!(event.kind, EventKind::InstanceStarted { .. });
        let names = world.log.iter().filter(begins).filter_map(|event| event.cluster.as_ref());
        names.map(ToString::to_string).collect()
    };
    let staging = json!({"matchLabels": {"environment": "staging"}});
    let mut world = with(stage(json!([{"matchLabels": {"name": "prod-2"}}, staging])));
    world.run(30);
    assert_eq!(begun(&world), ["prod-2", "staging-1", "staging-2", "prod-1"]);
    // One that cannot be begun holds nobody up, and one that comes late has its place.
    let mut world = with(stage(json!([staging])));
    world.instance("staging-1").is_blocked = true;
    world.run(2);
    world.befall(&Chance::Join);
    world.instance("staging-1").is_blocked = false;
    world.run(30);
    let begun = begun(&world);
    assert_eq!(begun[..4], ["staging-2", "prod-1", "staging-1", "prod-2"], "{begun:?}");
    assert!(begun[4].starts_with("prod-late"), "{begun:?}");
    assert_eq!(world.violations(), []);
}

#[test]
fn a_stage_may_have_its_own_say_in_what_fails() {
    let stages = |staging: serde_json::Value, prod: serde_json::Value| {
        let mut stages = with(json!({})).wish.policy.stages;
        for (stage, own) in stages.iter_mut().zip([staging, prod]) {
            let mut whole = serde_json::to_value(&*stage).expect("plain data");
            for (field, value) in own.as_object().expect("fields of a stage") {
                whole[field] = value.clone();
            }
            *stage = serde_json::from_value(whole).expect("a stage");
        }
        with(json!({"stages": stages}))
    };
    // One failure that staging puts up with does not count against the policy's budget of one.
    let mut world = stages(json!({"maxFailures": 2}), json!({}));
    world.instance("staging-1").bad.insert("d2".into());
    world.run(60);
    assert_eq!(world.newest().unwrap().phase, Phase::Completed, "{}", world.picture());
    // The policy's budget counts in production, and what production says happens then.
    let mut world = stages(json!({"maxFailures": 2}), json!({"onFailure": "pause"}));
    for name in ["staging-1", "prod-1"] {
        world.instance(name).bad.insert("d2".into());
    }
    world.run(60);
    let Phase::Stopped { reason, .. } = world.newest().unwrap().phase else {
        panic!("{}", world.picture())
    };
    assert!(reason.starts_with("prod-1: not healthy after 10m"), "{reason}");
    // A share is one of the stage's clusters.
    let mut world = stages(json!({"maxFailures": "50%"}), json!({}));
    world.instance("staging-1").bad.insert("d2".into());
    world.run(60);
    assert!(matches!(world.newest().unwrap().phase, Phase::RolledBack { .. }));
    assert_eq!(world.violations(), []);
    // Its own deadline, and its own patience with what does not answer.
    let mut world = stages(json!({"progressDeadline": "1h"}), json!({"onUnreachable": "wait"}));
    world.instance("staging-1").bad.insert("d2".into());
    world.instance("prod-1").is_down = true;
    world.run(50);
    assert_eq!(world.newest().unwrap().phase, Phase::Running, "{}", world.picture());
    world.instance("staging-1").bad.clear();
    world.run(120);
    let rollout = world.newest().unwrap();
    assert_eq!((rollout.stage, &rollout.phase), (1, &Phase::Running), "{}", world.picture());
    assert_eq!(world.violations(), []);
}

#[test]
fn a_cluster_that_was_never_begun_is_not_taken_back_when_it_answers_again() {
    let mut world = with(json!({"onUnreachable": "fail", "progressDeadline": "10m"}));
    world.instance("staging-1").is_down = true;
    // One that takes long to go back, so that the other answers in the meantime.
    for _ in 0..60 {
        world.run(1);
        if matches!(world.newest().unwrap().phase, Phase::GoingBack { .. }) {
            world.instance("staging-1").is_down = false;
            world.instance("staging-2").stumbles = 3;
        }
    }
    assert!(matches!(world.newest().unwrap().phase, Phase::RolledBack { .. }));
    assert_eq!(world.digests()[2..], ["staging-1 d1", "staging-2 d1"], "{}", world.picture());
    world.say(Command::Retry).unwrap();
    world.run(40);
    assert_eq!(world.digests()[2..], ["staging-1 d2", "staging-2 d2"], "{}", world.picture());
    assert_eq!(world.violations(), []);
}
