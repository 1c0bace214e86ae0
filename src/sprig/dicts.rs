//! Dictionaries. Maps are shared: what `set`, `unset` and the merges change is seen through every
//! reference.

use super::args::{Outcome, fixed, map, shared_text, text, variadic, weigh};
use super::merge::{Rule, merge_into};
use super::text::text_of;
use crate::template::function::{Function, FunctionError, Param, Runtime};
use crate::template::value::{Element, List, Map, Value};

/// Nesting beyond which a copy is of a cycle.
const DEPTH_MAX: usize = 1_000;
/// What an entry of a map takes beside its key.
const ENTRY_BYTES: u64 = 128;

pub(super) const FUNCTIONS: &[Function] = &[
    variadic("dict", &[], Param::Any, |_, args| Ok(dict(args))),
    fixed("get", &[Param::Map, Param::Str], |_, args| {
        Ok(map(args, 0).get(text(args, 1)).unwrap_or_else(|| Value::str("")))
    }),
    fixed("set", &[Param::Map, Param::Str, Param::Any], set),
    fixed("unset", &[Param::Map, Param::Str], |_, args| {
        map(args, 0).remove(text(args, 1));
        Ok(args[0].clone())
    }),
    fixed("hasKey", &[Param::Map, Param::Str], |_, args| {
        Ok(Value::Bool(map(args, 0).get(text(args, 1)).is_some()))
    }),
    variadic("pluck", &[Param::Str], Param::Map, pluck),
    variadic("keys", &[], Param::Map, keys),
    fixed("values", &[Param::Map], |_, args| {
        Ok(Value::list(map(args, 0).entries.borrow().values().cloned().collect()))
    }),
    variadic("pick", &[Param::Map], Param::Str, pick),
    variadic("omit", &[Param::Map], Param::Str, omit),
    variadic("merge", &[Param::Map], Param::Map, |runtime, args| {
        merge(runtime, args, Rule::FillEmpty)
    }),
    variadic("mustMerge", &[Param::Map], Param::Map, |runtime, args| {
        merge(runtime, args, Rule::FillEmpty)
    }),
    variadic("mergeOverwrite", &[Param::Map], Param::Map, |runtime, args| {
        merge(runtime, args, Rule::Overwrite)
    }),
    variadic("mustMergeOverwrite", &[Param::Map], Param::Map, |runtime, args| {
        merge(runtime, args, Rule::Overwrite)
    }),
    fixed("deepCopy", &[Param::Any], copy),
    fixed("mustDeepCopy", &[Param::Any], copy),
    variadic("dig", &[], Param::Any, dig),
];

fn dict(args: &[Value]) -> Value {
    let pairs = args.chunks(2).map(|pair| {
        (text_of(&pair[0]).into(), pair.get(1).cloned().unwrap_or_else(|| Value::str("")))
    });
    Value::map(pairs)
}

fn set(runtime: &mut dyn Runtime, args: &[Value]) -> Outcome {
    runtime.allocate(ENTRY_BYTES + text(args, 1).len() as u64)?;
    let Value::Map(target) = &args[0] else {
        return Err("assignment to entry in nil map".into());
    };
    target.insert(shared_text(args, 1).clone(), args[2].clone());
    Ok(args[0].clone())
}

fn pluck(_: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let key = text(args, 0);
    Ok(Value::list((1..args.len()).filter_map(|at| map(args, at).get(key)).collect()))
}

fn keys(_: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let mut all = Vec::new();
    for at in 0..args.len() {
        all.extend(map(args, at).entries.borrow().keys().cloned());
    }
    Ok(Value::strings(all))
}

fn pick(_: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let source = map(args, 0);
    let picked = (1..args.len()).filter_map(|at| {
        let key = shared_text(args, at);
        Some((key.clone(), source.get(key)?))
    });
    Ok(Value::map(picked))
}

fn omit(_: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let source = map(args, 0);
    let omitted: Vec<&str> = (1..args.len()).map(|at| text(args, at)).collect();
    let entries = source.entries.borrow();
    let kept = entries.iter().filter(|(key, _)| !omitted.contains(&&***key));
    Ok(Value::map(kept.map(|(key, value)| (key.clone(), value.clone()))))
}

fn merge(runtime: &mut dyn Runtime, args: &[Value], rule: Rule) -> Outcome {
    weigh(runtime, args)?;
    let target = map(args, 0);
    for at in 1..args.len() {
        merge_into(runtime, &target, &map(args, at), rule)?;
    }
    Ok(Value::Map(target))
}

fn copy(runtime: &mut dyn Runtime, args: &[Value]) -> Outcome {
    if args[0].is_nil() {
        return Err("reflect: call of reflect.Value.Type on zero Value".into());
    }
    weigh(runtime, args)?;
    deep_copy(runtime, &args[0], 0)
}

fn deep_copy(runtime: &mut dyn Runtime, value: &Value, depth: usize) -> Outcome {
    if depth > DEPTH_MAX {
        return Err("exceeded max depth".into());
    }
    Ok(match value {
        Value::List(list) => {
            runtime.charge(list.items.len() as u64)?;
            let items = list.items.iter().map(|item| deep_copy(runtime, item, depth + 1));
            let items = items.collect::<Result<Vec<_>, _>>()?;
            Value::List(List { element: list.element, items: items.into() })
        }
        Value::Map(map) => {
            let entries = map.entries.borrow();
            runtime.charge(entries.len() as u64)?;
            let mut copied = Vec::with_capacity(entries.len());
            for (key, value) in entries.iter() {
                copied.push((key.clone(), deep_copy(runtime, value, depth + 1)?));
            }
            Value::Map(Map::from_entries(map.element, copied))
        }
        other => other.clone(),
    })
}

fn dig(_: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let [keys @ .., fallback, source] = args else {
        return Err("dig needs at least three arguments".into());
    };
    if keys.is_empty() {
        return Err("dig needs at least three arguments".into());
    }
    let mut step = as_map(source)?;
    let mut names = Vec::with_capacity(keys.len());
    for key in keys {
        match key {
            Value::Str(name) => names.push(name),
            other => return Err(not_a(other, "string")),
        }
    }
    let (last, path) = names.split_last().expect("there is at least one key");
    for name in path {
        match step.get(name) {
            Some(next) => step = as_map(&next)?,
            None => return Ok(fallback.clone()),
        }
    }
    Ok(step.get(last).unwrap_or_else(|| fallback.clone()))
}

fn as_map(value: &Value) -> Result<Map, FunctionError> {
    match value {
        Value::Map(map) if map.element == Element::Any => Ok(map.clone()),
        other => Err(not_a(other, "map[string]interface {}")),
    }
}

/// Go's text for a type assertion that failed.
fn not_a(value: &Value, wanted: &str) -> FunctionError {
    let found = if value.is_nil() { "nil" } else { value.type_name() };
    format!("interface conversion: interface {{}} is {found}, not {wanted}").into()
}
