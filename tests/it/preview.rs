//! `fitout preview`: what a change in git does to every cluster.

use insta::assert_snapshot;

use crate::env::Env;

/// The report of a change to the worked example.
fn told(change: impl FnOnce(&Env)) -> String {
    let env = Env::example();
    change(&env);
    without_revisions(&env, &env.run("preview"))
}

/// Commits differ with each run.
fn without_revisions(env: &Env, told: &str) -> String {
    let mut told = told.to_owned();
    for (rev, name) in [("HEAD", "[HEAD]"), ("HEAD~1", "[BASE]")] {
        let found = env.try_git(&format!("rev-parse {rev}"));
        if let Some(commit) = found {
            told = told.replace(commit.trim(), name).replace(&commit[..9], name);
        }
    }
    told
}

#[test]
fn nothing_is_told_as_nothing() {
    assert_snapshot!(told(|_| {}));
}

#[test]
fn one_line_of_a_values_layer() {
    assert_snapshot!(told(|env| env.replace("addons/traefik/values/prod.yaml", "1Gi", "2Gi")));
}

#[test]
fn a_new_version_of_a_chart_with_its_image_and_changelog() {
    assert_snapshot!(told(|env| {
        env.replace(
            "addons/fluentd/chart/Chart.yaml",
            "version: 2.2.1-cern-0.1.2-2+7d90f1",
            "version: 2.3.0",
        );
        let chart = env.read("addons/fluentd/chart/Chart.yaml");
        let changes = "annotations:\n  artifacthub.io/changes: |\n    - kind: added\n      description: Faster outputs\n    - plain words\n";
        env.write("addons/fluentd/chart/Chart.yaml", &format!("{chart}{changes}"));
        let values = env.read("addons/fluentd/values.yaml");
        env.write(
            "addons/fluentd/values.yaml",
            &format!("{values}\ncollector:\n  image: registry.example.org/fluentd:v1.99.0\n"),
        );
    }));
}

#[test]
fn a_version_alone_is_folded() {
    assert_snapshot!(told(|env| {
        env.replace(
            "addons/eosxd/chart/Chart.yaml",
            "version: 1.4.0-cern-0.3.0-1+e0f25c",
            "version: 1.4.1",
        );
    }));
}

#[test]
fn a_cluster_that_joins() {
    assert_snapshot!(told(|env| {
        let text = env.read("clusters/staging/stg-meyrin-01.yaml");
        env.write(
            "clusters/staging/stg-meyrin-09.yaml",
            &text.replace("stg-meyrin-01", "stg-meyrin-09"),
        );
    }));
}

#[test]
fn an_addon_that_goes() {
    let env = Env::small();
    env.commit("Begin");
    env.remove("addons/web");
    assert_snapshot!(without_revisions(&env, &env.run("preview")));
}

#[test]
fn an_addon_that_goes_while_a_cluster_still_wants_it() {
    assert_snapshot!(told(|env| {
        env.remove("addons/prometheus");
    }));
}

#[test]
fn a_policy_and_the_labels_of_a_cluster() {
    assert_snapshot!(told(|env| {
        env.replace("policies/rollout.yaml", "soak: 10m", "soak: 1h");
        env.replace(
            "clusters/staging/stg-meyrin-01.yaml",
            "environment: staging",
            "environment: prod",
        );
    }));
}

/// A chart of one file in the place of the worked example's `eosxd`.
fn own(env: &Env, text: &str) {
    env.remove("addons/eosxd/chart");
    env.write("addons/eosxd/chart/Chart.yaml", "apiVersion: v2\nname: own\nversion: 1.0.0\n");
    env.write("addons/eosxd/chart/templates/all.yaml", text);
}

