//! What goes along with a namespace or a CRD: looked up, named and counted before it is deleted.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde::Serialize;
use serde_json::Value as Json;

use super::crds;
use crate::k8s::{ClusterClient, RequestError, Resource};
use crate::object::access;
use crate::object::key::ObjectKey;

/// Objects that nobody has named, and that go with one that goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Along {
    /// The namespace or the CRD.
    #[serde(serialize_with = "as_text")]
    pub with: ObjectKey,
    /// What goes with it, in order; what is owned by one of them, and what Kubernetes makes in every
    /// namespace, is left out.
    #[serde(serialize_with = "as_texts")]
    pub objects: Vec<ObjectKey>,
}

fn as_text<S: serde::Serializer>(key: &ObjectKey, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(key)
}

fn as_texts<S: serde::Serializer>(keys: &[ObjectKey], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(keys.iter().map(ToString::to_string))
}

/// What goes along with an object that is deleted, if more than itself does. `known` is what is
/// deleted anyway.
///
/// # Errors
/// Any list that fails: what is not known to be there may not be deleted.
pub(super) async fn along(
    client: &ClusterClient,
    with: &ObjectKey,
    live: &Json,
    known: &BTreeSet<&ObjectKey>,
) -> Result<Option<Along>, RequestError> {
    let found = if crds::is_crd(with) {
        of_crd(client, live).await?
    } else if with.kind == "Namespace" && with.group.is_empty() {
        in_namespace(client, &with.name).await?
    } else {
        return Ok(None);
    };
    let mut objects: Vec<_> = found.into_iter().filter(|key| !known.contains(key)).collect();
    objects.sort();
    Ok((!objects.is_empty()).then(|| Along { with: with.clone(), objects }))
}

async fn of_crd(client: &ClusterClient, crd: &Json) -> Result<Vec<ObjectKey>, RequestError> {
    let group = access::text(crd, &["spec", "group"]).unwrap_or_default();
    let kind = access::text(crd, &["spec", "names", "kind"]).unwrap_or_default();
    let served = access::list(crd, &["spec", "versions"])
        .iter()
        .find(|version| version.get("served").and_then(Json::as_bool).unwrap_or_default());
    let Some(version) = served.and_then(|version| access::text(version, &["name"])) else {
        // What is not served cannot be looked at.
        return Ok(Vec::new());
    };
    match client.resource(&format!("{group}/{version}"), kind).await {
        Ok(resource) => keys(client, &resource, "").await,
        Err(RequestError::NoSuchKind { .. }) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

async fn in_namespace(
    client: &ClusterClient,
    namespace: &str,
) -> Result<Vec<ObjectKey>, RequestError> {
    let resources = client.every_resource().await?;
    let is_meant = |resource: &&Resource| resource.is_namespaced && !is_made_again(resource);
    let lists = resources.iter().filter(is_meant).map(|one| keys(client, one, namespace));
    let mut found = Vec::new();
    for listed in join_all(lists.collect::<Vec<_>>()).await {
        found.extend(listed?);
    }
    Ok(found)
}

/// Kinds whose objects are only what controllers say of others.
fn is_made_again(resource: &Resource) -> bool {
    matches!(
        (resource.group.as_str(), resource.kind.as_str()),
        (_, "Event") | ("metrics.k8s.io" | "discovery.k8s.io", _) | ("", "Endpoints")
    )
}

async fn keys(
    client: &ClusterClient,
    resource: &Resource,
    namespace: &str,
) -> Result<Vec<ObjectKey>, RequestError> {
    let listed = client.list_metadata(resource, namespace, "").await?;
    let counts = |object: &&Json| {
        access::list(object, &["metadata", "ownerReferences"]).is_empty() && !is_of_every(object)
    };
    let key = |object: &Json| ObjectKey { group: resource.group.clone(), ..access::key_of(object) };
    Ok(listed.iter().filter(counts).map(key).collect())
}

/// What Kubernetes makes in every namespace, and the records of releases.
fn is_of_every(object: &Json) -> bool {
    match access::kind(object) {
        "ConfigMap" => access::name(object) == "kube-root-ca.crt",
        "ServiceAccount" => access::name(object) == "default",
        "Secret" => access::label(object, "owner") == Some("helm"),
        _ => false,
    }
}
