//! Patches: JSON patch, merge patch, strategic merge patch.

use serde_json::Value as Json;

use super::kinds::Kind;
use super::status::StatusError;
use super::strategic;

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
                            application/apply-patch+yaml, application/apply-patch+cbor";

impl Patch {
    /// Reads a body by its media type.
    ///
    /// # Errors
    /// 400 for a body that is no such patch, 415 for another media type.
    pub fn read(content_type: &str, body: Json, kind: &Kind) -> Result<Self, StatusError> {
        match content_type {
            "application/json-patch+json" => {
                let patch: json_patch::Patch = serde_json::from_value(body)
                    .map_err(|error| StatusError::bad_request(error.to_string()))?;
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
            "application/strategic-merge-patch+json" if kind.custom.is_none() => {
                Ok(Self::Strategic(body))
            }
            "application/strategic-merge-patch+json" => {
                Err(StatusError::media_type(content_type, CUSTOM_TYPES))
            }
            _ => Err(StatusError::no_media_type()),
        }
    }

    /// The object after the patch.
    ///
    /// # Errors
    /// 422 for an operation that does not apply, 400 for a patch that makes no sense.
    pub fn apply(&self, object: &Json, kind: &Kind) -> Result<Json, StatusError> {
        let mut patched = object.clone();
        match self {
            Self::Json(patch) => {
                json_patch::patch(&mut patched, patch).map_err(|_| {
                    let message = "the server rejected our request due to an error in our request";
                    StatusError::new(422, "Invalid", message).with_details(serde_json::json!({}))
                })?;
            }
            Self::Merge(patch) => {
                if !patch.is_object() {
                    return Err(StatusError::bad_request("a merge patch must be an object"));
                }
                json_patch::merge(&mut patched, patch);
            }
            Self::Strategic(patch) => {
                if !patch.is_object() {
                    return Err(StatusError::bad_request("a patch must be an object"));
                }
                patched = strategic::merge(object, patch, kind.shape())
                    .map_err(StatusError::bad_request)?;
            }
        }
        Ok(patched)
    }
}
