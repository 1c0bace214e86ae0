//! The plain part of YAML, line by line and straight to JSON: block mappings and sequences of
//! scalars on one line, `|` texts, and lists such as `["a", b]`, which is what charts write nearly
//! everywhere.
//!
//! It never says that a text is wrong. Whatever it does not know (other flow collections, anchors,
//! tags, directives, texts over several lines, odd indentation) it leaves to the whole parser,
//! which also finds the words for errors. What it does read, it reads to the same JSON.

use std::borrow::Cow;

use serde_json::{Map, Value as Json};

use super::helm::{Numbers, scalar_json};
use super::resolve::{Resolved, resolve};
use crate::base::limits::YAML_NODES_MAX;

/// Deeper documents are left to the parser, which knows the limit.
const DEPTH_MAX: usize = 64;
/// A simple key must end within 1,024 characters.
const KEY_BYTES_MAX: usize = 1_000;
/// What may not stand at the start of a plain scalar.
const STARTS_SOMETHING: &[u8] = b"-?:,[]{}#&*!|>'\"%@`";
/// What ends a text in quotes, or is no plain character in it.
const SINGLE_STOPS: &[char] = &['\''];
const DOUBLE_STOPS: &[char] = &['"', '\\'];

/// The document in a text; `None` when there is anything in it that needs the whole parser.
pub(super) fn read(text: &str, numbers: Numbers) -> Option<Json> {
    // No node takes less than a byte.
    if text.len() > YAML_NODES_MAX || !is_readable(text) {
        return None;
    }
    let mut reader = Reader { text, next: 0, line: None, numbers, depth: 0 };
    reader.advance()?;
    let value = if reader.line.is_some() { reader.node()? } else { Json::Null };
    reader.line.is_none().then_some(value)
}

/// Whether every character may stand in YAML and none but `\n` breaks a line. Tabs are looked at
/// where they stand.
fn is_readable(text: &str) -> bool {
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~' | b'\n' | b'\t');
    // Without a way out, many bytes are looked at at once.
    text.bytes().fold(true, |all, byte| all & is_plain(byte))
        || text.chars().all(|c| {
            u8::try_from(c).is_ok_and(is_plain)
                || matches!(c, '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
                    && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
        })
}

/// A line with something on it, or what stands behind a `- `.
#[derive(Clone, Copy)]
struct Line<'t> {
    /// Its column.
    indent: usize,
    /// Without the spaces around it; neither empty nor a comment.
    rest: &'t str,
}

impl Line<'_> {
    fn is_item(self) -> bool {
        self.rest == "-" || self.rest.starts_with("- ")
    }
}

struct Reader<'t> {
    text: &'t str,
    /// Where the line behind `line` starts.
    next: usize,
    /// The line to be read; none at the end.
    line: Option<Line<'t>>,
    numbers: Numbers,
    depth: usize,
}

impl<'t> Reader<'t> {
    /// Goes to the next line that is neither empty nor a comment.
    fn advance(&mut self) -> Option<()> {
        while self.next < self.text.len() {
            let raw = self.raw_line();
            self.next += raw.len() + 1;
            let rest = raw.trim_start_matches(' ');
            let indent = raw.len() - rest.len();
            let rest = rest.trim_end_matches(' ');
            if rest.is_empty() || rest.starts_with('#') && !rest.contains('\t') {
                continue;
            }
            let is_marker = indent == 0 && (rest.starts_with("---") || rest.starts_with("..."))
                || rest.contains('\t');
            self.line = Some(Line { indent, rest });
            return (!is_marker).then_some(());
        }
        self.line = None;
        Some(())
    }

