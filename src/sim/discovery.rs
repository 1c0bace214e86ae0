//! Which kinds are served where: what clients ask for before anything else.

use std::collections::BTreeMap;

use base64::Engine as _;
use serde_json::{Map, Value as Json, json};
use sha2::Digest as _;

use super::crd;
use super::kinds::{self, Kind};
use super::store::Store;

/// The version that simulated API servers say they are.
pub const VERSION: &str = "v1.35.4";
/// Groups in the order of a real server; others follow by name.
const GROUP_ORDER: [&str; 8] = [
    "apiregistration.k8s.io",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
];

/// `/version`.
pub fn version() -> Json {
    json!({
        "major": "1", "minor": "35", "gitVersion": VERSION, "gitCommit": "simulated",
        "gitTreeState": "clean", "buildDate": "2026-04-15T00:00:00Z", "goVersion": "go1.25.0",
        "compiler": "gc", "platform": "linux/amd64",
        "emulationMajor": "1", "emulationMinor": "35",
        "minCompatibilityMajor": "1", "minCompatibilityMinor": "34",
    })
}

/// Every kind that the cluster serves: built-in ones, then those of established CRDs.
pub fn served(store: &Store) -> Vec<Kind> {
    let custom = crd::all(store.objects()).filter(|crd| crd::is_established(crd));
    kinds::built_in().iter().cloned().chain(custom.flat_map(crd::kinds)).collect()
}

/// The kind that is served at a path.
pub fn find(store: &Store, group: &str, version: &str, plural: &str) -> Option<Kind> {
    let is_it =
        |kind: &Kind| kind.group == group && kind.version == version && kind.plural == plural;
    if kinds::is_built_in_group(group) {
        return kinds::built_in().iter().find(|kind| is_it(kind)).cloned();
    }
    let established = crd::all(store.objects()).filter(|crd| crd::is_established(crd));
    established.flat_map(crd::kinds).find(is_it)
}

/// The kinds of each group, the preferred version of the group first.
fn groups(store: &Store) -> Vec<(String, Vec<Kind>)> {
    let mut groups: BTreeMap<String, Vec<Kind>> = BTreeMap::new();
    for kind in served(store) {
        groups.entry(kind.group.clone()).or_default().push(kind);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(group, _)| {
        let at = GROUP_ORDER.iter().position(|other| other == group).unwrap_or(GROUP_ORDER.len());
        (!kinds::is_built_in_group(group), at, group.clone())
    });
    for (_, kinds) in &mut groups {
        kinds.sort_by(|a, b| newer_first(&a.version, &b.version));
    }
    groups
}

/// Stable versions before betas before alphas, higher numbers first.
pub(super) fn newer_first(a: &str, b: &str) -> std::cmp::Ordering {
    fn rank(version: &str) -> (u8, u32, u32) {
        let rest = version.strip_prefix('v').unwrap_or_default();
        let (major, rest) =
            rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
        let number = |text: &str| text.parse().unwrap_or(0);
        match (rest.strip_prefix("beta"), rest.strip_prefix("alpha")) {
            (Some(minor), _) => (2, number(major), number(minor)),
            (_, Some(minor)) => (1, number(major), number(minor)),
            _ if rest.is_empty() && !major.is_empty() => (3, number(major), 0),
            _ => (0, 0, 0),
        }
    }
    rank(b).cmp(&rank(a)).then_with(|| a.cmp(b))
}

/// The versions of a group's kinds, in their order.
fn versions(kinds: &[Kind]) -> Vec<&str> {
    let mut versions: Vec<&str> = Vec::new();
    for kind in kinds {
        if !versions.contains(&kind.version.as_str()) {
            versions.push(&kind.version);
        }
    }
    versions
}

/// `/api`.
pub fn core() -> Json {
    json!({
        "kind": "APIVersions", "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"}],
    })
}

fn group_json(group: &str, kinds: &[Kind]) -> Json {
    let versions: Vec<Json> = versions(kinds)
        .into_iter()
        .map(|version| json!({"groupVersion": format!("{group}/{version}"), "version": version}))
        .collect();
    json!({"name": group, "versions": versions, "preferredVersion": versions.first()})
}

