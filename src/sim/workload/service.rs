//! Services of type `LoadBalancer`: given an address after a second.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::round::{Round, is_ending};
use super::{names, time};
use crate::object::access;

/// How long the balancer takes. A Service says to the second when it was made.
const DELAY: Duration = Duration::from_secs(2);

pub(super) fn run(round: &mut Round<'_>) {
    for service in round.of("", "Service") {
        let is_balanced = access::text(service, &["spec", "type"]) == Some("LoadBalancer");
        let has_class = access::text(service, &["spec", "loadBalancerClass"]).is_some();
        if is_ending(service) || has_class {
            continue;
        }
        if is_balanced {
            balance(round, service);
        } else if access::at(service, &["status", "loadBalancer", "ingress"]).is_some() {
            round.status(service, json!({"loadBalancer": {}}));
        }
    }
}

fn balance(round: &mut Round<'_>, service: &Json) {
    if !access::list(service, &["status", "loadBalancer", "ingress"]).is_empty() {
        return;
    }
    let now = round.now();
    let made = time::read(service, &["metadata", "creationTimestamp"]).unwrap_or(now);
    let at = time::after(made, DELAY);
    if now < at {
        round.wake_at(at);
        return;
    }
    let hash = names::hash(&["balancer", access::namespace(service), access::name(service)]);
    let asked = access::text(service, &["spec", "loadBalancerIP"]).filter(|ip| !ip.is_empty());
    let ip = asked.map_or_else(|| format!("203.0.113.{}", 1 + hash % 254), str::to_owned);
    round.status(service, json!({"loadBalancer": {"ingress": [{"ip": ip, "ipMode": "VIP"}]}}));
}
