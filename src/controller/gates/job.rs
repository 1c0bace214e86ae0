//! Runs the Jobs of gates, and tests of releases, on clusters.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::json;

use super::{KnownJobs, Reconciler};
use crate::apply::{Tested, Tests, secrets_of, test, tests_of};
use crate::base::clock::Timestamp;
use crate::base::ids::{ClusterName, InstanceKey};
use crate::fleet::model::{Gate, JobGate};
use crate::k8s::{ClusterClient, RequestError, Resource};
use crate::live::record::HookRun;
use crate::live::{PodLog, ReleaseId, cause};
use crate::report::errors::chain;
use crate::rollout::job::{self, Jobs, Made, Run, RunState};
use crate::rollout::{Evidence, GateSeen, Rollout, RolloutId, Verdict};

/// A cluster that takes longer says nothing.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How long a Job stays whose gate has passed: longer than a controller may go by what it has read before.
const PASSED_STAYS_SECONDS: u32 = 600;
/// How much is told of what a Job said last.
const LAST_LINES: usize = 3;

/// Tests that were begun, and how they went; none while they are run.
pub(in crate::controller) type KnownTests = Arc<Mutex<TestRuns>>;

type TestRuns = BTreeMap<TestsKey, Option<RunState>>;

/// By rollout, cluster and change.
type TestsKey = (RolloutId, ClusterName, Timestamp);

/// A Job that was seen: to be deleted once its gate has passed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
        let mut known = Jobs { runs: BTreeMap::new() };
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
        if gate.helm_test {
            return self.ask_tests(gate, rollout, (cluster, client, &id)).await;
        }
        let made = job::make(gate, rollout, cluster, &id.namespace);
        let made = made.ok_or("nothing was changed yet")?;
        let jobs = client.resource("batch/v1", "Job").await.map_err(|error| chain(&error))?;
        let found = client.get(&jobs, &made.namespace, &made.name).await;
        let object = match found.map_err(|error| chain(&error))? {
            Some(object) => object,
            None if self.is_onlooker => return Ok(open(&made, "is made by the controller")),
            None => return begin(client, &jobs, &made).await,
        };
        self.known_jobs().insert(Seen {
            rollout: rollout.id.clone(),
            stage: rollout.stage,
            gate: gate.name.clone(),
            cluster: cluster.clone(),
            namespace: made.namespace,
            name: made.name,
        });
        let mut run = job::read(&object);
        let why = match &run.state {
            RunState::Succeeded => return Ok(run),
            RunState::Failed(why) | RunState::Open(why) => why.clone(),
        };
        let hidden = secrets_of(client, &id).await.map_err(|error| chain(&error))?;
        let Some(cause) = cause::cause(client, &object, &hidden).await else { return Ok(run) };
        let said = cause.log.as_ref().map(last_words);
        let why = format!("{why}; {}{}", cause.reason, said.unwrap_or_default());
        run.state = match run.state {
            RunState::Failed(_) => RunState::Failed(why),
            _ => RunState::Open(why),
        };
        Ok(run)
    }

    /// What the tests of a release say that were run since the change. They are begun beside the ticks where that is not
    /// known; those that came to an end before a controller was killed are not run again.
    async fn ask_tests(
        &self,
        gate: &JobGate,
        rollout: &Rollout,
        (cluster, client, id): (&ClusterName, &ClusterClient, &ReleaseId),
    ) -> Result<Run, String> {
        let changed_at = rollout.changed_at().ok_or("nothing was changed yet")?;
        let what = format!("the tests of {id}");
        let run = |state| Run { what: what.clone(), begun_for: changed_at, state };
        let running = || run(RunState::Open("are run".to_owned()));
        let key = (rollout.id.clone(), cluster.clone(), changed_at);
        let known = self.known_tests().get(&key).cloned();
        match known {
            Some(None) => return Ok(running()),
            Some(Some(state)) => {
                if matches!(state, RunState::Open(_)) {
                    // It was not the tests that failed: they are tried again.
                    self.known_tests().remove(&key);
                }
                return Ok(run(state));
            }
            None => {}
        }
        let tests = tests_of(client, id).await.map_err(|error| chain(&error))?;
        if tests.is_empty() {
            return Ok(run(RunState::Open("there are none".to_owned())));
        }
        if let Some((begun_for, state)) = ended(&tests, changed_at) {
            return Ok(Run { begun_for, ..run(state) });
        }
        if self.is_onlooker {
            return Ok(run(RunState::Open("are run by the controller".to_owned())));
        }
        self.known_tests().insert(key.clone(), None);
        let (client, id) = (client.clone(), id.clone());
        let (all, clock) = (Arc::clone(&self.tests), Arc::clone(&self.options.clock));
        let tests = Tests { names: Vec::new(), timeout: gate.deadline(), wants_logs: false };
        tokio::spawn(async move {
            let state = match test(&client, &id, &tests, &*clock).await {
                Ok(tested) => told(tested),
                Err(error) => RunState::Open(chain(&error)),
            };
            all.lock().expect("no thread panics with it").insert(key, Some(state));
        });
        Ok(running())
    }

    pub(super) fn known_tests(&self) -> MutexGuard<'_, TestRuns> {
        self.tests.lock().expect("no thread panics with it")
    }

    fn known_jobs(&self) -> MutexGuard<'_, KnownJobs> {
        self.jobs.lock().expect("no thread panics with it")
    }

    /// The release on a cluster, or where the addon is not there, the one of another cluster, which is called the same.
    fn release_for(&self, rollout: &Rollout, cluster: &ClusterName) -> Option<ReleaseId> {
        let id = |cluster: &ClusterName| {
            let key = InstanceKey { cluster: cluster.clone(), addon: rollout.addon().clone() };
            self.ids.get(&key).cloned()
        };
        id(cluster).or_else(|| rollout.members.keys().find_map(id))
    }

    /// Lets the Jobs of gates that have passed go soon: what they said is in the log. Until then they keep a controller
    /// that has not read it yet from making them again. Those of gates that have failed stay until their own time to live
    /// is over.
    pub(in crate::controller) async fn clear_jobs(&self) {
        let all: Vec<Seen> = self.known_jobs().iter().cloned().collect();
        for seen in all {
            let rollout = self.rollouts().get(&seen.rollout);
            let stage = rollout.and_then(|rollout| rollout.stages.get(seen.stage));
            let has_passed = stage.is_some_and(|stage| stage.gates.contains(&seen.gate));
            if has_passed && !self.clear_job(&seen).await {
                continue;
            }
            if has_passed || rollout.is_none_or(|rollout| rollout.phase.is_ended()) {
                self.known_jobs().remove(&seen);
            }
        }
    }

    /// Whether a Job is gone, or goes by itself.
    async fn clear_job(&self, seen: &Seen) -> bool {
        let Some((_, client)) = self.clients.get(&seen.cluster) else { return false };
        let Ok(jobs) = client.resource("batch/v1", "Job").await else { return false };
        let patch = json!({"spec": {"ttlSecondsAfterFinished": PASSED_STAYS_SECONDS}});
        let sent = client.merge_patch(&jobs, &seen.namespace, &seen.name, &patch).await;
        matches!(sent, Ok(_) | Err(RequestError::NotFound { .. }))
    }
}

