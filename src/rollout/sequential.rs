//! A sequential test of a proportion against one half, that may be looked at any number of times.
//!
//! Hits and misses come one after the other. [`evidence`] is how much they speak against "a hit is no more
//! likely than a miss, whatever came before": an e-process, the wealth of somebody who starts with 1 and
//! bets on hits at odds that are fair, or bad for them, if that is true. Such a wealth exceeds `1 / a` at any
//! time at all with a probability of at most `a` (Ville's inequality), so that one may look after each sample
//! and stop when one likes. A test for a fixed number of samples that is made again and again has no such
//! bound: looked at often enough, it finds something in the end.
//!
//! The bets are a mixture over [`BETS`] stakes, and so need not know how much more likely a hit is. After
//! H. Robbins, "Statistical methods related to the law of the iterated logarithm", Annals of Mathematical
//! Statistics 41 (1970), who mixes Wald's sequential probability ratios; J. Ville, "Étude critique de la notion
//! de collectif" (1939); and A. Ramdas, P. Grünwald, V. Vovk and G. Shafer, "Game-theoretic statistics and safe
//! anytime-valid inference", Statistical Science 38 (2023). The mean of several such wealths is one again, however
//! they depend on one another: V. Vovk and R. Wang, "E-values: calibration, combination and applications",
//! Annals of Statistics 49 (2021).
//!
//! # Guarantees
//! If each hit has, given all before it, a probability of at most one half, then for every `a` the probability that
//! the evidence ever reaches `1 / a` is at most `a`.

use crate::base::planted::{Planted, is_planted};

/// Stakes that the bets are spread over evenly, from nothing to everything.
const BETS: u32 = 32;

/// How much hits and misses speak for hits being more likely than misses: 1 of nothing, `1 / a` for an
/// error rate of `a`.
pub fn evidence(hits: u32, misses: u32) -> f64 {
    if is_planted(Planted::Peeking) {
        return 1.0 / tail(hits, hits + misses);
    }
    let wealth = (0..BETS).map(|bet| {
        let stake = (f64::from(bet) + 0.5) / f64::from(BETS);
        (f64::from(hits) * stake.ln_1p() + f64::from(misses) * (-stake).ln_1p()).exp()
    });
    wealth.sum::<f64>() / f64::from(BETS)
}

/// How likely so many hits or more are, of a number of samples that was settled before.
fn tail(hits: u32, samples: u32) -> f64 {
    let mut likelihood = 0.5_f64.powf(f64::from(samples));
    let mut sum = 0.0;
    for at in 0..=samples {
        sum += if at >= hits { likelihood } else { 0.0 };
        likelihood *= f64::from(samples - at) / f64::from(at + 1);
    }
    sum
}

/// How many hits in a row, after those that were, bring the evidence to a threshold.
pub fn hits_missing(hits: u32, misses: u32, threshold: f64) -> u32 {
    let more = (0..=HITS_MAX).find(|more| evidence(hits + more, misses) >= threshold);
    more.unwrap_or(HITS_MAX)
}

/// Where [`hits_missing`] ends.
const HITS_MAX: u32 = 10_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand::rngs::Xoshiro256PlusPlus;

    use super::*;

    /// Of so many series of 400 samples, how many reach the evidence at any time.
    fn reached(series: u64, chance: f64, threshold: f64) -> usize {
        let reaches = |seed: &u64| {
            let mut dice = Xoshiro256PlusPlus::seed_from_u64(*seed);
            let (mut hits, mut misses) = (0, 0);
            (0..400).any(|_| {
                if dice.random_bool(chance) {
                    hits += 1;
                } else {
                    misses += 1;
                }
                evidence(hits, misses) >= threshold
            })
        };
        (0..series).filter(reaches).count()
    }

    #[test]
    fn looked_at_after_each_sample_it_errs_no_more_often_than_it_says() {
        for (rate, series) in [(0.2, 2_000), (0.05, 4_000), (0.01, 4_000)] {
            let wrong = reached(series, 0.5, 1.0 / rate) as f64 / series as f64;
            assert!(wrong <= rate, "{wrong} of {rate}");
            assert!(reached(series, 0.4, 1.0 / rate) as f64 <= wrong * series as f64);
        }
    }

    #[test]
    fn a_test_for_a_fixed_number_of_samples_would_err_too_often() {
        let wrong =
            crate::base::planted::with(Some(Planted::Peeking), || reached(1_000, 0.5, 20.0));
        assert!(wrong > 200, "{wrong} of 1,000, where 50 are allowed");
    }

    #[test]
    fn it_sees_what_is_there() {
        assert!(reached(500, 0.7, 20.0) >= 495);
        assert_eq!(hits_missing(0, 0, 20.0), 7);
        assert_eq!(hits_missing(5, 0, 20.0), 2);
        assert_eq!(hits_missing(0, 0, 100.0), 9);
        assert!(hits_missing(3, 3, 20.0) > 7);
    }

    proptest! {
        #[test]
        fn the_bets_are_fair(hits in 0_u32..200, misses in 0_u32..200) {
            let now = evidence(hits, misses);
            let next = f64::midpoint(evidence(hits + 1, misses), evidence(hits, misses + 1));
            prop_assert!((next - now).abs() <= now * 1e-9, "{now} becomes {next}");
        }

        #[test]
        fn hits_speak_for_it_and_misses_against(hits in 0_u32..500, misses in 0_u32..500) {
            let now = evidence(hits, misses);
            prop_assert!(evidence(hits + 1, misses) > now);
            prop_assert!(evidence(hits, misses + 1) < now);
            // What speaks for one side does not speak for the other, too.
            prop_assert!(now.min(evidence(misses, hits)) <= 1.0);
        }
    }
}
