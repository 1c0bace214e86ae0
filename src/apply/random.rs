//! Random parts of a release: drawn once for each cluster, and kept.
//!
//! Git is rendered with a fixed seed, so that equal inputs are equal everywhere and a difference is
//! empty when nothing changed. What the seed gives must never reach a cluster: anybody who has the
//! chart can work it out. Before an attempt, each random part becomes what the release's record has
//! in its place, or what is drawn anew where there is nothing to keep.

mod settle;

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::Rng as _;

use self::settle::{Before, settle};
use super::error::ApplyError;
use super::history::{self, records_failed};
use super::target::{Target, hooks_of};
use crate::k8s::ClusterClient;
use crate::live::record::{RecordHead, ReleaseRecord};
use crate::live::releases;
use crate::object::manifest;
use crate::render::{Release, redrawn};

/// A key that is not the fixed seed: where a render with it differs, something is random.
const OTHER: [u8; 32] = [1; 32];

/// What git says of a release, with its random parts as they are on the cluster or drawn anew.
pub(super) async fn target(
    client: &ClusterClient,
    release: &Release,
    heads: &[RecordHead],
) -> Result<Target, ApplyError> {
    if !release.rendered.impure {
        return Ok(Target::of(release));
    }
    if let Some(head) = history::deployed_at(heads, &release.digest) {
        return as_recorded(client, release, head).await;
    }
    let records = history::present(client, heads).await?;
    let before = before(&records, heads)?;
    let (release, random) = redraw(release.clone(), before).await?;
    Ok(Target { random, ..Target::of(&release) })
}

/// The release that a cluster is at already, with the objects of its record.
async fn as_recorded(
    client: &ClusterClient,
    release: &Release,
    head: &RecordHead,
) -> Result<Target, ApplyError> {
    let target = Target::of(release);
    let record = releases::record(client, head).await;
    let record = record.map_err(|error| records_failed(client, error))?;
    let Some(record) = record else { return Ok(target) };
    let manifests = manifest::parse(&record.manifest, &target.id.namespace)?;
    let hooks = hooks_of(&record)?;
    Ok(Target { manifests, hooks, draft: record, random: head.random.clone(), ..target })
}

/// What there is to keep.
fn before(records: &[ReleaseRecord], heads: &[RecordHead]) -> Result<Before, ApplyError> {
    let mut before = Before::default();
    for record in records {
        for part in manifest::parse(&record.manifest, &record.namespace)? {
            before.objects.insert(part.key.to_string(), part.object);
        }
        for hook in hooks_of(record)? {
            before.objects.insert(settle::hook_name(&hook.manifest), hook.manifest.object);
        }
    }
    if let Some(newest) = heads.last() {
        before.random.clone_from(&newest.random);
    }
    Ok(before)
}

async fn redraw(
    release: Release,
    before: Before,
) -> Result<(Release, BTreeMap<String, String>), ApplyError> {
    let mut key = [0; 32];
    rand::rng().fill_bytes(&mut key);
    let drawn = tokio::task::spawn_blocking(move || {
        let other = redrawn(&release, OTHER).map_err(|error| error.text)?;
        let fresh = redrawn(&release, key).map_err(|error| error.text)?;
        let (rendered, random) = settle(&release.rendered, &other, &fresh, &before);
        Ok((Release { rendered: Arc::new(rendered), ..release }, random))
    });
    let failed = |message: String| ApplyError::Render { message };
    drawn.await.map_err(|error| failed(error.to_string()))?.map_err(failed)
}
