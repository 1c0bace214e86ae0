//! Two releases beside one another on a real API server, with traffic through an HTTPRoute.

use std::time::Duration;

use serde_json::Value as Json;

use super::clusters::Cluster;
use super::fleet::Fleet;
use super::run::eventually;
use crate::blue_green::{blue_green, fleet, tag, weights};
use crate::corpus::corpus;
use crate::env::copy;

const ON: &str = "controller --pace 200ms --interval 1s --resync 1s --listen off";
const ONCE: &str = "controller --once --pace 200ms --interval 1s --listen off";
const LIMIT: Duration = Duration::from_mins(1);

const POLICY: &str = "apiVersion: fitout.dev/v1alpha1
kind: RolloutPolicy
metadata: {name: careful}
spec:
  stages:
    - {name: staging, clusters: {matchLabels: {environment: staging}}, soak: 1s}
    - {name: prod, clusters: {matchLabels: {environment: prod}}}
  progressDeadline: 20s
";

/// A fleet with `web` behind an HTTPRoute: see [`crate::blue_green`].
fn behind_a_route(policy: &str, settings: &str) -> Option<Fleet> {
    let all = Fleet::empty()?;
    fleet(&all.env);
    all.env.write("policies/careful.yaml", POLICY);
    blue_green(&all.env, policy, &format!("traffic: {{httpRoute: {{name: web}}}}, {settings}"));
    Some(all)
}

fn route(cluster: &Cluster, name: &str) -> String {
    weights(&cluster.json(&format!("get httproute {name} -n web")))
}

/// The releases of the namespace as `helm list` has them, but for that of the route.
fn releases(cluster: &Cluster) -> Vec<String> {
    let out = cluster.helm("list -n web -o json");
    let all: Vec<Json> = serde_json::from_str(&out).expect("helm prints JSON");
    let told = all.iter().map(|one| {
        let text = |field: &str| one[field].as_str().unwrap_or_default();
        format!("{} {} {}", text("name"), text("revision"), text("status"))
    });
    told.filter(|one| !one.starts_with("front")).collect()
}

/// Of every release that has a part of the traffic, pods are ready.
#[track_caller]
fn nothing_goes_nowhere(cluster: &Cluster, name: &str) {
    for part in route(cluster, name).split(", ") {
        let (release, _) = part.rsplit_once(' ').expect("a name and a weight");
        let ready = cluster.field(&format!("deployment {release} -n web"), ".status.readyReplicas");
        assert!(!ready.is_empty() && ready != "0", "{part} and no pod is ready");
    }
}

#[test]
fn traffic_moves_in_steps_and_back_and_helm_reads_both_releases() {
    let steps = "keepFor: 2s, steps: [{weight: 10, soak: 500ms, checks: [{object: {kind: Deployment, \
                 name: web}, cel: \"self.status.readyReplicas >= 2\"}]}, {weight: 50, soak: 500ms}]";
    let Some(fleet) = behind_a_route("", steps) else { return };
    let staging = fleet.staging();
    fleet.fitout("apply stg-01 --yes").succeeded().says("web-blue has all of the traffic");
    assert_eq!(route(staging, "web"), "web-blue 100");
    fleet.is_settled_on("stg-01");

    tag(&fleet.env, "v2");
    let told = fleet.fitout("apply stg-01 --yes").succeeded();
    for weight in [10, 50, 100] {
        assert_eq!(told.lines_with(&format!("web-green gets {weight} % of the traffic")), 1);
    }
    assert_eq!(route(staging, "web"), "web-green 100");
    assert_eq!(releases(staging), ["web-blue 1 deployed", "web-green 1 deployed"]);
    let manifest = staging.helm("get manifest web-green -n web");
    assert!(manifest.contains("web:v2") && manifest.contains("name: web-green"), "{manifest}");
    let owner = staging.field("httproute web -n web", ".metadata.managedFields[*].manager");
    assert!(owner.contains("fitout-traffic"), "{owner}");
    // What is kept has all of it back at once, and goes in its time.
    fleet.fitout("rollback stg-01 web").succeeded().says("web-blue has all of the traffic");
    assert_eq!(route(staging, "web"), "web-blue 100");
    fleet.fitout("apply stg-01 --yes").succeeded();
    assert_eq!(route(staging, "web"), "web-green 100");
    let is_over = || {
        fleet.fitout("apply stg-01 --yes").succeeded();
        releases(staging) == ["web-green 1 deployed"]
    };
    eventually("the old one goes in its time", LIMIT, is_over);
    assert!(!staging.has("deployment web-blue -n web"));

    // A check that does not hold lets nothing through.
    fleet.env.replace("addons/web/addon.yaml", "readyReplicas >= 2", "readyReplicas >= 3");
    tag(&fleet.env, "v3");
    fleet.fitout("apply stg-01 --yes").exited(5).says("web-green has all of the traffic again");
    assert_eq!(route(staging, "web"), "web-green 100");
    assert_eq!(releases(staging), ["web-green 1 deployed"]);
    fleet.fitout("uninstall stg-01 --addon web --yes").succeeded();
    assert!(releases(staging).is_empty());
}

