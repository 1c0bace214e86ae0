//! Where things are kept that cannot be made again: event logs, simulated clusters.

use std::path::PathBuf;

/// `$FITOUT_STATE`, else `$XDG_STATE_HOME/fitout`, else `~/.local/state/fitout`, else a folder of
/// the system's for temporary files.
pub fn folder() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("FITOUT_STATE")
        .or_else(|| set("XDG_STATE_HOME").map(|folder| folder.join("fitout")))
        .or_else(|| set("HOME").map(|home| home.join(".local/state/fitout")))
        .unwrap_or_else(|| std::env::temp_dir().join("fitout-state"))
}
