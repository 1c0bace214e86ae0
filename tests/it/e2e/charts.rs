//! Real charts of 2026: up, changed, back, away.

use super::fleet::Fleet;
use crate::corpus::corpus;
use crate::env::copy;

/// A chart of the corpus, and a value that is changed.
struct Real {
    name: &'static str,
    folder: &'static str,
    values: &'static str,
    change: (&'static str, &'static str),
    /// An object in which the change shows, and where.
    shows: (&'static str, &'static str),
    before: &'static str,
    after: &'static str,
}

const CHARTS: [Real; 3] = [
    Real {
        name: "traefik",
        folder: "traefik/traefik",
        values: "{deployment: {replicas: 1}}",
        change: ("replicas: 1", "replicas: 2"),
        shows: ("deployment/traefik", ".spec.replicas"),
        before: "1",
        after: "2",
    },
    Real {
        name: "fluent-bit",
        folder: "fluent/charts/fluent-bit",
        values: "{image: {tag: 5.1.0}}",
        change: ("tag: 5.1.0", "tag: 5.1.1"),
        shows: ("daemonset/fluent-bit", ".spec.template.spec.containers[0].image"),
        before: "cr.fluentbit.io/fluent/fluent-bit:5.1.0",
        after: "cr.fluentbit.io/fluent/fluent-bit:5.1.1",
    },
    Real {
        name: "prometheus",
        folder: "prometheus-community/charts/prometheus",
        values: "{server: {replicaCount: 1, persistentVolume: {size: 9Gi}}}",
        change: ("replicaCount: 1", "replicaCount: 1, terminationGracePeriodSeconds: 77"),
        shows: (
            "deployment/prometheus-server",
            ".spec.template.spec.terminationGracePeriodSeconds",
        ),
        before: "300",
        after: "77",
    },
];

/// A fleet of these charts; `None`, with the reason printed, where they are not at hand.
fn real_charts() -> Option<Fleet> {
    let Some(corpus) = corpus() else {
        println!("skipped: neither FITOUT_CORPUS nor ../shared/corpus/corpus.tar.xz is there");
        return None;
    };
    let fleet = Fleet::empty()?;
    for Real { name, folder, values, .. } in CHARTS {
        let addon = format!("addons/{name}");
        copy(&corpus.join("charts").join(folder), &fleet.env.fleet().join(&addon).join("chart"));
        fleet.env.write(
            &format!("{addon}/addon.yaml"),
            &format!(
                "apiVersion: fitout.dev/v1alpha1\nkind: Addon\nmetadata: {{name: {name}}}\n\
                 spec:\n  chart: {{path: chart}}\n  namespace: {name}\n  placement: {{}}\n  \
                 values: [{{inline: {values}}}]\n  health: {{timeout: 90s}}\n"
            ),
        );
    }
    fleet.env.commit("Real charts");
    Some(fleet)
}

#[test]
fn real_charts_come_up_change_go_back_and_go_away() {
    let Some(fleet) = real_charts() else { return };
    fleet.fitout("apply --all --yes").succeeded();
    for cluster in &fleet.clusters.all {
        for Real { name, .. } in CHARTS {
            fleet.records_what_helm_renders(cluster, name, name);
        }
    }
    fleet.is_settled();

    for Real { name, change: (from, to), .. } in CHARTS {
        fleet.env.replace(&format!("addons/{name}/addon.yaml"), from, to);
    }
    fleet.env.commit("A value of each");
    fleet.fitout("apply --all --yes").succeeded();
    fleet.is_settled();
    shows(&fleet, |real| real.after);

    // Back by fitout on one cluster, by Helm on another.
    let [staging, by_helm, _] = &fleet.clusters.all;
    for Real { name, .. } in CHARTS {
        fleet.fitout(&format!("rollback stg-01 {name}")).succeeded();
        by_helm.helm(&format!("rollback {name} 1 -n {name} --wait --timeout 60s"));
        for cluster in [staging, by_helm] {
            assert_eq!(
                cluster.history(name, name),
                "1 superseded Install complete\n2 superseded Upgrade complete\n\
                 3 deployed Rollback to 1\n"
            );
        }
    }
    for Real { name, shows: (object, path), before, after, .. } in CHARTS {
        let seen = fleet
            .clusters
            .all
            .each_ref()
            .map(|cluster| cluster.field(&format!("{object} -n {name}"), path));
        assert_eq!(seen, [before, before, after]);
    }
    fleet.fitout("diff --all --exit-code").exited(3);
    fleet.fitout("apply --all --yes").succeeded();
    fleet.is_settled();
    shows(&fleet, |real| real.after);

    for Real { name, .. } in CHARTS {
        fleet.fitout(&format!("uninstall stg-01 prod-02 --addon {name} --yes")).succeeded();
        by_helm.helm(&format!("uninstall {name} -n {name} --wait"));
    }
    for cluster in &fleet.clusters.all {
        assert_eq!(cluster.releases(), "");
        assert_eq!(cluster.objects(), "", "nothing is left");
        assert!(cluster.has("crd ingressroutes.traefik.io"), "CRDs stay, as with Helm");
        let crds = cluster.kubectl("get crd -o name");
        let crds: Vec<_> = crds.lines().filter(|crd| crd.ends_with("traefik.io")).collect();
        cluster.kubectl(&format!("delete {} --wait=false", crds.join(" ")));
    }
}

fn shows(fleet: &Fleet, value: impl Fn(&Real) -> &'static str) {
    for cluster in &fleet.clusters.all {
        for real in CHARTS {
            let (object, path) = real.shows;
            let seen = cluster.field(&format!("{object} -n {}", real.name), path);
            assert_eq!(seen, value(&real), "{} on {}", real.name, cluster.name);
        }
    }
}
