//! Recorded output of `helm template` on real charts, byte for byte.

mod cases;
mod origins;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) use self::cases::corpus;
use self::cases::{Case, Charts, cases, output};

/// Cases that are compared at least: those whose charts are in the archive. All must be equal.
const FLOOR: usize = 737;

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
    let (cases, absent): (Vec<Case>, Vec<Case>) = cases(&folder)
        .into_iter()
        .partition(|case| folder.join("charts").join(&case.chart).exists());
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
    println!(
        "corpus: {}/{} equal, {} more are not compared, since their charts are not in the archive",
        cases.len() - found.len(),
        cases.len(),
        absent.len(),
    );
    assert!(cases.len() >= FLOOR, "only {} cases were compared", cases.len());
    assert!(found.is_empty(), "see {}", path.display());
}
