//! What an API server fills in where an object of a built-in kind says nothing.
//!
//! Only what shows: a default that the server keeps to itself is not here. Other kinds, and fields
//! of a wrong type, are left as they are. Filling in twice is filling in once.

mod pod;
mod quantity;
mod service;

pub(super) use quantity::{is_more, is_suffix};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json, json};

use crate::object::access;

/// Fills in, in place, what an API server fills in on every write. A Job gets its selector only
/// once it has a uid.
pub fn apply(object: &mut Json) {
    let group = access::group_of(access::api_version(object)).to_owned();
    let kind = access::kind(object).to_owned();
    match (group.as_str(), kind.as_str()) {
        ("apps", "Deployment") => deployment(object),
        ("apps", "DaemonSet") => daemon_set(object),
        ("apps", "StatefulSet") => stateful_set(object),
        ("apps", "ReplicaSet") | ("", "ReplicationController") => replica_set(object),
        ("batch", "Job") => job(object),
        ("batch", "CronJob") => cron_job(object),
        ("", "Pod") => pod::pod(object),
        ("", "PodTemplate") => pod::template(object, &["template"]),
        ("", "Service") => service::service(object),
        ("", "PersistentVolumeClaim") => claim(object),
        ("", "PersistentVolume") => volume(object),
        ("", "Namespace") => namespace(object),
        ("", "Secret") => secret(object),
        ("", "ResourceQuota") => quantity::resources(object, &["spec", "hard"]),
        ("", "LimitRange") => limit_range(object),
        ("networking.k8s.io", "NetworkPolicy") => network_policy(object),
        ("networking.k8s.io", "IngressClass") => {
            fill_in(object, &["spec", "parameters"], "scope", "Cluster");
        }
        ("autoscaling", "HorizontalPodAutoscaler") => autoscaler(object),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => binding(object),
        ("storage.k8s.io", "StorageClass") => storage_class(object),
        ("storage.k8s.io", "CSIDriver") => csi_driver(object),
        ("scheduling.k8s.io", "PriorityClass") => {
            fill_in(object, &[], "preemptionPolicy", "PreemptLowerPriority");
        }
        ("discovery.k8s.io", "EndpointSlice") => endpoint_slice(object),
        ("admissionregistration.k8s.io", _) => admission(object, &kind),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(object),
        ("apiregistration.k8s.io", "APIService") => {
            fill_in(object, &["spec", "service"], "port", 443);
        }
        _ => {}
    }
}

/// The map at a path, if there is one.
fn map<'a>(object: &'a mut Json, path: &[&str]) -> Option<&'a mut Map<String, Json>> {
    path.iter().try_fold(object, |value, step| value.get_mut(step))?.as_object_mut()
}

/// The map at a path, made if it is absent or null; nothing, where something else is in the way.
fn ensure<'a>(object: &'a mut Json, path: &[&str]) -> Option<&'a mut Map<String, Json>> {
    let mut at = object;
    for step in path {
        let fields = at.as_object_mut()?;
        at = fields.entry(*step).or_insert(Json::Null);
        if at.is_null() {
            *at = json!({});
        }
    }
    at.as_object_mut()
}

/// The items of the list at a path.
fn items<'a>(object: &'a mut Json, path: &[&str]) -> impl Iterator<Item = &'a mut Json> + use<'a> {
    let list = path.iter().try_fold(object, |value, step| value.get_mut(step));
    list.and_then(Json::as_array_mut).into_iter().flatten()
}

/// Sets a field that is absent, null or an empty text.
fn fill(fields: &mut Map<String, Json>, field: &str, default: impl Into<Json>) {
    let is_absent = fields.get(field).is_none_or(|value| value.is_null() || value == "");
    if is_absent {
        fields.insert(field.to_owned(), default.into());
    }
}

/// Sets a field of the map at a path, if there is such a map.
fn fill_in(object: &mut Json, path: &[&str], field: &str, default: impl Into<Json>) {
    if let Some(fields) = map(object, path) {
        fill(fields, field, default);
    }
}

