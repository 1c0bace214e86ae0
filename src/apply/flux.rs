//! Flux beside fitout: which HelmReleases of its helm-controller are about a release.
//!
//! The helm-controller is Helm: its release records and annotations are Helm's. What is its own are the
//! name of the release (`TARGETNAMESPACE-NAME` where nothing else is said), the namespace of the
//! records (that of the HelmRelease where nothing else is said, whatever the release's own is), two
//! labels on every object, and its name as a field manager.

use std::fmt;

use serde::Serialize;
use serde_json::Value as Json;
use sha2::Digest as _;

use super::error::{ApplyError, Refused};
use super::history::failed;
use crate::base::ids::hex;
use crate::k8s::{ClusterClient, RequestError};
use crate::live::{Live, ReleaseId};
use crate::object::access;

/// The group of HelmReleases; also the prefix of the labels on their objects.
const GROUP: &str = "helm.toolkit.fluxcd.io";
/// The version that is asked for first.
const API_VERSION: &str = "helm.toolkit.fluxcd.io/v2";
/// The longest name of a release.
const NAME_MAX: usize = 53;

/// A HelmRelease, as far as it is about whose a release is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HelmRelease {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The release that it makes.
    #[serde(skip)]
    pub release: ReleaseId,
    /// Where the records of the release are.
    pub storage_namespace: String,
    /// Whether the helm-controller leaves it alone.
    pub is_suspended: bool,
    /// `NAMESPACE/NAME` of the Kustomization that brings it, where one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kustomization: Option<String>,
}

impl fmt::Display for HelmRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl HelmRelease {
    /// Reads one. `None` for one that is about another cluster.
    fn read(object: &Json) -> Option<Self> {
        if access::at(object, &["spec", "kubeConfig"]).is_some() {
            return None;
        }
        let spec = |field: &str| {
            access::text(object, &["spec", field])
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        };
        let (namespace, name) = (access::namespace(object), access::name(object));
        let target = spec("targetNamespace");
        let composed = match &target {
            Some(target) => format!("{target}-{name}"),
            None => name.to_owned(),
        };
        let release = spec("releaseName").unwrap_or(composed);
        let label =
            |label: &str| access::label(object, &format!("kustomize.toolkit.fluxcd.io/{label}"));
        let kustomization = label("namespace").zip(label("name"));
        Some(Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            release: ReleaseId {
                namespace: target.unwrap_or_else(|| namespace.to_owned()),
                name: shortened(release),
            },
            storage_namespace: spec("storageNamespace").unwrap_or_else(|| namespace.to_owned()),
            is_suspended: access::at(object, &["spec", "suspend"]) == Some(&Json::Bool(true)),
            kustomization: kustomization.map(|(namespace, name)| format!("{namespace}/{name}")),
        })
    }

    /// What makes the helm-controller leave the release alone.
    pub fn suspend(&self) -> String {
        format!("flux suspend helmrelease {} -n {}", self.name, self.namespace)
    }
}

/// A name that is too long for Helm, as the helm-controller shortens it: with 12 digits of its digest.
fn shortened(name: String) -> String {
    if name.len() <= NAME_MAX {
        return name;
    }
    let digest = hex(&sha2::Sha256::digest(name.as_bytes()));
    let head: String = name.chars().take(NAME_MAX - 13).collect();
    format!("{head}-{}", &digest[..12])
}

/// The HelmReleases of a cluster that make a release. None where Flux is not there.
pub(super) async fn of_release(
    client: &ClusterClient,
    id: &ReleaseId,
) -> Result<Vec<HelmRelease>, RequestError> {
    let resource = match client.resource_at_any_version(API_VERSION, "HelmRelease").await {
        Err(RequestError::NoSuchKind { .. }) => return Ok(Vec::new()),
        resource => resource?,
    };
    let objects = client.listed(&resource, "").await?;
    let releases = objects.iter().filter_map(HelmRelease::read);
    Ok(releases.filter(|release| release.release == *id).collect())
}

/// Refuses while Flux makes the release: it would take back what is changed. Asks only where objects
/// carry the labels of a HelmRelease.
pub(super) async fn ensure_rests(
    client: &ClusterClient,
    id: &ReleaseId,
    live: &Live,
) -> Result<(), ApplyError> {
    if !live.objects.values().any(|object| marks(object).is_some()) {
        return Ok(());
    }
    let found = match of_release(client, id).await {
        // Who may not read them cannot know; the field managers still tell of a fight.
        Err(RequestError::Forbidden { .. }) => return Ok(()),
        found => found.map_err(failed(client, "looking for HelmReleases of Flux"))?,
    };
    match found.into_iter().find(|release| !release.is_suspended) {
        Some(helm_release) => Err(Refused::OfFlux { release: id.clone(), helm_release }.into()),
        None => Ok(()),
    }
}

/// Namespace and name of the HelmRelease that an object says it is of.
pub(super) fn marks(object: &Json) -> Option<(&str, &str)> {
    let label = |label: &str| access::label(object, &format!("{GROUP}/{label}"));
    label("namespace").zip(label("name"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(spec: Json) -> Option<HelmRelease> {
        HelmRelease::read(&json!({
            "metadata": {"name": "web", "namespace": "flux-system", "labels": {
                "kustomize.toolkit.fluxcd.io/name": "apps",
                "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
            }},
            "spec": spec,
        }))
    }

    #[test]
    fn a_release_is_named_as_the_helm_controller_names_it() {
        let plain = read(json!({})).unwrap();
        assert_eq!(plain.release.to_string(), "flux-system/web");
        assert_eq!((plain.is_suspended, plain.storage_namespace.as_str()), (false, "flux-system"));
        assert_eq!(plain.kustomization.as_deref(), Some("flux-system/apps"));
        let elsewhere = read(json!({"targetNamespace": "apps", "suspend": true})).unwrap();
        assert_eq!(elsewhere.release.to_string(), "apps/apps-web");
        assert_eq!(
            (elsewhere.is_suspended, elsewhere.storage_namespace.as_str()),
            (true, "flux-system")
        );
        let named = json!({"targetNamespace": "apps", "releaseName": "w", "storageNamespace": "s"});
        let named = read(named).unwrap();
        assert_eq!(named.release.to_string(), "apps/w");
        assert_eq!(named.storage_namespace, "s");
        assert_eq!(read(json!({"kubeConfig": {"secretRef": {"name": "other"}}})), None);
    }

    #[test]
    fn a_long_name_ends_with_its_digest() {
        let name = "a-namespace-that-is-rather-long-and-a-name-that-is-so-too".to_owned();
        let digest = hex(&sha2::Sha256::digest(name.as_bytes()));
        let short = shortened(name);
        assert_eq!(short.len(), 53);
        let expected = format!("a-namespace-that-is-rather-long-and-a-na-{}", &digest[..12]);
        assert_eq!(short, expected);
    }
}
