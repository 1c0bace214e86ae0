//! What a server makes of an object before it checks and keeps it: defaults, fields that only it
//! writes, the part that a request may change.

use serde_json::{Map, Value as Json, json};

use base64::Engine as _;

use super::kinds::Kind;
use super::metadata;
use super::schema::Shape;
use super::ssa::Reach;
use super::store::Store;
use super::write::{Write, set_version};
use super::{admission, crd, defaults, kinds, typed, types};
use crate::object::access;

/// Reads an object as the server's types do: nulls and empty values that its types leave out go,
/// `stringData` becomes `data`, defaults come. Fields that a custom kind does not have go; gives
/// their paths.
///
/// # Errors
/// In words, for values that do not fit their type.
pub(super) fn decode(kind: &Kind, object: &mut Json) -> Result<Vec<String>, String> {
    set_version(object, kind);
    let found = types::check(kind, object);
    if let Some(wrong) = found.wrong {
        return Err(wrong.told);
    }
    check_base64(kind, object)?;
    found.remove_unknown(object);
    let mut unknown: Vec<String> = found.unknown.into_iter().map(|one| one.path).collect();
    if let Some(custom) = &kind.custom {
        unknown.extend(crd::prune(object, &custom.schema));
        crd::fill(object, &custom.schema);
        if let Some(metadata) = object.get_mut("metadata") {
            tidy(metadata, kind.shape().field("metadata").0);
        }
        return Ok(unknown);
    }
    fill(kind, object);
    Ok(unknown)
}

/// Whether the values that are bytes are base64.
fn check_base64(kind: &Kind, object: &Json) -> Result<(), String> {
    let field = match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Secret") => "data",
        ("", "ConfigMap") => "binaryData",
        _ => return Ok(()),
    };
    for (_, text) in access::string_map(object.get(field)) {
        let at = match base64::engine::general_purpose::STANDARD.decode(text) {
            Ok(_) => continue,
            Err(base64::DecodeError::InvalidByte(at, _)) => at,
            // A group of four that is not whole.
            Err(_) => text.len() / 4 * 4,
        };
        return Err(format!("illegal base64 data at input byte {at}"));
    }
    Ok(())
}

/// Of a built-in kind: out with what is empty, in with the defaults.
fn fill(kind: &Kind, object: &mut Json) {
    tidy(object, Shape::built_in(&kind.kind));
    if kind.is("", "Secret") {
        take_string_data(object);
    }
    defaults::apply(object);
}

/// An object as it comes back from a server: as it reads it, with its defaults. Of a custom kind,
/// without knowing its schema, only the metadata.
pub fn as_stored(object: &mut Json) {
    let group = access::group_of(access::api_version(object)).to_owned();
    let Some(kind) = kinds::find(&group, access::kind(object)) else {
        if let Some(metadata) = object.get_mut("metadata") {
            tidy(metadata, Shape::built_in("").field("metadata").0);
        }
        return;
    };
    fill(kind, object);
}

/// What is applied, as far as types matter for who owns it.
///
/// # Errors
/// As [`decode`].
pub(super) fn config(
    kind: &Kind,
    config: &Json,
    namespace: &str,
    name: &str,
) -> Result<Json, String> {
    let mut config = config.clone();
    let found = types::check(kind, &config);
    let path = |pointer: &str| typed::path_of(&config, pointer, kind.shape());
    if let Some(unknown) = found.unknown.first() {
        return Err(format!("{}: field not declared in schema", path(&unknown.pointer)));
    }
    if let Some(wrong) = found.wrong {
        return Err(format!("{}: {}", path(&wrong.pointer), wrong.applied));
    }
    if let Some(custom) = &kind.custom
        && let Some(unknown) = crd::prune(&mut config, &custom.schema).first()
    {
        return Err(format!(".{unknown}: field not declared in schema"));
    }
    if let Some(twice) = typed::duplicate(&config, kind.shape()) {
        return Err(twice);
    }
    let metadata = metadata::of(&mut config);
    metadata.insert("name".to_owned(), Json::from(name));
    metadata.remove("managedFields");
    if kind.is_namespaced {
        metadata.insert("namespace".to_owned(), Json::from(namespace));
    } else {
        metadata.remove("namespace");
    }
    Ok(config)
}

