//! Charts that cannot run twice beside one another, where the strategy is `blueGreen`: what both
//! releases would have, or would fight over.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::shared::Part;
use super::{Finding, objects, place};
use crate::base::diagnostic::Diagnostic;
use crate::fleet::Desired;
use crate::fleet::blue_green::{Slot, TrafficKind};
use crate::object::access;
use crate::render::{Release, in_slot};

/// What stands in the way of two releases of an instance.
pub(super) fn check(desired: &Desired, release: &Release) -> Vec<Finding> {
    let Some(spec) = release.instance.strategy.blue_green() else { return Vec::new() };
    let (Ok(blue), Ok(green)) = (in_slot(release, Slot::Blue), in_slot(release, Slot::Green))
    else {
        // Why it does not render is told of the release itself, whose values are the same.
        return Vec::new();
    };
    let others = objects(&green, Part::Rest);
    let hooks: BTreeSet<String> =
        blue.rendered.hooks.iter().map(|hook| hook.manifest.key.to_string()).collect();
    let same: BTreeMap<String, &Json> =
        others.iter().map(|other| (other.key.to_string(), &*other.manifest.object)).collect();
    let other_hosts: BTreeSet<String> =
        others.iter().flat_map(|other| hosts(&other.key.kind, &other.manifest.object)).collect();
    let mut found = Vec::new();
    for object in objects(&blue, Part::Rest) {
        let name = object.key.to_string();
        // A hook goes before the next one of its name is made.
        if hooks.contains(&name) {
            continue;
        }
        let json = &*object.manifest.object;
        let mut reasons: Vec<String> = Vec::new();
        if same.contains_key(&name) {
            reasons.push("has the same name in both releases".to_owned());
        }
        reasons.extend(alone(&object.key.kind, json));
        let shared =
            hosts(&object.key.kind, json).into_iter().find(|host| other_hosts.contains(host));
        reasons.extend(shared.map(|host| format!("answers for {host} in both releases")));
        if let TrafficKind::Service(label) = traffic_kind(spec) {
            reasons.extend(unlabelled(json, label, &blue.instance.release_name));
        }
        for reason in reasons {
            let message = format!("{name} cannot stand twice: it {reason}");
            let diagnostic = Diagnostic::error("cannot-run-twice", message);
            let diagnostic = place::at(diagnostic, desired, &blue, &object.manifest, "this object")
                .help(
                    "switch it off or name it after `.Release.Name` by values of the chart, or \
                     change the addon in place: `strategy: inPlace`",
                );
            found.push(Finding::of(diagnostic, &blue, &object));
        }
    }
    found
}

fn traffic_kind(spec: &crate::fleet::blue_green::BlueGreen) -> TrafficKind<'_> {
    spec.traffic.object().map_or(TrafficKind::HttpRoute, |object| object.kind)
}

/// Why there can be but one of an object, whatever its name.
fn alone(kind: &str, object: &Json) -> Vec<String> {
    match kind {
        "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration" => {
            vec!["would be asked of every object twice, once by each release".to_owned()]
        }
        "Service" => {
            let ports = access::list(object, &["spec", "ports"]).iter();
            let fixed = ports.filter_map(|port| access::number(port, &["nodePort"]));
            fixed
                .filter(|port| *port > 0)
                .map(|port| format!("takes the node port {port}"))
                .collect()
        }
        _ => pod_of(object).map(of_pod).unwrap_or_default(),
    }
}

fn pod_of(object: &Json) -> Option<&Json> {
    let spec = object.get("spec")?;
    if access::kind(object) == "Pod" {
        return Some(spec);
    }
    let template = spec.pointer("/jobTemplate/spec/template/spec");
    template.or_else(|| spec.pointer("/template/spec"))
}

fn of_pod(pod: &Json) -> Vec<String> {
    let mut reasons = Vec::new();
    if pod.get("hostNetwork").and_then(Json::as_bool) == Some(true) {
        reasons.push("uses the network of its node (`hostNetwork`)".to_owned());
    }
    let ports = access::list(pod, &["containers"])
        .iter()
        .flat_map(|container| access::list(container, &["ports"]))
        .filter_map(|port| access::number(port, &["hostPort"]));
    reasons
        .extend(ports.filter(|port| *port > 0).map(|port| format!("takes the host port {port}")));
    for volume in access::list(pod, &["volumes"]) {
        let Some(claim) = volume.get("persistentVolumeClaim") else { continue };
        let is_read_only = claim.get("readOnly").and_then(Json::as_bool) == Some(true);
        let name = access::text(claim, &["claimName"]).unwrap_or_default();
        // One that is called after the release is another one in the other release.
        if !is_read_only && !name.contains("-blue") {
            reasons.push(format!("writes to the volume of the claim `{name}`, which both have"));
        }
    }
    reasons
}

/// The hosts and paths that an Ingress answers for.
fn hosts(kind: &str, object: &Json) -> Vec<String> {
    if kind != "Ingress" {
        return Vec::new();
    }
    let mut all = Vec::new();
    for rule in access::list(object, &["spec", "rules"]) {
        let host = access::text(rule, &["host"]).unwrap_or("every host");
        for path in access::list(rule, &["http", "paths"]) {
            all.push(format!("{host}{}", access::text(path, &["path"]).unwrap_or("/")));
        }
    }
    all
}

/// Whether the pods of a workload lack the label that tells the releases apart.
fn unlabelled(object: &Json, label: &str, release: &str) -> Option<String> {
    if !matches!(access::kind(object), "Deployment" | "StatefulSet" | "DaemonSet") {
        return None;
    }
    let labels = object.pointer("/spec/template/metadata/labels");
    let value = access::string_map(labels).get(label).copied().unwrap_or_default();
    (value != release).then(|| {
        format!("has pods without the label `{label}: RELEASE`, by which the Service tells releases apart")
    })
}
