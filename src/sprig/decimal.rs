//! Decimal arithmetic on floats: `addf 0.1 0.2` is 0.3.

/// A decimal number: `mantissa · 10^exponent`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decimal {
    mantissa: i128,
    exponent: i32,
}

/// Digits behind the point that a division keeps.
const DIVISION_DIGITS: i32 = 16;

impl Decimal {
    /// The shortest decimal that reads back as `number`; `None` for infinities and NaN.
    pub(super) fn new(number: f64) -> Option<Self> {
        if !number.is_finite() {
            return None;
        }
        let scientific = format!("{number:e}");
        let (digits, exponent) = scientific.split_once('e')?;
        let exponent: i32 = exponent.parse().ok()?;
        let behind_point = digits.split_once('.').map_or(0, |(_, fraction)| fraction.len() as i32);
        let mantissa = digits.replace('.', "").parse().ok()?;
        Some(Self { mantissa, exponent: exponent - behind_point })
    }

    /// The nearest float.
    pub(super) fn to_float(self) -> f64 {
        let text = format!("{}e{}", self.mantissa, self.exponent);
        text.parse().expect("digits and an exponent are a number")
    }

    /// `None` when the result has more digits than fit.
    pub(super) fn add(self, other: Self) -> Option<Self> {
        let exponent = self.exponent.min(other.exponent);
        let sum = self.at(exponent)?.checked_add(other.at(exponent)?)?;
        Some(Self { mantissa: sum, exponent })
    }

    /// `None` when the result has more digits than fit.
    pub(super) fn sub(self, other: Self) -> Option<Self> {
        self.add(Self { mantissa: other.mantissa.checked_neg()?, ..other })
    }

    /// `None` when the result has more digits than fit.
    pub(super) fn mul(self, other: Self) -> Option<Self> {
        let mantissa = self.mantissa.checked_mul(other.mantissa)?;
        Some(Self { mantissa, exponent: self.exponent.checked_add(other.exponent)? })
    }

    /// Rounds half away from zero. `None` when the result has more digits than fit, and for a
    /// division by zero.
    pub(super) fn div(self, other: Self) -> Option<Self> {
        let shift = self.exponent - other.exponent + DIVISION_DIGITS;
        let (dividend, divisor) = if shift >= 0 {
            (self.mantissa.checked_mul(power(shift)?)?, other.mantissa)
        } else {
            (self.mantissa, other.mantissa.checked_mul(power(-shift)?)?)
        };
        let quotient = dividend.checked_div(divisor)?;
        let remainder = dividend.checked_rem(divisor)?;
        let rounds_up = remainder.unsigned_abs().checked_mul(2)? >= divisor.unsigned_abs();
        let away = if (dividend < 0) == (divisor < 0) { 1 } else { -1 };
        let mantissa = if rounds_up { quotient.checked_add(away)? } else { quotient };
        Some(Self { mantissa, exponent: -DIVISION_DIGITS })
    }

    /// Whether it is zero.
    pub(super) fn is_zero(self) -> bool {
        self.mantissa == 0
    }

    fn at(self, exponent: i32) -> Option<i128> {
        if self.mantissa == 0 {
            return Some(0);
        }
        self.mantissa.checked_mul(power(self.exponent - exponent)?)
    }
}

fn power(exponent: i32) -> Option<i128> {
    10_i128.checked_pow(u32::try_from(exponent).ok()?)
}
