//! The simulator's own tests: it is deterministic, what once broke a law does not any more, and the
//! laws bite.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::fleet::{AddonModel, FleetModel};
use super::shrink::shrink;
use super::weather::{Storm, Trouble};
use super::{Act, Broken, Deed, Edit, Scenario, check, play};
use crate::base::planted::{Planted, with};

/// Seeds that have broken a law, and do not any more.
const MENDED: [u64; 7] = [114, 131, 135, 179, 190, 281, 1385];

#[test]
fn a_seed_gives_the_same_history_every_time() {
    for seed in [3, 114] {
        assert_eq!(check(seed), check(seed));
    }
}

#[test]
fn seeds_that_have_broken_a_law_do_not_any_more() {
    for seed in MENDED {
        let verdict = check(seed);
        assert_eq!(verdict.broken, None, "seed {seed}");
    }
}

/// Five clusters, two addons, a policy with every kind of bound.
fn scenario(policy: &Json, acts: &[(u64, Deed)]) -> Scenario {
    let rings = [("c01", "staging"), ("c02", "staging"), ("c03", "canary"), ("c04", "canary")];
    let clusters = rings.into_iter().chain([("c05", "prod")]);
    let addon = |depends_on: Option<&str>| AddonModel {
        tag: "v1".to_owned(),
        objects: 8,
        depends_on: depends_on.map(str::to_owned),
        off: BTreeSet::new(),
    };
    let mut whole = json!({
        "stages": [
            {"name": "staging", "clusters": {"matchLabels": {"ring": "staging"}}, "soak": "60s",
             "batch": {"atMost": 1}},
            {"name": "canary", "clusters": {"matchLabels": {"ring": "canary"}},
             "batch": {"atMost": 1},
             "gates": [{"prometheus": {"url": "https://example.org", "query": "q", "max": 1}}]},
            {"name": "prod", "clusters": {}},
        ],
        "maxFailures": 1, "progressDeadline": "3m", "limits": {"deletedObjects": 20},
    });
    crate::fleet::layers::overlay(&mut whole, policy);
    let act = |(at, what): &(u64, Deed)| Act { at: Duration::from_secs(*at), what: what.clone() };
    Scenario {
        seed: 1,
        fleet: FleetModel {
            clusters: clusters.map(|(name, ring)| (name.to_owned(), ring.to_owned())).collect(),
            addons: BTreeMap::from([
                ("net".to_owned(), addon(None)),
                ("log".to_owned(), addon(Some("net"))),
            ]),
            approvals: BTreeMap::new(),
            policy: whole,
            is_frozen: false,
            mistake: None,
        },
        acts: acts.iter().map(act).collect(),
    }
}

fn version(tag: &str, objects: u32) -> Deed {
    Deed::Commit(Edit::Version { addon: "net".to_owned(), tag: tag.to_owned(), objects })
}

fn storm(storm: Storm, per_mille: u16) -> Deed {
    let what = Trouble::Storm(storm, per_mille);
    Deed::Trouble { cluster: "c01".to_owned(), what, lasts: Duration::from_mins(20) }
}

fn tamper() -> Deed {
    Deed::Tamper { cluster: "c01".to_owned(), addon: "net".to_owned() }
}

/// Faults that only need the right moment, which the first seeds have.
const BY_SEEDS: [Planted; 2] = [Planted::StaleEvidence, Planted::LookHeals];
/// How many seeds are the first.
const FIRST: u64 = 30;

/// A fault, the law that it breaks, how the policy is other than usual, and what happens when.
type Shown = (Planted, u8, Json, Vec<(u64, Deed)>);

