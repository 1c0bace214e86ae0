//! A hermetic place to run `fitout` in: a folder of its own, no environment but what is named here.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A temporary folder with a fleet in `fleet/`, and `fitout` running there.
pub(crate) struct Env {
    folder: tempfile::TempDir,
}

impl Env {
    /// An empty fleet in a fresh git repository.
    pub(crate) fn new() -> Self {
        let env = Self { folder: tempfile::tempdir().expect("a temporary folder can be made") };
        std::fs::create_dir_all(env.fleet()).expect("the folder is ours");
        env.git("init --quiet --initial-branch=main");
        env
    }

    /// A copy of the worked example, committed.
    pub(crate) fn example() -> Self {
        let env = Self::new();
        for folder in ["clusters", "addons", "policies"] {
            copy(&repository().join(folder), &env.fleet().join(folder));
        }
        env.commit("Begin");
        env
    }

    /// The clusters `dev` and `prod`, and an addon `web` that depends on `base`; charts of one
    /// object each. Not committed.
    pub(crate) fn small() -> Self {
        let env = Self::new();
        for name in ["dev", "prod"] {
            let text = SMALL_CLUSTER.replace("NAME", name);
            env.write(&format!("clusters/{name}.yaml"), &text);
        }
        env.write("addons/base/addon.yaml", SMALL_BASE);
        env.chart("addons/base/chart", "base", "1.2.0");
        env.write("addons/web/addon.yaml", SMALL_WEB);
        env.write("addons/web/values.yaml", "size: 1\ncolour: grey\n");
        env.write("addons/web/values/prod.yaml", "size: 3\n");
        env.chart("addons/web/chart", "web", "2.0.0");
        env
    }

    /// Writes a chart with one ConfigMap that holds every value.
    pub(crate) fn chart(&self, folder: &str, name: &str, version: &str) {
        let metadata = format!("apiVersion: v2\nname: {name}\nversion: {version}\n");
        self.write(&format!("{folder}/Chart.yaml"), &metadata);
        self.write(&format!("{folder}/values.yaml"), "size: 0\nshape: round\n");
        self.write(&format!("{folder}/templates/config.yaml"), SMALL_TEMPLATE);
    }

    /// The temporary folder.
    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// The fleet's repository.
    pub(crate) fn fleet(&self) -> PathBuf {
        self.root().join("fleet")
    }

