//! StatefulSets.

use serde_json::Value as Json;

use super::{Health, access, count, status_number, unobserved};

pub(super) fn health(object: &Json) -> Health {
    if let Some(unobserved) = unobserved(object, true) {
        return unobserved;
    }
    let wanted = access::number(object, &["spec", "replicas"]).unwrap_or(1);
    let ready = status_number(object, "readyReplicas");
    let present = status_number(object, "replicas");
    if ready < wanted {
        return Health::progressing(count(ready, wanted, "replica", "ready"));
    }
    if present > wanted {
        return Health::progressing(format!("{} replicas too many", present - wanted));
    }
    if access::text(object, &["spec", "updateStrategy", "type"]) == Some("OnDelete") {
        return Health::ready(count(ready, wanted, "replica", "ready"));
    }
    let partition = ["spec", "updateStrategy", "rollingUpdate", "partition"];
    let partition = access::number(object, &partition).unwrap_or(0).clamp(0, wanted);
    let updated = status_number(object, "updatedReplicas");
    let revision = |field| access::text(object, &["status", field]);
    let is_one_revision = revision("currentRevision") == revision("updateRevision");
    if !is_one_revision && updated < wanted - partition {
        return Health::progressing(count(updated, wanted - partition, "replica", "updated"));
    }
    Health::ready(count(ready, wanted, "replica", "ready"))
}