#[test]
fn secrets_permissions_and_fields_that_cannot_change() {
    const BEFORE: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: key}\nstringData: {password: one, user: me}\n\
        ---\napiVersion: v1\nkind: Secret\nmetadata: {name: drawn}\nstringData: {password: {{ randAlphaNum 8 }}}\n\
        ---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: own}\nrules:\n- {apiGroups: [\"\"], resources: [pods], verbs: [get]}\n\
        ---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: own}\nspec:\n  selector: {matchLabels: {app: own}}\n  template:\n    metadata: {labels: {app: own}, annotations: {checksum/config: one}}\n\
        ---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: config-0a1b2c3}\ndata: {a: \"1\"}\n\
        ---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: cluster}\ndata: {name: {{ .Values.cacheSizeMiB | quote }}}\n";
    let env = Env::example();
    own(&env, BEFORE);
    env.commit("A chart of our own");
    let after = BEFORE
        .replace("password: one", "password: two")
        .replace("[get]", "[get, delete]")
        .replace("{name: drawn}", "{name: drawn, labels: {a: b}}")
        .replace("matchLabels: {app: own}", "matchLabels: {app: other}")
        .replace("checksum/config: one", "checksum/config: two")
        .replace("config-0a1b2c3", "config-4d5e6f7")
        .replace("a: \"1\"", "a: \"2\"");
    env.write("addons/eosxd/chart/templates/all.yaml", &after);
    let told = env.run("preview");
    assert!(!told.contains("password: one") && !told.contains("password: two"), "{told}");
    assert_snapshot!(without_revisions(&env, &told));
}

#[test]
fn a_chart_that_breaks_is_told_and_the_rest_goes_on() {
    assert_snapshot!(told(|env| {
        env.write("addons/eosxd/chart/templates/wrong.yaml", "a: {{ .Values.nothing.here }}\n");
        env.replace("addons/traefik/values/prod.yaml", "1Gi", "2Gi");
    }));
}

#[test]
fn a_crd_changes_with_its_chart() {
    assert_snapshot!(told(|env| {
        env.replace(
            "addons/prometheus/chart/crds/scrapetargets.yaml",
            "maximum: 65535}",
            "maximum: 1023}",
        );
    }));
}

#[test]
fn a_placement_takes_an_addon_from_clusters() {
    assert_snapshot!(told(|env| {
        env.replace(
            "addons/prometheus/addon.yaml",
            "placement: {matchLabels: {monitoring: \"true\"}}",
            "placement: {matchLabels: {monitoring: \"true\", flavour: gpu}}",
        );
    }));
}

#[test]
fn a_cluster_that_gets_another_name() {
    assert_snapshot!(told(|env| {
        let text = env.read("clusters/prod/prod-meyrin-gpu-02.yaml");
        env.remove("clusters/prod/prod-meyrin-gpu-02.yaml");
        env.write(
            "clusters/prod/prod-meyrin-gpu-03.yaml",
            &text.replace("prod-meyrin-gpu-02", "prod-meyrin-gpu-03"),
        );
    }));
}

/// Not even the objects of clusters that no other file concerns are told as removed.
#[test]
fn a_cluster_that_cannot_be_read_is_unknown() {
    assert_snapshot!(told(|env| {
        env.replace("clusters/prod/prod-meyrin-gpu-02.yaml", "spec:", "spec: [");
        env.replace("addons/traefik/values/prod.yaml", "1Gi", "2Gi");
    }));
}

#[test]
fn one_cluster_has_its_own_values_and_another_one_no_addon() {
    assert_snapshot!(told(|env| {
        let path = "clusters/prod/prod-meyrin-cpu-01.yaml";
        let text = env.read(path);
        let own = "  addons:\n    - {name: traefik, values: {proxy: {resources: {limits: {memory: 3Gi}}}}}\n";
        env.write(path, &format!("{text}{own}"));
        let path = "clusters/prod/prod-meyrin-cpu-02.yaml";
        let text = env.read(path);
        env.write(path, &format!("{text}  addons:\n    - {{name: fluentd, enabled: false}}\n"));
        env.replace("addons/traefik/values/prod.yaml", "1Gi", "2Gi");
    }));
}

/// A digest at the end of a name is only where such names are made: a claim with another number
/// is another claim, and what the first one holds is lost.
#[test]
fn a_volume_with_another_name_is_a_deletion() {
    const CLAIM: &str = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data-store1}\n\
        spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n";
    let env = Env::example();
    own(&env, CLAIM);
    env.commit("A claim");
    let after = CLAIM.replace("store1", "store2");
    env.write("addons/eosxd/chart/templates/all.yaml", &after);
    assert_snapshot!(without_revisions(&env, &env.run("preview")));
}