/// `/apis`.
pub fn group_list(store: &Store) -> Json {
    let groups = groups(store);
    let named = groups.iter().filter(|(group, _)| !group.is_empty());
    let groups: Vec<_> = named.map(|(group, kinds)| group_json(group, kinds)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/GROUP`.
pub fn group(store: &Store, name: &str) -> Option<Json> {
    let groups = groups(store);
    let (group, kinds) = groups.iter().find(|(group, _)| group == name && !name.is_empty())?;
    let mut found = group_json(group, kinds);
    found["kind"] = Json::from("APIGroup");
    found["apiVersion"] = Json::from("v1");
    Some(found)
}

/// `/api/v1` and `/apis/GROUP/VERSION`.
pub fn resource_list(store: &Store, group: &str, version: &str) -> Option<Json> {
    let kinds: Vec<Kind> = served(store)
        .into_iter()
        .filter(|kind| kind.group == group && kind.version == version)
        .collect();
    let api_version = kinds.first()?.api_version();
    let mut resources: Vec<Json> = kinds.iter().flat_map(resources).collect();
    if kinds::is_built_in_group(group) {
        resources.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
    }
    Some(json!({
        "kind": "APIResourceList", "apiVersion": "v1",
        "groupVersion": api_version, "resources": resources,
    }))
}

const VERBS: [&str; 8] =
    ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
/// In the order that a real server has for custom kinds.
const CUSTOM_VERBS: [&str; 8] =
    ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];

fn verbs(kind: &Kind) -> Json {
    match kind {
        Kind { is_review: true, .. } => json!(["create"]),
        Kind { custom: Some(_), .. } => json!(CUSTOM_VERBS),
        _ => json!(VERBS),
    }
}

/// What tells clients whether objects are stored in another form than before.
fn storage_version_hash(kind: &Kind) -> String {
    let text = format!("{}/{}/{}", kind.group, kind.version, kind.kind);
    let digest = sha2::Sha256::digest(text.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(&digest[..8])
}

fn resources(kind: &Kind) -> Vec<Json> {
    let mut main = Map::new();
    let mut set = |name: &str, value: Json| main.insert(name.to_owned(), value);
    set("name", Json::from(kind.plural.as_str()));
    set("singularName", Json::from(kind.singular.as_str()));
    set("namespaced", Json::from(kind.is_namespaced));
    set("kind", Json::from(kind.kind.as_str()));
    set("verbs", verbs(kind));
    if !kind.is_review {
        set("storageVersionHash", Json::from(storage_version_hash(kind)));
    }
    if !kind.short_names.is_empty() {
        set("shortNames", json!(kind.short_names));
    }
    if !kind.categories.is_empty() {
        set("categories", json!(kind.categories));
    }
    let mut all = vec![Json::Object(main)];
    for sub in subresources(kind) {
        let mut resource = json!({
            "name": format!("{}/{}", kind.plural, sub.name), "singularName": "",
            "namespaced": kind.is_namespaced, "kind": sub.kind, "verbs": sub.verbs,
        });
        if let Some((group, version)) = sub.group_version {
            resource["group"] = Json::from(group);
            resource["version"] = Json::from(version);
        }
        all.push(resource);
    }
    all
}

struct Subresource<'a> {
    name: &'static str,
    kind: &'a str,
    group_version: Option<(&'static str, &'static str)>,
    verbs: &'static [&'static str],
}

fn subresources(kind: &Kind) -> Vec<Subresource<'_>> {
    const WRITE: &[&str] = &["get", "patch", "update"];
    let plain = |name, verbs| Subresource { name, kind: &kind.kind, group_version: None, verbs };
    let mut all = Vec::new();
    if kind.has_status {
        all.push(plain("status", WRITE));
    }
    if kind.has_scale {
        let group_version = Some(("autoscaling", "v1"));
        all.push(Subresource { name: "scale", kind: "Scale", group_version, verbs: WRITE });
    }
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Namespace") => all.push(plain("finalize", &["update"])),
        ("", "Pod") => {
            let group_version = Some(("policy", "v1"));
            all.push(Subresource {
                name: "eviction",
                kind: "Eviction",
                group_version,
                verbs: &["create"],
            });
            all.push(plain("log", &["get"]));
        }
        ("", "ServiceAccount") => all.push(Subresource {
            name: "token",
            kind: "TokenRequest",
            group_version: Some(("authentication.k8s.io", "v1")),
            verbs: &["create"],
        }),
        _ => {}
    }
    all
}

/// `/api` and `/apis` in the form that has everything at once (`apidiscovery.k8s.io/v2`).
pub fn aggregated(store: &Store, is_core: bool) -> Json {
    let groups = groups(store);
    let meant = groups.iter().filter(|(group, _)| group.is_empty() == is_core);
    let items: Vec<Json> = meant.map(|(group, kinds)| aggregated_group(group, kinds)).collect();
    json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {}, "items": items,
    })
}

fn aggregated_group(group: &str, kinds: &[Kind]) -> Json {
    let versions: Vec<Json> = versions(kinds)
        .into_iter()
        .map(|version| {
            let mut resources: Vec<&Kind> =
                kinds.iter().filter(|kind| kind.version == version).collect();
            resources.sort_by(|a, b| a.plural.cmp(&b.plural));
            let resources: Vec<Json> = resources.into_iter().map(aggregated_kind).collect();
            json!({"version": version, "resources": resources, "freshness": "Current"})
        })
        .collect();
    let mut metadata = json!({"creationTimestamp": null});
    if !group.is_empty() {
        metadata["name"] = Json::from(group);
    }
    json!({"metadata": metadata, "versions": versions})
}

fn aggregated_kind(kind: &Kind) -> Json {
    let response = |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    let mut found = json!({
        "resource": kind.plural,
        "responseKind": response(&kind.group, &kind.version, &kind.kind),
        "scope": if kind.is_namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": kind.singular,
        "verbs": verbs(kind),
    });
    if !kind.short_names.is_empty() {
        found["shortNames"] = json!(kind.short_names);
    }
    if !kind.categories.is_empty() {
        found["categories"] = json!(kind.categories);
    }
    let parts: Vec<Json> = subresources(kind)
        .into_iter()
        .map(|sub| {
            let (group, version) =
                sub.group_version.unwrap_or((kind.group.as_str(), kind.version.as_str()));
            json!({
                "subresource": sub.name, "responseKind": response(group, version, sub.kind),
                "verbs": sub.verbs,
            })
        })
        .collect();
    if !parts.is_empty() {
        found["subresources"] = Json::from(parts);
    }
    found
}
