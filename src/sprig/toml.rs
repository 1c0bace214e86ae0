//! TOML: written as the BurntSushi library writes it, read by the `toml` crate.

use std::fmt::Write as _;

use super::time::{Time, TimeObject};
use crate::template::float::format_shortest;
use crate::template::value::{List, Map, Value};

/// Nesting beyond which a value is a cycle.
const DEPTH_MAX: usize = 500;

/// The value as a TOML document: keys sorted, plain keys of a table before its sub-tables, two
/// spaces for each level of nesting. Where the library has a complaint, it is the text. The error
/// is what the library panics with.
pub(super) fn write(value: &Value) -> Result<String, String> {
    if value.is_nil() {
        return Err("reflect: call of reflect.Value.Type on zero Value".to_owned());
    }
    let mut writer = Writer { out: String::new() };
    Ok(match writer.entry(&[], value) {
        Ok(()) => writer.out,
        Err(complaint) => complaint,
    })
}

/// What TOML takes a value for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Nothing,
    Plain,
    Table,
    /// A list of nothing but tables.
    Tables,
}

fn kind_of(value: &Value, depth: usize) -> Result<Kind, String> {
    if depth > DEPTH_MAX {
        return Err("toml: the value is nested too deeply".to_owned());
    }
    Ok(match value {
        Value::Nil => Kind::Nothing,
        Value::Map(_) => Kind::Table,
        Value::List(List { items, .. }) => {
            let mut is_tables = !items.is_empty();
            for item in items.iter() {
                match kind_of(item, depth + 1)? {
                    Kind::Nothing => {
                        return Err("toml: cannot encode array with nil element".to_owned());
                    }
                    Kind::Table => {}
                    Kind::Plain | Kind::Tables => is_tables = false,
                }
            }
            if is_tables { Kind::Tables } else { Kind::Plain }
        }
        Value::Object(object) => match object.plain() {
            Value::Map(_) => Kind::Table,
            _ => Kind::Plain,
        },
        _ => Kind::Plain,
    })
}

struct Writer {
    out: String,
}

impl Writer {
    fn entry(&mut self, path: &[&str], value: &Value) -> Result<(), String> {
        match kind_of(value, path.len())? {
            Kind::Nothing => {}
            Kind::Plain => self.key_value(path, value)?,
            Kind::Table => {
                if path.len() == 1 {
                    self.line_between();
                }
                if !path.is_empty() {
                    self.header(path, "[", "]");
                }
                self.table(path, &as_map(value))?;
            }
            Kind::Tables => self.tables(path, value)?,
        }
        Ok(())
    }

    fn tables(&mut self, path: &[&str], value: &Value) -> Result<(), String> {
        if path.is_empty() {
            return Err("toml: top-level values must be Go maps or structs".to_owned());
        }
        let Value::List(list) = value else { return Ok(()) };
        for item in list.items.iter() {
            self.line_between();
            self.header(path, "[[", "]]");
            self.table(path, &as_map(item))?;
        }
        Ok(())
    }

