//! Reading fields of an untyped object without ceremony. Absent and mistyped fields read alike.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::key::ObjectKey;

/// The value at a path of field names.
pub fn at<'a>(object: &'a Json, path: &[&str]) -> Option<&'a Json> {
    path.iter().try_fold(object, |value, step| value.get(step))
}

/// The text at a path of field names.
pub fn text<'a>(object: &'a Json, path: &[&str]) -> Option<&'a str> {
    at(object, path)?.as_str()
}

/// The whole number at a path of field names.
pub fn number(object: &Json, path: &[&str]) -> Option<i64> {
    at(object, path)?.as_i64()
}

/// The list at a path of field names; empty when there is none.
pub fn list<'a>(object: &'a Json, path: &[&str]) -> &'a [Json] {
    at(object, path).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

/// What Go's JSON library calls the type of a value.
pub fn type_name(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "bool",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

/// `kind`, or nothing.
pub fn kind(object: &Json) -> &str {
    text(object, &["kind"]).unwrap_or_default()
}

/// `apiVersion`, or nothing.
pub fn api_version(object: &Json) -> &str {
    text(object, &["apiVersion"]).unwrap_or_default()
}

/// `metadata.name`, or nothing.
pub fn name(object: &Json) -> &str {
    text(object, &["metadata", "name"]).unwrap_or_default()
}

/// `metadata.namespace`, or nothing.
pub fn namespace(object: &Json) -> &str {
    text(object, &["metadata", "namespace"]).unwrap_or_default()
}

/// `metadata.uid`, or nothing.
pub fn uid(object: &Json) -> &str {
    text(object, &["metadata", "uid"]).unwrap_or_default()
}

/// `metadata.resourceVersion`, or nothing.
pub fn resource_version(object: &Json) -> &str {
    text(object, &["metadata", "resourceVersion"]).unwrap_or_default()
}

/// One annotation.
pub fn annotation<'a>(object: &'a Json, key: &str) -> Option<&'a str> {
    text(object, &["metadata", "annotations", key])
}

/// The annotation by which a chart says that an object stays.
pub const RESOURCE_POLICY: &str = "helm.sh/resource-policy";

/// Whether a chart says that an object stays when it is no longer wanted, as Helm reads it.
pub fn says_keep(object: &Json) -> bool {
    annotation(object, RESOURCE_POLICY)
        .is_some_and(|policy| policy.trim().eq_ignore_ascii_case("keep"))
}

/// One label.
pub fn label<'a>(object: &'a Json, key: &str) -> Option<&'a str> {
    text(object, &["metadata", "labels", key])
}

/// All labels.
pub fn labels(object: &Json) -> BTreeMap<&str, &str> {
    string_map(at(object, &["metadata", "labels"]))
}

/// A map of text to text; other values are left out.
pub fn string_map(value: Option<&Json>) -> BTreeMap<&str, &str> {
    let fields = value.and_then(Json::as_object);
    fields
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
        .collect()
}

/// The group of an `apiVersion`; empty for the core group.
pub fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// Whether the API server itself defines a group.
pub fn is_built_in_group(group: &str) -> bool {
    !group.contains('.') || group.ends_with(".k8s.io")
}

/// The identity of an object, with its namespace as it says it.
pub fn key_of(object: &Json) -> ObjectKey {
    ObjectKey {
        group: group_of(api_version(object)).to_owned(),
        kind: kind(object).to_owned(),
        namespace: namespace(object).to_owned(),
        name: name(object).to_owned(),
    }
}

/// Sets a text field below `metadata`, such as an annotation; makes the maps on the way.
///
/// A `null` or mistyped map on the way is replaced: the API server would refuse it anyway.
pub fn set_metadata(object: &mut Json, map: &str, key: &str, value: &str) {
    let Some(fields) = object.as_object_mut() else { return };
    let metadata = ensure_map(fields, "metadata");
    ensure_map(metadata, map).insert(key.to_owned(), Json::from(value));
}

fn ensure_map<'a>(
    fields: &'a mut serde_json::Map<String, Json>,
    key: &str,
) -> &'a mut serde_json::Map<String, Json> {
    let entry = fields.entry(key).or_insert_with(|| Json::Object(serde_json::Map::new()));
    if !entry.is_object() {
        *entry = Json::Object(serde_json::Map::new());
    }
    entry.as_object_mut().expect("it was just made an object")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_core_group_is_empty() {
        assert_eq!(group_of("v1"), "");
        assert_eq!(group_of("apps/v1"), "apps");
    }

    #[test]
    fn setting_an_annotation_replaces_a_null_map() {
        let mut object = json!({"metadata": {"name": "a", "annotations": null}});
        set_metadata(&mut object, "annotations", "k", "v");
        assert_eq!(annotation(&object, "k"), Some("v"));
        assert_eq!(name(&object), "a");
    }

    #[test]
    fn mistyped_fields_read_as_absent() {
        let object = json!({"metadata": "no map", "spec": {"replicas": "3"}});
        assert_eq!(name(&object), "");
        assert_eq!(number(&object, &["spec", "replicas"]), None);
        assert!(list(&object, &["spec"]).is_empty());
    }
}
