//! Lists. Each function exists twice: Go panics in the plain one and returns an error in the
//! `must` one, and a template shows both alike.

use super::args::{NIL_DEREFERENCE, Outcome, fixed, int, list, to_int, variadic, weigh};
use super::flow::is_empty;
use super::reflection::{deep_equal, kind_of};
use super::text::text_of;
use crate::template::function::{Function, FunctionError, Param, Runtime};
use crate::template::value::{Element, List, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    variadic("list", &[], Param::Any, |_, args| Ok(Value::list(args.to_vec()))),
    variadic("tuple", &[], Param::Any, |_, args| Ok(Value::list(args.to_vec()))),
    fixed("append", &[Param::Any, Param::Any], append),
    fixed("push", &[Param::Any, Param::Any], append),
    fixed("mustAppend", &[Param::Any, Param::Any], append),
    fixed("mustPush", &[Param::Any, Param::Any], append),
    fixed("prepend", &[Param::Any, Param::Any], prepend),
    fixed("mustPrepend", &[Param::Any, Param::Any], prepend),
    fixed("first", &[Param::Any], first),
    fixed("mustFirst", &[Param::Any], first),
    fixed("last", &[Param::Any], last),
    fixed("mustLast", &[Param::Any], last),
    fixed("rest", &[Param::Any], rest),
    fixed("mustRest", &[Param::Any], rest),
    fixed("initial", &[Param::Any], initial),
    fixed("mustInitial", &[Param::Any], initial),
    fixed("reverse", &[Param::Any], reverse),
    fixed("mustReverse", &[Param::Any], reverse),
    fixed("uniq", &[Param::Any], uniq),
    fixed("mustUniq", &[Param::Any], uniq),
    fixed("compact", &[Param::Any], compact),
    fixed("mustCompact", &[Param::Any], compact),
    variadic("without", &[Param::Any], Param::Any, without),
    variadic("mustWithout", &[Param::Any], Param::Any, without),
    fixed("has", &[Param::Any, Param::Any], has),
    fixed("mustHas", &[Param::Any, Param::Any], has),
    variadic("slice", &[Param::Any], Param::Any, slice),
    variadic("mustSlice", &[Param::Any], Param::Any, slice),
    fixed("chunk", &[Param::Int, Param::Any], chunk),
    fixed("mustChunk", &[Param::Int, Param::Any], chunk),
    variadic("concat", &[], Param::Any, concat),
    fixed("sortAlpha", &[Param::Any], sort_alpha),
    fixed("toStrings", &[Param::Any], |runtime, args| {
        weigh(runtime, args)?;
        Ok(Value::strings(strings_of(&args[0])))
    }),
];

/// The list, or Go's complaint: `Cannot VERB type KIND`.
fn expect(value: &Value, what: &str) -> Result<List, FunctionError> {
    match list(value) {
        Some(list) => Ok(list),
        None if value.is_nil() => Err(NIL_DEREFERENCE.into()),
        None => Err(format!("{what} {}", kind_of(value)).into()),
    }
}

fn append(_: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let list = expect(&args[0], "Cannot push on type")?;
    let mut items = list.items.to_vec();
    items.push(args[1].clone());
    Ok(Value::list(items))
}

fn prepend(_: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let list = expect(&args[0], "Cannot prepend on type")?;
    let mut items = Vec::with_capacity(list.items.len() + 1);
    items.push(args[1].clone());
    items.extend(list.items.iter().cloned());
    Ok(Value::list(items))
}

fn first(_: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let list = expect(&args[0], "Cannot find first on type")?;
    Ok(list.items.first().cloned().unwrap_or_default())
}

fn last(_: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let list = expect(&args[0], "Cannot find last on type")?;
    Ok(list.items.last().cloned().unwrap_or_default())
}

fn rest(_: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let list = expect(&args[0], "Cannot find rest on type")?;
    if list.items.is_empty() {
        return Ok(Value::nil_list());
    }
    Ok(Value::list(list.items[1..].to_vec()))
}

