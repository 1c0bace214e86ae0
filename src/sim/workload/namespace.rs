//! What every namespace has: a phase, a ServiceAccount, and the certificate of the API server.

use serde_json::{Value as Json, json};

use super::round::{Round, is_ending};
use crate::object::access;
use crate::object::key::ObjectKey;

pub(super) fn run(round: &mut Round<'_>) {
    for namespace in round.of("", "Namespace") {
        if is_ending(namespace) {
            continue;
        }
        let name = access::name(namespace);
        if access::text(namespace, &["status", "phase"]).is_none() {
            round.status(namespace, json!({"phase": "Active"}));
        }
        ensure(round, "ServiceAccount", name, "default", json!({}));
        let data = json!({"data": {"ca.crt": "simulated\n"}, "metadata": {"annotations": {
            "kubernetes.io/description": "Stands for the certificate of the simulated API server.",
        }}});
        ensure(round, "ConfigMap", name, "kube-root-ca.crt", data);
    }
}

fn ensure(round: &mut Round<'_>, kind: &str, namespace: &str, name: &str, mut object: Json) {
    let key = ObjectKey {
        group: String::new(),
        kind: kind.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    if !round.has(&key) {
        object["apiVersion"] = Json::from("v1");
        object["kind"] = Json::from(kind);
        object["metadata"]["namespace"] = Json::from(namespace);
        object["metadata"]["name"] = Json::from(name);
        round.create(object);
    }
}
