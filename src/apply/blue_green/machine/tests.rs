//! The machine over a model of the cluster: whatever happens in between, and whoever is killed when.

use proptest::prelude::*;

use super::*;
use crate::fleet::model::HumanDuration;

/// A model of what stands on the cluster.
struct World {
    now: i64,
    goal: Digest,
    way: Vec<TrafficStep>,
    at_once: bool,
    slots: [Option<Beside>; 2],
    shares: Shares,
    log: Vec<Next>,
}

const KEEP_FOR: i64 = 100;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn way() -> Vec<TrafficStep> {
    let step = |weight, soak| TrafficStep {
        weight,
        soak: Some(HumanDuration(Duration::from_secs(soak))),
        checks: Vec::new(),
    };
    vec![step(0, 0), step(10, 30), step(50, 30), step(100, 0)]
}

impl World {
    fn new() -> Self {
        Self {
            now: 1_000,
            goal: "one".into(),
            way: way(),
            at_once: false,
            slots: [None, None],
            shares: Shares::default(),
            log: Vec::new(),
        }
    }

    fn slot(&mut self, slot: Slot) -> &mut Option<Beside> {
        &mut self.slots[slot as usize]
    }

    fn active(&self) -> Option<(Slot, Timestamp)> {
        let of = |slot: Slot| match self.slots[slot as usize].as_ref()?.mark.as_ref()? {
            Mark::Active { since } => Some((slot, *since)),
            _ => None,
        };
        Slot::ALL.into_iter().filter_map(of).max_by_key(|(_, since)| *since)
    }

    fn next(&self) -> Next {
        next(&View {
            goal: &self.goal,
            way: &self.way,
            at_once: self.at_once,
            timeout: Duration::from_secs(60),
            keep_for: Duration::from_secs(KEEP_FOR as u64),
            now: at(self.now),
            blue: self.slots[0].clone(),
            green: self.slots[1].clone(),
            active: self.active(),
            has_plain: false,
            shares: self.shares,
        })
    }

    /// Does one step, and checks the laws at it. Tells whether there is more to do now.
    fn step(&mut self) -> bool {
        let next = self.next();
        let goal = self.goal.clone();
        match &next {
            Next::Install(slot) => {
                let before = self.slot(*slot).take();
                *self.slot(*slot) = Some(Beside {
                    digest: Some(goal),
                    is_deployed: true,
                    mark: before.and_then(|before| before.mark),
                    health: Health::progressing("starts"),
                });
            }
            Next::Shift { to, weight } => {
                let to = *to;
                let is_active = self.active().is_some_and(|(active, _)| active == to);
                let gets_more = self.shares.of(to) < *weight;
                let is_ready =
                    self.slots[to as usize].as_ref().is_some_and(|one| one.health.is_ready());
                assert!(!gets_more || is_ready || is_active, "traffic to one that is not ready");
                let (blue, green) = match to {
                    Slot::Blue => (*weight, 100 - weight),
                    Slot::Green => (100 - weight, *weight),
                };
                self.shares = Shares { blue, green, is_mixed: false };
            }
            Next::Mark { slot, mark } => {
                self.slot(*slot).as_mut().expect("it is there").mark = Some(mark.clone());
            }
            Next::Remove { slot, .. } => {
                let has_another = self.active().is_some_and(|(active, _)| active != *slot);
                assert!(!has_another || self.shares.of(*slot) == 0, "removed with traffic");
                let is_active = self.active().is_some_and(|(active, _)| active == *slot);
                assert!(!is_active, "the active one was removed");
                let one = self.slot(*slot).take().expect("it is there");
                let is_settled = self.active().is_some_and(|(active, _)| {
                    self.slots[active as usize].as_ref().unwrap().digest.as_ref()
                        == Some(&self.goal)
                });
                if let (Some(Mark::Kept { until, .. }), true) = (&one.mark, is_settled) {
                    assert!(*until <= at(self.now), "removed before its time");
                }
            }
            Next::RemovePlain => panic!("there is none"),
            Next::Wait { .. } | Next::Done { .. } => {
                self.log.push(next);
                return false;
            }
        }
        self.log.push(next);
        true
    }

    /// Does all that can be done now.
    fn run(&mut self) -> Next {
        for _ in 0..50 {
            if !self.step() {
                return self.log.last().unwrap().clone();
            }
        }
        panic!("goes round in circles: {:?}", self.log);
    }

    fn set_health(&mut self, slot: Slot, health: Health) {
        if let Some(one) = self.slot(slot) {
            one.health = health;
        }
    }

    /// Everything gets ready and time passes, until nothing is left to do.
    fn settle(&mut self) -> Next {
        for _ in 0..50 {
            for slot in Slot::ALL {
                self.set_health(slot, Health::ready("is"));
            }
            let last = self.run();
            if matches!(last, Next::Done { .. }) {
                return last;
            }
            self.now += 30;
        }
        panic!("never settles: {:?}", self.log);
    }
}

fn done(active: Slot) -> impl Fn(&Next) -> bool {
    move |next| matches!(next, Next::Done { active: one, .. } if *one == active)
}

#[test]
fn the_first_release_gets_all_of_the_traffic_once_it_is_ready() {
    let mut world = World::new();
    assert!(matches!(world.run(), Next::Wait { on: On::Health { .. }, .. }));
    assert_eq!(world.shares.of(Slot::Blue), 0);
    assert!(done(Slot::Blue)(&world.settle()));
    assert!(world.shares.is(Slot::Blue, 100));
}

