//! One object: what is sent, and how the answer is dealt with.

use std::time::Duration;

use serde_json::Value as Json;

use super::error::{ApplyError, Doing, ObjectError};
use super::gone::wait_gone;
use super::ownership::{self, MANAGED_BY, RELEASE_NAME, RELEASE_NAMESPACE};
use super::{Applied, ApplyOptions};
use crate::base::clock::Clock;
use crate::chart::model::Manifest;
use crate::diff::is_meant;
use crate::fleet::model::{IgnoreDifference, ImmutablePolicy};
use crate::health::deletion;
use crate::k8s::{Apply, ClusterClient, Delete, RequestError, Resource};
use crate::live::ReleaseId;
use crate::object::key::ObjectKey;
use crate::object::manifest::settled;
use crate::object::{access, pointer, secret};

/// How often an object that is to go away is looked at.
/// How often the fields of former managers are asked for, where somebody writes the object meanwhile.
const TAKEOVERS_MAX: usize = 5;

/// An object of the release, with its place on the cluster.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// With the scope settled as far as known.
    pub(super) manifest: Manifest,
    /// Unknown as long as its CRD is still to come.
    pub(super) resource: Option<Resource>,
}

impl Wanted {
    /// Finds out which resource serves the object. A kind that is not served is no error yet.
    pub(super) async fn settle(
        client: &ClusterClient,
        mut manifest: Manifest,
    ) -> Result<Self, ObjectError> {
        let resource = match client.resource(&manifest.api_version, &manifest.key.kind).await {
            Ok(resource) => Some(resource),
            Err(RequestError::NoSuchKind { .. }) => None,
            Err(error) => return Err(at(Doing::Reading, &manifest, error)),
        };
        if let Some(resource) = &resource {
            manifest.key = settled(&manifest.key, resource.is_namespaced);
        }
        Ok(Self { manifest, resource })
    }

    pub(super) fn key(&self) -> &ObjectKey {
        &self.manifest.key
    }
}

/// An error at an object.
pub(super) fn at(doing: Doing, manifest: &Manifest, source: RequestError) -> ObjectError {
    ApplyError::object(doing, manifest.key.clone(), &manifest.source, manifest.line).failed(source)
}

/// What is sent for an object: with the namespace its scope asks for, Helm's labels and
/// annotations, and the live value of fields that are left alone.
pub(super) fn body(
    manifest: &Manifest,
    is_namespaced: bool,
    id: Option<&ReleaseId>,
    live: Option<&Json>,
    ignored: &[IgnoreDifference],
) -> Json {
    let mut object = (*manifest.object).clone();
    // Built-in kinds read `null` as absent; for custom resources it may mean something.
    if access::is_built_in_group(&manifest.key.group) {
        strip_nulls(&mut object);
        settle_env(&mut object);
    }
    secret::settle_string_data(&mut object);
    if let Some(metadata) = object.get_mut("metadata").and_then(Json::as_object_mut) {
        metadata.remove("managedFields");
        metadata.remove("creationTimestamp");
        if is_namespaced {
            let namespace = manifest.key.namespace.as_str();
            metadata.insert("namespace".to_owned(), Json::from(namespace));
        } else {
            metadata.remove("namespace");
        }
    }
    if let Some(id) = id {
        access::set_metadata(&mut object, "labels", MANAGED_BY, "Helm");
        access::set_metadata(&mut object, "annotations", RELEASE_NAME, &id.name);
        access::set_metadata(&mut object, "annotations", RELEASE_NAMESPACE, &id.namespace);
    }
    if let Some(live) = live {
        for rule in ignored.iter().filter(|rule| is_meant(rule, &manifest.key)) {
            pointer::copy(live, &mut object, &rule.path);
        }
    }
    object
}

fn strip_nulls(value: &mut Json) {
    match value {
        Json::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(strip_nulls);
        }
        Json::Array(items) => items.iter_mut().for_each(strip_nulls),
        _ => {}
    }
}

