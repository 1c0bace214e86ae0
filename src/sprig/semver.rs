//! Semantic versions and ranges of them, as the Masterminds library behind Helm reads them.
//!
//! Also used outside of templates: a chart's `kubeVersion` and dependencies, and the fleet's
//! ranges, mean what they mean to Helm.

use std::cmp::Ordering;
use std::fmt;

mod constraint;
mod object;

pub use constraint::{Constraint, ConstraintError};
pub(super) use object::FUNCTIONS;

/// The longest text that is read as a version.
const VERSION_BYTES_MAX: usize = 256;

/// A semantic version. Compared by precedence: build metadata does not count.
#[derive(Clone, Debug)]
pub struct Version {
    /// The first number.
    pub major: u64,
    /// The second number; 0 where it was left out.
    pub minor: u64,
    /// The third number; 0 where it was left out.
    pub patch: u64,
    /// What stands behind `-`, or nothing.
    pub prerelease: String,
    /// What stands behind `+`, or nothing.
    pub metadata: String,
    /// The text as it was given, with a `v` in front if there was one.
    pub original: String,
}

/// Why a text is not a version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// It has another shape.
    #[error("invalid semantic version")]
    Invalid,
    /// It is longer than any version.
    #[error("version string is too long (max {VERSION_BYTES_MAX} bytes)")]
    TooLong,
    /// A number does not fit.
    #[error("error parsing version segment: strconv.ParseUint: parsing {0:?}: value out of range")]
    NumberTooLarge(String),
    /// A number of the pre-release has a leading zero.
    #[error("version segment starts with 0")]
    LeadingZero,
}

impl Version {
    /// Reads a version leniently, as Helm does: a leading `v`, missing minor or patch numbers and
    /// leading zeros in the three numbers are accepted.
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        if text.len() > VERSION_BYTES_MAX {
            return Err(VersionError::TooLong);
        }
        let bare = text.strip_prefix('v').unwrap_or(text);
        let (bare, metadata) = match bare.split_once('+') {
            Some((bare, metadata)) => (bare, identifiers(metadata)?),
            None => (bare, ""),
        };
        let (numbers, prerelease) = match bare.split_once('-') {
            Some((numbers, prerelease)) => (numbers, identifiers(prerelease)?),
            None => (bare, ""),
        };
        let mut segments = [0; 3];
        for (at, segment) in numbers.split('.').enumerate() {
            let is_number = !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_digit());
            let target = segments.get_mut(at).filter(|_| is_number);
            let target = target.ok_or(VersionError::Invalid)?;
            *target =
                segment.parse().map_err(|_| VersionError::NumberTooLarge(segment.to_owned()))?;
        }
        if prerelease.split('.').any(has_leading_zero) {
            return Err(VersionError::LeadingZero);
        }
        let [major, minor, patch] = segments;
        Ok(Self {
            major,
            minor,
            patch,
            prerelease: prerelease.to_owned(),
            metadata: metadata.to_owned(),
            original: text.to_owned(),
        })
    }

    /// A version whose original text is its canonical one.
    fn renewed(self, had_v: bool) -> Self {
        let original = if had_v { format!("v{self}") } else { self.to_string() };
        Self { original, ..self }
    }
}

/// Identifiers with points between them.
fn identifiers(text: &str) -> Result<&str, VersionError> {
    let is_identifier = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if text.split('.').all(is_identifier) { Ok(text) } else { Err(VersionError::Invalid) }
}

fn has_leading_zero(identifier: &str) -> bool {
    identifier.len() > 1
        && identifier.starts_with('0')
        && identifier.bytes().all(|byte| byte.is_ascii_digit())
}

/// Canonical: three numbers and no leading `v`.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if !self.prerelease.is_empty() {
            write!(f, "-{}", self.prerelease)?;
        }
        if !self.metadata.is_empty() {
            write!(f, "+{}", self.metadata)?;
        }
        Ok(())
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let numbers = |version: &Self| (version.major, version.minor, version.patch);
        let by_numbers = numbers(self).cmp(&numbers(other));
        by_numbers.then_with(|| compare_prereleases(&self.prerelease, &other.prerelease))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

/// A release is above its pre-releases.
fn compare_prereleases(left: &str, right: &str) -> Ordering {
    match (left.is_empty(), right.is_empty()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => compare_identifiers(left, right),
    }
}

/// Numbers are below words, and fewer identifiers below more.
fn compare_identifiers(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.split('.'), right.split('.'));
    loop {
        let (a, b) = match (left.next(), right.next()) {
            (Some(a), Some(b)) => (a, b),
            (a, b) => return a.is_some().cmp(&b.is_some()),
        };
        let order = match (a.parse::<u64>(), b.parse::<u64>()) {
            (Ok(a), Ok(b)) => a.cmp(&b),
            (Ok(_), Err(_)) => Ordering::Less,
            (Err(_), Ok(_)) => Ordering::Greater,
            (Err(_), Err(_)) => a.cmp(b),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

#[cfg(test)]
mod tests;
