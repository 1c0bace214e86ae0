//! What others change on the clusters.

use super::fleet::Fleet;
use super::run::eventually;
use crate::env::WIDGETS;

const CLUSTER: &str = "prod-02";

#[test]
fn drift_by_kubectl_is_shown_and_healed() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    fleet.bring_web(CLUSTER);
    cluster.kubectl("patch configmap web -n web --type merge -p {\"data\":{\"motd\":\"edited\"}}");
    cluster.kubectl("scale deployment web -n web --replicas=5");
    cluster.kubectl("set env deployment/web -n web MOTD=set");
    cluster.kubectl("label secret web -n web app.kubernetes.io/managed-by-");
    cluster.kubectl(
        "patch secret web -n web --type merge -p {\"data\":{\"password\":\"ZmxpcHBlZA==\"}}",
    );
    cluster.kubectl("delete service web -n web");
    let diff = fleet.fitout(&format!("diff {CLUSTER} --exit-code")).exited(3);
    diff.says("prod-02/web: heal, since somebody changed objects on the cluster")
        .says("data.motd: edited → hello")
        .says("(owned by kubectl-patch since 20")
        .says("spec.replicas: 5 → 2")
        .says("data.password: (hidden) → (hidden, changed)")
        .says("env[name=MOTD].value: set → hello")
        .says("+ app.kubernetes.io/managed-by: Helm")
        .says("+ Service/web/web");
    fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded().says("healed at revision 1");
    let fields = [
        ("configmap web", ".data.motd", "hello"),
        ("deployment web", ".spec.replicas", "2"),
        ("deployment web", ".spec.template.spec.containers[0].env[0].value", "hello"),
        ("secret web", ".data.password", "aHVudGVyMi1maXJzdA=="),
        ("secret web", ".metadata.labels.app\\.kubernetes\\.io/managed-by", "Helm"),
        ("service web", ".spec.selector.app", "web"),
    ];
    for (object, path, value) in fields {
        assert_eq!(cluster.field(&format!("{object} -n web"), path), value, "{object} {path}");
    }
    let diff = fleet.fitout(&format!("diff {CLUSTER} --exit-code")).succeeded();
    assert_eq!(diff.out, "");
    assert_eq!(fleet.history(CLUSTER), "1 deployed Install complete\n");
}

#[test]
fn a_secret_is_watched_key_by_key() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    fleet.env.replace(
        "addons/web/chart/templates/all.yaml",
        "stringData: {password: {{ .Values.password | quote }}}",
        "stringData: {{ toJson .Values.keys }}\ndata: {old: b2xk}",
    );
    fleet.set("replicas: 2", "replicas: 2\nkeys: {one: first, two: second}");
    fleet.bring_web(CLUSTER);
    cluster.kubectl("patch secret web -n web --type merge -p {\"data\":{\"one\":\"ZWRpdGVk\"}}");
    fleet
        .fitout(&format!("diff {CLUSTER} --exit-code"))
        .exited(3)
        .says("data.one: (hidden) → (hidden, changed)");
    fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded();
    assert_eq!(cluster.field("secret web -n web", ".data.one"), "Zmlyc3Q=");
    fleet.set("keys: {one: first, two: second}", "keys: {one: first}");
    fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded();
    let data = cluster.json("get secret web -n web")["data"].clone();
    assert_eq!(data, serde_json::json!({"one": "Zmlyc3Q=", "old": "b2xk"}));
}

#[test]
fn what_kubectl_adds_beside_the_chart_is_left_alone() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    fleet.bring_web(CLUSTER);
    cluster.kubectl("annotate deployment web -n web example.org/note=mine");
    cluster.kubectl("create configmap mine -n web --from-literal=a=b");
    fleet.fitout(&format!("diff {CLUSTER} --exit-code")).succeeded();
    fleet.set("motd: hello", "motd: changed");
    fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded();
    let note = cluster.field("deployment web -n web", ".metadata.annotations.example\\.org/note");
    assert_eq!(note, "mine");
    assert!(cluster.has("configmap mine -n web"));
}

#[test]
fn a_field_that_another_manager_applies_is_told_with_its_name() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    fleet.bring_web(CLUSTER);
    let path = fleet.env.root().join("theirs.yaml");
    let theirs = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web, namespace: web}\n\
                  data: {motd: theirs}\n";
    std::fs::write(&path, theirs).unwrap();
    cluster.kubectl(&format!(
        "apply --server-side --force-conflicts --field-manager=operator -f {}",
        path.display()
    ));
    let before = cluster.writes();
    for command in ["diff", "plan", "apply --yes"] {
        let ran = fleet.fitout(&format!("{command} {CLUSTER}")).exited(5);
        ran.says("ConfigMap/web/web").says("`.data.motd` is owned by `operator`");
    }
    fleet
        .fitout(&format!("why {CLUSTER} web"))
        .succeeded()
        .says("`.data.motd` of ConfigMap/web/web was set by `operator` (Apply) at 20");
    assert_eq!(cluster.writes(), before);
    fleet.fitout(&format!("apply {CLUSTER} --yes --force-conflicts")).succeeded();
    assert_eq!(cluster.field("configmap web -n web", ".data.motd"), "hello");
    fleet.fitout(&format!("diff {CLUSTER} --exit-code")).succeeded();
}

