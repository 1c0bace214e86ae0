//! `fitout controller` over simulated clusters that another process serves: as a user runs it,
//! and killed at any moment.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use fitout::rollout::{Event, laws, webhook};
use insta::assert_snapshot;
use serde_json::{Value as Json, json};

use crate::env::Env;
use crate::web::Web;

/// Clusters served by a process of their own, until it is dropped.
pub(crate) struct Clusters(Child);

impl Drop for Clusters {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn serve(env: &Env, count: usize) -> Clusters {
    let kubeconfig = env.root().join("kubeconfig").display().to_string();
    let count = count.to_string();
    let args = ["sim", "serve", "--clusters", &count, "--kubeconfig", &kubeconfig];
    let mut child =
        env.fitout(&args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut address = String::new();
    let stdout = child.stdout.take().expect("it is piped");
    BufReader::new(stdout).read_line(&mut address).expect("it tells its address");
    assert!(address.starts_with("http://127.0.0.1:"), "{address}");
    Clusters(child)
}

const CHART: &str = "apiVersion: v2\nname: web\nversion: 1.0.0\n";
const TEMPLATE: &str = r#"apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}}
spec:
  replicas: 1
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}}
    spec: {containers: [{name: web, image: "registry.example.org/web:{{ .Values.tag }}"}]}
"#;

/// Two addons, the second depends on the first, on one staging and two production clusters.
pub(crate) fn fleet() -> Env {
    let env = Env::new();
    for (name, environment) in [("sim-01", "staging"), ("sim-02", "prod"), ("sim-03", "prod")] {
        env.write(
            &format!("clusters/{name}.yaml"),
            &format!(
                "apiVersion: fitout.dev/v1alpha1\nkind: Cluster\n\
                 metadata: {{name: {name}, labels: {{environment: {environment}}}}}\n\
                 spec: {{kubernetesVersion: \"1.35\", connection: {{context: {name}}}}}\n"
            ),
        );
    }
    for (addon, depends) in [("base", ""), ("web", "  dependsOn: [{addon: base}]\n")] {
        let folder = format!("addons/{addon}");
        env.write(
            &format!("{folder}/addon.yaml"),
            &format!(
                "apiVersion: fitout.dev/v1alpha1\nkind: Addon\nmetadata: {{name: {addon}}}\n\
                 spec:\n  chart: {{path: chart}}\n  namespace: {addon}\n  placement: {{}}\n\
                 \x20 values: [{{file: values.yaml}}, \
                 {{file: \"values/{{{{ .Cluster.labels.environment }}}}.yaml\", optional: true}}]\n\
                 {depends}  rollout: {{policy: quick}}\n"
            ),
        );
        env.write(&format!("{folder}/values.yaml"), "tag: v1\n");
        env.write(&format!("{folder}/chart/Chart.yaml"), CHART);
        env.write(&format!("{folder}/chart/templates/web.yaml"), TEMPLATE);
    }
    env.write(
        "policies/quick.yaml",
        "apiVersion: fitout.dev/v1alpha1\nkind: RolloutPolicy\nmetadata: {name: quick}\nspec:\n  \
         stages:\n    - {name: staging, clusters: {matchLabels: {environment: staging}}, soak: 300ms}\n    \
         - {name: prod, clusters: {matchLabels: {environment: prod}}, batch: {atMost: 1}, soak: 300ms}\n  \
         progressDeadline: 8s\n",
    );
    env.commit("Begin");
    env
}

/// A controller that ends once everything is as git says, or held.
fn controller(env: &Env) -> std::process::Command {
    let kubeconfig = env.root().join("kubeconfig").display().to_string();
    env.fitout(&[
        "controller",
        "--once",
        "--log",
        "json",
        "--listen",
        "off",
        "--pace",
        "100ms",
        "--kubeconfig",
        &kubeconfig,
    ])
}

/// Runs a controller to its end; gives its exit code.
pub(crate) fn settle(env: &Env) -> i32 {
    let output = controller(env).output().expect("it starts");
    output.status.code().unwrap_or_else(|| panic!("{}", env.tell(&["controller"], &output)))
}

