//! Entries of `status.conditions`.

use serde_json::{Value as Json, json};

use super::time;
use crate::base::clock::Timestamp;
use crate::object::access;

/// A condition as a controller sees it now.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub(super) kind: &'static str,
    pub(super) status: &'static str,
    pub(super) reason: String,
    pub(super) message: String,
}

impl Condition {
    pub(super) fn new(kind: &'static str, is_true: bool, reason: &str, message: &str) -> Self {
        let status = if is_true { "True" } else { "False" };
        Self { kind, status, reason: reason.to_owned(), message: message.to_owned() }
    }

    /// The entry, with the time of the last transition of the one that was there before.
    pub(super) fn entry(&self, before: &[Json], now: Timestamp) -> Json {
        let same = find(before, self.kind)
            .filter(|entry| access::text(entry, &["status"]) == Some(self.status));
        let since = same
            .and_then(|entry| access::text(entry, &["lastTransitionTime"]))
            .map_or_else(|| time::seconds(now), str::to_owned);
        let mut entry = json!({
            "type": self.kind, "status": self.status, "lastTransitionTime": since,
        });
        for (field, text) in [("reason", &self.reason), ("message", &self.message)] {
            if !text.is_empty() {
                entry[field] = Json::from(text.as_str());
            }
        }
        entry
    }
}

/// The entry of a type.
pub(super) fn find<'a>(conditions: &'a [Json], kind: &str) -> Option<&'a Json> {
    conditions.iter().find(|entry| access::text(entry, &["type"]) == Some(kind))
}

/// Whether an object has a condition that is true.
pub(super) fn is_true(object: &Json, kind: &str) -> bool {
    find(access::list(object, &["status", "conditions"]), kind)
        .is_some_and(|entry| access::text(entry, &["status"]) == Some("True"))
}
