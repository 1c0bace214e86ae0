//! CEL as the API server has it: what an expression may use, and how much work it may be.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use cel::{Context, Env, ExecutionError, Program, Value};

use super::library;

/// Bytes of one expression: what the parser does with them needs stack.
const SOURCE_BYTES_MAX: usize = 4_000;
/// Brackets within one another, for the same reason.
const BRACKETS_NESTED_MAX: usize = 40;
/// Operators in front of one another (`!!!x`) or between operands, for the same reason.
const OPERATORS_MAX: usize = 250;
/// Loops within one another.
const LOOPS_NESTED_MAX: usize = 3;
/// Rounds of the innermost loop, and bytes that repeated replacing can make.
const WORK_MAX: usize = 20_000_000;

/// An expression that cannot be evaluated here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Not CEL: the API server would refuse it as well.
    #[error("is not valid CEL: {0}")]
    Syntax(String),
    /// Too long or too deep.
    #[error("is larger than fitout evaluates")]
    TooLarge,
    /// A function that only the API server has, or none.
    #[error("calls `{0}`, which fitout does not have")]
    Function(String),
    /// Something that only a request to an API server has.
    #[error("asks for `{0}`, which only an API server knows")]
    Request(&'static str),
}

impl Unfit {
    /// Whether no API server would take it either.
    pub fn is_wrong(&self) -> bool {
        matches!(self, Self::Syntax(_))
    }
}

/// Why an evaluation has no value.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// The expression's own error, which the API server would have as well.
    Error(String),
    /// A field that is not there.
    NoSuchKey(String),
    /// More work than an evaluation may be, or a limit of the evaluator.
    Unable(String),
}

/// An expression, ready to be evaluated.
pub struct Expression {
    /// As written, without space around.
    pub source: String,
    program: Program,
    loops: usize,
    replaces: u32,
}

impl std::fmt::Debug for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Expression({})", self.source)
    }
}

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib().with_optional_support(true);
    // They are declared once, each under a name of its own.
    let added = env.add_extension(cel::extensions::strings);
    debug_assert!(added.is_ok(), "{added:?}");
    library::declare(&mut env);
    Arc::new(env)
});

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// Says why it is none, or cannot be evaluated without an API server.
    pub fn compile(source: &str) -> Result<Self, Unfit> {
        let source = source.trim();
        if source.len() > SOURCE_BYTES_MAX || is_too_deep(source) {
            return Err(Unfit::TooLarge);
        }
        let program = ENV.compile(source).map_err(|errors| {
            let message = errors.to_string();
            let first = message.lines().next().unwrap_or_default();
            let first = first.rsplit("Syntax error: ").next().unwrap_or_default();
            let first = first.split(" expecting ").next().unwrap_or_default();
            Unfit::Syntax(first.to_owned())
        })?;
        let mut walk = Walk::default();
        walk.expression(program.expression(), 0);
        if let Some(unfit) = walk.unfit {
            return Err(unfit);
        }
        if walk.loops > LOOPS_NESTED_MAX {
            return Err(Unfit::TooLarge);
        }
        let (loops, replaces) = (walk.loops, walk.replaces);
        Ok(Self { source: source.to_owned(), program, loops, replaces })
    }

    /// Its value over these variables; `size` is what they weigh.
    ///
    /// # Errors
    /// The expression's own error, or that it would be too much work.
    pub fn evaluate(&self, scope: &Context<'_, '_>, size: Size) -> Result<Value, Failure> {
        let power = |base: usize, exponent: usize| base.max(2).saturating_pow(exponent as u32);
        let is_too_much = (self.loops > 1 && power(size.items, self.loops) > WORK_MAX)
            || (self.replaces > 0 && power(size.text, self.replaces as usize + 1) > WORK_MAX);
        if is_too_much {
            return Err(Failure::Unable("it would be too much work for this object".to_owned()));
        }
        // The evaluator has places where it gives up by a panic; what it is given is not ours.
        match catch_unwind(AssertUnwindSafe(|| self.program.execute(scope))) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(ExecutionError::NoSuchKey(key))) => Err(Failure::NoSuchKey((*key).clone())),
            Ok(Err(ExecutionError::UndeclaredReference(name))) => {
                Err(Failure::Unable(format!("`{name}` is not known here")))
            }
            Ok(Err(error)) => Err(Failure::Error(error.to_string())),
            Err(_) => Err(Failure::Unable("the evaluator cannot do this".to_owned())),
        }
    }
}