/// Takes out what the server's types leave out: nulls, and empty lists and maps.
fn tidy(value: &mut Json, shape: Shape<'_>) {
    match value {
        Json::Object(fields) => {
            let names: Vec<String> = fields.keys().cloned().collect();
            for name in names {
                let (below, _) = shape.field(&name);
                let is_gone = match fields.get_mut(&name) {
                    None | Some(Json::Null) => true,
                    Some(field) => {
                        tidy(field, below);
                        below.omits_empty(field)
                    }
                };
                if is_gone {
                    fields.remove(&name);
                }
            }
        }
        Json::Array(items) => items.iter_mut().for_each(|item| tidy(item, shape.item())),
        _ => {}
    }
}

fn take_string_data(object: &mut Json) {
    let Some(fields) = object.as_object_mut() else { return };
    let Some(Json::Object(texts)) = fields.remove("stringData") else { return };
    let data = fields.entry("data").or_insert_with(|| json!({}));
    if let Some(data) = data.as_object_mut() {
        for (name, text) in texts {
            let text = text.as_str().unwrap_or_default();
            let encoded = base64::engine::general_purpose::STANDARD.encode(text);
            data.insert(name, Json::from(encoded));
        }
    }
}

/// Takes back what a request may not change.
pub(super) fn limit_reach(old: &Json, new: &mut Json, reach: Reach) {
    let status = match reach {
        Reach::Whole | Reach::Scale => return,
        Reach::NotStatus => old.get("status").cloned(),
        Reach::Status => {
            let status = new.get("status").cloned();
            let mut metadata = metadata::of(new).clone();
            let is_custom =
                kinds::find(access::group_of(access::api_version(old)), access::kind(old))
                    .is_none();
            *new = old.clone();
            if is_custom {
                let version = metadata.remove("resourceVersion").unwrap_or(Json::Null);
                metadata::of(new).insert("resourceVersion".to_owned(), version);
            } else {
                if access::kind(old) == "Deployment" {
                    let labels = metadata::of(new).get("labels").cloned().unwrap_or(Json::Null);
                    metadata.insert("labels".to_owned(), labels);
                    metadata.retain(|_, value| !value.is_null());
                }
                *metadata::of(new) = metadata;
            }
            status
        }
    };
    set_status(new, status);
}

fn set_status(object: &mut Json, status: Option<Json>) {
    let Some(fields) = object.as_object_mut() else { return };
    match status {
        Some(status) => fields.insert("status".to_owned(), status),
        None => fields.remove("status"),
    };
}

/// The last touch before the checks.
pub(super) fn finish(
    store: &Store,
    kind: &Kind,
    old: Option<&Json>,
    new: &mut Json,
    write: &Write<'_>,
) {
    let generation = access::at(new, &["metadata", "generation"]).cloned();
    metadata::restore(new, old);
    let metadata = metadata::of(new);
    if let Some(generation) = generation.filter(|_| old.is_none() && !kind.has_generation) {
        // Nobody counts it, and nobody minds.
        metadata.insert("generation".to_owned(), generation);
    }
    if !write.name.is_empty() {
        metadata.insert("name".to_owned(), Json::from(write.name));
    }
    if kind.is_namespaced {
        metadata.insert("namespace".to_owned(), Json::from(write.namespace));
    } else {
        metadata.remove("namespace");
    }
    match old {
        Some(old) => {
            let version = access::resource_version(old);
            metadata.insert("resourceVersion".to_owned(), Json::from(version));
            limit_reach(old, new, write.reach);
        }
        None => {
            metadata.remove("resourceVersion");
            let now = metadata::time(store.now);
            metadata.insert("creationTimestamp".to_owned(), Json::from(now));
            metadata.insert("uid".to_owned(), Json::from(store.next_uid()));
            if kind.has_generation {
                metadata.insert("generation".to_owned(), Json::from(1));
            }
            if kind.has_status {
                set_status(new, first_status(kind, new));
            }
            admission::admit(kind, new);
        }
    }
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Namespace") => name_label(new, old.is_none()),
        // Its selector has its uid in it.
        ("batch", "Job") => {
            defaults::apply(new);
            let template = access::at(new, &["spec", "template", "metadata", "labels"]).cloned();
            if old.is_none()
                && let Some(labels) = template
            {
                metadata::of(new).entry("labels").or_insert(labels);
            }
        }
        _ => {}
    }
}

