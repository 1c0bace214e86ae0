//! Charts that cannot run twice beside one another, where the strategy is `blueGreen`: what both
//! releases would have, or would fight over.

use std::collections::BTreeSet;

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
    let (Some(blue), Some(green)) = (in_slot(release, Slot::Blue), in_slot(release, Slot::Green))
    else {
        return Vec::new();
    };
    let others = objects(&green, Part::Rest);
    let names: BTreeSet<String> = others.iter().map(|other| other.key.to_string()).collect();
    let shared: BTreeSet<String> =
        others.iter().flat_map(|other| shareable(&other.manifest.object)).collect();
    let hooks: BTreeSet<String> =
        blue.rendered.hooks.iter().map(|hook| hook.manifest.key.to_string()).collect();
    let mut found = Vec::new();
    for object in objects(&blue, Part::Rest) {
        let name = object.key.to_string();
        // A hook goes before the next one of its name is made.
        if hooks.contains(&name) {
            continue;
        }
        let json = &*object.manifest.object;
        let mut reasons: Vec<String> = Vec::new();
        if names.contains(&name) {
            reasons.push("has the same name in both releases".to_owned());
        }
        reasons.extend(alone(json));
        let both = shareable(json).into_iter().filter(|one| shared.contains(one));
        reasons.extend(both.map(|one| format!("{one}, as that of the other release does")));
        if let Some(TrafficKind::Service(label)) = spec.traffic.object().map(|object| object.kind) {
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

/// Why there can be but one of an object, whatever its name.
fn alone(object: &Json) -> Vec<String> {
    match access::kind(object) {
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
    reasons
}

/// What an object does that only one may, each as text: where two say the same, they are in each
/// other's way.
fn shareable(object: &Json) -> Vec<String> {
    match access::kind(object) {
        "Ingress" => {
            let rules = access::list(object, &["spec", "rules"]).iter().flat_map(|rule| {
                let host = access::text(rule, &["host"]).unwrap_or("every host");
                let paths = access::list(rule, &["http", "paths"]).iter();
                paths.map(move |path| answers(host, access::text(path, &["path"])))
            });
            rules.collect()
        }
        "HTTPRoute" => {
            let hosts = access::list(object, &["spec", "hostnames"]).iter();
            let mut hosts: Vec<_> = hosts.filter_map(Json::as_str).collect();
            if hosts.is_empty() {
                hosts.push("every host");
            }
            let rules = access::list(object, &["spec", "rules"]).iter();
            let matches = rules.flat_map(|rule| access::list(rule, &["matches"]));
            let mut paths: Vec<_> =
                matches.map(|one| access::text(one, &["path", "value"])).collect();
            if paths.is_empty() {
                paths.push(None);
            }
            let each = |host| paths.iter().map(move |path| answers(host, *path));
            hosts.into_iter().flat_map(each).collect()
        }
        _ => {
            let volumes = pod_of(object).map(|pod| access::list(pod, &["volumes"]));
            let claims = volumes.into_iter().flatten().filter_map(|volume| {
                let claim = volume.get("persistentVolumeClaim")?;
                let is_read_only = claim.get("readOnly").and_then(Json::as_bool) == Some(true);
                let name = access::text(claim, &["claimName"])?;
                (!is_read_only).then(|| format!("writes to the volume of the claim `{name}`"))
            });
            claims.collect()
        }
    }
}

fn answers(host: &str, path: Option<&str>) -> String {
    format!("answers for {host}{}", path.unwrap_or("/"))
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
