//! The only module that looks at the values of a Secret, and the one that hides them.
//!
//! A comparison needs to know *that* a value changed; nobody else needs to know the value. Masks
//! number the distinct values of one comparison, so that a mask says nothing about a value.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;

use super::access;

/// What stands for a value.
const MASK: &str = "(hidden)";
/// What stands for a value that differs from the one on the cluster.
const MASK_CHANGED: &str = "(hidden, changed)";

/// Whether the object is a Secret of the core group.
pub fn is_secret(object: &Json) -> bool {
    access::kind(object) == "Secret" && access::group_of(access::api_version(object)).is_empty()
}

/// Whether a kind of a group is the core group's Secret.
pub fn is_secret_kind(group: &str, kind: &str) -> bool {
    kind == "Secret" && group.is_empty()
}

/// A pair of Secrets with every value masked: equal values get equal masks, others do not.
/// Objects of other kinds come back as they are.
pub fn mask_pair(before: Option<&Json>, after: Option<&Json>) -> (Option<Json>, Option<Json>) {
    let masked_before = before.map(|object| mask(object, None));
    let masked_after = after.map(|object| mask(object, before));
    (masked_before, masked_after)
}

/// One Secret with every value masked; an object of another kind as it is.
pub fn masked(object: &Json) -> Json {
    mask(object, None)
}

fn mask(object: &Json, other: Option<&Json>) -> Json {
    if !is_secret(object) {
        return object.clone();
    }
    let mut object = object.clone();
    let fields = object.as_object_mut().expect("an object with a kind is a map");
    for map in ["data", "stringData"] {
        let Some(Json::Object(values)) = fields.get_mut(map) else { continue };
        for (key, value) in values.iter_mut() {
            let is_changed = other
                .and_then(|other| bytes(other, key))
                .is_some_and(|before| bytes_of(map, value).as_ref() != Some(&before));
            *value = Json::from(if is_changed { MASK_CHANGED } else { MASK });
        }
    }
    // A client-side apply keeps the whole Secret in this annotation.
    if let Some(Json::Object(annotations)) =
        fields.get_mut("metadata").and_then(|metadata| metadata.get_mut("annotations"))
        && let Some(last) = annotations.get_mut("kubectl.kubernetes.io/last-applied-configuration")
    {
        *last = Json::from(MASK);
    }
    object
}

fn bytes(secret: &Json, key: &str) -> Option<Vec<u8>> {
    ["stringData", "data"]
        .into_iter()
        .find_map(|map| bytes_of(map, access::at(secret, &[map, key])?))
}

fn bytes_of(map: &str, value: &Json) -> Option<Vec<u8>> {
    let text = value.as_str()?;
    match map {
        "data" => STANDARD.decode(text).ok(),
        _ => Some(text.as_bytes().to_vec()),
    }
}

/// What is told of an API server's message about a Secret: nothing, since it may quote values.
pub const WITHHELD: &str = "the server's message is withheld, since it may quote values";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secret(data: Json) -> Json {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": data})
    }

    #[test]
    fn a_changed_value_shows_as_changed_and_nothing_else() {
        let before = secret(json!({"same": "YQ==", "other": "YQ=="}));
        let after = secret(json!({"same": "YQ==", "other": "Yg==", "new": "Yw=="}));
        let (before, after) = mask_pair(Some(&before), Some(&after));
        let (before, after) = (before.unwrap(), after.unwrap());
        assert_eq!(before["data"], json!({"same": "(hidden)", "other": "(hidden)"}));
        assert_eq!(
            after["data"],
            json!({"same": "(hidden)", "other": "(hidden, changed)", "new": "(hidden)"})
        );
    }

    #[test]
    fn text_in_string_data_equals_the_same_bytes_in_data() {
        let before = secret(json!({"k": "c2VjcmV0"}));
        let after = json!({
            "apiVersion": "v1", "kind": "Secret", "stringData": {"k": "secret"},
        });
        let (_, after) = mask_pair(Some(&before), Some(&after));
        assert_eq!(after.unwrap()["stringData"]["k"], "(hidden)");
    }

    #[test]
    fn the_annotation_of_a_client_side_apply_is_hidden_too() {
        let mut object = secret(json!({"k": "c2VjcmV0"}));
        access::set_metadata(
            &mut object,
            "annotations",
            "kubectl.kubernetes.io/last-applied-configuration",
            "{\"data\":{\"k\":\"c2VjcmV0\"}}",
        );
        assert!(!masked(&object).to_string().contains("c2VjcmV0"));
    }

    #[test]
    fn a_config_map_is_not_masked() {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": "v"}});
        assert_eq!(masked(&object), object);
    }
}
