//! All other kinds, custom resources above all: by the conditions that most of them agree on.

use serde_json::Value as Json;

use super::{Health, condition, unobserved};

pub(super) fn health(object: &Json) -> Health {
    if let Some(unobserved) = unobserved(object, false) {
        return unobserved;
    }
    if let Some(stalled) = condition(object, "Stalled")
        && stalled.is_true()
    {
        return Health::stalled(format!("is stalled: {}", stalled.words()));
    }
    if let Some(failed) = condition(object, "Failed")
        && failed.is_true()
    {
        return Health::failed(format!("failed: {}", failed.words()));
    }
    if let Some(reconciling) = condition(object, "Reconciling")
        && reconciling.is_true()
    {
        return Health::progressing(format!("is reconciling: {}", reconciling.words()));
    }
    let mut decisive = ["Ready", "Available", "Healthy"].into_iter();
    match decisive.find_map(|kind| condition(object, kind)) {
        Some(ready) if ready.is_true() => Health::ready("is ready"),
        Some(ready) => Health::progressing(format!("is not ready: {}", ready.words())),
        None => Health::ready("is there"),
    }
}
