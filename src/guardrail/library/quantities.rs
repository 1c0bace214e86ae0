//! `quantity` and what can be asked of one.

use std::sync::Arc;

use cel::extractors::This;
use cel::objects::Opaque;
use cel::{Context, ExecutionError, Value};

use super::{Any, Result, Text, of, wrong};

pub(super) const NAMES: &[&str] = &[
    "add",
    "asApproximateFloat",
    "asInteger",
    "isInteger",
    "isQuantity",
    "quantity",
    "sign",
    "sub",
];

pub(super) fn add(scope: &mut Context<'_, '_>) {
    let _ = scope.add_function("isQuantity", |text: Text| Quantity::parse(&text).is_some());
    let _ = scope.add_function("quantity", quantity);
    let _ = scope.add_function("isInteger", |This(one): This<Any>| {
        Ok::<_, ExecutionError>(of::<Quantity>(&one)?.whole().is_some())
    });
    let _ = scope.add_function("asInteger", |This(one): This<Any>| {
        of::<Quantity>(&one)?.whole().ok_or_else(|| wrong("asInteger", "it is no whole number"))
    });
    let _ = scope.add_function("asApproximateFloat", |This(one): This<Any>| {
        Ok::<_, ExecutionError>(of::<Quantity>(&one)?.approximate())
    });
    let _ = scope.add_function("sign", |This(one): This<Any>| {
        Ok::<_, ExecutionError>(of::<Quantity>(&one)?.0.signum() as i64)
    });
    let _ = scope.add_function("add", |This(one): This<Any>, other: Value| {
        computed(&one, &other, i128::checked_add)
    });
    let _ = scope.add_function("sub", |This(one): This<Any>, other: Value| {
        computed(&one, &other, i128::checked_sub)
    });
}

fn quantity(text: Text) -> Result<Value> {
    match Quantity::parse(&text) {
        Some(quantity) => Ok(Value::Opaque(Arc::new(quantity))),
        None => Err(wrong("quantity", "it is no quantity")),
    }
}

fn computed(one: &Any, other: &Value, apply: fn(i128, i128) -> Option<i128>) -> Result<Value> {
    let other = match other {
        Value::Int(number) => Quantity(i128::from(*number) * NANO),
        Value::Opaque(other) => *of::<Quantity>(other)?,
        _ => return Err(wrong("quantity", "it is no quantity")),
    };
    match apply(of::<Quantity>(one)?.0, other.0) {
        Some(number) => Ok(Value::Opaque(Arc::new(Quantity(number)))),
        None => Err(wrong("quantity", "the number is too large")),
    }
}

const NANO: i128 = 1_000_000_000;

/// A quantity such as `1.5Gi`, in billionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Quantity(i128);

impl Opaque for Quantity {
    fn runtime_type_name(&self) -> &'static str {
        "kubernetes.Quantity"
    }
}

impl Quantity {
    fn parse(text: &str) -> Option<Self> {
        let end = text
            .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-')))
            .unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (is_negative, digits) = match number.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, number.strip_prefix('+').unwrap_or(number)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !is_number(whole) || !is_number(fraction) {
            return None;
        }
        let mut nano: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        nano = nano.checked_mul(NANO)?;
        for (at, digit) in fraction.bytes().take(9).enumerate() {
            nano += i128::from(digit - b'0') * 10_i128.pow(8 - at as u32);
        }
        let scaled = scale(nano, suffix)?;
        Some(Self(if is_negative { -scaled } else { scaled }))
    }

    fn whole(self) -> Option<i64> {
        if self.0 % NANO == 0 { i64::try_from(self.0 / NANO).ok() } else { None }
    }

    fn approximate(self) -> f64 {
        self.0 as f64 / NANO as f64
    }
}

/// Billionths times what a suffix stands for.
fn scale(nano: i128, suffix: &str) -> Option<i128> {
    const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    const DECIMAL: [(&str, i32); 10] = [
        ("n", -9),
        ("u", -6),
        ("m", -3),
        ("", 0),
        ("k", 3),
        ("M", 6),
        ("G", 9),
        ("T", 12),
        ("P", 15),
        ("E", 18),
    ];
    if let Some(at) = BINARY.iter().position(|one| *one == suffix) {
        return nano.checked_mul(1_i128 << (10 * (at + 1)));
    }
    let exponent = match DECIMAL.iter().find(|(one, _)| *one == suffix) {
        Some((_, exponent)) => *exponent,
        None => suffix.strip_prefix(['e', 'E'])?.parse::<i32>().ok()?,
    };
    let power = 10_i128.checked_pow(exponent.unsigned_abs())?;
    if exponent < 0 { Some(nano / power) } else { nano.checked_mul(power) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_compare_whatever_their_suffix() {
        let of = |text: &str| Quantity::parse(text).map(|quantity| quantity.0);
        assert_eq!(of("1Ki"), of("1024"));
        assert_eq!(of("1.5G"), of("1500M"));
        assert_eq!(of("100m"), of("0.1"));
        assert_eq!(of("1e3"), of("1k"));
        assert_eq!(of("-2"), Some(-2 * NANO));
        for text in
            ["", "Gi", "1.2.3", "1 Gi", "1Gb", "--1", "99999999999999999999999999999999999Ei"]
        {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
