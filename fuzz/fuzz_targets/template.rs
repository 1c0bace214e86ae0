//! A template of any text: lexer, parser and, where it parses, execution.
#![no_main]

use fitout_fuzz::render_template;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| render_template(text));
