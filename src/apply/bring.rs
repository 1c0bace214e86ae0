//! One instance from start to end: an attempt, its health, and the way back.

use std::fmt;
use std::time::Duration;

use super::error::ApplyError;
use super::wait::{WaitError, wait};
use super::{
    Action, Allowance, ApplyOptions, Outcome, Rules, blue_green, history, realize, rollback,
    uninstall,
};
use crate::base::clock::Clock;
use crate::health;
use crate::k8s::ClusterClient;
use crate::live::record::ReleaseStatus;
use crate::live::{Observation, ObservedObject, ReleaseId, Subject, releases};
use crate::render::Release;

/// How long an instance may take to become healthy when its addon does not say.
pub const HEALTH_TIMEOUT: Duration = Duration::from_mins(10);

/// What became of an instance.
#[derive(Debug)]
pub enum Brought {
    /// It is at the release, and healthy.
    Healthy {
        /// What was done.
        outcome: Outcome,
    },
    /// It is not.
    Failed {
        /// Why.
        failure: Failure,
        /// What was done about it.
        recovery: Recovery,
    },
}

/// Why an instance is not at its release.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The attempt did not get through.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// It did, and the release did not become healthy.
    #[error(transparent)]
    Health(#[from] WaitError),
    /// A release beside the one that the instance is at did not get there.
    #[error("{reason}")]
    GivenUp {
        /// Why.
        reason: String,
    },
}

/// What was done about a failure.
#[derive(Debug)]
pub enum Recovery {
    /// Nothing was changed, the addon does not ask for it, or the cluster does not answer.
    None,
    /// It is at an earlier revision again.
    RolledBack {
        /// The number of the new revision.
        revision: u32,
        /// Whether it is healthy there.
        is_healthy: bool,
    },
    /// It was a first installation, and is gone.
    Uninstalled,
    /// The release that had the traffic before has all of it again, and the new one is gone.
    TrafficBack {
        /// Which one.
        release: String,
    },
    /// It could not be done.
    Failed(ApplyError),
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("left as it is"),
            Self::RolledBack { revision, is_healthy: true } => {
                write!(f, "rolled back, as revision {revision}")
            }
            Self::RolledBack { revision, is_healthy: false } => {
                write!(f, "rolled back, as revision {revision}, which is not healthy yet")
            }
            Self::Uninstalled => f.write_str("the first installation was removed again"),
            Self::TrafficBack { release } => {
                write!(f, "{release} has all of the traffic again, and the new release was removed")
            }
            Self::Failed(error) => write!(f, "going back failed as well: {error}"),
        }
    }
}

/// Brings an instance to a release and waits for its health. Where that fails and the addon is
/// `atomic`, goes back to the revision before, or uninstalls a first installation.
///
/// # Guarantees
/// Goes back only from a revision that this attempt made.
pub async fn bring(
    client: &ClusterClient,
    release: &Release,
    options: &ApplyOptions,
    clock: &dyn Clock,
) -> Brought {
    if release.instance.strategy.blue_green().is_some() {
        let course = blue_green::Course::default();
        return blue_green::bring(client, release, course, options, clock).await;
    }
    let timeout = health_timeout(release);
    let (failure, has_new_revision) = match realize(client, release, options, clock).await {
        Ok(outcome) => match wait_after(client, release, &outcome, timeout, clock).await {
            Ok(_) => return Brought::Healthy { outcome },
            Err(error) => {
                let is_new = matches!(outcome.action, Action::Installed | Action::Upgraded);
                (Failure::Health(error), is_new)
            }
        },
        Err(error) => {
            let may_go_back = !error.is_refused()
                && !error.is_unreachable()
                && !matches!(error, ApplyError::Lost { .. });
            let is_new = may_go_back && has_failed_revision(client, release).await;
            (Failure::Apply(error), is_new)
        }
    };
    if !has_new_revision || !release.instance.upgrade.atomic {
        return Brought::Failed { failure, recovery: Recovery::None };
    }
    let id = ReleaseId::of(&release.instance);
    let options = ApplyOptions { rules: Rules::of(&release.instance), ..options.clone() };
    let recovery = match recover(client, &id, &failure, &options, clock).await {
        Ok(recovery) => recovery,
        Err(error) => Recovery::Failed(error),
    };
    Brought::Failed { failure, recovery }
}