#[test]
fn charts_from_new_addresses_are_not_fetched() {
    assert_snapshot!(told(|env| {
        env.write(
            "addons/other.yaml",
            "apiVersion: fitout.dev/v1alpha1\nkind: ChartRepository\nmetadata: {name: other}\n\
             spec: {url: \"http://127.0.0.1:9/charts\", credentials: {env: HOME}}\n---\n\
             apiVersion: fitout.dev/v1alpha1\nkind: Addon\nmetadata: {name: other}\nspec:\n  \
             chart: {repository: other, name: x, version: 1.0.0}\n  namespace: x\n  placement: {}\n",
        );
    }));
}

#[test]
fn two_revisions_as_markdown_and_json() {
    let env = Env::example();
    env.replace("addons/traefik/values/prod.yaml", "1Gi", "2Gi");
    env.commit("More memory");
    env.replace("addons/traefik/values/prod.yaml", "2Gi", "4Gi");
    let told = env.run("preview --base HEAD~1 --head HEAD -o markdown --exit-code");
    assert_snapshot!(without_revisions(&env, &told));
    let output = env.fitout(&["preview", "--base", "HEAD~1", "-o", "json"]).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let field = &report["groups"][0]["changes"][0]["fields"][0];
    assert_eq!((&field["before"], &field["after"]), (&"1Gi".into(), &"4Gi".into()));
    assert_eq!(report["rollouts"][0]["stages"][0]["name"], "canary");
}

#[test]
fn markdown_of_a_hostile_change_stays_text() {
    let env = Env::example();
    own(
        &env,
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: \"</summary><img src=x>@all ```\"}\n\
         data: {a: \"````\\n</details>\\u001b[2J\"}\n",
    );
    let told = env.run("preview -o markdown");
    let mut is_code = false;
    for line in told.lines() {
        is_code ^= line.starts_with("```");
        assert!((is_code || !line.contains("<img")) && !line.contains('\u{1b}'), "{told}");
    }
    assert!(told.lines().any(|line| line == "`````diff"), "{told}");
    let short = env.run("preview -o markdown --max-chars 800");
    assert!(short.chars().count() < 950 && short.contains("A comment has a limit"), "{short}");
}

#[test]
fn a_branch_is_compared_with_where_it_left_the_default_one() {
    let env = Env::example();
    env.git("checkout --quiet -b change");
    env.replace("addons/traefik/values/prod.yaml", "1Gi", "2Gi");
    env.commit("More memory");
    env.git("checkout --quiet main");
    env.replace("addons/prometheus/values.yaml", "v3.8.0", "v3.9.0");
    env.commit("Something else");
    env.git("checkout --quiet change");
    let told = env.run("preview");
    assert!(told.contains("1Gi → 2Gi") && !told.contains("prometheus"), "{told}");
    env.git("checkout --quiet --orphan alone");
    env.commit("Another history");
    let told = without_revisions(&env, &env.run("preview"));
    let main = env.git("rev-parse main");
    assert_snapshot!(told.replace(main.trim(), "[MAIN]"));
}

#[test]
fn windows_and_freezes_say_when_a_rollout_may_begin() {
    assert_snapshot!(told(|env| {
        let policy = env.read("policies/rollout.yaml");
        let calendar = "  windows: [{days: [mon, tue, wed, thu], from: \"08:00\", to: \"16:00\", timezone: Europe/Zurich}]\n  freezes:\n    - {from: 2020-12-18, to: 2999-01-05, reason: a long stop}\n    - {from: 2020-01-01, to: 2020-01-05, reason: over}\n";
        let policy = policy.replacen("spec:\n", &format!("spec:\n{calendar}"), 1);
        let policy = policy.replacen(
            "name: staging",
            "windows: []\n      freezes: []\n      name: staging",
            1,
        );
        env.write("policies/rollout.yaml", &policy);
        env.replace("addons/traefik/values/prod.yaml", "1Gi", "2Gi");
    }));
}

