//! Whose an object is: by Helm's annotations, and by the managers of its fields.

use serde_json::{Map, Value as Json, json};

use crate::k8s::error::FieldOwner;
use crate::live::ReleaseId;
use crate::object::access;
use crate::object::noise::FIELD_MANAGER;

/// The annotation with the release's name.
pub(super) const RELEASE_NAME: &str = "meta.helm.sh/release-name";
/// The annotation with the release's namespace.
pub(super) const RELEASE_NAMESPACE: &str = "meta.helm.sh/release-namespace";
/// The label that says that Helm manages an object.
pub(super) const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// Managers whose fields a release that Helm made has: adopting the release is taking them over.
/// Flux's helm-controller is Helm under its own name.
const HELM_MANAGERS: [&str; 2] = ["helm", "helm-controller"];

/// Managers whose fields an object has that was made from a file: `kubectl apply` in both of its
/// forms, `create` and `replace`. What `edit`, `scale` and the like have set is somebody's hand.
const FILE_MANAGERS: [&str; 5] = [
    "kubectl",
    "kubectl-client-side-apply",
    "kubectl-last-applied",
    "kubectl-create",
    "kubectl-replace",
];

/// Whose fields are taken over with an object, so that those which the chart does not have go away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// Helm's.
    Helm,
    /// Helm's, and those of the files that the object was made from.
    HelmAndFiles,
}

impl Takes {
    fn has(self, manager: &str) -> bool {
        is_helm(manager) || (self == Self::HelmAndFiles && FILE_MANAGERS.contains(&manager))
    }
}

/// Whose an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// This release's.
    Ours,
    /// Another release's: namespace and name.
    Other(String),
    /// No release's.
    Nobody,
}

/// Whose a live object is.
pub(super) fn owner(live: &Json, id: &ReleaseId) -> Owner {
    let name = access::annotation(live, RELEASE_NAME);
    let namespace = access::annotation(live, RELEASE_NAMESPACE);
    match (name, namespace) {
        (Some(name), namespace) => {
            let namespace = namespace.unwrap_or(&id.namespace);
            if name == id.name && namespace == id.namespace {
                Owner::Ours
            } else {
                Owner::Other(format!("{namespace}/{name}"))
            }
        }
        (None, _) => Owner::Nobody,
    }
}

/// Whether a manager is Helm.
fn is_helm(manager: &str) -> bool {
    HELM_MANAGERS.contains(&manager)
}

/// Whether a field is taken back from its owner without asking. Helm's fields come with the
/// release; what somebody set by hand is drift from what git says. A controller that owns a field
/// would set it again, so that its claim is told instead.
pub(super) fn yields(owner: &FieldOwner, takes: Takes) -> bool {
    let manager = owner.manager.as_str();
    let is_own = manager == FIELD_MANAGER;
    takes.has(manager) || (!owner.is_applied && (is_hand(manager) || is_own))
}

/// Whether a manager is somebody's hand.
fn is_hand(manager: &str) -> bool {
    manager == "kubectl" || manager.starts_with("kubectl-")
}

/// The patch that hands the fields of former managers over to fitout, so that fields which the
/// chart does not have go away with the next apply. `None` when they have none.
pub(super) fn handover(live: &Json, takes: Takes) -> Option<Json> {
    let is_former = |entry: &Json| {
        access::text(entry, &["manager"]).is_some_and(|manager| takes.has(manager))
            && is_of_object(entry)
    };
    let is_ours = |entry: &Json| is_by(entry, FIELD_MANAGER, "Apply");
    moved(live, is_former, is_ours, (FIELD_MANAGER, "Apply"))
}

/// The managed fields that [`handover`] leaves.
pub(super) fn handed_over(live: &Json, takes: Takes) -> Option<Json> {
    handover(live, takes)?.pointer("/0/value").cloned()
}

