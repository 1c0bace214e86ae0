//! `fitout schema`: what editors check documents with.

use insta::assert_snapshot;
use serde_json::Value as Json;

use crate::env::{Env, repository};

fn schema(kind: &str) -> Json {
    let output = Env::new().fitout(&["schema", kind]).output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn without_an_argument_the_kinds_are_listed() {
    assert_snapshot!(Env::new().run("schema"));
}

#[test]
fn a_kind_that_is_none_gets_a_suggestion() {
    assert_snapshot!(Env::new().run("schema Adon"));
}

#[test]
fn the_smallest_schema_is_as_it_was() {
    assert_snapshot!(Env::new().run("schema chartrepository"));
}

#[test]
fn the_documents_of_the_worked_example_fit_their_schemas() {
    let mut count = 0;
    for folder in ["clusters", "addons", "policies"] {
        for path in documents(&repository().join(folder)) {
            let text = std::fs::read_to_string(&path).unwrap();
            for document in serde_yaml::Deserializer::from_str(&text) {
                let document: Json = serde::Deserialize::deserialize(document).unwrap();
                let kind = document["kind"].as_str().unwrap();
                let validator = jsonschema::validator_for(&schema(kind)).unwrap();
                let found: Vec<String> =
                    validator.iter_errors(&document).map(|error| error.to_string()).collect();
                assert!(found.is_empty(), "{}: {found:?}", path.display());
                count += 1;
            }
        }
    }
    assert!(count >= 16, "only {count} documents were checked");
}

/// Files with documents below a folder.
fn documents(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(documents(&path));
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            let text = std::fs::read_to_string(&path).unwrap();
            if text.lines().any(|line| line.starts_with("apiVersion: fitout.dev/")) {
                found.push(path);
            }
        }
    }
    found
}
