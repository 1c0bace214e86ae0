//! PodDisruptionBudgets. Nothing waits for one: how many pods it lets go is no part of a change.

use serde_json::Value as Json;

use super::{Health, condition, unobserved};

pub(super) fn health(object: &Json) -> Health {
    if let Some(unobserved) = unobserved(object, false) {
        return unobserved;
    }
    match condition(object, "DisruptionAllowed") {
        Some(allowed) if allowed.reason == "SyncFailed" => {
            Health::ready(format!("is there, and protects nothing: {}", allowed.words()))
        }
        _ => Health::ready("is there"),
    }
}