    /// Writes a file of the fleet.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.fleet().join(path);
        std::fs::create_dir_all(path.parent().expect("it is below the fleet"))
            .expect("the folder is ours");
        std::fs::write(path, text).expect("the folder is ours");
    }

    /// Reads a file of the fleet.
    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.fleet().join(path)).expect("the file is there")
    }

    /// Replaces text in a file of the fleet; it must be there.
    pub(crate) fn replace(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path);
        assert!(text.contains(from), "{path} has no `{from}`");
        self.write(path, &text.replace(from, to));
    }

    /// Removes a file or a folder of the fleet.
    pub(crate) fn remove(&self, path: &str) {
        let path = self.fleet().join(path);
        if path.is_dir() {
            std::fs::remove_dir_all(path).expect("the folder is ours");
        } else {
            std::fs::remove_file(path).expect("the folder is ours");
        }
    }

    /// What git prints, if it succeeds.
    pub(crate) fn try_git(&self, args: &str) -> Option<String> {
        let output = self.hermetic("git").args(args.split(' ')).output().expect("git is installed");
        output.status.success().then(|| text(&output.stdout))
    }

    /// Runs git in the fleet's repository; arguments are split at spaces.
    pub(crate) fn git(&self, args: &str) -> String {
        let args: Vec<_> = args.split(' ').collect();
        self.git_args(&args)
    }

    /// Commits every file and returns the commit.
    pub(crate) fn commit(&self, message: &str) -> String {
        self.git("add --all");
        self.git_args(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.git("rev-parse HEAD").trim().to_owned()
    }

    fn git_args(&self, args: &[&str]) -> String {
        let output = self.hermetic("git").args(args).output().expect("git is installed");
        assert!(output.status.success(), "git {args:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// `fitout` with these arguments, in the fleet's folder.
    pub(crate) fn fitout(&self, args: &[&str]) -> Command {
        let mut command = self.hermetic(env!("CARGO_BIN_EXE_fitout"));
        command.args(args);
        command
    }

    /// Runs lines in a shell that finds `fitout`, in the temporary folder, and tells their output.
    pub(crate) fn shell(&self, lines: &str) -> String {
        let program = Path::new(env!("CARGO_BIN_EXE_fitout"));
        let folder = program.parent().expect("a program is in a folder");
        let path = std::env::var("PATH").unwrap_or_default();
        let output = self
            .hermetic("bash")
            .args(["-euc", lines])
            .env("PATH", format!("{}:{path}", folder.display()))
            .current_dir(self.root())
            .output()
            .expect("bash starts");
        let told = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{told}");
        told.replace(&self.root().display().to_string(), "[ROOT]")
    }

    /// Runs `fitout` with arguments split at spaces, and tells all of it as one text: what was
    /// typed, stdout, stderr, exit code. The temporary folder is `[ROOT]` in it.
    pub(crate) fn run(&self, args: &str) -> String {
        let args: Vec<_> = args.split(' ').filter(|arg| !arg.is_empty()).collect();
        let output = self.fitout(&args).output().expect("fitout starts");
        self.tell(&args, &output)
    }

    /// All of a run as one text.
    pub(crate) fn tell(&self, args: &[&str], output: &Output) -> String {
        let mut told = format!("$ fitout {}\n{}", args.join(" "), text(&output.stdout));
        if !output.stderr.is_empty() {
            write!(told, "--- stderr\n{}", text(&output.stderr)).expect("it is a String");
        }
        let code = output.status.code().map_or("by a signal".to_owned(), |code| code.to_string());
        writeln!(told, "--- exit {code}").expect("it is a String");
        told.replace(&self.root().display().to_string(), "[ROOT]")
    }

    fn hermetic(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.root())
            .env("FITOUT_STATE", self.root().join("state"))
            .env("FITOUT_CACHE", self.root().join("cache"))
            .env("TZ", "UTC")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "Ada")
            .env("GIT_AUTHOR_EMAIL", "ada@example.org")
            .env("GIT_AUTHOR_DATE", "2026-01-05T10:00:00Z")
            .env("GIT_COMMITTER_NAME", "Ada")
            .env("GIT_COMMITTER_EMAIL", "ada@example.org")
            .env("GIT_COMMITTER_DATE", "2026-01-05T10:00:00Z")
            .current_dir(self.fleet());
        command
    }
}

const SMALL_CLUSTER: &str = "\
apiVersion: fitout.dev/v1alpha1
kind: Cluster
metadata:
  name: NAME
  labels: {environment: NAME}
spec:
  kubernetesVersion: \"1.35\"
  connection: {simulated: {nodes: 1}}
";

const SMALL_BASE: &str = "\
apiVersion: fitout.dev/v1alpha1
kind: Addon
metadata: {name: base}
spec:
  chart: {path: chart}
  namespace: base
  placement: {}
";

const SMALL_WEB: &str = "\
apiVersion: fitout.dev/v1alpha1
kind: Addon
metadata: {name: web}
spec:
  chart: {path: chart}
  namespace: web
  placement: {}
  values:
    - file: values.yaml
    - {file: \"values/{{ .Cluster.labels.environment }}.yaml\", optional: true}
  dependsOn:
    - {addon: base, version: \">=1\"}
";

const SMALL_TEMPLATE: &str = "\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
data:
  {{- range $name, $value := .Values }}
  {{ $name }}: {{ $value | quote }}
  {{- end }}
";

/// The root of this repository.
pub(crate) fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Copies a folder with all that is below it.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("the folder is ours");
    for entry in std::fs::read_dir(from).expect("the folder is there") {
        let entry = entry.expect("the entry is readable");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("the folder is ours");
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn help_names_every_command() {
    let told = Env::new().run("--help");
    for command in ["validate", "diff", "plan", "apply", "rollout", "why", "controller", "demo"] {
        assert!(told.contains(&format!("\n  {command} ")), "{command} is not in:\n{told}");
    }
}

/// A CRD, for tests of any cluster.
pub(crate) const WIDGETS: &str = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.org}
spec:
  group: example.org
  scope: Namespaced
  names: {kind: Widget, plural: widgets, singular: widget}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec: {type: object, x-kubernetes-preserve-unknown-fields: true}
";
