//! `fitout parity`: two clusters of a fleet against each other.

use insta::assert_snapshot;

use crate::env::Env;

/// `dev` and `prod` alike, and `prod-2`, which is to take the place of `prod`.
fn env() -> Env {
    let env = Env::small();
    let prod = env.read("clusters/prod.yaml");
    let facts = |zone: &str| format!("spec:\n  facts: {{zone: {zone}}}");
    env.write("clusters/prod.yaml", &prod.replace("spec:", &facts("a")));
    env.replace("clusters/dev.yaml", "spec:", &facts("b"));
    let green = prod.replace("name: prod", "name: prod-2").replace("spec:", &facts("b"));
    env.write("clusters/prod-2.yaml", &green);
    env.replace(
        "addons/web/addon.yaml",
        "  dependsOn:",
        "    - inline: {host: \"{{ .Cluster.name }}.{{ .Cluster.facts.zone }}.example.org\", zone: \"{{ .Cluster.facts.zone }}\"}\n  dependsOn:",
    );
    env
}

#[test]
fn what_is_a_clusters_own_does_not_keep_it_from_taking_the_others_place() {
    let env = env();
    assert_snapshot!(env.run("parity prod prod-2 --exit-code"));
}

#[test]
fn what_is_missing_or_said_otherwise_is_named_with_its_place() {
    let env = env();
    env.replace(
        "clusters/prod-2.yaml",
        "spec:",
        "spec:\n  addons:\n    - {name: base, enabled: false}\n    - {name: web, values: {size: 9}}",
    );
    env.replace("addons/web/addon.yaml", "  dependsOn:\n", "  # dependsOn:\n");
    let addon = env.read("addons/web/addon.yaml");
    let (head, _) = addon.split_once("  # dependsOn:").expect("it is there");
    env.write("addons/web/addon.yaml", head);
    assert_snapshot!(env.run("parity prod prod-2 --exit-code"));
    assert_snapshot!("lacks_as_json", env.run("parity prod prod-2 -o json"));
}

#[test]
fn a_label_of_another_value_is_no_parity() {
    let env = env();
    assert_snapshot!(env.run("parity dev prod-2 --exit-code"));
}

#[test]
fn a_cluster_that_is_not_there_is_told() {
    assert_snapshot!(env().run("parity prod prod-3"));
    assert_snapshot!("itself", env().run("parity prod prod"));
}

#[test]
fn a_cluster_that_has_not_what_git_says_is_not_at_parity() {
    let env = env();
    env.commit("Begin");
    let bare = env.run("parity prod prod-2 --live --exit-code");
    assert!(bare.contains("! is not ready on prod-2: it is not installed"), "{bare}");
    assert!(bare.ends_with("--- exit 3\n"), "{bare}");
    env.run("apply prod-2");
    let same = env.run("parity prod prod-2 --live --exit-code");
    // That blue has none of it is no trouble of green's.
    assert!(same.ends_with("prod-2 is at parity with prod\n--- exit 0\n"), "{same}");
}
