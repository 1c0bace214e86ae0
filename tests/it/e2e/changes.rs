//! Changes: good ones, planned ones, and those that do not work.

use std::time::Duration;

use super::clusters::Cluster;
use super::fleet::{Fleet, hook};
use super::run::eventually;

const CLUSTER: &str = "prod-01";

#[test]
fn a_good_change_is_planned_and_applied_as_planned() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    fleet.bring_web(CLUSTER);
    fleet.set("motd: hello", "motd: good morning");
    let plan = fleet.env.root().join("plan.json");
    fleet
        .fitout(&format!("plan {CLUSTER} --out {} --exit-code", plan.display()))
        .exited(3)
        .says("prod-01/web  upgrade   1.0.0  2 to change");
    let before = cluster.field("configmap web -n web", ".data.motd");
    assert_eq!(before, "hello", "a plan changes nothing");
    fleet.fitout(&format!("apply --plan {} --yes", plan.display())).succeeded();
    assert_eq!(cluster.field("configmap web -n web", ".data.motd"), "good morning");
    assert_eq!(
        fleet.history(CLUSTER),
        "1 superseded Install complete\n2 deployed Upgrade complete\n"
    );
    fleet
        .fitout(&format!("apply --plan {} --yes", plan.display()))
        .exited(5)
        .says("there is nothing to do any more");
}

#[test]
fn a_plan_is_refused_when_anything_moved() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    fleet.bring_web(CLUSTER);
    fleet.set("motd: hello", "motd: good morning");
    let plan = fleet.env.root().join("plan.json");
    let make = format!("plan {CLUSTER} --out {}", plan.display());
    let apply = format!("apply --plan {} --yes", plan.display());

    fleet.fitout(&make).succeeded();
    cluster.kubectl("patch configmap web -n web --type merge -p {\"data\":{\"motd\":\"edited\"}}");
    fleet.fitout(&apply).exited(5).says("prod-01/web: ConfigMap/web/web has changed");

    fleet.fitout(&make).succeeded();
    cluster.kubectl("delete service web -n web");
    fleet.fitout(&apply).exited(5).says("prod-01/web: Service/web/web has changed");

    fleet.fitout(&make).succeeded();
    cluster.helm("rollback web 1 -n web");
    fleet.fitout(&apply).exited(5).says("the release has another revision now");

    fleet.env.replace("addons/web/values.yaml", "replicas: 2", "replicas: 1");
    fleet.fitout(&make).succeeded();
    fleet.env.replace("addons/web/values.yaml", "replicas: 1", "replicas: 3");
    fleet.fitout(&apply).exited(5).says("have changed since the plan was made");

    assert_eq!(fleet.history(CLUSTER).lines().count(), 2, "nothing was applied");
}

#[test]
fn a_change_that_does_not_become_healthy_goes_back() {
    let Some(fleet) = Fleet::web() else { return };
    for cluster in ["stg-01", "prod-01", "prod-02"] {
        fleet.bring_web(cluster);
    }
    fleet.set("tag: \"1.0\"", "tag: 2.0-broken");
    let ran = fleet.fitout(&format!("apply {CLUSTER} --yes")).exited(5);
    ran.says("ImagePullBackOff").says("rolled back, as revision 3");
    assert_eq!(
        fleet.history(CLUSTER),
        "1 superseded Install complete\n2 failed Release failed\n3 deployed Rollback to 1\n"
    );
    let image = fleet
        .clusters
        .named(CLUSTER)
        .field("deployment web -n web", ".spec.template.spec.containers[0].image");
    assert_eq!(image, "registry.example.org/web:1.0");
    fleet.clusters.named(CLUSTER).kubectl("rollout status deployment/web -n web --timeout=30s");
    for other in ["stg-01", "prod-02"] {
        assert_eq!(fleet.history(other), "1 deployed Install complete\n");
    }
    // Git still asks for it.
    fleet.fitout(&format!("diff {CLUSTER} --exit-code")).exited(3).says("2.0-broken");
    // And when git is good again, all is well.
    fleet.set("tag: 2.0-broken", "tag: \"2.0\"");
    fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded();
    assert!(fleet.history(CLUSTER).ends_with("\n4 deployed Upgrade complete\n"));
}

#[test]
fn a_first_installation_that_does_not_become_healthy_is_removed_again() {
    let Some(fleet) = Fleet::web() else { return };
    fleet.set("tag: \"1.0\"", "tag: 1.0-broken");
    fleet
        .fitout(&format!("apply {CLUSTER} --yes"))
        .exited(5)
        .says("ImagePullBackOff")
        .says("the first installation was removed again");
    let cluster = fleet.clusters.named(CLUSTER);
    assert_eq!(cluster.releases(), "");
    assert!(
        !cluster.has("deployment,service,configmap,secret -n web -l app.kubernetes.io/managed-by")
    );
}

