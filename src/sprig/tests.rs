//! Every function against Helm: expressions, and what Helm made of each of them.
//!
//! `tests/oracle/sprig` asks Helm's engine again and writes what it says; the clock, randomness and
//! everything else that differs from run to run stays out of the expressions.

use std::cell::Cell;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value as Json, json};

use super::*;
use crate::template::error::{Error, Reason};
use crate::template::exec::{Environment, Limits, MissingKey, execute};
use crate::template::set::Set;
use crate::template::value::{Element, Map, Value};
use crate::template::world::World;

const CHAPTERS: [&str; 13] = [
    "arguments",
    "dates",
    "dicts",
    "encoding",
    "flow",
    "language",
    "lists",
    "math",
    "paths",
    "regex",
    "semver",
    "strings",
    "texts",
];

/// A fixed instant and numbers that follow one another.
#[derive(Debug, Default)]
struct Still {
    state: AtomicU64,
}

impl World for Still {
    fn now(&self) -> i128 {
        1_772_000_000_123_456_789
    }

    fn random(&self, bytes: &mut [u8]) {
        for byte in bytes {
            let next =
                |state: u64| Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
            let state = self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
            *byte = (state.expect("there is always a next one") >> 33) as u8;
        }
    }

    fn lookup(&self, _: &str, _: &str, _: &str, _: &str) -> Result<Value, String> {
        Ok(Value::map([]))
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/sprig")
}

fn read(file: &str) -> String {
    std::fs::read_to_string(folder().join(file)).expect("the cases are there")
}

/// What a chart with the values of the cases sees.
fn data() -> Value {
    let values = crate::yaml::helm::read(&read("values.yaml")).expect("the values are YAML");
    let Value::Map(values) = helm::from_json_value(values) else { panic!("the values are a map") };
    let values = Map { element: Element::Values, entries: values.entries };
    let root = [("Values".into(), Value::Map(values))];
    Value::Map(Map::from_entries(Element::Values, root))
}

fn evaluate(expression: &str) -> Result<String, Box<Error>> {
    evaluate_within(expression, 100_000_000, u64::MAX)
}

fn evaluate_within(expression: &str, fuel: u64, memory: u64) -> Result<String, Box<Error>> {
    let mut set = Set::new();
    set.parse("t", expression, functions())?;
    let environment = Environment {
        functions: functions(),
        world: &Still::default(),
        limits: Limits { depth: 100, nesting: 500, output_bytes: 1 << 20 },
        fuel: Cell::new(fuel),
        memory: Cell::new(memory),
        deadline: None,
        missing_key: MissingKey::Zero,
        trace: None,
    };
    execute(&set, "t", data(), &environment)
}

/// The outcome in the form of the cases.
fn outcome(expression: &str) -> Json {
    match evaluate(expression) {
        // Only Helm's last step removes it.
        Ok(out) => json!({ "in": expression, "out": out }),
        Err(error) if error.reason == Reason::Requested => {
            json!({ "in": expression, "requested": error.message })
        }
        Err(error) => json!({ "in": expression, "error": error.message }),
    }
}

#[test]
fn every_function_does_what_helm_does() {
    let mut differences = String::new();
    for chapter in CHAPTERS {
        for row in read(&format!("{chapter}.jsonl")).lines() {
            let case: Json = serde_json::from_str(row).expect("a case is JSON");
            let expression = case["in"].as_str().expect("a case has an input");
            let found = outcome(expression);
            if found != case {
                write!(differences, "\n{chapter}: {expression}\n  helm {case}\n  ours {found}\n")
                    .expect("a String takes everything");
            }
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

#[test]
fn every_function_of_helm_is_there() {
    let expected = read("names.txt");
    let found: Vec<&str> = functions().names().collect();
    assert_eq!(found, expected.lines().collect::<Vec<_>>());
}

#[test]
fn the_same_world_gives_the_same_secrets() {
    let expression = concat!(
        r#"{{ $ca := genCA "ca" 9 }}{{ $leaf := genSignedCert "x" nil (list "a.b") 9 $ca }}"#,
        r#"{{ $ca.Cert }}{{ $leaf.Cert }}{{ $leaf.Key }}{{ genPrivateKey "ecdsa" }}"#,
        r#"{{ randAlphaNum 20 }}{{ uuidv4 }}{{ htpasswd "u" "p" }}{{ shuffle "abcdef" }}"#,
        r#"{{ encryptAES "key" "text" }}{{ genPrivateKey "ed25519" }}{{ now }}"#,
    );
    let first = evaluate(expression).expect("the expression is fine");
    assert_eq!(evaluate(expression).expect("the expression is fine"), first);
}

#[test]
fn a_map_that_contains_itself_is_no_end() {
    let cycle = r#"{{ $d := dict "a" 1 }}{{ $_ := set $d "self" $d }}"#;
    for call in [
        "toJson $d",
        "toYaml $d",
        "toYamlPretty $d",
        "toToml $d",
        "toString $d | len",
        "deepEqual $d $d",
        "merge (dict) $d | len",
        "mergeOverwrite (dict \"self\" $d) $d | len",
        "list $d | uniq | len",
        "mustToJson $d",
        "deepCopy $d | len",
    ] {
        // Whether it is an error or a text does not matter as long as it comes back.
        let _ = evaluate(&format!("{cycle}{{{{ {call} }}}}"));
    }
}

/// Calls that would take all memory or an age, each within small bounds.
const RUNAWAY: &[&str] = &[
    r#"{{ repeat 1000000000 "x" }}"#,
    "{{ until 1000000000 | len }}",
    "{{ untilStep 0 1000000000 1 | len }}",
    "{{ seq 0 1000000000 | len }}",
    r#"{{ indent 999999999 "x" }}"#,
    r#"{{ nindent 999999999 "a" }}"#,
    "{{ randAlphaNum 1000000000 }}",
    "{{ randBytes 1000000000 }}",
    "{{ $l := list 1 2 }}{{ range until 60 }}{{ $l = concat $l $l }}{{ end }}",
    r#"{{ $s := "xx" }}{{ range until 60 }}{{ $s = print $s $s }}{{ end }}"#,
    r#"{{ $s := "xx" }}{{ range until 60 }}{{ $s = cat $s $s }}{{ end }}"#,
    "{{ $l := list }}{{ range until 100000 }}{{ $l = append $l 1 }}{{ end }}",
    "{{ $d := dict }}{{ range until 100000 }}{{ $_ := set $d (toString .) . }}{{ end }}",
    r#"{{ $d := dict "x" 1 }}{{ range until 40 }}{{ $d = dict "a" $d "b" $d }}{{ end }}{{ toYaml $d }}"#,
    r#"{{ $d := dict "x" 1 }}{{ range until 40 }}{{ $d = dict "a" $d "b" $d }}{{ end }}{{ toJson $d }}"#,
    r#"{{ $d := dict "x" 1 }}{{ range until 40 }}{{ $d = dict "a" $d "b" $d }}{{ end }}{{ toToml $d }}"#,
    r#"{{ $d := dict "x" 1 }}{{ range until 40 }}{{ $d = dict "a" $d "b" $d }}{{ end }}{{ deepCopy $d }}"#,
    r#"{{ $d := dict "x" 1 }}{{ range until 40 }}{{ $d = dict "a" $d "b" $d }}{{ end }}{{ deepEqual $d $d }}"#,
    r#"{{ $d := dict "x" 1 }}{{ range until 40 }}{{ $d = dict "a" $d "b" $d }}{{ end }}{{ merge dict $d }}"#,
    r#"{{ $d := dict "x" 1 }}{{ range until 40 }}{{ $d = dict "a" $d "b" $d }}{{ end }}{{ list $d | uniq }}"#,
    r#"{{ $d := dict "x" 1 }}{{ range until 40 }}{{ $d = dict "a" $d "b" $d }}{{ end }}{{ quote $d }}"#,
    r#"{{ $s := repeat 100000 "a" }}{{ $l := list }}{{ range until 1000 }}{{ $l = append $l $s }}{{ end }}{{ toYaml $l }}"#,
    r#"{{ $s := repeat 100000 "a" }}{{ $l := list }}{{ range until 1000 }}{{ $l = append $l $s }}{{ end }}{{ join "" $l }}"#,
    r#"{{ join (repeat 100000 "x") (until 10000) }}"#,
    r#"{{ repeat 2000000 "a" | split "a" | len }}"#,
    r#"{{ repeat 2000000 "a" | splitList "" | len }}"#,
    r#"{{ regexFindAll "a" (repeat 2000000 "a") -1 | len }}"#,
    r#"{{ regexSplit "a" (repeat 2000000 "a") -1 | len }}"#,
    r#"{{ replace "a" (repeat 10000 "b") (repeat 100000 "a") }}"#,
    r#"{{ regexReplaceAll "a" (repeat 100000 "a") (repeat 100000 "b") }}"#,
    r#"{{ regexReplaceAllLiteral "a" (repeat 100000 "a") (repeat 100000 "b") }}"#,
    r#"{{ range until 1000 }}{{ $_ := genPrivateKey "rsa" }}{{ end }}"#,
    r#"{{ range until 10000 }}{{ $_ := bcrypt "x" }}{{ end }}"#,
    r#"{{ range until 10000 }}{{ $_ := derivePassword 1 "long" "p" "u" "s" }}{{ end }}"#,
    "{{ range 100000000000 }}{{ end }}",
    "{{ range until 10000 }}{{ range until 10000 }}{{ end }}{{ end }}",
];

#[test]
fn runaway_calls_are_stopped() {
    for expression in RUNAWAY {
        let error = evaluate_within(expression, 2_500_000, 8 << 20).expect_err(expression);
        assert_eq!(error.reason, Reason::Exhausted, "{expression}: {}", error.message);
    }
}

#[test]
fn a_template_that_takes_too_long_is_stopped() {
    let mut set = Set::new();
    set.parse("t", "{{ range 100000000 }}{{ end }}", functions()).expect("it is a template");
    let environment = Environment {
        functions: functions(),
        world: &Still::default(),
        limits: Limits { depth: 100, nesting: 500, output_bytes: 1 << 20 },
        fuel: Cell::new(u64::MAX),
        memory: Cell::new(u64::MAX),
        deadline: Some(std::time::Instant::now()),
        missing_key: MissingKey::Zero,
        trace: None,
    };
    let error = execute(&set, "t", Value::Nil, &environment).expect_err("it takes too long");
    assert_eq!(error.message, "the template takes too long");
}

#[test]
fn templates_reach_nothing_outside() {
    assert!(functions().find("env").is_none());
    assert!(functions().find("expandenv").is_none());
    let told = evaluate(r#"{{ getHostByName "localhost" }}{{ lookup "v1" "Secret" "a" "b" }}"#);
    assert_eq!(told.expect("both are there"), "map[]");
}
