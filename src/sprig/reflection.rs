//! Types and kinds as Go names them, and deep equality.

use super::args::{Outcome, fixed, text, weigh};
use crate::template::function::{Function, Param, Runtime};
use crate::template::value::Value;

/// Nesting beyond which two values are taken for equal: only cycles are deeper.
const DEPTH_MAX: usize = 1_000;

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("typeOf", &[Param::Any], |_, args| Ok(Value::str(args[0].type_name()))),
    fixed("kindOf", &[Param::Any], |_, args| Ok(Value::str(kind_of(&args[0])))),
    fixed("typeIs", &[Param::Str, Param::Any], |_, args| {
        Ok(Value::Bool(text(args, 0) == args[1].type_name()))
    }),
    fixed("kindIs", &[Param::Str, Param::Any], |_, args| {
        Ok(Value::Bool(text(args, 0) == kind_of(&args[1])))
    }),
    fixed("typeIsLike", &[Param::Str, Param::Any], type_is_like),
    fixed("deepEqual", &[Param::Any, Param::Any], |runtime, args| {
        weigh(runtime, args)?;
        Ok(Value::Bool(deep_equal(&args[0], &args[1])))
    }),
];

/// The name of Go's reflection kind.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Nil => "invalid",
        Value::Bytes(_) | Value::List(_) => "slice",
        Value::Map(_) => "map",
        Value::Object(object) => object.kind(),
        other => other.type_name(),
    }
}

fn type_is_like(_: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let (wanted, found) = (text(args, 0), args[1].type_name());
    Ok(Value::Bool(wanted == found || found.strip_prefix('*') == Some(wanted)))
}

/// Go's `reflect.DeepEqual`: numbers of different types are never equal.
pub(super) fn deep_equal(left: &Value, right: &Value) -> bool {
    equal(left, right, 0)
}

fn equal(left: &Value, right: &Value, depth: usize) -> bool {
    if depth > DEPTH_MAX {
        return true;
    }
    match (left, right) {
        (Value::Nil, Value::Nil) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a), Value::Int(b)) | (Value::Int64(a), Value::Int64(b)) => a == b,
        (Value::Uint8(a), Value::Uint8(b)) => a == b,
        (Value::Uint64(a), Value::Uint64(b)) => a == b,
        (Value::Float(a), Value::Float(b)) => a == b,
        (Value::Str(a), Value::Str(b)) => a == b,
        (Value::Bytes(a), Value::Bytes(b)) => a == b,
        (Value::List(a), Value::List(b)) => {
            a.element == b.element
                && a.items.len() == b.items.len()
                && a.items.iter().zip(b.items.iter()).all(|(a, b)| equal(a, b, depth + 1))
        }
        (Value::Map(a), Value::Map(b)) => {
            let (left, right) = (a.entries.borrow(), b.entries.borrow());
            a.is_same(b)
                || a.element == b.element
                    && left.len() == right.len()
                    && left
                        .iter()
                        .zip(right.iter())
                        .all(|((k, a), (l, b))| k == l && equal(a, b, depth + 1))
        }
        (Value::Object(a), Value::Object(b)) => {
            std::rc::Rc::ptr_eq(a, b) || a.type_name() == b.type_name() && a.print() == b.print()
        }
        _ => false,
    }
}
