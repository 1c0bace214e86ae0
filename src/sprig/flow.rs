//! Defaults, emptiness and flow control.

use super::args::{Outcome, fixed, text, variadic};
use crate::template::function::{Function, FunctionError, Param, Runtime};
use crate::template::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("hello", &[], |_, _| Ok(Value::str("Hello!"))),
    fixed("fail", &[Param::Str], |_, args| Err(FunctionError::Requested(text(args, 0).to_owned()))),
    fixed("required", &[Param::Str, Param::Any], required),
    variadic("default", &[Param::Any], Param::Any, |_, args| {
        let given = args.get(1).filter(|given| !is_empty(given));
        Ok(given.unwrap_or(&args[0]).clone())
    }),
    fixed("empty", &[Param::Any], |_, args| Ok(Value::Bool(is_empty(&args[0])))),
    variadic("coalesce", &[], Param::Any, |_, args| {
        Ok(args.iter().find(|value| !is_empty(value)).cloned().unwrap_or_default())
    }),
    variadic("all", &[], Param::Any, |_, args| Ok(Value::Bool(!args.iter().any(is_empty)))),
    variadic("any", &[], Param::Any, |_, args| {
        Ok(Value::Bool(args.iter().any(|value| !is_empty(value))))
    }),
    fixed("ternary", &[Param::Any, Param::Any, Param::Bool], |_, args| {
        Ok(args[usize::from(!args[2].truth())].clone())
    }),
];

fn required(_: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let is_missing = match &args[1] {
        Value::Nil => true,
        Value::Str(text) => text.is_empty(),
        _ => false,
    };
    if is_missing {
        return Err(FunctionError::Requested(text(args, 0).to_owned()));
    }
    Ok(args[1].clone())
}

/// sprig's emptiness: nil, false, zero, and whatever has no elements. Structs never are.
pub(super) fn is_empty(value: &Value) -> bool {
    !value.truth()
}
