//! Hooks of every event, what they say, and the tests of a release; as Helm sees them.

use super::fleet::Fleet;

const CLUSTER: &str = "stg-01";
const HOOKS: &str = "addons/web/chart/templates/hooks.yaml";

/// A ConfigMap that comes with an event, and stays.
fn trace(event: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: at-{event}\n  \
         annotations: {{helm.sh/hook: {event}}}\n"
    )
}

/// A Job or a Pod that is a hook and says something.
pub(super) fn hook(kind: &str, metadata: &str, annotations: &str, tag: &str, says: &str) -> String {
    let pod = format!(
        "restartPolicy: Never, containers: [{{name: a, image: \"registry.example.org/a:{tag}\", \
         env: [{{name: LOG, value: {says:?}}}]}}]"
    );
    let (version, spec) = match kind {
        "Job" => ("batch/v1", format!("{{backoffLimit: 0, template: {{spec: {{{pod}}}}}}}")),
        _ => ("v1", format!("{{{pod}}}")),
    };
    format!(
        "---\napiVersion: {version}\nkind: {kind}\nmetadata:\n  {metadata}\n  \
         annotations: {{{annotations}}}\nspec: {spec}\n"
    )
}

#[test]
fn each_event_runs_its_hooks_and_no_others() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.staging();
    let events = ["install", "upgrade", "rollback", "delete"]
        .map(|of| [format!("pre-{of}"), format!("post-{of}")]);
    let text: String = events.iter().flatten().map(|event| trace(event)).collect();
    fleet.env.write(HOOKS, &text);
    fleet.env.commit("A trace of every event");
    let seen = || -> Vec<String> {
        let names = cluster.field("configmaps -n web", ".items[*].metadata.name");
        let names = names.split(' ').filter_map(|name| name.strip_prefix("at-"));
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort();
        for name in &names {
            cluster.kubectl(&format!("delete configmap at-{name} -n web"));
        }
        names
    };
    fleet.bring_web(CLUSTER);
    assert_eq!(seen(), ["post-install", "pre-install"]);
    fleet.set("motd: hello", "motd: second");
    fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded();
    assert_eq!(seen(), ["post-upgrade", "pre-upgrade"]);
    fleet.fitout(&format!("rollback {CLUSTER} web")).succeeded();
    assert_eq!(seen(), ["post-rollback", "pre-rollback"]);
    fleet.fitout(&format!("uninstall {CLUSTER} --addon web --yes")).succeeded();
    assert_eq!(seen(), ["post-delete", "pre-delete"]);
}

#[test]
fn hooks_say_what_they_are_asked_to_and_go_by_their_policies() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.staging();
    let loud = hook(
        "Job",
        "generateName: migrate-",
        "helm.sh/hook: \"pre-install,pre-upgrade\", helm.sh/hook-weight: \"-1\", \
         helm.sh/hook-delete-policy: hook-succeeded, helm.sh/hook-output-log-policy: hook-succeeded",
        "1",
        "migrated 3 tables",
    );
    fleet.env.write(HOOKS, &loud);
    fleet.env.commit("A hook that is heard");
    let ran = fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded();
    ran.says("container `a` of pod `migrate-").says("    | migrated 3 tables\n");
    assert!(!cluster.has("jobs -n web"), "it had a generated name, and succeeded");
    let helms = cluster.helm("get hooks web -n web");
    assert!(helms.contains("hook-output-log-policy: hook-succeeded"), "{helms}");

    let failing = hook(
        "Job",
        "name: check",
        "helm.sh/hook: pre-upgrade, helm.sh/hook-delete-policy: hook-failed",
        "1-crash",
        "connecting\nfatal: no such host with hunter2-first",
    );
    fleet.env.write(HOOKS, &format!("{loud}{failing}"));
    fleet.env.commit("A hook that fails");
    fleet
        .fitout(&format!("apply {CLUSTER} --yes"))
        .exited(5)
        .says("the pre-upgrade hook Job/web/check from `web/templates/hooks.yaml` failed: ")
        .says("container `a` ended with exit code 1")
        .says("    | connecting\n    | fatal: no such host with (hidden)\n")
        .says("rolled back, as revision 3")
        .hides("hunter2");
    assert!(!cluster.has("jobs -n web"), "one failed, and one succeeded before it");
}

