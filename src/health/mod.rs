//! Health of an object and of an instance: pure rules, one file for each kind.
//!
//! The rules are those of kstatus, the library that most tools share, with one addition: where a
//! workload is not ready, its pods say why. Knows nothing of clusters or time.

mod apiservice;
mod autoscaler;
mod budget;
pub mod check;
mod crd;
mod cronjob;
mod custom;
mod daemonset;
pub mod deletion;
mod deployment;
mod job;
mod namespace;
pub mod pod;
mod pvc;
mod replicaset;
mod service;
mod statefulset;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::object::access;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// All is as asked for.
    Ready,
    /// On its way.
    Progressing,
    /// Not moving, and not likely to without help.
    Stalled,
    /// It said so itself.
    Failed,
    /// Not seen: no evidence either way.
    Unknown,
}

/// How something is and why, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// How it is.
    pub condition: Condition,
    /// A few words: `2 of 3 replicas are ready`, `container server waits: ImagePullBackOff`.
    pub message: String,
}

impl Health {
    /// All is as asked for.
    pub fn ready(message: impl Into<String>) -> Self {
        Self { condition: Condition::Ready, message: message.into() }
    }

    /// On its way.
    pub fn progressing(message: impl Into<String>) -> Self {
        Self { condition: Condition::Progressing, message: message.into() }
    }

    /// Not moving.
    pub fn stalled(message: impl Into<String>) -> Self {
        Self { condition: Condition::Stalled, message: message.into() }
    }

    /// It said so itself.
    pub fn failed(message: impl Into<String>) -> Self {
        Self { condition: Condition::Failed, message: message.into() }
    }

    /// Not seen.
    pub fn unknown(message: impl Into<String>) -> Self {
        Self { condition: Condition::Unknown, message: message.into() }
    }

    /// Whether all is as asked for.
    pub fn is_ready(&self) -> bool {
        self.condition == Condition::Ready
    }

    /// How much attention it needs: what failed comes before what was not seen, and that before
    /// what is under way.
    pub fn urgency(&self) -> u8 {
        match self.condition {
            Condition::Failed => 4,
            Condition::Stalled => 3,
            Condition::Unknown => 2,
            Condition::Progressing => 1,
            Condition::Ready => 0,
        }
    }
}

