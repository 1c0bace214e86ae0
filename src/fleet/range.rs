//! Ranges of versions, such as `>=1.27 <1.37`, `~9.3` and `1.x || 3.x`.
//!
//! The comparators are those of npm and Helm. Unlike there, a version with a pre-release part also
//! satisfies a range that its numbers alone satisfy: CERN's `9.3.1-cern-0.1.0-7` is a 9.3.1 with
//! changes on top, not something before it.

use std::fmt;

use semver::{Prerelease, Version};

use super::model::Dependency;

/// A range that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    text: String,
    /// Any one of these, all of whose bounds hold.
    alternatives: Vec<Vec<Bound>>,
}

/// One end of an interval.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Bound {
    AtLeast(Version),
    Above(Version),
    AtMost(Version),
    Below(Version),
    Except(Version),
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Range {
    /// Reads a range.
    ///
    /// # Errors
    /// Says which part is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let alternatives: Result<_, String> = text.split("||").map(alternative).collect();
        Ok(Self { text: text.to_owned(), alternatives: alternatives? })
    }

    /// Whether a version is in it.
    pub fn admits(&self, version: &Version) -> bool {
        let plain = Version { pre: Prerelease::EMPTY, ..version.clone() };
        let holds = |version: &Version| {
            self.alternatives.iter().any(|bounds| bounds.iter().all(|bound| bound.admits(version)))
        };
        holds(version) || holds(&plain)
    }
}

impl Bound {
    fn admits(&self, version: &Version) -> bool {
        let order = |bound: &Version| version.cmp_precedence(bound);
        match self {
            Self::AtLeast(bound) => order(bound).is_ge(),
            Self::Above(bound) => order(bound).is_gt(),
            Self::AtMost(bound) => order(bound).is_le(),
            Self::Below(bound) => order(bound).is_lt(),
            Self::Except(bound) => order(bound).is_ne(),
        }
    }
}

fn alternative(text: &str) -> Result<Vec<Bound>, String> {
    if let Some((low, high)) = text.split_once(" - ") {
        let mut bounds = comparator(">=", low.trim())?;
        bounds.extend(comparator("<=", high.trim())?);
        return Ok(bounds);
    }
    let mut bounds = Vec::new();
    let mut words = text.split([',', ' ', '\t']).filter(|word| !word.is_empty()).peekable();
    if words.peek().is_none() {
        return Err("a range is empty".to_owned());
    }
    while let Some(word) = words.next() {
        let end = word.find(|c: char| !"=<>!~^".contains(c)).unwrap_or(word.len());
        let (operator, version) = word.split_at(end);
        // `>= 1.2` with a blank between.
        let version = if version.is_empty() { words.next().unwrap_or_default() } else { version };
        bounds.extend(comparator(operator, version)?);
    }
    Ok(bounds)
}

/// A version with parts left out or written as `x`.
struct Partial {
    version: Version,
    /// How many of the three numbers are there.
    parts: usize,
}

fn comparator(operator: &str, text: &str) -> Result<Vec<Bound>, String> {
    let Partial { version, parts } = partial(text).ok_or_else(|| match text {
        "" => format!("a version is missing behind `{operator}`"),
        text => format!("`{text}` is not a version"),
    })?;
    let any = parts == 0;
    let next = || next_after(&version, parts);
    Ok(match operator {
        "" | "=" | "==" if parts == 3 => {
            vec![Bound::AtLeast(version.clone()), Bound::AtMost(version)]
        }
        _ if any => Vec::new(),
        "" | "=" | "==" => vec![Bound::AtLeast(version.clone()), Bound::Below(next())],
        "!=" => vec![Bound::Except(version)],
        ">=" | "=>" => vec![Bound::AtLeast(version)],
        ">" if parts == 3 => vec![Bound::Above(version)],
        ">" => vec![Bound::AtLeast(next())],
        "<" => vec![Bound::Below(version)],
        "<=" | "=<" if parts == 3 => vec![Bound::AtMost(version)],
        "<=" | "=<" => vec![Bound::Below(next())],
        "~" | "~>" => {
            let end = next_after(&version, parts.min(2));
            vec![Bound::AtLeast(version), Bound::Below(end)]
        }
        "^" => {
            let significant = match (version.major, version.minor) {
                (0, 0) if parts == 3 => 3,
                (0, 0) => parts,
                (0, _) => 2,
                _ => 1,
            };
            let end = next_after(&version, significant);
            vec![Bound::AtLeast(version), Bound::Below(end)]
        }
        operator => return Err(format!("`{operator}` is not a comparison")),
    })
}

