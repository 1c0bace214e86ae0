//! What Go's format verbs do with strings, numbers and booleans once their flags are known.

use std::iter::repeat_n;

use super::float::{Notation, format_float};
use super::quote::{can_backquote, is_printable, quote, quote_ascii, quote_char};

/// The flags, width and precision of one verb.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    pub(super) minus: bool,
    pub(super) plus: bool,
    pub(super) sharp: bool,
    pub(super) space: bool,
    pub(super) zero: bool,
    /// `%+v`: `plus` is off then.
    pub(super) plus_v: bool,
    /// `%#v`: `sharp` is off then.
    pub(super) sharp_v: bool,
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
}

/// An integer as Go has it before it is printed: bits, and whether the highest one is a sign.
#[derive(Clone, Copy, Debug)]
pub(super) struct Integer {
    pub(super) bits: u64,
    pub(super) signed: bool,
}

impl Integer {
    /// As a character; what is none becomes the replacement character.
    fn to_char(self) -> char {
        u32::try_from(self.bits)
            .ok()
            .and_then(char::from_u32)
            .unwrap_or(char::REPLACEMENT_CHARACTER)
    }
}

impl Layout {
    fn pad_char(&self) -> char {
        if self.zero && !self.minus { '0' } else { ' ' }
    }

    /// Writes `text`, padded to the width.
    pub(super) fn pad(&self, out: &mut String, text: &str) {
        self.pad_with(out, text, self.pad_char());
    }

    fn pad_with(&self, out: &mut String, text: &str, fill: char) {
        let missing = match self.width {
            Some(width) if width > 0 => width.saturating_sub(text.chars().count()),
            _ => 0,
        };
        if !self.minus {
            out.extend(repeat_n(fill, missing));
        }
        out.push_str(text);
        if self.minus {
            out.extend(repeat_n(fill, missing));
        }
    }

