//! Values as text, and Go's case mappings.

use crate::template::binary::from_bytes;
use crate::template::value::Value;

/// sprig's `toString`: bytes are text, everything else is as `%v` prints it.
pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::Bytes(bytes) => from_bytes(bytes),
        other => other.to_string(),
    }
}

/// Go's mapping of single characters: what would become several stays as it is.
pub(super) fn upper(letter: char) -> char {
    let mut mapped = letter.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(single), None) => single,
        _ => letter,
    }
}

/// Go's mapping of single characters to lower case.
pub(super) fn lower(letter: char) -> char {
    letter.to_lowercase().next().unwrap_or(letter)
}
