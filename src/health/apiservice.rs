//! APIServices: of use once their server answers. One that does not is in the way of everybody: no
//! namespace can be deleted while it is like that.

use serde_json::Value as Json;

use super::{Health, condition};

pub(super) fn health(object: &Json) -> Health {
    match condition(object, "Available") {
        Some(available) if available.is_true() => Health::ready("is available"),
        Some(available) => Health::progressing(format!("is not available: {}", available.words())),
        None if object["spec"]["service"].is_null() => Health::ready("is served by the API server"),
        None => Health::progressing("is not looked at yet by the API server"),
    }
}
