//! Values to YAML text, byte for byte as Helm's `toYaml` writes them: the emitter of Go's
//! `sigs.k8s.io/yaml`, which goes through JSON, sorts keys naturally and folds at 80 columns.

use base64::Engine as _;
use serde_json::{Map, Number, Value as Json};

use super::number;
use super::resolve::{Resolved, is_base60, resolve};
use crate::template::binary::to_text;
use crate::template::value::{Element, Value};

/// What Helm's `toYaml` gives: the text without its last line break.
///
/// # Errors
/// For what JSON or YAML cannot hold, in Go's words.
pub fn to_yaml(value: &Value) -> Result<String, String> {
    to_json(value).and_then(|json| json_to_yaml(&json))
}

/// What Helm's `toYamlPretty` gives: lists indented below their keys, long lines not folded, and
/// numbers as Go prints floats.
///
/// # Errors
/// As [`to_yaml`].
pub fn to_yaml_pretty(value: &Value) -> Result<String, String> {
    write_with(&to_json(value)?, Layout::Pretty)
}

/// As [`to_yaml`], for JSON: a whole number is written without a point, whether it is a float or
/// an integer.
///
/// # Errors
/// As [`to_yaml`].
pub fn json_to_yaml(value: &Json) -> Result<String, String> {
    write_with(value, Layout::Compact)
}

fn write_with(value: &Json, layout: Layout) -> Result<String, String> {
    let mut writer = Writer::new(layout);
    writer.node(value, Context::Root)?;
    writer.write_indent();
    // Only one: a block scalar that keeps its line breaks ends with more of them.
    if writer.out.ends_with('\n') {
        writer.out.pop();
    }
    Ok(writer.out)
}

/// A template's value as Go's `encoding/json` would encode and decode it: bytes become base64.
///
/// # Errors
/// For numbers that JSON does not have, in Go's words.
pub fn to_json(value: &Value) -> Result<Json, String> {
    Ok(match value {
        Value::Nil => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(value) | Value::Int64(value) => Json::from(*value),
        Value::Uint8(value) => Json::from(*value),
        Value::Uint64(value) => Json::from(*value),
        Value::Float(value) => match Number::from_f64(*value) {
            Some(number) => Json::Number(number),
            None => return Err(format!("json: unsupported value: {}", number::general(*value))),
        },
        Value::Str(text) => Json::String(text.to_string()),
        Value::Bytes(bytes) => {
            Json::String(base64::engine::general_purpose::STANDARD.encode(bytes))
        }
        Value::List(list) if list.element == Element::Nothing => Json::Null,
        Value::List(list) => Json::Array(list.items.iter().map(to_json).collect::<Result<_, _>>()?),
        Value::Map(map) => {
            let entries = map.entries.borrow();
            let entries = entries.iter().map(|(key, value)| Ok((key.to_string(), to_json(value)?)));
            Json::Object(entries.collect::<Result<Map<_, _>, String>>()?)
        }
        Value::Object(object) => to_json(&object.plain())?,
    })
}

/// The two emitters of Helm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// `sigs.k8s.io/yaml`, by way of JSON.
    Compact,
    /// The third version of Go's YAML library, with an indentation of two.
    Pretty,
}

/// Where a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Context {
    Root,
    Item,
    /// A key on one line with its value.
    SimpleKey,
    /// A key behind `?`, or a value.
    Entry,
}

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

/// A line longer than this is folded at its next space.
const WIDTH: usize = 80;
/// A longer key gets a `?`.
const SIMPLE_KEY_BYTES_MAX: usize = 128;
const INDENT: isize = 2;

struct Writer {
    layout: Layout,
    out: String,
    column: usize,
    /// −1 at the root.
    indent: isize,
    /// Whether the last character was a space or an indicator that needs none behind it.
    is_spaced: bool,
    /// Whether only indentation and indicators are on this line so far.
    is_indentation: bool,
}

impl Writer {
    fn new(layout: Layout) -> Self {
        Self {
            layout,
            out: String::new(),
            column: 0,
            indent: -1,
            is_spaced: true,
            is_indentation: true,
        }
    }

    fn put(&mut self, c: char) {
        self.out.push(c);
        self.column += 1;
    }

    fn put_break(&mut self) {
        self.out.push('\n');
        self.column = 0;
    }

