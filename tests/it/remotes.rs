//! `--repo` and `--rev`: the fleet at a revision, of a folder or of a remote.

use insta::assert_snapshot;

use crate::env::Env;
use crate::git::HttpServer;

/// The small fleet with two commits, and the first of them.
fn env() -> (Env, String) {
    let env = Env::small();
    let first = env.commit("Begin");
    env.write("addons/web/values.yaml", "size: 1\ncolour: blue\n");
    env.commit("Paint it blue");
    (env, first)
}

#[test]
fn any_revision_can_be_named() {
    let (env, first) = env();
    env.git("tag v1");
    for (rev, colour) in
        [(first.as_str(), "grey"), ("HEAD~1", "grey"), ("main", "blue"), ("v1", "blue")]
    {
        let told = env.run(&format!("why dev web --value colour --rev {rev}"));
        assert!(told.contains(&format!("colour is {colour}")), "{rev}: {told}");
    }
}

#[test]
fn a_revision_that_is_none_is_told() {
    let (env, _) = env();
    let gone = "1".repeat(40);
    let told =
        ["mian", "HEAD~9", gone.as_str()].map(|rev| env.run(&format!("validate --rev {rev}")));
    assert_snapshot!(told.join("\n"));
}

#[test]
fn places_that_hold_no_fleet_are_told() {
    let (env, _) = env();
    std::fs::create_dir(env.root().join("empty")).unwrap();
    let told = [
        "../nowhere",
        "../empty",
        "ftp://git.example.org/fleet",
        "https://me:pw@git.example.org/x",
    ]
    .map(|place| env.run(&format!("validate --repo {place}")));
    let told = told.join("\n");
    assert_snapshot!(told);
}

#[test]
fn a_remote_is_read_without_a_checkout() {
    let (env, first) = env();
    let file = format!("file://{}", env.fleet().display());
    let web = HttpServer::start(&env.fleet(), None).url;
    for url in [file, web] {
        let now = env.run(&format!("render dev --addon web --repo {url}"));
        assert!(now.contains("colour: \"blue\""), "{now}");
        let then = env.run(&format!("render dev --addon web --repo {url} --rev {first}"));
        assert!(then.contains("colour: \"grey\""), "{then}");
    }
}

#[test]
fn what_was_force_pushed_away_stays_readable_once_it_was_seen() {
    let (env, first) = env();
    let url = format!("file://{}", env.fleet().display());
    env.run(&format!("validate --repo {url}"));
    let old = env.git("rev-parse HEAD").trim().to_owned();
    env.git("reset --quiet --hard HEAD~1");
    env.write("addons/web/values.yaml", "size: 1\ncolour: red\n");
    env.commit("Paint it red");
    env.git("reflog expire --expire=now --all");
    env.git("gc --quiet --prune=now");
    let colour =
        |rev: &str| env.run(&format!("why dev web --value colour --repo {url} --rev {rev}"));
    assert!(colour("main").contains("colour is red"));
    assert!(colour(&old).contains("colour is blue"));
    assert!(colour(&first).contains("colour is grey"));
}

#[test]
fn a_remote_that_is_gone_or_closed_is_the_worlds_fault() {
    let (env, _) = env();
    let closed = HttpServer::start(&env.fleet(), Some("Basic bm9ib2R5"));
    let told = [
        env.run(&format!("validate --repo file://{}/gone", env.root().display())),
        env.run(&format!("validate --repo {}", closed.url)),
        env.run("validate --repo http://127.0.0.1:9/fleet.git"),
    ];
    let port = closed.url.trim_start_matches("http://127.0.0.1:").trim_end_matches("/.git");
    assert_snapshot!(told.join("\n").replace(port, "[PORT]"));
}
