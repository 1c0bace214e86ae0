//! `fitout validate`: everything that is wrong, at once, each with its place and a way out.

use insta::assert_snapshot;

use crate::env::Env;

#[test]
fn the_worked_example_is_as_it_should_be() {
    assert_snapshot!(Env::example().run("validate"));
}

#[test]
fn a_misspelt_field_gets_a_suggestion() {
    let env = Env::example();
    env.replace("addons/traefik/addon.yaml", "namespace: ingress", "namespase: ingress");
    env.commit("Misspell a field");
    assert_snapshot!(env.run("validate"));
}
