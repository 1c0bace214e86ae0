//! Calls of functions with arguments of every kind, piped and nested: each byte picks a part.
#![no_main]

use fitout_fuzz::render_template;
use libfuzzer_sys::fuzz_target;

/// Beside the names of functions.
const PARTS: &[&str] = &[
    "(",
    ")",
    "|",
    " ",
    ".Values.a",
    ".Values.none",
    "$",
    "nil",
    "true",
    "0",
    "-1",
    "3",
    "1e9",
    "9223372036854775807",
    "1.5",
    "\"\"",
    "\"x\"",
    "\"a.b,c=1\"",
    "\"1.2.3\"",
    "\"^[a-z]+$\"",
    "\"é\\n\"",
    "\"2006-01-02T15:04:05Z\"",
    "\"{a: [1]}\"",
    "(list 1 \"x\" nil)",
    "(dict \"k\" 1)",
    "(list)",
    "(dict)",
    "(until 3)",
    "(now)",
    ".Files",
    ".Capabilities",
    ".Chart",
    "(splitList \",\" \"a,b\")",
];

fuzz_target!(|bytes: &[u8]| {
    let names: Vec<&str> = fitout::sprig::functions().names().collect();
    let mut text = String::from("{{ ");
    for pair in bytes.chunks(2).take(64) {
        let pick = usize::from(pair[0]) * 256 + usize::from(pair.get(1).copied().unwrap_or(0));
        let parts = PARTS.len() + names.len();
        let part = pick % parts;
        text.push_str(PARTS.get(part).copied().unwrap_or_else(|| names[part - PARTS.len()]));
        text.push(' ');
    }
    text.push_str("}}");
    render_template(&text);
});
