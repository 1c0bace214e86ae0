//! The two merges of dictionaries, as the mergo library does them.

use crate::template::function::{FunctionError, Runtime};
use crate::template::value::{Map, Value};

/// Nesting beyond which a merge is of cycles.
const DEPTH_MAX: usize = 1_000;

/// Which side wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// `merge`: the target keeps what is not empty.
    FillEmpty,
    /// `mergeOverwrite`: the source wins, be its value empty or not; only maps are merged.
    Overwrite,
}

/// Merges `source` into `target` in place. Values are shared, not copied: a nested map that the
/// target did not have is the source's own from then on.
pub(super) fn merge_into(
    runtime: &mut dyn Runtime,
    target: &Map,
    source: &Map,
    rule: Rule,
) -> Result<(), FunctionError> {
    merge_maps(runtime, target, source, rule, 0)
}

fn merge_maps(
    runtime: &mut dyn Runtime,
    target: &Map,
    source: &Map,
    rule: Rule,
    depth: usize,
) -> Result<(), FunctionError> {
    if depth > DEPTH_MAX {
        return Err("exceeded max depth".into());
    }
    if target.is_same(source) {
        return Ok(());
    }
    // A snapshot: a nested merge may reach this very map through another reference.
    let entries: Vec<_> =
        source.entries.borrow().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    runtime.charge(entries.len() as u64)?;
    for (key, from) in entries {
        if from.is_nil() {
            if rule == Rule::Overwrite {
                target.insert(key, from);
            }
            continue;
        }
        let into = target.get(&key);
        if let (Some(Value::Map(into)), Value::Map(from)) = (&into, &from) {
            merge_maps(runtime, into, from, rule, depth + 1)?;
            if !into.entries.borrow().is_empty() {
                continue;
            }
        }
        if rule == Rule::Overwrite || into.as_ref().is_none_or(is_zero) {
            target.insert(key, from);
        }
    }
    Ok(())
}

/// What mergo takes for unset. Structs never are.
fn is_zero(value: &Value) -> bool {
    !matches!(value, Value::Object(_)) && super::flow::is_empty(value)
}
