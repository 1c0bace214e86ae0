//! What a server-side apply would make of an object, worked out here: for credentials that may read
//! and not even ask the server for a dry run.
//!
//! Follows the server's rules for managed fields and its defaults of built-in kinds. What admission
//! webhooks would change, and the defaults of a CRD's schema, are not in it.

use serde_json::Value as Json;

use super::ownership::{self, Takes};
use crate::base::clock::Timestamp;
use crate::k8s::RequestError;
use crate::k8s::error::FieldOwner;
use crate::object::access;
use crate::object::noise::FIELD_MANAGER;
use crate::sim::as_stored;
use crate::sim::schema::Shape;
use crate::sim::ssa::{Conflict, Managers, Reach, Writer};

/// The object after an apply of `body`.
///
/// # Errors
/// The fields of others that would change, unless `is_forced`.
pub(super) fn predicted(
    live: &Json,
    body: &Json,
    is_forced: bool,
    now: Timestamp,
) -> Result<Json, RequestError> {
    let entries = access::at(live, &["metadata", "managedFields"]).cloned().unwrap_or_default();
    let managers = Managers::from_json(&entries).unwrap_or_default();
    let mut before = live.clone();
    if let Some(metadata) = before.get_mut("metadata").and_then(Json::as_object_mut) {
        metadata.remove("managedFields");
    }
    let by = Writer {
        name: FIELD_MANAGER,
        api_version: access::api_version(body).to_owned(),
        reach: Reach::NotStatus,
        now,
    };
    let shape = Shape::built_in(access::kind(live));
    let applied = managers.apply(Some(&before), body, shape, (&by, is_forced));
    let (mut object, _) = applied.map_err(|conflicts| refused(&conflicts, &entries))?;
    as_stored(&mut object);
    if let (Some(metadata), false) =
        (object.get_mut("metadata").and_then(Json::as_object_mut), entries.is_null())
    {
        metadata.insert("managedFields".to_owned(), entries);
    }
    Ok(object)
}

/// What a predicted object comes to once the fields of former managers were handed over: those that
/// are not applied go away, which no single request to the server can tell.
pub(super) fn after_handover(mut object: Json, body: &Json, takes: Takes, now: Timestamp) -> Json {
    let Some(entries) = ownership::handed_over(&object, takes) else { return object };
    if let Some(managed) = object.pointer_mut("/metadata/managedFields") {
        *managed = entries;
    }
    // Nobody is left to conflict with: the server has answered that already.
    match predicted(&object, body, true, now) {
        Ok(predicted) => predicted,
        Err(_) => object,
    }
}

fn refused(conflicts: &[Conflict], entries: &Json) -> RequestError {
    let is_applied = |manager: &str| {
        entries.as_array().into_iter().flatten().any(|entry| {
            access::text(entry, &["manager"]) == Some(manager)
                && access::text(entry, &["operation"]) == Some("Apply")
        })
    };
    let owner = |conflict: &Conflict| {
        // A conflict names its manager in quotes, with more about it behind.
        let manager = conflict.manager.split('"').nth(1).unwrap_or(&conflict.manager).to_owned();
        let is_applied = is_applied(&manager);
        FieldOwner { field: conflict.path.clone(), manager, is_applied }
    };
    RequestError::FieldConflict { owners: conflicts.iter().map(owner).collect() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn live() -> Json {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "apps", "uid": "u", "resourceVersion": "7",
                "managedFields": [
                    {"manager": "fitout", "operation": "Apply", "apiVersion": "apps/v1",
                     "fieldsType": "FieldsV1", "time": "2026-01-01T00:00:00Z",
                     "fieldsV1": {"f:spec": {"f:paused": {}, "f:template": {"f:spec": {"f:containers": {
                        "k:{\"name\":\"web\"}": {".": {}, "f:name": {}, "f:image": {}}}}}}}},
                    {"manager": "kubectl-scale", "operation": "Update", "apiVersion": "apps/v1",
                     "fieldsType": "FieldsV1", "time": "2026-01-01T00:00:00Z",
                     "fieldsV1": {"f:spec": {"f:replicas": {}}}},
                ]},
            "spec": {"replicas": 5, "paused": true, "template": {"spec": {"containers": [
                {"name": "web", "image": "web:1", "imagePullPolicy": "IfNotPresent"}]}}},
        })
    }

    fn body(spec: &Json) -> Json {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec})
    }

    #[test]
    fn what_is_no_longer_applied_goes_and_what_others_own_stays() {
        let body = body(
            &json!({"template": {"spec": {"containers": [{"name": "web", "image": "web:2"}]}}}),
        );
        let after = predicted(&live(), &body, false, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(after.pointer("/spec/replicas"), Some(&json!(5)));
        assert_eq!(after.pointer("/spec/paused"), None);
        let container = after.pointer("/spec/template/spec/containers/0").unwrap();
        assert_eq!(container["image"], "web:2");
        assert_eq!(container["imagePullPolicy"], "IfNotPresent");
    }

    #[test]
    fn what_a_former_manager_has_set_and_the_chart_has_not_goes_with_the_handover() {
        let mut live = live();
        live["metadata"]["managedFields"][1]["manager"] = json!("helm");
        let body = body(
            &json!({"paused": true, "template": {"spec": {"containers": [{"name": "web", "image": "web:1"}]}}}),
        );
        let after = after_handover(live.clone(), &body, Takes::Helm, Timestamp::UNIX_EPOCH);
        assert_eq!(after.pointer("/spec/replicas"), Some(&json!(1)), "the default");
        assert_eq!(after.pointer("/spec/paused"), Some(&json!(true)));
        live["metadata"]["managedFields"][1]["manager"] = json!("kubectl-scale");
        let after = after_handover(live.clone(), &body, Takes::HelmAndFiles, Timestamp::UNIX_EPOCH);
        assert_eq!(after, live, "somebody's hand stays");
    }

    #[test]
    fn a_field_of_somebody_else_is_a_conflict() {
        let body = body(&json!({"replicas": 1}));
        let error = predicted(&live(), &body, false, Timestamp::UNIX_EPOCH).unwrap_err();
        let RequestError::FieldConflict { owners } = error else { panic!("{error}") };
        assert_eq!(owners.len(), 1);
        assert_eq!(
            (owners[0].manager.as_str(), owners[0].field.as_str()),
            ("kubectl-scale", ".spec.replicas")
        );
        assert!(!owners[0].is_applied);
        let after = predicted(&live(), &body, true, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(after.pointer("/spec/replicas"), Some(&json!(1)));
    }
}
