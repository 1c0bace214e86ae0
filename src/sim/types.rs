//! Objects against the types of built-in kinds: fields that a type does not have, and values of
//! another type.
//!
//! The types are those of `k8s_openapi`. They are walked through their `Deserialize`, which names
//! every struct with its fields; what is read is thrown away.

use std::cell::RefCell;
use std::fmt;

use k8s_openapi::api;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration;
use serde::Deserialize;
use serde::de::Visitor;
use serde::de::value::{StrDeserializer, StringDeserializer};
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer as _, MapAccess, SeqAccess};
use serde_json::{Map, Value as Json};

use super::defaults;
use super::kinds::Kind;
use crate::object::access;
use crate::object::pointer::{escaped, unescaped};

/// What a walk came upon.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Fields that their type does not have, in the order of the object.
    pub(super) unknown: Vec<Unknown>,
    /// The first value of another type than that of its field.
    pub(super) wrong: Option<Wrong>,
}

/// A field that its type does not have.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unknown {
    /// `spec.containers[0].imag`
    pub(super) path: String,
    /// The same, as a JSON pointer.
    pub(super) pointer: String,
}

/// A value of another type than that of its field.
#[derive(Debug)]
pub(super) struct Wrong {
    /// In the words of Go's JSON library.
    pub(super) told: String,
    /// Where it is, as a JSON pointer.
    pub(super) pointer: String,
    /// In the words of server-side apply, behind the path.
    pub(super) applied: String,
}

impl Found {
    /// Takes the unknown fields out of an object.
    pub(super) fn remove_unknown(&self, object: &mut Json) {
        for Unknown { pointer, .. } in &self.unknown {
            let Some((parent, name)) = pointer.rsplit_once('/') else { continue };
            let fields = object.pointer_mut(parent).and_then(Json::as_object_mut);
            if let Some(fields) = fields {
                fields.remove(&unescaped(name));
            }
        }
    }
}

/// Walks a type along an object.
type WalkType = fn(Walk<'_>);

fn walk<'de, T: Deserialize<'de>>(from: Walk<'_>) {
    // What does not fit is found, and told by that.
    let _ = T::deserialize(from);
}

macro_rules! types {
    ($($group:ident :: $version:ident { $($kind:ident),* $(,)? })*) => {
        &[$($((
            <api::$group::$version::$kind as k8s_openapi::Resource>::API_VERSION,
            stringify!($kind),
            walk::<api::$group::$version::$kind> as WalkType,
        ),)*)*]
    };
}

/// `apiVersion`, kind, type.
const TYPES: &[(&str, &str, WalkType)] = types! {
    core::v1 {
        ConfigMap, Endpoints, Event, LimitRange, Namespace, Node, PersistentVolume,
        PersistentVolumeClaim, Pod, PodTemplate, ReplicationController, ResourceQuota, Secret,
        Service, ServiceAccount,
    }
    admissionregistration::v1 {
        MutatingWebhookConfiguration, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
        ValidatingWebhookConfiguration,
    }
    apps::v1 { ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet }
    autoscaling::v1 { HorizontalPodAutoscaler }
    autoscaling::v2 { HorizontalPodAutoscaler }
    batch::v1 { CronJob, Job }
    certificates::v1 { CertificateSigningRequest }
    coordination::v1 { Lease }
    discovery::v1 { EndpointSlice }
    events::v1 { Event }
    flowcontrol::v1 { FlowSchema, PriorityLevelConfiguration }
    networking::v1 { Ingress, IngressClass, NetworkPolicy }
    node::v1 { RuntimeClass }
    policy::v1 { PodDisruptionBudget }
    rbac::v1 { ClusterRole, ClusterRoleBinding, Role, RoleBinding }
    scheduling::v1 { PriorityClass }
    storage::v1 {
        CSIDriver, CSINode, CSIStorageCapacity, StorageClass, VolumeAttachment,
        VolumeAttributesClass,
    }
};

/// Types of other crates' modules.
const MORE: &[(&str, &str, WalkType)] = &[
    (
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        walk::<apiextensions::v1::CustomResourceDefinition>,
    ),
    ("apiregistration.k8s.io/v1", "APIService", walk::<apiregistration::v1::APIService>),
];

/// Walks an object along its type: of a custom kind only the metadata, and nothing where the type
/// is not known.
pub(super) fn check(kind: &Kind, object: &Json) -> Found {
    let found = RefCell::default();
    let at = At::default();
    if kind.custom.is_some() {
        if let Some(metadata) = object.get("metadata") {
            let at = at.field(&kind.kind, "metadata");
            walk::<ObjectMeta>(Walk { value: metadata, at, found: &found });
        }
        return found.into_inner();
    }
    let version = kind.api_version();
    let known = TYPES.iter().chain(MORE).find(|(v, k, _)| *v == version && *k == kind.kind);
    if let Some((_, _, walk)) = known {
        walk(Walk { value: object, at, found: &found });
    }
    found.into_inner()
}

/// Where a walk is.
#[derive(Clone, Debug, Default)]
struct At {
    path: String,
    pointer: String,
    /// The path without items and free keys.
    declared: String,
    /// The struct that has the field.
    of: String,
}

impl At {
    fn field(&self, of: &str, name: &str) -> Self {
        let dot = |path: &str| if path.is_empty() { "" } else { "." };
        Self {
            path: format!("{}{}{name}", self.path, dot(&self.path)),
            pointer: format!("{}/{}", self.pointer, escaped(name)),
            declared: format!("{}{}{name}", self.declared, dot(&self.declared)),
            of: of.to_owned(),
        }
    }

    fn key(&self, name: &str) -> Self {
        Self {
            path: format!("{}.{name}", self.path),
            pointer: format!("{}/{}", self.pointer, escaped(name)),
            ..self.clone()
        }
    }

    fn item(&self, at: usize) -> Self {
        Self {
            path: format!("{}[{at}]", self.path),
            pointer: format!("{}/{at}", self.pointer),
            ..self.clone()
        }
    }
}

/// The end of a walk.
#[derive(Debug)]
struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value does not fit its type")
    }
}

