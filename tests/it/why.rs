//! `fitout why`: where a value comes from.

use insta::assert_snapshot;

use crate::env::Env;

fn env() -> Env {
    let env = Env::small();
    env.replace(
        "addons/web/addon.yaml",
        "  dependsOn:",
        "    - inline: {greeting: \"hello {{ .Cluster.name }}\"}\n  variants:\n    - clusters: {matchLabels: {environment: prod}}\n      values: {colour: green, limits: {cpu: \"2\"}}\n  dependsOn:",
    );
    env.replace(
        "clusters/prod.yaml",
        "spec:",
        "spec:\n  addons:\n    - name: web\n      values: {colour: red, shape: null}",
    );
    env
}

#[test]
fn every_layer_that_sets_a_value_is_named_newest_first() {
    assert_snapshot!(env().run("why prod web --value colour"));
}

#[test]
fn the_default_of_the_chart_is_told() {
    assert_snapshot!(env().run("why dev web --value shape"));
}

#[test]
fn a_value_that_is_deleted_is_explained() {
    assert_snapshot!(env().run("why prod web --value shape"));
}

#[test]
fn templated_values_are_shown_as_they_are_rendered() {
    assert_snapshot!(env().run("why dev web --value greeting"));
}

#[test]
fn a_table_is_told_value_by_value() {
    let env = Env::example();
    assert_snapshot!(env.run("why prod-prevessin-cpu-02 prometheus --value server"));
}

#[test]
fn defaults_of_subcharts_count_as_well() {
    let env = Env::example();
    assert_snapshot!(env.run("why stg-meyrin-01 prometheus --value server.resources.requests.cpu"));
}

#[test]
fn what_sounds_like_a_secret_is_not_shown() {
    let env = Env::example();
    let told = env.run("why stg-meyrin-01 eosxd --value keytab");
    assert!(told.contains("(hidden)") && !told.contains("example-keytab"), "{told}");
}

#[test]
fn programs_get_the_same() {
    assert_snapshot!(env().run("why prod web --value colour -o json"));
}

#[test]
fn wrong_names_and_paths_get_suggestions() {
    let env = env();
    env.replace("clusters/dev.yaml", "spec:", "spec:\n  addons: [{name: web, enabled: false}]");
    let told = [
        "why prd web --value colour",
        "why prod wep --value colour",
        "why prod web --value color",
        "why prod web --value limits.cpus",
        "why prod web --value limits..cpu",
        "why dev web --value colour",
    ];
    assert_snapshot!(told.map(|args| env.run(args)).join("\n"));
}