    /// The line that starts at `next`, without its break.
    fn raw_line(&self) -> &'t str {
        let rest = &self.text[self.next..];
        rest.split_once('\n').map_or(rest, |(line, _)| line)
    }

    /// The collection that starts with the present line.
    fn node(&mut self) -> Option<Json> {
        let line = self.line?;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return None;
        }
        let node =
            if line.is_item() { self.sequence(line.indent) } else { self.mapping(line.indent) };
        self.depth -= 1;
        node
    }

    fn mapping(&mut self, indent: usize) -> Option<Json> {
        let mut table = Map::new();
        while let Some(line) = self.line.filter(|line| line.indent >= indent) {
            if line.indent > indent || line.is_item() {
                return None;
            }
            let (key, rest) = key(line.rest)?;
            let value = match self.scalar(rest, indent)? {
                Some(value) => value,
                None => match self.line {
                    Some(line) if line.indent > indent => self.below(line, indent)?,
                    // The items of a sequence may stand below their key.
                    Some(line) if line.indent == indent && line.is_item() => {
                        self.sequence(indent)?
                    }
                    _ => Json::Null,
                },
            };
            table.insert(key.into_owned(), value);
        }
        Some(Json::Object(table))
    }

    fn sequence(&mut self, indent: usize) -> Option<Json> {
        let mut items = Vec::new();
        while let Some(line) = self.line.filter(|line| line.indent >= indent) {
            if line.indent > indent {
                return None;
            }
            if !line.is_item() {
                break;
            }
            items.push(self.item(line)?);
        }
        Some(Json::Array(items))
    }

    fn item(&mut self, line: Line<'t>) -> Option<Json> {
        let rest = line.rest[1..].trim_start_matches(' ');
        let inner = Line { indent: line.indent + line.rest.len() - rest.len(), rest };
        if !rest.starts_with('#') && (inner.is_item() || key(rest).is_some()) {
            self.line = Some(inner);
            return self.node();
        }
        match self.scalar(rest, line.indent)? {
            Some(value) => Some(value),
            None => match self.line {
                Some(next) if next.indent > line.indent => self.below(next, line.indent),
                _ => Some(Json::Null),
            },
        }
    }

    /// The value that starts on a line below its key, in a collection at a column.
    fn below(&mut self, line: Line<'t>, indent: usize) -> Option<Json> {
        if line.rest.starts_with(['[', '{']) {
            self.scalar(line.rest, indent)?
        } else {
            self.node()
        }
    }

    /// The value on a line of a collection at a column, and steps to the next line; within, none
    /// if it is on the lines that follow.
    #[allow(clippy::option_option, reason = "the outer one gives up, the inner one is the value")]
    fn scalar(&mut self, rest: &'t str, indent: usize) -> Option<Option<Json>> {
        let value = match rest.as_bytes().first() {
            None | Some(b'#') => {
                self.advance()?;
                return Some(None);
            }
            Some(b'|') => Json::String(self.literal(rest, indent)?),
            Some(b'"' | b'\'') => {
                let (text, behind) = quoted(rest)?;
                is_comment(behind).then_some(())?;
                Json::String(text)
            }
            Some(b'[' | b'{') => {
                let (value, behind) = self.flow(rest)?;
                is_comment(behind).then_some(())?;
                value
            }
            Some(_) => self.plain(rest)?,
        };
        self.advance()?;
        // A line that is indented further would belong to the scalar, or to nothing.
        let is_over = self.line.is_none_or(|line| line.indent <= indent);
        is_over.then_some(Some(value))
    }

    fn plain(&self, rest: &str) -> Option<Json> {
        let text = rest.find(" #").map_or(rest, |at| rest[..at].trim_end_matches(' '));
        let bytes = text.as_bytes();
        let may_start = match bytes {
            [b'-', next, ..] => *next != b' ',
            [first, ..] => !STARTS_SOMETHING.contains(first),
            [] => false,
        };
        if !may_start || bytes.ends_with(b":") || text.contains(": ") {
            return None;
        }
        let resolved = resolve(text);
        scalar_json(resolved, text.to_owned(), self.numbers).ok()
    }

    /// The list of scalars or the empty mapping at the start, and what stands behind it.
    fn flow(&self, text: &'t str) -> Option<(Json, &'t str)> {
        if let Some(behind) = text.strip_prefix("{}") {
            return Some((Json::Object(Map::new()), behind));
        }
        let mut items = Vec::new();
        let mut rest = text.strip_prefix('[')?.trim_start_matches(' ');
        if let Some(behind) = rest.strip_prefix(']') {
            return Some((Json::Array(items), behind));
        }
        loop {
            let (item, behind) = self.flow_item(rest)?;
            items.push(item);
            let (mark, behind) = behind.trim_start_matches(' ').split_at_checked(1)?;
            match mark {
                "," => rest = behind.trim_start_matches(' '),
                "]" => return Some((Json::Array(items), behind)),
                _ => return None,
            }
        }
    }

    /// A text in quotes or a single word.
    fn flow_item(&self, text: &'t str) -> Option<(Json, &'t str)> {
        if text.starts_with(['"', '\'']) {
            let (item, behind) = quoted(text)?;
            return Some((Json::String(item), behind));
        }
        let is_in_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./=$+".contains(&byte);
        let length = text.bytes().take_while(|byte| is_in_word(*byte)).count();
        let (word, behind) = text.split_at(length);
        if word.is_empty() || word == "-" {
            return None;
        }
        Some((scalar_json(resolve(word), word.to_owned(), self.numbers).ok()?, behind))
    }

    /// The text below a `|`, in a collection at a column.
    fn literal(&mut self, header: &str, indent: usize) -> Option<String> {
        let (has_end, keeps_all) = match header {
            "|" => (true, false),
            "|-" => (false, false),
            "|+" => (true, true),
            _ => return None,
        };
        let mut text = String::new();
        // The column of the text, and breaks that count only if more text follows.
        let mut column = None;
        let (mut breaks, mut blanks_max) = (0, 0);
        let mut kept = 0;
        while self.next < self.text.len() {
            let raw = self.raw_line();
            let spaces = raw.len() - raw.trim_start_matches(' ').len();
            let is_broken = self.next + raw.len() < self.text.len();
            let is_blank = spaces == raw.len() && column.is_none_or(|column| spaces <= column);
            if is_blank {
                blanks_max = blanks_max.max(spaces);
                kept += usize::from(is_broken);
            } else {
                let column = *column.get_or_insert(spaces);
                if spaces < column {
                    if raw[spaces..].starts_with('\t') {
                        return None;
                    }
                    break;
                }
                if text.is_empty()
                    && (column <= indent || blanks_max > column || raw[column..].starts_with('\t'))
                {
                    return None;
                }
                text.extend(std::iter::repeat_n('\n', breaks + kept));
                text.push_str(&raw[column..]);
                (breaks, kept) = (usize::from(is_broken), 0);
            }
            self.next += raw.len() + 1;
        }
        column?;
        if has_end {
            text.extend(std::iter::repeat_n('\n', breaks));
        }
        if keeps_all {
            text.extend(std::iter::repeat_n('\n', kept));
        }
        Some(text)
    }
}

