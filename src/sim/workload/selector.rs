//! Label selectors of Kubernetes objects.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::object::access;

/// Whether a `metav1.LabelSelector` takes some labels. An empty one takes all; none takes nothing.
pub(super) fn matches(selector: Option<&Json>, labels: &BTreeMap<&str, &str>) -> bool {
    let Some(selector) = selector else { return false };
    let wanted = access::string_map(selector.get("matchLabels"));
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
        && access::list(selector, &["matchExpressions"]).iter().all(|term| holds(term, labels))
}

fn holds(term: &Json, labels: &BTreeMap<&str, &str>) -> bool {
    let value = labels.get(access::text(term, &["key"]).unwrap_or_default());
    let is_listed = |value: &&str| access::list(term, &["values"]).iter().any(|item| item == value);
    match access::text(term, &["operator"]) {
        Some("In") => value.is_some_and(is_listed),
        Some("NotIn") => !value.is_some_and(is_listed),
        Some("Exists") => value.is_some(),
        Some("DoesNotExist") => value.is_none(),
        _ => false,
    }
}
