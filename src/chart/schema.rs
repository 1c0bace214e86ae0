//! Values against the `values.schema.json` of a chart and its subcharts, with Helm's report.
//! Schemas elsewhere are not fetched: a render depends on its inputs only.

use std::fmt::Write as _;
use std::sync::OnceLock;

use jsonschema::error::{TypeKind, ValidationError, ValidationErrorKind};
use serde_json::Value as Json;

use super::scope::Scope;
use super::values::to_json;
use crate::template::value::{Map, Value};
use crate::yaml::number::whole_numbers;

/// Checks the coalesced values of a tree.
///
/// # Errors
/// Helm's report: every chart whose schema is not met, with every place.
pub(super) fn check(scope: &Scope, values: &Map) -> Result<(), String> {
    let mut report = String::new();
    check_tree(scope, values, &mut report);
    if report.is_empty() {
        return Ok(());
    }
    Err(format!(
        "values don't meet the specifications of the schema(s) in the following chart(s):\n{report}"
    ))
}

fn check_tree(scope: &Scope, values: &Map, report: &mut String) {
    if let Some(schema) = &scope.chart.schema
        && let Err(problem) =
            scope.chart.validator.check(schema, &to_json(&Value::Map(values.clone())))
    {
        let _ = write!(report, "{}:\n{problem}", scope.name);
    }
    for subchart in &scope.dependencies {
        match values.get(&subchart.name) {
            None | Some(Value::Nil) => {}
            Some(Value::Map(inner)) => check_tree(subchart, &inner, report),
            Some(other) => {
                let _ = writeln!(
                    report,
                    "{}:\ninvalid type for values: expected object (map), got {}",
                    subchart.name,
                    go_type(&to_json(&other))
                );
            }
        }
    }
}

/// What Go prints as the type of a decoded value.
pub(super) fn go_type(value: &Json) -> &'static str {
    match value {
        Json::Null => "<nil>",
        Json::Bool(_) => "bool",
        Json::Number(number) if number.is_f64() => "float64",
        Json::Number(_) => "int64",
        Json::String(_) => "string",
        Json::Array(_) => "[]interface {}",
        Json::Object(_) => "map[string]interface {}",
    }
}

/// A schema that is compiled when it is first needed, or what is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Compiled(OnceLock<Result<jsonschema::Validator, String>>);

impl Compiled {
    /// Checks values against the schema, which is the same at each call.
    fn check(&self, schema: &[u8], values: &Json) -> Result<(), String> {
        let validator = self.0.get_or_init(|| compile(schema)).as_ref().map_err(String::clone)?;
        let instance = whole_numbers(values);
        let findings: Vec<_> = validator.iter_errors(&instance).collect();
        if findings.is_empty() {
            return Ok(());
        }
        let mut report = String::new();
        for (place, problem) in grouped(&findings) {
            let _ = writeln!(report, "- at '{place}': {problem}");
        }
        Err(report)
    }
}

fn compile(schema: &[u8]) -> Result<jsonschema::Validator, String> {
    let schema: Json = serde_json::from_slice(schema).map_err(|error| format!("{error}\n"))?;
    jsonschema::options()
        .with_draft(draft(&schema))
        .offline()
        .build(&without_identity(schema))
        .map_err(|error| format!("unable to compile the schema: {error}\n"))
}

/// The draft a schema is written in; Helm's library takes the newest where it says none.
fn draft(schema: &Json) -> jsonschema::Draft {
    let uri = schema["$schema"].as_str().unwrap_or_default();
    if uri.contains("draft-04") {
        jsonschema::Draft::Draft4
    } else if uri.contains("draft-06") {
        jsonschema::Draft::Draft6
    } else if uri.contains("draft-07") {
        jsonschema::Draft::Draft7
    } else if uri.contains("2019-09") {
        jsonschema::Draft::Draft201909
    } else {
        jsonschema::Draft::Draft202012
    }
}

/// The schema without `$schema`, whose many spellings are settled by [`draft`].
fn without_identity(mut schema: Json) -> Json {
    if let Some(fields) = schema.as_object_mut() {
        fields.remove("$schema");
    }
    schema
}

