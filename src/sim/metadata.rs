//! What an API server writes into `metadata` by itself.

use serde_json::{Map, Value as Json};
use sha2::Digest as _;

use crate::base::clock::Timestamp;
use crate::base::ids::hex;

/// Fields of `metadata` that a client cannot set.
const SERVER_FIELDS: [&str; 6] = [
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "selfLink",
];
/// Letters of generated names: no vowels, so that no words come out.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
/// Letters of a generated name's end.
const GENERATED_LETTERS: usize = 5;
/// Longest name before the generated end, so that all of it is a label.
const GENERATED_BASE_MAX: usize = 58;

/// A time as Kubernetes writes it: whole seconds.
pub fn time(at: Timestamp) -> String {
    let whole = Timestamp::from_second(at.as_second()).unwrap_or(at);
    whole.to_string()
}

/// The uid of the `count`-th object of a cluster: the same in every run.
pub fn uid(cluster: &str, count: u64) -> String {
    let digest = digest(&[cluster, "uid", &count.to_string()]);
    let part = |from: usize, to: usize| digest.get(from..to).unwrap_or_default();
    format!("{}-{}-4{}-a{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
}

/// A name that begins with `base` and that no other object is likely to have.
pub fn generated_name(base: &str, uid: &str) -> String {
    let digest = sha2::Sha256::digest(uid.as_bytes());
    let end: String = digest
        .iter()
        .take(GENERATED_LETTERS)
        .map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]))
        .collect();
    let base: String = base.chars().take(GENERATED_BASE_MAX).collect();
    format!("{base}{end}")
}

fn digest(parts: &[&str]) -> String {
    hex(&sha2::Sha256::digest(parts.join("\0").as_bytes()))
}

/// `metadata`, made if it is not there.
pub fn of(object: &mut Json) -> &mut Map<String, Json> {
    if !object.is_object() {
        *object = Json::Object(Map::new());
    }
    let fields = object.as_object_mut().expect("it was just made an object");
    let metadata = fields.entry("metadata").or_insert_with(|| Json::Object(Map::new()));
    if !metadata.is_object() {
        *metadata = Json::Object(Map::new());
    }
    metadata.as_object_mut().expect("it was just made an object")
}

/// Gives `object` the fields that only the server writes: those of `before`, or none.
pub fn restore(object: &mut Json, before: Option<&Json>) {
    let metadata = of(object);
    metadata.remove("managedFields");
    for field in SERVER_FIELDS {
        match before.and_then(|before| before.get("metadata")?.get(field)) {
            Some(value) => metadata.insert(field.to_owned(), value.clone()),
            None => metadata.remove(field),
        };
    }
}

/// Whether anything but `metadata` and `status` differs.
pub fn is_other_content(before: &Json, after: &Json) -> bool {
    let content = |object: &Json| {
        let mut fields = object.as_object().cloned().unwrap_or_default();
        for field in ["metadata", "status", "apiVersion", "kind"] {
            fields.remove(field);
        }
        fields
    };
    content(before) != content(after)
}

/// Whether somebody asked for the object's end.
pub fn is_ending(object: &Json) -> bool {
    object
        .get("metadata")
        .and_then(|metadata| metadata.get("deletionTimestamp"))
        .is_some_and(|at| !at.is_null())
}

/// The object's finalizers.
pub fn finalizers(object: &Json) -> Vec<&str> {
    crate::object::access::list(object, &["metadata", "finalizers"])
        .iter()
        .filter_map(Json::as_str)
        .collect()
}

/// Sets or, when there are none, removes the finalizers.
pub fn set_finalizers(object: &mut Json, finalizers: &[String]) {
    let metadata = of(object);
    if finalizers.is_empty() {
        metadata.remove("finalizers");
    } else {
        metadata.insert("finalizers".to_owned(), finalizers.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_is_always_the_same_and_looks_like_one() {
        let first = uid("stg-01", 1);
        assert_eq!(first, uid("stg-01", 1));
        assert_ne!(first, uid("stg-02", 1));
        let lengths: Vec<_> = first.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
    }

    #[test]
    fn a_generated_name_begins_with_its_base() {
        let name = generated_name("web-", "u");
        assert!(name.starts_with("web-") && name.len() == 9, "{name}");
        assert_eq!(generated_name(&"a".repeat(90), "u").len(), 63);
    }

    #[test]
    fn times_are_whole_seconds() {
        let at: Timestamp = "2026-01-05T10:00:00.75Z".parse().unwrap();
        assert_eq!(time(at), "2026-01-05T10:00:00Z");
    }
}
