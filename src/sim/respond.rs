//! The form of an answer: whole objects, their metadata alone, or a table, as `Accept` asks.

use serde_json::{Map, Value as Json, json};

use super::kinds::Kind;
use super::status::StatusError;
use super::table::{self, IncludeObject};
use crate::base::clock::Timestamp;

/// How objects are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As they are.
    Whole,
    /// `PartialObjectMetadata`.
    Metadata,
    /// `Table`, with this of each object.
    Table(IncludeObject),
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The HTTP status.
    pub code: u16,
    /// The body.
    pub body: Body,
    /// `Retry-After`, in seconds.
    pub retry_after: Option<u32>,
    /// `Warning`, one header each.
    pub warnings: Vec<String>,
}

/// A body.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// `application/json`.
    Json(Json),
    /// `text/plain`.
    Text(String),
    /// Nothing, as this media type.
    Empty(&'static str),
    /// JSON of a media type of its own.
    Typed(&'static str, Json),
}

impl Reply {
    /// 200 with an object.
    pub fn ok(body: Json) -> Self {
        Self { code: 200, body: Body::Json(body), retry_after: None, warnings: Vec::new() }
    }

    /// 200 with text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { body: Body::Text(text.into()), ..Self::ok(Json::Null) }
    }
}

impl From<StatusError> for Reply {
    fn from(error: StatusError) -> Self {
        let body = if error.reason.is_empty() && error.code == 404 {
            Body::Text(error.message.clone())
        } else {
            Body::Json(error.to_json())
        };
        let retry_after = error.retry_after;
        Self { code: error.code, body, retry_after, warnings: Vec::new() }
    }
}

/// Whether an answer can be given in a form that `Accept` asks for.
///
/// # Errors
/// 406 where it cannot.
pub(super) fn check(accept: &str) -> Result<(), StatusError> {
    const KNOWN: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
    if medias(accept).any(|(kind, params)| is_known(kind) && as_form(&params, "").is_some()) {
        return Ok(());
    }
    if medias(accept).any(|(kind, _)| is_known(kind)) {
        let message = format!("only the following media types are accepted: {KNOWN}");
        return Err(StatusError::not_acceptable(message));
    }
    let message = format!("406: Not Acceptable\n\nAvailable representations: {KNOWN}");
    Err(StatusError::not_acceptable(message).with_details(json!({})))
}

/// The media types of `Accept`, each with its parameters.
fn medias(accept: &str) -> impl Iterator<Item = (&str, Vec<&str>)> {
    accept.split(',').map(|media| {
        let mut parts = media.split(';').map(str::trim);
        (parts.next().unwrap_or_default(), parts.collect())
    })
}

fn is_known(kind: &str) -> bool {
    matches!(
        kind,
        "" | "*/*"
            | "application/*"
            | "application/json"
            | "application/yaml"
            | "application/vnd.kubernetes.protobuf"
    )
}

/// The form that the parameters of a media type ask for, if it is known.
fn as_form(params: &[&str], include_object: &str) -> Option<Form> {
    let param = |name: &str| params.iter().find_map(|param| param.strip_prefix(name));
    let Some(form) = param("as=") else { return Some(Form::Whole) };
    if param("v=") != Some("v1") || param("g=") != Some("meta.k8s.io") {
        return None;
    }
    match form {
        "Table" => Some(Form::Table(match include_object {
            "None" => IncludeObject::None,
            "Object" => IncludeObject::Object,
            _ => IncludeObject::Metadata,
        })),
        "PartialObjectMetadata" | "PartialObjectMetadataList" => Some(Form::Metadata),
        _ => None,
    }
}

/// The first form in `Accept` that is known.
pub fn form(accept: &str, include_object: &str) -> Form {
    medias(accept)
        .filter(|(kind, _)| is_known(kind) && *kind != "application/vnd.kubernetes.protobuf")
        .find_map(|(_, params)| as_form(&params, include_object))
        .unwrap_or(Form::Whole)
}

