//! Helm's dialect: YAML 1.1 scalars and errors as Go's `sigs.k8s.io/yaml` has them, to JSON.

use serde_json::{Map, Number, Value as Json};

use super::node::{Node, NodeKind, ScalarStyle};
use super::number;
use super::parse::first_document;
use super::plain;
use super::resolve::{Resolved, resolve};

/// What becomes of whole numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// Every number is a float, as in chart values (`json.Unmarshal` into `interface{}`).
    Floats,
    /// Whole numbers stay exact, as in Kubernetes objects.
    Exact,
}

/// Reads the first document of a text as values: every number is a float.
///
/// # Errors
/// Go's text, such as `error converting YAML to JSON: yaml: line 3: did not find expected key`.
pub fn read(text: &str) -> Result<Json, String> {
    read_with(text, Numbers::Floats)
}

/// Reads the first document of a text as a Kubernetes object: whole numbers stay exact.
///
/// # Errors
/// As [`read`].
pub fn read_object(text: &str) -> Result<Json, String> {
    read_with(text, Numbers::Exact)
}

/// Reads the first document of a text as a table of values; an empty one is an empty table.
///
/// # Errors
/// As [`read`], and for what is no table.
pub fn read_map(text: &str) -> Result<Json, String> {
    match read(text)? {
        Json::Null => Ok(Json::Object(Map::new())),
        table @ Json::Object(_) => Ok(table),
        other => Err(not_a_map(&other)),
    }
}

/// Go's complaint about a document that is no table.
pub fn not_a_map(value: &Json) -> String {
    let kind = match value {
        Json::Array(_) => "array",
        Json::String(_) => "string",
        Json::Bool(_) => "bool",
        Json::Number(_) => "number",
        Json::Null | Json::Object(_) => "object",
    };
    format!(
        "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {kind} into Go \
         value of type map[string]interface {{}}"
    )
}

fn read_with(text: &str, numbers: Numbers) -> Result<Json, String> {
    read_text(text, numbers).map_err(|problem| format!("error converting YAML to JSON: {problem}"))
}

fn read_text(text: &str, numbers: Numbers) -> Result<Json, String> {
    if let Some(value) = plain::read(text, numbers) {
        return Ok(value);
    }
    read_whole(text, numbers)
}

/// As [`read_text`], with the parser that knows all of YAML.
pub(super) fn read_whole(text: &str, numbers: Numbers) -> Result<Json, String> {
    let document = first_document(text).map_err(|error| match error.go_line {
        Some(line) => format!("yaml: line {line}: {}", error.problem),
        None => format!("yaml: {}", error.problem),
    })?;
    document.map_or(Ok(Json::Null), |document| into_json(document, numbers))
}

/// A node's JSON. Of duplicate keys the last one counts; keys that are no strings become strings.
///
/// # Errors
/// Go's text, such as `yaml: invalid map key: …`.
pub fn to_json<P: Clone>(node: &Node<P>, numbers: Numbers) -> Result<Json, String> {
    into_json(node.clone(), numbers)
}

fn into_json<P>(node: Node<P>, numbers: Numbers) -> Result<Json, String> {
    match node.kind {
        NodeKind::Scalar { text, style } => {
            let (resolved, text) = scalar(text, style, node.tag.as_deref())?;
            scalar_json(resolved, text, numbers)
        }
        NodeKind::Sequence(items) => {
            let items = items.into_iter().map(|item| into_json(item, numbers));
            Ok(Json::Array(items.collect::<Result<_, _>>()?))
        }
        NodeKind::Mapping(entries) => {
            let mut table = Map::new();
            insert_all(&mut table, entries, numbers)?;
            Ok(Json::Object(table))
        }
    }
}

fn insert_all<P>(
    table: &mut Map<String, Json>,
    entries: Vec<(Node<P>, Node<P>)>,
    numbers: Numbers,
) -> Result<(), String> {
    for (key, value) in entries {
        if is_merge(&key) {
            merge(table, value, numbers)?;
            continue;
        }
        let key = key_text(key, &value)?;
        table.insert(key, into_json(value, numbers)?);
    }
    Ok(())
}

fn is_merge<P>(key: &Node<P>) -> bool {
    let NodeKind::Scalar { text, style } = &key.kind else { return false };
    let is_plain = key.tag.is_none() && *style == ScalarStyle::Plain;
    text == "<<" && (is_plain || matches!(key.tag.as_deref(), Some("!" | "!!merge")))
}

fn merge<P>(table: &mut Map<String, Json>, value: Node<P>, numbers: Numbers) -> Result<(), String> {
    let refused =
        || Err("yaml: map merge requires map or sequence of maps as the value".to_owned());
    match value.kind {
        NodeKind::Mapping(entries) => insert_all(table, entries, numbers),
        // Earlier ones win, so they go last.
        NodeKind::Sequence(items) => items.into_iter().rev().try_for_each(|item| match item.kind {
            NodeKind::Mapping(entries) => insert_all(table, entries, numbers),
            _ => refused(),
        }),
        NodeKind::Scalar { .. } => refused(),
    }
}

