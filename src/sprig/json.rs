//! JSON as Go's `encoding/json` writes it: keys sorted, floats short, HTML escaped unless told not
//! to.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::template::binary::escaped_byte;
use crate::template::float::format_shortest;
use crate::template::value::{Element, Map, Value};

/// Nesting beyond which a value is a cycle.
const DEPTH_MAX: usize = 1_000;

/// How it is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// One line, `<`, `>` and `&` escaped.
    Compact,
    /// One line, as it is.
    Raw,
    /// Indented by two spaces, `<`, `>` and `&` escaped.
    Pretty,
}

/// The value as JSON, or Go's complaint: there are no infinities and no cycles in JSON.
pub(super) fn write(value: &Value, style: Style) -> Result<String, String> {
    let mut writer = Writer { out: String::new(), style };
    writer.value(value, 0)?;
    Ok(writer.out)
}

struct Writer {
    out: String,
    style: Style,
}

impl Writer {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), String> {
        if depth > DEPTH_MAX {
            let kind = value.type_name();
            return Err(format!("json: unsupported value: encountered a cycle via {kind}"));
        }
        match value {
            Value::Nil => self.out.push_str("null"),
            Value::Bool(flag) => self.out.push_str(if *flag { "true" } else { "false" }),
            Value::Int(number) | Value::Int64(number) => self.display(number),
            Value::Uint8(number) => self.display(number),
            Value::Uint64(number) => self.display(number),
            Value::Float(number) => self.float(*number)?,
            Value::Str(text) => self.string(text),
            Value::Bytes(bytes) => self.string(&STANDARD.encode(bytes)),
            Value::List(list) if list.element == Element::Nothing => self.out.push_str("null"),
            Value::List(list) => {
                self.all('[', ']', list.items.iter(), depth, |writer, item| {
                    writer.value(item, depth + 1)
                })?;
            }
            Value::Map(map) => self.map(map, depth)?,
            Value::Object(object) => match (object.plain(), object.json_order()) {
                (Value::Map(map), Some(order)) => self.fields(&map, order, depth)?,
                (plain, _) => self.value(&plain, depth)?,
            },
        }
        Ok(())
    }

    fn display(&mut self, number: impl std::fmt::Display) {
        write!(self.out, "{number}").expect("writing to a String cannot fail");
    }

    fn map(&mut self, map: &Map, depth: usize) -> Result<(), String> {
        let entries = map.entries.borrow();
        self.all('{', '}', entries.iter(), depth, |writer, (key, value)| {
            writer.entry(key, value, depth)
        })
    }

    /// A struct: the fields that are there, in this order.
    fn fields(&mut self, map: &Map, order: &[&str], depth: usize) -> Result<(), String> {
        let fields = order.iter().filter_map(|name| Some((*name, map.get(name)?)));
        let fields: Vec<(&str, Value)> = fields.collect();
        self.all('{', '}', fields.iter(), depth, |writer, (key, value)| {
            writer.entry(key, value, depth)
        })
    }

    fn entry(&mut self, key: &str, value: &Value, depth: usize) -> Result<(), String> {
        self.string(key);
        self.out.push_str(if self.style == Style::Pretty { ": " } else { ":" });
        self.value(value, depth + 1)
    }

    fn all<T>(
        &mut self,
        open: char,
        close: char,
        items: impl ExactSizeIterator<Item = T>,
        depth: usize,
        write: impl Fn(&mut Self, T) -> Result<(), String>,
    ) -> Result<(), String> {
        let is_empty = items.len() == 0;
        self.out.push(open);
        for (at, item) in items.enumerate() {
            if at > 0 {
                self.out.push(',');
            }
            self.line(depth + 1);
            write(self, item)?;
        }
        if !is_empty {
            self.line(depth);
        }
        self.out.push(close);
        Ok(())
    }

    /// A new line, where there are lines.
    fn line(&mut self, depth: usize) {
        if self.style == Style::Pretty {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n("  ", depth));
        }
    }

    fn float(&mut self, number: f64) -> Result<(), String> {
        if !number.is_finite() {
            return Err(format!("json: unsupported value: {}", format_shortest(number)));
        }
        self.out.push_str(&json_float(number));
        Ok(())
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for letter in text.chars() {
            self.letter(letter);
        }
        self.out.push('"');
    }

    fn letter(&mut self, letter: char) {
        match letter {
            '"' => self.out.push_str("\\\""),
            '\\' => self.out.push_str("\\\\"),
            '\n' => self.out.push_str("\\n"),
            '\r' => self.out.push_str("\\r"),
            '\t' => self.out.push_str("\\t"),
            '\x08' => self.out.push_str("\\b"),
            '\x0c' => self.out.push_str("\\f"),
            '<' | '>' | '&' if self.style == Style::Raw => self.out.push(letter),
            '\0'..='\x1f' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                write!(self.out, "\\u{:04x}", u32::from(letter))
                    .expect("writing to a String cannot fail");
            }
            _ if escaped_byte(letter).is_some() => self.out.push_str("\\ufffd"),
            _ => self.out.push(letter),
        }
    }
}

/// A finite float as JavaScript writes it: an exponent below 1e-6 and from 1e21 on.
pub(super) fn json_float(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let scientific = format!("{number:e}");
        return match scientific.split_once('e') {
            Some((mantissa, exponent)) if !exponent.starts_with('-') => {
                format!("{mantissa}e+{exponent:0>2}")
            }
            _ => scientific,
        };
    }
    format!("{number}")
}
