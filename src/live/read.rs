//! Objects of an inventory, read with as few requests as there are kinds.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use serde_json::Value as Json;

use super::{Gap, GapSubject, Live, ObjectRef};
use crate::base::clock::Timestamp;
use crate::k8s::{ClusterClient, RequestError, Resource};
use crate::object::access;
use crate::object::key::ObjectKey;
use crate::object::manifest::settled;

/// What every object of a release carries, by Helm's rules.
pub const MANAGED_BY_HELM: &str = "app.kubernetes.io/managed-by=Helm";

/// From so many objects of a kind on, one list costs less than asking for each: it also has the
/// objects of all other releases.
const LIST_FROM: usize = 10;

/// Reads objects. A kind that the cluster does not serve has no objects; any other failure is a
/// [`Gap`] over the objects it hides.
///
/// Objects of one kind come from one list over the whole cluster, by the label that releases
/// carry; those that it lacks (or that it may not show) are asked for one by one. A client of one
/// pass lists each kind once, for all releases that are read with it.
pub async fn read(
    client: &ClusterClient,
    wanted: impl IntoIterator<Item = ObjectRef>,
    now: Timestamp,
) -> Live {
    let mut kinds: BTreeMap<(String, String), BTreeSet<ObjectKey>> = BTreeMap::new();
    for object in wanted {
        let kind = (object.api_version, object.key.kind.clone());
        kinds.entry(kind).or_default().insert(object.key);
    }
    let parts = kinds
        .into_iter()
        .map(|((api_version, kind), keys)| read_kind(client, api_version, kind, keys));
    let mut live = Live { objects: BTreeMap::new(), gaps: Vec::new(), observed_at: now };
    for (objects, gaps) in join_all(parts).await {
        live.objects.extend(objects);
        live.gaps.extend(gaps);
    }
    live.gaps.dedup_by(|a, b| a.subject == GapSubject::Cluster && a.subject == b.subject);
    live
}

type Part = (BTreeMap<ObjectKey, Json>, Vec<Gap>);

async fn read_kind(
    client: &ClusterClient,
    api_version: String,
    kind: String,
    keys: BTreeSet<ObjectKey>,
) -> Part {
    let resource = match client.resource_at_any_version(&api_version, &kind).await {
        Ok(resource) => resource,
        Err(RequestError::NoSuchKind { .. }) => return Part::default(),
        Err(error) => {
            let gaps = keys.into_iter().map(|key| Gap::of(GapSubject::Object(key), &error));
            return (BTreeMap::new(), gaps.collect());
        }
    };
    let keys: BTreeSet<_> = keys.iter().map(|key| settled(key, resource.is_namespaced)).collect();
    let mut objects = BTreeMap::new();
    if keys.len() >= LIST_FROM || client.is_of_one_pass() {
        // A list that fails (it may not be allowed over the whole cluster) proves nothing: each
        // object is asked for by itself then.
        if let Ok(listed) = client.listed(&resource, MANAGED_BY_HELM).await {
            for object in listed.iter() {
                let key = ObjectKey { group: resource.group.clone(), ..access::key_of(object) };
                if keys.contains(&key) {
                    objects.insert(key, object.clone());
                }
            }
        }
    }
    let missing = keys.into_iter().filter(|key| !objects.contains_key(key));
    let missing = in_namespaces_that_are(client, missing.collect()).await;
    let asked = missing.into_iter().map(|key| read_one(client, &resource, key));
    let asked = join_all(asked.collect::<Vec<_>>());
    let mut gaps = Vec::new();
    for (key, answer) in asked.await {
        match answer {
            Ok(Some(object)) => {
                objects.insert(key, object);
            }
            Ok(None) => {}
            Err(error) => gaps.push(Gap::of(GapSubject::Object(key), &error)),
        }
    }
    (objects, gaps)
}

/// Without the objects of namespaces that are not there, where one look at each namespace serves
/// many objects. A namespace that may not be looked at may be there.
async fn in_namespaces_that_are(
    client: &ClusterClient,
    mut keys: Vec<ObjectKey>,
) -> Vec<ObjectKey> {
    if client.is_of_one_pass() {
        let names: BTreeSet<String> = keys.iter().map(|key| key.namespace.clone()).collect();
        for name in names.into_iter().filter(|name| !name.is_empty()) {
            if matches!(client.has_namespace(&name).await, Ok(false)) {
                keys.retain(|key| key.namespace != name);
            }
        }
    }
    keys
}

async fn read_one(
    client: &ClusterClient,
    resource: &Resource,
    key: ObjectKey,
) -> (ObjectKey, Result<Option<Json>, RequestError>) {
    let answer = client.get(resource, &key.namespace, &key.name).await;
    (key, answer)
}

/// The pods that a workload's selector takes.
pub async fn pods_of(client: &ClusterClient, workload: &Json) -> Result<Vec<Json>, RequestError> {
    let selector = selector(workload);
    if selector.is_empty() {
        return Ok(Vec::new());
    }
    let pods = Resource::core("Pod", "pods", true);
    client.list(&pods, access::namespace(workload), &selector).await
}

/// `spec.selector` as a query; empty when there is none.
fn selector(workload: &Json) -> String {
    let path: &[&str] = match access::kind(workload) {
        // Its selector is older than expressions.
        "ReplicationController" => &["spec", "selector"],
        _ => &["spec", "selector", "matchLabels"],
    };
    let labels = access::string_map(access::at(workload, path));
    let mut terms: Vec<String> =
        labels.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    for expression in access::list(workload, &["spec", "selector", "matchExpressions"]) {
        let key = access::text(expression, &["key"]).unwrap_or_default();
        let values: Vec<_> =
            access::list(expression, &["values"]).iter().filter_map(Json::as_str).collect();
        let values = values.join(",");
        match access::text(expression, &["operator"]) {
            Some("In") => terms.push(format!("{key} in ({values})")),
            Some("NotIn") => terms.push(format!("{key} notin ({values})")),
            Some("Exists") => terms.push(key.to_owned()),
            Some("DoesNotExist") => terms.push(format!("!{key}")),
            _ => {}
        }
    }
    terms.join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_selector_becomes_a_query() {
        let workload = json!({"spec": {"selector": {
            "matchLabels": {"app": "web"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["a", "b"]},
                {"key": "old", "operator": "DoesNotExist"},
            ],
        }}});
        assert_eq!(selector(&workload), "app=web,tier in (a,b),!old");
        assert_eq!(selector(&json!({})), "");
    }
}
