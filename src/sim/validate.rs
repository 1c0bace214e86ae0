//! The checks of an object's content that charts run into: names, labels, what must be there.

mod service;
mod workload;

use std::sync::OnceLock;

use regex::Regex;
use serde_json::{Value as Json, json};

use super::custom;
use super::kinds::Kind;
use super::metadata;
use super::status::Cause;
use crate::object::access;

const SUBDOMAIN: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const LABEL_1035: &str = "[a-z]([-a-z0-9]*[a-z0-9])?";
const LABEL_VALUE: &str = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?";
/// Longest name of a label, and longest value.
const LABEL_MAX: usize = 63;
const QUALIFIED: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";

const NOT_QUALIFIED: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
     alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation \
     is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const NOT_SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or \
     '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used \
     for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const NOT_LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and \
     must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used \
     for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

/// What is wrong with the key of a label, in the API server's words.
pub(super) fn wrong_with_key(key: &str) -> Vec<String> {
    let mut parts = key.split('/');
    let (first, second, more) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    if more.is_some() {
        return vec![format!(
            "a valid label key {NOT_QUALIFIED} with an optional DNS subdomain prefix and '/' (e.g. \
             'example.com/MyName')"
        )];
    }
    let mut wrong = Vec::new();
    let name = match second {
        None => first,
        Some(name) => {
            if first.is_empty() {
                wrong.push("prefix part must be non-empty".to_owned());
            } else if !is_whole_match(SUBDOMAIN, first) {
                wrong.push(format!("prefix part {NOT_SUBDOMAIN}"));
            }
            name
        }
    };
    if name.is_empty() {
        wrong.push("name part must be non-empty".to_owned());
    } else if name.len() > LABEL_MAX {
        wrong.push(format!("name part must be no more than {LABEL_MAX} bytes"));
    }
    if !is_whole_match(QUALIFIED, name) {
        wrong.push(format!("name part {NOT_QUALIFIED}"));
    }
    wrong
}

/// What is wrong with the value of a label, in the API server's words.
pub(super) fn wrong_with_label(value: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if value.len() > LABEL_MAX {
        wrong.push(format!("must be no more than {LABEL_MAX} bytes"));
    }
    if !is_whole_match(LABEL_VALUE, value) {
        wrong.push(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', \
             '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  \
             or 'my_value',  or '12345', regex used for validation is \
             '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
                .to_owned(),
        );
    }
    wrong
}

/// Everything that is wrong with an object, in the API server's words.
pub fn check(kind: &Kind, object: &Json) -> Vec<Cause> {
    let mut causes = Vec::new();
    check_name(kind, object, &mut causes);
    check_labels(object, &["metadata", "labels"], "metadata.labels", &mut causes);
    check_metadata(object, &mut causes);
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("apps", "Deployment" | "DaemonSet" | "StatefulSet" | "ReplicaSet") => {
            workload::check(object, &mut causes);
        }
        ("batch", "Job") => workload::check_job(object, "spec.template.spec", &mut causes),
        ("batch", "CronJob") => {
            if access::text(object, &["spec", "schedule"]).is_none_or(str::is_empty) {
                causes.push(Cause::required("spec.schedule", ""));
            }
            workload::check_job(object, "spec.jobTemplate.spec.template.spec", &mut causes);
        }
        ("", "Pod") => workload::check_pod(object, "spec", &mut causes),
        ("", "Service") => service::check(object, &mut causes),
        ("", "ConfigMap" | "Secret") => check_data(kind, object, &mut causes),
        ("", "PersistentVolumeClaim") => check_claim(object, &mut causes),
        ("networking.k8s.io", "Ingress") => check_ingress(object, &mut causes),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            check_role_ref(object, &mut causes);
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => check_crd(object, &mut causes),
        _ => {}
    }
    if let Some(schema) = &kind.custom {
        custom::check(object, &schema.schema, &mut causes);
    }
    causes
}

