//! One tick after the other: the state that is kept between them, and the steps of each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;

use super::Options;
use super::attempt::{Done, Task, Workshop};
use super::head::{Head, Revisions};
use super::heal::RefusedHeals;
use super::look::{Look, look};
use super::metrics::Metrics;
use super::wishes::{Looks, Wishes, wishes};
use crate::apply::ApplyOptions;
use crate::base::clock::{Timestamp, after};
use crate::base::ids::{AddonName, ClusterName, InstanceKey, PolicyName};
use crate::base::limits::CLUSTERS_IN_PARALLEL;
use crate::base::planted::{Planted, is_planted};
use crate::fleet::model::Cluster;
use crate::k8s::{ClusterClient, connect};
use crate::live::ReleaseId;
use crate::report::errors::chain;
use crate::rollout::train::advance_each;
use crate::rollout::{
    Action, Advance, Attempt, AttemptResult, Decision, Departure, Event, EventKind, Instances,
    Passenger, Rollout, RolloutId, WaitingOn, Wish, depart, ensure,
};
use crate::store::{Rollouts, Store, StoreError};
use crate::switch::{PairId, SwitchId, Switches, Waiting};

/// Attempts that run at once, over all clusters.
const ATTEMPTS_IN_PARALLEL: usize = CLUSTERS_IN_PARALLEL;
/// The first pause after an attempt that did not get through; it doubles up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_secs(2);
/// The longest pause between attempts on one instance.
const RETRY_MAX: Duration = Duration::from_mins(2);

/// Clusters that are not at parity after so many paces, with nothing on its way to them, are left to people.
const STILL_PACES: u32 = 30;

/// What a tick came to.
#[derive(Clone, Debug, Default)]
pub struct Tick {
    /// When the next one is due at the latest.
    pub next_in: Duration,
    /// Whether a rollout or an attempt is under way.
    pub is_busy: bool,
    /// Whether nothing goes on before somebody approves or resumes, or a policy opens.
    pub is_held: bool,
}

/// The controller's state between ticks. All of it but the log can be lost at any time.
pub struct Reconciler {
    pub(super) options: Options,
    pub(super) store: Box<dyn Store>,
    rollouts: Rollouts,
    /// Switches of clusters.
    pub(super) switches: super::switches::Standing,
    pub(super) head: Option<Arc<Head>>,
    pub(super) revisions: Arc<Revisions>,
    pub(super) clients: BTreeMap<ClusterName, (Cluster, ClusterClient)>,
    pub(super) ids: BTreeMap<InstanceKey, ReleaseId>,
    pub(super) running: JoinSet<(InstanceKey, Task, Done)>,
    pub(super) busy: BTreeSet<InstanceKey>,
    pub(super) attempts: BTreeMap<InstanceKey, Attempt>,
    pub(super) tries: BTreeMap<InstanceKey, Tries>,
    /// Whether it only looks: then nobody is asked for a decision.
    pub(super) is_onlooker: bool,
    /// What gates have said.
    pub(super) answers: std::sync::Mutex<super::gates::Answers>,
    /// Jobs of gates that may have to be deleted.
    pub(super) jobs: std::sync::Mutex<super::gates::KnownJobs>,
    /// Tests that gates have begun.
    pub(super) tests: super::gates::job::KnownTests,
    held: BTreeMap<AddonName, String>,
    /// Addons with a rollout to a commit that others have read and this one has not.
    unread: BTreeSet<AddonName>,
    /// Rollouts in which nothing moves, and whether they ask for somebody.
    still: BTreeMap<RolloutId, bool>,
    polled_at: Option<Timestamp>,
    pub(super) healed_at: Option<Timestamp>,
    /// What git has since rollouts began that lack approvals.
    pub(super) commits: super::approvals::CommitsSince,
    /// Approvals in git that do not count.
    pub(super) refused_approvals: super::approvals::RefusedApprovals,
    /// Heals that were refused, by instance.
    pub(super) heals: BTreeMap<InstanceKey, RefusedHeals>,
    /// What it has done so far.
    pub metrics: Arc<Metrics>,
    listener: Option<UnboundedSender<Event>>,
}

