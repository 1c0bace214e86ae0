//! Numbers: integers wrap around as Go's do, floats are added as decimals.

use super::args::{Outcome, fixed, int, parse_int, to_float, to_int, variadic};
use super::decimal::Decimal;
use crate::template::function::{Function, FunctionError, Param, Runtime};
use crate::template::value::{Element, List, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("atoi", &[Param::Str], |_, args| {
        let text = super::args::text(args, 0);
        Ok(Value::Int(parse_int(text, 10).unwrap_or_else(|| out_of_range(text))))
    }),
    fixed("int", &[Param::Any], |_, args| Ok(Value::Int(to_int(&args[0])))),
    fixed("int64", &[Param::Any], |_, args| Ok(Value::Int64(to_int(&args[0])))),
    fixed("float64", &[Param::Any], |_, args| Ok(Value::Float(to_float(&args[0])))),
    fixed("toDecimal", &[Param::Any], |_, args| {
        Ok(Value::Int64(parse_int(&args[0].to_string(), 8).unwrap_or(0)))
    }),
    fixed("add1", &[Param::Any], |_, args| Ok(Value::Int64(to_int(&args[0]).wrapping_add(1)))),
    variadic("add", &[], Param::Any, |_, args| {
        Ok(Value::Int64(args.iter().map(to_int).fold(0, i64::wrapping_add)))
    }),
    fixed("sub", &[Param::Any, Param::Any], |_, args| {
        Ok(Value::Int64(to_int(&args[0]).wrapping_sub(to_int(&args[1]))))
    }),
    variadic("mul", &[Param::Any], Param::Any, |_, args| {
        Ok(Value::Int64(args.iter().map(to_int).fold(1, i64::wrapping_mul)))
    }),
    fixed("div", &[Param::Any, Param::Any], |_, args| divide(args, i64::wrapping_div)),
    fixed("mod", &[Param::Any, Param::Any], |_, args| divide(args, i64::wrapping_rem)),
    fixed("add1f", &[Param::Any], |_, args| {
        decimal(&args[0], &[Value::Int(1)], Decimal::add, |a, b| a + b)
    }),
    variadic("addf", &[], Param::Any, |_, args| {
        decimal(&Value::Float(0.0), args, Decimal::add, |a, b| a + b)
    }),
    variadic("subf", &[Param::Any], Param::Any, |_, args| {
        decimal(&args[0], &args[1..], Decimal::sub, |a, b| a - b)
    }),
    variadic("mulf", &[Param::Any], Param::Any, |_, args| {
        decimal(&args[0], &args[1..], Decimal::mul, |a, b| a * b)
    }),
    variadic("divf", &[Param::Any], Param::Any, divf),
    variadic("max", &[Param::Any], Param::Any, |_, args| Ok(largest(args))),
    variadic("biggest", &[Param::Any], Param::Any, |_, args| Ok(largest(args))),
    variadic("min", &[Param::Any], Param::Any, |_, args| {
        Ok(Value::Int64(args.iter().map(to_int).min().unwrap_or(0)))
    }),
    variadic("maxf", &[Param::Any], Param::Any, |_, args| Ok(extreme(args, f64::max))),
    variadic("minf", &[Param::Any], Param::Any, |_, args| Ok(extreme(args, f64::min))),
    fixed("ceil", &[Param::Any], |_, args| Ok(Value::Float(to_float(&args[0]).ceil()))),
    fixed("floor", &[Param::Any], |_, args| Ok(Value::Float(to_float(&args[0]).floor()))),
    variadic("round", &[Param::Any, Param::Int], Param::Float, round),
    fixed("until", &[Param::Int], |runtime, args| {
        let end = int(args, 0);
        integers(runtime, 0, end, if end < 0 { -1 } else { 1 })
    }),
    fixed("untilStep", &[Param::Int, Param::Int, Param::Int], |runtime, args| {
        integers(runtime, int(args, 0), int(args, 1), int(args, 2))
    }),
    variadic("seq", &[], Param::Int, seq),
];

/// What `strconv.Atoi` returns along with its error: the nearest number if there are too many
/// digits, otherwise 0.
fn out_of_range(text: &str) -> i64 {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return 0;
    }
    if text.starts_with('-') { i64::MIN } else { i64::MAX }
}

