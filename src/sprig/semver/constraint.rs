//! Ranges: `^1.2`, `~1.2.3`, `1.x`, `>=1.2 <2 || 3.0 - 3.4`.

mod simple;

use std::sync::LazyLock;

use regex::Regex;

use super::{Version, compare_prereleases};
use crate::template::quote::quote;

/// The longest text that is read as a range.
const CONSTRAINT_BYTES_MAX: usize = 512;
/// The most alternatives of one range.
const GROUPS_MAX: usize = 32;

/// A range of versions: alternatives, each of which is a list of conditions.
#[derive(Clone, Debug)]
pub struct Constraint {
    alternatives: Vec<Alternative>,
}

/// Why a text is not a range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConstraintError {
    /// It is longer than any range.
    #[error("constraint string is too long (max {CONSTRAINT_BYTES_MAX} bytes)")]
    TooLong,
    /// It has more alternatives than any range.
    #[error("too many constraint groups (max {GROUPS_MAX})")]
    TooManyGroups,
    /// An alternative has another shape.
    #[error("improper constraint: {}", quote(.0))]
    Improper(String),
    /// A version in it cannot be read.
    #[error("constraint parser error")]
    Version,
}

#[derive(Clone, Debug)]
struct Alternative {
    conditions: Vec<Condition>,
    /// Pre-releases are only looked at where the range itself names one.
    has_prerelease: bool,
}

/// How a version is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterEqual,
    LessEqual,
    Tilde,
    Caret,
}

impl Operator {
    fn find(text: &str) -> Option<Self> {
        Some(match text {
            "" | "=" => Self::Equal,
            "!=" => Self::NotEqual,
            ">" => Self::Greater,
            "<" => Self::Less,
            ">=" | "=>" => Self::GreaterEqual,
            "<=" | "=<" => Self::LessEqual,
            "~" | "~>" => Self::Tilde,
            "^" => Self::Caret,
            _ => return None,
        })
    }
}

/// How many numbers of the version are left open, such as two in `1.x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Nothing,
    Patch,
    Minor,
    Everything,
}

#[derive(Clone, Debug)]
struct Condition {
    operator: Operator,
    version: Version,
    open: Open,
}

struct Grammar {
    /// One condition, in groups: operator, major, minor, patch, pre-release.
    condition: Regex,
    /// Finds the conditions of an alternative.
    find: Regex,
    /// A whole alternative: conditions with spaces or commas between them.
    alternative: Regex,
    /// `FROM - TO`.
    hyphen: Regex,
}

static GRAMMAR: LazyLock<Grammar> = LazyLock::new(|| {
    // The order is that in which a backtracking engine tries them.
    let operator = r"=||!=|>|<|>=|=>|<=|=<|~|~>|\^";
    let number = r"[0-9|xX*]+";
    let identifiers = r"[0-9A-Za-z\-]+(?:\.[0-9A-Za-z\-]+)*";
    let version =
        format!(r"v?{number}(?:\.{number})?(?:\.{number})?(?:-{identifiers})?(?:\+{identifiers})?");
    let parts = format!(
        r"v?({number})(?:\.({number}))?(?:\.({number}))?(-{identifiers})?(?:\+{identifiers})?"
    );
    let space = r"[\t\n\f\r ]";
    let one = format!("(?:{operator}){space}*{version}");
    let compile = |pattern: String| Regex::new(&pattern).expect("the grammar of ranges is fixed");
    Grammar {
        condition: compile(format!(r"^{space}*({operator}){space}*{parts}{space}*$")),
        find: compile(one.clone()),
        alternative: compile(format!(
            r"^{space}*{one}{space}*(?:(?:{space}+|,{space}*){one}{space}*)*$"
        )),
        hyphen: compile(format!(r"{space}*({version}){space}+-{space}+({version}){space}*")),
    }
});

impl Constraint {
    /// Reads a range.
    pub fn parse(text: &str) -> Result<Self, ConstraintError> {
        if text.len() > CONSTRAINT_BYTES_MAX {
            return Err(ConstraintError::TooLong);
        }
        if let Some(conditions) = simple::conditions(text) {
            let alternatives = vec![Alternative::of(conditions?)];
            return Ok(Self { alternatives });
        }
        let rewritten = GRAMMAR.hyphen.replace_all(text, ">= $1, <= $2 ");
        let groups: Vec<&str> = rewritten.split("||").collect();
        if groups.len() > GROUPS_MAX {
            return Err(ConstraintError::TooManyGroups);
        }
        let alternatives = groups.into_iter().map(Alternative::parse).collect::<Result<_, _>>()?;
        Ok(Self { alternatives })
    }

    /// Whether a version is in the range. A pre-release is only in a range that names one itself.
    pub fn matches(&self, version: &Version) -> bool {
        self.alternatives.iter().any(|alternative| alternative.matches(version))
    }
}