/// The patch that hands fitout's fields of a live object back to Helm, as if Helm had set them.
/// `None` when fitout has none.
pub(super) fn handback(live: &Json) -> Option<Json> {
    let is_ours = |entry: &Json| {
        access::text(entry, &["manager"]) == Some(FIELD_MANAGER) && is_of_object(entry)
    };
    let is_helms = |entry: &Json| is_by(entry, HELM_MANAGERS[0], "Update");
    moved(live, is_ours, is_helms, (HELM_MANAGERS[0], "Update"))
}

/// Whether an entry of managed fields is about the object itself, not about a part of it that has
/// its own address.
fn is_of_object(entry: &Json) -> bool {
    access::text(entry, &["subresource"]).is_none_or(str::is_empty)
}

fn is_by(entry: &Json, manager: &str, operation: &str) -> bool {
    access::text(entry, &["manager"]) == Some(manager)
        && access::text(entry, &["operation"]) == Some(operation)
        && is_of_object(entry)
}

/// The patch that moves the fields of some entries into one of another name, which may be there.
/// It fails when the object has changed in between.
fn moved(
    live: &Json,
    is_moved: impl Fn(&Json) -> bool,
    is_joined: impl Fn(&Json) -> bool,
    (manager, operation): (&str, &str),
) -> Option<Json> {
    let managed = access::list(live, &["metadata", "managedFields"]);
    let moved: Vec<_> = managed.iter().filter(|entry| is_moved(entry)).collect();
    let first = moved.first()?;
    let mut fields = Map::new();
    for entry in moved.iter().copied().chain(managed.iter().filter(|entry| is_joined(entry))) {
        if let Some(more) = entry.get("fieldsV1").and_then(Json::as_object) {
            union(&mut fields, more);
        }
    }
    let mut entries: Vec<Json> =
        managed.iter().filter(|entry| !is_moved(entry) && !is_joined(entry)).cloned().collect();
    entries.push(json!({
        "manager": manager,
        "operation": operation,
        "apiVersion": first.get("apiVersion"),
        "time": first.get("time"),
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }));
    Some(json!([
        {"op": "replace", "path": "/metadata/managedFields", "value": entries},
        {"op": "replace", "path": "/metadata/resourceVersion",
         "value": access::resource_version(live)},
    ]))
}

/// Former managers of a live object, by name and operation, in their order.
pub(super) fn former_managers(live: &Json, takes: Takes) -> Vec<String> {
    let managed = access::list(live, &["metadata", "managedFields"]);
    let former = managed.iter().filter(|entry| is_of_object(entry)).filter_map(|entry| {
        let manager = access::text(entry, &["manager"]).filter(|manager| takes.has(manager))?;
        let operation = access::text(entry, &["operation"]).unwrap_or_default();
        Some(format!("{manager} ({operation})"))
    });
    let mut former: Vec<String> = former.collect();
    former.dedup();
    former
}

