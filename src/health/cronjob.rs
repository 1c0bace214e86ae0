//! CronJobs. Their Jobs come later, and how those end says nothing about this change.

use serde_json::Value as Json;

use super::{Health, access};

pub(super) fn health(object: &Json) -> Health {
    if access::at(object, &["spec", "suspend"]) == Some(&Json::Bool(true)) {
        return Health::ready("is suspended");
    }
    Health::ready("is there")
}
