//! What can go wrong with one request, sorted by what the caller can do about it.

use std::fmt;
use std::time::Duration;

use http::StatusCode;
use serde_json::Value as Json;

use crate::object::access;
use crate::object::secret;

/// A request that did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// No answer: the address is wrong, the network or the server is down, TLS or login failed.
    #[error("the API server cannot be reached")]
    Unreachable {
        /// What happened.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No answer in time.
    #[error("the API server did not answer within {seconds} s")]
    Timeout {
        /// How long was waited.
        seconds: u64,
    },
    /// 401: the server does not know who asks.
    #[error("the API server does not accept the credentials")]
    Unauthorized,
    /// 403: permissions lack.
    #[error("permission is refused: {message}")]
    Forbidden {
        /// The server's words, which name the user, verb and resource.
        message: String,
    },
    /// 403 of a create: nothing new may come into a namespace that is on its way out.
    #[error("its namespace is being deleted")]
    NamespaceTerminating,
    /// 404, where the object should have been.
    #[error("not found: {message}")]
    NotFound {
        /// The server's words.
        message: String,
    },
    /// The cluster serves no such kind: its CRD is not there (yet).
    #[error("the cluster serves no kind `{kind}` of `{api_version}`")]
    NoSuchKind {
        /// `apiVersion`.
        api_version: String,
        /// `kind`.
        kind: String,
    },
    /// 409 of a create.
    #[error("already exists: {message}")]
    AlreadyExists {
        /// The server's words.
        message: String,
    },
    /// 409 of a server-side apply: other managers own fields that would change.
    #[error("{}", OwnedFields(.owners))]
    FieldConflict {
        /// Who owns what.
        owners: Vec<FieldOwner>,
    },
    /// 409 otherwise: the object changed in between.
    #[error("the object changed in between: {message}")]
    Conflict {
        /// The server's words.
        message: String,
    },
    /// 422 or 400: the server does not take the object.
    #[error("the API server does not accept the object: {message}")]
    Invalid {
        /// The server's words; withheld for a Secret.
        message: String,
        /// The fields it names.
        causes: Vec<FieldCause>,
    },
    /// An object that was deleted, and is still there.
    #[error("it is still there after {}: it {words}", humantime::format_duration(*.after))]
    Lingers {
        /// How long was waited.
        after: Duration,
        /// Since when it is being deleted, and what holds it.
        words: String,
        /// What people can do about it.
        help: Option<String>,
    },
    /// Any other refusal, such as 429 or 500 after the retries.
    #[error("the API server answered {code}: {message}")]
    Server {
        /// The HTTP status.
        code: u16,
        /// The server's words.
        message: String,
    },
    /// An answer that is not what the protocol says.
    #[error("the API server's answer is not understood: {message}")]
    Protocol {
        /// What is wrong with it.
        message: String,
    },
}

/// A field that another manager owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldOwner {
    /// `.spec.replicas`.
    pub field: String,
    /// Such as `kubectl-edit`.
    pub manager: String,
    /// Whether it applies the object as a whole, as controllers that follow a declaration do;
    /// otherwise it has set the field once.
    pub is_applied: bool,
}

/// A field that the server found wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldCause {
    /// `spec.selector`.
    pub field: String,
    /// `FieldValueInvalid`, …
    pub reason: String,
    /// The server's words; withheld for a Secret.
    pub message: String,
}

impl FieldCause {
    /// Whether the field cannot be changed on an object that exists.
    pub fn is_immutable(&self) -> bool {
        IMMUTABLE.iter().any(|words| self.message.contains(words))
    }
}

/// How API servers say that a field of an object that exists cannot change. There is no code for
/// it.
const IMMUTABLE: [&str; 9] = [
    "immutable",
    "updates to statefulset spec",
    "pod updates may not change fields other than",
    // Of a StorageClass.
    "updates to parameters are forbidden",
    "updates to provisioner are forbidden",
    "updates to reclaimPolicy are forbidden",
    // Of a PriorityClass.
    "may not be changed in an update",
    // Of a RoleBinding and a ClusterRoleBinding.
    "cannot change roleRef",
    // Of a Service's cluster address.
    "may not change once set",
];

