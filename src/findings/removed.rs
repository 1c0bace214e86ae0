//! APIs that Kubernetes no longer serves, by its deprecation guide.

use super::Object;
use crate::base::diagnostic::Diagnostic;

/// `apiVersion`, kind, minor that deprecated it, minor that removed it, what to use instead.
const TABLE: &str = include_str!("removed.tsv");

/// An API that a cluster of this version does not serve, or serves no longer soon.
pub(super) fn check(object: &Object<'_>, kubernetes_version: &str) -> Option<Diagnostic> {
    let (api_version, kind) = (&object.manifest.api_version, &object.key.kind);
    let minor = minor(kubernetes_version)?;
    let row = TABLE.lines().map(|line| line.split('\t').collect::<Vec<_>>()).find(|row| {
        row.first() == Some(&api_version.as_str()) && row.get(1) == Some(&kind.as_str())
    })?;
    let [_, _, deprecated, removed, instead] = row.as_slice() else { return None };
    let (deprecated_minor, removed_minor) = (self::minor(deprecated)?, self::minor(removed)?);
    let key = &object.key;
    let found = if minor >= removed_minor {
        let message = format!(
            "`{key}` is of `{api_version}`, which Kubernetes {kubernetes_version} does not serve"
        );
        Diagnostic::error("removed-api", message).note(format!("removed in Kubernetes {removed}"))
    } else if minor >= deprecated_minor {
        let message = format!("`{key}` is of `{api_version}`, which Kubernetes {removed} removes");
        Diagnostic::warning("deprecated-api", message)
    } else {
        return None;
    };
    Some(match *instead {
        "" => found.help("nothing replaces it: leave it out"),
        instead => found.help(format!("use `{instead}`")),
    })
}

/// `35` of `1.35.2+k3s1`.
fn minor(version: &str) -> Option<u32> {
    let rest = version.strip_prefix('v').unwrap_or(version).strip_prefix("1.")?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_its_columns() {
        for line in TABLE.lines() {
            let row: Vec<&str> = line.split('\t').collect();
            assert_eq!(row.len(), 5, "{line}");
            assert!(minor(row[2]).unwrap() < minor(row[3]).unwrap(), "{line}");
        }
    }
}
