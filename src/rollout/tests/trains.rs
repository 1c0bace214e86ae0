//! Release trains: addons of one commit that move together.

use super::*;
use crate::base::ids::AddonName;

/// A fleet of several addons of one policy, on the same clusters.
struct Yard {
    now: Timestamp,
    labels: BTreeMap<ClusterName, Labels>,
    addons: BTreeMap<AddonName, Car>,
    policy: RolloutPolicySpec,
    rev: u32,
    log: Vec<Event>,
    waiting: BTreeMap<(AddonName, ClusterName), WaitingOn>,
}

/// One of them: where it is and how it behaves.
#[derive(Default)]
struct Car {
    after: BTreeSet<AddonName>,
    digest: u32,
    off: BTreeSet<ClusterName>,
    instances: BTreeMap<ClusterName, Instance>,
}

/// `web` goes after `base`, and `mon` by itself.
fn yard(spec: serde_json::Value) -> Yard {
    let mut whole = json!({
        "train": true,
        "stages": [
            {"name": "staging", "clusters": {"matchLabels": {"environment": "staging"}}, "soak": "5m"},
            {"name": "prod", "clusters": {}, "batch": {"atMost": 1}, "soak": "2m"},
        ],
        "progressDeadline": "10m",
    });
    for (field, value) in spec.as_object().expect("fields of a policy") {
        whole[field] = value.clone();
    }
    let names = ["prod-1", "prod-2", "prod-3", "staging-1", "staging-2"];
    let labels = names.map(|name| {
        let environment = name.split('-').next().unwrap_or_default().to_owned();
        (name.into(), Labels::from([("environment".to_owned(), environment)]))
    });
    let place = |number| Place {
        rev: Some("r1".into()),
        digest: Some(format!("d{number}").as_str().into()),
        release_revision: 1,
    };
    let car = |after: &[&str]| {
        let instance = Instance { place: Some(place(1)), ..Instance::default() };
        Car {
            after: after.iter().map(|name| (*name).into()).collect(),
            digest: 1,
            off: BTreeSet::new(),
            instances: names.iter().map(|name| ((*name).into(), instance.clone())).collect(),
        }
    };
    Yard {
        now: Timestamp::from_second(1_800_000_000).expect("in range"),
        labels: labels.into_iter().collect(),
        addons: BTreeMap::from([
            ("base".into(), car(&[])),
            ("web".into(), car(&["base"])),
            ("mon".into(), car(&[])),
        ]),
        policy: policy(whole),
        rev: 1,
        log: Vec::new(),
        waiting: BTreeMap::new(),
    }
}

impl Yard {
    /// One commit that changes some addons.
    fn commit(&mut self, addons: &[&str]) {
        self.rev += 1;
        for name in addons {
            self.addons.get_mut(*name).expect("an addon").digest = self.rev;
        }
    }

    fn bad(&mut self, addon: &str, cluster: &str, number: u32) {
        let digest = format!("d{number}").as_str().into();
        self.instance(addon, cluster).bad.insert(digest);
    }

    fn instance(&mut self, addon: &str, cluster: &str) -> &mut Instance {
        let car = self.addons.get_mut(addon).expect("an addon");
        car.instances.get_mut(cluster).expect("a cluster")
    }

    /// All that is on a cluster.
    fn on(&mut self, cluster: &ClusterName) -> impl Iterator<Item = &mut Instance> {
        self.addons.values_mut().filter_map(|car| car.instances.get_mut(cluster))
    }

    fn rollouts(&self) -> Vec<Rollout> {
        let mut rollouts: Vec<Rollout> = Vec::new();
        for event in &self.log {
            match rollouts.iter_mut().find(|one| one.id == event.rollout) {
                Some(rollout) => rollout.take(event),
                None => rollouts.extend(fold([event])),
            }
        }
        rollouts
    }

    fn newest(&self, addon: &str) -> Option<Rollout> {
        self.rollouts().into_iter().rfind(|one| one.addon().as_str() == addon)
    }