/// How tests went that have all come to an end since a change, and when the first of them began.
fn ended(tests: &[(String, HookRun)], changed_at: Timestamp) -> Option<(Timestamp, RunState)> {
    let mut begun = Vec::new();
    for (_, run) in tests {
        let at: Timestamp = run.started_at.parse().ok()?;
        if at <= changed_at || run.completed_at.is_empty() {
            return None;
        }
        begun.push(at);
    }
    let failed = tests.iter().find(|(_, run)| run.phase != "Succeeded");
    let state = failed.map_or(RunState::Succeeded, |(name, _)| {
        RunState::Failed(format!("failed: test `{name}`, as the release record has it"))
    });
    Some((begun.into_iter().min()?, state))
}

fn told(tested: Tested) -> RunState {
    let Some(failure) = tested.failure else { return RunState::Succeeded };
    let Some(result) = tested.results.last().filter(|result| result.failure.is_some()) else {
        return RunState::Open(chain(&failure));
    };
    let said = result.logs.first().map(last_words).unwrap_or_default();
    let why = result.failure.as_deref().unwrap_or_default();
    RunState::Failed(format!("failed: test `{}` {why}{said}", result.hook.name))
}

/// The last lines of a container, in one.
fn last_words(log: &PodLog) -> String {
    let skipped = log.lines.len().saturating_sub(LAST_LINES);
    format!("; container `{}` said: {}", log.container, log.lines[skipped..].join(" | "))
}

fn open(made: &Made, why: &str) -> Run {
    let what = format!("Job {}/{}", made.namespace, made.name);
    Run { what, begun_for: made.changed_at, state: RunState::Open(why.to_owned()) }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn run(started_at: &str, completed_at: &str, phase: &str) -> (String, HookRun) {
        let at = |minute: &str| match minute {
            "" => String::new(),
            minute => format!("2027-01-15T08:{minute}:00Z"),
        };
        let (started_at, completed_at) = (at(started_at), at(completed_at));
        (phase.to_lowercase(), HookRun { started_at, completed_at, phase: phase.to_owned() })
    }

    #[test]
    fn tests_count_once_all_have_ended_that_began_after_the_change() {
        let changed_at: Timestamp = "2027-01-15T08:10:00Z".parse().expect("a time");
        let well = run("11", "12", "Succeeded");
        let failed = RunState::Failed("failed: test `failed`, as the release record has it".into());
        for (tests, expected) in [
            (vec![well.clone()], Some(RunState::Succeeded)),
            (vec![well.clone(), run("12", "13", "Failed")], Some(failed)),
            (vec![well.clone(), run("12", "", "Running")], None),
            (vec![well.clone(), run("", "", "")], None),
            (vec![well, run("09", "13", "Succeeded")], None),
            (vec![run("10", "13", "Succeeded")], None),
        ] {
            let ended = ended(&tests, changed_at);
            assert!(ended.as_ref().is_none_or(|(begun, _)| *begun > changed_at));
            assert_eq!(ended.map(|(_, state)| state), expected, "{tests:?}");
        }
    }
}
