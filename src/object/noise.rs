//! What an API server adds to an object by itself: never part of a comparison.

use serde_json::Value as Json;
use sha2::Digest as _;

use super::access;
use crate::base::ids::hex;

/// The name under which fitout writes fields.
pub const FIELD_MANAGER: &str = "fitout";

const SERVER_METADATA: [&str; 8] = [
    "managedFields",
    "resourceVersion",
    "uid",
    "generation",
    "creationTimestamp",
    "selfLink",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];

/// The object without `status` and without metadata that only the server writes.
pub fn without_server_fields(object: &Json) -> Json {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
        if let Some(metadata) = fields.get_mut("metadata").and_then(Json::as_object_mut) {
            for field in SERVER_METADATA {
                metadata.remove(field);
            }
            let annotations = metadata.get_mut("annotations").and_then(Json::as_object_mut);
            if let Some(annotations) = annotations {
                annotations.remove("deployment.kubernetes.io/revision");
                annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
                if annotations.is_empty() {
                    metadata.remove("annotations");
                }
            }
        }
    }
    object
}

/// A short digest of the set of fields that fitout owns on a live object, and of the object's
/// identity. It is unchanged as long as nobody took, changed or removed one of these fields:
/// the API server moves the ownership of a field with every such change.
pub fn ownership(object: &Json) -> Option<String> {
    let managed = access::list(object, &["metadata", "managedFields"]);
    let ours = managed.iter().find(|entry| {
        access::text(entry, &["manager"]) == Some(FIELD_MANAGER)
            && access::text(entry, &["operation"]) == Some("Apply")
            && access::text(entry, &["subresource"]).is_none_or(str::is_empty)
    })?;
    let fields = ours.get("fieldsV1")?.to_string();
    let mut hasher = sha2::Sha256::new();
    hasher.update(access::uid(object));
    hasher.update([0]);
    hasher.update(fields);
    Some(hex(&hasher.finalize())[..16].to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn server_fields_and_status_are_left_out() {
        let object = json!({
            "kind": "Deployment",
            "metadata": {
                "name": "a", "uid": "1", "generation": 3, "managedFields": [],
                "annotations": {"deployment.kubernetes.io/revision": "4"},
            },
            "spec": {"replicas": 1},
            "status": {"readyReplicas": 1},
        });
        assert_eq!(
            without_server_fields(&object),
            json!({"kind": "Deployment", "metadata": {"name": "a"}, "spec": {"replicas": 1}})
        );
    }

    #[test]
    fn ownership_changes_when_a_field_is_taken_and_not_when_the_status_moves() {
        let live = |fields: Json, status: Json| {
            json!({
                "metadata": {"uid": "u", "managedFields": [
                    {"manager": "kubelet", "operation": "Update", "fieldsV1": {"f:status": {}}},
                    {"manager": "fitout", "operation": "Apply", "fieldsV1": fields},
                ]},
                "status": status,
            })
        };
        let before = ownership(&live(json!({"f:spec": {"f:replicas": {}}}), json!({})));
        assert!(before.is_some());
        assert_eq!(
            before,
            ownership(&live(json!({"f:spec": {"f:replicas": {}}}), json!({"ready": 1})))
        );
        assert_ne!(before, ownership(&live(json!({"f:spec": {}}), json!({}))));
        assert_eq!(ownership(&json!({"metadata": {}})), None);
    }
}
