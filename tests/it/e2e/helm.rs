//! Helm beside fitout: on the same releases, in both directions.

use std::io::Read as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;

use super::clusters::Cluster;
use super::fleet::Fleet;
use super::run::eventually;
use crate::env::WIDGETS;

const CLUSTER: &str = "prod-01";

fn helm_install(fleet: &Fleet, cluster: &Cluster, args: &str) {
    let chart = fleet.env.fleet().join("addons/web/chart");
    let values = fleet.env.fleet().join("addons/web/values.yaml");
    let (chart, values) = (chart.display(), values.display());
    cluster.helm(&format!("upgrade --install web {chart} -f {values} -n web {args}"));
}

/// The managers of an object's fields but its controllers.
fn managers(cluster: &Cluster, object: &str) -> String {
    let args = format!("{object} -n web --show-managed-fields");
    let managers = cluster.field(&args, ".metadata.managedFields[*].manager");
    let mut managers: Vec<_> =
        managers.split(' ').filter(|manager| !manager.starts_with("kube-")).collect();
    managers.sort_unstable();
    managers.dedup();
    managers.join(" ")
}

#[test]
fn a_release_that_helm_installed_is_adopted_in_place() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    helm_install(&fleet, cluster, "--create-namespace --set replicas=3,extra={leftover} --wait");
    let uid = || cluster.field("deployment web -n web", ".metadata.uid");
    let pods = || cluster.field("replicasets -n web", ".items[*].metadata.name");
    let before = (uid(), pods());
    assert_eq!(managers(cluster, "deployment web"), "helm");
    fleet
        .fitout(&format!("diff {CLUSTER} --exit-code"))
        .exited(3)
        .says("upgrade, since Helm installed it, and fitout takes it over")
        .says("spec.replicas: 3 → 2")
        .says("- ConfigMap/web/leftover");
    fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded();
    assert_eq!(
        fleet.history(CLUSTER),
        "1 superseded Install complete\n2 deployed Upgrade complete\n"
    );
    assert_eq!((uid(), pods()), before, "nothing is made anew");
    assert_eq!(managers(cluster, "deployment web"), "fitout");
    assert!(!cluster.has("configmap leftover -n web"));
    let diff = fleet.fitout(&format!("diff {CLUSTER} --exit-code")).succeeded();
    assert_eq!(diff.out, "");
    // A field that the chart had under Helm and has no more goes away.
    fleet.env.replace(
        "addons/web/chart/templates/all.yaml",
        "          env: [{name: MOTD, value: {{ .Values.motd | quote }}}]\n",
        "",
    );
    fleet.env.commit("Without env");
    fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded();
    let env = cluster.field("deployment web -n web", ".spec.template.spec.containers[0].env");
    assert_eq!(env, "");
}

#[test]
fn helm_rolls_back_what_fitout_upgraded_and_fitout_sees_it() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    fleet.bring_web(CLUSTER);
    fleet.set("motd: hello", "motd: second\nextra: [more]");
    fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded();
    cluster.helm("rollback web 1 -n web --wait");
    assert_eq!(cluster.field("configmap web -n web", ".data.motd"), "hello");
    assert!(!cluster.has("configmap more -n web"));
    fleet
        .fitout(&format!("diff {CLUSTER} --exit-code"))
        .exited(3)
        .says("data.motd: hello → second")
        .says("+ ConfigMap/web/more");
    fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded();
    assert_eq!(
        fleet.history(CLUSTER),
        "1 superseded Install complete\n2 superseded Upgrade complete\n\
         3 superseded Rollback to 1\n4 deployed Upgrade complete\n"
    );
    let diff = fleet.fitout(&format!("diff {CLUSTER} --exit-code")).succeeded();
    assert_eq!(diff.out, "");
}

#[test]
fn helm_upgrades_what_fitout_installed_and_fitout_takes_it_back() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    fleet.bring_web(CLUSTER);
    helm_install(&fleet, cluster, "--set replicas=4,motd=helm --wait");
    assert_eq!(cluster.field("deployment web -n web", ".spec.replicas"), "4");
    fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded();
    assert_eq!(cluster.field("deployment web -n web", ".spec.replicas"), "2");
    assert_eq!(cluster.field("configmap web -n web", ".data.motd"), "hello");
    fleet.fitout(&format!("diff {CLUSTER} --exit-code")).succeeded();
}

#[test]
fn helm_uninstalls_what_fitout_installed() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    fleet.bring_web(CLUSTER);
    let status = cluster.helm("status web -n web");
    assert!(status.contains("STATUS: deployed"), "{status}");
    cluster.helm("uninstall web -n web --wait");
    let left = "deployment,service,configmap,secret -n web -l app.kubernetes.io/managed-by=Helm";
    assert!(!cluster.has(left));
    assert_eq!(cluster.releases(), "");
    fleet.fitout(&format!("plan {CLUSTER} --exit-code")).exited(3).says("it is not on the cluster");
    fleet.bring_web(CLUSTER);
}

