//! The records of a release: opened before a change, closed after it, and kept to a number.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::error::ApplyError;
use super::holder;
use super::target::{Direction, Target};
use crate::base::clock::{Clock, Timestamp};
use crate::base::ids::Digest;
use crate::base::limits::RELEASE_HISTORY_MAX;
use crate::chart::model::Manifest;
use crate::k8s::{ClusterClient, Delete, RequestError};
use crate::live::record::{
    self, HOLDER_ANNOTATION, OWNERSHIP_ANNOTATION, RANDOM_ANNOTATION, RENEWED_ANNOTATION,
    ROLLBACK_ANNOTATION, RecordHead, ReleaseRecord, ReleaseStatus,
};
use crate::live::releases::{self, RecordsError, secrets};
use crate::live::{ReleaseId, record::Origin};
use crate::object::key::ObjectKey;
use crate::object::{access, manifest};

/// A failed request about the records of a release.
pub(super) fn failed(
    client: &ClusterClient,
    doing: &'static str,
) -> impl Fn(RequestError) -> ApplyError + use<> {
    let cluster = client.name.clone();
    move |source| ApplyError::Cluster { cluster: cluster.clone(), doing, source }
}

pub(super) fn records_failed(client: &ClusterClient, error: RecordsError) -> ApplyError {
    match error {
        RecordsError::Request(source) => failed(client, "reading the release records")(source),
        RecordsError::Record(error) => ApplyError::Record(error),
    }
}

/// The records whose objects may be on the cluster: the newest deployed one and all behind it.
pub(super) async fn present(
    client: &ClusterClient,
    heads: &[RecordHead],
) -> Result<Vec<ReleaseRecord>, ApplyError> {
    let deployed = heads.iter().rposition(|head| head.status == ReleaseStatus::Deployed);
    let mut records = Vec::new();
    for head in &heads[deployed.unwrap_or(0)..] {
        let record = releases::record(client, head).await;
        records.extend(record.map_err(|error| records_failed(client, error))?);
    }
    Ok(records)
}

/// The newest record, if it is deployed and of this digest.
pub(super) fn deployed_at<'h>(heads: &'h [RecordHead], digest: &Digest) -> Option<&'h RecordHead> {
    let newest = heads.last()?;
    let is_deployed = newest.status == ReleaseStatus::Deployed;
    (is_deployed && newest.origin.digest.as_ref() == Some(digest)).then_some(newest)
}

/// Every object of some records; where several have one, the newest counts.
pub(super) fn inventory(
    records: &[ReleaseRecord],
) -> Result<BTreeMap<ObjectKey, Manifest>, ApplyError> {
    let mut inventory = BTreeMap::new();
    for record in records {
        for manifest in manifest::parse(&record.manifest, &record.namespace)? {
            inventory.insert(manifest.key.clone(), manifest);
        }
    }
    Ok(inventory)
}

/// A record that this process has opened and may write.
pub(super) struct Tenure<'a> {
    client: &'a ClusterClient,
    clock: &'a dyn Clock,
    id: ReleaseId,
    pub(super) record: ReleaseRecord,
    resource_version: String,
}

/// How an opened record is closed.
pub(super) struct Ending {
    pub(super) status: ReleaseStatus,
    pub(super) description: String,
    /// By the text of the object's key.
    pub(super) ownership: Option<BTreeMap<String, String>>,
}

