//! Defaults of Services, the addresses and ports that the API server gives out among them.
//!
//! They follow from the Service's name, so that they are given out without a record and a Service
//! that is written again keeps its own.

use serde_json::{Value as Json, json};

use super::{fill, fill_in, items, map};
use crate::object::access;
use crate::sim::workload::hash;

/// The ports that nodes open for Services.
const NODE_PORT_FIRST: u64 = 30_000;
const NODE_PORTS: u64 = 2_768;

pub(super) fn service(object: &mut Json) {
    let identity = [access::namespace(object).to_owned(), access::name(object).to_owned()];
    let Some(spec) = map(object, &["spec"]) else { return };
    fill(spec, "sessionAffinity", "None");
    fill(spec, "type", "ClusterIP");
    if spec["sessionAffinity"] == "ClientIP" {
        fill(spec, "sessionAffinityConfig", json!({"clientIP": {"timeoutSeconds": 10_800}}));
    }
    let kind = spec["type"].as_str().unwrap_or_default().to_owned();
    let is_outside = matches!(kind.as_str(), "NodePort" | "LoadBalancer");
    if kind != "ExternalName" {
        fill(spec, "internalTrafficPolicy", "Cluster");
    }
    if is_outside {
        fill(spec, "externalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        fill(spec, "allocateLoadBalancerNodePorts", true);
    }
    let has_node_ports =
        kind == "NodePort" || spec.get("allocateLoadBalancerNodePorts") == Some(&Json::Bool(true));
    for port in items(object, &["spec", "ports"]) {
        fill_in(port, &[], "protocol", "TCP");
        if let Some(number) = port.get("port").cloned() {
            fill_in(port, &[], "targetPort", number);
        }
        if is_outside && has_node_ports {
            let number = node_port(&identity, port);
            fill_in(port, &[], "nodePort", number);
        }
    }
    if kind != "ExternalName" {
        addresses(object, &identity);
    }
}

fn node_port(identity: &[String; 2], port: &Json) -> u64 {
    let number = access::number(port, &["port"]).unwrap_or(0).to_string();
    let protocol = access::text(port, &["protocol"]).unwrap_or_default();
    NODE_PORT_FIRST
        + hash(&["node port", &identity[0], &identity[1], &number, protocol]) % NODE_PORTS
}

fn addresses(object: &mut Json, identity: &[String; 2]) {
    let Some(spec) = map(object, &["spec"]) else { return };
    let first = spec.get("clusterIPs").and_then(|list| list.get(0)).cloned();
    fill(spec, "clusterIP", first.unwrap_or_else(|| Json::from(cluster_ip(identity))));
    let address = spec["clusterIP"].clone();
    fill(spec, "clusterIPs", json!([address]));
    let is_v6 = address.as_str().is_some_and(|address| address.contains(':'));
    fill(spec, "ipFamilies", json!([if is_v6 { "IPv6" } else { "IPv4" }]));
    fill(spec, "ipFamilyPolicy", "SingleStack");
}

/// An address of 10.96.0.0/12, where a cluster's Services are by default.
fn cluster_ip(identity: &[String; 2]) -> String {
    if identity[0] == "default" && identity[1] == "kubernetes" {
        return "10.96.0.1".to_owned();
    }
    let hash = hash(&["cluster ip", &identity[0], &identity[1]]);
    format!("10.{}.{}.{}", 96 + hash % 16, (hash >> 8) % 256, 2 + (hash >> 16) % 252)
}
