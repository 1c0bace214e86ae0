//! Runs the Jobs of gates on clusters.

use std::time::Duration;

use super::Reconciler;
use crate::apply::secrets_of;
use crate::base::clock::Timestamp;
use crate::base::ids::{ClusterName, InstanceKey};
use crate::fleet::model::{Gate, JobGate};
use crate::k8s::{ClusterClient, Delete, RequestError, Resource};
use crate::live::{ReleaseId, cause};
use crate::report::errors::chain;
use crate::rollout::job::{self, Jobs, Made, Run, RunState};
use crate::rollout::{Evidence, GateSeen, Rollout, RolloutId, Verdict};

/// A cluster that takes longer says nothing.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How much is told of what a Job said last.
const LAST_LINES: usize = 3;

/// A Job that was seen: to be deleted once its gate has passed.
#[derive(Clone, Debug)]
pub(in crate::controller) struct Seen {
    rollout: RolloutId,
    stage: usize,
    gate: String,
    cluster: ClusterName,
    namespace: String,
    name: String,
}

impl Reconciler {
    /// What the Jobs of a gate say. Those that are not there are made, unless this controller only looks.
    pub(super) async fn ask_jobs(
        &self,
        gate: &Gate,
        of: &JobGate,
        rollout: &Rollout,
        now: Timestamp,
    ) -> GateSeen {
        let clusters = job::clusters(of, rollout);
        let runs = clusters.into_iter().map(|cluster| async move {
            let run = tokio::time::timeout(TIMEOUT, self.ask_job(of, rollout, &cluster)).await;
            let silent = || Err(format!("there was no answer within {} s", TIMEOUT.as_secs()));
            (cluster, run.unwrap_or_else(|_| silent()))
        });
        let mut known = Jobs { runs: std::collections::BTreeMap::new() };
        for (cluster, run) in futures::future::join_all(runs).await {
            match run {
                Ok(run) => {
                    known.runs.insert(cluster, run);
                }
                Err(reason) => {
                    let reason = format!("the Job on {cluster}: {reason}");
                    return GateSeen::new(now, Verdict::Unknown(reason));
                }
            }
        }
        GateSeen::by(now, gate, Evidence::Jobs(known))
    }

    async fn ask_job(
        &self,
        gate: &JobGate,
        rollout: &Rollout,
        cluster: &ClusterName,
    ) -> Result<Run, String> {
        let id = self.release_for(rollout, cluster);
        let id = id.ok_or("its release is not known yet")?;
        let (_, client) =
            self.clients.get(cluster).ok_or("there is no connection to the cluster")?;
        let made = job::make(gate, rollout, cluster, &id.namespace);
        let made = made.ok_or("nothing was changed yet")?;
        let jobs = client.resource("batch/v1", "Job").await.map_err(|error| chain(&error))?;
        let found = client.get(&jobs, &made.namespace, &made.name).await;
        let object = match found.map_err(|error| chain(&error))? {
            Some(object) => object,
            None if self.is_onlooker => return Ok(open(&made, "is made by the controller")),
            None => return begin(client, &jobs, &made).await,
        };
        self.jobs.lock().expect("no thread panics with it").insert(
            (cluster.clone(), made.namespace.clone(), made.name.clone()),
            Seen {
                rollout: rollout.id.clone(),
                stage: rollout.stage,
                gate: gate.name.clone(),
                cluster: cluster.clone(),
                namespace: made.namespace,
                name: made.name,
            },
        );
        let mut run = job::read(&object);
        let why = match &run.state {
            RunState::Succeeded => return Ok(run),
            RunState::Failed(why) | RunState::Open(why) => why.clone(),
        };
        let hidden = secrets_of(client, &id).await.map_err(|error| chain(&error))?;
        let Some(cause) = cause::cause(client, &object, &hidden).await else { return Ok(run) };
        let said = cause.log.map(|log| {
            let skipped = log.lines.len().saturating_sub(LAST_LINES);
            format!("; container `{}` said: {}", log.container, log.lines[skipped..].join(" | "))
        });
        let why = format!("{why}; {}{}", cause.reason, said.unwrap_or_default());
        run.state = match run.state {
            RunState::Failed(_) => RunState::Failed(why),
            _ => RunState::Open(why),
        };
        Ok(run)
    }

    /// The release on a cluster, or where the addon is not there, the one of another cluster, which is called the same.
    fn release_for(&self, rollout: &Rollout, cluster: &ClusterName) -> Option<ReleaseId> {
        let id = |cluster: &ClusterName| {
            let key = InstanceKey { cluster: cluster.clone(), addon: rollout.addon().clone() };
            self.ids.get(&key).cloned()
        };
        id(cluster).or_else(|| rollout.members.keys().find_map(id))
    }

    /// Deletes the Jobs of gates that have passed: what they said is in the log. Those of gates that have failed stay
    /// until their time to live is over.
    pub(in crate::controller) async fn clear_jobs(&self) {
        let all: Vec<Seen> =
            self.jobs.lock().expect("no thread panics with it").values().cloned().collect();
        for seen in all {
            let rollout = self.rollouts().get(&seen.rollout);
            let stage = rollout.and_then(|rollout| rollout.stages.get(seen.stage));
            let has_passed = stage.is_some_and(|stage| stage.gates.contains(&seen.gate));
            if has_passed && !self.clear_job(&seen).await {
                continue;
            }
            if has_passed || rollout.is_none_or(|rollout| rollout.phase.is_ended()) {
                let key = (seen.cluster, seen.namespace, seen.name);
                self.jobs.lock().expect("no thread panics with it").remove(&key);
            }
        }
    }

    /// Whether a Job is gone, or on its way.
    async fn clear_job(&self, seen: &Seen) -> bool {
        let Some((_, client)) = self.clients.get(&seen.cluster) else { return false };
        let Ok(jobs) = client.resource("batch/v1", "Job").await else { return false };
        client.delete(&jobs, &seen.namespace, &seen.name, &Delete::default()).await.is_ok()
    }
}

fn open(made: &Made, why: &str) -> Run {
    let job = format!("{}/{}", made.namespace, made.name);
    Run { job, begun_for: made.changed_at, state: RunState::Open(why.to_owned()) }
}

/// Makes a Job. One that has come into being meanwhile is the same. A Job that is none has failed; whatever else keeps a
/// cluster from taking it, such as a missing permission, is waited for.
async fn begin(client: &ClusterClient, jobs: &Resource, made: &Made) -> Result<Run, String> {
    match client.create(jobs, &made.namespace, &made.object).await {
        Ok(_) | Err(RequestError::AlreadyExists { .. }) => Ok(open(made, "begins")),
        Err(error @ RequestError::Invalid { .. }) => {
            let state = RunState::Failed(format!("is refused: {}", chain(&error)));
            Ok(Run { state, ..open(made, "") })
        }
        Err(error) => Err(chain(&error)),
    }
}
