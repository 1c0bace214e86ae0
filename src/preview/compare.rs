//! Objects of both sides against each other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Pair;
use super::random::Random;
use super::risk::{self, Risk};
use crate::base::ids::{AddonName, ClusterName};
use crate::base::parallel::in_parallel;
use crate::chart::model::{Manifest, Rendered};
use crate::diff::{Change, Op, is_meant};
use crate::fleet::model::IgnoreDifference;
use crate::graph::scopes::Scopes;
use crate::object::key::ObjectKey;
use crate::object::{access, pointer};
use crate::render::Release;

/// A change of one object, on the clusters whose renders are equal on both sides.
#[derive(Clone, Debug)]
pub struct Compared {
    /// The addon it belongs to.
    pub addon: AddonName,
    /// What changes.
    pub change: Change,
    /// What it may break.
    pub risk: Risk,
    /// Whether the addon as a whole comes to the clusters, or goes.
    pub is_whole: bool,
    /// Who has it.
    pub clusters: BTreeSet<ClusterName>,
}

/// Every object that differs. What is compared is told apart by the documents themselves, which
/// renders share: however many clusters have the same two, they are compared once.
pub fn all(pairs: &[Pair<'_>]) -> Vec<Compared> {
    let differing: Vec<&Pair<'_>> = pairs.iter().filter(|pair| pair.differs()).collect();
    // What comes as a whole is not compared with anything.
    let random = in_parallel(&differing, |pair| Random::of(pair.base.and(pair.head)));
    let mut distinct: BTreeMap<Identity<'_>, Difference<'_>> = BTreeMap::new();
    for (pair, random) in differing.into_iter().zip(&random) {
        for one in differences(pair, random) {
            let known = distinct.entry(one.identity()).or_insert(one);
            known.clusters.extend(pair.clusters.iter().cloned());
        }
    }
    let distinct: Vec<Difference<'_>> = distinct.into_values().collect();
    in_parallel(&distinct, Difference::compared).into_iter().flatten().collect()
}

/// An object that is not the same on both sides.
struct Difference<'a> {
    addon: &'a AddonName,
    /// What the object is called at the head, or was at the base where it goes.
    key: ObjectKey,
    kind: Kind<'a>,
    is_whole: bool,
    clusters: BTreeSet<ClusterName>,
}

/// What becomes of an object.
#[derive(Clone, Copy)]
enum Kind<'a> {
    Comes(&'a Manifest),
    Goes(&'a Manifest, Option<&'static str>),
    Changes { old: &'a Manifest, new: &'a Manifest, apart: Apart<'a> },
}

/// What is left out of a comparison.
#[derive(Clone, Copy)]
struct Apart<'a> {
    ignored: &'a [IgnoreDifference],
    random: &'a [String],
}

/// What makes two differences the same: the documents' addresses, and what they are compared with.
type Identity<'a> = (&'a AddonName, ObjectKey, bool, [usize; 2], Option<&'static str>, String);

impl<'a> Difference<'a> {
    fn identity(&self) -> Identity<'a> {
        let address = |manifest: &Manifest| Arc::as_ptr(&manifest.object).addr();
        let (documents, note, apart) = match self.kind {
            Kind::Comes(new) => ([0, address(new)], None, String::new()),
            Kind::Goes(old, note) => ([address(old), 0], note, String::new()),
            Kind::Changes { old, new, apart } => {
                let is_empty = apart.ignored.is_empty() && apart.random.is_empty();
                let told = || format!("{:?}{:?}", apart.ignored, apart.random);
                let apart = if is_empty { String::new() } else { told() };
                ([address(old), address(new)], None, apart)
            }
        };
        (self.addon, self.key.clone(), self.is_whole, documents, note, apart)
    }

    fn compared(&self) -> Option<Compared> {
        let (change, risk) = match self.kind {
            Kind::Comes(new) => (Change::create(new, &new.object), risk::of_creation(&self.key)),
            Kind::Goes(old, note) => {
                let risk = if note.is_some() { Risk::Other } else { Risk::Deletion };
                (Change::remove(old, Some(&old.object), note.map(str::to_owned)), risk)
            }
            Kind::Changes { old, new, apart } => update(old, new, apart)?,
        };
        Some(Compared {
            addon: self.addon.clone(),
            change: Change { key: self.key.clone(), ..change },
            risk,
            is_whole: self.is_whole,
            clusters: self.clusters.clone(),
        })
    }
}

/// Objects by their identity.
pub(super) type Objects<'a> = BTreeMap<ObjectKey, &'a Manifest>;

/// Why an object that is no longer rendered stays on the cluster, if it does.
fn stays(rendered: &Rendered, manifest: &Manifest) -> Option<&'static str> {
    let is = |other: &Manifest| std::ptr::eq(other, manifest);
    if rendered.crds.manifests.iter().any(is) {
        return Some("it is of the chart's `crds/` folder");
    }
    if rendered.hooks.iter().any(|hook| is(&hook.manifest)) {
        return Some("a hook's object is no part of the release");
    }
    let policy = access::annotation(&manifest.object, "helm.sh/resource-policy");
    (policy == Some("keep")).then_some("its `helm.sh/resource-policy` says keep")
}