#[test]
fn clusters_that_are_asked_say_what_would_change_there() {
    let env = Env::small();
    env.commit("Begin");
    assert!(env.run("apply dev --yes").ends_with("exit 0\n"));
    env.replace("addons/web/values.yaml", "grey", "green");
    let run = |args: &str| without_revisions(&env, &env.run(args));
    let page = env.run("preview --live dev -o html");
    assert!(page.contains("On the clusters now") && !page.contains("no cluster was asked"));
    let told = [
        "preview --live dev,prod",
        "preview --live dev -o markdown",
        "preview --live dev -o json",
        "preview --live dve",
    ];
    assert_snapshot!(told.map(run).join("\n"));
}

const GUARDRAIL: &str = "\
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: calm}
spec:
  matchConstraints:
    resourceRules:
      - {apiGroups: [apps], apiVersions: [v1], operations: [UPDATE], resources: [deployments]}
      - {apiGroups: [apps], apiVersions: [v1], operations: [DELETE], resources: ['*']}
  variables:
    - {name: memory, expression: 'object.spec.template.spec.containers[0].resources.limits.memory'}
    - {name: oldMemory, expression: 'oldObject.spec.template.spec.containers[0].resources.limits.memory'}
  validations:
    - expression: object != null && variables.memory == variables.oldMemory
      messageExpression: >-
        object == null ? 'workloads are not deleted'
        : 'memory stays ' + variables.oldMemory + ', and does not get ' + variables.memory
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: calm}
spec: {policyName: calm, validationActions: [Deny]}
";

#[test]
fn guardrails_judge_what_is_done_with_objects() {
    let env = Env::example();
    env.write("policies/guardrails/calm.yaml", GUARDRAIL);
    env.commit("A guardrail about changes");
    env.replace("addons/traefik/values/prod.yaml", "1Gi", "2Gi");
    let placement = "placement: {matchLabels: {environment: nowhere}}";
    let addon = env.read("addons/prometheus/addon.yaml");
    let at = addon.find("placement:").expect("it has one");
    let end = at + addon[at..].find('\n').expect("a line ends");
    env.write(
        "addons/prometheus/addon.yaml",
        &format!("{}{placement}{}", &addon[..at], &addon[end..]),
    );
    let run = |args: &str| without_revisions(&env, &env.run(args));
    assert_snapshot!([run("preview"), run("preview -o markdown"), run("validate")].join("\n"));
}

#[test]
fn more_deletions_than_the_policy_allows_are_a_finding() {
    let env = Env::small();
    let policy = |limits: &str| {
        format!(
            "apiVersion: fitout.dev/v1alpha1\nkind: RolloutPolicy\nmetadata: {{name: careful}}\nspec:\n  \
             stages: [{{name: all, clusters: {{}}}}]\n{limits}"
        )
    };
    env.write("policies/careful.yaml", &policy("  limits: {deletedObjects: 1}\n"));
    let addon = env.read("addons/web/addon.yaml");
    env.write("addons/web/addon.yaml", &format!("{addon}  rollout: {{policy: careful}}\n"));
    let more = "{{- range untilStep 0 3 1 }}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: more-{{ . }}}\n{{- end }}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: more}\n";
    env.write("addons/web/chart/templates/more.yaml", more);
    env.commit("Begin");
    env.remove("addons/web/chart/templates/more.yaml");
    let run = |args: &str| without_revisions(&env, &env.run(args));
    let mut told = vec![run("preview")];
    let waiver = "apiVersion: fitout.dev/v1alpha1\nkind: Waiver\nmetadata: {name: once}\nspec: {code: blast-radius, addon: web, reason: they moved, until: \"2999-12-31\"}\n";
    env.write("policies/waiver.yaml", waiver);
    told.push(run("preview"));
    env.remove("policies/waiver.yaml");
    let limits = "  limits: {deletedObjects: 10, deletedNamespaces: 1}\n";
    env.write("policies/careful.yaml", &policy(limits));
    told.push(run("preview"));
    assert_snapshot!(told.join("\n"));
}

/// As sops writes it.
const ENCRYPTED: &str = "\
colour: ENC[AES256_GCM,data:Zm9v,iv:aXY=,tag:dGFn,type:str]
token: ENC[AES256_GCM,data:YmFy,iv:aXY=,tag:dGFn,type:str]
sops:
  mac: ENC[AES256_GCM,data:bWFj,iv:aXY=,tag:dGFn,type:str]
  lastmodified: \"2026-01-01T00:00:00Z\"
