//! The recorded cases, and what the engine makes of one. Shared by tests and benchmarks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};

use fitout::chart::capabilities::Served;
use fitout::chart::model::{Chart, RenderInput, Rendered};
use fitout::chart::print::{self, PrintOptions};
use fitout::chart::world::SeededWorld;
use fitout::chart::{directory, load, render, values};
use fitout::yaml::helm;
use serde::Deserialize;

/// One recorded `helm template`.
#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) id: usize,
    pub(crate) chart: String,
    pub(crate) values: Option<String>,
    pub(crate) exit: i32,
    pub(crate) error: Option<String>,
    /// Lines, from 1, that differ from run to run.
    #[serde(default)]
    pub(crate) random_lines: BTreeSet<usize>,
}

/// The folder with `cases.json`, unpacked first if need be.
pub(crate) fn corpus() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("FITOUT_CORPUS") {
        return Some(PathBuf::from(folder));
    }
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/corpus.tar.xz");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("corpus-unpacked");
    let folder = target.join("corpus");
    if !archive.is_file() {
        return None;
    }
    if !target.join("complete").is_file() {
        std::fs::create_dir_all(&target).expect("the target folder is writable");
        let status = Command::new("tar").arg("-xJf").arg(&archive).arg("-C").arg(&target).status();
        if !status.is_ok_and(|status| status.success()) {
            return None;
        }
        std::fs::write(target.join("complete"), "").expect("the target folder is writable");
    }
    Some(folder)
}

/// All cases, in order.
pub(crate) fn cases(folder: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(folder.join("cases.json")).expect("the corpus has cases");
    serde_json::from_str(&text).expect("cases are JSON")
}

/// Charts that were loaded once, for all cases that render them.
pub(crate) type Charts = Mutex<BTreeMap<String, Arc<OnceLock<Result<Arc<Chart>, String>>>>>;

/// The chart of a case.
pub(crate) fn chart(folder: &Path, name: &str, charts: &Charts) -> Result<Arc<Chart>, String> {
    let slot =
        Arc::clone(charts.lock().expect("no thread panics").entry(name.to_owned()).or_default());
    let load = || {
        let files = directory::files(&folder.join("charts").join(name));
        let files = files.map_err(|error| error.to_string())?;
        load::from_files(files).map(Arc::new).map_err(|found| found.message)
    };
    slot.get_or_init(load).clone()
}

/// What the engine makes of a case: the output of `helm template`, or its error.
pub(crate) fn output(folder: &Path, case: &Case, charts: &Charts) -> Result<String, String> {
    let chart = chart(folder, &case.chart, charts)?;
    let rendered = rendered(folder, case, &chart)?;
    print::text(&rendered, &PrintOptions::default())
}

/// The render of a case's chart, or Helm's text.
pub(crate) fn rendered(folder: &Path, case: &Case, chart: &Arc<Chart>) -> Result<Rendered, String> {
    let mut user = serde_json::json!({});
    if let Some(file) = &case.values {
        let path = folder.join("charts").join(&case.chart).join(file);
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        values::merge_layers(&mut user, helm::read_map(&text)?);
    }
    let input = RenderInput {
        release_name: "rel".to_owned(),
        namespace: "ns1".to_owned(),
        revision: 1,
        is_upgrade: false,
        values: user,
        kube_version: "1.31.0".to_owned(),
        served: Served::AsHelm,
        api_versions: Vec::new(),
        with_crds: false,
    };
    let world = SeededWorld::new(1, 1_767_225_600_000_000_000);
    render(chart, &input, &world).map_err(|error| error.text)
}
