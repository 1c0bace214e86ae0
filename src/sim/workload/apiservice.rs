//! APIServices: available where the API server answers by itself, or where the named Service has
//! a pod that could. What such a pod would serve is not there.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::condition::Condition;
use super::replicas;
use super::round::{Round, is_ending};
use crate::object::access;
use crate::object::key::ObjectKey;

pub(super) fn run(round: &mut Round<'_>) {
    for service in round.of("apiregistration.k8s.io", "APIService") {
        if !is_ending(service) {
            let condition = availability(round, service);
            let before = access::list(service, &["status", "conditions"]);
            let entry = condition.entry(before, round.now());
            round.status(service, json!({"conditions": [entry]}));
        }
    }
}

/// In the words of kube-aggregator's availability controllers.
fn availability(round: &Round<'_>, object: &Json) -> Condition {
    let Some(target) = access::at(object, &["spec", "service"]).filter(|it| it.is_object()) else {
        let message = "Local APIServices are always available";
        return Condition::new("Available", true, "Local", message);
    };
    let text = |field| access::text(target, &[field]).unwrap_or_default().to_owned();
    let (namespace, name) = (text("namespace"), text("name"));
    let key = ObjectKey {
        group: String::new(),
        kind: "Service".to_owned(),
        namespace: namespace.clone(),
        name: name.clone(),
    };
    let Some(service) = round.get(&key) else {
        let message = format!("service/{name} in {namespace:?} is not present");
        return Condition::new("Available", false, "ServiceNotFound", &message);
    };
    if !has_ready_pod(round, service) {
        let message = format!("endpoints for service/{name} in {namespace:?} have no addresses");
        return Condition::new("Available", false, "MissingEndpoints", &message);
    }
    Condition::new("Available", true, "Passed", "all checks passed")
}

fn has_ready_pod(round: &Round<'_>, service: &Json) -> bool {
    let wanted = access::string_map(access::at(service, &["spec", "selector"]));
    round
        .of("", "Pod")
        .filter(|pod| access::namespace(pod) == access::namespace(service))
        .filter(|pod| replicas::is_active(pod) && replicas::is_ready(pod))
        .any(|pod| {
            let labels: BTreeMap<&str, &str> = access::labels(pod);
            !wanted.is_empty() && wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
        })
}
