//! Services. One of type `LoadBalancer` counts as healthy once it has a cluster address: many
//! clusters never give it an outside one.

use serde_json::Value as Json;

use super::{Health, access};

pub(super) fn health(object: &Json) -> Health {
    let is_balanced = access::text(object, &["spec", "type"]) == Some("LoadBalancer");
    let address = access::text(object, &["spec", "clusterIP"]).unwrap_or_default();
    if is_balanced && address.is_empty() {
        return Health::progressing("has no address yet");
    }
    Health::ready("is there")
}
