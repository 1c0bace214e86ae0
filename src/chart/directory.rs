//! A chart in a folder of the disk: the one reader of files in this module tree besides the
//! fetching of charts.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::archive::without_bom;
use super::ignore::IgnoreRules;
use super::model::ChartFile;
use crate::base::limits::{CHART_ENTRIES_MAX, FILE_BYTES_MAX};

/// Why a folder's files could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The disk failed.
    #[error("reading {path}: {source}")]
    Io {
        /// What was read.
        path: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A `.helmignore` that Helm does not take.
    #[error("{path}: {problem}")]
    IgnoreRules {
        /// The file.
        path: String,
        /// Helm's text.
        problem: String,
    },
    /// A device, a socket, or a file beyond the limit.
    #[error("cannot load {path}: {problem}")]
    Unfit {
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// The files of the chart in a folder, in Helm's order, without those that `.helmignore` names.
/// Symbolic links are followed, as Helm does.
///
/// # Errors
/// When a file cannot be read or is no regular file of a sensible size.
pub fn files(folder: &Path) -> Result<Vec<ChartFile>, DirectoryError> {
    let ignore = folder.join(".helmignore");
    let text = match std::fs::read(&ignore) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(source) => return Err(failed(&ignore, source)),
    };
    let rules = IgnoreRules::parse(&text).map_err(|problem| DirectoryError::IgnoreRules {
        path: ignore.display().to_string(),
        problem,
    })?;
    let mut files = Vec::new();
    walk(folder, "", &rules, &mut files)?;
    Ok(files)
}

fn failed(path: &Path, source: std::io::Error) -> DirectoryError {
    DirectoryError::Io { path: path.display().to_string(), source }
}

fn unfit(path: &Path, problem: impl Into<String>) -> DirectoryError {
    DirectoryError::Unfit { path: path.display().to_string(), problem: problem.into() }
}

/// Folders deeper than this are a loop of links.
const FOLDER_DEPTH_MAX: usize = 64;

fn walk(
    folder: &Path,
    prefix: &str,
    rules: &IgnoreRules,
    files: &mut Vec<ChartFile>,
) -> Result<(), DirectoryError> {
    if prefix.matches('/').count() > FOLDER_DEPTH_MAX {
        return Err(unfit(folder, "its folders are nested too deeply"));
    }
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|source| failed(folder, source))? {
        let entry = entry.map_err(|source| failed(folder, source))?;
        let mut kind = entry.file_type().map_err(|source| failed(&entry.path(), source))?;
        if kind.is_symlink() {
            let behind = std::fs::metadata(entry.path());
            kind = behind.map_err(|source| failed(&entry.path(), source))?.file_type();
        }
        entries.push((entry.file_name().to_string_lossy().into_owned(), entry.path(), kind));
    }
    entries.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    for (file_name, path, kind) in entries {
        let name = format!("{prefix}{file_name}");
        if rules.is_ignored(&name, kind.is_dir()) {
            continue;
        }
        if kind.is_dir() {
            walk(&path, &format!("{name}/"), rules, files)?;
            continue;
        }
        if !kind.is_file() {
            return Err(unfit(&path, "it is no regular file"));
        }
        if files.len() >= CHART_ENTRIES_MAX {
            return Err(unfit(&path, format!("the chart has more than {CHART_ENTRIES_MAX} files")));
        }
        let data = read(&path).map_err(|source| failed(&path, source))?;
        let Some(data) = data else {
            return Err(unfit(&path, format!("it is larger than {FILE_BYTES_MAX} bytes")));
        };
        files.push(ChartFile { name, data: without_bom(data) });
    }
    Ok(())
}

/// A file's bytes; none if there are too many.
fn read(path: &Path) -> std::io::Result<Option<Vec<u8>>> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    if size > FILE_BYTES_MAX as u64 {
        return Ok(None);
    }
    let mut data = Vec::with_capacity(size as usize);
    // It may grow while it is read.
    file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut data)?;
    Ok((data.len() <= FILE_BYTES_MAX).then_some(data))
}