fn union(fields: &mut Map<String, Json>, more: &Map<String, Json>) {
    for (name, value) in more {
        match (fields.get_mut(name), value) {
            (Some(Json::Object(known)), Json::Object(value)) => union(known, value),
            (Some(_), _) => {}
            (None, value) => {
                fields.insert(name.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> ReleaseId {
        ReleaseId { namespace: "apps".to_owned(), name: "web".to_owned() }
    }

    fn object(name: Option<&str>, namespace: &str) -> Json {
        match name {
            Some(name) => json!({"metadata": {"annotations": {
                RELEASE_NAME: name, RELEASE_NAMESPACE: namespace,
            }}}),
            None => json!({"metadata": {}}),
        }
    }

    #[test]
    fn an_object_is_ours_by_name_and_namespace_of_the_release() {
        assert_eq!(owner(&object(Some("web"), "apps"), &id()), Owner::Ours);
        assert_eq!(
            owner(&object(Some("web"), "other"), &id()),
            Owner::Other("other/web".to_owned())
        );
        assert_eq!(owner(&object(None, ""), &id()), Owner::Nobody);
    }

    #[test]
    fn what_was_set_by_hand_yields_and_a_declaration_does_not() {
        let yields = |manager: &str, is_applied| {
            let (field, manager) = (String::new(), manager.to_owned());
            yields(&FieldOwner { field, manager, is_applied }, Takes::Helm)
        };
        for manager in ["kubectl", "kubectl-edit", "kubectl-client-side-apply", "helm", "fitout"] {
            assert!(yields(manager, false), "{manager}");
        }
        assert!(!yields("kubectl", true), "kubectl apply --server-side");
        assert!(!yields("kube-controller-manager", false), "an autoscaler");
        assert!(!yields("argocd-controller", true));
        assert!(!yields("kubectlish", false));
        assert!(yields("helm-controller", true), "Helm 4 applies");
        let (field, manager) = (String::new(), "kubectl".to_owned());
        let declared = FieldOwner { field, manager, is_applied: true };
        assert!(super::yields(&declared, Takes::HelmAndFiles), "the object is taken over");
    }

    #[test]
    fn the_handover_gives_all_of_helms_fields_to_fitout_and_leaves_the_others() {
        let live = json!({"metadata": {"resourceVersion": "7", "managedFields": [
            {"manager": "helm", "operation": "Update", "apiVersion": "v1",
             "fieldsV1": {"f:data": {"f:old": {}}}},
            {"manager": "kubelet", "operation": "Update", "fieldsV1": {"f:status": {}}},
            {"manager": "fitout", "operation": "Apply", "apiVersion": "v1",
             "fieldsV1": {"f:data": {"f:new": {}}}},
        ]}});
        let patch = handover(&live, Takes::Helm).unwrap();
        let entries = patch[0]["value"].as_array().unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[1]["fieldsV1"], json!({"f:data": {"f:old": {}, "f:new": {}}}));
        assert_eq!(patch[1]["value"], "7");
        assert_eq!(handover(&json!({"metadata": {}}), Takes::Helm), None);
    }

    #[test]
    fn what_came_from_files_is_taken_over_where_that_is_asked_for() {
        let entry = |manager: &str, operation: &str, field: &str| {
            json!({"manager": manager, "operation": operation, "apiVersion": "v1",
                   "fieldsV1": {"f:data": {field: {}}}})
        };
        let live = json!({"metadata": {"resourceVersion": "7", "managedFields": [
            entry("kubectl-client-side-apply", "Update", "f:file"),
            entry("kubectl", "Apply", "f:applied"),
            entry("kubectl-edit", "Update", "f:edited"),
            {"manager": "kubectl-client-side-apply", "operation": "Update",
             "subresource": "status", "fieldsV1": {"f:status": {}}},
        ]}});
        assert_eq!(handover(&live, Takes::Helm), None);
        let patch = handover(&live, Takes::HelmAndFiles).unwrap();
        let entries = patch[0]["value"].as_array().unwrap();
        let managers: Vec<_> = entries.iter().map(|entry| entry["manager"].clone()).collect();
        assert_eq!(managers, ["kubectl-edit", "kubectl-client-side-apply", "fitout"]);
        assert_eq!(entries[2]["fieldsV1"], json!({"f:data": {"f:file": {}, "f:applied": {}}}));
        assert_eq!(
            former_managers(&live, Takes::HelmAndFiles),
            ["kubectl-client-side-apply (Update)", "kubectl (Apply)"]
        );
    }

    #[test]
    fn what_is_handed_back_is_as_helm_would_have_set_it() {
        let live = json!({"metadata": {"resourceVersion": "7", "managedFields": [
            {"manager": "fitout", "operation": "Apply", "apiVersion": "v1",
             "fieldsV1": {"f:data": {"f:a": {}}}},
            {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:data": {"f:b": {}}}},
            {"manager": "helm", "operation": "Update", "apiVersion": "v1",
             "fieldsV1": {"f:data": {"f:c": {}}}},
        ]}});
        let patch = handback(&live).unwrap();
        let entries = patch[0]["value"].as_array().unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[1]["manager"], "helm");
        assert_eq!(entries[1]["operation"], "Update");
        assert_eq!(entries[1]["fieldsV1"], json!({"f:data": {"f:a": {}, "f:c": {}}}));
        let back = json!({"metadata": {"resourceVersion": "8", "managedFields": entries}});
        assert_eq!(handback(&back), None, "once is enough");
    }
}
