//! Fields that an API server does not let anybody change: those of Kubernetes' own kinds.

use serde_json::Value as Json;

use crate::diff::{FieldChange, Step};
use crate::object::key::ObjectKey;

/// Of each kind the fields, as the names on the way to them.
const FIXED: &[(&str, &str, &[&[&str]])] = &[
    ("apps", "Deployment", &[&["spec", "selector"]]),
    ("apps", "DaemonSet", &[&["spec", "selector"]]),
    ("apps", "ReplicaSet", &[&["spec", "selector"]]),
    (
        "apps",
        "StatefulSet",
        &[
            &["spec", "selector"],
            &["spec", "serviceName"],
            &["spec", "podManagementPolicy"],
            &["spec", "volumeClaimTemplates"],
        ],
    ),
    (
        "batch",
        "Job",
        &[
            &["spec", "selector"],
            &["spec", "template"],
            &["spec", "completionMode"],
            &["spec", "backoffLimitPerIndex"],
            &["spec", "podFailurePolicy"],
        ],
    ),
    ("", "Service", &[&["spec", "clusterIP"], &["spec", "clusterIPs"], &["spec", "ipFamilies"]]),
    (
        "",
        "PersistentVolumeClaim",
        &[
            &["spec", "accessModes"],
            &["spec", "selector"],
            &["spec", "storageClassName"],
            &["spec", "volumeMode"],
            &["spec", "volumeName"],
            &["spec", "dataSource"],
            &["spec", "dataSourceRef"],
        ],
    ),
    ("", "Secret", &[&["type"]]),
    ("rbac.authorization.k8s.io", "RoleBinding", &[&["roleRef"]]),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding", &[&["roleRef"]]),
    (
        "storage.k8s.io",
        "StorageClass",
        &[&["provisioner"], &["parameters"], &["reclaimPolicy"], &["volumeBindingMode"]],
    ),
    ("scheduling.k8s.io", "PriorityClass", &[&["value"], &["preemptionPolicy"]]),
    (
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        &[&["spec", "group"], &["spec", "scope"], &["spec", "names", "kind"]],
    ),
    ("networking.k8s.io", "IngressClass", &[&["spec", "controller"]]),
];

/// Whether a change is of such a field. A field that comes or goes may get its default, and then
/// is none; of a size that grows the API server decides.
pub(super) fn is(key: &ObjectKey, field: &FieldChange) -> bool {
    let fixed = FIXED.iter().find(|(group, kind, _)| *group == key.group && *kind == key.kind);
    let is_within = |path: &&[&str]| {
        let steps = field.path.0.iter().zip(path.iter());
        field.path.0.len() >= path.len()
            && steps
                .into_iter()
                .all(|(step, name)| matches!(step, Step::Field(found) if found == name))
    };
    let is_whole = |path: &&[&str]| field.path.0.len() == path.len();
    let is_default = |value: &Option<Json>| value.is_none();
    fixed.is_some_and(|(_, _, paths)| {
        paths.iter().any(|path| {
            let may_be_default =
                is_whole(path) && (is_default(&field.before) || is_default(&field.after));
            is_within(path) && !may_be_default
        })
    })
}
