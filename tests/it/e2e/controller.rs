//! The controller over real clusters: changes go from staging to production, bad ones do not.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::fleet::Fleet;
use super::run::eventually;

/// Staging, one cluster of production, the rest.
const POLICY: &str = "apiVersion: fitout.dev/v1alpha1
kind: RolloutPolicy
metadata: {name: careful}
spec:
  stages:
    - {name: staging, clusters: {matchLabels: {environment: staging}}, soak: 1s}
    - {name: canary, clusters: {matchLabels: {environment: prod}}, pick: {atLeast: 1}, soak: 1s}
    - {name: prod, clusters: {matchLabels: {environment: prod}}}
  progressDeadline: 6s
";

/// Until nothing is under way.
const ONCE: &str = "controller --once --pace 200ms --interval 1s --listen off";
/// Until it is ended.
const ON: &str = "controller --pace 200ms --interval 1s --resync 1s --listen off";

/// A fleet with `web` under [`POLICY`].
fn staged() -> Option<Fleet> {
    let fleet = Fleet::web()?;
    fleet.env.write("policies/careful.yaml", POLICY);
    fleet.env.replace(
        "addons/web/addon.yaml",
        "    - file: values.yaml\n",
        "    - file: values.yaml\n    - {file: \"values/{{ .Cluster.labels.environment }}.yaml\", \
         optional: true}\n  rollout: {policy: careful}\n",
    );
    fleet.env.commit("A policy");
    Some(fleet)
}

/// The log of an addon's newest rollout: `EVENT` or `EVENT CLUSTER`, in order.
fn log(fleet: &Fleet, addon: &str) -> Vec<String> {
    let events = events_of(fleet, addon);
    let line = |event: &Json| {
        let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
        let subject = match (text("cluster"), text("stage")) {
            (cluster, _) if !cluster.is_empty() => cluster,
            (_, stage) => stage,
        };
        format!("{} {subject}", text("event")).trim().to_owned()
    };
    events.iter().map(line).collect()
}

/// The events of a rollout, or of an addon's newest; none where there is no rollout yet.
fn events_of(fleet: &Fleet, rollout: &str) -> Vec<Json> {
    let ran = fleet.fitout(&format!("rollout show {rollout} -o json"));
    if ran.code == Some(2) {
        return Vec::new();
    }
    let shown: Json = serde_json::from_str(&ran.succeeded().out).expect("it is JSON");
    shown["events"].as_array().expect("it has events").clone()
}

/// These lines are in the log, in this order.
#[track_caller]
fn in_order(log: &[String], wanted: &[&str]) {
    let mut rest = log.iter();
    for line in wanted {
        assert!(rest.any(|one| one == line), "no `{line}` behind those before it in {log:#?}");
    }
}

/// When the newest revision of a release came, on each cluster, as Helm has it.
fn came(fleet: &Fleet, namespace: &str, release: &str) -> BTreeMap<String, String> {
    let all = fleet.clusters.all.iter();
    let came = all.map(|cluster| {
        let out = cluster.helm(&format!("status {release} -n {namespace} -o json"));
        let status: Json = serde_json::from_str(&out).expect("helm prints JSON");
        let at = status["info"]["last_deployed"].as_str().expect("Helm's record has it");
        (cluster.name.clone(), at.to_owned())
    });
    came.collect()
}

/// The cluster of production that the canary stage takes, and the other one.
fn canary_and_rest(log: &[String]) -> (String, String) {
    let of_prod = log.iter().filter_map(|line| line.strip_prefix("instance.started prod-"));
    let mut of_prod = of_prod.map(|rest| format!("prod-{rest}"));
    let canary = of_prod.next().expect("the canary stage has begun");
    let rest = if canary == "prod-01" { "prod-02" } else { "prod-01" };
    (canary, rest.to_owned())
}

