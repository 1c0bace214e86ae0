//! The insides of scalars, anchors, tags and directives, character by character.

use super::cursor::{Cursor, Mark, is_inline};
use super::node::ScalarStyle;
use super::scan::{SyntaxError, TokenKind};

type Result<T> = std::result::Result<T, SyntaxError>;

fn fail<T>(cursor: &Cursor<'_>, context: Mark, problem: &str) -> Result<T> {
    Err(SyntaxError::scanner(problem, context, cursor.mark()))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn word(cursor: &mut Cursor<'_>) -> String {
    let mut text = String::new();
    while is_word(cursor.peek()) {
        cursor.read(&mut text);
    }
    text
}

/// A `%YAML` or `%TAG` line, line break included.
pub(super) fn directive(cursor: &mut Cursor<'_>) -> Result<TokenKind> {
    let start = cursor.mark();
    cursor.skip();
    let name = word(cursor);
    if name.is_empty() {
        return fail(cursor, start, "could not find expected directive name");
    }
    if !cursor.is_blank_break_or_end_at(0) {
        return fail(cursor, start, "found unexpected non-alphabetical character");
    }
    let kind = match name.as_str() {
        "YAML" => version_directive(cursor, start)?,
        "TAG" => tag_directive(cursor, start)?,
        _ => return fail(cursor, start, "found unknown directive name"),
    };
    end_of_line(cursor, start)?;
    Ok(kind)
}

fn end_of_line(cursor: &mut Cursor<'_>, start: Mark) -> Result<()> {
    cursor.skip_blanks();
    cursor.skip_comment();
    if !cursor.is_break_or_end() {
        return fail(cursor, start, "did not find expected comment or line break");
    }
    cursor.skip_break();
    Ok(())
}

fn version_directive(cursor: &mut Cursor<'_>, start: Mark) -> Result<TokenKind> {
    cursor.skip_blanks();
    let major = version_number(cursor, start)?;
    if cursor.peek() != b'.' {
        return fail(cursor, start, "did not find expected digit or '.' character");
    }
    cursor.skip();
    let minor = version_number(cursor, start)?;
    Ok(TokenKind::VersionDirective { major, minor })
}

fn version_number(cursor: &mut Cursor<'_>, start: Mark) -> Result<u32> {
    let mut number = 0;
    let mut digits = 0;
    while cursor.peek().is_ascii_digit() {
        digits += 1;
        if digits > 2 {
            return fail(cursor, start, "found extremely long version number");
        }
        number = number * 10 + u32::from(cursor.peek() - b'0');
        cursor.skip();
    }
    if digits == 0 {
        return fail(cursor, start, "did not find expected version number");
    }
    Ok(number)
}

fn tag_directive(cursor: &mut Cursor<'_>, start: Mark) -> Result<TokenKind> {
    cursor.skip_blanks();
    let handle = tag_handle(cursor, start, true)?;
    if !cursor.is_blank_at(0) {
        return fail(cursor, start, "did not find expected whitespace");
    }
    cursor.skip_blanks();
    let prefix = tag_uri(cursor, start, "")?;
    if !cursor.is_blank_break_or_end_at(0) {
        return fail(cursor, start, "did not find expected whitespace or line break");
    }
    Ok(TokenKind::TagDirective { handle, prefix })
}

/// The name behind `&` or `*`.
pub(super) fn anchor(cursor: &mut Cursor<'_>) -> Result<String> {
    let start = cursor.mark();
    cursor.skip();
    let name = word(cursor);
    let is_terminated = cursor.is_blank_break_or_end_at(0)
        || matches!(cursor.peek(), b'?' | b':' | b',' | b']' | b'}' | b'%' | b'@' | b'`');
    if name.is_empty() || !is_terminated {
        return fail(cursor, start, "did not find expected alphabetic or numeric character");
    }
    Ok(name)
}

/// Handle and suffix of a tag: `!!str` is `!!` and `str`, `!x` is `!` and `x`, `!` alone is
/// nothing and `!`, `!<uri>` is nothing and `uri`.
pub(super) fn tag(cursor: &mut Cursor<'_>) -> Result<(String, String)> {
    let start = cursor.mark();
    let found = if cursor.peek_at(1) == b'<' {
        cursor.skip_many(2);
        let uri = tag_uri(cursor, start, "")?;
        if cursor.peek() != b'>' {
            return fail(cursor, start, "did not find the expected '>'");
        }
        cursor.skip();
        (String::new(), uri)
    } else {
        let handle = tag_handle(cursor, start, false)?;
        if handle.len() > 1 && handle.ends_with('!') {
            let suffix = tag_uri(cursor, start, "")?;
            (handle, suffix)
        } else {
            let suffix = tag_uri(cursor, start, &handle)?;
            if suffix.is_empty() {
                (String::new(), "!".to_owned())
            } else {
                ("!".to_owned(), suffix)
            }
        }
    };
    if !cursor.is_blank_break_or_end_at(0) {
        return fail(cursor, start, "did not find expected whitespace or line break");
    }
    Ok(found)
}

fn tag_handle(cursor: &mut Cursor<'_>, start: Mark, is_directive: bool) -> Result<String> {
    if cursor.peek() != b'!' {
        return fail(cursor, start, "did not find expected '!'");
    }
    let mut handle = String::new();
    cursor.read(&mut handle);
    handle.push_str(&word(cursor));
    if cursor.peek() == b'!' {
        cursor.read(&mut handle);
    } else if is_directive && handle != "!" {
        return fail(cursor, start, "did not find expected '!'");
    }
    Ok(handle)
}

/// The URI of a tag behind `head`, whose `!` is dropped.
fn tag_uri(cursor: &mut Cursor<'_>, start: Mark, head: &str) -> Result<String> {
    let mut bytes = head.as_bytes().get(1..).unwrap_or_default().to_vec();
    let mut is_found = !head.is_empty();
    loop {
        match cursor.peek() {
            b'%' => uri_escape(cursor, start, &mut bytes)?,
            byte if is_word(byte) || b";/?:@&=+$,.!~*'()[]".contains(&byte) => {
                bytes.push(byte);
                cursor.skip();
            }
            _ => break,
        }
        is_found = true;
    }
    if !is_found {
        return fail(cursor, start, "did not find expected tag URI");
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn uri_escape(cursor: &mut Cursor<'_>, start: Mark, bytes: &mut Vec<u8>) -> Result<()> {
    let digit = |ahead| (cursor.peek_at(ahead) as char).to_digit(16);
    let (Some(high), Some(low)) = (digit(1), digit(2)) else {
        return fail(cursor, start, "did not find URI escaped octet");
    };
    bytes.push((high * 16 + low) as u8);
    cursor.skip_many(3);
    Ok(())
}

/// The text of a `|` or `>` scalar and the place behind its last line. `parent` is the
/// indentation of the collection it is in.
pub(super) fn block(
    cursor: &mut Cursor<'_>,
    parent: isize,
    style: ScalarStyle,
) -> Result<(String, Mark)> {
    let is_literal = style == ScalarStyle::Literal;
    let start = cursor.mark();
    cursor.skip();
    let (chomping, increment) = block_header(cursor, start)?;
    end_of_line(cursor, start)?;
    let mut lines = BlockLines {
        start,
        parent,
        indent: increment.map(|by| (parent.max(0) as usize) + by),
        end: cursor.mark(),
        breaks: String::new(),
    };
    lines.skip_breaks(cursor)?;
    let mut text = String::new();
    let mut leading_break = String::new();
    let mut was_blank = false;
    while Some(cursor.column()) == lines.indent && !cursor.is_end() {
        let is_blank = cursor.is_blank_at(0);
        if !is_literal && !was_blank && !is_blank && leading_break.starts_with('\n') {
            if lines.breaks.is_empty() {
                text.push(' ');
            }
        } else {
            text.push_str(&leading_break);
        }
        leading_break.clear();
        text.push_str(&lines.breaks);
        lines.breaks.clear();
        was_blank = is_blank;
        cursor.read_while(&mut text, is_inline);
        while !cursor.is_break_or_end() {
            cursor.read(&mut text);
            cursor.read_while(&mut text, is_inline);
        }
        cursor.read_break(&mut leading_break);
        lines.skip_breaks(cursor)?;
    }
    if chomping != Chomping::Strip {
        text.push_str(&leading_break);
    }
    if chomping == Chomping::Keep {
        text.push_str(&lines.breaks);
    }
    Ok((text, lines.end))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Chomping {
    Clip,
    Strip,
    Keep,
}

fn block_header(cursor: &mut Cursor<'_>, start: Mark) -> Result<(Chomping, Option<usize>)> {
    let mut chomping = Chomping::Clip;
    let mut increment = None;
    let mut is_chomping_seen = false;
    for _ in 0..2 {
        match cursor.peek() {
            sign @ (b'+' | b'-') if !is_chomping_seen => {
                chomping = if sign == b'+' { Chomping::Keep } else { Chomping::Strip };
                is_chomping_seen = true;
                cursor.skip();
            }
            b'0' if increment.is_none() => {
                return fail(cursor, start, "found an indentation indicator equal to 0");
            }
            digit @ b'1'..=b'9' if increment.is_none() => {
                increment = Some(usize::from(digit - b'0'));
                cursor.skip();
            }
            _ => break,
        }
    }
    Ok((chomping, increment))
}

/// The state of reading the lines of a block scalar.
struct BlockLines {
    start: Mark,
    parent: isize,
    /// Unknown until the first line that is not empty.
    indent: Option<usize>,
    end: Mark,
    breaks: String,
}

impl BlockLines {
    /// Steps over indentation and empty lines; finds the indentation if it is not known.
    fn skip_breaks(&mut self, cursor: &mut Cursor<'_>) -> Result<()> {
        self.end = cursor.mark();
        let mut deepest = 0;
        loop {
            let is_before = |cursor: &Cursor<'_>| self.indent.is_none_or(|at| cursor.column() < at);
            while is_before(cursor) && cursor.peek() == b' ' {
                cursor.skip();
            }
            deepest = deepest.max(cursor.column());
            if is_before(cursor) && cursor.peek() == b'\t' {
                let problem = "found a tab character where an indentation space is expected";
                return fail(cursor, self.start, problem);
            }
            if !cursor.is_break() {
                break;
            }
            cursor.read_break(&mut self.breaks);
            self.end = cursor.mark();
        }
        if self.indent.is_none() {
            let at_least = (self.parent + 1).max(1) as usize;
            self.indent = Some(deepest.max(at_least));
        }
        Ok(())
    }
}

/// White space and line breaks between the words of a flow scalar.
#[derive(Default)]
struct Gap {
    is_broken: bool,
    blanks: String,
    leading_break: String,
    trailing_breaks: String,
}

impl Gap {
    /// Takes one blank or line break.
    fn take(&mut self, cursor: &mut Cursor<'_>) {
        if cursor.is_blank_at(0) {
            if self.is_broken {
                cursor.skip();
            } else {
                cursor.read(&mut self.blanks);
            }
        } else if self.is_broken {
            cursor.read_break(&mut self.trailing_breaks);
        } else {
            self.blanks.clear();
            cursor.read_break(&mut self.leading_break);
            self.is_broken = true;
        }
    }

    /// Writes what the gap folds to and empties it.
    fn fold_into(&mut self, text: &mut String) {
        if self.is_broken {
            if !self.leading_break.starts_with('\n') {
                text.push_str(&self.leading_break);
                text.push_str(&self.trailing_breaks);
            } else if self.trailing_breaks.is_empty() {
                text.push(' ');
            } else {
                text.push_str(&self.trailing_breaks);
            }
        } else {
            text.push_str(&self.blanks);
        }
        *self = Self::default();
    }
}

/// The text of a `'…'` or `"…"` scalar.
pub(super) fn quoted(cursor: &mut Cursor<'_>, style: ScalarStyle) -> Result<String> {
    let is_single = style == ScalarStyle::SingleQuoted;
    let quote = if is_single { b'\'' } else { b'"' };
    let start = cursor.mark();
    cursor.skip();
    let mut text = String::new();
    loop {
        if cursor.is_document_indicator() {
            return fail(cursor, start, "found unexpected document indicator");
        }
        if cursor.is_end() {
            return fail(cursor, start, "found unexpected end of stream");
        }
        let mut gap = Gap::default();
        // An escaped line break joins without a space.
        let mut is_joined = false;
        while !cursor.is_blank_break_or_end_at(0) {
            if is_single && cursor.peek() == quote && cursor.peek_at(1) == quote {
                text.push('\'');
                cursor.skip_many(2);
            } else if cursor.peek() == quote {
                break;
            } else if !is_single && cursor.peek() == b'\\' {
                if cursor.break_width_at(1) > 0 {
                    cursor.skip();
                    cursor.skip_break();
                    is_joined = true;
                    break;
                }
                escape(cursor, start, &mut text)?;
            } else {
                cursor.read(&mut text);
                cursor.read_while(&mut text, |byte| {
                    byte.is_ascii_graphic() && byte != quote && byte != b'\\'
                });
            }
        }
        if cursor.peek() == quote {
            cursor.skip();
            return Ok(text);
        }
        gap.is_broken = is_joined;
        while cursor.is_blank_at(0) || cursor.is_break() {
            gap.take(cursor);
        }
        if is_joined {
            text.push_str(&gap.trailing_breaks);
        } else {
            gap.fold_into(&mut text);
        }
    }
}

fn escape(cursor: &mut Cursor<'_>, start: Mark, text: &mut String) -> Result<()> {
    let digits = match cursor.peek_at(1) {
        b'x' => 2,
        b'u' => 4,
        b'U' => 8,
        byte => {
            let Some(c) = escaped(byte) else {
                return fail(cursor, start, "found unknown escape character");
            };
            text.push(c);
            cursor.skip_many(2);
            return Ok(());
        }
    };
    cursor.skip_many(2);
    let mut code = 0_u32;
    for ahead in 0..digits {
        let Some(digit) = (cursor.peek_at(ahead) as char).to_digit(16) else {
            return fail(cursor, start, "did not find expected hexdecimal number");
        };
        code = (code << 4) | digit;
    }
    let Some(c) = char::from_u32(code) else {
        return fail(cursor, start, "found invalid Unicode character escape code");
    };
    text.push(c);
    cursor.skip_many(digits);
    Ok(())
}

fn escaped(byte: u8) -> Option<char> {
    Some(match byte {
        b'0' => '\0',
        b'a' => '\x07',
        b'b' => '\x08',
        b't' | b'\t' => '\t',
        b'n' => '\n',
        b'v' => '\x0b',
        b'f' => '\x0c',
        b'r' => '\r',
        b'e' => '\x1b',
        b' ' => ' ',
        b'"' => '"',
        b'\'' => '\'',
        b'\\' => '\\',
        b'N' => '\u{85}',
        b'_' => '\u{a0}',
        b'L' => '\u{2028}',
        b'P' => '\u{2029}',
        _ => return None,
    })
}

/// A plain scalar.
pub(super) struct Plain {
    pub(super) text: String,
    /// Behind its last character that is not blank.
    pub(super) end: Mark,
    /// Whether the next token is on another line.
    pub(super) ends_line: bool,
}

/// The text of a plain scalar in a collection indented by `parent`.
pub(super) fn plain(cursor: &mut Cursor<'_>, parent: isize, is_flow: bool) -> Result<Plain> {
    let start = cursor.mark();
    let mut text = String::new();
    let mut end = start;
    let mut gap = Gap::default();
    loop {
        if cursor.is_document_indicator() || cursor.peek() == b'#' {
            break;
        }
        while !cursor.is_blank_break_or_end_at(0) {
            let byte = cursor.peek();
            let is_value = byte == b':' && cursor.is_blank_break_or_end_at(1);
            if is_value || (is_flow && b",?[]{}".contains(&byte)) {
                break;
            }
            if gap.is_broken || !gap.blanks.is_empty() {
                gap.fold_into(&mut text);
            }
            cursor.read(&mut text);
            cursor.read_while(&mut text, |byte| {
                byte.is_ascii_graphic() && byte != b':' && !(is_flow && b",?[]{}".contains(&byte))
            });
            end = cursor.mark();
        }
        if !(cursor.is_blank_at(0) || cursor.is_break()) {
            break;
        }
        while cursor.is_blank_at(0) || cursor.is_break() {
            let is_indentation = gap.is_broken && (cursor.column() as isize) < parent + 1;
            if is_indentation && cursor.peek() == b'\t' {
                return fail(cursor, start, "found a tab character that violates indentation");
            }
            gap.take(cursor);
        }
        if !is_flow && (cursor.column() as isize) < parent + 1 {
            break;
        }
    }
    Ok(Plain { text, end, ends_line: gap.is_broken })
}
