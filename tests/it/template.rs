//! `fitout template`: the arguments and the output of `helm template`.

use insta::assert_snapshot;

use crate::env::{Env, repository};

/// A fleet whose `chart/` folder is a chart with a CRD, a hook, a test, notes and a subchart.
fn env() -> Env {
    let env = Env::new();
    let files = [
        (
            "Chart.yaml",
            "apiVersion: v2\nname: shop\nversion: 1.2.3\nappVersion: \"4\"\ndependencies: [{name: store, version: 1.x, alias: db}]\n",
        ),
        ("values.yaml", "size: 1\nlabels: {team: blue}\n"),
        ("crds/shelf.yaml", "kind: CustomResourceDefinition\n"),
        (
            "templates/all.yaml",
            "kind: ConfigMap\nmetadata: {name: {{ .Release.Name }}, namespace: {{ .Release.Namespace }}}\ndata:\n  {{- toYaml .Values | nindent 2 }}\n  upgrade: {{ .Release.IsUpgrade }}\n  kube: {{ .Capabilities.KubeVersion }}\n  has: {{ .Capabilities.APIVersions.Has \"shop.example.org/v1\" }}\n",
        ),
        (
            "templates/hook.yaml",
            "kind: Job\nmetadata: {name: hook, annotations: {helm.sh/hook: pre-install}}\n",
        ),
        (
            "templates/tests/test.yaml",
            "kind: Pod\nmetadata: {name: test, annotations: {helm.sh/hook: test}}\n",
        ),
        ("templates/NOTES.txt", "Have a look.\n"),
        ("charts/store/Chart.yaml", "apiVersion: v2\nname: store\nversion: 1.0.0\n"),
        ("charts/store/templates/s.yaml", "kind: Secret\nmetadata: {name: store}\n"),
    ];
    for (name, text) in files {
        env.write(&format!("chart/{name}"), text);
    }
    env.write("more.yaml", "size: 2\nlabels: {tier: top}\n");
    env.write("text.txt", "two\nlines");
    env
}

/// Arguments that helm takes and that give something.
const WORKING: &[&str] = &[
    "template shop chart",
    "template chart",
    "template shop chart --include-crds",
    "template shop chart --include-crds --skip-crds",
    "template shop chart --no-hooks",
    "template shop chart --skip-tests",
    "template shop chart --is-upgrade -n store",
    "template shop chart -s templates/hook.yaml",
    "template shop chart --show-only charts/db/templates/s.yaml",
    "template shop chart -s templates/*.yaml",
    "template shop chart --kube-version 1.31 -a shop.example.org/v1",
    "template shop chart -f more.yaml --set a.b[1]=x,size=3 --set-string n=7 --set-literal t=a,b",
    "template shop chart --set-json l={\"x\":[1]} --set-file f=text.txt --set labels=null",
    "template --name-template n-{{\"A\"|lower}} chart",
    "template --generate-name chart",
    "template shop chart --skip-schema-validation --render-subchart-notes --dry-run",
    "template shop chart --atomic --wait --wait-for-jobs --timeout 3m --create-namespace --force",
    "template shop chart --replace --description x --hide-notes --take-ownership --labels a=b",
    "template shop chart --disable-openapi-validation --dry-run=client --kube-context x --qps 5",
    "template shop chart --output-dir out",
    "template shop chart --output-dir out --release-name",
];

#[test]
fn the_arguments_of_helm_are_taken() {
    let env = env();
    let told = [
        "template shop chart",
        "template shop chart -f more.yaml --set a.b[1]=x,size=3 --set-string n=7 --set-literal t=a,b -s templates/all.yaml",
        "template shop chart --include-crds --no-hooks -s crds/shelf.yaml",
        "template shop chart --output-dir out --release-name",
    ];
    assert_snapshot!(told.map(|args| env.run(args)).join("\n"));
    for args in WORKING {
        let told = env.run(args);
        assert!(told.ends_with("--- exit 0\n"), "{told}");
    }
}

#[test]
fn what_would_need_a_cluster_a_program_or_a_secret_is_refused() {
    let env = env();
    let told = [
        "--validate",
        "--dry-run=server",
        "--dependency-update",
        "--post-renderer=sed",
        "--verify",
        "--username=me",
        "--insecure-skip-tls-verify",
        "--enable-dns",
    ];
    let told = told.map(|flag| env.run(&format!("template shop chart {flag}")));
    assert_snapshot!(told.join("\n"));
}

