//! What is wrong with Services.

use std::net::IpAddr;

use serde_json::{Value as Json, json};

use crate::object::access;
use crate::sim::status::Cause;

const NO_PORT: &str = "must be between 1 and 65535, inclusive";
const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];

/// Checks a Service.
pub(super) fn check(object: &Json, causes: &mut Vec<Cause>) {
    let kind = access::text(object, &["spec", "type"]).unwrap_or("ClusterIP");
    let address = access::text(object, &["spec", "clusterIP"]).unwrap_or_default();
    let ports = access::list(object, &["spec", "ports"]);
    if ports.is_empty() && kind != "ExternalName" && address != "None" {
        causes.push(Cause::required("spec.ports", ""));
    }
    let name = access::text(object, &["spec", "externalName"]).unwrap_or_default();
    if kind == "ExternalName" && name.is_empty() {
        causes.push(Cause::required("spec.externalName", ""));
    }
    check_ports(ports, causes);
    if !TYPES.contains(&kind) {
        causes.push(Cause::unsupported("spec.type", &json!(kind), &TYPES));
    }
    if !matches!(address, "" | "None") && address.parse::<IpAddr>().is_err() {
        let why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
        causes.push(Cause::invalid("spec.clusterIPs[0]", &json!(address), why));
    }
}

fn check_ports(ports: &[Json], causes: &mut Vec<Cause>) {
    let is_port = |number: i64| (1..=65_535).contains(&number);
    let mut seen = Vec::new();
    for (at, port) in ports.iter().enumerate() {
        let field = format!("spec.ports[{at}]");
        let name = access::text(port, &["name"]).unwrap_or_default();
        if ports.len() > 1 && name.is_empty() {
            causes.push(Cause::required(format!("{field}.name"), ""));
        } else if !name.is_empty() && seen.contains(&name) {
            causes.push(Cause::duplicate(format!("{field}.name"), &json!(name)));
        }
        seen.push(name);
        let number = access::number(port, &["port"]).unwrap_or(0);
        if !is_port(number) {
            causes.push(Cause::invalid(format!("{field}.port"), &json!(number), NO_PORT));
        }
        let target = access::number(port, &["targetPort"]).filter(|number| !is_port(*number));
        if let Some(target) = target {
            causes.push(Cause::invalid(format!("{field}.targetPort"), &json!(target), NO_PORT));
        }
    }
}
