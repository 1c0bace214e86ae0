//! What a real API server adds to an object by itself, beyond defaults.

use serde_json::{Value as Json, json};

use super::kinds::Kind;
use super::metadata;
use crate::object::access;

/// Keeps a claim while a pod uses it.
const CLAIM_FINALIZER: &str = "kubernetes.io/pvc-protection";
/// Where a DaemonSet counts the changes of its template.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";
/// Taints that a pod bears for a while.
const BORNE_TAINTS: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];
/// How long, in seconds.
const BORNE_FOR: i64 = 300;

/// Adds to a new object what nobody owns.
pub(super) fn admit(kind: &Kind, object: &mut Json) {
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Pod") => pod(object),
        ("", "PersistentVolumeClaim") => {
            let mut finalizers: Vec<String> =
                metadata::finalizers(object).into_iter().map(str::to_owned).collect();
            if !finalizers.iter().any(|one| one == CLAIM_FINALIZER) {
                finalizers.push(CLAIM_FINALIZER.to_owned());
            }
            metadata::set_finalizers(object, &finalizers);
        }
        _ => {}
    }
}

/// Counts the changes of a DaemonSet's template, in an annotation that whoever writes owns.
pub(super) fn count_template(kind: &Kind, old: Option<&Json>, new: &mut Json) {
    if !kind.is("apps", "DaemonSet") {
        return;
    }
    let template = |object: &Json| access::at(object, &["spec", "template"]).cloned();
    let before = old.map_or(0, |old| {
        let text = access::annotation(old, TEMPLATE_GENERATION);
        text.and_then(|text| text.parse().ok()).unwrap_or(1)
    });
    let is_same = old.is_some_and(|old| template(old) == template(new));
    let count: i64 = if is_same { before } else { before + 1 };
    access::set_metadata(new, "annotations", TEMPLATE_GENERATION, &count.to_string());
}

fn pod(pod: &mut Json) {
    let Some(spec) = pod.get_mut("spec").and_then(Json::as_object_mut) else { return };
    spec.entry("priority").or_insert_with(|| json!(0));
    spec.entry("preemptionPolicy").or_insert_with(|| json!("PreemptLowerPriority"));
    let tolerations = spec.entry("tolerations").or_insert_with(|| json!([]));
    let Some(tolerations) = tolerations.as_array_mut() else { return };
    for taint in BORNE_TAINTS {
        let is_borne = |toleration: &Json| {
            let text = |field| access::text(toleration, &[field]).unwrap_or_default();
            (text("key").is_empty() || text("key") == taint)
                && matches!(text("effect"), "" | "NoExecute")
        };
        if !tolerations.iter().any(is_borne) {
            tolerations.push(json!({
                "key": taint, "operator": "Exists", "effect": "NoExecute",
                "tolerationSeconds": BORNE_FOR,
            }));
        }
    }
}
