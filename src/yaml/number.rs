//! Floating-point numbers as Go prints them.

use std::fmt::Write as _;

use serde_json::Value as Json;

/// Shortest decimal digits of a positive finite number, and the power of ten of the first digit.
fn digits(value: f64) -> (String, i32) {
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (mantissa.replace('.', ""), exponent.parse().unwrap_or_default())
}

fn scientific(digits: &str, exponent: i32) -> String {
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{first}{point}{rest}e{sign}{:02}", exponent.abs())
}

fn positional(digits: &str, exponent: i32) -> String {
    let mut text = String::new();
    if exponent < 0 {
        text.push_str("0.");
        text.extend(std::iter::repeat_n('0', (-exponent - 1) as usize));
        text.push_str(digits);
        return text;
    }
    let whole = exponent as usize + 1;
    if digits.len() <= whole {
        text.push_str(digits);
        text.extend(std::iter::repeat_n('0', whole - digits.len()));
    } else {
        text.push_str(&digits[..whole]);
        let _ = write!(text, ".{}", &digits[whole..]);
    }
    text
}

fn signed(value: f64, print: impl FnOnce(f64) -> String) -> String {
    let text = print(value.abs());
    if value.is_sign_negative() { format!("-{text}") } else { text }
}

/// Go's `%v` and `strconv.FormatFloat(value, 'g', -1, 64)`: `1e+06`, `0.5`, `NaN`, `+Inf`.
pub fn general(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() };
    }
    signed(value, |value| {
        if value == 0.0 {
            return "0".to_owned();
        }
        let (digits, exponent) = digits(value);
        if (-4..GENERAL_EXPONENT_MAX).contains(&exponent) {
            positional(&digits, exponent)
        } else {
            scientific(&digits, exponent)
        }
    })
}

/// From this power of ten on, `g` writes an exponent.
const GENERAL_EXPONENT_MAX: i32 = 6;

/// Go's `encoding/json`: `1000000`, `1e+21`, `1e-7`. `None` where JSON has no such number.
pub fn json(value: f64) -> Option<String> {
    if !value.is_finite() {
        return None;
    }
    Some(signed(value, |value| {
        if value == 0.0 {
            return "0".to_owned();
        }
        let (digits, exponent) = digits(value);
        if (1e-6..1e21).contains(&value) {
            return positional(&digits, exponent);
        }
        let text = scientific(&digits, exponent);
        // Go's encoder drops the zero of a one-digit negative exponent.
        match text.split_once("e-0") {
            Some((mantissa, digit)) => format!("{mantissa}e-{digit}"),
            None => text,
        }
    }))
}

/// As [`general`], with the digits of a 32-bit float.
pub fn general_32(value: f32) -> String {
    // The shortest digits of the 32-bit number, read back as the 64-bit number nearest to them.
    general(format!("{value:e}").parse().unwrap_or(f64::from(value)))
}

/// Below this, a float is exact where it is whole.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Whole floats as integers, since values that were read from YAML are floats.
pub fn whole_numbers(value: &Json) -> Json {
    match value {
        Json::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < EXACT_MAX => {
                Json::from(float as i64)
            }
            _ => value.clone(),
        },
        Json::Array(items) => items.iter().map(whole_numbers).collect(),
        Json::Object(entries) => Json::Object(
            entries.iter().map(|(key, value)| (key.clone(), whole_numbers(value))).collect(),
        ),
        other => other.clone(),
    }
}