/// The key that a line starts with, and what stands behind its colon.
fn key(line: &str) -> Option<(Cow<'_, str>, &str)> {
    let (key, rest) = match line.as_bytes().first()? {
        b'"' | b'\'' => {
            let (key, rest) = quoted(line)?;
            (Cow::Owned(key), rest.strip_prefix(':')?)
        }
        first if STARTS_SOMETHING.contains(first) => return None,
        _ => {
            let end = plain_key(line.as_bytes())?;
            let key = line[..end].trim_end_matches(' ');
            if !matches!(resolve(key), Resolved::Str | Resolved::Timestamp) || key == "<<" {
                return None;
            }
            (Cow::Borrowed(key), &line[end + 1..])
        }
    };
    let is_key = key.len() < KEY_BYTES_MAX && (rest.is_empty() || rest.starts_with(' '));
    is_key.then(|| (key, rest.trim_start_matches(' ')))
}

/// Where the first colon is that ends a word; none if a comment comes before it.
fn plain_key(line: &[u8]) -> Option<usize> {
    let mut before = b' ';
    for (at, byte) in line.iter().enumerate() {
        match byte {
            b':' if line.get(at + 1).is_none_or(|next| *next == b' ') => return Some(at),
            b'#' if before == b' ' => return None,
            _ => before = *byte,
        }
    }
    None
}

/// Whether nothing but a comment stands there.
fn is_comment(rest: &str) -> bool {
    let comment = rest.trim_start_matches(' ');
    comment.is_empty() || comment.len() < rest.len() && comment.starts_with('#')
}

/// The text in quotes at the start, and what stands behind them.
fn quoted(text: &str) -> Option<(String, &str)> {
    let (mark, mut rest) = text.split_at_checked(1)?;
    let mut value = String::new();
    loop {
        let at = rest.find(if mark == "'" { SINGLE_STOPS } else { DOUBLE_STOPS })?;
        value.push_str(&rest[..at]);
        let behind = &rest[at + 1..];
        rest = if rest[at..].starts_with('\\') {
            let (escaped, behind) = behind.split_at_checked(1)?;
            value.push(match escaped {
                "\"" => '"',
                "\\" => '\\',
                "n" => '\n',
                "t" => '\t',
                _ => return None,
            });
            behind
        } else if mark == "'" && behind.starts_with('\'') {
            value.push('\'');
            &behind[1..]
        } else {
            return Some((value, behind));
        };
    }
}

#[cfg(test)]
mod tests;
