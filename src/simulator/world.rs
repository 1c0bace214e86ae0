//! Everything that a history happens to: clusters, git, the event log, the controllers, and people.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use rand::SeedableRng as _;
use serde_json::{Value as Json, json};
use tokio::task::JoinHandle;

use super::clock::SimClock;
use super::court::Court;
use super::fleet::FleetModel;
use super::gates::SimGates;
use super::git::Git;
use super::journal::{Fuse, Journal};
use super::scenario::{Deed, Dice, Edit, Scenario, cluster_name};
use super::truth::{FOREIGN, namespace};
use super::weather::Weather;
use super::wire::Wire;
use crate::base::clock::Clock;
use crate::base::ids::{ClusterName, Digest, InstanceKey, Rev};
use crate::chart::source::ChartStore;
use crate::controller::{Options, Reconciler};
use crate::git::settings::Settings;
use crate::k8s::ConnectOptions;
use crate::rollout::train::Whole;
use crate::rollout::{
    Approving, Command, Event, EventKind, Phase, Rollout, RolloutId, command_together,
};
use crate::sim::request::{Query, Request};
use crate::sim::{SimCluster, SimFleet};
use crate::store::{MemoryStore, Rollouts, Store as _, StoreError};

/// Who approves by a commit, and not by a command.
const APPROVES_IN_GIT: &str = "ben";
/// How often a controller looks at the clusters.
const PACE: Duration = Duration::from_secs(30);
/// How often it polls git.
const INTERVAL: Duration = Duration::from_mins(1);
/// How often it heals.
const RESYNC: Duration = Duration::from_mins(5);
/// How long a request may take.
const TIMEOUT: Duration = Duration::from_secs(20);
/// More ticks than this in a second bring nothing.
const TICKS_IN_A_SECOND_MAX: u32 = 100;

/// What a controller knew after its last tick.
#[derive(Clone, Debug, Default)]
pub(super) struct Status {
    /// The commit that it goes by.
    pub(super) rev: Option<Rev>,
    /// What each instance shall be at.
    pub(super) digests: BTreeMap<InstanceKey, Digest>,
    /// Addons that it holds, and why.
    pub(super) held: Vec<String>,
}

/// A controller, and the next one after it is killed.
struct Seat {
    task: JoinHandle<()>,
    fuse: Arc<Mutex<Fuse>>,
    clock: SimClock,
}

/// The world. Cheap to clone; clones are the same world.
#[derive(Clone)]
pub(super) struct World {
    pub(super) clock: SimClock,
    pub(super) court: Court,
    pub(super) git: Git,
    pub(super) clusters: Arc<BTreeMap<ClusterName, SimCluster>>,
    log: MemoryStore,
    weather: Weather,
    gates: SimGates,
    charts: Arc<ChartStore>,
    seed: u64,
    lives: Arc<Mutex<u64>>,
    status: Arc<Mutex<Status>>,
    seats: Arc<Mutex<Vec<Seat>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    /// The world as a scenario finds it, with one controller.
    pub(super) async fn begin(scenario: &Scenario) -> Self {
        let clock = SimClock::begin();
        let names = scenario.fleet.clusters.keys().cloned();
        let size = scenario.fleet.clusters.len();
        let joining = std::iter::once(cluster_name(size));
        let cluster = |name: String| {
            let cluster = SimCluster::new(&name, 1, Arc::new(clock.clone()));
            (ClusterName::from(name), cluster)
        };
        let settings =
            Settings { cache: PathBuf::from("/nonexistent"), ..Settings::from_environment() };
        let world = Self {
            court: Court::new(clock.clone(), &scenario.fleet),
            git: Git::new(scenario.fleet.clone()),
            clusters: Arc::new(names.chain(joining).map(cluster).collect()),
            log: MemoryStore::default(),
            weather: Weather::default(),
            gates: SimGates::new(),
            charts: Arc::new(ChartStore::new(settings, |_| None)),
            seed: scenario.seed,
            lives: Arc::default(),
            status: Arc::default(),
            seats: Arc::default(),
            clock,
        };
        for cluster in world.clusters.values() {
            for addon in scenario.fleet.addons.keys() {
                furnish(cluster, addon).await;
            }
        }
        world.seat();
        world
    }

    /// What the first controller knew after its last tick.
    pub(super) fn status(&self) -> Status {
        lock(&self.status).clone()
    }