    fn wish(&self, addon: &AddonName) -> Wish {
        let car = &self.addons[addon];
        let rev = format!("r{}", self.rev);
        let goal = |name: &ClusterName| Goal {
            rev: rev.as_str().into(),
            digest: (!car.off.contains(name)).then(|| format!("d{}", car.digest).as_str().into()),
        };
        Wish {
            addon: addon.clone(),
            rev: rev.as_str().into(),
            author: None,
            goals: self.labels.keys().map(|name| (name.clone(), goal(name))).collect(),
            labels: self.labels.clone(),
            policy_name: Some("train".into()),
            policy: self.policy.clone(),
            depends_on: car.after.clone(),
        }
    }

    fn seen(&self, addon: &AddonName) -> Instances {
        let car = &self.addons[addon];
        let seen = car
            .instances
            .iter()
            .map(|(name, instance)| (name.clone(), instance.seen(Readiness::Ready, self.now)));
        seen.collect()
    }

    fn tick(&mut self) {
        let wishes: Vec<Wish> = self.addons.keys().map(|addon| self.wish(addon)).collect();
        let seen: Vec<Instances> = self.addons.keys().map(|addon| self.seen(addon)).collect();
        let newest: Vec<Option<Rollout>> =
            self.addons.keys().map(|addon| self.newest(addon.as_str())).collect();
        let all: Vec<Passenger<'_>> = wishes
            .iter()
            .zip(&seen)
            .zip(&newest)
            .map(|((wish, seen), newest)| (newest.as_ref(), wish, seen))
            .collect();
        let begun = depart(&all, &[], self.now).events;
        self.log.extend(begun);
        let active = self.rollouts().into_iter().filter(|one| !one.phase.is_ended());
        let active: Vec<(Rollout, Observation)> = active
            .map(|one| {
                let seen = self.seen(one.addon()).into();
                (one, seen)
            })
            .collect();
        self.waiting.clear();
        for together in train::advance_each(active, self.now) {
            self.log.extend(together.events);
            for step in together.parts {
                let addon = step.rollout.addon().clone();
                for (name, waits) in step.waiting {
                    self.waiting.insert((addon.clone(), name), waits);
                }
                for decision in step.decisions {
                    let now = self.now;
                    let instance = self.instance(addon.as_str(), decision.cluster.as_str());
                    instance.carry_out(&step.rollout, &decision, now);
                }
            }
        }
    }

    fn run(&mut self, minutes: u32) {
        for _ in 0..minutes {
            self.tick();
            self.now += Duration::from_mins(1);
        }
    }

    fn say(&mut self, addon: &str, what: &Command) -> Result<(), Refused> {
        let (rollouts, newest) = (self.rollouts(), self.newest(addon));
        let Some(newest) = newest else { return Ok(()) };
        let whole = train::Whole::ever(&newest, &rollouts);
        let events = command_together(&whole, what, "ada", Some("because"), self.now)?;
        self.log.extend(events);
        Ok(())
    }

    fn picture(&self) -> String {
        picture(&self.log)
    }

    /// Where each instance is, of one addon.
    fn digests(&self, addon: &str) -> Vec<String> {
        self.addons[addon].instances.values().map(Instance::digest).collect()
    }

    /// Clusters of events of one kind, in order, as `cluster/addon`.
    fn order(&self, name: &str) -> Vec<String> {
        let events = self.log.iter().filter(|event| event.kind.name() == name);
        events
            .filter_map(|event| Some(format!("{}/{}", event.cluster.as_ref()?, event.addon)))
            .collect()
    }

    #[track_caller]
    fn keeps_the_laws(&self) {
        assert_eq!(laws::check(&self.log), [], "{}", self.picture());
        for log in self.logs() {
            let again = replay::replay(&log);
            assert_eq!(again.difference, None, "{}", self.picture());
        }
    }

    /// The log of each train.
    fn logs(&self) -> Vec<Vec<Event>> {
        let rollouts = self.rollouts();
        let mut logs: BTreeMap<RolloutId, Vec<Event>> = BTreeMap::new();
        for event in &self.log {
            let of = rollouts.iter().find(|one| one.id == event.rollout);
            let train = of.and_then(|one| one.train.as_ref());
            let id = train.map_or(&event.rollout, |train| &train.id);
            logs.entry(id.clone()).or_default().push(event.clone());
        }
        logs.into_values().collect()
    }
}

