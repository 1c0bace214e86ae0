//! What is wrong with workloads and their pods.

use serde_json::{Value as Json, json};

use super::{NOT_LABEL, check_labels, is_dns_label};
use crate::object::access;
use crate::sim::defaults;
use crate::sim::status::Cause;

const NOT_NEGATIVE: &str = "must be greater than or equal to 0";

/// Checks a workload: what selects its pods, and their template.
pub(super) fn check(object: &Json, causes: &mut Vec<Cause>) {
    let replicas = access::number(object, &["spec", "replicas"]).unwrap_or(0);
    let selector = access::at(object, &["spec", "selector"]);
    let labels = access::labels(access::at(object, &["spec", "template"]).unwrap_or(&Json::Null));
    let selector = selector.filter(|selector| !selector.is_null());
    if selector.is_none() {
        causes.push(Cause::required("spec.selector", ""));
    }
    let wanted = access::string_map(selector.and_then(|selector| selector.get("matchLabels")));
    let is_met = wanted.iter().all(|(key, value)| labels.get(key) == Some(value));
    if !is_met || selector.is_none() && labels.is_empty() {
        let given = if labels.is_empty() { Json::Null } else { json!(labels) };
        let why = "`selector` does not match template `labels`";
        causes.push(Cause::invalid("spec.template.metadata.labels", &given, why));
    }
    let path = ["spec", "template", "metadata", "labels"];
    check_labels(object, &path, "spec.template.labels", causes);
    if replicas < 0 {
        causes.push(Cause::invalid("spec.replicas", &json!(replicas), NOT_NEGATIVE));
    }
    let policy = access::text(object, &["spec", "template", "spec", "restartPolicy"]);
    if let Some(policy) = policy.filter(|policy| *policy != "Always") {
        let field = "spec.template.spec.restartPolicy";
        causes.push(Cause::unsupported(field, &json!(policy), &["Always"]));
    }
    check_pod(object, "spec.template.spec", causes);
}

/// Checks a Job, or the one in a CronJob.
pub(super) fn check_job(object: &Json, field: &str, causes: &mut Vec<Cause>) {
    check_pod(object, field, causes);
    let path: Vec<&str> = field.split('.').chain(["restartPolicy"]).collect();
    if access::text(object, &path) == Some("Always") {
        let why = "valid values: \"OnFailure\", \"Never\"";
        causes.push(Cause::required(format!("{field}.restartPolicy"), why));
    }
}

/// Checks the `spec` of a pod.
pub(super) fn check_pod(object: &Json, field: &str, causes: &mut Vec<Cause>) {
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
            check_container(container, &field, &volumes, causes);
            let name = access::text(container, &["name"]).unwrap_or_default();
            if !name.is_empty() && seen.contains(&name) {
                causes.push(Cause::duplicate(format!("{field}.name"), &json!(name)));
            }
            seen.push(name);
        }
    }
    let known = ["Always", "OnFailure", "Never"];
    let policy = access::text(spec, &["restartPolicy"]);
    if let Some(policy) = policy.filter(|policy| !known.contains(policy)) {
        let field = format!("{field}.restartPolicy");
        causes.push(Cause::unsupported(field, &json!(policy), &known));
    }
}

fn check_container(container: &Json, field: &str, volumes: &[&str], causes: &mut Vec<Cause>) {
    let name = access::text(container, &["name"]).unwrap_or_default();
    if name.is_empty() {
        causes.push(Cause::required(format!("{field}.name"), ""));
    } else if !is_dns_label(name) {
        causes.push(Cause::invalid(format!("{field}.name"), &json!(name), NOT_LABEL));
    }
    if access::text(container, &["image"]).is_none_or(str::is_empty) {
        causes.push(Cause::required(format!("{field}.image"), ""));
    }
    for (at, port) in access::list(container, &["ports"]).iter().enumerate() {
        check_port(port, &format!("{field}.ports[{at}]"), causes);
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
    let limits = access::string_map(access::at(container, &["resources", "limits"]));
    let requests = access::string_map(access::at(container, &["resources", "requests"]));
    for (resource, request) in requests {
        let Some(limit) = limits.get(resource) else { continue };
        if defaults::is_more(request, limit) {
            let why = format!("must be less than or equal to {resource} limit of {limit}");
            causes.push(Cause::invalid(
                format!("{field}.resources.requests"),
                &json!(request),
                &why,
            ));
        }
    }
}

fn check_port(port: &Json, field: &str, causes: &mut Vec<Cause>) {
    if let Some(name) = access::text(port, &["name"]).filter(|name| !name.is_empty()) {
        let mut wrong = |why: &str| {
            causes.push(Cause::invalid(format!("{field}.name"), &json!(name), why));
        };
        if name.len() > 15 {
            wrong("must be no more than 15 characters");
        }
        if !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
            wrong("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
        }
        if !name.contains(|c: char| c.is_ascii_lowercase()) {
            wrong("must contain at least one letter (a-z)");
        }
    }
    match access::number(port, &["containerPort"]).unwrap_or(0) {
        0 => causes.push(Cause::required(format!("{field}.containerPort"), "")),
        1..=65_535 => {}
        number => {
            let why = "must be between 1 and 65535, inclusive";
            causes.push(Cause::invalid(format!("{field}.containerPort"), &json!(number), why));
        }
    }
}
