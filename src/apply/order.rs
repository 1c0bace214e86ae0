//! The order in which kinds are installed and uninstalled: Helm's.

use crate::chart::model::Manifest;

/// Kinds in the order in which Helm installs them; unknown kinds come last.
const INSTALL: [&str; 38] = [
    "PriorityClass",
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

/// A kind's place; unknown kinds are behind all others.
pub(super) fn rank(kind: &str) -> usize {
    INSTALL.iter().position(|known| *known == kind).unwrap_or(INSTALL.len())
}

/// Steps of an install: objects of one step do not wait for one another.
pub(super) fn waves<T>(items: Vec<T>, manifest: impl Fn(&T) -> &Manifest) -> Vec<Vec<T>> {
    let mut items = items;
    items.sort_by_key(|item| rank(&manifest(item).key.kind));
    let mut waves: Vec<Vec<T>> = Vec::new();
    for item in items {
        let place = stage(&manifest(&item).key.kind);
        match waves.last_mut() {
            Some(wave) if stage(&manifest(&wave[0]).key.kind) == place => wave.push(item),
            _ => waves.push(vec![item]),
        }
    }
    waves
}

/// Kinds that need nothing of one another share a step: fewer round trips than one step a kind.
fn stage(kind: &str) -> usize {
    match kind {
        "PriorityClass" | "Namespace" => 0,
        "CustomResourceDefinition" => 2,
        "APIService" => 5,
        "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" => 6,
        kind if rank(kind) < rank("CustomResourceDefinition") => 1,
        kind if rank(kind) < rank("DaemonSet") => 3,
        kind if rank(kind) < INSTALL.len() => 4,
        _ => 7,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::access;

    fn manifest(kind: &str) -> Manifest {
        let object = json!({"kind": kind, "metadata": {"name": "x"}});
        Manifest {
            key: access::key_of(&object),
            api_version: "v1".to_owned(),
            object,
            text: String::new(),
            source: String::new(),
            line: 1,
        }
    }

    #[test]
    fn kinds_come_in_steps_and_unknown_ones_last() {
        let kinds = [
            "Widget",
            "Deployment",
            "ValidatingWebhookConfiguration",
            "ConfigMap",
            "Namespace",
            "CustomResourceDefinition",
            "Service",
            "Secret",
        ];
        let waves = waves(kinds.map(manifest).to_vec(), |manifest| manifest);
        let names: Vec<Vec<&str>> = waves
            .iter()
            .map(|wave| wave.iter().map(|manifest| &*manifest.key.kind).collect())
            .collect();
        assert_eq!(
            names,
            [
                vec!["Namespace"],
                vec!["Secret", "ConfigMap"],
                vec!["CustomResourceDefinition"],
                vec!["Service"],
                vec!["Deployment"],
                vec!["ValidatingWebhookConfiguration"],
                vec!["Widget"],
            ]
        );
    }
}
