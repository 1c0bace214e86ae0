//! `fitout demo`: the main job, as programs and as people see it.

use fitout::rollout::{Event, laws};
use serde_json::Value as Json;

use crate::env::Env;

/// Runs the demo and gives its events.
fn events(env: &Env) -> Vec<Json> {
    let folder = env.root().join("demo").display().to_string();
    let args = ["demo", "-o", "json", "--speed", "200", "--dir", &folder];
    let output = env.fitout(&args).output().expect("fitout starts");
    let told = env.tell(&args, &output);
    assert!(output.status.success(), "{told}");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect()
}

/// `stage.started staging`, without what differs from cluster to cluster.
fn order(events: &[Json], rollout: &str) -> Vec<String> {
    let of_rollout = events.iter().filter(|event| event["rollout"] == rollout);
    let names = of_rollout.map(|event| {
        let stage = event["stage"].as_str().unwrap_or_default();
        format!("{} {stage}", event["event"].as_str().unwrap()).trim_end().to_owned()
    });
    let rollout_wide =
        |name: &String| ["rollout.", "stage."].iter().any(|prefix| name.starts_with(prefix));
    names.filter(rollout_wide).collect()
}

#[test]
fn both_changes_go_the_way_they_should_and_the_log_keeps_the_laws() {
    let env = Env::new();
    let events = events(&env);
    for field in ["event", "at", "rollout", "addon", "revision"] {
        assert!(events.iter().all(|event| event[field].is_string()), "{field}");
    }
    let good = [
        "rollout.started",
        "stage.started staging",
        "stage.passed staging",
        "stage.started canary",
        "stage.passed canary",
        "stage.started prod",
        "stage.passed prod",
        "rollout.completed",
    ];
    assert_eq!(order(&events, "traefik-1"), good);
    let bad = [
        "rollout.started",
        "stage.started staging",
        "stage.passed staging",
        "stage.started canary",
        "rollout.stopped canary",
        "rollout.rolledBack",
    ];
    assert_eq!(order(&events, "prometheus-1"), bad);
    let of_prod = |event: &&Json| event["rollout"] == "prometheus-1" && event["stage"] == "prod";
    assert_eq!(events.iter().filter(of_prod).count(), 0, "production was touched");
    for name in ["traefik-1", "prometheus-1"] {
        let log: Vec<Event> = events
            .iter()
            .filter(|event| event["rollout"] == name)
            .map(|event| serde_json::from_value(event.clone()).expect("an event"))
            .collect();
        assert_eq!(laws::check(&log), []);
    }
    // The fleet is still there to be asked.
    let fleet = env.root().join("demo/fleet").display().to_string();
    let why = env.run(&format!("--repo {fleet} why prod-meyrin-cpu-01 prometheus"));
    assert!(why.contains("was not touched: stage canary stopped, since prod-"), "{why}");
    assert!(why.contains("ImagePullBackOff") && why.ends_with("exit 0\n"), "{why}");
    let status = env.run(&format!("--repo {fleet} status"));
    assert_eq!(status.matches(" behind").count(), 8, "{status}");
    assert!(status.contains("prometheus is held: rollout prometheus-1"), "{status}");
}

#[test]
fn a_folder_with_something_else_in_it_is_left_alone() {
    let env = Env::new();
    std::fs::create_dir_all(env.root().join("mine")).unwrap();
    std::fs::write(env.root().join("mine/file"), "kept").unwrap();
    let folder = env.root().join("mine").display().to_string();
    insta::assert_snapshot!(env.run(&format!("demo --dir {folder}")));
    assert_eq!(std::fs::read_to_string(env.root().join("mine/file")).unwrap(), "kept");
}