/// Waits for what an attempt has applied. What it has just written and nothing acts on is ready, and
/// is not asked for again.
async fn wait_after(
    client: &ClusterClient,
    release: &Release,
    outcome: &Outcome,
    timeout: Duration,
    clock: &dyn Clock,
) -> Result<Observation, WaitError> {
    let subject = Subject::from(release);
    let known = outcome
        .applied
        .iter()
        .filter(|(key, _)| health::is_ready_when_written(&key.group, &key.kind))
        .filter(|(key, _)| subject.checks_of(key).next().is_none())
        .map(|(key, applied)| (key.clone(), ObservedObject::from(applied)))
        .collect();
    wait(client, Subject { known: Some(&known), ..subject }, timeout, clock).await
}

/// How long a release may take to become healthy.
pub fn health_timeout(release: &Release) -> Duration {
    release.instance.health.timeout.map_or(HEALTH_TIMEOUT, |timeout| timeout.0)
}

/// Whether the newest record is a failed one of this release.
async fn has_failed_revision(client: &ClusterClient, release: &Release) -> bool {
    let heads = releases::heads(client, &ReleaseId::of(&release.instance)).await;
    heads.is_ok_and(|heads| {
        heads.last().is_some_and(|newest| {
            newest.status == ReleaseStatus::Failed
                && newest.origin.digest.as_ref() == Some(&release.digest)
        })
    })
}

async fn recover(
    client: &ClusterClient,
    id: &ReleaseId,
    failure: &Failure,
    options: &ApplyOptions,
    clock: &dyn Clock,
) -> Result<Recovery, ApplyError> {
    mark_failed(client, id, &format!("Release failed: {failure}"), clock).await?;
    match rollback(client, id, None, options, clock).await {
        Ok(outcome) => {
            let healthy = wait(client, id, HEALTH_TIMEOUT.min(options.timeout), clock).await;
            Ok(Recovery::RolledBack {
                revision: outcome.release_revision,
                is_healthy: healthy.is_ok(),
            })
        }
        // What was there before fitout is not fitout's to remove.
        Err(ApplyError::NoRevision { .. }) if is_adoption(client, id).await? => Ok(Recovery::None),
        Err(ApplyError::NoRevision { .. }) => {
            uninstall(client, id, Allowance::Templates, options, clock).await?;
            Ok(Recovery::Uninstalled)
        }
        Err(error) => Err(error),
    }
}

/// Whether objects were taken over with the newest revision.
async fn is_adoption(client: &ClusterClient, id: &ReleaseId) -> Result<bool, ApplyError> {
    let heads = releases::heads(client, id).await;
    let heads = heads.map_err(history::failed(client, "reading the release records"))?;
    Ok(heads.iter().any(|head| head.is_adoption))
}

/// Marks the newest revision of a release as failed, with a reason. A revision that is not
/// deployed stays as it is.
pub async fn mark_failed(
    client: &ClusterClient,
    id: &ReleaseId,
    reason: &str,
    clock: &dyn Clock,
) -> Result<(), ApplyError> {
    let heads = releases::heads(client, id).await;
    let heads = heads.map_err(history::failed(client, "reading the release records"))?;
    match heads.last() {
        Some(newest) if newest.status == ReleaseStatus::Deployed => {
            let status = ReleaseStatus::Failed;
            history::set_status(client, newest, status, Some(reason), clock.now()).await
        }
        _ => Ok(()),
    }
}
