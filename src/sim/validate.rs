//! The checks of an object's content that charts run into: names, labels, what must be there.

use std::sync::OnceLock;

use regex::Regex;
use serde_json::{Value as Json, json};

use super::kinds::Kind;
use super::status::Cause;
use crate::object::access;

const SUBDOMAIN: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const LABEL_1035: &str = "[a-z]([-a-z0-9]*[a-z0-9])?";
const LABEL_VALUE: &str = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?";
const QUALIFIED: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";

/// Everything that is wrong with an object, in the API server's words.
pub fn check(kind: &Kind, object: &Json) -> Vec<Cause> {
    let mut causes = Vec::new();
    check_name(kind, object, &mut causes);
    check_labels(object, &["metadata", "labels"], "metadata.labels", &mut causes);
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("apps", "Deployment" | "DaemonSet" | "StatefulSet" | "ReplicaSet") => {
            check_workload(object, &mut causes);
        }
        ("batch", "Job") => check_pod_spec(object, "spec.template.spec", &mut causes),
        ("batch", "CronJob") => {
            check_pod_spec(object, "spec.jobTemplate.spec.template.spec", &mut causes);
        }
        ("", "Pod") => check_pod_spec(object, "spec", &mut causes),
        ("", "Service") => check_service(object, &mut causes),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            check_role_ref(object, &mut causes);
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => check_crd(object, &mut causes),
        _ => {}
    }
    if let Some(custom) = &kind.custom {
        check_schema(object, &custom.schema, "", &mut causes);
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
    if name.is_empty() {
        causes.push(Cause::required("metadata.name", "name or generateName is required"));
        return;
    }
    let mut wrong = |why: &str| {
        causes.push(Cause::invalid("metadata.name", &Json::from(name), why));
    };
    if kind.group == "rbac.authorization.k8s.io" {
        if name == "." || name == ".." || name.contains(['/', '%']) {
            wrong("may not contain '/' or '%', and may not be '.' or '..'");
        }
        return;
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
        ("", "Namespace") => (
            LABEL,
            63,
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or \
             '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or \
             '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
        ),
        _ => (
            SUBDOMAIN,
            253,
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, \
             '-' or '.', and must start and end with an alphanumeric character (e.g. \
             'example.com', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
        ),
    };
    if name.len() > length {
        wrong(&format!("must be no more than {length} bytes"));
    }
    if !is_whole_match(pattern, name) {
        wrong(told);
    }
}

fn check_labels(object: &Json, path: &[&str], field: &str, causes: &mut Vec<Cause>) {
    for (key, value) in access::string_map(access::at(object, path)) {
        let name = key.rsplit('/').next().unwrap_or_default();
        if name.len() > 63 || !is_whole_match(QUALIFIED, name) {
            causes.push(Cause::invalid(
                field,
                &Json::from(key),
                "name part must consist of alphanumeric characters, '-', '_' or '.', and must \
                 start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or \
                 '123-abc', regex used for validation is \
                 '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
            ));
        }
        if value.len() > 63 {
            let why = "must be no more than 63 bytes";
            causes.push(Cause::invalid(field, &Json::from(value), why));
        }
        if !is_whole_match(LABEL_VALUE, value) {
            causes.push(Cause::invalid(
                field,
                &Json::from(value),
                "a valid label must be an empty string or consist of alphanumeric characters, \
                 '-', '_' or '.', and must start and end with an alphanumeric character (e.g. \
                 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
                 '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
            ));
        }
    }
}

fn check_workload(object: &Json, causes: &mut Vec<Cause>) {
    let selector = access::at(object, &["spec", "selector"]);
    let labels = access::labels(access::at(object, &["spec", "template"]).unwrap_or(&Json::Null));
    match selector.filter(|selector| !selector.is_null()) {
        None => causes.push(Cause::required("spec.selector", "")),
        Some(selector) => {
            let wanted = access::string_map(selector.get("matchLabels"));
            let is_met = wanted.iter().all(|(key, value)| labels.get(key) == Some(value));
            if !is_met {
                causes.push(Cause::invalid(
                    "spec.template.metadata.labels",
                    &json!(labels),
                    "`selector` does not match template `labels`",
                ));
            }
        }
    }
    let labels = ["spec", "template", "metadata", "labels"];
    check_labels(object, &labels, "spec.template.labels", causes);
    check_pod_spec(object, "spec.template.spec", causes);
}

fn check_pod_spec(object: &Json, field: &str, causes: &mut Vec<Cause>) {
    let path: Vec<&str> = field.split('.').collect();
    let spec = access::at(object, &path).unwrap_or(&Json::Null);
    let volumes: Vec<&str> = access::list(spec, &["volumes"])
        .iter()
        .filter_map(|volume| access::text(volume, &["name"]))
        .collect();
    if access::list(spec, &["containers"]).is_empty() {
        causes.push(Cause::required(format!("{field}.containers"), ""));
    }
    for list in ["containers", "initContainers"] {
        let mut seen = Vec::new();
        for (at, container) in access::list(spec, &[list]).iter().enumerate() {
            let field = format!("{field}.{list}[{at}]");
            let name = access::text(container, &["name"]).unwrap_or_default();
            if name.is_empty() {
                causes.push(Cause::required(format!("{field}.name"), ""));
            } else if seen.contains(&name) {
                causes.push(Cause {
                    reason: "FieldValueDuplicate",
                    field: format!("{field}.name"),
                    message: format!("Duplicate value: {name:?}"),
                });
            }
            seen.push(name);
            if access::text(container, &["image"]).is_none_or(str::is_empty) {
                causes.push(Cause::required(format!("{field}.image"), ""));
            }
            for (at, mount) in access::list(container, &["volumeMounts"]).iter().enumerate() {
                let name = access::text(mount, &["name"]).unwrap_or_default();
                if !volumes.contains(&name) {
                    causes.push(Cause {
                        reason: "FieldValueNotFound",
                        field: format!("{field}.volumeMounts[{at}].name"),
                        message: format!("Not found: {name:?}"),
                    });
                }
            }
        }
    }
}

fn check_service(object: &Json, causes: &mut Vec<Cause>) {
    let kind = access::text(object, &["spec", "type"]).unwrap_or("ClusterIP");
    let is_headless = access::text(object, &["spec", "clusterIP"]) == Some("None");
    let ports = access::list(object, &["spec", "ports"]);
    if ports.is_empty() && kind != "ExternalName" && !is_headless {
        causes.push(Cause::required("spec.ports", ""));
    }
    for (at, port) in ports.iter().enumerate() {
        let number = access::number(port, &["port"]).unwrap_or(0);
        if !(1..=65_535).contains(&number) {
            let why = "must be between 1 and 65535, inclusive";
            causes.push(Cause::invalid(format!("spec.ports[{at}].port"), &json!(number), why));
        }
        if ports.len() > 1 && access::text(port, &["name"]).is_none_or(str::is_empty) {
            causes.push(Cause::required(format!("spec.ports[{at}].name"), ""));
        }
    }
}

fn check_role_ref(object: &Json, causes: &mut Vec<Cause>) {
    if access::text(object, &["roleRef", "name"]).is_none_or(str::is_empty) {
        causes.push(Cause::required("roleRef.name", ""));
    }
    let kind = access::text(object, &["roleRef", "kind"]).unwrap_or_default();
    if !matches!(kind, "Role" | "ClusterRole") {
        causes.push(Cause {
            reason: "FieldValueNotSupported",
            field: "roleRef.kind".to_owned(),
            message: format!(
                "Unsupported value: {kind:?}: supported values: \"ClusterRole\", \"Role\""
            ),
        });
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
    let stored = versions.iter().filter(|one| one.get("storage") == Some(&Json::Bool(true)));
    if stored.count() != 1 {
        let why = "must have exactly one version marked as storage version";
        causes.push(Cause::invalid("spec.versions", &json!(versions), why));
    }
}

/// The parts of an OpenAPI schema that custom resources most often break: types, what is required,
/// bounds and enumerations.
fn check_schema(value: &Json, schema: &Json, field: &str, causes: &mut Vec<Cause>) {
    if value.is_null() && schema.get("nullable").and_then(Json::as_bool).unwrap_or_default() {
        return;
    }
    let Some(type_of) = access::text(schema, &["type"]).filter(|wanted| !fits(value, wanted))
    else {
        return check_parts(value, schema, field, causes);
    };
    causes.push(Cause {
        reason: "FieldValueTypeInvalid",
        field: field.to_owned(),
        message: format!(
            "Invalid value: {:?}: {field} in body must be of type {type_of}: {:?}",
            type_name(value),
            type_name(value)
        ),
    });
}

fn check_parts(value: &Json, schema: &Json, field: &str, causes: &mut Vec<Cause>) {
    let below = |name: &str| match field {
        "" => name.to_owned(),
        field => format!("{field}.{name}"),
    };
    if let Some(number) = value.as_f64() {
        let bound = |name: &str| schema.get(name).and_then(Json::as_f64);
        if bound("minimum").is_some_and(|minimum| number < minimum) {
            let minimum = &schema["minimum"];
            let why = format!("{field} in body should be greater than or equal to {minimum}");
            causes.push(Cause::invalid(field, value, &why));
        }
        if bound("maximum").is_some_and(|maximum| number > maximum) {
            let maximum = &schema["maximum"];
            let why = format!("{field} in body should be less than or equal to {maximum}");
            causes.push(Cause::invalid(field, value, &why));
        }
    }
    let allowed = access::list(schema, &["enum"]);
    if !allowed.is_empty() && !allowed.contains(value) {
        let names: Vec<_> = allowed.iter().map(ToString::to_string).collect();
        causes.push(Cause {
            reason: "FieldValueNotSupported",
            field: field.to_owned(),
            message: format!("Unsupported value: {value}: supported values: {}", names.join(", ")),
        });
    }
    match value {
        Json::Object(fields) => {
            for name in access::list(schema, &["required"]).iter().filter_map(Json::as_str) {
                if !fields.contains_key(name) {
                    causes.push(Cause::required(below(name), ""));
                }
            }
            for (name, part) in fields {
                if field.is_empty() && matches!(name.as_str(), "metadata" | "apiVersion" | "kind") {
                    continue;
                }
                let declared = access::at(schema, &["properties", name]);
                let schema = declared.or_else(|| schema.get("additionalProperties"));
                if let Some(schema @ Json::Object(_)) = schema {
                    check_schema(part, schema, &below(name), causes);
                }
            }
        }
        Json::Array(items) => {
            if let Some(schema) = schema.get("items") {
                for (at, item) in items.iter().enumerate() {
                    check_schema(item, schema, &format!("{field}[{at}]"), causes);
                }
            }
        }
        _ => {}
    }
}

fn fits(value: &Json, wanted: &str) -> bool {
    match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        _ => true,
    }
}

fn type_name(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(number) if number.is_f64() => "number",
        Json::Number(_) => "integer",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}
