//! What is the matter with rendered objects, before any cluster has seen them.
//!
//! A function of a revision and its releases, and of what they take the place of where that is
//! known: guardrails ([`guarded`]), APIs that a target's Kubernetes no longer serves ([`removed`]),
//! images that are not pinned ([`images`]), health checks that nobody asks ([`checks`]), objects
//! that two addons claim ([`collisions`]), charts that
//! cannot stand twice where they are to ([`beside`]), more deletions than a policy allows ([`blast_radius`]). The same finding on many clusters is one.

mod beside;
pub mod blast_radius;
mod checks;
pub mod collisions;
pub mod guarded;
pub mod images;
mod place;
pub mod removed;
mod shared;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use self::shared::{Part, Shared};
use crate::base::diagnostic::{Checked, Diagnostic, few};
use crate::base::ids::{AddonName, ClusterName};
use crate::base::parallel::in_parallel;
use crate::chart::model::Manifest;
use crate::fleet::Desired;
use crate::fleet::model::WaiverSpec;
use crate::fleet::waivers::{self, Waivers};
use crate::graph::scopes::Scopes;
use crate::guardrail::{self, Guardrails};
use crate::object::key::ObjectKey;
use crate::object::manifest;
use crate::render::Release;

/// A revision and what was rendered of it.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// Its documents.
    pub desired: &'a Desired,
    /// Its releases; perhaps not all.
    pub releases: &'a [Release],
    /// More of them, which are only looked at for objects that one of the above has as well.
    pub beside: &'a [Release],
}

impl<'a> Side<'a> {
    /// Of a revision and what was rendered of it.
    pub fn new(desired: &'a Desired, releases: &'a [Release]) -> Self {
        Self { desired, releases, beside: &[] }
    }
}

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub enum Extent<'a> {
    /// Everything.
    All,
    /// Objects of these names.
    Objects(&'a BTreeSet<String>),
}

impl Extent<'_> {
    fn has(self, object: &Object<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Objects(names) => names.contains(&object.key.to_string()),
        }
    }
}

/// What was found.
#[derive(Debug, Default)]
pub struct Findings {
    /// The same finding on many clusters is one.
    pub diagnostics: Vec<Diagnostic>,
    /// The names of the objects that they are about.
    pub objects: BTreeSet<String>,
}

/// Everything that is found in a revision's releases, errors of the guardrails themselves included.
/// What is waived on that day is only a note. With a base, objects are judged by what is done with
/// them: those that it has are updated, those that only it has are deleted.
pub fn check(head: Side<'_>, base: Option<Side<'_>>, extent: Extent<'_>, today: Date) -> Findings {
    let desired = head.desired;
    let Checked { value: guardrails, diagnostics } = guardrail::read::read(&desired.source);
    let mut findings = Findings { diagnostics, objects: BTreeSet::new() };
    let holding = Waivers::of(&desired.fleet, today);
    let mut found = Found::default();
    let all = shared::all(head, base);
    let told = in_parallel(&all, |shared| of_shared(desired, shared, extent, &guardrails));
    let told = told.into_iter().zip(&all).flat_map(|(told, shared)| {
        told.into_iter().map(|finding| (finding, shared.clusters.clone()))
    });
    for (finding, clusters) in told.chain(collisions::check(head)) {
        findings.objects.insert(finding.object.clone());
        let diagnostic = finding.diagnostic.clone();
        for (one, on) in holding.split(diagnostic, clusters, |spec| finding.is_meant(spec)) {
            found.add(one, on);
        }
    }
    findings.diagnostics.extend(waivers::check(&desired.fleet, today));
    findings.diagnostics.extend(found.into_diagnostics());
    findings
}

/// What is found of releases that are the same.
fn of_shared(
    desired: &Desired,
    shared: &Shared<'_>,
    extent: Extent<'_>,
    guardrails: &Guardrails,
) -> Vec<Finding> {
    let of = |release| -> Vec<Object<'_>> {
        let objects = objects(release, shared.part).into_iter();
        objects.filter(|object| extent.has(object)).collect()
    };
    let wanted = shared.head.map(of).unwrap_or_default();
    let before = shared.replaced().map(of).unwrap_or_default();
    let mut found = Vec::new();
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
    if let (Part::Rest, Extent::All, Some(release)) = (shared.part, extent, shared.head) {
        found.extend(checks::check(desired, release, &wanted));
        found.extend(beside::check(desired, release));
    }
    if shared.part == Part::Rest {
        found.extend(blast_radius::check(desired, shared, (&wanted, &before)));
    }
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

    /// Whether a waiver of its code is about it, whatever its clusters.
    fn is_meant(&self, waiver: &WaiverSpec) -> bool {
        waiver.guardrail.as_ref().is_none_or(|name| self.guardrail.as_ref() == Some(name))
            && waiver.addon.as_ref().is_none_or(|addon| self.addons.contains(addon))
            && waiver.object.as_ref().is_none_or(|object| *object == self.object)
    }
}

/// A rendered object with its identity settled.
pub(crate) struct Object<'a> {
    pub(crate) key: ObjectKey,
    pub(crate) manifest: Cow<'a, Manifest>,
}

/// The objects of a part of a release; hooks are objects as well.
fn objects(release: &Release, part: Part) -> Vec<Object<'_>> {
    let rendered = &release.rendered;
    let scopes = Scopes::of(rendered);
    let hooks = rendered.hooks.iter().map(|hook| std::slice::from_ref(&hook.manifest));
    let manifests: Vec<&[Manifest]> = match part {
        Part::Crds => vec![&rendered.crds.manifests],
        Part::Rest => std::iter::once(&*rendered.manifests).chain(hooks).collect(),
    };
    let expanded = manifests
        .into_iter()
        .flat_map(|manifests| manifest::each(manifests, &release.instance.namespace));
    expanded.map(|manifest| Object { key: scopes.settle(&manifest.key), manifest }).collect()
}

/// Findings with who has them; equal ones at the same place are one.
#[derive(Default)]
pub(crate) struct Found(BTreeMap<String, (Diagnostic, BTreeSet<ClusterName>)>);

impl Found {
    fn add(&mut self, one: Diagnostic, clusters: BTreeSet<ClusterName>) {
        let place = one.labels.first().map(|label| label.span.to_string()).unwrap_or_default();
        let key = format!("{place}\0{}\0{}", one.code, one.message);
        let (_, on) = self.0.entry(key).or_insert((one, BTreeSet::new()));
        on.extend(clusters);
    }

    fn into_diagnostics(self) -> impl Iterator<Item = Diagnostic> {
        let told = self.0.into_values();
        told.map(|(one, clusters)| one.on(clusters.iter().map(ClusterName::as_str)))
    }
}

/// Names of addons, for a sentence.
fn addons(names: &BTreeSet<&AddonName>) -> String {
    few(&names.iter().map(|name| name.as_str()).collect::<Vec<_>>())
}
