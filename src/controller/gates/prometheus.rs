//! Asks Prometheus by its HTTP API.

use serde_json::Value as Json;

use super::{read, variable};
use crate::base::clock::Timestamp;
use crate::fleet::model::PrometheusGate;
use crate::net::http::{Client, Credential, Url};
use crate::rollout::comparison::{Compared, Groups, Times, compared};
use crate::rollout::prometheus::{query, verdict};
use crate::rollout::{Rollout, Verdict};

/// The verdict on a stage. Blocks.
///
/// # Errors
/// Says why there is none.
pub(super) fn ask(gate: &PrometheusGate, rollout: &Rollout) -> Result<Verdict, String> {
    ask_query(gate, &query(gate, rollout)?)
}

/// The verdict on a query. Blocks.
///
/// # Errors
/// Says why there is none.
pub(in crate::controller) fn ask_query(
    gate: &PrometheusGate,
    query: &str,
) -> Result<Verdict, String> {
    Ok(verdict(gate, &get(gate, "query", &[("query", query)])?))
}

/// A comparison of a stage with the clusters that still have what was there before. Blocks.
///
/// # Errors
/// Says why there is none.
pub(super) fn compare(
    gate: &PrometheusGate,
    rollout: &Rollout,
    now: Timestamp,
) -> Result<Compared, String> {
    let query = query(gate, rollout)?;
    let times = Times::of(gate, rollout, now)?;
    let [start, end, step] = times.range();
    let parameters = [("query", query.as_str()), ("start", &start), ("end", &end), ("step", &step)];
    let answer = get(gate, "query_range", &parameters)?;
    compared(gate, &Groups::of(rollout), times, &answer)
}

fn get(gate: &PrometheusGate, api: &str, parameters: &[(&str, &str)]) -> Result<Json, String> {
    let credential = gate.credentials.as_ref().map(|named| variable(&named.env)).transpose()?;
    let credential = credential.map(|text| Credential::new(&text));
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters);
    let url = format!("{}/api/v1/{api}?{}", gate.url.trim_end_matches('/'), query.finish());
    let url = Url::parse(&url).map_err(|error| error.to_string())?;
    read(Client::shared().get(&url, "application/json", credential.as_ref()))
}
