//! Rules of the source that no compiler checks: layers, sizes, headings, paths of one machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Lines of one file without its tests.
const FILE_LINES_MAX: usize = 1_000;
/// Lines of one function.
const FUNCTION_LINES_MAX: usize = 100;

/// Which modules each module may use. A module that is not named here is a finding.
const LAYERS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("template", &["template"]),
    ("yaml", &["base", "template"]),
    ("object", &["base", "chart", "yaml"]),
    ("sprig", &["base", "template", "yaml"]),
    ("chart", &["base", "template", "yaml", "object", "sprig", "git", "net", "fleet"]),
    ("net", &[]),
    ("git", &["base", "net"]),
    (
        "fleet",
        // `graph`, `health` and `net` only to check what documents say about them.
        &["base", "yaml", "git", "sops", "sprig", "template", "chart", "graph", "health", "net"],
    ),
    ("sops", &["base", "yaml"]),
    ("forge", &["net"]),
    (
        "guardrail",
        // `sprig` for URLs as Go reads them.
        &["base", "git", "health", "object", "sprig", "yaml"],
    ),
    (
        "findings",
        // `sim` for the defaults that an API server fills in.
        &["base", "chart", "fleet", "graph", "guardrail", "object", "render", "sim"],
    ),
    ("render", &["base", "chart", "fleet", "git", "object", "yaml"]),
    (
        "permissions",
        // `sim` for the kinds that Kubernetes itself serves.
        &["base", "chart", "fleet", "health", "object", "render", "sim"],
    ),
    ("checkup", &["base", "fleet", "permissions"]),
    ("graph", &["base", "chart", "fleet", "object", "render"]),
    ("health", &["base", "fleet", "object"]),
    ("live", &["base", "apply", "chart", "fleet", "health", "k8s", "object", "render", "diff"]),
    // `yaml` for the lines of documents.
    ("diff", &["base", "chart", "fleet", "health", "live", "object", "render", "k8s", "yaml"]),
    ("plan", &["base", "diff", "fleet", "graph", "live", "object", "render", "sprig"]),
    ("rollout", &["base", "fleet", "health", "sprig"]),
    (
        "preview",
        &["base", "chart", "diff", "fleet", "git", "graph", "object", "render", "rollout", "yaml"],
    ),
    ("parity", &["base", "chart", "diff", "fleet", "live", "object", "preview", "render"]),
    // `rollout` for what gates say, and Jobs and webhooks with it.
    ("switch", &["base", "fleet", "object", "rollout"]),
    ("store", &["base", "rollout", "switch"]),
    (
        "report",
        &[
            "base", "yaml", "chart", "diff", "plan", "object", "health", "fleet", "rollout",
            "live", "graph", "preview", "checkup", "parity", "switch",
        ],
    ),
    ("k8s", &["base", "fleet", "object", "sim", "health"]),
    ("sim", &["base", "fleet", "health", "net", "object"]),
    (
        "simulator",
        &[
            "base",
            "chart",
            "controller",
            "fleet",
            "git",
            "k8s",
            "live",
            "object",
            "rollout",
            "sim",
            "store",
            "switch",
        ],
    ),
];

/// Modules at the top, which may use everything.
const TOP: &[&str] = &["apply", "controller", "cli", "web", "main.rs", "lib.rs"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the folder is readable") {
            let path = entry.expect("the entry is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// Every file below `src/`: path relative to it, and text up to its unit tests.
fn sources() -> Vec<(String, String)> {
    let src = root().join("src");
    rust_files(&src)
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&src).expect("it is below src").display().to_string();
            let text = std::fs::read_to_string(&path).expect("sources are UTF-8");
            let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
            (name, text[..end].to_owned())
        })
        .collect()
}

fn is_test_file(name: &str) -> bool {
    name.ends_with("tests.rs") || name.contains("/tests/")
}

#[track_caller]
fn none(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}:\n{}", findings.join("\n"));
}

#[test]
fn every_module_says_what_it_is() {
    let findings: Vec<_> = sources()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//! "))
        .map(|(name, _)| name)
        .collect();
    none("these files do not open with a `//!` line", &findings);
}

#[test]
fn files_are_short_enough_to_read() {
    let findings: Vec<_> = sources()
        .into_iter()
        .filter(|(name, text)| !is_test_file(name) && text.lines().count() > FILE_LINES_MAX)
        .map(|(name, text)| format!("{name}: {} lines", text.lines().count()))
        .collect();
    none(&format!("these files are over {FILE_LINES_MAX} lines"), &findings);
}

/// Names and lengths of the functions of a formatted source.
fn functions(text: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let mut open: Option<(String, usize, usize)> = None;
    for (number, line) in text.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        match &open {
            Some((name, start, at)) if line.trim_start().starts_with('}') && indent == *at => {
                found.push((name.clone(), number - start + 1));
                open = None;
            }
            None if line.contains("fn ") && !line.trim_start().starts_with("//") => {
                let is_whole = line.ends_with('}') || line.ends_with(';');
                let name = line.split("fn ").nth(1).unwrap_or_default();
                let name = name.split(['(', '<']).next().unwrap_or_default();
                if !is_whole && name.chars().all(|c| c.is_alphanumeric() || c == '_') {
                    open = Some((name.to_owned(), number, indent));
                }
            }
            _ => {}
        }
    }
    found
}

#[test]
fn functions_fit_a_screen_or_two() {
    let findings: Vec<_> = sources()
        .into_iter()
        .filter(|(name, _)| !is_test_file(name))
        .flat_map(|(file, text)| {
            functions(&text)
                .into_iter()
                .filter(|(_, lines)| *lines > FUNCTION_LINES_MAX)
                .map(move |(name, lines)| format!("{file}: `{name}` has {lines} lines"))
        })
        .collect();
    none(&format!("these functions are over {FUNCTION_LINES_MAX} lines"), &findings);
}

#[test]
fn modules_use_only_what_their_layer_allows() {
    let layers: BTreeMap<_, _> = LAYERS.iter().copied().collect();
    let mut findings = Vec::new();
    for (name, text) in sources() {
        let module = name.split('/').next().unwrap_or_default();
        if TOP.contains(&module) {
            continue;
        }
        let Some(allowed) = layers.get(module) else {
            findings.push(format!("{name}: `{module}` is not in the layer table"));
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for used in code.split("crate::").skip(1) {
                let used = used.split(|c: char| !c.is_alphanumeric() && c != '_').next();
                let used = used.unwrap_or_default();
                if !used.is_empty() && used != module && !allowed.contains(&used) {
                    findings.push(format!("{name}:{}: `{module}` uses `{used}`", number + 1));
                }
            }
        }
    }
    none("these uses cross the layers that tests/it/tidy.rs lists", &findings);
}

#[test]
fn no_path_of_one_machine_is_tracked() {
    let listed = std::process::Command::new("git")
        .args([
            "grep",
            "-nIE",
            "/(work|farm|tmp/wt)/",
            "--",
            ".",
            ":!Cargo.lock",
            ":!tests/it/tidy.rs",
        ])
        .current_dir(root())
        .output()
        .expect("git runs");
    let found = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(found.is_empty(), "paths of one machine in tracked files:\n{found}");
}

#[test]
fn the_changelog_has_an_entry_for_what_is_coming() {
    let text = std::fs::read_to_string(root().join("CHANGELOG.md")).expect("it is there");
    let coming = text.split("\n## ").nth(1).unwrap_or_default();
    assert!(coming.contains("\n- "), "CHANGELOG.md has no entry in its first section");
}
