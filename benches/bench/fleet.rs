//! A generated fleet of 500 clusters × 20 addons, read, resolved and rendered whole.

use std::path::{Path, PathBuf};
use std::process::Command;

use fitout::base::clock::today;
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
pub(crate) const CELLS: usize = 50;
/// One more object in each chart, so that no two of these renders are alike and a line of a values
/// layer shows.
const OWN_TEMPLATE: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bench}\n\
    data: {cell: {{ .Values.cell }}, disk: {{ .Values.nodeSelector.disk }}}\n";

pub(crate) fn run() {
    for_each(measure);
}

/// Calls with each generated fleet in turn: what its charts are, and a folder that it is in.
pub(crate) fn for_each(measure: fn(&Path)) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let chart = |name| root.join("addons").join(name).join("chart");
    let examples = ["eosxd", "fluentd", "prometheus", "traefik"].map(chart);
    let made = |about: &str, charts: &[PathBuf]| {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        generate(folder.path(), charts);
        println!("  {CLUSTERS} clusters × {ADDONS} addons, {about}");
        measure(folder.path());
    };
    made("the charts of the worked example, five times each", &examples);
    match corpus() {
        Some(folder) => made("20 real charts of the corpus", &real_charts(&folder)),
        None => println!("  real charts: skipped, the corpus is not there"),
    }
}

/// Charts that render without values, spread over the corpus: of each stretch the largest.
fn real_charts(folder: &Path) -> Vec<PathBuf> {
    let mut names: Vec<String> = cases(folder)
        .into_iter()
        .filter(|case| case.exit == 0 && case.values.is_none() && case.random_lines.is_empty())
        .map(|case| case.chart)
        .collect();
    names.retain(|name| folder.join("charts").join(name).exists());
    names.dedup();
    let paths: Vec<PathBuf> = names.iter().map(|name| folder.join("charts").join(name)).collect();
    let stretches = paths.chunks((paths.len() / ADDONS).max(1)).take(ADDONS);
    let largest = stretches.filter_map(|stretch| stretch.iter().max_by_key(|path| bytes(path)));
    let mut charts: Vec<PathBuf> = largest.cloned().collect();
    // One that everybody has, whatever is larger beside it.
    let usual = cases(folder).into_iter().find(|case| case.chart.ends_with(USUAL));
    let usual = usual.map(|case| folder.join("charts").join(case.chart));
    let smallest = charts.iter_mut().min_by_key(|path| bytes(path));
    if let (Some(usual), Some(smallest)) = (usual.filter(|path| path.exists()), smallest) {
        *smallest = usual;
    }
    charts
}

/// A chart of a usual size.
pub(crate) const USUAL: &str = "kube-prometheus-stack";

fn measure(folder: &Path) {
    let program = std::env::current_exe().expect("a program knows where it is");
    let status = Command::new(program).arg(CHILD).arg(folder).status();
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
        write(format!("addons/{name}/chart/templates/bench.yaml"), OWN_TEMPLATE.to_owned());
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

/// All bytes of templates below a folder.
pub(crate) fn bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes(&entry.path()),
        Ok(found) if entry.path().to_string_lossy().contains("/templates/") => found.len(),
        _ => 0,
    });
    sizes.sum()
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
        Desired::read(repository.worktree().expect("the fleet is readable"), today())
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
