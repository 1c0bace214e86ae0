//! Refusals, as `Status` objects in the API server's words.

use serde_json::{Map, Value as Json, json};

use super::kinds::Kind;

/// A request that was refused.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusError {
    /// The HTTP status.
    pub code: u16,
    /// `NotFound`, `Conflict`, …; empty for an answer that is no `Status`.
    pub reason: &'static str,
    /// In words.
    pub message: String,
    details: Json,
    /// When to come back, in seconds.
    pub retry_after: Option<u32>,
}

/// One field that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// `FieldValueInvalid`, `FieldValueRequired`, …
    pub reason: &'static str,
    /// `spec.selector`.
    pub field: String,
    /// `Invalid value: …: field is immutable`.
    pub message: String,
}

impl Cause {
    /// A value that is not allowed.
    pub fn invalid(field: impl Into<String>, value: &Json, why: &str) -> Self {
        let value = match value {
            Json::Null => "null".to_owned(),
            value => value.to_string(),
        };
        Self {
            reason: "FieldValueInvalid",
            field: field.into(),
            message: format!("Invalid value: {value}: {why}"),
        }
    }

    /// A value that is missing.
    pub fn required(field: impl Into<String>, why: &str) -> Self {
        let message = match why {
            "" => "Required value".to_owned(),
            why => format!("Required value: {why}"),
        };
        Self { reason: "FieldValueRequired", field: field.into(), message }
    }

    /// A value that is none of those that are known.
    pub fn unsupported(field: impl Into<String>, value: &Json, known: &[&str]) -> Self {
        let known: Vec<_> = known.iter().map(|one| format!("{one:?}")).collect();
        Self {
            reason: "FieldValueNotSupported",
            field: field.into(),
            message: format!("Unsupported value: {value}: supported values: {}", known.join(", ")),
        }
    }

    /// A text of more bytes than allowed.
    pub fn too_long(field: impl Into<String>, max: usize) -> Self {
        Self {
            reason: "FieldValueTooLong",
            field: field.into(),
            message: format!("Too long: may not be more than {max} bytes"),
        }
    }

    /// A value that another one has already.
    pub fn duplicate(field: impl Into<String>, value: &Json) -> Self {
        Self {
            reason: "FieldValueDuplicate",
            field: field.into(),
            message: format!("Duplicate value: {value}"),
        }
    }

    /// `details.causes` has it so.
    fn to_json(&self) -> Json {
        json!({"reason": self.reason, "message": self.message, "field": self.field})
    }

    /// A value that may not be set, or not be changed.
    pub fn forbidden(field: impl Into<String>, why: &str) -> Self {
        Self {
            reason: "FieldValueForbidden",
            field: field.into(),
            message: format!("Forbidden: {why}"),
        }
    }
}