";

#[test]
fn encrypted_values_stay_encrypted_and_get_to_no_cluster() {
    let env = Env::small();
    let addon = env.read("addons/web/addon.yaml");
    let layer =
        "  values:\n    - {secrets: \"secrets/{{ .Cluster.name }}.yaml\", optional: true}\n";
    env.write("addons/web/addon.yaml", &addon.replacen("  values:\n", layer, 1));
    env.write("addons/web/secrets/prod.yaml", ENCRYPTED);
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: web}\nstringData: {token: {{ .Values.token | default \"none\" | quote }}}\n";
    env.write("addons/web/chart/templates/secret.yaml", secret);
    env.commit("Begin");
    let changed = ENCRYPTED.replace("Zm9v", "YmF6").replace("YmFy", "cXV4").replace("2026", "2027");
    env.write("addons/web/secrets/prod.yaml", &changed);
    let run = |args: &str| without_revisions(&env, &env.run(args));
    let mut told =
        vec![run("preview"), run("validate"), run("diff prod"), run("render prod --addon web")];
    told.push(run("preview --live prod"));
    env.write("addons/web/secrets/prod.yaml", "token: hunter2\n");
    told.push(run("preview"));
    assert!(!told.concat().contains("hunter2"), "{told:?}");
    assert_snapshot!(told.join("\n"));
}

#[test]
fn decrypted_values_are_compared_and_hidden() {
    let env = Env::small();
    let case = |name: &str| {
        std::fs::read_to_string(crate::env::repository().join("tests/cases/sops").join(name))
            .unwrap()
    };
    let addon = env.read("addons/web/addon.yaml");
    let layer = "  values:\n    - {secrets: secrets.yaml}\n";
    env.write("addons/web/addon.yaml", &addon.replacen("  values:\n", layer, 1));
    env.write("addons/web/secrets.yaml", &case("secrets.yaml"));
    let templates = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: leaky}\ndata:\n  url: \"db://eos:{{ .Values.adminPassword }}@db:{{ .Values.database.port }}\"\n  encoded: {{ .Values.adminPassword | b64enc }}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: web}\nstringData: {token: {{ .Values.adminPassword | quote }}}\n";
    env.write("addons/web/chart/templates/secret.yaml", templates);
    env.commit("Begin");
    env.write("addons/web/secrets.yaml", &case("changed.yaml"));
    let run = |args: &[&str], key: &str| {
        let output = env.fitout(args).env("SOPS_AGE_KEY", key).output().unwrap();
        without_revisions(&env, &env.tell(args, &output))
    };
    let key = case("key.txt");
    let mut told = vec![
        run(&["preview", "--decrypt"], &key),
        run(&["preview", "--decrypt"], &case("other-key.txt")),
        run(&["preview", "--decrypt"], "mine"),
        env.run("preview --decrypt"),
    ];
    for format in ["json", "html", "markdown"] {
        let report = run(&["preview", "--decrypt", "-o", format], &key);
        assert!(!report.contains("hunter") && !report.contains("aHVudGVy"), "{report}");
    }
    // A chart that fails with a secret in its words.
    env.write(
        "addons/web/chart/templates/fail.yaml",
        "{{ fail (printf \"no %s\" .Values.adminPassword) }}",
    );
    told.push(run(&["preview", "--decrypt"], &key));
    let told = told.join("\n");
    assert!(!told.contains("hunter") && !told.contains("aHVudGVy"), "{told}");
    assert_snapshot!(told);
}

#[test]
fn an_object_that_an_addon_beside_has_is_found() {
    let env = Env::small();
    let shared = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shared, namespace: base}\n";
    env.write("addons/base/chart/templates/shared.yaml", shared);
    env.commit("Begin");
    env.write("addons/web/chart/templates/shared.yaml", shared);
    let told = env.run("preview");
    assert!(told.contains("the change can reach 2 of 4 instances"), "{told}");
    let found = told.find("error[object-conflict]").expect("it is found");
    assert_snapshot!(&told[found..]);
}
