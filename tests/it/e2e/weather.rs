//! Bad weather between `fitout` and a real API server. Of each kind: no half-written record, no
//! lost object, a clear account, and the next run gets there.

use std::time::Duration;

use super::clusters::Cluster;
use super::fleet::Fleet;
use super::run::Ran;
use super::wire::{Deed, Seen, Wire};

const CLUSTER: &str = "prod-01";

/// A Job that runs before each change, with an image of the values.
const HOOK: &str = "apiVersion: batch/v1
kind: Job
metadata:
  name: before
  annotations: {helm.sh/hook: \"pre-install,pre-upgrade\"}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: a, image: \"registry.example.org/a:{{ .Values.motd }}\"}]
";

/// `web` on a cluster that is at the end of a wire.
struct Far {
    wire: Wire,
    fleet: Fleet,
}

impl Far {
    fn new() -> Option<Self> {
        let fleet = Fleet::web()?;
        let wire = Wire::to(fleet.clusters.named(CLUSTER), fleet.env.root());
        let connection = format!("kubeconfigFile: {}", wire.kubeconfig().display());
        fleet.write_cluster(CLUSTER, "{environment: prod}", &connection);
        fleet.env.write("addons/web/chart/templates/hook.yaml", HOOK);
        fleet.env.commit("At the end of a wire");
        Some(Self { wire, fleet })
    }

    /// The same, with the first revision of `web` on the cluster.
    fn with_web() -> Option<Self> {
        let far = Self::new()?;
        far.want(0);
        far.fleet.bring_web(CLUSTER);
        Some(far)
    }

    /// What git asks for, the `n`th time: every object differs from before, one is new and one is
    /// no longer wanted.
    fn want(&self, n: usize) {
        let values = format!(
            "tag: \"1.{n}\"\nreplicas: 2\nmotd: m{n}\npassword: p{n}\nextra: [always, only-{n}]\n"
        );
        self.fleet.env.write("addons/web/values.yaml", &values);
        self.fleet.env.commit(&format!("The {n}th"));
    }

    fn cluster(&self) -> &Cluster {
        self.fleet.clusters.named(CLUSTER)
    }

    fn apply(&self, options: &str) -> Ran {
        self.fleet.fitout(&format!("apply {CLUSTER} --yes {options}"))
    }

    /// What has been done is whole, as far as it got.
    fn is_whole(&self) {
        is_whole(&self.fleet, self.cluster());
    }

    /// When the weather is good again, the next run gets there, and everybody agrees that it has.
    fn gets_there(&self) {
        self.is_whole();
        self.wire.clear_up();
        self.apply("").succeeded();
        is_there(&self.fleet, self.cluster());
    }
}

/// Every record can be read, and at most one says that it is deployed.
fn is_whole(fleet: &Fleet, cluster: &Cluster) {
    let records = cluster.json("get secrets -n web -l owner=helm,name=web");
    let records = records["items"].as_array().expect("it is a list");
    let status = |record: &serde_json::Value| record["metadata"]["labels"]["status"].clone();
    let deployed = records.iter().filter(|record| status(record) == "deployed").count();
    assert!(deployed <= 1, "{deployed} are deployed");
    for record in records {
        let revision = record["metadata"]["labels"]["version"].as_str().expect("it has one");
        cluster.helm(&format!("get all web -n web --revision {revision}"));
    }
    fleet.fitout(&format!("status {}", cluster.name));
}

/// Helm, `kubectl` and `fitout` agree that what git wants is there.
fn is_there(fleet: &Fleet, cluster: &Cluster) {
    is_whole(fleet, cluster);
    let history = cluster.history("web", "web");
    assert_eq!(history.matches(" deployed ").count(), 1, "{history}");
    assert!(history.lines().last().is_some_and(|last| last.contains(" deployed ")), "{history}");
    assert!(!history.contains("pending"), "{history}");
    fleet.records_what_helm_renders(cluster, "web", "web");
    let manifest = fleet.env.root().join("manifest.yaml");
    std::fs::write(&manifest, cluster.helm("get manifest web -n web")).expect("it is ours");
    cluster.kubectl(&format!("get -n web -f {} -o name", manifest.display()));
    let wanted = fleet.env.read("addons/web/values.yaml");
    let extra = wanted.split("only-").nth(1).and_then(|rest| rest.split(']').next());
    let found = cluster.kubectl("get configmaps -n web -l app.kubernetes.io/managed-by=Helm -o name");
    let only: Vec<_> = found.lines().filter_map(|line| line.split_once("only-")).collect();
    assert_eq!(only.iter().map(|(_, n)| *n).collect::<Vec<_>>(), Vec::from_iter(extra), "{found}");
    let diff = fleet.fitout(&format!("diff {} --exit-code", cluster.name)).succeeded();
    assert_eq!(diff.out, "", "{diff}");
}

/// Kills `fitout` after its `n`th writing request, which is done. Tells whether there was one;
/// otherwise `fitout` is done.
fn killed_after(far: &Far, n: usize, args: &str) -> bool {
    far.wire.rule(move |seen| match seen.is_write && seen.writes == n {
        true => Deed::HangAfter,
        false => Deed::Pass,
    });
    let mut running = far.fleet.spawn(args);
    let is_killed = far.wire.hangs_unless(|| running.try_wait().expect("it is ours").is_some());
    if is_killed {
        running.kill().expect("it is our child");
    }
    let status = running.wait().expect("it is our child");
    assert_eq!(status.success(), !is_killed);
    if is_killed {
        let seen = far.wire.seen();
        let last = seen.iter().rfind(|seen| seen.is_write).expect("it hangs");
        println!("          killed after {} {}", last.method, last.path);
    }
    is_killed
}

/// More writing requests than anything here sends.
const WRITES_MAX: usize = 60;

#[test]
fn killed_after_any_request_of_an_upgrade_the_next_run_gets_there() {
    let Some(far) = Far::with_web() else { return };
    let stranger = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: of-a-user, namespace: web}\n";
    far.cluster().kubectl_apply(stranger);
    let ended = (1..WRITES_MAX).find(|n| {
        far.want(*n);
        let is_done = !killed_after(&far, *n, &format!("apply {CLUSTER} --yes"));
        if !is_done {
            far.gets_there();
        }
        is_done
    });
    is_there(&far.fleet, far.cluster());
    assert!(ended.is_some_and(|n| n > 8), "{ended:?}");
    assert!(far.cluster().has("configmap of-a-user -n web"));
}

