//! `fitout diff`, `plan`, `apply`, `history`, `rollback` and `uninstall` on simulated clusters.

use std::path::PathBuf;
use std::sync::Arc;

use fitout::base::clock::SystemClock;
use fitout::sim::SimFleet;
use insta::assert_snapshot;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value as Json, json};

use crate::env::{Env, WIDGETS};

/// The cluster of the worked example that these tests go through.
const CLUSTER: &str = "prod-meyrin-gpu-01";

/// What a run told, without what is another each time: times, commits, digests. Instances go on at
/// the same time, so lines that begin with one are sorted.
fn steady(told: &str) -> String {
    let mut lines: Vec<&str> = told.lines().collect();
    let is_progress = |line: &&str| {
        line.split_once(": ").is_some_and(|(head, _)| head.contains('/') && !head.contains(' '))
    };
    for group in lines.chunk_by_mut(|a, b| is_progress(a) && is_progress(b)) {
        group.sort_unstable();
    }
    let mut text = lines.join("\n");
    for (pattern, with) in [
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?", "[TIME]"),
        (r"\b[0-9a-f]{64}\b", "[DIGEST]"),
        (r"\b[0-9a-f]{40}\b", "[COMMIT]"),
        (r"\b[0-9a-f]{9}\b", "[COMMIT]"),
        (r"127\.0\.0\.1:\d+", "[CLOSED]"),
        // Which of the new pods is seen first, and at which point of its waiting, is no matter.
        (r"pod `[^`]+`", "pod `[POD]`"),
        (r"(ErrImagePull|ImagePullBackOff) \([^)]*\)", "[PULL]"),
    ] {
        text = regex::Regex::new(pattern).unwrap().replace_all(&text, with).into_owned();
    }
    text + "\n"
}

/// Several runs, as one text.
fn runs(env: &Env, commands: &[&str]) -> String {
    commands.iter().map(|command| steady(&env.run(command)) + "\n").collect()
}

/// Where the states of the fleet's simulated clusters are.
fn states(env: &Env) -> PathBuf {
    let mut folders = std::fs::read_dir(env.root().join("state")).expect("something was kept");
    folders.next().expect("there is one fleet").unwrap().path().join("simulated")
}

/// Changes the ConfigMap `web` of a cluster as somebody else would.
fn meddle(env: &Env, cluster: &str, by: &str, how: &dyn Fn(Json) -> Patch<Json>, data: &Json) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let fleet = SimFleet::in_folder(states(env), Arc::new(SystemClock));
        let client = fleet.cluster(&cluster.into(), 1).await.unwrap().client();
        let api: Api<ConfigMap> = Api::namespaced(client, "web");
        let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": data});
        let patch = how(body);
        let is_apply = matches!(patch, Patch::Apply(_));
        let params = PatchParams { force: is_apply, ..PatchParams::apply(by) };
        api.patch("web", &params, &patch).await.unwrap();
        fleet.save_all().await.unwrap();
    });
}

#[test]
fn the_worked_example_comes_up_on_a_cluster_and_is_at_rest() {
    let env = Env::example();
    assert_snapshot!(runs(
        &env,
        &[
            &format!("plan {CLUSTER}"),
            &format!("apply {CLUSTER} --yes"),
            &format!("diff {CLUSTER} --exit-code"),
            &format!("plan {CLUSTER} --exit-code"),
            &format!("apply {CLUSTER} --yes"),
            &format!("history {CLUSTER} prometheus"),
        ]
    ));
}

