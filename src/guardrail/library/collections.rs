//! Lists and sets.

use std::cmp::Ordering;
use std::sync::Arc;

use cel::common::types::{CelInt, DYN_TYPE, LIST_TYPE};
use cel::common::value::CowVal;
use cel::extractors::This;
use cel::{Context, Value};

use super::{Result, wrong};

pub(super) const NAMES: &[&str] = &[
    "contains",
    "equivalent",
    "indexOf",
    "intersects",
    "isSorted",
    "lastIndexOf",
    "max",
    "min",
    "sets.contains",
    "sets.equivalent",
    "sets.intersects",
    "sum",
];

/// Pairs of items that one function may compare.
const PAIRS_MAX: usize = 10_000_000;

type List = Arc<Vec<Value>>;

pub(super) fn add(scope: &mut Context<'_, '_>) {
    let _ = scope.add_function("isSorted", |This(list): This<List>| {
        for pair in list.windows(2) {
            if compared(&pair[0], &pair[1])? == Ordering::Greater {
                return Ok(false);
            }
        }
        Ok(true)
    });
    let _ = scope.add_function("sum", |This(list): This<List>| sum(&list));
    let _ =
        scope.add_function("min", |This(list): This<List>| extreme(&list, "min", Ordering::Less));
    let _ = scope
        .add_function("max", |This(list): This<List>| extreme(&list, "max", Ordering::Greater));
    let _ = scope.add_function("sets.contains", |one: List, other: List| {
        affordable(&one, &other)?;
        Ok(other.iter().all(|item| one.contains(item)))
    });
    let _ = scope.add_function("sets.equivalent", |one: List, other: List| {
        affordable(&one, &other)?;
        let holds = |one: &List, other: &List| other.iter().all(|item| one.contains(item));
        Ok(holds(&one, &other) && holds(&other, &one))
    });
    let _ = scope.add_function("sets.intersects", |one: List, other: List| {
        affordable(&one, &other)?;
        Ok(one.iter().any(|item| other.contains(item)))
    });
}

/// `indexOf` and `lastIndexOf` of lists, beside those of texts.
pub(super) fn declare(env: &mut cel::Env) {
    for (name, id, op) in [
        ("indexOf", "list.indexOf(dyn)", index_of as cel::common::functions::Function),
        ("lastIndexOf", "list.lastIndexOf(dyn)", last_index_of),
    ] {
        let added = env.add_member_overload(name, id, LIST_TYPE, vec![DYN_TYPE], op);
        debug_assert!(added.is_ok(), "{name}: {added:?}");
    }
}

type Args<'b, 'v> = Vec<CowVal<'b, 'v>>;

fn index_of<'b, 'v>(args: Args<'b, 'v>) -> Result<CowVal<'b, 'v>> {
    Ok(CowVal::owned(CelInt::from(positions(&args)?.next().map_or(-1, |at| at as i64))))
}

fn last_index_of<'b, 'v>(args: Args<'b, 'v>) -> Result<CowVal<'b, 'v>> {
    Ok(CowVal::owned(CelInt::from(positions(&args)?.last().map_or(-1, |at| at as i64))))
}

/// Where in a list an item is.
fn positions<'a>(args: &'a Args<'_, '_>) -> Result<impl Iterator<Item = usize> + 'a> {
    let [list, item] = args.as_slice() else { return Err(wrong("indexOf", "it takes an item")) };
    let list = list.as_ref().as_iterable().ok_or_else(|| wrong("indexOf", "it is no list"))?;
    let (mut items, mut found) = (list.iter(), Vec::new());
    let mut at = 0;
    while let Some(one) = items.next() {
        if one.equals(item.as_ref()) {
            found.push(at);
        }
        at += 1;
    }
    Ok(found.into_iter())
}

fn affordable(one: &List, other: &List) -> Result<()> {
    if one.len().saturating_mul(other.len()) > PAIRS_MAX {
        return Err(wrong("sets", "the lists are too long to be compared"));
    }
    Ok(())
}

fn compared(one: &Value, other: &Value) -> Result<Ordering> {
    one.partial_cmp(other).ok_or_else(|| wrong("lists", "the items have no order"))
}

fn extreme(list: &List, name: &str, wanted: Ordering) -> Result<Value> {
    let mut items = list.iter();
    let Some(mut best) = items.next() else {
        return Err(wrong(name, &format!("{name} called on empty list")));
    };
    for item in items {
        if compared(item, best)? == wanted {
            best = item;
        }
    }
    Ok(best.clone())
}

/// Of whole numbers, floating-point numbers or durations; nothing at all is 0.
fn sum(list: &List) -> Result<Value> {
    let too_large = || wrong("sum", "the sum is too large");
    let mut items = list.iter();
    let Some(mut total) = items.next().cloned() else { return Ok(Value::Int(0)) };
    if !matches!(total, Value::Int(_) | Value::UInt(_) | Value::Float(_) | Value::Duration(_)) {
        return Err(wrong("sum", "the items have no sum"));
    }
    for item in items {
        total = match (&total, item) {
            (Value::Int(a), Value::Int(b)) => Value::Int(a.checked_add(*b).ok_or_else(too_large)?),
            (Value::UInt(a), Value::UInt(b)) => {
                Value::UInt(a.checked_add(*b).ok_or_else(too_large)?)
            }
            (Value::Float(a), Value::Float(b)) => Value::Float(a + b),
            (Value::Duration(a), Value::Duration(b)) => {
                Value::Duration(a.checked_add(b).ok_or_else(too_large)?)
            }
            _ => return Err(wrong("sum", "the items are of several types")),
        };
    }
    Ok(total)
}