#[test]
fn killed_after_any_request_of_a_first_installation_the_next_run_gets_there() {
    let Some(far) = Far::new() else { return };
    let ended = (1..WRITES_MAX).find(|n| {
        far.want(*n);
        let is_done = !killed_after(&far, *n, &format!("apply {CLUSTER} --yes"));
        far.gets_there();
        far.cluster().clear();
        is_done
    });
    assert!(ended.is_some_and(|n| n > 6), "{ended:?}");
}

#[test]
fn killed_after_any_request_of_a_rollback_the_next_one_gets_there() {
    let Some(far) = Far::with_web() else { return };
    let ended = (1..WRITES_MAX).find(|n| {
        far.want(*n);
        far.apply("").succeeded();
        let before = far.cluster().history("web", "web");
        let to = before.lines().rev().nth(1).and_then(|line| line.split(' ').next()).unwrap();
        let rollback = format!("rollback {CLUSTER} web {to}");
        let is_done = !killed_after(&far, *n, &rollback);
        far.is_whole();
        far.wire.clear_up();
        far.fleet.fitout(&rollback).succeeded();
        let motd = far.cluster().field("configmap web -n web", ".data.motd");
        assert_eq!(motd, format!("m{}", n - 1));
        let history = far.cluster().history("web", "web");
        assert!(history.ends_with(&format!(" deployed Rollback to {to}\n")), "{history}");
        far.gets_there();
        is_done
    });
    assert!(ended.is_some_and(|n| n > 6), "{ended:?}");
}

