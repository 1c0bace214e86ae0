//! The types of fields as far as merging depends on them: which maps have free keys, which lists
//! are merged item by item and by which keys.
//!
//! Built-in kinds are known by a small table of field names; custom resources by their CRD.

use serde_json::{Map, Value as Json};

/// The type of a value, seen from where it stands.
#[derive(Clone, Copy, Debug)]
pub enum Shape<'a> {
    /// A value of a built-in kind.
    BuiltIn {
        /// The kind of the whole object.
        kind: &'a str,
        /// The field around `field`.
        under: &'a str,
        /// The field that the value is of; an item of a list is of the list's field.
        field: &'a str,
    },
    /// A whole custom resource, by the OpenAPI schema of its version.
    CustomRoot(&'a Json),
    /// A value of a custom resource, by its part of the OpenAPI schema.
    Custom(&'a Json),
    /// Nothing is known.
    Free,
}

/// How the items of a list are told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListKind<'a> {
    /// Not at all: the list is one value.
    Atomic,
    /// By their values.
    Set,
    /// By some of their fields.
    Map(Vec<&'a str>),
}

/// Lists that are merged by keys: the field, the field around it (`*`: any), the keys.
const LIST_KEYS: &[(&str, &str, &[&str])] = &[
    ("containers", "spec", &["name"]),
    ("initContainers", "spec", &["name"]),
    ("ephemeralContainers", "spec", &["name"]),
    ("volumes", "spec", &["name"]),
    ("imagePullSecrets", "spec", &["name"]),
    ("hostAliases", "spec", &["ip"]),
    ("resourceClaims", "spec", &["name"]),
    ("schedulingGates", "spec", &["name"]),
    ("topologySpreadConstraints", "spec", &["topologyKey", "whenUnsatisfiable"]),
    ("ports", "spec", &["port", "protocol"]),
    ("ports", "*", &["containerPort", "protocol"]),
    ("env", "*", &["name"]),
    ("volumeMounts", "*", &["mountPath"]),
    ("volumeDevices", "*", &["devicePath"]),
    ("claims", "resources", &["name"]),
    ("ownerReferences", "metadata", &["uid"]),
    ("conditions", "status", &["type"]),
    ("podIPs", "status", &["ip"]),
    ("webhooks", "", &["name"]),
    ("matchConditions", "*", &["name"]),
];

/// Lists that are merged by keys only in one kind.
const LIST_KEYS_OF_KIND: &[(&str, &str, &[&str])] = &[
    ("ServiceAccount", "secrets", &["name"]),
    ("Node", "addresses", &["type"]),
    ("CSINode", "drivers", &["name"]),
    ("ValidatingAdmissionPolicy", "variables", &["name"]),
];

/// Lists whose items are told apart by value.
const SETS: &[(&str, &str)] = &[
    ("finalizers", "metadata"),
    ("podCIDRs", "spec"),
    ("validationActions", "spec"),
    ("volumeLifecycleModes", "spec"),
];

/// Lists that are one value although their name says otherwise.
const ATOMIC_OF_KIND: &[(&str, &str)] = &[
    ("Job", "conditions"),
    ("ServiceAccount", "imagePullSecrets"),
    ("EndpointSlice", "ports"),
    ("Endpoints", "ports"),
    ("NetworkPolicy", "ports"),
];

/// Maps with free keys.
const MAPS: &[&str] = &[
    "allocatable",
    "allocatedResources",
    "annotations",
    "attachmentMetadata",
    "binaryData",
    "capacity",
    "data",
    "default",
    "defaultRequest",
    "disruptedPods",
    "extra",
    "hard",
    "labels",
    "limits",
    "matchLabels",
    "max",
    "maxLimitRequestRatio",
    "min",
    "nodeSelector",
    "options",
    "overhead",
    "podFixed",
    "requests",
    "stringData",
    "used",
    "volumeAttributes",
];

/// Objects that are one value.
const ATOMIC_MAPS: &[&str] = &[
    "claimRef",
    "configMapKeyRef",
    "controllerExpandSecretRef",
    "controllerPublishSecretRef",
    "dataSource",
    "fieldRef",
    "fileKeyRef",
    "involvedObject",
    "labelSelector",
    "matchConstraints",
    "matchResources",
    "namespaceSelector",
    "nodeExpandSecretRef",
    "nodePublishSecretRef",
    "nodeSelector",
    "nodeStageSecretRef",
    "nodeTopology",
    "objectSelector",
    "ownerReferences",
    "paramKind",
    "paramRef",
    "podSelector",
    "preference",
    "regarding",
    "related",
    "required",
    "requiredDuringSchedulingIgnoredDuringExecution",
    "resourceFieldRef",
    "roleRef",
    "scopeSelector",
    "secretKeyRef",
    "selector",
    "targetRef",
];

/// Structs that are always there, however little of an object is given.
const ALWAYS_THERE: &[&str] = &[
    "acceptedNames",
    "daemonEndpoints",
    "jobTemplate",
    "kubeletEndpoint",
    "loadBalancer",
    "metadata",
    "names",
    "nodeInfo",
    "podSelector",
    "resources",
    "scaleTargetRef",
    "spec",
    "status",
    "strategy",
    "template",
    "updateStrategy",
];

impl<'a> Shape<'a> {
    /// The shape of a whole object of a built-in kind.
    pub fn built_in(kind: &'a str) -> Self {
        Self::BuiltIn { kind, under: "", field: "" }
    }

    /// The shape of a field, and whether the type names the field (rather than having free keys).
    pub fn field(self, name: &'a str) -> (Self, bool) {
        match self {
            Self::BuiltIn { field, kind, .. } => {
                if is_map(kind, field) {
                    return (Self::Free, false);
                }
                (Self::BuiltIn { kind, under: field, field: name }, true)
            }
            Self::CustomRoot(_) if name == "metadata" => {
                (Self::BuiltIn { kind: "", under: "", field: name }, true)
            }
            Self::CustomRoot(_) if matches!(name, "apiVersion" | "kind") => (Self::Free, true),
            Self::CustomRoot(schema) | Self::Custom(schema) => custom_field(schema, name),
            Self::Free => (Self::Free, false),
        }
    }

    /// The shape of the items of a list.
    pub fn item(self) -> Self {
        match self {
            Self::Custom(schema) => schema.get("items").map_or(Self::Free, Self::Custom),
            other => other,
        }
    }

    /// How the items of a list are told apart.
    pub fn list(self) -> ListKind<'a> {
        match self {
            Self::BuiltIn { kind, under, field } => built_in_list(kind, under, field),
            Self::Custom(schema) => custom_list(schema),
            Self::CustomRoot(_) | Self::Free => ListKind::Atomic,
        }
    }

    /// Whether an object is one value.
    pub fn is_atomic_map(self) -> bool {
        match self {
            Self::BuiltIn { kind, under, field } => {
                ATOMIC_MAPS.contains(&field)
                    || field == "secretRef" && under != "envFrom"
                    || field == "data" && kind == "ControllerRevision"
                    || kind == "Ingress" && matches!(field, "port" | "resource")
            }
            Self::Custom(schema) => {
                schema.get("x-kubernetes-map-type").and_then(Json::as_str) == Some("atomic")
            }
            Self::CustomRoot(_) | Self::Free => false,
        }
    }

    /// What a list key of an item is when the item does not say.
    pub fn key_default(self, key: &str) -> Option<&'a Json> {
        match self {
            Self::Custom(schema) => schema.get("properties")?.get(key)?.get("default"),
            Self::BuiltIn { .. } | Self::CustomRoot(_) | Self::Free => None,
        }
    }

    /// Whether a field is a struct that is there even in an empty object.
    pub fn is_always_there(self) -> bool {
        matches!(self, Self::BuiltIn { field, .. } if ALWAYS_THERE.contains(&field))
    }

    /// Whether the API server leaves an empty value of this field out.
    pub fn omits_empty(self, value: &Json) -> bool {
        let Self::BuiltIn { kind, field, .. } = self else { return false };
        match value {
            Json::Array(items) => {
                items.is_empty() && !matches!(field, "rules" | "containers" | "subjects")
            }
            Json::Object(fields) => fields.is_empty() && is_map(kind, field),
            _ => false,
        }
    }
}

