//! The functions of the language itself. All others come from the caller's table, which may also
//! replace these.

use std::cmp::Ordering;
use std::fmt::Write as _;
use std::rc::Rc;

use super::binary::{from_bytes, to_bytes};
use super::function::Param;
use super::print::{sprint, sprintf, sprintln};
use super::quote::is_printable;
use super::value::{Element, List, Typed, Value};

/// A function of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builtin {
    /// The first argument that is not true, or the last one; the others are not evaluated.
    And,
    /// The first argument that is true, or the last one; the others are not evaluated.
    Or,
    /// Negation of truth.
    Not,
    /// Calls a function value, of which there are none here.
    Call,
    /// Bytes of a string, entries of a list or map.
    Len,
    /// `x[1][2][3]`.
    Index,
    /// `x[1:2]`.
    Slice,
    /// Escapes for HTML.
    Html,
    /// Escapes for JavaScript.
    Js,
    /// Escapes for the query of a URL.
    UrlQuery,
    /// `fmt.Sprint`.
    Print,
    /// `fmt.Sprintf`.
    Printf,
    /// `fmt.Sprintln`.
    Println,
    /// Whether the first argument equals any other.
    Eq,
    /// `!=`.
    Ne,
    /// `<`.
    Lt,
    /// `<=`.
    Le,
    /// `>`.
    Gt,
    /// `>=`.
    Ge,
}

/// What a place for an argument accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Anything, as it is, with its static type.
    Untouched,
    /// A Go type.
    Param(Param),
}

const COUNT_MAX: usize = 3;

impl Builtin {
    /// The function that templates call `name`.
    pub fn find(name: &str) -> Option<Self> {
        Some(match name {
            "and" => Self::And,
            "or" => Self::Or,
            "not" => Self::Not,
            "call" => Self::Call,
            "len" => Self::Len,
            "index" => Self::Index,
            "slice" => Self::Slice,
            "html" => Self::Html,
            "js" => Self::Js,
            "urlquery" => Self::UrlQuery,
            "print" => Self::Print,
            "printf" => Self::Printf,
            "println" => Self::Println,
            "eq" => Self::Eq,
            "ne" => Self::Ne,
            "lt" => Self::Lt,
            "le" => Self::Le,
            "gt" => Self::Gt,
            "ge" => Self::Ge,
            _ => return None,
        })
    }

