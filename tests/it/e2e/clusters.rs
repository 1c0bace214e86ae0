//! Three real control planes, started once for all tests of a run, and the real `helm` and
//! `kubectl`. See `docs/testing-e2e.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::run::{Ran, run};
use crate::env::repository;

/// The names of the clusters: one of staging, two of production.
pub(super) const NAMES: [&str; 3] = ["stg-01", "prod-01", "prod-02"];

/// How long one command of `kubectl` or `helm` may take.
const COMMAND_LIMIT: Duration = Duration::from_mins(2);

/// The kinds of which releases have objects.
const KINDS: &str = "serviceaccounts,secrets,configmaps,services,persistentvolumeclaims,daemonsets,\
                     deployments,statefulsets,jobs,poddisruptionbudgets,ingresses,ingressclasses,\
                     networkpolicies,clusterroles,clusterrolebindings,roles,rolebindings";

/// The clusters of a run.
pub(super) struct Clusters {
    /// `stg-01`, `prod-01`, `prod-02`.
    pub(super) all: [Cluster; 3],
    /// A kubeconfig with a context for each, named as the cluster, and one for each that may
    /// nothing by itself: `stg-01-limited`, … It is a list of files, as `KUBECONFIG` may be.
    pub(super) kubeconfig: String,
}

/// One real control plane. It ends when this process does: it reads a pipe of it.
pub(super) struct Cluster {
    /// Its name, and that of its context.
    pub(super) name: String,
    kubeconfig: String,
    limited: String,
    port: u16,
    /// Where it keeps everything, and Helm its own files.
    folder: PathBuf,
    process: Child,
}

/// The clusters, for one test at a time. `None`, with the reason printed, where end-to-end tests
/// are not asked for.
pub(super) fn clusters() -> Option<MutexGuard<'static, Clusters>> {
    static CLUSTERS: OnceLock<Mutex<Clusters>> = OnceLock::new();
    if !is_asked_for() {
        return None;
    }
    let clusters = CLUSTERS.get_or_init(|| Mutex::new(start()));
    // A test that failed left its objects behind, which is no reason to fail the others.
    Some(clusters.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Whether end-to-end tests are asked for; where they are not, that is printed.
pub(super) fn is_asked_for() -> bool {
    if std::env::var_os("FITOUT_E2E").is_none_or(|asked| asked != "1") {
        println!("skipped: FITOUT_E2E is not 1; `make e2e` sets it, after building what is needed");
        return false;
    }
    // Behind the name of the test, which is not at the end of a line yet.
    println!();
    true
}

/// A tool that `tests/controlplane/build.sh` names.
pub(super) fn tool(variable: &str) -> PathBuf {
    let Some(path) = std::env::var_os(variable) else {
        panic!("{variable} is not set: run `make e2e`, or see tests/controlplane/build.sh")
    };
    PathBuf::from(path)
}

fn start() -> Clusters {
    let began = Instant::now();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("e2e");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).expect("what an earlier run left can be removed");
    }
    let starting = NAMES.map(|name| Starting::new(&folder.join(name), name, 0, 0));
    let all = starting.map(Starting::ready);
    let paths: Vec<_> =
        all.iter().flat_map(|one| [one.kubeconfig.clone(), one.limited.clone()]).collect();
    let seconds = began.elapsed().as_secs_f32();
    println!("three control planes are ready after {seconds:.1} s, logs in {}", folder.display());
    Clusters { all, kubeconfig: paths.join(":") }
}

struct Starting {
    name: String,
    folder: PathBuf,
    process: Child,
}

impl Starting {
    fn new(folder: &Path, name: &str, port: u16, room: u64) -> Self {
        std::fs::create_dir_all(folder).expect("the target folder is writable");
        let log = std::fs::File::create(folder.join("stderr")).expect("the folder is ours");
        let process = Command::new(tool("FITOUT_CONTROLPLANE"))
            .args(["--name", name, "--port", &port.to_string()])
            .args(["--etcd-quota", &room.to_string(), "--dir"])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the control plane starts");
        Self { name: name.to_owned(), folder: folder.to_owned(), process }
    }

    /// Waits for the line that says that it is ready, which it writes within three minutes or ends.
    fn ready(mut self) -> Cluster {
        let mut line = String::new();
        let stdout = self.process.stdout.take().expect("it is a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("the pipe can be read");
        let ready: Json = serde_json::from_str(&line).unwrap_or_else(|_| {
            let why = std::fs::read_to_string(self.folder.join("stderr")).unwrap_or_default();
            panic!("control plane {} did not start: {why}", self.name)
        });
        let text = |field: &str| ready[field].as_str().expect("the line has it").to_owned();
        Cluster {
            name: self.name,
            kubeconfig: text("kubeconfig"),
            limited: text("limitedKubeconfig"),
            port: text("server").rsplit(':').next().and_then(|port| port.parse().ok()).unwrap(),
            folder: self.folder,
            process: self.process,
        }
    }
}

impl Clusters {
    /// The cluster of this name.
    pub(super) fn named(&self, name: &str) -> &Cluster {
        self.all.iter().find(|cluster| cluster.name == name).expect("it is one of the three")
    }