/// What is left of a history once times and numbers of attempts are left out.
fn state(env: &Env) -> String {
    let kubeconfig = env.root().join("kubeconfig").display().to_string();
    let status = env.run(&format!("status -o json --kubeconfig {kubeconfig}"));
    let list = env.run("rollout list -o json");
    let list = list.split_once('\n').expect("two lines at least").1;
    let rollouts: Vec<Json> =
        serde_json::from_str(list.split("---").next().unwrap()).expect("JSON");
    let phases: Vec<String> = rollouts
        .iter()
        .map(|one| format!("{} {} {}", one["rollout"], one["phase"], one["clusters"]))
        .collect();
    let mut phases = phases;
    phases.sort();
    // How it was not healthy depends on the moment.
    let line = |line: &str| match line.split_once("not healthy after") {
        Some((before, _)) => format!("{before}not healthy after …"),
        None => line.to_owned(),
    };
    let status: Vec<_> = status.lines().map(line).collect();
    format!("{}\n{}", status.join("\n"), phases.join("\n"))
}

/// Every log keeps the laws.
fn check_laws(env: &Env, rollouts: &[&str]) {
    for id in rollouts {
        let shown = env.run(&format!("rollout show {id} -o json"));
        let json = shown.split_once('\n').expect("two lines at least").1;
        let shown: Json = serde_json::from_str(json.split("\n--- ").next().unwrap()).expect("JSON");
        let log: Vec<Event> = serde_json::from_value(shown["events"].clone()).expect("events");
        assert!(!log.is_empty());
        assert_eq!(laws::check(&log), [], "{id}");
    }
}

/// The two commits of the histories below: a good one, and one that production cannot run.
fn commit_good(env: &Env) {
    env.write("addons/base/values.yaml", "tag: v2\n");
    env.commit("base: v2");
}

fn commit_bad(env: &Env) {
    env.write("addons/web/values.yaml", "tag: v2\n");
    env.write("addons/web/values/prod.yaml", "tag: v2-broken\n");
    env.commit("web: v2");
}

#[test]
fn a_fleet_comes_up_and_changes_go_through_their_stages() {
    let env = fleet();
    let _clusters = serve(&env, 3);
    assert_eq!(settle(&env), 0);
    commit_good(&env);
    assert_eq!(settle(&env), 0);
    commit_bad(&env);
    assert_eq!(settle(&env), 5, "the bad change is held");
    assert_snapshot!(state(&env));
    check_laws(&env, &["base-1", "base-2", "web-1", "web-2"]);
    // Nothing is tried again.
    assert_eq!(settle(&env), 5);
    assert!(!env.run("rollout list").contains("web-3"));
    // A commit that takes it back goes through.
    env.write("addons/web/values/prod.yaml", "tag: v2\n");
    env.commit("web: v2 for production, too");
    assert_eq!(settle(&env), 0);
    let kubeconfig = env.root().join("kubeconfig").display().to_string();
    let why = env.run(&format!("why sim-03 web --kubeconfig {kubeconfig}"));
    assert!(why.contains("sim-03/web is as git says"), "{why}");
}

#[test]
fn what_two_releases_claim_is_written_by_neither() {
    let env = fleet();
    let _clusters = serve(&env, 3);
    assert_eq!(settle(&env), 0);
    let shared = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shared, namespace: default}\n\
                  data: {of: {{ .Release.Name }}}\n";
    for addon in ["base", "web"] {
        env.write(&format!("addons/{addon}/chart/templates/shared.yaml"), shared);
    }
    env.commit("A ConfigMap for two");
    assert_eq!(settle(&env), 5);
    let kubeconfig = env.root().join("kubeconfig").display().to_string();
    for (addon, other) in [("base", "web/web"), ("web", "base/base")] {
        let why = env.run(&format!("why sim-01 {addon} --kubeconfig {kubeconfig}"));
        let told = format!(
            "ConfigMap/default/shared from `web/templates/shared.yaml` is claimed by release {other} as well"
        );
        assert!(why.contains(&told), "{why}");
    }
}

/// Runs controllers and kills each when it has logged so many lines, until one ends by itself.
fn settle_with_kills(env: &Env, lines: &mut impl Iterator<Item = usize>) -> i32 {
    loop {
        let mut child =
            controller(env).stderr(Stdio::piped()).spawn().expect("the controller starts");
        let stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        let wanted = lines.next().expect("there are enough");
        let seen = stderr.lines().map_while(Result::ok).take(wanted).count();
        if seen < wanted {
            let status = child.wait().expect("it has ended");
            return status.code().expect("it was not killed");
        }
        child.kill().expect("SIGKILL can be sent");
        child.wait().expect("it has ended");
    }
}

