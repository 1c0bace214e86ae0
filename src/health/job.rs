//! Jobs: healthy once they are complete.

use serde_json::Value as Json;

use super::{Health, access, condition, count, status_number};

pub(super) fn health(object: &Json) -> Health {
    if let Some(failed) = condition(object, "Failed")
        && failed.is_true()
    {
        return Health::failed(format!("failed: {}", failed.words()));
    }
    if condition(object, "Complete").is_some_and(|complete| complete.is_true()) {
        return Health::ready("is complete");
    }
    if condition(object, "Suspended").is_some_and(|suspended| suspended.is_true()) {
        return Health::stalled("is suspended");
    }
    let wanted = access::number(object, &["spec", "completions"]).unwrap_or(1);
    Health::progressing(count(status_number(object, "succeeded"), wanted, "pod", "done"))
}
