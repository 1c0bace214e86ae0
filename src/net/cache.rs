//! Where fetched things are kept between runs. Everything in it can be deleted at any time.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// `$FITOUT_CACHE`, else `$XDG_CACHE_HOME/fitout`, else `~/.cache/fitout`, else a folder of the
/// system's for temporary files.
pub fn folder() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("FITOUT_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|folder| folder.join("fitout")))
        .or_else(|| set("HOME").map(|home| home.join(".cache").join("fitout")))
        .unwrap_or_else(|| std::env::temp_dir().join("fitout-cache"))
}

/// Writes a file so that other processes see either all of it or none of it.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let folder = path.parent().ok_or_else(|| io::Error::other("a cache path has a folder"))?;
    std::fs::create_dir_all(folder)?;
    let unique = COUNTER.fetch_add(1, Ordering::Relaxed);
    let part = folder.join(format!(".part-{}-{unique}", std::process::id()));
    let written = std::fs::File::create(&part)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&part, path));
    if written.is_err() {
        // The error that matters is the one already at hand.
        let _ = std::fs::remove_file(&part);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_whole_and_leaves_no_part_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        write_atomically(&path, b"one").unwrap();
        write_atomically(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(folder.path().join("a")).unwrap().count(), 1);
    }
}
