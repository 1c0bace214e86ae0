//! Gates that ask somebody else, over real clusters.

use std::time::Duration;

use super::fleet::Fleet;
use super::run::eventually;
use crate::prometheus::Prometheus;

/// Until nothing is under way.
const ONCE: &str = "controller --once --pace 200ms --interval 1s --listen off";
/// Until it is ended.
const ON: &str = "controller --pace 200ms --interval 1s --resync 1s --listen off";

/// A fleet with `web` on every cluster, under a policy whose first stage has a gate.
fn gated(gate: &str) -> Option<Fleet> {
    let fleet = Fleet::web()?;
    fleet.fitout("apply --all --yes").succeeded();
    let policy = format!(
        "apiVersion: fitout.dev/v1alpha1\nkind: RolloutPolicy\nmetadata: {{name: gated}}\nspec:\n  \
         stages:\n    - name: staging\n      clusters: {{matchLabels: {{environment: staging}}}}\n      \
         gates: [{gate}]\n    - {{name: prod, clusters: {{matchLabels: {{environment: prod}}}}}}\n  \
         progressDeadline: 20s\n"
    );
    fleet.env.write("policies/gated.yaml", &policy);
    let values = "    - file: values.yaml\n";
    let with_policy = format!("{values}  rollout: {{policy: gated}}\n");
    fleet.env.replace("addons/web/addon.yaml", values, &with_policy);
    fleet.env.commit("A policy with a gate");
    Some(fleet)
}

#[test]
fn a_canary_that_is_worse_than_control_is_stopped_and_one_that_is_not_passes() {
    let prometheus = Prometheus::start();
    let gate = format!(
        "{{prometheus: {{name: errors, url: \"{}\", query: 'errors{{cluster=~\"$clusters|$control\"}}', \
         compareTo: control, interval: 1s}}}}",
        prometheus.url()
    );
    let Some(fleet) = gated(&gate) else { return };
    // Nothing is known of production.
    prometheus.sees(&[("stg-01", 0.01)]);
    fleet.set("motd: hello", "motd: changed");
    let mut controller = fleet.spawn(ON);
    let limit = Duration::from_mins(1);
    let why = || fleet.fitout("why stg-01 web").out;
    let told = "gate errors: the query has no data of the clusters to compare with";
    eventually("it waits for data", limit, || why().contains(told));
    // Production is a little better: within the tolerance.
    prometheus.sees(&[("stg-01", 0.0104), ("prod-01", 0.01), ("prod-02", 0.01)]);
    eventually("it says how much evidence there is", limit, || {
        why().contains(
            "gate errors: undecided: stg-01 was worse than control by more than 10% in 0 of",
        )
    });
    controller.kill().expect("it is our child");
    controller.wait().expect("it is our child");
    // A controller that begins anew has the same samples.
    fleet.fitout(ONCE).succeeded();
    let shown = fleet.fitout("rollout show web-1").succeeded();
    shown.says("errors gate passed: no worse than control: stg-01 was by more than 10% in 0 of");
    fleet.fitout("rollout replay web-1").succeeded().says("all as recorded");

    prometheus.sees(&[("stg-01", 0.2), ("prod-01", 0.01), ("prod-02", 0.01)]);
    fleet.set("motd: changed", "motd: worse");
    fleet.fitout(ONCE).exited(5);
    let shown = fleet.fitout("rollout show web-2").succeeded();
    shown
        .says("errors gate broken: stg-01 is worse than control, by more than 10% in")
        .says("rolled back");
    fleet.fitout("rollout replay web-2").succeeded().says("all as recorded");
    for cluster in &fleet.clusters.all {
        let motd = cluster.field("configmap web -n web", ".data.motd");
        assert_eq!(motd, "changed", "{}", cluster.name);
    }
}

