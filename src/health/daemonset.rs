//! DaemonSets.

use serde_json::Value as Json;

use super::{Health, access, count, status_number, unobserved};

pub(super) fn health(object: &Json) -> Health {
    if let Some(unobserved) = unobserved(object, true) {
        return unobserved;
    }
    let wanted = status_number(object, "desiredNumberScheduled");
    let updated = status_number(object, "updatedNumberScheduled");
    let available = status_number(object, "numberAvailable");
    let is_on_delete =
        access::text(object, &["spec", "updateStrategy", "type"]) == Some("OnDelete");
    if updated < wanted && !is_on_delete {
        return Health::progressing(count(updated, wanted, "pod", "updated"));
    }
    if available < wanted {
        return Health::progressing(count(available, wanted, "pod", "available"));
    }
    Health::ready(count(available, wanted, "pod", "available"))
}
