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
        let event = command(&rollout, Command::Approve(Approving::default()), by, None, world.now)?;
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
fn a_job_is_not_asked_for_where_the_addon_only_goes() {
    let containers = json!([{"name": "smoke", "image": "smoke"}]);
    let pod = json!({"restartPolicy": "Never", "containers": containers});
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": {"spec": pod}}});
    let gate = json!({"job": {"name": "smoke", "manifest": job}});
    let mut world = with(json!({"stages": [{"name": "all", "clusters": {}, "gates": [gate]}]}));
    world.wish.goals.values_mut().for_each(|goal| goal.digest = None);
    world.run(20);
    assert_eq!(world.newest().unwrap().phase, Phase::Completed, "{}", world.picture());
    assert_eq!(world.violations(), []);
}

#[test]
fn an_approval_is_of_a_plan_and_lapses_when_a_cluster_joins() {
    let gate = json!({"approval": {"count": 1}});
    let mut world = with(json!({"stages": [
        {"name": "staging", "clusters": {"matchLabels": {"environment": "staging"}}, "gates": [gate, gate]},
        {"name": "prod", "clusters": {}},
    ]}));
    world.run(3);
    let plan = world.newest().unwrap().plan();
    world.clusters.remove("prod-2");
    world.wish.goals.remove("prod-2");
    world.run(1);
    let left = world.newest().unwrap().plan();
    assert_ne!(plan, left, "a cluster less");
    let approve = |plan| Command::Approve(Approving { plan: Some(plan), ..Approving::default() });
    let refused = world.say(approve(plan)).unwrap_err();
    assert!(matches!(&refused, Refused::OtherPlan { plan, .. } if *plan == left), "{refused}");
    let rollout = world.newest().unwrap();
    let approved = command(&rollout, approve(left.clone()), "ben", None, world.now).unwrap();
    world.log.push(approved);
    assert_eq!(world.newest().unwrap().approvals(), (1, 1));
    let label = ("environment".to_owned(), "prod".to_owned());
    world.wish.labels.insert("prod-9".into(), Labels::from([label]));
    world.clusters.insert("prod-9".into(), Instance::default());
    world.commit("r2b", "d2");
    world.run(1);
    assert_eq!(world.newest().unwrap().approvals(), (0, 1), "{}", world.picture());
    world.run(3);
    assert_eq!(world.newest().unwrap().stage, 0, "{}", world.picture());
    world.say(approve(world.newest().unwrap().plan())).unwrap();
    world.run(20);
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
fn a_comparison_is_made_again_from_the_samples_in_the_log() {
    let mut world = World::new(gated(), 1, 3);
    let stage = &mut world.wish.policy.stages[1];
    let compares = json!([{"prometheus": {
        "name": "errors", "url": "http://localhost", "query": "x", "compareTo": "control",
    }}]);
    stage.gates = serde_json::from_value(compares).expect("a gate");
    let gate = stage.gates[0].clone();
    world.commit("r2", "d2");
    world.run(90);
    let since = world.newest().unwrap().stages[1].changed_at.expect("it has begun");
    let sampled =
        |worse| comparison::Sampled { samples: 12, worse, value: comparison::Figure(1.0) };
    let compared = |from, worse| {
        Evidence::Comparison(comparison::Compared {
            from,
            to: world.now,
            control: 2,
            median: comparison::Figure(1.0),
            clusters: [("prod-1".into(), sampled(worse))].into(),
        })
    };
    let first = since + Duration::from_mins(1);
    let mut passed = world.clone();
    passed.evidence.insert("errors".to_owned(), (gate.clone(), compared(first, 1)));
    passed.run(30);
    assert!(passed.picture().contains("gate.passed errors canary"), "{}", passed.picture());
    assert_eq!(passed.violations(), []);
    assert_eq!(replay::replay(&passed.log).difference, None, "{}", passed.picture());
    // Somebody has changed the samples, but not the decision.
    for event in &mut passed.log {
        if let EventKind::GatePassed { evidence: Some(evidence), .. } = &mut event.kind {
            **evidence = compared(first, 5);
        }
    }
    let text = serde_json::to_string(&passed.log).expect("plain data");
    let log: Vec<Event> = serde_json::from_str(&text).expect("it was just written");
    let difference = replay::replay(&log).difference.expect("it is noticed");
    let recorded = difference.recorded.map(|event| event.kind.name());
    assert_eq!(recorded, Some("gate.passed"));
    // Law 5 holds for each sample, not just for the time of the question.
    let mut early = world.clone();
    early.evidence.insert("errors".to_owned(), (gate, compared(since, 1)));
    early.run(30);
    assert_eq!(early.violations().first().map(|found| found.law), Some(5));
}

/// Two changes under a policy whose first stage has a Job to pass, which stays on the cluster: the Jobs that were made, and the laws
/// that are broken.
fn jobs_of_two_changes() -> (BTreeSet<String>, Vec<laws::Violation>, Vec<Event>) {
    let manifest = json!({"apiVersion": "batch/v1", "kind": "Job"});
    let gates = json!([{"job": {"name": "smoke", "manifest": manifest}}]);
    let mut world = with(json!({"stages": [
        {"name": "staging", "clusters": {"matchLabels": {"environment": "staging"}}, "gates": gates},
        {"name": "prod", "clusters": {}},
    ]}));
    let gate = world.wish.policy.stages[0].gates[0].clone();
    let spec = gate.job.clone().expect("a job");
    let mut made: BTreeMap<String, serde_json::Value> = BTreeMap::new();
    for (rev, digest) in [("r2", "d2"), ("r3", "d3")] {
        world.commit(rev, digest);
        for _ in 0..10 {
            world.run(1);
            let rollout = world.newest().expect("it has begun");
            let runs = job::clusters(&spec, &rollout).into_iter().filter_map(|cluster| {
                let job = job::make(&spec, &rollout, &cluster, "web")?;
                let object = made.entry(job.name).or_insert(job.object);
                object["status"]["conditions"] = json!([{"type": "Complete", "status": "True"}]);
                Some((cluster, job::read(object)))
            });
            let seen = Evidence::Jobs(job::Jobs { runs: runs.collect() });
            world.evidence.insert("smoke".to_owned(), (gate.clone(), seen));
        }
        assert_eq!(world.newest().unwrap().phase, Phase::Completed, "{}", world.picture());
    }
    let violations = world.violations();
    (made.into_keys().collect(), violations, world.log)
}

#[test]
fn a_job_is_run_once_for_each_change_and_an_old_one_is_no_evidence() {
    let (made, violations, log) = jobs_of_two_changes();
    assert_eq!((made.len(), violations), (4, vec![]), "{made:?}");
    assert!(made.iter().all(|name| name.starts_with("traefik-smoke-")), "{made:?}");
    let second = log.iter().position(|event| event.rollout.number == 2).expect("two rollouts");
    for log in [&log[..second], &log[second..]] {
        let passed = |event: &&Event| matches!(&event.kind, EventKind::GatePassed { gate, .. } if gate == "smoke");
        assert_eq!(log.iter().filter(passed).count(), 1);
        assert_eq!(replay::replay(log).difference, None);
    }
    let planted = crate::base::planted::Planted::OldRun;
    let (made, violations, _) = crate::base::planted::with(Some(planted), jobs_of_two_changes);
    assert_eq!(made.len(), 2, "{made:?}");
    assert_eq!(violations.first().map(|found| found.law), Some(5));
}

#[test]
fn a_cluster_that_has_failed_is_not_compared_with_control() {
    let mut world = with(json!({"maxFailures": 2}));
    let failed = cluster("staging-1");
    world.clusters.get_mut(&failed).expect("it is there").bad.insert("d2".into());
    let is_failed = |member: &Member| matches!(member.state, MemberState::Failed { .. });
    let mut rollout = world.newest();
    for _ in 0..30 {
        world.run(1);
        rollout = world.newest();
        if rollout.as_ref().is_some_and(|rollout| is_failed(&rollout.members[&failed])) {
            break;
        }
    }
    let mut rollout = rollout.expect("it has begun");
    rollout.stage = 0;
    let groups = comparison::Groups::of(&rollout);
    assert_eq!(groups.failed, [&failed], "{}", world.picture());
    assert_eq!(groups.changed, [&cluster("staging-2")]);
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
