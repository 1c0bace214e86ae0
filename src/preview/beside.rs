//! Instances that the change does not reach, on clusters to which it brings new objects: one of
//! them may have the same.

use std::collections::{BTreeMap, BTreeSet};

use super::Side;
use crate::base::ids::{AddonName, ClusterName};
use crate::fleet::instance::Instance;
use crate::object::key::ObjectKey;
use crate::render::Release;

/// What has to be rendered to know. Of clusters with the same addons one is taken: charts seldom
/// name an object after its cluster, and `validate` looks at all of them.
pub fn beside(base: &Side<'_>, head: &Side<'_>) -> Vec<Instance> {
    let mut clusters: BTreeMap<BTreeSet<&AddonName>, &ClusterName> = BTreeMap::new();
    let mut addons: BTreeMap<&ClusterName, BTreeSet<&AddonName>> = BTreeMap::new();
    for instance in &head.desired.instances {
        addons.entry(&instance.key.cluster).or_default().insert(&instance.key.addon);
    }
    for (key, release) in &head.releases {
        if brings(base.releases.get(key).copied(), release)
            && let Some(addons) = addons.remove(&key.cluster)
        {
            clusters.entry(addons).or_insert(&key.cluster);
        }
    }
    let chosen: BTreeSet<&ClusterName> = clusters.into_values().collect();
    head.desired
        .instances
        .iter()
        .filter(|instance| chosen.contains(&instance.key.cluster))
        .filter(|instance| !head.releases.contains_key(&instance.key))
        .cloned()
        .collect()
}

/// Whether a release has an object that was not there before.
fn brings(before: Option<&Release>, after: &Release) -> bool {
    let keys = |release: &'_ Release| -> BTreeSet<ObjectKey> {
        release.rendered.manifests.iter().map(|manifest| manifest.key.clone()).collect()
    };
    match before {
        Some(before) if std::sync::Arc::ptr_eq(&before.rendered, &after.rendered) => false,
        Some(before) => !keys(after).is_subset(&keys(before)),
        None => true,
    }
}
