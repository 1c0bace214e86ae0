//! Access to arguments, and the conversions that sprig borrows from Go's `cast` package.

use std::rc::Rc;

use crate::base::limits::TEMPLATE_MEMORY;
use crate::template::function::{Function, FunctionError, Param, Runtime};
use crate::template::value::{List, Map, Str, Value};

/// What a function body returns.
pub(super) type Outcome = Result<Value, FunctionError>;

/// The body of a function.
pub(super) type Body = fn(&mut dyn Runtime, &[Value]) -> Outcome;

/// Go's text for what happens where sprig asks nil for its type.
pub(super) const NIL_DEREFERENCE: &str =
    "runtime error: invalid memory address or nil pointer dereference";

/// A function with a fixed number of parameters.
pub(super) const fn fixed(name: &'static str, params: &'static [Param], body: Body) -> Function {
    Function { name, params, variadic: None, body }
}

/// A function with any number of arguments of one type behind the fixed ones.
pub(super) const fn variadic(
    name: &'static str,
    params: &'static [Param],
    more: Param,
    body: Body,
) -> Function {
    Function { name, params, variadic: Some(more), body }
}

/// A parameter declared `string`.
pub(super) fn text(args: &[Value], at: usize) -> &str {
    shared_text(args, at)
}

/// A parameter declared `string`, to be shared.
pub(super) fn shared_text(args: &[Value], at: usize) -> &Str {
    match &args[at] {
        Value::Str(text) => text,
        other => unreachable!("argument {at} was checked to be a string, not {other:?}"),
    }
}

/// A parameter declared `int` or `int64`.
pub(super) fn int(args: &[Value], at: usize) -> i64 {
    match &args[at] {
        Value::Int(number) | Value::Int64(number) => *number,
        other => unreachable!("argument {at} was checked to be an integer, not {other:?}"),
    }
}

/// A parameter declared `map[string]interface {}`. Go's nil map reads as an empty one.
pub(super) fn map(args: &[Value], at: usize) -> Map {
    match &args[at] {
        Value::Map(map) => map.clone(),
        Value::Nil => Map::default(),
        other => unreachable!("argument {at} was checked to be a map, not {other:?}"),
    }
}

/// A list with the static type of its elements, if Go sees a slice here.
pub(super) fn list(value: &Value) -> Option<List> {
    match value {
        Value::List(list) => Some(list.clone()),
        Value::Bytes(bytes) => {
            let items = bytes.iter().map(|byte| Value::Uint8(*byte)).collect();
            Some(List { items: Rc::new(items), ..List::default() })
        }
        Value::Object(object) if object.kind() == "slice" => match object.plain() {
            Value::List(list) => Some(list),
            _ => None,
        },
        _ => None,
    }
}

/// Go's text for an index outside of a string: `[:end] with length` and its relatives.
pub(super) fn out_of_bounds(range: &str) -> FunctionError {
    FunctionError::Failed(format!("runtime error: slice bounds out of range [{range}"))
}

/// Go's conversion of a float to an integer on the common machines: beyond the range is the
/// smallest integer.
pub(super) fn truncate(number: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&number) { number as i64 } else { i64::MIN }
}

/// `cast.ToInt64`: anything that is not a number is 0.
pub(super) fn to_int(value: &Value) -> i64 {
    match value {
        Value::Int(number) | Value::Int64(number) => *number,
        Value::Uint8(number) => i64::from(*number),
        Value::Uint64(number) => *number as i64,
        Value::Float(number) => truncate(*number),
        Value::Bool(flag) => i64::from(*flag),
        Value::Str(text) => parse_int(trim_zero_decimals(text), 0).unwrap_or(0),
        other => super::time::Month::number_of(other).unwrap_or(0),
    }
}

/// `cast.ToFloat64`: anything that is not a number is 0.
pub(super) fn to_float(value: &Value) -> f64 {
    match value {
        Value::Int(number) | Value::Int64(number) => *number as f64,
        Value::Uint8(number) => f64::from(*number),
        Value::Uint64(number) => *number as f64,
        Value::Float(number) => *number,
        Value::Bool(flag) => f64::from(u8::from(*flag)),
        Value::Str(text) => parse_float(text).unwrap_or(0.0),
        other => super::time::Month::number_of(other).map_or(0.0, |number| number as f64),
    }
}

