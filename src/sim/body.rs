//! The body of a request: an object, a patch, or options; and the API server's words for what is
//! none of these.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Value as Json, json};

use super::kinds::Kind;
use super::request::Request;
use super::status::StatusError;
use crate::object::access;

/// As much of a body as a message shows.
const SHOWN_MAX: usize = 30;

impl Request {
    /// The object in the body, as JSON; YAML is taken as well, and of a few kinds Protocol Buffers.
    ///
    /// # Errors
    /// 415 for another type, 400 for what is no object.
    pub(super) fn object(&self, kind: &Kind) -> Result<Json, StatusError> {
        self.object_of(&kind.kind, kind.custom.is_some())
    }

    /// As [`Self::object`], of a kind by its name.
    ///
    /// # Errors
    /// As [`Self::object`].
    pub(super) fn object_of(&self, kind: &str, is_custom: bool) -> Result<Json, StatusError> {
        const KNOWN: &str =
            "application/json, application/yaml, application/vnd.kubernetes.protobuf";
        let content_type = self.content_type.as_str();
        if content_type.contains("protobuf") || content_type.contains("cbor") {
            let refused = || StatusError::media_type("application/json, application/yaml");
            return super::protobuf::decode(&self.body).ok_or_else(refused);
        }
        if !matches!(content_type, "" | "application/json" | "application/yaml") {
            return Err(StatusError::media_type(KNOWN));
        }
        let refused = |why: &str| {
            StatusError::bad_request(format!(
                "the object provided is unrecognized (must be of type {kind}): {why} ({})",
                shown(&self.body)
            ))
        };
        let object = self.document().map_err(|error| {
            refused(&format!("couldn't get version/kind; json parse error: {error}"))
        })?;
        check_type_of_kind(&object).map_err(|error| {
            refused(&format!("couldn't get version/kind; json parse error: {error}"))
        })?;
        let object = if object.is_null() { json!({}) } else { object };
        if is_custom && access::kind(&object).is_empty() {
            return Err(refused(&format!("Object 'Kind' is missing in '{}'", self.body_text())));
        }
        Ok(object)
    }

    /// The configuration that is applied.
    ///
    /// # Errors
    /// 400 for what is no YAML.
    pub(super) fn yaml(&self) -> Result<Json, StatusError> {
        serde_yaml::from_slice(&self.body).map_err(|error| {
            let message =
                format!("error decoding YAML: error converting YAML to JSON: yaml: {error}");
            StatusError::bad_request(message)
        })
    }

    /// The options of a deletion.
    ///
    /// # Errors
    /// 400 for what is none.
    pub(super) fn options(&self) -> Result<Json, StatusError> {
        if self.content_type.contains("protobuf") {
            let refused = || StatusError::media_type("application/json, application/yaml");
            return super::protobuf::decode(&self.body).ok_or_else(refused);
        }
        let refused = |why: String| StatusError::bad_request(why);
        let options = self.document().map_err(|error| {
            refused(format!("couldn't get version/kind; json parse error: {error}"))
        })?;
        match access::kind(&options) {
            "" | "DeleteOptions" => Ok(options),
            other => Err(refused(no_kind(other, access::api_version(&options)))),
        }
    }

    /// The body as a JSON document, or a YAML one where it says so; the error in Go's words.
    pub(super) fn document(&self) -> Result<Json, String> {
        let error = match serde_json::from_slice(&self.body) {
            Ok(json) => return Ok(json),
            Err(error) => error,
        };
        if self.content_type.contains("yaml")
            && let Ok(json) = serde_yaml::from_slice::<Json>(&self.body)
        {
            return Ok(json);
        }
        // The error says line and column, never the text.
        Err(if error.is_eof() {
            "unexpected end of JSON input".to_owned()
        } else {
            error.to_string()
        })
    }

    /// The fields that stand in the body more than once, by their paths.
    pub(super) fn duplicates(&self) -> Vec<String> {
        let found = RefCell::new(Vec::new());
        let mut body = serde_json::Deserializer::from_slice(&self.body);
        // What is no JSON is refused elsewhere.
        let _ = Twice { path: String::new(), found: &found }.deserialize(&mut body);
        found.into_inner()
    }

    fn body_text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Reads a document only to see which fields stand there twice.
struct Twice<'a> {
    path: String,
    found: &'a RefCell<Vec<String>>,
}

impl<'de> DeserializeSeed<'de> for Twice<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Twice<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(name) = fields.next_key::<String>()? {
            let dot = if self.path.is_empty() { "" } else { "." };
            let path = format!("{}{dot}{name}", self.path);
            fields.next_value_seed(Twice { path: path.clone(), found: self.found })?;
            if !seen.insert(name) {
                self.found.borrow_mut().push(path);
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut at = 0;
        loop {
            let path = format!("{}[{at}]", self.path);
            if items.next_element_seed(Twice { path, found: self.found })?.is_none() {
                return Ok(());
            }
            at += 1;
        }
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// A kind that the API server does not know.
pub(super) fn no_kind(kind: &str, api_version: &str) -> String {
    format!(
        "no kind {kind:?} is registered for version {api_version:?} in scheme \
         \"pkg/runtime/scheme.go:111\""
    )
}

/// Whether what says of which kind an object is can be read.
fn check_type_of_kind(object: &Json) -> Result<(), String> {
    const OF_KIND: &str = "struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; \
                           Kind string \"json:\\\"kind,omitempty\\\"\" }";
    let Some(fields) = object.as_object() else {
        return match object {
            Json::Null => Ok(()),
            other => {
                let type_of = access::type_name(other);
                Err(format!("json: cannot unmarshal {type_of} into Go value of type {OF_KIND}"))
            }
        };
    };
    for name in ["apiVersion", "kind"] {
        if let Some(value) = fields.get(name).filter(|value| !value.is_null() && !value.is_string())
        {
            let type_of = access::type_name(value);
            return Err(format!(
                "json: cannot unmarshal {type_of} into Go struct field .{name} of type string"
            ));
        }
    }
    Ok(())
}

/// The beginning of a body, as a message shows it: as text if it can be JSON, else as its bytes.
fn shown(body: &[u8]) -> String {
    let short = &body[..body.len().min(SHOWN_MAX)];
    let rest = if body.len() > SHOWN_MAX { " ..." } else { "" };
    match body.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => format!("{}{rest}", String::from_utf8_lossy(short)),
        Some(_) => format!("{}{rest}", crate::base::ids::hex(short)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_shown_by_its_beginning() {
        assert_eq!(shown(b""), "<empty>");
        assert_eq!(shown(b"{\"a\":1"), "{\"a\":1");
        assert_eq!(shown(b"\"a\""), "226122");
        assert_eq!(shown(&[b'{'; 31]), format!("{} ...", "{".repeat(30)));
    }
}