fn is_map(kind: &str, field: &str) -> bool {
    MAPS.contains(&field)
        || field == "parameters" && kind != "IngressClass"
        || field == "selector" && matches!(kind, "Service" | "ReplicationController")
}

fn built_in_list<'a>(kind: &str, under: &str, field: &str) -> ListKind<'a> {
    if ATOMIC_OF_KIND.contains(&(kind, field)) {
        return ListKind::Atomic;
    }
    if let Some((_, _, keys)) =
        LIST_KEYS_OF_KIND.iter().find(|(of, name, _)| (*of, *name) == (kind, field))
    {
        return ListKind::Map(keys.to_vec());
    }
    if SETS.contains(&(field, under)) {
        return ListKind::Set;
    }
    let by_keys = LIST_KEYS
        .iter()
        .find(|(name, around, _)| *name == field && (*around == "*" || *around == under));
    by_keys.map_or(ListKind::Atomic, |(_, _, keys)| ListKind::Map(keys.to_vec()))
}

fn custom_field<'a>(schema: &'a Json, name: &'a str) -> (Shape<'a>, bool) {
    if let Some(field) = schema.get("properties").and_then(|fields| fields.get(name)) {
        return (Shape::Custom(field), true);
    }
    match schema.get("additionalProperties") {
        Some(values @ Json::Object(_)) => (Shape::Custom(values), false),
        _ => (Shape::Free, false),
    }
}