    fn write_break(&mut self, c: char) {
        self.out.push(c);
        self.column = 0;
    }

    fn write_indent(&mut self) {
        let indent = self.indent.max(0) as usize;
        if !self.is_indentation
            || self.column > indent
            || (self.column == indent && !self.is_spaced)
        {
            self.put_break();
        }
        while self.column < indent {
            self.put(' ');
        }
        self.is_spaced = true;
        self.is_indentation = true;
    }

    /// Writes an indicator; with `is_block` it counts as indentation.
    fn indicator(&mut self, text: &str, needs_space: bool, is_block: bool) {
        if needs_space && !self.is_spaced {
            self.put(' ');
        }
        text.chars().for_each(|c| self.put(c));
        self.is_spaced = false;
        self.is_indentation = self.is_indentation && is_block;
    }

    fn node(&mut self, value: &Json, context: Context) -> Result<(), String> {
        match value {
            Json::Null => self.plain_word("null", context),
            Json::Bool(value) => self.plain_word(if *value { "true" } else { "false" }, context),
            Json::Number(number) => self.plain_word(&self.number_text(number), context),
            Json::String(text) => self.string(text, context)?,
            Json::Array(items) if items.is_empty() => self.empty_collection("[", "]"),
            Json::Object(entries) if entries.is_empty() => self.empty_collection("{", "}"),
            Json::Array(items) => {
                let outer = self.indent;
                // A list right below a key is not indented further than the key.
                let is_below_key = context == Context::Entry && !self.is_indentation;
                if self.layout == Layout::Pretty || !is_below_key {
                    self.deepen();
                } else if self.indent < 0 {
                    self.indent = 0;
                }
                for item in items {
                    self.write_indent();
                    self.indicator("-", true, true);
                    self.node(item, Context::Item)?;
                }
                self.indent = outer;
            }
            Json::Object(entries) => {
                let outer = self.indent;
                self.deepen();
                for (key, value) in sorted(entries) {
                    self.entry(key, value)?;
                }
                self.indent = outer;
            }
        }
        Ok(())
    }

    fn number_text(&self, number: &Number) -> String {
        match self.layout {
            Layout::Compact => number_text(number),
            Layout::Pretty if number.is_f64() => {
                number::general(number.as_f64().unwrap_or_default())
            }
            Layout::Pretty => number.to_string(),
        }
    }

    fn deepen(&mut self) {
        self.indent = if self.indent < 0 { 0 } else { self.indent + INDENT };
    }

    fn entry(&mut self, key: &str, value: &Json) -> Result<(), String> {
        self.write_indent();
        if key.len() <= SIMPLE_KEY_BYTES_MAX && !key.contains(is_break) {
            self.string(key, Context::SimpleKey)?;
            self.indicator(":", false, false);
        } else {
            self.indicator("?", true, true);
            self.string(key, Context::Entry)?;
            self.write_indent();
            self.indicator(":", true, true);
        }
        self.node(value, Context::Entry)
    }

    fn empty_collection(&mut self, open: &str, close: &str) {
        self.indicator(open, true, false);
        self.indicator(close, false, false);
    }

    fn plain_word(&mut self, text: &str, context: Context) {
        self.scalar(text, Style::Plain, context);
    }

    fn string(&mut self, text: &str, context: Context) -> Result<(), String> {
        if text.contains(is_refused) {
            return Err("yaml: control characters are not allowed".to_owned());
        }
        // Go's encoder has no place for bytes that are no text.
        let text = &*to_text(text);
        let style = style(text, context == Context::SimpleKey, self.layout);
        self.scalar(text, style, context);
        Ok(())
    }

    fn scalar(&mut self, text: &str, style: Style, context: Context) {
        let outer = self.indent;
        self.indent = if self.indent < 0 { INDENT } else { self.indent + INDENT };
        let may_fold = context != Context::SimpleKey && self.layout == Layout::Compact;
        match style {
            Style::Plain => {
                if !self.is_spaced {
                    self.put(' ');
                }
                self.flow_text(text, Style::Plain, may_fold);
            }
            Style::Single => {
                self.indicator("'", true, false);
                self.flow_text(text, Style::Single, may_fold);
                self.indicator("'", false, false);
            }
            Style::Double => self.double(text, may_fold),
            Style::Literal => self.literal(text),
        }
        if style != Style::Literal {
            self.is_spaced = false;
            self.is_indentation = false;
        }
        self.indent = outer;
    }

