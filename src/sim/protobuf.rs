//! Bodies as Protocol Buffers, of the few kinds that kubectl and Helm write in no other way: Helm's
//! release records above all. Each message is described by a table of its fields.

use base64::Engine as _;
use serde_json::{Map, Value as Json, json};

use crate::base::clock::Timestamp;

/// What every body begins with.
const MAGIC: &[u8] = b"k8s\0";
/// Messages within messages: the kinds below need four.
const DEPTH_MAX: usize = 16;

/// What a field holds.
#[derive(Clone, Copy)]
enum Type {
    Text,
    Bytes,
    Number,
    /// A number that is left out when it is 0.
    Count,
    Bool,
    Time,
    /// JSON as bytes, wrapped in a message.
    Raw,
    Texts,
    TextMap,
    BytesMap,
    One(Message),
    Many(Message),
}

type Message = &'static [(u64, &'static str, Type)];

use Type::{Bool, Bytes, BytesMap, Count, Many, Number, One, Raw, Text, TextMap, Texts, Time};

const OWNER: Message = &[
    (1, "kind", Text),
    (3, "name", Text),
    (4, "uid", Text),
    (5, "apiVersion", Text),
    (6, "controller", Bool),
    (7, "blockOwnerDeletion", Bool),
];
const MANAGED_FIELDS: Message = &[
    (1, "manager", Text),
    (2, "operation", Text),
    (3, "apiVersion", Text),
    (4, "time", Time),
    (6, "fieldsType", Text),
    (7, "fieldsV1", Raw),
    (8, "subresource", Text),
];
const METADATA: Message = &[
    (1, "name", Text),
    (2, "generateName", Text),
    (3, "namespace", Text),
    (5, "uid", Text),
    (6, "resourceVersion", Text),
    (7, "generation", Count),
    (8, "creationTimestamp", Time),
    (9, "deletionTimestamp", Time),
    (10, "deletionGracePeriodSeconds", Number),
    (11, "labels", TextMap),
    (12, "annotations", TextMap),
    (13, "ownerReferences", Many(OWNER)),
    (14, "finalizers", Texts),
    (17, "managedFields", Many(MANAGED_FIELDS)),
];
const SECRET: Message = &[
    (1, "metadata", One(METADATA)),
    (2, "data", BytesMap),
    (3, "type", Text),
    (4, "stringData", TextMap),
    (5, "immutable", Bool),
];
const CONFIG_MAP: Message = &[
    (1, "metadata", One(METADATA)),
    (2, "data", TextMap),
    (3, "binaryData", BytesMap),
    (4, "immutable", Bool),
];
const NAMESPACE: Message = &[
    (1, "metadata", One(METADATA)),
    (2, "spec", One(&[(1, "finalizers", Texts)])),
    (3, "status", One(&[(1, "phase", Text)])),
];
const REFERENCE: Message = &[
    (1, "kind", Text),
    (2, "namespace", Text),
    (3, "name", Text),
    (4, "uid", Text),
    (5, "apiVersion", Text),
];
const SERVICE_ACCOUNT: Message = &[
    (1, "metadata", One(METADATA)),
    (2, "secrets", Many(REFERENCE)),
    (3, "imagePullSecrets", Many(&[(1, "name", Text)])),
    (4, "automountServiceAccountToken", Bool),
];
const RULE: Message = &[
    (1, "verbs", Texts),
    (2, "apiGroups", Texts),
    (3, "resources", Texts),
    (4, "resourceNames", Texts),
    (5, "nonResourceURLs", Texts),
];
const ROLE: Message = &[(1, "metadata", One(METADATA)), (2, "rules", Many(RULE))];
const SUBJECT: Message =
    &[(1, "kind", Text), (2, "apiGroup", Text), (3, "name", Text), (4, "namespace", Text)];
