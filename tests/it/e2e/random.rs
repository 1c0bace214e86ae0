//! Random values: drawn for each cluster, kept from then on, and never those of the fixed seed.

use base64::Engine as _;

use super::clusters::Cluster;
use super::fleet::Fleet;

/// `web` with a random password in place of the one of the values.
fn random() -> Option<Fleet> {
    let fleet = Fleet::web()?;
    fleet.env.replace(
        "addons/web/chart/templates/all.yaml",
        "{password: {{ .Values.password | quote }}}",
        "{password: {{ randAlphaNum 20 | quote }}}",
    );
    fleet.env.commit("A random password");
    Some(fleet)
}

fn password(cluster: &Cluster) -> String {
    let data = cluster.field("secret web -n web", ".data.password");
    let bytes = base64::engine::general_purpose::STANDARD.decode(data).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_random_value_is_drawn_for_each_cluster_and_kept() {
    let Some(fleet) = random() else { return };
    fleet.fitout("apply --all --yes").succeeded();
    let drawn = fleet.clusters.all.each_ref().map(password);
    let by_seed = fleet.fitout("render stg-01").succeeded().out;
    for (index, one) in drawn.iter().enumerate() {
        assert_eq!(one.len(), 20);
        assert!(!by_seed.contains(one.as_str()), "everybody can work it out");
        assert!(!drawn[index + 1..].contains(one), "two clusters have the same");
    }
    fleet.is_settled();
    let staging = fleet.staging();
    let recorded = staging.helm("get manifest web -n web");
    assert!(recorded.contains(&drawn[0]), "Helm would roll back to something else");

    fleet.set("motd: hello", "motd: changed");
    fleet.fitout("apply --all --yes").succeeded();
    staging.kubectl("patch secret web -n web --type merge -p {\"data\":{\"password\":\"eA==\"}}");
    fleet
        .fitout("diff stg-01 --exit-code")
        .exited(3)
        .says("data.password: (hidden) → (hidden, changed)")
        .hides(&drawn[0]);
    fleet.fitout("apply stg-01 --yes").succeeded().says("healed at revision 2");
    fleet.fitout("rollback prod-01 web").succeeded();
    fleet.clusters.named("prod-02").helm("rollback web 1 -n web");
    fleet.fitout("apply --all --yes").succeeded();
    assert_eq!(fleet.clusters.all.each_ref().map(password), drawn);
    fleet.is_settled();
}

#[test]
fn a_random_value_that_helm_drew_is_kept_when_fitout_takes_over() {
    let Some(fleet) = random() else { return };
    let staging = fleet.staging();
    let chart = fleet.env.fleet().join("addons/web/chart");
    let values = fleet.env.fleet().join("addons/web/values.yaml");
    let (chart, values) = (chart.display(), values.display());
    staging.helm(&format!("install web {chart} -f {values} -n web --create-namespace --wait"));
    let drawn = password(staging);
    fleet.fitout("apply stg-01 --yes").succeeded();
    assert_eq!(password(staging), drawn);
    fleet.fitout("diff stg-01 --exit-code").succeeded();
}