#[test]
fn killed_at_any_moment_it_ends_where_an_undisturbed_one_does() {
    let calm = fleet();
    let _clusters = serve(&calm, 3);
    let histories = [|_: &Env| {}, commit_good, commit_bad];
    let exits: Vec<i32> = histories
        .iter()
        .map(|commit| {
            commit(&calm);
            settle(&calm)
        })
        .collect();
    let seed = std::env::var("FITOUT_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("kills follow from FITOUT_SEED={seed}");
    let mut random = seed;
    // Between one line and eleven, so that every moment of a rollout is hit; it gets there since
    // each run goes on where the last one was.
    let mut lines = std::iter::repeat_with(|| {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        1 + (random >> 33) as usize % 11
    });
    let killed = fleet();
    let _clusters_too = serve(&killed, 3);
    for (commit, exit) in histories.iter().zip(exits) {
        commit(&killed);
        assert_eq!(settle_with_kills(&killed, &mut lines), exit, "seed {seed}");
    }
    assert_eq!(state(&killed), state(&calm), "seed {seed}");
    check_laws(&killed, &["base-1", "base-2", "web-1", "web-2"]);
}

#[test]
fn a_second_controller_is_refused() {
    let env = fleet();
    let _clusters = serve(&env, 3);
    let kubeconfig = env.root().join("kubeconfig").display().to_string();
    let args = ["controller", "--log", "json", "--listen", "off", "--kubeconfig", &kubeconfig];
    let mut first = env.fitout(&args).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut line = String::new();
    let mut stderr = BufReader::new(first.stderr.take().expect("it is piped"));
    stderr.read_line(&mut line).expect("it logs");
    let told = env.run(&format!("controller --listen off --kubeconfig {kubeconfig}"));
    first.kill().expect("SIGKILL can be sent");
    first.wait().expect("it has ended");
    assert!(told.contains("error: another controller works with"), "{told}");
    assert!(told.ends_with("--- exit 5\n"), "{told}");
}

#[test]
fn a_corrupt_event_log_is_told_with_a_way_out() {
    let env = fleet();
    let _clusters = serve(&env, 3);
    assert_eq!(settle(&env), 0);
    let state = env.root().join("state");
    let folder = std::fs::read_dir(&state).unwrap().next().unwrap().unwrap().path();
    let log = folder.join("events.db");
    for file in ["events.db-wal", "events.db-shm"] {
        // SQLite takes them away when the last connection is closed.
        let _ = std::fs::remove_file(folder.join(file));
    }
    std::fs::write(&log, "this was an event log once, and it is none any more, not at all")
        .unwrap();
    let told = env.run("rollout list");
    assert!(told.contains("cannot be used") && told.contains("move `"), "{told}");
    assert!(told.ends_with("--- exit 4\n"), "{told}");
}

/// A controller that runs until it is dropped, and what it logs.
pub(crate) struct Running {
    child: Child,
    log: std::io::Lines<BufReader<std::process::ChildStderr>>,
}

impl Running {
    pub(crate) fn start(env: &Env, more: &[&str]) -> Self {
        let kubeconfig = env.root().join("kubeconfig").display().to_string();
        let mut args = vec!["controller", "--log", "json", "--pace", "100ms"];
        args.extend(["--kubeconfig", &kubeconfig]);
        args.extend(more);
        let mut child = env.fitout(&args).stderr(Stdio::piped()).spawn().expect("it starts");
        let log = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        Self { child, log }
    }

    /// The first line of the log, from here on, with these values.
    pub(crate) fn until(&mut self, wanted: &[(&str, &str)]) -> Json {
        for line in self.log.by_ref().map_while(Result::ok) {
            let entry: Json = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
            if wanted.iter().all(|(field, value)| entry[field] == *value) {
                return entry;
            }
        }
        panic!("the log ended without {wanted:?}");
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = std::process::Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.expect("kill is there").success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Status code and body of a GET.
pub(crate) fn get(address: &str, path: &str) -> (u16, String) {
    let client = ureq::Agent::config_builder().http_status_as_error(false).build();
    let client = ureq::Agent::new_with_config(client);
    let mut answer = client.get(format!("http://{address}{path}")).call().expect("it answers");
    (answer.status().as_u16(), answer.body_mut().read_to_string().expect("it is text"))
}

#[test]
fn it_tells_of_its_health_and_metrics_and_polls_git_when_told_to() {
    let env = fleet();
    let _clusters = serve(&env, 3);
    let mut running = Running::start(&env, &["--interval", "1h", "--listen", "127.0.0.1:0"]);
    let begins = running.until(&[("message", "controller begins")]);
    let address = begins["bound"].as_str().expect("it tells where").to_owned();
    for addon in ["base-1", "web-1"] {
        running.until(&[("message", "rollout.completed"), ("rollout", addon)]);
    }
    assert_eq!(get(&address, "/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(get(&address, "/readyz"), (200, "ok\n".to_owned()));
    let (code, metrics) = get(&address, "/metrics");
    assert_eq!(code, 200);
    for line in [
        r#"fitout_rollout_events_total{event="rollout.completed",addon="base"} 1"#,
        r#"fitout_attempts_total{task="move",result="done"} 6"#,
        r#"fitout_clusters{result="ok"} 3"#,
        r#"fitout_git_polls_total{result="ok"} 1"#,
    ] {
        assert!(metrics.lines().any(|one| one == line), "no `{line}` in:\n{metrics}");
    }
    commit_good(&env);
    running.signal("HUP");
    running.until(&[("message", "rollout.completed"), ("rollout", "base-2")]);
    running.signal("TERM");
    let status = running.child.wait().expect("it ends");
    assert!(status.success(), "{status}");
}

#[test]
fn a_commit_that_cannot_be_read_changes_nothing_and_the_next_good_one_goes_on() {
    let env = fleet();
    let _clusters = serve(&env, 3);
    assert_eq!(settle(&env), 0);
    env.write("addons/web/addon.yaml", "kind: [\n");
    commit_good(&env);
    let mut running = Running::start(&env, &["--interval", "200ms", "--listen", "off"]);
    running.until(&[("message", "a new commit")]);
    // What can be read goes on, and nothing of what cannot is taken for removed.
    running.until(&[("message", "rollout.completed"), ("rollout", "base-2")]);
    drop(running);
    let kubeconfig = env.root().join("kubeconfig").display().to_string();
    let history = env.run(&format!("history sim-02 base --kubeconfig {kubeconfig}"));
    assert!(history.ends_with("exit 1\n"), "the documents are wrong: {history}");
    env.git("checkout --quiet HEAD~1 -- addons/web/addon.yaml");
    env.commit("web: as it was");
    assert_eq!(settle(&env), 0);
    assert!(!env.run("rollout list").contains("web-2"), "web has not changed");
}

#[test]
fn a_repository_that_is_gone_stops_nothing() {
    let env = fleet();
    let _clusters = serve(&env, 3);
    assert_eq!(settle(&env), 0);
    let moved = env.root().join("elsewhere");
    let mut running = Running::start(&env, &["--interval", "200ms", "--listen", "off"]);
    running.until(&[("message", "a new commit")]);
    std::fs::rename(env.fleet(), &moved).expect("the folder is ours");
    running.until(&[("message", "git could not be polled")]);
    std::fs::rename(&moved, env.fleet()).expect("the folder is ours");
    commit_good(&env);
    running.until(&[("message", "rollout.completed"), ("rollout", "base-2")]);
}

#[test]
fn what_waits_for_somebody_and_all_that_depends_on_it_ends_a_single_run() {
    let env = fleet();
    let _clusters = serve(&env, 3);
    let quick = env.read("policies/quick.yaml");
    let careful = quick
        .replace("name: quick", "name: careful")
        .replace("staging}}, soak: 300ms}", "staging}}, gates: [{approval: {}}]}");
    env.write("policies/careful.yaml", &careful);
    env.replace("addons/base/addon.yaml", "policy: quick", "policy: careful");
    env.commit("Ask before base goes to production");
    assert_eq!(settle(&env), 5);
    let kubeconfig = env.root().join("kubeconfig").display().to_string();
    let why = |instance: &str| env.run(&format!("why {instance} --kubeconfig {kubeconfig}"));
    let told = why("sim-02 base");
    assert!(told.contains("sim-01 waits for approval of stage staging: 0 of 1 given"), "{told}");
    assert!(told.contains("help: fitout rollout approve base-1"), "{told}");
    let told = why("sim-02 web");
    assert!(told.contains("waits for sim-02/base, which is not installed"), "{told}");
    assert!(env.run("rollout approve base-1 --by ada").ends_with("exit 0\n"));
    let again = env.run("rollout approve base-1 --by ada");
    assert!(again.contains("ada has approved stage staging of rollout base-1 already"), "{again}");
    assert!(again.ends_with("exit 5\n"), "{again}");
    assert_eq!(settle(&env), 0);
}

#[test]
fn what_waits_for_its_window_ends_a_single_run() {
    let env = fleet();
    let _clusters = serve(&env, 2);
    let quick = env.read("policies/quick.yaml");
    let freeze = "spec:\n  freezes: [{from: 2020-01-01, to: 2999-12-31, reason: a long stop}]\n";
    let frozen = quick.replacen("spec:\n", freeze, 1);
    let frozen = frozen.replace("staging}}, soak: 300ms}", "staging}}, soak: 300ms, freezes: []}");
    assert_ne!(frozen, quick);
    env.write("policies/quick.yaml", &frozen);
    env.commit("Nothing goes to production");
    assert_eq!(settle(&env), 5);
    let told = told(&env, "why sim-02 base");
    assert!(
        told.contains("waits for 3000-01-01 00:00:00Z, when its policy opens: frozen: a long stop"),
        "{told}"
    );
    assert!(told.contains("change the policy's windows or freezes in git"), "{told}");
    // The same rollout goes on once git lets it.
    env.write("policies/quick.yaml", &quick);
    env.commit("Production is open again");
    assert_eq!(settle(&env), 0);
    let log = self::told(&env, "rollout show base-1");
    assert!(log.contains("has the windows and freezes of"), "{log}");
    assert!(log.contains("completed"), "{log}");
}

#[test]
fn a_rollout_says_how_its_sample_was_picked_and_who_begins_first() {
    let env = fleet();
    let _clusters = serve(&env, 3);
    env.write(
        "policies/quick.yaml",
        "apiVersion: fitout.dev/v1alpha1\nkind: RolloutPolicy\nmetadata: {name: quick}\nspec:\n  stages:\n    \
         - {name: canary, clusters: {}, pick: {percent: 10, atLeast: 1, spreadBy: [environment]}}\n    \
         - {name: rest, clusters: {}, batch: {atMost: 1}, maxFailures: 2, order: [{matchLabels: {criticality: low}}]}\n",
    );
    env.replace("clusters/sim-03.yaml", "labels: {", "labels: {criticality: low, ");
    env.commit("A sample first, then what matters least");
    assert_eq!(settle(&env), 0);
    let shown = told(&env, "rollout show base-1");
    let stages = shown.split("\n\n").nth(1).unwrap_or_default();
    assert_snapshot!(stages);
    let begun = |cluster: &str| shown.find(&format!("  rest  {cluster}  begins"));
    assert!(begun("sim-03").is_some() && begun("sim-03") < begun("sim-02"), "{shown}");
    check_laws(&env, &["base-1", "web-1"]);
}

#[test]
fn a_policy_that_cannot_be_read_holds_its_addons() {
    let env = fleet();
    let _clusters = serve(&env, 3);
    assert_eq!(settle(&env), 0);
    env.replace("policies/quick.yaml", "soak: 300ms", "soaks: 300ms");
    env.write("addons/base/values.yaml", "tag: v2\n");
    env.commit("base: v2, and a policy with a mistake in it");
    assert_ne!(settle(&env), 0);
    let rollouts = env.run("rollout list");
    assert!(!rollouts.contains("base-2"), "{rollouts}");
    let why = told(&env, "why sim-02 base");
    assert!(why.contains("its policy `quick` cannot be read at commit"), "{why}");
}

#[test]
fn a_query_of_prometheus_stops_what_looks_healthy() {
    let env = fleet();
    let _clusters = serve(&env, 3);
    let prometheus = Web::start();
    let path = "/api/v1/query?query=errors%7Bcluster%3D%7E%22sim-01%22%7D";
    let says = |value: &str| {
        let sample = json!({"metric": {"cluster": "sim-01"}, "value": [1_800_000_000.0, value]});
        let data = json!({"resultType": "vector", "result": [sample]});
        prometheus.put(path, json!({"status": "success", "data": data}).to_string());
    };
    let gate = format!(
        "staging}}}}, soak: 300ms, gates: [{{prometheus: {{name: errors, url: \"{}\", query: \
         'errors{{cluster=~\"$clusters\"}}', max: 0.01, interval: 1s}}}}]}}",
        prometheus.url()
    );
    env.replace("policies/quick.yaml", "staging}}, soak: 300ms}", &gate);
    env.commit("Staging has to be free of errors");
    says("0.002");
    assert_eq!(settle(&env), 0);
    assert!(prometheus.asked().iter().all(|asked| asked == path));
    let first = told(&env, "rollout show base-1");
    assert!(first.contains("errors gate passed: 0.002, which is at most 0.01"), "{first}");
    says("0.4");
    commit_good(&env);
    assert_eq!(settle(&env), 5);
    let second = told(&env, "rollout show base-2");
    let broken = "errors gate broken: 0.4, which has to be at most 0.01";
    assert!(second.contains(broken) && second.contains("rolled back"), "{second}");
    assert!(!second.contains("sim-02  begins"), "{second}");
    let why = told(&env, "why sim-02 base");
    assert!(why.contains("gate errors: 0.4, which has to be at most 0.01"), "{why}");
    check_laws(&env, &["base-1", "base-2", "web-1"]);
}

#[test]
fn a_service_of_ones_own_lets_a_stage_pass_or_stops_it() {
    let env = fleet();
    let _clusters = serve(&env, 3);
    let board = Web::start();
    let gate = format!(
        "staging}}}}, soak: 300ms, gates: [{{webhook: {{name: board, url: \"{}/gate\", secret: {{env: \
         BOARD_SECRET}}, interval: 1s}}}}]}}",
        board.url()
    );
    env.replace("policies/quick.yaml", "staging}}, soak: 300ms}", &gate);
    env.commit("The board has to agree");
    let says = |verdict: &'static str| {
        board.on("/gate", move |posted| {
            let question: Json = serde_json::from_str(&posted.body).unwrap();
            let asked_at = question["askedAt"].as_str().unwrap().parse().unwrap();
            let signature = webhook::signature(b"s3cret", &posted.body, asked_at);
            let is_signed = posted.headers.get("fitout-signature") == Some(&signature);
            let verdict = if is_signed { verdict } else { "fail" };
            assert_eq!(question["clusters"][0]["name"], "sim-01");
            let reason = format!("{} of {}: {verdict}", question["stage"], question["addon"]);
            json!({"nonce": question["nonce"], "verdict": verdict, "reason": reason}).to_string()
        });
    };
    let settle = |env: &Env| {
        let mut controller = controller(env);
        controller.env("BOARD_SECRET", "s3cret").output().unwrap().status.code()
    };
    says("pass");
    assert_eq!(settle(&env), Some(0));
    let first = told(&env, "rollout show base-1");
    assert!(first.contains("board gate passed: \"staging\" of \"base\": pass"), "{first}");
    says("fail");
    commit_good(&env);
    assert_eq!(settle(&env), Some(5));
    let second = told(&env, "rollout show base-2");
    assert!(second.contains("board gate broken: \"staging\" of \"base\": fail"), "{second}");
    assert!(!second.contains("sim-02  begins"), "{second}");
    check_laws(&env, &["base-1", "base-2", "web-1"]);
}

/// Everything that `args` print, without what differs from run to run.
pub(crate) fn told(env: &Env, args: &str) -> String {
    let kubeconfig = env.root().join("kubeconfig").display().to_string();
    let told = env.run(&format!("{args} --kubeconfig {kubeconfig}"));
    told.replace(" --kubeconfig [ROOT]/kubeconfig", "")
}

#[test]
fn what_rollouts_and_the_fleet_look_like() {
    let env = fleet();
    let _clusters = serve(&env, 3);
    let nothing_yet = told(&env, "rollout list");
    let before = told(&env, "status");
    let pending = told(&env, "why sim-01 web");
    assert_eq!(settle(&env), 0);
    commit_bad(&env);
    assert_eq!(settle(&env), 5);
    let all = [
        nothing_yet,
        before,
        pending,
        told(&env, "status"),
        told(&env, "status sim-02 --addon web"),
        told(&env, "status sim-09"),
        told(&env, "why sim-01 web"),
        told(&env, "why sim-02 web"),
        told(&env, "why sim-03 web"),
        told(&env, "why sim-03 wep"),
        told(&env, "rollout list"),
        told(&env, "rollout show web"),
        told(&env, "rollout show web-7"),
        told(&env, "rollout approve web --by ada"),
        told(&env, "rollout pause web-2 --by ada"),
        told(&env, "rollout resume web-1 --by ada"),
        told(&env, "rollout abort web --rollback --by ada"),
        told(&env, "rollout retry web --by ada --reason fixed"),
        told(&env, "rollout list --active"),
    ];
    insta::with_settings!({filters => vec![
        (r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}Z", "TIME"),
        (r"not healthy after 8s: [^\n]*?(\(rollout|\n)", "not healthy after 8s: … $1"),
    ]}, {
        assert_snapshot!(all.join("\n"));
    });
}
