//! Switch policies: what `fitout validate` finds, what `fitout preview` tells, and the commands where nothing has
//! begun.

use insta::assert_snapshot;

use crate::env::Env;

const POLICY: &str = "\
apiVersion: fitout.dev/v1alpha1
kind: SwitchPolicy
metadata: {name: batch}
spec:
  clusters: {matchLabels: {environment: prod}}
  pair: {by: [environment]}
  gates:
    - approval: {count: 1}
  switch:
    patch: {apiVersion: v1, kind: Service, namespace: edge, name: batch, merge: {spec: {externalName: \"$(to).example.org\"}}}
  drain: 30m
";

/// The small fleet with a policy, and clusters of that many.
fn env(policy: &str, clusters: &[&str]) -> Env {
    let env = Env::small();
    env.write("policies/batch.yaml", policy);
    for name in clusters {
        let text = env.read("clusters/prod.yaml").replace("name: prod", &format!("name: {name}"));
        env.write(&format!("clusters/{name}.yaml"), &text);
    }
    env
}

#[test]
fn a_pair_of_two_is_as_it_should_be() {
    assert_snapshot!(env(POLICY, &["prod-2"]).run("validate"));
}

#[test]
fn three_in_a_pair_are_a_finding() {
    assert_snapshot!(env(POLICY, &["prod-2", "prod-3"]).run("validate"));
}

#[test]
fn a_cluster_that_can_have_no_pair_is_told() {
    let policy = POLICY.replace("by: [environment]", "by: [environment, site]");
    let env = env(&policy, &["prod-2"]);
    env.replace("clusters/prod-2.yaml", "environment: prod", "environment: prod, site: a");
    env.replace("clusters/prod-2.yaml", "spec:", "spec:\n  replaces: prod");
    assert_snapshot!(env.run("validate"));
}

#[test]
fn hooks_and_gates_that_cannot_work_are_told() {
    let hook = "switch:\n    patch: {apiVersion: v1, kind: Service, name: batch, cluster: prd, merge: {spec: {externalName: fixed}}, json: [{op: put}]}\n  parity: {allow: [{reason: lazy}, {addon: wbe, reason: known}]}";
    let (head, _) = POLICY.split_once("switch:").expect("it has a hook");
    let policy = format!("{head}{hook}\n")
        .replace("approval: {count: 1}", "rollout: {addon: web}")
        .replace("by: [environment]", "by: []");
    assert_snapshot!(env(&policy, &[]).run("validate"));
    let policy = POLICY.replace("$(to).example.org", "$(to.facts.domain)");
    assert_snapshot!("a_reference_that_leads_nowhere", env(&policy, &[]).run("validate"));
    let other = POLICY.replace("name: batch", "name: other");
    let two = env(POLICY, &[]);
    two.write("policies/other.yaml", &other);
    assert_snapshot!("two_policies", two.run("validate"));
}

#[test]
fn a_change_that_makes_a_pair_is_told() {
    let env = env(POLICY, &[]);
    env.commit("Begin");
    let text = env.read("clusters/prod.yaml").replace("name: prod", "name: prod-2");
    env.write("clusters/prod-2.yaml", &text);
    env.commit("The next one");
    let told = env.run("preview --base HEAD~1");
    let (_, told) = told.split_once("Switches").expect("it tells of switches");
    assert_snapshot!(told);
}

#[test]
fn where_nothing_has_begun_the_commands_say_so() {
    let env = env(POLICY, &["prod-2"]);
    env.commit("Begin");
    assert_snapshot!(env.run("switch list"));
    assert_snapshot!("why_alone", env.run("why dev"));
    assert_snapshot!("why_of_two", env.run("why prod-2"));
    assert_snapshot!("show", env.run("switch show prod-2"));
    assert_snapshot!("serves", env.run("switch serves prod --by ada"));
    assert_snapshot!("list", env.run("switch list"));
    assert_snapshot!("serves_none", env.run("switch serves dev --by ada"));
}