    /// What templates call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::And => "and",
            Self::Or => "or",
            Self::Not => "not",
            Self::Call => "call",
            Self::Len => "len",
            Self::Index => "index",
            Self::Slice => "slice",
            Self::Html => "html",
            Self::Js => "js",
            Self::UrlQuery => "urlquery",
            Self::Print => "print",
            Self::Printf => "printf",
            Self::Println => "println",
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Lt => "lt",
            Self::Le => "le",
            Self::Gt => "gt",
            Self::Ge => "ge",
        }
    }

    /// The fixed parameters, and what the arguments behind them are if there may be any number.
    pub(super) fn parameters(self) -> (&'static [Wanted], Option<Wanted>) {
        const ANY: Wanted = Wanted::Param(Param::Any);
        const RAW: Wanted = Wanted::Untouched;
        match self {
            Self::Not | Self::Len => (&[RAW], None),
            Self::Ne | Self::Lt | Self::Le | Self::Gt | Self::Ge => (&[RAW, RAW], None),
            Self::And | Self::Or | Self::Call | Self::Index | Self::Slice | Self::Eq => {
                (&[RAW], Some(RAW))
            }
            Self::Html | Self::Js | Self::UrlQuery | Self::Print | Self::Println => {
                (&[], Some(ANY))
            }
            Self::Printf => (&[Wanted::Param(Param::Str)], Some(ANY)),
        }
    }

    /// Calls it with as many arguments as [`Builtin::parameters`] says. `callee` is the text of
    /// the first argument. `and` and `or` are the evaluator's.
    pub(super) fn call(self, callee: &str, args: &[Typed]) -> Result<Typed, String> {
        let values = || args.iter().map(|arg| arg.value.clone()).collect::<Vec<_>>();
        let truth = |outcome: Result<bool, String>| outcome.map(Value::Bool);
        let value = match self {
            Self::And | Self::Or => return Ok(args.last().cloned().unwrap_or_default()),
            Self::Index => return index(&args[0], &args[1..]),
            Self::Not => Ok(Value::Bool(!args[0].value.truth())),
            Self::Call => Err(match &args[0].value {
                Value::Nil => "call of nil".to_owned(),
                value => format!("non-function {callee} of type {}", value.type_name()),
            }),
            Self::Len => length(&args[0]),
            Self::Slice => slice(&args[0].value, &args[1..]),
            Self::Html => Ok(Value::str(html(&printed(&values())))),
            Self::Js => Ok(Value::str(js(&printed(&values())))),
            Self::UrlQuery => Ok(Value::str(url_query(&printed(&values())))),
            Self::Print => Ok(Value::str(sprint(&values()))),
            Self::Println => Ok(Value::str(sprintln(&values()))),
            Self::Printf => {
                let values = values();
                let Value::Str(format) = &values[0] else {
                    return Err("format is not a string".to_owned());
                };
                Ok(Value::str(sprintf(format, &values[1..])))
            }
            Self::Eq => truth(equals_any(&args[0].value, &args[1..])),
            Self::Ne => truth(equals_any(&args[0].value, &args[1..]).map(|equal| !equal)),
            Self::Lt => truth(less(&args[0].value, &args[1].value)),
            Self::Le => truth(less_or_equal(&args[0].value, &args[1].value)),
            Self::Gt => truth(less_or_equal(&args[0].value, &args[1].value).map(|le| !le)),
            Self::Ge => truth(less(&args[0].value, &args[1].value).map(|lt| !lt)),
        };
        value.map(Typed::bare)
    }
}

/// The plain value of an object that is a map or slice; others as they are.
fn as_collection(value: &Value) -> Value {
    match value {
        Value::Object(object) if matches!(object.kind(), "map" | "slice") => object.plain(),
        _ => value.clone(),
    }
}

fn position(index: &Value, length: usize) -> Result<usize, String> {
    let number = match index {
        Value::Int(number) | Value::Int64(number) => *number,
        Value::Uint8(number) => (*number).into(),
        Value::Uint64(number) => *number as i64,
        Value::Nil => return Err("cannot index slice/array with nil".to_owned()),
        _ => return Err(format!("cannot index slice/array with type {}", index.type_name())),
    };
    match usize::try_from(number) {
        Ok(position) if position <= length => Ok(position),
        _ => Err(format!("index out of range: {number}")),
    }
}

fn index(item: &Typed, indexes: &[Typed]) -> Result<Typed, String> {
    if item.value.is_nil() {
        return Err("index of untyped nil".to_owned());
    }
    let mut item = item.clone();
    for index in indexes {
        let key = &index.value;
        item = match as_collection(&item.value) {
            Value::Nil => return Err("index of nil pointer".to_owned()),
            Value::List(list) => {
                let at = position(key, list.items.len())?;
                let value = list.items.get(at).ok_or("reflect: slice index out of range")?;
                Typed::element(value.clone(), list.element)
            }
            Value::Bytes(bytes) => {
                let at = position(key, bytes.len())?;
                let byte = bytes.get(at).ok_or("reflect: slice index out of range")?;
                Typed::bare(Value::Uint8(*byte))
            }
            Value::Str(text) => {
                let at = position(key, text.len())?;
                let bytes = to_bytes(&text);
                let byte = bytes.get(at).ok_or("reflect: string index out of range")?;
                Typed::bare(Value::Uint8(*byte))
            }
            Value::Map(map) => {
                let Value::Str(key) = key else {
                    return Err(match key {
                        Value::Nil => "value is nil; should be of type string".to_owned(),
                        _ => format!("value has type {}; should be string", key.type_name()),
                    });
                };
                let value = map.get(key).unwrap_or_else(|| map.element.zero());
                Typed::element(value, map.element)
            }
            other => return Err(format!("can't index item of type {}", pointee(&other))),
        };
    }
    Ok(item)
}