    /// The whole event log.
    pub(super) fn log(&self) -> Vec<Event> {
        let read = self.log.read_after(0).unwrap_or_default();
        read.into_iter().map(|(_, event)| event).collect()
    }

    /// One more controller begins.
    fn seat(&self) {
        let fuse = Arc::new(Mutex::new(Fuse::default()));
        let clock = self.clock.another();
        let mut seats = lock(&self.seats);
        let is_first = seats.is_empty();
        let life = self.clone().live(Arc::clone(&fuse), clock.clone(), is_first);
        seats.push(Seat { task: tokio::task::spawn_local(life), fuse, clock });
    }

    /// The second controller learns that it is not the only one.
    fn unseat_second(&self) {
        for seat in lock(&self.seats).drain(1..) {
            seat.task.abort();
        }
    }

    /// Nothing goes wrong any more: one controller, that nobody kills.
    pub(super) fn calm(&self) {
        self.weather.clears();
        self.git.set_down(false);
        self.gates.says(Some(true));
        self.unseat_second();
        let fuse = Arc::clone(&lock(&self.seats)[0].fuse);
        let fuse = lock(&fuse).clone();
        fuse.put_out();
        let mut fleet = self.git.newest();
        fleet.mend("v0");
        if fleet != self.git.newest() {
            self.commit(fleet);
        }
    }

    /// Everything ends.
    pub(super) fn end(&self) {
        for seat in lock(&self.seats).drain(..) {
            seat.task.abort();
        }
    }

    /// Whether a controller has ended by itself, which none ever does.
    pub(super) fn has_panicked(&self) -> bool {
        lock(&self.seats).iter().any(|seat| seat.task.is_finished())
    }

    fn next_life(&self) -> u64 {
        let mut lives = lock(&self.lives);
        *lives += 1;
        *lives
    }

    // Controllers.

    /// One controller after the other.
    async fn live(self, seat: Arc<Mutex<Fuse>>, clock: SimClock, is_first: bool) {
        loop {
            let fuse = Fuse::default();
            *lock(&seat) = fuse.clone();
            let options = self.options(&fuse, &clock, false);
            let journal = Box::new(self.journal(fuse.clone()));
            let mut reconciler = match Reconciler::new(options, journal, None) {
                Ok(reconciler) => reconciler,
                Err(error) => {
                    self.court.accuse(8, format!("the event log cannot be read: {error}"));
                    return;
                }
            };
            let away = tokio::select! {
                biased;
                away = fuse.blown() => away,
                () = self.work(&mut reconciler, &clock, is_first) => Duration::ZERO,
            };
            drop(reconciler);
            self.court.count(|counts| counts.kills += 1);
            clock.sleep(away).await;
        }
    }

    async fn work(&self, reconciler: &mut Reconciler, clock: &SimClock, is_first: bool) {
        let (mut second, mut ticks) = (0, 0);
        loop {
            self.court.count(|counts| counts.ticks += 1);
            let now = self.clock.elapsed().as_secs();
            (second, ticks) = if now == second { (second, ticks + 1) } else { (now, 0) };
            if ticks > TICKS_IN_A_SECOND_MAX {
                self.court.accuse(10, "a controller spins".to_owned());
                std::future::pending::<()>().await;
            }
            let tick = match reconciler.tick().await {
                Ok(tick) => tick,
                Err(StoreError::Moved) => {
                    tokio::task::yield_now().await;
                    continue;
                }
                Err(error) => {
                    self.court.accuse(8, format!("the event log cannot be used: {error}"));
                    std::future::pending().await
                }
            };
            if is_first {
                self.note(reconciler);
            }
            tokio::select! {
                biased;
                () = reconciler.attempt_ended() => {}
                () = clock.sleep(tick.next_in) => {}
            }
        }
    }

    fn note(&self, reconciler: &Reconciler) {
        let held = reconciler.held().iter().map(|(addon, why)| format!("{addon}: {why}")).collect();
        let mut status = lock(&self.status);
        status.held = held;
        let Some(head) = reconciler.head() else { return };
        if status.rev.as_ref() != Some(head.rev()) {
            let releases = head.releases.iter();
            status.rev = Some(head.rev().clone());
            status.digests =
                releases.map(|(key, release)| (key.clone(), release.digest.clone())).collect();
        }
    }

