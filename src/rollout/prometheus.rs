//! What a query of Prometheus says about a stage. Pure: the query as it is sent, and the verdict on the
//! answer.
//!
//! Follows the HTTP API of Prometheus (`/api/v1/query`): an instant vector or a scalar, values as text.

use std::fmt;

use serde_json::Value as Json;

use super::comparison::{Asked, Groups};
use super::model::Rollout;
use super::observation::Verdict;
use crate::base::ids::ClusterName;
use crate::fleet::model::PrometheusGate;

/// The query of a gate of the present stage.
///
/// # Errors
/// Says so where there is no cluster left to compare with.
pub fn query(gate: &PrometheusGate, rollout: &Rollout) -> Result<String, String> {
    let groups = Groups::of(rollout);
    let is_compared = gate.compare_to.is_some() || gate.query.contains(PrometheusGate::CONTROL);
    let groups = if is_compared { groups.with_control()? } else { groups };
    let clusters = alternatives(&[groups.changed, groups.failed].concat());
    let control = alternatives(&groups.control);
    let query = gate.query.replace(PrometheusGate::CLUSTERS, &clusters);
    Ok(query.replace(PrometheusGate::CONTROL, &control))
}

/// Names of clusters are names of DNS, of which only the dot has a meaning in regular expressions.
/// The backslash is one of a string of PromQL.
fn alternatives(names: &[&ClusterName]) -> String {
    let names = names.iter().map(|name| name.as_str().replace('.', "\\\\."));
    names.collect::<Vec<_>>().join("|")
}

/// The verdict on an answer. Nothing, and what is no number, is no pass.
pub fn verdict(gate: &PrometheusGate, answer: &Json) -> Verdict {
    let values = match data(answer).and_then(values) {
        Ok(values) => values,
        Err(reason) => return Verdict::Unknown(reason),
    };
    if values.is_empty() {
        return Verdict::Unknown("the query has no data".to_owned());
    }
    let mut worst: Option<f64> = None;
    for value in values {
        if value.is_nan() {
            return Verdict::Unknown("the query gives no number (NaN)".to_owned());
        }
        if !is_within(gate, value) {
            return Verdict::Broken(format!("{}, which has to be {}", Number(value), Bounds(gate)));
        }
        worst = Some(worst.map_or(value, |worst| further(gate, worst, value)));
    }
    let worst = worst.unwrap_or_default();
    Verdict::Holds(format!("{}, which is {}", Number(worst), Bounds(gate)))
}

/// The series of an answer of `/api/v1/query_range`.
///
/// # Errors
/// In words, where it is none.
pub(super) fn matrix(answer: &Json) -> Result<&[Json], String> {
    match &data(answer)?["result"] {
        Json::Array(series) if series.is_empty() => Err("the query has no data".to_owned()),
        Json::Array(series) => Ok(series),
        _ => Err("the answer has no result".to_owned()),
    }
}

fn data(answer: &Json) -> Result<&Json, String> {
    if answer["status"] == "success" {
        return Ok(&answer["data"]);
    }
    let error = answer["error"].as_str().unwrap_or("it is no answer of Prometheus");
    Err(format!("Prometheus refuses the query: {error}"))
}

pub(super) fn is_within(gate: &PrometheusGate, value: f64) -> bool {
    gate.min.is_none_or(|min| value >= min) && gate.max.is_none_or(|max| value <= max)
}

/// The one that is nearer to a bound.
fn further(gate: &PrometheusGate, a: f64, b: f64) -> f64 {
    if gate.max.is_some() { a.max(b) } else { a.min(b) }
}

/// The value of a sample: a time and a text.
pub(super) fn number(sample: &Json) -> Result<f64, String> {
    let text = sample[1].as_str().ok_or("the answer has a sample without a value")?;
    match text {
        "+Inf" => Ok(f64::INFINITY),
        "-Inf" => Ok(f64::NEG_INFINITY),
        text => text.parse().map_err(|_| format!("`{text}` is no number")),
    }
}