#[test]
fn the_example_goes_through_its_stages_and_a_bad_change_is_stopped() {
    let Some(fleet) = Fleet::example() else { return };
    let policies = fleet.env.read("policies/rollout.yaml");
    let quick = |line: &str| match line.split_once("soak: ") {
        Some((before, _)) => format!("{before}soak: 1s"),
        None => line.replace("progressDeadline: 10m", "progressDeadline: 15s"),
    };
    let policies: Vec<_> = policies.lines().map(quick).collect();
    fleet.env.write("policies/rollout.yaml", &(policies.join("\n") + "\n"));
    fleet.env.commit("Quick stages");

    // The policy of eosxd asks somebody before it goes to the rest of production.
    fleet.fitout(ONCE).exited(5);
    fleet.fitout("rollout approve eosxd --by ada").succeeded();
    fleet.fitout(ONCE).succeeded();
    for cluster in &fleet.clusters.all {
        assert_eq!(cluster.releases().matches(" deployed ").count(), 4, "{}", cluster.releases());
    }
    fleet.is_settled();

    fleet.env.replace("addons/traefik/values.yaml", "logLevel: INFO", "logLevel: DEBUG");
    let good = fleet.env.commit("Log more");
    fleet.fitout(ONCE).succeeded();
    in_order(
        &log(&fleet, "traefik"),
        &[
            "stage.started staging",
            "instance.applied stg-01",
            "instance.healthy stg-01",
            "stage.passed staging",
            "stage.started canary",
            "stage.passed canary",
            "rollout.completed",
        ],
    );
    let times = came(&fleet, "ingress", "traefik");
    assert!(times["stg-01"] < times["prod-01"] && times["stg-01"] < times["prod-02"], "{times:?}");
    for cluster in &fleet.clusters.all {
        let history = "1 superseded Install complete\n2 deployed Upgrade complete\n";
        assert_eq!(cluster.history("ingress", "traefik"), history);
        let rev = "'.metadata.annotations.fitout\\.dev/revision'".trim_matches('\'').to_owned();
        let seen = cluster.field("secret sh.helm.release.v1.traefik.v2 -n ingress", &rev);
        assert_eq!(seen, good);
    }

    fleet.env.replace("addons/prometheus/values.yaml", "tag: v3.8.0", "tag: v3.9.0-broken");
    fleet.env.commit("A tag that is not there");
    fleet.fitout(ONCE).exited(5);
    in_order(
        &log(&fleet, "prometheus"),
        &[
            "stage.started staging",
            "instance.failed stg-01",
            "rollout.stopped staging",
            "instance.rolledBack stg-01",
            "rollout.rolledBack",
        ],
    );
    let [staging, production @ ..] = &fleet.clusters.all;
    assert_eq!(
        staging.history("monitoring", "prometheus"),
        "1 superseded Install complete\n2 failed Release failed\n3 deployed Rollback to 1\n"
    );
    staging.kubectl("rollout status deployment -n monitoring --timeout=30s");
    for cluster in production {
        let history = "1 deployed Install complete\n";
        assert_eq!(cluster.history("monitoring", "prometheus"), history);
    }
    // What was stopped is not tried again by itself.
    fleet.fitout(ONCE).exited(5);
    assert_eq!(staging.history("monitoring", "prometheus").lines().count(), 3);
}

#[test]
fn a_change_that_is_bad_in_production_only_is_stopped_by_the_canary() {
    let Some(fleet) = staged() else { return };
    fleet.fitout(ONCE).succeeded();
    fleet.env.write("addons/web/values/prod.yaml", "tag: 2.0-broken\n");
    fleet.set("motd: hello", "motd: changed");
    fleet.fitout(ONCE).exited(5);
    let log = log(&fleet, "web");
    let (canary, rest) = canary_and_rest(&log);
    in_order(
        &log,
        &[
            "stage.passed staging",
            &format!("instance.failed {canary}"),
            "rollout.stopped canary",
            &format!("instance.rolledBack {canary}"),
            "rollout.rolledBack",
        ],
    );
    assert_eq!(
        fleet.history("stg-01"),
        "1 superseded Install complete\n2 deployed Upgrade complete\n"
    );
    assert_eq!(
        fleet.history(&canary),
        "1 superseded Install complete\n2 failed Release failed\n3 deployed Rollback to 1\n"
    );
    assert_eq!(fleet.history(&rest), "1 deployed Install complete\n");
    let image = fleet
        .clusters
        .named(&canary)
        .field("deployment web -n web", ".spec.template.spec.containers[0].image");
    assert_eq!(image, "registry.example.org/web:1.0");
    fleet.fitout("status").says("rolled back");
}

