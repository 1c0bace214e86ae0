//! `semver`, and what can be asked of one.

use std::cmp::Ordering;
use std::sync::Arc;

use cel::extractors::{Arguments, This};
use cel::objects::Opaque;
use cel::{Context, ExecutionError, Value};

use super::{Any, Result, of, wrong};

pub(super) const NAMES: &[&str] = &["isSemver", "major", "minor", "patch", "semver"];

pub(super) fn add(scope: &mut Context<'_, '_>) {
    let _ = scope.add_function("isSemver", |Arguments(rest): Arguments| {
        Ok::<_, ExecutionError>(asked(&rest)?.is_some())
    });
    let _ = scope.add_function("semver", |Arguments(rest): Arguments| match asked(&rest)? {
        Some(version) => Ok(Value::Opaque(Arc::new(version))),
        None => Err(wrong("semver", "it is no semantic version")),
    });
    let _ = scope.add_function("major", |This(one): This<Any>| number(&one, |v| v.major));
    let _ = scope.add_function("minor", |This(one): This<Any>| number(&one, |v| v.minor));
    let _ = scope.add_function("patch", |This(one): This<Any>| number(&one, |v| v.patch));
}

fn number(one: &Any, part: fn(&semver::Version) -> u64) -> Result<i64> {
    i64::try_from(part(&of::<Version>(one)?.0)).map_err(|_| wrong("semver", "it is too large"))
}

/// A text, and perhaps whether it may be written carelessly.
fn asked(rest: &[Value]) -> Result<Option<Version>> {
    match rest {
        [Value::String(text)] | [Value::String(text), Value::Bool(false)] => {
            Ok(semver::Version::parse(text).ok().map(Version))
        }
        [Value::String(text), Value::Bool(true)] => Ok(careless(text)),
        _ => Err(wrong("semver", "it takes a text and perhaps a boolean")),
    }
}

/// Without `v`, leading zeros and missing parts.
fn careless(text: &str) -> Option<Version> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let mut parts: Vec<String> = text.splitn(3, '.').map(without_zeros).collect();
    if parts.len() < 3 && parts.last().is_some_and(|last| last.contains(['+', '-'])) {
        return None;
    }
    parts.resize(3, "0".to_owned());
    semver::Version::parse(&parts.join(".")).ok().map(Version)
}

fn without_zeros(part: &str) -> String {
    if part.len() < 2 {
        return part.to_owned();
    }
    let rest = part.trim_start_matches('0');
    let is_number = rest.starts_with(|c: char| c.is_ascii_digit());
    if is_number { rest.to_owned() } else { format!("0{rest}") }
}

/// A semantic version; what is built into it does not count.
#[derive(Clone, Debug)]
pub(super) struct Version(semver::Version);

impl Version {
    pub(super) fn order(&self, other: &Self) -> Ordering {
        self.0.cmp_precedence(&other.0)
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.order(other) == Ordering::Equal
    }
}

impl Eq for Version {}

impl Opaque for Version {
    fn runtime_type_name(&self) -> &'static str {
        "kubernetes.Semver"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn careless_versions_are_put_right() {
        for (text, expected) in [
            ("v1.0.0", Some("1.0.0")),
            ("1.0", Some("1.0.0")),
            ("1", Some("1.0.0")),
            ("01.01.01", Some("1.1.1")),
            ("1.2.03-rc.1", Some("1.2.3-rc.1")),
            ("1.2-rc.1", None),
            ("", None),
            ("vv1", None),
        ] {
            let found = careless(text).map(|version| version.0.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