/// Attempts on one instance that did not get through, one after the other.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tries {
    count: u32,
    not_before: Option<Timestamp>,
}

impl Reconciler {
    /// Reads the log. `listener` is told every event that this controller records, or that others
    /// have recorded since.
    pub fn new(
        options: Options,
        store: Box<dyn Store>,
        listener: Option<UnboundedSender<Event>>,
    ) -> Result<Self, StoreError> {
        let rollouts = Rollouts::read(&*store)?;
        let revisions = Revisions::new(Arc::clone(&options.origin), Arc::clone(&options.charts));
        Ok(Self {
            options,
            store,
            rollouts,
            switches: super::switches::Standing::default(),
            head: None,
            revisions: Arc::new(revisions),
            clients: BTreeMap::new(),
            ids: BTreeMap::new(),
            running: JoinSet::new(),
            busy: BTreeSet::new(),
            attempts: BTreeMap::new(),
            tries: BTreeMap::new(),
            is_onlooker: false,
            answers: std::sync::Mutex::default(),
            jobs: std::sync::Mutex::default(),
            tests: Arc::default(),
            held: BTreeMap::new(),
            unread: BTreeSet::new(),
            still: BTreeMap::new(),
            polled_at: None,
            healed_at: None,
            commits: BTreeMap::new(),
            refused_approvals: BTreeMap::new(),
            heals: BTreeMap::new(),
            metrics: Arc::default(),
            listener,
        })
    }

    /// Every rollout, as of the last tick.
    pub fn rollouts(&self) -> &Rollouts {
        &self.rollouts
    }

    /// What git says, as far as it was read.
    pub fn head(&self) -> Option<&Arc<Head>> {
        self.head.as_ref()
    }

    /// Every pair and switch, as of the last tick.
    pub fn switches(&self) -> &Switches {
        &self.switches.log.switches
    }

    /// Pairs of clusters that nothing is done about now, and why.
    pub fn held_pairs(&self) -> &BTreeMap<PairId, String> {
        &self.switches.held
    }

    /// What switches that are under way wait for, as of the last tick or survey.
    pub fn waiting_switches(&self) -> &BTreeMap<SwitchId, Waiting> {
        &self.switches.waiting
    }

    /// Addons that nothing is done about now, and why.
    pub fn held(&self) -> &BTreeMap<AddonName, String> {
        &self.held
    }

    /// The connections that were made.
    pub fn clients(&self) -> impl Iterator<Item = &ClusterClient> {
        self.clients.values().map(|(_, client)| client)
    }

    /// Resolves when no attempt runs any more.
    pub async fn finish(&mut self) {
        while let Some(ended) = self.running.join_next().await {
            self.take_attempt(ended);
        }
    }

    /// Git is polled with the next tick, whenever it was last.
    pub fn poll_soon(&mut self) {
        self.polled_at = None;
    }

    /// Resolves when an attempt ends; never when none runs.
    pub async fn attempt_ended(&mut self) {
        match self.running.join_next().await {
            Some(ended) => self.take_attempt(ended),
            None => std::future::pending().await,
        }
    }

