//! A rollout's own overhead: the state machine alone, and a controller with simulated clusters.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fitout::base::clock::{Clock, SystemClock, Timestamp};
use fitout::base::ids::ClusterName;
use fitout::chart::source::ChartStore;
use fitout::controller::{Branch, HttpGates, Options, Reconciler};
use fitout::fleet::model::RolloutPolicySpec;
use fitout::git::settings::Settings;
use fitout::health::Health;
use fitout::k8s::ConnectOptions;
use fitout::rollout::{
    Attempt, AttemptResult, Decision, Ensure, Event, Goal, Instances, Observation, Phase, Place,
    Rollout, Seen, Wish, advance, ensure, fold,
};
use fitout::sim::SimFleet;
use fitout::store::SqliteStore;

use crate::measure::{quantile, shown, tell, timed};

const PEER: &str = "10 s; KubeFleet publishes 96 s at p90";
/// A controller that takes longer than this is not waited for.
const PATIENCE: Duration = Duration::from_mins(5);

/// Clusters of staging, canary and production.
fn sizes(clusters: usize) -> [(&'static str, usize); 3] {
    [("staging", clusters / 10), ("canary", clusters / 5), ("prod", clusters * 7 / 10)]
}

const POLICY: &str = r#"
    {"stages": [
        {"name": "staging", "clusters": {"matchLabels": {"environment": "staging"}}, "soak": "0s"},
        {"name": "canary", "clusters": {"matchLabels": {"environment": "canary"}}, "soak": "0s"},
        {"name": "prod", "clusters": {"matchLabels": {"environment": "prod"}}, "soak": "0s"}
    ], "maxFailures": 1, "progressDeadline": "10m"}"#;

/// `advance` alone: clusters answer at once and are healthy.
pub(crate) fn steps() {
    for clusters in [100, 1_000] {
        let ran = run_machine(clusters);
        let total: Duration = ran.steps.iter().sum();
        let what = format!("{clusters} clusters, three stages, soak 0: {} steps", ran.steps.len());
        tell(&what, &shown(total), if clusters == 100 { PEER } else { "" });
        let what = format!("{clusters} clusters: one step, median");
        tell(&what, &shown(quantile(&ran.steps, 0.5)), "");
        tell("  the longest", &shown(quantile(&ran.steps, 1.0)), "");
        let (time, _) = timed(|| fold(&ran.log));
        let what = format!("{clusters} clusters: state from {} events", ran.log.len());
        tell(&what, &shown(time), "");
    }
}

struct Ran {
    /// `ensure` and `advance` of each tick.
    steps: Vec<Duration>,
    log: Vec<Event>,
}

fn run_machine(clusters: usize) -> Ran {
    let (wish, seen) = world(clusters);
    let mut seen = Observation::from(seen);
    let mut now = Timestamp::from_second(1_800_000_000).expect("in range");
    let mut rollout: Option<Rollout> = None;
    let mut ran = Ran { steps: Vec::new(), log: Vec::new() };
    while rollout.as_ref().is_none_or(|rollout| !rollout.phase.is_ended()) {
        for one in seen.instances.values_mut() {
            one.observed_at = now;
        }
        let (time, decisions) = timed(|| {
            if let Ensure::Changed(events) = ensure(rollout.as_ref(), &wish, &seen.instances, now) {
                ran.log.extend(events);
                rollout = fold(&ran.log);
            }
            let Some(known) = &rollout else { return Vec::new() };
            let step = advance(known, &seen, now);
            ran.log.extend(step.events);
            rollout = Some(step.rollout);
            step.decisions
        });
        ran.steps.push(time);
        assert!(ran.steps.len() < 1_000, "the rollout does not end");
        let Some(known) = &rollout else { break };
        carry_out(known, decisions, &mut seen.instances, now);
        now += Duration::from_secs(2);
    }
    ran
}

/// What git wants, and clusters that are at the revision before.
fn world(clusters: usize) -> (Wish, Instances) {
    let mut wish = Wish {
        depends_on: std::collections::BTreeSet::new(),
        addon: "traefik".into(),
        rev: "r2".into(),
        author: None,
        goals: BTreeMap::new(),
        labels: BTreeMap::new(),
        policy_name: None,
        policy: serde_json::from_str::<RolloutPolicySpec>(POLICY).expect("it is a policy"),
    };
    let mut seen = Instances::new();
    for (environment, count) in sizes(clusters) {
        for number in 0..count {
            let name = ClusterName::from(format!("{environment}-{number:04}"));
            let goal = Goal { rev: "r2".into(), digest: Some("d2".into()) };
            wish.goals.insert(name.clone(), goal);
            let label = ("environment".to_owned(), environment.to_owned());
            wish.labels.insert(name.clone(), BTreeMap::from([label]));
            let place =
                Place { rev: Some("r1".into()), digest: Some("d1".into()), release_revision: 1 };
            let one = Seen {
                observed_at: Timestamp::UNIX_EPOCH,
                unreachable: None,
                has_gaps: false,
                place: Some(place),
                is_settled: true,
                health: Health::ready("is ready"),
                readiness: fitout::rollout::observation::Readiness::Ready,
                attempt: None,
            };
            seen.insert(name, one);
        }
    }
    (wish, seen)
}

/// Every attempt gets through within a second.
fn carry_out(rollout: &Rollout, decisions: Vec<Decision>, seen: &mut Instances, now: Timestamp) {
    for Decision { cluster, action } in decisions {
        let Some(one) = seen.get_mut(&cluster) else { continue };
        let goal = rollout.members[&cluster].goal.clone();
        let place = Place { rev: Some(goal.rev), digest: goal.digest, release_revision: 2 };
        one.place = Some(place);
        one.attempt = Some(Attempt {
            began_at: now,
            ended_at: now + Duration::from_secs(1),
            rollout: rollout.id.clone(),
            action,
            result: AttemptResult::Done { release_revision: 2 },
        });
    }
}

/// A whole controller with its log on disk and 100 simulated clusters, by the real clock and with
/// its usual pauses.
pub(crate) fn controller() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be had");
    runtime.block_on(async {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let fleet = folder.path().join("fleet");
        generate(&fleet, 100);
        let mut reconciler = reconciler(folder.path(), &fleet);
        let Some(first) = roll_out(&mut reconciler).await else {
            return println!("  100 clusters: the first installation does not end");
        };
        tell("controller, 100 simulated clusters: first installation", &shown(first), "");
        write(&fleet, "addons/web/values.yaml", "size: 2\n");
        commit(&fleet);
        match roll_out(&mut reconciler).await {
            Some(time) => {
                tell("controller, 100 clusters, three stages, soak 0", &shown(time), PEER);
            }

            None => println!("  100 clusters: the rollout does not end"),
        }
    });
}

