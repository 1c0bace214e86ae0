//! Removing a release: its objects the other way round, then its records.

use std::collections::BTreeSet;

use super::error::{ApplyError, Doing, ObjectError, Refused};
use super::history::{self, Ending, Tenure, failed};
use super::objects::{Applying, at, wait_gone};
use super::prune::{self, Pruning};
use super::target::hooks_of;
use super::{Action, ApplyOptions, Comparison, Kept, Outcome, hooks, state_of};
use crate::base::clock::Clock;
use crate::chart::model::Hook;
use crate::diff::Change;
use crate::fleet::model::{ImmutablePolicy, Limits};
use crate::k8s::{ClusterClient, RequestError};
use crate::live::read::read;
use crate::live::record::{RecordHead, ReleaseRecord, ReleaseStatus};
use crate::live::{Adopted, Gap, Live, ObjectRef, ReleaseId, releases};
use crate::object::key::ObjectKey;

/// Removes a release: `pre-delete` hooks, objects, `post-delete` hooks, records. CRDs of a chart's
/// `crds/` folders stay, as with Helm. A release that is not there is no error.
///
/// # Guarantees
/// The records go last, so that an attempt that was killed goes on; they stay when an object could
/// not be read.
///
/// # Errors
/// With `limits`, [`Refused::Limit`] before anything is done; [`Refused::HandedOver`] for one that is
/// Helm's again.
pub async fn uninstall(
    client: &ClusterClient,
    id: &ReleaseId,
    limits: Option<&Limits>,
    options: &ApplyOptions,
    clock: &dyn Clock,
) -> Result<Outcome, ApplyError> {
    let Some(survey) = survey(client, id, clock).await? else {
        return Ok(outcome(0, Pruning::default(), Vec::new()));
    };
    let Survey { heads, records, pruning, .. } = survey;
    let newest = heads.last().expect("a survey has records");
    history::ensure_free(newest, options, clock.now())?;
    if newest.is_handed_over {
        return Err(Refused::HandedOver { release: id.clone() }.into());
    }
    if let Some((key, gap)) = first_gap(&pruning) {
        let source = RequestError::Unreachable { source: gap.reason.clone().into() };
        let error = ApplyError::object(Doing::Reading, key.clone(), "", 0).failed(source);
        return Err(ApplyError::Objects { errors: vec![error] });
    }
    if let Some(limits) = limits
        && !options.ignores_limits
    {
        prune::check_limits(&pruning, limits)?;
    }
    let Some(record) = records.last() else {
        return Ok(outcome(0, pruning, Vec::new()));
    };
    let hooks = hooks_of(record)?;
    let mut tenure = Tenure::resume(client, newest, record.clone(), &options.holder, clock).await?;
    let applying = Applying {
        client,
        id: None,
        options,
        timeout: options.timeout,
        on_immutable: ImmutablePolicy::Fail,
        ignored: &[],
        clock,
    };
    let result = steps(&applying, &mut tenure, &hooks, &pruning).await;
    let deleted = match result {
        Ok(deleted) => deleted,
        Err(error) => {
            let description = format!("Uninstall failed: {error}");
            let status = ReleaseStatus::Failed;
            // The attempt's error matters more; the record may also stay `uninstalling`.
            let _ = tenure.close(Ending { status, description, ownership: None }).await;
            return Err(error);
        }
    };
    // Oldest first: the newest, with the inventory, is the last to go.
    for head in &heads {
        history::delete(client, head).await?;
    }
    Ok(outcome(newest.revision, pruning, deleted))
}

/// What is there of a release.
struct Survey {
    /// Oldest first; at least one.
    heads: Vec<RecordHead>,
    records: Vec<ReleaseRecord>,
    live: Live,
    pruning: Pruning,
}

