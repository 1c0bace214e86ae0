//! Fleets on the real clusters, and `fitout` on them.

use std::process::Stdio;
use std::sync::MutexGuard;
use std::time::Duration;

use super::clusters::{Cluster, Clusters, clusters, words};
use super::run::{Ran, run};
use crate::env::Env;

/// How long one command of `fitout` may take.
const COMMAND_LIMIT: Duration = Duration::from_mins(3);

/// A fleet in a git repository, with the three clusters.
pub(super) struct Fleet {
    pub(super) env: Env,
    pub(super) clusters: MutexGuard<'static, Clusters>,
}

impl Fleet {
    /// The worked example with these clusters in place of its own; `None` where end-to-end tests
    /// are not asked for.
    pub(super) fn example() -> Option<Self> {
        let fleet = Self { clusters: clusters()?, env: Env::example() };
        std::fs::remove_dir_all(fleet.env.fleet().join("clusters")).expect("the example has some");
        fleet.write_clusters();
        fleet.env.commit("The clusters of the tests");
        Some(fleet)
    }

    /// A fleet with one addon, `web`: see [`WEB`].
    pub(super) fn web() -> Option<Self> {
        let fleet = Self::empty()?;
        for (path, text) in WEB {
            fleet.env.write(path, text);
        }
        fleet.env.commit("Begin");
        Some(fleet)
    }

    /// A fleet without any addon.
    pub(super) fn empty() -> Option<Self> {
        let fleet = Self { clusters: clusters()?, env: Env::new() };
        fleet.write_clusters();
        Some(fleet)
    }

    fn write_clusters(&self) {
        let labels = [
            ("stg-01", "staging", "meyrin", "gpu"),
            ("prod-01", "prod", "meyrin", "cpu"),
            ("prod-02", "prod", "prevessin", "gpu"),
        ];
        for (name, environment, region, flavour) in labels {
            let labels = format!(
                "{{environment: {environment}, region: {region}, flavour: {flavour}, \
                 monitoring: \"true\"}}"
            );
            self.write_cluster(name, &labels, &format!("context: {name}"));
        }
    }

    /// Writes a Cluster document.
    pub(super) fn write_cluster(&self, name: &str, labels: &str, connection: &str) {
        let text = format!(
            "apiVersion: fitout.dev/v1alpha1\nkind: Cluster\nmetadata:\n  name: {name}\n  \
             labels: {labels}\nspec:\n  kubernetesVersion: \"1.35\"\n  \
             connection: {{{connection}}}\n  \
             facts: {{storageClass: standard, ingressDomain: {name}.example.org}}\n"
        );
        self.env.write(&format!("clusters/{name}.yaml"), &text);
    }

    /// `fitout` with arguments split at spaces.
    pub(super) fn fitout(&self, args: &str) -> Ran {
        let mut command = self.env.fitout(&words(args));
        run(command.env("KUBECONFIG", &self.clusters.kubeconfig), COMMAND_LIMIT)
    }

    /// `fitout` with arguments split at spaces, left running.
    pub(super) fn spawn(&self, args: &str) -> std::process::Child {
        println!("          $ fitout {args} &");
        let mut command = self.env.fitout(&words(args));
        command.env("KUBECONFIG", &self.clusters.kubeconfig);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("fitout starts")
    }

    pub(super) fn staging(&self) -> &Cluster {
        self.clusters.staging()
    }

    /// Brings `web` up on a cluster where it is not.
    pub(super) fn bring_web(&self, cluster: &str) {
        self.fitout(&format!("apply {cluster} --addon web --yes")).succeeded();
        assert_eq!(self.history(cluster), "1 deployed Install complete\n");
    }

    /// Changes a value of `web` in git.
    pub(super) fn set(&self, from: &str, to: &str) {
        self.env.replace("addons/web/values.yaml", from, to);
        self.env.commit(&format!("{from} → {to}"));
    }

    /// The revisions of `web` on a cluster, as Helm tells them.
    pub(super) fn history(&self, cluster: &str) -> String {
        self.clusters.named(cluster).history("web", "web")
    }
}

