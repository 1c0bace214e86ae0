//! Charts of the recorded corpus against the real helm: one whole process each, and all at once.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::cases::{Case, Charts, cases, corpus, output};
use crate::measure::{children_peak_mb, quantile, shown, tell, timed};
use crate::tools;

/// How often each case is run by each program; the faster run counts, for both.
const RUNS: usize = 2;
/// Templates may nest deeply.
const STACK_BYTES: usize = 256 << 20;
/// A chart of middling size, for counting instructions.
const MIDDLING: &str = "helm-stable/stable/redis";

pub(crate) fn run() {
    let Some(folder) = corpus() else {
        println!("  skipped: neither FITOUT_CORPUS nor ../shared/corpus/corpus.tar.xz is there");
        return;
    };
    let mut all = cases(&folder);
    all.retain(|case| folder.join("charts").join(&case.chart).exists());
    let helm = tools::helm();
    // A child's peak counts what its parent had when it was started: this comes first.
    memory(helm.as_deref(), &folder, &all);
    instructions(&folder);
    let (in_process, bytes) = timed_all(&folder, &all);
    let what = format!("{} charts in one process, {} MB of output", all.len(), bytes / 1_000_000);
    tell(&what, &shown(in_process), "");
    let Some(helm) = helm else {
        println!(
            "  helm: skipped, FITOUT_HELM is not set, and helm is neither on PATH nor built by \
             `make e2e`"
        );
        return;
    };
    println!("  against {}", helm.display());
    against_helm(&helm, &folder, &all, in_process);
}

fn against_helm(helm: &Path, folder: &Path, all: &[Case], in_process: Duration) {
    let fitout = Path::new(env!("CARGO_BIN_EXE_fitout"));
    let good = all.iter().filter(|case| case.exit == 0);
    let times: Vec<(Duration, Duration)> = good
        .filter_map(|case| Some((fastest(helm, folder, case)?, fastest(fitout, folder, case)?)))
        .collect();
    if times.is_empty() {
        return println!("  helm: skipped, it renders no case");
    }
    let ratios: Vec<f64> =
        times.iter().map(|(helm, ours)| helm.as_secs_f64() / ours.as_secs_f64()).collect();
    let helms: Vec<Duration> = times.iter().map(|(helm, _)| *helm).collect();
    let ours: Vec<Duration> = times.iter().map(|(_, ours)| *ours).collect();
    let what = format!("helm template, median of {} charts", times.len());
    tell(&what, &shown(quantile(&helms, 0.5)), "");
    tell("fitout template, median", &shown(quantile(&ours, 0.5)), "");
    tell("one chart, whole process: median ratio", &times_as(quantile(&ratios, 0.5)), "20×");
    tell("  slowest tenth", &times_as(quantile(&ratios, 0.1)), "");
    tell("  fastest tenth", &times_as(quantile(&ratios, 0.9)), "");
    let one_by_one: Duration = helms.iter().sum();
    tell("helm, all of them one by one", &shown(one_by_one), "");
    let ratio = one_by_one.as_secs_f64() / in_process.as_secs_f64();
    tell("corpus in one process against helm one by one", &times_as(ratio), "100×");
}

/// The most memory that a run of either program takes, over every tenth case.
fn memory(helm: Option<&Path>, folder: &Path, all: &[Case]) {
    let some: Vec<&Case> = all.iter().filter(|case| case.exit == 0).step_by(10).collect();
    let fitout = Path::new(env!("CARGO_BIN_EXE_fitout"));
    let peak_of = |program: &Path| {
        for case in &some {
            fastest(program, folder, case)?;
        }
        children_peak_mb()
    };
    let told = |peak: Option<u64>| peak.map_or("unknown".to_owned(), |mb| format!("{mb} MB"));
    // The peak is that of all children so far: the smaller one has to come first.
    tell("fitout template, peak memory", &told(peak_of(fitout)), "below helm's");
    if let Some(helm) = helm {
        tell("helm template, peak memory", &told(peak_of(helm)), "");
    }
}

/// Instructions of one whole process, which are the same on every machine of a kind.
fn instructions(folder: &Path) {
    let chart = folder.join("charts").join(MIDDLING);
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", env!("CARGO_BIN_EXE_fitout")])
        .args(["template", "rel"])
        .arg(chart)
        .stdout(Stdio::null())
        .output();
    let output = match run {
        Ok(output) => output,
        Err(error) => return println!("  instructions: skipped, valgrind cannot be run: {error}"),
    };
    let text = String::from_utf8_lossy(&output.stderr);
    // The instructions of a chart that fails are no figure to compare with.
    match collected(&text).filter(|_| output.status.success()) {
        Some(count) => {
            let what = format!("instructions for {MIDDLING}");
            tell(&what, &format!("{:.1} M", count as f64 / 1e6), "");
        }
        None => println!("  instructions: skipped, valgrind ended with {}: {text}", output.status),
    }
}

/// The count that callgrind tells at its end.
fn collected(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.split_once("Collected :"))?.1.trim().parse().ok()
}

fn times_as(ratio: f64) -> String {
    format!("{ratio:.1}×")
}

/// Loads, renders and prints all cases on all cores, nothing of it done before; how long that
/// took and how much it printed.
fn timed_all(folder: &Path, cases: &[Case]) -> (Duration, usize) {
    let (next, bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = |charts: &Charts| {
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let length = output(folder, case, charts).map_or(0, |text| text.len());
            bytes.fetch_add(length, Ordering::Relaxed);
        }
    };
    let charts = Charts::default();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (time, ()) = timed(|| {
        std::thread::scope(|scope| {
            for _ in 0..threads {
                let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
                thread.spawn_scoped(scope, || work(&charts)).expect("threads can be had");
            }
        });
    });
    (time, bytes.into_inner())
}

/// The fastest run of a program's `template`; none if it fails.
fn fastest(program: &Path, folder: &Path, case: &Case) -> Option<Duration> {
    let chart = folder.join("charts").join(&case.chart);
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-home");
    let mut command = Command::new(program);
    command.args(["template", "rel"]).arg(&chart);
    command.args(["--namespace", "ns1", "--kube-version", "1.31.0"]);
    if let Some(values) = &case.values {
        command.arg("-f").arg(chart.join(values));
    }
    command.env("HOME", scratch).stdout(Stdio::null()).stderr(Stdio::null());
    let mut best: Option<Duration> = None;
    for _ in 0..RUNS {
        let (time, status) = timed(|| command.status());
        if !status.is_ok_and(|status| status.success()) {
            return None;
        }
        best = Some(best.map_or(time, |best| best.min(time)));
    }
    best
}
