//! Go's string and character literals: `strconv.Quote`, `Unquote` and their relatives.

use std::fmt::Write as _;

/// A double-quoted Go string literal, as `%q` prints it.
pub fn quote(text: &str) -> String {
    quote_with(text, '"', false)
}

/// Like [`quote`], with everything beyond ASCII escaped, as `%+q` prints it.
pub fn quote_ascii(text: &str) -> String {
    quote_with(text, '"', true)
}

/// A single-quoted Go character literal, as `%q` prints an integer.
pub fn quote_char(c: char, ascii_only: bool) -> String {
    let mut out = String::from('\'');
    push_escaped(&mut out, c, '\'', ascii_only);
    out.push('\'');
    out
}

fn quote_with(text: &str, mark: char, ascii_only: bool) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(mark);
    for c in text.chars() {
        push_escaped(&mut out, c, mark, ascii_only);
    }
    out.push(mark);
    out
}

fn push_escaped(out: &mut String, c: char, mark: char, ascii_only: bool) {
    if c == mark || c == '\\' {
        out.push('\\');
        out.push(c);
        return;
    }
    if (c.is_ascii() || !ascii_only) && is_printable(c) {
        out.push(c);
        return;
    }
    let short = match c {
        '\x07' => 'a',
        '\x08' => 'b',
        '\x0c' => 'f',
        '\n' => 'n',
        '\r' => 'r',
        '\t' => 't',
        '\x0b' => 'v',
        _ => {
            let code = u32::from(c);
            match code {
                0..0x20 | 0x7f => write!(out, "\\x{code:02x}"),
                0x80..0x10000 => write!(out, "\\u{code:04x}"),
                _ => write!(out, "\\U{code:08x}"),
            }
            .expect("writing to a String cannot fail");
            return;
        }
    };
    out.push('\\');
    out.push(short);
}

/// Go's `strconv.IsPrint`: letters, marks, numbers, punctuation, symbols and the ASCII space.
pub fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return (' '..='~').contains(&c);
    }
    // The standard library's table is the same as Go's but only reachable through `Debug`. It
    // also escapes combining marks, unless they follow another character.
    let mut text = String::with_capacity(8);
    text.push('a');
    text.push(c);
    text.escape_debug().nth(1) == Some(c)
}

/// Go's `strconv.CanBackquote`: whether a raw string literal can hold `text`.
pub fn can_backquote(text: &str) -> bool {
    text.chars().all(|c| c == '\t' || !(c < ' ' || c == '`' || c == '\x7f' || c == '\u{feff}'))
}

/// The value of a Go string literal in any of the three quotes; `None` for a malformed one.
/// Escapes that are not UTF-8 together are replaced.
pub fn unquote(literal: &str) -> Option<String> {
    let mark = literal.chars().next()?;
    let inner = literal.strip_prefix(mark)?.strip_suffix(mark)?;
    if literal.len() < 2 {
        return None;
    }
    match mark {
        '`' if inner.contains('`') => None,
        '`' => Some(inner.replace('\r', "")),
        '"' if !inner.contains('\n') => {
            let mut bytes = Vec::with_capacity(inner.len());
            let mut rest = inner;
            while !rest.is_empty() {
                let (unit, tail) = unescape(rest, '"')?;
                unit.push_to(&mut bytes);
                rest = tail;
            }
            Some(match String::from_utf8(bytes) {
                Ok(text) => text,
                Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
            })
        }
        _ => None,
    }
}

/// Why a character literal is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadChar {
    /// An unknown or incomplete escape.
    Syntax,
    /// Not exactly one character between the quotes.
    Malformed,
}

/// The code of a Go character literal such as `'a'` or `'\x41'`, quotes included.
pub fn unquote_char(literal: &str) -> Result<u32, BadChar> {
    let rest = literal.strip_prefix('\'').ok_or(BadChar::Syntax)?;
    let (unit, tail) = unescape(rest, '\'').ok_or(BadChar::Syntax)?;
    if tail != "'" {
        return Err(BadChar::Malformed);
    }
    Ok(match unit {
        Unit::Char(c) => u32::from(c),
        Unit::Byte(byte) => u32::from(byte),
    })
}

