//! A plan's steps on their clusters: dependencies first, clusters side by side, one failure never
//! in the way of what does not depend on it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use serde::Serialize;
use tokio::sync::mpsc::UnboundedSender;

use super::exit::Exit;
use super::survey::Survey;
use crate::apply::{
    self, Action, ApplyError, ApplyOptions, Brought, Failure, Kept, ObjectError, Outcome, Recovery,
    health_timeout,
};
use crate::base::clock::{Clock, SystemClock};
use crate::base::ids::{ClusterName, InstanceKey};
use crate::base::limits::CLUSTERS_IN_PARALLEL;
use crate::fleet::instance::Instance;
use crate::fleet::model::Dependency;
use crate::k8s::ClusterClient;
use crate::live::{self, PodLog, ReleaseId};
use crate::object::key::ObjectKey;
use crate::plan::{Plan, Step, StepAction};
use crate::render::Release;
use crate::report::errors::chain;

/// What became of a step.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepResult {
    /// Cluster and addon.
    pub instance: InstanceKey,
    /// The step's id.
    pub step: String,
    /// How it ended.
    pub status: StepStatus,
    /// In words.
    pub message: String,
    /// Helm's revision number, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release_revision: Option<u32>,
    /// What hooks said that ask for it, and the last words of what ended with an error.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<PodLog>,
    /// Ways out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub help: Vec<String>,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum StepStatus {
    /// As planned.
    Done,
    /// The cluster or the network failed.
    Failed,
    /// Not done, for safety.
    Refused,
    /// Done, but not healthy.
    Unhealthy,
    /// Not begun: what it depends on did not get there.
    Waiting,
}

impl StepStatus {
    /// The exit code that it leads to.
    pub fn exit(self) -> Exit {
        match self {
            Self::Done => Exit::Done,
            Self::Failed => Exit::World,
            Self::Refused | Self::Unhealthy | Self::Waiting => Exit::Refused,
        }
    }
}

/// What is told while steps are under way.
#[derive(Clone, Debug)]
pub enum Progress {
    /// A step begins.
    Begun(String),
    /// A step has ended.
    Ended(StepResult),
}

/// Does the steps of a plan, and tells of each as it goes.
pub async fn execute(
    plan: &Plan,
    survey: &Survey,
    options: &ApplyOptions,
    progress: &UnboundedSender<Progress>,
) -> Vec<StepResult> {
    let mut by_cluster: BTreeMap<&ClusterName, Vec<&Step>> = BTreeMap::new();
    for step in &plan.steps {
        by_cluster.entry(&step.key.cluster).or_default().push(step);
    }
    let clusters = by_cluster.into_iter().filter_map(|(name, steps)| {
        let client = survey.clients.get(name)?;
        let work = Work { client, plan, survey, options, clock: &SystemClock };
        Some(async move { work.cluster(steps, progress).await })
    });
    let mut results: Vec<StepResult> = futures::stream::iter(clusters)
        .buffer_unordered(CLUSTERS_IN_PARALLEL)
        .collect::<Vec<_>>()
        .await
        .into_iter()
        .flatten()
        .collect();
    results.sort_by(|a, b| a.step.cmp(&b.step));
    results
}

/// The steps of one cluster.
struct Work<'a> {
    client: &'a ClusterClient,
    plan: &'a Plan,
    survey: &'a Survey,
    options: &'a ApplyOptions,
    clock: &'a dyn Clock,
}