#[test]
fn what_one_commit_changes_goes_through_the_stages_together_in_the_order_of_the_graph() {
    let mut yard = yard(json!({}));
    yard.commit(&["base", "web"]);
    yard.run(60);
    let picture = yard.picture();
    assert!(yard.newest("mon").is_none(), "it does not change\n{picture}");
    for addon in ["base", "web"] {
        assert_eq!(yard.newest(addon).unwrap().phase, Phase::Completed, "{picture}");
    }
    let begun = yard.order("instance.started");
    assert_eq!(begun.len(), 10);
    let at = |what: &str| begun.iter().position(|one| one == what);
    for cluster in ["prod-1", "prod-2", "prod-3", "staging-1", "staging-2"] {
        assert!(at(&format!("{cluster}/base")) < at(&format!("{cluster}/web")), "{picture}");
    }
    // A batch of one cluster takes both addons of it before the next one.
    assert_eq!(begun[4..6], ["prod-1/base", "prod-1/web"], "{picture}");
    let first_in_prod = yard.log.iter().position(|event| event.stage.as_deref() == Some("prod"));
    let passed = yard.log.iter().rposition(|event| {
        event.kind == EventKind::StagePassed && event.stage.as_deref() == Some("staging")
    });
    assert!(first_in_prod > passed, "{picture}");
    yard.keeps_the_laws();
}

#[test]
fn one_that_fails_takes_all_back_dependants_first() {
    let mut yard = yard(json!({}));
    yard.bad("web", "staging-2", 2);
    yard.commit(&["base", "web", "mon"]);
    yard.run(60);
    let picture = yard.picture();
    for addon in ["base", "web", "mon"] {
        assert!(matches!(yard.newest(addon).unwrap().phase, Phase::RolledBack { .. }), "{picture}");
        assert_eq!(yard.digests(addon), ["d1", "d1", "d1", "d1", "d1"], "{picture}");
    }
    let Phase::RolledBack { reason } = yard.newest("mon").unwrap().phase else { unreachable!() };
    let why = "web of its train: staging-2: not healthy after 10m: 0 of 1 replicas are ready";
    assert_eq!(reason, why);
    let back = yard.order("instance.rolledBack");
    let at = |what: &str| back.iter().position(|one| one == what);
    for cluster in ["staging-1", "staging-2"] {
        assert!(at(&format!("{cluster}/web")) < at(&format!("{cluster}/base")), "{picture}");
    }
    // Nothing is tried again until git changes; then all of them are.
    let length = yard.log.len();
    yard.run(30);
    assert_eq!(yard.log.len(), length, "{}", yard.picture());
    yard.commit(&["web"]);
    yard.run(80);
    for addon in ["base", "web", "mon"] {
        assert_eq!(yard.newest(addon).unwrap().phase, Phase::Completed, "{}", yard.picture());
    }
    yard.keeps_the_laws();
}

#[test]
fn failures_and_batches_count_clusters() {
    let mut yard = yard(json!({"maxFailures": 2}));
    for addon in ["base", "mon"] {
        yard.bad(addon, "staging-1", 2);
    }
    yard.commit(&["base", "web", "mon"]);
    yard.run(90);
    let picture = yard.picture();
    // Two addons have failed on one cluster, and web, which depends on one of them, does not begin there.
    for addon in ["base", "web", "mon"] {
        assert_eq!(yard.newest(addon).unwrap().phase, Phase::Completed, "{picture}");
    }
    let left_out = &yard.newest("web").unwrap().members["staging-1"].state;
    let MemberState::Failed { reason } = left_out else { panic!("{picture}") };
    assert_eq!(reason, "base, which it depends on, has failed there");
    assert_eq!(yard.digests("web")[3], "d1", "{picture}");
    yard.keeps_the_laws();
}

