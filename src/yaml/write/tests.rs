//! Tests of `write`.

use super::*;
use crate::yaml::helm;

/// Tables of `[input, what Go's sigs.k8s.io/yaml gives]`; an error begins with `ERR `.
fn oracle(kind: &str) -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/yaml");
    let mut rows = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the tables are in the repository") {
        let path = entry.expect("the folder is readable").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(kind) {
            let text = std::fs::read_to_string(&path).expect("a table is readable");
            let table: Vec<(String, String)> = serde_json::from_str(&text).expect("it is JSON");
            rows.extend(table);
        }
    }
    assert!(!rows.is_empty(), "no {kind} tables in {folder}");
    rows
}

fn check(kind: &str, actual: impl Fn(&str) -> String) {
    let rows = oracle(kind);
    let wrong: Vec<String> = rows
        .iter()
        .filter(|(input, expected)| actual(input) != *expected)
        .map(|(input, expected)| {
            format!("input    {input:?}\nexpected {expected:?}\nactual   {:?}\n", actual(input))
        })
        .collect();
    let shown = wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} of {} differ:\n{shown}", wrong.len(), rows.len());
}

/// As Go's decoder gives it: every number a float.
fn floats(value: Json) -> Json {
    match value {
        Json::Number(number) => Json::from(number.as_f64().expect("a JSON number is a float")),
        Json::Array(items) => items.into_iter().map(floats).collect(),
        Json::Object(entries) => {
            Json::Object(entries.into_iter().map(|(key, value)| (key, floats(value))).collect())
        }
        other => other,
    }
}

#[test]
fn json_is_written_as_go_writes_it() {
    check("write", |input| {
        let value: Json = serde_json::from_str(input).expect("the table holds JSON");
        match json_to_yaml(&floats(value)) {
            Ok(text) if text.ends_with('\u{2028}') => text,
            Ok(text) => text + "\n",
            Err(error) => format!("ERR error marshaling: {error}"),
        }
    });
}

#[test]
fn yaml_is_read_as_go_reads_it() {
    let rows = oracle("read");
    let expected = rows.iter().map(|(input, expected)| match expected.strip_prefix("ERR ") {
        Some(error) => (input, Err(error.to_owned())),
        None => (input, Ok(floats(serde_json::from_str(expected).expect("the table holds JSON")))),
    });
    let wrong: Vec<String> = expected
        .filter(|(input, expected)| helm::read(input) != *expected)
        .map(|(input, expected)| {
            format!("{input:?}\nexpected {expected:?}\nactual   {:?}\n", helm::read(input))
        })
        .collect();
    let shown = wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} of {} differ:\n{shown}", wrong.len(), rows.len());
}

#[test]
fn what_is_written_reads_back() {
    // Go's library writes the key `<<` without quotes, and takes it for a merge when it reads.
    for (input, _) in oracle("write").iter().filter(|(input, _)| !input.contains("\"<<\":")) {
        let value: Json = serde_json::from_str(input).expect("the table holds JSON");
        let text = json_to_yaml(&floats(value))
            .expect("the table has nothing that cannot be written")
            + "\n";
        let back = helm::read(&text).expect("what is written is YAML");
        assert_eq!(json_to_yaml(&back).expect("it was written before") + "\n", text, "{input}");
    }
}
