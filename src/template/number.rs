//! Number literals of templates: one literal is every type of number that can hold its value.

use super::quote::{BadChar, quote, unquote_char};

/// A number literal.
#[derive(Clone, Debug, PartialEq)]
pub struct Number {
    /// As written.
    pub text: Box<str>,
    /// Its value as a signed integer, if it is one.
    pub int: Option<i64>,
    /// Its value as an unsigned integer, if it is one.
    pub uint: Option<u64>,
    /// Its value as a float, if it is one.
    pub float: Option<f64>,
}

/// What a number literal is where nothing says which type is wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ideal {
    /// Go's `int`.
    Int(i64),
    /// Go's `float64`.
    Float(f64),
    /// An integer that no `int` can hold.
    Overflow,
}

impl Number {
    /// A character literal, quotes included.
    pub(super) fn from_char(text: &str) -> Result<Self, String> {
        let code = unquote_char(text).map_err(|error| match error {
            BadChar::Syntax => "invalid syntax".to_owned(),
            BadChar::Malformed => format!("malformed character constant: {text}"),
        })?;
        Ok(Self {
            text: text.into(),
            int: Some(code.into()),
            uint: Some(code.into()),
            float: Some(code.into()),
        })
    }

    /// A number as Go writes it. Complex ones are refused: no chart can do anything with them.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.ends_with('i') {
            return Err(format!("complex numbers such as {} are not supported", quote(text)));
        }
        let mut uint = parse_uint(text);
        let mut int = parse_int(text);
        if int == Some(0) {
            uint = Some(0);
        }
        let mut float = match (int, uint) {
            (Some(value), _) => Some(value as f64),
            (None, Some(value)) => Some(value as f64),
            (None, None) => None,
        };
        if float.is_none()
            && let Some(value) = parse_float(text)
        {
            if !text.contains(['.', 'e', 'E', 'p', 'P']) {
                return Err(format!("integer overflow: {}", quote(text)));
            }
            float = Some(value);
            int = exact_int(value);
            uint = exact_uint(value);
        }
        if float.is_none() {
            return Err(format!("illegal number syntax: {}", quote(text)));
        }
        Ok(Self { text: text.into(), int, uint, float })
    }

    /// Its value where nothing says which type is wanted: the way it is written decides.
    pub fn ideal(&self) -> Ideal {
        let is_char = self.text.starts_with('\'');
        let is_hex_int = (self.text.starts_with("0x") || self.text.starts_with("0X"))
            && !self.text.contains(['p', 'P']);
        let looks_like_float = self.text.contains(['.', 'e', 'E', 'p', 'P']);
        match (self.float, self.int) {
            (Some(value), _) if !is_char && !is_hex_int && looks_like_float => Ideal::Float(value),
            (_, Some(value)) => Ideal::Int(value),
            _ => Ideal::Overflow,
        }
    }
}

const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;

fn exact_int(value: f64) -> Option<i64> {
    ((-TWO_TO_63..TWO_TO_63).contains(&value) && value.trunc() == value).then_some(value as i64)
}

fn exact_uint(value: f64) -> Option<u64> {
    ((0.0..2.0 * TWO_TO_63).contains(&value) && value.trunc() == value).then_some(value as u64)
}

/// Go's `strconv.ParseUint(text, 0, 64)`.
pub(crate) fn parse_uint(text: &str) -> Option<u64> {
    if !underscores_are_well_placed(text) {
        return None;
    }
    let (radix, digits) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &text[2..]),
        [b'0', b'o' | b'O', ..] => (8, &text[2..]),
        [b'0', b'b' | b'B', ..] => (2, &text[2..]),
        [b'0', _, ..] => (8, &text[1..]),
        _ => (10, text),
    };
    let digits = digits.replace('_', "");
    if digits.starts_with(['+', '-']) {
        return None;
    }
    u64::from_str_radix(&digits, radix).ok()
}

/// Go's `strconv.ParseInt(text, 0, 64)`.
pub(crate) fn parse_int(text: &str) -> Option<i64> {
    let (negative, magnitude) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let magnitude = i128::from(parse_uint(magnitude)?);
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

/// Go's `strconv.ParseFloat(text, 64)` for numbers, hexadecimal ones included.
fn parse_float(text: &str) -> Option<f64> {
    if !underscores_are_well_placed(text) {
        return None;
    }
    let text = text.replace('_', "");
    let (sign, magnitude) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(&text)),
    };
    let value = match magnitude.strip_prefix("0x").or_else(|| magnitude.strip_prefix("0X")) {
        Some(hexadecimal) => parse_hex_float(hexadecimal)?,
        None if magnitude.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
            magnitude.parse::<f64>().ok()?
        }
        None => return None,
    };
    value.is_finite().then_some(sign * value)
}

