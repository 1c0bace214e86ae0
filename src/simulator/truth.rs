//! What a simulated cluster really has, read past every fault.

use serde_json::Value as Json;

use super::fleet::AddonModel;
use crate::base::ids::Digest;
use crate::live::record::{self, RecordHead, ReleaseStatus};
use crate::object::access;
use crate::object::key::ObjectKey;
use crate::rollout::job;
use crate::sim::store::Store;

/// What no addon has made, and nobody may touch.
pub(super) const FOREIGN: &str = "foreign";

/// The namespace of an addon.
pub(super) fn namespace(addon: &str) -> String {
    format!("ns-{addon}")
}

/// The addon that a namespace is of.
pub(super) fn addon_of(namespace: &str) -> Option<&str> {
    namespace.strip_prefix("ns-")
}

/// Whether an object is the Job of a gate.
pub(super) fn is_of_gate(object: &Json) -> bool {
    access::annotation(object, job::CHANGED_AT).is_some()
}

/// The records of an addon's release, oldest first.
pub(super) fn records(store: &Store, addon: &str) -> Vec<RecordHead> {
    let namespace = namespace(addon);
    let secrets = store.keys("", "Secret", &namespace);
    let mut heads: Vec<_> =
        secrets.filter_map(|key| store.get(key)).filter_map(record::head).collect();
    heads.sort_by_key(|head| head.revision);
    heads
}

/// The digest that an addon is deployed at, when nothing is on its way.
pub(super) fn deployed(store: &Store, addon: &str) -> Option<Digest> {
    let newest = records(store, addon).pop()?;
    newest.origin.digest.filter(|_| newest.status == ReleaseStatus::Deployed)
}

/// How many revisions of an addon are on record as deployed.
pub(super) fn deployed_records(store: &Store, addon: &str) -> usize {
    let is_deployed = |head: &&RecordHead| head.status == ReleaseStatus::Deployed;
    records(store, addon).iter().filter(is_deployed).count()
}

/// Whether anything of an addon runs.
pub(super) fn is_present(store: &Store, addon: &str) -> bool {
    deployment(store, addon).is_some()
}

/// Whether an addon's workload runs as it was last asked to.
pub(super) fn is_ready(store: &Store, addon: &str) -> bool {
    let Some(deployment) = deployment(store, addon) else { return false };
    let number = |path: &[&str]| access::number(deployment, path).unwrap_or(0);
    number(&["status", "observedGeneration"]) == number(&["metadata", "generation"])
        && number(&["status", "replicas"]) == number(&["spec", "replicas"])
        && number(&["status", "updatedReplicas"]) == number(&["spec", "replicas"])
        && number(&["status", "availableReplicas"]) == number(&["spec", "replicas"])
}

fn deployment<'a>(store: &'a Store, addon: &str) -> Option<&'a Json> {
    store.get(&key("apps", "Deployment", addon, addon))
}

fn key(group: &str, kind: &str, addon: &str, name: &str) -> ObjectKey {
    ObjectKey {
        group: group.to_owned(),
        kind: kind.to_owned(),
        namespace: namespace(addon),
        name: name.to_owned(),
    }
}

/// What an addon's objects lack of what its chart says; nothing when they are as they should be.
pub(super) fn lacks(store: &Store, addon: &str, model: &AddonModel) -> Option<String> {
    let Some(deployment) = deployment(store, addon) else {
        return Some("no Deployment".to_owned());
    };
    let image = format!("registry.example.org/{addon}:{}", model.tag);
    let container = access::list(deployment, &["spec", "template", "spec", "containers"]);
    if container.first().and_then(|one| access::text(one, &["image"])) != Some(&image) {
        return Some(format!("its image is not {image}"));
    }
    if access::number(deployment, &["spec", "replicas"]) != Some(1) {
        return Some("it has not one replica".to_owned());
    }
    if store.get(&key("", "Secret", addon, addon)).is_none() {
        return Some("no Secret".to_owned());
    }
    let namespace = namespace(addon);
    let names: Vec<&str> = store
        .keys("", "ConfigMap", &namespace)
        .map(|key| key.name.as_str())
        .filter(|name| name.starts_with(addon))
        .collect();
    if names.len() != model.objects as usize {
        return Some(format!("its ConfigMaps are {names:?}"));
    }
    names.into_iter().find_map(|name| {
        let object = store.get(&key("", "ConfigMap", addon, name))?;
        let tag = access::text(object, &["data", "tag"]);
        (tag != Some(&model.tag)).then(|| format!("ConfigMap {name} has {tag:?}"))
    })
}
