//! What the controllers that make pods share: making them, counting them, choosing which to end.

use std::cmp::Reverse;
use std::time::Duration;

use serde_json::{Map, Value as Json, json};

use super::round::{Round, is_ending, owner_reference};
use super::{condition, names, node, time};
use crate::base::clock::Timestamp;
use crate::object::access;
use crate::object::key::ObjectKey;

/// Bytes of a name that a suffix is put behind.
const BASE_NAME_BYTES_MAX: usize = 57;

/// Whether a pod has ended for good.
pub(super) fn is_over(pod: &Json) -> bool {
    matches!(access::text(pod, &["status", "phase"]), Some("Succeeded" | "Failed"))
}

/// Whether a pod counts as one of its owner's replicas.
pub(super) fn is_active(pod: &Json) -> bool {
    !is_over(pod) && !is_ending(pod)
}

/// Whether a pod is ready.
pub(super) fn is_ready(pod: &Json) -> bool {
    is_active(pod) && condition::is_true(pod, "Ready")
}

/// Since when a pod counts as available, which may be in the future; never, while it is not ready.
pub(super) fn available_from(pod: &Json, min_ready_seconds: i64) -> Option<Timestamp> {
    if !is_ready(pod) {
        return None;
    }
    if min_ready_seconds == 0 {
        return Some(Timestamp::MIN);
    }
    let ready = condition::find(access::list(pod, &["status", "conditions"]), "Ready")?;
    let since = time::read(ready, &["lastTransitionTime"])?;
    Some(time::after(since, Duration::from_secs(min_ready_seconds.max(0).unsigned_abs())))
}

/// Numbers of pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) replicas: i64,
    pub(super) ready: i64,
    pub(super) available: i64,
    /// Pods that were told to end.
    pub(super) terminating: i64,
}

/// Counts active pods; wakes up when a ready one becomes available by mere waiting.
pub(super) fn count(round: &mut Round<'_>, pods: &[&Json], min_ready_seconds: i64) -> Counts {
    let terminating = pods.iter().filter(|pod| is_ending(pod)).count() as i64;
    let mut counts = Counts { terminating, ..Counts::default() };
    for pod in pods.iter().filter(|pod| is_active(pod)) {
        counts.replicas += 1;
        counts.ready += i64::from(is_ready(pod));
        counts.available += i64::from(is_available(round, pod, min_ready_seconds));
    }
    counts
}

/// Whether a pod is available; wakes up when it becomes so by mere waiting.
pub(super) fn is_available(round: &mut Round<'_>, pod: &Json, min_ready_seconds: i64) -> bool {
    let Some(from) = available_from(pod, min_ready_seconds) else { return false };
    round.wake_at(from);
    from <= round.now()
}

/// `spec.minReadySeconds`.
pub(super) fn min_ready_seconds(object: &Json) -> i64 {
    access::number(object, &["spec", "minReadySeconds"]).unwrap_or(0)
}

/// `spec.replicas`, which is 1 where it is absent.
pub(super) fn wanted(object: &Json) -> i64 {
    access::number(object, &["spec", "replicas"]).unwrap_or(1).max(0)
}

/// A name for one more pod of an owner, the same for the same cluster at the same time. `place`
/// tells those apart that are made in one round.
pub(super) fn pod_name(round: &Round<'_>, owner: &Json, place: &str) -> String {
    let mut base = access::name(owner);
    while base.len() > BASE_NAME_BYTES_MAX {
        base = &base[..base.floor_char_boundary(base.len() - 1)];
    }
    let now = round.now().as_nanosecond().to_string();
    let mut attempt = 0_u32;
    loop {
        let parts = [access::uid(owner), &now, place, &attempt.to_string()];
        let name = format!("{base}-{}", names::letters(names::hash(&parts), 5));
        if !round.has(&pod_key(access::namespace(owner), &name)) {
            return name;
        }
        attempt += 1;
    }
}

/// The key of a pod.
pub(super) fn pod_key(namespace: &str, name: &str) -> ObjectKey {
    ObjectKey {
        group: String::new(),
        kind: "Pod".to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

/// A pod as an owner's `spec.template` says, with labels of its own, placed on a node where one
/// fits: the scheduler is spared a write.
pub(super) fn pod(round: &Round<'_>, owner: &Json, name: &str, labels: &[(&str, &str)]) -> Json {
    let template = access::at(owner, &["spec", "template"]).unwrap_or(&Json::Null);
    let mut metadata = json!({
        "name": name,
        "namespace": access::namespace(owner),
        "ownerReferences": [owner_reference(owner)],
    });
    for map in ["labels", "annotations"] {
        if let Some(map_value) = access::at(template, &["metadata", map]) {
            metadata[map] = map_value.clone();
        }
    }
    let mut spec = template.get("spec").cloned().unwrap_or_else(|| json!({}));
    if spec.get("nodeName").is_none()
        && let Ok(node) = node::choose(round, &spec, name)
    {
        spec["nodeName"] = Json::from(node);
    }
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec});
    for (key, value) in labels {
        access::set_metadata(&mut pod, "labels", key, value);
    }
    pod
}

/// Ten letters that stand for a pod template of one kind of owner.
pub(super) fn template_hash(owner: &Json) -> String {
    let template = access::at(owner, &["spec", "template"]).unwrap_or(&Json::Null);
    names::letters(names::hash(&[access::kind(owner), &template.to_string()]), 10)
}

/// A number or a percentage of a whole, as `maxSurge` and its like have it.
pub(super) fn share(value: Option<&Json>, whole: i64, default: &str, rounds_up: bool) -> i64 {
    let text = match value {
        Some(Json::Number(number)) => return number.as_i64().unwrap_or(0).max(0),
        Some(Json::String(text)) => text,
        _ => default,
    };
    let Some(percent) = text.strip_suffix('%') else { return text.parse().unwrap_or(0).max(0) };
    let percent: i64 = percent.parse().unwrap_or(0).max(0);
    let hundredths = percent.saturating_mul(whole);
    if rounds_up { (hundredths + 99) / 100 } else { hundredths / 100 }
}

/// Active pods, the ones to end first at the front: those that serve nobody, then the youngest.
pub(super) fn by_worth<'a>(pods: &[&'a Json]) -> Vec<&'a Json> {
    let mut pods: Vec<_> = pods.iter().copied().filter(|pod| is_active(pod)).collect();
    pods.sort_by_key(|pod| {
        let is_placed = access::text(pod, &["spec", "nodeName"]).is_some();
        let is_running = access::text(pod, &["status", "phase"]) == Some("Running");
        let age = access::text(pod, &["metadata", "creationTimestamp"]);
        (is_placed, is_running, is_ready(pod), Reverse(age), access::name(pod))
    });
    pods
}

/// A map of labels with one more.
pub(super) fn with_label(labels: Option<&Json>, key: &str, value: &str) -> Json {
    let mut labels: Map<String, Json> =
        labels.and_then(Json::as_object).cloned().unwrap_or_default();
    labels.insert(key.to_owned(), Json::from(value));
    Json::Object(labels)
}
