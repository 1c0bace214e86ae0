//! ReplicaSets and ReplicationControllers: as many pods as they ask for.

use serde_json::Value as Json;

use super::replicas;
use super::round::{Round, is_ending, numbers};
use crate::object::access;

/// Pods that one object makes or ends in one round.
const BURST_MAX: usize = 500;

pub(super) fn run(round: &mut Round<'_>) {
    for (group, kind) in [("apps", "ReplicaSet"), ("", "ReplicationController")] {
        for object in round.of(group, kind) {
            if !is_ending(object) {
                reconcile(round, object);
            }
        }
    }
}

fn reconcile(round: &mut Round<'_>, object: &Json) {
    let pods = round.children(object).to_vec();
    let wanted = usize::try_from(replicas::wanted(object)).unwrap_or(0);
    let active = replicas::by_worth(&pods);
    for number in active.len()..wanted.min(active.len() + BURST_MAX) {
        let name = replicas::pod_name(round, object, &number.to_string());
        let pod = replicas::pod(round, object, &name, &[]);
        round.create(pod);
    }
    for pod in active.iter().take(active.len().saturating_sub(wanted).min(BURST_MAX)) {
        round.delete(pod);
    }
    // A pod that came to its end stays for its logs, as long as its owner does.
    status(round, object, &pods);
}

fn status(round: &mut Round<'_>, object: &Json, pods: &[&Json]) {
    let counts = replicas::count(round, pods, replicas::min_ready_seconds(object));
    let mut status = numbers(&[
        ("fullyLabeledReplicas", counts.replicas),
        ("readyReplicas", counts.ready),
        ("availableReplicas", counts.available),
    ]);
    status.insert("replicas".to_owned(), Json::from(counts.replicas));
    if let Some(generation) = access::number(object, &["metadata", "generation"]) {
        status.insert("observedGeneration".to_owned(), Json::from(generation));
    }
    round.status(object, Json::Object(status));
}
