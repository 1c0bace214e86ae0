//! What comparisons say of answers, and how often they err.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;

use super::*;

const STEP: i64 = 60;

fn gate(more: &Json) -> PrometheusGate {
    let mut spec = json!({"url": "http://localhost:9090", "query": "x", "compareTo": "control"});
    crate::fleet::layers::overlay(&mut spec, more);
    serde_json::from_value(spec).expect("a gate")
}

fn changed_at() -> Timestamp {
    Timestamp::from_second(1_800_000_000).expect("in range")
}

fn times(count: u32) -> Times {
    Times { changed_at: changed_at(), step: STEP as u32, count }
}

/// A series with a value for each sample from the first on.
fn series(cluster: &str, values: &[&str]) -> Json {
    let at = |index: usize| changed_at().as_second() + STEP * (index as i64 + 1);
    let values: Vec<Json> =
        values.iter().enumerate().map(|(index, value)| json!([at(index), value])).collect();
    json!({"metric": {"cluster": cluster}, "values": values})
}

fn answer(series: Vec<Json>) -> Json {
    json!({"status": "success", "data": {"resultType": "matrix", "result": series}})
}

/// What is said of an answer where `a` and `b` are changed and `x`, `y` and `z` are not.
fn told(gate: &PrometheusGate, changed: &[&str], answer: &Json, count: u32) -> String {
    let names =
        |names: &[&str]| -> Vec<ClusterName> { names.iter().map(|name| (*name).into()).collect() };
    let (changed, control) = (names(changed), names(&["x", "y", "z"]));
    let groups = Groups {
        changed: changed.iter().collect(),
        control: control.iter().collect(),
        ..Groups::default()
    };
    match compared(gate, &groups, times(count), answer).map(|seen| verdict(gate, &seen)) {
        Ok(Verdict::Holds(text)) => format!("holds: {text}"),
        Ok(Verdict::Broken(text)) => format!("broken: {text}"),
        Ok(Verdict::Unknown(text)) | Err(text) => format!("unknown: {text}"),
    }
}

#[test]
fn seven_samples_of_one_kind_decide() {
    let of = |value: &str, count: usize| {
        let control = ["0.01", "0.02", "9"].iter().zip(["x", "y", "z"]);
        let control = control.map(|(value, name)| series(name, &vec![*value; count]));
        answer(control.chain([series("a", &vec![value; count])]).collect())
    };
    let usual = gate(&json!({}));
    for (gate, value, count, expected) in [
        (
            &usual,
            "0.021",
            7,
            "holds: no worse than control: a was by more than 10% in 0 of 7 samples, 0.021 against 0.02 now",
        ),
        (
            &usual,
            "0.3",
            7,
            "broken: a is worse than control, by more than 10% in 7 of 7 samples: 0.3 against 0.02 now",
        ),
        (
            &usual,
            "+Inf",
            7,
            "broken: a is worse than control, by more than 10% in 7 of 7 samples: inf against 0.02 now",
        ),
        (
            &usual,
            "0.021",
            3,
            "unknown: undecided: a was worse than control by more than 10% in 0 of 3 samples, 0.021 against 0.02 now; evidence 3.7 of 20 that none is worse, 0.2 of 20 that one is; it passes by 4 samples more at the earliest",
        ),
        (
            &gate(&json!({"errorRate": 0.01})),
            "0.3",
            8,
            "unknown: undecided: a was worse than control by more than 10% in 8 of 8 samples, 0.3 against 0.02 now; evidence 0.1 of 100 that none is worse, 56.7 of 100 that one is; it passes by 28 samples more at the earliest",
        ),
        (
            &gate(&json!({"atLeast": 9})),
            "0.01",
            8,
            "unknown: undecided: a was worse than control by more than 10% in 0 of 8 samples, 0.01 against 0.02 now; evidence 56.7 of 20 that none is worse, 0.1 of 20 that one is; it passes by 1 sample more at the earliest",
        ),
        (
            &gate(&json!({"tolerance": 0.5})),
            "0.3",
            7,
            "holds: no worse than control: a was by more than 0.5 in 0 of 7 samples, 0.3 against 0.02 now",
        ),
        (
            &gate(&json!({"worse": "lower"})),
            "0.001",
            7,
            "broken: a is worse than control, by more than 10% in 7 of 7 samples: 0.001 against 0.02 now",
        ),
        (
            &gate(&json!({"worse": "lower"})),
            "0.3",
            7,
            "holds: no worse than control: a was by more than 10% in 0 of 7 samples, 0.3 against 0.02 now",
        ),
        (&gate(&json!({"max": 0.2})), "0.3", 1, "broken: a: 0.3, which has to be at most 0.2"),
    ] {
        assert_eq!(told(gate, &["a"], &of(value, count), count as u32), expected);
    }
}

