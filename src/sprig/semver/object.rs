//! `semver` and `semverCompare`, and a version as a template sees it.

use std::rc::Rc;

use super::{Constraint, Version, VersionError};
use crate::sprig::args::{Outcome, fixed, text};
use crate::template::function::{Function, Param, Runtime, Signature};
use crate::template::value::{Object, Value};

pub(in crate::sprig) const FUNCTIONS: &[Function] = &[
    fixed("semver", &[Param::Str], |_, args| {
        let version = Version::parse(text(args, 0)).map_err(|error| error.to_string())?;
        Ok(object(version, Form::Pointer))
    }),
    fixed("semverCompare", &[Param::Str, Param::Str], semver_compare),
];

fn semver_compare(_: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let range = Constraint::parse(text(args, 0)).map_err(|error| error.to_string())?;
    let version = Version::parse(text(args, 1)).map_err(|error| error.to_string())?;
    Ok(Value::Bool(range.matches(&version)))
}

/// Go's functions return a pointer, its methods a struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Pointer,
    Struct,
}

#[derive(Debug)]
struct VersionObject {
    version: Version,
    form: Form,
}

fn object(version: Version, form: Form) -> Value {
    Value::Object(Rc::new(VersionObject { version, form }))
}

impl Object for VersionObject {
    fn type_name(&self) -> &'static str {
        match self.form {
            Form::Pointer => "*semver.Version",
            Form::Struct => "semver.Version",
        }
    }

    fn kind(&self) -> &'static str {
        match self.form {
            Form::Pointer => "ptr",
            Form::Struct => "struct",
        }
    }

    fn field(&self, _name: &str) -> Option<Value> {
        None
    }

    fn method(&self, name: &str) -> Option<Signature> {
        let params: &[Param] = match name {
            "Major" | "Minor" | "Patch" | "Prerelease" | "Metadata" | "Original" | "String"
            | "IncMajor" | "IncMinor" | "IncPatch" => &[],
            "SetPrerelease" | "SetMetadata" => &[Param::Str],
            "Compare" | "Equal" | "LessThan" | "LessThanEqual" | "GreaterThan"
            | "GreaterThanEqual" => &[Param::Object("*semver.Version")],
            _ => return None,
        };
        Some(Signature { params, variadic: None })
    }

    fn call(&self, method: &str, args: &[Value]) -> Result<Value, String> {
        let own = &self.version;
        Ok(match method {
            "Major" => Value::Uint64(own.major),
            "Minor" => Value::Uint64(own.minor),
            "Patch" => Value::Uint64(own.patch),
            "Prerelease" => Value::str(own.prerelease.as_str()),
            "Metadata" => Value::str(own.metadata.as_str()),
            "Original" => Value::str(own.original.as_str()),
            "String" => Value::str(own.to_string()),
            "IncMajor" | "IncMinor" | "IncPatch" => object(increment(own, method)?, Form::Struct),
            "SetPrerelease" | "SetMetadata" => {
                object(with_suffix(own, method, text(args, 0))?, Form::Struct)
            }
            _ => compare(own, method, &args[0])?,
        })
    }

    fn print(&self) -> String {
        self.version.to_string()
    }

    fn plain(&self) -> Value {
        Value::str(self.version.to_string())
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

fn compare(own: &Version, method: &str, other: &Value) -> Result<Value, String> {
    let other = match other {
        Value::Object(object) => object.as_any().downcast_ref::<VersionObject>(),
        _ => None,
    };
    let Some(VersionObject { version: other, .. }) = other else {
        return Err("wrong type for value; expected *semver.Version".to_owned());
    };
    Ok(match method {
        "Compare" => Value::Int(own.cmp(other) as i64),
        "Equal" => Value::Bool(own == other),
        "LessThan" => Value::Bool(own < other),
        "LessThanEqual" => Value::Bool(own <= other),
        "GreaterThan" => Value::Bool(own > other),
        _ => Value::Bool(own >= other),
    })
}

fn increment(own: &Version, method: &str) -> Result<Version, String> {
    let mut next = own.clone();
    let had_prerelease = !own.prerelease.is_empty();
    next.prerelease.clear();
    next.metadata.clear();
    let segment = match method {
        "IncMajor" => {
            (next.minor, next.patch) = (0, 0);
            &mut next.major
        }
        "IncMinor" => {
            next.patch = 0;
            &mut next.minor
        }
        // The release of a pre-release is its next patch.
        _ if had_prerelease => return Ok(next.renewed(own.original.starts_with('v'))),
        _ => &mut next.patch,
    };
    let name = method.trim_start_matches("Inc").to_lowercase();
    let overflow = || format!("{name} version increment would overflow uint64");
    *segment = segment.checked_add(1).ok_or_else(overflow)?;
    Ok(next.renewed(own.original.starts_with('v')))
}

fn with_suffix(own: &Version, method: &str, suffix: &str) -> Result<Version, String> {
    let (mark, kind) = match method {
        "SetPrerelease" => ('-', "prerelease"),
        _ => ('+', "metadata"),
    };
    if !suffix.is_empty() {
        Version::parse(&format!("0.0.0{mark}{suffix}")).map_err(|error| match error {
            VersionError::LeadingZero => error.to_string(),
            _ => format!("invalid {kind} string"),
        })?;
    }
    let mut next = own.clone();
    let target = if mark == '-' { &mut next.prerelease } else { &mut next.metadata };
    suffix.clone_into(target);
    Ok(next.renewed(own.original.starts_with('v')))
}