/// The first version whose first `parts` numbers are greater.
fn next_after(version: &Version, parts: usize) -> Version {
    match parts {
        0 | 1 => Version::new(version.major.saturating_add(1), 0, 0),
        2 => Version::new(version.major, version.minor.saturating_add(1), 0),
        _ => Version::new(version.major, version.minor, version.patch.saturating_add(1)),
    }
}

fn partial(text: &str) -> Option<Partial> {
    let text = text.strip_prefix('v').unwrap_or(text);
    if let Ok(version) = Version::parse(text) {
        return Some(Partial { version, parts: 3 });
    }
    let mut numbers = [0; 3];
    let mut parts = 0;
    let mut is_open = false;
    for (at, word) in text.split('.').enumerate() {
        if at > 2 {
            return None;
        }
        if matches!(word, "x" | "X" | "*") {
            is_open = true;
        } else if is_open {
            return None;
        } else {
            numbers[at] = word.parse().ok()?;
            parts = at + 1;
        }
    }
    Some(Partial { version: Version::new(numbers[0], numbers[1], numbers[2]), parts })
}

/// A version that may leave out parts and begin with `v`, such as `v1.35`.
pub fn version(text: &str) -> Option<Version> {
    partial(text).filter(|found| found.parts > 0).map(|found| found.version)
}

impl Dependency {
    /// Whether a chart's version is one that is asked for. Without a range every version is; what
    /// is no version meets no range.
    pub fn is_met_by(&self, version: &str) -> bool {
        let Some(range) = &self.version else { return true };
        let version = Version::parse(version.trim_start_matches('v'));
        version.is_ok_and(|version| Range::parse(range).is_ok_and(|range| range.admits(&version)))
    }
}

/// Whether a text is one version and no range: what git says a chart's version is.
pub fn is_exact(text: &str) -> bool {
    Version::parse(text.strip_prefix('v').unwrap_or(text)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_admit_what_helm_users_expect() {
        let cases = [
            (">=1.27 <1.37", "1.35.0", true),
            (">=1.27 <1.37", "1.37.0", false),
            (">=1.27, <1.37", "1.26.9", false),
            (">= 1.12", "1.12.0", true),
            ("~9.3", "9.3.7", true),
            ("~9.3", "9.4.0", false),
            ("~9", "9.4.0", true),
            ("^1.2", "1.9.0", true),
            ("^1.2", "2.0.0", false),
            ("^0.2.3", "0.2.9", true),
            ("^0.2.3", "0.3.0", false),
            ("^0.0.3", "0.0.4", false),
            ("1.x", "1.9.9", true),
            ("1.2.*", "1.3.0", false),
            ("*", "0.0.1", true),
            ("1 - 2.3", "2.3.0", true),
            ("1 - 2.3", "2.4.0", false),
            ("<1 || >=3", "2.0.0", false),
            ("<1 || >=3", "3.1.0", true),
            (">1.2", "1.2.9", false),
            ("!=1.2.3", "1.2.3", false),
            ("1.2.3", "1.2.3+build", true),
            (">=9.3", "9.3.1-cern-0.1.0-7+ba5e81", true),
            ("9.3.1", "9.3.1-cern-0.1.0-7", true),
            (">=9.3.1", "9.3.1-rc.1", true),
            (">=9.4", "9.3.1-cern-0.1.0-7", false),
        ];
        for (range, text, expected) in cases {
            let found = Range::parse(range).unwrap().admits(&version(text).unwrap());
            assert_eq!(found, expected, "{text} in {range}");
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in ["", "latest", ">=", "1.2.3.4", "=>>1", "1.x.3", ">=1.27 || "] {
            assert!(Range::parse(text).is_err(), "{text}");
        }
    }
}
