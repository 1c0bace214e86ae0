//! The controller over simulated clusters: a cluster is replaced by one change in git, whenever the controller
//! is killed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::base::clock::{Clock, FastClock};
use crate::base::ids::{ClusterName, Rev};
use crate::chart::source::ChartStore;
use crate::controller::{AsksGates, Options, Origin, Reconciler};
use crate::fleet::model::Gate;
use crate::git::settings::Settings;
use crate::git::{Commit, GitError, Source};
use crate::k8s::{ClusterClient, ConnectOptions};
use crate::rollout::{Event, GateSeen, Rollout, RolloutId};
use crate::sim::faults::Faults;
use crate::sim::{SimCluster, SimFleet};
use crate::store::{MemoryStore, Sequence, Store, StoreError, SwitchLog};
use crate::switch::{Command, Phase, SwitchEvent, SwitchEventKind, command, laws};

type Files = BTreeMap<String, Arc<[u8]>>;

/// A repository in memory.
#[derive(Clone, Default)]
struct Git(Arc<Mutex<Vec<Files>>>);

impl Git {
    fn commit(&self, changes: &[(&str, Option<String>)]) {
        let mut commits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut files = commits.last().cloned().unwrap_or_default();
        for (path, text) in changes {
            match text {
                Some(text) => files.insert((*path).to_owned(), text.as_bytes().into()),
                None => files.remove(*path),
            };
        }
        commits.push(files);
    }
}

impl Origin for Git {
    fn newest(&self) -> Result<Rev, GitError> {
        let commits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Rev::from(format!("{:040}", commits.len()).as_str()))
    }

    fn source(&self, rev: &Rev) -> Result<Source, GitError> {
        let commits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number: usize = rev.as_str().parse().expect("it is one of ours");
        Ok(Source { rev: rev.clone(), files: commits[number - 1].clone(), author: None })
    }

    fn commits(&self, _: &Rev, _: &Rev, _: &str) -> Result<Vec<Commit>, GitError> {
        Ok(Vec::new())
    }

    fn blocks(&self) -> bool {
        false
    }
}

/// The log, which ends its writer with one of the writes: before it, or after it.
#[derive(Clone, Default)]
struct Log {
    inner: MemoryStore,
    /// Writes until then, and whether that one takes effect.
    fuse: Arc<Mutex<Option<(u32, bool)>>>,
}

impl Store for Log {
    fn read_after(&self, after: Sequence) -> Result<Vec<(Sequence, Event)>, StoreError> {
        self.inner.read_after(after)
    }

    fn log(&self, rollout: &RolloutId) -> Result<Vec<Event>, StoreError> {
        self.inner.log(rollout)
    }

    fn append(&mut self, after: Sequence, events: &[Event]) -> Result<Sequence, StoreError> {
        self.inner.append(after, events)
    }

    fn read_switches(&self, after: Sequence) -> Result<Vec<(Sequence, SwitchEvent)>, StoreError> {
        self.inner.read_switches(after)
    }

    fn append_switches(
        &mut self,
        after: Sequence,
        events: &[SwitchEvent],
    ) -> Result<Sequence, StoreError> {
        let mut fuse = self.fuse.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *fuse {
            Some((0, takes_effect)) => {
                if *takes_effect {
                    self.inner.append_switches(after, events)?;
                }
                *fuse = None;
                Err(StoreError::Moved)
            }
            Some((left, _)) => {
                *left -= 1;
                self.inner.append_switches(after, events)
            }
            None => self.inner.append_switches(after, events),
        }
    }
}

/// No gate of these tests asks anybody.
struct Nobody;

impl AsksGates for Nobody {
    fn ask(
        &self,
        _: &Gate,
        _: &Rollout,
        now: crate::base::clock::Timestamp,
    ) -> futures::future::BoxFuture<'static, GateSeen> {
        let verdict = crate::rollout::Verdict::Unknown("nobody".to_owned());
        Box::pin(async move { GateSeen::new(now, verdict) })
    }
}

struct World {
    git: Git,
    log: Log,
    clock: Arc<dyn Clock>,
    clusters: BTreeMap<ClusterName, SimCluster>,
    reconciler: Option<Reconciler>,
}

fn cluster(name: &str, role: &str) -> String {
    format!(
        "apiVersion: fitout.dev/v1alpha1\nkind: Cluster\nmetadata: {{name: {name}, labels: {{role: {role}}}}}\n\
         spec: {{kubernetesVersion: \"1.35\", connection: {{simulated: {{nodes: 1}}}}}}\n"
    )
}

