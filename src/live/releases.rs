//! Release records as they are on a cluster.

use serde_json::Value as Json;

use super::record::{self, RecordError, RecordHead, ReleaseRecord};
use super::{Adopted, ReleaseId};
use crate::k8s::{ClusterClient, RequestError, Resource};

/// The kind of a record.
pub fn secrets() -> Resource {
    Resource::core("Secret", "secrets", true)
}

/// A record that could not be had.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// The request failed.
    #[error("reading the release records")]
    Request(#[from] RequestError),
    /// The record makes no sense.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// The heads of all revisions of one release, oldest first.
pub async fn heads(
    client: &ClusterClient,
    id: &ReleaseId,
) -> Result<Vec<RecordHead>, RequestError> {
    // Not everybody may list Secrets over the whole cluster.
    if client.is_of_one_pass()
        && let Ok(all) = all_heads(client).await
    {
        return Ok(all.into_iter().filter(|head| head.id == *id).collect());
    }
    let labels = format!("owner=helm,name={}", id.name);
    let secrets = client.list_metadata(&secrets(), &id.namespace, &labels).await?;
    Ok(sorted(&secrets))
}

/// The heads of all revisions of some releases of one namespace, by release, oldest first.
pub async fn heads_of(
    client: &ClusterClient,
    ids: &[ReleaseId],
) -> Result<Vec<RecordHead>, RequestError> {
    if client.is_of_one_pass()
        && let Ok(all) = all_heads(client).await
    {
        return Ok(all.into_iter().filter(|head| ids.contains(&head.id)).collect());
    }
    let Some(first) = ids.first() else { return Ok(Vec::new()) };
    let names: Vec<&str> = ids.iter().map(|id| id.name.as_str()).collect();
    let labels = format!("owner=helm,name in ({})", names.join(","));
    let secrets = client.list_metadata(&secrets(), &first.namespace, &labels).await?;
    Ok(sorted(&secrets))
}

/// The heads of all revisions of all releases of a cluster, by release, oldest first.
pub async fn all_heads(client: &ClusterClient) -> Result<Vec<RecordHead>, RequestError> {
    let secrets = client.listed_metadata(&secrets(), "owner=helm").await?;
    Ok(sorted(&secrets))
}

fn sorted(secrets: &[Json]) -> Vec<RecordHead> {
    let mut heads: Vec<_> = secrets.iter().filter_map(record::head).collect();
    heads.sort_by(|a, b| (&a.id, a.revision).cmp(&(&b.id, b.revision)));
    heads
}

/// One record with its content; `None` when it is gone.
pub async fn record(
    client: &ClusterClient,
    head: &RecordHead,
) -> Result<Option<ReleaseRecord>, RecordsError> {
    let secret = client.get(&secrets(), &head.id.namespace, &head.secret_name).await?;
    Ok(secret.as_ref().map(record::decode).transpose()?)
}

/// What a release is at, and what is under way. `heads` are of one release, oldest first.
///
/// The newest record that is not pending decides; one that failed counts, since its objects may
/// be there.
pub fn adopted(heads: &[RecordHead]) -> (Option<&RecordHead>, Option<&RecordHead>) {
    let pending = heads.last().filter(|head| head.status.is_pending());
    let settled = heads.iter().rev().find(|head| {
        matches!(
            head.status,
            record::ReleaseStatus::Deployed
                | record::ReleaseStatus::Failed
                | record::ReleaseStatus::Unknown
        )
    });
    (settled, pending)
}

/// The newest record, where it is deployed and an earlier one is as well: what came after it had been
/// brought was not done any more.
pub fn deployed_over_another(heads: &[RecordHead]) -> Option<&RecordHead> {
    let is_deployed = |head: &&RecordHead| head.status == record::ReleaseStatus::Deployed;
    let newest = heads.last().filter(is_deployed)?;
    (heads.iter().filter(is_deployed).count() > 1).then_some(newest)
}

impl From<&RecordHead> for Adopted {
    fn from(head: &RecordHead) -> Self {
        Self {
            rev: head.origin.rev.clone(),
            digest: head.origin.digest.clone(),
            addon: head.origin.addon.clone(),
            chart_version: head.origin.chart_version.clone(),
            release_revision: head.revision,
            status: head.status,
            is_handed_over: head.is_handed_over,
        }
    }
}