/// The answer as YAML, where `Accept` asks for that first. All JSON is YAML.
pub(super) fn in_yaml(accept: &str, reply: Reply) -> Reply {
    let first = medias(accept).find(|(kind, _)| is_known(kind));
    match (first, reply.body) {
        (Some(("application/yaml", _)), Body::Json(json)) => {
            Reply { body: Body::Typed("application/yaml", json), ..reply }
        }
        (_, body) => Reply { body, ..reply },
    }
}

/// Whether objects are given as they are.
pub(super) fn is_whole(form: Form) -> bool {
    form == Form::Whole
}

/// Whether no more than metadata is given of objects.
pub(super) fn is_metadata(form: Form) -> bool {
    form == Form::Metadata
}

/// Whether `Accept` asks for discovery in one document.
pub fn wants_aggregated(accept: &str) -> bool {
    let first = accept.split(',').next().unwrap_or_default();
    first.contains("g=apidiscovery.k8s.io") && first.contains("v=v2") && !first.contains("v2beta1")
}

/// The media type of discovery in one document.
pub const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// One object.
pub fn object(form: Form, object: Json, kind: &Kind, now: Timestamp) -> Json {
    match form {
        Form::Whole => object,
        Form::Metadata => metadata_of(&object),
        Form::Table(include) => {
            let mut table = table_of(&[&object], kind, now, include);
            let version = crate::object::access::resource_version(&object);
            table["metadata"] = json!({"resourceVersion": version});
            table
        }
    }
}

/// Many objects. `metadata` is the list's.
pub fn list(form: Form, items: Vec<Json>, kind: &Kind, now: Timestamp, metadata: Json) -> Json {
    match form {
        Form::Whole => {
            let items = items.into_iter().map(|item| listed(item, kind)).collect::<Vec<_>>();
            json!({
                "kind": kind.list_kind, "apiVersion": kind.api_version(),
                "metadata": metadata, "items": items,
            })
        }
        Form::Metadata => {
            let items: Vec<Json> = items.iter().map(metadata_of).collect();
            json!({
                "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
                "metadata": metadata, "items": items,
            })
        }
        Form::Table(include) => {
            let items: Vec<&Json> = items.iter().collect();
            let mut table = table_of(&items, kind, now, include);
            table["metadata"] = metadata;
            table
        }
    }
}

fn table_of(items: &[&Json], kind: &Kind, now: Timestamp, include: IncludeObject) -> Json {
    let columns = kind.custom.as_ref().map_or(&[][..], |custom| custom.columns.as_slice());
    table::table(&kind.kind, &kind.group, items, columns, now, include)
}

/// Items of built-in kinds do not say what they are.
fn listed(mut item: Json, kind: &Kind) -> Json {
    if kind.custom.is_none()
        && let Some(fields) = item.as_object_mut()
    {
        fields.remove("apiVersion");
        fields.remove("kind");
    }
    item
}

/// What [`Form::Metadata`] gives of an object.
pub(super) fn metadata_of(object: &Json) -> Json {
    let mut partial = Map::new();
    partial.insert("kind".to_owned(), Json::from("PartialObjectMetadata"));
    partial.insert("apiVersion".to_owned(), Json::from("meta.k8s.io/v1"));
    partial.insert("metadata".to_owned(), object.get("metadata").cloned().unwrap_or(json!({})));
    Json::Object(partial)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_known_form_is_taken() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
        let cases = [
            ("", Form::Whole),
            ("*/*", Form::Whole),
            ("application/vnd.kubernetes.protobuf,application/json", Form::Whole),
            (table, Form::Table(IncludeObject::Metadata)),
            ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", Form::Metadata),
        ];
        for (accept, expected) in cases {
            assert_eq!(form(accept, ""), expected, "{accept}");
        }
        assert_eq!(form(table, "None"), Form::Table(IncludeObject::None));
    }
}