#[test]
fn who_changes_what_again_and_again_is_told() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    fleet.bring_web(CLUSTER);
    let edit = || {
        let patch = "{\"data\":{\"motd\":\"edited\"}}";
        cluster.kubectl(&format!("patch configmap web -n web --type merge -p {patch}"));
    };
    edit();
    fleet
        .fitout(&format!("status {CLUSTER}"))
        .succeeded()
        .says("`.data.motd` of ConfigMap/web/web was set by `kubectl-patch` (Update) at 20")
        .hides("fights over");
    fleet
        .fitout(&format!("why {CLUSTER} web"))
        .succeeded()
        .says("`.data.motd` of ConfigMap/web/web");
    for _ in 0..3 {
        edit();
        fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded().says("healed");
    }
    edit();
    for command in ["status prod-02", "why prod-02 web"] {
        fleet
            .fitout(command)
            .succeeded()
            .says("`kubectl-patch` (Update) fights over `.data.motd` of ConfigMap/web/web: put back 3 times since 20")
            .says("not put back before 20")
            .says("ignoreDifferences");
    }
    // What the controller waits with, a command does at once; and another revision begins anew.
    fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded().says("healed");
    fleet.set("motd: hello", "motd: other");
    fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded();
    fleet.fitout(&format!("why {CLUSTER} web")).succeeded().hides("fights");
    cluster.kubectl("delete service web -n web");
    fleet.fitout(&format!("why {CLUSTER} web")).succeeded().says("Service/web/web was deleted");
    fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded();
}

#[test]
fn a_field_whose_differences_are_ignored_keeps_its_live_value() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    fleet.env.replace(
        "addons/web/addon.yaml",
        "placement: {}",
        "placement: {}\n  ignoreDifferences:\n    \
         - {kind: Deployment, path: /spec/replicas, reason: scaled}",
    );
    fleet.env.commit("Leave replicas alone");
    fleet.bring_web(CLUSTER);
    cluster.kubectl("scale deployment web -n web --replicas=3");
    let diff = fleet.fitout(&format!("diff {CLUSTER} --exit-code")).succeeded();
    assert_eq!(diff.out, "");
    fleet.set("motd: hello", "motd: changed");
    fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded();
    assert_eq!(cluster.field("deployment web -n web", ".spec.replicas"), "3");
    cluster.kubectl("scale deployment web -n web --replicas=1");
    fleet.fitout(&format!("diff {CLUSTER} --exit-code")).succeeded();
    // A way back leaves it alone as well.
    fleet.fitout(&format!("rollback {CLUSTER} web")).succeeded();
    assert_eq!(cluster.field("configmap web -n web", ".data.motd"), "hello");
    assert_eq!(cluster.field("deployment web -n web", ".spec.replicas"), "1");
}

#[test]
fn a_crd_that_somebody_deleted_comes_back_with_its_objects() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    fleet.env.write("addons/web/chart/crds/widgets.yaml", WIDGETS);
    fleet.env.write(
        "addons/web/chart/templates/widget.yaml",
        "apiVersion: example.org/v1\nkind: Widget\nmetadata: {name: web}\nspec: {size: 1}\n",
    );
    fleet.env.commit("A CRD and an object of it");
    fleet.bring_web(CLUSTER);
    cluster.kubectl("delete crd widgets.example.org");
    fleet
        .fitout(&format!("diff {CLUSTER} --exit-code"))
        .exited(3)
        .says("+ CustomResourceDefinition/widgets.example.org")
        .says("+ Widget/web/web");
    fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded().says("healed at revision 1");
    assert_eq!(cluster.field("widget web -n web", ".spec.size"), "1");
    fleet.fitout(&format!("diff {CLUSTER} --exit-code")).succeeded();
    cluster.kubectl("delete crd widgets.example.org");
}

#[test]
fn a_job_that_takes_itself_away_is_not_missed() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    fleet.env.write(
        "addons/web/chart/templates/job.yaml",
        "apiVersion: batch/v1\nkind: Job\nmetadata: {name: once}\nspec:\n  \
         ttlSecondsAfterFinished: 1\n  template:\n    spec:\n      restartPolicy: Never\n      \
         containers: [{name: a, image: \"registry.example.org/a:1\"}]\n",
    );
    fleet.env.commit("A job");
    fleet.bring_web(CLUSTER);
    let limit = std::time::Duration::from_secs(30);
    eventually("the job is gone", limit, || !cluster.has("job once -n web"));
    fleet.fitout(&format!("diff {CLUSTER} --exit-code")).succeeded();
    let before = cluster.writes();
    fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded();
    assert_eq!(cluster.writes(), before);
}