#[test]
fn an_attempt_of_helm_that_was_killed_is_gone_on_with_when_somebody_says_so() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    helm_install(&fleet, cluster, "--create-namespace --wait");
    let chart = fleet.env.fleet().join("addons/web/chart");
    let values = fleet.env.fleet().join("addons/web/values.yaml");
    let (chart, values) = (chart.display(), values.display());
    let mut killed = cluster
        .spawn_helm(&format!("upgrade web {chart} -f {values} -n web --wait --set tag=9-broken"));
    let is_pending = || fleet.history(CLUSTER).contains("pending-upgrade");
    eventually("helm has begun", Duration::from_secs(20), is_pending);
    killed.kill().unwrap();
    killed.wait().unwrap();
    // Helm itself goes no further from there.
    let helm = cluster.try_helm(&format!("upgrade web {chart} -f {values} -n web")).exited(1);
    helm.says("another operation (install/upgrade/rollback) is in progress");
    fleet
        .fitout(&format!("apply {CLUSTER} --yes"))
        .exited(5)
        .says("release web/web is being changed by helm, who was heard of last at 20")
        .says("taken to be gone ten minutes after its last write");
    fleet.fitout(&format!("apply {CLUSTER} --yes --unlock")).succeeded();
    assert_eq!(
        fleet.history(CLUSTER),
        "1 superseded Install complete\n2 failed Interrupted\n3 deployed Upgrade complete\n"
    );
    cluster.helm(&format!("upgrade web {chart} -f {values} -n web --wait"));
}

/// A chart with all that a record has something of: hooks, a CRD, notes, a subchart, files.
const FULL: [(&str, &str); 8] = [
    (
        "Chart.yaml",
        "apiVersion: v2\nname: web\nversion: 1.0.0\nappVersion: \"7\"\n\
         description: It has \"quotes\" & <angles>\nkeywords: [b, a]\n\
         dependencies: [{name: sub, version: 0.1.0, alias: part, condition: part.enabled}]\n",
    ),
    ("charts/sub/Chart.yaml", "apiVersion: v2\nname: sub\nversion: 0.1.0\n"),
    ("charts/sub/values.yaml", "enabled: true\ngreeting: hi\n"),
    (
        "charts/sub/templates/part.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: part}\n\
         data: {greeting: {{ .Values.greeting | quote }}, from: {{ .Chart.Name }}}\n",
    ),
    ("values.yaml", "part: {enabled: true}\nunused: {a: [1, 2.50, null, \"x\"]}\n"),
    ("files/banner.txt", "a banner\n"),
    (
        "templates/hooks.yaml",
        "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: before\n  annotations:\n    \
         helm.sh/hook: pre-install,pre-upgrade\n    helm.sh/hook-weight: \"-5\"\n    \
         helm.sh/hook-delete-policy: before-hook-creation\nspec:\n  template:\n    spec:\n      \
         restartPolicy: Never\n      \
         containers: [{name: a, image: \"registry.example.org/a:1\"}]\n---\n\
         apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: after\n  annotations:\n    \
         helm.sh/hook: post-install,post-upgrade\ndata: {a: b}\n",
    ),
    ("templates/NOTES.txt", "Thanks for {{ .Release.Name }} of {{ .Chart.AppVersion }}.\n"),
];

/// The JSON of a release's newest record, without its times.
fn recorded(cluster: &Cluster) -> Json {
    let secrets = cluster.json("get secrets -n web -l owner=helm,status=deployed");
    let data = secrets["items"][0]["data"]["release"].as_str().expect("there is one");
    let packed = STANDARD.decode(STANDARD.decode(data).unwrap()).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*packed).read_to_string(&mut text).unwrap();
    let mut record: Json = serde_json::from_str(&text).unwrap();
    for field in ["first_deployed", "last_deployed"] {
        let time = record["info"][field].take();
        let time = time.as_str().expect("it is text");
        assert!(time.parse::<fitout::base::clock::Timestamp>().is_ok(), "{field}: {time}");
    }
    for hook in record["hooks"].as_array_mut().into_iter().flatten() {
        for field in ["started_at", "completed_at"] {
            let time = hook["last_run"][field].take();
            assert_ne!(time, "", "{field}");
        }
    }
    record
}