    fn truncate<'a>(&self, text: &'a str) -> &'a str {
        match self.precision.and_then(|count| text.char_indices().nth(count)) {
            Some((end, _)) => &text[..end],
            None => text,
        }
    }

    /// `%s`.
    pub(super) fn string(&self, out: &mut String, text: &str) {
        self.pad(out, self.truncate(text));
    }

    /// `%q`.
    pub(super) fn quoted(&self, out: &mut String, text: &str) {
        let text = self.truncate(text);
        if self.sharp && can_backquote(text) {
            self.pad(out, &format!("`{text}`"));
        } else if self.plus {
            self.pad(out, &quote_ascii(text));
        } else {
            self.pad(out, &quote(text));
        }
    }

    /// `%x` and `%X` of a string or bytes.
    pub(super) fn hexadecimal(&self, out: &mut String, bytes: &[u8], upper: bool) {
        let bytes = &bytes[..self.precision.unwrap_or(bytes.len()).min(bytes.len())];
        let prefix = match (self.sharp, upper) {
            (false, _) => "",
            (true, false) => "0x",
            (true, true) => "0X",
        };
        let mut text = String::with_capacity(bytes.len() * 2);
        for (index, byte) in bytes.iter().enumerate() {
            if self.space && index > 0 {
                text.push(' ');
            }
            if index == 0 || self.space {
                text.push_str(prefix);
            }
            text.push_str(&if upper { format!("{byte:02X}") } else { format!("{byte:02x}") });
        }
        self.pad(out, &text);
    }

    /// `%c`.
    pub(super) fn character(&self, out: &mut String, value: Integer) {
        self.pad(out, value.to_char().encode_utf8(&mut [0; 4]));
    }

    /// `%q` of an integer.
    pub(super) fn quoted_character(&self, out: &mut String, value: Integer) {
        self.pad(out, &quote_char(value.to_char(), self.plus));
    }

    /// `%U`.
    pub(super) fn code_point(&self, out: &mut String, value: Integer) {
        let digits = self.precision.unwrap_or(4).max(4);
        let mut text = format!("U+{:0digits$X}", value.bits);
        let c = u32::try_from(value.bits).ok().and_then(char::from_u32);
        if let Some(c) = c.filter(|c| self.sharp && is_printable(*c)) {
            text.push_str(&format!(" '{c}'"));
        }
        self.pad_with(out, &text, ' ');
    }

    /// Integers in the base of the verb: `v` and `d`, `b`, `o` and `O`, `x` and `X`.
    pub(super) fn integer(&self, out: &mut String, value: Integer, verb: char) {
        let negative = value.signed && (value.bits as i64) < 0;
        let magnitude = if negative { value.bits.wrapping_neg() } else { value.bits };
        let mut digits_min = 0;
        if let Some(precision) = self.precision {
            if precision == 0 && magnitude == 0 {
                out.extend(repeat_n(' ', self.width.unwrap_or(0)));
                return;
            }
            digits_min = precision;
        } else if let Some(width) = self.width.filter(|_| self.zero && !self.minus) {
            let sign = usize::from(negative || self.plus || self.space);
            digits_min = width.saturating_sub(sign);
        }
        let digits = match verb {
            'b' => format!("{magnitude:b}"),
            'o' | 'O' => format!("{magnitude:o}"),
            'x' => format!("{magnitude:x}"),
            'X' => format!("{magnitude:X}"),
            _ => magnitude.to_string(),
        };
        let zeros = "0".repeat(digits_min.saturating_sub(digits.len()));
        let prefix = match verb {
            'O' if self.sharp && !zeros.starts_with('0') && !digits.starts_with('0') => "0o0",
            'O' => "0o",
            'b' if self.sharp => "0b",
            'o' if self.sharp && zeros.is_empty() && !digits.starts_with('0') => "0",
            'x' if self.sharp => "0x",
            'X' if self.sharp => "0X",
            _ => "",
        };
        let sign = match (negative, self.plus, self.space) {
            (true, _, _) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        // Zeros were counted as digits already.
        self.pad_with(out, &format!("{sign}{prefix}{zeros}{digits}"), ' ');
    }

    /// `%v`, `%e`, `%f`, `%g` and their relatives.
    pub(super) fn float(&self, out: &mut String, value: f64, verb: char) {
        let (notation, default) = match verb {
            'b' => (Notation::Binary, None),
            'e' | 'E' => (Notation::Exponent, Some(6)),
            'f' | 'F' => (Notation::Plain, Some(6)),
            'x' | 'X' => (Notation::Hexadecimal, None),
            _ => (Notation::Shorter, None),
        };
        let precision = self.precision.or(default);
        let mut text = format_float(value, notation, precision);
        if !value.is_finite() {
            self.not_a_number(out, &text);
            return;
        }
        if verb.is_ascii_uppercase() && verb != 'F' {
            text.make_ascii_uppercase();
        }
        let (negative, magnitude) = match text.strip_prefix('-') {
            Some(magnitude) => (true, magnitude.to_owned()),
            None => (false, text),
        };
        let magnitude = if self.sharp && verb != 'b' {
            keep_point(&magnitude, verb, precision)
        } else {
            magnitude
        };
        let sign = match (negative, self.plus, self.space) {
            (true, _, _) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => return self.pad(out, &magnitude),
        };
        match self.width {
            // The sign stands before the zeros.
            Some(width) if self.zero && !self.minus && width > magnitude.len() + 1 => {
                out.push_str(sign);
                out.extend(repeat_n('0', width - magnitude.len() - 1));
                out.push_str(&magnitude);
            }
            _ => self.pad(out, &format!("{sign}{magnitude}")),
        }
    }

    /// Infinity and NaN, which are not padded with zeros.
    fn not_a_number(&self, out: &mut String, text: &str) {
        let unsigned = text.trim_start_matches(['+', '-']);
        let sign = match (text.starts_with('-'), self.plus, self.space) {
            (true, _, _) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ if unsigned == "Inf" => "+",
            _ => "",
        };
        self.pad_with(out, &format!("{sign}{unsigned}"), ' ');
    }
}

/// `%#g` and its relatives: the point stays, and for some verbs the zeros behind it.
fn keep_point(text: &str, verb: char, precision: Option<usize>) -> String {
    let is_hex = matches!(verb, 'x' | 'X');
    let tail_at = text.find(if is_hex { ['p', 'P'] } else { ['e', 'E'] }).unwrap_or(text.len());
    let (mantissa, tail) = text.split_at(tail_at);
    let mut wanted = match verb {
        'v' | 'g' | 'G' | 'x' => precision.unwrap_or(6),
        _ => 0,
    };
    let significant = mantissa.chars().filter(|c| *c != '.').skip_while(|c| *c == '0').count();
    wanted = wanted.saturating_sub(significant);
    let mut out = mantissa.to_owned();
    if !out.contains('.') {
        if out == "0" {
            wanted = wanted.saturating_sub(1);
        }
        out.push('.');
    }
    out.extend(repeat_n('0', wanted));
    out.push_str(tail);
    out
}
