//! `helm test`: the test hooks of a release that is there.

use std::time::Duration;

use super::error::ApplyError;
use super::history::{self, Tenure, failed, records_failed};
use super::hooks::{self, HookResult};
use super::objects::Applying;
use super::target::hooks_of;
use super::{ApplyOptions, holder};
use crate::base::clock::Clock;
use crate::chart::model::Hook;
use crate::fleet::model::ImmutablePolicy;
use crate::graph::order;
use crate::k8s::ClusterClient;
use crate::live::record::{HookRun, RecordedHook, ReleaseRecord};
use crate::live::{ReleaseId, releases};
use crate::object::{manifest, secret};

/// Which tests are run, and how.
#[derive(Clone, Debug)]
pub struct Tests {
    /// Only these, by the names of their objects; all when empty.
    pub names: Vec<String>,
    /// How long each may take.
    pub timeout: Duration,
    /// Whether what they say is kept where they succeed, too.
    pub wants_logs: bool,
}

/// What became of the tests of a release.
#[derive(Debug)]
pub struct Tested {
    /// Helm's revision number of what was tested.
    pub release_revision: u32,
    /// Those that were run, in their order.
    pub results: Vec<HookResult>,
    /// Names of those that were not, since one before them failed.
    pub not_run: Vec<String>,
    /// Why the last one failed, or could not be cleared away.
    pub failure: Option<ApplyError>,
}

/// Runs the test hooks of a release, as `helm test` does: by weight, up to the first that fails. How
/// they went is kept in the release record, where `helm status` shows it; nothing else of it
/// changes.
///
/// # Errors
/// [`ApplyError::NotInstalled`], [`ApplyError::NoTest`], or what keeps the tests from being run at
/// all. That one fails is a result.
pub async fn test(
    client: &ClusterClient,
    id: &ReleaseId,
    tests: &Tests,
    clock: &dyn Clock,
) -> Result<Tested, ApplyError> {
    let heads = releases::heads(client, id).await;
    let heads = heads.map_err(failed(client, "reading the release records"))?;
    let nothing = || ApplyError::NotInstalled { release: id.clone() };
    let head = heads.last().ok_or_else(nothing)?;
    let options = ApplyOptions::new(holder::current());
    history::ensure_free(head, &options, clock.now())?;
    let record = releases::record(client, head).await;
    let record = record.map_err(|error| records_failed(client, error))?.ok_or_else(nothing)?;
    let hooks = hooks_of(&record)?;
    let due = chosen(&hooks, &tests.names).map_err(|name| {
        let known = order::hooks(&hooks, &["test"]).into_iter();
        let known = known.map(|hook| hook.manifest.key.name.clone()).collect();
        ApplyError::NoTest { release: id.clone(), name, known }
    })?;
    let objects = manifest::parse(&record.manifest, &record.namespace)?;
    let mut tenure = Tenure::beside(client, head, record, clock);
    let applying = Applying {
        client,
        id: None,
        options: &options,
        timeout: tests.timeout,
        on_immutable: ImmutablePolicy::Fail,
        ignored: &[],
        objects: &objects,
        clock,
    };
    let (results, failure) =
        hooks::run_all(&applying, &mut tenure, &due, ("test", tests.wants_logs)).await;
    if !due.is_empty() {
        tenure.renew().await?;
    }
    let not_run = due[results.len()..].iter().map(|hook| hook.manifest.key.name.clone());
    Ok(Tested { release_revision: head.revision, not_run: not_run.collect(), results, failure })
}

/// The test hooks of a release by name, and how they went last, as its newest record has them.
///
/// # Errors
/// What keeps the record from being read.
pub async fn tests_of(
    client: &ClusterClient,
    id: &ReleaseId,
) -> Result<Vec<(String, HookRun)>, ApplyError> {
    let Some(record) = newest_record(client, id).await? else { return Ok(Vec::new()) };
    let is_test = |hook: &&RecordedHook| hook.events.iter().any(|event| event == "test");
    let hooks = record.hooks.iter().filter(is_test);
    Ok(hooks.map(|hook| (hook.name.clone(), hook.last_run.clone())).collect())
}

/// The values of the Secrets of a release, as its newest record has them: what logs of its namespace may not show.
///
/// # Errors
/// What keeps the record from being read.
pub async fn secrets_of(
    client: &ClusterClient,
    id: &ReleaseId,
) -> Result<secret::Values, ApplyError> {
    let Some(record) = newest_record(client, id).await? else { return Ok(secret::Values::of([])) };
    let objects = manifest::parse(&record.manifest, &record.namespace)?;
    let hooks = hooks_of(&record)?;
    let hooks = hooks.iter().map(|hook| &*hook.manifest.object);
    Ok(secret::Values::of(objects.iter().map(|manifest| &*manifest.object).chain(hooks)))
}

async fn newest_record(
    client: &ClusterClient,
    id: &ReleaseId,
) -> Result<Option<ReleaseRecord>, ApplyError> {
    let heads = releases::heads(client, id).await;
    let heads = heads.map_err(failed(client, "reading the release records"))?;
    let Some(head) = heads.last() else { return Ok(None) };
    releases::record(client, head).await.map_err(|error| records_failed(client, error))
}

/// The test hooks of these names, in the order they run in.
fn chosen<'a>(hooks: &'a [Hook], names: &[String]) -> Result<Vec<&'a Hook>, String> {
    let all = order::hooks(hooks, &["test"]);
    let is_there = |name: &&String| all.iter().any(|hook| hook.manifest.key.name == **name);
    if let Some(unknown) = names.iter().find(|name| !is_there(name)) {
        return Err(unknown.clone());
    }
    let is_meant = |hook: &&Hook| names.is_empty() || names.contains(&hook.manifest.key.name);
    Ok(all.into_iter().filter(is_meant).collect())
}
