//! PEM: Base64 in lines of 64 between two marks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A block that was read.
pub(super) struct Block {
    /// What stands behind `BEGIN`.
    pub(super) label: String,
    /// The bytes.
    pub(super) bytes: Vec<u8>,
}

/// The bytes under a label.
pub(super) fn write(label: &str, bytes: &[u8]) -> String {
    let encoded = STANDARD.encode(bytes);
    let mut out = format!("-----BEGIN {label}-----\n");
    for line in encoded.as_bytes().chunks(64) {
        out.extend(line.iter().copied().map(char::from));
        out.push('\n');
    }
    out + &format!("-----END {label}-----\n")
}

/// The first block of a text.
pub(super) fn read(text: &str) -> Option<Block> {
    let (_, behind) = text.split_once("-----BEGIN ")?;
    let (label, body) = behind.split_once("-----")?;
    let (body, _) = body.split_once(&format!("-----END {label}-----"))?;
    // Headers, as old encrypted keys have them, end with an empty line.
    let body = match body.split_once("\n\n") {
        Some((headers, body)) if headers.contains(':') => body,
        _ => body,
    };
    let digits: String = body.chars().filter(|letter| !letter.is_ascii_whitespace()).collect();
    Some(Block { label: label.to_owned(), bytes: STANDARD.decode(digits).ok()? })
}
