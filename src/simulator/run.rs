//! One history, from its first commit until everything is at rest.

use std::time::Duration;

use super::truth;
use super::world::World;
use super::{Scenario, Verdict};
use crate::base::ids::{ClusterName, InstanceKey};
use crate::rollout::Event;
use crate::rollout::replay::replay;

/// How long the last act is left alone before faults stop.
const AFTERMATH: Duration = Duration::from_mins(3);
/// How often the liveness phase looks, and people answer what asks for them.
const LOOK_EVERY: Duration = Duration::from_mins(1);
/// When the liveness phase gives up.
const PATIENCE: Duration = Duration::from_hours(3);
/// How long nothing may be written once everything is at rest: longer than any interval.
const QUIET: Duration = Duration::from_mins(7);

/// The verdict on a seed. Blocks.
pub fn check(seed: u64) -> Verdict {
    play(&Scenario::draw(seed))
}

/// The verdict on a history. Blocks.
pub fn play(scenario: &Scenario) -> Verdict {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without IO needs nothing of the system");
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        let world = World::begin(scenario).await;
        perform(&world, scenario).await;
        settle(&world).await;
        world.end();
        Verdict { broken: world.court.broken(), log: world.log(), counts: world.court.counts() }
    })
}

fn is_over(world: &World) -> bool {
    if world.has_panicked() {
        world.court.accuse(8, "a controller panicked".to_owned());
    }
    world.court.broken().is_some()
}

/// The safety phase.
async fn perform(world: &World, scenario: &Scenario) {
    for act in &scenario.acts {
        let wait = act.at.saturating_sub(world.clock.elapsed());
        tokio::time::sleep(wait).await;
        if is_over(world) {
            return;
        }
        world.act(&act.what).await;
    }
    tokio::time::sleep(AFTERMATH).await;
}

/// The liveness phase.
async fn settle(world: &World) {
    if is_over(world) {
        return;
    }
    world.calm();
    let until = world.clock.elapsed() + PATIENCE;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if is_over(world) {
            return;
        }
        world.speak();
        let Some(open) = unsettled(world) else { break };
        if world.clock.elapsed() >= until {
            world.court.accuse(10, open);
            return;
        }
    }
    let before = world.court.writes();
    tokio::time::sleep(QUIET).await;
    if is_over(world) {
        return;
    }
    let after = world.court.writes();
    if after != before {
        let what = format!("{} writes after everything was at rest", after - before);
        world.court.accuse(10, what);
    }
    if let Some(open) = unsettled(world) {
        world.court.accuse(10, format!("it was at rest, and then: {open}"));
    }
    decide_again(world);
}

/// Whoever reads the log must come to the decisions of whoever wrote it.
fn decide_again(world: &World) {
    for (id, log) in world.logs() {
        if let Some(difference) = replay(&log).difference {
            let (recorded, decided) = (difference.recorded, difference.decided);
            let kind = |event: Option<Event>| event.map(|event| event.kind);
            let what = format!(
                "event {} of {id} is decided otherwise from its log: {:?}, and now {:?}",
                difference.index + 1,
                kind(recorded),
                kind(decided)
            );
            world.court.accuse(8, what);
        }
    }
}

/// What is not as the newest commit wants it.
fn unsettled(world: &World) -> Option<String> {
    let status = world.status();
    if status.rev.as_ref() != Some(&world.git.newest_rev()) {
        return Some("the newest commit was not read".to_owned());
    }
    let fleet = world.git.newest();
    for name in fleet.clusters.keys() {
        let cluster = world.clusters.get(name.as_str())?;
        let addons = world.court.addons();
        for addon in &addons {
            let open = cluster.with(|store| {
                let Some(model) = fleet.addons.get(addon).filter(|_| fleet.wants(name, addon))
                else {
                    let records = truth::records(store, addon);
                    return (!records.is_empty()).then(|| "it is still there".to_owned());
                };
                let key = InstanceKey {
                    cluster: ClusterName::from(name.as_str()),
                    addon: addon.as_str().into(),
                };
                let (is, wanted) = (truth::deployed(store, addon), status.digests.get(&key));
                if is.as_ref() != wanted {
                    return Some(format!("it is at {is:?}, and not at {wanted:?}"));
                }
                if truth::deployed_records(store, addon) > 1 {
                    return Some("two revisions are on record as deployed".to_owned());
                }
                if !truth::is_ready(store, addon) {
                    return Some("it is not ready".to_owned());
                }
                truth::lacks(store, addon, model)
            });
            if let Some(open) = open {
                let held = status.held.join("; ");
                return Some(format!("{addon} on {name}: {open} (held: {held})"));
            }
        }
    }
    let open = world.court.newest_rollouts().into_iter().find(|one| !one.phase.is_ended());
    open.map(|rollout| format!("rollout {} is {}", rollout.id, rollout.phase.word()))
}
