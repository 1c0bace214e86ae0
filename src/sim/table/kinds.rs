//! The layouts of built-in kinds.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::cells::{Row, duration, plain};
use super::{Column, autoscaler, pod};
use crate::base::clock::Timestamp;
use crate::object::access;

/// How a kind is laid out.
pub(super) struct Layout {
    pub(super) columns: &'static [Column],
    /// As many cells as there are columns.
    pub(super) cells: fn(&Row<'_>) -> Vec<Json>,
}

const NAME: Column = ("Name", "string", 0);

macro_rules! layout {
    ([$(($name:literal, $kind:literal, $priority:literal)),* $(,)?], $cells:expr) => {
        Some(Layout { columns: &[NAME, $(($name, $kind, $priority)),*], cells: $cells })
    };
}

/// The layout of a built-in kind; nothing for one that shows its name and date alone.
pub(super) fn of(group: &str, kind: &str) -> Option<Layout> {
    match (group, kind) {
        ("", "Pod") => Some(Layout { columns: pod::COLUMNS, cells: pod::cells }),
        ("autoscaling", "HorizontalPodAutoscaler") => {
            Some(Layout { columns: autoscaler::COLUMNS, cells: autoscaler::cells })
        }
        ("apps", _) => apps(kind),
        ("batch", _) => batch(kind),
        ("", _) => core(kind),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => layout!(
            [
                ("Role", "string", 0),
                ("Age", "string", 0),
                ("Users", "string", 1),
                ("Groups", "string", 1),
                ("ServiceAccounts", "string", 1),
            ],
            binding
        ),
        _ => other(group, kind),
    }
}

fn apps(kind: &str) -> Option<Layout> {
    match kind {
        "Deployment" => layout!(
            [
                ("Ready", "string", 0),
                ("Up-to-date", "string", 0),
                ("Available", "string", 0),
                ("Age", "string", 0),
                ("Containers", "string", 1),
                ("Images", "string", 1),
                ("Selector", "string", 1),
            ],
            deployment
        ),
        "StatefulSet" => layout!(
            [
                ("Ready", "string", 0),
                ("Age", "string", 0),
                ("Containers", "string", 1),
                ("Images", "string", 1),
            ],
            |row| {
                let ready = row.number(&["status", "readyReplicas"]);
                let wanted = row.number(&["spec", "replicas"]);
                let [names, images] = row.containers(&["spec", "template", "spec", "containers"]);
                vec![row.name(), json!(format!("{ready}/{wanted}")), row.age(), names, images]
            }
        ),
        "DaemonSet" => layout!(
            [
                ("Desired", "integer", 0),
                ("Current", "integer", 0),
                ("Ready", "integer", 0),
                ("Up-to-date", "integer", 0),
                ("Available", "integer", 0),
                ("Node Selector", "string", 0),
                ("Age", "string", 0),
                ("Containers", "string", 1),
                ("Images", "string", 1),
                ("Selector", "string", 1),
            ],
            daemon_set
        ),
        "ReplicaSet" => replica_set(),
        "ControllerRevision" => layout!(
            [("Controller", "string", 0), ("Revision", "string", 0), ("Age", "string", 0)],
            |row| {
                let owner = access::list(row.object, &["metadata", "ownerReferences"]).first();
                let controller = owner.map_or_else(
                    || "<none>".to_owned(),
                    |owner| {
                        let group = access::group_of(access::api_version(owner));
                        let kind = access::kind(owner).to_lowercase();
                        let name = access::text(owner, &["name"]).unwrap_or_default();
                        format!("{kind}.{group}/{name}")
                    },
                );
                vec![row.name(), json!(controller), json!(row.number(&["revision"])), row.age()]
            }
        ),
        _ => None,
    }
}

fn replica_set() -> Option<Layout> {
    layout!(
        [
            ("Desired", "integer", 0),
            ("Current", "integer", 0),
            ("Ready", "integer", 0),
            ("Age", "string", 0),
            ("Containers", "string", 1),
            ("Images", "string", 1),
            ("Selector", "string", 1),
        ],
        |row| {
            let [names, images] = row.containers(&["spec", "template", "spec", "containers"]);
            let is_controller = access::kind(row.object) == "ReplicationController";
            let selector = ["spec", "selector"];
            vec![
                row.name(),
                json!(row.number(&["spec", "replicas"])),
                json!(row.number(&["status", "replicas"])),
                json!(row.number(&["status", "readyReplicas"])),
                row.age(),
                names,
                images,
                if is_controller { row.labels(&selector) } else { row.selector(&selector) },
            ]
        }
    )
}

fn deployment(row: &Row<'_>) -> Vec<Json> {
    let status = |field| row.number(&["status", field]);
    let [names, images] = row.containers(&["spec", "template", "spec", "containers"]);
    vec![
        row.name(),
        json!(format!("{}/{}", status("readyReplicas"), row.number(&["spec", "replicas"]))),
        json!(status("updatedReplicas")),
        json!(status("availableReplicas")),
        row.age(),
        names,
        images,
        row.selector(&["spec", "selector"]),
    ]
}

fn daemon_set(row: &Row<'_>) -> Vec<Json> {
    let status = |field| json!(row.number(&["status", field]));
    let [names, images] = row.containers(&["spec", "template", "spec", "containers"]);
    vec![
        row.name(),
        status("desiredNumberScheduled"),
        status("currentNumberScheduled"),
        status("numberReady"),
        status("updatedNumberScheduled"),
        status("numberAvailable"),
        row.labels(&["spec", "template", "spec", "nodeSelector"]),
        row.age(),
        names,
        images,
        row.selector(&["spec", "selector"]),
    ]
}

fn batch(kind: &str) -> Option<Layout> {
    match kind {
        "Job" => layout!(
            [
                ("Status", "string", 0),
                ("Completions", "string", 0),
                ("Duration", "string", 0),
                ("Age", "string", 0),
                ("Containers", "string", 1),
                ("Images", "string", 1),
                ("Selector", "string", 1),
            ],
            job
        ),
        "CronJob" => layout!(
            [
                ("Schedule", "string", 0),
                ("Timezone", "string", 0),
                ("Suspend", "boolean", 0),
                ("Active", "integer", 0),
                ("Last Schedule", "string", 0),
                ("Age", "string", 0),
                ("Containers", "string", 1),
                ("Images", "string", 1),
                ("Selector", "string", 1),
            ],
            cron_job
        ),
        _ => None,
    }
}

fn job(row: &Row<'_>) -> Vec<Json> {
    let is_true = |kind: &str| {
        access::list(row.object, &["status", "conditions"]).iter().any(|condition| {
            access::text(condition, &["type"]) == Some(kind)
                && access::text(condition, &["status"]) == Some("True")
        })
    };
    let status = match () {
        () if is_true("Complete") => "Complete",
        () if is_true("Failed") => "Failed",
        () if row.is_ending() => "Terminating",
        () if is_true("Suspended") => "Suspended",
        () if is_true("FailureTarget") => "FailureTarget",
        () if is_true("SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    };
    let succeeded = row.number(&["status", "succeeded"]);
    let parallelism = row.number(&["spec", "parallelism"]);
    let completions = match access::number(row.object, &["spec", "completions"]) {
        Some(completions) => format!("{succeeded}/{completions}"),
        None if parallelism > 1 => format!("{succeeded}/1 of {parallelism}"),
        None => format!("{succeeded}/1"),
    };
    let time = |field| row.text(&["status", field]).parse::<Timestamp>().ok();
    let took = match (time("startTime"), time("completionTime")) {
        (None, _) => String::new(),
        (Some(start), end) => duration(end.unwrap_or(row.now).duration_since(start).as_secs()),
    };
    let [names, images] = row.containers(&["spec", "template", "spec", "containers"]);
    vec![
        row.name(),
        json!(status),
        json!(completions),
        json!(took),
        row.age(),
        names,
        images,
        row.selector(&["spec", "selector"]),
    ]
}

fn cron_job(row: &Row<'_>) -> Vec<Json> {
    let template = ["spec", "jobTemplate", "spec", "template", "spec", "containers"];
    let [names, images] = row.containers(&template);
    let last = ["status", "lastScheduleTime"];
    let suspend = if row.bool_or(&["spec", "suspend"], false) { "True" } else { "False" };
    vec![
        row.name(),
        json!(row.text(&["spec", "schedule"])),
        row.text_or(&["spec", "timeZone"], "<none>"),
        json!(suspend),
        json!(row.count(&["status", "active"])),
        if row.text(&last).is_empty() { json!("<none>") } else { row.since(&last) },
        row.age(),
        names,
        images,
        row.selector(&["spec", "jobTemplate", "spec", "selector"]),
    ]
}

fn core(kind: &str) -> Option<Layout> {
    match kind {
        "ReplicationController" => replica_set(),
        "Service" => layout!(
            [
                ("Type", "string", 0),
                ("Cluster-IP", "string", 0),
                ("External-IP", "string", 0),
                ("Port(s)", "string", 0),
                ("Age", "string", 0),
                ("Selector", "string", 1),
            ],
            service
        ),
        "Node" => layout!(
            [
                ("Status", "string", 0),
                ("Roles", "string", 0),
                ("Age", "string", 0),
                ("Version", "string", 0),
                ("Internal-IP", "string", 1),
                ("External-IP", "string", 1),
                ("OS-Image", "string", 1),
                ("Kernel-Version", "string", 1),
                ("Container-Runtime", "string", 1),
            ],
            node
        ),
        "Namespace" => layout!([("Status", "string", 0), ("Age", "string", 0)], |row| vec![
            row.name(),
            json!(row.text(&["status", "phase"])),
            row.age()
        ]),
        "Secret" => layout!(
            [("Type", "string", 0), ("Data", "string", 0), ("Age", "string", 0)],
            |row| vec![
                row.name(),
                json!(row.text(&["type"])),
                json!(row.count(&["data"])),
                row.age()
            ]
        ),
        "ConfigMap" => layout!([("Data", "string", 0), ("Age", "string", 0)], |row| vec![
            row.name(),
            json!(row.count(&["data"]) + row.count(&["binaryData"])),
            row.age()
        ]),
        "ServiceAccount" => layout!([("Age", "string", 0)], |row| vec![row.name(), row.age()]),
        "PersistentVolumeClaim" => layout!(
            [
                ("Status", "string", 0),
                ("Volume", "string", 0),
                ("Capacity", "string", 0),
                ("Access Modes", "string", 0),
                ("StorageClass", "string", 0),
                ("VolumeAttributesClass", "string", 0),
                ("Age", "string", 0),
                ("VolumeMode", "string", 1),
            ],
            claim
        ),
        "PersistentVolume" => layout!(
            [
                ("Capacity", "string", 0),
                ("Access Modes", "string", 0),
                ("Reclaim Policy", "string", 0),
                ("Status", "string", 0),
                ("Claim", "string", 0),
                ("StorageClass", "string", 0),
                ("VolumeAttributesClass", "string", 0),
                ("Reason", "string", 0),
                ("Age", "string", 0),
                ("VolumeMode", "string", 1),
            ],
            volume
        ),
        "Endpoints" => layout!([("Endpoints", "string", 0), ("Age", "string", 0)], |row| vec![
            row.name(),
            json!(endpoints(row)),
            row.age()
        ]),
        "Event" => Some(event()),
        _ => None,
    }
}

fn service(row: &Row<'_>) -> Vec<Json> {
    let list = |path: &[&str]| access::list(row.object, path);
    let own: Vec<_> = list(&["spec", "externalIPs"]).iter().filter_map(Json::as_str).collect();
    let kind = row.text(&["spec", "type"]);
    let outside = match kind {
        "LoadBalancer" => {
            let given = balancer(row);
            let all: Vec<_> = given.iter().map(String::as_str).chain(own).collect();
            if all.is_empty() { "<pending>".to_owned() } else { all.join(",") }
        }
        "ExternalName" => row.text(&["spec", "externalName"]).to_owned(),
        _ if own.is_empty() => "<none>".to_owned(),
        _ => own.join(","),
    };
    let port = |port: &Json| {
        let number = |field| access::number(port, &[field]).unwrap_or(0);
        let protocol = access::text(port, &["protocol"]).unwrap_or("TCP");
        match number("nodePort") {
            0 => format!("{}/{protocol}", number("port")),
            open => format!("{}:{open}/{protocol}", number("port")),
        }
    };
    let ports: Vec<_> = list(&["spec", "ports"]).iter().map(port).collect();
    let inside = list(&["spec", "clusterIPs"]).first().and_then(Json::as_str);
    vec![
        row.name(),
        json!(kind),
        json!(inside.unwrap_or("<none>")),
        json!(outside),
        json!(if ports.is_empty() { "<none>".to_owned() } else { ports.join(",") }),
        row.age(),
        row.labels(&["spec", "selector"]),
    ]
}

/// Addresses that a load balancer has given.
fn balancer(row: &Row<'_>) -> BTreeSet<String> {
    access::list(row.object, &["status", "loadBalancer", "ingress"])
        .iter()
        .filter_map(|entry| access::text(entry, &["ip"]).or(access::text(entry, &["hostname"])))
        .map(str::to_owned)
        .collect()
}

fn node(row: &Row<'_>) -> Vec<Json> {
    let conditions = access::list(row.object, &["status", "conditions"]);
    let ready = conditions.iter().find(|c| access::text(c, &["type"]) == Some("Ready"));
    let mut status = match ready.and_then(|ready| access::text(ready, &["status"])) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }
    .to_owned();
    if row.bool_or(&["spec", "unschedulable"], false) {
        status += ",SchedulingDisabled";
    }
    let labels = access::labels(row.object);
    let roles: BTreeSet<_> = labels
        .iter()
        .filter_map(|(key, value)| {
            let role = key.strip_prefix("node-role.kubernetes.io/");
            role.or((*key == "kubernetes.io/role").then_some(*value))
        })
        .filter(|role| !role.is_empty())
        .collect();
    let roles = roles.into_iter().collect::<Vec<_>>().join(",");
    let address = |kind: &str| {
        let of_kind = |item: &&Json| access::text(item, &["type"]) == Some(kind);
        let found = access::list(row.object, &["status", "addresses"]).iter().find(of_kind);
        json!(found.and_then(|item| access::text(item, &["address"])).unwrap_or("<none>"))
    };
    let software = |field| row.text_or(&["status", "nodeInfo", field], "<unknown>");
    vec![
        row.name(),
        json!(status),
        json!(if roles.is_empty() { "<none>" } else { &roles }),
        row.age(),
        json!(row.text(&["status", "nodeInfo", "kubeletVersion"])),
        address("InternalIP"),
        address("ExternalIP"),
        software("osImage"),
        software("kernelVersion"),
        software("containerRuntimeVersion"),
    ]
}

fn access_modes(row: &Row<'_>, path: &[&str]) -> String {
    let short = |mode: &Json| match mode.as_str() {
        Some("ReadWriteOnce") => Some("RWO"),
        Some("ReadOnlyMany") => Some("ROX"),
        Some("ReadWriteMany") => Some("RWX"),
        Some("ReadWriteOncePod") => Some("RWOP"),
        _ => None,
    };
    access::list(row.object, path).iter().filter_map(short).collect::<Vec<_>>().join(",")
}

fn claim(row: &Row<'_>) -> Vec<Json> {
    let volume = row.text(&["spec", "volumeName"]);
    let is_bound = !volume.is_empty();
    let phase = if row.is_ending() { "Terminating" } else { row.text(&["status", "phase"]) };
    let modes = access_modes(row, &["status", "accessModes"]);
    let capacity = row.text(&["status", "capacity", "storage"]);
    vec![
        row.name(),
        json!(phase),
        json!(volume),
        json!(if is_bound { capacity } else { "" }),
        json!(if is_bound { modes } else { String::new() }),
        json!(row.text(&["spec", "storageClassName"])),
        row.text_or(&["spec", "volumeAttributesClassName"], "<unset>"),
        row.age(),
        row.text_or(&["spec", "volumeMode"], "<unset>"),
    ]
}

fn volume(row: &Row<'_>) -> Vec<Json> {
    let phase = if row.is_ending() { "Terminating" } else { row.text(&["status", "phase"]) };
    let claim = |field| row.text(&["spec", "claimRef", field]);
    let claim = match access::at(row.object, &["spec", "claimRef"]) {
        Some(_) => format!("{}/{}", claim("namespace"), claim("name")),
        None => String::new(),
    };
    vec![
        row.name(),
        json!(row.text(&["spec", "capacity", "storage"])),
        json!(access_modes(row, &["spec", "accessModes"])),
        json!(row.text(&["spec", "persistentVolumeReclaimPolicy"])),
        json!(phase),
        json!(claim),
        json!(row.text(&["spec", "storageClassName"])),
        row.text_or(&["spec", "volumeAttributesClassName"], "<unset>"),
        json!(row.text(&["status", "reason"])),
        row.age(),
        row.text_or(&["spec", "volumeMode"], "<unset>"),
    ]
}

/// The first three of some texts, and how many more there are.
fn first_three(all: &[String], none: &str) -> String {
    match all {
        [] => none.to_owned(),
        all if all.len() <= 3 => all.join(","),
        all => format!("{} + {} more...", all[..3].join(","), all.len() - 3),
    }
}

fn endpoints(row: &Row<'_>) -> String {
    let mut all = Vec::new();
    for subset in access::list(row.object, &["subsets"]) {
        let ports = access::list(subset, &["ports"]);
        let addresses: Vec<_> = access::list(subset, &["addresses"])
            .iter()
            .filter_map(|address| access::text(address, &["ip"]))
            .collect();
        if ports.is_empty() {
            all.extend(addresses.iter().map(|ip| (*ip).to_owned()));
        }
        for port in ports {
            let port = access::number(port, &["port"]).unwrap_or(0);
            all.extend(addresses.iter().map(|ip| format!("{ip}:{port}")));
        }
    }
    first_three(&all, "<none>")
}

fn event() -> Layout {
    const COLUMNS: &[Column] = &[
        ("Last Seen", "string", 0),
        ("Type", "string", 0),
        ("Reason", "string", 0),
        ("Object", "string", 0),
        ("Subobject", "string", 1),
        ("Source", "string", 1),
        ("Message", "string", 0),
        ("First Seen", "string", 1),
        ("Count", "string", 1),
        ("Name", "string", 1),
    ];
    let cells = |row: &Row<'_>| {
        let first =
            ["firstTimestamp", "eventTime"].into_iter().find(|f| !row.text(&[f]).is_empty());
        let first = first.unwrap_or("firstTimestamp");
        let last = if row.text(&["lastTimestamp"]).is_empty() { first } else { "lastTimestamp" };
        let kind = row.text(&["involvedObject", "kind"]).to_lowercase();
        let name = row.text(&["involvedObject", "name"]);
        vec![
            row.since(&[last]),
            json!(row.text(&["type"])),
            json!(row.text(&["reason"])),
            json!(if name.is_empty() { kind } else { format!("{kind}/{name}") }),
            json!(row.text(&["involvedObject", "fieldPath"])),
            json!(row.text(&["source", "component"])),
            json!(row.text(&["message"]).trim()),
            row.since(&[first]),
            json!(row.number(&["count"]).max(1)),
            row.name(),
        ]
    };
    Layout { columns: COLUMNS, cells }
}

fn binding(row: &Row<'_>) -> Vec<Json> {
    let subjects = access::list(row.object, &["subjects"]);
    let of = |kind: &str| {
        let names =
            subjects.iter().filter(|subject| access::kind(subject) == kind).map(|subject| {
                let name = access::text(subject, &["name"]).unwrap_or_default();
                match access::text(subject, &["namespace"]).unwrap_or_default() {
                    "" => name.to_owned(),
                    namespace => format!("{namespace}/{name}"),
                }
            });
        json!(names.collect::<Vec<_>>().join(", "))
    };
    let role = |field| row.text(&["roleRef", field]);
    vec![
        row.name(),
        json!(format!("{}/{}", role("kind"), role("name"))),
        row.age(),
        of("User"),
        of("Group"),
        of("ServiceAccount"),
    ]
}

/// Kinds with few columns.
fn other(group: &str, kind: &str) -> Option<Layout> {
    match (group, kind) {
        ("policy", "PodDisruptionBudget") => layout!(
            [
                ("Min Available", "string", 0),
                ("Max Unavailable", "string", 0),
                ("Allowed Disruptions", "integer", 0),
                ("Age", "string", 0),
            ],
            |row| {
                let share = |field| {
                    let value = access::at(row.object, &["spec", field]);
                    json!(value.map_or_else(|| "N/A".to_owned(), plain))
                };
                let allowed = row.number(&["status", "disruptionsAllowed"]);
                let (least, most) = (share("minAvailable"), share("maxUnavailable"));
                vec![row.name(), least, most, json!(allowed), row.age()]
            }
        ),
        ("networking.k8s.io", _) => networking(kind),
        ("storage.k8s.io", _) => storage(kind),
        ("admissionregistration.k8s.io", _) => admission(kind),
        ("scheduling.k8s.io", "PriorityClass") => layout!(
            [
                ("Value", "integer", 0),
                ("Global-Default", "boolean", 0),
                ("Age", "string", 0),
                ("PreemptionPolicy", "string", 0),
            ],
            |row| vec![
                row.name(),
                json!(row.number(&["value"])),
                json!(row.bool_or(&["globalDefault"], false)),
                row.age(),
                json!(row.text(&["preemptionPolicy"])),
            ]
        ),
        ("coordination.k8s.io", "Lease") => {
            layout!([("Holder", "string", 0), ("Age", "string", 0)], |row| vec![
                row.name(),
                json!(row.text(&["spec", "holderIdentity"])),
                row.age()
            ])
        }
        ("discovery.k8s.io", "EndpointSlice") => layout!(
            [
                ("AddressType", "string", 0),
                ("Ports", "string", 0),
                ("Endpoints", "string", 0),
                ("Age", "string", 0),
            ],
            endpoint_slice
        ),
        ("apiregistration.k8s.io", "APIService") => layout!(
            [("Service", "string", 0), ("Available", "string", 0), ("Age", "string", 0)],
            |row| vec![row.name(), json!("Local"), json!("True"), row.age()]
        ),
        _ => None,
    }
}

fn endpoint_slice(row: &Row<'_>) -> Vec<Json> {
    let port = |port: &Json| match access::number(port, &["port"]) {
        Some(number) => number.to_string(),
        None => access::text(port, &["name"]).unwrap_or("*").to_owned(),
    };
    let ports: Vec<_> = access::list(row.object, &["ports"]).iter().map(port).collect();
    let addresses: Vec<_> = access::list(row.object, &["endpoints"])
        .iter()
        .flat_map(|endpoint| access::list(endpoint, &["addresses"]))
        .filter_map(|address| address.as_str().map(str::to_owned))
        .collect();
    vec![
        row.name(),
        json!(row.text(&["addressType"])),
        json!(first_three(&ports, "<unset>")),
        json!(first_three(&addresses, "<unset>")),
        row.age(),
    ]
}

fn networking(kind: &str) -> Option<Layout> {
    match kind {
        "Ingress" => layout!(
            [
                ("Class", "string", 0),
                ("Hosts", "string", 0),
                ("Address", "string", 0),
                ("Ports", "string", 0),
                ("Age", "string", 0),
            ],
            |row| {
                let rules = access::list(row.object, &["spec", "rules"]);
                let hosts: Vec<_> = rules
                    .iter()
                    .filter_map(|rule| access::text(rule, &["host"]))
                    .filter(|host| !host.is_empty())
                    .map(str::to_owned)
                    .collect();
                let has_tls = row.count(&["spec", "tls"]) > 0;
                vec![
                    row.name(),
                    row.text_or(&["spec", "ingressClassName"], "<none>"),
                    json!(first_three(&hosts, "*")),
                    json!(balancer(row).into_iter().collect::<Vec<_>>().join(",")),
                    json!(if has_tls { "80, 443" } else { "80" }),
                    row.age(),
                ]
            }
        ),
        "IngressClass" => layout!(
            [("Controller", "string", 0), ("Parameters", "string", 0), ("Age", "string", 0)],
            |row| {
                let parameter = |field| row.text(&["spec", "parameters", field]);
                let parameters = match access::at(row.object, &["spec", "parameters"]) {
                    None => "<none>".to_owned(),
                    Some(_) => {
                        let group = parameter("apiGroup");
                        let dot = if group.is_empty() { "" } else { "." };
                        format!("{}{dot}{group}/{}", parameter("kind"), parameter("name"))
                    }
                };
                let controller = row.text(&["spec", "controller"]);
                vec![row.name(), json!(controller), json!(parameters), row.age()]
            }
        ),
        "NetworkPolicy" => {
            layout!([("Pod-Selector", "string", 0), ("Age", "string", 0)], |row| vec![
                row.name(),
                row.selector(&["spec", "podSelector"]),
                row.age()
            ])
        }
        _ => None,
    }
}

fn storage(kind: &str) -> Option<Layout> {
    match kind {
        "StorageClass" => layout!(
            [
                ("Provisioner", "string", 0),
                ("ReclaimPolicy", "string", 0),
                ("VolumeBindingMode", "string", 0),
                ("AllowVolumeExpansion", "string", 0),
                ("Age", "string", 0),
            ],
            |row| {
                let key = "storageclass.kubernetes.io/is-default-class";
                let is_default = access::annotation(row.object, key) == Some("true");
                let mark = if is_default { " (default)" } else { "" };
                vec![
                    json!(format!("{}{mark}", access::name(row.object))),
                    json!(row.text(&["provisioner"])),
                    row.text_or(&["reclaimPolicy"], "Delete"),
                    row.text_or(&["volumeBindingMode"], "Immediate"),
                    json!(row.bool_or(&["allowVolumeExpansion"], false)),
                    row.age(),
                ]
            }
        ),
        "CSIDriver" => layout!(
            [
                ("AttachRequired", "boolean", 0),
                ("PodInfoOnMount", "boolean", 0),
                ("StorageCapacity", "boolean", 0),
                ("TokenRequests", "string", 0),
                ("RequiresRepublish", "boolean", 0),
                ("Modes", "string", 0),
                ("Age", "string", 0),
            ],
            |row| {
                let is = |field, default| json!(row.bool_or(&["spec", field], default));
                let texts = |path: &[&str], field: Option<&str>| {
                    let text = |item: &Json| match field {
                        Some(field) => access::text(item, &[field]).map(str::to_owned),
                        None => item.as_str().map(str::to_owned),
                    };
                    access::list(row.object, path)
                        .iter()
                        .filter_map(text)
                        .collect::<Vec<_>>()
                        .join(",")
                };
                let tokens = texts(&["spec", "tokenRequests"], Some("audience"));
                let modes = texts(&["spec", "volumeLifecycleModes"], None);
                vec![
                    row.name(),
                    is("attachRequired", true),
                    is("podInfoOnMount", false),
                    is("storageCapacity", false),
                    json!(if tokens.is_empty() { "<unset>" } else { &tokens }),
                    is("requiresRepublish", false),
                    json!(if modes.is_empty() { "<none>" } else { &modes }),
                    row.age(),
                ]
            }
        ),
        _ => None,
    }
}

fn admission(kind: &str) -> Option<Layout> {
    match kind {
        "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" => {
            layout!([("Webhooks", "integer", 0), ("Age", "string", 0)], |row| vec![
                row.name(),
                json!(row.count(&["webhooks"])),
                row.age()
            ])
        }
        "ValidatingAdmissionPolicy" => layout!(
            [("Validations", "integer", 0), ("ParamKind", "string", 0), ("Age", "string", 0)],
            |row| {
                let parameter = |field| row.text(&["spec", "paramKind", field]);
                let parameters = match access::at(row.object, &["spec", "paramKind"]) {
                    Some(_) => format!("{}/{}", parameter("apiVersion"), parameter("kind")),
                    None => "<unset>".to_owned(),
                };
                let validations = row.count(&["spec", "validations"]);
                vec![row.name(), json!(validations), json!(parameters), row.age()]
            }
        ),
        "ValidatingAdmissionPolicyBinding" => layout!(
            [("PolicyName", "string", 0), ("ParamRef", "string", 0), ("Age", "string", 0)],
            |row| {
                let reference = |field| row.text(&["spec", "paramRef", field]);
                let parameters = match (reference("namespace"), reference("name")) {
                    (_, "") => "<unset>".to_owned(),
                    ("", name) => format!("*/{name}"),
                    (namespace, name) => format!("{namespace}/{name}"),
                };
                let policy = row.text(&["spec", "policyName"]);
                vec![row.name(), json!(policy), json!(parameters), row.age()]
            }
        ),
        _ => None,
    }
}
