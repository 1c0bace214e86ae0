//! Nodes: made when the cluster has too few, and where pods go.

use serde_json::{Value as Json, json};

use super::names;
use super::round::Round;
use super::time;
use crate::object::access;
use crate::object::key::ObjectKey;

/// The kubelet's version, which is the simulated API server's too.
pub(in crate::sim) const KUBELET_VERSION: &str = "v1.35.4";

pub(super) fn run(round: &mut Round<'_>) {
    let width = if round.nodes_wanted() > 99 { 3 } else { 2 };
    for number in 1..=round.nodes_wanted() {
        let name = format!("node-{number:0width$}");
        let key = ObjectKey {
            group: String::new(),
            kind: "Node".to_owned(),
            namespace: String::new(),
            name: name.clone(),
        };
        if !round.has(&key) {
            round.create(json!({
                "apiVersion": "v1", "kind": "Node",
                "metadata": {"name": name, "labels": {
                    "kubernetes.io/hostname": name, "kubernetes.io/os": "linux",
                    "kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux",
                    "beta.kubernetes.io/arch": "amd64",
                }},
                "spec": {"podCIDR": format!("10.244.{number}.0/24")},
            }));
        }
    }
    for node in round.of("", "Node") {
        if access::at(node, &["status", "conditions"]).is_none() {
            let status = status(round, node);
            round.status(node, status);
        }
    }
}

fn status(round: &Round<'_>, node: &Json) -> Json {
    let since = time::seconds(round.now());
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "lastHeartbeatTime": since, "lastTransitionTime": since,
        })
    };
    let resources = json!({
        "cpu": "16", "memory": "64Gi", "pods": "110", "ephemeral-storage": "200Gi",
    });
    json!({
        "addresses": [
            {"type": "InternalIP", "address": address(access::name(node))},
            {"type": "Hostname", "address": access::name(node)},
        ],
        "allocatable": resources,
        "capacity": resources,
        "conditions": [
            condition("MemoryPressure", "False", "KubeletHasSufficientMemory",
                "kubelet has sufficient memory available"),
            condition("DiskPressure", "False", "KubeletHasNoDiskPressure",
                "kubelet has no disk pressure"),
            condition("PIDPressure", "False", "KubeletHasSufficientPID",
                "kubelet has sufficient PID available"),
            condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
        ],
        "nodeInfo": {
            "architecture": "amd64", "operatingSystem": "linux", "osImage": "Simulated Linux",
            "kernelVersion": "6.12.0", "containerRuntimeVersion": "containerd://2.1.4",
            "kubeletVersion": KUBELET_VERSION, "kubeProxyVersion": "", "bootID": "", "machineID": "",
            "systemUUID": "",
        },
    })
}

/// The address of a node.
pub(super) fn address(node: &str) -> String {
    let hash = names::hash(&["node", node]);
    format!("192.168.{}.{}", hash % 254, 1 + (hash >> 8) % 254)
}

/// The nodes that a pod's `nodeSelector` leaves, in order.
pub(super) fn matching<'a>(round: &Round<'a>, pod_spec: &Json) -> Vec<&'a Json> {
    let asked = access::string_map(access::at(pod_spec, &["nodeSelector"]));
    let fits =
        |node: &&Json| asked.iter().all(|(key, value)| access::label(node, key) == Some(value));
    round.of("", "Node").filter(fits).collect()
}

/// The node that a pod goes to, or why there is none.
pub(super) fn choose(round: &Round<'_>, pod_spec: &Json, pod: &str) -> Result<String, String> {
    let is_open =
        |node: &&Json| access::at(node, &["spec", "unschedulable"]) != Some(&Json::Bool(true));
    let matching = matching(round, pod_spec);
    let open: Vec<_> = matching.iter().copied().filter(is_open).collect();
    if open.is_empty() {
        let all = round.of("", "Node").count();
        let closed = matching.len();
        let mut why = Vec::new();
        if closed > 0 {
            why.push(format!("{closed} node(s) were unschedulable"));
        }
        if all > closed {
            why.push(format!("{} node(s) didn't match Pod's node affinity/selector", all - closed));
        }
        return Err(format!("0/{all} nodes are available: {}.", why.join(", ")));
    }
    let at = names::hash(&["place", pod]) % open.len() as u64;
    Ok(access::name(open[at as usize]).to_owned())
}
