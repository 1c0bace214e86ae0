//! Functions that Kubernetes adds to CEL, as `k8s.io/apiserver/pkg/cel/library` of 1.35 has them, and
//! the sets of CEL itself.

mod addresses;
mod collections;
mod formats;
mod loops;
mod quantities;
mod urls;
mod versions;

use std::cmp::Ordering;
use std::sync::Arc;

use cel::extractors::This;
use cel::objects::Opaque;
use cel::{Context, ExecutionError, Value};

use self::quantities::Quantity;
use self::versions::Version;

/// Functions of several types.
const COMMON: &[&str] = &["compareTo", "find", "findAll", "isGreaterThan", "isLessThan"];

/// Whether [`add`] adds a function of this name.
pub(super) fn has(name: &str) -> bool {
    let parts = [
        COMMON,
        addresses::NAMES,
        collections::NAMES,
        formats::NAMES,
        loops::NAMES,
        quantities::NAMES,
        urls::NAMES,
        versions::NAMES,
    ];
    parts.iter().any(|names| names.contains(&name))
}

/// Adds to functions that CEL itself has those of other types.
pub(super) fn declare(env: &mut cel::Env) {
    addresses::declare(env);
    collections::declare(env);
    loops::declare(env);
}

type Text = Arc<String>;
type Any = Arc<dyn Opaque>;
type Result<T> = std::result::Result<T, ExecutionError>;

/// Adds them. A name that the evaluator took for itself meanwhile keeps its meaning there.
pub(super) fn add(scope: &mut Context<'_, '_>) {
    let _ = scope.add_function("find", find);
    let _ = scope.add_function("findAll", find_all);
    let _ = scope.add_function("isLessThan", |This(one): This<Any>, other: Any| {
        Ok::<_, ExecutionError>(order(&one, &other)? == Ordering::Less)
    });
    let _ = scope.add_function("isGreaterThan", |This(one): This<Any>, other: Any| {
        Ok::<_, ExecutionError>(order(&one, &other)? == Ordering::Greater)
    });
    let _ = scope.add_function("compareTo", |This(one): This<Any>, other: Any| {
        Ok::<_, ExecutionError>(order(&one, &other)? as i64)
    });
    quantities::add(scope);
    addresses::add(scope);
    collections::add(scope);
    formats::add(scope);
    loops::add(scope);
    urls::add(scope);
    versions::add(scope);
}

/// Quantities and versions have an order.
fn order(one: &Any, other: &Any) -> Result<Ordering> {
    if let Some(version) = one.downcast_ref::<Version>() {
        return Ok(version.order(of::<Version>(other)?));
    }
    Ok(of::<Quantity>(one)?.cmp(of::<Quantity>(other)?))
}

fn wrong(function: &str, message: &str) -> ExecutionError {
    ExecutionError::function_error(function, message)
}

fn of<T: 'static>(value: &Any) -> Result<&T> {
    value.downcast_ref::<T>().ok_or_else(|| ExecutionError::UnexpectedType {
        got: value.runtime_type_name().to_owned(),
        want: "another type".to_owned(),
    })
}

fn regex(pattern: &str) -> Result<regex::Regex> {
    regex::Regex::new(pattern).map_err(|_| wrong("find", "the regular expression is none"))
}

fn find(This(text): This<Text>, pattern: Text) -> Result<Value> {
    let found = regex(&pattern)?.find(&text).map_or("", |found| found.as_str()).to_owned();
    Ok(Value::String(Arc::new(found)))
}

/// All that match, or as many as are asked for; a number below zero is all.
fn find_all(
    This(text): This<Text>,
    cel::extractors::Arguments(rest): cel::extractors::Arguments,
) -> Result<Value> {
    let (pattern, most) = match rest.as_slice() {
        [Value::String(pattern)] => (pattern, usize::MAX),
        [Value::String(pattern), Value::Int(most)] => {
            (pattern, usize::try_from(*most).unwrap_or(usize::MAX))
        }
        _ => return Err(wrong("findAll", "it takes a regular expression and perhaps a number")),
    };
    let pattern = regex(pattern)?;
    let found = pattern.find_iter(&text).take(most);
    let found = found.map(|one| Value::String(Arc::new(one.as_str().to_owned()))).collect();
    Ok(Value::List(Arc::new(found)))
}
