//! Fifty releases on one real API server: `fitout apply` of a cluster against `helm upgrade
//! --install` of one after the other, and of two at a time.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::measure::{shown, tell, timed};
use crate::tools;

/// How many releases there are.
const RELEASES: usize = 50;
/// How often the last step, in which nothing changes, is done; the median counts.
const PASSES: usize = 3;

/// What each release has: ten objects, of which the first has what changes.
const TEMPLATES: [(&str, &str); 10] = [
    (
        "configmap-message",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: \"{{ .Release.Name }}-message\"}\n\
         data: {message: \"{{ .Values.message }}\"}\n",
    ),
    (
        "configmap-settings",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: \"{{ .Release.Name }}-settings\"}\n\
         data:\n  settings.yaml: |\n    level: info\n    targets: [a, b, c]\n",
    ),
    (
        "configmap-dashboards",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: \"{{ .Release.Name }}-dashboards\"}\n\
         data: {overview.json: '{\"panels\": []}'}\n",
    ),
    (
        "secret",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: \"{{ .Release.Name }}\"}\n\
         stringData: {token: \"{{ .Release.Name }}-0123456789\"}\n",
    ),
    (
        "serviceaccount",
        "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: \"{{ .Release.Name }}\"}\n",
    ),
    (
        "role",
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\n\
         metadata: {name: \"{{ .Release.Name }}\"}\n\
         rules: [{apiGroups: [\"\"], resources: [pods], verbs: [get, list]}]\n",
    ),
    (
        "rolebinding",
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\n\
         metadata: {name: \"{{ .Release.Name }}\"}\n\
         roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, \
         name: \"{{ .Release.Name }}\"}\n\
         subjects: [{kind: ServiceAccount, name: \"{{ .Release.Name }}\"}]\n",
    ),
    (
        "service",
        "apiVersion: v1\nkind: Service\nmetadata: {name: \"{{ .Release.Name }}\"}\n\
         spec: {selector: {app: \"{{ .Release.Name }}\"}, ports: [{port: 80}]}\n",
    ),
    (
        "deployment",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: \"{{ .Release.Name }}\"}\n\
         spec:\n  selector: {matchLabels: {app: \"{{ .Release.Name }}\"}}\n  template:\n    \
         metadata: {labels: {app: \"{{ .Release.Name }}\"}}\n    \
         spec: {containers: [{name: main, image: \"registry.example.org/app:1\"}]}\n",
    ),
    (
        "poddisruptionbudget",
        "apiVersion: policy/v1\nkind: PodDisruptionBudget\n\
         metadata: {name: \"{{ .Release.Name }}\"}\n\
         spec: {maxUnavailable: 1, selector: {matchLabels: {app: \"{{ .Release.Name }}\"}}}\n",
    ),
];

/// Who installs, and how.
#[derive(Clone, Copy)]
enum Way {
    /// `helm upgrade --install`, so many at a time.
    Helm { at_once: usize },
    /// `fitout apply` of the whole cluster.
    Fitout,
}

/// What one way took for one step.
struct Figure {
    time: Duration,
    /// Requests to the API server; none where kubectl is not there to ask for them.
    requests: Option<u64>,
}

pub(crate) fn run() {
    let (Some(helm), Some(controlplane)) = (tools::helm(), tools::controlplane()) else {
        println!("  skipped: helm or the control plane of the tests is not there; see `make e2e`");
        return;
    };
    let scratch = tempfile::tempdir().expect("a scratch folder can be made");
    let bench = match Bench::start(scratch.path(), helm, &controlplane) {
        Ok(bench) => bench,
        Err(error) => return println!("  skipped: the control plane does not start: {error}"),
    };
    println!("  {RELEASES} releases of {} objects; helm does not wait", TEMPLATES.len());
    bench.step("first installation", "one", 1, "3×");
    bench.step("one object of each changes", "two", 1, "5×");
    bench.step("nothing changes", "two", PASSES, "20×");
}

/// One control plane, and the same chart for either program.
struct Bench<'a> {
    folder: &'a Path,
    helm: PathBuf,
    kubeconfig: PathBuf,
    /// Of a user for whom the API server does not make an exception, so that requests are counted.
    user: PathBuf,
    process: Child,
}

impl Drop for Bench<'_> {
    fn drop(&mut self) {
        // Its stdin ends, upon which it does; it may have ended by itself.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

impl<'a> Bench<'a> {
    fn start(folder: &'a Path, helm: PathBuf, controlplane: &Path) -> Result<Self, String> {
        let cluster = folder.join("cluster");
        let log =
            std::fs::File::create(folder.join("stderr")).map_err(|error| error.to_string())?;
        let mut process = Command::new(controlplane)
            .args(["--name", "bench", "--dir"])
            .arg(&cluster)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut ready = String::new();
        if let Some(stdout) = process.stdout.take() {
            let _ = BufReader::new(stdout).read_line(&mut ready);
        }
        let (kubeconfig, user) = (cluster.join("kubeconfig"), cluster.join("kubeconfig.limited"));
        let bench = Self { folder, helm, kubeconfig, user, process };
        if !ready.contains("ready") {
            let said = std::fs::read_to_string(folder.join("stderr")).unwrap_or_default();
            return Err(said);
        }
        bench.write_chart();
        bench.admit()?;
        Ok(bench)
    }

    fn write_chart(&self) {
        let chart = self.folder.join("fleet/addons/chart");
        write(&chart.join("Chart.yaml"), "apiVersion: v2\nname: app\nversion: 1.0.0\n");
        write(&chart.join("values.yaml"), "message: none\n");
        for (name, text) in TEMPLATES {
            write(&chart.join(format!("templates/{name}.yaml")), text);
        }
        let cluster = "apiVersion: fitout.dev/v1alpha1\nkind: Cluster\nmetadata: {name: bench}\n\
                       spec: {kubernetesVersion: \"1.35\", connection: {context: bench-limited}}\n";
        write(&self.folder.join("fleet/clusters/bench.yaml"), cluster);
    }

    /// Lets the user do what releases need.
    fn admit(&self) -> Result<(), String> {
        let binding = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\n\
             metadata: {name: bench}\n\
             roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, \
             name: cluster-admin}\n\
             subjects: [{kind: User, name: limited, apiGroup: rbac.authorization.k8s.io}]\n";
        let chart = self.folder.join("admission");
        write(&chart.join("Chart.yaml"), "apiVersion: v2\nname: admission\nversion: 1.0.0\n");
        write(&chart.join("templates/binding.yaml"), binding);
        let mut helm = Command::new(&self.helm);
        let output = helm
            .args(["install", "admission"])
            .arg(&chart)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", self.folder)
            .output()
            .map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// One step by each way, and how they compare.
    fn step(&self, what: &str, message: &str, passes: usize, target: &str) {
        let ways = [Way::Helm { at_once: 1 }, Way::Helm { at_once: 2 }, Way::Fitout];
        let figures = ways.map(|way| {
            let mut figures: Vec<Figure> =
                (0..passes).filter_map(|_| self.bring(way, message)).collect();
            figures.sort_by_key(|figure| figure.time);
            let middle = figures.len() / 2;
            (!figures.is_empty()).then(|| figures.swap_remove(middle))
        });
        let [Some(one), Some(two), Some(ours)] = figures else {
            return println!("  {what}: skipped, one of the programs failed");
        };
        println!("  {what}");
        for (name, figure) in
            [("helm, one by one", &one), ("helm, two at a time", &two), ("fitout apply", &ours)]
        {
            let requests =
                figure.requests.map_or(String::new(), |count| format!("{count} requests"));
            tell(&format!("  {name:<24} {requests}"), &shown(figure.time), "");
        }
        let ratio = |helm: &Figure| helm.time.as_secs_f64() / ours.time.as_secs_f64();
        tell("  ratio to one by one", &format!("{:.1}×", ratio(&one)), target);
        tell("  ratio to two at a time", &format!("{:.1}×", ratio(&two)), "");
    }

    /// Brings all releases of one way to a message. `None`, with the reason printed, on failure.
    fn bring(&self, way: Way, message: &str) -> Option<Figure> {
        let before = self.requests();
        let (time, result) = timed(|| match way {
            Way::Helm { at_once } => self.by_helm(at_once, message),
            Way::Fitout => self.by_fitout(message),
        });
        if let Err(error) = result {
            println!("  failed: {error}");
            return None;
        }
        let requests = self.requests().zip(before).map(|(after, before)| after - before);
        Some(Figure { time, requests })
    }

    fn by_helm(&self, at_once: usize, message: &str) -> Result<(), String> {
        let next = AtomicUsize::new(0);
        let work = || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= RELEASES {
                    return Ok(());
                }
                let mut helm = Command::new(&self.helm);
                helm.args(["upgrade", "--install", "--wait=false", "--create-namespace"])
                    .args(["--namespace", &format!("helm-{at_once}")])
                    .args(["--set", &format!("message={message}"), &release(number)])
                    .arg(self.folder.join("fleet/addons/chart"))
                    .env("HOME", self.folder);
                self.run(helm)?;
            }
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..at_once).map(|_| scope.spawn(work)).collect();
            threads.into_iter().try_for_each(|thread| thread.join().expect("it does not panic"))
        })
    }

    fn by_fitout(&self, message: &str) -> Result<(), String> {
        let mut addons = String::new();
        for number in 0..RELEASES {
            let name = release(number);
            let _ = write!(
                addons,
                "---\napiVersion: fitout.dev/v1alpha1\nkind: Addon\nmetadata: {{name: {name}}}\n\
                 spec:\n  chart: {{path: chart}}\n  namespace: fitout\n  placement: {{}}\n  \
                 values: [{{inline: {{message: {message}}}}}]\n"
            );
        }
        write(&self.folder.join("fleet/addons/addons.yaml"), &addons);
        let mut fitout = Command::new(env!("CARGO_BIN_EXE_fitout"));
        fitout.args(["apply", "--all", "--yes", "--repo"]).arg(self.folder.join("fleet"));
        self.run(fitout)
    }

    fn run(&self, mut command: Command) -> Result<(), String> {
        let output = command.env("KUBECONFIG", &self.user).output();
        let output = output.map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        Err(String::from_utf8_lossy(&said).into_owned())
    }

    /// How many requests the API server has had of the user; its own components and administrators
    /// are counted under other names.
    fn requests(&self) -> Option<u64> {
        let mut kubectl = Command::new(tools::kubectl()?);
        kubectl.args(["get", "--raw", "/metrics"]).env("KUBECONFIG", &self.kubeconfig);
        let output = kubectl.env("HOME", self.folder).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let counts = text.lines().filter(|line| {
            line.starts_with("apiserver_flowcontrol_dispatched_requests_total{")
                && line.contains("flow_schema=\"global-default\"")
        });
        let counts = counts.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
        Some(counts.sum::<f64>() as u64)
    }
}

fn release(number: usize) -> String {
    format!("app-{:02}", number + 1)
}

fn write(path: &Path, text: &str) {
    let folder = path.parent().expect("it is below the scratch folder");
    std::fs::create_dir_all(folder).expect("the scratch folder is writable");
    std::fs::write(path, text).expect("the scratch folder is writable");
}