/// A Job that says something; a tag with `crash` lets it fail, one with `broken` never begin.
fn smoke(tag: &str) -> String {
    format!(
        "apiVersion: batch/v1
kind: Job
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: smoke
          image: registry.example.org/smoke:{tag}
          env: [{{name: LOG, value: \"trying\\nno answer with hunter2-first\"}}]
"
    )
}

#[test]
fn a_job_is_run_once_for_each_change_and_one_that_fails_stops_it() {
    let Some(fleet) = gated("{job: {name: smoke, file: jobs/smoke.yaml}}") else { return };
    let staging = fleet.staging();
    let jobs = || staging.field("jobs -n web", ".items[*].metadata.uid");
    fleet.env.write("policies/jobs/smoke.yaml", &smoke("1"));
    fleet.set("motd: hello", "motd: changed");
    let rbac = fleet.fitout("rbac stg-01").succeeded();
    rbac.says("- apiGroups: [batch]\n  resources: [jobs]\n  verbs: [get, create, patch]\n");
    fleet.fitout(ONCE).succeeded();
    let shown = fleet.fitout("rollout show web-1").succeeded();
    shown.says("staging  smoke gate passed: succeeded on `stg-01`");
    fleet.fitout("rollout replay web-1").succeeded().says("all as recorded");
    let stays = staging.field("jobs -n web", ".items[*].spec.ttlSecondsAfterFinished");
    assert_eq!(stays, "600", "it goes by itself soon");

    fleet.env.write("policies/jobs/smoke.yaml", &smoke("1-crash"));
    fleet.set("motd: changed", "motd: bad");
    fleet.fitout(ONCE).exited(5);
    let shown = fleet.fitout("rollout show web-2").succeeded().hides("hunter2");
    shown
        .says("smoke gate broken: Job web/web-smoke-")
        .says("container `smoke` said: trying | no answer with ")
        .says("rolled back");
    let failed = jobs();
    assert_eq!(failed.split_whitespace().count(), 2, "one that has failed stays");

    // One that is not over is waited for, by every controller that begins anew, and is not made again.
    fleet.env.write("policies/jobs/smoke.yaml", &smoke("1-broken"));
    fleet.set("motd: bad", "motd: third");
    let limit = Duration::from_mins(1);
    let why = || fleet.fitout("why stg-01 web").out;
    let mut before = String::new();
    for _ in 0..3 {
        let mut controller = fleet.spawn(ON);
        eventually("it says what it waits for", limit, || {
            why().contains("gate smoke: Job web/web-smoke-") && why().contains("smoke:1-broken")
        });
        controller.kill().expect("it is our child");
        controller.wait().expect("it is our child");
        let now = jobs();
        let count = now.split_whitespace().count();
        assert_eq!(count, 3, "one that has passed, the failed one, and one of this change");
        assert!(before.is_empty() || before == now, "{before} {now}");
        before = now;
    }
    fleet.fitout("rollout promote web-3 --reason looked-at-it").succeeded();
    fleet.fitout(ONCE).succeeded();
    fleet.is_settled();
}

#[test]
fn the_tests_of_a_release_let_a_stage_pass_or_stop_it() {
    let Some(fleet) = gated("{job: {name: tests, helmTest: true}}") else { return };
    let staging = fleet.staging();
    let says = "asking\nno answer with hunter2-first";
    let test = super::hooks::hook(
        "Job",
        "name: check",
        "helm.sh/hook: test",
        "{{ .Values.testTag }}",
        says,
    );
    fleet.env.write("addons/web/chart/templates/test.yaml", &test);
    fleet.set("motd: hello", "motd: changed\ntestTag: \"1\"");
    fleet.fitout(ONCE).succeeded();
    let shown = fleet.fitout("rollout show web-1").succeeded();
    shown.says("staging  tests gate passed: succeeded on `stg-01`");
    fleet.fitout("rollout replay web-1").succeeded().says("all as recorded");
    let status = staging.helm("status web -n web");
    assert!(status.contains("TEST SUITE:     check") && status.contains("Succeeded"), "{status}");

    fleet.set("testTag: \"1\"", "testTag: 1-crash");
    fleet.fitout(ONCE).exited(5);
    let shown = fleet.fitout("rollout show web-2").succeeded().hides("hunter2");
    shown
        .says("tests gate broken: the tests of web/web on stg-01 failed: test `check` failed: ")
        .says("container `a` said: asking | no answer with ")
        .says("rolled back");
    fleet.fitout("rollout replay web-2").succeeded().says("all as recorded");
}
