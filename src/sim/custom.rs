//! What is wrong with a custom object by the schema of its CRD, in the API server's words.

use regex::Regex;
use serde_json::{Value as Json, json};

use super::status::Cause;
use crate::base::clock::Timestamp;
use crate::object::access;

/// Checks a whole object.
pub(super) fn check(object: &Json, schema: &Json, causes: &mut Vec<Cause>) {
    check_value(object, schema, "", causes);
    check_lists(object, schema, "", causes);
}

fn check_value(value: &Json, schema: &Json, field: &str, causes: &mut Vec<Cause>) {
    let is_set = |name: &str| schema.get(name).and_then(Json::as_bool).unwrap_or_default();
    if value.is_null() && is_set("nullable") {
        return;
    }
    let either =
        is_set("x-kubernetes-int-or-string") && !value.is_string() && !fits(value, "integer");
    let wanted = access::text(schema, &["type"]).filter(|wanted| !fits(value, wanted));
    let Some(wanted) = wanted.or(either.then_some("integer,string")) else {
        return check_parts(value, schema, field, causes);
    };
    causes.push(Cause {
        reason: "FieldValueTypeInvalid",
        field: field.to_owned(),
        message: format!(
            "Invalid value: {:?}: {field} in body must be of type {wanted}: {:?}",
            type_name(value),
            type_name(value)
        ),
    });
}

fn check_parts(value: &Json, schema: &Json, field: &str, causes: &mut Vec<Cause>) {
    if let Some(number) = value.as_f64() {
        check_number(value, number, schema, field, causes);
    }
    if let Some(text) = value.as_str() {
        check_text(text, schema, field, causes);
    }
    let allowed = access::list(schema, &["enum"]);
    if !allowed.is_empty() && !allowed.contains(value) {
        let names: Vec<_> = allowed.iter().map(ToString::to_string).collect();
        causes.push(Cause {
            reason: "FieldValueNotSupported",
            field: field.to_owned(),
            message: format!("Unsupported value: {value}: supported values: {}", names.join(", ")),
        });
    }
    match value {
        Json::Object(fields) => {
            for name in access::list(schema, &["required"]).iter().filter_map(Json::as_str) {
                if !fields.contains_key(name) {
                    causes.push(Cause::required(below(field, name), ""));
                }
            }
            for (name, part, schema) in parts(value, schema, field) {
                check_value(part, schema, &below(field, name), causes);
            }
        }
        Json::Array(items) => {
            check_count(items.len(), schema, field, causes);
            if let Some(schema) = schema.get("items") {
                for (at, item) in items.iter().enumerate() {
                    check_value(item, schema, &format!("{field}[{at}]"), causes);
                }
            }
        }
        _ => {}
    }
}

fn below(field: &str, name: &str) -> String {
    if field.is_empty() { name.to_owned() } else { format!("{field}.{name}") }
}

/// The fields of an object with their schemas; those that every object has are checked elsewhere.
fn parts<'a>(
    value: &'a Json,
    schema: &'a Json,
    field: &str,
) -> impl Iterator<Item = (&'a str, &'a Json, &'a Json)> {
    let is_root = field.is_empty();
    value.as_object().into_iter().flatten().filter_map(move |(name, part)| {
        if is_root && matches!(name.as_str(), "metadata" | "apiVersion" | "kind") {
            return None;
        }
        let declared = access::at(schema, &["properties", name]);
        let schema = declared.or_else(|| schema.get("additionalProperties"))?;
        schema.is_object().then_some((name.as_str(), part, schema))
    })
}

fn check_number(value: &Json, number: f64, schema: &Json, field: &str, causes: &mut Vec<Cause>) {
    let bound = |name: &str| schema.get(name).and_then(Json::as_f64);
    if bound("minimum").is_some_and(|minimum| number < minimum) {
        let minimum = &schema["minimum"];
        let why = format!("{field} in body should be greater than or equal to {minimum}");
        causes.push(Cause::invalid(field, value, &why));
    }
    if bound("maximum").is_some_and(|maximum| number > maximum) {
        let maximum = &schema["maximum"];
        let why = format!("{field} in body should be less than or equal to {maximum}");
        causes.push(Cause::invalid(field, value, &why));
    }
}