/// `MANTISSA p EXPONENT` behind the `0x`. Exact as long as the mantissa has at most 53 bits.
fn parse_hex_float(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once(['p', 'P'])?;
    let exponent: i32 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    let mantissa = u64::from_str_radix(&digits, 16).ok()? as f64;
    Some(mantissa * 2f64.powi(exponent.checked_sub(4 * i32::try_from(fraction.len()).ok()?)?))
}

/// Whether every underscore stands between digits, or between a base prefix and a digit.
fn underscores_are_well_placed(text: &str) -> bool {
    if !text.contains('_') {
        return true;
    }
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let prefixed = matches!(text.as_bytes(), [b'0', b'x' | b'X' | b'o' | b'O' | b'b' | b'B', ..]);
    let is_hex = matches!(text.as_bytes(), [b'0', b'x' | b'X', ..]);
    let mut before_is_digit = prefixed;
    let mut pending = false;
    for c in text[if prefixed { 2 } else { 0 }..].chars() {
        let is_digit = c.is_ascii_digit() || is_hex && c.is_ascii_hexdigit();
        if pending && !is_digit || c == '_' && !before_is_digit {
            return false;
        }
        pending = c == '_';
        before_is_digit = is_digit;
    }
    !pending
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_is_every_number_that_can_hold_it() {
        let check = |text: &str, int: Option<i64>, uint: Option<u64>, float: f64| {
            let number = if text.starts_with('\'') {
                Number::from_char(text).unwrap()
            } else {
                Number::parse(text).unwrap()
            };
            assert_eq!((number.int, number.uint, number.float), (int, uint, Some(float)), "{text}");
        };
        check("0", Some(0), Some(0), 0.0);
        check("-0", Some(0), Some(0), 0.0);
        check("73", Some(73), Some(73), 73.0);
        check("7_3", Some(73), Some(73), 73.0);
        check("0b10_010_01", Some(73), Some(73), 73.0);
        check("0B10_010_01", Some(73), Some(73), 73.0);
        check("073", Some(0o73), Some(0o73), 59.0);
        check("0o73", Some(0o73), Some(0o73), 59.0);
        check("0x73", Some(0x73), Some(0x73), 115.0);
        check("0x7_3", Some(0x73), Some(0x73), 115.0);
        check("-73", Some(-73), None, -73.0);
        check("+73", Some(73), None, 73.0);
        check("100", Some(100), Some(100), 100.0);
        check("1e1", Some(10), Some(10), 10.0);
        check("1E1", Some(10), Some(10), 10.0);
        check("1e19", None, Some(10_000_000_000_000_000_000), 1e19);
        check("-1.2", None, None, -1.2);
        check("4.2", None, None, 4.2);
        check("0x1.p4", Some(16), Some(16), 16.0);
        check("0x_1p4", Some(16), Some(16), 16.0);
        check("18446744073709551615", None, Some(u64::MAX), u64::MAX as f64);
        check("'a'", Some(97), Some(97), 97.0);
        check(r"'\n'", Some(10), Some(10), 10.0);
    }

    #[test]
    fn malformed_literals_are_refused_in_gos_words() {
        for (text, message) in [
            ("018446744073709551616", "integer overflow: \"018446744073709551616\""),
            ("089", "integer overflow: \"089\""),
            ("1__2", "illegal number syntax: \"1__2\""),
            ("1_", "illegal number syntax: \"1_\""),
            ("0x", "illegal number syntax: \"0x\""),
            ("1e", "illegal number syntax: \"1e\""),
            (".", "illegal number syntax: \".\""),
            ("+-1", "illegal number syntax: \"+-1\""),
            ("1e999", "illegal number syntax: \"1e999\""),
            ("2i", "complex numbers such as \"2i\" are not supported"),
        ] {
            assert_eq!(Number::parse(text).unwrap_err(), message);
        }
        assert_eq!(Number::from_char("'xx'").unwrap_err(), "malformed character constant: 'xx'");
        assert_eq!(Number::from_char("''").unwrap_err(), "invalid syntax");
    }

    #[test]
    fn the_way_a_number_is_written_decides_its_type() {
        let ideal = |text: &str| Number::parse(text).unwrap().ideal();
        assert_eq!(ideal("1"), Ideal::Int(1));
        assert_eq!(ideal("1.0"), Ideal::Float(1.0));
        assert_eq!(ideal("1e3"), Ideal::Float(1000.0));
        assert_eq!(ideal("0xe"), Ideal::Int(14));
        assert_eq!(ideal("0x1p4"), Ideal::Float(16.0));
        assert_eq!(ideal("18446744073709551615"), Ideal::Overflow);
        assert_eq!(Number::from_char("'e'").unwrap().ideal(), Ideal::Int(101));
    }
}