    /// One tick.
    ///
    /// # Errors
    /// Only the event log's: everything else is told by logs, metrics and the waits of rollouts.
    pub async fn tick(&mut self) -> Result<Tick, StoreError> {
        while let Some(ended) = self.running.try_join_next() {
            self.take_attempt(ended);
        }
        self.read_on()?;
        if let Err(error) = self.poll().await {
            tracing::warn!(error, "git could not be polled");
        }
        let Some(head) = self.head.clone() else { return Ok(self.rest(None)) };
        let looks = self.look_at_clusters(&head).await;
        let mut made = wishes(&head, &looks, &self.rollouts);
        self.ids.append(&mut made.ids);
        self.name_releases();
        self.begin(&made, &looks)?;
        self.take_approvals(&head).await?;
        let wake_at = self.advance_all(&head, &looks).await?;
        self.clear_jobs().await;
        self.heal_if_due(&head, &looks).await;
        let switch_at = self.tick_switches(&head, &looks).await?;
        let wake_at = [wake_at, switch_at].into_iter().flatten().min();
        self.metrics.ticked(&self.rollouts, &looks);
        Ok(self.rest(wake_at))
    }

    /// Reads what others have recorded. Where they go by a commit that was not read here, git is polled
    /// before anything is made of the addon: else two controllers would supersede one another's
    /// rollouts for as long as one of them has not polled.
    fn read_on(&mut self) -> Result<(), StoreError> {
        for event in self.rollouts.read_on(&*self.store)? {
            let is_known = self.head.as_ref().is_some_and(|head| *head.rev() == event.revision);
            if matches!(event.kind, EventKind::RolloutStarted { .. }) && !is_known {
                self.unread.insert(event.addon.clone());
                self.poll_soon();
            }
            self.tell(&event);
        }
        Ok(())
    }

    /// How long until something is due.
    fn rest(&mut self, wake_at: Option<Timestamp>) -> Tick {
        let now = self.options.clock.now();
        let until = |at: Timestamp| at.duration_since(now).max(jiff::SignedDuration::ZERO);
        let poll_at = self
            .polled_at
            .and_then(|at| at.saturating_add(self.options.interval).ok())
            .unwrap_or(now);
        let has_rollouts = self.active().next().is_some();
        let is_quiet = self.busy.is_empty() && !has_rollouts;
        let gives_up = self.switches.is_still(is_quiet, now, self.options.pace * STILL_PACES);
        let switches = &self.switches;
        let is_busy =
            !self.busy.is_empty() || has_rollouts || switches.is_busy() || switches.is_held();
        let is_held = self.busy.is_empty()
            && (gives_up || !switches.is_busy())
            && self.active().all(|rollout| self.still.contains_key(&rollout.id))
            && (gives_up || switches.is_held() || self.still.values().any(|is_held| *is_held));
        let mut next_in = until(poll_at).unsigned_abs();
        if is_busy || switches.is_watching() {
            next_in = next_in.min(self.options.pace);
        }
        if let Some(at) = wake_at {
            next_in = next_in.min(until(at).unsigned_abs());
        }
        Tick { next_in: next_in.max(Duration::from_millis(1)), is_busy, is_held }
    }

    // Git.

    /// Reads git if that is due.
    ///
    /// # Errors
    /// Says why it could not be read; what was read before still counts.
    pub async fn poll(&mut self) -> Result<(), String> {
        let now = self.options.clock.now();
        let is_due = self.polled_at.is_none_or(|at| {
            now.duration_since(at).unsigned_abs() >= self.options.interval || now < at
        });
        if !is_due {
            return Ok(());
        }
        self.polled_at = Some(now);
        let known = self.head.as_ref().map(|head| head.rev().clone());
        let polled = self.revisions.off(move |git| git.poll(known.as_ref())).await;
        let polled = polled.and_then(|polled| polled.map_err(|error| chain(&error)));
        self.metrics.polled(polled.is_ok());
        let polled = polled?;
        self.unread.clear();
        if let Some(head) = polled {
            tell_head(&head);
            // What was refused may be allowed now.
            self.heals.clear();
            self.head = Some(Arc::new(head));
        }
        Ok(())
    }

    // Clusters.