#[test]
fn a_record_has_what_helms_own_record_has() {
    let Some(fleet) = Fleet::web() else { return };
    let (ours, helms) = (fleet.clusters.named(CLUSTER), fleet.clusters.named("prod-02"));
    for (path, text) in FULL {
        fleet.env.write(&format!("addons/web/chart/{path}"), text);
    }
    fleet.env.write("addons/web/chart/crds/widgets.yaml", WIDGETS);
    fleet.env.commit("A full chart");
    fleet.bring_web(CLUSTER);
    helm_install(&fleet, helms, "--create-namespace --wait");
    let is_same = |when: &str| {
        let differing = fitout::diff::between(&recorded(ours), &recorded(helms));
        assert!(differing.is_empty(), "{when}: {differing:#?}");
    };
    is_same("installed");
    let same = |command: &str| {
        let told = |cluster: &Cluster| {
            let told = cluster.helm(&format!("{command} web -n web"));
            let is_steady = |line: &&str| {
                !line.starts_with("LAST DEPLOYED:") && !line.starts_with("deployedAt:")
            };
            told.lines().filter(is_steady).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(told(ours), told(helms), "helm {command}");
        told(ours)
    };
    let all = same("get all");
    for part in ["USER-SUPPLIED VALUES", "COMPUTED VALUES", "HOOKS:", "MANIFEST:", "NOTES:"] {
        assert!(all.contains(part), "{part} is not in {all}");
    }
    same("status");
    same("get values -a");
    same("get metadata -o yaml");
    assert_eq!(ours.releases(), helms.releases());
    // Helm goes on from it as from its own, hooks and all.
    fleet.set("motd: hello", "motd: second");
    fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded();
    helm_install(&fleet, helms, "--wait");
    is_same("upgraded");
    for cluster in [ours, helms] {
        cluster.helm("rollback web 1 -n web --wait");
    }
    is_same("rolled back by Helm");
    for cluster in [ours, helms] {
        cluster.helm("uninstall web -n web --wait");
        assert!(!cluster.has("configmap part -n web"));
        cluster.kubectl("delete crd widgets.example.org");
    }
}

#[test]
fn revisions_are_kept_to_the_number_that_the_addon_says() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    fleet.env.replace(
        "addons/web/addon.yaml",
        "placement: {}",
        "placement: {}\n  upgrade: {historyMax: 3}",
    );
    fleet.env.commit("Three revisions");
    fleet.bring_web(CLUSTER);
    for (from, to) in [("hello", "a"), ("a", "b"), ("b", "c"), ("c", "d")] {
        fleet.set(&format!("motd: {from}"), &format!("motd: {to}"));
        fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded();
    }
    let revisions = |of: &str| {
        let history = fleet.history(CLUSTER);
        history.lines().filter_map(|line| line.split(' ').next()).collect::<Vec<_>>().join(of)
    };
    assert_eq!(revisions(" "), "3 4 5");
    // What fails is kept to it as well, again and again, and what is deployed stays.
    for (from, to) in [("1.0", "1-broken"), ("1-broken", "2-broken")] {
        fleet.set(&format!("tag: \"{from}\""), &format!("tag: \"{to}\""));
        fleet.fitout(&format!("apply {CLUSTER} --yes")).exited(5).says("rolled back");
        let secrets = cluster.kubectl("get secrets -n web -l owner=helm -o name");
        assert_eq!(secrets.lines().count(), 3, "{secrets}");
    }
    let history = fleet.history(CLUSTER);
    assert!(history.contains("deployed Rollback to"), "{history}");
    let superseded = history.lines().find(|line| line.contains(" superseded "));
    let revision = superseded.and_then(|line| line.split(' ').next()).expect("there is one");
    cluster.helm(&format!("rollback web {revision} -n web --wait"));
}

/// Text that no packing makes shorter.
fn noise(bytes: usize) -> String {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as u8
    };
    STANDARD.encode((0..bytes * 3 / 4).map(|_| next()).collect::<Vec<u8>>())
}

#[test]
fn a_release_near_the_limit_of_a_secret_is_kept_and_one_beyond_it_is_refused() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    // Files of the chart that no template reads: Helm does not need them for what it does later.
    fleet.env.write("addons/web/chart/large.txt", &noise(1_200_000));
    fleet.env.commit("A large file");
    fleet.bring_web(CLUSTER);
    cluster.helm("status web -n web");
    assert!(cluster.helm("get all web -n web").contains("MANIFEST:"));
    let large = format!("motd: {}", noise(200_000));
    fleet.env.replace("addons/web/values.yaml", "motd: hello", &large);
    fleet.env.commit("Large values");
    fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded();
    cluster.helm("rollback web 1 -n web --wait");
    // The values and the manifest have it both: no record can.
    fleet.env.write(
        "addons/web/values.yaml",
        &format!("tag: \"1.0\"\nreplicas: 2\nmotd: {}\npassword: x\n", noise(700_000)),
    );
    fleet.env.commit("Too large");
    let before = cluster.writes();
    for command in ["diff", "apply --yes"] {
        let ran = fleet.fitout(&format!("{command} {CLUSTER}")).exited(5);
        ran.says("the release record is").says("bytes, and the API server takes 1048576");
    }
    assert_eq!(cluster.writes(), before);
}