#[test]
fn killed_after_any_request_of_an_uninstall_the_next_one_gets_there() {
    let Some(far) = Far::new() else { return };
    let uninstall = format!("uninstall {CLUSTER} --addon web --yes");
    let ended = (1..WRITES_MAX).find(|n| {
        far.want(*n);
        far.apply("").succeeded();
        let is_done = !killed_after(&far, *n, &uninstall);
        far.is_whole();
        far.wire.clear_up();
        if !is_done {
            far.fleet.fitout(&uninstall).succeeded();
        }
        assert_eq!(far.cluster().releases(), "");
        assert_eq!(far.cluster().objects(), "");
        is_done
    });
    assert!(ended.is_some_and(|n| n > 4), "{ended:?}");
}

/// Every request meets two faults before it gets through.
fn each_fails_twice(seen: &Seen) -> Deed {
    let kind = seen.path.len() + seen.writes;
    match (seen.attempt, kind % 6) {
        (1, 0) if seen.is_write => Deed::ComeBack(1),
        (1, 0) => Deed::Answer(429, "slow down"),
        (1, 1) => Deed::Answer(500, "etcdserver: request timed out"),
        (1, 2) => Deed::Answer(502, "no backend"),
        (1, 3) => Deed::Answer(503, "apiserver is shutting down"),
        (1, 4) => Deed::Cut,
        (1, _) => Deed::Late(Duration::from_millis(300)),
        (2, 0..3) => Deed::CutAfter,
        (2, _) => Deed::CutWithin,
        _ => Deed::Pass,
    }
}

#[test]
fn a_storm_in_which_every_request_fails_twice_is_ridden_out() {
    let Some(far) = Far::new() else { return };
    far.want(0);
    far.wire.rule(each_fails_twice);
    far.apply("").succeeded().says("installed as revision 1");
    far.want(1);
    far.wire.rule(each_fails_twice);
    far.apply("").succeeded().says("upgraded to revision 2");
    is_there(&far.fleet, far.cluster());
    far.wire.rule(each_fails_twice);
    far.fleet.fitout(&format!("rollback {CLUSTER} web")).succeeded();
    far.wire.rule(each_fails_twice);
    far.fleet.fitout(&format!("uninstall {CLUSTER} --addon web --yes")).succeeded();
    assert_eq!(far.cluster().objects(), "");
}

/// From the `n`th writing request on, everything is like this.
fn from_write(n: usize, deed: Deed) -> impl FnMut(&Seen) -> Deed + Send {
    let mut has_begun = false;
    move |seen| {
        has_begun |= seen.is_write && seen.writes >= n;
        if has_begun { deed.clone() } else { Deed::Pass }
    }
}

#[test]
fn a_storm_that_does_not_end_is_told_and_ends_the_attempt() {
    let Some(far) = Far::with_web() else { return };
    let storms = [
        (Deed::Answer(503, "apiserver is shutting down"), "503: apiserver is shutting down"),
        (Deed::Answer(500, "etcdserver: leader changed"), "500: etcdserver: leader changed"),
        (Deed::ComeBack(600), "asks to be left alone for 600 s"),
        (Deed::Answer(401, "Unauthorized"), "does not accept the credentials"),
        (Deed::Cut, "the API server cannot be reached"),
        (Deed::CutWithin, "the API server cannot be reached"),
        (Deed::Hang, "did not answer within 1 s"),
        (Deed::StallWithin, "did not answer within 1 s"),
        (Deed::Late(Duration::from_secs(3)), "did not answer within 1 s"),
    ];
    for (n, (deed, told)) in storms.into_iter().enumerate() {
        far.want(n + 1);
        far.wire.rule(from_write(n + 1, deed.clone()));
        let ran = far.apply("--request-timeout 1s");
        println!("{deed:?} {ran}");
        ran.exited(4).says(told).says(CLUSTER);
        far.gets_there();
    }
}