impl<'a> Tenure<'a> {
    /// Opens the record of an attempt. An attempt of the same content that did not get through is
    /// gone on with; one of other content is closed as failed, if nobody works on it any more.
    pub(super) async fn open(
        client: &'a ClusterClient,
        heads: &[RecordHead],
        target: &Target,
        holder: &str,
        clock: &'a dyn Clock,
    ) -> Result<Self, ApplyError> {
        let now = clock.now();
        let newest = heads.last();
        let first_deployed = first_deployed(heads, now);
        let mut reused = None;
        if let Some(newest) = newest {
            ensure_free(newest, holder, now)?;
            if is_same_attempt(newest, target) {
                reused = Some(newest);
            } else if newest.status.is_pending() {
                close_interrupted(client, newest, now).await?;
            }
        }
        let revision = match (reused, newest) {
            (Some(head), _) => head.revision,
            (None, newest) => newest.map_or(0, |head| head.revision) + 1,
        };
        let record = opened(target, heads, revision, first_deployed, now);
        let mut annotations = record::annotations(&target.origin);
        annotations.insert(HOLDER_ANNOTATION, holder.to_owned());
        annotations.insert(RENEWED_ANNOTATION, now.to_string());
        if !target.random.is_empty() {
            let text = serde_json::to_string(&target.random).expect("text keys and values");
            annotations.insert(RANDOM_ANNOTATION, text);
        }
        if let Direction::Back { to } = target.direction {
            annotations.insert(ROLLBACK_ANNOTATION, to.to_string());
        }
        let doing = "writing the release record";
        let written = if let Some(head) = reused {
            let annotations = annotations.into_iter().map(|(k, v)| (k, Json::from(v))).collect();
            let patch = record::patch(&record, &annotations, &head.resource_version, now)?;
            client.merge_patch(&secrets(), &target.id.namespace, &head.secret_name, &patch).await
        } else {
            let secret = record::secret(&record, &annotations, now)?;
            client.create(&secrets(), &target.id.namespace, &secret).await
        };
        let resource_version = match written {
            Ok(written) => access::resource_version(&written).to_owned(),
            Err(RequestError::AlreadyExists { .. } | RequestError::Conflict { .. }) => {
                let name = record::secret_name(&target.id.name, revision);
                written_before(client, &target.id, &name, (holder, now)).await?
            }
            Err(error) => return Err(failed(client, doing)(error)),
        };
        Ok(Self { client, clock, id: target.id.clone(), record, resource_version })
    }

    /// Opens the newest record of a release for its uninstall.
    pub(super) async fn resume(
        client: &'a ClusterClient,
        head: &RecordHead,
        mut record: ReleaseRecord,
        holder: &str,
        clock: &'a dyn Clock,
    ) -> Result<Self, ApplyError> {
        let now = clock.now();
        record.info.status = ReleaseStatus::Uninstalling;
        "Deletion in progress (or silently failed)".clone_into(&mut record.info.description);
        record.info.deleted = now.to_string();
        let mut tenure = Self {
            client,
            clock,
            id: head.id.clone(),
            record,
            resource_version: head.resource_version.clone(),
        };
        let annotations = [
            (HOLDER_ANNOTATION, Json::from(holder)),
            (RENEWED_ANNOTATION, Json::from(now.to_string())),
        ];
        tenure.write(&annotations.into()).await?;
        Ok(tenure)
    }

    /// Takes a record as it is, to keep how its tests go: the release does not change.
    pub(super) fn beside(
        client: &'a ClusterClient,
        head: &RecordHead,
        record: ReleaseRecord,
        clock: &'a dyn Clock,
    ) -> Self {
        let (id, resource_version) = (head.id.clone(), head.resource_version.clone());
        Self { client, clock, id, record, resource_version }
    }

    /// Keeps how hooks went, and says that this process is still at work, where anything is under
    /// way.
    pub(super) async fn renew(&mut self) -> Result<(), ApplyError> {
        let mut annotations = BTreeMap::new();
        if self.record.info.status.is_pending() {
            annotations.insert(RENEWED_ANNOTATION, Json::from(self.clock.now().to_string()));
        }
        self.write(&annotations).await
    }