impl Alternative {
    fn parse(text: &str) -> Result<Self, ConstraintError> {
        if !GRAMMAR.alternative.is_match(text) {
            return Err(ConstraintError::Improper(text.to_owned()));
        }
        let found = GRAMMAR.find.find_iter(text).map(|found| Condition::parse(found.as_str()));
        Ok(Self::of(found.collect::<Result<Vec<_>, _>>()?))
    }

    fn of(conditions: Vec<Condition>) -> Self {
        let has_prerelease =
            conditions.iter().any(|condition| !condition.version.prerelease.is_empty());
        Self { conditions, has_prerelease }
    }

    fn matches(&self, version: &Version) -> bool {
        let is_eligible = version.prerelease.is_empty() || self.has_prerelease;
        is_eligible && self.conditions.iter().all(|condition| condition.matches(version))
    }
}

impl Condition {
    fn parse(text: &str) -> Result<Self, ConstraintError> {
        let improper = || ConstraintError::Improper(text.to_owned());
        let parts = GRAMMAR.condition.captures(text).ok_or_else(improper)?;
        let part = |at: usize| parts.get(at).map_or("", |part| part.as_str());
        let operator = Operator::find(part(1)).ok_or_else(improper)?;
        Self::new(operator, [part(2), part(3), part(4)], part(5))
    }

    /// Of the numbers, those that are left out are empty; the pre-release has its hyphen.
    fn new(
        operator: Operator,
        [major, minor, patch]: [&str; 3],
        prerelease: &str,
    ) -> Result<Self, ConstraintError> {
        let is_open = |part: &str| matches!(part, "" | "x" | "X" | "*");
        let (mut whole, open) = if is_open(major) {
            ("0.0.0".to_owned(), Open::Everything)
        } else if is_open(minor) {
            (format!("{major}.0.0"), Open::Minor)
        } else if is_open(patch) {
            (format!("{major}.{minor}.0"), Open::Patch)
        } else {
            (format!("{major}.{minor}.{patch}"), Open::Nothing)
        };
        whole.push_str(prerelease);
        let version = Version::parse(&whole).map_err(|_| ConstraintError::Version)?;
        Ok(Self { operator, version, open })
    }

    fn matches(&self, version: &Version) -> bool {
        match self.operator {
            Operator::Equal if self.open == Open::Nothing => *version == self.version,
            Operator::Equal | Operator::Tilde => self.is_close(version),
            Operator::NotEqual => self.differs(version),
            Operator::Greater => self.is_below(version),
            Operator::Less => *version < self.version,
            Operator::GreaterEqual => *version >= self.version,
            Operator::LessEqual => self.is_above_or_at(version),
            Operator::Caret => self.is_compatible(version),
        }
    }

    fn differs(&self, version: &Version) -> bool {
        let own = &self.version;
        match self.open {
            Open::Nothing => version != own,
            _ if own.major != version.major => true,
            Open::Minor => false,
            _ if own.minor != version.minor => true,
            Open::Patch => compare_prereleases_of(version, own),
            Open::Everything => own.patch != version.patch || version != own,
        }
    }

    /// `>`: above everything that the open numbers leave open.
    fn is_below(&self, version: &Version) -> bool {
        let own = &self.version;
        match self.open {
            Open::Nothing => version > own,
            _ if version.major != own.major => version.major > own.major,
            Open::Minor => false,
            Open::Patch => version.minor > own.minor,
            Open::Everything => version > own,
        }
    }

    /// `<=`: whatever the open numbers are.
    fn is_above_or_at(&self, version: &Version) -> bool {
        let own = &self.version;
        match self.open {
            Open::Nothing => version <= own,
            Open::Minor => version.major <= own.major,
            Open::Patch | Open::Everything => {
                (version.major, version.minor) <= (own.major, own.minor)
            }
        }
    }

    /// `~`: the same minor version, or the same major one if only that is given.
    fn is_close(&self, version: &Version) -> bool {
        let own = &self.version;
        if version < own {
            return false;
        }
        let is_zero = (own.major, own.minor, own.patch) == (0, 0, 0);
        if is_zero && matches!(self.open, Open::Nothing | Open::Everything) {
            return true;
        }
        version.major == own.major && (version.minor == own.minor || self.open == Open::Minor)
    }

    /// `^`: the first number that is not 0 stays the same.
    fn is_compatible(&self, version: &Version) -> bool {
        let own = &self.version;
        if version < own {
            return false;
        }
        if own.major > 0 || self.open == Open::Minor {
            return version.major == own.major;
        }
        if version.major > 0 {
            return false;
        }
        if own.minor > 0 || self.open == Open::Patch {
            return version.minor == own.minor;
        }
        version.minor == 0 && version.patch == own.patch
    }
}

/// Whether two versions with the same numbers (but the open ones) differ in their pre-release.
fn compare_prereleases_of(left: &Version, right: &Version) -> bool {
    compare_prereleases(&left.prerelease, &right.prerelease).is_ne()
}
