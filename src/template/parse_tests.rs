//! What Go's parser accepts and how it refuses the rest, as data.

use super::*;
use crate::template::function::{Function, Functions};

struct NoFunctions;

impl Functions for NoFunctions {
    fn find(&self, _name: &str) -> Option<&'static Function> {
        None
    }
}

fn parsed(text: &str) -> Result<String, String> {
    let trees = parse("name", text, &NoFunctions).map_err(|error| error.to_string())?;
    let main = trees.iter().find(|tree| &*tree.name == "name").unwrap();
    Ok(main.to_string())
}

/// Recorded by `tests/oracle/template` from Go's own packages.
const CASES: &str = include_str!("../../tests/cases/template/parse.jsonl");

#[test]
fn texts_are_read_and_refused_as_in_go() {
    let mut wrong = Vec::new();
    for line in CASES.lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = case["in"].as_str().unwrap();
        let expected = match case["out"].as_str() {
            Some(out) => Ok(out.to_owned()),
            None => Err(case["error"].as_str().unwrap().to_owned()),
        };
        let got = parsed(text);
        if got != expected {
            wrong.push(format!("{text}\n  Go: {expected:?}\n  us: {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn deep_nesting_is_refused() {
    let parens = format!("{{{{{}1{}}}}}", "(".repeat(2000), ")".repeat(2000));
    assert_eq!(parsed(&parens), Err("template: name:1: max expression depth exceeded".to_owned()));
    assert!(parsed(&"{{if .}}".repeat(2000)).is_err());
    assert!(parsed(&format!("{{{{if 1}}}}{}{{{{end}}}}", "{{else if 1}}".repeat(200))).is_ok());
}

#[test]
fn a_file_gives_one_tree_for_each_definition() {
    let trees = parse(
        "f",
        "{{define `a`}}x{{end}}{{define `b`}} {{end}}{{block `c` .}}y{{end}}{{define `b`}}z{{end}}",
        &NoFunctions,
    )
    .unwrap();
    let shown: Vec<String> = trees.iter().map(|tree| format!("{}={}", tree.name, tree)).collect();
    assert_eq!(shown, ["a=x", "b=z", "c=y", r#"f={{template "c" .}}"#]);
}

#[test]
fn trees_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Tree>();
}