/// One line for each place and problem; what is missing at one place goes on one line.
fn grouped(findings: &[ValidationError<'_>]) -> Vec<(String, String)> {
    let mut lines: Vec<(String, String)> = Vec::new();
    let mut missing: Vec<(String, Vec<String>)> = Vec::new();
    for finding in findings {
        let place = finding.instance_path().to_string();
        if let ValidationErrorKind::Required { property } = finding.kind() {
            let name = quote(property.as_str().unwrap_or_default());
            match missing.iter_mut().find(|(other, _)| *other == place) {
                Some((_, names)) => names.push(name),
                None => missing.push((place, vec![name])),
            }
        } else {
            lines.push((place, describe(finding, 0)));
        }
    }
    let missing = missing.into_iter().map(|(place, names)| {
        let noun = if names.len() == 1 { "property" } else { "properties" };
        (place, format!("missing {noun} {}", names.join(", ")))
    });
    missing.chain(lines).collect()
}

/// What is wrong, in the words of Helm's library but without the value, which may be secret.
fn describe(finding: &ValidationError<'_>, depth: usize) -> String {
    use ValidationErrorKind as Kind;
    let instance = finding.instance();
    let length = |noun: &str, want: u64| {
        let got = match &**instance {
            Json::Array(items) => items.len(),
            Json::Object(entries) => entries.len(),
            Json::String(text) => text.chars().count(),
            _ => 0,
        };
        format!("{noun}: got {got}, want {want}")
    };
    match finding.kind() {
        Kind::Type { kind } => format!("got {}, want {}", json_type(instance), wanted(kind)),
        Kind::AdditionalProperties { unexpected } => {
            let names: Vec<String> = unexpected.iter().map(|name| quote(name)).collect();
            format!("additional properties {} not allowed", names.join(", "))
        }
        Kind::Enum { options } => match options.as_array().map(Vec::as_slice) {
            Some([one]) => format!("value must be {}", display(one)),
            Some(many) if many.iter().all(is_primitive) => {
                let options: Vec<String> = many.iter().map(display).collect();
                format!("value must be one of {}", options.join(", "))
            }
            _ => "'enum' failed".to_owned(),
        },
        Kind::Constant { expected_value } if is_primitive(expected_value) => {
            format!("value must be {}", display(expected_value))
        }
        Kind::Constant { .. } => "'const' failed".to_owned(),
        Kind::Pattern { pattern } => format!("value does not match pattern {}", quote(pattern)),
        Kind::Format { format } => format!("value is not valid {format}"),
        Kind::MinLength { limit } => length("minLength", *limit),
        Kind::MaxLength { limit } => length("maxLength", *limit),
        Kind::MinItems { limit } => length("minItems", *limit),
        Kind::MaxItems { limit } => length("maxItems", *limit),
        Kind::MinProperties { limit } => length("minProperties", *limit),
        Kind::MaxProperties { limit } => length("maxProperties", *limit),
        Kind::Minimum { limit } => format!("minimum: want {limit}"),
        Kind::Maximum { limit } => format!("maximum: want {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("exclusiveMinimum: want {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("exclusiveMaximum: want {limit}"),
        Kind::FalseSchema => "false schema".to_owned(),
        Kind::Not { .. } => "'not' failed".to_owned(),
        Kind::Contains => "no items match contains schema".to_owned(),
        Kind::UniqueItems => "items are equal".to_owned(),
        Kind::AnyOf { context } => nested("'anyOf' failed", context, depth),
        Kind::OneOfNotValid { context } => nested("'oneOf' failed, none matched", context, depth),
        Kind::OneOfMultipleValid { .. } => {
            "'oneOf' failed, more than one subschema matched".to_owned()
        }
        Kind::Required { property } => {
            format!("missing property {}", quote(property.as_str().unwrap_or_default()))
        }
        other => format!("'{}' failed", other.keyword()),
    }
}

/// Reports of alternatives deeper than this would not be read.
const DEPTH_MAX: usize = 8;

fn nested(title: &str, context: &[Vec<ValidationError<'static>>], depth: usize) -> String {
    let mut text = title.to_owned();
    if depth < DEPTH_MAX {
        for finding in context.iter().flatten() {
            let _ = write!(
                text,
                "\n{}- at '{}': {}",
                "  ".repeat(depth + 1),
                finding.instance_path(),
                describe(finding, depth + 1)
            );
        }
    }
    text
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "\\'"))
}

fn is_primitive(value: &Json) -> bool {
    !value.is_array() && !value.is_object()
}

fn display(value: &Json) -> String {
    match value {
        Json::String(text) => quote(text),
        Json::Null => "null".to_owned(),
        other => other.to_string(),
    }
}

fn json_type(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

fn wanted(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(kind) => kind.to_string(),
        TypeKind::Multiple(kinds) => {
            kinds.iter().map(|kind| kind.to_string()).collect::<Vec<_>>().join(" or ")
        }
    }
}