/// Of environment variables with one name, leaves the last, which is the one that counts. Helm's
/// own requests may have such; server-side apply takes none.
fn settle_env(value: &mut Json) {
    match value {
        Json::Object(fields) => {
            for (name, field) in fields {
                if let ("env", Json::Array(items)) = (name.as_str(), &mut *field) {
                    let names: Vec<_> =
                        items.iter().map(|item| item.get("name").cloned()).collect();
                    let is_last =
                        |at: usize| names[at].is_none() || !names[at + 1..].contains(&names[at]);
                    let mut at = 0..;
                    items.retain(|_| at.next().is_some_and(is_last));
                }
                settle_env(field);
            }
        }
        Json::Array(items) => items.iter_mut().for_each(settle_env),
        _ => {}
    }
}

/// What applying an object depends on besides the object.
pub(super) struct Applying<'a> {
    pub(super) client: &'a ClusterClient,
    pub(super) id: Option<&'a ReleaseId>,
    pub(super) options: &'a ApplyOptions,
    /// How long a hook, a CRD or a deletion may take.
    pub(super) timeout: Duration,
    pub(super) on_immutable: ImmutablePolicy,
    pub(super) ignored: &'a [IgnoreDifference],
    /// The release's objects: values of its Secrets are hidden in logs.
    pub(super) objects: &'a [Manifest],
    pub(super) clock: &'a dyn Clock,
}

impl Applying<'_> {
    /// Applies one object; gives it as it is then.
    pub(super) async fn apply(
        &self,
        manifest: &Manifest,
        resource: &Resource,
        live: Option<&Json>,
    ) -> Result<Json, ObjectError> {
        self.try_apply(manifest, resource, live)
            .await
            .map_err(|error| at(Doing::Applying, manifest, error))
    }

    async fn try_apply(
        &self,
        manifest: &Manifest,
        resource: &Resource,
        live: Option<&Json>,
    ) -> Result<Json, RequestError> {
        let namespace = &manifest.key.namespace;
        let live = match live {
            // What is applied to an object that is on its way out goes with it.
            Some(live) if deletion::is_under_way(live) => {
                let patience = (self.timeout, self.clock);
                let uid = access::uid(live);
                wait_gone(self.client, resource, &manifest.key, uid, patience).await?;
                None
            }
            live => live,
        };
        let body = body(manifest, resource.is_namespaced, self.id, live, self.ignored);
        if let Some(live) = live {
            self.take_over(resource, &manifest.key, live).await?;
        }
        let apply = Apply { is_dry_run: false, is_forced: self.options.is_forced };
        match self.client.apply(resource, namespace, &body, apply).await {
            Err(RequestError::FieldConflict { owners })
                if owners.iter().all(|owner| ownership::yields(owner, self.options.takes())) =>
            {
                let apply = Apply { is_forced: true, ..apply };
                self.client.apply(resource, namespace, &body, apply).await
            }
            Err(error)
                if error.is_immutable()
                    && self.on_immutable == ImmutablePolicy::Recreate
                    && may_recreate(manifest, live) =>
            {
                self.delete_and_wait(resource, &manifest.key, live.map_or("", access::uid)).await?;
                self.client.apply(resource, namespace, &body, apply).await
            }
            other => other,
        }
    }

    /// Takes the fields of former managers over. Where that never meets the object as it is, the
    /// apply tells what matters of it.
    async fn take_over(
        &self,
        resource: &Resource,
        key: &ObjectKey,
        live: &Json,
    ) -> Result<(), RequestError> {
        let mut live = live.clone();
        for _ in 0..TAKEOVERS_MAX {
            let Some(patch) = ownership::handover(&live, self.options.takes()) else { break };
            let (namespace, name) = (&key.namespace, &key.name);
            match self.client.json_patch(resource, namespace, name, &patch).await {
                Err(RequestError::Conflict { .. } | RequestError::Invalid { .. }) => {}
                other => return other.map(|_| ()),
            }
            let Some(now) = self.client.get(resource, namespace, name).await? else { break };
            live = now;
        }
        Ok(())
    }

    /// Deletes an object and waits until it is gone.
    pub(super) async fn delete_and_wait(
        &self,
        resource: &Resource,
        key: &ObjectKey,
        uid: &str,
    ) -> Result<(), RequestError> {
        let options = Delete { uid: uid.to_owned(), is_foreground: true };
        if !self.client.delete(resource, &key.namespace, &key.name, &options).await? {
            return Ok(());
        }
        wait_gone(self.client, resource, key, uid, (self.timeout, self.clock)).await
    }
}

