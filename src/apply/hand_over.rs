//! Giving a release back to Helm, in place.
//!
//! Release records and objects are Helm's as they are. What is fitout's own goes: the annotations of
//! the records, and its name as the manager of the objects' fields. One mark stays, a label of the
//! records: as long as git still wants the instance, it is what keeps fitout from taking it back.

use futures::future::join_all;
use serde::Serialize;
use serde_json::{Map, Value as Json, json};

use super::ApplyOptions;
use super::error::{ApplyError, Doing, ObjectError};
use super::history::{self, failed};
use super::objects::at;
use super::ownership::{self, Owner};
use crate::base::clock::Clock;
use crate::chart::model::Manifest;
use crate::k8s::{ClusterClient, RequestError};
use crate::live::read::read;
use crate::live::record::{HANDED_OVER_LABEL, OWN_ANNOTATIONS, RecordHead};
use crate::live::{ObjectRef, ReleaseId, observe, releases};

/// How often an object is tried that somebody writes meanwhile.
const TRIES_MAX: usize = 5;

/// A release that is to be handed over.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HandedOver {
    /// The release.
    #[serde(skip)]
    pub id: ReleaseId,
    /// Helm's revision number.
    pub release_revision: u32,
    /// Objects that are handed over.
    pub objects: Vec<String>,
    /// Objects of the release that are not there.
    pub absent: Vec<String>,
    /// Objects that are there and belong to another release, or to none.
    pub foreign: Vec<String>,
    #[serde(skip)]
    heads: Vec<RecordHead>,
    #[serde(skip)]
    manifests: Vec<(Manifest, Json)>,
}

impl HandedOver {
    /// Looks at what there is to hand over. Sends nothing that can mutate.
    ///
    /// # Errors
    /// [`ApplyError::NotInstalled`]; [`ApplyError::Busy`] while somebody changes it.
    pub async fn survey(
        client: &ClusterClient,
        id: &ReleaseId,
        options: &ApplyOptions,
        clock: &dyn Clock,
    ) -> Result<Self, ApplyError> {
        let heads = releases::heads(client, id).await;
        let heads = heads.map_err(failed(client, "reading the release records"))?;
        let Some(newest) = heads.last() else {
            return Err(ApplyError::NotInstalled { release: id.clone() });
        };
        history::ensure_free(newest, options, clock.now())?;
        let inventory = history::inventory(&history::present(client, &heads).await?)?;
        let references = inventory.iter().map(|(key, manifest)| ObjectRef {
            key: key.clone(),
            api_version: manifest.api_version.clone(),
        });
        let live = read(client, references, clock.now()).await;
        let mut survey = Self {
            id: id.clone(),
            release_revision: newest.revision,
            objects: Vec::new(),
            absent: Vec::new(),
            foreign: Vec::new(),
            manifests: Vec::new(),
            heads,
        };
        let mut errors: Vec<ObjectError> = Vec::new();
        for (key, manifest) in inventory {
            let Some((key, object)) = observe::find(&live, &key) else {
                match live.gap_over(&key) {
                    None => survey.absent.push(key.to_string()),
                    Some(gap) => {
                        let source =
                            RequestError::Unreachable { source: gap.reason.clone().into() };
                        errors.push(at(Doing::Reading, &manifest, source));
                    }
                }
                continue;
            };
            if ownership::owner(object, id) == Owner::Ours {
                survey.objects.push(key.to_string());
                survey.manifests.push((Manifest { key: key.clone(), ..manifest }, object.clone()));
            } else {
                survey.foreign.push(key.to_string());
            }
        }
        if errors.is_empty() { Ok(survey) } else { Err(ApplyError::Objects { errors }) }
    }
}

/// Hands a release over to Helm: its records first, so that nothing takes it back meanwhile.
///
/// # Guarantees
/// No object changes but in who manages its fields. Killed at any point, the next one goes on.
pub async fn hand_over(
    client: &ClusterClient,
    release: &HandedOver,
    clock: &dyn Clock,
) -> Result<(), ApplyError> {
    if let Some(newest) = release.heads.last().filter(|newest| newest.status.is_pending()) {
        // Helm goes no further from a change under way.
        history::close_interrupted(client, newest, clock.now()).await?;
    }
    let annotations: Map<String, Json> =
        OWN_ANNOTATIONS.iter().map(|name| ((*name).to_owned(), Json::Null)).collect();
    let mark = json!({"metadata": {
        "labels": {HANDED_OVER_LABEL: "true"}, "annotations": annotations,
    }});
    for head in release.heads.iter().rev() {
        let namespace = &head.id.namespace;
        let marked =
            client.merge_patch(&releases::secrets(), namespace, &head.secret_name, &mark).await;
        match marked {
            Ok(_) | Err(RequestError::NotFound { .. }) => {}
            Err(error) => return Err(failed(client, "marking the release records")(error)),
        }
    }
    ensure_newest(client, release).await?;
    let jobs = release.manifests.iter().map(|(manifest, live)| async move {
        hand_back(client, manifest, live)
            .await
            .map_err(|error| at(Doing::HandingOver, manifest, error))
    });
    let failed = join_all(jobs).await.into_iter().filter_map(Result::err);
    let errors: Vec<ObjectError> = failed.collect();
    if errors.is_empty() { Ok(()) } else { Err(ApplyError::Objects { errors }) }
}

/// Whoever has begun a change since has not seen the mark.
async fn ensure_newest(client: &ClusterClient, release: &HandedOver) -> Result<(), ApplyError> {
    let heads = releases::heads(client, &release.id).await;
    let heads = heads.map_err(failed(client, "reading the release records"))?;
    if heads.last().is_some_and(|newest| newest.revision == release.release_revision) {
        Ok(())
    } else {
        Err(ApplyError::Lost { release: release.id.clone() })
    }
}

async fn hand_back(
    client: &ClusterClient,
    manifest: &Manifest,
    live: &Json,
) -> Result<(), RequestError> {
    let (api_version, key) = (&manifest.api_version, &manifest.key);
    let resource = client.resource_at_any_version(api_version, &key.kind).await?;
    let mut live = live.clone();
    let mut tries = 1;
    loop {
        let Some(patch) = ownership::handback(&live) else { return Ok(()) };
        match client.json_patch(&resource, &key.namespace, &key.name, &patch).await {
            Err(RequestError::Conflict { .. } | RequestError::Invalid { .. })
                if tries < TRIES_MAX => {}
            other => return other.map(|_| ()),
        }
        tries += 1;
        let Some(now) = client.get(&resource, &key.namespace, &key.name).await? else {
            return Ok(());
        };
        live = now;
    }
}
