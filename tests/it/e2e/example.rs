//! The worked example comes up, and stays as it is.

use super::fleet::Fleet;

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
            fleet.records_what_helm_renders(cluster, namespace, release);
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

#[test]
fn what_is_as_git_says_is_not_written_again() {
    let Some(fleet) = Fleet::example() else { return };
    fleet.fitout("apply --all --yes").succeeded();
    fleet.is_settled();
}

#[test]
fn a_pass_without_changes_lists_each_kind_of_a_cluster_once() {
    let Some(fleet) = Fleet::example() else { return };
    fleet.fitout("apply --all --yes").succeeded();
    let before = fleet.staging().lists();
    fleet.fitout("diff --all --exit-code").succeeded();
    let after = fleet.staging().lists();
    let more = after.iter().map(|(kind, count)| (kind, count - before.get(kind).unwrap_or(&0)));
    let more: Vec<_> = more.filter(|(_, count)| *count > 0).collect();
    assert!(more.iter().any(|(kind, _)| *kind == "deployments"), "{more:?}");
    // Secrets twice: the records, and the Secrets of releases, if there are any.
    let often = |kind: &str, count: u64| count > if kind == "secrets" { 2 } else { 1 };
    assert!(!more.iter().any(|(kind, count)| often(kind, *count)), "{more:?}");
}
