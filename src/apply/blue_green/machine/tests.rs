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
    to: Option<Side>,
    /// In the order of [`Side::ALL`].
    sides: [Option<Beside>; 3],
    shares: Shares,
    log: Vec<Next>,
}

const KEEP_FOR: i64 = 100;

const BLUE: Side = Side::Of(Slot::Blue);
const GREEN: Side = Side::Of(Slot::Green);

fn index(side: Side) -> usize {
    Side::ALL.iter().position(|one| *one == side).unwrap()
}

fn green(weight: u32) -> Split {
    Split { to: GREEN, weight, rest: Some(BLUE) }
}

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
            to: None,
            sides: [None, None, None],
            shares: Shares::default(),
            log: Vec::new(),
        }
    }

    /// With a release from before the strategy, which has all of the traffic.
    fn with_plain() -> Self {
        let plain = Beside {
            digest: Some("before".into()),
            is_deployed: true,
            mark: None,
            health: Health::ready("is"),
            can_serve: true,
        };
        let shares = Shares { of: [100, 0, 0], is_mixed: false };
        Self { sides: [Some(plain), None, None], shares, ..Self::new() }
    }

    fn side(&mut self, side: Side) -> &mut Option<Beside> {
        &mut self.sides[index(side)]
    }

    fn active(&self) -> Option<(Side, Timestamp)> {
        let of = |side: Side| match self.sides[index(side)].as_ref()?.mark.as_ref()? {
            Mark::Active { since } => Some((side, *since)),
            _ => None,
        };
        let active = Side::ALL.into_iter().filter_map(of).max_by_key(|(_, since)| *since);
        active.or_else(|| {
            let plain = self.sides[0].as_ref()?;
            let is_at_it = matches!(plain.mark, None | Some(Mark::Kept { .. }));
            is_at_it.then(|| (Side::Plain, at(0)))
        })
    }

    fn next(&self) -> Next {
        let there = Side::ALL.into_iter().zip(&self.sides);
        next(&View {
            goal: self.to.map_or(Goal::Digest(&self.goal), Goal::Side),
            way: &self.way,
            at_once: self.at_once,
            timeout: Duration::from_mins(1),
            keep_for: Duration::from_secs(KEEP_FOR as u64),
            now: at(self.now),
            there: there.filter_map(|(side, one)| Some((side, one.clone()?))).collect(),
            active: self.active(),
            shares: self.shares,
        })
    }

    /// Does one step, and checks the laws at it. Tells whether there is more to do now.
    fn step(&mut self) -> bool {
        let next = self.next();
        let goal = self.goal.clone();
        match &next {
            Next::Install(side) => {
                let is_elsewhere = self.active().is_none_or(|(active, _)| {
                    active == *side || self.shares.is(Split::all(active))
                });
                assert!(is_elsewhere, "installed with traffic");
                let before = self.side(*side).take();
                *self.side(*side) = Some(Beside {
                    digest: Some(goal),
                    is_deployed: true,
                    mark: before.and_then(|before| before.mark),
                    health: Health::progressing("starts"),
                    can_serve: false,
                });
            }
            Next::Shift(split) => {
                let active = self.active().map(|(active, _)| active);
                for side in Side::ALL {
                    let gets_more = self.shares.of(side) < split.weight_of(side);
                    let one = self.sides[index(side)].as_ref();
                    let is_ready = one.is_some_and(|one| one.health.is_ready());
                    let may = is_ready || active == Some(side);
                    assert!(!gets_more || may, "traffic to one that is not ready");
                }
                let of = Side::ALL.map(|side| split.weight_of(side));
                assert_eq!(of.iter().sum::<u32>(), 100, "weights add up");
                self.shares = Shares { of, is_mixed: false };
            }
            Next::Mark { side, mark } => {
                self.side(*side).as_mut().expect("it is there").mark = Some(mark.clone());
            }
            Next::Remove { side, .. } => {
                let active = self.active().map(|(active, _)| active);
                assert!(active != Some(*side), "the active one was removed");
                assert!(active.is_none() || self.shares.of(*side) == 0, "removed with traffic");
                let one = self.side(*side).take().expect("it is there");
                let is_settled = active.is_some_and(|active| {
                    let active = self.sides[index(active)].as_ref();
                    active.unwrap().digest.as_ref() == Some(&self.goal)
                });
                if let (Some(Mark::Kept { until, .. }), true) = (&one.mark, is_settled) {
                    assert!(*until <= at(self.now), "removed before its time");
                }
            }
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

    fn set_health(&mut self, side: Side, health: Health) {
        if let Some(one) = self.side(side) {
            one.can_serve = health.is_ready();
            one.health = health;
        }
    }

    /// Everything gets ready and time passes, until nothing is left to do.
    fn settle(&mut self) -> Next {
        for _ in 0..50 {
            for side in Side::ALL {
                self.set_health(side, Health::ready("is"));
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

fn done(active: Side) -> impl Fn(&Next) -> bool {
    move |next| matches!(next, Next::Done { active: one, .. } if *one == active)
}

#[test]
fn the_first_release_gets_all_of_the_traffic_once_it_is_ready() {
    let mut world = World::new();
    assert!(matches!(world.run(), Next::Wait { on: On::Health { .. }, .. }));
    assert_eq!(world.shares.of(BLUE), 0);
    assert!(done(BLUE)(&world.settle()));
    assert!(world.shares.is(Split::all(BLUE)));
}

#[test]
fn a_new_release_gets_traffic_in_steps_and_the_old_one_is_kept_for_its_time() {
    let mut world = World::new();
    world.settle();
    world.goal = "two".into();
    world.log.clear();
    world.run();
    world.set_health(GREEN, Health::ready("is"));
    assert!(matches!(world.run(), Next::Wait { on: On::Soak { step: 1, weight: 10 }, .. }));
    world.now += 29;
    assert!(matches!(world.run(), Next::Wait { on: On::Soak { step: 1, .. }, .. }));
    world.now += 1;
    assert!(matches!(world.run(), Next::Wait { on: On::Soak { step: 2, weight: 50 }, .. }));
    world.now += 30;
    assert!(done(GREEN)(&world.run()));
    assert!(world.shares.is(Split::all(GREEN)) && world.sides[1].is_some());
    world.now += KEEP_FOR;
    world.run();
    assert!(world.sides[1].is_none());
}

#[test]
fn a_soak_begins_again_when_health_or_the_weights_are_lost() {
    let mut world = World::new();
    world.settle();
    world.goal = "two".into();
    world.run();
    world.set_health(GREEN, Health::ready("is"));
    world.run();
    world.now += 20;
    world.set_health(GREEN, Health::progressing("restarts"));
    assert!(matches!(world.run(), Next::Wait { on: On::Health { .. }, .. }));
    assert!(world.shares.is(Split::all(BLUE)), "nothing goes where no pod is ready");
    world.now += 20;
    world.set_health(GREEN, Health::ready("is"));
    world.run();
    assert!(world.shares.is(green(10)));
    world.now += 20;
    world.shares = Shares { of: [0, 100, 0], is_mixed: false };
    let Next::Wait { on: On::Soak { step: 1, .. }, until, .. } = world.run() else { panic!() };
    assert_eq!(until, at(world.now + 30));
    assert!(world.shares.is(green(10)));
}

#[test]
fn what_fails_gives_all_of_the_traffic_back_before_it_goes() {
    let mut world = World::new();
    world.settle();
    world.goal = "two".into();
    world.run();
    world.set_health(GREEN, Health::ready("is"));
    world.run();
    world.set_health(GREEN, Health::failed("it crashed"));
    world.log.clear();
    while !matches!(world.log.last(), Some(Next::Remove { .. })) {
        world.step();
    }
    let Some(Next::Remove { side: GREEN, given_up: Some(reason) }) = world.log.last() else {
        panic!("{:?}", world.log)
    };
    assert_eq!(reason, "not healthy at step 1 of the traffic: it crashed");
    assert!(world.shares.is(Split::all(BLUE)));
}

#[test]
fn the_kept_release_gets_its_traffic_back_without_steps() {
    let mut world = World::new();
    world.settle();
    world.goal = "two".into();
    world.settle();
    world.goal = "one".into();
    world.log.clear();
    assert!(done(BLUE)(&world.run()));
    assert!(!world.log.iter().any(|next| matches!(next, Next::Install(_) | Next::Wait { .. })));
    assert!(world.shares.is(Split::all(BLUE)));
}

#[test]
fn one_that_makes_more_pods_keeps_its_traffic_and_one_that_stalls_does_not() {
    let mut world = World::new();
    world.settle();
    world.goal = "two".into();
    world.run();
    world.set_health(GREEN, Health::ready("is"));
    world.run();
    world.set_health(GREEN, Health::progressing("2 of 3"));
    world.side(GREEN).as_mut().unwrap().can_serve = true;
    world.run();
    assert!(world.shares.is(green(10)));
    world.set_health(GREEN, Health::stalled("it crashes"));
    world.side(GREEN).as_mut().unwrap().can_serve = true;
    assert!(matches!(world.run(), Next::Wait { on: On::Health { .. }, .. }));
    assert!(world.shares.is(Split::all(BLUE)));
}

#[test]
fn a_release_from_before_gives_its_traffic_in_steps_and_stays_for_its_time() {
    let mut world = World::with_plain();
    world.run();
    world.set_health(BLUE, Health::ready("is"));
    assert!(matches!(world.run(), Next::Wait { on: On::Soak { step: 1, weight: 10 }, .. }));
    assert_eq!(world.shares.of, [90, 10, 0]);
    // What fails goes, and the one from before is as it was.
    world.set_health(BLUE, Health::failed("it crashed"));
    while !matches!(world.log.last(), Some(Next::Remove { side: BLUE, given_up: Some(_) })) {
        world.step();
    }
    assert_eq!(world.shares.of, [100, 0, 0]);
    assert!(done(BLUE)(&world.settle()));
    let until = at(world.now + KEEP_FOR);
    assert!(matches!(
        world.run(),
        Next::Done { kept: Some((Side::Plain, kept)), .. } if kept <= until
    ));
    // It gets everything back while it is there.
    world.to = Some(Side::Plain);
    world.at_once = true;
    assert!(done(Side::Plain)(&world.run()));
    assert_eq!(world.shares.of, [100, 0, 0]);
    (world.to, world.at_once) = (None, false);
    assert!(done(BLUE)(&world.settle()));
    world.now += KEEP_FOR + 1;
    world.run();
    assert!(world.sides[0].is_none());
}

/// What may happen between two steps.
#[derive(Clone, Debug)]
enum Event {
    Steps(usize),
    Pass(i64),
    Health(Side, u8),
    Goal(u8),
    Meddle(u32),
    AtOnce(bool),
}

fn event() -> impl Strategy<Value = Event> {
    let side = || prop_oneof![Just(Side::Plain), Just(BLUE), Just(GREEN)];
    prop_oneof![
        4 => (1..6_usize).prop_map(Event::Steps),
        2 => (1..90_i64).prop_map(Event::Pass),
        3 => (side(), 0..4_u8).prop_map(|(side, health)| Event::Health(side, health)),
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
        has_plain in any::<bool>(),
        events in prop::collection::vec(event(), 0..60)
    ) {
        let mut world = if has_plain { World::with_plain() } else { World::new() };
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
                Event::Health(side, health) => world.set_health(side, match health {
                    0 => Health::progressing("p"),
                    1 => Health::stalled("s"),
                    2 => Health::failed("f"),
                    _ => Health::ready("r"),
                }),
                Event::Goal(goal) => world.goal = ["one", "two", "three"][goal as usize].into(),
                Event::Meddle(blue) => {
                    world.shares = Shares { of: [0, blue, 100 - blue], is_mixed: false };
                }
                Event::AtOnce(at_once) => world.at_once = at_once,
            }
        }
        let last = world.settle();
        let Next::Done { active, .. } = last else { panic!("{last:?}") };
        prop_assert!(world.shares.is(Split::all(active)));
        let goal = world.goal.clone();
        prop_assert_eq!(world.sides[index(active)].as_ref().unwrap().digest.as_ref(), Some(&goal));
    }
}