#[test]
fn a_train_goes_through_its_stages_together_and_back_together() {
    let Some(fleet) = staged() else { return };
    fleet.env.replace("policies/careful.yaml", "spec:\n", "spec:\n  train: true\n");
    // What web depends on is another release of the same chart.
    let web = fleet.env.read("addons/web/addon.yaml");
    let base = web.replace("name: web", "name: base").replace("namespace: web", "namespace: base");
    fleet.env.write("addons/base/addon.yaml", &base);
    for file in ["values.yaml", "chart/Chart.yaml", "chart/templates/all.yaml"] {
        let text = fleet.env.read(&format!("addons/web/{file}"));
        fleet.env.write(&format!("addons/base/{file}"), &text);
    }
    fleet.env.write("addons/web/addon.yaml", &format!("{web}  dependsOn: [{{addon: base}}]\n"));
    fleet.env.commit("A train");
    fleet.fitout(ONCE).succeeded();

    let staging = fleet.clusters.named("stg-01");
    // Bad in production only, and only the dependant.
    fleet.env.write("addons/web/values/prod.yaml", "tag: 2.0-broken\n");
    for addon in ["base", "web"] {
        let values = format!("addons/{addon}/values.yaml");
        fleet.env.replace(&values, "motd: hello", "motd: changed");
    }
    fleet.env.commit("Both, and web is bad in production");
    fleet.fitout(ONCE).exited(5);
    fleet.fitout("rollout show base").says("in one train with `web`");
    let web = log(&fleet, "web");
    let base = log(&fleet, "base");
    let (canary, rest) = canary_and_rest(&web);
    for log in [&web, &base] {
        in_order(
            log,
            &[
                "stage.passed staging",
                &format!("instance.started {canary}"),
                "rollout.stopped canary",
                &format!("instance.rolledBack {canary}"),
                "rollout.rolledBack",
            ],
        );
    }
    // In the order of the graph, and back the other way round.
    let at = |addon: &str, event: &str| {
        let events = events_of(&fleet, addon);
        let is_it = |one: &&Json| one["event"] == event && one["cluster"] == canary.as_str();
        let found = events.iter().find(is_it).map(|one| one["at"].as_str().unwrap().to_owned());
        found.unwrap_or_else(|| panic!("no {event} of {addon} on {canary}"))
    };
    assert!(at("base", "instance.healthy") <= at("web", "instance.started"));
    assert!(at("web", "instance.rolledBack") < at("base", "instance.rolledBack"));
    let changed = "1 superseded Install complete\n2 deployed Upgrade complete\n";
    assert_eq!(staging.history("base", "base"), changed);
    assert_eq!(staging.history("web", "web"), changed);
    let back = fleet.clusters.named(&canary).history("base", "base");
    assert!(back.contains("3 deployed Rollback to 1"), "{back}");
    let spared = fleet.clusters.named(&rest).history("base", "base");
    assert_eq!(spared, "1 deployed Install complete\n");
    for addon in ["base", "web"] {
        let replayed = fleet.fitout(&format!("rollout replay {addon}")).succeeded().out;
        assert!(replayed.contains("all as recorded"), "{replayed}");
    }

    // Git mends the one, and both go.
    fleet.env.write("addons/web/values/prod.yaml", "motd: mended\n");
    fleet.env.commit("Mend web");
    fleet.fitout(ONCE).succeeded();
    for addon in ["base", "web"] {
        in_order(&log(&fleet, addon), &["stage.passed canary", "rollout.completed"]);
    }
    fleet.is_settled();
}

#[test]
fn a_controller_that_is_killed_again_and_again_ends_where_it_would_have_ended() {
    let Some(fleet) = staged() else { return };
    fleet.fitout(ONCE).succeeded();
    fleet.set("motd: hello", "motd: changed\nextra: [more]");
    // As soon as so many events are on record, all through the stages.
    for events in [1, 2, 3, 4, 6, 9, 11, 12, 15, 18, 20, 22] {
        let mut killed = fleet.spawn(ON);
        let is_so_far = || events_of(&fleet, "web-2").len() >= events;
        eventually("the rollout goes on", Duration::from_mins(1), is_so_far);
        killed.kill().expect("it is our child");
        killed.wait().expect("it is our child");
    }
    fleet.fitout(ONCE).succeeded();
    let log = log(&fleet, "web");
    let (canary, rest) = canary_and_rest(&log);
    in_order(
        &log,
        &[
            "rollout.started",
            "stage.started staging",
            "stage.passed staging",
            "stage.started canary",
            "stage.passed canary",
            "stage.started prod",
            "stage.passed prod",
            "rollout.completed",
        ],
    );
    for once in ["rollout.started", "instance.applied stg-01", "stage.passed canary"] {
        assert_eq!(log.iter().filter(|line| *line == once).count(), 1, "{once} in {log:#?}");
    }
    for cluster in &fleet.clusters.all {
        assert_eq!(
            fleet.history(&cluster.name),
            "1 superseded Install complete\n2 deployed Upgrade complete\n"
        );
        assert!(cluster.has("configmap more -n web"));
    }
    let times = came(&fleet, "web", "web");
    assert!(times["stg-01"] < times[&canary] && times[&canary] < times[&rest], "{times:?}");
    fleet.is_settled();
}