    /// The log of each rollout, or of each train, in order.
    pub(super) fn logs(&self) -> BTreeMap<RolloutId, Vec<Event>> {
        let mut logs: BTreeMap<RolloutId, Vec<Event>> = BTreeMap::new();
        let mut trains: BTreeMap<RolloutId, RolloutId> = BTreeMap::new();
        for (_, event) in self.journal(Fuse::default()).read_after(0).unwrap_or_default() {
            if let EventKind::RolloutStarted { train: Some(train), .. } = &event.kind {
                trains.insert(event.rollout.clone(), train.id.clone());
            }
            let of = trains.get(&event.rollout).unwrap_or(&event.rollout);
            logs.entry(of.clone()).or_default().push(event);
        }
        logs
    }

    fn journal(&self, fuse: Fuse) -> Journal {
        Journal {
            log: self.log.clone(),
            court: self.court.clone(),
            clusters: Arc::clone(&self.clusters),
            fuse,
        }
    }

    fn options(&self, fuse: &Fuse, clock: &SimClock, only_looks: bool) -> Options {
        let life = self.next_life();
        let clusters = self.clusters.iter().enumerate().map(|(at, (name, cluster))| {
            let wire = Wire {
                cluster: name.to_string(),
                court: self.court.clone(),
                clock: self.clock.clone(),
                weather: self.weather.clone(),
                fuse: fuse.clone(),
                dice: Dice::seed_from_u64(self.seed ^ (life << 32) ^ (at as u64)),
                only_looks,
            };
            (name.clone(), cluster.by(Box::new(wire)))
        });
        let clock: Arc<dyn Clock> = Arc::new(clock.clone());
        Options {
            origin: Arc::new(self.git.clone()),
            gates: Arc::new(self.gates.clone()),
            interval: INTERVAL,
            pace: PACE,
            resync: RESYNC,
            charts: Arc::clone(&self.charts),
            connect: ConnectOptions {
                kubeconfig: None,
                base_dir: PathBuf::new(),
                timeout: TIMEOUT,
                runs_plugins_of_data: false,
                simulated: SimFleet::of(clusters.collect(), Arc::clone(&clock)),
            },
            clock,
            holder: format!("controller-{life}"),
        }
    }

    // Acts.

    /// Something happens.
    pub(super) async fn act(&self, what: &Deed) {
        let until = |lasts: Duration| self.clock.elapsed() + lasts;
        match what {
            Deed::Commit(edit) => self.edit(edit),
            Deed::ForcePush { back, forgets } => {
                self.git.force_push(*back, *forgets);
                self.court.fleet(&self.git.newest());
            }
            Deed::GitDown { lasts } => {
                self.git.set_down(true);
                let (git, lasts) = (self.git.clone(), *lasts);
                tokio::task::spawn_local(async move {
                    tokio::time::sleep(lasts).await;
                    git.set_down(false);
                });
            }
            Deed::Say { addon, what, by } => {
                let mut newest = self.court.newest_rollouts().into_iter();
                if let Some(rollout) = newest.find(|one| one.addon().as_str() == addon) {
                    self.say(&rollout, what.clone(), by);
                }
            }
            Deed::Kill { after, takes_effect, away } => {
                let fuse = Arc::clone(&lock(&self.seats)[0].fuse);
                lock(&fuse).light(*after, *takes_effect, *away);
            }
            Deed::Twin { lasts } => {
                if lock(&self.seats).len() == 1 {
                    self.seat();
                    let (world, lasts) = (self.clone(), *lasts);
                    tokio::task::spawn_local(async move {
                        tokio::time::sleep(lasts).await;
                        world.unseat_second();
                    });
                }
            }
            Deed::Trouble { cluster, what, lasts } => {
                self.weather.begins(cluster, what.clone(), until(*lasts));
            }
            Deed::KillPods { cluster, addon } => {
                let path = format!("/api/v1/namespaces/{}/pods", namespace(addon));
                self.ask(cluster, Method::DELETE, &path, &Json::Null).await;
            }
            Deed::Tamper { cluster, addon } => {
                let path =
                    format!("/apis/apps/v1/namespaces/{}/deployments/{addon}", namespace(addon));
                let patch = json!({"spec": {"replicas": 2}});
                self.ask(cluster, Method::PATCH, &path, &patch).await;
            }
            Deed::Jump { seconds } => lock(&self.seats)[0].clock.jump(*seconds),
            Deed::Gate { says } => self.gates.says(*says),
            Deed::Look => self.look().await,
        }
    }