fn values(data: &Json) -> Result<Vec<f64>, String> {
    match (data["resultType"].as_str(), &data["result"]) {
        (Some("vector"), Json::Array(samples)) => {
            samples.iter().map(|sample| number(&sample["value"])).collect()
        }
        (Some("scalar"), sample) => Ok(vec![number(sample)?]),
        (Some(other), _) => {
            Err(format!("the query gives a {other}, and has to give a vector or a scalar"))
        }
        (None, _) => Err("the answer has no result".to_owned()),
    }
}

/// A number, short.
pub(super) struct Number(pub(super) f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounded = format!("{:.4}", self.0);
        let short = rounded.trim_end_matches('0').trim_end_matches('.');
        f.write_str(if short == "0" && self.0 != 0.0 { "nearly 0" } else { short })
    }
}

/// What a gate asks for: `at most 0.01`, `no worse than control by more than 10%`, or both.
pub struct Asks<'a>(pub &'a PrometheusGate);

impl fmt::Display for Asks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(gate) = self;
        let is_bound = gate.min.is_some() || gate.max.is_some();
        match gate.compare_to {
            None => Bounds(gate).fmt(f),
            Some(_) if is_bound => write!(f, "{}, and {}", Bounds(gate), Asked(gate)),
            Some(_) => Asked(gate).fmt(f),
        }
    }
}

/// `at most 0.01`.
pub struct Bounds<'a>(pub &'a PrometheusGate);

impl fmt::Display for Bounds<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.min, self.0.max) {
            (Some(min), Some(max)) => write!(f, "between {min} and {max}"),
            (Some(min), None) => write!(f, "at least {min}"),
            (None, Some(max)) => write!(f, "at most {max}"),
            (None, None) => f.write_str("anything"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn gate(min: Option<f64>, max: Option<f64>) -> PrometheusGate {
        let spec = json!({"url": "http://localhost:9090", "query": "x", "min": min, "max": max});
        serde_json::from_value(spec).expect("a gate")
    }

    fn vector(values: &[&str]) -> Json {
        let samples: Vec<Json> =
            values.iter().map(|value| json!({"metric": {}, "value": [1.0, value]})).collect();
        json!({"status": "success", "data": {"resultType": "vector", "result": samples}})
    }

    fn told(verdict: Verdict) -> String {
        match verdict {
            Verdict::Holds(text) => format!("holds: {text}"),
            Verdict::Broken(text) => format!("broken: {text}"),
            Verdict::Unknown(text) => format!("unknown: {text}"),
        }
    }

    #[test]
    fn every_sample_has_to_be_within_the_bounds_and_nothing_is_no_pass() {
        let at_most = gate(None, Some(0.01));
        for (answer, expected) in [
            (vector(&["0.002", "0.004"]), "holds: 0.004, which is at most 0.01"),
            (vector(&["0.002", "0.4"]), "broken: 0.4, which has to be at most 0.01"),
            (vector(&["+Inf"]), "broken: inf, which has to be at most 0.01"),
            (vector(&[]), "unknown: the query has no data"),
            (vector(&["0.001", "NaN"]), "unknown: the query gives no number (NaN)"),
            (
                json!({"status": "success", "data": {"resultType": "scalar", "result": [1, "0.00001"]}}),
                "holds: nearly 0, which is at most 0.01",
            ),
            (
                json!({"status": "success", "data": {"resultType": "matrix", "result": []}}),
                "unknown: the query gives a matrix, and has to give a vector or a scalar",
            ),
            (
                json!({"status": "error", "errorType": "bad_data", "error": "parse error"}),
                "unknown: Prometheus refuses the query: parse error",
            ),
            (json!([]), "unknown: Prometheus refuses the query: it is no answer of Prometheus"),
            (vector(&["x"]), "unknown: `x` is no number"),
        ] {
            assert_eq!(told(verdict(&at_most, &answer)), expected, "{answer}");
        }
        let between = gate(Some(1.0), Some(2.5));
        assert_eq!(
            told(verdict(&between, &vector(&["0.5"]))),
            "broken: 0.5, which has to be between 1 and 2.5"
        );
        assert_eq!(
            told(verdict(&gate(Some(3.0), None), &vector(&["4", "3"]))),
            "holds: 3, which is at least 3"
        );
    }
}
