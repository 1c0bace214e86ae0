//! Tests of the state machine: pictures of single histories, and laws over random ones.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::laws;
use super::*;
use crate::base::clock::{Timestamp, after};
use crate::base::ids::ClusterName;
use crate::fleet::switch::SwitchPolicySpec;
use crate::rollout::{GateSeen, Verdict};

/// Two clusters, what is seen of them, and a hook that moves traffic.
#[derive(Clone)]
struct World {
    now: Timestamp,
    log: Vec<SwitchEvent>,
    switches: Switches,
    waiting: Option<Waiting>,
    blue_problem: Option<String>,
    green_problem: Option<String>,
    lacks: Vec<String>,
    gate: Verdict,
    /// How old everything is that is seen; none where nothing is.
    age: Option<Duration>,
    left: Left,
    hook: HookOutcome,
    /// Where traffic goes, by the number of the newest decision that was carried out.
    traffic: (u32, ClusterName),
    /// Each decision that was carried out, however often, with whether green was well at that time.
    carried: Vec<(Decision, bool)>,
}

fn policy(more: serde_json::Value) -> SwitchPolicySpec {
    let mut spec = json!({
        "clusters": {}, "pair": {"by": ["role"]},
        "switch": {"patch": {
            "apiVersion": "v1", "kind": "ConfigMap", "name": "traffic", "merge": {"data": {"to": "$(to)"}},
        }},
        "gates": [
            {"webhook": {"url": "https://example.org", "secret": {"env": "S"}, "interval": "10s"}},
            {"approval": {"count": 1}},
        ],
        "drain": "30m", "keep": "2days",
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    serde_json::from_value(spec).expect("a policy")
}

fn pair() -> PairId {
    PairId { policy: "batch".into(), labels: [("role".to_owned(), "x".to_owned())].into() }
}

impl World {
    fn new(policy: SwitchPolicySpec) -> Self {
        let now: Timestamp = "2027-01-15T08:00:00Z".parse().expect("a time");
        let mut world = Self {
            now,
            log: Vec::new(),
            switches: Switches::default(),
            waiting: None,
            blue_problem: None,
            green_problem: None,
            lacks: Vec::new(),
            gate: Verdict::Holds("yes".to_owned()),
            age: Some(Duration::ZERO),
            left: Left::default(),
            hook: HookOutcome::Done("patched".to_owned()),
            traffic: (0, "blue".into()),
            carried: Vec::new(),
        };
        let event = |switch: Option<SwitchId>, kind| SwitchEvent {
            kind,
            at: now,
            pair: pair(),
            switch,
            reason: None,
        };
        let serving = SwitchEventKind::Serving { cluster: "blue".into(), by: None };
        let started = SwitchEventKind::Started {
            blue: "blue".into(),
            green: "green".into(),
            revision: "r1".into(),
            policy: Box::new(policy),
        };
        let id = SwitchId { policy: "batch".into(), number: 1 };
        world.record(&[event(None, serving), event(Some(id), started)]);
        world
    }

    fn record(&mut self, events: &[SwitchEvent]) {
        for event in events {
            let broken = laws::check_next(&self.switches, event);
            assert!(broken.is_empty(), "{broken:?} by {event:?} after {}", self.told());
            self.switches.take(event);
            self.log.push(event.clone());
        }
    }

    fn switch(&self) -> &Switch {
        self.switches.iter().last().expect("one has begun")
    }

    fn seen(&self) -> Observation {
        let Some(age) = self.age else {
            return Observation { left: self.left, ..Observation::default() };
        };
        let observed_at = self.now.saturating_sub(age).expect("in range");
        let side =
            |problem: &Option<String>| Some(SideSeen { observed_at, problem: problem.clone() });
        let gate = GateSeen::new(observed_at, self.gate.clone());
        Observation {
            parity: self.green_problem.is_none().then(|| ParitySeen {
                observed_at,
                lacks: self.lacks.clone(),
                is_by_git: false,
            }),
            blue: side(&self.blue_problem),
            green: side(&self.green_problem),
            gates: BTreeMap::from([("webhook".to_owned(), gate)]),
            hook: None,
            left: self.left,
        }
    }

    /// One tick of a controller, which is killed at once after the hook where `dies`.
    fn tick(&mut self, dies: bool) {
        let mut seen = self.seen();
        let step = advance(self.switch(), &seen, self.now);
        self.record(&step.events);
        self.waiting = step.waiting;
        let Some(decision) = step.run else { return };
        self.carried.push((decision.clone(), self.green_problem.is_none()));
        if self.hook != HookOutcome::Open("nobody".to_owned()) && decision.number > self.traffic.0 {
            self.traffic = (decision.number, decision.to.clone());
        }
        if dies {
            return;
        }
        seen.hook = Some(HookSeen { number: decision.number, outcome: self.hook.clone() });
        let step = advance(self.switch(), &seen, self.now);
        self.record(&step.events);
        self.waiting = step.waiting;
    }

    fn pass(&mut self, seconds: u64) {
        self.now = after(self.now, Duration::from_secs(seconds));
    }

    fn say(&mut self, what: Command) -> Result<(), Refused> {
        let event = command(self.switch(), what, "ada", None, self.now)?;
        self.record(&[event]);
        Ok(())
    }

    /// As far as the wanted phase, with everything well.
    fn until(&mut self, word: &str) {
        for _ in 0..4_000 {
            if self.switch().phase.word() == word {
                return;
            }
            let _ = self.say(Command::Approve);
            self.tick(false);
            self.pass(60);
        }
        panic!("never {word}: {}", self.told());
    }

    fn told(&self) -> String {
        let line = |event: &SwitchEvent| {
            let to = match &event.kind {
                SwitchEventKind::Decided { number, to, .. } => format!(" {number} to {to}"),
                _ => String::new(),
            };
            let reason =
                event.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            format!("{} {}{to}{reason}", event.at.strftime("%d %H:%M"), event.kind.name())
        };
        let lines: Vec<String> = self.log.iter().map(line).collect();
        let waits =
            self.waiting.as_ref().map(|waits| format!("\nwaits for {waits}")).unwrap_or_default();
        format!("{}{waits}", lines.join("\n"))
    }
}

#[test]
fn a_cluster_is_replaced_once_it_is_at_parity() {
    let mut world = World::new(policy(json!({})));
    world.lacks = vec!["web is not ready on green: it is not installed".to_owned()];
    world.tick(false);
    assert_eq!(
        world.waiting.as_ref().expect("it waits").to_string(),
        "parity: web is not ready on green: it is not installed"
    );
    world.lacks.clear();
    world.pass(60);
    world.tick(false);
    world.pass(60);
    world.tick(false);
    assert_eq!(world.waiting, Some(Waiting::Approval { have: 0, need: 1 }));
    assert_eq!(world.traffic.1.as_str(), "blue");
    world.until("done");
    insta::assert_snapshot!(world.told());
    assert_eq!(world.traffic.1.as_str(), "green");
    assert_eq!(world.switches.pairs[&pair()].serving, Some("green".into()));
}

#[test]
fn a_broken_gate_stops_it_and_parity_that_is_lost_takes_approvals_with_it() {
    let mut world = World::new(policy(json!({})));
    world.tick(false);
    world.pass(60);
    world.say(Command::Approve).expect("it is at the gates");
    world.lacks = vec!["web differs".to_owned()];
    world.tick(false);
    world.lacks.clear();
    world.pass(60);
    world.tick(false);
    assert!(world.switch().approvals.is_empty());
    world.gate = Verdict::Broken("errors".to_owned());
    world.pass(60);
    world.tick(false);
    assert_eq!(world.switch().phase, Phase::Stopped);
    world.gate = Verdict::Holds("fine".to_owned());
    world.say(Command::Retry).expect("it was stopped");
    world.until("draining");
    insta::assert_snapshot!(world.told());
}

#[test]
fn a_green_that_fails_while_it_is_watched_loses_its_traffic() {
    let mut world = World::new(policy(json!({})));
    world.until("draining");
    world.green_problem = Some("web: 0 of 3 pods are ready".to_owned());
    world.tick(false);
    world.pass(30);
    world.tick(false);
    assert_eq!(world.traffic.1.as_str(), "green", "it may be unwell for a minute");
    world.pass(40);
    world.tick(false);
    assert_eq!((world.switch().phase.word(), world.traffic.1.as_str()), ("back", "blue"));
    insta::assert_snapshot!(world.told());
}

#[test]
fn traffic_does_not_go_back_by_itself_to_a_cluster_that_is_not_well() {
    let mut world = World::new(policy(json!({"failAfter": "0s"})));
    world.until("draining");
    world.blue_problem = Some("it does not answer".to_owned());
    world.green_problem = Some("web: 0 of 3 pods are ready".to_owned());
    world.tick(false);
    assert_eq!(world.traffic.1.as_str(), "green");
    assert!(
        matches!(&world.waiting, Some(Waiting::Health { cluster, .. }) if cluster.as_str() == "blue")
    );
    // Somebody may know better.
    world.say(Command::Back).expect("it is always possible");
    world.tick(false);
    assert_eq!(world.traffic.1.as_str(), "blue");
}

#[test]
fn going_back_is_possible_from_the_switch_to_the_end_of_the_keeping() {
    for (word, possible) in [
        ("bringing up", false),
        ("at the gates", false),
        ("switching", true),
        ("draining", true),
        ("kept", true),
        ("done", false),
    ] {
        let mut world = World::new(policy(json!({})));
        if word == "switching" {
            world.hook = HookOutcome::Open("nobody".to_owned());
        }
        world.until(word);
        world.hook = HookOutcome::Done("patched".to_owned());
        assert_eq!(world.say(Command::Back).is_ok(), possible, "{word}");
        if possible {
            world.tick(false);
            assert_eq!((world.switch().phase.word(), world.traffic.1.as_str()), ("back", "blue"));
        }
    }
}

#[test]
fn a_green_that_is_lost_between_decision_and_hook_gets_no_traffic() {
    let mut world = World::new(policy(json!({})));
    world.hook = HookOutcome::Open("nobody".to_owned());
    world.until("switching");
    world.hook = HookOutcome::Done("patched".to_owned());
    world.pass(3 * 3600);
    world.age = None;
    world.tick(false);
    assert!(matches!(world.waiting, Some(Waiting::Look { .. })));
    world.age = Some(Duration::ZERO);
    world.green_problem = Some("it does not answer".to_owned());
    world.tick(false);
    assert_eq!((world.switch().phase.word(), world.traffic.1.as_str()), ("back", "blue"));
}

#[test]
fn a_hook_that_fails_half_way_is_taken_back() {
    let mut world = World::new(policy(json!({})));
    world.hook = HookOutcome::Open("nobody".to_owned());
    world.until("switching");
    world.hook = HookOutcome::Failed("no such zone".to_owned());
    world.tick(false);
    world.hook = HookOutcome::Done("patched".to_owned());
    world.tick(false);
    assert_eq!((world.switch().phase.word(), world.traffic.1.as_str()), ("back", "blue"));
    let mut world = World::new(policy(json!({"onFailure": "stay"})));
    world.hook = HookOutcome::Failed("no such zone".to_owned());
    world.until("failed");
    world.tick(false);
    assert!(matches!(world.waiting, Some(Waiting::Decision { .. })));
}

/// Something that happens to the world.
#[derive(Clone, Debug)]
enum Happening {
    Pass(u64),
    Tick,
    Die,
    Blue(bool),
    Green(bool),
    Parity(bool),
    Gate(u8),
    Age(Option<u64>),
    Hook(u8),
    Say(u8),
    Leave(bool, bool),
}

fn happening() -> impl Strategy<Value = Happening> {
    use Happening as H;
    prop_oneof![
        4 => prop_oneof![1_u64..200, 1_000_u64..3_000, 50_000_u64..200_000].prop_map(H::Pass),
        10 => Just(H::Tick),
        2 => Just(H::Die),
        1 => any::<bool>().prop_map(H::Blue),
        2 => any::<bool>().prop_map(H::Green),
        2 => any::<bool>().prop_map(H::Parity),
        2 => (0_u8..4).prop_map(H::Gate),
        2 => prop_oneof![Just(None), Just(Some(0)), (0_u64..400).prop_map(Some)].prop_map(H::Age),
        2 => (0_u8..4).prop_map(H::Hook),
        4 => (0_u8..4).prop_map(H::Say),
        1 => (prop::bool::weighted(0.05), prop::bool::weighted(0.05)).prop_map(|(a, b)| H::Leave(a, b)),
    ]
}

impl World {
    fn happen(&mut self, what: &Happening) {
        let problem = |is_well: bool| (!is_well).then(|| "unwell".to_owned());
        match what {
            Happening::Pass(seconds) => self.pass(*seconds),
            Happening::Tick => self.tick(false),
            Happening::Die => self.tick(true),
            Happening::Blue(is_well) => self.blue_problem = problem(*is_well),
            Happening::Green(is_well) => self.green_problem = problem(*is_well),
            Happening::Parity(is_there) => self.lacks = problem(*is_there).into_iter().collect(),
            Happening::Gate(0) => self.gate = Verdict::Broken("no".to_owned()),
            Happening::Gate(1) => self.gate = Verdict::Unknown("?".to_owned()),
            Happening::Gate(_) => self.gate = Verdict::Holds("yes".to_owned()),
            Happening::Age(age) => self.age = age.map(Duration::from_secs),
            Happening::Hook(0) => self.hook = HookOutcome::Failed("no".to_owned()),
            Happening::Hook(1) => self.hook = HookOutcome::Open("nobody".to_owned()),
            Happening::Hook(_) => self.hook = HookOutcome::Done("patched".to_owned()),
            Happening::Say(0) => drop(self.say(Command::Back)),
            Happening::Say(1) => drop(self.say(Command::Retry)),
            Happening::Say(_) => drop(self.say(Command::Approve)),
            Happening::Leave(blue, green) => self.left = Left { blue: *blue, green: *green },
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_laws_hold_on_every_history(happenings in prop::collection::vec(happening(), 1..120)) {
        let mut world = World::new(policy(json!({})));
        for what in &happenings {
            world.happen(what);
            let pair = &world.switches.pairs[&pair()];
            // Where nothing is on its way, traffic goes where the record says.
            let is_moving = matches!(world.switch().phase, Phase::Switching { .. } | Phase::Failed { .. });
            let is_sure = !world.carried.is_empty()
                && !matches!(world.hook, HookOutcome::Failed(_))
                && !is_moving
                && world.log.iter().all(|event| !matches!(event.kind, SwitchEventKind::HookFailed { .. }));
            if is_sure {
                prop_assert_eq!(pair.serving.as_ref(), Some(&world.traffic.1), "{}", world.told());
            }
        }
        prop_assert_eq!(laws::check(&world.log), Vec::<String>::new());
        // The hook is only ever run for the decision that is on record, and numbers never go down.
        let numbers: Vec<u32> = world.carried.iter().map(|(decision, _)| decision.number).collect();
        prop_assert!(numbers.is_sorted(), "{:?}", numbers);
        prop_assert_eq!(&Switches::of(&world.log), &world.switches);
        // What is recorded is read as it was written.
        let text = serde_json::to_string(&world.log).expect("it is JSON");
        let read: Vec<SwitchEvent> = serde_json::from_str(&text).expect("it is read");
        prop_assert_eq!(&read, &world.log);
    }

    #[test]
    fn once_all_is_well_it_ends_or_waits_for_somebody(
        happenings in prop::collection::vec(happening(), 1..120)
    ) {
        let mut world = World::new(policy(json!({})));
        for what in &happenings {
            world.happen(what);
        }
        (world.blue_problem, world.green_problem, world.lacks) = (None, None, Vec::new());
        world.left = Left::default();
        world.gate = Verdict::Holds("yes".to_owned());
        world.hook = HookOutcome::Done("patched".to_owned());
        world.age = Some(Duration::ZERO);
        for _ in 0..3_200 {
            if world.switch().phase.is_ended() {
                break;
            }
            let _ = world.say(Command::Approve);
            world.tick(false);
            world.pass(60);
        }
        let is_held = world.waiting.as_ref().is_some_and(Waiting::is_held);
        prop_assert!(world.switch().phase.is_ended() || is_held, "{}", world.told());
    }

    #[test]
    fn a_green_that_is_not_well_never_gets_traffic(
        happenings in prop::collection::vec(happening(), 1..120)
    ) {
        let mut world = World::new(policy(json!({})));
        for what in &happenings {
            // Here what is seen is what is so.
            let what = if let Happening::Age(_) = what { &Happening::Tick } else { what };
            world.happen(what);
        }
        for (decision, was_well) in &world.carried {
            prop_assert!(decision.to.as_str() == "blue" || *was_well, "{}", world.told());
        }
    }
}