#[test]
fn wrong_arguments_are_told_in_the_words_of_helm() {
    let env = env();
    let told = [
        "template",
        "template shop nowhere",
        "template Shop_1 chart",
        "template shop chart --generate-name",
        "template shop chart --name-template x",
        "template shop chart -s templates/none.yaml",
        "template shop chart --kube-version one",
        "template shop chart --set a=b,c",
        "template shop chart --set-json a=[1",
        "template shop chart --set-file a=none.txt",
        "template shop chart -f none.yaml",
        "template shop chart -f text.txt",
        "template shop chart --nothing",
    ];
    assert_snapshot!(told.map(|args| env.run(args)).join("\n"));
}

#[test]
fn a_failed_template_is_shown_with_its_excerpt() {
    let env = env();
    env.write("chart/templates/broken.yaml", "a: {{ .Values.labels.team.name }}\n");
    assert_snapshot!(env.run("template shop chart"));
}

mod e2e {
    use super::*;

    /// The same arguments to the real helm, where it is there.
    #[test]
    fn the_real_helm_prints_the_same() {
        let Some(helm) = std::env::var_os("FITOUT_HELM") else {
            println!("template::e2e: skipped, FITOUT_HELM names no helm");
            return;
        };
        let env = env();
        let example = repository().join("addons/prometheus/chart");
        let example = example.to_string_lossy();
        let mut cases: Vec<String> = WORKING.iter().map(|args| (*args).to_owned()).collect();
        cases.extend(
            cases
                .clone()
                .iter()
                .filter(|args| !args.contains("-s "))
                .map(|args| args.replace(" chart", &format!(" {example}"))),
        );
        cases.retain(|args| !args.contains("--show-only") || !args.contains(&*example));
        for args in &cases {
            let args: Vec<&str> = args.split(' ').collect();
            let _ = std::fs::remove_dir_all(env.fleet().join("out"));
            let ours = env.fitout(&args).output().unwrap();
            let files = folder(&env.fleet().join("out"));
            let _ = std::fs::remove_dir_all(env.fleet().join("out"));
            let theirs = std::process::Command::new(&helm)
                .args(&args)
                .current_dir(env.fleet())
                .output()
                .unwrap();
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            assert_eq!(text(&ours.stdout), text(&theirs.stdout), "{args:?}");
            assert!(ours.status.success() && theirs.status.success(), "{args:?}");
            assert_eq!(files, folder(&env.fleet().join("out")), "{args:?}");
        }
        println!("template::e2e: {} renders are those of helm", cases.len());
    }

    /// Names and texts of all files below a folder.
    fn folder(path: &std::path::Path) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(path).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(folder(&path));
            } else {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path.display().to_string(), text));
            }
        }
        found.sort();
        found
    }
}

#[test]
fn the_origin_of_a_value_is_told() {
    let env = env();
    env.write("chart/charts/store/values.yaml", "disk: {size: 1, kind: ssd}\nglobal: {zone: a}\n");
    env.write(
        "chart/values.yaml",
        "size: 1\nlabels: {team: blue}\ndb: {disk: {size: 2}}\nglobal: {zone: b}\n",
    );
    env.write("list.yaml", "hosts: [{name: a, port: 1}, {name: b}]\n");
    let told = [
        "template shop chart --explain size -f more.yaml --set size=3",
        "template shop chart --explain .Values.labels -f more.yaml --set labels.team=red",
        "template shop chart --explain labels.team -f more.yaml --set labels.team=null",
        "template shop chart --explain db.disk",
        "template shop chart --explain db.global.zone",
        "template shop chart --explain db.global.zone --set global.zone=c",
        "template shop chart --explain hosts[0].port -f list.yaml --set hosts[1].port=7",
        "template shop chart --explain hosts[1].port -f list.yaml --set hosts[1].port=7",
        "template shop chart --explain labels.team --set-json labels={\"tier\":1}",
        "template shop chart --explain labels.tier -f more.yaml --set-json labels={\"x\":1}",
        "template shop chart --explain lables.team",
        "template shop chart --explain a..b",
    ];
    assert_snapshot!(told.map(|args| env.run(args)).join("\n"));
}

#[test]
fn the_origin_of_a_value_of_a_subchart_that_is_off_says_so() {
    let env = env();
    let chart = "apiVersion: v2\nname: shop\nversion: 1.2.3\ndependencies: [{name: store, version: 1.x, condition: store.enabled}]\n";
    env.write("chart/Chart.yaml", chart);
    env.write("chart/values.yaml", "store: {enabled: false}\n");
    env.write("chart/charts/store/values.yaml", "disk: 1\n");
    let told = [
        "template shop chart --explain store.disk",
        "template shop chart --explain store.disk --set store.enabled=true",
        "template shop chart --explain store.disk --set store.disk=4",
    ];
    assert_snapshot!(told.map(|args| env.run(args)).join("\n"));
}