fn check_text(text: &str, schema: &Json, field: &str, causes: &mut Vec<Cause>) {
    let length = text.chars().count();
    if let Some(max) = bound(schema, "maxLength").filter(|max| length > *max) {
        causes.push(Cause::too_long(field, max));
    }
    if let Some(min) = bound(schema, "minLength").filter(|min| length < *min) {
        let why = format!("{field} in body should be at least {min} chars long");
        causes.push(Cause::invalid(field, &Json::from(text), &why));
    }
    if let Some(pattern) = access::text(schema, &["pattern"])
        && Regex::new(pattern).is_ok_and(|pattern| !pattern.is_match(text))
    {
        let why = format!("{field} in body should match '{pattern}'");
        causes.push(Cause::invalid(field, &Json::from(text), &why));
    }
    let is_time = access::text(schema, &["format"]) == Some("date-time");
    if is_time && text.parse::<Timestamp>().is_err() {
        causes.push(Cause {
            reason: "FieldValueTypeInvalid",
            field: field.to_owned(),
            message: format!(
                "Invalid value: {text:?}: {field} in body must be of type date-time: {text:?}"
            ),
        });
    }
}

/// How many there may be at the most, or must be.
fn bound(schema: &Json, name: &str) -> Option<usize> {
    schema.get(name).and_then(Json::as_u64).and_then(|bound| usize::try_from(bound).ok())
}

fn check_count(count: usize, schema: &Json, field: &str, causes: &mut Vec<Cause>) {
    if let Some(max) = bound(schema, "maxItems").filter(|max| count > *max) {
        causes.push(Cause {
            reason: "FieldValueTooMany",
            field: field.to_owned(),
            message: format!("Too many: {count}: must have at most {max} items"),
        });
    }
    if let Some(min) = bound(schema, "minItems").filter(|min| count < *min) {
        let why = format!("{field} in body should have at least {min} items");
        causes.push(Cause::invalid(field, &json!(count), &why));
    }
}

/// Lists whose items are told apart: none may stand there twice.
fn check_lists(value: &Json, schema: &Json, field: &str, causes: &mut Vec<Cause>) {
    let Some(items) = value.as_array() else {
        for (name, part, schema) in parts(value, schema, field) {
            check_lists(part, schema, &below(field, name), causes);
        }
        return;
    };
    let item_schema = schema.get("items").unwrap_or(&Json::Null);
    let keys: Vec<&str> = access::list(schema, &["x-kubernetes-list-map-keys"])
        .iter()
        .filter_map(Json::as_str)
        .collect();
    let mut seen: Vec<Json> = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let field = format!("{field}[{at}]");
        let id = match access::text(schema, &["x-kubernetes-list-type"]) {
            Some("set") => Some(item.clone()),
            Some("map") => Some(keys_of(item, &keys)),
            _ => None,
        };
        if let Some(id) = id {
            if seen.contains(&id) {
                causes.push(Cause::duplicate(field.as_str(), &id));
            }
            seen.push(id);
        }
        check_lists(item, item_schema, &field, causes);
    }
}

/// The keys of an item.
fn keys_of(item: &Json, keys: &[&str]) -> Json {
    keys.iter().map(|key| (*key, item.get(*key).cloned().unwrap_or(Json::Null))).collect()
}

fn fits(value: &Json, wanted: &str) -> bool {
    match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        _ => true,
    }
}

fn type_name(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(number) if number.is_f64() => "number",
        Json::Number(_) => "integer",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(schema: Json, value: Json) -> Vec<String> {
        let mut causes = Vec::new();
        let schema = json!({"properties": {"spec": schema}});
        check(&json!({"spec": value}), &schema, &mut causes);
        causes.into_iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
    }

    #[test]
    fn what_a_schema_does_not_allow_is_told_as_a_real_server_tells_it() {
        let text = json!({"type": "string", "minLength": 2, "pattern": "^[a-z]+$"});
        assert_eq!(
            told(text, json!("1")),
            [
                "spec: Invalid value: \"1\": spec in body should be at least 2 chars long",
                "spec: Invalid value: \"1\": spec in body should match '^[a-z]+$'",
            ]
        );
        let list = json!({"type": "array", "minItems": 1, "x-kubernetes-list-type": "set"});
        assert_eq!(
            told(list.clone(), json!([])),
            ["spec: Invalid value: 0: spec in body should have at least 1 items"]
        );
        assert_eq!(told(list, json!(["a", "b", "a"])), ["spec[2]: Duplicate value: \"a\""]);
    }

    #[test]
    fn a_number_or_a_text_is_either() {
        let schema = json!({"x-kubernetes-int-or-string": true});
        assert!(told(schema.clone(), json!(80)).is_empty());
        assert!(told(schema.clone(), json!("http")).is_empty());
        assert_eq!(told(schema, json!([])).len(), 1);
    }
}