#[test]
fn a_newer_commit_supersedes_the_whole_train_and_a_cluster_that_joins_does_not() {
    let mut yard = yard(json!({}));
    yard.commit(&["base", "web"]);
    yard.run(4);
    // One joins: what moves takes it in, and what does not move comes to it by itself.
    let label = Labels::from([("environment".to_owned(), "prod".to_owned())]);
    yard.labels.insert("prod-4".into(), label);
    for car in yard.addons.values_mut() {
        car.instances.insert("prod-4".into(), Instance::default());
    }
    yard.rev += 1;
    yard.run(2);
    let picture = yard.picture();
    assert_eq!(yard.newest("base").unwrap().phase, Phase::Running, "{picture}");
    assert!(!yard.newest("mon").unwrap().is_with(&yard.newest("base").unwrap()), "{picture}");
    yard.commit(&["mon"]);
    yard.run(1);
    let picture = yard.picture();
    let words = ["base", "web", "mon"].map(|addon| yard.newest(addon).unwrap());
    assert!(words.iter().all(|one| one.id.number == 2), "{picture}");
    assert!(words.iter().all(|one| one.is_with(&words[0]) || one.id == words[0].id), "{picture}");
    yard.run(100);
    for addon in ["base", "web", "mon"] {
        assert_eq!(yard.newest(addon).unwrap().phase, Phase::Completed, "{}", yard.picture());
    }
    yard.keeps_the_laws();
}

#[test]
fn what_is_said_to_one_is_said_to_all() {
    let gate = json!({"approval": {"count": 1}});
    let mut yard = yard(json!({"stages": [{"name": "all", "clusters": {}, "gates": [gate]}]}));
    yard.commit(&["base", "web"]);
    yard.run(1);
    yard.say("web", &Command::Pause).unwrap();
    let phases =
        |yard: &Yard| ["base", "web"].map(|addon| yard.newest(addon).unwrap().phase.word());
    assert_eq!(phases(&yard), ["paused", "paused"]);
    yard.say("base", &Command::Resume).unwrap();
    yard.run(10);
    assert!(matches!(yard.waiting[&("web".into(), "prod-1".into())], WaitingOn::Approval { .. }));
    yard.say("base", &Command::Approve(Approving::default())).unwrap();
    assert!(matches!(
        yard.say("web", &Command::Approve(Approving::default())),
        Err(Refused::Twice { .. })
    ));
    yard.run(3);
    assert_eq!(phases(&yard), ["completed", "completed"], "{}", yard.picture());
    yard.commit(&["base", "web"]);
    yard.run(2);
    yard.say("base", &Command::Abort { goes_back: true }).unwrap();
    yard.run(30);
    assert_eq!(phases(&yard), ["rolled back", "rolled back"], "{}", yard.picture());
    yard.say("web", &Command::Retry).unwrap();
    yard.run(10);
    yard.say("web", &Command::Approve(Approving::default())).unwrap();
    yard.run(10);
    assert_eq!(phases(&yard), ["completed", "completed"], "{}", yard.picture());
    yard.keeps_the_laws();
}

/// What may happen to a train.
#[derive(Clone, Debug)]
enum Chance {
    Commit(Vec<bool>),
    Bad(usize, usize, u32),
    Down(usize, bool),
    Stumble(usize, usize, u32),
    Off(usize, usize),
    Crash,
    Say(usize, Command),
}

fn chance() -> impl Strategy<Value = Chance> {
    prop_oneof![
        prop::collection::vec(any::<bool>(), 3).prop_map(Chance::Commit),
        (0..3_usize, 0..5_usize, 2..6_u32).prop_map(|(a, c, d)| Chance::Bad(a, c, d)),
        (0..5_usize, any::<bool>()).prop_map(|(at, is)| Chance::Down(at, is)),
        (0..3_usize, 0..5_usize, 0..4_u32).prop_map(|(a, c, n)| Chance::Stumble(a, c, n)),
        (0..3_usize, 0..5_usize).prop_map(|(a, c)| Chance::Off(a, c)),
        Just(Chance::Crash),
        (0..3_usize, command_strategy()).prop_map(|(at, what)| Chance::Say(at, what)),
    ]
}