fn slice(item: &Value, indexes: &[Typed]) -> Result<Value, String> {
    if item.is_nil() {
        return Err("slice of untyped nil".to_owned());
    }
    if indexes.len() > COUNT_MAX {
        return Err(format!("too many slice indexes: {}", indexes.len()));
    }
    let item = as_collection(item);
    let length = match &item {
        Value::Str(_) if indexes.len() == COUNT_MAX => {
            return Err("cannot 3-index slice a string".to_owned());
        }
        Value::Str(text) => to_bytes(text).len(),
        Value::List(list) => list.items.len(),
        Value::Bytes(bytes) => bytes.len(),
        other => return Err(format!("can't slice item of type {}", other.type_name())),
    };
    let mut bounds = [0, length, length];
    for (bound, index) in bounds.iter_mut().zip(indexes) {
        *bound = position(&index.value, length)?;
    }
    let [start, end, limit] = bounds;
    for (low, high) in [(start, end), (end, limit)] {
        if low > high {
            return Err(format!("invalid slice index: {low} > {high}"));
        }
    }
    Ok(match item {
        Value::List(List { element, items }) => {
            Value::List(List { element, items: Rc::new(items[start..end].to_vec()) })
        }
        Value::Bytes(bytes) => Value::Bytes(bytes[start..end].into()),
        Value::Str(text) => Value::str(from_bytes(&to_bytes(&text)[start..end])),
        other => other,
    })
}

fn length(item: &Typed) -> Result<Value, String> {
    let count = match as_collection(&item.value) {
        Value::Nil if item.in_interface => return Err("len of nil pointer".to_owned()),
        Value::Nil => return Err("reflect: call of reflect.Value.Type on zero Value".to_owned()),
        Value::Str(text) => to_bytes(&text).len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(list) => list.items.len(),
        Value::Map(map) => map.entries.borrow().len(),
        other => return Err(format!("len of type {}", pointee(&other))),
    };
    Ok(Value::Int(count as i64))
}

/// The type behind a pointer, which is what Go looks at there.
fn pointee(value: &Value) -> &str {
    let name = value.type_name();
    name.strip_prefix('*').unwrap_or(name)
}

/// The kinds of values that can be compared in order.
enum Basic<'a> {
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Str(&'a str),
}

fn basic(value: &Value) -> Option<Basic<'_>> {
    Some(match value {
        Value::Bool(truth) => Basic::Bool(*truth),
        Value::Int(number) | Value::Int64(number) => Basic::Int(*number),
        Value::Uint8(number) => Basic::Uint((*number).into()),
        Value::Uint64(number) => Basic::Uint(*number),
        Value::Float(number) => Basic::Float(*number),
        Value::Str(text) => Basic::Str(text),
        _ => return None,
    })
}

fn incompatible(left: &Value, right: &Value) -> String {
    let (left, right) = (left.type_name(), right.type_name());
    format!("incompatible types for comparison: {left} and {right}")
}

