//! What is the matter with rendered objects, before any cluster has seen them.
//!
//! A function of a revision and its releases: guardrails ([`crate::guardrail`]), APIs that a
//! target's Kubernetes no longer serves ([`removed`]), images that are not pinned ([`images`]),
//! objects that two addons claim ([`collisions`]). The same finding on many clusters is one.

pub mod collisions;
pub mod images;
mod place;
pub mod removed;
mod waive;

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use serde_json::{Value as Json, json};

use self::waive::Waivers;
use crate::base::diagnostic::{Checked, Diagnostic, Severity, few};
use crate::base::ids::{AddonName, ClusterName};
use crate::chart::model::Manifest;
use crate::fleet::Desired;
use crate::graph::scopes::Scopes;
use crate::guardrail::{self, Action, Guardrails, Outcome, Subject, judge, matching};
use crate::object::key::ObjectKey;
use crate::object::{access, manifest};
use crate::render::Release;
use crate::sim::defaults;

pub use waive::WAIVABLE;

/// Everything that is found in a revision's releases, errors of the guardrails themselves included.
/// What is waived on that day is only a note.
pub fn check(desired: &Desired, releases: &[Release], today: Date) -> Vec<Diagnostic> {
    let Checked { value: guardrails, mut diagnostics } = guardrail::read::read(&desired.source);
    let mut waivers = Waivers::of(&desired.fleet, today);
    let mut found = Found::default();
    for shared in shared(releases) {
        let objects = objects(shared.release);
        for object in &objects {
            let told = of_object(desired, &shared, object, &guardrails);
            for finding in told {
                waivers.split(finding, &shared.clusters, &mut found);
            }
        }
    }
    for (finding, clusters) in collisions::check(desired, releases) {
        waivers.split(finding, &clusters, &mut found);
    }
    diagnostics.extend(waivers.into_diagnostics());
    diagnostics.extend(found.into_diagnostics());
    diagnostics
}

/// What is found of one object, and what a waiver can ask for.
pub(crate) struct Finding {
    pub(crate) diagnostic: Diagnostic,
    pub(crate) addons: BTreeSet<AddonName>,
    pub(crate) object: String,
    pub(crate) guardrail: Option<String>,
}

/// A rendered object with its identity settled.
pub(crate) struct Object {
    pub(crate) key: ObjectKey,
    pub(crate) manifest: Manifest,
}

/// Every object of a release, hooks and CRDs included.
fn objects(release: &Release) -> Vec<Object> {
    let rendered = &release.rendered;
    let scopes = Scopes::of(rendered);
    let hooks = rendered.hooks.iter().map(|hook| hook.manifest.clone());
    let all: Vec<Manifest> =
        rendered.crds.manifests.iter().chain(&rendered.manifests).cloned().chain(hooks).collect();
    manifest::expanded(&all, &release.instance.namespace)
        .into_iter()
        .map(|manifest| Object { key: scopes.settle(&manifest.key), manifest })
        .collect()
}

/// Releases of which the same is found: one render on clusters with the same Namespaces and the
/// same Kubernetes.
struct Shared<'a> {
    release: &'a Release,
    clusters: BTreeSet<ClusterName>,
    namespaces: BTreeMap<String, Json>,
    resources: BTreeMap<(String, String), String>,
}

fn shared(releases: &[Release]) -> Vec<Shared<'_>> {
    let mut by_cluster: BTreeMap<&ClusterName, BTreeMap<String, Json>> = BTreeMap::new();
    for release in releases {
        let namespaces = by_cluster.entry(&release.instance.key.cluster).or_default();
        for manifest in &release.rendered.manifests {
            if manifest.key.kind == "Namespace" && manifest.key.group.is_empty() {
                namespaces.insert(manifest.key.name.clone(), manifest.object.clone());
            }
        }
    }
    let texts: BTreeMap<&ClusterName, String> = by_cluster
        .iter()
        .map(|(cluster, namespaces)| (*cluster, json!(namespaces).to_string()))
        .collect();
    let mut grouped: BTreeMap<_, Shared<'_>> = BTreeMap::new();
    for release in releases {
        let instance = &release.instance;
        let cluster = &instance.key.cluster;
        let key = (
            &instance.key.addon,
            std::sync::Arc::as_ptr(&release.rendered).addr(),
            texts.get(cluster),
            instance.kubernetes_version.as_str(),
        );
        let one = grouped.entry(key).or_insert_with(|| Shared {
            release,
            clusters: BTreeSet::new(),
            namespaces: by_cluster.get(cluster).cloned().unwrap_or_default(),
            resources: resources(release),
        });
        one.clusters.insert(cluster.clone());
    }
    grouped.into_values().collect()
}

