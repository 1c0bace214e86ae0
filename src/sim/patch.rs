//! Patches: JSON patch, merge patch, strategic merge patch.

use json_patch::{AddOperation, PatchOperation};
use serde_json::Value as Json;

use super::kinds::Kind;
use super::status::StatusError;
use super::strategic;
use crate::object::access;

/// The most operations of one JSON patch, as a real server has it.
const OPERATIONS_MAX: usize = 10_000;

/// A patch that was read.
#[derive(Clone, Debug)]
pub enum Patch {
    /// RFC 6902.
    Json(json_patch::Patch),
    /// RFC 7386.
    Merge(Json),
    /// Kubernetes' own, which merges lists by their keys.
    Strategic(Json),
}

/// What custom kinds can be patched with.
const CUSTOM_TYPES: &str = "application/json-patch+json, application/merge-patch+json, \
                            application/apply-patch+yaml";

/// What the API server says of an operation that does not apply, whichever it is.
fn does_not_apply() -> StatusError {
    let message = "the server rejected our request due to an error in our request";
    StatusError::new(422, "Invalid", message).with_details(serde_json::json!({}))
}

impl Patch {
    /// Whether a media type is that of a patch.
    pub fn is_known(content_type: &str) -> bool {
        matches!(
            content_type,
            "application/json-patch+json"
                | "application/merge-patch+json"
                | "application/strategic-merge-patch+json"
        )
    }

    /// Reads a body by its media type.
    ///
    /// # Errors
    /// 400 or 422 for a body that is no such patch, 415 for another media type.
    pub fn read(content_type: &str, body: &[u8], kind: &Kind) -> Result<Self, StatusError> {
        let is_strategic = content_type == "application/strategic-merge-patch+json";
        if is_strategic && kind.custom.is_some() {
            return Err(StatusError::media_type(CUSTOM_TYPES));
        }
        let refused = |why: String| {
            let about = if is_strategic { "" } else { "error decoding patch: " };
            StatusError::bad_request(format!("{about}{why}"))
        };
        let body: Json = serde_json::from_slice(body).map_err(|error| {
            let eof = "unexpected end of JSON input".to_owned();
            refused(if error.is_eof() { eof } else { error.to_string() })
        })?;
        let is_json = content_type == "application/json-patch+json";
        if is_json != body.is_array() || !(body.is_array() || body.is_object()) {
            let wanted = if is_json { "[]handlers.jsonPatchOp" } else { "map[string]interface {}" };
            let type_of = access::type_name(&body);
            return Err(refused(format!(
                "json: cannot unmarshal {type_of} into Go value of type {wanted}"
            )));
        }
        match content_type {
            "application/json-patch+json" => {
                let patch: json_patch::Patch =
                    serde_json::from_value(body).map_err(|_| does_not_apply())?;
                if patch.0.len() > OPERATIONS_MAX {
                    let message = format!(
                        "The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {}",
                        patch.0.len()
                    );
                    return Err(StatusError::new(413, "RequestEntityTooLarge", message));
                }
                Ok(Self::Json(patch))
            }
            "application/merge-patch+json" => Ok(Self::Merge(body)),
            _ if is_strategic => Ok(Self::Strategic(body)),
            _ => Err(StatusError::no_media_type()),
        }
    }

    /// The object after the patch.
    ///
    /// # Errors
    /// 422 for an operation that does not apply, 500 for a directive that makes no sense.
    pub fn apply(&self, object: &Json, kind: &Kind) -> Result<Json, StatusError> {
        let mut patched = object.clone();
        match self {
            Self::Json(patch) => {
                for operation in &patch.0 {
                    let operation = json_patch::Patch(vec![lenient(operation, &patched)]);
                    json_patch::patch(&mut patched, &operation).map_err(|_| does_not_apply())?;
                }
            }
            Self::Merge(patch) => json_patch::merge(&mut patched, patch),
            Self::Strategic(patch) => {
                patched = strategic::merge(object, patch, kind.shape())
                    .map_err(|error| StatusError::new(500, "", error))?;
            }
        }
        Ok(patched)
    }
}

/// An API server lets a field be replaced that is not there, which the RFC does not.
fn lenient(operation: &PatchOperation, object: &Json) -> PatchOperation {
    let PatchOperation::Replace(replace) = operation else { return operation.clone() };
    let path = replace.path.as_str();
    let parent = path.rsplit_once('/').and_then(|(parent, _)| object.pointer(parent));
    if object.pointer(path).is_none() && parent.is_some_and(Json::is_object) {
        let (path, value) = (replace.path.clone(), replace.value.clone());
        return PatchOperation::Add(AddOperation { path, value });
    }
    operation.clone()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sim::kinds;

    #[test]
    fn a_field_that_is_not_there_can_be_replaced() {
        let kind = kinds::find("", "ConfigMap").unwrap();
        let patch = |body: Json| {
            Patch::read("application/json-patch+json", body.to_string().as_bytes(), kind).unwrap()
        };
        let object = json!({"data": {"a": "1"}});
        let replace = patch(json!([{"op": "replace", "path": "/data/b", "value": "2"}]));
        assert_eq!(replace.apply(&object, kind).unwrap(), json!({"data": {"a": "1", "b": "2"}}));
        let below = patch(json!([{"op": "replace", "path": "/x/b", "value": "2"}]));
        assert_eq!(below.apply(&object, kind).unwrap_err().code, 422);
    }
}