/// What `status` says before any controller has looked.
fn first_status(kind: &Kind, object: &Json) -> Option<Json> {
    let status = match (kind.group.as_str(), kind.kind.as_str()) {
        _ if kind.custom.is_some() => return None,
        ("", "Namespace") => json!({"phase": "Active"}),
        ("", "Pod") => json!({"phase": "Pending", "qosClass": qos_class(object)}),
        ("", "PersistentVolume" | "PersistentVolumeClaim") => json!({"phase": "Pending"}),
        ("", "Service") | ("networking.k8s.io", "Ingress") => json!({"loadBalancer": {}}),
        ("", "ReplicationController") | ("apps", "ReplicaSet") => json!({"replicas": 0}),
        ("apps", "StatefulSet") => json!({"availableReplicas": 0, "replicas": 0}),
        ("apps", "DaemonSet") => json!({
            "currentNumberScheduled": 0, "desiredNumberScheduled": 0, "numberMisscheduled": 0,
            "numberReady": 0,
        }),
        ("policy", "PodDisruptionBudget") => json!({
            "currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0,
        }),
        ("autoscaling", "HorizontalPodAutoscaler") => {
            json!({"currentMetrics": null, "desiredReplicas": 0})
        }
        ("storage.k8s.io", "VolumeAttachment") => json!({"attached": false}),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => crd::first_status(object),
        _ => json!({}),
    };
    Some(status)
}

/// How well a pod's containers say what they need.
fn qos_class(pod: &Json) -> &'static str {
    let containers = access::list(pod, &["spec", "containers"]);
    let all = || containers.iter().chain(access::list(pod, &["spec", "initContainers"]));
    let part = |container: &Json, part: &str| -> Map<String, Json> {
        let found = access::at(container, &["resources", part]).and_then(Json::as_object);
        found.cloned().unwrap_or_default()
    };
    if all().all(|one| part(one, "limits").is_empty() && part(one, "requests").is_empty()) {
        return "BestEffort";
    }
    let is_guaranteed = all().all(|one| {
        let (limits, requests) = (part(one, "limits"), part(one, "requests"));
        ["cpu", "memory"].iter().all(|what| {
            limits.get(*what).is_some_and(|limit| requests.get(*what).is_none_or(|r| r == limit))
        })
    });
    if is_guaranteed { "Guaranteed" } else { "Burstable" }
}

fn name_label(namespace: &mut Json, is_new: bool) {
    let name = access::name(namespace).to_owned();
    access::set_metadata(namespace, "labels", "kubernetes.io/metadata.name", &name);
    if is_new {
        namespace["spec"] = json!({"finalizers": ["kubernetes"]});
    }
}

/// Whether an object that is to go has nothing left to wait for.
pub(super) fn is_over(object: &Json) -> bool {
    let grace = access::number(object, &["metadata", "deletionGracePeriodSeconds"]).unwrap_or(0);
    metadata::is_ending(object)
        && metadata::finalizers(object).is_empty()
        && grace == 0
        && (access::kind(object) != "Namespace"
            || access::list(object, &["spec", "finalizers"]).is_empty())
}