fn custom_list(schema: &Json) -> ListKind<'_> {
    match schema.get("x-kubernetes-list-type").and_then(Json::as_str) {
        Some("set") => ListKind::Set,
        Some("map") => {
            let keys = schema.get("x-kubernetes-list-map-keys").and_then(Json::as_array);
            ListKind::Map(keys.into_iter().flatten().filter_map(Json::as_str).collect())
        }
        _ => ListKind::Atomic,
    }
}

/// The keys of a list's item as JSON with sorted names; `None` when it has none of them.
pub fn item_keys(item: &Json, keys: &[&str], shape: Shape<'_>) -> Option<String> {
    let mut found = Map::new();
    for key in keys {
        let value = match item.get(*key) {
            Some(value) if !value.is_null() => Some(value.clone()),
            _ => shape.key_default(key).cloned().or_else(|| {
                let is_protocol = *key == "protocol" && matches!(shape, Shape::BuiltIn { .. });
                is_protocol.then(|| Json::from("TCP"))
            }),
        };
        if let Some(value) = value {
            found.insert((*key).to_owned(), value);
        }
    }
    (!found.is_empty()).then(|| Json::Object(found).to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at<'a>(kind: &'a str, path: &[&'a str]) -> Shape<'a> {
        path.iter().fold(Shape::built_in(kind), |shape, step| match *step {
            "[]" => shape.item(),
            name => shape.field(name).0,
        })
    }

    #[test]
    fn ports_have_the_keys_of_where_they_stand() {
        let container = ["spec", "template", "spec", "containers", "[]", "ports"];
        assert_eq!(
            at("Deployment", &container).list(),
            ListKind::Map(vec!["containerPort", "protocol"])
        );
        assert_eq!(
            at("Service", &["spec", "ports"]).list(),
            ListKind::Map(vec!["port", "protocol"])
        );
        assert_eq!(at("EndpointSlice", &["ports"]).list(), ListKind::Atomic);
    }

    #[test]
    fn labels_are_free_and_a_selector_is_one_value() {
        let (_, is_declared) = at("Pod", &["metadata", "labels"]).field("app");
        assert!(!is_declared);
        assert!(at("Deployment", &["spec", "selector"]).is_atomic_map());
        assert!(!at("Deployment", &["spec", "strategy"]).is_atomic_map());
    }

    #[test]
    fn a_crd_says_how_its_lists_are_merged() {
        let schema = json!({"properties": {"spec": {"properties": {"routes": {
            "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["host"],
            "items": {"properties": {"host": {"default": "any"}}},
        }}}}});
        let routes = Shape::Custom(&schema).field("spec").0.field("routes").0;
        assert_eq!(routes.list(), ListKind::Map(vec!["host"]));
        let keys = item_keys(&json!({"path": "/"}), &["host"], routes.item());
        assert_eq!(keys.as_deref(), Some("{\"host\":\"any\"}"));
    }

    #[test]
    fn a_port_without_a_protocol_is_tcp() {
        let ports = at("Service", &["spec", "ports"]);
        let keys = item_keys(&json!({"port": 80}), &["port", "protocol"], ports.item());
        assert_eq!(keys.as_deref(), Some("{\"port\":80,\"protocol\":\"TCP\"}"));
    }
}
