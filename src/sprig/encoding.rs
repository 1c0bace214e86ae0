//! Base64 and Base32, with Go's error texts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::args::{fixed, text};
use crate::template::binary::{from_bytes, to_bytes};
use crate::template::function::{Function, Param};
use crate::template::value::Value;

/// The digits of Base32.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("b64enc", &[Param::Str], |_, args| {
        Ok(Value::str(STANDARD.encode(to_bytes(text(args, 0)))))
    }),
    fixed("b64dec", &[Param::Str], |_, args| {
        Ok(Value::str(match decode_base64(text(args, 0)) {
            Ok(bytes) => from_bytes(&bytes),
            Err(complaint) => complaint,
        }))
    }),
    fixed("b32enc", &[Param::Str], |_, args| {
        Ok(Value::str(encode_base32(&to_bytes(text(args, 0)))))
    }),
    fixed("b32dec", &[Param::Str], |_, args| {
        Ok(Value::str(match decode_base32(text(args, 0)) {
            Ok(bytes) => from_bytes(&bytes),
            Err(complaint) => complaint,
        }))
    }),
];

/// Decodes padded Base64, in which line breaks do not count. The error is Go's.
pub(super) fn decode_base64(text: &str) -> Result<Vec<u8>, String> {
    let source = text.as_bytes();
    let mut bytes = Vec::with_capacity(source.len() / 4 * 3);
    let mut at = 0;
    while let Some(quantum) = next_quantum(source, &mut at)? {
        bytes.extend_from_slice(&quantum.bytes[..quantum.len]);
        if quantum.len < 3 {
            break;
        }
    }
    Ok(bytes)
}

struct Quantum {
    bytes: [u8; 3],
    len: usize,
}

/// Reads four digits from `at` on; `None` at the end of the text.
fn next_quantum(source: &[u8], at: &mut usize) -> Result<Option<Quantum>, String> {
    let mut bits = 0_u32;
    let mut digits = 0;
    while digits < 4 {
        let Some(&byte) = source.get(*at) else {
            return if digits == 0 { Ok(None) } else { Err(corrupt(64, *at - digits)) };
        };
        *at += 1;
        match base64_digit(byte) {
            Some(digit) => {
                bits = bits << 6 | digit;
                digits += 1;
            }
            None if is_line_break(byte) => {}
            None if byte == b'=' && digits >= 2 => {
                end_of_padding(source, at, digits)?;
                let [_, a, b, c] = (bits << (6 * (4 - digits))).to_be_bytes();
                return Ok(Some(Quantum { bytes: [a, b, c], len: digits - 1 }));
            }
            None => return Err(corrupt(64, *at - 1)),
        }
    }
    let [_, a, b, c] = bits.to_be_bytes();
    Ok(Some(Quantum { bytes: [a, b, c], len: 3 }))
}

/// Checks that behind the first `=` come as many as must and then nothing.
fn end_of_padding(source: &[u8], at: &mut usize, digits: usize) -> Result<(), String> {
    let skip_line_breaks = |at: &mut usize| {
        while source.get(*at).copied().is_some_and(is_line_break) {
            *at += 1;
        }
    };
    if digits == 2 {
        skip_line_breaks(at);
        match source.get(*at) {
            None => return Err(corrupt(64, source.len())),
            Some(b'=') => *at += 1,
            Some(_) => return Err(corrupt(64, *at - 1)),
        }
    }
    skip_line_breaks(at);
    if *at < source.len() { Err(corrupt(64, *at)) } else { Ok(()) }
}

fn base64_digit(byte: u8) -> Option<u32> {
    let digit = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(digit))
}

fn is_line_break(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

fn corrupt(base: u32, at: usize) -> String {
    format!("illegal base{base} data at input byte {at}")
}

fn encode_base32(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for chunk in bytes.chunks(5) {
        let mut padded = [0; 8];
        padded[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(padded);
        let digits = (chunk.len() * 8).div_ceil(5);
        for at in 0..8 {
            let digit = (bits >> (35 - 5 * at)) as usize & 31;
            out.push(if at < digits { char::from(BASE32[digit]) } else { '=' });
        }
    }
    out
}

/// Decodes padded Base32, in which line breaks do not count. The error is Go's.
fn decode_base32(text: &str) -> Result<Vec<u8>, String> {
    let source: Vec<u8> = text.bytes().filter(|byte| !is_line_break(*byte)).collect();
    let mut bytes = Vec::with_capacity(source.len() / 8 * 5);
    let mut at = 0;
    while at < source.len() {
        let mut bits = 0_u64;
        let mut digits = 0;
        while digits < 8 {
            let Some(&byte) = source.get(at) else { return Err(corrupt(32, at - digits)) };
            at += 1;
            let rest = source.len() - at;
            if byte == b'=' && digits >= 2 && rest < 8 {
                check_base32_padding(&source, at, digits)?;
                bits <<= 5 * (8 - digits);
                bytes.extend_from_slice(&bits.to_be_bytes()[3..3 + digits * 5 / 8]);
                return Ok(bytes);
            }
            let Some(digit) = BASE32.iter().position(|digit| *digit == byte) else {
                return Err(corrupt(32, at - 1));
            };
            bits = bits << 5 | digit as u64;
            digits += 1;
        }
        bytes.extend_from_slice(&bits.to_be_bytes()[3..]);
    }
    Ok(bytes)
}

fn check_base32_padding(source: &[u8], at: usize, digits: usize) -> Result<(), String> {
    let rest = &source[at..];
    if rest.len() + digits < 7 {
        return Err(corrupt(32, source.len()));
    }
    let wrong = rest.iter().take(7 - digits).position(|byte| *byte != b'=');
    if let Some(wrong) = wrong {
        return Err(corrupt(32, at + wrong - 1));
    }
    if matches!(digits, 1 | 3 | 6) {
        return Err(corrupt(32, at - 1));
    }
    Ok(())
}
