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

    /// Runs `fitout` with arguments split at spaces, and tells all of it as one text: what was
    /// typed, stdout, stderr, exit code. The temporary folder is `[ROOT]` in it.
    pub(crate) fn run(&self, args: &str) -> String {
        let args: Vec<_> = args.split(' ').filter(|arg| !arg.is_empty()).collect();
        let output = self.fitout(&args).output().expect("fitout starts");
        self.tell(&args, &output)
    }

    fn tell(&self, args: &[&str], output: &Output) -> String {
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

/// The root of this repository.
pub(crate) fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn copy(from: &Path, to: &Path) {
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
