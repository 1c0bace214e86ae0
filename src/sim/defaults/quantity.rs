//! Quantities in the one form that the API server gives them: `0.5` is `500m`, `1024Mi` is `1Gi`.

use serde_json::{Map, Value as Json};

/// Puts every amount of the map at a path into its canonical form.
pub(super) fn resources(object: &mut Json, path: &[&str]) {
    let amounts = path.iter().try_fold(object, |value, step| value.get_mut(step));
    let amounts = amounts.and_then(Json::as_object_mut);
    for amount in amounts.into_iter().flat_map(Map::values_mut) {
        settle(amount);
    }
}

/// Puts the amount at a path into its canonical form.
pub(super) fn at(object: &mut Json, path: &[&str]) {
    if let Some(amount) = path.iter().try_fold(object, |value, step| value.get_mut(step)) {
        settle(amount);
    }
}

/// Whether one amount is more than another; no for what is no quantity.
pub(in crate::sim) fn is_more(a: &str, b: &str) -> bool {
    nanos(a).zip(nanos(b)).is_some_and(|(a, b)| a > b)
}

/// Whether a quantity may end so.
pub(in crate::sim) fn is_suffix(text: &str) -> bool {
    let is_power = |power: &str| power.parse::<i32>().is_ok();
    DECIMAL.contains(&text)
        || BINARY.contains(&text)
        || text.strip_prefix(['e', 'E']).is_some_and(is_power)
}

fn parts(text: &str) -> (&str, &str) {
    let digits = text.find(|c: char| !"+-.0123456789".contains(c)).unwrap_or(text.len());
    text.split_at(digits)
}

fn nanos(text: &str) -> Option<i128> {
    let (number, suffix) = parts(text);
    let binary = BINARY.iter().skip(1).position(|unit| *unit == suffix);
    if let Some(power) = binary {
        return scaled(number, 1024_i128.checked_pow(power as u32 + 1)?, NANO);
    }
    let power = DECIMAL.iter().position(|unit| *unit == suffix)?;
    scaled(number, 1000_i128.checked_pow(power as u32)?, 1)
}

fn settle(amount: &mut Json) {
    let text = match amount {
        Json::String(text) => text.clone(),
        Json::Number(number) => number.to_string(),
        _ => return,
    };
    // What is no quantity stays: the server would refuse it.
    if let Some(canonical) = canonical(&text) {
        *amount = Json::from(canonical);
    }
}

const NANO: i128 = 1_000_000_000;
const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// The canonical form; nothing for what is no quantity or too large to reckon with.
fn canonical(text: &str) -> Option<String> {
    let (number, suffix) = parts(text);
    let Some(nanos) = nanos(text) else { return exponent(number, suffix) };
    let is_binary = BINARY[1..].contains(&suffix);
    if is_binary && (nanos.abs() >= 1024 * NANO || nanos % NANO == 0) && nanos != 0 {
        // Parts of bytes are rounded up.
        let mut bytes = nanos / NANO + i128::from(nanos % NANO > 0);
        let mut power = 0;
        while bytes % 1024 == 0 && power + 1 < BINARY.len() {
            bytes /= 1024;
            power += 1;
        }
        return Some(format!("{bytes}{}", BINARY[power]));
    }
    Some(decimal_text(nanos))
}

/// The least power of a thousand that leaves a whole number, not below thousandths.
fn decimal_text(nanos: i128) -> String {
    if nanos == 0 {
        return "0".to_owned();
    }
    let mut value = nanos / 1_000_000 + i128::from(nanos % 1_000_000 > 0);
    let mut power = 2;
    while value % 1000 == 0 && power + 1 < DECIMAL.len() {
        value /= 1000;
        power += 1;
    }
    format!("{value}{}", DECIMAL[power])
}

/// `12e6` keeps its form, with an exponent that three divides.
fn exponent(number: &str, suffix: &str) -> Option<String> {
    let power: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    let power = u32::try_from(power + 9).ok().filter(|power| *power < 30)?;
    let mut value = scaled(number, 10_i128.checked_pow(power)?, 1)?;
    if value == 0 {
        return Some("0".to_owned());
    }
    let mut power = -9;
    while value % 1000 == 0 {
        value /= 1000;
        power += 3;
    }
    Some(if power == 0 { value.to_string() } else { format!("{value}e{power}") })
}

/// A decimal number times `factor` times `unit`, rounded away from nothing.
fn scaled(number: &str, factor: i128, unit: i128) -> Option<i128> {
    let (sign, number) = match number.strip_prefix('-') {
        Some(number) => (-1, number),
        None => (1, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + part.len() == 0 || part.len() > 18 || whole.len() > 18 {
        return None;
    }
    let digits: i128 = format!("{whole}{part}").parse().ok()?;
    let product = digits.checked_mul(factor)?.checked_mul(unit)?;
    let divisor = 10_i128.pow(part.len() as u32);
    Some(sign * (product / divisor + i128::from(product % divisor > 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_quantity_has_one_form() {
        let table = [
            ("0.5", "500m"),
            ("1000m", "1"),
            ("100m", "100m"),
            ("2", "2"),
            ("1.5", "1500m"),
            ("0.0001", "1m"),
            ("1000", "1k"),
            ("1500", "1500"),
            ("100000000", "100M"),
            ("1024Mi", "1Gi"),
            ("0.5Gi", "512Mi"),
            ("1.5Gi", "1536Mi"),
            ("1500Mi", "1500Mi"),
            ("1023Ki", "1023Ki"),
            ("0", "0"),
            ("0Mi", "0"),
            ("-1", "-1"),
            ("1e3", "1e3"),
            ("12e6", "12e6"),
            ("1k", "1k"),
            ("1G", "1G"),
            (".5", "500m"),
            ("+3", "3"),
        ];
        for (text, expected) in table {
            assert_eq!(canonical(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "x", "1 Gi", "1.2.3", "Mi", "1e"] {
            assert_eq!(canonical(text), None, "{text}");
        }
    }
}