impl std::error::Error for Stopped {}

impl de::Error for Stopped {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

/// A value, where it is, and what was found so far.
struct Walk<'a> {
    value: &'a Json,
    at: At,
    found: &'a RefCell<Found>,
}

impl<'a> Walk<'a> {
    fn below(&self, value: &'a Json, at: At) -> Self {
        Self { value, at, found: self.found }
    }

    /// Notes a value of another type.
    fn stop(&self, wanted: &str, applied: &str) -> Stopped {
        let At { declared, of, pointer, .. } = &self.at;
        let type_of = access::type_name(self.value);
        let told = if of.is_empty() {
            format!("json: cannot unmarshal {type_of} into Go value of type {wanted}")
        } else {
            format!(
                "json: cannot unmarshal {type_of} into Go struct field {of}.{declared} of type \
                 {wanted}"
            )
        };
        let applied =
            format!("expected {applied}, got &value.valueUnstructured{{Value:{}}}", self.value);
        let mut found = self.found.borrow_mut();
        found.wrong.get_or_insert(Wrong { told, pointer: pointer.clone(), applied });
        Stopped
    }

    fn text(&self) -> Result<&'a str, Stopped> {
        self.value.as_str().ok_or_else(|| self.stop("string", "string"))
    }

    fn integer(&self, wanted: &str) -> Result<i64, Stopped> {
        self.value.as_i64().ok_or_else(|| self.stop(wanted, "numeric (int or float)"))
    }
}

