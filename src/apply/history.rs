//! The records of a release: opened before a change, closed after it, and kept to a number.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value as Json;

use super::error::{ApplyError, HELM};
use super::target::{Direction, Target};
use super::{ApplyOptions, holder};
use crate::base::clock::{Clock, Timestamp};
use crate::base::ids::Digest;
use crate::chart::model::Manifest;
use crate::k8s::{ClusterClient, Delete, RequestError};
use crate::live::record::{
    self, ADOPTION_ANNOTATION, HOLDER_ANNOTATION, OWNERSHIP_ANNOTATION, RANDOM_ANNOTATION,
    RENEWED_ANNOTATION, ROLLBACK_ANNOTATION, RecordHead, ReleaseRecord, ReleaseStatus,
};
use crate::live::releases::{self, RecordsError, secrets};
use crate::live::{ReleaseId, record::Origin};
use crate::object::key::ObjectKey;
use crate::object::{access, manifest};

/// A change of Helm's that has not been written to for so long is given up.
const HELM_GONE_AFTER: Duration = Duration::from_mins(10);

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
        options: &ApplyOptions,
        clock: &'a dyn Clock,
    ) -> Result<Self, ApplyError> {
        let now = clock.now();
        let holder = options.holder.as_str();
        let newest = heads.last();
        let first_deployed = first_deployed(heads, now);
        let mut reused = None;
        if let Some(newest) = newest {
            ensure_free(newest, options, now)?;
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
        if target.is_adoption {
            annotations.insert(ADOPTION_ANNOTATION, now.to_string());
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
        if reused.is_none() {
            // Before the outcome is known, so that attempts that fail are not kept beyond it.
            bound(client, heads, revision, target.rules.upgrade.history_max).await?;
        }
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
        since: None,
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
///
/// Helm leaves no word of who it is and that it is alive. What it writes are times: of the record,
/// and of each change of it (one for each hook). It waits for five minutes unless it is told
/// otherwise, so that it counts as gone after twice that time.
pub(super) fn ensure_free(
    newest: &RecordHead,
    options: &ApplyOptions,
    now: Timestamp,
) -> Result<(), ApplyError> {
    if !newest.status.is_pending() || options.is_unlocked {
        return Ok(());
    }
    let busy = |holder: &str, since| {
        let (release, holder) = (newest.id.clone(), holder.to_owned());
        Err(ApplyError::Busy { release, holder, since })
    };
    match &newest.holder {
        Some(other) if holder::is_gone(other, newest.renewed_at, &options.holder, now) => Ok(()),
        Some(other) => busy(other, newest.renewed_at),
        None => {
            let written = newest.created_at.max(newest.modified_at);
            let is_silent =
                written.is_none_or(|at| now.duration_since(at).unsigned_abs() >= HELM_GONE_AFTER);
            if is_silent { Ok(()) } else { busy(HELM, written) }
        }
    }
}

/// Closes a change under way that nobody works on any more.
pub(super) async fn close_interrupted(
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

/// Marks all earlier deployed records as superseded.
pub(super) async fn supersede(
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
    Ok(())
}

/// Deletes the oldest records beyond a number, as Helm's `--history-max` does: the one that is
/// deployed stays, however old it is. 0 is no bound.
async fn bound(
    client: &ClusterClient,
    heads: &[RecordHead],
    newest: u32,
    history_max: u32,
) -> Result<(), ApplyError> {
    for head in beyond(heads, newest, history_max) {
        delete(client, head).await?;
    }
    Ok(())
}

fn beyond(heads: &[RecordHead], newest: u32, history_max: u32) -> Vec<&RecordHead> {
    if history_max == 0 {
        return Vec::new();
    }
    let revisions: BTreeSet<u32> = heads.iter().map(|head| head.revision).chain([newest]).collect();
    let surplus = revisions.len().saturating_sub(history_max as usize);
    let deployed = heads.iter().rposition(|head| head.status == ReleaseStatus::Deployed);
    let deployed = deployed.map(|at| heads[at].revision);
    let may_go = |head: &&RecordHead| Some(head.revision) != deployed && head.revision != newest;
    heads.iter().filter(may_go).take(surplus).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::record::heads;

    #[test]
    fn a_change_of_helm_is_given_up_ten_minutes_after_its_last_write() {
        let options = ApplyOptions::new("here/1/1");
        let at = |minutes: i64| Timestamp::from_second(minutes * 60).unwrap();
        let free = |created: i64, modified: Option<i64>, now: i64, options: &ApplyOptions| {
            let mut heads = heads(&[(ReleaseStatus::PendingUpgrade, "a")]);
            heads[0].created_at = Some(at(created));
            heads[0].modified_at = modified.map(at);
            ensure_free(&heads[0], options, at(now)).map_err(|error| error.to_string())
        };
        assert_eq!(free(0, None, 10, &options), Ok(()));
        assert_eq!(free(0, Some(5), 15, &options), Ok(()));
        assert_eq!(
            free(0, Some(5), 14, &options).unwrap_err(),
            "release n/r is being changed by helm, who was heard of last at 1970-01-01 00:05:00Z"
        );
        let unlocked = ApplyOptions { is_unlocked: true, ..options };
        assert_eq!(free(0, Some(5), 6, &unlocked), Ok(()));
    }

    #[test]
    fn the_oldest_records_go_and_what_is_deployed_stays() {
        use ReleaseStatus::{Deployed, Failed, Superseded};
        let mut statuses = vec![(Superseded, "a"), (Deployed, "b")];
        statuses.extend([(Failed, "c"); 4]);
        let gone = |history_max| {
            let heads = heads(&statuses);
            let gone = beyond(&heads, 7, history_max);
            gone.iter().map(|head| head.revision).collect::<Vec<_>>()
        };
        assert!(gone(10).is_empty());
        assert_eq!(gone(5), [1, 3]);
        assert_eq!(gone(1), [1, 3, 4, 5, 6]);
        assert!(gone(0).is_empty(), "no bound");
    }
}