fn command_strategy() -> impl Strategy<Value = Command> {
    prop_oneof![
        Just(Command::Pause),
        Just(Command::Resume),
        any::<bool>().prop_map(|goes_back| Command::Abort { goes_back }),
        Just(Command::Retry),
        Just(Command::Promote),
        of_some_cluster().prop_map(|cluster| Command::RetryCluster { cluster }),
        of_some_cluster().prop_map(|cluster| Command::SkipCluster { cluster }),
    ]
}

impl Yard {
    fn befall(&mut self, chance: &Chance) {
        const ADDONS: [&str; 3] = ["base", "mon", "web"];
        let cluster = |yard: &Self, at: usize| yard.labels.keys().nth(at).cloned().unwrap();
        match chance {
            Chance::Commit(which) => {
                let chosen = ADDONS.iter().zip(which).filter(|(_, is)| **is);
                let chosen: Vec<&str> = chosen.map(|(name, _)| *name).collect();
                self.commit(&chosen);
            }
            Chance::Bad(addon, at, number) => {
                let cluster = cluster(self, *at);
                self.bad(ADDONS[*addon], cluster.as_str(), *number);
            }
            Chance::Down(at, true) => {
                let cluster = cluster(self, *at);
                self.on(&cluster).for_each(|one| one.is_down = true);
            }
            Chance::Down(at, false) => {
                let cluster = cluster(self, *at);
                self.on(&cluster).for_each(|one| one.is_down = false);
            }
            Chance::Stumble(addon, at, count) => {
                let cluster = cluster(self, *at);
                self.instance(ADDONS[*addon], cluster.as_str()).stumbles = *count;
            }
            Chance::Off(addon, at) => {
                let cluster = cluster(self, *at);
                let car = self.addons.get_mut(ADDONS[*addon]).unwrap();
                if !car.off.remove(&cluster) {
                    car.off.insert(cluster);
                }
                self.rev += 1;
            }
            Chance::Crash => {
                let cars = self.addons.values_mut();
                cars.flat_map(|car| car.instances.values_mut()).for_each(|one| one.attempt = None);
            }
            Chance::Say(at, what) => {
                // That it is refused is an answer as well.
                let _ = self.say(ADDONS[*at], what);
            }
        }
    }

    /// Every fault ends, and whoever has to say something does.
    fn heal(&mut self) {
        for one in self.addons.values_mut().flat_map(|car| car.instances.values_mut()) {
            one.bad.clear();
            one.stumbles = 0;
            one.is_down = false;
        }
    }

    fn unblock(&mut self) {
        for addon in ["base", "mon", "web"] {
            let Some(rollout) = self.newest(addon) else { continue };
            let what = if rollout.is_held() {
                Command::Resume
            } else if rollout.phase.is_ended() && !rollout.is_retried {
                Command::Retry
            } else {
                continue;
            };
            let _ = self.say(addon, &what);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn the_laws_hold_on_every_history_of_trains(
        policy in any_policy(),
        chances in prop::collection::vec((chance(), 0..6_u32), 0..20),
    ) {
        let mut yard = yard(json!({}));
        yard.policy = RolloutPolicySpec { train: true, windows: Vec::new(), ..policy };
        for stage in &mut yard.policy.stages {
            stage.gates.clear();
        }
        yard.commit(&["base", "web"]);
        for (chance, minutes) in &chances {
            yard.befall(chance);
            yard.run(*minutes);
        }
        yard.heal();
        for _ in 0..40 {
            yard.run(20);
            yard.unblock();
        }
        prop_assert_eq!(laws::check(&yard.log), vec![], "{}", yard.picture());
        for log in yard.logs() {
            let again = replay::replay(&log);
            prop_assert_eq!(&again.difference, &None, "{}", yard.picture());
        }
        for (addon, car) in &yard.addons {
            for (name, instance) in &car.instances {
                let is = instance.place.as_ref().and_then(|at| at.digest.clone());
                let wanted = yard.wish(addon).goals[name].digest.clone();
                prop_assert_eq!(is, wanted, "{}/{} {}", name, addon, yard.picture());
            }
        }
        let length = yard.log.len();
        yard.tick();
        prop_assert_eq!(yard.log.len(), length, "{}", yard.picture());
    }
}
