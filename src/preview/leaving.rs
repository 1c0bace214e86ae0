//! Clusters that leave the fleet: nobody changes them any more, so nothing on them is deleted.

use std::collections::{BTreeMap, BTreeSet};

use super::Side;
use crate::base::ids::{AddonName, ClusterName};

/// A cluster that leaves the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeavingCluster {
    /// Its name.
    pub cluster: ClusterName,
    /// What stays installed there, without anybody to look after it.
    pub addons: BTreeSet<AddonName>,
}

/// Whether a cluster of the base is certainly no longer in the fleet.
pub(super) fn leaves(base: &Side<'_>, head: &Side<'_>, cluster: &ClusterName) -> bool {
    base.desired.fleet.clusters.contains_key(cluster)
        && !head.desired.fleet.clusters.contains_key(cluster)
        && head.is_whole()
}

/// The clusters that leave, with what they have.
pub(super) fn all(base: &Side<'_>, head: &Side<'_>) -> Vec<LeavingCluster> {
    let mut addons: BTreeMap<&ClusterName, BTreeSet<AddonName>> = BTreeMap::new();
    for instance in &base.desired.instances {
        addons.entry(&instance.key.cluster).or_default().insert(instance.key.addon.clone());
    }
    let names = base.desired.fleet.clusters.keys();
    names
        .filter(|name| leaves(base, head, name))
        .map(|name| LeavingCluster {
            cluster: name.clone(),
            addons: addons.remove(name).unwrap_or_default(),
        })
        .collect()
}
