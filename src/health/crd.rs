//! CustomResourceDefinitions: of use once they are established.

use serde_json::Value as Json;

use super::{Health, condition};

pub(super) fn health(object: &Json) -> Health {
    if let Some(names) = condition(object, "NamesAccepted")
        && names.is_false()
    {
        return Health::failed(format!("its names are taken: {}", names.words()));
    }
    match condition(object, "Established") {
        Some(established) if established.is_true() => Health::ready("is established"),
        _ => Health::progressing("is not established yet"),
    }
}
