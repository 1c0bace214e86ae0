//! What goes away: by rollback, by prune, by uninstall; and what stays.

use super::fleet::Fleet;
use crate::env::WIDGETS;

const CLUSTER: &str = "stg-01";

#[test]
fn a_rollback_goes_to_the_revision_before_or_to_one_that_is_named() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.staging();
    fleet.bring_web(CLUSTER);
    fleet.set("motd: hello", "motd: second");
    fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded();
    fleet.set("motd: second", "motd: third\nextra: [more]");
    fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded();
    assert!(cluster.has("configmap more -n web"));

    fleet.fitout(&format!("rollback {CLUSTER} web")).succeeded().says("rolled back, as revision 4");
    assert_eq!(cluster.field("configmap web -n web", ".data.motd"), "second");
    assert!(!cluster.has("configmap more -n web"), "the revision that is undone had brought it");

    fleet.fitout(&format!("rollback {CLUSTER} web 1")).succeeded();
    assert_eq!(cluster.field("configmap web -n web", ".data.motd"), "hello");
    assert_eq!(
        fleet.history(CLUSTER),
        "1 superseded Install complete\n2 superseded Upgrade complete\n\
         3 superseded Upgrade complete\n4 superseded Rollback to 2\n5 deployed Rollback to 1\n"
    );
    fleet
        .fitout(&format!("rollback {CLUSTER} web 17"))
        .exited(5)
        .says("has no revision 17 to go back to");
    fleet.fitout(&format!("diff {CLUSTER} --exit-code")).exited(3).says("data.motd: hello → third");
}

#[test]
fn an_object_that_left_the_chart_goes_and_others_stay() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.staging();
    fleet.set("replicas: 2", "replicas: 2\nextra: [one, two, kept, theirs]");
    fleet.bring_web(CLUSTER);
    cluster.kubectl("create configmap mine -n web --from-literal=a=b");
    cluster.kubectl("annotate configmap kept -n web helm.sh/resource-policy=keep");
    cluster.kubectl("annotate configmap theirs -n web --overwrite meta.helm.sh/release-name=shop");
    fleet.set("extra: [one, two, kept, theirs]", "extra: [one]");
    fleet
        .fitout(&format!("diff {CLUSTER}"))
        .succeeded()
        .says("- ConfigMap/web/two")
        .says("ConfigMap/web/kept stays: its `helm.sh/resource-policy` says keep")
        .says("ConfigMap/web/theirs stays: it does not belong to the release");
    fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded().says("1 deleted, 2 kept");
    assert!(!cluster.has("configmap two -n web"));
    for stays in ["one", "kept", "theirs", "mine"] {
        assert!(cluster.has(&format!("configmap {stays} -n web")), "{stays} is gone");
    }
}

#[test]
fn nothing_is_deleted_beyond_the_limits() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.staging();
    fleet.env.write(
        "policies/rollout.yaml",
        "apiVersion: fitout.dev/v1alpha1\nkind: RolloutPolicy\nmetadata: {name: tight}\nspec:\n  \
         stages: [{name: all, clusters: {}}]\n  limits: {deletedObjects: 1}\n",
    );
    fleet.env.replace(
        "addons/web/addon.yaml",
        "placement: {}",
        "placement: {}\n  rollout: {policy: tight}",
    );
    fleet.set("replicas: 2", "replicas: 2\nextra: [one, two, three]");
    fleet.bring_web(CLUSTER);
    fleet.set("extra: [one, two, three]", "extra: [one]");
    let before = cluster.writes();
    for command in ["diff", "plan", "apply --yes"] {
        fleet
            .fitout(&format!("{command} {CLUSTER}"))
            .exited(5)
            .says("2 objects would be deleted, and the limit is 1");
    }
    assert_eq!(cluster.writes(), before);
    fleet.fitout(&format!("apply {CLUSTER} --yes --ignore-limits")).succeeded();
    assert!(!cluster.has("configmap two -n web"));
}

#[test]
fn an_uninstall_takes_what_is_ours_and_leaves_the_rest() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.staging();
    fleet.env.write("addons/web/chart/crds/widgets.yaml", WIDGETS);
    fleet.env.write(
        "addons/web/chart/templates/widget.yaml",
        "apiVersion: example.org/v1\nkind: Widget\nmetadata: {name: web}\nspec: {size: 1}\n",
    );
    fleet.env.write(
        "addons/web/chart/templates/hook.yaml",
        "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: farewell\n  annotations: \
         {helm.sh/hook: pre-delete, helm.sh/hook-delete-policy: hook-succeeded}\nspec:\n  \
         template:\n    spec:\n      restartPolicy: Never\n      \
         containers: [{name: a, image: \"registry.example.org/a:1\"}]\n",
    );
    fleet.env.commit("A CRD, an object of it, and a hook");
    fleet.bring_web(CLUSTER);
    assert!(cluster.has("widget web -n web"));
    cluster.kubectl("create configmap mine -n web --from-literal=a=b");
    fleet
        .fitout(&format!("uninstall {CLUSTER} --addon web --yes"))
        .succeeded()
        .says("uninstalled (5 deleted)");
    assert_eq!(cluster.releases(), "");
    for gone in ["deployment web", "service web", "secret web", "configmap web", "job farewell"] {
        assert!(!cluster.has(&format!("{gone} -n web")), "{gone} is still there");
    }
    assert_eq!(cluster.field("secrets -n web", ".items[*].metadata.name"), "", "no record is left");
    assert!(cluster.has("configmap mine -n web"));
    assert!(cluster.has("namespace web"));
    assert!(cluster.has("crd widgets.example.org"), "its objects would go with it");
    fleet
        .fitout(&format!("uninstall {CLUSTER} --addon web --yes"))
        .succeeded()
        .says("is not installed");
    cluster.kubectl("delete crd widgets.example.org");
}

#[test]
fn an_addon_that_left_git_is_uninstalled_and_what_helm_installed_is_not() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.staging();
    fleet.bring_web(CLUSTER);
    let chart = fleet.env.fleet().join("addons/web/chart");
    let values = fleet.env.fleet().join("addons/web/values.yaml");
    cluster.helm(&format!(
        "install other {} -f {} -n other --create-namespace",
        chart.display(),
        values.display()
    ));
    fleet.env.git("rm -r --quiet addons/web");
    fleet.env.commit("Without web");
    fleet.fitout(&format!("diff {CLUSTER} --exit-code")).exited(3).says("- Deployment/web/web");
    fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded();
    assert_eq!(cluster.releases(), "other/other deployed web-1.0.0\n");
    cluster.helm("uninstall other -n other");
}
