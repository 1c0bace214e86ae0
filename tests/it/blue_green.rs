//! Two releases beside one another on simulated clusters that another process serves: each kind of
//! object that traffic goes through, failures, kills, the controller.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use insta::assert_snapshot;
use serde_json::Value as Json;

use crate::env::Env;

/// The CRDs of what traffic goes through, each with the shape of the real one as far as it counts.
const CRDS: [(&str, &str, &str, &str); 3] = [
    ("gateway.networking.k8s.io", "HTTPRoute", "httproutes", "v1"),
    ("networking.istio.io", "VirtualService", "virtualservices", "v1"),
    ("traefik.io", "TraefikService", "traefikservices", "v1alpha1"),
];

/// The objects of each kind, with all of the traffic at nobody.
const OBJECTS: &str = r"apiVersion: v1
kind: Service
metadata: {name: front}
spec:
  selector: {app: web, app.kubernetes.io/instance: nobody}
  ports: [{port: 80}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  hostnames: [web.example.org]
  rules:
    - matches: [{path: {type: PathPrefix, value: /}}]
      backendRefs:
        {{- range .Values.names }}
        - {name: {{ . }}, port: 80, weight: 0}
        {{- end }}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web.example.org]
  http:
    - route:
        {{- range .Values.names }}
        - {destination: {host: {{ . }}.web.svc.cluster.local}, weight: 0}
        {{- end }}
---
apiVersion: traefik.io/v1alpha1
kind: TraefikService
metadata: {name: web}
spec:
  weighted:
    services:
      {{- range .Values.names }}
      - {name: {{ . }}, port: 80, weight: 0}
      {{- end }}
";

/// A chart that can stand twice.
const WEB: &str = r#"apiVersion: v1
kind: Service
metadata: {name: {{ .Release.Name }}}
spec:
  selector: {app.kubernetes.io/instance: {{ .Release.Name }}}
  ports: [{port: 80}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}}
spec:
  replicas: 2
  selector: {matchLabels: {app.kubernetes.io/instance: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: web, app.kubernetes.io/instance: {{ .Release.Name }}}}
    spec: {containers: [{name: web, image: "registry.example.org/web:{{ .Values.tag }}"}]}
"#;