impl StatusError {
    /// Any refusal.
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, reason, message, details: Json::Null, retry_after: None }
    }

    /// With `details`.
    pub fn with_details(mut self, details: Json) -> Self {
        self.details = details;
        self
    }

    /// 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 404 for an object.
    pub fn not_found(kind: &Kind, name: &str) -> Self {
        let message = format!("{} {name:?} not found", kind.resource());
        Self::new(404, "NotFound", message).with_details(of_object(kind, name))
    }

    /// 404 for a namespace that an object should be in.
    pub fn no_namespace(name: &str) -> Self {
        Self::new(404, "NotFound", format!("namespaces {name:?} not found"))
            .with_details(json!({"name": name, "kind": "namespaces"}))
    }

    /// 404 for a path that nothing is served at.
    pub fn no_path() -> Self {
        Self::new(404, "", "404 page not found\n")
    }

    /// 404 for a subresource or kind that is not served.
    pub fn no_resource() -> Self {
        let message = "the server could not find the requested resource";
        Self::new(404, "NotFound", message).with_details(json!({}))
    }

    /// 405.
    pub fn not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(405, "MethodNotAllowed", message).with_details(json!({}))
    }

    /// 409 of a create.
    pub fn already_exists(kind: &Kind, name: &str) -> Self {
        let message = format!("{} {name:?} already exists", kind.resource());
        Self::new(409, "AlreadyExists", message).with_details(of_object(kind, name))
    }

    /// 409 of a write to an older version.
    pub fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        Self::conflict_of(&kind.plural, &kind.group, name, why)
    }

    /// As [`Self::conflict`], whatever the kind is called.
    pub(super) fn conflict_of(kind: &str, group: &str, name: &str, why: &str) -> Self {
        let resource = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let message = format!("Operation cannot be fulfilled on {resource} {name:?}: {why}");
        Self::new(409, "Conflict", message).with_details(of(kind, group, name))
    }

    /// 409 of a write to an older version, in the usual words.
    pub fn modified(kind: &Kind, name: &str) -> Self {
        const WHY: &str = "the object has been modified; please apply your changes to the latest \
                           version and try again";
        Self::conflict(kind, name, WHY)
    }

    /// 403.
    pub fn forbidden(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("{} {name:?} is forbidden: {why}", kind.resource());
        Self::new(403, "Forbidden", message).with_details(of_object(kind, name))
    }

    /// 403 for new content of a namespace that goes away.
    pub fn terminating(kind: &Kind, name: &str, namespace: &str) -> Self {
        let why = format!(
            "unable to create new content in namespace {namespace} because it is being terminated"
        );
        let mut details = of_object(kind, name);
        details["causes"] = json!([{
            "reason": "NamespaceTerminating",
            "message": format!("namespace {namespace} is being terminated"),
            "field": "metadata.namespace",
        }]);
        Self::forbidden(kind, name, &why).with_details(details)
    }

    /// 422. There is at least one cause.
    pub fn invalid(kind: &Kind, name: &str, causes: &[Cause]) -> Self {
        Self::invalid_as(&kind.kind, &kind.group, name, causes)
    }

    /// 422 of an update that does not say what it replaces: it names the kind by its plural.
    pub fn unversioned(kind: &Kind, name: &str) -> Self {
        let why = "must be specified for an update";
        let cause = Cause::invalid("metadata.resourceVersion", &Json::from(0), why);
        Self::invalid_as(&kind.plural, &kind.group, name, &[cause])
    }

    /// 422 for the options of a request. There is at least one cause.
    pub fn bad_options(kind: &str, causes: &[Cause]) -> Self {
        Self::invalid_as(kind, "meta.k8s.io", "", causes)
    }

    /// 422 for an object of some kind. There is at least one cause.
    pub(super) fn invalid_as(kind: &str, group: &str, name: &str, causes: &[Cause]) -> Self {
        let mut told: Vec<String> = Vec::new();
        for cause in causes {
            let text = format!("{}: {}", cause.field, cause.message);
            if !told.contains(&text) {
                told.push(text);
            }
        }
        let told = match told.as_slice() {
            [only] => only.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let group_kind = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let mut details = of(kind, group, name);
        details["causes"] = causes.iter().map(Cause::to_json).collect();
        Self::new(422, "Invalid", format!("{group_kind} {name:?} is invalid: {told}"))
            .with_details(details)
    }

    /// 410 for a version that is no longer kept.
    pub fn too_old(asked: u64, oldest: u64) -> Self {
        Self::new(410, "Expired", format!("too old resource version: {asked} ({oldest})"))
    }

    /// 504 for a version that is not there yet.
    pub fn too_large(asked: u64, current: u64) -> Self {
        let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
        let cause = json!({"reason": "ResourceVersionTooLarge",
                           "message": "Too large resource version"});
        let error = Self::new(504, "Timeout", message).with_details(json!({"causes": [cause]}));
        Self { retry_after: Some(1), ..error }
    }

    /// 406.
    pub fn not_acceptable(message: String) -> Self {
        Self::new(406, "NotAcceptable", message)
    }

    /// 415.
    pub fn media_type(known: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {known}"
        );
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// 415 for a patch of a type that no kind takes.
    pub fn no_media_type() -> Self {
        Self::new(415, "UnsupportedMediaType", "415: Unsupported Media Type")
            .with_details(json!({}))
    }

    /// The `Status` object.
    pub fn to_json(&self) -> Json {
        let mut status = Map::new();
        status.insert("kind".to_owned(), Json::from("Status"));
        status.insert("apiVersion".to_owned(), Json::from("v1"));
        status.insert("metadata".to_owned(), json!({}));
        status.insert("status".to_owned(), Json::from("Failure"));
        status.insert("message".to_owned(), Json::from(self.message.as_str()));
        if !self.reason.is_empty() {
            status.insert("reason".to_owned(), Json::from(self.reason));
        }
        if !self.details.is_null() || self.retry_after.is_some() {
            let mut details = self.details.clone();
            if let Some(seconds) = self.retry_after {
                details["retryAfterSeconds"] = Json::from(seconds);
            }
            status.insert("details".to_owned(), details);
        }
        status.insert("code".to_owned(), Json::from(self.code));
        Json::Object(status)
    }
}

/// `details` about one object; empty fields are left out, as Go does.
fn of_object(kind: &Kind, name: &str) -> Json {
    of(&kind.plural, &kind.group, name)
}

fn of(kind: &str, group: &str, name: &str) -> Json {
    let mut details = Map::new();
    for (field, value) in [("name", name), ("group", group), ("kind", kind)] {
        if !value.is_empty() {
            details.insert(field.to_owned(), Json::from(value));
        }
    }
    Json::Object(details)
}