/// The resources of the kinds that a release defines.
fn resources(release: &Release) -> BTreeMap<(String, String), String> {
    let crds = release.rendered.crds.manifests.iter().chain(&release.rendered.manifests);
    crds.filter(|one| one.key.kind == "CustomResourceDefinition")
        .filter_map(|crd| {
            let spec = |path: &[&str]| access::text(&crd.object, path).map(str::to_owned);
            let key = (spec(&["spec", "group"])?, spec(&["spec", "names", "kind"])?);
            Some((key, spec(&["spec", "names", "plural"])?))
        })
        .collect()
}

fn of_object(
    desired: &Desired,
    shared: &Shared<'_>,
    object: &Object,
    guardrails: &Guardrails,
) -> Vec<Finding> {
    let release = shared.release;
    let at = |one: Diagnostic| place::at(one, desired, release, &object.manifest, "this object");
    let finding = |diagnostic: Diagnostic, guardrail: Option<&str>| Finding {
        diagnostic,
        addons: BTreeSet::from([release.instance.key.addon.clone()]),
        object: object.key.to_string(),
        guardrail: guardrail.map(str::to_owned),
    };
    let version = &release.instance.kubernetes_version;
    let mut found: Vec<Finding> = removed::check(object, version)
        .into_iter()
        .chain(images::check(object))
        .map(|one| finding(at(one), None))
        .collect();
    if guardrails.policies.is_empty() {
        return found;
    }
    let mut whole = object.manifest.object.clone();
    if !object.key.namespace.is_empty() {
        place::set_namespace(&mut whole, &object.key.namespace);
    }
    defaults::apply(&mut whole);
    let namespace = namespace_of(shared, &object.key);
    let key = (object.key.group.clone(), object.key.kind.clone());
    let subject = Subject {
        object: &whole,
        namespace: &object.key.namespace,
        resource: shared
            .resources
            .get(&key)
            .cloned()
            .unwrap_or_else(|| matching::resource_of(&object.key.kind)),
        namespace_of: namespace.as_ref(),
    };
    for outcome in judge::judge(guardrails, &subject) {
        let one = at(explain(&outcome, object));
        let one = match outcome.validation {
            Some(validation) => one.label(&validation.span, "the guardrail"),
            None => one.label(&outcome.policy.span, "the guardrail"),
        };
        found.push(finding(one, Some(&outcome.policy.name)));
    }
    found
}

/// The Namespace of an object as the fleet renders it, or with no labels but its name's.
fn namespace_of(shared: &Shared<'_>, key: &ObjectKey) -> Option<Json> {
    if key.namespace.is_empty() {
        return None;
    }
    let name = &key.namespace;
    let mut namespace = shared.namespaces.get(name).cloned().unwrap_or_else(
        || json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}),
    );
    access::set_metadata(&mut namespace, "labels", "kubernetes.io/metadata.name", name);
    Some(namespace)
}

fn explain(outcome: &Outcome<'_>, object: &Object) -> Diagnostic {
    let (policy, key) = (&outcome.policy.name, &object.key);
    if outcome.is_unjudged {
        let message =
            format!("`{key}` is not judged by the guardrail `{policy}`: {}", outcome.message);
        return Diagnostic::warning("guardrail-not-judged", message);
    }
    let severity = match outcome.action() {
        Action::Deny => Severity::Error,
        Action::Warn => Severity::Warning,
        Action::Audit => Severity::Note,
    };
    let message = format!("`{key}` breaks the guardrail `{policy}`: {}", outcome.message);
    Diagnostic { severity, ..Diagnostic::error("broken-guardrail", message) }
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