/// What must hold of any fleet.
impl Fleet {
    /// Nothing is to be done, and `apply` sends nothing that could change anything.
    pub(super) fn is_settled(&self) {
        let state = || {
            let all = self.clusters.all.iter();
            all.map(|cluster| (cluster.writes(), cluster.versions())).collect::<Vec<_>>()
        };
        let before = state();
        let diff = self.fitout("diff --all --exit-code").succeeded();
        assert_eq!(diff.out, "", "{diff}");
        self.fitout("plan --all --exit-code").succeeded().says("nothing to do");
        self.fitout("apply --all --yes").succeeded();
        assert_eq!(before, state(), "something was written");
    }

    /// Nothing is to be done on one cluster.
    pub(super) fn is_settled_on(&self, cluster: &str) {
        let diff = self.fitout(&format!("diff {cluster} --exit-code")).succeeded();
        assert_eq!(diff.out, "", "{diff}");
    }

    /// `helm get manifest` is byte for byte what Helm itself renders of the addon's chart with the
    /// values of the record.
    pub(super) fn records_what_helm_renders(
        &self,
        cluster: &Cluster,
        namespace: &str,
        release: &str,
    ) {
        let values = cluster.helm(&format!("get values {release} -n {namespace} -o json"));
        let path = self.env.root().join("values.json");
        std::fs::write(&path, values).expect("the folder is ours");
        let chart = self.env.fleet().join(format!("addons/{release}/chart"));
        let rendered = cluster.helm(&format!(
            "template {release} {} -n {namespace} --kube-version 1.35.0 --no-hooks -f {}",
            chart.display(),
            path.display()
        ));
        let recorded = cluster.helm(&format!("get manifest {release} -n {namespace}"));
        // The two commands differ in empty lines at the end.
        let (recorded, rendered) = (recorded.trim_end(), rendered.trim_end());
        let at = recorded.lines().zip(rendered.lines()).position(|(a, b)| a != b);
        let differs = format!("{release} differs at line {at:?}");
        assert!(recorded == rendered, "{differs}\n{recorded}\n--- by helm\n{rendered}");
    }
}

impl Drop for Fleet {
    /// Leaves the clusters empty for the next test.
    fn drop(&mut self) {
        std::thread::scope(|scope| {
            for cluster in &self.clusters.all {
                scope.spawn(|| cluster.clear());
            }
        });
    }
}

/// An addon with a Deployment, a Service, a ConfigMap, a Secret and a few values. It gives up on
/// an image that cannot be pulled after a few seconds.
pub(super) const WEB: [(&str, &str); 4] = [
    (
        "addons/web/addon.yaml",
        "apiVersion: fitout.dev/v1alpha1
kind: Addon
metadata: {name: web}
spec:
  chart: {path: chart}
  namespace: web
  placement: {}
  values:
    - file: values.yaml
  health: {timeout: 6s}
",
    ),
    ("addons/web/values.yaml", "tag: \"1.0\"\nreplicas: 2\nmotd: hello\npassword: hunter2-first\n"),
    ("addons/web/chart/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n"),
    (
        "addons/web/chart/templates/all.yaml",
        "apiVersion: v1
kind: ConfigMap
metadata: {name: web}
data: {motd: {{ .Values.motd | quote }}}
---
apiVersion: v1
kind: Secret
metadata: {name: web}
stringData: {password: {{ .Values.password | quote }}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: web
          image: registry.example.org/web:{{ .Values.tag }}
          env: [{name: MOTD, value: {{ .Values.motd | quote }}}]
{{- range $name := .Values.extra }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ $name }}}
{{- end }}
",
    ),
];

/// A Job that runs before each change; a value of the chart is the tag of its image.
pub(super) fn hook(value: &str) -> String {
    format!(
        "apiVersion: batch/v1
kind: Job
metadata:
  name: before
  annotations: {{helm.sh/hook: \"pre-install,pre-upgrade\"}}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{{name: a, image: \"registry.example.org/a:{{{{ .Values.{value} }}}}\"}}]
"
    )
}
