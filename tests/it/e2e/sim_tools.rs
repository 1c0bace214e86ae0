//! The real `kubectl` and `helm` against `fitout sim serve`: what a user of the simulated clusters
//! types, and what those tools make of the answers.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::clusters::{tool, words};
use super::run::{Ran, run};
use crate::env::Env;

/// A simulated cluster answers at once, and its pods are ready within seconds.
const LIMIT: Duration = Duration::from_mins(1);

/// Two new clusters, served by a process that ends with it.
struct Sim {
    env: Env,
    process: Child,
}

impl Drop for Sim {
    fn drop(&mut self) {
        // It may have ended by itself, which the test has noticed by now.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Sim {
    /// `None`, with the reason printed, where end-to-end tests are not asked for.
    fn serve() -> Option<Self> {
        if std::env::var_os("FITOUT_E2E").is_none_or(|asked| asked != "1") {
            println!("skipped: FITOUT_E2E is not 1; `make e2e` sets it, and names the tools");
            return None;
        }
        println!();
        let env = Env::new();
        let args = ["sim", "serve", "--clusters", "2", "--kubeconfig", "kubeconfig"];
        let mut command = env.fitout(&args);
        let log = std::fs::File::create(env.root().join("stderr")).expect("the folder is ours");
        let mut process =
            command.stdout(Stdio::piped()).stderr(log).spawn().expect("fitout starts");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("it is a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("the pipe can be read");
        let told = std::fs::read_to_string(env.root().join("stderr")).expect("the file is ours");
        assert!(line.starts_with("http://127.0.0.1:"), "{line}{told}");
        Some(Self { env, process })
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.env.root())
            .env("KUBECONFIG", self.env.fleet().join("kubeconfig"))
            .current_dir(self.env.fleet());
        command
    }

    /// `kubectl` with arguments split at spaces.
    fn try_kubectl(&self, args: &str) -> Ran {
        run(self.command(&tool("FITOUT_KUBECTL")).args(words(args)), LIMIT)
    }

    /// `kubectl` with arguments split at spaces; it must succeed. Gives its stdout.
    #[track_caller]
    fn kubectl(&self, args: &str) -> String {
        self.try_kubectl(args).succeeded().out
    }

    /// `helm` with arguments split at spaces.
    fn try_helm(&self, args: &str) -> Ran {
        run(self.command(&tool("FITOUT_HELM")).args(words(args)), LIMIT)
    }

    /// `helm` with arguments split at spaces; it must succeed. Gives its stdout.
    #[track_caller]
    fn helm(&self, args: &str) -> String {
        self.try_helm(args).succeeded().out
    }
}

/// Every line must be in the text, in this order.
#[track_caller]
fn has_in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { panic!("no `{part}` in\n{text}") };
        rest = after;
    }
}

