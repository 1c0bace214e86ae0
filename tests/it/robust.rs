//! No input panics: templates, YAML, archives and `--set` lines of random parts.

use std::io::Write as _;
use std::sync::Arc;

use fitout::base::span::SourceFile;
use fitout::chart::capabilities::Served;
use fitout::chart::model::{ChartFile, RenderInput};
use fitout::chart::set::{SetKind, set};
use fitout::chart::world::SeededWorld;
use fitout::chart::{load, render};
use fitout::yaml::{helm, parse, write};
use proptest::prelude::*;

/// What templates are made of, beside the names of functions.
const TEMPLATE_PARTS: &[&str] = &[
    "{{",
    "}}",
    "{{-",
    "-}}",
    "{{/*",
    "*/}}",
    "(",
    ")",
    "|",
    " ",
    "\n",
    ".",
    "$",
    "$x",
    ":=",
    "=",
    ",",
    "if",
    "else",
    "end",
    "with",
    "range",
    "define",
    "block",
    "template",
    "break",
    "continue",
    "nil",
    "true",
    ".Values.a",
    ".Values.none.x",
    ".Files",
    ".Capabilities",
    ".Chart",
    "\"x\"",
    "`raw`",
    "'c'",
    "0",
    "-1",
    "3",
    "1.5",
    "1e9",
    "0x1F",
    "text",
    "a: b",
    "---",
    "é",
];

/// What YAML is made of.
const YAML_PARTS: &[&str] = &[
    "a",
    "b",
    ":",
    ": ",
    " ",
    "  ",
    "\n",
    "- ",
    "-",
    "[",
    "]",
    "{",
    "}",
    ",",
    "&x",
    "*x",
    "<<",
    "|",
    ">",
    "|-",
    "'",
    "\"",
    "#",
    "---",
    "...",
    "!",
    "!!str",
    "!!binary",
    "?",
    "? ",
    "\t",
    "%YAML 1.1",
    "null",
    "~",
    "1",
    "1.5",
    "0x1F",
    "010",
    "1_0",
    "yes",
    ".inf",
    "2020-01-02",
    "\r\n",
    "é",
    "\u{feff}",
    "\u{85}",
    "@",
    "`",
];

/// What `--set` lines are made of.
const SET_PARTS: &[&str] = &[
    "a", "b", ".", "=", ",", "[", "]", "{", "}", "0", "1", "-1", "70000", "null", "true", "\\",
    "\"", " ",
];

fn text_of(parts: &'static [&'static str], most: usize) -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(parts), 0..most)
        .prop_map(|parts| parts.concat())
}

