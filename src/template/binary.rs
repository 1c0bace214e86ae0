//! Bytes that are not UTF-8, carried in strings.
//!
//! Go's strings hold any bytes; ours hold characters. A byte that is not part of valid UTF-8
//! becomes one of 128 characters at the end of the last private-use plane, which no text uses, and
//! [`to_bytes`] turns it back: `b64dec` and `b64enc` or a checksum of a binary
//! file are exact.

use std::borrow::Cow;

/// The character for byte 0.
const BASE: u32 = 0x10_FF00;

/// The bytes as a string.
pub fn from_bytes(bytes: &[u8]) -> String {
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
    if !text.contains(|letter| escaped_byte(letter).is_some()) {
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
    if !text.contains(|letter| escaped_byte(letter).is_some()) {
        return Cow::Borrowed(text);
    }
    let is_byte = |letter: char| escaped_byte(letter).is_some();
    Cow::Owned(text.replace(is_byte, "\u{fffd}"))
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