async fn survey(
    client: &ClusterClient,
    id: &ReleaseId,
    clock: &dyn Clock,
) -> Result<Option<Survey>, ApplyError> {
    let heads = releases::heads(client, id).await;
    let heads = heads.map_err(failed(client, "reading the release records"))?;
    if heads.is_empty() {
        return Ok(None);
    }
    let records = history::present(client, &heads).await?;
    let inventory = history::inventory(&records)?;
    let references = inventory.iter().map(|(key, manifest)| ObjectRef {
        key: key.clone(),
        api_version: manifest.api_version.clone(),
    });
    let live = read(client, references, clock.now()).await;
    let pruning = prune::decide(inventory, &live, id, &BTreeSet::new());
    Ok(Some(Survey { heads, records, live, pruning }))
}

fn first_gap(pruning: &Pruning) -> Option<(&ObjectKey, &Gap)> {
    pruning.kept.iter().find_map(|(key, kept)| match kept {
        Kept::Gap(gap) => Some((key, gap)),
        Kept::Policy | Kept::NotOurs => None,
    })
}

/// What [`uninstall`] would do. Sends nothing that can mutate.
pub async fn compare_uninstall(
    client: &ClusterClient,
    id: &ReleaseId,
    limits: &Limits,
    options: &ApplyOptions,
    clock: &dyn Clock,
) -> Result<Comparison, ApplyError> {
    let mut comparison = Comparison::default();
    let Some(survey) = survey(client, id, clock).await? else { return Ok(comparison) };
    let (settled, pending) = releases::adopted(&survey.heads);
    comparison.adopted = settled.map(Adopted::from);
    comparison.pending = pending.map(Adopted::from);
    comparison.gaps.clone_from(&survey.live.gaps);
    if !options.ignores_limits {
        comparison.refused = prune::check_limits(&survey.pruning, limits).err();
    }
    for (manifest, _) in &survey.pruning.doomed {
        let found = survey.live.objects.get(&manifest.key);
        comparison.states.insert(manifest.key.to_string(), state_of(found));
        comparison.changes.push(Change::remove(manifest, found, None));
    }
    comparison.changes.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(comparison)
}

async fn steps(
    applying: &Applying<'_>,
    tenure: &mut Tenure<'_>,
    due: &[Hook],
    pruning: &Pruning,
) -> Result<Vec<ObjectKey>, ApplyError> {
    hooks::run(applying, tenure, due, "pre-delete").await?;
    let deleted = prune::delete(applying, &pruning.doomed).await?;
    gone(applying, tenure, pruning).await?;
    hooks::run(applying, tenure, due, "post-delete").await?;
    Ok(deleted)
}

/// Waits until the objects are gone: whoever installs the release again must not meet them.
async fn gone(
    applying: &Applying<'_>,
    tenure: &mut Tenure<'_>,
    pruning: &Pruning,
) -> Result<(), ApplyError> {
    let mut errors: Vec<ObjectError> = Vec::new();
    for (manifest, uid) in &pruning.doomed {
        let (api_version, kind) = (&manifest.api_version, &manifest.key.kind);
        let waited = match applying.client.resource_at_any_version(api_version, kind).await {
            Ok(resource) => {
                let patience = (applying.timeout, applying.clock);
                wait_gone(applying.client, &resource, &manifest.key, uid, patience).await
            }
            // With its CRD, every object of a kind is gone.
            Err(RequestError::NoSuchKind { .. }) => Ok(()),
            Err(error) => Err(error),
        };
        errors.extend(waited.err().map(|error| at(Doing::Deleting, manifest, error)));
    }
    tenure.renew().await?;
    if errors.is_empty() { Ok(()) } else { Err(ApplyError::Objects { errors }) }
}

fn outcome(release_revision: u32, pruning: Pruning, pruned: Vec<ObjectKey>) -> Outcome {
    Outcome {
        action: Action::Uninstalled,
        release_revision,
        applied: std::collections::BTreeMap::new(),
        unchanged: 0,
        pruned,
        kept: pruning.kept,
    }
}