/// How long it takes from a commit to the end of its rollout; none if that does not come, or is
/// not a good one.
async fn roll_out(reconciler: &mut Reconciler) -> Option<Duration> {
    let started = Instant::now();
    let before = reconciler.rollouts().iter().count();
    reconciler.poll_soon();
    while started.elapsed() < PATIENCE {
        let tick = reconciler.tick().await.expect("the log can be written");
        let newest = reconciler.rollouts().newest(&"web".into());
        if reconciler.rollouts().iter().count() > before
            && let Some(rollout) = newest.filter(|rollout| rollout.phase.is_ended())
        {
            return (rollout.phase == Phase::Completed).then(|| started.elapsed());
        }
        tokio::select! {
            () = SystemClock.sleep(tick.next_in) => {}
            () = reconciler.attempt_ended() => {}
        }
    }
    None
}

fn reconciler(folder: &Path, fleet: &Path) -> Reconciler {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let settings = Settings { cache: folder.join("cache"), ..Settings::from_environment() };
    let options = Options {
        origin: Arc::new(Branch {
            location: fleet.display().to_string(),
            reference: "HEAD".to_owned(),
        }),
        gates: Arc::new(HttpGates),
        interval: fitout::cli::control::INTERVAL,
        pace: fitout::cli::control::PACE,
        resync: fitout::cli::control::RESYNC,
        charts: Arc::new(ChartStore::new(settings, |_| None)),
        connect: ConnectOptions {
            runs_plugins_of_data: false,
            kubeconfig: None,
            base_dir: fleet.to_owned(),
            timeout: Duration::from_secs(30),
            simulated: SimFleet::in_memory(Arc::clone(&clock)),
        },
        clock,
        holder: fitout::apply::holder::current(),
    };
    let store = SqliteStore::open(&folder.join("events.db")).expect("the folder is writable");
    Reconciler::new(options, Box::new(store), None).expect("the log is readable")
}

/// An addon that is ready once it is applied, so that what is measured is fitout.
fn generate(fleet: &Path, clusters: usize) {
    for (environment, count) in sizes(clusters) {
        for number in 0..count {
            let name = format!("{environment}-{number:04}");
            let text = format!(
                "apiVersion: fitout.dev/v1alpha1\nkind: Cluster\n\
                 metadata: {{name: {name}, labels: {{environment: {environment}}}}}\n\
                 spec: {{kubernetesVersion: \"1.35\", connection: {{simulated: {{nodes: 1}}}}}}\n"
            );
            write(fleet, &format!("clusters/{name}.yaml"), &text);
        }
    }
    let policy = format!(
        "apiVersion: fitout.dev/v1alpha1\nkind: RolloutPolicy\nmetadata: {{name: quick}}\n\
         spec: {}\n",
        POLICY.trim()
    );
    write(fleet, "policies/quick.yaml", &policy);
    write(
        fleet,
        "addons/web/addon.yaml",
        "apiVersion: fitout.dev/v1alpha1\nkind: Addon\nmetadata: {name: web}\nspec:\n  \
         chart: {path: chart}\n  namespace: web\n  placement: {}\n  \
         values: [{file: values.yaml}]\n  rollout: {policy: quick}\n",
    );
    write(fleet, "addons/web/values.yaml", "size: 1\n");
    write(fleet, "addons/web/chart/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n");
    let template = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\n\
                    data: {size: {{ .Values.size | quote }}}\n";
    write(fleet, "addons/web/chart/templates/config.yaml", template);
    git(fleet, &["init", "--quiet", "--initial-branch=main"]);
    commit(fleet);
}

fn write(fleet: &Path, path: &str, text: &str) {
    let path = fleet.join(path);
    std::fs::create_dir_all(path.parent().expect("it is below the fleet")).expect("writable");
    std::fs::write(path, text).expect("writable");
}

fn commit(fleet: &Path) {
    git(fleet, &["add", "--all"]);
    git(fleet, &["commit", "--quiet", "--message", "Change"]);
}

fn git(fleet: &Path, args: &[&str]) {
    let identity = ["-c", "user.name=bench", "-c", "user.email=bench@example.org"];
    let status = Command::new("git").current_dir(fleet).args(identity).args(args).status();
    assert!(status.is_ok_and(|status| status.success()), "git {args:?} has failed");
}
