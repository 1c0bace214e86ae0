//! Helm beside fitout: on the same releases, in both directions.

use super::clusters::Cluster;
use super::fleet::Fleet;

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
fn an_attempt_of_helm_that_was_killed_is_gone_on_with() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    helm_install(&fleet, cluster, "--create-namespace --wait");
    // What a killed `helm upgrade` leaves behind. Helm itself goes no further from there.
    cluster.kubectl(
        "label secret sh.helm.release.v1.web.v1 -n web --overwrite status=pending-upgrade",
    );
    fleet
        .fitout(&format!("apply {CLUSTER} --yes"))
        .exited(5)
        .says("release web/web is being changed by helm");
}
