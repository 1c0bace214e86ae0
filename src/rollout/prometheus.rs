//! What a query of Prometheus says about a stage. Pure: the query as it is sent, and the verdict on the
//! answer.
//!
//! Follows the HTTP API of Prometheus (`/api/v1/query`): an instant vector or a scalar, values as text.

use std::fmt;

use serde_json::Value as Json;

use super::model::{MemberState, Rollout};
use super::observation::Verdict;
use crate::base::ids::ClusterName;
use crate::fleet::model::PrometheusGate;

/// The query of a gate of the present stage.
///
/// # Errors
/// Says so where there is no cluster left to compare with.
pub fn query(gate: &PrometheusGate, rollout: &Rollout) -> Result<String, String> {
    let changed = rollout.changing(rollout.stage).filter(|(_, member)| member.state.is_touched());
    let clusters = alternatives(changed.map(|(name, _)| name));
    let waiting = rollout.members.iter().filter(|(_, member)| {
        member.state == MemberState::Waiting && member.stage.is_none_or(|at| at > rollout.stage)
    });
    let control = alternatives(waiting.map(|(name, _)| name));
    if gate.query.contains(PrometheusGate::CONTROL) && control.is_empty() {
        return Err("no cluster is left to compare with".to_owned());
    }
    let query = gate.query.replace(PrometheusGate::CLUSTERS, &clusters);
    Ok(query.replace(PrometheusGate::CONTROL, &control))
}

/// Names of clusters are names of DNS, of which only the dot has a meaning in regular expressions.
/// The backslash is one of a string of PromQL.
fn alternatives<'a>(names: impl Iterator<Item = &'a ClusterName>) -> String {
    names.map(|name| name.as_str().replace('.', "\\\\.")).collect::<Vec<_>>().join("|")
}

/// The verdict on an answer. Nothing, and what is no number, is no pass.
pub fn verdict(gate: &PrometheusGate, answer: &Json) -> Verdict {
    if answer["status"] != "success" {
        let error = answer["error"].as_str().unwrap_or("it is no answer of Prometheus");
        return Verdict::Unknown(format!("Prometheus refuses the query: {error}"));
    }
    let values = match values(&answer["data"]) {
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

fn is_within(gate: &PrometheusGate, value: f64) -> bool {
    gate.min.is_none_or(|min| value >= min) && gate.max.is_none_or(|max| value <= max)
}

/// The one that is nearer to a bound.
fn further(gate: &PrometheusGate, a: f64, b: f64) -> f64 {
    if gate.max.is_some() { a.max(b) } else { a.min(b) }
}

fn values(data: &Json) -> Result<Vec<f64>, String> {
    let number = |sample: &Json| -> Result<f64, String> {
        let text = sample[1].as_str().ok_or("the answer has a sample without a value")?;
        match text {
            "+Inf" => Ok(f64::INFINITY),
            "-Inf" => Ok(f64::NEG_INFINITY),
            text => text.parse().map_err(|_| format!("`{text}` is no number")),
        }
    };
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
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounded = format!("{:.4}", self.0);
        let short = rounded.trim_end_matches('0').trim_end_matches('.');
        f.write_str(if short == "0" && self.0 != 0.0 { "nearly 0" } else { short })
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