    /// The text of a plain or single-quoted scalar.
    fn flow_text(&mut self, text: &str, style: Style, may_fold: bool) {
        let mut was_space = false;
        let mut was_break = false;
        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            let next = chars.peek().map(|(_, next)| *next);
            if c == ' ' {
                // Plain scalars have no space at either end.
                let is_inside = style == Style::Plain || (at > 0 && next.is_some());
                if may_fold && !was_space && self.column > WIDTH && is_inside && next != Some(' ') {
                    self.write_indent();
                } else {
                    self.put(' ');
                }
                was_space = true;
            } else if is_break(c) {
                if !was_break && c == '\n' {
                    self.put_break();
                }
                self.write_break(c);
                self.is_indentation = true;
                was_break = true;
            } else {
                if was_break {
                    self.write_indent();
                }
                if c == '\'' && style == Style::Single {
                    self.put('\'');
                }
                self.put(c);
                self.is_indentation = false;
                was_space = false;
                was_break = false;
            }
        }
    }

    fn double(&mut self, text: &str, may_fold: bool) {
        self.indicator("\"", true, false);
        let mut was_space = false;
        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            let next = chars.peek().map(|(_, next)| *next);
            if !is_printable(c) || is_break(c) || matches!(c, '"' | '\\') {
                escape(c).chars().for_each(|c| self.put(c));
                was_space = false;
            } else if c == ' ' {
                if may_fold && !was_space && self.column > WIDTH && at > 0 && next.is_some() {
                    self.write_indent();
                    if next == Some(' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(' ');
                }
                was_space = true;
            } else {
                self.put(c);
                was_space = false;
            }
        }
        self.indicator("\"", false, false);
    }

    fn literal(&mut self, text: &str) {
        self.indicator("|", true, false);
        if text.starts_with(|c| c == ' ' || is_break(c)) {
            self.indicator(&INDENT.to_string(), false, false);
        }
        let mut ends = text.chars().rev();
        let (last, before) = (ends.next(), ends.next());
        match (last.is_some_and(is_break), before) {
            (false, _) => self.indicator("-", false, false),
            (true, None) => self.indicator("+", false, false),
            (true, Some(c)) if is_break(c) => self.indicator("+", false, false),
            (true, Some(_)) => {}
        }
        self.put_break();
        self.is_indentation = true;
        self.is_spaced = true;
        let mut was_break = true;
        for c in text.chars() {
            if is_break(c) {
                self.write_break(c);
                self.is_indentation = true;
                was_break = true;
            } else {
                if was_break {
                    self.write_indent();
                }
                self.put(c);
                self.is_indentation = false;
                was_break = false;
            }
        }
    }
}

