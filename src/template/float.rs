//! Floating-point numbers as Go's `strconv.FormatFloat` writes them.

use std::fmt::Write as _;

/// The format of a number, as Go's verbs name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notation {
    /// `%e` and `%E`: one digit, point, fraction, exponent.
    Exponent,
    /// `%f`: no exponent.
    Plain,
    /// `%g` and `%G`: the shorter of the two.
    Shorter,
    /// `%b`: an integer and a power of two.
    Binary,
    /// `%x` and `%X`: a hexadecimal fraction and a power of two.
    Hexadecimal,
}

/// Writes a number; without a precision, with the fewest digits that read back as the same
/// number. Infinity is `+Inf` or `-Inf`.
pub fn format_float(value: f64, notation: Notation, precision: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let magnitude = value.abs();
    let text = match notation {
        Notation::Exponent => {
            let digits = Decimal::of(magnitude, precision.map(|places| places + 1));
            digits.exponent(precision.unwrap_or(digits.count().saturating_sub(1)))
        }
        Notation::Plain => match precision {
            Some(places) => format!("{magnitude:.places$}"),
            None => {
                let digits = Decimal::of(magnitude, None);
                digits.plain(digits.fraction_len())
            }
        },
        Notation::Shorter => shorter(magnitude, precision),
        Notation::Binary => binary(magnitude),
        Notation::Hexadecimal => hexadecimal(magnitude, precision),
    };
    format!("{sign}{text}")
}

/// A number as Go's `%v` prints it: `1`, `0.5`, `1e+06`.
pub fn format_shortest(value: f64) -> String {
    format_float(value, Notation::Shorter, None)
}

/// `0.d1d2d3… × 10^point`, without trailing zeros; zero has no digits.
struct Decimal {
    digits: String,
    point: i32,
}

impl Decimal {
    /// The digits of a number that is not negative: so many significant ones, or the fewest that
    /// identify it.
    fn of(value: f64, significant: Option<usize>) -> Self {
        let text = match significant {
            Some(count) => format!("{value:.*e}", count.saturating_sub(1)),
            None => format!("{value:e}"),
        };
        let (mantissa, exponent) = text.split_once('e').expect("the format has an exponent");
        let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
        let digits = digits.trim_end_matches('0');
        if digits.is_empty() {
            return Self { digits: String::new(), point: 0 };
        }
        let exponent: i32 = exponent.parse().expect("the exponent is a small integer");
        Self { digits: digits.to_owned(), point: exponent + 1 }
    }

    fn count(&self) -> usize {
        self.digits.len()
    }

    /// How many digits stand behind the point when there is no exponent.
    fn fraction_len(&self) -> usize {
        usize::try_from(self.count() as i32 - self.point).unwrap_or(0)
    }

    fn digit(&self, index: i32) -> char {
        let digit = usize::try_from(index).ok().and_then(|index| self.digits.as_bytes().get(index));
        digit.map_or('0', |digit| char::from(*digit))
    }

    fn exponent(&self, places: usize) -> String {
        let mut out = String::from(self.digit(0));
        if places > 0 {
            out.push('.');
            out.extend((1..=places).map(|index| self.digit(index as i32)));
        }
        let exponent = if self.digits.is_empty() { 0 } else { self.point - 1 };
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(out, "e{sign}{:02}", exponent.abs()).expect("writing to a String cannot fail");
        out
    }

    fn plain(&self, places: usize) -> String {
        let mut out = String::new();
        if self.point > 0 {
            out.extend((0..self.point).map(|index| self.digit(index)));
        } else {
            out.push('0');
        }
        if places > 0 {
            out.push('.');
            out.extend((0..places as i32).map(|index| self.digit(self.point + index)));
        }
        out
    }
}

fn shorter(value: f64, precision: Option<usize>) -> String {
    let significant = precision.map(|digits| digits.max(1));
    let digits = Decimal::of(value, significant);
    let count = digits.count();
    let limit = match significant {
        None => 6,
        Some(wanted) if wanted > count && count as i32 >= digits.point => count,
        Some(wanted) => wanted,
    };
    let exponent = digits.point - 1;
    // Without a precision, integers of up to 21 digits would be readable, but Go stops at six.
    if exponent < -4 || exponent >= limit as i32 {
        return digits.exponent(significant.unwrap_or(count).min(count).saturating_sub(1));
    }
    digits.plain(digits.fraction_len())
}

