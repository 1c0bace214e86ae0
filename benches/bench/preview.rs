//! `fitout preview` as one whole process: changes to the generated fleet, from one line to all of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::measure::{children_peak_mb, quantile, shown, tell, timed};
use crate::{fleet, tools};

/// The argument that makes this program the child that is measured.
pub(crate) const CHILD: &str = "--preview-fleet";

/// Each change is looked at so often; the median counts.
const RUNS: usize = 5;

/// A change: what it is, the target, and how it is made in the folder of a fleet.
type Edit = (&'static str, &'static str, fn(&Path));

/// Helm renders one in so many of the cells, and the time is taken times as many.
const HELM_SHARE: usize = 5;

const EDITS: [Edit; 2] = [
    ("one line of a values layer, on 500 clusters", "3 s, 500 MB", values_layer),
    ("another version of one chart, on 500 clusters", "5 s", chart_version),
];

pub(crate) fn run() {
    fleet::for_each(measure);
}

/// Commits the fleet, and makes one change after the other to the work tree.
fn measure(folder: &Path) {
    git(folder, &["init", "--quiet", "--initial-branch=main"]);
    // Charts of the corpus ignore the subcharts that they were packed with.
    git(folder, &["add", "--all", "--force"]);
    git(folder, &["commit", "--quiet", "--message", "Begin"]);
    for addon in subjects(folder) {
        println!("  {}", chart_name(&addon));
        let program = std::env::current_exe().expect("a program knows where it is");
        for (what, target, edit) in EDITS {
            edit(&addon);
            // The child has no other children than these, so that their peak is theirs.
            let output = Command::new(&program).arg(CHILD).arg(folder).output();
            match output {
                Ok(output) if output.status.success() => {
                    let measured = String::from_utf8_lossy(&output.stdout);
                    tell(&format!("  {what}"), measured.trim(), target);
                }
                _ => println!("  {what}: the child that measures it has failed"),
            }
            git(folder, &["checkout", "--quiet", "--", "."]);
        }
        by_helm(&addon);
    }
}

/// The same renders of both sides by a loop of `helm template`.
fn by_helm(addon: &Path) {
    let Some(helm) = tools::helm() else { return println!("    helm: skipped, it is not there") };
    let cells = (0..fleet::CELLS).step_by(HELM_SHARE);
    let calls = cells.map(|cell| {
        format!("\"$0\" template a chart -f values.yaml --set cell=c{cell:02} > /dev/null\n")
    });
    let script: String = calls.collect::<String>().repeat(2);
    let (time, status) = timed(|| {
        let mut shell = Command::new("sh");
        shell.args(["-e", "-c", &script]).arg(&helm).current_dir(addon);
        // Deprecated charts warn each time.
        shell.stderr(Stdio::null()).status()
    });
    if !status.is_ok_and(|status| status.success()) {
        return println!("    helm: skipped, it does not render the chart");
    }
    let time = time * HELM_SHARE as u32;
    let what = format!("  the {} renders of both sides by a loop of helm", 2 * fleet::CELLS);
    tell(&what, &shown(time), "");
}

/// The addons that are changed: the one of a usual chart, and the one with the most templates.
fn subjects(folder: &Path) -> Vec<PathBuf> {
    let largest = largest(folder);
    let addons = std::fs::read_dir(folder.join("addons")).expect("they are there").flatten();
    let usual = addons.map(|entry| entry.path()).find(|path| chart_name(path) == fleet::USUAL);
    let usual = usual.filter(|usual| *usual != largest);
    usual.into_iter().chain([largest]).collect()
}

/// Looks at the change in a folder, and tells time and memory.
pub(crate) fn child(folder: &Path) {
    let look = || {
        Command::new(env!("CARGO_BIN_EXE_fitout"))
            .args(["preview", "--exit-code", "-o", "markdown", "--output-file"])
            .arg(folder.join(".git/preview.md"))
            .env("FITOUT_CACHE", folder.join(".git/cache"))
            .current_dir(folder)
            .output()
            .expect("fitout starts")
    };
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let (time, output) = timed(look);
        let errors = String::from_utf8_lossy(&output.stderr);
        // Old charts have findings, such as APIs that are gone.
        let is_seen = matches!(output.status.code(), Some(1 | 3));
        assert!(is_seen, "a change is pending: {errors}");
        times.push(time);
    }
    let peak = children_peak_mb().map_or_else(String::new, |peak| format!(", {peak} MB"));
    println!("{}{peak}", shown(quantile(&times, 0.5)));
}

fn values_layer(addon: &Path) {
    replace(&addon.join("values.yaml"), "disk: ssd", "disk: nvme");
}

fn chart_version(addon: &Path) {
    let path = addon.join("chart/Chart.yaml");
    let text = std::fs::read_to_string(&path).expect("a chart has this file");
    let line = text.lines().find(|line| line.starts_with("version:"));
    replace(&path, line.expect("a chart has a version"), "version: 999.0.0");
}

/// The folder of the addon with the most bytes of templates.
fn largest(folder: &Path) -> PathBuf {
    let addons = std::fs::read_dir(folder.join("addons")).expect("they are there").flatten();
    let all = addons.map(|entry| entry.path());
    all.max_by_key(|path| (fleet::bytes(&path.join("chart")), path.clone()))
        .expect("there are addons")
}

fn chart_name(addon: &Path) -> String {
    let text = std::fs::read_to_string(addon.join("chart/Chart.yaml")).unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("name:"));
    name.unwrap_or_default().trim().to_owned()
}

fn replace(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).expect("readable");
    assert!(text.contains(from), "{} has no `{from}`", path.display());
    std::fs::write(path, text.replacen(from, to, 1)).expect("writable");
}

fn git(folder: &Path, args: &[&str]) {
    let done = Command::new("git")
        .args(["-c", "user.name=bench", "-c", "user.email=bench@example.org"])
        .args(args)
        .current_dir(folder)
        .status();
    assert!(done.is_ok_and(|status| status.success()), "git {args:?} has failed");
}