/// A number as it comes back from Go's JSON: whole ones as integers where 64 bits hold them.
fn number_text(number: &Number) -> String {
    if number.is_i64() || number.is_u64() {
        return number.to_string();
    }
    let value = number.as_f64().unwrap_or_default();
    let text = number::json(value).unwrap_or_default();
    match resolve(&text) {
        Resolved::Int(value) => value.to_string(),
        Resolved::Uint(value) => value.to_string(),
        _ => number::general(value),
    }
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Characters that JSON leaves as they are and Go's YAML reader does not take back.
fn is_refused(c: char) -> bool {
    matches!(c, '\u{7f}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}')
}

/// Go's emitter takes only the first plane as printable, and no tab.
fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

fn escape(c: char) -> String {
    let short = match c {
        '\0' => '0',
        '\x07' => 'a',
        '\x08' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\x0b' => 'v',
        '\x0c' => 'f',
        '\r' => 'r',
        '\x1b' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        _ => {
            return match c as u32 {
                code @ ..=0xFF => format!("\\x{code:02X}"),
                code @ ..=0xFFFF => format!("\\u{code:04X}"),
                code => format!("\\U{code:08X}"),
            };
        }
    };
    format!("\\{short}")
}

/// What a string's characters allow.
#[derive(Debug)]
struct Traits {
    is_plain_allowed: bool,
    is_single_allowed: bool,
    is_block_allowed: bool,
}

fn style(text: &str, is_simple_key: bool, layout: Layout) -> Style {
    let traits = traits(text, layout);
    let wanted = if text.contains('\n') {
        Style::Literal
    } else if resolve(text) == Resolved::Str && !is_base60(text) {
        Style::Plain
    } else {
        Style::Double
    };
    match wanted {
        Style::Literal if traits.is_block_allowed && !is_simple_key => Style::Literal,
        Style::Plain if traits.is_plain_allowed => Style::Plain,
        Style::Plain if traits.is_single_allowed => Style::Single,
        _ => Style::Double,
    }
}

fn traits(text: &str, layout: Layout) -> Traits {
    let mut has_indicators = text.starts_with("---") || text.starts_with("...");
    let mut has_breaks = false;
    let mut has_specials = false;
    let mut has_tabs = false;
    let mut has_space_behind_break = false;
    let mut has_break_behind_space = false;
    let mut before: Option<char> = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let is_before_blank = chars.peek().is_none_or(|next| matches!(next, ' ' | '\t'));
        let is_behind_blank =
            before.is_none_or(|before| matches!(before, ' ' | '\t') || is_break(before));
        has_indicators |= match c {
            '#' if before.is_some() => is_behind_blank,
            ':' => is_before_blank,
            '?' | '-' => before.is_none() && is_before_blank,
            '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%'
            | '@' | '`' => before.is_none(),
            _ => false,
        };
        // Of the two libraries only the newer one writes a tab into a block.
        let is_tab = c == '\t' && layout == Layout::Pretty;
        has_tabs |= is_tab;
        has_specials |= !is_tab && !is_printable(c);
        has_breaks |= is_break(c);
        has_space_behind_break |= c == ' ' && before.is_some_and(is_break);
        has_break_behind_space |= is_break(c) && before == Some(' ');
        before = Some(c);
    }
    let is_edge = |c: Option<char>| c.is_some_and(|c| c == ' ' || is_break(c));
    let has_blank_edge = is_edge(text.chars().next()) || is_edge(before);
    let is_broken_up = has_break_behind_space || has_specials;
    Traits {
        is_plain_allowed: !(has_indicators
            || has_breaks
            || has_blank_edge
            || has_space_behind_break
            || has_tabs
            || is_broken_up),
        is_single_allowed: !(has_space_behind_break || has_tabs || is_broken_up),
        is_block_allowed: !(text.is_empty() || before == Some(' ') || is_broken_up),
    }
}

/// Sorts by insertion: [`natural`] is no total order (`2` < `190` < `1e3` < `2`).
fn sorted(entries: &Map<String, Json>) -> Vec<(&String, &Json)> {
    let mut sorted: Vec<(&String, &Json)> = Vec::with_capacity(entries.len());
    for entry in entries {
        let behind = sorted.iter().rposition(|other| natural(entry.0, other.0).is_ge());
        sorted.insert(behind.map_or(0, |at| at + 1), entry);
    }
    sorted
}

/// The order of keys: letters by code point, runs of digits by their number, and letters behind
/// everything else.
fn natural(a: &str, b: &str) -> std::cmp::Ordering {
    use std::cmp::Ordering;
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let Some(at) = a.iter().zip(&b).position(|(a, b)| a != b) else { return a.len().cmp(&b.len()) };
    match (a[at].is_alphabetic(), b[at].is_alphabetic()) {
        (true, true) => return a[at].cmp(&b[at]),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    // A zero behind another digit belongs to a longer number on both sides.
    let is_inside_number = (a[at] == '0' || b[at] == '0')
        && a[..at].iter().rev().take_while(|c| is_digit(**c)).any(|c| *c != '0');
    let start = i64::from(is_inside_number);
    let (a_end, a_number) = digits(&a, at, start);
    let (b_end, b_number) = digits(&b, at, start);
    a_number.cmp(&b_number).then(a_end.cmp(&b_end)).then(a[at].cmp(&b[at]))
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit() || (c.is_numeric() && !c.is_ascii())
}

fn digits(text: &[char], from: usize, start: i64) -> (usize, i64) {
    let mut end = from;
    let mut number = start;
    while let Some(c) = text.get(end).filter(|c| is_digit(**c)) {
        let digit = i64::from(*c as u32) - i64::from('0' as u32);
        number = number.wrapping_mul(10).wrapping_add(digit);
        end += 1;
    }
    (end, number)
}

#[cfg(test)]
mod tests;
