//! PersistentVolumeClaims.

use serde_json::Value as Json;

use super::{Health, access};

pub(super) fn health(object: &Json) -> Health {
    match access::text(object, &["status", "phase"]) {
        Some("Bound") => Health::ready("is bound"),
        Some("Lost") => Health::failed("lost its volume"),
        _ => Health::progressing("waits for a volume"),
    }
}
