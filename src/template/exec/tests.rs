//! The evaluator's behaviour, as data.

use super::*;
use crate::template::function::Signature;
use crate::template::function::{Function, Param};
use crate::template::value::{Element, Map, Object};

#[derive(Debug)]
struct NoWorld;

impl World for NoWorld {
    fn now(&self) -> i128 {
        0
    }
    fn random(&self, bytes: &mut [u8]) {
        bytes.fill(4);
    }
    fn lookup(&self, _: &str, _: &str, _: &str, _: &str) -> Result<Value, String> {
        Ok(Value::map([]))
    }
}

struct Table(&'static [Function]);

impl Functions for Table {
    fn find(&self, name: &str) -> Option<&'static Function> {
        self.0.iter().find(|function| function.name == name)
    }
}

const FUNCTIONS: Table = Table(&[
    Function {
        name: "include",
        params: &[Param::Str, Param::Any],
        variadic: None,
        body: |runtime, args| {
            runtime.include(&args[0].to_string(), args[1].clone()).map(Value::str)
        },
    },
    Function {
        name: "tpl",
        params: &[Param::Str, Param::Any],
        variadic: None,
        body: |runtime, args| runtime.tpl(&args[0].to_string(), args[1].clone()).map(Value::str),
    },
    Function {
        name: "fail",
        params: &[Param::Str],
        variadic: None,
        body: |_, args| Err(FunctionError::Requested(args[0].to_string())),
    },
    Function {
        name: "upper",
        params: &[Param::Str],
        variadic: None,
        body: |_, args| Ok(Value::str(args[0].to_string().to_uppercase())),
    },
    Function {
        name: "add1",
        params: &[Param::Int],
        variadic: None,
        body: |_, args| match args[0] {
            Value::Int(number) => Ok(Value::Int(number + 1)),
            _ => Err("not an int".into()),
        },
    },
    Function {
        name: "list",
        params: &[],
        variadic: Some(Param::Any),
        body: |_, args| Ok(Value::list(args.to_vec())),
    },
    Function {
        name: "keys",
        params: &[Param::Map],
        variadic: None,
        body: |_, args| match &args[0] {
            Value::Map(map) => Ok(Value::strings(map.entries.borrow().keys().cloned())),
            _ => Err("not a map".into()),
        },
    },
    Function {
        name: "set",
        params: &[Param::Map, Param::Str, Param::Any],
        variadic: None,
        body: |_, args| match &args[0] {
            Value::Map(map) => {
                map.insert(args[1].to_string(), args[2].clone());
                Ok(args[0].clone())
            }
            _ => Err("not a map".into()),
        },
    },
    Function {
        name: "join",
        params: &[Param::Str, Param::StrList],
        variadic: None,
        body: |_, args| Ok(Value::str(format!("{}{}", args[1], args[0]))),
    },
    Function {
        name: "concat",
        params: &[Param::Str],
        variadic: Some(Param::Str),
        body: |_, args| Ok(Value::str(args.iter().map(Value::to_string).collect::<String>())),
    },
    Function {
        name: "int64",
        params: &[Param::Any],
        variadic: None,
        body: |_, args| match args[0] {
            Value::Int(number) => Ok(Value::Int64(number)),
            _ => Ok(Value::Int64(0)),
        },
    },
    Function {
        name: "float",
        params: &[Param::Float],
        variadic: None,
        body: |_, args| Ok(args[0].clone()),
    },
    Function { name: "none", params: &[], variadic: None, body: |_, _| Ok(Value::Nil) },
]);

/// A struct with fields and methods.
#[derive(Debug)]
struct Thing;

impl Object for Thing {
    fn type_name(&self) -> &'static str {
        "*main.Thing"
    }
    fn kind(&self) -> &'static str {
        "ptr"
    }
    fn field(&self, name: &str) -> Option<Value> {
        (name == "Name").then(|| Value::str("thing"))
    }
    fn method(&self, name: &str) -> Option<Signature> {
        match name {
            "Add" => Some(Signature { params: &[Param::Int, Param::Int], variadic: None }),
            "Fail" => Some(Signature { params: &[], variadic: None }),
            _ => None,
        }
    }
    fn call(&self, method: &str, args: &[Value]) -> Result<Value, String> {
        match (method, args) {
            ("Add", [Value::Int(left), Value::Int(right)]) => Ok(Value::Int(left + right)),
            _ => Err("it failed".to_owned()),
        }
    }
    fn print(&self) -> String {
        "the thing".to_owned()
    }
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

