//! DaemonSets: a pod on each node that their `nodeSelector` leaves.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use super::revision::{self, HASH_LABEL};
use super::round::{Round, is_ending};
use super::{node, replicas};
use crate::object::access;

/// The pods of one node.
#[derive(Default)]
struct Place<'a> {
    new: Option<&'a Json>,
    old: Option<&'a Json>,
}

pub(super) fn run(round: &mut Round<'_>) {
    for object in round.of("apps", "DaemonSet") {
        if !is_ending(object) {
            reconcile(round, object);
        }
    }
}

fn reconcile<'a>(round: &mut Round<'a>, object: &'a Json) {
    let hash = revision::record(round, object);
    let spec = access::at(object, &["spec", "template", "spec"]).unwrap_or(&Json::Null);
    let nodes: BTreeSet<&str> = node::matching(round, spec).into_iter().map(access::name).collect();
    let mut places: BTreeMap<&str, Place<'_>> =
        nodes.iter().map(|node| (*node, Place::default())).collect();
    for pod in round.children(object).to_vec() {
        if replicas::is_over(pod) {
            // The node's place is free again only once it is gone.
            round.delete(pod);
            continue;
        }
        let node = access::text(pod, &["spec", "nodeName"]).unwrap_or_default();
        let Some(place) = places.get_mut(node).filter(|_| !is_ending(pod)) else {
            if !is_ending(pod) {
                round.delete(pod);
            }
            continue;
        };
        let is_new = access::label(pod, HASH_LABEL) == Some(&hash);
        let slot = if is_new { &mut place.new } else { &mut place.old };
        match slot {
            None => *slot = Some(pod),
            Some(_) => round.delete(pod),
        }
    }
    for (node, place) in &places {
        if place.new.is_none() && place.old.is_none() {
            make(round, object, node, &hash);
        }
    }
    if access::text(object, &["spec", "updateStrategy", "type"]) != Some("OnDelete") {
        update(round, object, &places, &hash);
    }
    // Before the nodes are there, it is not known how many pods there shall be.
    if round.nodes_wanted() == 0 || round.of("", "Node").next().is_some() {
        status(round, object, &places);
    }
}

fn make(round: &mut Round<'_>, object: &Json, node: &str, hash: &str) {
    let name = replicas::pod_name(round, object, node);
    let mut pod = replicas::pod(round, object, &name, &[(HASH_LABEL, hash)]);
    pod["spec"]["nodeName"] = Json::from(node);
    round.create(pod);
}

/// Ends old pods, or makes new ones beside them, as far as the strategy lets it.
fn update(round: &mut Round<'_>, object: &Json, places: &BTreeMap<&str, Place<'_>>, hash: &str) {
    let wanted = i64::try_from(places.len()).unwrap_or(i64::MAX);
    let rolling = |field| access::at(object, &["spec", "updateStrategy", "rollingUpdate", field]);
    let surge = replicas::share(rolling("maxSurge"), wanted, "0", true);
    let mut spare = replicas::share(rolling("maxUnavailable"), wanted, "1", true);
    let min_ready = replicas::min_ready_seconds(object);
    let mut is_up =
        |pod: Option<&Json>| pod.is_some_and(|pod| replicas::is_available(round, pod, min_ready));
    let states: Vec<_> = places
        .iter()
        .map(|(node, place)| (*node, place, is_up(place.new), is_up(place.old)))
        .collect();
    let mut beside = surge
        - count(states.iter().filter(|(_, place, ..)| place.new.is_some() && place.old.is_some()));
    spare -= count(states.iter().filter(|(_, _, new, old)| !new && !old));
    for (node, place, is_new_up, is_old_up) in states {
        let Some(old) = place.old else { continue };
        if is_new_up || (!is_old_up && place.new.is_none()) {
            // It serves nobody, or nobody needs it any more.
            round.delete(old);
        } else if surge == 0 && place.new.is_none() && spare > 0 {
            spare -= 1;
            round.delete(old);
        } else if place.new.is_none() && beside > 0 {
            beside -= 1;
            make(round, object, node, hash);
        }
    }
}

fn count<T>(items: impl Iterator<Item = T>) -> i64 {
    i64::try_from(items.count()).unwrap_or(i64::MAX)
}

fn status(round: &mut Round<'_>, object: &Json, places: &BTreeMap<&str, Place<'_>>) {
    let min_ready = replicas::min_ready_seconds(object);
    let wanted = count(places.iter());
    let (mut current, mut updated, mut ready, mut available) = (0, 0, 0, 0);
    for place in places.values() {
        // The newer pod speaks for a node that has two.
        let both = [place.new, place.old].into_iter().flatten();
        let pods: Vec<_> = both.filter(|pod| replicas::is_active(pod)).collect();
        current += i64::from(!pods.is_empty());
        updated += i64::from(place.new.is_some());
        ready += i64::from(pods.iter().any(|pod| replicas::is_ready(pod)));
        let is_up = pods.iter().any(|pod| replicas::is_available(round, pod, min_ready));
        available += i64::from(is_up);
    }
    let mut status = json!({
        "currentNumberScheduled": current, "desiredNumberScheduled": wanted,
        "numberMisscheduled": 0, "numberReady": ready,
    });
    let optional = [
        ("updatedNumberScheduled", updated),
        ("numberAvailable", available),
        ("numberUnavailable", wanted - available),
    ];
    for (field, number) in optional {
        if number != 0 {
            status[field] = Json::from(number);
        }
    }
    if let Some(generation) = access::number(object, &["metadata", "generation"]) {
        status["observedGeneration"] = Json::from(generation);
    }
    round.status(object, status);
}
