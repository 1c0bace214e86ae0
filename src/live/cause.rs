//! Why an object is not healthy, as its pods, its events and their logs tell.
//!
//! Asked for once something has failed, and never in the way of it: what cannot be read is left out.

use std::fmt;

use serde::Serialize;
use serde_json::Value as Json;

use super::Live;
use super::read::pods_of;
use crate::health::{self, Condition, Health, pod};
use crate::k8s::{ClusterClient, LogPart};
use crate::object::access;
use crate::object::key::ObjectKey;
use crate::object::secret;

/// Objects that are looked into; a release that fails as a whole has many.
const OBJECTS_MAX: usize = 5;
/// Last lines of a container that are told.
const LAST: LogPart = LogPart { is_previous: false, lines: 10, bytes: 4 << 10 };
/// All lines of a container, as far as that is sensible.
const ALL: LogPart = LogPart { is_previous: false, lines: 10_000, bytes: 1 << 20 };

/// Why an object is not healthy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// What it is, and in words why.
    pub reason: String,
    /// The last words of the container that ended with an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<PodLog>,
}

impl Cause {
    /// Whether a text says it already, be it in other words around it.
    pub fn is_said_in(&self, text: &str) -> bool {
        self.reason.split(": ").all(|part| text.contains(part))
    }
}

/// Lines of a container's log. Values of the release's Secrets are hidden in them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PodLog {
    /// The pod.
    pub pod: String,
    /// The container.
    pub container: String,
    /// Its lines.
    pub lines: Vec<String>,
}

impl fmt::Display for PodLog {
    /// A line that says whose words they are, and they.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "container `{}` of pod `{}` said:", self.container, self.pod)?;
        for line in &self.lines {
            write!(f, "\n    | {line}")?;
        }
        Ok(())
    }
}

/// Why the objects of a release that are not healthy are not; most urgent first.
pub async fn causes<'a>(
    client: &ClusterClient,
    live: &Live,
    unhealthy: impl IntoIterator<Item = (&'a ObjectKey, &'a Health)>,
) -> Vec<Cause> {
    let hidden = secret::Values::of(live.objects.values());
    let mut unhealthy: Vec<_> = unhealthy.into_iter().collect();
    unhealthy.sort_by_key(|(_, health)| std::cmp::Reverse(health.urgency()));
    let mut causes = Vec::new();
    for (key, _) in unhealthy.into_iter().take(OBJECTS_MAX) {
        let Some(object) = live.objects.get(key) else { continue };
        if let Some(cause) = cause(client, object, &hidden).await {
            causes.push(Cause { reason: format!("{key}: {}", cause.reason), ..cause });
        }
    }
    causes
}

/// Why one object is not healthy, where more is known than it says itself.
pub async fn cause(
    client: &ClusterClient,
    object: &Json,
    hidden: &secret::Values,
) -> Option<Cause> {
    let group = access::group_of(access::api_version(object));
    if (group, access::kind(object)) == ("", "Pod") {
        return of_pod(client, object, hidden).await;
    }
    if health::has_pods(group, access::kind(object)) {
        // Without the right to see pods, the object's own events still say something.
        let pods = pods_of(client, object).await.unwrap_or_default();
        if let Some(pod) = worst(&pods) {
            return of_pod(client, pod, hidden).await;
        }
    }
    let reason = warning(client, object).await?;
    Some(Cause { reason: hidden.hide(&reason), log: None })
}

/// The pod that is worst off, if any is not well.
fn worst(pods: &[Json]) -> Option<&Json> {
    let judged = pods.iter().map(|pod| (health::of(pod), pod));
    let unwell = judged.filter(|(health, _)| !health.is_ready());
    let worst = unwell.max_by_key(|(health, pod)| {
        (health.urgency(), std::cmp::Reverse(access::name(pod).to_owned()))
    });
    worst.map(|(_, pod)| pod)
}