#[test]
fn a_change_is_shown_applied_taken_back_and_removed() {
    let env = Env::example();
    let told = env.run(&format!("apply {CLUSTER} --yes"));
    assert!(told.contains("--- exit 0"), "{told}");
    env.replace("addons/traefik/values/prod.yaml", "memory: 1Gi", "memory: 2Gi");
    env.commit("More memory");
    let addon = format!("{CLUSTER} --addon traefik");
    assert_snapshot!(runs(
        &env,
        &[
            &format!("diff {addon} --exit-code"),
            &format!("diff {addon} -o markdown"),
            &format!("plan {addon} -o markdown"),
            &format!("apply {addon} --yes"),
            &format!("history {CLUSTER} traefik"),
            &format!("rollback {CLUSTER} traefik"),
            &format!("diff {addon} --exit-code -o json"),
            &format!("history {CLUSTER} traefik -o json"),
            &format!("uninstall {addon} --ignore-dependents"),
            &format!("uninstall {addon} --ignore-dependents --yes"),
            &format!("history {CLUSTER} traefik"),
            &format!("plan {addon} --exit-code"),
        ]
    ));
}

#[test]
fn a_bad_image_fails_and_goes_back_to_the_revision_before() {
    let env = Env::example();
    let told = env.run(&format!("apply {CLUSTER} --yes"));
    assert!(told.contains("--- exit 0"), "{told}");
    let broken = "proxy:\n  image: {tag: 9.9.9-broken}\n";
    env.replace("addons/traefik/values/prod.yaml", "proxy:\n", broken);
    env.replace("addons/traefik/addon.yaml", "timeout: 10m", "timeout: 5s");
    assert_snapshot!(runs(
        &env,
        &[&format!("apply {CLUSTER} --addon traefik --yes"), &format!("history {CLUSTER} traefik"),]
    ));
}

#[test]
fn a_field_of_another_manager_is_not_taken() {
    let env = Env::small();
    env.commit("Begin");
    env.run("apply --all --yes");
    meddle(&env, "dev", "scaler", &Patch::Apply, &json!({"size": "7"}));
    env.replace("addons/web/values.yaml", "size: 1", "size: 2");
    assert_snapshot!(runs(&env, &["diff dev", "apply dev --yes", "diff prod --exit-code"]));
}

#[test]
fn what_somebody_changed_is_shown_and_put_back() {
    let env = Env::small();
    env.commit("Begin");
    env.run("apply --all --yes");
    meddle(&env, "dev", "kubectl-edit", &Patch::Merge, &json!({"size": "7", "extra": "1"}));
    let commands = ["diff --all --exit-code", "apply --all --yes", "diff --all --exit-code"];
    assert_snapshot!(runs(&env, &commands));
}

const LIMITS: &str = "\
apiVersion: fitout.dev/v1alpha1
kind: RolloutPolicy
metadata: {name: careful}
spec:
  stages: [{name: all, clusters: {}}]
  limits: {deletedObjects: 0}
";

#[test]
fn deletions_beyond_the_limits_are_refused_until_somebody_asks_for_them() {
    let env = Env::small();
    env.write("policies/rollout.yaml", LIMITS);
    let policy = "  placement: {}\n  rollout: {policy: careful}\n";
    env.replace("addons/base/addon.yaml", "  placement: {}\n", policy);
    let two = env.read("addons/base/chart/templates/config.yaml");
    let second = two.replace("{{ .Release.Name }}", "{{ .Release.Name }}-two");
    env.write("addons/base/chart/templates/second.yaml", &second);
    env.run("apply --all --yes");
    std::fs::remove_file(env.fleet().join("addons/base/chart/templates/second.yaml")).unwrap();
    assert_snapshot!(runs(
        &env,
        &[
            "plan --all",
            "apply --all --yes",
            "apply --all --yes --ignore-limits",
            "diff --all --exit-code",
        ]
    ));
}

