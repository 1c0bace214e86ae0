//! The worked example comes up, and stays as it is.

use std::time::Duration;

use serde_json::Value as Json;

use super::clusters::{Cluster, tool};
use super::fleet::Fleet;
use super::run::run;

/// Namespace and release of the example's addons.
const RELEASES: [(&str, &str); 4] = [
    ("eos", "eosxd"),
    ("ingress", "traefik"),
    ("logging", "fluentd"),
    ("monitoring", "prometheus"),
];

#[test]
fn the_example_comes_up_and_helm_and_kubectl_agree() {
    let Some(fleet) = Fleet::example() else { return };
    fleet.fitout("apply --all --yes").succeeded();
    for cluster in &fleet.clusters.all {
        let releases = cluster.releases();
        for (namespace, release) in RELEASES {
            let line = format!("{namespace}/{release} deployed {release}-");
            assert!(releases.contains(&line), "no `{line}` in\n{releases}");
            manifest_is_what_helm_renders(&fleet, cluster, namespace, release);
        }
        let ready =
            cluster.field("deployment prometheus-server -n monitoring", ".status.readyReplicas");
        assert_eq!(ready, "1");
    }
    // The gpu variant and the layer of production are where they belong, and nowhere else.
    let replicas = |name: &str| {
        fleet.clusters.named(name).field("deployment -n ingress", ".items[0].spec.replicas")
    };
    assert_eq!(["stg-01", "prod-01", "prod-02"].map(replicas), ["1", "3", "3"]);
    let exporters = |name: &str| {
        fleet.clusters.named(name).kubectl("get daemonset -n monitoring -o name").lines().count()
    };
    assert_eq!(["stg-01", "prod-01", "prod-02"].map(exporters), [2, 1, 2]);
}

/// `helm get manifest` is byte for byte what Helm itself renders with the values of the record.
fn manifest_is_what_helm_renders(fleet: &Fleet, cluster: &Cluster, namespace: &str, release: &str) {
    let values = cluster.helm(&format!("get values {release} -n {namespace} -o json"));
    let path = fleet.env.root().join("values.json");
    std::fs::write(&path, values).expect("the folder is ours");
    let mut command = std::process::Command::new(tool("FITOUT_HELM"));
    command
        .args(["template", release, &format!("addons/{release}/chart"), "-n", namespace])
        .args(["--kube-version", "1.35.0", "--no-hooks", "-f"])
        .arg(&path)
        .current_dir(fleet.env.fleet());
    let rendered = run(&mut command, Duration::from_mins(1)).succeeded().out;
    let recorded = cluster.helm(&format!("get manifest {release} -n {namespace}"));
    similar_asserts(&recorded, &rendered, release);
}

/// Equal but for empty lines at the end.
fn similar_asserts(recorded: &str, rendered: &str, release: &str) {
    let (recorded, rendered) = (recorded.trim_end(), rendered.trim_end());
    let at = recorded.lines().zip(rendered.lines()).position(|(a, b)| a != b);
    assert!(
        recorded == rendered,
        "{release} differs at line {at:?}\n--- recorded\n{recorded}\n--- helm\n{rendered}"
    );
}

#[test]
fn what_is_as_git_says_is_not_written_again() {
    let Some(fleet) = Fleet::example() else { return };
    fleet.fitout("apply --all --yes").succeeded();
    let writes = || fleet.clusters.all.iter().map(Cluster::writes).collect::<Vec<_>>();
    let versions = || fleet.clusters.all.iter().map(versions).collect::<Vec<_>>();
    let before = (writes(), versions());
    let diff = fleet.fitout("diff --all --exit-code").succeeded();
    assert_eq!(diff.out, "", "{diff}");
    fleet.fitout("plan --all --exit-code").succeeded().says("nothing to do");
    fleet.fitout("apply --all --yes").succeeded();
    assert_eq!(before, (writes(), versions()), "something was written");
}

/// The versions of everything of the releases.
fn versions(cluster: &Cluster) -> Vec<String> {
    let kinds = "secrets,configmaps,services,deployments,daemonsets,clusterroles,ingresses";
    let found = cluster.json(&format!("get {kinds} -A -l app.kubernetes.io/managed-by=Helm"));
    let records = cluster.json("get secrets -A -l owner=helm");
    let items = |list: &Json| list["items"].as_array().expect("it is a list").clone();
    items(&found)
        .iter()
        .chain(&items(&records))
        .map(|object| {
            let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
            format!(
                "{} {}/{} {}",
                object["kind"],
                text("namespace"),
                text("name"),
                text("resourceVersion")
            )
        })
        .collect()
}
