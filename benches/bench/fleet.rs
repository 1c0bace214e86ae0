//! A generated fleet of 500 clusters × 20 addons, read, resolved and rendered whole.

use std::path::{Path, PathBuf};
use std::process::Command;

use fitout::chart::source::ChartStore;
use fitout::fleet::Desired;
use fitout::git::Repository;
use fitout::git::settings::Settings;
use fitout::render::{RenderOptions, render_fleet};

use crate::cases::{cases, corpus};
use crate::measure::{peak_memory_mb, shown, tell, timed};

/// The argument that makes this program the child that is measured.
pub(crate) const CHILD: &str = "--render-fleet";

const CLUSTERS: usize = 500;
const ADDONS: usize = 20;
/// Clusters with one `cell` label have the same values: 20 addons × 50 cells are 1,000 renders.
const CELLS: usize = 50;

pub(crate) fn run() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let examples: Vec<PathBuf> = ["eosxd", "fluentd", "prometheus", "traefik"]
        .iter()
        .map(|name| root.join("addons").join(name))
        .collect();
    let charts: Vec<PathBuf> = examples.iter().map(|addon| addon.join("chart")).collect();
    measure("the charts of the worked example, five times each", &charts);
    match corpus() {
        Some(folder) => measure("20 real charts of the corpus", &real_charts(&folder)),
        None => println!("  real charts: skipped, the corpus is not there"),
    }
}

/// Charts that render without values, spread over the corpus.
fn real_charts(folder: &Path) -> Vec<PathBuf> {
    let mut names: Vec<String> = cases(folder)
        .into_iter()
        .filter(|case| case.exit == 0 && case.values.is_none() && case.random_lines.is_empty())
        .map(|case| case.chart)
        .collect();
    names.retain(|name| folder.join("charts").join(name).exists());
    names.dedup();
    let step = (names.len() / ADDONS).max(1);
    names.iter().step_by(step).take(ADDONS).map(|name| folder.join("charts").join(name)).collect()
}

fn measure(about: &str, charts: &[PathBuf]) {
    println!("  {CLUSTERS} clusters × {ADDONS} addons, {about}");
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    generate(folder.path(), charts);
    let program = std::env::current_exe().expect("a program knows where it is");
    let status = Command::new(program).arg(CHILD).arg(folder.path()).status();
    if !status.is_ok_and(|status| status.success()) {
        println!("  the child that renders it has failed");
    }
}

/// Writes the documents and charts of a fleet.
fn generate(folder: &Path, charts: &[PathBuf]) {
    let write = |path: String, text: String| {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().expect("it is below the fleet")).expect("writable");
        std::fs::write(path, text).expect("writable");
    };
    for number in 0..CLUSTERS {
        let name = format!("cluster-{number:03}");
        let cell = number % CELLS;
        write(
            format!("clusters/{name}.yaml"),
            format!(
                "apiVersion: fitout.dev/v1alpha1\nkind: Cluster\n\
                 metadata: {{name: {name}, labels: {{environment: prod, cell: c{cell:02}}}}}\n\
                 spec: {{kubernetesVersion: \"1.35\", connection: {{simulated: {{nodes: 1}}}}}}\n"
            ),
        );
    }
    for number in 0..ADDONS {
        let name = format!("addon-{number:02}");
        copy(&charts[number % charts.len()], &folder.join(format!("addons/{name}/chart")));
        write(format!("addons/{name}/values.yaml"), "nodeSelector: {disk: ssd}\n".to_owned());
        write(
            format!("addons/{name}/addon.yaml"),
            format!(
                "apiVersion: fitout.dev/v1alpha1\nkind: Addon\nmetadata: {{name: {name}}}\n\
                 spec:\n  chart: {{path: chart}}\n  namespace: {name}\n  placement: {{}}\n  \
                 values:\n    - file: values.yaml\n    \
                 - inline: {{cell: \"{{{{ .Cluster.labels.cell }}}}\"}}\n"
            ),
        );
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("writable");
    for entry in std::fs::read_dir(from).expect("the chart is readable").flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else if path.is_file() {
            std::fs::copy(&path, &target).expect("writable");
        }
    }
}

/// Reads and renders the fleet in a folder, in a process of its own so that its memory is its own.
pub(crate) fn child(folder: &Path) {
    let settings = Settings { cache: folder.join("cache"), ..Settings::from_environment() };
    let store = ChartStore::new(settings.clone(), |_| None);
    let location = folder.display().to_string();
    let (read, desired) = timed(|| {
        let repository = Repository::open_with(&location, settings).expect("the fleet is there");
        Desired::read(repository.worktree().expect("the fleet is readable"))
    });
    tell_findings("read", &desired.diagnostics);
    let desired = desired.value;
    let (render, rendered) = timed(|| {
        render_fleet(&desired.instances, &desired.source, &store, &RenderOptions::install())
    });
    tell_findings("render", &rendered.diagnostics);
    let mut distinct: Vec<_> =
        rendered.value.iter().map(|one| std::sync::Arc::as_ptr(&one.rendered)).collect();
    distinct.sort_unstable();
    distinct.dedup();
    let objects: usize = rendered.value.iter().map(|one| one.rendered.manifests.len()).sum();
    let what = format!(
        "  {} instances, {} distinct, {objects} objects",
        rendered.value.len(),
        distinct.len()
    );
    tell("  read, parsed, resolved and checked", &shown(read), "");
    tell("  rendered, with digests", &shown(render), "");
    tell(&what, &shown(read + render), "10 s");
    if let Some(megabytes) = peak_memory_mb() {
        tell("  peak memory", &format!("{megabytes} MB"), "500 MB");
    }
}

fn tell_findings(stage: &str, findings: &[fitout::base::diagnostic::Diagnostic]) {
    if let Some(first) = findings.first() {
        println!("    {stage}: {} findings, such as: {}", findings.len(), first.message);
    }
}