#[test]
fn what_is_missing_is_said_and_is_no_pass() {
    let usual = gate(&json!({}));
    let well = |name: &str| series(name, &["0"; 7]);
    let without = |name: &str| json!({"metric": {"instance": name}, "values": []});
    for (series, expected) in [
        (vec![], "the query has no data"),
        (
            vec![well("a"), well("b")],
            "the query has no data of the clusters to compare with at 2027-01-15 08:07:00Z: `x`, `y` and `z`; where none of them has the addon yet, waive the gate with `fitout rollout promote`",
        ),
        (vec![well("a"), well("x")], "the query has no data of `b` at 2027-01-15 08:07:00Z"),
        (
            vec![well("a"), series("b", &["0"; 6]), well("x")],
            "the query has no data of `b` at 2027-01-15 08:07:00Z",
        ),
        (
            vec![well("a"), series("b", &["NaN"; 7]), well("x")],
            "the query has no data of `b` at 2027-01-15 08:07:00Z",
        ),
        (
            vec![well("a"), well("a")],
            "the query gives more than one series of a: aggregate `by (cluster)`",
        ),
        (
            vec![without("a")],
            "the query gives a series without a label `cluster`: aggregate `by (cluster)`",
        ),
    ] {
        assert_eq!(told(&usual, &["a", "b"], &answer(series), 7), format!("unknown: {expected}"));
    }
    let refused = json!({"status": "error", "error": "parse error"});
    let said = told(&usual, &["a"], &refused, 7);
    assert_eq!(said, "unknown: Prometheus refuses the query: parse error");
}

#[test]
fn a_sample_counts_once_and_none_from_before_the_change() {
    let usual = gate(&json!({}));
    let again = |name: &str, value: &str| {
        let at = changed_at().as_second();
        let early = (-20..=0).map(|index| json!([at + STEP * index, value]));
        let same = (0..20).map(|_| json!([at + STEP, value]));
        let between = (0..20).map(|index| json!([at + STEP + index + 1, value]));
        let values: Vec<Json> = early.chain(same).chain(between).collect();
        json!({"metric": {"cluster": name}, "values": values})
    };
    let said = told(&usual, &["a"], &answer(vec![again("a", "1"), again("x", "0")]), 1);
    assert!(said.contains("in 1 of 1 sample,"), "{said}");
}

/// Of so many fleets with three changed clusters and three others, how many break and how many hold at any time
/// within 40 samples. Values have no variance; a changed cluster `a` has them `times` as high.
fn outcomes(fleets: u64, factor: f64, more: &Json) -> (usize, usize) {
    let gate = gate(more);
    let (mut broken, mut held) = (0, 0);
    for seed in 0..fleets {
        let mut dice = Xoshiro256PlusPlus::seed_from_u64(seed);
        let all = ["a", "b", "c", "x", "y", "z"].map(|name| {
            let factor = if name == "a" { factor } else { 1.0 };
            let mut value = || (factor / dice.random_range(0.001..1.0)).to_string();
            let values: Vec<String> = (0..40).map(|_| value()).collect();
            series(name, &values.iter().map(String::as_str).collect::<Vec<_>>())
        });
        let answer = answer(all.to_vec());
        let said = |count: u32| told(&gate, &["a", "b", "c"], &answer, count);
        let said: Vec<String> = (1..=40).map(said).collect();
        broken += usize::from(said.iter().any(|said| said.starts_with("broken")));
        held += usize::from(said.iter().any(|said| said.starts_with("holds")));
    }
    (broken, held)
}

#[test]
fn asked_after_each_sample_it_errs_no_more_often_than_it_says() {
    let fleets = 150;
    let (broken, _) = outcomes(fleets, 1.0, &json!({"tolerance": 0, "errorRate": 0.1}));
    assert!(broken as u64 * 10 <= fleets, "{broken} of {fleets} alike are broken");
    // So that more than half of the samples of `a` are worse.
    let (_, held) = outcomes(fleets, 2.0, &json!({"tolerance": 0, "errorRate": 0.1}));
    assert!(held as u64 * 10 <= fleets, "{held} of {fleets} with a worse cluster hold");
}

#[test]
fn what_is_much_worse_is_found_and_what_is_not_passes() {
    let (broken, held) = outcomes(50, 30.0, &json!({}));
    assert_eq!((broken, held), (50, 0));
    let (broken, held) = outcomes(50, 1.0, &json!({"tolerance": "300%"}));
    assert!(broken == 0 && held >= 45, "{broken} broken, {held} held");
}

#[test]
fn figures_are_the_same_after_json() {
    for value in [0.1 + 0.2, f64::INFINITY, f64::NEG_INFINITY, -0.0, 1e300] {
        let text = serde_json::to_string(&Figure(value)).expect("plain data");
        let again: Figure = serde_json::from_str(&text).expect("it was just written");
        assert_eq!(again.0.to_bits(), value.to_bits(), "{text}");
    }
}
