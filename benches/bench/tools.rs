//! The programs that fitout is measured beside.

use std::path::PathBuf;

/// `FITOUT_HELM`, else helm on PATH, else the one that `make e2e` has built.
pub(crate) fn helm() -> Option<PathBuf> {
    tool("FITOUT_HELM", "helm")
}

/// `FITOUT_CONTROLPLANE`, else the newest one that `make e2e` has built.
pub(crate) fn controlplane() -> Option<PathBuf> {
    tool("FITOUT_CONTROLPLANE", "controlplane")
}

/// `FITOUT_KUBECTL`, else kubectl on PATH, else the one that `make e2e` has installed.
pub(crate) fn kubectl() -> Option<PathBuf> {
    tool("FITOUT_KUBECTL", "kubectl")
}

fn tool(variable: &str, name: &str) -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(variable) {
        return Some(PathBuf::from(path));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join(name));
    on_path.chain(built(name)).find(|path| path.is_file())
}

/// What `tests/controlplane/build.sh` keeps under a name, newest first.
fn built(name: &str) -> Vec<PathBuf> {
    let Some(home) = std::env::var_os("HOME") else { return Vec::new() };
    let tools = PathBuf::from(home).join(".cache/fitout/tools");
    let folders = std::fs::read_dir(tools).into_iter().flatten().flatten();
    let mut found: Vec<_> = folders
        .filter(|folder| folder.file_name().to_string_lossy().starts_with(&format!("{name}-")))
        .filter_map(|folder| Some((folder.metadata().ok()?.modified().ok()?, folder.path())))
        .collect();
    found.sort();
    let folders = found.into_iter().rev().map(|(_, folder)| folder);
    folders.flat_map(|folder| [folder.join(name), folder.join("bin").join(name)]).collect()
}
