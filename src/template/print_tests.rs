//! What Go prints, as data.

use super::*;

fn s(text: &str) -> Value {
    Value::str(text)
}

fn map(entries: &[(&str, Value)]) -> Value {
    Value::map(entries.iter().map(|(key, value)| ((*key).into(), value.clone())))
}

#[test]
fn values_print_as_gos_percent_v() {
    let nested = map(&[
        ("b", Value::list(vec![s("x"), s("y"), Value::Nil])),
        ("a", Value::Int(1)),
        ("c", map(&[])),
        ("d", Value::Float(1e6)),
    ]);
    assert_eq!(nested.to_string(), "map[a:1 b:[x y <nil>] c:map[] d:1e+06]");
    assert_eq!(Value::Nil.to_string(), "<nil>");
    assert_eq!(Value::Bytes(b"hi"[..].into()).to_string(), "[104 105]");
    assert_eq!(Value::Bool(true).to_string(), "true");
}

#[test]
fn a_map_that_contains_itself_prints_and_ends() {
    let map = Map::default();
    map.insert("again", Value::Map(map.clone()));
    assert!(Value::Map(map.clone()).to_string().starts_with("map[again:map[again:map["));
    map.remove("again");
}

#[test]
fn print_puts_spaces_between_values_that_are_no_strings() {
    assert_eq!(sprint(&[s("a"), s("b"), Value::Int(1), Value::Int(2), Value::Nil]), "ab1 2 <nil>");
    assert_eq!(sprint(&[Value::Int(1), s("a"), Value::Int(1)]), "1a1");
    assert_eq!(sprintln(&[s("a"), Value::Int(1)]), "a 1\n");
    assert_eq!(sprintln(&[]), "\n");
}

/// Recorded by `tests/oracle/template` from Go's own packages.
const CASES: &str = include_str!("../../tests/cases/template/print.jsonl");

/// An argument: JSON with Go's type as the only key of an object.
fn argument(json: &serde_json::Value) -> Value {
    let (kind, json) = json.as_object().unwrap().iter().next().unwrap();
    let text = json.as_str().unwrap_or("");
    match kind.as_str() {
        "nil" => Value::Nil,
        "bool" => Value::Bool(text == "true"),
        "string" => s(text),
        "bytes" => Value::Bytes(text.as_bytes().into()),
        "int" => Value::Int(text.parse().unwrap()),
        "int64" => Value::Int64(text.parse().unwrap()),
        "uint8" => Value::Uint8(text.parse().unwrap()),
        "uint64" => Value::Uint64(text.parse().unwrap()),
        "float" => Value::Float(text.parse().unwrap()),
        "strings" => {
            Value::strings(json.as_array().unwrap().iter().map(|item| item.as_str().unwrap()))
        }
        "list" => Value::list(json.as_array().unwrap().iter().map(argument).collect()),
        "map" => Value::map(
            json.as_object()
                .unwrap()
                .iter()
                .map(|(key, item)| (key.as_str().into(), argument(item))),
        ),
        _ => panic!("unknown type {kind}"),
    }
}

#[test]
fn every_verb_prints_as_in_go() {
    let mut wrong = Vec::new();
    for line in CASES.lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let format = case["in"].as_str().unwrap();
        let args: Vec<Value> =
            case["args"].as_array().into_iter().flatten().map(argument).collect();
        let expected = case["out"].as_str().unwrap();
        let got = sprintf(format, &args);
        if got != expected {
            wrong.push(format!("{format} {args:?}\n  Go: {expected:.300}\n  us: {got:.300}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