#[test]
fn a_new_release_gets_traffic_in_steps_and_the_old_one_is_kept_for_its_time() {
    let mut world = World::new();
    world.settle();
    world.goal = "two".into();
    world.log.clear();
    world.run();
    world.set_health(Slot::Green, Health::ready("is"));
    assert!(matches!(world.run(), Next::Wait { on: On::Soak { step: 1, weight: 10 }, .. }));
    world.now += 29;
    assert!(matches!(world.run(), Next::Wait { on: On::Soak { step: 1, .. }, .. }));
    world.now += 1;
    assert!(matches!(world.run(), Next::Wait { on: On::Soak { step: 2, weight: 50 }, .. }));
    world.now += 30;
    assert!(done(Slot::Green)(&world.run()));
    assert!(world.shares.is(Slot::Green, 100) && world.slots[0].is_some());
    world.now += KEEP_FOR;
    world.run();
    assert!(world.slots[0].is_none());
}

#[test]
fn a_soak_begins_again_when_health_or_the_weights_are_lost() {
    let mut world = World::new();
    world.settle();
    world.goal = "two".into();
    world.run();
    world.set_health(Slot::Green, Health::ready("is"));
    world.run();
    world.now += 20;
    world.set_health(Slot::Green, Health::progressing("restarts"));
    assert!(matches!(world.run(), Next::Wait { on: On::Health { .. }, .. }));
    world.now += 20;
    world.set_health(Slot::Green, Health::ready("is"));
    world.run();
    world.now += 20;
    world.shares = Shares { blue: 100, green: 0, is_mixed: false };
    let Next::Wait { on: On::Soak { step: 1, .. }, until, .. } = world.run() else { panic!() };
    assert_eq!(until, at(world.now + 30));
    assert!(world.shares.is(Slot::Green, 10));
}

#[test]
fn what_fails_gives_all_of_the_traffic_back_before_it_goes() {
    let mut world = World::new();
    world.settle();
    world.goal = "two".into();
    world.run();
    world.set_health(Slot::Green, Health::ready("is"));
    world.run();
    world.set_health(Slot::Green, Health::failed("it crashed"));
    world.log.clear();
    while !matches!(world.log.last(), Some(Next::Remove { .. })) {
        world.step();
    }
    let Some(Next::Remove { slot: Slot::Green, given_up: Some(reason) }) = world.log.last() else {
        panic!("{:?}", world.log)
    };
    assert_eq!(reason, "not healthy at step 1 of the traffic: it crashed");
    assert!(world.shares.is(Slot::Blue, 100));
}

#[test]
fn the_kept_release_gets_its_traffic_back_without_steps() {
    let mut world = World::new();
    world.settle();
    world.goal = "two".into();
    world.settle();
    world.goal = "one".into();
    world.log.clear();
    assert!(done(Slot::Blue)(&world.run()));
    assert!(!world.log.iter().any(|next| matches!(next, Next::Install(_) | Next::Wait { .. })));
    assert!(world.shares.is(Slot::Blue, 100));
}

/// What may happen between two steps.
#[derive(Clone, Debug)]
enum Event {
    Steps(usize),
    Pass(i64),
    Health(Slot, u8),
    Goal(u8),
    Meddle(u32),
    AtOnce(bool),
}

fn event() -> impl Strategy<Value = Event> {
    let slot = || prop_oneof![Just(Slot::Blue), Just(Slot::Green)];
    prop_oneof![
        4 => (1..6_usize).prop_map(Event::Steps),
        2 => (1..90_i64).prop_map(Event::Pass),
        3 => (slot(), 0..4_u8).prop_map(|(slot, health)| Event::Health(slot, health)),
        1 => (0..3_u8).prop_map(Event::Goal),
        1 => (0..=100_u32).prop_map(Event::Meddle),
        1 => any::<bool>().prop_map(Event::AtOnce),
    ]
}

proptest! {
    /// The laws of [`World::step`] hold at each step of any history, a crash being no more than a
    /// step that is not followed by the next; and in the end the instance is at its goal.
    #[test]
    fn whatever_happens_the_laws_hold_and_it_gets_there(
        events in prop::collection::vec(event(), 0..60)
    ) {
        let mut world = World::new();
        for event in events {
            match event {
                Event::Steps(count) => {
                    for _ in 0..count {
                        if !world.step() {
                            break;
                        }
                    }
                }
                Event::Pass(seconds) => world.now += seconds,
                Event::Health(slot, health) => world.set_health(slot, match health {
                    0 => Health::progressing("p"),
                    1 => Health::stalled("s"),
                    2 => Health::failed("f"),
                    _ => Health::ready("r"),
                }),
                Event::Goal(goal) => world.goal = ["one", "two", "three"][goal as usize].into(),
                Event::Meddle(blue) => {
                    world.shares = Shares { blue, green: 100 - blue, is_mixed: false };
                }
                Event::AtOnce(at_once) => world.at_once = at_once,
            }
        }
        let last = world.settle();
        let Next::Done { active, .. } = last else { panic!("{last:?}") };
        prop_assert!(world.shares.is(active, 100));
        let goal = world.goal.clone();
        prop_assert_eq!(world.slots[active as usize].as_ref().unwrap().digest.as_ref(), Some(&goal));
    }
}
