//! What the plain reader reads is what the whole parser reads.

use proptest::prelude::*;

use super::super::helm::{Numbers, read_whole};
use super::*;

fn agrees(text: &str) {
    for numbers in [Numbers::Floats, Numbers::Exact] {
        if let Some(value) = read(text, numbers) {
            assert_eq!(Ok(value), read_whole(text, numbers), "{text:?}");
        }
    }
}

#[test]
fn manifests_are_read_without_the_whole_parser() {
    let text = "apiVersion: v1 # the first\nkind: ConfigMap\nmetadata:\n  name: \"a\\\"b\"\n  \
                annotations:\n    'it''s': yes\n    helm.sh/hook: pre-install\n  labels: {}\ndata:\n  \
                file: |-\n\n    one\n      two\n\n    three\n\n  other: |\n    x\nlist:\n- a: 1\n  b:\n  \
                - 0x10\n  -\n  - - deep\n    - deeper\n- http://x:1/#y\nnothing:\nempty:\n  {}\n\
                command: [\"a, b\", '-c', --flag=1, 2 ] # all\nitems:\n-\n  [no]\n";
    let value = read(text, Numbers::Exact).expect("it is plain");
    assert_eq!(Ok(value), read_whole(text, Numbers::Exact));
}

#[test]
fn what_is_not_plain_is_left_to_the_parser() {
    for text in [
        "a: [1,]",
        "a: [b c]",
        "a: [b: c]",
        "a: [\"b\": c]",
        "a: [-]",
        "a: [[b]]",
        "a: [b",
        "a: [b]c",
        "a:\n  {}\n  b: c",
        "a:\n  {}\n   b",
        "a: {b: 1}",
        "a: &x 1",
        "a: *x",
        "a: !!str 1",
        "--- \na: 1",
        "a: 1\n...\n",
        "%YAML 1.1",
        "a: one\n  two",
        "a: >\n  x",
        "a: |2\n   x",
        "a:\tb",
        "? a\n: b",
        "a: b: c",
        "a: 'x",
        "a: \"\\x41\"",
        "text",
        "a: 1\n b: 2",
        "- a\nb: 1",
        "1: 2",
        "yes: 1",
        "<<: {}",
        "a: \u{7f}",
        "a: \u{2028}",
        "a: \r\n",
        "a: |\nb: 1",
        "a: |\n   \n  x",
        "a:\n  text",
        "a: .nan",
    ] {
        assert_eq!(read(text, Numbers::Floats), None, "{text:?}");
    }
}

/// Pieces of lines, among them all that have a meaning.
fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a",
        "b c",
        ": ",
        ":",
        "- ",
        "-",
        "#",
        " #",
        "'",
        "''",
        "\"",
        "\\",
        "\\n",
        "|",
        "|-",
        "|+",
        ">",
        "[]",
        "{}",
        "[",
        "{",
        "]",
        "[a, 'b']",
        "1",
        "0x1f",
        "1.50",
        "yes",
        "null",
        "~",
        "=",
        "<<",
        "&a",
        "*a",
        "!t",
        "%",
        "@",
        "`",
        ",",
        "?",
        "? ",
        "---",
        "...",
        "2001-01-01",
        " ",
        "  ",
        "\t",
        "é",
        "\u{85}",
        "\u{a0}",
        "\u{feff}",
        "key: ",
        "other: v",
    ])
}

fn line() -> impl Strategy<Value = String> {
    let pieces = prop::collection::vec(piece(), 0..4).prop_map(|pieces| pieces.concat());
    let usual = prop::sample::select(vec![
        "k: v",
        "l:",
        "m: |",
        "m: |-",
        "m: |+",
        "- x",
        "- k: v",
        "-",
        "- - y",
        "",
        "# c",
        "'q': \"r\"",
        "n: 1 # c",
    ])
    .prop_map(str::to_owned);
    let indent = prop::sample::select(vec![0_usize, 0, 1, 2, 2, 4]);
    (indent, prop_oneof![2 => usual, 1 => pieces])
        .prop_map(|(indent, text)| format!("{}{text}", " ".repeat(indent)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn both_readers_agree(lines in prop::collection::vec(line(), 0..8), is_broken: bool) {
        let mut text = lines.join("\n");
        if is_broken {
            text.push('\n');
        }
        agrees(&text);
    }
}
