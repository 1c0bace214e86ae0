//! Recorded output of `helm template` on real charts, byte for byte.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use fitout::chart::model::{Chart, RenderInput};
use fitout::chart::print::{self, PrintOptions};
use fitout::chart::world::SeededWorld;
use fitout::chart::{directory, load, render, values};
use fitout::yaml::helm;
use serde::Deserialize;

/// Cases that are equal at least. Raise it with the score, never lower it.
const FLOOR: usize = 737;

#[derive(Deserialize)]
struct Case {
    id: usize,
    chart: String,
    values: Option<String>,
    exit: i32,
    error: Option<String>,
    #[serde(default)]
    random_lines: BTreeSet<usize>,
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

/// Charts that were loaded once, for all cases that render them.
type Charts = Mutex<BTreeMap<String, Arc<OnceLock<Result<Arc<Chart>, String>>>>>;

fn chart(folder: &Path, name: &str, charts: &Charts) -> Result<Arc<Chart>, String> {
    let slot =
        Arc::clone(charts.lock().expect("no thread panics").entry(name.to_owned()).or_default());
    let load = || {
        let files = directory::files(&folder.join("charts").join(name));
        let files = files.map_err(|error| error.to_string())?;
        load::from_files(files).map(Arc::new).map_err(|found| found.message)
    };
    slot.get_or_init(load).clone()
}

fn output(folder: &Path, case: &Case, charts: &Charts) -> Result<String, String> {
    let chart = chart(folder, &case.chart, charts)?;
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
        api_versions: Vec::new(),
    };
    let world = SeededWorld::new(1, 1_767_225_600_000_000_000);
    let rendered = render(&chart, &input, &world).map_err(|error| error.text)?;
    print::text(&rendered, &PrintOptions::default())
}

/// What differs; nothing if the case is as recorded.
fn difference(folder: &Path, case: &Case, charts: &Charts) -> Option<String> {
    let actual = output(folder, case, charts);
    if case.exit != 0 {
        let expected = case.error.as_deref().unwrap_or_default();
        let expected = expected.trim_start_matches("WARNING: This chart is deprecated").trim();
        return match actual {
            Err(text) if format!("Error: {text}").trim() == expected => None,
            Err(text) => Some(format!("expected {expected}\nactual   Error: {text}")),
            Ok(_) => Some(format!("expected {expected}\nactual   no error")),
        };
    }
    let path = folder.join("expected").join(format!("{}.yaml", case.id));
    let expected = std::fs::read(path).expect("the case has its output");
    let expected = String::from_utf8_lossy(&expected);
    let actual = match actual {
        Ok(actual) => actual,
        Err(text) => return Some(format!("expected output, actual Error: {text}")),
    };
    first_difference(&expected, &actual, &case.random_lines)
}

fn first_difference(expected: &str, actual: &str, random: &BTreeSet<usize>) -> Option<String> {
    // The recording has no carriage returns where Helm's output has them.
    let actual = actual.replace("\r\n", "\n");
    let (expected, actual): (Vec<_>, Vec<_>) =
        (expected.split('\n').collect(), actual.split('\n').collect());
    let lines = expected.len().max(actual.len());
    let at = (0..lines)
        .find(|at| !random.contains(&(at + 1)) && expected.get(*at) != actual.get(*at))?;
    let source = actual[..at.min(actual.len())].iter().rev().find(|l| l.starts_with("# Source"));
    Some(format!(
        "line {} {}\nexpected {:?}\nactual   {:?}",
        at + 1,
        source.unwrap_or(&""),
        expected.get(at),
        actual.get(at)
    ))
}

#[test]
fn real_charts_render_as_helm_renders_them() {
    let Some(folder) = corpus() else {
        println!(
            "corpus: skipped, neither FITOUT_CORPUS nor ../shared/corpus/corpus.tar.xz is there"
        );
        return;
    };
    let text = std::fs::read_to_string(folder.join("cases.json")).expect("the corpus has cases");
    let cases: Vec<Case> = serde_json::from_str(&text).expect("cases are JSON");
    let charts = Charts::default();
    let next = AtomicUsize::new(0);
    let found = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Some(difference) = difference(&folder, case, &charts) {
                        let about = format!("{} {:?}\n{difference}\n", case.chart, case.values);
                        found.lock().expect("no thread panics").insert(case.id, about);
                    }
                }
            });
        }
    });
    let found = found.into_inner().expect("no thread panics");
    let report: Vec<_> = found.iter().map(|(id, about)| format!("# {id} {about}\n")).collect();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("corpus-differences.txt");
    std::fs::write(&path, report.concat()).expect("the target folder is writable");
    let equal = cases.len() - found.len();
    let is_absent = |case: &&Case| !folder.join("charts").join(&case.chart).exists();
    let absent = cases.iter().filter(is_absent).count();
    println!(
        "corpus: {equal}/{} equal ({absent} charts are not in the archive), differences: {}",
        cases.len(),
        path.display()
    );
    assert!(equal >= FLOOR, "{equal} cases are equal, {FLOOR} were before");
}
