//! The order in which the objects of a release are installed: Helm's order of kinds, in as few steps
//! as kinds need one another. Objects are deleted the other way round.

use crate::chart::manifest::install_rank;
use crate::chart::model::{Hook, Manifest};
use crate::object::key::ObjectKey;

/// A kind's place in Helm's order; kinds that Helm does not know are behind all others.
pub fn rank(kind: &str) -> usize {
    match install_rank(kind) {
        _ if is_webhook(kind) => usize::MAX - 1,
        (rank, "") => rank,
        _ => usize::MAX,
    }
}

/// Helm knows no place for them. They come late, since they may need what the release installs,
/// and before objects of other kinds, which may need them.
fn is_webhook(kind: &str) -> bool {
    matches!(kind, "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration")
}

/// Hooks of any of these events, in the order they run in: by weight, then by name.
pub fn hooks<'a>(hooks: &'a [Hook], events: &[&str]) -> Vec<&'a Hook> {
    let is_due = |hook: &&Hook| hook.events.iter().any(|event| events.contains(&event.as_str()));
    let mut due: Vec<&Hook> = hooks.iter().filter(is_due).collect();
    due.sort_by(|a, b| (a.weight, &a.manifest.key.name).cmp(&(b.weight, &b.manifest.key.name)));
    due
}

/// Steps of an install: objects of one step do not wait for one another.
pub fn waves<T>(items: Vec<T>, manifest: impl Fn(&T) -> &Manifest) -> Vec<Vec<T>> {
    let mut items = items;
    items.sort_by_key(|item| {
        let key = &manifest(item).key;
        (stage(key), rank(&key.kind))
    });
    let mut waves: Vec<Vec<T>> = Vec::new();
    for item in items {
        let place = stage(&manifest(&item).key);
        match waves.last_mut() {
            Some(wave) if stage(&manifest(&wave[0]).key) == place => wave.push(item),
            _ => waves.push(vec![item]),
        }
    }
    waves
}

/// Kinds that need nothing of one another share a step: fewer round trips than one step a kind.
fn stage(key: &ObjectKey) -> usize {
    match key.kind.as_str() {
        // A custom resource, whatever its kind is called.
        _ if !is_of_kubernetes(&key.group) => 7,
        "PriorityClass" | "Namespace" => 0,
        // Before their bindings: of whoever is no administrator, a binding is only taken once its
        // role is there, to see that they have what it grants.
        "Role" | "ClusterRole" => 1,
        "CustomResourceDefinition" => 2,
        "APIService" => 5,
        kind if is_webhook(kind) => 6,
        kind if rank(kind) < rank("CustomResourceDefinition") => 1,
        kind if rank(kind) < rank("DaemonSet") => 3,
        kind if rank(kind) < usize::MAX => 4,
        _ => 7,
    }
}

fn is_of_kubernetes(group: &str) -> bool {
    matches!(group, "" | "apps" | "autoscaling" | "batch" | "extensions" | "policy")
        || group.ends_with(".k8s.io")
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
            object: object.into(),
            text: "".into(),
            source: "".into(),
            line: 1,
        }
    }

    #[test]
    fn a_custom_resource_waits_for_its_crd_whatever_it_is_called() {
        let custom = Manifest {
            key: ObjectKey { group: "serving.example.org".to_owned(), ..manifest("Service").key },
            ..manifest("Service")
        };
        let waves = waves(vec![custom, manifest("CustomResourceDefinition")], |manifest| manifest);
        assert_eq!(waves[0][0].key.kind, "CustomResourceDefinition");
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
            "ClusterRoleBinding",
            "ClusterRole",
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
                vec!["Secret", "ConfigMap", "ClusterRole"],
                vec!["CustomResourceDefinition"],
                vec!["ClusterRoleBinding", "Service"],
                vec!["Deployment"],
                vec!["ValidatingWebhookConfiguration"],
                vec!["Widget"],
            ]
        );
    }
}
