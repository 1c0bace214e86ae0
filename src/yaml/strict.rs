//! Our own dialect: YAML 1.2 core scalars, no duplicate keys, every finding with its place.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value as Json};

use super::node::{Node, NodeKind, ScalarStyle};
use crate::base::diagnostic::{Checked, Diagnostic};
use crate::base::span::Span;

/// A node's JSON. `<<` merges, as everywhere else; a key that is no string counts by its text.
pub fn to_json(node: &Node) -> Checked<Json> {
    let mut diagnostics = Vec::new();
    let value = convert(node, &mut diagnostics);
    Checked { value, diagnostics }
}

/// What a scalar means: `null`, a boolean, a number or a string. `None` for other nodes.
pub fn scalar(node: &Node) -> Option<Json> {
    let NodeKind::Scalar { text, style } = &node.kind else { return None };
    Some(match node.tag.as_deref() {
        None if *style == ScalarStyle::Plain => resolve(text),
        Some("!!int" | "!!float" | "!!bool" | "!!null") => resolve(text),
        _ => Json::String(text.clone()),
    })
}

fn convert(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Json {
    if let Some(tag) = &node.tag {
        check_tag(tag, node, diagnostics);
    }
    match &node.kind {
        NodeKind::Scalar { .. } => scalar(node).unwrap_or_default(),
        NodeKind::Sequence(items) => {
            Json::Array(items.iter().map(|item| convert(item, diagnostics)).collect())
        }
        NodeKind::Mapping(entries) => Json::Object(table(entries, diagnostics)),
    }
}

fn check_tag(tag: &str, node: &Node, diagnostics: &mut Vec<Diagnostic>) {
    let is_known = matches!(
        tag,
        "!" | "!!str" | "!!int" | "!!float" | "!!bool" | "!!null" | "!!seq" | "!!map"
    );
    let is_fitting = match (tag, scalar(node)) {
        ("!!int", Some(value)) => value.is_i64() || value.is_u64(),
        ("!!float", Some(value)) => value.is_number(),
        ("!!bool", Some(value)) => value.is_boolean(),
        ("!!null", Some(value)) => value.is_null(),
        _ => true,
    };
    if !is_known {
        diagnostics.push(
            Diagnostic::error("unknown-tag", format!("the tag `{tag}` has no meaning here"))
                .label(&node.span, "this value"),
        );
    } else if !is_fitting {
        diagnostics.push(
            Diagnostic::error("wrong-tag", format!("the value is not what its tag `{tag}` says"))
                .label(&node.span, "this value"),
        );
    }
}

fn table(entries: &[(Node, Node)], diagnostics: &mut Vec<Diagnostic>) -> Map<String, Json> {
    let mut table = Map::new();
    for (_, merged) in entries.iter().filter(|(key, _)| is_merge(key)) {
        merge(&mut table, merged, diagnostics);
    }
    let mut seen: BTreeMap<&str, &Span> = BTreeMap::new();
    for (key, value) in entries.iter().filter(|(key, _)| !is_merge(key)) {
        let NodeKind::Scalar { text, .. } = &key.kind else {
            diagnostics.push(
                Diagnostic::error("key-not-a-string", "a key has to be a plain word or a string")
                    .label(&key.span, "this key")
                    .help("quote a value that begins with `{` or `[`"),
            );
            continue;
        };
        if let Some(first) = seen.insert(text, &key.span) {
            diagnostics.push(
                Diagnostic::error("duplicate-key", format!("the key `{text}` is there twice"))
                    .label(&key.span, "again here")
                    .label(first, "first here"),
            );
        }
        table.insert(text.clone(), convert(value, diagnostics));
    }
    table
}

fn is_merge(key: &Node) -> bool {
    matches!(&key.kind, NodeKind::Scalar { text, style: ScalarStyle::Plain } if text == "<<")
}

fn merge(table: &mut Map<String, Json>, merged: &Node, diagnostics: &mut Vec<Diagnostic>) {
    match convert(merged, diagnostics) {
        Json::Object(entries) => table.extend(entries),
        // Earlier ones win, so they go last.
        Json::Array(items) if items.iter().all(Json::is_object) => {
            for item in items.into_iter().rev() {
                if let Json::Object(entries) = item {
                    table.extend(entries);
                }
            }
        }
        _ => diagnostics.push(
            Diagnostic::error("wrong-merge", "`<<` merges a mapping or a list of mappings")
                .label(&merged.span, "neither of them"),
        ),
    }
}

fn resolve(text: &str) -> Json {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Json::Null,
        "true" | "True" | "TRUE" => Json::Bool(true),
        "false" | "False" | "FALSE" => Json::Bool(false),
        _ => number(text).map_or_else(|| Json::String(text.to_owned()), Json::Number),
    }
}

fn number(text: &str) -> Option<Number> {
    if let Some(digits) = text.strip_prefix("0o") {
        return u64::from_str_radix(digits, 8).ok().map(Number::from);
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok().map(Number::from);
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_number = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.bytes().any(|b| b.is_ascii_digit())
        && unsigned
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    if !is_number {
        return None;
    }
    let positive = text.strip_prefix('+').unwrap_or(text);
    positive
        .parse::<i64>()
        .map(Number::from)
        .or_else(|_| positive.parse::<u64>().map(Number::from))
        .ok()
        .or_else(|| positive.parse::<f64>().ok().and_then(Number::from_f64))
}