fn is_whole_match(pattern: &'static str, text: &str) -> bool {
    static COMPILED: OnceLock<Vec<(&'static str, Option<Regex>)>> = OnceLock::new();
    let compiled = COMPILED.get_or_init(|| {
        [SUBDOMAIN, LABEL, LABEL_1035, LABEL_VALUE, QUALIFIED]
            .into_iter()
            .map(|pattern| (pattern, Regex::new(&format!("^(?:{pattern})$")).ok()))
            .collect()
    });
    let found = compiled.iter().find(|(other, _)| *other == pattern);
    found.and_then(|(_, regex)| regex.as_ref()).is_none_or(|regex| regex.is_match(text))
}

fn check_name(kind: &Kind, object: &Json, causes: &mut Vec<Cause>) {
    let name = access::name(object);
    let base = access::text(object, &["metadata", "generateName"]).unwrap_or_default();
    if !base.is_empty() {
        // What stands before the generated part may end as no name can.
        let begin = base.strip_suffix('-').map_or(base.to_owned(), |begin| format!("{begin}a"));
        for why in wrong_with_name(kind, &begin) {
            causes.push(Cause::invalid("metadata.generateName", &Json::from(base), &why));
        }
    }
    if name.is_empty() {
        causes.push(Cause::required("metadata.name", "name or generateName is required"));
        return;
    }
    for why in wrong_with_name(kind, name) {
        causes.push(Cause::invalid("metadata.name", &Json::from(name), &why));
    }
}

/// What is wrong with the name of an object, in the API server's words.
fn wrong_with_name(kind: &Kind, name: &str) -> Vec<String> {
    if kind.group == "rbac.authorization.k8s.io" {
        return match name {
            "." | ".." => vec![format!("may not be '{name}'")],
            name => ["/", "%"]
                .iter()
                .filter(|part| name.contains(**part))
                .map(|part| format!("may not contain '{part}'"))
                .collect(),
        };
    }
    let (pattern, length, told) = match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Service") => (
            LABEL_1035,
            63,
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start \
             with an alphabetic character, and end with an alphanumeric character (e.g. \
             'my-name',  or 'abc-123', regex used for validation is \
             '[a-z]([-a-z0-9]*[a-z0-9])?')",
        ),
        ("", "Namespace") => (LABEL, 63, NOT_LABEL),
        _ => (SUBDOMAIN, 253, NOT_SUBDOMAIN),
    };
    let mut wrong = Vec::new();
    if name.len() > length {
        let unit = if pattern == LABEL_1035 { "characters" } else { "bytes" };
        wrong.push(format!("must be no more than {length} {unit}"));
    }
    if !is_whole_match(pattern, name) {
        wrong.push(told.to_owned());
    }
    wrong
}

fn check_labels(object: &Json, path: &[&str], field: &str, causes: &mut Vec<Cause>) {
    for (key, value) in access::string_map(access::at(object, path)) {
        for why in wrong_with_key(key) {
            causes.push(Cause::invalid(field, &Json::from(key), &why));
        }
        for why in wrong_with_label(value) {
            causes.push(Cause::invalid(field, &Json::from(value), &why));
        }
    }
}

/// Annotations, finalizers and owners.
fn check_metadata(object: &Json, causes: &mut Vec<Cause>) {
    let annotations = access::at(object, &["metadata", "annotations"]);
    for (key, _) in access::string_map(annotations) {
        for why in wrong_with_key(&key.to_lowercase()) {
            causes.push(Cause::invalid("metadata.annotations", &Json::from(key), &why));
        }
    }
    for (at, name) in metadata::finalizers(object).into_iter().enumerate() {
        let field = format!("metadata.finalizers[{at}]");
        for why in wrong_with_key(name) {
            causes.push(Cause::invalid(field.as_str(), &Json::from(name), &why));
        }
        let is_standard =
            matches!(name, "kubernetes" | "orphan" | "foregroundDeletion" | "background");
        if !name.contains('/') && !is_standard && wrong_with_key(name).is_empty() {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            causes.push(Cause::invalid(field, &Json::from(name), why));
        }
    }
    check_owners(access::list(object, &["metadata", "ownerReferences"]), causes);
}

fn check_owners(owners: &[Json], causes: &mut Vec<Cause>) {
    const FIELD: &str = "metadata.ownerReferences";
    let text =
        |owner: &Json, field: &str| access::text(owner, &[field]).unwrap_or_default().to_owned();
    for owner in owners {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if text(owner, field).is_empty() {
                let field = match field {
                    "apiVersion" => "version",
                    other => other,
                };
                let field = format!("{FIELD}.{field}");
                causes.push(Cause::invalid(field, &Json::from(""), "must not be empty"));
            }
        }
    }
    let controllers: Vec<&Json> =
        owners.iter().filter(|owner| owner.get("controller") == Some(&Json::Bool(true))).collect();
    if let [first, .., last] = controllers.as_slice() {
        let name = |owner: &Json| format!("{}/{}", text(owner, "kind"), text(owner, "name"));
        causes.push(Cause {
            reason: "FieldValueInvalid",
            field: FIELD.to_owned(),
            message: format!(
                "Invalid value: {}: Only one reference can have Controller set to true. Found \
                 \"true\" in references for {} and {}",
                in_order(owners),
                name(first),
                name(last)
            ),
        });
    }
}

/// Owners as JSON with their fields in the order of the API server's types.
fn in_order(owners: &[Json]) -> String {
    const ORDER: [&str; 6] =
        ["apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"];
    let told: Vec<String> = owners
        .iter()
        .map(|owner| {
            let fields: Vec<String> = ORDER
                .iter()
                .filter_map(|field| Some(format!("\"{field}\":{}", owner.get(*field)?)))
                .collect();
            format!("{{{}}}", fields.join(","))
        })
        .collect();
    format!("[{}]", told.join(","))
}