/// Somebody changes `motd` on staging.
fn edit(fleet: &Fleet) {
    let patch = "{\"data\":{\"motd\":\"edited\"}}";
    fleet.staging().kubectl(&format!("patch configmap web -n web --type merge -p {patch}"));
}

#[test]
fn a_controller_that_is_fought_waits_longer_each_time_and_says_so() {
    let Some(fleet) = staged() else { return };
    let mut controller = fleet.spawn(ON);
    let limit = Duration::from_mins(1);
    let staging = fleet.staging();
    let motd = || staging.field("configmap web -n web", ".data.motd");
    let is_up = || staging.releases().contains("web/web deployed");
    eventually("staging is up", limit, is_up);
    eventually("it is at rest", limit, || {
        fleet.fitout("why stg-01 web").succeeded().out.contains("is as git says")
    });
    // Looked at each second, the same field is put back at once twice; then after 2 s, 4 s, 8 s.
    let mut pauses = Vec::new();
    for _ in 0..5 {
        edit(&fleet);
        let began = Instant::now();
        eventually("it is put back", limit, || motd() == "hello");
        pauses.push(began.elapsed());
    }
    let (first, last) = (pauses[0], pauses[4]);
    assert!(last > Duration::from_secs(5) && last > first * 2, "{pauses:?}");
    edit(&fleet);
    fleet
        .fitout("why stg-01 web")
        .succeeded()
        .says("`kubectl-patch` (Update) fights over `.data.motd` of ConfigMap/web/web: put back 5 times")
        .says("not put back before 20");
    controller.kill().expect("it is our child");
    controller.wait().expect("it is our child");
}

#[test]
fn what_an_addon_says_of_drift_is_what_the_controller_does() {
    let Some(fleet) = staged() else { return };
    let staging = fleet.staging();
    let motd = || staging.field("configmap web -n web", ".data.motd");
    fleet.env.replace("addons/web/addon.yaml", "placement: {}", "placement: {}\n  onDrift: report");
    fleet.env.commit("Only say it");
    fleet.fitout("apply stg-01 --yes").succeeded();
    edit(&fleet);
    fleet.fitout("status stg-01").succeeded().says("drifted");
    fleet.fitout(ONCE);
    assert_eq!(motd(), "edited");
    fleet.env.replace("addons/web/addon.yaml", "onDrift: report", "onDrift: heal");
    fleet.env.commit("Put it back");
    fleet.fitout(ONCE);
    assert_eq!(motd(), "hello");
}

#[test]
fn a_controller_heals_drift_and_goes_on_with_a_cluster_that_comes_back() {
    let Some(fleet) = staged() else { return };
    let labels = "{environment: prod}";
    fleet.env.write("down.kubeconfig", &super::refusals::closed());
    fleet.write_cluster("prod-02", labels, "kubeconfigFile: down.kubeconfig");
    fleet.env.commit("One cluster is down");
    let mut controller = fleet.spawn(ON);
    let limit = Duration::from_mins(1);
    let is_up = |name: &str| fleet.clusters.named(name).releases().contains("web/web deployed");
    eventually("staging is up", limit, || is_up("stg-01"));
    eventually("the cluster of production that answers is up", limit, || is_up("prod-01"));

    let staging = fleet.staging();
    staging.kubectl("patch configmap web -n web --type merge -p {\"data\":{\"motd\":\"edited\"}}");
    let is_healed = || staging.field("configmap web -n web", ".data.motd") == "hello";
    eventually("the drift is healed", limit, is_healed);
    assert_eq!(fleet.history("stg-01"), "1 deployed Install complete\n");

    fleet.write_cluster("prod-02", labels, "context: prod-02");
    fleet.env.commit("It is back");
    eventually("it gets what it lacks", limit, || is_up("prod-02"));
    controller.kill().expect("it is our child");
    controller.wait().expect("it is our child");
    fleet.fitout(ONCE).succeeded();
    fleet.is_settled();
}
