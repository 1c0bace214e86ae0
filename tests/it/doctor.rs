//! `fitout doctor` and `fitout rbac` on the worked example and its simulated clusters.

use insta::assert_snapshot;

use crate::env::Env;

/// What a command tells, without how long answers took.
fn run(env: &Env, args: &str) -> String {
    let told = env.run(args);
    let lines = told.lines().map(|line| match (line.find("answers in "), line.find(" ms")) {
        (Some(from), Some(to)) => format!("{}answers in N{}", &line[..from], &line[to..]),
        _ if line.trim_start().starts_with("\"millis\"") => "      \"millis\": N,".to_owned(),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_worked_example_is_all_well() {
    let env = Env::example();
    assert_snapshot!(run(&env, "doctor -l environment=staging"));
    assert_snapshot!(run(&env, "doctor stg-meyrin-01 --addon traefik -o json"));
}

#[test]
fn what_is_wrong_with_a_cluster_is_told_with_a_way_out() {
    let env = Env::small();
    env.write(
        "clusters/down.yaml",
        "apiVersion: fitout.dev/v1alpha1\nkind: Cluster\nmetadata: {name: down}\n\
         spec: {kubernetesVersion: \"1.35\", connection: {kubeconfigFile: none.kubeconfig}}\n",
    );
    env.replace("clusters/prod.yaml", "\"1.35\"", "\"1.33\"");
    let template = "apiVersion: x.example.org/v1\nkind: Thing\nmetadata: {name: thing}\n";
    env.write("addons/web/chart/templates/thing.yaml", template);
    assert_snapshot!(run(&env, "doctor prod"));
    assert_snapshot!(run(&env, "doctor dev --addon base -o markdown"));
    let told = run(&env, "doctor --all");
    assert!(told.contains("down: cannot be reached") && told.ends_with("exit 4"), "{told}");
}

#[test]
fn the_least_permissions_of_the_worked_example() {
    let env = Env::example();
    let subject = "--subject ServiceAccount:fitout/controller";
    assert_snapshot!(env.run(&format!("rbac {subject}")));
    assert_snapshot!(env.run("rbac stg-meyrin-01 --addon traefik --required-only --name traefik"));
}

#[test]
fn the_hub_has_to_allow_the_secrets_of_kubeconfigs_by_their_names() {
    let env = Env::small();
    assert_snapshot!(env.run("rbac --hub"));
    for name in ["prod-01", "prod-02"] {
        let text = format!(
            "apiVersion: fitout.dev/v1alpha1\nkind: Cluster\nmetadata: {{name: {name}}}\nspec:\n  \
             kubernetesVersion: \"1.35\"\n  \
             connection: {{kubeconfigSecret: {{namespace: fleet, name: {name}-kubeconfig}}}}\n"
        );
        env.write(&format!("clusters/{name}.yaml"), &text);
    }
    assert_snapshot!(env.run("rbac --hub --subject ServiceAccount:fitout/controller"));
}

#[test]
fn a_kind_of_which_no_chart_brings_the_crd_is_guessed_and_told() {
    let env = Env::small();
    let template = "apiVersion: x.example.org/v1\nkind: Thing\nmetadata: {name: thing}\n";
    env.write("addons/web/chart/templates/thing.yaml", template);
    let told = env.run("rbac dev --addon web --required-only");
    assert!(told.contains("warning: no chart on `dev` brings the CRD of `Thing.x.example.org`"));
    assert!(told.contains("resources: [things]"), "{told}");
    let told = env.run("rbac dev --subject ada");
    assert!(told.contains("it is `User:NAME`") && told.contains("exit 2"), "{told}");
}
