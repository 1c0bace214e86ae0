//! `fitout preview --live`: what clusters say to a change, with as little permission as possible.

use super::fleet::Fleet;

const CLUSTER: &str = "prod-01";

/// A change of `web`, not committed.
fn change(fleet: &Fleet) {
    fleet.env.replace("addons/web/values.yaml", "motd: hello", "motd: changed");
    fleet.env.replace("addons/web/values.yaml", "hunter2-first", "hunter2-second");
}

/// What the report says from where the clusters begin.
fn live(out: &str) -> &str {
    &out[out.find("On the clusters now").expect("clusters were asked")..]
}

#[test]
fn a_change_is_compared_with_a_cluster_by_dry_runs_that_change_nothing() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    fleet.bring_web(CLUSTER);
    cluster.kubectl("scale deployment web -n web --replicas=5");
    cluster.kubectl("rollout status deployment web -n web --timeout=60s");
    change(&fleet);
    let before = (cluster.writes(), cluster.versions());
    let ran = fleet.fitout(&format!("preview --live {CLUSTER},prod-02")).succeeded();
    let ran = ran.hides("hunter2");
    assert_eq!(before.1, cluster.versions(), "something was written");
    assert_eq!(before.0, cluster.writes(), "something was written");
    insta::assert_snapshot!(live(&ran.out));
}

#[test]
fn a_kind_that_a_cluster_does_not_serve_is_told_unless_the_change_brings_it() {
    let Some(fleet) = Fleet::web() else { return };
    fleet.bring_web(CLUSTER);
    let thing = "apiVersion: preview.example.org/v1\nkind: Thing\nmetadata: {name: one}\n";
    fleet.env.write("addons/web/chart/templates/thing.yaml", thing);
    let ran = fleet.fitout(&format!("preview --live {CLUSTER}")).succeeded();
    let lacks = "the cluster serves no kind `Thing` of `preview.example.org/v1`";
    let told = live(&ran.out);
    assert!(told.contains(lacks) && told.contains("thing.yaml"), "{told}");
    let crd = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n\
               metadata: {name: things.preview.example.org}\n\
               spec: {group: preview.example.org, scope: Namespaced, names: {kind: Thing, plural: things}}\n";
    fleet.env.write("addons/web/chart/crds/things.yaml", crd);
    let ran = fleet.fitout(&format!("preview --live {CLUSTER}")).succeeded();
    let told = live(&ran.out);
    assert!(!told.contains(lacks) && told.contains("Thing"), "{told}");
}

#[test]
fn credentials_that_may_only_read_are_enough() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    fleet.bring_web(CLUSTER);
    cluster.kubectl("scale deployment web -n web --replicas=5");
    fleet.write_cluster(CLUSTER, "{environment: prod}", "context: prod-01-limited");
    fleet.env.commit("As a limited user");
    change(&fleet);
    let told = |role: &str| {
        cluster.kubectl(&format!(
            "create clusterrolebinding limited-look --clusterrole={role} --group=limited"
        ));
        let ran = fleet.fitout(&format!("preview --live {CLUSTER}"));
        cluster.kubectl("delete clusterrolebinding limited-look");
        let ran = ran.succeeded().hides("hunter2");
        live(&ran.out).to_owned()
    };
    // `view` may not even see Secrets, and with them the release records.
    let rules = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: limited-reader}\n\
                 rules: [{apiGroups: ['*'], resources: ['*'], verbs: [get, list]}]\n";
    cluster.kubectl_apply(rules);
    insta::assert_snapshot!(["view", "limited-reader"].map(told).join("\n"));
    cluster.kubectl("delete clusterrole limited-reader");
}

#[test]
fn the_change_cannot_say_where_a_cluster_is() {
    let Some(fleet) = Fleet::web() else { return };
    fleet.bring_web(CLUSTER);
    fleet.write_cluster(CLUSTER, "{environment: prod}", "kubeconfigFile: mine.kubeconfig");
    fleet.env.write("mine.kubeconfig", &super::refusals::closed());
    fleet.write_cluster("new-01", "{environment: prod}", "context: prod-01-limited");
    change(&fleet);
    let ran = fleet.fitout(&format!("preview --live {CLUSTER},new-01")).exited(4);
    let told = live(&ran.out);
    assert!(told.contains("data.motd: hello → changed"), "{told}");
    assert!(told.contains("new-01: it is not asked: the base has no such cluster"), "{told}");
    fleet.env.commit("Merged");
    fleet.env.replace("addons/web/values.yaml", "motd: changed", "motd: again");
    fleet
        .fitout(&format!("preview --live {CLUSTER} --base HEAD"))
        .exited(4)
        .says("its kubeconfig `mine.kubeconfig` is in the repository");
}
