//! One controller for each event log on a machine.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// Held as long as it lives; the system lets go of it when the process ends, however it does.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("another controller works with `{}`", .0.display())]
    Held(PathBuf),
    /// The file cannot be used.
    #[error("locking `{}`", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What happened.
        source: std::io::Error,
    },
}

/// Takes the lock of an event log.
pub fn lock(log: &Path) -> Result<Lock, LockError> {
    let path = log.with_extension("lock");
    let failed = |source| LockError::File { path: path.clone(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock { _file: file }),
        Err(TryLockError::WouldBlock) => Err(LockError::Held(log.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_is_refused_until_the_first_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("state/events.db");
        let first = lock(&log).unwrap();
        assert!(matches!(lock(&log), Err(LockError::Held(_))));
        drop(first);
        lock(&log).unwrap();
    }
}
