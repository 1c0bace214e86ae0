//! The files of a packed chart, read in memory within limits. Links, absolute names and names
//! that lead out of the chart are refused.

use std::cell::Cell;
use std::io::Read;

use super::model::ChartFile;
use crate::base::limits::{CHART_BYTES_MAX, CHART_ENTRIES_MAX, CHART_RATIO_MAX, FILE_BYTES_MAX};

/// Why an archive is no chart.
#[derive(Debug, thiserror::Error)]
pub(super) enum ArchiveError {
    /// Not a gzipped tar, or a damaged one.
    #[error("the chart is no readable .tgz archive: {0}")]
    Unreadable(#[from] std::io::Error),
    /// A name that leads out of the chart.
    #[error("chart illegally references parent directory: {0:?}")]
    Outside(String),
    /// A name that begins at the root of the disk.
    #[error("chart illegally contains absolute paths: {0:?}")]
    Absolute(String),
    /// An entry that is neither a file nor a folder.
    #[error("the chart's archive has a link or device at {0:?}")]
    NotAFile(String),
    /// `Chart.yaml` has to be in a folder of the archive.
    #[error("chart yaml not in base directory")]
    NoFolder,
    /// One file is too large.
    #[error("decompressed chart file {0:?} is larger than the maximum file size {FILE_BYTES_MAX}")]
    FileTooLarge(String),
    /// All files together are too large, or far larger than their packed form.
    #[error("decompressed chart is larger than the maximum file size {0}")]
    TooLarge(usize),
    /// Too many files.
    #[error("the chart has more than {CHART_ENTRIES_MAX} files")]
    TooManyFiles,
    /// Nothing in it.
    #[error("no files in chart archive")]
    Empty,
}

/// The files of a gzipped tar, names without the folder they are all in.
///
/// # Errors
/// When it is no safe archive of a chart.
pub(super) fn files(bytes: &[u8]) -> Result<Vec<ChartFile>, ArchiveError> {
    // A small archive of nothing but zeros is still a bomb; below this size no ratio counts.
    let budget = CHART_BYTES_MAX.min((bytes.len() * CHART_RATIO_MAX).max(4 * FILE_BYTES_MAX));
    let left = Cell::new(budget as u64 + 1);
    let unpacked = Bounded { inner: flate2::read::MultiGzDecoder::new(bytes), left: &left };
    // What breaks off at the bound is no damaged archive, but too large a one.
    let broken = |error: std::io::Error| match left.get() {
        0 => ArchiveError::TooLarge(budget),
        _ => ArchiveError::Unreadable(error),
    };
    let mut archive = tar::Archive::new(unpacked);
    let mut files = Vec::new();
    let mut total = 0;
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let kind = entry.header().entry_type();
        if kind.is_dir() || kind.is_pax_global_extensions() || kind.is_pax_local_extensions() {
            continue;
        }
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if !(kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse()) {
            return Err(ArchiveError::NotAFile(path));
        }
        let name = file_name(&path)?;
        if entry.size() > FILE_BYTES_MAX as u64 {
            return Err(ArchiveError::FileTooLarge(path));
        }
        let mut data = Vec::new();
        entry.read_to_end(&mut data).map_err(broken)?;
        total += data.len();
        if total > budget {
            return Err(ArchiveError::TooLarge(budget));
        }
        if files.len() >= CHART_ENTRIES_MAX {
            return Err(ArchiveError::TooManyFiles);
        }
        files.push(ChartFile { name, data: without_bom(data) });
    }
    if files.is_empty() { Err(ArchiveError::Empty) } else { Ok(files) }
}

/// A reader that ends after so many bytes, and tells whether it did.
struct Bounded<'a, R> {
    inner: R,
    left: &'a Cell<u64>,
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.left.get()).unwrap_or(usize::MAX));
        let count = self.inner.read(&mut buffer[..most])?;
        self.left.set(self.left.get() - count as u64);
        Ok(count)
    }
}

impl ArchiveError {
    /// The code of the finding.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::FileTooLarge(_) | Self::TooLarge(_) | Self::TooManyFiles => "chart-too-large",
            _ => "chart-archive",
        }
    }
}

/// A file's bytes without a byte order mark.
pub(super) fn without_bom(mut data: Vec<u8>) -> Vec<u8> {
    if data.starts_with(&[0xEF, 0xBB, 0xBF]) {
        data.drain(..3);
    }
    data
}

/// The name within the chart of a path within the archive.
fn file_name(path: &str) -> Result<String, ArchiveError> {
    // Archives that were packed on Windows have backslashes.
    let path = path.replace('\\', "/");
    let Some((folder, rest)) = path.split_once('/') else {
        return Err(match path.as_str() {
            "Chart.yaml" => ArchiveError::NoFolder,
            _ => ArchiveError::Outside(path),
        });
    };
    if folder == ".." {
        return Err(ArchiveError::Outside(path));
    }
    if rest.starts_with('/') {
        return Err(ArchiveError::Absolute(path));
    }
    if folder == "Chart.yaml" {
        return Err(ArchiveError::NoFolder);
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in rest.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.pop().is_none() => return Err(ArchiveError::Outside(path)),
            ".." => {}
            part => parts.push(part),
        }
    }
    let is_drive = parts.first().is_some_and(|part| part.len() == 2 && part.ends_with(':'));
    if parts.is_empty() || is_drive {
        return Err(ArchiveError::Outside(path));
    }
    Ok(parts.join("/"))
}