#[test]
fn a_saved_plan_is_done_exactly_or_not_at_all() {
    let env = Env::small();
    env.commit("Begin");
    let plan = env.root().join("plan.json");
    let plan = plan.display();
    env.run(&format!("plan --all --out {plan}"));
    let text = std::fs::read_to_string(env.root().join("plan.json")).unwrap();
    let edited = env.root().join("edited.json");
    std::fs::write(&edited, text.replace("\"op\":\"create\"", "\"op\":\"delete\"")).unwrap();
    let cut = env.root().join("cut.json");
    std::fs::write(&cut, &text[..text.len() / 2]).unwrap();
    let told = runs(
        &env,
        &[
            &format!("apply --plan {} --yes", edited.display()),
            &format!("apply --plan {} --yes", cut.display()),
            &format!("apply --plan {plan}-missing --yes"),
            &format!("apply --plan {plan} --yes"),
            &format!("apply --plan {plan} --yes"),
        ],
    );
    env.replace("addons/web/values.yaml", "colour: grey", "colour: blue");
    env.commit("Blue");
    env.run(&format!("plan --all --out {plan}"));
    meddle(&env, "prod", "kubectl-edit", &Patch::Merge, &json!({"colour": "red"}));
    let moved = runs(&env, &[&format!("apply --plan {plan} --yes"), "history prod web"]);
    assert_snapshot!(told + &moved);
}