impl RequestError {
    /// Whether a field would have to change that cannot be changed on an object that exists.
    pub fn is_immutable(&self) -> bool {
        match self {
            Self::Invalid { message, causes } => {
                causes.iter().any(FieldCause::is_immutable)
                    || IMMUTABLE.iter().any(|words| message.contains(words))
            }
            _ => false,
        }
    }

    /// Whether the same request may well succeed a moment later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Conflict { .. }
            | Self::NamespaceTerminating
            | Self::Lingers { .. } => true,
            Self::Server { code, .. } => *code == 429 || *code >= 500,
            _ => false,
        }
    }

    /// Whether nothing else of this cluster can be expected to answer.
    pub fn is_whole_cluster(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Timeout { .. } | Self::Unauthorized)
    }

    /// The error that an answer stands for. `withhold` is set for Secrets.
    pub(super) fn of(code: StatusCode, body: &[u8], withhold: bool) -> Self {
        let status: Json = serde_json::from_slice(body).unwrap_or(Json::Null);
        let message = match access::text(&status, &["message"]) {
            Some(message) if withhold && may_quote(code, message) => secret::WITHHELD.to_owned(),
            Some(message) => message.to_owned(),
            None => code.canonical_reason().unwrap_or("no reason").to_owned(),
        };
        let causes = access::list(&status, &["details", "causes"]);
        match code {
            StatusCode::UNAUTHORIZED => Self::Unauthorized,
            StatusCode::FORBIDDEN if causes.iter().any(is_of_namespace) => {
                Self::NamespaceTerminating
            }
            StatusCode::FORBIDDEN => Self::Forbidden { message },
            StatusCode::NOT_FOUND => Self::NotFound { message },
            StatusCode::CONFLICT => conflict(&status, message, causes),
            code if is_about_the_object(code, &status) => Self::Invalid {
                message,
                causes: causes.iter().map(|cause| field_cause(cause, withhold)).collect(),
            },
            _ => Self::Server { code: code.as_u16(), message },
        }
    }
}

/// Whether the server does not take an object as it is. Of one that does not fit its schema,
/// server-side apply says so with a 500, as if it was the server's own fault.
fn is_about_the_object(code: StatusCode, status: &Json) -> bool {
    let is_untyped = || {
        let message = access::text(status, &["message"]).unwrap_or_default();
        message.starts_with("failed to create typed patch object")
    };
    matches!(code, StatusCode::UNPROCESSABLE_ENTITY | StatusCode::BAD_REQUEST)
        || (code == StatusCode::INTERNAL_SERVER_ERROR && is_untyped())
}

/// Whether a message about a Secret may have values in it. Those about the object as a whole do
/// not; what validation says does, and a webhook says what it likes with any code.
fn may_quote(code: StatusCode, message: &str) -> bool {
    match code {
        StatusCode::NOT_FOUND | StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS => {
            message.contains("denied the request")
        }
        // Of RBAC: who may not do what to which resource.
        StatusCode::FORBIDDEN => !message.contains("\" cannot "),
        _ => true,
    }
}

fn is_of_namespace(cause: &Json) -> bool {
    access::text(cause, &["reason"]) == Some("NamespaceTerminating")
}

fn conflict(status: &Json, message: String, causes: &[Json]) -> RequestError {
    let owners: Vec<_> = causes.iter().filter_map(field_owner).collect();
    if !owners.is_empty() {
        return RequestError::FieldConflict { owners };
    }
    if access::text(status, &["reason"]) == Some("AlreadyExists") {
        return RequestError::AlreadyExists { message };
    }
    RequestError::Conflict { message }
}

fn field_owner(cause: &Json) -> Option<FieldOwner> {
    if access::text(cause, &["reason"])? != "FieldManagerConflict" {
        return None;
    }
    let message = access::text(cause, &["message"]).unwrap_or_default();
    let manager = message.split('"').nth(1).unwrap_or(message);
    Some(FieldOwner {
        field: access::text(cause, &["field"]).unwrap_or_default().to_owned(),
        manager: manager.to_owned(),
        // Of an update, the server tells the version that it was made with.
        is_applied: !message.contains("\" using "),
    })
}

