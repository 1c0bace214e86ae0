//! Bad weather between `fitout` and a real API server. Of each kind: no half-written record, no
//! lost object, a clear account, and the next run gets there.

use std::time::Duration;

use super::clusters::Cluster;
use super::fleet::{Fleet, hook};
use super::run::{Ran, eventually};
use super::webhook::{Verdict, Webhook};
use super::wire::{Deed, Seen, Wire};

const CLUSTER: &str = "prod-01";

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
        fleet.env.write("addons/web/chart/templates/hook.yaml", &hook("motd"));
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

/// Every record can be read. Two may say that they are deployed, of which the newest counts, for
/// Helm too: that is better than none, for the moment between two requests.
fn is_whole(fleet: &Fleet, cluster: &Cluster) {
    let records = cluster.json("get secrets -n web -l owner=helm,name=web");
    let records = records["items"].as_array().expect("it is a list");
    let status = |record: &serde_json::Value| record["metadata"]["labels"]["status"].clone();
    let deployed = records.iter().filter(|record| status(record) == "deployed").count();
    assert!(deployed <= 2, "{deployed} are deployed");
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
    let found =
        cluster.kubectl("get configmaps -n web -l app.kubernetes.io/managed-by=Helm -o name");
    let only: Vec<_> = found.lines().filter_map(|line| line.split_once("only-")).collect();
    assert_eq!(only.iter().map(|(_, n)| *n).collect::<Vec<_>>(), Vec::from_iter(extra), "{found}");
    let diff = fleet.fitout(&format!("diff {} --exit-code", cluster.name)).succeeded();
    assert_eq!(diff.out, "", "{diff}");
}

/// Kills `fitout` after its `n`th writing request, which is done. Tells whether there was one;
/// otherwise `fitout` is done.
fn killed_after(far: &Far, n: usize, args: &str) -> bool {
    far.wire.rule(
        move |seen| {
            if seen.is_write && seen.writes == n { Deed::HangAfter } else { Deed::Pass }
        },
    );
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
        ran.exited(4).says(told).says(CLUSTER).says("goes on where this one ended");
        far.gets_there();
    }
}

#[test]
fn an_api_server_that_is_killed_in_the_middle_gets_there_when_it_is_back() {
    let Some(fleet) = Fleet::web() else { return };
    let mut cluster = Cluster::of_one_test("prod-05");
    let wire = Wire::to(&cluster, fleet.env.root());
    let connection = format!("kubeconfigFile: {}", wire.kubeconfig().display());
    fleet.write_cluster("prod-05", "{environment: prod}", &connection);
    let want = |n: usize| {
        let values = format!(
            "tag: \"1.{n}\"\nreplicas: 2\nmotd: m{n}\npassword: p{n}\nextra: [always, only-{n}]\n"
        );
        fleet.env.write("addons/web/values.yaml", &values);
        fleet.env.commit("Another");
    };
    want(0);
    fleet.fitout("apply prod-05 --yes").succeeded();
    for n in [1, 3, 6] {
        want(n);
        wire.rule(
            move |seen| {
                if seen.is_write && seen.writes == n { Deed::HangAfter } else { Deed::Pass }
            },
        );
        let mut applying = fleet.spawn("apply prod-05 --yes --request-timeout 1s");
        assert!(wire.hangs_unless(|| applying.try_wait().expect("it is ours").is_some()));
        cluster.kill();
        let status = applying.wait().expect("it is our child");
        assert_eq!(status.code(), Some(4), "the cluster failed, not fitout");
        wire.clear_up();
        fleet.fitout("apply prod-05 --yes").exited(4).says("the API server cannot be reached");
        cluster.start_again();
        is_whole(&fleet, &cluster);
        fleet.fitout("apply prod-05 --yes").succeeded();
        is_there(&fleet, &cluster);
    }
}

/// Stores what nobody needs until there is no room left.
fn fill(cluster: &Cluster) {
    let path = std::env::temp_dir().join(format!("fitout-e2e-fill-{}", std::process::id()));
    std::fs::write(&path, "x".repeat(900_000)).expect("there is room here");
    let full = (0..100).find(|n| {
        let from = format!("--from-file={}", path.display());
        let name = format!("fill-{n}");
        let made = cluster.try_kubectl(&["create", "configmap", &name, "-n", "default", &from]);
        made.err.contains("database space exceeded")
    });
    std::fs::remove_file(&path).expect("it is ours");
    assert!(full.is_some(), "there is no end of room");
}

#[test]
fn a_cluster_without_room_is_told_and_gets_there_when_there_is_room_again() {
    let Some(fleet) = Fleet::web() else { return };
    let mut cluster = Cluster::with_room_for("prod-06", 24 << 20);
    let connection = format!("kubeconfigFile: {}", cluster.kubeconfig());
    fleet.write_cluster("prod-06", "{environment: prod}", &connection);
    fleet.set("hunter2-first", "p0\nextra: [only-0]");
    fleet.fitout("apply prod-06 --yes").succeeded();
    fleet.set("only-0", "only-1");
    fill(&cluster);
    let ran = fleet.fitout("apply prod-06 --yes");
    println!("{ran}");
    ran.exited(4).says("prod-06").says("database space exceeded").says("its etcd is full");
    assert_eq!(cluster.history("web", "web"), "1 deployed Install complete\n");
    fleet.fitout("uninstall prod-06 --addon web --yes").exited(4).says("its etcd is full");
    is_whole(&fleet, &cluster);
    cluster.kill();
    cluster.start_with_room_for(0);
    fleet.fitout("apply prod-06 --yes").succeeded();
    is_there(&fleet, &cluster);
}

