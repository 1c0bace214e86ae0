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

/// Moves the text of a Secret's `stringData` to `data`, as the API server does with what it keeps.
/// Server-side apply works on what is sent: a key of `stringData` is owned by nobody once it is
/// kept, so that nobody would see that it was changed, and it would not go away with the next
/// apply that lacks it.
pub fn settle_string_data(object: &mut Json) {
    if !is_secret(object) {
        return;
    }
    let fields = object.as_object_mut().expect("an object with a kind is a map");
    let is_text =
        |value: &Json| value.as_object().is_some_and(|map| map.values().all(Json::is_string));
    if !fields.get("stringData").is_some_and(is_text) {
        // Nothing there, or something that the server shall refuse in its own words.
        return;
    }
    let Some(Json::Object(texts)) = fields.remove("stringData") else { return };
    let data = fields.entry("data").or_insert_with(|| Json::Object(serde_json::Map::new()));
    if data.is_null() {
        *data = Json::Object(serde_json::Map::new());
    }
    let Some(data) = data.as_object_mut() else { return };
    for (key, text) in texts {
        let encoded = STANDARD.encode(text.as_str().unwrap_or_default());
        data.insert(key, Json::from(encoded));
    }
}

/// Whether a key is what people call secrets.
pub fn sounds_secret(key: &str) -> bool {
    let key = key.to_lowercase().replace(['-', '_', '.'], "");
    ["password", "passwd", "passphrase", "token", "credential", "keytab", "apikey", "privatekey"]
        .iter()
        .any(|word| key.contains(word))
}

/// The values of a Secret that are text, by their keys; none of another object. Only to look for
/// them where they must not be.
pub fn values(object: &Json) -> Vec<(String, String)> {
    if !is_secret(object) {
        return Vec::new();
    }
    let of_map = |map: &'static str| {
        let values = access::at(object, &[map]).and_then(Json::as_object).into_iter().flatten();
        values.filter_map(move |(key, value)| {
            Some((key.clone(), String::from_utf8(bytes_of(map, value)?).ok()?))
        })
    };
    of_map("data").chain(of_map("stringData")).collect()
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

/// The values of some Secrets, to be hidden in what others say: a log may quote them.
#[derive(Clone, Default)]
pub struct Values(std::collections::BTreeSet<String>);

/// Shorter values are everyday words: to hide them would make the text unreadable and say what
/// they are.
const HIDDEN_FROM: usize = 4;

impl Values {
    /// Of those objects that are Secrets.
    pub fn of<'a>(objects: impl IntoIterator<Item = &'a Json>) -> Self {
        let mut values = Self::default();
        for object in objects.into_iter().filter(|object| is_secret(object)) {
            for map in ["data", "stringData"] {
                let of_map = access::at(object, &[map]).and_then(Json::as_object);
                for value in of_map.into_iter().flat_map(|map| map.values()) {
                    let Some(bytes) = bytes_of(map, value) else { continue };
                    values.add(&STANDARD.encode(&bytes));
                    // A log has lines, and a value may be several of them.
                    let text = String::from_utf8(bytes).unwrap_or_default();
                    text.lines().for_each(|line| values.add(line.trim()));
                }
            }
        }
        values
    }

    fn add(&mut self, value: &str) {
        if value.len() >= HIDDEN_FROM {
            self.0.insert(value.to_owned());
        }
    }

    /// A text with every value hidden that is in it.
    pub fn hide(&self, text: &str) -> String {
        let mut values: Vec<&String> = self.0.iter().collect();
        // A value may be a part of another.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        values.iter().fold(text.to_owned(), |text, value| text.replace(*value, MASK))
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
    fn values_are_hidden_in_what_others_say() {
        let secret = json!({"apiVersion": "v1", "kind": "Secret",
            "data": {"a": "aHVudGVyMg==", "short": "b24="},
            "stringData": {"key": "BEGIN\nabcdef\nEND"}});
        let values = Values::of([&secret, &json!({"kind": "ConfigMap", "data": {"x": "hello"}})]);
        assert_eq!(
            values.hide("hello, hunter2 (aHVudGVyMg==) abcdef on"),
            "hello, (hidden) ((hidden)) (hidden) on"
        );
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
    fn text_of_a_secret_is_sent_as_data_and_wins_over_it() {
        let settled = |mut object: Json| {
            settle_string_data(&mut object);
            object
        };
        let object = |fields: Json| {
            let mut object = secret(json!(null));
            object.as_object_mut().unwrap().remove("data");
            object.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            object
        };
        assert_eq!(
            settled(object(
                json!({"stringData": {"a": "text"}, "data": {"a": "eA==", "b": "eQ=="}})
            )),
            object(json!({"data": {"a": "dGV4dA==", "b": "eQ=="}}))
        );
        assert_eq!(
            settled(object(json!({"stringData": {"a": ""}}))),
            object(json!({"data": {"a": ""}}))
        );
        let wrong = object(json!({"stringData": {"a": 1}}));
        assert_eq!(settled(wrong.clone()), wrong);
        let other = json!({"apiVersion": "v1", "kind": "Thing", "stringData": {"a": "b"}});
        assert_eq!(settled(other.clone()), other);
    }

    #[test]
    fn a_config_map_is_not_masked() {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": "v"}});
        assert_eq!(masked(&object), object);
    }
}
