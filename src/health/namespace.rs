//! Namespaces.

use serde_json::Value as Json;

use super::{Health, access};

pub(super) fn health(object: &Json) -> Health {
    match access::text(object, &["status", "phase"]) {
        Some("Terminating") => Health::progressing("is being deleted"),
        _ => Health::ready("is active"),
    }
}
