//! Defaults of pods and of what is in them.

use serde_json::{Value as Json, json};

use super::{ensure, fill, fill_in, items, map, quantity};
use crate::object::access;
use crate::sim::workload::image_tag;

const MODE: i64 = 0o644;
/// Fields of a volume that are no source.
const NAME_ONLY: [&str; 1] = ["name"];

/// A pod by itself gets more than one in a template.
pub(super) fn pod(object: &mut Json) {
    spec(object, &["spec"]);
    let is_on_host = access::at(object, &["spec", "hostNetwork"]) == Some(&Json::Bool(true));
    fill_in(object, &["spec"], "enableServiceLinks", true);
    for list in ["initContainers", "containers"] {
        for container in items(object, &["spec", list]) {
            requests_from_limits(container);
            for port in items(container, &["ports"]) {
                if let Some(number) = port.get("containerPort").filter(|_| is_on_host).cloned() {
                    fill_in(port, &[], "hostPort", number);
                }
            }
        }
    }
}

fn requests_from_limits(container: &mut Json) {
    let limits = access::at(container, &["resources", "limits"]);
    let Some(limits) = limits.and_then(Json::as_object).cloned() else { return };
    if let Some(requests) = ensure(container, &["resources", "requests"]) {
        for (resource, amount) in limits {
            fill(requests, &resource, amount);
        }
    }
}

/// The pod template at a path.
pub(super) fn template(object: &mut Json, path: &[&str]) {
    if map(object, path).is_some() {
        ensure(object, &[path, &["metadata"]].concat());
    }
    spec(object, &[path, &["spec"]].concat());
}

fn spec(object: &mut Json, path: &[&str]) {
    let Some(fields) = map(object, path) else { return };
    fill(fields, "dnsPolicy", "ClusterFirst");
    fill(fields, "restartPolicy", "Always");
    fill(fields, "securityContext", json!({}));
    fill(fields, "terminationGracePeriodSeconds", 30);
    fill(fields, "schedulerName", "default-scheduler");
    // One is the old name of the other.
    let account = ["serviceAccountName", "serviceAccount"].iter().find_map(|field| {
        fields.get(*field).and_then(Json::as_str).filter(|name| !name.is_empty())
    });
    if let Some(account) = account.map(Json::from) {
        fields.insert("serviceAccountName".to_owned(), account.clone());
        fields.insert("serviceAccount".to_owned(), account);
    }
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for item in items(object, &[path, &[list]].concat()) {
            container(item);
        }
    }
    for item in items(object, &[path, &["volumes"]].concat()) {
        volume(item);
    }
    quantity::resources(object, &[path, &["overhead"]].concat());
}

fn container(object: &mut Json) {
    let image = access::text(object, &["image"]).unwrap_or_default();
    let policy = pull_policy(image);
    let Some(fields) = object.as_object_mut() else { return };
    fill(fields, "imagePullPolicy", policy);
    fill(fields, "terminationMessagePath", "/dev/termination-log");
    fill(fields, "terminationMessagePolicy", "File");
    fill(fields, "resources", json!({}));
    quantity::resources(object, &["resources", "limits"]);
    quantity::resources(object, &["resources", "requests"]);
    for port in items(object, &["ports"]) {
        fill_in(port, &[], "protocol", "TCP");
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(fields) = map(object, &[probe]) {
            for (field, default) in [
                ("timeoutSeconds", 1),
                ("periodSeconds", 10),
                ("successThreshold", 1),
                ("failureThreshold", 3),
            ] {
                if fields.get(field) == Some(&json!(0)) {
                    fields.remove(field);
                }
                fill(fields, field, default);
            }
            if let Some(fields) = map(object, &[probe, "grpc"]) {
                fields.entry("service").or_insert_with(|| Json::from(""));
            }
            http(object, &[probe, "httpGet"]);
        }
    }
    for event in ["postStart", "preStop"] {
        http(object, &["lifecycle", event, "httpGet"]);
    }
    for variable in items(object, &["env"]) {
        references(variable, &["valueFrom"]);
    }
}

fn http(object: &mut Json, path: &[&str]) {
    fill_in(object, path, "path", "/");
    fill_in(object, path, "scheme", "HTTP");
}

/// The references to fields and resources of the pod in the map at a path.
fn references(object: &mut Json, path: &[&str]) {
    fill_in(object, &[path, &["fieldRef"]].concat(), "apiVersion", "v1");
    let resource = [path, &["resourceFieldRef"]].concat();
    fill_in(object, &resource, "divisor", "0");
    quantity::at(object, &[resource.as_slice(), &["divisor"]].concat());
}

/// An image without a tag, or with `latest`, is pulled each time; one with a digest alone is not.
fn pull_policy(image: &str) -> &'static str {
    match image_tag(image) {
        "latest" => "Always",
        "" if !image.contains('@') => "Always",
        _ => "IfNotPresent",
    }
}

fn volume(object: &mut Json) {
    let Some(fields) = object.as_object_mut() else { return };
    if fields.iter().all(|(name, value)| NAME_ONLY.contains(&name.as_str()) || value.is_null()) {
        fields.insert("emptyDir".to_owned(), json!({}));
    }
    for source in ["secret", "configMap", "downwardAPI", "projected"] {
        fill_in(object, &[source], "defaultMode", MODE);
    }
    if let Some(fields) = map(object, &["hostPath"]) {
        fields.entry("type").or_insert_with(|| Json::from(""));
    }
    quantity::at(object, &["emptyDir", "sizeLimit"]);
    for item in items(object, &["downwardAPI", "items"]) {
        references(item, &[]);
    }
    for source in items(object, &["projected", "sources"]) {
        fill_in(source, &["serviceAccountToken"], "expirationSeconds", 3600);
        for item in items(source, &["downwardAPI", "items"]) {
            references(item, &[]);
        }
    }
    fill_in(object, &["ephemeral", "volumeClaimTemplate", "spec"], "volumeMode", "Filesystem");
    let requests = ["ephemeral", "volumeClaimTemplate", "spec", "resources", "requests"];
    quantity::resources(object, &requests);
    if let Some(reference) = access::text(object, &["image", "reference"]) {
        let policy = pull_policy(reference);
        fill_in(object, &["image"], "pullPolicy", policy);
    }
}