const ADDON: &str = "apiVersion: fitout.dev/v1alpha1
kind: Addon
metadata: {name: web}
spec:
  chart: {path: chart}
  namespace: default
  placement: {matchLabels: {role: batch}}
  values: [{inline: {host: \"{{ .Cluster.name }}\"}}]
";

const CHART: &str = "apiVersion: v1
kind: ConfigMap
metadata: {name: web}
data: {host: {{ .Values.host | quote }}}
";

const POLICY: &str = "apiVersion: fitout.dev/v1alpha1
kind: SwitchPolicy
metadata: {name: batch}
spec:
  clusters: {matchLabels: {role: batch}}
  pair: {by: [role]}
  switch:
    patch:
      cluster: hub
      apiVersion: v1
      kind: ConfigMap
      namespace: default
      name: traffic
      merge: {data: {to: $(to)}}
  drain: 10m
  keep: 2h
";

impl World {
    async fn new(policy: &str) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(FastClock::new(1));
        let names = ["a", "b", "hub"];
        let clusters = names
            .map(|name| (ClusterName::from(name), SimCluster::new(name, 1, Arc::clone(&clock))));
        let world = Self {
            git: Git::default(),
            log: Log::default(),
            clock,
            clusters: clusters.into(),
            reconciler: None,
        };
        let hub = world.client("hub");
        let maps = hub.resource("v1", "ConfigMap").await.expect("it is served");
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap",
                            "metadata": {"name": "traffic", "namespace": "default"},
                            "data": {"to": "a"}});
        hub.create(&maps, "default", &object).await.expect("it can be made");
        world.git.commit(&[
            ("clusters/a.yaml", Some(cluster("a", "batch"))),
            ("clusters/hub.yaml", Some(cluster("hub", "hub"))),
            ("addons/web/addon.yaml", Some(ADDON.to_owned())),
            (
                "addons/web/chart/Chart.yaml",
                Some("apiVersion: v2\nname: web\nversion: 1.0.0\n".to_owned()),
            ),
            ("addons/web/chart/templates/all.yaml", Some(CHART.to_owned())),
            ("policies/batch.yaml", Some(policy.to_owned())),
        ]);
        world
    }

    fn client(&self, name: &str) -> ClusterClient {
        let cluster = &self.clusters[&ClusterName::from(name)];
        ClusterClient::new(name.into(), cluster.client(), Duration::from_secs(5))
    }

    fn options(&self) -> Options {
        let settings =
            Settings { cache: PathBuf::from("/nonexistent"), ..Settings::from_environment() };
        Options {
            origin: Arc::new(self.git.clone()),
            interval: Duration::from_mins(1),
            pace: Duration::from_secs(2),
            resync: Duration::from_hours(1_000),
            charts: Arc::new(ChartStore::new(settings, |_| None)),
            gates: Arc::new(Nobody),
            connect: ConnectOptions {
                kubeconfig: None,
                base_dir: PathBuf::new(),
                timeout: Duration::from_secs(5),
                runs_plugins_of_data: false,
                simulated: SimFleet::of(self.clusters.clone(), Arc::clone(&self.clock)),
            },
            clock: Arc::clone(&self.clock),
            holder: "test".to_owned(),
        }
    }

    /// One tick, by a controller that begins anew where the last one was killed; then some time.
    async fn tick(&mut self) {
        let mut reconciler = match self.reconciler.take() {
            Some(reconciler) => reconciler,
            None => Reconciler::new(self.options(), Box::new(self.log.clone()), None)
                .expect("the log is read"),
        };
        let ticked = reconciler.tick().await;
        let next_in = ticked.as_ref().map_or(Duration::from_secs(2), |tick| tick.next_in);
        if ticked.is_ok() {
            reconciler.finish().await;
            self.reconciler = Some(reconciler);
        }
        self.clock.sleep(next_in.min(Duration::from_mins(1))).await;
    }

    fn known(&self) -> SwitchLog {
        SwitchLog::read(&self.log).expect("the log is read")
    }

    fn phase(&self) -> Option<Phase> {
        self.known().switches.iter().last().map(|switch| switch.phase.clone())
    }

    /// Ticks until the switch is there.
    async fn until(&mut self, word: &str) {
        for _ in 0..1_000 {
            if self.phase().is_some_and(|phase| phase.word() == word) {
                return;
            }
            self.tick().await;
        }
        panic!("never {word}: {:#?}", self.known().events);
    }

    async fn traffic(&self) -> Json {
        let hub = self.client("hub");
        let maps = hub.resource("v1", "ConfigMap").await.expect("it is served");
        let object = hub.get(&maps, "default", "traffic").await.expect("it answers");
        object.expect("it is there")
    }

    fn say(&self, what: Command) {
        let mut log = self.known();
        let switch = log.switches.iter().last().expect("one has begun");
        let event = command(switch, what, "ada", None, self.clock.now()).expect("it can be said");
        // People are not killed with the controller.
        log.append(&mut self.log.inner.clone(), &[event]).expect("nobody else writes");
    }

    fn is_lawful(&self) {
        assert_eq!(laws::check(&self.known().events), Vec::<String>::new());
    }

    fn cut_off(&self, name: &str) {
        self.clusters[&ClusterName::from(name)].set_faults(Faults::unreachable());
    }
}

