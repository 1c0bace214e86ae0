//! CustomResourceDefinitions: established a moment after they are written.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::condition;
use super::round::{Round, is_ending};
use super::time;
use crate::object::access;

/// From the acceptance of the names until the API server serves the kind.
const DELAY: Duration = Duration::from_millis(200);

pub(super) fn run(round: &mut Round<'_>) {
    for crd in round.of("apiextensions.k8s.io", "CustomResourceDefinition") {
        if !is_ending(crd) {
            reconcile(round, crd);
        }
    }
}

fn reconcile(round: &mut Round<'_>, crd: &Json) {
    let now = round.now();
    let before = access::list(crd, &["status", "conditions"]);
    let entry = |kind: &str, status: &str, reason: &str, message: &str, since: &str| {
        json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "lastTransitionTime": since,
        })
    };
    let accepted =
        |since: &str| entry("NamesAccepted", "True", "NoConflicts", "no conflicts found", since);
    let conditions = match condition::find(before, "Established") {
        Some(found) if access::text(found, &["status"]) == Some("True") => before.to_vec(),
        // The time is exact, so that the moment is too.
        None => vec![
            accepted(&time::seconds(now)),
            entry(
                "Established",
                "False",
                "Installing",
                "the initial names have been accepted",
                &time::micros(now),
            ),
        ],
        Some(found) => {
            let since = time::read(found, &["lastTransitionTime"]).unwrap_or(now);
            let at = time::after(since, DELAY);
            if now < at {
                round.wake_at(at);
                return;
            }
            vec![
                accepted(&time::seconds(since)),
                entry(
                    "Established",
                    "True",
                    "InitialNamesAccepted",
                    "the initial names have been accepted",
                    &time::seconds(now),
                ),
            ]
        }
    };
    let names = access::at(crd, &["spec", "names"]).cloned().unwrap_or_else(|| json!({}));
    let status = json!({
        "conditions": conditions, "acceptedNames": names, "storedVersions": stored_versions(crd),
    });
    round.status(crd, status);
}

/// The versions that objects may be stored in: those of before, and the one of now.
fn stored_versions(crd: &Json) -> Vec<Json> {
    let mut versions = access::list(crd, &["status", "storedVersions"]).to_vec();
    for version in access::list(crd, &["spec", "versions"]) {
        let is_stored = access::at(version, &["storage"]) == Some(&Json::Bool(true));
        if let Some(name) = version.get("name")
            && is_stored
            && !versions.contains(name)
        {
            versions.push(name.clone());
        }
    }
    versions
}
