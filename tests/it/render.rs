//! `fitout render`: what git says, as YAML.

use insta::assert_snapshot;

use crate::env::Env;

#[test]
fn an_instance_is_printed_below_a_header() {
    assert_snapshot!(Env::small().run("render prod --addon web"));
}

#[test]
fn files_are_written_for_each_cluster_and_addon() {
    let env = Env::small();
    let told = env.run("render --all --output-dir out");
    let mut files = Vec::new();
    for cluster in ["dev", "prod"] {
        for addon in ["base", "web"] {
            let path = format!("out/{cluster}/{addon}.yaml");
            files.push(format!("{path}: {}", env.read(&path).lines().next().unwrap_or_default()));
        }
    }
    assert_snapshot!(format!("{told}{}", files.join("\n")));
}

#[test]
fn clusters_are_chosen_by_label() {
    let told = Env::small().run("render -l environment!=dev --addon base");
    assert!(told.contains("# prod/base:") && !told.contains("# dev/base:"), "{told}");
}

#[test]
fn a_revision_is_rendered_as_it_was() {
    let env = Env::small();
    env.commit("Begin");
    env.replace("addons/web/values.yaml", "colour: grey", "colour: blue");
    let now = env.run("render dev --addon web");
    let then = env.run("render dev --addon web --rev HEAD");
    assert!(now.contains("colour: \"blue\""), "{now}");
    assert!(then.contains("colour: \"grey\""), "{then}");
}

#[test]
fn what_cannot_be_rendered_is_told_and_the_rest_goes_on() {
    let env = Env::small();
    env.write("addons/web/chart/templates/config.yaml", "a: {{ .Values.labels.team }}\n");
    assert_snapshot!(env.run("render dev"));
}

#[test]
fn random_values_are_said_to_be_placeholders() {
    let env = Env::small();
    let template = "apiVersion: v1\nkind: Secret\nmetadata: {name: key}\nstringData: {key: {{ randAlphaNum 8 }}}\n";
    env.write("addons/base/chart/templates/config.yaml", template);
    let first = env.run("render dev --addon base");
    assert!(first.contains("placeholders"), "{first}");
    assert_eq!(first, env.run("render dev --addon base"));
}

#[test]
fn wrong_names_get_suggestions() {
    let env = Env::small();
    let told =
        ["render", "render pord", "render dev --addon wbe", "render -l a=", "render -l a,,b"];
    assert_snapshot!(told.map(|args| env.run(args)).join("\n"));
}

#[test]
fn a_reader_that_has_had_enough_is_no_error() {
    let env = Env::example();
    let mut child = env.fitout(&["render", "--all"]);
    let mut child = child
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success());
}