fn field_cause(cause: &Json, withhold: bool) -> FieldCause {
    let text = |field| access::text(cause, &[field]).unwrap_or_default().to_owned();
    let message = text("message");
    let is_safe = !withhold || message.ends_with("field is immutable when `immutable` is set");
    FieldCause {
        field: text("field"),
        reason: text("reason"),
        message: if is_safe { message } else { secret::WITHHELD.to_owned() },
    }
}

struct OwnedFields<'a>(&'a [FieldOwner]);

impl fmt::Display for OwnedFields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, owner) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}`{}` is owned by `{}`", owner.field, owner.manager)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: u16, body: &str, withhold: bool) -> RequestError {
        RequestError::of(StatusCode::from_u16(code).unwrap(), body.as_bytes(), withhold)
    }

    #[test]
    fn a_conflict_names_the_owner_of_each_field() {
        let body = r#"{"reason": "Conflict", "message": "Apply failed", "details": {"causes": [
            {"reason": "FieldManagerConflict", "field": ".spec.replicas",
             "message": "conflict with \"kubectl\" with subresource \"scale\" using apps/v1"},
            {"reason": "FieldManagerConflict", "field": ".spec.paused",
             "message": "conflict with \"operator\""}]}}"#;
        let error = error(409, body, false);
        assert_eq!(
            error.to_string(),
            "`.spec.replicas` is owned by `kubectl`, `.spec.paused` is owned by `operator`"
        );
        let RequestError::FieldConflict { owners } = error else { panic!("{error:?}") };
        assert_eq!(owners.iter().map(|o| o.is_applied).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn an_immutable_field_is_told_apart_from_other_invalid_ones() {
        let body = |message: &str| {
            format!(
                r#"{{"message": "x is invalid", "details": {{"causes": [
                    {{"reason": "FieldValueInvalid", "field": "spec.selector",
                      "message": "{message}"}}]}}}}"#
            )
        };
        assert!(error(422, &body("Invalid value: field is immutable"), false).is_immutable());
        assert!(!error(422, &body("must be positive"), false).is_immutable());
    }

    #[test]
    fn a_namespace_on_its_way_out_is_no_lack_of_permissions() {
        let body = r#"{"reason": "Forbidden", "message": "unable to create new content", "details":
            {"causes": [{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]}}"#;
        let error = error(403, body, true);
        assert!(matches!(error, RequestError::NamespaceTerminating) && error.is_passing());
    }

    #[test]
    fn an_object_that_does_not_fit_its_schema_is_not_a_failure_of_the_server() {
        let body = r#"{"message": "failed to create typed patch object (default/v; /v1, Kind=Service): .spec.typo: field not declared in schema", "code": 500}"#;
        let error = error(500, body, false);
        assert!(matches!(error, RequestError::Invalid { .. }) && !error.is_passing(), "{error:?}");
    }

    #[test]
    fn the_values_of_a_secret_are_withheld() {
        let body = r#"{"message": "Secret \"s\" is invalid: \"hunter2\"", "details": {"causes": [
            {"field": "data[k]", "reason": "FieldValueInvalid", "message": "bad: \"hunter2\""}]}}"#;
        let error = error(422, body, true);
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        assert!(format!("{error:?}").contains("data[k]"));
    }

    #[test]
    fn a_webhooks_words_about_a_secret_are_withheld_and_those_of_rbac_are_not() {
        let body = r#"{"message": "admission webhook \"w\" denied the request: hunter2 is weak"}"#;
        for code in [400, 403, 409, 422, 429, 500] {
            assert!(!format!("{:?}", error(code, body, true)).contains("hunter2"), "{code}");
            assert!(error(code, body, false).to_string().contains("hunter2"), "{code}");
        }
        let body = r#"{"message": "secrets \"s\" is forbidden: User \"u\" cannot patch resource"}"#;
        assert!(error(403, body, true).to_string().contains("cannot patch"));
    }

    #[test]
    fn a_body_that_is_no_status_gives_the_code() {
        assert_eq!(
            error(502, "<html>", false).to_string(),
            "the API server answered 502: Bad Gateway"
        );
    }
}