    pub(super) async fn look_at_clusters(&mut self, head: &Head) -> Looks {
        self.connect_all(head).await;
        let clock = Arc::clone(&self.options.clock);
        let names = head.desired.fleet.clusters.keys().cloned();
        let looks = names.map(|name| {
            let client = self.clients.get(&name).map(|(_, client)| client.clone());
            let clock = Arc::clone(&clock);
            async move {
                let look = match client {
                    Some(client) => look(&client, &*clock).await,
                    None => Look::failed(clock.now(), "no connection could be made".to_owned()),
                };
                (name, look)
            }
        });
        futures::stream::iter(looks).buffer_unordered(CLUSTERS_IN_PARALLEL).collect().await
    }

    /// Connections follow the documents.
    async fn connect_all(&mut self, head: &Head) {
        let clusters = &head.desired.fleet.clusters;
        self.clients.retain(|name, (document, _)| {
            clusters.get(name).is_some_and(|cluster| cluster.value == *document)
        });
        let missing: Vec<Cluster> = clusters
            .iter()
            .filter(|(name, _)| !self.clients.contains_key(*name))
            .map(|(_, cluster)| cluster.value.clone())
            .collect();
        let connect_options = self.options.connect.clone();
        let connected = futures::stream::iter(missing).map(|cluster| {
            let options = connect_options.clone();
            async move { (connect(&cluster, &options).await, cluster) }
        });
        let connected: Vec<_> = connected.buffer_unordered(CLUSTERS_IN_PARALLEL).collect().await;
        for (client, cluster) in connected {
            let name = cluster.metadata.name.clone();
            match client {
                Ok(client) => {
                    self.clients.insert(name, (cluster, client));
                }
                Err(error) => {
                    tracing::warn!(cluster = %name, error = chain(&error), "cannot connect");
                }
            }
        }
    }

    // Rollouts.

    /// What is to be made of the wishes: of each alone, or of all that one policy has move together. What
    /// comes of wishes in one step is recorded together.
    pub(super) fn departures(&self, made: &Wishes, looks: &Looks) -> Vec<Departure> {
        let now = self.options.clock.now();
        let mut together: BTreeMap<&PolicyName, Vec<&Wish>> = BTreeMap::new();
        let mut departures = Vec::new();
        for wish in &made.wishes {
            match wish.policy_name.as_ref().filter(|_| wish.policy.train) {
                Some(policy) => together.entry(policy).or_default().push(wish),
                None => {
                    let newest = self.rollouts.newest(&wish.addon);
                    let seen = self.seen_for(wish, looks);
                    departures.push(Departure::alone(wish, ensure(newest, wish, &seen, now)));
                }
            }
        }
        for wishes in together.into_values() {
            let seen: Vec<Instances> =
                wishes.iter().map(|wish| self.seen_for(wish, looks)).collect();
            let all: Vec<Passenger<'_>> = wishes
                .iter()
                .zip(&seen)
                .map(|(wish, seen)| (self.rollouts.newest(&wish.addon), *wish, seen))
                .collect();
            let is_wished = |addon: &AddonName| wishes.iter().any(|wish| wish.addon == *addon);
            let moves_with = |one: &&Rollout| {
                all.iter().any(|(newest, ..)| newest.is_some_and(|newest| newest.is_with(one)))
            };
            let active = self.active().filter(|one| !is_wished(one.addon()));
            let stranded: Vec<&Rollout> = active.filter(moves_with).collect();
            departures.push(depart(&all, &stranded, now));
        }
        departures
    }

    fn seen_for(&self, wish: &Wish, looks: &Looks) -> Instances {
        let seen = wish.goals.keys().filter_map(|cluster| {
            let key = InstanceKey { cluster: cluster.clone(), addon: wish.addon.clone() };
            Some((cluster.clone(), looks.get(cluster)?.seen(self.ids.get(&key))))
        });
        seen.collect()
    }

