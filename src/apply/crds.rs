//! CRDs: applied by their policy, and waited for before anything uses them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value as Json;

use super::error::{ApplyError, Doing, ObjectError};
use super::objects::{Applying, Wanted, at};
use super::ownership::{self, Owner};
use crate::chart::model::Manifest;
use crate::fleet::model::CrdPolicy;
use crate::health;
use crate::k8s::{ClusterClient, RequestError, Resource};
use crate::live::ReleaseId;
use crate::object::access;
use crate::object::key::ObjectKey;
use crate::object::manifest::settled;

/// How often a CRD is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Whether an object is a CRD.
pub(super) fn is_crd(key: &ObjectKey) -> bool {
    key.kind == "CustomResourceDefinition"
}

/// The kinds that CRDs among these define, each with its group, and the CRD's name.
pub(super) fn defined<'a>(
    manifests: impl Iterator<Item = &'a Manifest>,
) -> BTreeMap<(String, String), String> {
    let of = |crd: &Manifest| {
        let text = |path: &[&str]| access::text(&crd.object, path).map(str::to_owned);
        let kind = (text(&["spec", "group"])?, text(&["spec", "names", "kind"])?);
        Some((kind, crd.key.name.clone()))
    };
    manifests.filter(|manifest| is_crd(&manifest.key)).filter_map(of).collect()
}

/// The CRDs of a chart's `crds/` folders that are not on the cluster. Where they may not be listed,
/// none is known to lack.
pub(super) async fn missing(
    client: &ClusterClient,
    crds: &[Manifest],
    policy: CrdPolicy,
) -> Vec<Manifest> {
    if policy == CrdPolicy::Skip || crds.is_empty() {
        return Vec::new();
    }
    let Ok(listed) = client.listed_metadata(&definitions(), "").await else { return Vec::new() };
    let names: BTreeSet<&str> = listed.iter().map(access::name).collect();
    let missing = crds.iter().filter(|crd| !names.contains(crd.key.name.as_str()));
    missing.map(|crd| Manifest { key: settled(&crd.key, false), ..crd.clone() }).collect()
}

/// CRDs with their place on the cluster, as far as it knows their version.
pub(super) async fn settle(
    client: &ClusterClient,
    crds: &[Manifest],
) -> Result<Vec<Wanted>, ApplyError> {
    let settled = crds.iter().map(|crd| async {
        let mut wanted = Wanted::settle(client, crd.clone()).await?;
        wanted.manifest.key = settled(&crd.key, false);
        Ok(wanted)
    });
    super::attempt::collect(futures::future::join_all(settled).await)
}

/// The kind of CRDs.
pub(super) fn definitions() -> Resource {
    Resource {
        group: "apiextensions.k8s.io".to_owned(),
        version: "v1".to_owned(),
        kind: "CustomResourceDefinition".to_owned(),
        plural: "customresourcedefinitions".to_owned(),
        is_namespaced: false,
    }
}

/// Applies the CRDs of a chart's `crds/` folders and waits until they are in use.
pub(super) async fn install(
    applying: &Applying<'_>,
    crds: &[Manifest],
    (policy, id): (CrdPolicy, &ReleaseId),
) -> Result<(), ApplyError> {
    if crds.is_empty() {
        return Ok(());
    }
    let jobs = crds.iter().map(|crd| install_one(applying, crd, (policy, id)));
    let mut errors: Vec<ObjectError> = Vec::new();
    for result in futures::future::join_all(jobs).await {
        errors.extend(result.err());
    }
    if !errors.is_empty() {
        return Err(ApplyError::Objects { errors });
    }
    let names: Vec<&str> = crds.iter().map(|crd| crd.key.name.as_str()).collect();
    established(applying, &names).await
}

/// Whether a CRD of a `crds/` folder stays as it is on the cluster: by the policy, or since it is
/// an object of another release, which keeps it as that wants it.
pub(super) fn is_left_alone(live: &Json, policy: CrdPolicy, id: &ReleaseId) -> bool {
    policy == CrdPolicy::Create || matches!(ownership::owner(live, id), Owner::Other(_))
}

async fn install_one(
    applying: &Applying<'_>,
    crd: &Manifest,
    (policy, id): (CrdPolicy, &ReleaseId),
) -> Result<(), ObjectError> {
    let wanted = Wanted::settle(applying.client, crd.clone()).await?;
    let Some(resource) = &wanted.resource else {
        let error = RequestError::NoSuchKind {
            api_version: crd.api_version.clone(),
            kind: crd.key.kind.clone(),
        };
        return Err(at(Doing::Applying, crd, error));
    };
    let live = applying
        .client
        .get(resource, "", &crd.key.name)
        .await
        .map_err(|error| at(Doing::Reading, crd, error))?;
    if live.as_ref().is_some_and(|live| is_left_alone(live, policy, id)) {
        return Ok(());
    }
    applying.apply(&wanted.manifest, resource, live.as_ref()).await?;
    Ok(())
}

/// Waits until CRDs are established and the kinds they bring are served. The API server lists a
/// kind a moment after it calls the CRD established, and what is sent in between is refused.
pub(super) async fn established(applying: &Applying<'_>, names: &[&str]) -> Result<(), ApplyError> {
    applying.client.forget_resources();
    for name in names {
        wait_for(applying, name).await?;
    }
    Ok(())
}

async fn wait_for(applying: &Applying<'_>, name: &str) -> Result<(), ApplyError> {
    let started = applying.clock.now();
    let timeout = applying.timeout;
    loop {
        let in_use = is_in_use(applying.client, name).await;
        let in_use = in_use.map_err(|source| ApplyError::Cluster {
            cluster: applying.client.name.clone(),
            doing: "looking at a CRD",
            source,
        })?;
        if in_use {
            return Ok(());
        }
        if applying.clock.now().duration_since(started).unsigned_abs() >= timeout {
            return Err(ApplyError::NotEstablished { crd: name.to_owned(), after: timeout });
        }
        applying.clock.sleep(LOOK_EVERY).await;
    }
}

/// Whether a CRD is established and every version that it serves is on the API server's lists.
async fn is_in_use(client: &ClusterClient, name: &str) -> Result<bool, RequestError> {
    let Some(crd) = client.get(&definitions(), "", name).await? else { return Ok(false) };
    if !health::of(&crd).is_ready() {
        return Ok(false);
    }
    let group = access::text(&crd, &["spec", "group"]).unwrap_or_default();
    let kind = access::text(&crd, &["spec", "names", "kind"]).unwrap_or_default();
    for version in access::list(&crd, &["spec", "versions"]) {
        if !version.get("served").and_then(Json::as_bool).unwrap_or_default() {
            continue;
        }
        let version = access::text(version, &["name"]).unwrap_or_default();
        match client.resource(&format!("{group}/{version}"), kind).await {
            Ok(_) => {}
            Err(RequestError::NoSuchKind { .. }) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}