    /// A line break, but not in front of everything.
    fn line_between(&mut self) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
    }

    fn indent(&mut self, path: &[&str]) {
        self.out.extend(std::iter::repeat_n("  ", path.len().saturating_sub(1)));
    }

    fn header(&mut self, path: &[&str], open: &str, close: &str) {
        self.indent(path);
        let keys: Vec<String> = path.iter().map(|key| bare_or_quoted(key)).collect();
        self.out.push_str(open);
        self.out.push_str(&keys.join("."));
        self.out.push_str(close);
        self.out.push('\n');
    }

    fn key_value(&mut self, path: &[&str], value: &Value) -> Result<(), String> {
        let Some(key) = path.last() else { return self.element(value, 0) };
        self.indent(path);
        self.out.push_str(&bare_or_quoted(key));
        self.out.push_str(" = ");
        self.element(value, path.len())?;
        self.out.push('\n');
        Ok(())
    }

    fn table(&mut self, path: &[&str], table: &Map) -> Result<(), String> {
        let (plain, nested) = split(table, path.len())?;
        for (key, value) in plain.iter().chain(&nested) {
            self.entry(&[path, &[key.as_str()]].concat(), value)?;
        }
        Ok(())
    }

    fn element(&mut self, value: &Value, depth: usize) -> Result<(), String> {
        match value {
            Value::Bool(flag) => self.out.push_str(if *flag { "true" } else { "false" }),
            Value::Int(number) | Value::Int64(number) => self.out.push_str(&number.to_string()),
            Value::Uint8(number) => self.out.push_str(&number.to_string()),
            Value::Uint64(number) => self.out.push_str(&number.to_string()),
            Value::Float(number) => self.out.push_str(&toml_float(*number)),
            Value::Str(text) => self.out.push_str(&quoted(text)),
            Value::Bytes(bytes) => {
                let items = bytes.iter().map(|byte| Value::Uint8(*byte));
                self.list(&items.collect::<Vec<_>>(), depth)?;
            }
            Value::List(list) => self.list(&list.items, depth)?,
            Value::Map(map) => self.inline_table(map, depth)?,
            Value::Object(object) => match TimeObject::of(value) {
                Some(time) => {
                    self.out.push_str(&time.format("2006-01-02T15:04:05.999999999Z07:00"));
                }
                None => self.element(&object.plain(), depth + 1)?,
            },
            Value::Nil => {
                return Err("reflect: call of reflect.Value.Type on zero Value".to_owned());
            }
        }
        Ok(())
    }

    fn list(&mut self, items: &[Value], depth: usize) -> Result<(), String> {
        self.out.push('[');
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.out.push_str(", ");
            }
            self.element(item, depth + 1)?;
        }
        self.out.push(']');
        Ok(())
    }

    fn inline_table(&mut self, table: &Map, depth: usize) -> Result<(), String> {
        let (plain, nested) = split(table, depth)?;
        self.out.push('{');
        let last = (plain.len() + nested.len()).saturating_sub(1);
        for (at, (key, value)) in plain.iter().chain(&nested).enumerate() {
            if value.is_nil() {
                continue;
            }
            self.out.push_str(&bare_or_quoted(key));
            self.out.push_str(" = ");
            self.element(value, depth + 1)?;
            if at < last {
                self.out.push_str(", ");
            }
        }
        self.out.push('}');
        Ok(())
    }
}

type Entries = Vec<(String, Value)>;

/// The entries of a table that are plain, and those that are tables.
fn split(table: &Map, depth: usize) -> Result<(Entries, Entries), String> {
    let (mut plain, mut nested) = (Vec::new(), Vec::new());
    for (key, value) in table.entries.borrow().iter() {
        let entry = (key.to_string(), value.clone());
        match kind_of(value, depth)? {
            Kind::Table | Kind::Tables => nested.push(entry),
            Kind::Nothing | Kind::Plain => plain.push(entry),
        }
    }
    Ok((plain, nested))
}

fn as_map(value: &Value) -> Map {
    match value {
        Value::Map(map) => map.clone(),
        Value::Object(object) => match object.plain() {
            Value::Map(map) => map,
            _ => Map::default(),
        },
        _ => Map::default(),
    }
}

fn toml_float(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let written = format_shortest(number);
    if written.contains(['e', '.']) { written } else { format!("{written}.0") }
}

fn bare_or_quoted(key: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !key.is_empty() && key.bytes().all(is_bare) { key.to_owned() } else { quoted(key) }
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\x08' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\x0c' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\0'..='\x1f' | '\x7f' => {
                write!(out, "\\u{:04x}", u32::from(letter)).expect("a String takes everything");
            }
            _ => out.push(letter),
        }
    }
    out.push('"');
    out
}

/// Reads a TOML document: whole numbers are `int64`, dates are times.
pub(super) fn read(text: &str) -> Result<Value, String> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().map_or("", |span| text.get(..span.start).unwrap_or(text));
        format!("toml: line {}: {}", before.matches('\n').count() + 1, error.message())
    })?;
    Ok(from_table(table))
}

fn from_table(table: toml::Table) -> Value {
    Value::map(table.into_iter().map(|(key, value)| (key.into(), from_toml(value))))
}

fn from_toml(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::str(text),
        toml::Value::Integer(number) => Value::Int64(number),
        toml::Value::Float(number) => Value::Float(number),
        toml::Value::Boolean(flag) => Value::Bool(flag),
        toml::Value::Datetime(when) => time_of(&when.to_string()),
        toml::Value::Array(items) => Value::list(items.into_iter().map(from_toml).collect()),
        toml::Value::Table(table) => from_table(table),
    }
}

fn time_of(written: &str) -> Value {
    let written = written.replacen(['t', ' '], "T", 1);
    let layouts = ["2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05", "2006-01-02", "15:04:05"];
    let time = layouts.into_iter().find_map(|layout| Time::parse(layout, &written).ok());
    time.map_or_else(|| Value::str(written), TimeObject::value)
}
