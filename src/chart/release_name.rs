//! Names of releases: Helm's rules, and names that a template gives.

use std::cell::Cell;

use crate::base::limits::{
    TEMPLATE_DEPTH_MAX, TEMPLATE_FUEL, TEMPLATE_MEMORY, TEMPLATE_OUTPUT_BYTES_MAX,
};
use crate::sprig::functions;
use crate::template::exec::{Environment, Limits, MissingKey, execute};
use crate::template::set::Set;
use crate::template::value::Value;
use crate::template::world::World;

/// Helm's limit: charts append to the name.
const BYTES_MAX: usize = 53;

/// Whether Helm takes a name for a release.
///
/// # Errors
/// Helm's text.
pub fn check(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err(format!("release name {name:?}: no name provided"));
    }
    let is_alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_part = |part: &str| {
        let bytes = part.as_bytes();
        bytes.first().copied().is_some_and(is_alphanumeric)
            && bytes.last().copied().is_some_and(is_alphanumeric)
            && bytes.iter().all(|byte| is_alphanumeric(*byte) || *byte == b'-')
    };
    if name.len() <= BYTES_MAX && name.split('.').all(is_part) {
        return Ok(());
    }
    Err(format!(
        "release name {name:?}: invalid release name, must match regex \
         ^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$ and the length must \
         not be longer than {BYTES_MAX}"
    ))
}

/// What a template without data gives.
///
/// # Errors
/// Go's text.
pub fn from_template(template: &str, world: &dyn World) -> Result<String, String> {
    let mut set = Set::new();
    set.parse("name-template", template, functions()).map_err(|error| error.to_string())?;
    let environment = Environment {
        functions: functions(),
        world,
        // A name needs no depth; the stack is the caller's.
        limits: Limits {
            depth: TEMPLATE_DEPTH_MAX,
            nesting: 100,
            output_bytes: TEMPLATE_OUTPUT_BYTES_MAX,
        },
        fuel: Cell::new(TEMPLATE_FUEL),
        memory: Cell::new(TEMPLATE_MEMORY),
        deadline: None,
        missing_key: MissingKey::Invalid,
        trace: None,
    };
    execute(&set, "name-template", Value::Nil, &environment).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::world::SeededWorld;

    #[test]
    fn names_are_checked_as_helm_checks_them() {
        for (name, is_good) in [
            ("a", true),
            ("a-1.b", true),
            ("A", false),
            ("-a", false),
            ("a-", false),
            ("a..b", false),
            ("", false),
        ] {
            assert_eq!(check(name).is_ok(), is_good, "{name}");
        }
        assert!(check(&"a".repeat(53)).is_ok());
        assert!(check(&"a".repeat(54)).is_err());
    }

    #[test]
    fn a_template_gives_a_name() {
        let world = SeededWorld::new(1, 0);
        assert_eq!(from_template("{{ upper \"a\" }}-b", &world).as_deref(), Ok("A-b"));
        assert!(from_template("{{ nothing }}", &world).is_err());
    }
}