    /// The releases of instances that are on their way and that the newest commit does not name: those
    /// of the commit that their rollout is pinned to.
    pub(super) fn name_releases(&mut self) {
        let mut found = Vec::new();
        for rollout in self.active() {
            let staying = rollout.members.iter().filter(|(_, member)| member.goal.digest.is_some());
            let keys = staying.map(|(cluster, _)| InstanceKey {
                cluster: cluster.clone(),
                addon: rollout.addon().clone(),
            });
            let unknown: Vec<InstanceKey> =
                keys.filter(|key| !self.ids.contains_key(key)).collect();
            if unknown.is_empty() {
                continue;
            }
            let Ok(pinned) = self.revisions.desired(&rollout.rev) else { continue };
            let ids = unknown.into_iter().filter_map(|key| {
                let id = ReleaseId::of(pinned.instance(&key)?);
                Some((key, id))
            });
            found.extend(ids);
        }
        self.ids.extend(found);
    }

    /// Begins, supersedes and follows rollouts.
    fn begin(&mut self, made: &Wishes, looks: &Looks) -> Result<(), StoreError> {
        let mut held = made.held.clone();
        for departure in self.departures(made, looks) {
            let unread = departure.addons().find(|addon| self.unread.contains(*addon));
            if unread.is_some() {
                let reason = "another controller goes by a commit that could not be read yet";
                held.extend(departure.addons().map(|addon| (addon.clone(), reason.to_owned())));
                continue;
            }
            self.record(&departure.events)?;
            held.extend(departure.told());
        }
        for (addon, reason) in &held {
            if self.held.get(addon) != Some(reason) {
                tracing::warn!(%addon, reason, "held");
            }
        }
        self.held = held;
        Ok(())
    }

    /// Advances every rollout that is under way; gives when time alone will change something.
    async fn advance_all(
        &mut self,
        head: &Arc<Head>,
        looks: &Looks,
    ) -> Result<Option<Timestamp>, StoreError> {
        let active = self.active().cloned().collect();
        let mut wake_at: Option<Timestamp> = None;
        self.still.clear();
        let observed = self.observe_members(head, looks, active).await;
        for together in advance_each(observed, self.options.clock.now()) {
            let recorded = self.record(&together.events);
            if !is_planted(Planted::Unrecorded) {
                recorded?;
            }
            for step in together.parts {
                wake_at = [wake_at, step.wake_at].into_iter().flatten().min();
                self.take_step(head, step);
            }
        }
        Ok(wake_at)
    }

    /// Carries out what was decided, once it is on record.
    fn take_step(&mut self, head: &Arc<Head>, step: Advance) {
        if step.decisions.is_empty() && !step.waiting.values().any(WaitingOn::is_moving) {
            let is_held = step.waiting.values().any(WaitingOn::is_held);
            self.still.insert(step.rollout.id.clone(), is_held);
        }
        for decision in step.decisions {
            self.carry_out(head, &step.rollout, &decision);
        }
    }

    /// Rollouts that are under way.
    pub(super) fn active(&self) -> impl Iterator<Item = &Rollout> {
        self.rollouts.iter().filter(|rollout| !rollout.phase.is_ended())
    }

    /// Puts events on record and tells of them.
    pub(super) fn record(&mut self, events: &[Event]) -> Result<(), StoreError> {
        self.rollouts.append(&mut *self.store, events)?;
        for event in events {
            self.tell(event);
        }
        Ok(())
    }

    fn tell(&self, event: &Event) {
        self.metrics.happened(event);
        tell_event(event);
        if let Some(listener) = &self.listener {
            // Whoever listened may be gone; the log is what counts.
            let _ = listener.send(event.clone());
        }
    }

    fn carry_out(&mut self, head: &Arc<Head>, rollout: &Rollout, decision: &Decision) {
        let key = InstanceKey { cluster: decision.cluster.clone(), addon: rollout.addon().clone() };
        let Some(member) = rollout.members.get(&decision.cluster) else { return };
        let rollout_id = rollout.id.clone();
        let task = match decision.action {
            Action::Move => Task::Move {
                rollout: rollout_id,
                goal: member.goal.clone(),
                limits: head.limits(rollout.addon(), Some(rollout)),
            },
            Action::GoBack => Task::GoBack {
                rollout: rollout_id,
                from: member.from.clone().flatten(),
                reason: match &rollout.phase {
                    crate::rollout::Phase::GoingBack { reason, .. } => reason.clone(),
                    _ => String::new(),
                },
            },
        };
        self.start(head, key, task);
    }

