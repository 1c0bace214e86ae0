//! Objects of both sides against each other.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::Pair;
use super::risk::{self, Risk};
use crate::base::ids::{AddonName, ClusterName};
use crate::base::parallel::in_parallel;
use crate::chart::model::{Manifest, Rendered};
use crate::diff::{Change, Op, between, is_meant};
use crate::fleet::model::IgnoreDifference;
use crate::graph::scopes::Scopes;
use crate::object::key::ObjectKey;
use crate::object::{access, pointer};
use crate::render::{Release, redrawn};

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

/// Every object that differs.
pub(super) fn all(pairs: &[Pair<'_>]) -> Vec<Compared> {
    let differing: Vec<&Pair<'_>> = pairs.iter().filter(|pair| pair.differs()).collect();
    let all = in_parallel(&differing, |pair| changes(pair.base, pair.head));
    let mut compared = Vec::new();
    for (pair, changes) in differing.into_iter().zip(all) {
        compared.extend(changes.into_iter().map(|(change, risk)| Compared {
            addon: pair.addon.clone(),
            change,
            risk,
            is_whole: pair.base.is_none() || pair.head.is_none(),
            clusters: pair.clusters.clone(),
        }));
    }
    compared
}

/// Objects by their identity.
type Objects<'a> = BTreeMap<ObjectKey, &'a Manifest>;

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
fn objects(rendered: Option<&Rendered>) -> Objects<'_> {
    let Some(rendered) = rendered else { return Objects::new() };
    let scopes = Scopes::of(rendered);
    let hooks = rendered.hooks.iter().map(|hook| &hook.manifest);
    let all = rendered.crds.manifests.iter().chain(&rendered.manifests).chain(hooks);
    all.map(|manifest| (scopes.settle(&manifest.key), manifest)).collect()
}

fn changes<'a>(base: Option<&'a Release>, head: Option<&'a Release>) -> Vec<(Change, Risk)> {
    let rendered = |release: Option<&'a Release>| release.map(|release| &*release.rendered);
    let (before, after) = (objects(rendered(base)), objects(rendered(head)));
    let random = LazyCell::new(|| Random::of(head));
    let ignored = head.map_or(&[][..], |release| &release.instance.ignore_differences);
    let mut changes = Vec::new();
    let renamed = renamed(&before, &after);
    for (key, manifest) in &after {
        let other = before.get(key).or_else(|| renamed.get(key).and_then(|old| before.get(*old)));
        let Some(old) = other else {
            let change = Change::create(manifest, &manifest.object);
            changes.push((Change { key: key.clone(), ..change }, risk::of_creation(key)));
            continue;
        };
        let change = update(old, manifest, ignored, &random);
        changes.extend(change.map(|(change, risk)| (Change { key: key.clone(), ..change }, risk)));
    }
    let gone = before.iter().filter(|(key, _)| !after.contains_key(*key));
    for (key, manifest) in gone.filter(|(key, _)| !renamed.values().any(|old| old == key)) {
        let note = rendered(base).and_then(|rendered| stays(rendered, manifest));
        let risk = if note.is_some() { Risk::Other } else { Risk::Deletion };
        let note = note.map(str::to_owned);
        let change = Change::remove(manifest, Some(&manifest.object), note);
        changes.push((Change { key: key.clone(), ..change }, risk));
    }
    changes
}

/// What changes of an object that both sides have.
fn update(
    old: &Manifest,
    new: &Manifest,
    ignored: &[IgnoreDifference],
    random: &LazyCell<Random, impl FnOnce() -> Random>,
) -> Option<(Change, Risk)> {
    if old.object == new.object {
        return None;
    }
    let (mut before, mut after) = (old.object.clone(), new.object.clone());
    random.remove(&new.key, &mut before, &mut after);
    let rules: Vec<&IgnoreDifference> =
        ignored.iter().filter(|rule| is_meant(rule, &new.key)).collect();
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

/// The fields of a release that are drawn at random: a render with other dice has other values
/// there. An apply keeps what is live, so that they are no change.
#[derive(Default)]
struct Random(BTreeMap<ObjectKey, Vec<String>>);

impl Random {
    fn of(release: Option<&Release>) -> Self {
        const OTHER_DICE: [u8; 32] = [7; 32];
        let Some(release) = release.filter(|release| release.rendered.impure) else {
            return Self::default();
        };
        let Ok(other) = redrawn(release, OTHER_DICE) else { return Self::default() };
        let one = objects(Some(&release.rendered));
        let mut fields = BTreeMap::new();
        for (key, manifest) in objects(Some(&other)) {
            let Some(first) = one.get(&key) else { continue };
            let paths: Vec<String> = between(&first.object, &manifest.object)
                .iter()
                .filter_map(|field| field.path.pointer())
                .collect();
            if !paths.is_empty() {
                fields.insert(manifest.key.clone(), paths);
            }
        }
        Self(fields)
    }

    fn remove(&self, key: &ObjectKey, before: &mut Json, after: &mut Json) {
        for path in self.0.get(key).into_iter().flatten() {
            // What only the head has is no redrawn value: it is new.
            if path.contains("/*") || before.pointer(path).is_some() {
                pointer::remove(before, path);
                pointer::remove(after, path);
            }
        }
    }
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
