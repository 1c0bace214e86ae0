//! Charts and images that change their version.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::Pair;
use super::describe::{Labels, describe};
use crate::base::ids::{AddonName, ClusterName};
use crate::render::Release;
use crate::yaml::helm;

/// A chart that comes, goes or changes its version on some clusters.
#[derive(Clone, Debug)]
pub struct VersionChange {
    /// The addon.
    pub addon: AddonName,
    /// Its version at the base; none where the addon comes.
    pub from: Option<String>,
    /// Its version at the head; none where the addon goes.
    pub to: Option<String>,
    /// Who has it.
    pub clusters: BTreeSet<ClusterName>,
    /// The same in words.
    pub who: String,
    /// Images that change, old and new.
    pub images: BTreeSet<(String, String)>,
    /// What the chart's own annotation says of its changes.
    pub changelog: Vec<String>,
}

/// Entries of a changelog that are told.
const CHANGELOG_MAX: usize = 30;

/// Every version that is another one. Images count for themselves: they may change without the
/// chart.
pub(super) fn of(pairs: &[Pair<'_>], labels: &Labels) -> Vec<VersionChange> {
    let mut changes: BTreeMap<(AddonName, Option<String>, Option<String>), VersionChange> =
        BTreeMap::new();
    for pair in pairs.iter().filter(|pair| pair.differs()) {
        let version = |release: Option<&Release>| release.map(|one| one.chart_version().to_owned());
        let (from, to) = (version(pair.base), version(pair.head));
        let images = images(pair.base, pair.head);
        if from == to && images.is_empty() {
            continue;
        }
        let key = (pair.addon.clone(), from.clone(), to.clone());
        let change = changes.entry(key).or_insert_with(|| VersionChange {
            addon: pair.addon.clone(),
            changelog: if from == to { Vec::new() } else { changelog(pair.head) },
            from,
            to,
            clusters: BTreeSet::new(),
            who: String::new(),
            images: BTreeSet::new(),
        });
        change.clusters.extend(pair.clusters.iter().cloned());
        change.images.extend(images);
    }
    let described = |mut change: VersionChange| {
        change.who = describe(&change.clusters, &labels.of_addon(&change.addon));
        change
    };
    changes.into_values().map(described).collect()
}

/// What `artifacthub.io/changes` says: a list of texts, or of entries with a kind and a description.
fn changelog(release: Option<&Release>) -> Vec<String> {
    let text = release.and_then(|release| {
        release.chart.metadata["annotations"]["artifacthub.io/changes"].as_str()
    });
    let Some(Ok(Json::Array(entries))) = text.map(helm::read) else { return Vec::new() };
    let entry = |entry: &Json| match entry {
        Json::String(text) => Some(text.clone()),
        entry => {
            let description = entry["description"].as_str()?;
            Some(match entry["kind"].as_str() {
                Some(kind) => format!("{kind}: {description}"),
                None => description.to_owned(),
            })
        }
    };
    entries.iter().filter_map(entry).take(CHANGELOG_MAX).collect()
}

/// Images by their name without tag and digest: where both sides have it, with other versions.
fn images(base: Option<&Release>, head: Option<&Release>) -> BTreeSet<(String, String)> {
    let (Some(base), Some(head)) = (base, head) else { return BTreeSet::new() };
    let (old, new) = (images_of(base), images_of(head));
    let mut changed = BTreeSet::new();
    for (name, new) in &new {
        let Some(old) = old.get(name) else { continue };
        let (gone, come): (Vec<_>, Vec<_>) =
            (old.difference(new).collect(), new.difference(old).collect());
        for (old, new) in gone.into_iter().zip(come) {
            changed.insert((old.clone(), new.clone()));
        }
    }
    changed
}

fn images_of(release: &Release) -> BTreeMap<String, BTreeSet<String>> {
    let mut images = BTreeMap::new();
    let rendered = &release.rendered;
    let hooks = rendered.hooks.iter().map(|hook| &hook.manifest);
    for manifest in rendered.manifests.iter().chain(hooks) {
        find(&manifest.object, &mut images);
    }
    images
}

fn find(value: &Json, images: &mut BTreeMap<String, BTreeSet<String>>) {
    match value {
        Json::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Json::String(image) if name == "image" => {
                        images.entry(name_of(image).to_owned()).or_default().insert(image.clone());
                    }
                    value => find(value, images),
                }
            }
        }
        Json::Array(items) => items.iter().for_each(|item| find(item, images)),
        _ => {}
    }
}

/// An image without its tag and digest.
fn name_of(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    let path = image.rfind('/').map_or(0, |at| at + 1);
    image[path..].find(':').map_or(image, |at| &image[..path + at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_a_name_without_its_version() {
        for (image, name) in [
            ("nginx", "nginx"),
            ("nginx:1.27", "nginx"),
            ("registry:5000/a/b:1@sha256:0", "registry:5000/a/b"),
            ("registry:5000/a/b", "registry:5000/a/b"),
        ] {
            assert_eq!(name_of(image), name);
        }
    }
}