const BINDING: Message = &[
    (1, "metadata", One(METADATA)),
    (2, "subjects", Many(SUBJECT)),
    (3, "roleRef", One(&[(1, "apiGroup", Text), (2, "kind", Text), (3, "name", Text)])),
];
const DELETE_OPTIONS: Message = &[
    (1, "gracePeriodSeconds", Number),
    (2, "preconditions", One(&[(1, "uid", Text), (2, "resourceVersion", Text)])),
    (3, "orphanDependents", Bool),
    (4, "propagationPolicy", Text),
    (5, "dryRun", Texts),
];
const EVICTION: Message =
    &[(1, "metadata", One(METADATA)), (2, "deleteOptions", One(DELETE_OPTIONS))];
const ACCESS: Message = &[
    (1, "namespace", Text),
    (2, "verb", Text),
    (3, "group", Text),
    (4, "version", Text),
    (5, "resource", Text),
    (6, "subresource", Text),
    (7, "name", Text),
];
const ACCESS_REVIEW: Message = &[
    (1, "metadata", One(METADATA)),
    (
        2,
        "spec",
        One(&[
            (1, "resourceAttributes", One(ACCESS)),
            (2, "nonResourceAttributes", One(&[(1, "path", Text), (2, "verb", Text)])),
        ]),
    ),
];

fn message_of(kind: &str) -> Option<Message> {
    Some(match kind {
        "Secret" => SECRET,
        "ConfigMap" => CONFIG_MAP,
        "Namespace" => NAMESPACE,
        "ServiceAccount" => SERVICE_ACCOUNT,
        "Role" | "ClusterRole" => ROLE,
        "RoleBinding" | "ClusterRoleBinding" => BINDING,
        "DeleteOptions" => DELETE_OPTIONS,
        "Eviction" => EVICTION,
        "SelfSubjectAccessReview" => ACCESS_REVIEW,
        _ => return None,
    })
}

/// Reads a body; `None` for other kinds, and for what is no such body.
pub fn decode(body: &[u8]) -> Option<Json> {
    let envelope = fields(body.strip_prefix(MAGIC)?)?;
    let part = |number: u64| envelope.iter().find(|(other, _)| *other == number).map(|(_, v)| v);
    let type_meta = message(&[(1, "apiVersion", Text), (2, "kind", Text)], part(1)?.bytes()?, 0)?;
    let kind = type_meta["kind"].as_str()?.to_owned();
    let raw = part(2).map_or(Some(&[][..]), Value::bytes)?;
    let mut object = message(message_of(&kind)?, raw, 0)?;
    object["apiVersion"] = type_meta["apiVersion"].clone();
    object["kind"] = Json::from(kind);
    Some(object)
}

/// A field as it is on the wire.
#[derive(Clone, Copy)]
enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    fn bytes(&self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Varint(_) => None,
        }
    }

    fn text(&self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    fn number(&self) -> Option<u64> {
        match self {
            Self::Varint(number) => Some(*number),
            Self::Bytes(_) => None,
        }
    }
}

fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, Value<'_>)>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let value = match tag & 7 {
            0 => Value::Varint(varint(&mut bytes)?),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let (value, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                Value::Bytes(value)
            }
            // Kubernetes has no other types.
            _ => return None,
        };
        found.push((tag >> 3, value));
    }
    Some(found)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn message(described: Message, bytes: &[u8], depth: usize) -> Option<Json> {
    if depth > DEPTH_MAX {
        return None;
    }
    let mut object = Map::new();
    for (number, value) in fields(bytes)? {
        let Some((_, name, kind)) = described.iter().find(|(other, ..)| *other == number) else {
            continue;
        };
        let list = json!([]);
        match kind {
            Texts | Many(_) => {
                let item = match kind {
                    Many(described) => message(described, value.bytes()?, depth + 1)?,
                    _ => Json::from(value.text()?),
                };
                let items = object.entry(*name).or_insert(list);
                items.as_array_mut()?.push(item);
            }
            TextMap | BytesMap => {
                let of = if matches!(kind, TextMap) { Text } else { Bytes };
                let (key, value) = entry(value.bytes()?, of)?;
                let map = object.entry(*name).or_insert(json!({}));
                map.as_object_mut()?.insert(key, value);
            }
            _ => {
                let value = single(*kind, value, depth)?;
                if !value.is_null() {
                    object.insert((*name).to_owned(), value);
                }
            }
        }
    }
    Some(Json::Object(object))
}