fn template() -> impl Strategy<Value = String> {
    let names: Vec<String> =
        fitout::sprig::functions().names().map(|name| format!(" {name} ")).collect();
    let fixed = proptest::sample::select(TEMPLATE_PARTS).prop_map(str::to_owned);
    let part = prop_oneof![3 => fixed, 1 => proptest::sample::select(names)];
    proptest::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

/// One call within an action, which parses far more often than any text.
fn call() -> impl Strategy<Value = String> {
    const ARGUMENTS: &[&str] = &[
        "nil",
        "true",
        "0",
        "-1",
        "7",
        "1.5",
        "9223372036854775807",
        "\"\"",
        "\"x\"",
        "\"1.2.3\"",
        "\"^[a\"",
        "\"a=b,c\"",
        "(list 1 nil \"x\")",
        "(list)",
        "(dict \"k\" 1)",
        "(dict)",
        ".Values",
        ".Files",
        ".Chart",
        "(now)",
        "(splitList \",\" \"a,b\")",
        "(until 3)",
        "(printf \"%v\" nil)",
    ];
    let names: Vec<&'static str> = fitout::sprig::functions().names().collect();
    let arguments = proptest::collection::vec(proptest::sample::select(ARGUMENTS), 0..5);
    (proptest::sample::select(names), arguments)
        .prop_map(|(name, arguments)| format!("{{{{ {name} {} }}}}", arguments.join(" ")))
}

fn file(name: &str, text: &str) -> ChartFile {
    ChartFile { name: name.to_owned(), data: text.as_bytes().to_vec() }
}

fn render_template(text: &str) {
    let files = vec![
        file("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n"),
        file("values.yaml", "a: {b: [1, x, null]}\n"),
        file("templates/a.txt", text),
    ];
    let chart = Arc::new(load::from_files(files).expect("the chart is fine"));
    let input = RenderInput {
        release_name: "r".to_owned(),
        namespace: "n".to_owned(),
        revision: 1,
        is_upgrade: false,
        values: serde_json::json!({}),
        kube_version: "v1.31.0".to_owned(),
        served: Served::AsHelm,
        api_versions: Vec::new(),
        with_crds: true,
    };
    // Whether it renders does not matter, as long as it comes back.
    let _ = render(&chart, &input, &SeededWorld::new(1, 1_700_000_000_000_000_000));
}

fn packed() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, text) in
        [("c/Chart.yaml", "name: c\nversion: 1.0.0\n"), ("c/templates/a.yaml", "a: 1\n")]
    {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append_data(&mut header, name, text.as_bytes()).expect("it is in memory");
    }
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(&tar.into_inner().expect("it is in memory")).expect("it is in memory");
    packed.finish().expect("it is in memory")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn templates_never_panic(text in template()) {
        render_template(&text);
    }

    #[test]
    fn calls_never_panic(text in call()) {
        render_template(&text);
    }

    #[test]
    fn yaml_never_panics_and_reads_back(text in text_of(YAML_PARTS, 40)) {
        let _ = parse::parse(&SourceFile::new("x.yaml", text.as_str()));
        if let Ok(value) = helm::read_object(&text)
            && let Ok(written) = write::json_to_yaml(&value)
        {
            // Helm cuts off the last line break, which a block at the end needs.
            prop_assert_eq!(helm::read_object(&format!("{written}\n")), Ok(value));
        }
    }

    #[test]
    fn archives_never_panic(at in 0_usize..400, byte in any::<u8>(), end in 0_usize..400) {
        let mut bytes = packed();
        let length = bytes.len();
        bytes[at % length] = byte;
        bytes.truncate(length - end % length);
        if let Ok(files) = load::archive_files(&bytes) {
            let _ = load::from_files(files);
        }
    }

    #[test]
    fn set_lines_never_panic(text in text_of(SET_PARTS, 24)) {
        for kind in [SetKind::Typed, SetKind::Text, SetKind::Json, SetKind::Literal] {
            let _ = set(&mut serde_json::Map::new(), &text, kind, &|path| Ok(path.to_owned()));
        }
    }
}

#[test]
fn deep_nesting_is_told_and_does_not_overflow() {
    let deep =
        |open: &str, close: &str| format!("{}1{}", open.repeat(50_000), close.repeat(50_000));
    for text in [
        format!("{{{{ {} }}}}", deep("(", ")")),
        "{{ if true }}".repeat(50_000),
        format!("{{{{ {} }}}}", deep("(list ", ")")),
        format!("{{{{ fromYaml {:?} }}}}", deep("[", "]")),
        format!("{{{{ fromJson {:?} }}}}", deep("[", "]")),
        format!("{{{{ fromToml {:?} }}}}", format!("a = {}", deep("[", "]"))),
        "{{ $l := list }}{{ range until 100000 }}{{ $l = list $l }}{{ end }}{{ toYaml $l }}".to_owned(),
        "{{ $l := list }}{{ range until 100000 }}{{ $l = list $l }}{{ end }}{{ $l }}".to_owned(),
        "{{ $l := list }}{{ range until 100000 }}{{ $l = list $l }}{{ end }}{{ deepCopy $l | len }}".to_owned(),
    ] {
        render_template(&text);
    }
    for text in [deep("[", "]"), deep("{a: ", "}"), "- ".repeat(50_000), "? ".repeat(50_000)] {
        assert!(parse::parse(&SourceFile::new("x.yaml", text.as_str())).is_err());
        assert!(helm::read(&text).is_err());
    }
}