#[test]
fn tests_of_a_release_are_run_told_and_recorded_as_helm_does() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.staging();
    let test = |name: &str, weight: u8, tag: &str, says: &str| {
        let annotations = format!("helm.sh/hook: test, helm.sh/hook-weight: \"{weight}\"");
        hook("Pod", &format!("name: {name}"), &annotations, tag, says)
    };
    let (answers, login) = (test("answers", 1, "1", "200 OK"), "login\n403 for hunter2-first");
    let all = format!(
        "{answers}{}{}",
        test("logs-in", 2, "1-crash", login),
        test("lasts", 3, "1", "still there")
    );
    fleet.env.write(HOOKS, &all);
    fleet.env.commit("Tests");
    fleet.fitout(&format!("test {CLUSTER} web")).exited(5).says("web/web is not installed");
    fleet.bring_web(CLUSTER);
    assert!(!cluster.has("pods answers -n web"), "an apply runs no tests");

    let ran = fleet.fitout(&format!("test {CLUSTER} web")).exited(5);
    ran.says("stg-01/web: Pod/web/answers: succeeded in ")
        .says("stg-01/web: Pod/web/logs-in: failed: ")
        .says("container `a` ended with exit code 1")
        .says("    | login\n    | 403 for (hidden)\n")
        .says("stg-01/web: lasts: not run")
        .says("1 test succeeded, 1 failed, 1 not run")
        .hides("hunter2")
        .hides("200 OK");
    let phases = || {
        let status: serde_json::Value =
            serde_json::from_str(&cluster.helm("status web -n web -o json")).unwrap();
        assert_eq!(status["info"]["status"], "deployed", "a test changes no release");
        let hooks = status["hooks"].as_array().unwrap().iter();
        let mut phases: Vec<String> =
            hooks.map(|hook| format!("{} {}", hook["name"], hook["last_run"]["phase"])).collect();
        phases.sort();
        phases.join(", ").replace('"', "")
    };
    assert_eq!(phases(), "answers Succeeded, lasts , logs-in Failed");
    assert_eq!(fleet.history(CLUSTER), "1 deployed Install complete\n");

    let ran = fleet.fitout(&format!("test {CLUSTER} web --only lasts --logs")).succeeded();
    ran.says("    | still there\n").hides("answers");
    assert_eq!(phases(), "answers Succeeded, lasts Succeeded, logs-in Failed");
    fleet
        .fitout(&format!("test {CLUSTER} web --only lsats"))
        .exited(5)
        .says("has no test `lsats`")
        .says("it has answers, logs-in, lasts");

    // Helm runs the same tests, and tells the same of them.
    let helms = cluster.try_helm("test web -n web --timeout 20s");
    assert!(helms.out.contains("TEST SUITE:     logs-in") && helms.code != Some(0), "{helms}");
    assert_eq!(phases(), "answers Succeeded, lasts Succeeded, logs-in Failed");

    fleet.env.write(HOOKS, &format!("{answers}{}", test("hangs", 2, "1-broken", "")));
    fleet.env.commit("A test that hangs");
    fleet.fitout(&format!("apply {CLUSTER} --yes")).succeeded();
    fleet
        .fitout(&format!("test {CLUSTER} web --timeout 3s"))
        .exited(5)
        .says("Pod/web/hangs: failed: is not done after 3s: container `a` waits: ImagePullBackOff");
    cluster.kubectl("delete pods -n web answers logs-in lasts hangs --ignore-not-found");
}
