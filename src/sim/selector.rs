//! Label and field selectors, as they stand in a request's query.

use serde_json::Value as Json;

use super::kinds::Kind;
use super::status::StatusError;
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
                label_term(&term).ok_or_else(|| {
                    let message = format!("unable to parse requirement: {term:?}");
                    StatusError::bad_request(message)
                })
            })
            .collect::<Result<_, _>>()?;
        let fields = split_terms(fields)
            .into_iter()
            .map(|term| field_term(&term, kind))
            .collect::<Result<_, _>>()?;
        Ok(Self { labels, fields })
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

fn label_term(term: &str) -> Option<LabelTerm> {
    let is_key = |key: &str| {
        !key.is_empty()
            && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'))
    };
    if let Some(key) = term.strip_prefix('!') {
        let key = key.trim();
        return is_key(key).then(|| LabelTerm::Absent(key.to_owned()));
    }
    if let Some((head, values)) = term.split_once('(') {
        let values = values.strip_suffix(')')?.split(',').map(|value| value.trim().to_owned());
        let (key, operator) = head.trim().rsplit_once(char::is_whitespace)?;
        let key = key.trim();
        return match operator {
            _ if !is_key(key) => None,
            "in" => Some(LabelTerm::In(key.to_owned(), values.collect())),
            "notin" => Some(LabelTerm::NotIn(key.to_owned(), values.collect())),
            _ => None,
        };
    }
    if let Some((key, value)) = term.split_once("!=") {
        let key = key.trim();
        let value = value.trim().to_owned();
        return is_key(key).then(|| LabelTerm::NotIn(key.to_owned(), vec![value]));
    }
    if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        let key = key.trim();
        let value = value.trim().to_owned();
        return is_key(key).then(|| LabelTerm::In(key.to_owned(), vec![value]));
    }
    is_key(term).then(|| LabelTerm::Exists(term.to_owned()))
}

fn field_term(term: &str, kind: &Kind) -> Result<FieldTerm, StatusError> {
    let (field, value, is_equal) = if let Some((field, value)) = term.split_once("!=") {
        (field, value, false)
    } else if let Some((field, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        (field, value, true)
    } else {
        let message = format!("invalid selector: {term:?}; can't understand {term:?}");
        return Err(StatusError::bad_request(message));
    };
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
