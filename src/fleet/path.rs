//! Paths within the fleet's repository: `/` as the separator, relative to the fleet's root.

use crate::base::diagnostic::Diagnostic;
use crate::base::span::Span;

/// The folder that a path is in; empty is the root.
pub fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// A path that a document names, as seen from the root.
///
/// # Errors
/// What is wrong with one that leaves the repository.
pub fn named(written: &str, span: &Span) -> Result<String, Diagnostic> {
    join(folder_of(&span.file.path), written).ok_or_else(|| {
        Diagnostic::error("bad-path", format!("`{written}` is not in the repository"))
            .label(span, "leads out of it")
            .help("a path is relative to the file it is written in")
    })
}

/// A relative path as seen from a folder; `None` where it leaves the repository or is absolute.
pub fn join(folder: &str, path: &str) -> Option<String> {
    if path.starts_with('/') || path.contains('\\') {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_leave_the_repository() {
        assert_eq!(join("addons/a", "values.yaml").as_deref(), Some("addons/a/values.yaml"));
        assert_eq!(join("addons/a", "../../charts/b/").as_deref(), Some("charts/b"));
        assert_eq!(join("addons/a", ".").as_deref(), Some("addons/a"));
        assert_eq!(join("addons/a", "../../.."), None);
        assert_eq!(join("addons/a", "/etc/passwd"), None);
    }
}