fn key_text<P>(key: Node<P>, value: &Node<P>) -> Result<String, String> {
    let (text, style) = match key.kind {
        NodeKind::Scalar { text, style } => (text, style),
        kind => {
            let syntax = go_syntax(&kind, None);
            // What is wrong inside of the key comes first.
            into_json(Node { kind, ..key }, Numbers::Exact)?;
            return Err(format!("yaml: invalid map key: {syntax}"));
        }
    };
    let (resolved, text) = scalar(text, style, key.tag.as_deref())?;
    Ok(match resolved {
        Resolved::Str | Resolved::Timestamp => text,
        Resolved::Bool(value) => value.to_string(),
        Resolved::Int(value) => value.to_string(),
        Resolved::Float(value) if value.is_nan() => ".nan".to_owned(),
        Resolved::Float(value) if value.is_infinite() => {
            if value > 0.0 {
                ".inf".to_owned()
            } else {
                "-.inf".to_owned()
            }
        }
        // Go prints such keys with the digits of a 32-bit float.
        Resolved::Float(value) => number::general_32(value as f32),
        Resolved::Uint(number) => {
            return Err(unsupported_key("uint64", &format!("{number:#x}"), value));
        }
        Resolved::Null => return Err(unsupported_key("%!s(<nil>)", "<nil>", value)),
    })
}

fn unsupported_key<P>(kind: &str, key: &str, value: &Node<P>) -> String {
    let value = match (&value.kind, go_syntax(&value.kind, value.tag.as_deref())) {
        (NodeKind::Scalar { .. }, text) if text == "interface {}(nil)" => "<nil>".to_owned(),
        (_, text) => text,
    };
    format!("unsupported map key of type: {kind}, key: {key}, value: {value}")
}

/// A scalar's type and, for strings, its text.
fn scalar(
    text: String,
    style: ScalarStyle,
    tag: Option<&str>,
) -> Result<(Resolved, String), String> {
    let found = match tag {
        None if style == ScalarStyle::Plain => resolve(&text),
        None | Some("!!str") => Resolved::Str,
        Some("!!binary") => {
            use base64::Engine as _;
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(text.replace(['\n', '\r'], ""))
                .map_err(|_| "yaml: !!binary value contains invalid base64 data".to_owned())?;
            return Ok((Resolved::Str, String::from_utf8_lossy(&bytes).into_owned()));
        }
        Some(tag @ ("!!bool" | "!!int" | "!!float" | "!!null" | "!!timestamp")) => {
            match resolve(&text) {
                Resolved::Int(value) if tag == "!!float" => Resolved::Float(value as f64),
                found if found.tag() == tag => found,
                found => {
                    let found = found.tag();
                    return Err(format!("yaml: cannot decode {found} `{text}` as a {tag}"));
                }
            }
        }
        Some(_) => Resolved::Str,
    };
    Ok((found, text))
}

pub(super) fn scalar_json(
    resolved: Resolved,
    text: String,
    numbers: Numbers,
) -> Result<Json, String> {
    let is_exact = numbers == Numbers::Exact;
    Ok(match resolved {
        Resolved::Null => Json::Null,
        Resolved::Bool(value) => Json::Bool(value),
        Resolved::Int(value) if is_exact => Json::from(value),
        Resolved::Uint(value) if is_exact => Json::from(value),
        Resolved::Int(value) => Json::from(value as f64),
        Resolved::Uint(value) => Json::from(value as f64),
        // Go writes a whole float without a point, so that it reads back as an integer.
        Resolved::Float(value)
            if is_exact && value.fract() == 0.0 && value.abs() < EXACT_FLOAT_MAX =>
        {
            Json::from(value as i64)
        }
        Resolved::Float(value) => match Number::from_f64(value) {
            Some(number) => Json::Number(number),
            None => return Err(format!("json: unsupported value: {}", number::general(value))),
        },
        Resolved::Str | Resolved::Timestamp => Json::String(text),
    })
}

/// Whole floats below it are exact.
const EXACT_FLOAT_MAX: f64 = 9_007_199_254_740_992.0;

/// A node as Go's `%#v` prints what its library reads.
fn go_syntax<P>(kind: &NodeKind<P>, tag: Option<&str>) -> String {
    let inner = |node: &Node<P>| go_syntax(&node.kind, node.tag.as_deref());
    match kind {
        NodeKind::Scalar { text, style } => match scalar(text.clone(), *style, tag) {
            Ok((Resolved::Null, _)) => "interface {}(nil)".to_owned(),
            Ok((Resolved::Bool(value), _)) => value.to_string(),
            Ok((Resolved::Int(value), _)) => value.to_string(),
            Ok((Resolved::Uint(value), _)) => format!("0x{value:x}"),
            Ok((Resolved::Float(value), _)) => number::general(value),
            Ok(_) | Err(_) => format!("{text:?}"),
        },
        NodeKind::Sequence(items) => {
            let items: Vec<String> = items.iter().map(inner).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        NodeKind::Mapping(entries) => {
            let mut entries: Vec<String> = entries
                .iter()
                .map(|(key, value)| format!("{}:{}", inner(key), inner(value)))
                .collect();
            entries.sort();
            format!("map[interface {{}}]interface {{}}{{{}}}", entries.join(", "))
        }
    }
}
