//! The APIs that Kubernetes itself serves, minor by minor, as recorded in `apis.tsv`.
//!
//! From Kubernetes' own API description of each minor, 1.16 to 1.37. Alpha APIs are not in it, nor
//! beta APIs that a cluster does not serve unless it is told to: those that came with 1.24 or later.

use super::access::group_of;

/// `apiVersion`, kind, minor that brought it (empty: before 1.16), minor that deprecated it, minor
/// that removed it, what to use instead; sorted.
const TABLE: &str = include_str!("apis.tsv");

/// The oldest minor that the table is right about.
const OLDEST: u32 = 16;

/// When an API of Kubernetes is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// The minor that brought it; zero where that is long ago.
    pub since: u32,
    /// The minor that deprecated it.
    pub deprecated: Option<u32>,
    /// The minor that removed it.
    pub removed: Option<u32>,
    /// The `apiVersion` to use instead; empty where nothing replaces it.
    pub instead: &'static str,
}

impl Lifetime {
    /// Whether a minor serves it.
    pub fn is_served_by(&self, minor: u32) -> bool {
        self.since <= minor && self.removed.is_none_or(|removed| minor < removed)
    }
}

/// When `kind` of `api_version` is served, if it is one of Kubernetes' own.
pub fn lifetime(api_version: &str, kind: &str) -> Option<Lifetime> {
    rows().find(|row| row.api_version == api_version && row.kind == kind).map(|row| row.lifetime)
}

/// What a minor serves, as Helm lists it for a chart: each `GROUP/VERSION`, then each
/// `GROUP/VERSION/KIND`. Of a minor that is older than the table, what the oldest one serves.
pub fn served(minor: u32) -> Vec<String> {
    let minor = minor.max(OLDEST);
    let served: Vec<_> = rows().filter(|row| row.lifetime.is_served_by(minor)).collect();
    let mut versions: Vec<String> = served.iter().map(|row| row.api_version.to_owned()).collect();
    versions.dedup();
    versions.extend(served.iter().map(|row| format!("{}/{}", row.api_version, row.kind)));
    versions
}

/// What became of an API that a cluster does not serve, for people. `None` where it is none of
/// Kubernetes' own.
pub fn fate(api_version: &str, kind: &str) -> Option<String> {
    let Lifetime { since, removed, instead, .. } = lifetime(api_version, kind)?;
    Some(match (removed, instead) {
        (None, _) => format!("Kubernetes serves it since 1.{since}"),
        (Some(minor), "") => format!("Kubernetes 1.{minor} removed it, and nothing replaces it"),
        (Some(minor), instead) => format!("Kubernetes 1.{minor} removed it: use `{instead}`"),
    })
}

/// Whether a group is one of Kubernetes' own, of which a CRD brings no kind.
pub fn is_own_group(group: &str) -> bool {
    rows().any(|row| group_of(row.api_version) == group)
}

/// `35` of `v1.35.2+k3s1`.
pub fn minor(version: &str) -> Option<u32> {
    let rest = version.strip_prefix('v').unwrap_or(version).strip_prefix("1.")?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

struct Row {
    api_version: &'static str,
    kind: &'static str,
    lifetime: Lifetime,
}

fn rows() -> impl Iterator<Item = Row> {
    TABLE.lines().filter_map(|line| {
        let mut columns = line.split('\t');
        let mut next = || columns.next();
        let (api_version, kind) = (next()?, next()?);
        let (since, deprecated, removed) = (next()?, next()?, next()?);
        let lifetime = Lifetime {
            since: minor(since).unwrap_or_default(),
            deprecated: minor(deprecated),
            removed: minor(removed),
            instead: next()?,
        };
        Some(Row { api_version, kind, lifetime })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_its_columns_and_its_order() {
        let lines: Vec<&str> = TABLE.lines().collect();
        assert!(lines.is_sorted());
        assert_eq!(rows().count(), lines.len());
        for Row { api_version, kind, lifetime } in rows() {
            let Lifetime { since, deprecated, removed, instead } = lifetime;
            assert_eq!(deprecated.is_some(), removed.is_some(), "{api_version} {kind}");
            if let (Some(deprecated), Some(removed)) = (deprecated, removed) {
                assert!(since <= deprecated && deprecated < removed, "{api_version} {kind}");
                let is_known = instead.is_empty() || super::lifetime(instead, kind).is_some();
                assert!(
                    is_known,
                    "{kind} of {api_version} is replaced by {instead}, which is not here"
                );
            }
        }
    }

    #[test]
    fn each_minor_serves_its_own() {
        let has = |minor, what: &str| served(minor).iter().any(|one| one == what);
        assert!(has(35, "policy/v1/PodDisruptionBudget") && has(35, "policy/v1") && has(35, "v1"));
        assert!(!has(35, "policy/v1beta1") && has(24, "policy/v1beta1/PodSecurityPolicy"));
        assert!(has(21, "extensions/v1beta1/Ingress") && !has(22, "extensions/v1beta1"));
        assert!(
            !has(18, "networking.k8s.io/v1/Ingress") && has(19, "networking.k8s.io/v1/Ingress")
        );
        assert!(!has(34, "resource.k8s.io/v1beta1"), "beta, and off by default");
        assert_eq!(served(12), served(OLDEST));
    }

    #[test]
    fn a_version_is_read_with_whatever_a_distribution_adds() {
        assert_eq!(minor("v1.35.2+k3s1"), Some(35));
        assert_eq!(minor("1.9"), Some(9));
        assert_eq!(minor("2.0"), None);
    }
}
