//! Small charts of our own, one file for each feature, with what the real helm made of them.
//!
//! A case file has files to write and commands with their recorded output:
//!
//! ```text
//! >>> chart/Chart.yaml
//! apiVersion: v2
//! >>> chart/charts/sub-1.0.0.tgz < sub
//! $ template r chart --set 'a=b c'
//! ---
//! …
//! --- exit 0
//! ```
//!
//! `FITOUT_ORACLE=HELM`, a path, records the output of that helm anew (`make oracle`). Helm's words for
//! a failure are recorded as well; ours are a snapshot beside them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use insta::assert_snapshot;

use crate::env::{Env, repository};

/// A case file.
struct Cases {
    path: PathBuf,
    /// Everything up to the first command, as written.
    head: String,
    runs: Vec<Run>,
}

/// A command and what the real helm gave.
struct Run {
    command: String,
    stdout: String,
    stderr: String,
    exit: i32,
}

impl Cases {
    fn read(path: PathBuf) -> Self {
        let text = std::fs::read_to_string(&path).expect("cases are UTF-8");
        let start = text.find("\n$ ").map_or(text.len(), |at| at + 1);
        let (head, rest) = text.split_at(start);
        let mut runs: Vec<Run> = Vec::new();
        let mut is_stderr = false;
        for line in rest.split_inclusive('\n') {
            if let Some(command) = line.strip_prefix("$ ") {
                let command = command.trim_end().to_owned();
                let nothing = String::new();
                runs.push(Run { command, stdout: nothing.clone(), stderr: nothing, exit: 0 });
                is_stderr = false;
                continue;
            }
            let run = runs.last_mut().expect("output follows a command");
            match line.trim_end().strip_prefix("--- ") {
                Some("stderr") => is_stderr = true,
                Some(exit) if exit.starts_with("exit ") => {
                    run.exit = exit["exit ".len()..].parse().expect("exits are numbers");
                }
                _ if is_stderr => run.stderr.push_str(line),
                _ => run.stdout.push_str(line),
            }
        }
        Self { path, head: head.to_owned(), runs }
    }

    fn name(&self) -> String {
        self.path.file_stem().expect("it is a file").to_string_lossy().into_owned()
    }

    /// A place with the files.
    fn env(&self) -> Env {
        let env = Env::new();
        let mut files: BTreeMap<String, String> = BTreeMap::new();
        let mut packed = Vec::new();
        let mut current = None;
        for line in self.head.split_inclusive('\n') {
            let Some(name) = line.strip_prefix(">>> ") else {
                let current: &String = current.as_ref().expect("text follows the name of a file");
                files.entry(current.clone()).or_default().push_str(line);
                continue;
            };
            match name.trim_end().split_once(" < ") {
                Some((archive, folder)) => packed.push((archive.to_owned(), folder.to_owned())),
                None => {
                    files.insert(name.trim_end().to_owned(), String::new());
                    current = Some(name.trim_end().to_owned());
                }
            }
        }
        for (name, text) in files {
            // What editors and git would change is written in words.
            let text =
                text.replace("<CR>", "\r").replace("<BOM>", "\u{feff}").replace("<TAB>", "\t");
            env.write(&name, &text);
        }
        for (archive, folder) in packed {
            pack(&env.fleet(), &archive, &folder);
        }
        env
    }

    /// Replaces what is recorded.
    fn record(&mut self, helm: &Path) {
        let mut text = self.head.clone();
        for run in &self.runs {
            let env = self.env();
            let output = Command::new(helm)
                .args(words(&run.command))
                .current_dir(env.fleet())
                .env("HOME", env.root())
                .output()
                .expect("helm starts");
            write!(text, "$ {}\n{}", run.command, shown(&output.stdout, &env)).expect("a string");
            if !output.status.success() {
                write!(text, "--- stderr\n{}", shown(&output.stderr, &env)).expect("a string");
            }
            writeln!(text, "--- exit {}", output.status.code().unwrap_or(-1)).expect("a string");
        }
        std::fs::write(&self.path, text).expect("the repository is writable");
        *self = Self::read(self.path.clone());
    }
}

/// Packs a folder as the archive of a chart.
fn pack(root: &Path, archive: &str, folder: &str) {
    let path = root.join(archive);
    std::fs::create_dir_all(path.parent().expect("it is below the root")).expect("it is ours");
    let file = std::fs::File::create(path).expect("it is ours");
    let compressed = flate2::write::GzEncoder::new(file, flate2::Compression::default());
    let mut tar = tar::Builder::new(compressed);
    tar.append_dir_all(Path::new(folder).file_name().expect("a folder"), root.join(folder))
        .expect("the folder is there");
    tar.into_inner().and_then(flate2::write::GzEncoder::finish).expect("the archive is complete");
    std::fs::remove_dir_all(root.join(folder)).expect("it is ours");
}

/// The words of a command: spaces separate them, except in single quotes.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for c in command.chars() {
        match c {
            '\'' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(String::new()),
            c => words.last_mut().expect("there is one").push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn shown(bytes: &[u8], env: &Env) -> String {
    let text = String::from_utf8_lossy(bytes).replace('\r', "<CR>");
    let mut text = text.replace(&env.root().display().to_string(), "[ROOT]");
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

fn all() -> Vec<Cases> {
    let folder = repository().join("tests/cases/charts");
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.expect("it is readable").path()).collect();
    paths.sort();
    paths.into_iter().map(Cases::read).collect()
}

#[test]
fn small_charts_render_as_helm_renders_them() {
    let helm = std::env::var_os("FITOUT_ORACLE").map(PathBuf::from);
    let mut differences = String::new();
    for mut cases in all() {
        if let Some(helm) = &helm {
            cases.record(helm);
        }
        let mut failures = String::new();
        for run in &cases.runs {
            let env = cases.env();
            let words = words(&run.command);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let output = env.fitout(&words).output().expect("fitout starts");
            let told = env.tell(&words, &output);
            let is_same = output.status.success() == (run.exit == 0)
                && (run.exit != 0 || shown(&output.stdout, &env) == run.stdout);
            if !is_same {
                let name = cases.name();
                write!(differences, "## {name}\n{told}helm: {}{}\n", run.stdout, run.stderr)
                    .expect("a string");
            }
            if run.exit != 0 {
                writeln!(failures, "{told}helm: {}", run.stderr).expect("a string");
            }
        }
        if !failures.is_empty() {
            assert_snapshot!(format!("failures_of_{}", cases.name()), failures);
        }
    }
    assert!(differences.is_empty(), "{differences}");
}