/// Without `.000` at the end.
fn trim_zero_decimals(text: &str) -> &str {
    let kept = text.trim_end_matches('0');
    match kept.strip_suffix('.') {
        Some(whole) if kept.len() < text.len() => whole,
        _ => text,
    }
}

/// Go's `strconv.ParseInt`. With base 0 the prefix tells the base and underscores may separate
/// digits.
pub(super) fn parse_int(text: &str, base: u32) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (base, digits) = if base == 0 { detect_base(digits)? } else { (base, digits.to_owned()) };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(base)) {
        return None;
    }
    let magnitude = i128::from_str_radix(&digits, base).ok()?;
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

/// The base that a prefix asks for, and the digits behind it without underscores.
fn detect_base(digits: &str) -> Option<(u32, String)> {
    let lower = digits.to_ascii_lowercase();
    let (base, rest) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &digits[2..]),
        [b'0', b'b', ..] => (2, &digits[2..]),
        [b'0', b'o', ..] => (8, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if !rest.contains('_') {
        return Some((base, rest.to_owned()));
    }
    let prefixed = rest.len() < digits.len();
    let inner = if prefixed { rest.strip_prefix('_').unwrap_or(rest) } else { rest };
    let well_placed = !inner.starts_with('_') && !inner.ends_with('_') && !inner.contains("__");
    well_placed.then(|| (base, inner.replace('_', "")))
}

/// Go's `strconv.ParseFloat`.
pub(super) fn parse_float(text: &str) -> Option<f64> {
    if text.contains('_') {
        let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
        let bytes = text.as_bytes();
        let is_placed = |at: usize| is_digit(bytes[..at].last()) && is_digit(bytes.get(at + 1));
        let is_well_placed = text.match_indices('_').all(|(at, _)| is_placed(at));
        return is_well_placed.then(|| parse_float(&text.replace('_', ""))).flatten();
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let lower = unsigned.to_ascii_lowercase();
    if let Some(digits) = lower.strip_prefix("0x") {
        let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
        return parse_hex_float(digits).map(|value| sign * value);
    }
    let special = matches!(lower.as_str(), "inf" | "infinity" | "nan");
    if !special && !unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    if lower == "nan" && unsigned.len() < text.len() {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    (special || value.is_finite()).then_some(value)
}

/// A hexadecimal mantissa with a binary exponent, which Go requires.
fn parse_hex_float(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once('p')?;
    let exponent: i32 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let bits = u64::from_str_radix(&digits, 16).ok()?;
    Some(bits as f64 * 2f64.powi(exponent - 4 * fraction.len() as i32))
}

/// Spends as much memory as copies of these values would take. For functions that go through all
/// that is in their arguments: values can hold one another many times over.
pub(super) fn weigh(runtime: &mut dyn Runtime, values: &[Value]) -> Result<(), FunctionError> {
    values.iter().try_for_each(|value| runtime.allocate(value.weight(TEMPLATE_MEMORY)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_float_beyond_the_integers_becomes_the_smallest() {
        assert_eq!(truncate(1e19), i64::MIN);
        assert_eq!(truncate(-1.9), -1);
    }

    #[test]
    fn a_prefix_tells_the_base_of_a_text() {
        for (text, number) in [
            ("0x1F", Some(31)),
            ("017", Some(15)),
            ("08", None),
            ("0b11", Some(3)),
            ("1_000", Some(1000)),
            ("_1", None),
            ("-0x8000000000000000", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("0", Some(0)),
            ("", None),
            ("1.5", None),
        ] {
            assert_eq!(parse_int(text, 0), number, "{text}");
        }
        assert_eq!(to_int(&Value::str("12.000")), 12);
        assert_eq!(to_int(&Value::str("100")), 100);
    }
}
