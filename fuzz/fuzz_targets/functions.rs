//! Calls of functions with arguments of every kind, piped and nested: each byte picks a part.
#![no_main]

use std::sync::Arc;

use fitout::chart::model::{ChartFile, RenderInput};
use fitout::chart::world::SeededWorld;
use fitout::chart::{load, render};
use libfuzzer_sys::fuzz_target;

/// Beside the names of functions.
const PARTS: &[&str] = &[
    "(", ")", "|", " ", ".Values.a", ".Values.none", "$", "nil", "true", "0", "-1", "3", "1e9",
    "9223372036854775807", "1.5", "\"\"", "\"x\"", "\"a.b,c=1\"", "\"1.2.3\"", "\"^[a-z]+$\"", "\"é\\n\"",
    "\"2006-01-02T15:04:05Z\"", "\"{a: [1]}\"", "(list 1 \"x\" nil)", "(dict \"k\" 1)", "(list)",
    "(dict)", "(until 3)", "(now)", ".Files", ".Capabilities", ".Chart", "(splitList \",\" \"a,b\")",
];

fn file(name: &str, text: &str) -> ChartFile {
    ChartFile { name: name.to_owned(), data: text.as_bytes().to_vec() }
}

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
    let files = vec![
        file("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n"),
        file("values.yaml", "a: {b: [1, x, null]}\n"),
        file("templates/a.txt", &text),
    ];
    let Ok(chart) = load::from_files(files) else { return };
    let input = RenderInput {
        release_name: "r".to_owned(),
        namespace: "n".to_owned(),
        revision: 1,
        is_upgrade: false,
        values: serde_json::json!({}),
        kube_version: "v1.31.0".to_owned(),
        api_versions: Vec::new(),
        with_crds: false,
    };
    let _ = render(&Arc::new(chart), &input, &SeededWorld::new(1, 1_700_000_000_000_000_000));
});