#[test]
fn what_the_server_does_not_take_is_told_by_diff_and_changes_nothing() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    fleet.bring_web(CLUSTER);
    fleet.env.replace("addons/web/chart/templates/all.yaml", "port: 80,", "port: 99999,");
    fleet.set("motd: hello", "motd: changed");
    let before = cluster.writes();
    for command in ["diff", "plan", "apply --yes"] {
        fleet
            .fitout(&format!("{command} {CLUSTER}"))
            .exited(5)
            .says("Service/web/web from `web/templates/all.yaml` (line 11 of its output)")
            .says("must be between 1 and 65535");
    }
    assert_eq!(cluster.writes(), before);
    // On a cluster without the release it is the same, once its namespace is there.
    let other = fleet.clusters.named("prod-02");
    other.kubectl_apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: web}\n");
    fleet.fitout("apply prod-02 --yes").exited(5).says("must be between 1 and 65535");
    assert_eq!(other.releases(), "");
    // A field that the schema lacks is the user's to mend, not a failure of the server.
    fleet.env.replace("addons/web/chart/templates/all.yaml", "port: 99999,", "port: 80, prot: 1,");
    fleet.env.commit("Misspell a field");
    fleet.fitout(&format!("apply {CLUSTER} --yes")).exited(5).says("field not declared in schema");
}

#[test]
fn a_field_that_cannot_change_is_told_and_recreated_where_that_is_asked_for() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    fleet.bring_web(CLUSTER);
    let uid = || cluster.field("deployment web -n web", ".metadata.uid");
    let before = uid();
    fleet.env.replace("addons/web/chart/templates/all.yaml", "{app: web}", "{app: web2}");
    fleet.env.commit("Another selector");
    fleet.fitout(&format!("apply {CLUSTER} --yes")).exited(5).says("field is immutable");
    assert_eq!(fleet.history(CLUSTER), "1 deployed Install complete\n");
    fleet.env.replace(
        "addons/web/addon.yaml",
        "placement: {}",
        "placement: {}\n  upgrade: {onImmutable: recreate}",
    );
    fleet.env.commit("Recreate");
    fleet.fitout(&format!("diff {CLUSTER}")).says("is deleted and created anew");
    fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded();
    assert_ne!(uid(), before);
    fleet.fitout(&format!("rollback {CLUSTER} web")).succeeded();
    assert_eq!(cluster.field("deployment web -n web", ".spec.selector.matchLabels.app"), "web");
    fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded();
    let diff = fleet.fitout(&format!("diff {CLUSTER} --exit-code")).succeeded();
    assert_eq!(diff.out, "");
}

#[test]
fn an_apply_that_was_killed_is_in_nobodys_way_and_is_gone_on_with() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    fleet.env.write("addons/web/chart/templates/hook.yaml", &hook("hook"));
    fleet.set("replicas: 2", "replicas: 2\nhook: \"1\"");
    fleet.bring_web(CLUSTER);
    fleet.set("hook: \"1\"", "hook: broken\nextra: [more]");
    let mut killed = fleet.spawn(&format!("apply {CLUSTER} --yes"));
    let is_pending = || fleet.history(CLUSTER).contains("2 pending-upgrade");
    eventually("the upgrade is under way", Duration::from_secs(30), is_pending);
    fleet
        .fitout(&format!("apply {CLUSTER} --yes"))
        .exited(5)
        .says("release web/web is being changed by");
    fleet
        .fitout(&format!("uninstall {CLUSTER} --addon web --yes"))
        .exited(5)
        .says("release web/web is being changed by");
    killed.kill().expect("it is our child");
    killed.wait().expect("it is our child");
    fleet.fitout(&format!("plan {CLUSTER}")).succeeded().says("the last attempt did not end");
    fleet.set("hook: broken", "hook: \"2\"");
    fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded();
    assert_eq!(
        fleet.history(CLUSTER),
        "1 superseded Install complete\n2 failed Interrupted\n3 deployed Upgrade complete\n"
    );
    assert!(cluster.has("configmap more -n web"));
    fleet.fitout(&format!("diff {CLUSTER} --exit-code")).succeeded();
}

