//! What CustomResourceDefinitions add to the kinds of a cluster.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::kinds::{Custom, Kind};
use crate::base::clock::Timestamp;
use crate::object::access;
use crate::object::key::ObjectKey;

/// The group of CRDs.
pub const GROUP: &str = "apiextensions.k8s.io";
/// Their kind.
pub const KIND: &str = "CustomResourceDefinition";
/// Holds a CRD until its objects are gone.
pub(super) const FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// The CRDs among objects.
pub fn all(objects: &BTreeMap<ObjectKey, Json>) -> impl Iterator<Item = &Json> {
    let first = ObjectKey {
        group: GROUP.to_owned(),
        kind: KIND.to_owned(),
        namespace: String::new(),
        name: String::new(),
    };
    objects
        .range(first..)
        .take_while(|(key, _)| key.group == GROUP && key.kind == KIND)
        .map(|(_, object)| object)
}

/// Whether a CRD is in use.
pub fn is_established(crd: &Json) -> bool {
    access::list(crd, &["status", "conditions"]).iter().any(|condition| {
        access::text(condition, &["type"]) == Some("Established")
            && access::text(condition, &["status"]) == Some("True")
    })
}

/// What a new CRD says before its names are accepted.
pub(super) fn first_status(crd: &Json) -> Json {
    let stored = access::list(crd, &["spec", "versions"])
        .iter()
        .find(|version| version.get("storage") == Some(&Json::Bool(true)))
        .and_then(|version| version.get("name"));
    json!({
        "acceptedNames": {"kind": "", "plural": ""}, "conditions": null,
        "storedVersions": stored.into_iter().collect::<Vec<_>>(),
    })
}

/// The status of a CRD that was told to go: first its objects go.
pub(super) fn ending_status(crd: &Json, now: Timestamp) -> Json {
    let mut status = crd.get("status").cloned().unwrap_or_else(|| json!({}));
    let mut conditions = access::list(&status, &["conditions"]).to_vec();
    conditions.retain(|condition| access::text(condition, &["type"]) != Some("Terminating"));
    conditions.push(json!({
        "type": "Terminating", "status": "True", "reason": "InstanceDeletionPending",
        "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will \
                    begin soon",
        "lastTransitionTime": super::metadata::time(now),
    }));
    status["conditions"] = Json::from(conditions);
    status
}

/// The kinds that a CRD adds, the version that is kept first, whether or not it is established.
pub fn kinds(crd: &Json) -> Vec<Kind> {
    let mut versions: Vec<&Json> = access::list(crd, &["spec", "versions"])
        .iter()
        .filter(|version| version.get("served").and_then(Json::as_bool).unwrap_or_default())
        .collect();
    versions.sort_by_key(|version| version.get("storage").and_then(Json::as_bool) != Some(true));
    versions.into_iter().map(|version| kind(crd, version)).collect()
}

fn kind(crd: &Json, version: &Json) -> Kind {
    let text = |path: &[&str]| access::text(crd, path).unwrap_or_default().to_owned();
    let names = |field: &str| -> Vec<String> {
        let names = access::list(crd, &["spec", "names", field]).iter();
        names.filter_map(Json::as_str).map(str::to_owned).collect()
    };
    let kind = text(&["spec", "names", "kind"]);
    let or = |value: String, other: String| if value.is_empty() { other } else { value };
    let has = |name| access::at(version, &["subresources", name]).is_some_and(Json::is_object);
    let schema = access::at(version, &["schema", "openAPIV3Schema"]).cloned();
    Kind {
        group: text(&["spec", "group"]),
        version: access::text(version, &["name"]).unwrap_or_default().to_owned(),
        list_kind: or(text(&["spec", "names", "listKind"]), format!("{kind}List")),
        plural: text(&["spec", "names", "plural"]),
        singular: or(text(&["spec", "names", "singular"]), kind.to_lowercase()),
        short_names: names("shortNames"),
        categories: names("categories"),
        is_namespaced: access::text(crd, &["spec", "scope"]) == Some("Namespaced"),
        has_status: has("status"),
        has_scale: has("scale"),
        has_generation: true,
        is_review: false,
        custom: Some(Arc::new(Custom {
            schema: schema.unwrap_or(Json::Null),
            columns: access::list(version, &["additionalPrinterColumns"]).to_vec(),
            selector_path: access::text(version, &["subresources", "scale", "labelSelectorPath"])
                .map(str::to_owned),
            warning: deprecation(crd, version),
        })),
        kind,
    }
}