#[test]
fn a_cluster_that_does_not_answer_is_one_line_and_the_others_go_on() {
    let env = Env::small();
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let kubeconfig = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
         contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
         clusters: [{{name: c, cluster: {{server: \"http://{address}\"}}}}]\n\
         users: [{{name: u, user: {{token: a-secret-token}}}}]\n"
    );
    env.write("closed.kubeconfig", &kubeconfig);
    env.replace("clusters/prod.yaml", "simulated: {nodes: 1}", "kubeconfigFile: closed.kubeconfig");
    let told =
        runs(&env, &["diff --all --exit-code", "plan --all", "apply --all --yes", "apply dev"]);
    assert!(!told.contains("a-secret-token"), "{told}");
    assert_snapshot!(told);
}

const SECRET: &str = "\
apiVersion: v1
kind: Secret
metadata: {name: password}
stringData: {password: {{ .Values.password }}}
---
apiVersion: v1
kind: Secret
metadata: {name: certificate}
data: {key: {{ .Values.password | b64enc }}}
";

#[test]
fn no_value_of_a_secret_is_told() {
    let env = Env::small();
    env.write("addons/base/chart/templates/config.yaml", SECRET);
    env.write("addons/base/chart/values.yaml", "password: correct-horse\n");
    let commands = |exit: &str| {
        let told: String = ["diff dev", "diff dev -o json", "diff dev -o markdown", "plan dev"]
            .iter()
            .chain(["plan dev -o json", "apply dev --yes", "history dev base -o json"].iter())
            .map(|command| env.run(command))
            .collect();
        assert!(told.contains(exit), "{told}");
        for secret in
            ["correct-horse", "Y29ycmVjdC1ob3JzZQ", "battery-staple", "YmF0dGVyeS1zdGFwbGU"]
        {
            assert!(!told.contains(secret), "`{secret}` is in\n{told}");
        }
        told
    };
    commands("dev/base: installed as revision 1");
    env.write("addons/base/chart/values.yaml", "password: battery-staple\n");
    let diff = env.run("diff dev");
    commands("dev/base: upgraded to revision 2");
    assert_snapshot!(steady(&diff));
}

/// Writes an addon with one file in its chart.
fn write_addon(env: &Env, name: &str, file: &str, text: &str) {
    let chart = format!("apiVersion: v2\nname: {name}\nversion: 1.0.0\n");
    env.write(&format!("addons/{name}/chart/Chart.yaml"), &chart);
    env.write(&format!("addons/{name}/chart/{file}"), text);
    let addon = format!(
        "apiVersion: fitout.dev/v1alpha1\nkind: Addon\nmetadata: {{name: {name}}}\n\
         spec: {{chart: {{path: chart}}, namespace: {name}, placement: {{}}}}\n"
    );
    env.write(&format!("addons/{name}/addon.yaml"), &addon);
}

#[track_caller]
fn ends(env: &Env, command: &str, code: i32) -> String {
    let told = env.run(command);
    assert!(told.ends_with(&format!("--- exit {code}\n")), "{told}");
    told
}

#[test]
fn a_crd_has_one_release_and_stays_when_it_moves_to_crds() {
    let env = Env::small();
    write_addon(&env, "widgets", "templates/widgets.yaml", WIDGETS);
    env.commit("A CRD as an object");
    ends(&env, "apply dev --yes", 0);
    // The same CRD in the `crds/` folder of another chart takes nothing from its release.
    write_addon(&env, "operator", "crds/widgets.yaml", WIDGETS);
    env.commit("The CRD in another chart too");
    ends(&env, "apply dev --yes", 0);
    ends(&env, "diff dev --exit-code", 0);
    // What moves to `crds/` is still wanted.
    std::fs::remove_file(env.fleet().join("addons/widgets/chart/templates/widgets.yaml")).unwrap();
    write_addon(&env, "widgets", "crds/widgets.yaml", WIDGETS);
    env.commit("The CRD has moved");
    let told = ends(&env, "apply dev --yes", 0);
    assert!(!told.contains("deleted"), "{told}");
}

#[test]
fn what_a_cluster_does_not_serve_is_refused_unless_the_plan_brings_it() {
    let env = Env::small();
    let widget = "apiVersion: example.org/v1\nkind: Widget\nmetadata: {name: one}\nspec: {}\n";
    write_addon(&env, "shop", "templates/widget.yaml", widget);
    env.commit("A Widget");
    let told = ends(&env, "apply dev --addon shop --yes", 5);
    assert!(told.contains("the cluster serves no kind `Widget` of `example.org/v1`"), "{told}");
    assert!(!told.contains("shop: install"), "{told}");
    write_addon(&env, "widgets", "templates/widgets.yaml", WIDGETS);
    env.commit("Its CRD");
    let told = ends(&env, "plan dev", 0);
    assert!(told.contains("after dev/widgets"), "{told}");
    ends(&env, "apply dev --yes", 0);
    ends(&env, "diff dev --exit-code", 0);
    let old = "apiVersion: extensions/v1beta1\nkind: Ingress\nmetadata: {name: one}\nspec: {}\n";
    write_addon(&env, "old", "templates/ingress.yaml", old);
    env.commit("An API of old");
    let told = ends(&env, "diff dev", 5);
    let fate = "Kubernetes 1.22 removed it: use `networking.k8s.io/v1`";
    assert!(told.contains(fate), "{told}");
}

#[test]
fn an_object_that_two_addons_claim_is_written_by_neither() {
    let env = Env::small();
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one, namespace: same}\n";
    write_addon(&env, "first", "templates/map.yaml", map);
    write_addon(&env, "second", "templates/map.yaml", map);
    env.commit("One ConfigMap of two addons");
    let told = ends(&env, "apply dev --addon first --addon second --yes", 5);
    assert!(told.contains("is claimed by release second/second as well"), "{told}");
    assert!(told.contains("is claimed by release first/first as well"), "{told}");
    assert!(!told.contains("install"), "{told}");
}

#[test]
fn a_release_is_tested_and_goes_after_what_depends_on_it() {
    let env = Env::small();
    let test = |name: &str, tag: &str| {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, annotations: {{helm.sh/hook: test}}}}\n\
             spec: {{restartPolicy: Never, containers: [{{name: c, image: \"r.example/c:{tag}\"}}]}}\n"
        )
    };
    let tests = format!("{}{}{}", test("a", "1"), test("b", "1-crash"), test("c", "1"));
    env.write("addons/web/chart/templates/tests.yaml", &tests);
    env.commit("Tests");
    let told = runs(
        &env,
        &[
            "apply dev --yes",
            "test dev web",
            "test dev web --only a --logs",
            "test dev base",
            "uninstall dev --addon base --yes",
            "uninstall dev --addon base --addon web --dry-run",
            "uninstall dev --addon base --addon web --yes",
            "test dev web",
        ],
    );
    assert_snapshot!(regex::Regex::new(r"in \d+\.\d s").unwrap().replace_all(&told, "in [TIME]"));
}