fn data() -> Value {
    let map = |entries: Vec<(&str, Value)>| {
        Value::map(entries.into_iter().map(|(key, value)| (key.into(), value)))
    };
    map(vec![
        ("True", Value::Bool(true)),
        ("I", Value::Int(17)),
        ("I64", Value::Int64(6)),
        ("U8", Value::Uint8(7)),
        ("U64", Value::Uint64(8)),
        ("F", Value::Float(1.5)),
        ("Big", Value::Float(1e6)),
        ("X", Value::str("x")),
        ("Empty", Value::str("")),
        ("Nil", Value::Nil),
        ("L", Value::list(vec![Value::Int(3), Value::Int(4), Value::Int(5)])),
        ("LN", Value::list(vec![Value::Nil])),
        ("LE", Value::list(vec![])),
        ("LS", Value::strings(["a", "b"])),
        ("B", Value::Bytes(b"ab"[..].into())),
        ("M", map(vec![("one", Value::Int(1)), ("two", Value::Int(2))])),
        ("ME", map(vec![])),
        ("MM", map(vec![("in", map(vec![("deep", Value::str("er"))]))])),
        ("MI", Value::Map(Map::from_entries(Element::Int, [("one".into(), Value::Int(1))]))),
        ("MS", Value::Map(Map::from_entries(Element::Str, [("k".into(), Value::str("v"))]))),
        ("T", Value::Object(Rc::new(Thing))),
    ])
}

fn limits() -> Limits {
    Limits { depth: 100, nesting: 400, output_bytes: 100_000 }
}

fn rendered_with(text: &str, missing_key: MissingKey) -> Result<String, Box<Error>> {
    let mut set = Set::new();
    set.parse("t", text, &FUNCTIONS)?;
    let environment = Environment {
        functions: &FUNCTIONS,
        world: &NoWorld,
        limits: limits(),
        fuel: Cell::new(100_000),
        memory: Cell::new(u64::MAX),
        deadline: None,
        missing_key,
        trace: None,
    };
    execute(&set, "t", data(), &environment)
}

/// Recorded by `tests/oracle/template` from Go's own packages.
const CASES: &str = include_str!("../../../tests/cases/template/exec.jsonl");

#[test]
fn templates_evaluate_as_in_go() {
    let mut wrong = Vec::new();
    for line in CASES.lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let missing_key = match case["missing"].as_str() {
            Some("error") => MissingKey::Error,
            Some("invalid") => MissingKey::Invalid,
            _ => MissingKey::Zero,
        };
        let text = case["in"].as_str().unwrap();
        let expected = match case["out"].as_str() {
            Some(out) => Ok(out.to_owned()),
            None => Err(case["error"].as_str().unwrap().to_owned()),
        };
        let got = rendered_with(text, missing_key).map_err(|error| error.to_string());
        if got != expected {
            wrong.push(format!("{text}\n  Go: {expected:?}\n  us: {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn requested_failures_are_told_apart() {
    let error = rendered_with("{{fail `asked`}}", MissingKey::Zero).unwrap_err();
    assert_eq!((error.reason, error.message.as_str()), (Reason::Requested, "asked"));
    assert_eq!(error.outermost().as_deref(), Some("t:1:2"));
}

#[test]
fn runaway_templates_end() {
    let reason = |text: &str| rendered_with(text, MissingKey::Zero).unwrap_err().reason;
    assert_eq!(reason("{{define `a`}}{{template `a`}}{{end}}{{template `a`}}"), Reason::Exhausted);
    assert_eq!(
        reason("{{define `a`}}{{include `a` 1}}{{end}}{{include `a` 1}}"),
        Reason::Exhausted
    );
    assert_eq!(reason("{{range 1000000000}}{{end}}"), Reason::Exhausted);
    assert_eq!(reason("{{range 100000}}{{printf `%100d` .}}{{end}}"), Reason::Exhausted);
    assert_eq!(reason("{{range 50000}}{{printf `%100000d` . | len}}{{end}}"), Reason::Exhausted);
}

#[test]
fn an_endless_include_ends_as_in_helm() {
    let text = "{{define `a`}}{{include `a` 1}}{{end}}{{include `a` 1}}";
    let message = on_large_stack(move || {
        let mut set = Set::new();
        set.parse("t", text, &FUNCTIONS).unwrap();
        let environment = Environment {
            functions: &FUNCTIONS,
            world: &NoWorld,
            limits: Limits { depth: 5_000, nesting: 20_000, output_bytes: 1_000 },
            fuel: Cell::new(1_000_000),
            memory: Cell::new(u64::MAX),
            deadline: None,
            missing_key: MissingKey::Zero,
            trace: None,
        };
        execute(&set, "t", Value::Nil, &environment).unwrap_err().message
    });
    assert_eq!(
        message,
        "error calling include: rendering template has a nested reference name: a: unable to \
         execute template"
    );
}

fn on_large_stack<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new().stack_size(128 << 20).spawn(run).unwrap();
    thread.join().unwrap()
}