impl Work<'_> {
    /// Steps begin as soon as those before them are done.
    async fn cluster(
        &self,
        steps: Vec<&Step>,
        progress: &UnboundedSender<Progress>,
    ) -> Vec<StepResult> {
        let ids: BTreeSet<&str> = steps.iter().map(|step| step.id.as_str()).collect();
        let mut left: BTreeMap<&str, &Step> =
            steps.iter().map(|step| (step.id.as_str(), *step)).collect();
        let mut ended: BTreeMap<String, StepStatus> = BTreeMap::new();
        let mut running = FuturesUnordered::new();
        let mut results = Vec::new();
        loop {
            let mut stuck = Vec::new();
            for (id, step) in left.clone() {
                let before: Vec<&str> =
                    self.plan.before(id).filter(|before| ids.contains(before)).collect();
                let failed = before.iter().find(|before| {
                    ended.get(**before).is_some_and(|status| *status != StepStatus::Done)
                });
                if let Some(failed) = failed {
                    left.remove(id);
                    stuck.push(waiting(
                        step,
                        format!("waits for {failed}, which did not get there"),
                    ));
                } else if before.iter().all(|before| ended.contains_key(*before)) {
                    left.remove(id);
                    // The receiver lives as long as the steps do.
                    let _ = progress.send(Progress::Begun(format!("{id}: {}", step.action)));
                    running.push(self.step(step));
                }
            }
            let is_stuck = !stuck.is_empty();
            for result in stuck {
                end(result, &mut ended, &mut results, progress);
            }
            if is_stuck {
                continue;
            }
            let Some(result) = running.next().await else { return results };
            end(result, &mut ended, &mut results, progress);
        }
    }

    /// Does a step, and tells of it without any value of the release's Secrets.
    async fn step(&self, step: &Step) -> StepResult {
        let mut result = self.try_step(step).await;
        let seen = self.survey.subjects.get(&step.id).map(|subject| &subject.comparison);
        if let Some(Ok(seen)) = seen {
            result.message = seen.mask.hide(&result.message);
        }
        result
    }

    async fn try_step(&self, step: &Step) -> StepResult {
        let Some(subject) = self.survey.subjects.get(&step.id) else {
            return waiting(step, "is not part of the fleet any more".to_owned());
        };
        match (&subject.release, step.action) {
            (Some(release), StepAction::Install | StepAction::Upgrade | StepAction::Heal) => {
                self.bring(step, release).await
            }
            (_, StepAction::Uninstall) => {
                let limits = apply::Allowance::Limits(&subject.limits);
                let done =
                    apply::uninstall(self.client, &subject.id, limits, self.options, self.clock);
                match done.await {
                    Ok(outcome) => done_with(step, &outcome),
                    Err(error) => failed_with(step, &error, &Recovery::None),
                }
            }
            (None, _) => waiting(step, "is not part of the fleet any more".to_owned()),
        }
    }

    async fn bring(&self, step: &Step, release: &Release) -> StepResult {
        if let Err(reason) = self.dependencies(release).await {
            return waiting(step, reason);
        }
        match apply::bring(self.client, release, self.options, self.clock).await {
            Brought::Healthy { outcome } => done_with(step, &outcome),
            Brought::Failed { failure: Failure::Apply(error), recovery } => {
                failed_with(step, &error, &recovery)
            }
            Brought::Failed { failure: Failure::GivenUp { reason }, recovery } => StepResult {
                instance: step.key.clone(),
                step: step.id.clone(),
                status: StepStatus::Unhealthy,
                message: format!("{reason}; {recovery}"),
                release_revision: None,
                logs: Vec::new(),
                help: Vec::new(),
            },
            Brought::Failed { failure: Failure::Health(error), recovery } => StepResult {
                instance: step.key.clone(),
                step: step.id.clone(),
                status: StepStatus::Unhealthy,
                message: format!("{error}; {recovery}"),
                release_revision: None,
                logs: error.logs(),
                help: Vec::new(),
            },
        }
    }

    /// What the instance depends on and the plan has no step for must be there, at the version
    /// asked for, and healthy.
    async fn dependencies(&self, release: &Release) -> Result<(), String> {
        for dependency in &release.instance.depends_on {
            let key = InstanceKey {
                cluster: release.instance.key.cluster.clone(),
                addon: dependency.addon.clone(),
            };
            if self.plan.steps.iter().any(|step| step.id == key.to_string()) {
                continue;
            }
            let Some(wanted) = self.survey.desired.instance(&key) else {
                return Err(format!("waits for {key}, which git does not want there"));
            };
            self.dependency(dependency, wanted, health_timeout(release)).await?;
        }
        Ok(())
    }

    async fn dependency(
        &self,
        dependency: &Dependency,
        instance: &Instance,
        timeout: Duration,
    ) -> Result<(), String> {
        let key = &instance.key;
        let id = ReleaseId::of(instance);
        let subject = live::Subject { checks: &instance.health.checks, ..live::Subject::from(&id) };
        let first = live::observe(self.client, subject, self.clock).await;
        if first.adopted.is_none() && first.gaps.is_empty() {
            return Err(format!("waits for {key}, which is not installed"));
        }
        let seen = apply::wait(self.client, subject, timeout, self.clock).await;
        let seen = seen.map_err(|error| format!("waits for {key}: {error}"))?;
        let version = seen.adopted.map(|adopted| adopted.chart_version).unwrap_or_default();
        match &dependency.version {
            Some(range) if !dependency.is_met_by(&version) => {
                Err(format!("waits for {key} at {range}, and it is at `{version}`"))
            }
            _ => Ok(()),
        }
    }
}

