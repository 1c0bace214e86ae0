//! YAML of any text, in every dialect; what can be read, reads back as it was written.
#![no_main]

use fitout::base::span::SourceFile;
use fitout::yaml::{helm, parse, write};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = parse::parse(&SourceFile::new("x.yaml", text));
    let Ok(value) = helm::read_object(text) else { return };
    let Ok(written) = write::json_to_yaml(&value) else { return };
    // Helm cuts off the last line break, which a block at the end needs.
    let again = helm::read_object(&format!("{written}\n")).expect("what was written is YAML");
    assert_eq!(again, value, "{written}");
});