fn deployment(object: &mut Json) {
    pod::template(object, &["spec", "template"]);
    let Some(spec) = map(object, &["spec"]) else { return };
    fill(spec, "replicas", 1);
    fill(spec, "revisionHistoryLimit", 10);
    fill(spec, "progressDeadlineSeconds", 600);
    let Some(strategy) = ensure(object, &["spec", "strategy"]) else { return };
    fill(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate"
        && let Some(rolling) = ensure(object, &["spec", "strategy", "rollingUpdate"])
    {
        fill(rolling, "maxUnavailable", "25%");
        fill(rolling, "maxSurge", "25%");
    }
}

fn daemon_set(object: &mut Json) {
    pod::template(object, &["spec", "template"]);
    fill_in(object, &["spec"], "revisionHistoryLimit", 10);
    if object.get("spec").is_none() {
        return;
    }
    let Some(strategy) = ensure(object, &["spec", "updateStrategy"]) else { return };
    fill(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate"
        && let Some(rolling) = ensure(object, &["spec", "updateStrategy", "rollingUpdate"])
    {
        fill(rolling, "maxUnavailable", 1);
        fill(rolling, "maxSurge", 0);
    }
}

fn stateful_set(object: &mut Json) {
    pod::template(object, &["spec", "template"]);
    let Some(spec) = map(object, &["spec"]) else { return };
    fill(spec, "podManagementPolicy", "OrderedReady");
    fill(spec, "replicas", 1);
    fill(spec, "revisionHistoryLimit", 10);
    if let Some(policy) = ensure(object, &["spec", "persistentVolumeClaimRetentionPolicy"]) {
        fill(policy, "whenDeleted", "Retain");
        fill(policy, "whenScaled", "Retain");
    }
    if let Some(strategy) = ensure(object, &["spec", "updateStrategy"])
        && strategy.get("type").is_none_or(|kind| kind.is_null() || kind == "")
    {
        strategy.insert("type".to_owned(), Json::from("RollingUpdate"));
        fill(strategy, "rollingUpdate", json!({}));
    }
    fill_in(object, &["spec", "updateStrategy", "rollingUpdate"], "partition", 0);
    for claim_template in items(object, &["spec", "volumeClaimTemplates"]) {
        fill_in(claim_template, &[], "apiVersion", "v1");
        fill_in(claim_template, &[], "kind", "PersistentVolumeClaim");
        claim(claim_template);
        if let Some(status) = ensure(claim_template, &["status"]) {
            fill(status, "phase", "Pending");
        }
    }
}

fn replica_set(object: &mut Json) {
    pod::template(object, &["spec", "template"]);
    fill_in(object, &["spec"], "replicas", 1);
    let labels = access::at(object, &["spec", "template", "metadata", "labels"]).cloned();
    if let Some(labels) = labels
        && access::kind(object) == "ReplicationController"
    {
        fill_in(object, &["spec"], "selector", labels.clone());
        fill_in(object, &["metadata"], "labels", labels);
    }
}

fn job(object: &mut Json) {
    let uid = access::uid(object).to_owned();
    let name = access::name(object).to_owned();
    let own = access::at(object, &["spec", "template", "metadata", "labels"]).cloned();
    if let Some(own) = own {
        fill_in(object, &["metadata"], "labels", own);
    }
    job_spec(object, &["spec"]);
    let is_manual = access::at(object, &["spec", "manualSelector"]) == Some(&Json::Bool(true));
    if uid.is_empty() || is_manual || !object["spec"].is_object() {
        return;
    }
    let key = "batch.kubernetes.io/controller-uid";
    if let Some(selector) = ensure(object, &["spec", "selector"]) {
        fill(selector, "matchLabels", json!({key: uid}));
    }
    if let Some(labels) = ensure(object, &["spec", "template", "metadata", "labels"]) {
        for (label, value) in [
            (key, &uid),
            ("batch.kubernetes.io/job-name", &name),
            ("controller-uid", &uid),
            ("job-name", &name),
        ] {
            fill(labels, label, value.as_str());
        }
    }
}

fn job_spec(object: &mut Json, path: &[&str]) {
    pod::template(object, &[path, &["template"]].concat());
    let Some(spec) = map(object, path) else { return };
    let is_set = |field: &str| spec.get(field).is_some_and(|value| !value.is_null());
    let is_parallel = is_set("parallelism");
    let has_failure_policy = is_set("podFailurePolicy");
    let is_by_index = is_set("backoffLimitPerIndex");
    if !is_parallel {
        fill(spec, "completions", 1);
    }
    fill(spec, "parallelism", 1);
    fill(spec, "backoffLimit", if is_by_index { i32::MAX } else { 6 });
    fill(spec, "completionMode", "NonIndexed");
    fill(spec, "suspend", false);
    fill(spec, "manualSelector", false);
    let policy = if has_failure_policy { "Failed" } else { "TerminatingOrFailed" };
    fill(spec, "podReplacementPolicy", policy);
}

fn cron_job(object: &mut Json) {
    if map(object, &["spec", "jobTemplate"]).is_some() {
        ensure(object, &["spec", "jobTemplate", "metadata"]);
    }
    let Some(spec) = map(object, &["spec"]) else { return };
    fill(spec, "concurrencyPolicy", "Allow");
    fill(spec, "suspend", false);
    fill(spec, "successfulJobsHistoryLimit", 3);
    fill(spec, "failedJobsHistoryLimit", 1);
    // The template of its Jobs is filled in only when one is made, save for the pods in it.
    pod::template(object, &["spec", "jobTemplate", "spec", "template"]);
}

fn claim(object: &mut Json) {
    fill_in(object, &["spec"], "volumeMode", "Filesystem");
    quantity::resources(object, &["spec", "resources", "requests"]);
    quantity::resources(object, &["spec", "resources", "limits"]);
}

fn volume(object: &mut Json) {
    fill_in(object, &["spec"], "persistentVolumeReclaimPolicy", "Retain");
    fill_in(object, &["spec"], "volumeMode", "Filesystem");
    quantity::resources(object, &["spec", "capacity"]);
}

fn namespace(object: &mut Json) {
    let name = access::name(object).to_owned();
    if !name.is_empty() {
        access::set_metadata(object, "labels", "kubernetes.io/metadata.name", &name);
    }
}

/// `stringData` is for writing only: it becomes part of `data`.
fn secret(object: &mut Json) {
    fill_in(object, &[], "type", "Opaque");
    let Some(fields) = object.as_object_mut() else { return };
    let Some(plain) = fields.remove("stringData") else { return };
    let Some(data) = ensure(object, &["data"]) else { return };
    for (key, value) in plain.as_object().into_iter().flatten() {
        if let Some(text) = value.as_str() {
            data.insert(key.clone(), Json::from(STANDARD.encode(text)));
        }
    }
}

fn limit_range(object: &mut Json) {
    const AMOUNTS: [&str; 5] = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"];
    for limit in items(object, &["spec", "limits"]) {
        for field in AMOUNTS {
            quantity::resources(limit, &[field]);
        }
        if access::text(limit, &["type"]) != Some("Container") {
            continue;
        }
        for (from, to) in
            [("max", "default"), ("default", "defaultRequest"), ("min", "defaultRequest")]
        {
            let amounts = limit.get(from).and_then(Json::as_object).cloned().unwrap_or_default();
            if amounts.is_empty() {
                continue;
            }
            if let Some(fields) = ensure(limit, &[to]) {
                for (resource, amount) in amounts {
                    fill(fields, &resource, amount);
                }
            }
        }
    }
}

fn network_policy(object: &mut Json) {
    for direction in ["ingress", "egress"] {
        for rule in items(object, &["spec", direction]) {
            for port in items(rule, &["ports"]) {
                fill_in(port, &[], "protocol", "TCP");
            }
        }
    }
    let has_egress = !access::list(object, &["spec", "egress"]).is_empty();
    let Some(spec) = map(object, &["spec"]) else { return };
    if spec.get("policyTypes").is_none_or(|types| *types == json!([])) {
        let types = if has_egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
        spec.insert("policyTypes".to_owned(), types);
    }
}

fn autoscaler(object: &mut Json) {
    let is_first = access::api_version(object) == "autoscaling/v1";
    let Some(spec) = map(object, &["spec"]) else { return };
    fill(spec, "minReplicas", 1);
    if is_first {
        return;
    }
    if spec.get("metrics").is_none_or(|metrics| *metrics == json!([])) {
        let target = json!({"type": "Utilization", "averageUtilization": 80});
        let metric = json!({"type": "Resource", "resource": {"name": "cpu", "target": target}});
        spec.insert("metrics".to_owned(), json!([metric]));
    }
    for metric in items(object, &["spec", "metrics"]) {
        for source in ["resource", "pods", "object", "external", "containerResource"] {
            for field in ["averageValue", "value"] {
                quantity::at(metric, &[source, "target", field]);
            }
        }
    }
    if !object["spec"]["behavior"].is_object() {
        return;
    }
    let percent = json!({"type": "Percent", "value": 100, "periodSeconds": 15});
    let pods = json!({"type": "Pods", "value": 4, "periodSeconds": 15});
    let rules = [("scaleUp", json!([pods, percent])), ("scaleDown", json!([percent]))];
    for (direction, policies) in rules {
        if let Some(rules) = ensure(object, &["spec", "behavior", direction]) {
            fill(rules, "selectPolicy", "Max");
            fill(rules, "policies", policies);
            if direction == "scaleUp" {
                fill(rules, "stabilizationWindowSeconds", 0);
            }
        }
    }
}

fn binding(object: &mut Json) {
    fill_in(object, &["roleRef"], "apiGroup", "rbac.authorization.k8s.io");
    for subject in items(object, &["subjects"]) {
        if matches!(access::kind(subject), "User" | "Group") {
            fill_in(subject, &[], "apiGroup", "rbac.authorization.k8s.io");
        }
    }
}

fn storage_class(object: &mut Json) {
    fill_in(object, &[], "reclaimPolicy", "Delete");
    fill_in(object, &[], "volumeBindingMode", "Immediate");
}

fn csi_driver(object: &mut Json) {
    let Some(spec) = map(object, &["spec"]) else { return };
    fill(spec, "attachRequired", true);
    fill(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
    for field in ["podInfoOnMount", "requiresRepublish", "seLinuxMount", "storageCapacity"] {
        fill(spec, field, false);
    }
    if spec.get("volumeLifecycleModes").is_none_or(|modes| *modes == json!([])) {
        spec.insert("volumeLifecycleModes".to_owned(), json!(["Persistent"]));
    }
}

fn endpoint_slice(object: &mut Json) {
    for port in items(object, &["ports"]) {
        if let Some(fields) = port.as_object_mut() {
            fields.entry("name").or_insert_with(|| Json::from(""));
            fill(fields, "protocol", "TCP");
        }
    }
}

fn admission(object: &mut Json, kind: &str) {
    for webhook in items(object, &["webhooks"]) {
        fill_in(webhook, &[], "failurePolicy", "Fail");
        match_resources(webhook, &[]);
        fill_in(webhook, &[], "timeoutSeconds", 10);
        if kind == "MutatingWebhookConfiguration" {
            fill_in(webhook, &[], "reinvocationPolicy", "Never");
        }
        fill_in(webhook, &["clientConfig", "service"], "port", 443);
        for rule in items(webhook, &["rules"]) {
            fill_in(rule, &[], "scope", "*");
        }
    }
    if kind.ends_with("AdmissionPolicy") {
        fill_in(object, &["spec"], "failurePolicy", "Fail");
        match_resources(object, &["spec", "matchConstraints"]);
    }
    if kind.ends_with("AdmissionPolicyBinding") {
        match_resources(object, &["spec", "matchResources"]);
    }
}

fn match_resources(object: &mut Json, path: &[&str]) {
    let Some(fields) = map(object, path) else { return };
    fill(fields, "matchPolicy", "Equivalent");
    fill(fields, "namespaceSelector", json!({}));
    fill(fields, "objectSelector", json!({}));
    for list in ["resourceRules", "excludeResourceRules"] {
        for rule in items(object, &[path, &[list]].concat()) {
            fill_in(rule, &[], "scope", "*");
        }
    }
}

fn definition(object: &mut Json) {
    let kind = access::text(object, &["spec", "names", "kind"]).unwrap_or_default().to_owned();
    if !kind.is_empty() {
        fill_in(object, &["spec", "names"], "singular", kind.to_lowercase());
        fill_in(object, &["spec", "names"], "listKind", format!("{kind}List"));
    }
    fill_in(object, &["spec"], "conversion", json!({"strategy": "None"}));
    fill_in(object, &["spec", "conversion", "webhook", "clientConfig", "service"], "port", 443);
    for version in items(object, &["spec", "versions"]) {
        for column in items(version, &["additionalPrinterColumns"]) {
            // The server writes a number that it always has.
            if let Some(fields) = column.as_object_mut()
                && fields.get("priority") == Some(&json!(0))
            {
                fields.remove("priority");
            }
        }
    }
}

#[cfg(test)]
mod tests;