const FRACTION_BITS: u32 = 52;
const EXPONENT_BIAS: i32 = 1023;

/// The mantissa as an integer and the power of two it is multiplied with.
fn parts(value: f64) -> (u64, i32) {
    let bits = value.to_bits();
    let fraction = bits & ((1 << FRACTION_BITS) - 1);
    match (bits >> FRACTION_BITS) as i32 & 0x7ff {
        0 => (fraction, 1 - EXPONENT_BIAS),
        exponent => (fraction | 1 << FRACTION_BITS, exponent - EXPONENT_BIAS),
    }
}

fn binary(value: f64) -> String {
    let (mantissa, exponent) = parts(value);
    format!("{mantissa}p{:+}", exponent - FRACTION_BITS as i32)
}

fn hexadecimal(value: f64, precision: Option<usize>) -> String {
    let (mut mantissa, mut exponent) = parts(value);
    if mantissa == 0 {
        exponent = 0;
    }
    // The leading one moves to bit 60, so that the fraction is fifteen whole digits.
    mantissa <<= 60 - FRACTION_BITS;
    while mantissa != 0 && mantissa & 1 << 60 == 0 {
        mantissa <<= 1;
        exponent -= 1;
    }
    if let Some(places) = precision.filter(|places| *places < 15) {
        let shift = places * 4;
        let extra = (mantissa << shift) & ((1 << 60) - 1);
        mantissa >>= 60 - shift;
        if extra | (mantissa & 1) > 1 << 59 {
            mantissa += 1;
        }
        mantissa <<= 60 - shift;
        if mantissa & 1 << 61 != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let mut fraction = format!("{:015x}", mantissa & ((1 << 60) - 1));
    match precision {
        None => fraction.truncate(fraction.trim_end_matches('0').len()),
        Some(places) if places < 15 => fraction.truncate(places),
        Some(places) => fraction.extend(std::iter::repeat_n('0', places - 15)),
    }
    let point = if fraction.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("0x{}{point}{fraction}p{sign}{:02}", mantissa >> 60 & 1, exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_print_as_go_prints_them() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (100_000.0, "100000"),
            (123_456.0, "123456"),
            (1e6, "1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (1e21, "1e+21"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (0.1 + 0.2, "0.30000000000000004"),
            (3.4e100, "3.4e+100"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::from_bits(1), "5e-324"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(format_shortest(value), text);
        }
    }

    #[test]
    fn notations_and_precisions_are_gos() {
        use Notation::{Binary, Exponent, Hexadecimal, Plain, Shorter};
        for (value, notation, precision, text) in [
            (1.0, Exponent, Some(6), "1.000000e+00"),
            (0.0, Exponent, Some(2), "0.00e+00"),
            (123.456, Exponent, None, "1.23456e+02"),
            (1.25, Exponent, Some(1), "1.2e+00"),
            (1.35, Exponent, Some(1), "1.4e+00"),
            (0.5, Plain, Some(0), "0"),
            (1.5, Plain, Some(0), "2"),
            (2.5, Plain, Some(0), "2"),
            (123.456, Plain, Some(1), "123.5"),
            (1e23, Plain, None, "100000000000000000000000"),
            (1e-7, Plain, None, "0.0000001"),
            (100.0, Shorter, Some(3), "100"),
            (1000.0, Shorter, Some(3), "1e+03"),
            (123_456_789.0, Shorter, Some(4), "1.235e+08"),
            (0.000_123_4, Shorter, Some(2), "0.00012"),
            (400.0, Shorter, Some(2), "4e+02"),
            (1.0, Binary, None, "4503599627370496p-52"),
            (1.0, Hexadecimal, None, "0x1p+00"),
            (0.1, Hexadecimal, None, "0x1.999999999999ap-04"),
            (1.5, Hexadecimal, Some(3), "0x1.800p+00"),
            (1.999_999, Hexadecimal, Some(1), "0x1.0p+01"),
            (0.0, Hexadecimal, None, "0x0p+00"),
        ] {
            assert_eq!(format_float(value, notation, precision), text);
        }
    }
}
