//! Gates that ask somebody else: Prometheus.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value as Json;

use super::tick::Reconciler;
use crate::base::clock::Timestamp;
use crate::fleet::model::PrometheusGate;
use crate::net::http::{Client, Credential, HttpError, Url};
use crate::report::errors::chain;
use crate::rollout::{GateSeen, MemberState, Rollout, RolloutId, Verdict, prometheus};

/// A gate that does not answer within this says nothing.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The longest answer that is read: thousands of samples.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// What gates have said, by rollout, stage and gate.
pub(super) type Answers = BTreeMap<(RolloutId, usize, String), GateSeen>;

impl Reconciler {
    /// What the gates of a rollout's present stage say. Each is asked once in its interval, and anew
    /// once a cluster has changed.
    pub(super) async fn ask_gates(&self, rollout: &Rollout) -> BTreeMap<String, GateSeen> {
        let mut seen = BTreeMap::new();
        let Some(changed_at) = to_be_asked(rollout) else { return seen };
        let stage = rollout.policy.stages.get(rollout.stage);
        let gates = stage.into_iter().flat_map(|stage| &stage.gates);
        for gate in gates.filter_map(|gate| gate.prometheus.as_ref()) {
            let key = (rollout.id.clone(), rollout.stage, gate.name.clone());
            let now = self.options.clock.now();
            let known = self.answers.lock().expect("no thread panics with it").get(&key).cloned();
            let answer = match known.filter(|known| is_recent(known, gate, changed_at, now)) {
                Some(known) => known,
                None => GateSeen { observed_at: now, verdict: ask(gate, rollout).await },
            };
            let mut answers = self.answers.lock().expect("no thread panics with it");
            answers.insert(key, answer.clone());
            seen.insert(gate.name.clone(), answer);
        }
        seen
    }
}

/// Since when answers count, once nothing of the stage is on its way.
fn to_be_asked(rollout: &Rollout) -> Option<Timestamp> {
    let is_moving = |member: &MemberState| matches!(member, MemberState::Moving { .. });
    let mut members = rollout.changing(rollout.stage);
    if members.any(|(_, member)| is_moving(&member.state)) {
        return None;
    }
    rollout.stages.get(rollout.stage)?.changed_at
}

fn is_recent(
    known: &GateSeen,
    gate: &PrometheusGate,
    changed_at: Timestamp,
    now: Timestamp,
) -> bool {
    let age = now.duration_since(known.observed_at);
    known.observed_at > changed_at && age >= jiff::SignedDuration::ZERO && {
        age.unsigned_abs() < gate.interval()
    }
}

async fn ask(gate: &PrometheusGate, rollout: &Rollout) -> Verdict {
    let query = match prometheus::query(gate, rollout) {
        Ok(query) => query,
        Err(reason) => return Verdict::Unknown(reason),
    };
    let asked = gate.clone();
    let answer = tokio::task::spawn_blocking(move || get(&asked, &query));
    match tokio::time::timeout(TIMEOUT, answer).await {
        Ok(Ok(Ok(answer))) => prometheus::verdict(gate, &answer),
        Ok(Ok(Err(reason))) => Verdict::Unknown(reason),
        Ok(Err(error)) => Verdict::Unknown(error.to_string()),
        Err(_) => {
            let seconds = TIMEOUT.as_secs();
            Verdict::Unknown(format!("{} did not answer within {seconds} s", gate.url))
        }
    }
}

/// Asks Prometheus. Blocks.
fn get(gate: &PrometheusGate, query: &str) -> Result<Json, String> {
    let credential = match &gate.credentials {
        None => None,
        Some(named) => match std::env::var(&named.env) {
            Ok(text) if !text.trim().is_empty() => Some(Credential::new(&text)),
            _ => return Err(format!("the environment has no `{}`", named.env)),
        },
    };
    let told = |error: HttpError| chain(&error);
    let query: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
    let url = format!("{}/api/v1/query?query={query}", gate.url.trim_end_matches('/'));
    let url = Url::parse(&url).map_err(told)?;
    let answer = Client::shared().get(&url, "application/json", credential.as_ref());
    let bytes = answer.and_then(|answer| answer.bytes(ANSWER_BYTES_MAX)).map_err(told)?;
    serde_json::from_slice(&bytes).map_err(|error| format!("the answer is no JSON: {error}"))
}