const WEB: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: web}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: web}
data: {a: '1', b: '2'}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: front, namespace: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: front}}
  template:
    metadata: {labels: {app: front}}
    spec: {containers: [{name: c, image: 'front:1', ports: [{containerPort: 80, name: http}]}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: web}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {containers: [{name: c, image: 'agent:1'}]}
---
apiVersion: v1
kind: Service
metadata: {name: front, namespace: web}
spec: {selector: {app: front}, ports: [{port: 80, targetPort: http}]}
";

#[test]
fn kubectl_applies_gets_and_describes() {
    let Some(sim) = Sim::serve() else { return };
    sim.env.write("web.yaml", WEB);
    let out = sim.kubectl("apply -f web.yaml");
    assert_eq!(out.matches(" created\n").count(), 5, "{out}");
    let out = sim.kubectl("apply -f web.yaml");
    assert_eq!(out.matches(" unchanged\n").count(), 5, "{out}");
    sim.env.replace("web.yaml", "b: '2'", "b: '3'");
    sim.try_kubectl("diff -f web.yaml").exited(1).says("+  b: \"3\"");
    let out = sim.kubectl("apply -f web.yaml");
    assert_eq!(out.matches(" unchanged\n").count(), 4, "{out}");
    assert!(out.contains("configmap/settings configured\n"), "{out}");
    sim.try_kubectl("diff -f web.yaml").succeeded();

    sim.kubectl("rollout status deployment/front -n web --timeout=30s");
    sim.kubectl("rollout status daemonset/agent -n web --timeout=30s");
    has_in_order(
        &sim.kubectl("get nodes -o wide"),
        &["STATUS", "INTERNAL-IP", "node-01", "Ready", "node-02", "Ready"],
    );
    let out = sim.kubectl("get pods,deploy,ds,rs,svc -A -o wide");
    has_in_order(&out, &["pod/agent-", "1/1", "deployment.apps/front", "2/2", "front:1"]);
    has_in_order(&out, &["daemonset.apps/agent", "replicaset.apps/front-", "service/front"]);
    let yaml = sim.kubectl("get deployment front -n web -o yaml");
    has_in_order(&yaml, &["apiVersion: apps/v1", "progressDeadlineSeconds: 600", "status:"]);
    assert!(!yaml.contains("managedFields"), "{yaml}");
    has_in_order(
        &sim.kubectl("describe deployment front -n web"),
        &["Replicas:", "2 desired | 2 updated | 2 total | 2 available", "Image:", "front:1"],
    );
    has_in_order(&sim.kubectl("describe pod -n web"), &["Controlled By:", "State:", "Running"]);
    has_in_order(&sim.kubectl("describe daemonset -n web"), &["Desired Number of Nodes", ": 2"]);
    has_in_order(&sim.kubectl("describe node node-01"), &["Allocatable:", "Non-terminated Pods"]);
    has_in_order(&sim.kubectl("describe service front -n web"), &["Type:", "ClusterIP", "Port:"]);
    let out = sim.try_kubectl("get pods -n web -w --request-timeout=1s").out;
    assert_eq!(out.matches("Running").count(), 4, "{out}");
    assert_eq!(sim.kubectl("--context sim-02 get pods -A"), "");
}

#[test]
fn kubectl_changes_rolls_out_and_deletes() {
    let Some(sim) = Sim::serve() else { return };
    sim.env.write("web.yaml", WEB);
    sim.kubectl("apply -f web.yaml");
    sim.kubectl("rollout status deployment/front -n web --timeout=30s");
    sim.kubectl("scale deployment/front -n web --replicas=3");
    sim.kubectl("wait --for=jsonpath={.status.readyReplicas}=3 deployment/front -n web");
    sim.kubectl("set image deployment/front -n web c=front:2");
    let out = sim.kubectl("rollout status deployment/front -n web --timeout=30s");
    assert!(out.contains("successfully rolled out"), "{out}");
    sim.kubectl("set image deployment/front -n web c=front:broken");
    let stuck = "rollout status deployment/front -n web --timeout=4s";
    sim.try_kubectl(stuck).exited(1).says("timed out waiting");
    let out = sim.kubectl("get pods -n web -l app=front");
    has_in_order(&out, &["ImagePullBackOff"]);
    assert_eq!(out.matches("Running").count(), 3, "{out}");
    sim.kubectl("rollout undo deployment/front -n web");
    sim.kubectl("rollout status deployment/front -n web --timeout=30s");
    has_in_order(&sim.kubectl("rollout history deployment/front -n web"), &["1 ", "3 ", "4 "]);
    sim.kubectl("wait --for=condition=Available deployment/front -n web --timeout=30s");

    let patch = |kind: &str, body: &str| {
        sim.kubectl(&format!("patch configmap settings -n web --type {kind} -p {body}"))
    };
    patch("merge", r#"{"data":{"a":null}}"#);
    patch("json", r#"[{"op":"add","path":"/data/z","value":"1"}]"#);
    patch("strategic", r#"{"data":{"y":"2"}}"#);
    let out = patch("strategic", r#"{"data":{"y":"2"}}"#);
    assert!(out.contains("(no change)"), "{out}");
    assert_eq!(
        sim.kubectl("get configmap settings -n web -o jsonpath={.data}"),
        r#"{"b":"2","y":"2","z":"1"}"#
    );

    sim.kubectl("delete deployment front -n web --cascade=foreground");
    assert_eq!(sim.kubectl("get replicasets -n web -o name"), "");
    sim.kubectl("delete service front -n web --cascade=background");
    sim.try_kubectl("delete service front -n web").exited(1).says("services \"front\" not found");
    sim.kubectl("delete namespace web --timeout=30s");
    sim.try_kubectl("get namespace web").exited(1).says("namespaces \"web\" not found");
}

#[test]
fn server_side_apply_knows_who_owns_what() {
    let Some(sim) = Sim::serve() else { return };
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: '1', b: '2'}\n";
    sim.env.write("one.yaml", config);
    sim.env.write("two.yaml", &config.replace("'2'", "'9'"));
    sim.kubectl("apply --server-side --field-manager one -f one.yaml");
    let two = "apply --server-side --field-manager two -f two.yaml";
    sim.try_kubectl(two).exited(1).says("1 conflict: conflict with \"one\": .data.b");
    sim.kubectl(&format!("{two} --force-conflicts --dry-run=server"));
    assert_eq!(sim.kubectl("get configmap c -o jsonpath={.data.b}"), "2");
    sim.kubectl(&format!("{two} --force-conflicts"));
    let owners = "get configmap c --show-managed-fields -o \
                  jsonpath={range.metadata.managedFields[*]}{.manager}={.fieldsV1}{end}";
    assert_eq!(
        sim.kubectl(owners),
        r#"one={"f:data":{"f:a":{}}}two={"f:data":{"f:a":{},"f:b":{}}}"#
    );
    // From client-side apply to server-side apply, one does not conflict with oneself.
    sim.env.replace("one.yaml", "name: c", "name: d");
    sim.kubectl("apply -f one.yaml");
    sim.env.replace("one.yaml", "'2'", "'3'");
    sim.kubectl("apply --server-side -f one.yaml");
}

const CRD: &str = "\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.org}
spec:
  group: example.org
  scope: Namespaced
  names: {plural: things, singular: thing, kind: Thing, shortNames: [th]}
  versions:
  - name: v1
    served: true
    storage: true
    additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, required: [size], properties: {size: {type: integer, minimum: 1}}}
";

#[test]
fn custom_resources_come_and_go_with_their_definition() {
    let Some(sim) = Sim::serve() else { return };
    sim.env.write("crd.yaml", CRD);
    sim.kubectl("apply -f crd.yaml");
    sim.kubectl("wait --for=condition=Established crd/things.example.org --timeout=10s");
    let thing = "apiVersion: example.org/v1\nkind: Thing\nmetadata: {name: t}\nspec: {size: 3}\n";
    sim.env.write("thing.yaml", thing);
    sim.kubectl("apply -f thing.yaml");
    has_in_order(&sim.kubectl("get th"), &["NAME", "SIZE", "t", "3"]);
    has_in_order(&sim.kubectl("describe thing t"), &["API Version:  example.org/v1", "Size:  3"]);
    let patch = |body: &str| sim.try_kubectl(&format!("patch thing t --type merge -p {body}"));
    patch(r#"{"spec":{"size":0}}"#).exited(1).says("greater than or equal to 1");
    let ran = patch(r#"{"spec":{"siz":4}}"#).succeeded().says("unknown field \"spec.siz\"");
    ran.says("(no change)");
    sim.env.replace("thing.yaml", "name: t", "name: u");
    sim.env.replace("thing.yaml", "size: 3", "siz: 3");
    sim.try_kubectl("apply -f thing.yaml").exited(1).says("unknown field \"spec.siz\"");
    sim.kubectl("delete crd things.example.org");
    sim.try_kubectl("get things").exited(1);
}

#[test]
fn helm_installs_upgrades_rolls_back_and_uninstalls() {
    let Some(sim) = Sim::serve() else { return };
    sim.env.chart("chart", "mini", "1.0.0");
    sim.env.write("chart/values.yaml", "image: front:1\nreplicas: 1\n");
    let deployment = WEB.split("---\n").nth(2).expect("it is the third");
    let template = deployment
        .replace(", namespace: web", "")
        .replace("replicas: 2", "replicas: {{ .Values.replicas }}")
        .replace("'front:1'", "{{ .Values.image | quote }}");
    sim.env.write("chart/templates/front.yaml", &template);
    let out = sim.helm("install m chart -n mini --create-namespace --wait --timeout 30s");
    has_in_order(&out, &["STATUS: deployed", "REVISION: 1"]);
    let list = sim.helm("list -A");
    has_in_order(&list, &["m", "mini", "1", "deployed", "mini-1.0.0"]);
    let bad = "upgrade m chart -n mini --set image=front:broken --atomic --timeout 4s";
    sim.try_helm(bad).exited(1).says("has been rolled back due to atomic being set");
    sim.helm("upgrade m chart -n mini --set replicas=2 --wait --timeout 30s");
    sim.helm("rollback m 1 -n mini --wait --timeout 30s");
    let history = sim.helm("history m -n mini");
    has_in_order(
        &history,
        &["superseded", "failed", "Rollback to 1", "Upgrade complete", "5 ", "deployed"],
    );
    let out = sim.helm("get manifest m -n mini");
    has_in_order(&out, &["# Source: mini/templates/config.yaml", "image: \"front:1\""]);
    assert_eq!(sim.kubectl("get deployment front -n mini -o jsonpath={.spec.replicas}"), "1");
    sim.helm("uninstall m -n mini --wait --timeout 30s");
    assert_eq!(sim.kubectl("get deployments,secrets,configmaps -n mini -l app=front"), "");
    assert_eq!(sim.helm("list -A -q"), "");
}
