//! Fields that cannot be changed on an object that exists.

use serde_json::{Value as Json, json};

use super::kinds::Kind;
use super::metadata;
use super::status::Cause;
use crate::object::access;

/// Fields of a StatefulSet's `spec` that may change.
const STATEFULSET_MUTABLE: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];
const STATEFULSET_WHY: &str = "updates to statefulset spec for fields other than 'replicas', \
    'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', \
    'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
const IMMUTABLE: &str = "field is immutable";
const WHEN_SET: &str = "field is immutable when `immutable` is set";
const POD_WHY: &str = "pod updates may not change fields other than \
    `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,\
    `spec.tolerations` (only additions to existing tolerations),\
    `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// What a write changes that it must not, in the API server's words.
pub fn check(kind: &Kind, old: &Json, new: &Json) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut fixed = |path: &str, why: &str| causes.extend(unchanged(old, new, path, why));
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("apps", "Deployment" | "DaemonSet" | "ReplicaSet") => fixed("spec.selector", IMMUTABLE),
        ("apps", "StatefulSet") => causes.extend(statefulset(old, new)),
        ("batch", "Job") => {
            fixed("spec.selector", IMMUTABLE);
            fixed("spec.completionMode", IMMUTABLE);
            fixed("spec.template", IMMUTABLE);
        }
        ("", "Service") => causes.extend(service(old, new)),
        ("", "PersistentVolumeClaim") => causes.extend(claim(old, new)),
        ("", "Pod") => causes.extend(pod(old, new)),
        ("", "Secret") => {
            fixed("type", IMMUTABLE);
            causes.extend(frozen(old, new, &["data"]));
        }
        ("", "ConfigMap") => causes.extend(frozen(old, new, &["data", "binaryData"])),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            causes.extend(role_ref(old, new));
        }
        ("networking.k8s.io", "IngressClass") => fixed("spec.controller", IMMUTABLE),
        ("storage.k8s.io", "StorageClass") => {
            for field in ["parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"] {
                if old.get(field) != new.get(field) {
                    let why = format!("updates to {field} are forbidden.");
                    causes.push(Cause::forbidden(field, &why));
                }
            }
        }
        ("scheduling.k8s.io", "PriorityClass") if old.get("value") != new.get("value") => {
            causes.push(Cause::forbidden("value", "may not be changed in an update."));
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            fixed("spec.group", IMMUTABLE);
            fixed("spec.scope", IMMUTABLE);
            fixed("spec.names.kind", IMMUTABLE);
            fixed("spec.names.plural", IMMUTABLE);
        }
        _ => {}
    }
    causes
}

/// An object that was told to go gets no more finalizers.
pub(super) fn finalizers(old: &Json, new: &Json) -> Option<Cause> {
    if !metadata::is_ending(old) {
        return None;
    }
    let before = metadata::finalizers(old);
    let mut more = metadata::finalizers(new);
    more.retain(|one| !before.contains(one));
    let names: Vec<_> = more.iter().map(|one| format!("{one:?}")).collect();
    (!more.is_empty()).then(|| {
        let why = format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers \
             []string{{{}}}",
            names.join(", ")
        );
        Cause::forbidden("metadata.finalizers", &why)
    })
}

fn at<'a>(object: &'a Json, path: &str) -> Option<&'a Json> {
    path.split('.').try_fold(object, |value, step| value.get(step))
}

fn unchanged(old: &Json, new: &Json, path: &str, why: &str) -> Option<Cause> {
    let (before, after) = (at(old, path), at(new, path));
    (before != after).then(|| Cause::invalid(path, after.unwrap_or(&Json::Null), why))
}

fn role_ref(old: &Json, new: &Json) -> Option<Cause> {
    let given = |field| access::text(new, &["roleRef", field]).unwrap_or_default();
    // With the names that Go has for the fields.
    let told = json!({
        "APIGroup": given("apiGroup"), "Kind": given("kind"), "Name": given("name"),
    });
    (old.get("roleRef") != new.get("roleRef"))
        .then(|| Cause::invalid("roleRef", &told, "cannot change roleRef"))
}

/// The object's `spec` without some of its fields.
fn spec_without(object: &Json, fields: &[&str]) -> Json {
    let mut spec = object.get("spec").cloned().unwrap_or(Json::Null);
    if let Some(spec) = spec.as_object_mut() {
        spec.retain(|name, _| !fields.contains(&name.as_str()));
    }
    spec
}

fn statefulset(old: &Json, new: &Json) -> Option<Cause> {
    let is_same =
        spec_without(old, &STATEFULSET_MUTABLE) == spec_without(new, &STATEFULSET_MUTABLE);
    (!is_same).then(|| Cause::forbidden("spec", STATEFULSET_WHY))
}

fn service(old: &Json, new: &Json) -> Option<Cause> {
    let external = |object: &Json| access::text(object, &["spec", "type"]) == Some("ExternalName");
    let address = |object| access::text(object, &["spec", "clusterIP"]).unwrap_or_default();
    if external(old) || external(new) || address(old).is_empty() || address(old) == address(new) {
        return None;
    }
    let given = json!([address(new)]);
    Some(Cause::invalid("spec.clusterIPs[0]", &given, "may not change once set"))
}

fn claim(old: &Json, new: &Json) -> Option<Cause> {
    const MUTABLE: [&str; 3] = ["resources", "volumeAttributesClassName", "volumeName"];
    let is_same = spec_without(old, &MUTABLE) == spec_without(new, &MUTABLE);
    (!is_same).then(|| {
        let why = "spec is immutable after creation except resources.requests and \
                   volumeAttributesClassName for bound claims";
        Cause::forbidden("spec", why)
    })
}

fn pod(old: &Json, new: &Json) -> Option<Cause> {
    const MUTABLE: [&str; 7] = [
        "containers",
        "initContainers",
        "activeDeadlineSeconds",
        "tolerations",
        "terminationGracePeriodSeconds",
        "nodeName",
        "schedulingGates",
    ];
    let without_image = |object: &Json, list: &str| -> Vec<Json> {
        let mut containers = access::list(object, &["spec", list]).to_vec();
        for container in &mut containers {
            if let Some(fields) = container.as_object_mut() {
                fields.remove("image");
            }
        }
        containers
    };
    let is_same = spec_without(old, &MUTABLE) == spec_without(new, &MUTABLE)
        && ["containers", "initContainers"]
            .iter()
            .all(|list| without_image(old, list) == without_image(new, list));
    (!is_same).then(|| Cause::forbidden("spec", POD_WHY))
}

/// ConfigMaps and Secrets that were declared immutable.
fn frozen(old: &Json, new: &Json, fields: &[&str]) -> Vec<Cause> {
    if old.get("immutable") != Some(&Json::Bool(true)) {
        return Vec::new();
    }
    let mut causes = Vec::new();
    if new.get("immutable") != Some(&Json::Bool(true)) {
        causes.push(Cause::forbidden("immutable", WHEN_SET));
    }
    for field in fields {
        if old.get(*field) != new.get(*field) {
            causes.push(Cause::forbidden(*field, WHEN_SET));
        }
    }
    causes
}