fn divide(args: &[Value], operation: fn(i64, i64) -> i64) -> Outcome {
    match to_int(&args[1]) {
        0 => Err("runtime error: integer divide by zero".into()),
        divisor => Ok(Value::Int64(operation(to_int(&args[0]), divisor))),
    }
}

/// Folds `rest` into `first` as decimals, or as floats where decimals have too many digits.
fn decimal(
    first: &Value,
    rest: &[Value],
    exact: fn(Decimal, Decimal) -> Option<Decimal>,
    rough: fn(f64, f64) -> f64,
) -> Outcome {
    let mut total = decimal_of(first)?;
    for value in rest {
        let operand = decimal_of(value)?;
        total = match exact(total, operand) {
            Some(total) => total,
            None => decimal_of(&Value::Float(rough(total.to_float(), operand.to_float())))?,
        };
    }
    Ok(Value::Float(total.to_float()))
}

fn divf(_: &mut dyn Runtime, args: &[Value]) -> Outcome {
    for divisor in &args[1..] {
        if decimal_of(divisor)?.is_zero() {
            return Err("decimal division by 0".into());
        }
    }
    decimal(&args[0], &args[1..], Decimal::div, |a, b| a / b)
}

fn decimal_of(value: &Value) -> Result<Decimal, FunctionError> {
    let number = to_float(value);
    Decimal::new(number).ok_or_else(|| {
        let shown = Value::Float(number);
        FunctionError::Failed(format!("Cannot create a Decimal from {shown}"))
    })
}

fn largest(args: &[Value]) -> Value {
    Value::Int64(args.iter().map(to_int).max().unwrap_or(0))
}

/// The largest or smallest; NaN wins, as in Go.
fn extreme(args: &[Value], choose: fn(f64, f64) -> f64) -> Value {
    let numbers = args.iter().map(to_float);
    let chosen = numbers.reduce(|a, b| {
        if a.is_nan() {
            a
        } else if b.is_nan() {
            b
        } else {
            choose(a, b)
        }
    });
    Value::Float(chosen.unwrap_or(0.0))
}

fn round(_: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let round_on = args.get(2).map_or(0.5, to_float);
    let power = 10_f64.powf(int(args, 1) as f64);
    let digits = power * to_float(&args[0]);
    let rounded = if digits.fract() >= round_on { digits.ceil() } else { digits.floor() };
    Ok(Value::Float(rounded / power))
}

/// The integers from `start` to before `end`.
fn range(start: i64, end: i64, step: i64) -> impl Iterator<Item = i64> + Clone {
    let is_empty = step == 0 || (end < start) != (step < 0);
    let first = (!is_empty && start != end).then_some(start);
    std::iter::successors(first, move |at| {
        at.checked_add(step).filter(|next| if step > 0 { *next < end } else { *next > end })
    })
}

fn range_len(start: i64, end: i64, step: i64) -> u64 {
    start.abs_diff(end) / step.unsigned_abs().max(1)
}

fn integers(runtime: &mut dyn Runtime, start: i64, end: i64, step: i64) -> Outcome {
    runtime.charge(range_len(start, end, step))?;
    let items: Vec<Value> = range(start, end, step).map(Value::Int).collect();
    Ok(Value::List(List { element: Element::Int, items: items.into() }))
}

fn seq(runtime: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let (start, step, last) = match args.len() {
        1 => (1, None, int(args, 0)),
        2 => (int(args, 0), None, int(args, 1)),
        3 => (int(args, 0), Some(int(args, 1)), int(args, 2)),
        _ => return Ok(Value::str("")),
    };
    let direction = if last < start { -1 } else { 1 };
    if direction < 0 && step.is_some_and(|step| step > 0) {
        return Ok(Value::str(""));
    }
    let (end, step) = (last.saturating_add(direction), step.unwrap_or(direction));
    runtime.charge(range_len(start, end, step))?;
    let numbers: Vec<String> = range(start, end, step).map(|number| number.to_string()).collect();
    Ok(Value::str(numbers.join(" ")))
}