#[test]
fn the_origin_of_an_imported_value_is_told() {
    let env = env();
    let chart = "apiVersion: v2\nname: shop\nversion: 1.2.3\ndependencies: [{name: store, version: 1.x, import-values: [data, {child: disk, parent: our.disk}]}]\n";
    env.write("chart/Chart.yaml", chart);
    env.write(
        "chart/charts/store/values.yaml",
        "disk: {size: 1}\nexports: {data: {colour: red}}\n",
    );
    let told = [
        "template shop chart --explain colour",
        "template shop chart --explain our --set our.disk.kind=ssd",
    ];
    assert_snapshot!(told.map(|args| env.run(args)).join("\n"));
}

/// Templates that miss a value, each with the values of the user.
const MISSING: &[(&str, &str)] = &[
    ("a: {{ .Values.labels.owner.name }}", ""),
    ("a: {{ .Values.image.repository.name }}", "image: {repositry: x}"),
    ("a: {{ .Values.lables.team.name }}", ""),
    ("a: {{ .Values.nothing.at.all }}", ""),
    ("{{ with .Values.disk }}\na: {{ .mount.path }}\n{{ end }}", "disk: {size: 1}"),
    (
        "{{ range .Values.hosts }}\na: {{ .tls.secret }}\n{{ end }}",
        "hosts: [{tls: {secret: x}}, {name: y}]",
    ),
    (
        "{{ range $name, $host := .Values.hosts }}\na: {{ $host.tls.secret }}\n{{ end }}",
        "hosts: {p: {tls: {secret: x}}, q: {tsl: {}}}",
    ),
    ("{{ $disk := .Values.disk | default dict }}\na: {{ $disk.mount.path }}", "disk: {size: 1}"),
    (
        "a: {{ include \"path\" .Values.disk }}\n{{ define \"path\" }}{{ .mount.path }}{{ end }}",
        "disk: {size: 1}",
    ),
    (
        "a: {{ template \"path\" (dict \"disk\" .Values.disk \"top\" $) }}\n{{ define \"path\" }}{{ .disk.mount.path }}{{ end }}",
        "disk: {size: 1}",
    ),
    (
        "a: {{ include \"path\" (dict \"top\" $) }}\n{{ define \"path\" }}{{ with .top }}{{ .Values.labels.owner.name }}{{ end }}{{ end }}",
        "",
    ),
    ("a: {{ (index .Values.hosts 1).tls.secret }}", "hosts: [{}, {}]"),
    ("{{ with .Values.labels }}a: {{ required \"an owner\" .owner }}{{ end }}", ""),
    ("{{ with .Values.labels }}a: {{ .team.name }}{{ end }}", "labels: {team: red}"),
    ("{{ range .Values.sizes }}a: {{ .unit }}{{ end }}", "sizes: [{unit: a}, 7]"),
    ("a: {{ .Values.global.zone.name }}", "global: {zones: {name: x}}"),
];

#[test]
fn the_value_that_a_template_misses_is_told() {
    let env = env();
    let told = MISSING.iter().map(|(template, values)| {
        env.write("chart/templates/x.yaml", template);
        env.write("user.yaml", values);
        env.run("template shop chart -f user.yaml")
    });
    assert_snapshot!(told.collect::<Vec<_>>().join("\n"));
}

#[test]
fn the_value_that_a_subchart_misses_is_told_from_the_top() {
    let env = env();
    env.write("chart/charts/store/values.yaml", "disk: {size: 1}\n");
    let told = ["a: {{ .Values.disk.mount.path }}", "a: {{ .Values.global.zone.name }}"];
    let told = told.map(|template| {
        env.write("chart/charts/store/templates/x.yaml", template);
        env.run("template shop chart")
    });
    assert_snapshot!(told.join("\n"));
}

/// Templates whose output is no YAML, or no object.
const UNFIT: &[&str] = &[
    "kind: ConfigMap\nmetadata:\n  name: x\n data: 1\n",
    "kind: ConfigMap\nmetadata:\n  name: x\n  labels:\n    {{- toYaml .Values.labels | nindent 3 }}\n    team: {{ .Values.team }}: x\n",
    "kind: ConfigMap\n{{ range $i, $size := list 1 2 }}\ndata:\n  size: {{ $size }}\n\t- {{ $i }}\n{{ end }}",
    "kind: ConfigMap\ndata: {{ include \"data\" . }}\n{{ define \"data\" }}a: b: c{{ end }}",
    "{{ if true }}\nkind: ConfigMap\n---\n- a\n- b\n{{ end }}\n",
];

#[test]
fn the_line_of_a_template_behind_output_that_is_no_yaml_is_told() {
    let env = env();
    let told = UNFIT.iter().map(|template| {
        env.write("chart/templates/x.yaml", template);
        env.run("template shop chart")
    });
    assert_snapshot!(told.collect::<Vec<_>>().join("\n"));
}
