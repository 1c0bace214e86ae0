//! What CustomResourceDefinitions add to the kinds of a cluster.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use super::kinds::{Custom, Kind};
use crate::object::access;
use crate::object::key::ObjectKey;

/// The group of CRDs.
pub const GROUP: &str = "apiextensions.k8s.io";
/// Their kind.
pub const KIND: &str = "CustomResourceDefinition";

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
        })),
        kind,
    }
}

/// Puts in the defaults that a schema names.
pub fn fill(value: &mut Json, schema: &Json) {
    match value {
        Json::Object(fields) => {
            let declared = schema.get("properties").and_then(Json::as_object);
            for (name, schema) in declared.into_iter().flatten() {
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