/// An addon `front` with the objects that traffic goes through, and `web` behind it, changed in place.
pub(crate) fn fleet(env: &Env) {
    let crds = CRDS.map(|(group, kind, plural, version)| {
        format!(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  \
             name: {plural}.{group}\n  annotations: {{api-approved.kubernetes.io: \"unapproved, of a test\"}}\n\
             spec:\n  group: {group}\n  scope: Namespaced\n  names: {{kind: {kind}, plural: {plural}, singular: {}}}\n  \
             versions:\n    - name: {version}\n      served: true\n      storage: true\n      schema:\n        \
             openAPIV3Schema:\n          type: object\n          properties: {{spec: {{type: object, \
             x-kubernetes-preserve-unknown-fields: true}}}}\n",
            kind.to_lowercase()
        )
    });
    env.write("addons/front/chart/Chart.yaml", "apiVersion: v2\nname: front\nversion: 1.0.0\n");
    env.write("addons/front/chart/crds/all.yaml", &crds.join("---\n"));
    env.write("addons/front/chart/templates/all.yaml", OBJECTS);
    let ignored = [
        ("Service", "/spec/selector/app.kubernetes.io~1instance"),
        ("HTTPRoute", "/spec/rules/*/backendRefs/*/weight"),
        ("VirtualService", "/spec/http/*/route/*/weight"),
        ("TraefikService", "/spec/weighted/services/*/weight"),
    ]
    .map(|(kind, path)| {
        format!("    - {{kind: {kind}, path: {path}, reason: traffic is moved}}\n")
    });
    env.write(
        "addons/front/addon.yaml",
        &format!(
            "apiVersion: fitout.dev/v1alpha1\nkind: Addon\nmetadata: {{name: front}}\nspec:\n  \
             chart: {{path: chart}}\n  namespace: web\n  placement: {{}}\n  \
             values: [{{inline: {{names: [web, web-blue, web-green]}}}}]\n  ignoreDifferences:\n{}",
            ignored.concat()
        ),
    );
    env.write("addons/web/chart/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n");
    env.write("addons/web/chart/templates/all.yaml", WEB);
    env.write("addons/web/values.yaml", "tag: v1\n");
    env.write(
        "addons/web/addon.yaml",
        "apiVersion: fitout.dev/v1alpha1\nkind: Addon\nmetadata: {name: web}\nspec:\n  \
         chart: {path: chart}\n  namespace: web\n  placement: {}\n  values: [{file: values.yaml}]\n  \
         dependsOn: [{addon: front}]\n  health: {timeout: 4s}\n  rollout: {}\n",
    );
}

/// Lets `web` be changed by a second release.
pub(crate) fn blue_green(env: &Env, policy: &str, settings: &str) {
    let rollout = format!("  rollout: {{{policy}strategy: {{blueGreen: {{{settings}}}}}}}\n");
    let path = "addons/web/addon.yaml";
    let text = env.read(path);
    let (before, _) = text.split_once("  rollout: ").expect("it has one");
    env.write(path, &format!("{before}{rollout}"));
    env.commit("Blue/green");
}

/// Sets the tag of `web` in git.
pub(crate) fn tag(env: &Env, tag: &str) {
    env.write("addons/web/values.yaml", &format!("tag: {tag}\n"));
    env.commit(tag);
}

/// How much of the traffic the releases have, by what an object says: `web-blue 90, web-green 10`.
pub(crate) fn weights(object: &Json) -> String {
    let instance = "/spec/selector/app.kubernetes.io~1instance";
    if let Some(value) = object.pointer(instance) {
        return format!("{} 100", value.as_str().unwrap());
    }
    let lists = ["/spec/rules/0/backendRefs", "/spec/http/0/route", "/spec/weighted/services"];
    let list = lists.iter().find_map(|path| object.pointer(path)).expect("it has backends");
    let parts = list.as_array().unwrap().iter().filter(|one| one["weight"] != 0).map(|one| {
        let host = one.pointer("/destination/host").unwrap_or(&one["name"]).as_str().unwrap();
        format!("{} {}", host.split('.').next().unwrap(), one["weight"])
    });
    parts.collect::<Vec<_>>().join(", ")
}

/// Clusters that a process of its own serves, with a fleet on them.
struct Served {
    env: Env,
    address: String,
    kubeconfig: String,
    child: Child,
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Served {
    /// The clusters `sim-01` (staging) and, where there are more, others of production.
    fn start(count: usize) -> Self {
        let env = Env::new();
        for at in 1..=count {
            let environment = if at == 1 { "staging" } else { "prod" };
            env.write(
                &format!("clusters/sim-0{at}.yaml"),
                &format!(
                    "apiVersion: fitout.dev/v1alpha1\nkind: Cluster\nmetadata: {{name: sim-0{at}, \
                     labels: {{environment: {environment}}}}}\nspec: {{kubernetesVersion: \"1.35\", \
                     connection: {{context: sim-0{at}}}}}\n"
                ),
            );
        }
        fleet(&env);
        env.commit("Begin");
        let kubeconfig = env.root().join("kubeconfig").display().to_string();
        let count = count.to_string();
        let args = ["sim", "serve", "--clusters", &count, "--kubeconfig", &kubeconfig];
        let mut command = env.fitout(&args);
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let mut address = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut address).expect("it tells its address");
        Self { env, address: address.trim().to_owned(), kubeconfig, child }
    }

    fn fitout(&self, args: &str) -> std::process::Command {
        let mut command = self.env.fitout(&args.split(' ').collect::<Vec<_>>());
        command.env("KUBECONFIG", &self.kubeconfig);
        command
    }

    /// All that a run told.
    fn run(&self, args: &str) -> String {
        let output = self.fitout(args).output().expect("it starts");
        self.env.tell(&args.split(' ').collect::<Vec<_>>(), &output)
    }

    /// It must end with this code.
    #[track_caller]
    fn ends(&self, args: &str, code: i32) -> String {
        let told = self.run(args);
        assert!(told.ends_with(&format!("--- exit {code}\n")), "{told}");
        told
    }

    fn get(&self, cluster: &str, path: &str) -> Json {
        let url = format!("{}/clusters/{cluster}{path}", self.address);
        let text = ureq::get(url).call().expect("it answers").body_mut().read_to_string();
        serde_json::from_str(&text.expect("it is text")).expect("it is JSON")
    }

    /// How much of the traffic each release has on a cluster.
    fn weights(&self, cluster: &str, kind: &str) -> String {
        let path = match kind {
            "service" => "/api/v1/namespaces/web/services/front",
            "httpRoute" => "/apis/gateway.networking.k8s.io/v1/namespaces/web/httproutes/web",
            "virtualService" => "/apis/networking.istio.io/v1/namespaces/web/virtualservices/web",
            _ => "/apis/traefik.io/v1alpha1/namespaces/web/traefikservices/web",
        };
        weights(&self.get(cluster, path))
    }

    /// The Deployments of `web` on a cluster, with the tags of their images.
    fn deployments(&self, cluster: &str) -> BTreeMap<String, String> {
        let list = self.get(cluster, "/apis/apps/v1/namespaces/web/deployments");
        let items = list["items"].as_array().unwrap().iter();
        let deployments = items.map(|one| {
            let image = one["spec"]["template"]["spec"]["containers"][0]["image"].as_str();
            let (_, tag) = image.unwrap().rsplit_once(':').unwrap();
            (one["metadata"]["name"].as_str().unwrap().to_owned(), tag.to_owned())
        });
        deployments.collect()
    }

    /// Runs until a line is told, and is killed at once. Gives what it told before.
    fn killed_at(&self, args: &str, line: &str) -> String {
        let mut command = self.fitout(args);
        let mut child =
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut told = String::new();
        for one in BufReader::new(child.stderr.take().expect("it is piped")).lines() {
            let one = one.expect("it is text");
            told.push_str(&one);
            told.push('\n');
            if one.contains(line) {
                child.kill().expect("it is our child");
                break;
            }
        }
        child.wait().expect("it is our child");
        assert!(told.contains(line), "no `{line}` in {told}");
        told
    }
}

/// What a run told, without what is another each time.
fn steady(told: &str) -> String {
    let mut text = told.to_owned();
    for (pattern, with) in [
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?", "[TIME]"),
        (r"\b[0-9a-f]{64}\b", "[DIGEST]"),
        (r"\b[0-9a-f]{40}\b", "[COMMIT]"),
        (r"\b[0-9a-f]{9}\b", "[COMMIT]"),
        (r"pod `[^`]+`", "pod `[POD]`"),
        (r"(ErrImagePull|ImagePullBackOff) \([^)]*\)", "[PULL]"),
        (r"(?m)^.* is to become healthy until .*\n", ""),
    ] {
        text = regex::Regex::new(pattern).unwrap().replace_all(&text, with).into_owned();
    }
    text
}

fn deployments<const N: usize>(all: [(&str, &str); N]) -> BTreeMap<String, String> {
    all.map(|(name, tag)| (name.to_owned(), tag.to_owned())).into()
}

const APPLY: &str = "apply sim-01 --yes";

#[test]
fn traffic_moves_in_steps_by_each_kind_of_object() {
    let served = Served::start(1);
    for kind in ["service", "httpRoute", "virtualService", "traefikService"] {
        let (name, steps) = match kind {
            "service" => ("front", ""),
            _ => ("web", ", steps: [{weight: 10}, {weight: 50, soak: 300ms}]"),
        };
        let settings = format!("traffic: {{{kind}: {{name: {name}}}}}{steps}, keepFor: 0s");
        blue_green(&served.env, "", &settings);
        tag(&served.env, &format!("{kind}-1"));
        let told = served.ends(APPLY, 0);
        assert!(told.contains("web-blue has all of the traffic"), "{told}");
        assert_eq!(served.weights("sim-01", kind), "web-blue 100");
        tag(&served.env, &format!("{kind}-2"));
        let told = served.ends(APPLY, 0);
        let wanted: &[u32] = if kind == "service" { &[100] } else { &[10, 50, 100] };
        let mut rest = told.as_str();
        for weight in wanted {
            let line = format!("web-green gets {weight} % of the traffic");
            (_, rest) = rest.split_once(&line).unwrap_or_else(|| panic!("no `{line}` in {told}"));
        }
        assert_eq!(served.weights("sim-01", kind), "web-green 100");
        served.ends(APPLY, 0);
        let tag = format!("{kind}-2");
        assert_eq!(served.deployments("sim-01"), deployments([("web-green", &tag)]));
        served.ends("uninstall sim-01 --addon web --yes", 0);
        assert_eq!(served.deployments("sim-01"), deployments([]));
    }
}

#[test]
fn what_each_command_says_of_two_releases() {
    let served = Served::start(1);
    let settings = "traffic: {httpRoute: {name: web}}, keepFor: 1h, \
                    steps: [{weight: 10, soak: 200ms}, {weight: 50}]";
    blue_green(&served.env, "", settings);
    let mut told = vec![served.run("apply sim-01 --yes")];
    tag(&served.env, "v2");
    for args in [
        "diff sim-01 --exit-code",
        "plan sim-01 --exit-code",
        "apply sim-01 --addon web --yes",
        "plan sim-01 --exit-code",
        "status",
        "why sim-01 web",
        "history sim-01 web",
        "rollback sim-01 web",
        "rollback sim-01 web 1",
        "history sim-01 web",
        "plan sim-01 --exit-code",
        "apply sim-01 --addon web --yes",
    ] {
        told.push(served.run(args));
    }
    assert_eq!(served.weights("sim-01", "httpRoute"), "web-green 100");
    tag(&served.env, "v3-broken");
    told.push(served.run("apply sim-01 --addon web --yes"));
    assert_eq!(served.weights("sim-01", "httpRoute"), "web-green 100");
    assert_eq!(served.deployments("sim-01"), deployments([("web-green", "v2")]));
    for args in [
        "uninstall sim-01 --addon web --dry-run",
        "uninstall sim-01 --addon web --yes",
        "history sim-01 web",
    ] {
        told.push(served.run(args));
    }
    assert_snapshot!(steady(&told.join("\n")));
}

#[test]
fn one_that_was_killed_at_any_line_goes_on_where_it_was() {
    let served = Served::start(1);
    let settings = "traffic: {httpRoute: {name: web}}, keepFor: 0s, \
                    steps: [{weight: 10, soak: 300ms}, {weight: 50, soak: 300ms}]";
    blue_green(&served.env, "", settings);
    served.ends(APPLY, 0);
    let lines = [
        "is installed",
        "is to become healthy",
        "gets 10 % of",
        "soaks at step 1",
        "gets 50 % of",
        "soaks at step 2",
        "gets 100 % of",
        "has taken over",
        "is kept until",
    ];
    for (at, line) in lines.iter().enumerate() {
        let new = if at % 2 == 0 { "web-green" } else { "web-blue" };
        tag(&served.env, &format!("k{at}"));
        served.killed_at(APPLY, line);
        let told = served.ends(APPLY, 0);
        let is_early = ["is installed", "is to become healthy"].contains(line);
        assert!(is_early || !told.contains("is installed"), "it goes on behind {line}: {told}");
        assert_eq!(served.weights("sim-01", "httpRoute"), format!("{new} 100"), "{line}");
        served.ends(APPLY, 0);
        assert_eq!(served.deployments("sim-01"), deployments([(new, &format!("k{at}"))]), "{line}");
        served.ends("diff sim-01 --exit-code", 0);
    }
    // One that fails, killed on its way back: `web-green` has the traffic now.
    for (at, line) in ["is given up", "web-blue is removed"].iter().enumerate() {
        tag(&served.env, &format!("x{at}-broken"));
        served.killed_at(APPLY, line);
        // The one that was given up is gone by now, or goes; the next one fails as well.
        let told = served.ends(APPLY, 5);
        assert!(told.contains("web-green has all of the traffic again"), "{told}");
        assert_eq!(served.weights("sim-01", "httpRoute"), "web-green 100");
        assert_eq!(served.deployments("sim-01"), deployments([("web-green", "k8")]));
    }
}

#[test]
fn a_release_from_before_gives_its_traffic_in_steps_and_can_have_it_back() {
    let served = Served::start(1);
    served.ends(APPLY, 0);
    let settings = |keep: &str| {
        format!("traffic: {{httpRoute: {{name: web}}}}, keepFor: {keep}, steps: [{{weight: 20}}]")
    };
    blue_green(&served.env, "", &settings("1h"));
    tag(&served.env, "v2-broken");
    served.ends(APPLY, 5);
    assert_eq!(served.weights("sim-01", "httpRoute"), "web 100");
    assert_eq!(served.deployments("sim-01"), deployments([("web", "v1")]));
    tag(&served.env, "v2");
    let told = served.ends(APPLY, 0);
    assert!(told.contains("web-blue gets 20 % of"), "{told}");
    assert_eq!(served.weights("sim-01", "httpRoute"), "web-blue 100");
    served.ends("rollback sim-01 web", 0);
    assert_eq!(served.weights("sim-01", "httpRoute"), "web 100");
    served.ends(APPLY, 0);
    assert_eq!(served.weights("sim-01", "httpRoute"), "web-blue 100");
    assert_eq!(served.deployments("sim-01"), deployments([("web", "v1"), ("web-blue", "v2")]));
    // The next one ends its time.
    tag(&served.env, "v3");
    served.ends(APPLY, 0);
    assert_eq!(
        served.deployments("sim-01"),
        deployments([("web-blue", "v2"), ("web-green", "v3")])
    );
    // The way back in place is refused, and takes nothing away.
    let path = "addons/web/addon.yaml";
    let text = served.env.read(path);
    let (before, _) = text.split_once("  rollout: ").unwrap();
    served.env.write(path, before);
    served.env.commit("In place again");
    let told = served.ends(APPLY, 5);
    assert!(told.contains("stands as web-green"), "{told}");
    assert_eq!(served.weights("sim-01", "httpRoute"), "web-green 100");
    assert_eq!(served.deployments("sim-01").len(), 2);
}

#[test]
fn an_object_that_cannot_move_traffic_is_refused_before_anything_is_written() {
    let served = Served::start(1);
    blue_green(&served.env, "", "traffic: {httpRoute: {name: wbe}}");
    let mut told = vec![served.run(APPLY)];
    blue_green(&served.env, "", "traffic: {httpRoute: {name: web}}");
    served.env.replace(
        "addons/front/addon.yaml",
        "names: [web, web-blue, web-green]",
        "names: [web-green, other]",
    );
    served.env.commit("Another route");
    told.push(served.run(APPLY));
    assert_eq!(served.deployments("sim-01"), deployments([]));
    assert_snapshot!(steady(&told.join("\n")));
}

/// One cluster of staging, one of production.
const POLICY: &str = "apiVersion: fitout.dev/v1alpha1
kind: RolloutPolicy
metadata: {name: quick}
spec:
  stages:
    - {name: staging, clusters: {matchLabels: {environment: staging}}, soak: 300ms}
    - {name: prod, clusters: {matchLabels: {environment: prod}}, soak: 300ms}
  progressDeadline: 8s
";
const ONCE: &str = "controller --once --listen off --pace 100ms --interval 1s";

#[test]
fn the_controller_moves_traffic_stage_by_stage_and_takes_it_back() {
    let served = Served::start(2);
    served.env.write("policies/quick.yaml", POLICY);
    let settings = "traffic: {httpRoute: {name: web}}, keepFor: 3s, \
                    steps: [{weight: 10, soak: 500ms}, {weight: 50, soak: 500ms}]";
    blue_green(&served.env, "policy: quick, ", settings);
    served.ends(ONCE, 0);
    for cluster in ["sim-01", "sim-02"] {
        assert_eq!(served.weights(cluster, "httpRoute"), "web-blue 100", "{cluster}");
    }
    tag(&served.env, "v2");
    served.ends(ONCE, 0);
    for cluster in ["sim-01", "sim-02"] {
        assert_eq!(served.weights(cluster, "httpRoute"), "web-green 100", "{cluster}");
    }
    let replayed = served.ends("rollout replay web-2", 0);
    assert!(replayed.contains("all as recorded"), "{replayed}");

    tag(&served.env, "v3-broken");
    served.ends(ONCE, 5);
    assert_eq!(served.weights("sim-01", "httpRoute"), "web-green 100");
    assert_eq!(served.deployments("sim-01"), deployments([("web-green", "v2")]));
    let shown = served.ends("rollout show web-3", 0);
    assert!(shown.contains("rolled back"), "{shown}");
    assert_eq!(served.deployments("sim-02").get("web-green").map(String::as_str), Some("v2"));

    // What is kept goes in its time, while a controller runs.
    tag(&served.env, "v4");
    let mut controller =
        served.fitout("controller --listen off --pace 100ms --interval 1s --resync 1s");
    let mut child =
        controller.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let began = Instant::now();
    let mut was_told = false;
    loop {
        let why = served.run("why sim-01 web");
        was_told |= why.contains("of the traffic");
        let is_gone = ["sim-01", "sim-02"]
            .iter()
            .all(|cluster| served.deployments(cluster) == deployments([("web-blue", "v4")]));
        if is_gone {
            break;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "{why}");
        std::thread::sleep(Duration::from_millis(100));
    }
    child.kill().expect("it is our child");
    child.wait().expect("it is our child");
    assert!(was_told, "`why` says how far traffic has moved");
    assert_eq!(served.weights("sim-02", "httpRoute"), "web-blue 100");
}
