//! Helm's own functions: other templates, the cluster, and the formats YAML, JSON and TOML.
//!
//! As in Helm, those without `must` never fail: a value that cannot be written is an empty text,
//! and a text that cannot be read is a map (or list) that holds the complaint.

use super::args::{Outcome, fixed, text, weigh};
use super::json::{self, Style};
use super::{json_read, toml};
use crate::template::function::{Function, Param, Runtime};
use crate::template::value::{Map, Value};
use crate::yaml;

/// Nesting beyond which a value is a cycle.
const DEPTH_MAX: usize = 1_000;

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("include", &[Param::Str, Param::Any], |runtime, args| {
        Ok(Value::str(runtime.include(text(args, 0), args[1].clone())?))
    }),
    fixed("tpl", &[Param::Str, Param::Any], |runtime, args| {
        Ok(Value::str(runtime.tpl(text(args, 0), args[1].clone())?))
    }),
    fixed("lookup", &[Param::Str, Param::Str, Param::Str, Param::Str], lookup),
    fixed("toYaml", &[Param::Any], |runtime, args| {
        weigh(runtime, args)?;
        let written = acyclic(&args[0]).and_then(yaml::write::to_yaml).unwrap_or_default();
        runtime.charge(written.len() as u64)?;
        Ok(Value::str(written))
    }),
    fixed("toYamlPretty", &[Param::Any], |runtime, args| {
        weigh(runtime, args)?;
        let written = acyclic(&args[0]).and_then(yaml::write::to_yaml_pretty).unwrap_or_default();
        runtime.charge(written.len() as u64)?;
        Ok(Value::str(written))
    }),
    fixed("fromYaml", &[Param::Str], |runtime, args| {
        runtime.charge(text(args, 0).len() as u64)?;
        Ok(yaml::helm::read_map(text(args, 0)).map_or_else(complaint, from_json_value))
    }),
    fixed("fromYamlArray", &[Param::Str], from_yaml_array),
    fixed("toToml", &[Param::Any], |runtime, args| {
        weigh(runtime, args)?;
        let written = toml::write(&args[0])?;
        runtime.charge(written.len() as u64)?;
        Ok(Value::str(written))
    }),
    fixed("fromToml", &[Param::Str], |runtime, args| {
        runtime.charge(text(args, 0).len() as u64)?;
        Ok(toml::read(text(args, 0)).unwrap_or_else(complaint))
    }),
    fixed("toJson", &[Param::Any], |runtime, args| lenient(runtime, args, Style::Compact)),
    fixed("mustToJson", &[Param::Any], |runtime, args| strict(runtime, args, Style::Compact)),
    fixed("toPrettyJson", &[Param::Any], |runtime, args| lenient(runtime, args, Style::Pretty)),
    fixed("mustToPrettyJson", &[Param::Any], |runtime, args| strict(runtime, args, Style::Pretty)),
    fixed("toRawJson", &[Param::Any], |runtime, args| strict(runtime, args, Style::Raw)),
    fixed("mustToRawJson", &[Param::Any], |runtime, args| strict(runtime, args, Style::Raw)),
    fixed("fromJson", &[Param::Str], from_json),
    fixed("fromJsonArray", &[Param::Str], from_json_array),
    fixed("mustFromJson", &[Param::Str], |runtime, args| {
        runtime.charge(text(args, 0).len() as u64)?;
        Ok(json_read::read(text(args, 0))?)
    }),
];

fn lookup(runtime: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let world = runtime.world();
    Ok(world.lookup(text(args, 0), text(args, 1), text(args, 2), text(args, 3))?)
}

fn strict(runtime: &mut dyn Runtime, args: &[Value], style: Style) -> Outcome {
    weigh(runtime, args)?;
    let written = json::write(&args[0], style)?;
    runtime.charge(written.len() as u64)?;
    Ok(Value::str(written))
}

fn lenient(runtime: &mut dyn Runtime, args: &[Value], style: Style) -> Outcome {
    weigh(runtime, args)?;
    let written = json::write(&args[0], style).unwrap_or_default();
    runtime.charge(written.len() as u64)?;
    Ok(Value::str(written))
}

/// A map that says why there is none to show.
fn complaint(text: String) -> Value {
    Value::map([("Error".into(), Value::str(text))])
}

fn from_yaml_array(runtime: &mut dyn Runtime, args: &[Value]) -> Outcome {
    runtime.charge(text(args, 0).len() as u64)?;
    let complaint = |text: String| Value::list(vec![Value::str(text)]);
    Ok(match yaml::helm::read(text(args, 0)).map(from_json_value) {
        Ok(list @ Value::List(_)) => list,
        Ok(Value::Nil) => Value::nil_list(),
        Ok(other) => complaint(format!(
            "error unmarshaling JSON: while decoding JSON: {}",
            mismatch(&other, "[]interface {}")
        )),
        Err(error) => complaint(error),
    })
}

/// The value, unless it is nested so deeply that it must be a cycle.
fn acyclic(value: &Value) -> Result<&Value, String> {
    if is_deeper(value, DEPTH_MAX) { Err("encountered a cycle".to_owned()) } else { Ok(value) }
}

fn is_deeper(value: &Value, levels: usize) -> bool {
    let Some(levels) = levels.checked_sub(1) else { return true };
    match value {
        Value::List(list) => list.items.iter().any(|item| is_deeper(item, levels)),
        Value::Map(map) => map.entries.borrow().values().any(|value| is_deeper(value, levels)),
        _ => false,
    }
}

/// Untyped JSON: every number is a float.
pub(super) fn from_json_value(value: serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(flag) => Value::Bool(flag),
        serde_json::Value::Number(number) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::String(text) => Value::str(text),
        serde_json::Value::Array(items) => {
            Value::list(items.into_iter().map(from_json_value).collect())
        }
        serde_json::Value::Object(entries) => {
            let entries = entries.into_iter();
            Value::map(entries.map(|(key, value)| (key.into(), from_json_value(value))))
        }
    }
}

fn from_json(runtime: &mut dyn Runtime, args: &[Value]) -> Outcome {
    runtime.charge(text(args, 0).len() as u64)?;
    Ok(match json_read::read(text(args, 0)) {
        Ok(map @ Value::Map(_)) => map,
        Ok(Value::Nil) => Value::Map(Map::default()),
        Ok(other) => complaint(mismatch(&other, "map[string]interface {}")),
        Err(error) => complaint(error),
    })
}

fn from_json_array(runtime: &mut dyn Runtime, args: &[Value]) -> Outcome {
    runtime.charge(text(args, 0).len() as u64)?;
    Ok(match json_read::read(text(args, 0)) {
        Ok(list @ Value::List(_)) => list,
        Ok(Value::Nil) => Value::nil_list(),
        Ok(other) => Value::list(vec![Value::str(mismatch(&other, "[]interface {}"))]),
        Err(error) => Value::list(vec![Value::str(error)]),
    })
}

/// Go's text for JSON of another type than the target.
fn mismatch(found: &Value, wanted: &str) -> String {
    let kind = json_read::kind_of(found);
    format!("json: cannot unmarshal {kind} into Go value of type {wanted}")
}
