//! Deployments.

use serde_json::Value as Json;

use super::{Health, access, condition, count, status_number, unobserved};

pub(super) fn health(object: &Json) -> Health {
    if let Some(unobserved) = unobserved(object, true) {
        return unobserved;
    }
    if let Some(progress) = condition(object, "Progressing")
        && progress.reason == "ProgressDeadlineExceeded"
    {
        return Health::failed(format!("made no progress in time: {}", progress.words()));
    }
    if let Some(failure) = condition(object, "ReplicaFailure")
        && failure.is_true()
    {
        return Health::stalled(format!("cannot make pods: {}", failure.words()));
    }
    let wanted = access::number(object, &["spec", "replicas"]).unwrap_or(1);
    let updated = status_number(object, "updatedReplicas");
    let available = status_number(object, "availableReplicas");
    let present = status_number(object, "replicas");
    let is_paused = access::at(object, &["spec", "paused"]) == Some(&Json::Bool(true));
    if updated < wanted && is_paused {
        return Health::stalled("is paused");
    }
    if updated < wanted {
        return Health::progressing(count(updated, wanted, "replica", "updated"));
    }
    if present > updated {
        return Health::progressing(count(updated, present, "replica", "new"));
    }
    if available < wanted {
        return Health::progressing(count(available, wanted, "replica", "available"));
    }
    Health::ready(count(available, wanted, "replica", "available"))
}
