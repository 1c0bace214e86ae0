//! Gates that ask somebody else: Prometheus, a service of the user's own, or a Job on a cluster.

pub(super) mod job;
pub(super) mod prometheus;
pub(super) mod webhook;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::MutexGuard;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, join_all};
use serde_json::Value as Json;

use super::tick::Reconciler;
use crate::base::clock::Timestamp;
use crate::base::ids::AddonName;
use crate::base::planted::{Planted, is_planted};
use crate::fleet::model::{AskedGate, Gate};
use crate::net::http::{Answer, HttpError};
use crate::report::errors::chain;
use crate::rollout::{Evidence, GateSeen, MemberState, Phase, Rollout, RolloutId, Verdict};

/// A gate that does not answer within this says nothing.
pub(super) const TIMEOUT: Duration = Duration::from_secs(20);
/// The longest answer that is read: a million samples.
const ANSWER_BYTES_MAX: usize = 32 << 20;

/// What gates have said, by rollout, stage and gate.
pub(super) type Answers = BTreeMap<(RolloutId, usize, String), GateSeen>;

/// Jobs of gates that were seen.
pub(super) type KnownJobs = BTreeSet<job::Seen>;

impl Reconciler {
    /// What the gates of each rollout's present stage say, by their names. Each is asked once in its
    /// interval, and anew once a cluster has changed; all at the same time.
    pub(super) async fn ask_gates(
        &self,
        rollouts: &[Cow<'_, Rollout>],
    ) -> Vec<BTreeMap<String, GateSeen>> {
        let is_active = |id: &RolloutId| rollouts.iter().any(|rollout| rollout.id == *id);
        self.answers().retain(|(id, _, _), _| is_active(id));
        self.known_tests().retain(|(id, _, _), _| is_active(id));
        join_all(rollouts.iter().map(|rollout| self.ask_gates_of(rollout))).await
    }

    async fn ask_gates_of(&self, rollout: &Rollout) -> BTreeMap<String, GateSeen> {
        let Some(changed_at) = to_be_asked(rollout) else { return BTreeMap::new() };
        let gates = rollout.present_stage().into_iter().flat_map(|stage| &stage.gates);
        let gates = gates.filter(|gate| !gate.is_moot(rollout));
        let passed = rollout.stages.get(rollout.stage).map(|stage| &stage.gates);
        let is_due = |(_, asked): &(&Gate, AskedGate<'_>)| {
            !(asked.is_once && passed.is_some_and(|passed| passed.contains(asked.name)))
        };
        let asked = gates.filter_map(|gate| Some((gate, gate.asked()?))).filter(is_due);
        let seen = asked.map(|(gate, asked)| async move {
            let key = (rollout.id.clone(), rollout.stage, asked.name.to_owned());
            let now = self.options.clock.now();
            let known = self.answers().get(&key).cloned();
            let known = known.filter(|known| is_recent(known, asked.interval, changed_at, now));
            let answer = match known {
                Some(known) => known,
                None if self.is_onlooker && gate.webhook.is_some() => {
                    GateSeen::new(now, Verdict::Unknown("the controller asks for it".to_owned()))
                }
                None => match (&gate.rollout, &gate.job) {
                    (Some(other), _) => {
                        let newest = self.rollouts().newest(&other.addon);
                        GateSeen::new(now, done(newest, &other.addon))
                    }
                    (None, Some(job)) => self.ask_jobs(gate, job, rollout, now).await,
                    (None, None) => self.options.gates.ask(gate, rollout, now).await,
                },
            };
            self.answers().insert(key, answer.clone());
            (asked.name.to_owned(), answer)
        });
        join_all(seen).await.into_iter().collect()
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().expect("no thread panics with it")
    }
}

/// Whether the newest rollout of an addon is done.
fn done(newest: Option<&Rollout>, addon: &AddonName) -> Verdict {
    let Some(newest) = newest else {
        return Verdict::Holds(format!("there is no rollout of {addon}"));
    };
    let id = &newest.id;
    match newest.phase {
        Phase::Completed | Phase::Superseded { by: None } => {
            Verdict::Holds(format!("rollout {id} is {}", newest.phase.word()))
        }
        _ if newest.phase.is_ended() => Verdict::Unknown(format!(
            "rollout {id} is {}: a later one has to complete",
            newest.phase.word()
        )),
        _ => {
            let stage = newest.stage_name(newest.stage);
            Verdict::Unknown(format!("rollout {id} is {}, in stage {stage}", newest.phase.word()))
        }
    }
}

/// Since when answers count, once nothing of the stage is on its way.
fn to_be_asked(rollout: &Rollout) -> Option<Timestamp> {
    let is_moving = |member: &MemberState| matches!(member, MemberState::Moving { .. });
    let mut members = rollout.changing(rollout.stage);
    if members.any(|(_, member)| is_moving(&member.state)) {
        return None;
    }
    rollout.changed_at()
}

fn is_recent(known: &GateSeen, interval: Duration, changed_at: Timestamp, now: Timestamp) -> bool {
    let age = now.duration_since(known.observed_at);
    let is_fresh = known.observed_at > changed_at || is_planted(Planted::StaleGate);
    is_fresh && !age.is_negative() && age.unsigned_abs() < interval
}

/// Asks the services behind gates.
pub trait AsksGates: Send + Sync {
    /// What a gate says of the stage that a rollout is in; [`Verdict::Unknown`] without an answer.
    fn ask(&self, gate: &Gate, rollout: &Rollout, now: Timestamp) -> BoxFuture<'static, GateSeen>;
}

/// Asks by HTTP.
#[derive(Clone, Copy, Debug, Default)]
pub struct HttpGates;

impl AsksGates for HttpGates {
    fn ask(&self, gate: &Gate, rollout: &Rollout, now: Timestamp) -> BoxFuture<'static, GateSeen> {
        let (asked, rollout) = (gate.clone(), rollout.clone());
        let said = move |verdict: Verdict| GateSeen::new(now, verdict);
        let answer = within(TIMEOUT, move || match (&asked.prometheus, &asked.webhook) {
            (Some(gate), _) if gate.compare_to.is_some() => {
                let seen = prometheus::compare(gate, &rollout, now)?;
                Ok(GateSeen::by(now, &asked, Evidence::Comparison(seen)))
            }
            (Some(gate), _) => prometheus::ask(gate, &rollout).map(said),
            (None, Some(gate)) => webhook::ask(gate, &rollout, now).map(said),
            (None, None) => Err("the gate asks nobody".to_owned()),
        });
        async move { answer.await.unwrap_or_else(|reason| said(Verdict::Unknown(reason))) }.boxed()
    }
}

/// Does something that blocks on a thread of its own, for so long at most.
pub(super) async fn within<T: Send + 'static>(
    timeout: Duration,
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    match tokio::time::timeout(timeout, tokio::task::spawn_blocking(work)).await {
        Ok(done) => done.map_err(|error| error.to_string()).flatten(),
        Err(_) => Err(format!("there was no answer within {} s", timeout.as_secs())),
    }
}

/// The value of an environment variable.
fn variable(name: &str) -> Result<String, String> {
    match std::env::var(name) {
        Ok(text) if !text.trim().is_empty() => Ok(text),
        _ => Err(format!("the environment has no `{name}`")),
    }
}

fn read(answer: Result<Answer, HttpError>) -> Result<Json, String> {
    let bytes = answer.and_then(|answer| answer.bytes(ANSWER_BYTES_MAX));
    let bytes = bytes.map_err(|error| chain(&error))?;
    serde_json::from_slice(&bytes).map_err(|error| format!("the answer is no JSON: {error}"))
}
