//! Addresses of Services: given out once, kept over writes that do not name them.

use serde_json::Value as Json;

use crate::object::access;

/// What the server gives out after it has noted who owns what.
const GIVEN_OUT: [&str; 5] =
    ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "healthCheckNodePort"];

/// Lets a Service that does not name its addresses and node ports keep those it had.
pub(super) fn keep(old: &Json, new: &mut Json) {
    let external =
        |service: &Json| access::text(service, &["spec", "type"]) == Some("ExternalName");
    if external(old) || external(new) {
        return;
    }
    let is_headless = access::text(new, &["spec", "clusterIP"]) == Some("None");
    let Some(spec) = new.get_mut("spec").and_then(Json::as_object_mut) else { return };
    if !is_headless {
        for field in GIVEN_OUT {
            let is_open = spec.get(field).is_none_or(|value| value.is_null() || value == "");
            if let (true, Some(had)) = (is_open, access::at(old, &["spec", field])) {
                spec.insert(field.to_owned(), had.clone());
            }
        }
    }
    let kind = spec.get("type").and_then(Json::as_str).unwrap_or_default();
    if !matches!(kind, "NodePort" | "LoadBalancer") {
        return;
    }
    let before = access::list(old, &["spec", "ports"]);
    let Some(ports) = spec.get_mut("ports").and_then(Json::as_array_mut) else { return };
    for port in ports.iter_mut().filter(|port| port.is_object() && port.get("nodePort").is_none()) {
        let protocol = port.get("protocol").and_then(Json::as_str).unwrap_or("TCP");
        let same = before.iter().find(|had| {
            had.get("port") == port.get("port")
                && access::text(had, &["protocol"]).unwrap_or("TCP") == protocol
        });
        if let Some(had) = same.and_then(|had| had.get("nodePort")) {
            port["nodePort"] = had.clone();
        }
    }
}

/// A new Service without what nobody asked for: nobody owns it.
pub(super) fn without_given_out(given: &Json, made: &Json) -> Json {
    let mut owned = made.clone();
    let Some(spec) = owned.get_mut("spec").and_then(Json::as_object_mut) else { return owned };
    for field in GIVEN_OUT {
        if access::at(given, &["spec", field]).is_none() {
            spec.remove(field);
        }
    }
    let asked = access::list(given, &["spec", "ports"]);
    let ports = spec.get_mut("ports").and_then(Json::as_array_mut);
    for (at, port) in ports.into_iter().flatten().enumerate() {
        let is_asked = asked.get(at).is_some_and(|asked| asked.get("nodePort").is_some());
        if let (false, Some(port)) = (is_asked, port.as_object_mut()) {
            port.remove("nodePort");
        }
    }
    owned
}

/// A Service as it is to be, without the node ports that nobody asked for and that it did not have.
pub(super) fn without_new_ports(given: &Json, old: &Json, made: &Json) -> Json {
    let mut owned = made.clone();
    let has = |service: &Json, port: &Json| {
        access::list(service, &["spec", "ports"])
            .iter()
            .any(|other| other.get("port") == port.get("port") && other.get("nodePort").is_some())
    };
    let spec = owned.get_mut("spec").and_then(Json::as_object_mut);
    let ports = spec.and_then(|spec| spec.get_mut("ports")).and_then(Json::as_array_mut);
    for port in ports.into_iter().flatten() {
        if !has(given, port)
            && !has(old, port)
            && let Some(port) = port.as_object_mut()
        {
            port.remove("nodePort");
        }
    }
    owned
}
