//! Bytes that are not UTF-8, carried in strings.
//!
//! Go's strings hold any bytes; ours hold characters. A byte that is not part of valid UTF-8
//! becomes one of 128 characters at the end of the last private-use plane, which no text uses, and
//! [`to_bytes`] turns it back: `b64dec` and `b64enc` or a checksum of a binary
//! file are exact.

use std::borrow::Cow;

/// The character for byte 0.
const BASE: u32 = 0x10_FF00;

/// The first byte of each of the characters that stand for bytes, and of few others.
const LEAD: u8 = 0xF4;

/// The bytes as a string.
pub fn from_bytes(bytes: &[u8]) -> String {
    // Nearly all texts are UTF-8, which is quickly seen.
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(
            chunk.invalid().iter().filter_map(|byte| char::from_u32(BASE + u32::from(*byte))),
        );
    }
    out
}

/// The bytes that [`from_bytes`] was given.
pub fn to_bytes(text: &str) -> Cow<'_, [u8]> {
    if !has_escaped(text) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut buffer = [0; 4];
    for letter in text.chars() {
        match escaped_byte(letter) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(letter.encode_utf8(&mut buffer).as_bytes()),
        }
    }
    Cow::Owned(bytes)
}

/// The text as JSON and YAML have it: each byte that is not part of a character becomes U+FFFD.
pub fn to_text(text: &str) -> Cow<'_, str> {
    if !has_escaped(text) {
        return Cow::Borrowed(text);
    }
    let is_byte = |letter: char| escaped_byte(letter).is_some();
    Cow::Owned(text.replace(is_byte, "\u{fffd}"))
}

/// The bytes of a text file as a string, with U+FFFD for what is no UTF-8.
pub fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

fn has_escaped(text: &str) -> bool {
    text.as_bytes().contains(&LEAD) && text.contains(|letter| escaped_byte(letter).is_some())
}

/// The byte that a character stands for, if it stands for one.
pub fn escaped_byte(letter: char) -> Option<u8> {
    let byte = u32::from(letter).checked_sub(BASE)?;
    u8::try_from(byte).ok().filter(|byte| *byte >= 0x80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_survive_the_way_through_a_string() {
        for bytes in [&b"plain"[..], b"\xff\xfe\x00a", "gr\u{fc}n".as_bytes(), b"\xe2\x82"] {
            assert_eq!(&*to_bytes(&from_bytes(bytes)), bytes);
        }
    }
}
