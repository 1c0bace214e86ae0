//! Durations such as `1h15m30.5s`.

use std::fmt;

use super::quote;

/// Nanoseconds, as Go's `time.Duration`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::sprig) struct Duration(pub(in crate::sprig) i64);

/// One second.
pub(in crate::sprig) const SECOND: i64 = 1_000_000_000;

impl Duration {
    /// Reads numbers with units. The error is Go's text.
    pub(in crate::sprig) fn parse(text: &str) -> Result<Self, String> {
        let invalid = || format!("time: invalid duration {}", quote(text));
        let is_negative = text.starts_with('-');
        let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
        if rest == "0" {
            return Ok(Self(0));
        }
        if rest.is_empty() {
            return Err(invalid());
        }
        let mut total = 0_i128;
        while !rest.is_empty() {
            let number = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.');
            let (number, behind) = rest.split_at(number.count());
            let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
            if whole.len() + fraction.len() == 0 || fraction.contains('.') {
                return Err(invalid());
            }
            let unit_len = behind.find(|letter: char| letter.is_ascii_digit() || letter == '.');
            let (unit, next) = behind.split_at(unit_len.unwrap_or(behind.len()));
            if unit.is_empty() {
                return Err(format!("time: missing unit in duration {}", quote(text)));
            }
            let Some(scale) = scale_of(unit) else {
                let (unit, text) = (quote(unit), quote(text));
                return Err(format!("time: unknown unit {unit} in duration {text}"));
            };
            let whole: i128 =
                if whole.is_empty() { Ok(0) } else { whole.parse() }.map_err(|_| invalid())?;
            total += whole.checked_mul(scale).ok_or_else(invalid)?;
            total += fraction_of(fraction, scale);
            if total > i128::from(i64::MAX) + i128::from(is_negative) {
                return Err(invalid());
            }
            rest = next;
        }
        let signed = if is_negative { -total } else { total };
        i64::try_from(signed).map(Self).map_err(|_| invalid())
    }

    /// To the nearest multiple, halves away from zero.
    pub(in crate::sprig) fn round(self, multiple: i64) -> Self {
        if multiple <= 0 {
            return self;
        }
        let rest = self.0 % multiple;
        let toward_zero = self.0 - rest;
        if rest.unsigned_abs() * 2 < multiple.unsigned_abs() {
            return Self(toward_zero);
        }
        Self(toward_zero.saturating_add(if self.0 < 0 { -multiple } else { multiple }))
    }
}

fn scale_of(unit: &str) -> Option<i128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// Digits behind the point as a part of the unit; more than fit do not count.
fn fraction_of(digits: &str, scale: i128) -> i128 {
    let mut value = 0;
    let mut divisor = 1_i128;
    for digit in digits.bytes().take(18) {
        value = value * 10 + i128::from(digit - b'0');
        divisor *= 10;
    }
    value * scale / divisor
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.0.unsigned_abs();
        if total == 0 {
            return f.write_str("0s");
        }
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let second = SECOND.unsigned_abs();
        match total {
            0..1_000 => return write!(f, "{total}ns"),
            1_000..1_000_000 => return write!(f, "{}µs", decimal(total, 1_000)),
            1_000_000..1_000_000_000 => return write!(f, "{}ms", decimal(total, 1_000_000)),
            _ => {}
        }
        let (hours, minutes) = (total / second / 3600, total / second / 60 % 60);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if hours > 0 || minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        write!(f, "{}s", decimal(total % (60 * second), second))
    }
}

/// `total / unit` as a decimal without zeros at its end.
fn decimal(total: u64, unit: u64) -> String {
    let (whole, rest) = (total / unit, total % unit);
    if rest == 0 {
        return whole.to_string();
    }
    let width = unit.ilog10() as usize;
    let fraction = format!("{rest:0width$}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}
