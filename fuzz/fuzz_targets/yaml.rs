//! YAML of any text, in every dialect; what can be read, reads back as it was written.
#![no_main]

use fitout::base::span::SourceFile;
use fitout::yaml::{helm, parse, write};
use libfuzzer_sys::fuzz_target;
use serde_json::Value as Json;

fuzz_target!(|text: &str| {
    let _ = parse::parse(&SourceFile::new("x.yaml", text));
    let Ok(value) = helm::read_object(text) else { return };
    let Ok(written) = write::json_to_yaml(&value) else { return };
    // Helm cuts off the last line break, which a block at the end needs.
    let again = helm::read_object(&format!("{written}\n")).expect("what was written is YAML");
    assert_eq!(floats(again), floats(value), "{written}");
});

/// Large floats are written without a point, and read back as integers.
fn floats(value: Json) -> Json {
    match value {
        Json::Number(number) => Json::from(number.as_f64()),
        Json::Array(items) => items.into_iter().map(floats).collect(),
        Json::Object(entries) => {
            Json::Object(entries.into_iter().map(|(key, value)| (key, floats(value))).collect())
        }
        other => other,
    }
}
