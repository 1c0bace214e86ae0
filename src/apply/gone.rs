//! Waiting until objects that were deleted are gone.

use std::time::Duration;

use futures::future::join_all;
use serde_json::Value as Json;

use super::error::{ApplyError, Doing, ObjectError};
use super::history::Tenure;
use super::objects::{Applying, at};
use crate::base::clock::Clock;
use crate::chart::model::Manifest;
use crate::health::deletion;
use crate::k8s::{ClusterClient, RequestError, Resource};
use crate::live::Live;
use crate::object::access;
use crate::object::key::ObjectKey;

/// The first pause between two looks; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest pause between two looks.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Looks between two signs of life, a pause each.
const LOOKS_PER_RENEWAL: u32 = 10;

/// How often one object is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Waits until an object is gone, or another one has taken its name.
pub(super) async fn wait_gone(
    client: &ClusterClient,
    resource: &Resource,
    key: &ObjectKey,
    uid: &str,
    (timeout, clock): (Duration, &dyn Clock),
) -> Result<(), RequestError> {
    let started = clock.now();
    while let Some(live) = still_there(client, resource, key, uid).await? {
        if clock.now().duration_since(started).unsigned_abs() >= timeout {
            return Err(lingers(&live, timeout));
        }
        clock.sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// The object, unless it is gone or another one has taken its name. Any object when `uid` is empty.
async fn still_there(
    client: &ClusterClient,
    resource: &Resource,
    key: &ObjectKey,
    uid: &str,
) -> Result<Option<Json>, RequestError> {
    let found = client.get(resource, &key.namespace, &key.name).await?;
    Ok(found.filter(|live| uid.is_empty() || access::uid(live) == uid))
}

/// That an object is still there after a while, with what holds it.
fn lingers(live: &Json, after: Duration) -> RequestError {
    RequestError::Lingers { after, words: deletion::words(live), help: deletion::help(live) }
}

/// Waits until every one of these objects is gone, or another one has its name.
///
/// # Errors
/// Those that are still there in the end, each with since when it is being deleted, which finalizer
/// holds it and who has set that.
pub(super) async fn wait_until_gone(
    applying: &Applying<'_>,
    tenure: &mut Tenure<'_>,
    deleted: &[(Manifest, String)],
) -> Result<(), ApplyError> {
    let started = applying.clock.now();
    let mut left: Vec<&(Manifest, String)> = deleted.iter().collect();
    let mut pause = PAUSE_MIN;
    for look in 1_u32.. {
        let looks = left.iter().map(|(manifest, uid)| present(applying, manifest, uid));
        let seen: Vec<_> = join_all(looks).await.into_iter().zip(left).collect();
        let is_over =
            applying.clock.now().duration_since(started).unsigned_abs() >= applying.timeout;
        let mut errors: Vec<ObjectError> = Vec::new();
        left = Vec::new();
        for (present, deleted) in seen {
            match present {
                Ok(None) => {}
                Ok(Some(live)) if is_over => {
                    let error = lingers(&live, applying.timeout);
                    errors.push(at(Doing::Deleting, &deleted.0, error));
                }
                Ok(Some(_)) => left.push(deleted),
                Err(error) => errors.push(at(Doing::Deleting, &deleted.0, error)),
            }
        }
        if !errors.is_empty() {
            return Err(ApplyError::Objects { errors });
        }
        if left.is_empty() {
            return Ok(());
        }
        if look % LOOKS_PER_RENEWAL == 0 {
            tenure.renew().await?;
        }
        applying.clock.sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
    Ok(())
}

/// What was deleted, had finalizers, and is still there: with since when and what holds it. Whether
/// it goes is nobody's to wait for, and somebody's to know.
pub(super) async fn lingering(
    applying: &Applying<'_>,
    seen: &Live,
    deleted: &[(Manifest, String)],
) -> Vec<(ObjectKey, String)> {
    let may_linger = |(manifest, _): &&(Manifest, String)| {
        let object = seen.objects.get(&manifest.key);
        let finalizers = object.map(|object| access::list(object, &["metadata", "finalizers"]));
        finalizers.is_some_and(|finalizers| !finalizers.is_empty())
    };
    let looks = deleted.iter().filter(may_linger).map(async |(manifest, uid)| {
        let live = present(applying, manifest, uid).await.ok().flatten()?;
        Some((manifest.key.clone(), deletion::words(&live)))
    });
    join_all(looks).await.into_iter().flatten().collect()
}

/// The object, if it is still there.
async fn present(
    applying: &Applying<'_>,
    manifest: &Manifest,
    uid: &str,
) -> Result<Option<Json>, RequestError> {
    let (api_version, kind) = (&manifest.api_version, &manifest.key.kind);
    let resource = match applying.client.resource_at_any_version(api_version, kind).await {
        Ok(resource) => resource,
        // With its CRD, every object of a kind is gone.
        Err(RequestError::NoSuchKind { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    still_there(applying.client, &resource, &manifest.key, uid).await
}
