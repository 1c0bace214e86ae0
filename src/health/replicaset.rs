//! ReplicaSets and ReplicationControllers.

use serde_json::Value as Json;

use super::{Health, access, condition, count, status_number, unobserved};

pub(super) fn health(object: &Json) -> Health {
    if let Some(unobserved) = unobserved(object, true) {
        return unobserved;
    }
    if let Some(failure) = condition(object, "ReplicaFailure")
        && failure.is_true()
    {
        return Health::stalled(format!("cannot make pods: {}", failure.words()));
    }
    let wanted = access::number(object, &["spec", "replicas"]).unwrap_or(1);
    let available = status_number(object, "availableReplicas");
    let message = count(available, wanted, "replica", "available");
    if available == wanted { Health::ready(message) } else { Health::progressing(message) }
}