#[test]
fn a_webhook_that_refuses_or_does_not_answer_is_told_by_name() {
    let Some(far) = Far::with_web() else { return };
    let webhook = Webhook::new();
    far.cluster().kubectl_apply(&webhook.configuration());
    let refuses = Verdict::Deny("no maps on Mondays");
    let asked = || {
        webhook.says(refuses);
        let created = far.cluster().try_kubectl(&["create", "configmap", "x", "-n", "web"]);
        webhook.says(Verdict::Allow);
        far.cluster().kubectl("delete configmap x -n web --ignore-not-found");
        created.err.contains("no maps on Mondays")
    };
    eventually("the API server asks the webhook", Duration::from_secs(30), asked);
    for (n, verdict, code, told) in [
        (1, refuses, 5, "no maps on Mondays"),
        (2, Verdict::Sleep, 4, "failed calling webhook \"weather.example.org\""),
    ] {
        far.want(n);
        webhook.says(verdict);
        for command in ["diff", "apply --yes"] {
            let ran = far.fleet.fitout(&format!("{command} {CLUSTER}"));
            println!("{ran}");
            ran.exited(code).says(told).says("weather.example.org").says("ConfigMap/web/");
        }
        far.is_whole();
        webhook.says(Verdict::Allow);
        far.gets_there();
    }
    // In the middle: everything has been looked at, and then it refuses.
    far.want(3);
    let said = webhook.handle();
    far.wire.rule(move |seen| {
        if seen.writes == 3 {
            said.says(refuses);
        }
        Deed::Pass
    });
    let ran = far.apply("");
    println!("{ran}");
    ran.exited(5).says("no maps on Mondays").says("ConfigMap/web/");
    webhook.says(Verdict::Allow);
    far.gets_there();
    far.cluster().kubectl("delete validatingwebhookconfiguration weather");
}

#[test]
fn a_namespace_that_is_being_deleted_is_told_and_made_again() {
    let Some(far) = Far::with_web() else { return };
    far.cluster().kubectl_apply(
        "apiVersion: v1\nkind: ConfigMap\n\
         metadata: {name: holds, namespace: web, finalizers: [example.org/hold]}\n",
    );
    far.cluster().kubectl("delete namespace web --wait=false");
    far.want(1);
    let is_empty = || !far.cluster().has("secrets -n web -l owner=helm");
    eventually("the records are gone", Duration::from_mins(1), is_empty);
    let ran = ["diff", "apply --yes"].map(|command| {
        let ran = far.fleet.fitout(&format!("{command} {CLUSTER}"));
        println!("{ran}");
        ran
    });
    far.cluster().kubectl(
        "patch configmap holds -n web --type=merge -p {\"metadata\":{\"finalizers\":null}}",
    );
    let is_gone = || !far.cluster().has("namespace web");
    eventually("the namespace is gone", Duration::from_mins(1), is_gone);
    let [diff, apply] = ran;
    diff.succeeded().says("since it is not on the cluster");
    // It is waited for, and then told once, with what holds it.
    let apply = apply.exited(5).says(CLUSTER).says("it is being deleted since");
    apply.says("finalizer `kubernetes` holds it until everything in it is gone");
    far.apply("").succeeded().says("installed as revision 1");
    is_there(&far.fleet, far.cluster());
}

#[test]
fn a_quota_is_told_for_objects_and_for_pods() {
    let Some(far) = Far::with_web() else { return };
    let quota = |hard: &str| {
        far.cluster().kubectl_apply(&format!(
            "apiVersion: v1\nkind: ResourceQuota\nmetadata: {{name: tight, namespace: web}}\n\
             spec: {{hard: {{{hard}}}}}\n"
        ));
        let is_counted = || {
            let status = far.cluster().field("resourcequota tight -n web", ".status.used");
            !status.is_empty()
        };
        eventually("the quota counts", Duration::from_secs(30), is_counted);
    };
    let lift = || {
        far.cluster().kubectl("delete resourcequota tight -n web");
    };
    quota("count/configmaps: \"1\"");
    far.want(1);
    let ran = far.apply("");
    println!("{ran}");
    ran.exited(5).says("exceeded quota: tight").says("ConfigMap/web/only-1").says(CLUSTER);
    lift();
    far.gets_there();
    // The hook's pod would count too.
    far.fleet.env.remove("addons/web/chart/templates/hook.yaml");
    quota("pods: \"2\"");
    far.want(2);
    let ran = far.apply("");
    println!("{ran}");
    ran.exited(5).says("exceeded quota: tight").says("Deployment/web/web").says(CLUSTER);
    lift();
    far.gets_there();
}

#[test]
fn of_two_on_one_cluster_the_second_waits_its_turn() {
    let Some(far) = Far::with_web() else { return };
    far.want(1);
    far.wire.rule(|seen| {
        if seen.is_write && seen.writes == 4 {
            Deed::Late(Duration::from_secs(6))
        } else {
            Deed::Pass
        }
    });
    let mut first = far.fleet.spawn(&format!("apply {CLUSTER} --yes"));
    let is_under_way = || far.wire.seen().iter().any(|seen| seen.writes == 4);
    eventually("the first is in the middle", Duration::from_secs(30), is_under_way);
    let uninstall = format!("uninstall {CLUSTER} --addon web --yes");
    let rollback = format!("rollback {CLUSTER} web 1");
    for second in [format!("apply {CLUSTER} --yes"), rollback, uninstall] {
        far.fleet.fitout(&second).exited(5).says("release web/web is being changed by");
    }
    assert!(first.wait().expect("it is our child").success());
    is_there(&far.fleet, far.cluster());
    assert!(far.fleet.history(CLUSTER).ends_with("2 deployed Upgrade complete\n"));
}