fn initial(_: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let list = expect(&args[0], "Cannot find initial on type")?;
    match list.items.split_last() {
        Some((_, initial)) => Ok(Value::list(initial.to_vec())),
        None => Ok(Value::nil_list()),
    }
}

fn reverse(_: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let list = expect(&args[0], "Cannot find reverse on type")?;
    Ok(Value::list(list.items.iter().rev().cloned().collect()))
}

fn uniq(runtime: &mut dyn Runtime, args: &[Value]) -> Outcome {
    weigh(runtime, args)?;
    let list = expect(&args[0], "Cannot find uniq on type")?;
    let mut kept: Vec<Value> = Vec::new();
    for item in list.items.iter() {
        runtime.charge(kept.len() as u64)?;
        if !contains(&kept, item) {
            kept.push(item.clone());
        }
    }
    Ok(Value::list(kept))
}

fn contains(list: &[Value], wanted: &Value) -> bool {
    list.iter().any(|item| deep_equal(wanted, item))
}

fn compact(_: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let list = expect(&args[0], "Cannot compact on type")?;
    Ok(Value::list(list.items.iter().filter(|item| !is_empty(item)).cloned().collect()))
}

fn without(runtime: &mut dyn Runtime, args: &[Value]) -> Outcome {
    weigh(runtime, args)?;
    let list = expect(&args[0], "Cannot find without on type")?;
    runtime.charge((list.items.len() * args.len()) as u64)?;
    let kept = list.items.iter().filter(|item| !contains(&args[1..], item));
    Ok(Value::list(kept.cloned().collect()))
}

fn has(runtime: &mut dyn Runtime, args: &[Value]) -> Outcome {
    weigh(runtime, args)?;
    if args[1].is_nil() {
        return Ok(Value::Bool(false));
    }
    let list = expect(&args[1], "Cannot find has on type")?;
    Ok(Value::Bool(contains(&list.items, &args[0])))
}

fn slice(_: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let list = expect(&args[0], "list should be type of slice or array but")?;
    if list.items.is_empty() {
        return Ok(Value::Nil);
    }
    let start = args.get(1).map_or(0, to_int);
    let end = args.get(2).map_or(list.items.len() as i64, to_int);
    let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    match range.and_then(|(start, end)| list.items.get(start..end)) {
        Some(items) => {
            Ok(Value::List(List { element: list.element, items: items.to_vec().into() }))
        }
        None => Err("reflect.Value.Slice: slice index out of bounds".into()),
    }
}

fn chunk(_: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let list = expect(&args[1], "Cannot chunk type")?;
    let size = usize::try_from(int(args, 0)).ok().filter(|size| *size > 0);
    let Some(size) = size else {
        return Err("runtime error: makeslice: len out of range".into());
    };
    Ok(Value::list(list.items.chunks(size).map(|chunk| Value::list(chunk.to_vec())).collect()))
}

fn concat(_: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let mut items = Vec::new();
    for value in args {
        match list(value) {
            Some(list) => items.extend(list.items.iter().cloned()),
            None if value.is_nil() => return Err(NIL_DEREFERENCE.into()),
            None => {
                return Err(format!("Cannot concat type {} as list", kind_of(value)).into());
            }
        }
    }
    Ok(if items.is_empty() { Value::nil_list() } else { Value::list(items) })
}

fn sort_alpha(runtime: &mut dyn Runtime, args: &[Value]) -> Outcome {
    weigh(runtime, args)?;
    if list(&args[0]).is_none() {
        return Ok(Value::strings([text_of(&args[0])]));
    }
    let mut items = strings_of(&args[0]);
    items.sort();
    Ok(Value::strings(items))
}

/// sprig's `toStrings`: the elements that are not nil; a single value is a list of one.
pub(super) fn strings_of(value: &Value) -> Vec<String> {
    match list(value) {
        Some(list) if list.element == Element::Str => list.items.iter().map(text_of).collect(),
        Some(list) => list.items.iter().filter(|item| !item.is_nil()).map(text_of).collect(),
        None if value.is_nil() => Vec::new(),
        None => vec![text_of(value)],
    }
}