fn equals_any(first: &Value, others: &[Typed]) -> Result<bool, String> {
    if others.is_empty() {
        return Err("missing argument for comparison".to_owned());
    }
    for other in others {
        if equal(first, &other.value)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn equal(left: &Value, right: &Value) -> Result<bool, String> {
    Ok(match (basic(left), basic(right)) {
        (Some(Basic::Bool(left)), Some(Basic::Bool(right))) => left == right,
        (Some(Basic::Int(left)), Some(Basic::Int(right))) => left == right,
        (Some(Basic::Uint(left)), Some(Basic::Uint(right))) => left == right,
        (Some(Basic::Float(left)), Some(Basic::Float(right))) => left == right,
        (Some(Basic::Str(left)), Some(Basic::Str(right))) => left == right,
        (Some(Basic::Int(int)), Some(Basic::Uint(uint)))
        | (Some(Basic::Uint(uint)), Some(Basic::Int(int))) => u64::try_from(int) == Ok(uint),
        (None, None) => return equal_collections(left, right),
        _ if left.is_nil() || right.is_nil() => false,
        _ => return Err(incompatible(left, right)),
    })
}

/// Values of no basic kind: nil equals nil, structs may be compared, pointers are equal to
/// themselves, lists and maps may not be compared.
fn equal_collections(left: &Value, right: &Value) -> Result<bool, String> {
    if left.is_nil() || right.is_nil() {
        return Ok(left.is_nil() && right.is_nil());
    }
    let name = |value: &Value| Value::str(value.type_name());
    if kind(left) != kind(right) {
        return Err(sprintf(
            "non-comparable types %s: %v, %s: %v",
            &[left.clone(), name(left), name(right), right.clone()],
        ));
    }
    match (left, right) {
        (Value::Object(left), Value::Object(right)) if !matches!(left.kind(), "map" | "slice") => {
            Ok(Rc::ptr_eq(left, right)
                || (left.kind() != "ptr"
                    && left.type_name() == right.type_name()
                    && left.print() == right.print()))
        }
        _ => Err(sprintf("non-comparable type %s: %v", &[right.clone(), name(right)])),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::List(_) | Value::Bytes(_) => "slice",
        Value::Map(_) => "map",
        Value::Object(object) => object.kind(),
        _ => "",
    }
}

fn less(left: &Value, right: &Value) -> Result<bool, String> {
    const BAD: &str = "invalid type for comparison";
    let (Some(first), Some(second)) = (basic(left), basic(right)) else {
        return Err(BAD.to_owned());
    };
    let order = match (first, second) {
        (Basic::Int(left), Basic::Int(right)) => Some(left.cmp(&right)),
        (Basic::Uint(left), Basic::Uint(right)) => Some(left.cmp(&right)),
        (Basic::Float(left), Basic::Float(right)) => left.partial_cmp(&right),
        (Basic::Str(left), Basic::Str(right)) => Some(left.cmp(right)),
        (Basic::Int(left), Basic::Uint(right)) => Some(i128::from(left).cmp(&right.into())),
        (Basic::Uint(left), Basic::Int(right)) => Some(i128::from(left).cmp(&right.into())),
        (Basic::Bool(_), Basic::Bool(_)) => return Err(BAD.to_owned()),
        _ => return Err(incompatible(left, right)),
    };
    Ok(order == Some(Ordering::Less))
}

fn less_or_equal(left: &Value, right: &Value) -> Result<bool, String> {
    Ok(less(left, right)? || equal(left, right)?)
}

/// The arguments of an escaping function as one text.
fn printed(args: &[Value]) -> String {
    match args {
        [Value::Str(text)] => text.to_string(),
        [Value::Object(object)] => object.show(),
        _ => {
            let shown: Vec<Value> = args
                .iter()
                .map(|arg| if arg.is_nil() { Value::str("<no value>") } else { arg.clone() })
                .collect();
            sprint(&shown)
        }
    }
}

fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\0' => out.push('\u{fffd}'),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            _ => out.push(c),
        }
    }
    out
}

fn js(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '\'' | '"' => out.extend(['\\', c]),
            '<' | '>' | '&' | '=' | '\0'..' ' => push_unicode_escape(&mut out, c),
            _ if !c.is_ascii() && !is_printable(c) => push_unicode_escape(&mut out, c),
            _ => out.push(c),
        }
    }
    out
}

fn push_unicode_escape(out: &mut String, c: char) {
    write!(out, "\\u{:04X}", u32::from(c)).expect("writing to a String cannot fail");
}

fn url_query(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            _ => write!(out, "%{byte:02X}").expect("writing to a String cannot fail"),
        }
    }
    out
}

impl Typed {
    /// The zero value of the element type, with the static type that an entry would have.
    pub(super) fn missing(element: Element) -> Self {
        Self::element(element.zero(), element)
    }
}
