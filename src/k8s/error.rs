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
    /// 401, and new credentials could not be got.
    #[error("the API server does not accept the credentials, and no others could be got")]
    Login {
        /// Why not.
        source: Box<super::ConnectError>,
    },
    /// 403: permissions lack.
    #[error("permission is refused: {message}")]
    Forbidden {
        /// The server's words, which name the user, verb and resource.
        message: String,
    },
    /// 403: the object's namespace is on its way out.
    #[error("namespace `{namespace}` is being deleted")]
    Terminating {
        /// Which namespace.
        namespace: String,
    },
    /// 500: etcd has no room left, until somebody makes some.
    #[error("the cluster stores nothing more, since its etcd is full: {message}")]
    NoRoom {
        /// The server's words.
        message: String,
    },
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
    /// 422 or 400, or 403 of admission (a webhook, a quota): the server does not take the object.
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
            | Self::Terminating { .. }
            | Self::NoRoom { .. }
            | Self::Lingers { .. } => true,
            Self::Server { code, .. } => *code == 429 || *code >= 500,
            _ => false,
        }
    }

    /// Whether nothing else of this cluster can be expected to answer.
    pub fn is_whole_cluster(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Timeout { .. }
                | Self::Unauthorized
                | Self::Login { .. }
        )
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
            StatusCode::FORBIDDEN if is_terminating(causes) => {
                Self::Terminating { namespace: ending_namespace(&message).to_owned() }
            }
            StatusCode::FORBIDDEN if !is_of_admission(&status) => Self::Forbidden { message },
            StatusCode::INTERNAL_SERVER_ERROR if message.contains(NO_ROOM) => {
                Self::NoRoom { message }
            }
            StatusCode::NOT_FOUND => Self::NotFound { message },
            StatusCode::CONFLICT => conflict(&status, message, causes),
            code if is_about_the_object(code, &status) => Self::Invalid {
                message: with_fields(message, causes),
                causes: causes.iter().map(|cause| field_cause(cause, withhold)).collect(),
            },
            _ => Self::Server { code: code.as_u16(), message },
        }
    }
}

/// A message that is withheld, with the fields that it is about: a field has a key, and no value.
fn with_fields(message: String, causes: &[Json]) -> String {
    let fields = causes.iter().filter_map(|cause| access::text(cause, &["field"]));
    let fields: Vec<String> =
        fields.filter(|field| !field.is_empty()).map(|field| format!("`{field}`")).collect();
    if message != secret::WITHHELD || fields.is_empty() {
        return message;
    }
    format!("{message}; it is about {}", fields.join(" and "))
}

/// Whether the server does not take an object as it is. Of one that does not fit its schema,
/// server-side apply says so with a 500, as if it was the server's own fault.
fn is_about_the_object(code: StatusCode, status: &Json) -> bool {
    let is_untyped = || {
        let message = access::text(status, &["message"]).unwrap_or_default();
        message.starts_with("failed to create typed patch object")
    };
    let code_says_so = [
        StatusCode::UNPROCESSABLE_ENTITY,
        StatusCode::BAD_REQUEST,
        // Of admission: what lacks permission has been told apart before.
        StatusCode::FORBIDDEN,
    ];
    code_says_so.contains(&code) || (code == StatusCode::INTERNAL_SERVER_ERROR && is_untyped())
}

/// How etcd says that it is full. There is no code for it.
const NO_ROOM: &str = "database space exceeded";

/// Whether a 403 is not about permissions. Whatever authorizes, API servers word what they refuse
/// in one way (`User "u" cannot patch resource …`); who would grant too much is told in another.
fn is_of_admission(status: &Json) -> bool {
    let message = access::text(status, &["message"]);
    message.is_some_and(|message| {
        message.contains("denied the request")
            || !(message.contains("\" cannot ") || message.contains("attempting to grant"))
    })
}

fn is_terminating(causes: &[Json]) -> bool {
    causes.iter().any(|cause| access::text(cause, &["reason"]) == Some("NamespaceTerminating"))
}

/// The namespace in `unable to create new content in namespace NAME because …`.
fn ending_namespace(message: &str) -> &str {
    let rest = message.split_once(" in namespace ").map_or("", |(_, rest)| rest);
    rest.split(' ').next().unwrap_or_default()
}

/// Whether a message about a Secret may have values in it. Those about the object as a whole do
/// not; what validation says does, and a webhook says what it likes with any code.
fn may_quote(code: StatusCode, message: &str) -> bool {
    if message.contains("denied the request") {
        return true;
    }
    match code {
        StatusCode::NOT_FOUND
        | StatusCode::CONFLICT
        | StatusCode::TOO_MANY_REQUESTS
        // Of servers that are overloaded, or on their way up or down.
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => false,
        // Of RBAC: who may not do what to which resource; of a quota: how many there are.
        StatusCode::FORBIDDEN => {
            let is_known = message.contains("\" cannot ")
                || message.ends_with("because it is being terminated")
                || message.contains(" is forbidden: exceeded quota: ");
            !is_known
        }
        // Of storage, and of a webhook that gave no answer which could be quoted.
        StatusCode::INTERNAL_SERVER_ERROR => {
            let is_silent = |message: &str| {
                message.starts_with("Internal error occurred: failed calling webhook ")
                    && (message.ends_with("context deadline exceeded")
                        || message.ends_with("connection refused"))
            };
            !(message.starts_with("etcdserver: ") || is_silent(message))
        }
        _ => true,
    }
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
        assert!(error.to_string().ends_with("it is about `data[k]`"), "{error}");
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
    fn admission_is_told_apart_from_permissions() {
        let body = |message: &str| format!("{{\"message\": {message:?}}}");
        for (message, is_permission) in [
            ("pods \"p\" is forbidden: User \"u\" cannot create resource \"pods\"", true),
            ("user \"u\" (groups=[]) is attempting to grant RBAC permissions not held", true),
            ("pods \"p\" is forbidden: exceeded quota: q, requested: pods=1", false),
            ("admission webhook \"w\" denied the request: you \"u\" cannot do that", false),
        ] {
            let error = error(403, &body(message), false);
            assert_eq!(matches!(error, RequestError::Forbidden { .. }), is_permission, "{error:?}");
        }
    }

    #[test]
    fn a_namespace_that_goes_and_an_etcd_that_is_full_are_told_of_secrets_too() {
        let body = r#"{"message": "secrets \"s\" is forbidden: unable to create new content in namespace web because it is being terminated",
            "details": {"causes": [{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]}}"#;
        let ending = error(403, body, true);
        assert_eq!(ending.to_string(), "namespace `web` is being deleted");
        assert!(ending.is_passing());
        let body = r#"{"message": "etcdserver: mvcc: database space exceeded"}"#;
        let full = error(500, body, true);
        assert!(matches!(full, RequestError::NoRoom { .. }) && full.is_passing(), "{full:?}");
        assert!(full.to_string().ends_with("full: etcdserver: mvcc: database space exceeded"));
    }

    #[test]
    fn a_body_that_is_no_status_gives_the_code() {
        assert_eq!(
            error(502, "<html>", false).to_string(),
            "the API server answered 502: Bad Gateway"
        );
    }
}
