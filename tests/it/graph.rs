//! `fitout graph`: what depends on what.

use insta::assert_snapshot;

use crate::env::Env;

#[test]
fn the_fleet_is_drawn_without_an_argument() {
    assert_snapshot!(Env::small().run("graph"));
}

#[test]
fn clusters_that_look_alike_are_drawn_once() {
    let env = Env::small();
    assert_snapshot!(env.run("graph --all"));
    env.replace("clusters/dev.yaml", "spec:", "spec:\n  addons: [{name: web, enabled: false}]");
    assert_snapshot!(env.run("graph dev prod"));
}

#[test]
fn one_addon_is_drawn_with_what_is_around_it() {
    let env = Env::example();
    assert_snapshot!(env.run("graph --addon eosxd"));
}

#[test]
fn the_objects_of_an_instance_are_drawn() {
    let env = Env::small();
    let template = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {spec: {containers: [{name: a, envFrom: [{configMapRef: {name: web}}]}]}}}\n";
    env.write("addons/web/chart/templates/web.yaml", template);
    assert_snapshot!(env.run("graph dev --addon web --objects"));
}

#[test]
fn it_can_be_read_by_programs() {
    let env = Env::small();
    let told = ["json", "dot", "mermaid"].map(|form| env.run(&format!("graph dev -o {form}")));
    assert_snapshot!(told.join("\n"));
}

#[test]
fn objects_need_a_cluster() {
    assert_snapshot!(Env::small().run("graph --objects"));
}

#[test]
fn a_cycle_is_one_finding_with_every_place() {
    let env = Env::small();
    env.replace("addons/base/addon.yaml", "spec:", "spec:\n  dependsOn: [{addon: cache}]");
    let cache = env.read("addons/base/addon.yaml").replace("base", "cache");
    env.write("addons/cache/addon.yaml", &cache.replace("addon: cache", "addon: web"));
    env.chart("addons/cache/chart", "cache", "0.1.0");
    assert_snapshot!(env.run("graph"));
}