/// For other planted faults a history that shows it, and the law that it breaks.
fn shown() -> Vec<Shown> {
    let usual = || json!({});
    let few = || json!({"limits": {"deletedObjects": 1}});
    let asks = json!({"stages": [
        {"name": "all", "clusters": {}, "gates": [{"approval": {"count": 1}}]},
    ]});
    let waits = || (2_400, Deed::Look);
    let soaks = json!({"stages": [
        {"name": "all", "clusters": {}, "batch": {"atMost": 1}, "soak": "30s",
         "gates": [{"prometheus": {
            "url": "https://example.org", "query": "q", "max": 1, "interval": "1h",
         }}]},
    ]});
    let compares = json!({"stages": [
        {"name": "staging", "clusters": {"matchLabels": {"ring": "staging"}}, "gates": [
            {"prometheus": {"url": "https://example.org", "query": "q", "compareTo": "control"}},
        ]},
        {"name": "all", "clusters": {}},
    ]});
    let drop = Deed::Commit(Edit::Drop { addon: "net".to_owned() });
    let mistake = Deed::Commit(Edit::Mistake { addon: Some("log".to_owned()) });
    let freeze = Deed::Commit(Edit::Freeze { is_on: true });
    // Everything is up after about ten minutes.
    let late = 1_200;
    let down = Deed::Trouble {
        cluster: "c01".to_owned(),
        what: Trouble::Down,
        lasts: Duration::from_mins(10),
    };
    vec![
        (Planted::StaleGate, 5, soaks, vec![]),
        (Planted::OldSamples, 5, compares, vec![]),
        (Planted::BatchOffByOne, 2, usual(), vec![]),
        (Planted::BudgetOffByOne, 2, usual(), vec![(late, version("v2-broken", 8)), waits()]),
        (Planted::NoSoak, 1, usual(), vec![]),
        (Planted::ApprovalOffByOne, 1, asks, vec![]),
        (Planted::StageEarly, 1, usual(), vec![]),
        (Planted::TrainApart, 1, json!({"train": true}), vec![]),
        (Planted::NoCalendar, 11, usual(), vec![(late, freeze), (late + 60, version("v2", 8))]),
        (Planted::NoDependency, 3, usual(), vec![]),
        (Planted::NoDependant, 3, usual(), vec![(late, drop)]),
        (Planted::NoMemory, 12, usual(), vec![(late, version("v2-broken", 8)), waits()]),
        (Planted::GapIsAbsence, 4, usual(), vec![(late, down), waits()]),
        (Planted::MistakeIsAbsence, 4, usual(), vec![(late, mistake)]),
        (Planted::NoLimits, 4, few(), vec![(late, version("v2", 0))]),
        (
            Planted::ConflictIsGone,
            10,
            usual(),
            vec![(late, storm(Storm::Conflict, 250)), (late, version("v2", 0))],
        ),
        (Planted::NoHealing, 10, usual(), vec![(late, tamper())]),
        (Planted::SecretTold, 9, few(), vec![(late, version("v2", 0))]),
    ]
}

#[test]
fn every_planted_fault_is_found() {
    if let Ok(seeds) = std::env::var("FITOUT_PLANTED") {
        return look_for_all(seeds.parse().expect("a number of seeds"));
    }
    let missed = shown().into_iter().filter_map(|(fault, law, policy, acts)| {
        let scenario = scenario(&policy, &acts);
        assert_eq!(play(&scenario).broken, None, "without {fault:?}");
        let broken = with(Some(fault), || play(&scenario)).broken;
        let is_found = broken.as_ref().is_some_and(|broken| broken.law == law);
        (!is_found).then_some((fault, broken))
    });
    assert_eq!(missed.collect::<Vec<_>>(), []);
    let missed = BY_SEEDS.into_iter().filter(|fault| first_seed(*fault, FIRST).is_none());
    assert_eq!(missed.collect::<Vec<_>>(), []);
}

fn first_seed(fault: Planted, seeds: u64) -> Option<(u64, Broken)> {
    (0..seeds).find_map(|seed| Some((seed, with(Some(fault), || check(seed)).broken?)))
}

/// Prints the rows of the table in `docs/simulation.md`.
fn look_for_all(seeds: u64) {
    let faults = shown().into_iter().map(|(fault, ..)| fault).chain(BY_SEEDS);
    for fault in faults.chain([Planted::Unrecorded]) {
        let found = first_seed(fault, seeds);
        match found {
            Some((seed, broken)) => {
                println!("| {fault:?} | {seed} | {} | {} |", broken.law, broken.what);
            }
            None => println!("| {fault:?} | not within {seeds} seeds | | |"),
        }
    }
}

#[test]
fn a_history_is_shrunk_to_what_is_needed() {
    let freeze = Deed::Commit(Edit::Freeze { is_on: true });
    let acts =
        [(100, tamper()), (1_200, freeze.clone()), (1_260, version("v2", 8)), (1_300, tamper())];
    let scenario = scenario(&json!({}), &acts);
    let small = with(Some(Planted::NoCalendar), || shrink(&scenario, &play(&scenario)).0);
    let left: Vec<Deed> = small.acts.into_iter().map(|act| act.what).collect();
    assert_eq!(left, [freeze, version("v2", 8)]);
    assert_eq!(small.fleet.clusters.len(), 1);
    assert_eq!(small.fleet.addons.len(), 1);
}
