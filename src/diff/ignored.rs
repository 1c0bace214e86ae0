//! What an `ignoreDifferences` leaves alone: told, so that nobody takes silence for sameness.

use serde::Serialize;
use serde_json::Value as Json;

use super::change::is_meant;
use super::fields::{FieldChange, between};
use crate::fleet::model::IgnoreDifference;
use crate::object::key::ObjectKey;
use crate::object::noise::without_server_fields;
use crate::object::{pointer, secret};

/// A field that stays as it is on the cluster, though git says otherwise.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ignored {
    /// Of which object.
    pub key: ObjectKey,
    /// From what is there to what git says; values of Secrets are masked.
    pub field: FieldChange,
    /// Why, in the words of the rule.
    pub reason: String,
}

/// The fields of a live object that rules leave alone and that `desired` has otherwise.
///
/// What git does not say anything about is no difference.
pub fn ignored(
    key: &ObjectKey,
    live: &Json,
    desired: &Json,
    rules: &[IgnoreDifference],
) -> Vec<Ignored> {
    let mut found = Vec::new();
    for rule in rules.iter().filter(|rule| is_meant(rule, key)) {
        let before = without_server_fields(live);
        let mut after = before.clone();
        pointer::copy(desired, &mut after, &rule.path);
        let (before, after) = secret::mask_pair(Some(&before), Some(&after));
        let fields = between(&before.unwrap_or_default(), &after.unwrap_or_default());
        let said = fields.into_iter().filter(|field| field.after.is_some());
        found.extend(said.map(|field| Ignored {
            key: key.clone(),
            field,
            reason: rule.reason.clone(),
        }));
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(kind: &str) -> ObjectKey {
        ObjectKey {
            group: String::new(),
            kind: kind.to_owned(),
            namespace: "web".to_owned(),
            name: "a".to_owned(),
        }
    }

    fn rule(kind: &str, path: &str) -> IgnoreDifference {
        IgnoreDifference {
            kind: kind.to_owned(),
            name: None,
            path: path.to_owned(),
            reason: "scaled".to_owned(),
        }
    }

    #[test]
    fn what_a_rule_hides_is_told_with_its_reason() {
        let rules = [rule("Deployment", "/spec/replicas"), rule("Deployment", "/spec/paused")];
        let live = json!({"spec": {"replicas": 5, "paused": true}});
        let desired = json!({"spec": {"replicas": 1}});
        let found = ignored(&key("Deployment"), &live, &desired, &rules);
        assert_eq!(found.len(), 1, "git does not say whether it is paused");
        let one = &found[0];
        assert_eq!(
            (one.field.path.to_string().as_str(), &*one.reason),
            ("spec.replicas", "scaled")
        );
        assert_eq!((&one.field.before, &one.field.after), (&Some(json!(5)), &Some(json!(1))));
        assert!(ignored(&key("Service"), &live, &desired, &rules).is_empty());
    }

    #[test]
    fn the_values_of_a_secret_stay_hidden() {
        let secret =
            |value: &str| json!({"apiVersion": "v1", "kind": "Secret", "data": {"k": value}});
        let rules = [rule("Secret", "/data/k")];
        let found = ignored(&key("Secret"), &secret("aHVudGVyMg=="), &secret("cGFzcw=="), &rules);
        let text = serde_json::to_string(&found).unwrap();
        assert!(found.len() == 1 && !text.contains("aHVud") && !text.contains("cGFz"), "{text}");
    }
}