#[test]
fn the_controller_killed_in_mid_step_goes_on_and_takes_a_bad_one_back() {
    let steps = "keepFor: 1h, steps: [{weight: 10, soak: 3s}, {weight: 50, soak: 1s}]";
    let Some(fleet) = behind_a_route("policy: careful, ", steps) else { return };
    fleet.fitout(ONCE).succeeded();
    let staging = fleet.staging();
    for cluster in &fleet.clusters.all {
        assert_eq!(route(cluster, "web"), "web-blue 100");
    }
    tag(&fleet.env, "v2");
    for part in ["web-blue 90, web-green 10", "web-blue 50, web-green 50"] {
        let mut controller = fleet.spawn(ON);
        eventually(part, LIMIT, || route(staging, "web") == part);
        controller.kill().expect("it is our child");
        controller.wait().expect("it is our child");
        nothing_goes_nowhere(staging, "web");
        let why = fleet.fitout("why stg-01 web").succeeded();
        why.says("web-green (1.0.0)").says("of the traffic");
        assert_eq!(route(fleet.clusters.named("prod-01"), "web"), "web-blue 100");
    }
    fleet.fitout(ONCE).succeeded();
    for cluster in &fleet.clusters.all {
        assert_eq!(route(cluster, "web"), "web-green 100", "{}", cluster.name);
        assert_eq!(releases(cluster), ["web-blue 1 deployed", "web-green 1 deployed"]);
    }
    fleet.fitout("rollout replay web-2").succeeded().says("all as recorded");

    // Pods that are not ready get no traffic, and the release goes again.
    tag(&fleet.env, "v3-broken");
    fleet.fitout(ONCE).exited(5);
    for cluster in &fleet.clusters.all {
        assert_eq!(route(cluster, "web"), "web-green 100", "{}", cluster.name);
    }
    assert_eq!(releases(staging), ["web-green 1 deployed"]);
    let shown = fleet.fitout("rollout show web-3").succeeded();
    shown.says("rolled back").says("not healthy");
    fleet.fitout("why stg-01 web").succeeded().says("rolled back");

    // One that fails while it has a part of the traffic: its pods are gone.
    tag(&fleet.env, "v4");
    let mut controller = fleet.spawn(ON);
    let part = "web-blue 10, web-green 90";
    eventually(part, LIMIT, || route(staging, "web") == part);
    let image = "web=registry.example.org/web:v4-broken";
    staging.kubectl(&format!("set image deployment/web-blue {image} -n web"));
    staging.kubectl("delete pods -n web -l app.kubernetes.io/instance=web-blue --wait=false");
    eventually("all of it goes back", LIMIT, || route(staging, "web") == "web-green 100");
    eventually("it is taken back", LIMIT, || {
        fleet.fitout("rollout show web-4").out.contains("rolled back")
    });
    controller.kill().expect("it is our child");
    controller.wait().expect("it is our child");
    assert_eq!(route(staging, "web"), "web-green 100");
    assert!(!staging.has("deployment web-blue -n web"));
    assert_eq!(route(fleet.clusters.named("prod-01"), "web"), "web-green 100");
}

#[test]
fn traefik_stands_twice_behind_a_route() {
    let Some(corpus) = corpus() else {
        println!("skipped: neither FITOUT_CORPUS nor ../shared/corpus/corpus.tar.xz is there");
        return;
    };
    let steps = "keepFor: 1h, steps: [{weight: 10, soak: 500ms}, {weight: 50, soak: 500ms}]";
    let Some(fleet) = behind_a_route("", steps) else { return };
    fleet.env.remove("addons/web");
    let chart = fleet.env.fleet().join("addons/traefik/chart");
    std::fs::create_dir_all(&chart).expect("the folder is ours");
    copy(&corpus.join("charts/traefik/traefik"), &chart);
    let addon = |values: &str| {
        format!(
            "apiVersion: fitout.dev/v1alpha1\nkind: Addon\nmetadata: {{name: traefik}}\nspec:\n  \
             chart: {{path: chart}}\n  namespace: web\n  placement: {{}}\n  dependsOn: [{{addon: front}}]\n  \
             values: [{{inline: {{{values}}}}}]\n  health: {{timeout: 20s}}\n  \
             rollout: {{strategy: {{blueGreen: {{traffic: {{httpRoute: {{name: web}}}}, {steps}}}}}}}\n"
        )
    };
    // The ports of a node are there once.
    fleet.env.write("addons/traefik/addon.yaml", &addon("hostNetwork: true"));
    fleet.env.replace(
        "addons/front/addon.yaml",
        "names: [web, web-blue, web-green]",
        "names: [traefik-blue, traefik-green]",
    );
    fleet.env.commit("Traefik");
    let refused = fleet.fitout("validate").exited(1);
    refused
        .says("error[cannot-run-twice]: Deployment/web/traefik-blue cannot stand twice: it uses");
    let values = "service: {type: ClusterIP}";
    fleet.env.write("addons/traefik/addon.yaml", &addon(values));
    fleet.env.commit("Not on the network of its node");
    fleet.fitout("validate").succeeded();
    let staging = fleet.staging();
    fleet.fitout("apply stg-01 --yes").succeeded();
    assert_eq!(route(staging, "web"), "traefik-blue 100");
    let values = format!("{values}, log: {{level: DEBUG}}");
    fleet.env.write("addons/traefik/addon.yaml", &addon(&values));
    fleet.env.commit("Log more");
    let told = fleet.fitout("apply stg-01 --yes").succeeded();
    told.says("traefik-green gets 10 % of").says("traefik-green gets 50 % of");
    assert_eq!(route(staging, "web"), "traefik-green 100");
    assert_eq!(releases(staging), ["traefik-blue 1 deployed", "traefik-green 1 deployed"]);
    fleet.fitout("rollback stg-01 traefik").succeeded();
    assert_eq!(route(staging, "web"), "traefik-blue 100");
}