/// One element of a literal: a character, or a byte that an escape gave.
#[derive(Clone, Copy)]
enum Unit {
    Char(char),
    Byte(u8),
}

impl Unit {
    fn push_to(self, bytes: &mut Vec<u8>) {
        match self {
            Self::Char(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Self::Byte(byte) => bytes.push(byte),
        }
    }
}

/// The first element of `text` and what follows it.
fn unescape(text: &str, mark: char) -> Option<(Unit, &str)> {
    let mut chars = text.chars();
    let first = chars.next()?;
    if first == mark {
        return None;
    }
    if first != '\\' {
        return Some((Unit::Char(first), chars.as_str()));
    }
    let escape = chars.next()?;
    let rest = chars.as_str();
    let simple = match escape {
        'a' => '\x07',
        'b' => '\x08',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        '\\' => '\\',
        '\'' | '"' if escape == mark => escape,
        'x' => {
            let (code, rest) = digits(rest, 2, 16)?;
            return Some((Unit::Byte(u8::try_from(code).ok()?), rest));
        }
        'u' | 'U' => {
            let (code, rest) = digits(rest, if escape == 'u' { 4 } else { 8 }, 16)?;
            return Some((Unit::Char(char::from_u32(code)?), rest));
        }
        '0'..='7' => {
            let (code, rest) = digits(&text[1..], 3, 8)?;
            return Some((Unit::Byte(u8::try_from(code).ok()?), rest));
        }
        _ => return None,
    };
    Some((Unit::Char(simple), rest))
}

/// Exactly `count` digits at the start of `text`.
fn digits(text: &str, count: usize, radix: u32) -> Option<(u32, &str)> {
    let head = text.get(..count)?;
    if !head.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    Some((u32::from_str_radix(head, radix).ok()?, &text[count..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_escapes_as_go_does() {
        for (text, quoted) in [
            ("plain", r#""plain""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("\x07\x08\x0c\n\r\t\x0b", r#""\a\b\f\n\r\t\v""#),
            ("\0\x7f", r#""\x00\x7f""#),
            ("é☺", "\"é☺\""),
            ("\u{a0}\u{feff}", r#""\u00a0\ufeff""#),
            ("e\u{301}", "\"e\u{301}\""),
            ("\u{10ffff}", r#""\U0010ffff""#),
            ("it's", r#""it's""#),
        ] {
            assert_eq!(quote(text), quoted);
            assert_eq!(unquote(quoted).as_deref(), Some(text));
        }
        assert_eq!(quote_ascii("é"), r#""\u00e9""#);
        assert_eq!(quote_char('\'', false), r"'\''");
        assert_eq!(quote_char('"', false), "'\"'");
    }

    #[test]
    fn malformed_literals_are_refused() {
        for literal in [
            "",
            "\"",
            "\"a",
            "a\"",
            r#""\'""#,
            r#""\q""#,
            r#""\x1""#,
            r#""\400""#,
            "\"\n\"",
            r#""\ud800""#,
            "``` ",
            "'a'",
            r#""a"b""#,
        ] {
            assert_eq!(unquote(literal), None, "{literal}");
        }
        assert_eq!(unquote("`a\\n\r\n`").as_deref(), Some("a\\n\n"));
        assert_eq!(unquote(r#""\101\x42""#).as_deref(), Some("AB"));
        assert_eq!(unquote(r#""\xe2\x98\xba""#).as_deref(), Some("☺"));
        assert_eq!(unquote_char(r"'\''"), Ok(39));
        assert_eq!(unquote_char("'ab'"), Err(BadChar::Malformed));
        assert_eq!(unquote_char("''"), Err(BadChar::Syntax));
    }
}
