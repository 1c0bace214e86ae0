//! Claims: made from a StatefulSet's templates, and bound at once.

use serde_json::{Value as Json, json};

use super::round::{Round, is_ending};
use crate::object::access;
use crate::object::key::ObjectKey;

pub(super) fn run(round: &mut Round<'_>) {
    for claim in round.of("", "PersistentVolumeClaim") {
        if is_ending(claim) || access::text(claim, &["status", "phase"]) == Some("Bound") {
            continue;
        }
        if access::text(claim, &["spec", "volumeName"]).unwrap_or_default().is_empty() {
            let mut claim = claim.clone();
            claim["spec"]["volumeName"] = Json::from(format!("pvc-{}", access::uid(&claim)));
            round.update(claim);
        }
        let mut status = json!({"phase": "Bound"});
        if let Some(modes) = access::at(claim, &["spec", "accessModes"]) {
            status["accessModes"] = modes.clone();
        }
        if let Some(capacity) = access::at(claim, &["spec", "resources", "requests"]) {
            status["capacity"] = capacity.clone();
        }
        round.status(claim, status);
    }
}

/// Makes the claims of a StatefulSet's pod that are not there yet, and has the pod use them.
pub(super) fn claims(round: &mut Round<'_>, set: &Json, pod_name: &str, pod: &mut Json) {
    let mut volumes = Vec::new();
    for template in access::list(set, &["spec", "volumeClaimTemplates"]) {
        let volume = access::name(template);
        let name = format!("{volume}-{pod_name}");
        volumes.push(json!({"name": volume, "persistentVolumeClaim": {"claimName": name}}));
        let key = ObjectKey {
            group: String::new(),
            kind: "PersistentVolumeClaim".to_owned(),
            namespace: access::namespace(set).to_owned(),
            name: name.clone(),
        };
        if round.has(&key) {
            continue;
        }
        let mut claim = template.clone();
        if let Some(fields) = claim.as_object_mut() {
            fields.remove("status");
        }
        claim["apiVersion"] = Json::from("v1");
        claim["kind"] = Json::from("PersistentVolumeClaim");
        claim["metadata"]["name"] = Json::from(name);
        claim["metadata"]["namespace"] = Json::from(access::namespace(set));
        for (label, value) in
            access::string_map(access::at(set, &["spec", "selector", "matchLabels"]))
        {
            access::set_metadata(&mut claim, "labels", label, value);
        }
        round.create(claim);
    }
    let is_other = |volume: &Json| !volumes.iter().any(|made| made["name"] == volume["name"]);
    let others = access::list(pod, &["spec", "volumes"]).iter().filter(|v| is_other(v)).cloned();
    let all: Vec<_> = others.chain(volumes.iter().cloned()).collect();
    if !all.is_empty() {
        pod["spec"]["volumes"] = Json::Array(all);
    }
}