/// A field that is there once; `null` for one that is as good as left out.
fn single(kind: Type, value: Value<'_>, depth: usize) -> Option<Json> {
    Some(match kind {
        Text => match value.text()? {
            "" => Json::Null,
            text => Json::from(text),
        },
        Bytes => Json::from(base64::engine::general_purpose::STANDARD.encode(value.bytes()?)),
        Count if value.number()? == 0 => Json::Null,
        Number | Count => Json::from(value.number()? as i64),
        Bool => Json::from(value.number()? != 0),
        Time => {
            let parts = fields(value.bytes()?)?;
            let seconds = parts.iter().find(|(number, _)| *number == 1);
            match seconds.and_then(|(_, value)| value.number()).unwrap_or_default() as i64 {
                0 => Json::Null,
                seconds => Json::from(super::metadata::time(Timestamp::from_second(seconds).ok()?)),
            }
        }
        Raw => {
            let parts = fields(value.bytes()?)?;
            let raw = parts.iter().find(|(number, _)| *number == 1)?.1.bytes()?;
            serde_json::from_slice(raw).ok()?
        }
        One(described) => message(described, value.bytes()?, depth + 1)?,
        Texts | TextMap | BytesMap | Many(_) => return None,
    })
}

/// A key with its value, which is empty when it is left out.
fn entry(bytes: &[u8], of: Type) -> Option<(String, Json)> {
    let parts = fields(bytes)?;
    let part = |number: u64| {
        parts.iter().find(|(other, _)| *other == number).map_or(Value::Bytes(&[]), |(_, v)| *v)
    };
    let value = match single(of, part(2), 0)? {
        Json::Null => Json::from(""),
        value => value,
    };
    Some((part(1).text()?.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let length = u8::try_from(bytes.len()).expect("short fields only");
        [&[number << 3 | 2, length], bytes].concat()
    }

    fn secret() -> Vec<u8> {
        let label = field(11, &[field(1, b"owner"), field(2, b"helm")].concat());
        let empty_time = field(8, b"");
        let metadata = [field(1, b"a"), field(2, b""), empty_time, label].concat();
        let data = field(2, &[field(1, b"release"), field(2, b"\x00\xff")].concat());
        let raw = [field(1, &metadata), data, field(3, b"helm.sh/release.v1")].concat();
        let type_meta = [field(1, b"v1"), field(2, b"Secret")].concat();
        [MAGIC, &field(1, &type_meta), &field(2, &raw), &field(3, b""), &field(4, b"")].concat()
    }

    #[test]
    fn a_secret_is_read() {
        let expected = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "a", "labels": {"owner": "helm"}},
            "data": {"release": "AP8="}, "type": "helm.sh/release.v1",
        });
        assert_eq!(decode(&secret()), Some(expected));
    }

    #[test]
    fn a_body_that_ends_early_or_is_something_else_is_none() {
        let whole = secret();
        for length in 0..whole.len() - 4 {
            // It must end, and not with the whole object.
            assert_ne!(decode(&whole[..length]), decode(&whole), "{length}");
        }
        assert_eq!(decode(b"{}"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..64)) {
            let type_meta = [field(1, b"v1"), field(2, b"Secret")].concat();
            let _ = decode(&[MAGIC, &field(1, &type_meta), &field(2, &bytes)].concat());
            let _ = decode(&[MAGIC, &bytes].concat());
        }
    }
}