    pub(super) fn staging(&self) -> &Cluster {
        &self.all[0]
    }
}

impl Cluster {
    /// A new cluster of one test, which can be killed. It ends with the value.
    pub(super) fn of_one_test(name: &str) -> Self {
        Self::with_room_for(name, 0)
    }

    /// The same with an etcd that keeps no more than this; as much as it likes with 0.
    pub(super) fn with_room_for(name: &str, bytes: u64) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("e2e").join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder).expect("what an earlier run left can be removed");
        }
        Starting::new(&folder, name, 0, bytes).ready()
    }

    /// As the power going off: nothing is ended in order.
    pub(super) fn kill(&mut self) {
        self.process.kill().expect("it is our child");
        self.process.wait().expect("it is our child");
    }

    /// The same cluster again, with what it has kept.
    pub(super) fn start_again(&mut self) {
        self.start_with_room_for(0);
    }

    /// The same with an etcd that keeps no more than this; as much as it likes with 0.
    pub(super) fn start_with_room_for(&mut self, bytes: u64) {
        let starting = Starting::new(&self.folder, &self.name, self.port, bytes);
        *self = starting.ready();
    }

    /// Its kubeconfig.
    pub(super) fn kubeconfig(&self) -> &str {
        &self.kubeconfig
    }

    /// `kubectl` with arguments split at spaces; it must succeed. Gives its stdout.
    pub(super) fn kubectl(&self, args: &str) -> String {
        self.try_kubectl(&words(args)).succeeded().out
    }

    /// `kubectl` with these arguments.
    pub(super) fn try_kubectl(&self, args: &[&str]) -> Ran {
        let mut command = self.hermetic(&tool("FITOUT_KUBECTL"));
        run(command.args(args), COMMAND_LIMIT)
    }

    /// `kubectl apply -f -` with this text; it must succeed.
    pub(super) fn kubectl_apply(&self, text: &str) {
        let path = self.folder.join("apply.yaml");
        std::fs::write(&path, text).expect("the folder is ours");
        self.kubectl(&format!("apply -f {}", path.display()));
    }

    /// What `kubectl` prints with `-o json`.
    pub(super) fn json(&self, args: &str) -> Json {
        let out = self.kubectl(&format!("{args} -o json"));
        serde_json::from_str(&out).expect("kubectl prints JSON")
    }

    /// One field of what `kubectl get` finds, by a jsonpath without its braces.
    pub(super) fn field(&self, args: &str, path: &str) -> String {
        self.kubectl(&format!("get {args} -o jsonpath={{{path}}}"))
    }

    /// Whether `kubectl get` finds it.
    pub(super) fn has(&self, args: &str) -> bool {
        !self.kubectl(&format!("get {args} --ignore-not-found -o name")).is_empty()
    }

    /// `helm` with arguments split at spaces; it must succeed. Gives its stdout.
    pub(super) fn helm(&self, args: &str) -> String {
        self.try_helm(args).succeeded().out
    }

    /// `helm` with arguments split at spaces.
    pub(super) fn try_helm(&self, args: &str) -> Ran {
        let mut command = self.hermetic(&tool("FITOUT_HELM"));
        for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(variable, self.folder.join("helm"));
        }
        run(command.args(words(args)), COMMAND_LIMIT)
    }

    /// `helm` with arguments split at spaces, left running.
    pub(super) fn spawn_helm(&self, args: &str) -> Child {
        let mut command = self.hermetic(&tool("FITOUT_HELM"));
        command.args(words(args)).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("helm starts")
    }

    /// `helm history` as `REVISION STATUS DESCRIPTION` lines.
    pub(super) fn history(&self, namespace: &str, release: &str) -> String {
        let out = self.helm(&format!("history {release} -n {namespace} -o json"));
        let revisions: Vec<Json> = serde_json::from_str(&out).expect("helm prints JSON");
        revisions.iter().fold(String::new(), |mut lines, one| {
            let text = |field: &str| one[field].as_str().unwrap_or_default();
            // What failed says much; its beginning says enough.
            let why = text("description").split(':').next().unwrap_or_default();
            writeln!(lines, "{} {} {why}", one["revision"], text("status"))
                .expect("it is a String");
            lines
        })
    }

    /// `helm list -A` as `NAMESPACE/NAME STATUS CHART` lines.
    pub(super) fn releases(&self) -> String {
        let out = self.helm("list -A -o json");
        let releases: Vec<Json> = serde_json::from_str(&out).expect("helm prints JSON");
        releases.iter().fold(String::new(), |mut lines, one| {
            let text = |field: &str| one[field].as_str().unwrap_or_default();
            let (namespace, name) = (text("namespace"), text("name"));
            writeln!(lines, "{namespace}/{name} {} {}", text("status"), text("chart"))
                .expect("it is a String");
            lines
        })
    }

    /// How many requests of each verb and resource have changed something since the cluster began,
    /// as its API server counts them. What control planes write by themselves, some of it later
    /// than what it follows from, is left out; dry runs are none.
    pub(super) fn writes(&self) -> BTreeMap<String, u64> {
        self.requests(|label| {
            let (verb, resource) = (label("verb"), label("resource"));
            let is_own = !label("subresource").is_empty()
                || matches!(
                    resource.as_str(),
                    "leases" | "events" | "nodes" | "tokenreviews" | "subjectaccessreviews"
                        | "pods" | "replicasets" | "controllerrevisions" | "endpointslices" | "endpoints"
                        // Answers, which are not kept.
                        | "selfsubjectaccessreviews" | "selfsubjectreviews" | "selfsubjectrulesreviews"
                );
            let is_write = !matches!(verb.as_str(), "GET" | "LIST" | "WATCH" | "CONNECT");
            let counts = is_write && !is_own && label("dry_run").is_empty();
            counts.then(|| format!("{verb} {resource}"))
        })
    }

    /// How often each resource was listed since the cluster began.
    pub(super) fn lists(&self) -> BTreeMap<String, u64> {
        self.requests(|label| (label("verb") == "LIST").then(|| label("resource")))
    }

    /// The API server's own count of requests, under the names that `name` gives to their labels.
    fn requests(
        &self,
        name: impl Fn(&dyn Fn(&str) -> String) -> Option<String>,
    ) -> BTreeMap<String, u64> {
        let metrics = self.kubectl("get --raw /metrics");
        let mut counted = BTreeMap::new();
        for line in metrics.lines().filter(|line| line.starts_with("apiserver_request_total{")) {
            let (labels, count) = line.rsplit_once(' ').expect("a metric has a value");
            let label = |name: &str| {
                let rest = labels.split_once(&format!("{name}=\"")).map(|(_, rest)| rest);
                rest.and_then(|rest| rest.split('"').next()).unwrap_or_default().to_owned()
            };
            if let Some(name) = name(&label) {
                *counted.entry(name).or_default() +=
                    count.parse::<f64>().unwrap_or_default() as u64;
            }
        }
        counted
    }

    /// Everything that says that it is of a release, as `KIND/NAME` lines.
    pub(super) fn objects(&self) -> String {
        self.kubectl(&format!("get {KINDS} -A -l app.kubernetes.io/managed-by=Helm -o name"))
    }

    /// The versions of every object and record of a release.
    pub(super) fn versions(&self) -> Vec<String> {
        let labelled = self.json(&format!("get {KINDS} -A -l app.kubernetes.io/managed-by=Helm"));
        let records = self.json("get secrets -A -l owner=helm");
        let lists = [labelled, records];
        let objects = lists.iter().flat_map(|list| list["items"].as_array().expect("it is a list"));
        let version = |object: &Json| {
            let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
            let (namespace, name) = (text("namespace"), text("name"));
            format!("{} {namespace}/{name} {}", object["kind"], text("resourceVersion"))
        };
        objects.map(version).collect()
    }

    /// Removes every release, and what tests made in the namespaces of releases. The namespaces
    /// stay: each takes ten seconds to delete.
    pub(super) fn clear(&self) {
        let found = self.helm("list -A -a -o json");
        let releases: Vec<Json> = serde_json::from_str(&found).expect("helm prints JSON");
        for release in releases {
            let text = |field: &str| release[field].as_str().unwrap_or_default();
            let (name, namespace) = (text("name"), text("namespace"));
            self.helm(&format!("uninstall {name} -n {namespace} --no-hooks --ignore-not-found"));
        }
        let kinds = "resourcequotas,deployments,services,configmaps,secrets,jobs";
        self.kubectl(&format!("delete {kinds} --all -n web --wait=false"));
    }

    fn hermetic(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.join("helm"))
            .env("KUBECONFIG", &self.kubeconfig)
            .current_dir(repository());
        command
    }
}

/// Arguments, split at spaces.
pub(super) fn words(args: &str) -> Vec<&str> {
    args.split(' ').filter(|arg| !arg.is_empty()).collect()
}