/// The fields of a struct, or the entries of a map.
struct Entries<'a> {
    walk: Walk<'a>,
    left: serde_json::map::Iter<'a>,
    next: Option<(&'a str, &'a Json)>,
    /// The struct and its fields; nothing for a map.
    of: Option<(&'static str, &'static [&'static str])>,
}

impl<'a> Entries<'a> {
    fn new(
        walk: Walk<'a>,
        fields: &'a Map<String, Json>,
        of: Option<(&'static str, &'static [&'static str])>,
    ) -> Self {
        Self { walk, left: fields.iter(), next: None, of }
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Stopped;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Stopped> {
        for (name, value) in self.left.by_ref() {
            let is_known = self.of.is_none_or(|(_, fields)| fields.contains(&name.as_str()));
            if !is_known {
                let At { path, pointer, .. } = self.walk.at.field("", name);
                self.walk.found.borrow_mut().unknown.push(Unknown { path, pointer });
                continue;
            }
            self.next = Some((name, value));
            let key: StrDeserializer<'_, Stopped> = name.as_str().into_deserializer();
            return seed.deserialize(key).map(Some);
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Stopped> {
        let (name, value) = self.next.take().ok_or(Stopped)?;
        let at = match self.of {
            Some((of, _)) => self.walk.at.field(of, name),
            None => self.walk.at.key(name),
        };
        seed.deserialize(self.walk.below(value, at))
    }
}

/// The items of a list.
struct Items<'a> {
    walk: Walk<'a>,
    left: std::iter::Enumerate<std::slice::Iter<'a, Json>>,
}

impl<'a> Items<'a> {
    fn new(walk: Walk<'a>, items: &'a [Json]) -> Self {
        Self { walk, left: items.iter().enumerate() }
    }
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Stopped;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Stopped> {
        let Some((at, value)) = self.left.next() else { return Ok(None) };
        seed.deserialize(self.walk.below(value, self.walk.at.item(at))).map(Some)
    }
}

/// Whether Kubernetes takes a text for a quantity.
fn is_quantity(text: &str) -> bool {
    let text = text.trim_start_matches(['+', '-']);
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    number.parse::<f64>().is_ok() && defaults::is_suffix(unit)
}

impl<'de> Deserializer<'de> for Walk<'_> {
    type Error = Stopped;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stopped> {
        match self.value {
            Json::Null => visitor.visit_unit(),
            Json::Bool(value) => visitor.visit_bool(*value),
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(value), _) => visitor.visit_i64(value),
                (None, Some(value)) => visitor.visit_f64(value),
                (None, None) => Err(Stopped),
            },
            Json::String(text) => visitor.visit_str(text),
            Json::Array(items) => visitor.visit_seq(Items::new(self, items)),
            Json::Object(fields) => visitor.visit_map(Entries::new(self, fields, None)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stopped> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stopped> {
        match self.value {
            Json::Object(entries) => {
                visitor.visit_map(Entries::new(self, entries, Some((name, fields))))
            }
            _ => Err(self.stop(&format!("v1.{name}"), "map")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stopped> {
        match self.value {
            Json::Object(entries) => visitor.visit_map(Entries::new(self, entries, None)),
            _ => Err(self.stop("map[string]string", "map")),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stopped> {
        match self.value {
            Json::Array(items) => visitor.visit_seq(Items::new(self, items)),
            _ => Err(self.stop("[]string", "list")),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stopped> {
        // Any time will do.
        const NOW: &str = "2026-01-05T10:00:00.000000Z";
        let text: StringDeserializer<Stopped> = match name {
            "Quantity" => match self.value {
                Json::Number(number) => number.to_string().into_deserializer(),
                Json::String(text) if is_quantity(text) => text.clone().into_deserializer(),
                _ => {
                    let told = "quantities must match the regular expression \
                                '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
                    let (told, applied) = (told.to_owned(), told.to_owned());
                    let pointer = self.at.pointer.clone();
                    let wrong = Wrong { told, pointer, applied };
                    self.found.borrow_mut().wrong.get_or_insert(wrong);
                    return Err(Stopped);
                }
            },
            "Time" | "MicroTime" => {
                self.text()?;
                NOW.to_owned().into_deserializer()
            }
            _ => return visitor.visit_newtype_struct(self),
        };
        visitor.visit_newtype_struct(text)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stopped> {
        let value = self.value.as_bool().ok_or_else(|| self.stop("bool", "boolean"))?;
        visitor.visit_bool(value)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stopped> {
        visitor.visit_i64(self.integer("int32")?)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stopped> {
        visitor.visit_i64(self.integer("int64")?)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stopped> {
        let wrong = || self.stop("float64", "numeric (int or float)");
        visitor.visit_f64(self.value.as_f64().ok_or_else(wrong)?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stopped> {
        visitor.visit_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stopped> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stopped> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i128 u8 u16 u32 u64 u128 f32 char bytes byte_buf unit unit_struct tuple tuple_struct
        enum identifier
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sim::kinds;

    #[test]
    fn every_kind_that_is_kept_has_a_type() {
        for kind in kinds::built_in().iter().filter(|kind| !kind.is_review) {
            let version = kind.api_version();
            let is_known =
                TYPES.iter().chain(MORE).any(|(v, k, _)| *v == version && *k == kind.kind);
            assert!(is_known, "{version} {}", kind.kind);
        }
    }

    #[test]
    fn unknown_fields_are_found_with_their_paths() {
        let kind = kinds::find("apps", "Deployment").unwrap();
        let mut object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "a", "labels": {"any": "thing"}, "label": {}},
            "spec": {"replica": 1, "template": {"spec": {
                "containers": [{"name": "a", "imag": "a:1", "resources": {"limits": {"cpu": 1}}}],
                "volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1Gi"}}],
            }}},
        });
        let found = check(kind, &object);
        let paths: Vec<&str> = found.unknown.iter().map(|one| one.path.as_str()).collect();
        assert_eq!(
            paths,
            ["metadata.label", "spec.replica", "spec.template.spec.containers[0].imag"]
        );
        assert!(found.wrong.is_none(), "{:?}", found.wrong);
        found.remove_unknown(&mut object);
        assert!(check(kind, &object).unknown.is_empty());
    }

    #[test]
    fn a_value_of_another_type_is_told_as_go_tells_it() {
        let cases = [
            (
                json!({"spec": {"replicas": "two"}}),
                "string into Go struct field DeploymentSpec.spec.replicas of type int32",
            ),
            (
                json!({"metadata": {"labels": {"a": 1}}}),
                "number into Go struct field ObjectMeta.metadata.labels of type string",
            ),
            (
                json!({"metadata": "a"}),
                "string into Go struct field Deployment.metadata of type v1.ObjectMeta",
            ),
        ];
        let kind = kinds::find("apps", "Deployment").unwrap();
        for (object, expected) in cases {
            let told = check(kind, &object).wrong.expect("something is wrong").told;
            assert_eq!(told, format!("json: cannot unmarshal {expected}"));
        }
    }
}
