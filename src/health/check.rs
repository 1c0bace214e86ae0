//! Health checks that users write in CEL over `self`, bounded in size and work.

use std::collections::HashMap;
use std::sync::Arc;

use cel::objects::{Key, Map};
use cel::{Context, Program, Value};
use serde_json::Value as Json;

use super::Health;
use crate::object::secret;

/// Bytes of one expression.
const SOURCE_BYTES_MAX: usize = 2_000;
/// Loops (`all`, `exists`, `map`, `filter`, …) within one another: the work grows with the size
/// of the object to this power.
const LOOPS_NESTED_MAX: usize = 2;

/// An expression that cannot be a check.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// Not CEL.
    #[error("is not valid CEL: {message}")]
    Syntax {
        /// The parser's words.
        message: String,
    },
    /// Longer than it may be.
    #[error("is longer than {SOURCE_BYTES_MAX} bytes")]
    TooLong,
    /// More loops within one another than there may be.
    #[error("has more than {LOOPS_NESTED_MAX} loops within one another")]
    TooNested,
}

/// A check, ready to be asked.
pub struct Check {
    source: String,
    program: Program,
}

impl Check {
    /// Reads an expression.
    pub fn compile(source: &str) -> Result<Self, CheckError> {
        if source.len() > SOURCE_BYTES_MAX {
            return Err(CheckError::TooLong);
        }
        if loops_nested(source) > LOOPS_NESTED_MAX {
            return Err(CheckError::TooNested);
        }
        let program = Program::compile(source).map_err(|errors| {
            let message = errors.to_string();
            let first = message.lines().next().unwrap_or_default();
            // The parser lists everything that it would have liked better.
            let first = first.rsplit("Syntax error: ").next().unwrap_or_default();
            let first = first.split(" expecting ").next().unwrap_or_default();
            CheckError::Syntax { message: first.to_owned() }
        })?;
        Ok(Self { source: source.to_owned(), program })
    }

    /// Asks it of an object. A field that is not there yet is no failure: it may come.
    pub fn health(&self, object: &Json) -> Health {
        let mut context = Context::default();
        context.add_variable_from_value("self", value(object));
        match self.program.execute(&context) {
            Ok(Value::Bool(true)) => Health::ready(format!("`{}` holds", self.source)),
            Ok(Value::Bool(false)) => {
                Health::progressing(format!("`{}` does not hold yet", self.source))
            }
            Ok(_) => Health::failed(format!("`{}` is neither true nor false", self.source)),
            // The error may quote a value.
            Err(_) if secret::is_secret(object) => {
                Health::progressing(format!("`{}` cannot be decided yet", self.source))
            }
            Err(error) => {
                Health::progressing(format!("`{}` cannot be decided yet: {error}", self.source))
            }
        }
    }
}

/// JSON as CEL has it: whole numbers are `int`, as in the API server.
pub fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Value::Int(number),
            None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::String(Arc::new(text.clone())),
        Json::Array(items) => Value::List(Arc::new(items.iter().map(value).collect())),
        Json::Object(fields) => {
            let fields: HashMap<Key, Value> = fields
                .iter()
                .map(|(name, field)| (Key::String(Arc::new(name.clone())), value(field)))
                .collect();
            Value::Map(Map { map: Arc::new(fields) })
        }
    }
}

/// How deep loops are within one another, by the parentheses of the text.
fn loops_nested(source: &str) -> usize {
    const LOOPS: [&str; 7] =
        ["all", "exists", "exists_one", "existsOne", "map", "filter", "transformList"];
    let mut open: Vec<bool> = Vec::new();
    let mut deepest = 0;
    let mut word = String::new();
    let mut quote = None;
    let mut is_escaped = false;
    for character in source.chars() {
        if let Some(end) = quote {
            if character == end && !is_escaped {
                quote = None;
            }
            is_escaped = character == '\\' && !is_escaped;
            continue;
        }
        match character {
            '"' | '\'' => quote = Some(character),
            '(' => {
                open.push(LOOPS.contains(&word.as_str()));
                deepest = deepest.max(open.iter().filter(|is_loop| **is_loop).count());
            }
            ')' => {
                open.pop();
            }
            _ => {}
        }
        if character.is_alphanumeric() || character == '_' {
            word.push(character);
        } else if !character.is_whitespace() {
            word.clear();
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::health::Condition;

    fn ask(source: &str, object: &Json) -> Condition {
        Check::compile(source).unwrap().health(object).condition
    }

    #[test]
    fn a_check_is_ready_when_it_holds() {
        let object = json!({"status": {"readyReplicas": 2}});
        assert_eq!(ask("self.status.readyReplicas >= 1", &object), Condition::Ready);
        assert_eq!(ask("self.status.readyReplicas >= 3", &object), Condition::Progressing);
        assert_eq!(ask("self.status.readyReplicas", &object), Condition::Failed);
    }

    #[test]
    fn a_field_that_is_not_there_yet_is_no_failure() {
        assert_eq!(ask("self.status.readyReplicas >= 1", &json!({})), Condition::Progressing);
        assert_eq!(
            ask("has(self.status) && self.status.ok", &json!({"kind": "X"})),
            Condition::Progressing
        );
    }

    #[test]
    fn loops_within_loops_are_bounded() {
        let two = "self.a.all(x, x.b.exists(y, y == '((('))";
        let three = "self.a.all(x, x.b.exists(y, y.c.map(z, z) == []))";
        assert!(Check::compile(two).is_ok());
        assert_eq!(Check::compile(three).err(), Some(CheckError::TooNested));
    }

    #[test]
    fn what_is_not_cel_is_an_error() {
        assert!(matches!(Check::compile("self.status ="), Err(CheckError::Syntax { .. })));
        assert_eq!(Check::compile(&"x".repeat(3_000)).err(), Some(CheckError::TooLong));
    }

    #[test]
    fn a_check_of_a_secret_never_tells_its_value() {
        let object = json!({
            "apiVersion": "v1", "kind": "Secret", "data": {"k": "aHVudGVyMg=="},
        });
        let health = Check::compile("self.data.k > 3").unwrap().health(&object);
        assert!(!health.message.contains("aHVudGVyMg"));
    }
}
