//! Asks Prometheus by its HTTP API.

use super::{read, variable};
use crate::fleet::model::PrometheusGate;
use crate::net::http::{Client, Credential, Url};
use crate::rollout::prometheus::{query, verdict};
use crate::rollout::{Rollout, Verdict};

/// The verdict on a stage. Blocks.
///
/// # Errors
/// Says why there is none.
pub(super) fn ask(gate: &PrometheusGate, rollout: &Rollout) -> Result<Verdict, String> {
    let credential = gate.credentials.as_ref().map(|named| variable(&named.env)).transpose()?;
    let credential = credential.map(|text| Credential::new(&text));
    let query = query(gate, rollout)?;
    let query: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
    let url = format!("{}/api/v1/query?query={query}", gate.url.trim_end_matches('/'));
    let url = Url::parse(&url).map_err(|error| error.to_string())?;
    let answer = read(Client::shared().get(&url, "application/json", credential.as_ref()))?;
    Ok(verdict(gate, &answer))
}
