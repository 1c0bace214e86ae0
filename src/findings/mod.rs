//! What is the matter with rendered objects, before any cluster has seen them.
//!
//! A function of a revision and its releases, and of what they take the place of where that is
//! known: guardrails ([`guarded`]), APIs that a target's Kubernetes no longer serves ([`removed`]),
//! images that are not pinned ([`images`]), objects that two addons claim ([`collisions`]), more
//! deletions than a policy allows ([`blast_radius`]). The same finding on many clusters is one.

pub mod blast_radius;
pub mod collisions;
pub mod guarded;
pub mod images;
mod place;
pub mod removed;
mod shared;
mod waive;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use self::shared::Shared;
use self::waive::Waivers;
use crate::base::diagnostic::{Checked, Diagnostic, few};
use crate::base::ids::{AddonName, ClusterName};
use crate::chart::model::Manifest;
use crate::fleet::Desired;
use crate::graph::scopes::Scopes;
use crate::guardrail::{self, Guardrails};
use crate::object::key::ObjectKey;
use crate::object::manifest;
use crate::render::Release;

pub use waive::WAIVABLE;

/// A revision and what was rendered of it.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// Its documents.
    pub desired: &'a Desired,
    /// Its releases; perhaps not all.
    pub releases: &'a [Release],
}

/// Everything that is found in a revision's releases, errors of the guardrails themselves included.
/// What is waived on that day is only a note. With a base, objects are judged by what is done with
/// them: those that it has are updated, those that only it has are deleted.
pub fn check(head: Side<'_>, base: Option<Side<'_>>, today: Date) -> Vec<Diagnostic> {
    let desired = head.desired;
    let Checked { value: guardrails, mut diagnostics } = guardrail::read::read(&desired.source);
    let mut waivers = Waivers::of(&desired.fleet, today);
    let mut found = Found::default();
    for shared in shared::all(head, base) {
        let told = of_shared(desired, &shared, &guardrails);
        for finding in told {
            waivers.split(finding, &shared.clusters, &mut found);
        }
    }
    for (finding, clusters) in collisions::check(desired, head.releases) {
        waivers.split(finding, &clusters, &mut found);
    }
    diagnostics.extend(waivers.into_diagnostics());
    diagnostics.extend(found.into_diagnostics());
    diagnostics
}

/// What is found of releases that are the same.
fn of_shared(desired: &Desired, shared: &Shared<'_>, guardrails: &Guardrails) -> Vec<Finding> {
    let mut found = Vec::new();
    let wanted = shared.head.map(objects).unwrap_or_default();
    let before = shared.replaced().map(objects).unwrap_or_default();
    if let Some(release) = shared.head {
        let version = &release.instance.kubernetes_version;
        for object in &wanted {
            let told = removed::check(object, version).into_iter().chain(images::check(object));
            found.extend(told.map(|one| {
                let one = place::at(one, desired, release, &object.manifest, "this object");
                Finding::of(one, release, object)
            }));
        }
    }
    found.extend(guarded::check(desired, shared, (&wanted, &before), guardrails));
    found.extend(blast_radius::check(desired, shared, (&wanted, &before)));
    found
}

/// What is found of one object, and what a waiver can ask for.
pub(crate) struct Finding {
    pub(crate) diagnostic: Diagnostic,
    pub(crate) addons: BTreeSet<AddonName>,
    pub(crate) object: String,
    pub(crate) guardrail: Option<String>,
}

impl Finding {
    fn of(diagnostic: Diagnostic, release: &Release, object: &Object<'_>) -> Self {
        Self {
            diagnostic,
            addons: BTreeSet::from([release.instance.key.addon.clone()]),
            object: object.key.to_string(),
            guardrail: None,
        }
    }
}

/// A rendered object with its identity settled.
pub(crate) struct Object<'a> {
    pub(crate) key: ObjectKey,
    pub(crate) manifest: Cow<'a, Manifest>,
    /// Whether it is of a chart's `crds/` folder.
    pub(crate) is_crd_of_folder: bool,
}

/// Every object of a release, hooks and CRDs included.
fn objects(release: &Release) -> Vec<Object<'_>> {
    let rendered = &release.rendered;
    let scopes = Scopes::of(rendered);
    let hooks = rendered.hooks.iter().map(|hook| std::slice::from_ref(&hook.manifest));
    let parts = std::iter::once(&*rendered.manifests).chain(hooks).map(|part| (part, false));
    let crds = std::iter::once((&*rendered.crds.manifests, true));
    let mut objects = Vec::new();
    for (part, is_crd_of_folder) in crds.chain(parts) {
        for manifest in manifest::each(part, &release.instance.namespace) {
            let key = scopes.settle(&manifest.key);
            objects.push(Object { key, manifest, is_crd_of_folder });
        }
    }
    objects
}

/// Findings with who has them; equal ones at the same place are one.
#[derive(Default)]
pub(crate) struct Found(BTreeMap<String, (Diagnostic, BTreeSet<ClusterName>)>);

impl Found {
    fn add(&mut self, one: Diagnostic, clusters: &BTreeSet<ClusterName>) {
        let place = one.labels.first().map(|label| label.span.to_string()).unwrap_or_default();
        let key = format!("{place}\0{}\0{}", one.code, one.message);
        let (_, on) = self.0.entry(key).or_insert((one, BTreeSet::new()));
        on.extend(clusters.iter().cloned());
    }

    fn into_diagnostics(self) -> impl Iterator<Item = Diagnostic> {
        self.0.into_values().map(|(one, clusters)| {
            let names: Vec<&str> = clusters.iter().map(ClusterName::as_str).collect();
            one.note(format!("on {}", few(&names)))
        })
    }
}

/// Names of addons, for a sentence.
fn addons(names: &BTreeSet<&AddonName>) -> String {
    few(&names.iter().map(|name| name.as_str()).collect::<Vec<_>>())
}