fn end(
    result: StepResult,
    ended: &mut BTreeMap<String, StepStatus>,
    results: &mut Vec<StepResult>,
    progress: &UnboundedSender<Progress>,
) {
    ended.insert(result.step.clone(), result.status);
    // The receiver lives as long as the steps do.
    let _ = progress.send(Progress::Ended(result.clone()));
    results.push(result);
}

fn waiting(step: &Step, message: String) -> StepResult {
    StepResult {
        instance: step.key.clone(),
        step: step.id.clone(),
        status: StepStatus::Waiting,
        message,
        release_revision: None,
        logs: Vec::new(),
        help: Vec::new(),
    }
}

fn done_with(step: &Step, outcome: &Outcome) -> StepResult {
    StepResult {
        instance: step.key.clone(),
        step: step.id.clone(),
        status: StepStatus::Done,
        message: told(outcome),
        release_revision: (outcome.release_revision > 0).then_some(outcome.release_revision),
        logs: outcome.logs.clone(),
        help: Vec::new(),
    }
}

/// An outcome in words.
pub fn told(outcome: &Outcome) -> String {
    let revision = outcome.release_revision;
    let head = match (outcome.action, &outcome.beside) {
        // Of two releases beside one another, which one it is says more than its revision.
        (Action::Installed, Some(_)) => "installed, healthy".to_owned(),
        (Action::Upgraded, Some(_)) => "upgraded, healthy".to_owned(),
        (Action::Unchanged, Some(_)) => "unchanged, healthy".to_owned(),
        (Action::RolledBack, Some(_)) => "rolled back, healthy".to_owned(),
        (Action::Installed, None) => format!("installed as revision {revision}, healthy"),
        (Action::Adopted, _) => format!("adopted as revision {revision}, healthy"),
        (Action::Upgraded, None) => format!("upgraded to revision {revision}, healthy"),
        (Action::Healed, _) => format!("healed at revision {revision}, healthy"),
        (Action::Unchanged, None) => format!("unchanged at revision {revision}, healthy"),
        (Action::RolledBack, None) => format!("rolled back, as revision {revision}"),
        (Action::Uninstalled, _) => "uninstalled".to_owned(),
    };
    let kept = outcome.kept.iter().filter(|(_, why)| *why != Kept::NotAsked).count();
    let counts = [
        (outcome.applied.len(), "applied"),
        (outcome.unchanged, "unchanged"),
        (outcome.pruned.len(), "deleted"),
        (kept, "kept"),
    ];
    let counts: Vec<_> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let head = if counts.is_empty() { head } else { format!("{head} ({})", counts.join(", ")) };
    let lingers = |(key, words): &(ObjectKey, String)| format!("; {key} {words}");
    let beside = outcome.beside.as_ref().map(|beside| format!("; {beside}")).unwrap_or_default();
    head + &outcome.lingering.iter().map(lingers).collect::<String>() + &beside
}

fn failed_with(step: &Step, error: &ApplyError, recovery: &Recovery) -> StepResult {
    let message = match recovery {
        Recovery::None => chain(error),
        recovery => format!("{}; {recovery}", chain(error)),
    };
    StepResult {
        instance: step.key.clone(),
        step: step.id.clone(),
        status: status_of(error),
        message,
        release_revision: None,
        logs: error.logs().to_vec(),
        help: error.help(),
    }
}

/// Tells why an attempt failed, what its containers said and what can be done; gives the exit code.
pub fn tell_error(
    what: &dyn std::fmt::Display,
    error: &ApplyError,
    out: &mut dyn std::io::Write,
) -> std::io::Result<Exit> {
    writeln!(out, "error: {what}: {}", chain(error))?;
    write_logs(error.logs(), out)?;
    for help in error.help() {
        writeln!(out, "  help: {help}")?;
    }
    Ok(status_of(error).exit())
}

/// Writes what containers said.
pub fn write_logs(logs: &[PodLog], out: &mut dyn std::io::Write) -> std::io::Result<()> {
    logs.iter().try_for_each(|log| writeln!(out, "  {log}"))
}

/// Whether the world failed, or something was refused.
pub fn status_of(error: &ApplyError) -> StepStatus {
    match error {
        ApplyError::Cluster { .. } | ApplyError::Lost { .. } | ApplyError::Record(_) => {
            StepStatus::Failed
        }
        ApplyError::Objects { .. } if error.is_unreachable() => StepStatus::Failed,
        ApplyError::Objects { errors } if !errors.iter().all(ObjectError::is_refusal) => {
            StepStatus::Failed
        }
        _ => StepStatus::Refused,
    }
}