    /// Closes the record.
    pub(super) async fn close(&mut self, ending: Ending) -> Result<(), ApplyError> {
        self.record.info.status = ending.status;
        self.record.info.description = ending.description;
        let mut annotations: BTreeMap<&'static str, Json> =
            [(HOLDER_ANNOTATION, Json::Null), (RENEWED_ANNOTATION, Json::Null)].into();
        if let Some(ownership) = ending.ownership {
            let text = serde_json::to_string(&ownership).expect("text keys and values");
            annotations.insert(OWNERSHIP_ANNOTATION, Json::from(text));
        }
        self.write(&annotations).await
    }

    async fn write(
        &mut self,
        annotations: &BTreeMap<&'static str, Json>,
    ) -> Result<(), ApplyError> {
        let now = self.clock.now();
        let patch = record::patch(&self.record, annotations, &self.resource_version, now)?;
        let name = record::secret_name(&self.id.name, self.record.version);
        let answer = self.client.merge_patch(&secrets(), &self.id.namespace, &name, &patch).await;
        match answer {
            Ok(secret) => {
                access::resource_version(&secret).clone_into(&mut self.resource_version);
                Ok(())
            }
            Err(RequestError::Conflict { .. } | RequestError::NotFound { .. }) => {
                Err(ApplyError::Lost { release: self.id.clone() })
            }
            Err(error) => Err(failed(self.client, "writing the release record")(error)),
        }
    }
}

/// The version of a record that is there already, if it is this very attempt's: a request whose
/// answer was lost is sent again, and finds its own work.
async fn written_before(
    client: &ClusterClient,
    id: &ReleaseId,
    secret_name: &str,
    (holder, now): (&str, Timestamp),
) -> Result<String, ApplyError> {
    let found = client.get(&secrets(), &id.namespace, secret_name).await;
    let found = found.map_err(failed(client, "reading the release records"))?;
    let head = found.as_ref().and_then(record::head);
    let ours =
        head.filter(|head| head.holder.as_deref() == Some(holder) && head.renewed_at == Some(now));
    ours.map(|head| head.resource_version).ok_or_else(|| ApplyError::Busy {
        release: id.clone(),
        holder: "somebody who began at the same moment".to_owned(),
    })
}

/// Whether the newest record is of an attempt that went where this one goes and did not get there:
/// it is gone on with, so that trying again and again leaves one record.
fn is_same_attempt(newest: &RecordHead, target: &Target) -> bool {
    match (newest.status, target.direction) {
        (ReleaseStatus::PendingRollback | ReleaseStatus::Failed, Direction::Back { to }) => {
            newest.rollback_to == Some(to)
        }
        (
            ReleaseStatus::PendingInstall | ReleaseStatus::PendingUpgrade | ReleaseStatus::Failed,
            Direction::Forward,
        ) => {
            newest.rollback_to.is_none()
                && target.origin.digest.is_some()
                && newest.origin.digest == target.origin.digest
        }
        _ => false,
    }
}

/// Refuses when somebody works on a pending record.
pub(super) fn ensure_free(
    newest: &RecordHead,
    holder: &str,
    now: Timestamp,
) -> Result<(), ApplyError> {
    if !newest.status.is_pending() {
        return Ok(());
    }
    let busy = |holder: &str| {
        Err(ApplyError::Busy { release: newest.id.clone(), holder: holder.to_owned() })
    };
    match &newest.holder {
        Some(other) if holder::is_gone(other, newest.renewed_at, holder, now) => Ok(()),
        Some(other) => busy(other),
        // Helm says neither who nor when: the age of the record has to do.
        None => match newest.created_at {
            Some(at) if now.duration_since(at).unsigned_abs() < holder::GONE_AFTER * 5 => {
                busy("helm")
            }
            _ => Ok(()),
        },
    }
}

async fn close_interrupted(
    client: &ClusterClient,
    head: &RecordHead,
    now: Timestamp,
) -> Result<(), ApplyError> {
    set_status(client, head, ReleaseStatus::Failed, Some("Interrupted"), now).await
}

