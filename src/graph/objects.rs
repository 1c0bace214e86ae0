//! Which object of a release needs which, and the order they are installed in.

use std::collections::BTreeSet;
use std::fmt;

use super::dag::{Dag, Link};
use super::order;
use super::references::{self, Reference};
use super::scopes::Scopes;
use crate::chart::model::{Hook, Manifest, Rendered};
use crate::object::key::ObjectKey;

/// How an object needs another. The first two, and the order of hooks, always hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// It is in that namespace.
    Within,
    /// That CRD defines its kind.
    DefinedBy,
    /// A hook that runs before it.
    After,
    /// Its pods run as that account.
    RunsAs,
    /// Its pods mount it.
    Mounts,
    /// It, or the environment of its pods, reads it.
    Reads,
    /// A binding of that role.
    Grants,
    /// A binding to that account.
    To,
    /// It sends requests there.
    RoutesTo,
    /// It is served under that name.
    Serves,
    /// It scales it.
    Scales,
    /// It is of that class.
    Has,
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Within => "in",
            Self::DefinedBy => "defined by",
            Self::After => "after",
            Self::RunsAs => "runs as",
            Self::Mounts => "mounts",
            Self::Reads => "reads",
            Self::Grants => "grants",
            Self::To => "to",
            Self::RoutesTo => "routes to",
            Self::Serves => "served by",
            Self::Scales => "scales",
            Self::Has => "is of",
        })
    }
}

/// The objects of a release.
#[derive(Clone, Debug)]
pub struct ObjectGraph {
    /// What needs what. A node that is in none of the fields below is needed, and not part of
    /// the release.
    pub dag: Dag<ObjectKey, Need>,
    /// CRDs of `crds/` folders: installed first.
    pub crds: Vec<ObjectKey>,
    /// Hooks before the objects of an install or upgrade, in the order they run in.
    pub before: Vec<HookNode>,
    /// Objects, in the steps of an install.
    pub steps: Vec<Vec<ObjectKey>>,
    /// Hooks after the objects.
    pub after: Vec<HookNode>,
    /// Hooks of other events.
    pub others: Vec<HookNode>,
}

/// A hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookNode {
    /// The object.
    pub key: ObjectKey,
    /// When it runs.
    pub events: Vec<String>,
    /// Lower runs first.
    pub weight: i64,
}

/// The graph of what a render gave, for a release in a namespace.
pub fn of_release(rendered: &Rendered, namespace: &str) -> ObjectGraph {
    let scopes = Scopes::of(rendered);
    let node = |hook: &&Hook| HookNode {
        key: scopes.settle(&hook.manifest.key),
        events: hook.events.clone(),
        weight: hook.weight,
    };
    let hooks_of = |events: [&str; 2]| -> Vec<HookNode> {
        order::hooks(&rendered.hooks, &events).iter().map(node).collect()
    };
    let before = hooks_of(["pre-install", "pre-upgrade"]);
    let after = hooks_of(["post-install", "post-upgrade"]);
    let is_placed = |hook: &HookNode| before.contains(hook) || after.contains(hook);
    let others = rendered.hooks.iter().map(|hook| node(&hook)).filter(|hook| !is_placed(hook));
    let others = others.collect();
    let objects: Vec<(ObjectKey, &Manifest)> = rendered
        .crds
        .manifests
        .iter()
        .chain(&rendered.manifests)
        .chain(rendered.hooks.iter().map(|hook| &hook.manifest))
        .map(|manifest| (scopes.settle(&manifest.key), manifest))
        .collect();
    let waves = order::waves(rendered.manifests.iter().collect(), |manifest| manifest);
    let steps: Vec<Vec<ObjectKey>> = waves
        .iter()
        .map(|wave| wave.iter().map(|manifest| scopes.settle(&manifest.key)).collect())
        .collect();
    let crds: Vec<ObjectKey> =
        rendered.crds.manifests.iter().map(|crd| scopes.settle(&crd.key)).collect();
    let keys: BTreeSet<&ObjectKey> = objects.iter().map(|(key, _)| key).collect();
    let mut hard = hook_links(&before, &steps, &after);
    let mut optional = Vec::new();
    let plain: BTreeSet<&ObjectKey> = crds.iter().chain(steps.iter().flatten()).collect();
    for (key, manifest) in &objects {
        let structure = structure(&scopes, key, &keys).into_iter();
        if plain.contains(key) {
            hard.extend(structure);
        } else {
            // A hook may come before what it is in or of. The release's own namespace is there
            // before everything.
            optional.extend(structure.filter(|link| link.to.name != namespace));
        }
        let found = references::of(key, &manifest.object).into_iter();
        optional.extend(found.filter_map(|reference| link(key, reference, &keys)));
    }
    let dag = Dag::new(objects.iter().map(|(key, _)| key.clone()), hard, optional);
    ObjectGraph { dag, crds, before, steps, after, others }
}

/// Hooks run one after the other, before the first and after the last object.
fn hook_links(
    before: &[HookNode],
    steps: &[Vec<ObjectKey>],
    after: &[HookNode],
) -> Vec<Link<ObjectKey, Need>> {
    let keys = |hooks: &[HookNode]| -> Vec<ObjectKey> {
        hooks.iter().map(|hook| hook.key.clone()).collect()
    };
    let (before, after) = (keys(before), keys(after));
    let objects: Vec<ObjectKey> = steps.iter().flatten().cloned().collect();
    let mut links = Vec::new();
    let mut push = |from: &ObjectKey, to: &ObjectKey| {
        // One object can be a hook of several events.
        if from != to {
            links.push(Link { from: from.clone(), to: to.clone(), edge: Need::After });
        }
    };
    for hooks in [&before, &after] {
        hooks.windows(2).for_each(|pair| push(&pair[1], &pair[0]));
    }
    for object in &objects {
        before.last().into_iter().for_each(|hook| push(object, hook));
        after.first().into_iter().for_each(|hook| push(hook, object));
    }
    links
}

/// A link to what is referred to, in the release or not. What every cluster has by itself is left
/// out.
fn link(
    from: &ObjectKey,
    reference: Reference,
    keys: &BTreeSet<&ObjectKey>,
) -> Option<Link<ObjectKey, Need>> {
    let to = ObjectKey {
        group: reference.group.to_owned(),
        kind: reference.kind.to_owned(),
        namespace: reference.namespace.unwrap_or_default(),
        name: reference.name,
    };
    let is_told = matches!(
        to.kind.as_str(),
        "Secret" | "ConfigMap" | "PersistentVolumeClaim" | "Service" | "ServiceAccount"
    );
    let is_built_in = matches!(to.name.as_str(), "default" | "kube-root-ca.crt" | "kubernetes");
    let is_known = keys.contains(&to);
    (is_known || (is_told && !is_built_in)).then(|| Link {
        from: from.clone(),
        to,
        edge: reference.need,
    })
}

/// The namespace an object is in and the CRD that defines it, where they are in the release.
fn structure(
    scopes: &Scopes,
    key: &ObjectKey,
    keys: &BTreeSet<&ObjectKey>,
) -> Vec<Link<ObjectKey, Need>> {
    let namespace = ObjectKey {
        group: String::new(),
        kind: "Namespace".to_owned(),
        namespace: String::new(),
        name: key.namespace.clone(),
    };
    let within = keys.contains(&namespace).then_some((namespace, Need::Within));
    let defined = scopes.definition(key).map(|crd| (crd.clone(), Need::DefinedBy));
    let links = within.into_iter().chain(defined);
    links.map(|(to, edge)| Link { from: key.clone(), to, edge }).collect()
}
