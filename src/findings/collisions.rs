//! Objects that two addons claim on one cluster: each would undo the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Finding, Side, addons, place};
use crate::base::diagnostic::Diagnostic;
use crate::base::ids::{AddonName, ClusterName};
use crate::chart::model::Manifest;
use crate::fleet::Desired;
use crate::graph::scopes::Scopes;
use crate::object::key::ObjectKey;
use crate::render::Release;

/// Collisions with the clusters that have them. Clusters with the same renders are looked at once.
pub(super) fn check(side: Side<'_>) -> Vec<(Finding, BTreeSet<ClusterName>)> {
    let desired = side.desired;
    let mut by_cluster: BTreeMap<&ClusterName, Vec<&Release>> = BTreeMap::new();
    for release in side.releases.iter().chain(side.beside) {
        by_cluster.entry(&release.instance.key.cluster).or_default().push(release);
    }
    let mut alike: BTreeMap<Vec<(&AddonName, usize)>, Alike<'_>> = BTreeMap::new();
    for (cluster, releases) in by_cluster {
        let same = releases.iter().map(|one| identity(one)).collect();
        alike.entry(same).or_insert((releases, BTreeSet::new())).1.insert(cluster.clone());
    }
    let mut found = Vec::new();
    for (releases, clusters) in alike.into_values() {
        found.extend(on_one(desired, &releases).into_iter().map(|one| (one, clusters.clone())));
    }
    found
}

/// The releases of one cluster, and the clusters that have the same.
type Alike<'a> = (Vec<&'a Release>, BTreeSet<ClusterName>);

fn identity(release: &Release) -> (&AddonName, usize) {
    (&release.instance.key.addon, Arc::as_ptr(&release.rendered).addr())
}

fn on_one(desired: &Desired, releases: &[&Release]) -> Vec<Finding> {
    let mut claims: BTreeMap<ObjectKey, Vec<(&Release, &Manifest)>> = BTreeMap::new();
    for release in releases {
        for rendered in release.stands_as() {
            let scopes = Scopes::of(rendered);
            for manifest in &rendered.manifests {
                claims.entry(scopes.settle(&manifest.key)).or_default().push((release, manifest));
            }
        }
    }
    claims.into_iter().filter_map(|(key, claims)| explain(desired, &key, &claims)).collect()
}

fn explain(
    desired: &Desired,
    key: &ObjectKey,
    claims: &[(&Release, &Manifest)],
) -> Option<Finding> {
    let names: BTreeSet<&AddonName> =
        claims.iter().map(|(release, _)| &release.instance.key.addon).collect();
    let releases: BTreeSet<(&str, &str)> = claims
        .iter()
        .map(|(release, _)| &release.instance)
        .map(|instance| (instance.namespace.as_str(), instance.release_name.as_str()))
        .collect();
    // Two addons that are the same release were told as that.
    if names.len() < 2 || releases.len() < 2 {
        return None;
    }
    let message = format!("`{key}` belongs to the addons {}", addons(&names));
    let mut found = Diagnostic::error("object-conflict", message);
    let mut told = BTreeSet::new();
    for (release, manifest) in claims {
        let addon = &release.instance.key.addon;
        if told.insert(addon) {
            found = place::at(found, desired, release, manifest, &format!("by `{addon}`"));
        }
    }
    let diagnostic = found.help("let one of them have it, or give it another name");
    let addons = names.into_iter().cloned().collect();
    Some(Finding { diagnostic, addons, object: key.to_string(), guardrail: None })
}
