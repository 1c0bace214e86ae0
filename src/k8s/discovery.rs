//! Which resource serves a kind, and whether it has namespaces: asked of the server once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value as Json;
use tokio::sync::OnceCell;

use super::client::ClusterClient;
use super::error::RequestError;
use crate::object::access;

/// A kind as the API server serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// API group; empty for the core group.
    pub group: String,
    /// Version within the group.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// The plural in URLs.
    pub plural: String,
    /// Whether its objects are in namespaces.
    pub is_namespaced: bool,
}

impl Resource {
    /// A kind of the core group, known without asking.
    pub fn core(kind: &str, plural: &str, is_namespaced: bool) -> Self {
        Self {
            group: String::new(),
            version: "v1".to_owned(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
            is_namespaced,
        }
    }

    /// `apiVersion` of its objects.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// The URL path of an object, or of the collection where `name` is empty. An empty namespace
    /// is the whole cluster.
    pub fn path(&self, namespace: &str, name: &str) -> String {
        let mut path = if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        };
        if self.is_namespaced && !namespace.is_empty() {
            path.push_str("/namespaces/");
            path.push_str(&escaped(namespace));
        }
        path.push('/');
        path.push_str(&self.plural);
        if !name.is_empty() {
            path.push('/');
            path.push_str(&escaped(name));
        }
        path
    }
}

/// A name as a step of a URL path: names of RBAC objects may have a colon, others nothing special,
/// and what is not a name must not lead to another path.
pub(super) fn escaped(name: &str) -> String {
    use std::fmt::Write as _;
    name.bytes().fold(String::with_capacity(name.len()), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02X}").expect("writing to a String cannot fail");
        }
        text
    })
}

/// What was asked so far, by `apiVersion`. Whoever comes while it is being asked waits for the
/// same answer.
#[derive(Debug, Default)]
pub(super) struct Resources(Mutex<BTreeMap<String, Served>>);

type Served = Arc<OnceCell<Vec<Resource>>>;

impl Resources {
    fn cell(&self, api_version: &str) -> Served {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(api_version.to_owned()).or_default())
    }

    /// Drops an answer, unless somebody has asked again already.
    fn drop_cell(&self, api_version: &str, old: &Served) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.get(api_version).is_some_and(|cell| Arc::ptr_eq(cell, old)) {
            known.remove(api_version);
        }
    }

    pub(super) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl ClusterClient {
    /// The resource that serves a kind. A kind that is not known yet is asked for again, since its
    /// CRD may have come in between.
    pub async fn resource(&self, api_version: &str, kind: &str) -> Result<Resource, RequestError> {
        let find = |resources: &[Resource]| resources.iter().find(|r| r.kind == kind).cloned();
        let cell = self.resources.cell(api_version);
        if let Some(known) = cell.get() {
            if let Some(resource) = find(known) {
                return Ok(resource);
            }
            self.resources.drop_cell(api_version, &cell);
        }
        let cell = self.resources.cell(api_version);
        let resources = cell.get_or_try_init(|| self.discover(api_version)).await?;
        find(resources).ok_or_else(|| RequestError::NoSuchKind {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
        })
    }

    /// The resource that serves a kind at any version: `api_version` if it is still served, else
    /// the one that the group prefers. For objects that an older release left behind.
    pub async fn resource_at_any_version(
        &self,
        api_version: &str,
        kind: &str,
    ) -> Result<Resource, RequestError> {
        let error = match self.resource(api_version, kind).await {
            Err(error @ RequestError::NoSuchKind { .. }) => error,
            other => return other,
        };
        let group = access::group_of(api_version);
        if group.is_empty() {
            return Err(error);
        }
        let Some(found) = self.get_path(&format!("/apis/{}", escaped(group))).await? else {
            return Err(error);
        };
        let preferred = access::text(&found, &["preferredVersion", "groupVersion"]);
        match preferred {
            Some(preferred) if preferred != api_version => self.resource(preferred, kind).await,
            _ => Err(error),
        }
    }

    /// Every resource that can be listed, at the version that its group prefers.
    ///
    /// # Errors
    /// Any group that does not answer: what it serves may be there.
    pub async fn every_resource(&self) -> Result<Vec<Resource>, RequestError> {
        let groups = self.get_path("/apis").await?.unwrap_or_default();
        let preferred = access::list(&groups, &["groups"])
            .iter()
            .filter_map(|group| access::text(group, &["preferredVersion", "groupVersion"]))
            .map(|version| (version, format!("/apis/{version}")));
        let lists = std::iter::once(("v1", "/api/v1".to_owned())).chain(preferred);
        let asked = lists.map(async |(version, path)| (version, self.get_path(&path).await));
        let mut resources = Vec::new();
        for (version, list) in futures::future::join_all(asked).await {
            let list = list?.unwrap_or_default();
            let (group, version) = version.split_once('/').unwrap_or(("", version));
            let is_listed = |item: &&Json| {
                access::list(item, &["verbs"]).iter().any(|verb| verb.as_str() == Some("list"))
            };
            let listed = access::list(&list, &["resources"]).iter().filter(is_listed);
            resources.extend(listed.filter_map(|item| resource(group, version, item)));
        }
        Ok(resources)
    }

    /// Forgets which kinds are served: CRDs have changed.
    pub fn forget_resources(&self) {
        self.resources.forget();
    }

    async fn discover(&self, api_version: &str) -> Result<Vec<Resource>, RequestError> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let path = if group.is_empty() {
            format!("/api/{}", escaped(version))
        } else {
            format!("/apis/{}/{}", escaped(group), escaped(version))
        };
        let Some(list) = self.get_path(&path).await? else { return Ok(Vec::new()) };
        let resources = access::list(&list, &["resources"]);
        Ok(resources.iter().filter_map(|item| resource(group, version, item)).collect())
    }
}

fn resource(group: &str, version: &str, item: &Json) -> Option<Resource> {
    let plural = access::text(item, &["name"])?;
    if plural.contains('/') {
        return None;
    }
    Some(Resource {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: access::kind(item).to_owned(),
        plural: plural.to_owned(),
        is_namespaced: item.get("namespaced").and_then(Json::as_bool).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_scoped_kind_has_no_namespace_in_its_path() {
        let role = Resource {
            group: "rbac.authorization.k8s.io".to_owned(),
            version: "v1".to_owned(),
            kind: "ClusterRole".to_owned(),
            plural: "clusterroles".to_owned(),
            is_namespaced: false,
        };
        assert_eq!(
            role.path("ns", "system:x"),
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:x"
        );
    }

    #[test]
    fn a_name_cannot_lead_to_another_path() {
        let pods = Resource::core("Pod", "pods", true);
        assert_eq!(pods.path("ns", "../x?y"), "/api/v1/namespaces/ns/pods/..%2Fx%3Fy");
        assert_eq!(pods.path("", ""), "/api/v1/pods");
    }
}
