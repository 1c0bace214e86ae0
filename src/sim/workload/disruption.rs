//! PodDisruptionBudgets: how many pods may be taken away just now.

use serde_json::{Value as Json, json};

use super::condition::Condition;
use super::round::{Round, is_ending};
use super::{replicas, selector};
use crate::object::access;

pub(super) fn run(round: &mut Round<'_>) {
    for budget in round.of("policy", "PodDisruptionBudget") {
        if !is_ending(budget) {
            let status = status(round, budget);
            round.status(budget, status);
        }
    }
}

fn status(round: &Round<'_>, budget: &Json) -> Json {
    let chosen = access::at(budget, &["spec", "selector"]);
    let pods: Vec<_> = round
        .of("", "Pod")
        .filter(|pod| access::namespace(pod) == access::namespace(budget))
        .filter(|pod| replicas::is_active(pod) && selector::matches(chosen, &access::labels(pod)))
        .collect();
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let expected = count(pods.len());
    let healthy = count(pods.iter().filter(|pod| replicas::is_ready(pod)).count());
    let spec = |field| access::at(budget, &["spec", field]);
    let needed = match spec("maxUnavailable") {
        Some(share) => expected - replicas::share(Some(share), expected, "0", true),
        None => replicas::share(spec("minAvailable"), expected, "0", true),
    };
    let needed = needed.max(0);
    let allowed = if expected > 0 { (healthy - needed).max(0) } else { 0 };
    let reason = if allowed > 0 { "SufficientPods" } else { "InsufficientPods" };
    let before = access::list(budget, &["status", "conditions"]);
    let mut condition =
        Condition::new("DisruptionAllowed", allowed > 0, reason, "").entry(before, round.now());
    let mut status = json!({
        "currentHealthy": healthy, "desiredHealthy": needed, "disruptionsAllowed": allowed,
        "expectedPods": expected,
    });
    if let Some(generation) = access::number(budget, &["metadata", "generation"]) {
        status["observedGeneration"] = Json::from(generation);
        condition["observedGeneration"] = Json::from(generation);
    }
    condition["message"] = Json::from("");
    status["conditions"] = json!([condition]);
    status
}