#[tokio::test(start_paused = true)]
async fn a_cluster_is_replaced_by_one_change_in_git() {
    let mut world = World::new(POLICY).await;
    world.tick().await;
    world.tick().await;
    let known = world.known();
    let pair = known.switches.pairs.values().next().expect("it is a pair of one");
    assert_eq!((pair.serving.as_ref(), pair.switches.len()), (Some(&"a".into()), 0));

    world.git.commit(&[("clusters/b.yaml", Some(cluster("b", "batch")))]);
    world.until("draining").await;
    assert_eq!(world.traffic().await["data"]["to"], "b");
    let metrics = world.reconciler.as_ref().expect("it lives").metrics.text();
    assert!(metrics.contains("fitout_switches{phase=\"draining\"} 1"), "{metrics}");
    world.until("kept").await;
    world.until("done").await;
    let done = world.known();
    let reason = done.events.last().and_then(|event| event.reason.clone());
    assert_eq!(reason.as_deref(), Some("a can be removed from git: it has served its time"));

    // The old one is left to people; nothing switches back by itself.
    for _ in 0..20 {
        world.tick().await;
    }
    assert_eq!(world.known().switches.iter().count(), 1);
    world.git.commit(&[("clusters/a.yaml", None)]);
    for _ in 0..80 {
        world.tick().await;
    }
    assert_eq!(world.known().switches.iter().count(), 1);
    assert_eq!(world.traffic().await["data"]["to"], "b");

    // One of the same name is another cluster.
    world.git.commit(&[("clusters/a.yaml", Some(cluster("a", "batch")))]);
    for _ in 0..60 {
        world.tick().await;
    }
    let known = world.known();
    let newest = known.switches.iter().last().expect("there are two");
    assert_eq!((newest.id.number, newest.blue.as_str(), newest.green.as_str()), (2, "b", "a"));
    assert_eq!(world.traffic().await["data"]["to"], "a");
    world.is_lawful();
}

