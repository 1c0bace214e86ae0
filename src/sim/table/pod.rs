//! Pods: a row says why one does not run.

use serde_json::{Value as Json, json};

use super::Column;
use super::cells::{Row, age};
use crate::base::clock::Timestamp;
use crate::object::access;

pub(super) const COLUMNS: &[Column] = &[
    ("Name", "string", 0),
    ("Ready", "string", 0),
    ("Status", "string", 0),
    ("Restarts", "string", 0),
    ("Age", "string", 0),
    ("IP", "string", 1),
    ("Node", "string", 1),
    ("Nominated Node", "string", 1),
    ("Readiness Gates", "string", 1),
];

/// What the containers of a pod add up to.
#[derive(Default)]
struct Sum {
    ready: i64,
    restarts: i64,
    last_restart: Option<Timestamp>,
}

impl Sum {
    fn add(&mut self, status: &Json) {
        self.restarts += access::number(status, &["restartCount"]).unwrap_or(0);
        let ended = access::text(status, &["lastState", "terminated", "finishedAt"]);
        self.last_restart = self.last_restart.max(ended.and_then(|text| text.parse().ok()));
    }
}

pub(super) fn cells(row: &Row<'_>) -> Vec<Json> {
    let (sum, reason) = read(row);
    let total = row.count(&["spec", "containers"]) + sidecars(row).count() as i64;
    let restarts = match sum.last_restart.filter(|_| sum.restarts > 0) {
        Some(at) => format!("{} ({} ago)", sum.restarts, age(at, row.now)),
        None => sum.restarts.to_string(),
    };
    let ip = access::list(row.object, &["status", "podIPs"]).first();
    let ip = ip.and_then(|ip| access::text(ip, &["ip"])).unwrap_or("<none>");
    vec![
        row.name(),
        json!(format!("{}/{total}", sum.ready)),
        json!(reason),
        json!(restarts),
        row.age(),
        json!(ip),
        row.text_or(&["spec", "nodeName"], "<none>"),
        row.text_or(&["status", "nominatedNodeName"], "<none>"),
        gates(row),
    ]
}

fn sidecars<'a>(row: &Row<'a>) -> impl Iterator<Item = &'a str> + use<'a> {
    access::list(row.object, &["spec", "initContainers"])
        .iter()
        .filter(|container| access::text(container, &["restartPolicy"]) == Some("Always"))
        .filter_map(|container| access::text(container, &["name"]))
}

fn gates(row: &Row<'_>) -> Json {
    let gates = access::list(row.object, &["spec", "readinessGates"]);
    if gates.is_empty() {
        return json!("<none>");
    }
    let is_open = |gate: &&Json| {
        access::text(gate, &["conditionType"]).is_some_and(|kind| has_condition(row, kind))
    };
    json!(format!("{}/{}", gates.iter().filter(is_open).count(), gates.len()))
}

fn has_condition(row: &Row<'_>, kind: &str) -> bool {
    access::list(row.object, &["status", "conditions"]).iter().any(|condition| {
        access::text(condition, &["type"]) == Some(kind)
            && access::text(condition, &["status"]) == Some("True")
    })
}

/// The sum over the containers, and the word for the whole.
fn read(row: &Row<'_>) -> (Sum, String) {
    let phase = row.text(&["status", "phase"]);
    let own = row.text(&["status", "reason"]);
    let mut reason = if own.is_empty() { phase } else { own }.to_owned();
    let mut sum = Sum::default();
    let initializing = init_reason(row, &mut sum);
    if let Some(initializing) = &initializing {
        reason.clone_from(initializing);
    }
    if initializing.is_none() || has_condition(row, "Initialized") {
        sum = Sum { ready: sum.ready, ..Sum::default() };
        let sidecars: Vec<_> = sidecars(row).collect();
        for status in access::list(row.object, &["status", "initContainerStatuses"]) {
            if access::text(status, &["name"]).is_some_and(|name| sidecars.contains(&name)) {
                sum.add(status);
            }
        }
        container_reason(row, &mut sum, &mut reason);
    }
    if row.is_ending() && own == "NodeLost" {
        "Unknown".clone_into(&mut reason);
    } else if row.is_ending() && !matches!(phase, "Succeeded" | "Failed") {
        "Terminating".clone_into(&mut reason);
    }
    (sum, reason)
}

/// Which init container is in the way, if one is.
fn init_reason(row: &Row<'_>, sum: &mut Sum) -> Option<String> {
    let sidecars: Vec<_> = sidecars(row).collect();
    let total = row.count(&["spec", "initContainers"]);
    for (at, status) in
        access::list(row.object, &["status", "initContainerStatuses"]).iter().enumerate()
    {
        sum.add(status);
        let name = access::text(status, &["name"]).unwrap_or_default();
        let ended = access::at(status, &["state", "terminated"]);
        let exit_code = ended.and_then(|ended| access::number(ended, &["exitCode"]));
        let is_started = status.get("started") == Some(&Json::Bool(true));
        if exit_code == Some(0) {
            continue;
        }
        if sidecars.contains(&name) && is_started {
            sum.ready += i64::from(status.get("ready") == Some(&Json::Bool(true)));
            continue;
        }
        let waiting = access::text(status, &["state", "waiting", "reason"]).unwrap_or_default();
        return Some(match ended {
            Some(ended) => format!("Init:{}", end_reason(ended)),
            None if !waiting.is_empty() && waiting != "PodInitializing" => {
                format!("Init:{waiting}")
            }
            None => format!("Init:{at}/{total}"),
        });
    }
    None
}

fn end_reason(ended: &Json) -> String {
    let reason = access::text(ended, &["reason"]).unwrap_or_default();
    let signal = access::number(ended, &["signal"]).unwrap_or(0);
    match (reason, signal) {
        ("", 0) => format!("ExitCode:{}", access::number(ended, &["exitCode"]).unwrap_or(0)),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

/// The first container that has something to say decides.
fn container_reason(row: &Row<'_>, sum: &mut Sum, reason: &mut String) {
    let mut is_running = false;
    let mut failure = None;
    for status in access::list(row.object, &["status", "containerStatuses"]).iter().rev() {
        sum.add(status);
        let waiting = access::text(status, &["state", "waiting", "reason"]).unwrap_or_default();
        let is_ready = status.get("ready") == Some(&Json::Bool(true));
        if !waiting.is_empty() {
            waiting.clone_into(reason);
        } else if let Some(ended) = access::at(status, &["state", "terminated"]) {
            *reason = end_reason(ended);
            if access::number(ended, &["exitCode"]) != Some(0) {
                failure = Some(reason.clone());
            }
        } else if is_ready && access::at(status, &["state", "running"]).is_some() {
            is_running = true;
            sum.ready += 1;
        }
    }
    if reason == "Completed" {
        if is_running && has_condition(row, "Ready") {
            "Running".clone_into(reason);
        } else if let Some(failure) = failure {
            *reason = failure;
        } else if is_running {
            "NotReady".clone_into(reason);
        }
    }
}