/// A scope with the functions of Kubernetes and no variables.
pub fn scope<'p, 'v>() -> Context<'p, 'v> {
    let mut scope = Context::with_env(Arc::clone(&ENV));
    library::add(&mut scope);
    scope
}

/// What variables weigh: what bounds the work of an expression.
#[derive(Clone, Copy, Debug, Default)]
pub struct Size {
    /// Items of the longest list or map.
    pub items: usize,
    /// Bytes of the longest text.
    pub text: usize,
    /// Values in all.
    pub values: usize,
}

impl Size {
    /// Adds a value's own.
    pub fn add(&mut self, value: &Value) {
        self.values += 1;
        match value {
            Value::List(items) => {
                self.items = self.items.max(items.len());
                items.iter().for_each(|item| self.add(item));
            }
            Value::Map(map) => {
                self.items = self.items.max(map.map.len());
                map.map.values().for_each(|item| self.add(item));
            }
            Value::String(text) => self.text = self.text.max(text.len()),
            _ => {}
        }
    }
}

/// Whether parsing may need more stack than there is. Texts in quotes count as well, which errs to
/// the safe side.
fn is_too_deep(source: &str) -> bool {
    let (mut open, mut deepest) = (0_usize, 0_usize);
    for character in source.chars() {
        match character {
            '(' | '[' | '{' => open += 1,
            ')' | ']' | '}' => open = open.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(open);
    }
    let is_operator = |c: char| "!-+*/%&|?=<>.".contains(c);
    deepest > BRACKETS_NESTED_MAX
        || source.chars().filter(|c| is_operator(*c)).count() > OPERATORS_MAX
}

/// Functions and macros of CEL itself and of its `strings` library that the API server has.
const FUNCTIONS: &[&str] = &[
    "all",
    "bool",
    "bytes",
    "charAt",
    "contains",
    "double",
    "duration",
    "dyn",
    "endsWith",
    "exists",
    "exists_one",
    "filter",
    "format",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
    "has",
    "hasValue",
    "indexOf",
    "int",
    "join",
    "lastIndexOf",
    "lowerAscii",
    "map",
    "matches",
    "none",
    "of",
    "ofNonZeroValue",
    "optional.none",
    "optional.of",
    "optional.ofNonZeroValue",
    "or",
    "orValue",
    "replace",
    "reverse",
    "size",
    "split",
    "startsWith",
    "string",
    "substring",
    "timestamp",
    "trim",
    "type",
    "uint",
    "upperAscii",
    "value",
];

/// What an expression uses.
#[derive(Default)]
struct Walk {
    loops: usize,
    replaces: u32,
    unfit: Option<Unfit>,
}

impl Walk {
    fn expression(&mut self, node: &IdedExpr, loops: usize) {
        self.loops = self.loops.max(loops);
        match &node.expr {
            Expr::Call(call) => {
                self.function(&call.func_name);
                if let Some(target) = &call.target {
                    self.expression(target, loops);
                }
                call.args.iter().for_each(|argument| self.expression(argument, loops));
            }
            Expr::Comprehension(each) => {
                self.expression(&each.iter_range, loops);
                self.expression(&each.accu_init, loops);
                // A loop over nothing only gives a value a name.
                let is_binding =
                    matches!(&each.iter_range.expr, Expr::List(list) if list.elements.is_empty());
                let loops = if is_binding { loops } else { loops + 1 };
                for inner in [&each.loop_cond, &each.loop_step, &each.result] {
                    self.expression(inner, loops);
                }
            }
            Expr::List(list) => list.elements.iter().for_each(|one| self.expression(one, loops)),
            Expr::Map(map) => map.entries.iter().for_each(|one| self.entry(&one.expr, loops)),
            Expr::Struct(made) => {
                let name = made.type_name.clone();
                self.unfit.get_or_insert(Unfit::Function(name));
            }
            Expr::Select(select) => {
                let of_request =
                    matches!(&select.operand.expr, Expr::Ident(name) if name == "request");
                if of_request && select.field == "userInfo" {
                    self.unfit = Some(Unfit::Request("request.userInfo"));
                }
                self.expression(&select.operand, loops);
            }
            Expr::Ident(name) if name == "authorizer" => {
                self.unfit = Some(Unfit::Request("authorizer"));
            }
            Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => {}
        }
    }

    fn entry(&mut self, entry: &EntryExpr, loops: usize) {
        match entry {
            EntryExpr::MapEntry(entry) => {
                self.expression(&entry.key, loops);
                self.expression(&entry.value, loops);
            }
            EntryExpr::StructField(field) => self.expression(&field.value, loops),
        }
    }

    fn function(&mut self, name: &str) {
        let is_operator = name.starts_with(|c: char| !c.is_ascii_alphabetic());
        if matches!(name, "format" | "join" | "replace") {
            self.replaces += 1;
        }
        if !is_operator && !FUNCTIONS.contains(&name) && !library::has(name) {
            self.unfit.get_or_insert(Unfit::Function(name.to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::health::check::value;

    /// Pieces of which expressions are put together, right and wrong ones.
    const PIECES: [&str; 46] = [
        "object",
        "object.list",
        "object.text",
        "object.map",
        "x",
        "null",
        "true",
        "1",
        "-1",
        "1u",
        "2.5",
        "'a'",
        "b'a'",
        "[]",
        "[1, 'a']",
        "{}",
        "{'a': 1}",
        " + ",
        " - ",
        " * ",
        " / ",
        " % ",
        " < ",
        " == ",
        " in ",
        " && ",
        " || ",
        " ? ",
        " : ",
        "!",
        "(",
        ")",
        "[",
        "]",
        ".",
        ",",
        "has(",
        "size(",
        ".map(x, ",
        ".filter(x, ",
        ".all(x, ",
        ".exists_one(x, ",
        ".matches('(a+)+$')",
        ".sum()",
        ".orValue(1)",
        ".?a",
    ];

    fn evaluated(source: &str) -> Option<Result<Value, Failure>> {
        let expression = Expression::compile(source).ok()?;
        let object = json!({"list": [1, 2, 3], "text": "aaaa", "map": {"a": 1, "b": null}});
        let mut scope = scope();
        let (object, mut size) = (value(&object), Size::default());
        size.add(&object);
        scope.add_variable_from_value("object", object);
        Some(expression.evaluate(&scope, size))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn whatever_is_written_ends_in_a_value_or_a_reason(
            pieces in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 1..14),
        ) {
            evaluated(&pieces.concat());
        }

        #[test]
        fn any_text_ends_in_a_value_or_a_reason(text in "\\PC{0,80}") {
            evaluated(&text);
        }
    }

    #[test]
    fn what_is_too_deep_or_too_long_is_refused_before_it_is_read() {
        for source in [
            "(".repeat(100_000),
            "[".repeat(50),
            "!".repeat(10_000),
            format!("1{}", " + 1".repeat(1_000)),
            format!("'{}'", "a".repeat(SOURCE_BYTES_MAX)),
            "object.list.map(a, object.list.map(b, object.list.map(c, object.list.map(d, d))))"
                .to_owned(),
        ] {
            let told: String = source.chars().take(40).collect();
            assert!(matches!(Expression::compile(&source), Err(Unfit::TooLarge)), "{told}");
        }
    }

    #[test]
    fn work_that_multiplies_is_refused_for_a_large_object() {
        let source = "object.list.all(a, object.list.all(b, object.list.all(c, a + b + c >= 0)))";
        let expression = Expression::compile(source).unwrap();
        let mut scope = scope();
        let (object, mut size) = (value(&json!({"list": vec![1; 1_000]})), Size::default());
        size.add(&object);
        scope.add_variable_from_value("object", object);
        assert!(matches!(expression.evaluate(&scope, size), Err(Failure::Unable(_))));
    }
}
