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
const HELM_MANAGERS: [&str; 2] = ["helm", "helm-controller"];

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
pub(super) fn yields(owner: &FieldOwner) -> bool {
    let manager = owner.manager.as_str();
    let is_hand = manager == "kubectl" || manager.starts_with("kubectl-");
    let is_own = manager == FIELD_MANAGER;
    is_helm(manager) || (!owner.is_applied && (is_hand || is_own))
}

/// The patch that hands Helm's fields of a live object over to fitout, so that fields which the
/// chart no longer has go away with the next apply. `None` when Helm has no fields.
pub(super) fn handover(live: &Json) -> Option<Json> {
    let managed = access::list(live, &["metadata", "managedFields"]);
    let is_helms = |entry: &Json| {
        access::text(entry, &["manager"]).is_some_and(is_helm)
            && access::text(entry, &["operation"]) == Some("Update")
            && access::text(entry, &["subresource"]).is_none_or(str::is_empty)
    };
    let is_ours = |entry: &Json| {
        access::text(entry, &["manager"]) == Some(FIELD_MANAGER)
            && access::text(entry, &["operation"]) == Some("Apply")
    };
    let mut fields = Map::new();
    let helms: Vec<_> = managed.iter().filter(|entry| is_helms(entry)).collect();
    let first = helms.first()?;
    for entry in helms.iter().copied().chain(managed.iter().filter(|entry| is_ours(entry))) {
        if let Some(more) = entry.get("fieldsV1").and_then(Json::as_object) {
            union(&mut fields, more);
        }
    }
    let mut entries: Vec<Json> =
        managed.iter().filter(|entry| !is_helms(entry) && !is_ours(entry)).cloned().collect();
    entries.push(json!({
        "manager": FIELD_MANAGER,
        "operation": "Apply",
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
            yields(&FieldOwner { field, manager, is_applied })
        };
        for manager in ["kubectl", "kubectl-edit", "kubectl-client-side-apply", "helm", "fitout"] {
            assert!(yields(manager, false), "{manager}");
        }
        assert!(!yields("kubectl", true), "kubectl apply --server-side");
        assert!(!yields("kube-controller-manager", false), "an autoscaler");
        assert!(!yields("argocd-controller", true));
        assert!(!yields("kubectlish", false));
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
        let patch = handover(&live).unwrap();
        let entries = patch[0]["value"].as_array().unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[1]["fieldsV1"], json!({"f:data": {"f:old": {}, "f:new": {}}}));
        assert_eq!(patch[1]["value"], "7");
        assert_eq!(handover(&json!({"metadata": {}})), None);
    }
}