async fn of_pod(client: &ClusterClient, pod: &Json, hidden: &secret::Values) -> Option<Cause> {
    let health = health::of(pod);
    if health.is_ready() {
        return None;
    }
    // One that is stuck says itself why; of one that is on its way, its events may.
    let warning = match health.condition {
        Condition::Progressing => warning(client, pod).await,
        _ => None,
    };
    let reason = warning.unwrap_or(health.message);
    let log = match pod::culprit(pod) {
        Some(culprit) => {
            let part = LogPart { is_previous: culprit.is_of_previous_run, ..LAST };
            log(client, pod, &culprit.container, part, hidden).await
        }
        None => None,
    };
    let reason = format!("pod `{}`: {}", access::name(pod), hidden.hide(&reason));
    Some(Cause { reason, log })
}

/// The newest warning about an object.
async fn warning(client: &ClusterClient, object: &Json) -> Option<String> {
    let events = client.events_of(access::namespace(object), access::uid(object)).await.ok()?;
    newest_warning(&events)
}

fn newest_warning(events: &[Json]) -> Option<String> {
    let is_warning = |event: &&Json| access::text(event, &["type"]) == Some("Warning");
    let newest = events.iter().filter(is_warning).max_by_key(|event| {
        let time = |field: &str| access::text(event, &[field]).unwrap_or_default();
        time("lastTimestamp").max(time("eventTime")).to_owned()
    })?;
    let text = |field: &str| access::text(newest, &[field]).unwrap_or_default();
    Some(format!("{} ({})", text("message").trim(), text("reason")))
}

/// Everything that the containers of a workload or a pod have said, as far as it can be had.
pub async fn logs(client: &ClusterClient, object: &Json, hidden: &secret::Values) -> Vec<PodLog> {
    let pods = match access::kind(object) {
        "Pod" => vec![object.clone()],
        _ => pods_of(client, object).await.unwrap_or_default(),
    };
    let mut logs = Vec::new();
    for pod in &pods {
        for container in pod::container_names(pod) {
            logs.extend(log(client, pod, container, ALL, hidden).await);
        }
    }
    logs
}

async fn log(
    client: &ClusterClient,
    pod: &Json,
    container: &str,
    part: LogPart,
    hidden: &secret::Values,
) -> Option<PodLog> {
    let (namespace, name) = (access::namespace(pod), access::name(pod));
    let text = client.log(namespace, name, container, part).await.ok()?;
    let lines: Vec<String> = text.lines().map(|line| printable(&hidden.hide(line))).collect();
    (!lines.is_empty()).then(|| PodLog {
        pod: name.to_owned(),
        container: container.to_owned(),
        lines,
    })
}

/// Without what a terminal would take as orders.
fn printable(line: &str) -> String {
    line.chars().filter(|character| !character.is_control() || *character == '\t').collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_newest_warning_is_told() {
        let event = |kind: &str, message: &str, at: &str| json!({"type": kind, "reason": "R", "message": message, "lastTimestamp": at});
        let events = [
            event("Warning", "old", "2026-01-01T00:00:00Z"),
            event("Warning", "new", "2026-01-02T00:00:00Z"),
            event("Normal", "newer", "2026-01-03T00:00:00Z"),
        ];
        assert_eq!(newest_warning(&events).unwrap(), "new (R)");
        assert_eq!(newest_warning(&events[2..]), None);
    }

    #[test]
    fn the_pod_that_is_worst_off_is_the_one_that_cannot_go_on() {
        let pod = |name: &str, status: Json| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "status": status});
        let ready = pod("a", json!({"conditions": [{"type": "Ready", "status": "True"}]}));
        let starting = pod("b", json!({}));
        let waiting = json!({"waiting": {"reason": "ErrImagePull"}});
        let stuck = pod("c", json!({"containerStatuses": [{"name": "c", "state": waiting}]}));
        let pods = [ready, starting, stuck];
        assert_eq!(worst(&pods).map(access::name), Some("c"));
        assert_eq!(worst(&pods[..2]).map(access::name), Some("b"));
        assert_eq!(worst(&pods[..1]), None);
    }
}
