//! Pods: placed on a node, then as their node reports them.

use serde_json::{Value as Json, json};

use super::condition::{self, Condition};
use super::round::{Round, is_ending};
use super::{kubelet, node, replicas, time};
use crate::object::access;

pub(super) fn run(round: &mut Round<'_>) {
    for pod in round.of("", "Pod") {
        if is_ending(pod) || replicas::is_over(pod) || is_settled(pod) {
            continue;
        }
        if access::text(pod, &["spec", "nodeName"]).unwrap_or_default().is_empty() {
            place(round, pod);
            continue;
        }
        let now = round.now();
        let start = time::read(pod, &["status", "startTime"]).unwrap_or(now);
        let (status, next) = kubelet::observe(pod, start, now);
        round.status(pod, status);
        if let Some(next) = next {
            round.wake_at(next);
        }
    }
}

/// Whether a pod has come to where it stays: nobody looks at the many that just run.
fn is_settled(pod: &Json) -> bool {
    condition::is_true(pod, "Ready")
        && access::text(pod, &["spec", "restartPolicy"]).is_none_or(|policy| policy == "Always")
        && access::number(pod, &["status", "observedGeneration"])
            == access::number(pod, &["metadata", "generation"])
}

fn place(round: &mut Round<'_>, pod: &Json) {
    if round.of("", "Node").next().is_none() && round.nodes_wanted() > 0 {
        // They are being made in this very round.
        return;
    }
    let spec = pod.get("spec").unwrap_or(&Json::Null);
    match node::choose(round, spec, access::name(pod)) {
        Ok(node) => {
            let mut pod = pod.clone();
            pod["spec"]["nodeName"] = Json::from(node);
            round.update(pod);
        }
        Err(why) => {
            let before = access::list(pod, &["status", "conditions"]);
            let condition = Condition::new("PodScheduled", false, "Unschedulable", &why);
            let condition = condition.entry(before, round.now());
            round.status(pod, json!({"phase": "Pending", "conditions": [condition]}));
        }
    }
}