/// The objects of a render; hooks and CRDs are objects as well. An object without a namespace of a
/// kind that has none has none.
pub(super) fn objects(rendered: Option<&Rendered>) -> Objects<'_> {
    let Some(rendered) = rendered else { return Objects::new() };
    let scopes = Scopes::of(rendered);
    let hooks = rendered.hooks.iter().map(|hook| &hook.manifest);
    let all = rendered.crds.manifests.iter().chain(&rendered.manifests).chain(hooks);
    all.map(|manifest| (scopes.settle(&manifest.key), manifest)).collect()
}

/// The objects of a pair that are not the same document.
fn differences<'a>(pair: &Pair<'a>, random: &'a Random) -> Vec<Difference<'a>> {
    let rendered = |release: Option<&'a Release>| release.map(|release| &*release.rendered);
    let (before, after) = (objects(rendered(pair.base)), objects(rendered(pair.head)));
    let Some(either) = pair.head.or(pair.base) else { return Vec::new() };
    let ignored = pair.head.map_or(&[][..], |release| &release.instance.ignore_differences);
    let is_whole = pair.base.is_none() || pair.head.is_none();
    let renamed = renamed(&before, &after);
    let difference = |key: &ObjectKey, kind| Difference {
        addon: &either.instance.key.addon,
        key: key.clone(),
        kind,
        is_whole,
        clusters: BTreeSet::new(),
    };
    let coming = after.iter().filter_map(|(key, new)| {
        let old = before.get(key).or_else(|| before.get(*renamed.get(key)?));
        let Some(old) = old else { return Some(difference(key, Kind::Comes(new))) };
        let apart = Apart { ignored, random: random.of_object(key) };
        (!Arc::ptr_eq(&old.object, &new.object))
            .then(|| difference(key, Kind::Changes { old, new, apart }))
    });
    let gone = before
        .iter()
        .filter(|(key, _)| !after.contains_key(*key) && !renamed.values().any(|old| old == key));
    let going = gone.map(|(key, old)| {
        let note = rendered(pair.base).and_then(|rendered| stays(rendered, old));
        difference(key, Kind::Goes(old, note))
    });
    coming.chain(going).collect()
}

/// What changes of an object that both sides have.
fn update(old: &Manifest, new: &Manifest, apart: Apart<'_>) -> Option<(Change, Risk)> {
    if old.object == new.object {
        return None;
    }
    let (mut before, mut after) = (Arc::clone(&old.object), Arc::clone(&new.object));
    for path in apart.random {
        // What only the head has is no redrawn value: it is new.
        if path.contains("/*") || before.pointer(path).is_some() {
            pointer::remove(Arc::make_mut(&mut before), path);
            pointer::remove(Arc::make_mut(&mut after), path);
        }
    }
    let rules: Vec<&IgnoreDifference> =
        apart.ignored.iter().filter(|rule| is_meant(rule, &new.key)).collect();
    let mut change = Change::update(new, Op::Update, &before, &after, &rules)?;
    // A hook is made anew each time it runs.
    let is_hook = access::annotation(&new.object, "helm.sh/hook").is_some();
    let risk = if is_hook { risk::of_creation(&new.key) } else { risk::of_update(&change) };
    if old.key != new.key {
        change.note = Some(format!("takes the place of `{}`", old.key.name));
    } else if risk == Risk::Immutable {
        let recreates = "a field of it cannot be changed: the API server will refuse it, unless the \
                         addon says `upgrade.onImmutable: recreate`";
        change.note = Some(recreates.to_owned());
    }
    Some((change, risk))
}

/// Objects with a generated name, such as `config-5f6d8c`: the new key to the old one, where just
/// one of each could be meant.
fn renamed<'a>(
    before: &'a Objects<'_>,
    after: &'a Objects<'_>,
) -> BTreeMap<ObjectKey, &'a ObjectKey> {
    let stems = |one: &'a Objects<'_>, other: &Objects<'_>| {
        let mut stems: BTreeMap<ObjectKey, Vec<&'a ObjectKey>> = BTreeMap::new();
        for key in one.keys().filter(|key| !other.contains_key(*key)) {
            if let Some(stem) = stem(&key.name).filter(|_| may_be_generated(key)) {
                let stem = ObjectKey { name: stem.to_owned(), ..key.clone() };
                stems.entry(stem).or_default().push(key);
            }
        }
        stems
    };
    let (old, new) = (stems(before, after), stems(after, before));
    let mut renamed = BTreeMap::new();
    for (stem, new) in new {
        if let ([new], Some([old])) = (new.as_slice(), old.get(&stem).map(Vec::as_slice)) {
            renamed.insert((*new).clone(), *old);
        }
    }
    renamed
}

/// Kinds whose objects are named after what is in them. Any other object with a new name is a new
/// object: what the old one holds, such as a volume, is lost.
fn may_be_generated(key: &ObjectKey) -> bool {
    matches!(
        (key.group.as_str(), key.kind.as_str()),
        ("", "ConfigMap" | "Secret") | ("batch", "Job")
    )
}

/// A name without the digest at its end.
fn stem(name: &str) -> Option<&str> {
    let (stem, last) = name.rsplit_once('-')?;
    let is_digest = (5..=64).contains(&last.len())
        && last.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        && last.bytes().any(|byte| byte.is_ascii_digit());
    is_digest.then_some(stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_ends_in_a_digest_has_a_stem() {
        for (name, expected) in [
            ("config-5f6d8c", Some("config")),
            ("web-config-0a1b2c3d4e", Some("web-config")),
            ("web", None),
            ("web-config", None),
            ("web-server-2", None),
            ("Web-ABCDE1", None),
        ] {
            assert_eq!(stem(name), expected, "{name}");
        }
    }
}
