//! Many real charts at once: whatever a chart writes, the API server's defaults, quantities and
//! schemas make no difference of it once it is applied.

use std::fmt::Write as _;

use super::fleet::Fleet;
use crate::corpus::corpus;
use crate::env::copy;

/// A chart of the corpus, below its folder of charts, and a values file of the chart.
struct Real {
    folder: &'static str,
    values: Option<&'static str>,
}

const fn plain(folder: &'static str) -> Real {
    Real { folder, values: None }
}

const fn with(folder: &'static str, values: &'static str) -> Real {
    Real { folder, values: Some(values) }
}

/// Of 2026, and of the years before that still fit a Kubernetes of today. Among them: CRDs in
/// `crds/` and in templates, custom resources, webhooks that nobody serves, hooks, claims, Jobs,
/// Secrets with `stringData`, variables and ports that come twice, nulls and empty maps.
const CHARTS: [Real; 66] = [
    plain("fluent/charts/fluent-bit"),
    plain("fluent/charts/fluent-bit-aggregator"),
    with("fluent/charts/fluent-bit-collector", "ci/ci-values.yaml"),
    plain("fluent/charts/fluent-operator"),
    with("fluent/charts/fluentd", "ci/ci-values.yaml"),
    plain("fluent/charts/fluentd-aggregator"),
    plain("traefik/traefik"),
    plain("traefik/hub-manager"),
    with("prometheus-community/charts/alertmanager", "ci/config-reload-values.yaml"),
    with("prometheus-community/charts/alertmanager-snmp-notifier", "ci/secret-values.yaml"),
    with("prometheus-community/charts/jiralert", "ci/test-values.yaml"),
    with("prometheus-community/charts/kube-state-metrics", "ci/04-self-monitor-values.yaml"),
    plain("prometheus-community/charts/prom-label-proxy"),
    with("prometheus-community/charts/prometheus", "ci/09-standalone-deployment-values.yaml"),
    with("prometheus-community/charts/prometheus-blackbox-exporter", "ci/daemonset-values.yml"),
    plain("prometheus-community/charts/prometheus-cloudwatch-exporter"),
    plain("prometheus-community/charts/prometheus-conntrack-stats-exporter"),
    plain("prometheus-community/charts/prometheus-consul-exporter"),
    plain("prometheus-community/charts/prometheus-couchdb-exporter"),
    plain("prometheus-community/charts/prometheus-druid-exporter"),
    with("prometheus-community/charts/prometheus-elasticsearch-exporter", "ci/env-values.yaml"),
    plain("prometheus-community/charts/prometheus-fastly-exporter"),
    plain("prometheus-community/charts/prometheus-ipmi-exporter"),
    plain("prometheus-community/charts/prometheus-json-exporter"),
    with("prometheus-community/charts/prometheus-kafka-exporter", "ci/ci-values.yaml"),
    plain("prometheus-community/charts/prometheus-memcached-exporter"),
    plain("prometheus-community/charts/prometheus-modbus-exporter"),
    with("prometheus-community/charts/prometheus-mongodb-exporter", "ci/env-values.yaml"),
    plain("prometheus-community/charts/prometheus-mysql-exporter"),
    plain("prometheus-community/charts/prometheus-nats-exporter"),
    with("prometheus-community/charts/prometheus-nginx-exporter", "ci/servicemonitor-values.yaml"),
    with("prometheus-community/charts/prometheus-node-exporter", "ci/networkpolicy-values.yaml"),
    plain("prometheus-community/charts/prometheus-operator-admission-webhook"),
    plain("prometheus-community/charts/prometheus-operator-crds"),
    with("prometheus-community/charts/prometheus-pgbouncer-exporter", "ci/ci-values.yaml"),
    plain("prometheus-community/charts/prometheus-pingdom-exporter"),
    with("prometheus-community/charts/prometheus-pingmesh-exporter", "ci/ingress-values.yml"),
    with("prometheus-community/charts/prometheus-postgres-exporter", "ci/pdb-values.yaml"),
    with("prometheus-community/charts/prometheus-pushgateway", "ci/persistence-sts-values.yaml"),
    plain("prometheus-community/charts/prometheus-rabbitmq-exporter"),
    plain("prometheus-community/charts/prometheus-redis-exporter"),
    plain("prometheus-community/charts/prometheus-smartctl-exporter"),
    with(
        "prometheus-community/charts/prometheus-snmp-exporter",
        "ci/06-multiple-configs-values.yaml",
    ),
    plain("prometheus-community/charts/prometheus-sql-exporter"),
    plain("prometheus-community/charts/prometheus-stackdriver-exporter"),
    plain("prometheus-community/charts/prometheus-statsd-exporter"),
    plain("prometheus-community/charts/prometheus-systemd-exporter"),
    plain("prometheus-community/charts/prometheus-to-sd"),
    plain("prometheus-community/charts/prometheus-windows-exporter"),
    plain("prometheus-community/charts/prometheus-yet-another-cloudwatch-exporter"),
    plain("seed/traefik-1.79.0"),
    plain("helm-stable/stable/wordpress"),
    plain("helm-stable/stable/jenkins"),
    plain("helm-stable/stable/redis"),
    plain("helm-stable/stable/rabbitmq"),
    plain("helm-stable/stable/postgresql"),
    plain("helm-stable/stable/elasticsearch"),
    plain("helm-stable/stable/nginx-ingress"),
    plain("helm-stable/stable/minio"),
    plain("helm-stable/stable/keycloak"),
    plain("helm-stable/stable/falco"),
    plain("helm-stable/stable/kubernetes-dashboard"),
    plain("helm-stable/stable/openebs"),
    plain("helm-stable/stable/spinnaker"),
    plain("helm-stable/incubator/cockroachdb"),
    plain("helm-stable/incubator/consul"),
];

