//! Which resource serves a kind: by Kubernetes' own kinds, by the charts' CRDs, by a cluster, or
//! by a guess.

use std::collections::{BTreeMap, BTreeSet};

use super::Wanted;
use crate::object::access::{self, list, text};
use crate::sim::kinds;

/// How a kind is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The plural in URLs.
    pub plural: String,
    /// Whether its objects are in namespaces.
    pub is_namespaced: bool,
    /// Whether both are guessed: no chart brings its CRD.
    pub is_guessed: bool,
}

type GroupKind = (String, String);

/// The kinds of a cluster, as far as they are known.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    known: BTreeMap<GroupKind, Known>,
    /// `apiVersion` and kind of what the charts' CRDs define.
    brought: BTreeSet<(String, String)>,
}

impl Catalog {
    /// As the CRDs of a cluster's charts say. They are those of all its releases: an addon may
    /// have objects of a kind that another one brings.
    pub fn of(releases: &[Wanted<'_>]) -> Self {
        let mut catalog = Self::default();
        for object in releases.iter().flat_map(Wanted::objects) {
            if object.key.kind != "CustomResourceDefinition" {
                continue;
            }
            let crd = &object.object;
            let (Some(group), Some(kind), Some(plural)) = (
                text(crd, &["spec", "group"]),
                text(crd, &["spec", "names", "kind"]),
                text(crd, &["spec", "names", "plural"]),
            ) else {
                continue;
            };
            catalog.learn(group, kind, plural, text(crd, &["spec", "scope"]) != Some("Cluster"));
            for version in list(crd, &["spec", "versions"]) {
                if version.get("served").and_then(serde_json::Value::as_bool) != Some(false) {
                    let version = text(version, &["name"]).unwrap_or_default();
                    catalog.brought.insert((format!("{group}/{version}"), kind.to_owned()));
                }
            }
        }
        catalog
    }

    /// What a cluster says of a kind.
    pub fn learn(&mut self, group: &str, kind: &str, plural: &str, is_namespaced: bool) {
        let known = Known { plural: plural.to_owned(), is_namespaced, is_guessed: false };
        self.known.insert((group.to_owned(), kind.to_owned()), known);
    }

    /// Whether a CRD of the charts defines a kind at this version.
    pub fn brings(&self, api_version: &str, kind: &str) -> bool {
        self.brought.contains(&(api_version.to_owned(), kind.to_owned()))
    }

    /// How a kind is served.
    pub fn kind(&self, group: &str, kind: &str) -> Known {
        if let Some(known) = self.known.get(&(group.to_owned(), kind.to_owned())) {
            return known.clone();
        }
        if let Some(built_in) = kinds::find(group, kind) {
            return Known {
                plural: built_in.plural.clone(),
                is_namespaced: built_in.is_namespaced,
                is_guessed: false,
            };
        }
        Known { plural: plural(kind), is_namespaced: true, is_guessed: true }
    }

    /// Kinds of these releases that are guessed, as `KIND.GROUP`.
    pub fn guessed(&self, releases: &[Wanted<'_>]) -> BTreeSet<String> {
        let objects = releases.iter().flat_map(Wanted::objects);
        let guessed = objects.filter(|one| self.kind(&one.key.group, &one.key.kind).is_guessed);
        guessed
            .map(|one| format!("{}.{}", one.key.kind, access::group_of(&one.api_version)))
            .collect()
    }
}

/// The plural that most CRDs have.
fn plural(kind: &str) -> String {
    let kind = kind.to_lowercase();
    if let Some(stem) = kind.strip_suffix('y')
        && !stem.ends_with(['a', 'e', 'i', 'o', 'u'])
    {
        return format!("{stem}ies");
    }
    let is_hissing = ["s", "x", "z", "ch", "sh"].iter().any(|end| kind.ends_with(end));
    if is_hissing { format!("{kind}es") } else { format!("{kind}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_nobody_defines_is_guessed() {
        let catalog = Catalog::default();
        for (kind, plural) in [
            ("Issuer", "issuers"),
            ("Policy", "policies"),
            ("Gateway", "gateways"),
            ("IngressClass", "ingressclasses"),
        ] {
            let known = catalog.kind("example.org", kind);
            assert_eq!((known.plural.as_str(), known.is_guessed), (plural, true));
        }
        let known = catalog.kind("networking.k8s.io", "IngressClass");
        assert!(!known.is_guessed && !known.is_namespaced);
    }
}
