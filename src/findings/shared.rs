//! Releases of which the same is found: judged once, told of all their clusters.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::Side;
use crate::base::ids::{ClusterName, InstanceKey};
use crate::object::access;
use crate::render::Release;

/// One render, in place of one render, on clusters with the same Namespaces and the same
/// Kubernetes; or the CRDs alone, which many renders have in common.
pub(super) struct Shared<'a> {
    /// Which objects of the releases.
    pub(super) part: Part,
    /// What is wanted; none where the instance goes.
    pub(super) head: Option<&'a Release>,
    /// What it takes the place of.
    pub(super) before: Before<'a>,
    pub(super) clusters: BTreeSet<ClusterName>,
    /// The Namespaces that the fleet renders for these clusters.
    pub(super) namespaces: Namespaces,
    /// The resources of the kinds that the release defines.
    pub(super) resources: BTreeMap<(String, String), String>,
}

/// A part of a release's objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// The CRDs of the chart's `crds/` folder.
    Crds,
    /// All others.
    Rest,
}

/// Namespaces by their names.
type Namespaces = BTreeMap<String, Arc<Json>>;

/// What a release takes the place of.
#[derive(Clone, Copy)]
pub(super) enum Before<'a> {
    /// Nobody knows.
    Unknown,
    /// Nothing: it is new.
    Nothing,
    /// This one.
    Release(&'a Release),
}

impl<'a> Before<'a> {
    fn release(self) -> Option<&'a Release> {
        match self {
            Self::Release(release) => Some(release),
            Self::Unknown | Self::Nothing => None,
        }
    }
}

impl<'a> Shared<'a> {
    /// The release that it takes the place of, if there is one.
    pub(super) fn replaced(&self) -> Option<&'a Release> {
        self.before.release()
    }

    /// The release that a finding is about.
    pub(super) fn release(&self) -> Option<&'a Release> {
        self.head.or(self.replaced())
    }
}

/// Every release of the head, and those of the base that the head certainly does not want.
pub(super) fn all<'a>(head: Side<'a>, base: Option<Side<'a>>) -> Vec<Shared<'a>> {
    let namespaces = namespaces(head.releases);
    let texts: BTreeMap<&ClusterName, String> = namespaces
        .iter()
        .map(|(cluster, namespaces)| (*cluster, json!(namespaces).to_string()))
        .collect();
    let old: BTreeMap<&InstanceKey, &Release> = base
        .iter()
        .flat_map(|base| base.releases)
        .map(|release| (&release.instance.key, release))
        .collect();
    let before = |key: &InstanceKey| match (base, old.get(key)) {
        (_, Some(release)) => Before::Release(release),
        (Some(base), None) if base.desired.instance(key).is_none() => Before::Nothing,
        _ => Before::Unknown,
    };
    let coming = head
        .releases
        .iter()
        .map(|release| (&release.instance.key, Some(release), before(&release.instance.key)));
    let going = old
        .iter()
        .filter(|(key, _)| goes(head, key))
        .map(|(key, release)| (*key, None, Before::Release(release)));
    let mut grouped: BTreeMap<_, Shared<'a>> = BTreeMap::new();
    let parts = [Part::Crds, Part::Rest];
    let each = coming.chain(going).flat_map(|one| parts.map(|part| (one, part)));
    for ((key, release, before), part) in each {
        let address = |release| address(release, part);
        let was = match before {
            Before::Unknown => (0, None),
            Before::Nothing => (1, None),
            Before::Release(release) => (2, Some(address(release))),
        };
        let version = release.map(|release| release.instance.kubernetes_version.as_str());
        let namespaced = texts.get(&key.cluster).filter(|_| part == Part::Rest);
        let same = (&key.addon, part, release.map(address), was, namespaced, version);
        let one = grouped.entry(same).or_insert_with(|| Shared {
            part,
            head: release,
            before,
            clusters: BTreeSet::new(),
            namespaces: namespaces.get(&key.cluster).cloned().unwrap_or_default(),
            resources: resources([before.release(), release]),
        });
        one.clusters.insert(key.cluster.clone());
    }
    grouped.into_values().collect()
}

/// Whether the head certainly does not want an instance, on a cluster that it still has.
fn goes(head: Side<'_>, key: &InstanceKey) -> bool {
    let fleet = &head.desired.fleet;
    head.desired.instance(key).is_none()
        && fleet.clusters.contains_key(&key.cluster)
        && fleet.broken.is_empty()
}

/// What makes parts of two releases the same.
fn address(release: &Release, part: Part) -> usize {
    match part {
        Part::Crds => Arc::as_ptr(&release.rendered.crds).addr(),
        Part::Rest => Arc::as_ptr(&release.rendered).addr(),
    }
}

/// The Namespaces that releases make, by cluster and name.
fn namespaces(releases: &[Release]) -> BTreeMap<&ClusterName, Namespaces> {
    let mut by_cluster: BTreeMap<&ClusterName, Namespaces> = BTreeMap::new();
    for release in releases {
        let namespaces = by_cluster.entry(&release.instance.key.cluster).or_default();
        for manifest in &release.rendered.manifests {
            if manifest.key.kind == "Namespace" && manifest.key.group.is_empty() {
                namespaces.insert(manifest.key.name.clone(), Arc::clone(&manifest.object));
            }
        }
    }
    by_cluster
}

/// The resources of the kinds that releases define; the last one says it.
fn resources(releases: [Option<&Release>; 2]) -> BTreeMap<(String, String), String> {
    let manifests = releases.into_iter().flatten().flat_map(|release| {
        release.rendered.crds.manifests.iter().chain(&release.rendered.manifests)
    });
    manifests
        .filter(|one| one.key.kind == "CustomResourceDefinition")
        .filter_map(|crd| {
            let spec = |path: &[&str]| access::text(&crd.object, path).map(str::to_owned);
            let key = (spec(&["spec", "group"])?, spec(&["spec", "names", "kind"])?);
            Some((key, spec(&["spec", "names", "plural"])?))
        })
        .collect()
}