/// What is told of a version that is on its way out: its own words, or which one is better.
fn deprecation(crd: &Json, version: &Json) -> Option<String> {
    if access::at(version, &["deprecated"]) != Some(&Json::Bool(true)) {
        return None;
    }
    if let Some(own) = access::text(version, &["deprecationWarning"]) {
        return Some(own.to_owned());
    }
    let text = |path: &[&str]| access::text(crd, path).unwrap_or_default();
    let (group, kind) = (text(&["spec", "group"]), text(&["spec", "names", "kind"]));
    let name = |version: &Json| access::text(version, &["name"]).unwrap_or_default().to_owned();
    let others = access::list(crd, &["spec", "versions"]).iter().filter(|other| {
        other.get("served") == Some(&Json::Bool(true))
            && other.get("deprecated") != Some(&Json::Bool(true))
    });
    let best = others.map(name).min_by(|a, b| super::discovery::newer_first(a, b));
    let mut told = format!("{group}/{} {kind} is deprecated", name(version));
    if let Some(best) = best {
        told.push_str(&format!("; use {group}/{best} {kind}"));
    }
    Some(told)
}

/// Puts in the defaults that a schema names, and takes out the nulls that it does not allow.
pub fn fill(value: &mut Json, schema: &Json) {
    match value {
        Json::Object(fields) => {
            let declared = schema.get("properties").and_then(Json::as_object);
            for (name, schema) in declared.into_iter().flatten() {
                let is_null = fields.get(name).is_some_and(Json::is_null)
                    && schema.get("nullable") != Some(&Json::Bool(true));
                if is_null {
                    fields.remove(name);
                }
                if let Some(default) = schema.get("default")
                    && !fields.contains_key(name)
                {
                    fields.insert(name.clone(), default.clone());
                }
                if let Some(field) = fields.get_mut(name) {
                    fill(field, schema);
                }
            }
            if let Some(schema @ Json::Object(_)) = schema.get("additionalProperties") {
                fields.values_mut().for_each(|field| fill(field, schema));
            }
        }
        Json::Array(items) => {
            if let Some(schema) = schema.get("items") {
                for item in items {
                    fill(item, schema);
                }
            }
        }
        _ => {}
    }
}

/// Takes out the fields that a schema does not know, as a server does before it keeps an object.
/// Gives their paths: `spec.size`.
pub fn prune(object: &mut Json, schema: &Json) -> Vec<String> {
    let mut gone = Vec::new();
    prune_below(object, schema, "", &mut gone);
    gone
}

fn prune_below(value: &mut Json, schema: &Json, path: &str, gone: &mut Vec<String>) {
    let is_set = |name: &str| schema.get(name).and_then(Json::as_bool).unwrap_or_default();
    match value {
        Json::Object(fields) => {
            let is_object = path.is_empty() || is_set("x-kubernetes-embedded-resource");
            let declared = schema.get("properties");
            let others = schema.get("additionalProperties");
            let keeps_others = is_set("x-kubernetes-preserve-unknown-fields")
                || others.is_some_and(|others| others.as_bool() != Some(false));
            fields.retain(|name, value| {
                let at = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                if is_object && matches!(name.as_str(), "apiVersion" | "kind" | "metadata") {
                    return true;
                }
                let known = declared.and_then(|declared| declared.get(name));
                match known.or(others.filter(|others| others.is_object())) {
                    Some(schema) => prune_below(value, schema, &at, gone),
                    None if keeps_others => {}
                    None => {
                        gone.push(at);
                        return false;
                    }
                }
                true
            });
        }
        Json::Array(items) => {
            let Some(schema) = schema.get("items") else { return };
            for (at, item) in items.iter_mut().enumerate() {
                prune_below(item, schema, &format!("{path}[{at}]"), gone);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_no_schema_knows_go() {
        let schema = json!({"type": "object", "properties": {
            "spec": {"type": "object", "properties": {
                "size": {"type": "integer"},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                         "properties": {"known": {"type": "object"}}},
                "map": {"type": "object", "additionalProperties":
                        {"type": "object", "properties": {"a": {"type": "string"}}}},
                "list": {"type": "array", "items":
                         {"type": "object", "properties": {"a": {"type": "string"}}}},
            }},
        }});
        let mut object = json!({
            "apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": "a"},
            "spec": {"size": 1, "siz": 2, "free": {"x": {"y": 1}, "known": {"z": 1}},
                     "map": {"k": {"a": "1", "b": "2"}}, "list": [{"a": "1"}, {"b": "2"}]},
            "extra": 1,
        });
        let mut gone = prune(&mut object, &schema);
        gone.sort();
        assert_eq!(
            gone,
            ["extra", "spec.free.known.z", "spec.list[1].b", "spec.map.k.b", "spec.siz"]
        );
        assert_eq!(
            object,
            json!({
                "apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": "a"},
                "spec": {"size": 1, "free": {"x": {"y": 1}, "known": {}},
                         "map": {"k": {"a": "1"}}, "list": [{"a": "1"}, {}]},
            })
        );
    }
}