/// Each chart on one cluster, one on all three.
const INSTANCES: usize = CHARTS.len() + PLACEMENTS.len() - 1;

impl Real {
    /// What its addon, namespace and release are called.
    fn name(&self) -> String {
        let name = self.folder.rsplit('/').next().expect("there is always one");
        let year = if self.folder.starts_with("helm-stable") { "old-" } else { "" };
        format!("{year}{}", name.replace('.', "-"))
    }
}

/// Whose CRDs others of the charts need: everywhere.
const CRDS: &str = "prometheus-operator-crds";

/// The placements of the three clusters, so that each has a third of the charts. Webhooks that
/// nobody serves refuse what they are about on one cluster only.
const PLACEMENTS: [&str; 3] = ["{environment: staging}", "{flavour: cpu}", "{region: prevessin}"];

/// A fleet of all charts; `None`, with the reason printed, where they are not at hand.
fn many_charts() -> Option<Fleet> {
    let Some(corpus) = corpus() else {
        println!("skipped: neither FITOUT_CORPUS nor ../shared/corpus/corpus.tar.xz is there");
        return None;
    };
    let fleet = Fleet::empty()?;
    for (index, real) in CHARTS.iter().enumerate() {
        let name = real.name();
        let placement = match PLACEMENTS[index % PLACEMENTS.len()] {
            _ if name == CRDS => "{}".to_owned(),
            labels => format!("{{matchLabels: {labels}}}"),
        };
        let addon = format!("addons/{name}");
        let folder = corpus.join("charts").join(real.folder);
        copy(&folder, &fleet.env.fleet().join(&addon).join("chart"));
        let mut text = format!(
            "apiVersion: fitout.dev/v1alpha1\nkind: Addon\nmetadata: {{name: {name}}}\n\
             spec:\n  chart: {{path: chart}}\n  namespace: {name}\n  \
             placement: {placement}\n  health: {{timeout: 90s}}\n  \
             upgrade: {{onImmutable: recreate}}\n"
        );
        if let Some(values) = real.values {
            writeln!(text, "  values: [{{file: chart/{values}}}]").expect("it is a String");
        }
        fleet.env.write(&format!("{addon}/addon.yaml"), &text);
    }
    fleet.env.commit("Many real charts");
    Some(fleet)
}

#[test]
fn many_real_charts_leave_no_difference_once_they_are_applied() {
    let Some(fleet) = many_charts() else { return };
    let applied = fleet.fitout("apply --all --yes").succeeded();
    let installed = applied.out.matches(": installed as revision 1, healthy").count();
    assert_eq!(installed, INSTANCES, "{applied}");
    fleet.is_settled();

    // Another version of each chart: most of its objects say which one they are of.
    for real in &CHARTS {
        let path = fleet.env.fleet().join("addons").join(real.name()).join("chart/Chart.yaml");
        let text = std::fs::read_to_string(&path).expect("a chart has it");
        let bumped = |line: &str| match line.strip_prefix("version: ") {
            Some(version) => format!("version: {}-again\n", version.trim_matches(['"', '\''])),
            None => format!("{line}\n"),
        };
        let text: String = text.lines().map(bumped).collect();
        std::fs::write(&path, text).expect("the fleet is ours");
    }
    fleet.env.commit("Another version of each");
    let applied = fleet.fitout("apply --all --yes").succeeded();
    let upgraded = applied.out.matches(": upgraded to revision 2, healthy").count();
    assert_eq!(upgraded, INSTANCES, "{applied}");
    fleet.is_settled();

    // CRDs stay when a release goes, as with Helm.
    drop_crds(&fleet);
}

fn drop_crds(fleet: &Fleet) {
    for cluster in &fleet.clusters.all {
        cluster.clear();
        let crds = cluster.kubectl("get crd -o name");
        let crds: Vec<_> = crds.lines().collect();
        if !crds.is_empty() {
            cluster.kubectl(&format!("delete {} --wait=false", crds.join(" ")));
        }
    }
}