#[tokio::test(start_paused = true)]
async fn wherever_it_is_killed_traffic_goes_where_it_shall_and_each_decision_is_carried_out_once() {
    for takes_effect in [false, true] {
        for write in 0..9 {
            let mut world = World::new(POLICY).await;
            world.tick().await;
            world.git.commit(&[("clusters/b.yaml", Some(cluster("b", "batch")))]);
            *world.log.fuse.lock().expect("nobody panics") = Some((write, takes_effect));
            world.until("draining").await;
            world.say(Command::Back);
            world.until("back").await;
            let traffic = world.traffic().await;
            assert_eq!(traffic["data"]["to"], "a", "killed at write {write}");
            // Made, patched to `b`, patched to `a`: whoever was killed after a patch has not sent it again.
            let known = world.known();
            let decided = known
                .events
                .iter()
                .filter(|event| matches!(event.kind, SwitchEventKind::Decided { .. }));
            assert_eq!(decided.count(), 2);
            world.is_lawful();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_green_that_is_lost_after_the_switch_loses_its_traffic_and_one_that_is_lost_before_gets_none()
 {
    let mut world = World::new(POLICY).await;
    world.tick().await;
    world.git.commit(&[("clusters/b.yaml", Some(cluster("b", "batch")))]);
    world.cut_off("b");
    for _ in 0..60 {
        world.tick().await;
    }
    assert_eq!(world.phase(), Some(Phase::BringingUp));
    assert_eq!(world.traffic().await["data"]["to"], "a");
    world.clusters[&ClusterName::from("b")].set_faults(Faults::default());
    world.until("draining").await;
    world.cut_off("b");
    world.until("back").await;
    assert_eq!(world.traffic().await["data"]["to"], "a");
    world.is_lawful();
}

#[tokio::test(start_paused = true)]
async fn what_is_not_at_parity_gets_no_traffic_unless_the_policy_puts_up_with_it() {
    let own = cluster("b", "batch")
        .replace("connection:", "addons: [{name: web, values: {host: else}}], connection:");
    let mut world = World::new(POLICY).await;
    world.tick().await;
    world.git.commit(&[("clusters/b.yaml", Some(own))]);
    for _ in 0..60 {
        world.tick().await;
    }
    assert_eq!(world.phase(), Some(Phase::BringingUp));
    let reconciler = world.reconciler.as_ref().expect("it lives");
    let waits = reconciler.waiting_switches().values().next().expect("it waits").to_string();
    assert_eq!(waits, "parity: web differs in ConfigMap/default/web");
    let allow = "  parity: {allow: [{addon: web, kind: ConfigMap, path: /data/host, reason: a test}]}\n  switch:";
    let policy = POLICY.replace("  switch:", allow);
    world.git.commit(&[("policies/batch.yaml", Some(policy))]);
    world.until("draining").await;
    world.is_lawful();
}

#[tokio::test(start_paused = true)]
async fn two_that_were_there_before_wait_for_somebody_to_say_which_one_serves() {
    let mut world = World::new(POLICY).await;
    world.git.commit(&[("clusters/b.yaml", Some(cluster("b", "batch")))]);
    world.tick().await;
    world.tick().await;
    let reconciler = world.reconciler.as_ref().expect("it lives");
    let held = reconciler.held_pairs().values().next().expect("it is held");
    assert!(held.contains("nobody knows which of the two serves"), "{held}");
    let replaces = cluster("b", "batch").replace("spec: {", "spec: {replaces: a, ");
    world.git.commit(&[("clusters/b.yaml", Some(replaces))]);
    world.until("draining").await;
    assert_eq!(world.traffic().await["data"]["to"], "b");
    world.is_lawful();
}

/// The policy with another hook.
fn with_hook(hook: &str) -> String {
    let (head, rest) = POLICY.split_once("    patch:").expect("it has a patch");
    let (_, tail) = rest.split_once("  drain").expect("it is drained");
    format!("{head}    {hook}\n  drain{tail}")
}

#[tokio::test(start_paused = true)]
async fn a_json_patch_is_made_once_for_each_decision() {
    let hook = "patch: {cluster: hub, apiVersion: v1, kind: ConfigMap, namespace: default, name: traffic, json: \
                [{op: replace, path: /data/to, value: $(to)}, {op: add, path: /data/old, value: $(from)}]}";
    let mut world = World::new(&with_hook(hook)).await;
    world.tick().await;
    world.git.commit(&[("clusters/b.yaml", Some(cluster("b", "batch")))]);
    world.until("draining").await;
    let traffic = world.traffic().await;
    assert_eq!(traffic["data"], json!({"to": "b", "old": "a"}));
    let marks = traffic["metadata"]["annotations"].as_object().expect("it bears a mark");
    assert_eq!(marks.values().collect::<Vec<_>>(), [&json!("1")]);
    world.say(Command::Back);
    world.until("back").await;
    assert_eq!(world.traffic().await["data"], json!({"to": "a", "old": "b"}));
    world.is_lawful();
}

#[tokio::test(start_paused = true)]
async fn a_job_that_does_not_end_goes_before_the_one_that_takes_traffic_back() {
    let hook = "job: {cluster: hub, manifest: {apiVersion: batch/v1, kind: Job, metadata: {namespace: default}, spec: \
                {template: {spec: {restartPolicy: Never, containers: [{name: dns, image: \"dns:$(to.facts.tag)\"}]}}}}}";
    let facts = |name: &str, tag: &str| {
        cluster(name, "batch").replace("spec: {", &format!("spec: {{facts: {{tag: {tag}}}, "))
    };
    let mut world = World::new(&with_hook(hook)).await;
    world.git.commit(&[("clusters/a.yaml", Some(facts("a", "\"1\"")))]);
    world.tick().await;
    world.git.commit(&[("clusters/b.yaml", Some(facts("b", "1-broken")))]);
    world.until("switching").await;
    for _ in 0..5 {
        world.tick().await;
    }
    world.say(Command::Back);
    world.until("back").await;
    let hub = world.client("hub");
    let jobs = hub.resource("batch/v1", "Job").await.expect("it is served");
    let all = hub.listed(&jobs, "").await.expect("it answers");
    let images: Vec<&Json> =
        all.iter().map(|job| &job["spec"]["template"]["spec"]["containers"][0]["image"]).collect();
    assert_eq!(images, ["dns:1"]);
    world.is_lawful();
}