/// Writes a new status into a record.
pub(super) async fn set_status(
    client: &ClusterClient,
    head: &RecordHead,
    status: ReleaseStatus,
    description: Option<&str>,
    now: Timestamp,
) -> Result<(), ApplyError> {
    let found = releases::record(client, head).await;
    let Some(mut record) = found.map_err(|error| records_failed(client, error))? else {
        return Ok(());
    };
    record.info.status = status;
    if let Some(description) = description {
        description.clone_into(&mut record.info.description);
    }
    let annotations = [(HOLDER_ANNOTATION, Json::Null), (RENEWED_ANNOTATION, Json::Null)].into();
    let patch = record::patch(&record, &annotations, &head.resource_version, now)?;
    let answer =
        client.merge_patch(&secrets(), &head.id.namespace, &head.secret_name, &patch).await;
    match answer {
        Ok(_) | Err(RequestError::NotFound { .. }) => Ok(()),
        Err(RequestError::Conflict { .. }) => Err(ApplyError::Lost { release: head.id.clone() }),
        Err(error) => Err(failed(client, "writing the release record")(error)),
    }
}

fn first_deployed(heads: &[RecordHead], now: Timestamp) -> Timestamp {
    heads.first().and_then(|head| head.created_at).unwrap_or(now)
}

fn opened(
    target: &Target,
    heads: &[RecordHead],
    revision: u32,
    first_deployed: Timestamp,
    now: Timestamp,
) -> ReleaseRecord {
    let was_there = heads
        .iter()
        .any(|head| matches!(head.status, ReleaseStatus::Deployed | ReleaseStatus::Superseded));
    let mut record = target.draft.clone();
    record.version = revision;
    record.info.first_deployed = first_deployed.to_string();
    record.info.last_deployed = now.to_string();
    record.info.deleted = String::new();
    (record.info.status, record.info.description) = match target.direction {
        Direction::Back { to } => {
            (ReleaseStatus::PendingRollback, format!("Rollback to {to} underway"))
        }
        Direction::Forward if was_there => {
            (ReleaseStatus::PendingUpgrade, "Preparing upgrade".to_owned())
        }
        Direction::Forward => {
            (ReleaseStatus::PendingInstall, "Initial install underway".to_owned())
        }
    };
    record
}

/// Marks all earlier deployed records as superseded, and deletes the oldest beyond the limit.
pub(super) async fn tidy(
    client: &ClusterClient,
    heads: &[RecordHead],
    newest: u32,
    now: Timestamp,
) -> Result<(), ApplyError> {
    for head in heads {
        if head.status == ReleaseStatus::Deployed && head.revision != newest {
            set_status(client, head, ReleaseStatus::Superseded, None, now).await?;
        }
    }
    let revisions: BTreeSet<u32> = heads.iter().map(|head| head.revision).chain([newest]).collect();
    let beyond = revisions.len().saturating_sub(RELEASE_HISTORY_MAX);
    let oldest: BTreeSet<u32> = revisions.into_iter().take(beyond).collect();
    for head in heads.iter().filter(|head| oldest.contains(&head.revision)) {
        delete(client, head).await?;
    }
    Ok(())
}

/// Deletes a record.
pub(super) async fn delete(client: &ClusterClient, head: &RecordHead) -> Result<(), ApplyError> {
    let namespace = &head.id.namespace;
    client
        .delete(&secrets(), namespace, &head.secret_name, &Delete::default())
        .await
        .map_err(failed(client, "deleting a release record"))?;
    Ok(())
}

/// Where a record comes from, with the chart's version of Helm's own records filled in.
pub(super) fn origin(head: &RecordHead, record: &ReleaseRecord) -> Origin {
    let mut origin = head.origin.clone();
    if origin.chart_version.is_empty() {
        let version = access::text(&record.chart.metadata, &["version"]).unwrap_or_default();
        version.clone_into(&mut origin.chart_version);
    }
    origin
}