/// The keys of a ConfigMap or a Secret, and what Secrets of some types must have.
fn check_data(kind: &Kind, object: &Json, causes: &mut Vec<Cause>) {
    let binary = access::string_map(object.get("binaryData"));
    for (field, data) in
        [("data", access::string_map(object.get("data"))), ("binaryData", binary.clone())]
    {
        for key in data.keys() {
            let path = format!("{field}[{key}]");
            let is_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if !key.chars().all(is_key) || key.is_empty() {
                let why = "a valid config key must consist of alphanumeric characters, '-', '_' or \
                           '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for \
                           validation is '[-._a-zA-Z0-9]+')";
                causes.push(Cause::invalid(path.as_str(), &json!(key), why));
            }
            if field == "data" && binary.contains_key(key) {
                let why = "duplicate of key present in binaryData";
                causes.push(Cause::invalid(path, &json!(key), why));
            }
        }
    }
    let needed: &[&str] = match access::text(object, &["type"]) {
        Some("kubernetes.io/tls") => &["tls.crt", "tls.key"],
        Some("kubernetes.io/dockerconfigjson") => &[".dockerconfigjson"],
        Some("kubernetes.io/dockercfg") => &[".dockercfg"],
        Some("kubernetes.io/ssh-auth") => &["ssh-privatekey"],
        _ => &[],
    };
    for key in needed.iter().filter(|_| kind.kind == "Secret") {
        if access::at(object, &["data", key]).is_none() {
            causes.push(Cause::required(format!("data[{key}]"), ""));
        }
    }
}

/// An Ingress says where to, a claim how much.
fn check_ingress(object: &Json, causes: &mut Vec<Cause>) {
    let spec = object.get("spec").unwrap_or(&Json::Null);
    if access::list(spec, &["rules"]).is_empty() && spec.get("defaultBackend").is_none() {
        let why = "either `defaultBackend` or `rules` must be specified";
        causes.push(Cause::invalid("spec", &Json::Null, why));
    }
}

fn check_claim(object: &Json, causes: &mut Vec<Cause>) {
    if access::list(object, &["spec", "accessModes"]).is_empty() {
        causes.push(Cause::required("spec.accessModes", "at least 1 access mode is required"));
    }
    if access::at(object, &["spec", "resources", "requests", "storage"]).is_none() {
        causes.push(Cause::required("spec.resources[storage]", ""));
    }
}

/// Whether a text is a label of a domain name.
fn is_dns_label(text: &str) -> bool {
    text.len() <= LABEL_MAX && is_whole_match(LABEL, text)
}

fn check_role_ref(object: &Json, causes: &mut Vec<Cause>) {
    if access::text(object, &["roleRef", "name"]).is_none_or(str::is_empty) {
        causes.push(Cause::required("roleRef.name", ""));
    }
    let kind = access::text(object, &["roleRef", "kind"]).unwrap_or_default();
    if !matches!(kind, "Role" | "ClusterRole") {
        causes.push(Cause::unsupported("roleRef.kind", &json!(kind), &["Role", "ClusterRole"]));
    }
}

fn check_crd(object: &Json, causes: &mut Vec<Cause>) {
    let text = |path: &[&str]| access::text(object, path).unwrap_or_default();
    let (plural, group) = (text(&["spec", "names", "plural"]), text(&["spec", "group"]));
    for (field, value) in [
        ("spec.group", group),
        ("spec.names.plural", plural),
        ("spec.names.kind", text(&["spec", "names", "kind"])),
    ] {
        if value.is_empty() {
            causes.push(Cause::required(field, ""));
        }
    }
    let name = access::name(object);
    if name != format!("{plural}.{group}") {
        let why = "must be spec.names.plural+\".\"+spec.group";
        causes.push(Cause::invalid("metadata.name", &Json::from(name), why));
    }
    let versions = access::list(object, &["spec", "versions"]);
    for (at, version) in versions.iter().enumerate() {
        if access::at(version, &["schema", "openAPIV3Schema"]).is_none() {
            let field = format!("spec.versions[{at}].schema.openAPIV3Schema");
            causes.push(Cause::required(field, ""));
        }
    }
    let stored = versions.iter().filter(|one| one.get("storage") == Some(&Json::Bool(true)));
    if stored.count() != 1 {
        let why = "must have exactly one version marked as storage version";
        causes.push(Cause::invalid("spec.versions", &json!(versions), why));
        let why = "must have at least one stored version";
        causes.push(Cause::invalid("status.storedVersions", &Json::Null, why));
    }
}
