//! A chart in a folder of a revision.

use super::super::ignore::IgnoreRules;
use super::{ChartFile, Digest, Source, SourceError};
use crate::base::diagnostic::Diagnostic;
use crate::base::limits::{CHART_BYTES_MAX, CHART_ENTRIES_MAX};

/// The files of the chart in a folder, in the order in which Helm walks a folder, without those
/// that `.helmignore` names.
pub(super) fn files(source: &Source, folder: &str) -> Result<Vec<ChartFile>, SourceError> {
    let folder = folder.trim_matches('/');
    let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    let shown = if folder.is_empty() { "." } else { folder };
    if !source.files.contains_key(&format!("{prefix}Chart.yaml")) {
        return Err(SourceError::NoFolder { folder: shown.to_owned() });
    }
    let rules = source.files.get(&format!("{prefix}.helmignore"));
    let rules = rules.map(|bytes| String::from_utf8_lossy(bytes)).unwrap_or_default();
    let rules = IgnoreRules::parse(&rules).map_err(|problem| {
        let message = format!("`{prefix}.helmignore` cannot be read: {problem}");
        SourceError::Invalid(Box::new(Diagnostic::error("chart-invalid", message)))
    })?;
    let mut files = Vec::new();
    let mut bytes = 0;
    for (path, data) in source.below(folder) {
        let name = &path[prefix.len()..];
        if is_ignored(&rules, name) {
            continue;
        }
        bytes += data.len();
        if bytes > CHART_BYTES_MAX || files.len() >= CHART_ENTRIES_MAX {
            let folder = shown.to_owned();
            return Err(SourceError::TooLarge { folder, limit: CHART_BYTES_MAX });
        }
        let data = data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data).to_vec();
        files.push(ChartFile { name: name.to_owned(), data });
    }
    files.sort_by(|a, b| a.name.split('/').cmp(b.name.split('/')));
    Ok(files)
}

fn is_ignored(rules: &IgnoreRules, name: &str) -> bool {
    name.match_indices('/').any(|(at, _)| rules.is_ignored(&name[..at], true))
        || rules.is_ignored(name, false)
}

/// Of names and contents.
pub(super) fn digest(files: &[ChartFile]) -> Digest {
    use sha2::Digest as _;
    let mut hash = sha2::Sha256::new();
    for file in files {
        for part in [file.name.as_bytes(), &file.data] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    Digest::new(crate::base::ids::hex(&hash.finalize()))
}