/// The health of an object by itself.
pub fn of(object: &Json) -> Health {
    if let Some(deleted) = deletion::health(object) {
        return deleted;
    }
    let group = access::group_of(access::api_version(object));
    match (group, access::kind(object)) {
        ("apps", "Deployment") => deployment::health(object),
        ("apps", "StatefulSet") => statefulset::health(object),
        ("apps", "DaemonSet") => daemonset::health(object),
        ("apps", "ReplicaSet") | ("", "ReplicationController") => replicaset::health(object),
        ("batch", "Job") => job::health(object),
        ("", "Pod") => pod::health(object),
        ("", "PersistentVolumeClaim") => pvc::health(object),
        ("", "Service") => service::health(object),
        ("", "Namespace") => namespace::health(object),
        ("batch", "CronJob") => cronjob::health(object),
        ("autoscaling", "HorizontalPodAutoscaler") => autoscaler::health(object),
        ("apiregistration.k8s.io", "APIService") => apiservice::health(object),
        ("policy", "PodDisruptionBudget") => budget::health(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => crd::health(object),
        _ => custom::health(object),
    }
}

/// Whether an object is no workload whose pods serve something, or has one that is ready.
pub fn has_ready_pod(object: &Json) -> bool {
    let group = access::group_of(access::api_version(object));
    let (wanted, ready) = match (group, access::kind(object)) {
        ("apps", "Deployment" | "StatefulSet" | "ReplicaSet") => {
            (access::number(object, &["spec", "replicas"]), "readyReplicas")
        }
        ("apps", "DaemonSet") => {
            (Some(status_number(object, "desiredNumberScheduled")), "numberReady")
        }
        _ => return true,
    };
    wanted == Some(0) || status_number(object, ready) > 0
}

/// The health of a workload in the light of its pods: where it is not ready and a pod cannot go
/// on, it is [`Condition::Stalled`], and the message names the pod and its reason.
pub fn of_workload(object: &Json, pods: &[Json]) -> Health {
    let own = of(object);
    if own.is_ready() {
        return own;
    }
    let worst = pods
        .iter()
        .map(|pod| (pod::health(pod), access::name(pod)))
        .filter(|(health, _)| health.urgency() >= Health::stalled("").urgency())
        .max_by_key(|(health, name)| (health.urgency(), std::cmp::Reverse(*name)));
    match worst {
        None => own,
        Some((pod, name)) => Health {
            condition: if own.urgency() >= 3 { own.condition } else { Condition::Stalled },
            message: format!("{}; pod `{name}`: {}", own.message, pod.message),
        },
    }
}

/// Whether an object takes itself away once it has done its work: a Job with a time to live.
pub fn takes_itself_away(object: &Json) -> bool {
    access::group_of(access::api_version(object)) == "batch"
        && access::kind(object) == "Job"
        && access::number(object, &["spec", "ttlSecondsAfterFinished"]).is_some()
}

/// Whether an object of this kind is ready as soon as it is written, and need not be looked at again:
/// nothing acts on it that would say how it is. A Secret is looked at for its values, which are hidden
/// in what containers say.
pub fn is_ready_when_written(group: &str, kind: &str) -> bool {
    match group {
        "" => matches!(kind, "ConfigMap" | "ServiceAccount" | "LimitRange"),
        "rbac.authorization.k8s.io" | "scheduling.k8s.io" => true,
        "networking.k8s.io" => matches!(kind, "NetworkPolicy" | "IngressClass"),
        "storage.k8s.io" => kind == "StorageClass",
        _ => false,
    }
}

/// Whether pods say more about an object than it does itself.
pub fn has_pods(group: &str, kind: &str) -> bool {
    matches!(
        (group, kind),
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
            | ("", "ReplicationController")
            | ("batch", "Job")
    )
}

/// The health of many as one: the most urgent decides, and its message names it.
pub fn of_all<'a>(parts: impl IntoIterator<Item = (String, &'a Health)>) -> Health {
    let mut total = 0_usize;
    let mut ready = 0_usize;
    let mut worst: Option<(String, &Health)> = None;
    for (name, health) in parts {
        total += 1;
        ready += usize::from(health.is_ready());
        if !health.is_ready()
            && worst.as_ref().is_none_or(|(_, before)| health.urgency() > before.urgency())
        {
            worst = Some((name, health));
        }
    }
    match worst {
        Some((name, health)) => {
            Health { condition: health.condition, message: format!("{name}: {}", health.message) }
        }
        None if total == 0 => Health::ready("has no objects"),
        None => Health::ready(format!("{ready} of {total} objects are ready")),
    }
}

/// A condition of `status.conditions`.
struct StatusCondition<'a> {
    status: &'a str,
    reason: &'a str,
    message: &'a str,
}

impl StatusCondition<'_> {
    fn is_true(&self) -> bool {
        self.status == "True"
    }

    fn is_false(&self) -> bool {
        self.status == "False"
    }

    /// Its words for people: the message, else the reason.
    fn words(&self) -> &str {
        if self.message.is_empty() { self.reason } else { self.message }
    }
}

fn condition<'a>(object: &'a Json, kind: &str) -> Option<StatusCondition<'a>> {
    let conditions = access::list(object, &["status", "conditions"]);
    let found = conditions.iter().find(|item| access::text(item, &["type"]) == Some(kind))?;
    let text = |field| access::text(found, &[field]).unwrap_or_default();
    Some(StatusCondition {
        status: text("status"),
        reason: text("reason"),
        message: text("message"),
    })
}

/// Progressing, as long as the controller has not seen the newest generation. `required` is for
/// kinds whose controllers always write `observedGeneration`.
fn unobserved(object: &Json, required: bool) -> Option<Health> {
    let generation = access::number(object, &["metadata", "generation"])?;
    let observed = access::number(object, &["status", "observedGeneration"]);
    let is_seen = match observed {
        Some(observed) => observed >= generation,
        None => !required,
    };
    (!is_seen).then(|| Health::progressing("the newest generation is not observed yet"))
}

fn status_number(object: &Json, field: &str) -> i64 {
    access::number(object, &["status", field]).unwrap_or(0)
}

fn count(number: i64, total: i64, what: &str, state: &str) -> String {
    let plural = if total == 1 { "" } else { "s" };
    let verb = if total == 1 { "is" } else { "are" };
    format!("{number} of {total} {what}{plural} {verb} {state}")
}

#[cfg(test)]
mod tests;
