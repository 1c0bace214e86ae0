//! The simulator's own tests: it is deterministic, what once broke a law does not any more, and the
//! laws bite.

use super::shrink::shrink;
use super::{Scenario, check, play};
use crate::base::planted::{Planted, with};

/// Seeds that have broken a law, and do not any more.
const MENDED: [u64; 6] = [114, 131, 135, 179, 190, 281];

/// A seed that finds each planted fault, and the law that it breaks. `FITOUT_PLANTED=2000` looks for
/// them anew, and prints the table.
const FOUND_BY: [(Planted, u64, u8); 20] = [
    (Planted::StaleEvidence, 0, 5),
    (Planted::StaleGate, 0, 5),
    (Planted::BatchOffByOne, 0, 2),
    (Planted::BudgetOffByOne, 0, 2),
    (Planted::NoSoak, 0, 1),
    (Planted::ApprovalOffByOne, 0, 1),
    (Planted::StageEarly, 0, 1),
    (Planted::NoCalendar, 0, 11),
    (Planted::NoDependency, 0, 3),
    (Planted::NoDependant, 0, 3),
    (Planted::NoMemory, 0, 12),
    (Planted::Unrecorded, 0, 8),
    (Planted::GapIsAbsence, 0, 4),
    (Planted::MistakeIsAbsence, 0, 4),
    (Planted::NoLimits, 0, 4),
    (Planted::ConflictIsGone, 0, 10),
    (Planted::LookHeals, 0, 6),
    (Planted::NoHealing, 0, 10),
    (Planted::SecretTold, 0, 9),
    (Planted::SilenceIsSuccess, 0, 10),
];

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

#[test]
fn every_planted_fault_is_found() {
    if let Some(seeds) = std::env::var("FITOUT_PLANTED").ok().and_then(|text| text.parse().ok()) {
        return look_for_all(seeds);
    }
    for (fault, seed, law) in FOUND_BY {
        let broken = with(Some(fault), || check(seed)).broken;
        let found = broken.as_ref().map(|broken| broken.law);
        assert_eq!(found, Some(law), "{fault:?} by seed {seed}: {broken:?}");
    }
}

fn look_for_all(seeds: u64) {
    for (fault, _, _) in FOUND_BY {
        let found = (0..seeds).find_map(|seed| {
            let broken = with(Some(fault), || check(seed)).broken?;
            Some((seed, broken))
        });
        match found {
            Some((seed, broken)) => {
                println!("{fault:?}: seed {seed}, law {}: {}", broken.law, broken.what)
            }
            None => println!("{fault:?}: not within {seeds} seeds"),
        }
    }
}

#[test]
fn a_history_is_shrunk_to_what_is_needed() {
    let (fault, seed, law) = FOUND_BY[7];
    let (before, small, verdict) = with(Some(fault), || {
        let scenario = Scenario::draw(seed);
        let (small, verdict) = shrink(&scenario, &play(&scenario));
        (scenario, small, verdict)
    });
    assert_eq!(verdict.broken.map(|broken| broken.law), Some(law));
    assert!(small.acts.len() <= before.acts.len());
}
