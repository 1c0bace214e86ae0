//! From a history that breaks a law to the few acts that are needed.

use super::{Act, Scenario, Verdict, play};

/// Histories that are tried at most.
const TRIES: usize = 200;

/// A smaller history that breaks the same law.
pub fn shrink(scenario: &Scenario, verdict: &Verdict) -> (Scenario, Verdict) {
    let Some(law) = verdict.broken.as_ref().map(|broken| broken.law) else {
        return (scenario.clone(), verdict.clone());
    };
    let mut best = (scenario.clone(), verdict.clone());
    let mut tries = 0;
    let mut attempt = |candidate: Scenario, best: &mut (Scenario, Verdict)| {
        tries += 1;
        let verdict = play(&candidate);
        let is_same = verdict.broken.as_ref().is_some_and(|broken| broken.law == law);
        if is_same {
            *best = (candidate, verdict);
        }
        (is_same, tries < TRIES)
    };
    // Acts in ever smaller pieces, then clusters and addons one by one.
    let mut piece = best.0.acts.len().div_ceil(2);
    while piece > 0 {
        let mut at = 0;
        while at < best.0.acts.len() {
            let (is_same, goes_on) = attempt(without_acts(&best.0, at, piece), &mut best);
            if !goes_on {
                return best;
            }
            at += if is_same { 0 } else { piece };
        }
        piece = if piece == 1 { 0 } else { piece.div_ceil(2) };
    }
    let clusters: Vec<String> = best.0.fleet.clusters.keys().rev().cloned().collect();
    for name in clusters {
        let mut candidate = best.0.clone();
        candidate.fleet.clusters.remove(&name);
        if candidate.fleet.clusters.is_empty() || !attempt(candidate, &mut best).1 {
            break;
        }
    }
    let addons: Vec<String> = best.0.fleet.addons.keys().rev().cloned().collect();
    for name in addons {
        let mut candidate = best.0.clone();
        candidate.fleet.addons.remove(&name);
        let is_needed =
            candidate.fleet.addons.values().any(|one| one.depends_on.as_ref() == Some(&name));
        if !is_needed && !candidate.fleet.addons.is_empty() && !attempt(candidate, &mut best).1 {
            break;
        }
    }
    best
}

fn without_acts(scenario: &Scenario, at: usize, many: usize) -> Scenario {
    let is_kept = |index: usize| index < at || index >= at + many;
    let acts = scenario.acts.iter().enumerate().filter(|(index, _)| is_kept(*index));
    let acts: Vec<Act> = acts.map(|(_, act)| act.clone()).collect();
    Scenario { acts, ..scenario.clone() }
}
