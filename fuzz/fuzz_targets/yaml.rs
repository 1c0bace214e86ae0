//! YAML of any text, in every dialect; what can be read, reads back as it was written.
#![no_main]

use fitout::base::span::SourceFile;
use fitout::yaml::{helm, parse, write};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = parse::parse(&SourceFile::new("x.yaml", text));
    let Ok(value) = helm::read_object(text) else { return };
    let Ok(written) = write::json_to_yaml(&value) else { return };
    let again = helm::read_object(&written).expect("what was written is YAML");
    assert_eq!(again, value, "{written}");
});