    fn edit(&self, edit: &Edit) {
        let mut fleet = self.git.newest();
        fleet.edit(edit);
        self.commit(fleet);
    }

    fn commit(&self, fleet: FleetModel) {
        self.court.fleet(&fleet);
        self.git.commit(fleet);
    }

    /// Somebody says something to a rollout; that it is refused is an answer as well.
    fn say(&self, rollout: &Rollout, what: Command, by: &str) {
        if by == APPROVES_IN_GIT && matches!(what, Command::Approve(_)) {
            return self.approve_in_git(rollout, by);
        }
        let mut journal = self.journal(Fuse::default());
        let reason = Some("they know better");
        let all = self.court.rollouts();
        let whole = Whole::ever(rollout, &all);
        let now = self.clock.now();
        let Ok(events) = command_together(&whole, &what, by, reason, now) else { return };
        if let Ok(mut rollouts) = Rollouts::read(&journal) {
            let _ = rollouts.append(&mut journal, &events);
        }
    }

    /// Commits somebody's approval of a rollout and of all that moves with it, unless the branch has it.
    fn approve_in_git(&self, rollout: &Rollout, by: &str) {
        let all = self.court.rollouts();
        let mut fleet = self.git.newest();
        for one in Whole::ever(rollout, &all).rollouts().filter(|one| one.lacks_approval()) {
            let stage = one.stage_name(one.stage);
            let spec = json!({"rollout": one.id, "stage": stage, "plan": one.plan()});
            fleet.approvals.insert(format!("{}-{stage}", one.id), spec);
        }
        if fleet != self.git.newest() {
            self.court.fleet(&fleet);
            self.git.commit_by(fleet, by);
        }
    }

    /// People give every rollout what it asks them for.
    pub(super) fn speak(&self) {
        for rollout in self.court.newest_rollouts() {
            match &rollout.phase {
                Phase::Paused { .. } | Phase::Stopped { .. } => {
                    self.say(&rollout, Command::Resume, "ada");
                }
                Phase::RolledBack { .. } | Phase::Aborted { .. } if !rollout.is_retried => {
                    self.say(&rollout, Command::Retry, "ada");
                }
                Phase::Completed if !rollout.is_retried => {
                    self.say(&rollout, Command::Retry, "ada");
                }
                Phase::Running => {
                    for by in ["ada", "ben"] {
                        self.say(&rollout, Command::Approve(Approving::default()), by);
                    }
                }
                _ => {}
            }
        }
    }

    /// As `fitout status` does.
    async fn look(&self) {
        let fuse = Fuse::default();
        let options = self.options(&fuse, &self.clock, true);
        if let Ok(mut onlooker) = Reconciler::new(options, Box::new(self.journal(fuse)), None) {
            // That git does not answer is not the onlooker's fault.
            let _ = onlooker.survey(|_| true).await;
        }
    }

    async fn ask(&self, cluster: &str, method: Method, path: &str, body: &Json) {
        if let Some(cluster) = self.clusters.get(cluster) {
            ask(cluster, method, path, body).await;
        }
    }
}

/// What somebody else has put into an addon's namespace.
async fn furnish(cluster: &SimCluster, addon: &str) {
    let namespace = namespace(addon);
    let object = json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace},
    });
    ask(cluster, Method::POST, "/api/v1/namespaces", &object).await;
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": FOREIGN, "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": "Helm"},
            "annotations": {
                "meta.helm.sh/release-name": "another",
                "meta.helm.sh/release-namespace": namespace,
            },
        },
    });
    let path = format!("/api/v1/namespaces/{namespace}/configmaps");
    ask(cluster, Method::POST, &path, &object).await;
}

/// A request of somebody who is not fitout, by a way without faults.
async fn ask(cluster: &SimCluster, method: Method, path: &str, body: &Json) {
    let content_type = match method {
        Method::PATCH => "application/merge-patch+json",
        _ => "application/json",
    };
    let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
    let request = Request {
        method,
        path: path.to_owned(),
        query: Query::parse(""),
        accept: "application/json".to_owned(),
        content_type: content_type.to_owned(),
        agent: "kubectl".to_owned(),
        body,
    };
    // That the object is not there is fine.
    let _ = cluster.answer(request).await;
}
