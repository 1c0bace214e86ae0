//! Label and field selectors, as they stand in a request's query.

use serde_json::Value as Json;

use super::kinds::Kind;
use super::status::StatusError;
use super::validate;
use crate::object::access;

/// Which objects of a kind are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    labels: Vec<LabelTerm>,
    fields: Vec<FieldTerm>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum LabelTerm {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
    Greater(String, i64),
    Less(String, i64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct FieldTerm {
    field: String,
    value: String,
    is_equal: bool,
}

impl Selector {
    /// Reads both selectors of a query; empty ones select everything.
    ///
    /// # Errors
    /// 400 for text that is no selector, or a field that objects of the kind are not selected by.
    pub fn parse(labels: &str, fields: &str, kind: &Kind) -> Result<Self, StatusError> {
        let labels = split_terms(labels)
            .into_iter()
            .map(|term| {
                label_term(&term).and_then(checked).map_err(|why| {
                    StatusError::bad_request(format!("unable to parse requirement: {why}"))
                })
            })
            .collect::<Result<_, _>>()?;
        let fields = split_terms(fields)
            .into_iter()
            .map(|term| field_term(&term, kind))
            .collect::<Result<_, _>>()?;
        Ok(Self { labels, fields })
    }

    /// Of what it means, only what has a name.
    pub(super) fn named(mut self, name: &str) -> Self {
        let field = "metadata.name".to_owned();
        self.fields.push(FieldTerm { field, value: name.to_owned(), is_equal: true });
        self
    }

    /// Whether everything is meant.
    pub fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether an object is meant.
    pub fn matches(&self, object: &Json) -> bool {
        self.labels.iter().all(|term| term.matches(object))
            && self.fields.iter().all(|term| term.matches(object))
    }

    /// The name that the only object meant must have, if the fields say so.
    pub fn name(&self) -> Option<&str> {
        let named = self.fields.iter().find(|term| term.field == "metadata.name" && term.is_equal);
        named.map(|term| term.value.as_str())
    }
}

impl LabelTerm {
    fn matches(&self, object: &Json) -> bool {
        let has = |key: &str| access::label(object, key);
        match self {
            Self::In(key, values) => {
                has(key).is_some_and(|value| values.iter().any(|one| one == value))
            }
            Self::NotIn(key, values) => {
                has(key).is_none_or(|value| values.iter().all(|one| one != value))
            }
            Self::Exists(key) => has(key).is_some(),
            Self::Absent(key) => has(key).is_none(),
            Self::Greater(key, bound) => number(has(key)).is_some_and(|value| value > *bound),
            Self::Less(key, bound) => number(has(key)).is_some_and(|value| value < *bound),
        }
    }
}

impl FieldTerm {
    fn matches(&self, object: &Json) -> bool {
        let path: Vec<&str> = self.field.split('.').collect();
        let found = match access::at(object, &path) {
            Some(Json::String(text)) => text.clone(),
            Some(Json::Bool(value)) => value.to_string(),
            Some(Json::Number(value)) => value.to_string(),
            _ => String::new(),
        };
        (found == self.value) == self.is_equal
    }
}

/// The terms between commas; a comma within parentheses is part of its term.
fn split_terms(text: &str) -> Vec<String> {
    let mut terms = vec![String::new()];
    let mut depth = 0_usize;
    for letter in text.chars() {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if letter == ',' && depth == 0 {
            terms.push(String::new());
        } else if let Some(term) = terms.last_mut() {
            term.push(letter);
        }
    }
    terms.into_iter().map(|term| term.trim().to_owned()).filter(|term| !term.is_empty()).collect()
}

fn number(label: Option<&str>) -> Option<i64> {
    label?.parse().ok()
}

/// Reads one requirement; in words, what is wrong with it.
fn label_term(term: &str) -> Result<LabelTerm, String> {
    if let Some(key) = term.strip_prefix('!') {
        return match key.trim() {
            "" => Err("found '', expected: identifier".to_owned()),
            key => Ok(LabelTerm::Absent(key.to_owned())),
        };
    }
    if let Some((head, values)) = term.split_once('(') {
        let Some(values) = values.strip_suffix(')') else {
            return Err("found '', expected: ',' or ')'".to_owned());
        };
        let values = values.split(',').map(|value| value.trim().to_owned()).collect();
        let Some((key, operator)) = head.trim().rsplit_once(char::is_whitespace) else {
            return Err(format!("found '{}', expected: identifier", head.trim()));
        };
        let key = key.trim().to_owned();
        return match operator {
            "in" => Ok(LabelTerm::In(key, values)),
            "notin" => Ok(LabelTerm::NotIn(key, values)),
            other => Err(no_operator(other)),
        };
    }
    type Make = fn(String, String) -> Result<LabelTerm, String>;
    let operators: [(&str, Make); 5] = [
        ("!=", |key, value| Ok(LabelTerm::NotIn(key, vec![value]))),
        ("==", |key, value| Ok(LabelTerm::In(key, vec![value]))),
        ("=", |key, value| Ok(LabelTerm::In(key, vec![value]))),
        (">", |key, value| Ok(LabelTerm::Greater(key, bound(&value)?))),
        ("<", |key, value| Ok(LabelTerm::Less(key, bound(&value)?))),
    ];
    for (operator, make) in operators {
        if let Some((key, value)) = term.split_once(operator) {
            let key = key.trim();
            if key.is_empty() {
                return Err(format!(
                    "found '{operator}', expected: !, identifier, or 'end of string'"
                ));
            }
            return make(key.to_owned(), value.trim().to_owned());
        }
    }
    let mut words = term.split_whitespace();
    let key = words.next().unwrap_or_default().to_owned();
    match (words.next(), words.next()) {
        (None, _) => Ok(LabelTerm::Exists(key)),
        (Some("in" | "notin"), next) => {
            Err(format!("found '{}', expected: '('", next.unwrap_or_default()))
        }
        (Some(other), _) => Err(no_operator(other)),
    }
}

fn no_operator(found: &str) -> String {
    format!("found '{found}', expected: in, notin, =, ==, !=, gt, lt")
}

/// What `>` and `<` compare with.
fn bound(value: &str) -> Result<i64, String> {
    value.parse().map_err(|_| {
        format!(
            "values[0]: Invalid value: {value:?}: for 'Gt', 'Lt' operators, the value must be an \
             integer"
        )
    })
}

/// The requirement, if its key and values can be those of labels.
fn checked(term: LabelTerm) -> Result<LabelTerm, String> {
    let (key, values): (&str, &[String]) = match &term {
        LabelTerm::In(key, values) | LabelTerm::NotIn(key, values) => (key, values),
        LabelTerm::Exists(key)
        | LabelTerm::Absent(key)
        | LabelTerm::Greater(key, _)
        | LabelTerm::Less(key, _) => (key, &[]),
    };
    if let Some(why) = validate::wrong_with_key(key).first() {
        return Err(format!("<nil>: Invalid value: {key:?}: {why}"));
    }
    for (at, value) in values.iter().enumerate() {
        if let Some(why) = validate::wrong_with_label(value).first() {
            return Err(format!("values[{at}][{key}]: Invalid value: {value:?}: {why}"));
        }
    }
    Ok(term)
}

fn field_term(term: &str, kind: &Kind) -> Result<FieldTerm, StatusError> {
    let at = term
        .find(['=', '!'])
        .filter(|at| term[*at..].starts_with("!=") || term[*at..].starts_with('='));
    let (field, value, is_equal) = if let Some(at) = at {
        let (field, rest) = term.split_at(at);
        match rest.strip_prefix("!=") {
            Some(value) => (field, value, false),
            None => (field, rest.strip_prefix("==").unwrap_or(&rest[1..]), true),
        }
    } else {
        let message = format!("invalid selector: '{term}'; can't understand '{term}'");
        return Err(StatusError::bad_request(message));
    };
    if value.contains('=') {
        let message = "invalid field selector: unescaped character in value: 61";
        return Err(StatusError::bad_request(message));
    }
    let (field, value) = (field.trim().to_owned(), value.trim().to_owned());
    if !is_selectable(&field, kind) {
        let message = format!("field label not supported: {field}");
        return Err(StatusError::bad_request(message));
    }
    Ok(FieldTerm { field, value, is_equal })
}

fn is_selectable(field: &str, kind: &Kind) -> bool {
    if field == "metadata.name" || field == "metadata.namespace" && kind.is_namespaced {
        return true;
    }
    match (kind.kind.as_str(), field) {
        (
            "Pod",
            "spec.nodeName"
            | "spec.restartPolicy"
            | "spec.schedulerName"
            | "spec.serviceAccountName"
            | "spec.hostNetwork"
            | "status.phase"
            | "status.podIP"
            | "status.nominatedNodeName",
        ) => true,
        ("Event", "type" | "reason" | "reportingComponent" | "source") => true,
        ("Event", field) => field.starts_with("involvedObject.") || field.starts_with("regarding."),
        ("Secret", "type") | ("Namespace", "status.phase") | ("Node", "spec.unschedulable") => true,
        ("Job", "status.successful") | ("ReplicaSet", "status.replicas") => true,
        ("ReplicationController", "status.replicas") => true,
        ("CertificateSigningRequest", "spec.signerName") => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sim::kinds;

    fn pod() -> Json {
        json!({"metadata": {"name": "a", "labels": {"app": "web", "tier": "front"}},
               "spec": {"nodeName": "n1"}, "status": {"phase": "Running"}})
    }

    #[test]
    fn labels_select() {
        let cases = [
            ("app=web", true),
            ("app==web,tier=front", true),
            ("app=web,tier=back", false),
            ("app in (web, api),tier notin (back)", true),
            ("app notin (web)", false),
            ("other notin (x)", true),
            ("app!=api", true),
            ("app", true),
            ("!app", false),
            ("!other", true),
            ("", true),
        ];
        let kind = kinds::find("", "Pod").unwrap();
        for (text, expected) in cases {
            let selector = Selector::parse(text, "", kind).unwrap();
            assert_eq!(selector.matches(&pod()), expected, "{text}");
        }
        for text in ["a b", "in (x)", "a in x", "a in (x", "=x", "!"] {
            assert!(Selector::parse(text, "", kind).is_err(), "{text}");
        }
    }

    #[test]
    fn fields_select() {
        let kind = kinds::find("", "Pod").unwrap();
        let cases = [
            ("metadata.name=a", true),
            ("spec.nodeName=n1,status.phase!=Failed", true),
            ("status.phase=Pending", false),
        ];
        for (text, expected) in cases {
            let selector = Selector::parse("", text, kind).unwrap();
            assert_eq!(selector.matches(&pod()), expected, "{text}");
        }
        let error = Selector::parse("", "spec.image=x", kind).unwrap_err();
        assert_eq!(error.message, "field label not supported: spec.image");
    }
}