    /// Starts an attempt, unless one runs on the instance, or the last one was a moment ago.
    pub(super) fn start(&mut self, head: &Arc<Head>, key: InstanceKey, task: Task) {
        let now = self.options.clock.now();
        let is_early =
            self.tries.get(&key).and_then(|tries| tries.not_before).is_some_and(|not_before| {
                now < not_before && not_before < after(now, RETRY_MAX * 2)
            });
        if is_early || self.busy.contains(&key) || self.busy.len() >= ATTEMPTS_IN_PARALLEL {
            return;
        }
        let Some((_, client)) = self.clients.get(&key.cluster) else { return };
        let id = match &task {
            Task::Remove { id, .. } => Some(id.clone()),
            _ => self.ids.get(&key).cloned(),
        };
        let workshop = Workshop {
            client: client.clone(),
            key: key.clone(),
            id,
            head: Arc::clone(head),
            revisions: Arc::clone(&self.revisions),
            options: ApplyOptions::new(self.options.holder.clone()),
            clock: Arc::clone(&self.options.clock),
        };
        tracing::debug!(instance = %key, task = task.word(), "attempt begins");
        self.busy.insert(key.clone());
        self.running.spawn(async move {
            let done = Box::pin(workshop.run(&task)).await;
            (key, task, done)
        });
    }

    fn take_attempt(&mut self, ended: Result<(InstanceKey, Task, Done), tokio::task::JoinError>) {
        let (key, task, done) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                // Which one it was is not known; that none is busy lets all be tried again.
                tracing::error!(%error, "an attempt ended early");
                if self.running.is_empty() {
                    self.busy.clear();
                }
                return;
            }
        };
        self.busy.remove(&key);
        self.metrics.attempted(&task, &done);
        if matches!(task, Task::Heal { .. }) {
            self.heal_ended(&key, &done);
        }
        match &done.result {
            AttemptResult::Done { .. } | AttemptResult::UnderWay(_) => {
                // One that is done again and again, and never counts, must not spin.
                let not_before = Some(after(done.ended_at, RETRY_MIN));
                self.tries.insert(key.clone(), Tries { count: 0, not_before });
            }
            AttemptResult::Passing(reason) | AttemptResult::Final(reason) => {
                let task = task.word();
                tracing::warn!(instance = %key, task, reason, "attempt failed");
                let tries = self.tries.entry(key.clone()).or_default();
                let pause = RETRY_MIN.saturating_mul(1 << tries.count.min(10)).min(RETRY_MAX);
                tries.count += 1;
                tries.not_before = done.ended_at.saturating_add(pause).ok();
            }
        }
        if let Some(attempt) = task.attempt_of(&done) {
            self.attempts.insert(key, attempt);
        }
    }
}

fn tell_head(head: &Head) {
    tracing::info!(
        rev = %head.rev(),
        instances = head.releases.len(),
        findings = head.findings.len(),
        "a new commit"
    );
    for found in &head.findings {
        let place = found.labels.first().map(|label| label.span.to_string()).unwrap_or_default();
        tracing::warn!(code = found.code, place, "{}", found.message);
    }
}

fn tell_event(event: &Event) {
    let name = event.kind.name();
    tracing::info!(
        rollout = %event.rollout,
        stage = event.stage.as_deref().unwrap_or_default(),
        cluster = event.cluster.as_ref().map(ClusterName::as_str).unwrap_or_default(),
        reason = event.reason.as_deref().unwrap_or_default(),
        "{name}"
    );
}