#[test]
fn a_hook_that_fails_stops_the_change_before_anything_is_changed() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    fleet.env.write("addons/web/chart/templates/hook.yaml", &hook("hook"));
    fleet.set("replicas: 2", "replicas: 2\nhook: \"1\"");
    fleet.bring_web(CLUSTER);
    fleet.set("hook: \"1\"", "hook: broken\nextra: [more]");
    let spec = || cluster.field("deployment web -n web", ".metadata.generation");
    let before = spec();
    fleet
        .fitout(&format!("apply {CLUSTER} --yes"))
        .exited(5)
        .says("the pre-upgrade hook Job/web/before from `web/templates/hook.yaml` is not done after 6s")
        .says("ImagePullBackOff")
        .says("rolled back, as revision 3");
    assert_eq!(spec(), before);
    assert!(!cluster.has("configmap more -n web"));
}

#[test]
fn a_rollback_that_fails_again_and_again_leaves_one_record() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    fleet.bring_web(CLUSTER);
    fleet.set("motd: hello", "motd: changed");
    fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded();
    // What the first revision had can no longer be: a quota does not let its Service in.
    cluster.kubectl_apply(
        "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: tight, namespace: web}\n\
         spec: {hard: {count/services: \"0\"}}\n",
    );
    cluster.kubectl("delete service web -n web");
    let used = || cluster.field("resourcequota tight -n web", ".status.used.count/services") == "0";
    eventually("the quota counts", Duration::from_secs(30), used);
    for _ in 0..3 {
        let ran = fleet.fitout(&format!("rollback {CLUSTER} web 1"));
        assert_ne!(ran.code, Some(0), "{ran}");
        assert!(ran.err.contains("exceeded quota"), "{ran}");
    }
    assert_eq!(
        fleet.history(CLUSTER),
        "1 superseded Install complete\n2 deployed Upgrade complete\n3 failed Rollback to 1 failed\n"
    );
    cluster.kubectl("delete resourcequota tight -n web");
    fleet.fitout(&format!("rollback {CLUSTER} web")).succeeded();
    assert_eq!(
        fleet.history(CLUSTER),
        "1 superseded Install complete\n2 superseded Upgrade complete\n3 deployed Rollback to 1\n"
    );
}

#[test]
fn a_cluster_that_dies_in_the_middle_gets_there_when_it_is_back() {
    let Some(fleet) = Fleet::web() else { return };
    let mut cluster = Cluster::of_one_test("prod-04");
    std::fs::copy(cluster.kubeconfig(), fleet.env.fleet().join("prod-04.kubeconfig")).unwrap();
    fleet.write_cluster("prod-04", "{environment: prod}", "kubeconfigFile: prod-04.kubeconfig");
    fleet.env.write("addons/web/chart/templates/hook.yaml", &hook("hook"));
    fleet.env.replace("addons/web/addon.yaml", "{timeout: 6s}", "{timeout: 60s}");
    fleet.set("replicas: 2", "replicas: 2\nhook: \"1\"");
    fleet.fitout("apply prod-04 --yes").succeeded();
    fleet.set("hook: \"1\"", "hook: broken\nextra: [more]");
    let mut applying = fleet.spawn("apply prod-04 --yes");
    let is_pending = || cluster.history("web", "web").contains("2 pending-upgrade");
    eventually("the upgrade is under way", Duration::from_secs(30), is_pending);
    cluster.kill();
    let status = applying.wait().expect("it is our child");
    assert_eq!(status.code(), Some(4), "the cluster failed, not fitout");
    fleet.fitout("diff prod-04").exited(4).says("the API server cannot be reached");
    cluster.start_again();
    fleet.set("hook: broken", "hook: \"2\"");
    fleet.fitout("apply prod-04 --yes").succeeded();
    assert_eq!(
        cluster.history("web", "web"),
        "1 superseded Install complete\n2 failed Interrupted\n3 deployed Upgrade complete\n"
    );
    assert!(cluster.has("configmap more -n web"));
    fleet.fitout("diff prod-04 --exit-code").succeeded();
}

#[test]
fn of_two_that_apply_at_the_same_moment_one_does() {
    let Some(fleet) = Fleet::web() else { return };
    fleet.bring_web(CLUSTER);
    fleet.set("motd: hello", "motd: changed");
    let both = [0, 1].map(|_| fleet.spawn(&format!("apply {CLUSTER} --yes")));
    let codes = both.map(|mut one| one.wait().expect("it is our child").code());
    assert!(codes.contains(&Some(0)), "{codes:?}");
    // The other one found it done, or being done.
    assert!(codes.iter().all(|code| matches!(code, Some(0 | 5))), "{codes:?}");
    assert_eq!(
        fleet.history(CLUSTER),
        "1 superseded Install complete\n2 deployed Upgrade complete\n"
    );
    fleet.fitout(&format!("diff {CLUSTER} --exit-code")).succeeded();
}