/// Whether an object may be deleted for a field that cannot change. Not where that loses what no
/// apply brings back (data, everything in a namespace, every object of a kind), and not what says
/// that it stays.
pub(super) fn may_recreate(manifest: &Manifest, live: Option<&Json>) -> bool {
    !holds_more_than_itself(&manifest.key)
        && !access::says_keep(&manifest.object)
        && !live.is_some_and(access::says_keep)
}

/// Whether more goes with an object than what its manifest says.
pub(super) fn holds_more_than_itself(key: &ObjectKey) -> bool {
    matches!(
        (&*key.group, &*key.kind),
        ("", "PersistentVolumeClaim" | "PersistentVolume" | "Namespace")
            | ("apiextensions.k8s.io", "CustomResourceDefinition")
    )
}

/// The evidence of a write.
pub(super) fn evidence(object: &Json) -> Applied {
    Applied {
        uid: access::uid(object).to_owned(),
        generation: access::number(object, &["metadata", "generation"]),
        resource_version: access::resource_version(object).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn manifest(object: Json, namespace: &str) -> Manifest {
        let mut key = access::key_of(&object);
        namespace.clone_into(&mut key.namespace);
        Manifest {
            key,
            api_version: access::api_version(&object).to_owned(),
            object: object.into(),
            text: "".into(),
            source: "web/templates/x.yaml".into(),
            line: 1,
        }
    }

    #[test]
    fn a_body_has_helms_metadata_and_no_nulls() {
        let id = ReleaseId { namespace: "apps".to_owned(), name: "web".to_owned() };
        let manifest = manifest(
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {
                "name": "a", "labels": null, "creationTimestamp": null,
            }, "spec": {"externalName": null, "ports": [{"port": 80, "name": null}]}}),
            "apps",
        );
        assert_eq!(
            body(&manifest, true, Some(&id), None, &[]),
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {
                "name": "a", "namespace": "apps",
                "labels": {"app.kubernetes.io/managed-by": "Helm"},
                "annotations": {
                    "meta.helm.sh/release-name": "web",
                    "meta.helm.sh/release-namespace": "apps",
                },
            }, "spec": {"ports": [{"port": 80}]}})
        );
    }

    #[test]
    fn of_two_variables_with_one_name_the_last_is_sent() {
        let env = |env: Json| {
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"},
                   "spec": {"containers": [{"name": "c", "env": env}]}})
        };
        let twice =
            json!([{"name": "A", "value": "1"}, {"name": "B"}, {"name": "A", "value": "2"}]);
        let sent = body(&manifest(env(twice), "apps"), true, None, None, &[]);
        assert_eq!(
            sent["spec"]["containers"][0]["env"],
            json!([{"name": "B"}, {"name": "A", "value": "2"}])
        );
    }

    #[test]
    fn a_cluster_scoped_object_gets_no_namespace() {
        let manifest = manifest(
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
                   "metadata": {"name": "a", "namespace": "apps"}}),
            "",
        );
        assert_eq!(body(&manifest, false, None, None, &[])["metadata"], json!({"name": "a"}));
    }

    #[test]
    fn a_null_of_a_custom_resource_stays() {
        let manifest = manifest(
            json!({"apiVersion": "x.org/v1", "kind": "Thing", "metadata": {"name": "a"},
                   "spec": {"limit": null}}),
            "apps",
        );
        assert_eq!(body(&manifest, true, None, None, &[])["spec"], json!({"limit": null}));
    }

    #[test]
    fn a_field_that_is_left_alone_is_applied_as_it_is() {
        let manifest = manifest(
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"},
                   "spec": {"replicas": 1}}),
            "apps",
        );
        let rule = IgnoreDifference {
            kind: "Deployment".to_owned(),
            name: None,
            path: "/spec/replicas".to_owned(),
            reason: "scaled".to_owned(),
        };
        let live = json!({"spec": {"replicas": 5}});
        let sent = body(&manifest, true, None, Some(&live), std::slice::from_ref(&rule));
        assert_eq!(sent["spec"], json!({"replicas": 5}));
        assert_eq!(body(&manifest, true, None, None, &[rule])["spec"], json!({"replicas": 1}));
    }
}
