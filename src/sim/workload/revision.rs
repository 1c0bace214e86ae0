//! ControllerRevisions: the templates that a DaemonSet or StatefulSet has had, for `kubectl rollout
//! history` and `undo`, and for pods that must come back as they were.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::replicas;
use super::round::{Round, owner_reference};
use crate::object::access;
use crate::object::key::ObjectKey;

/// The label of pods that names the template they were made from.
pub(super) const HASH_LABEL: &str = "controller-revision-hash";

/// Makes sure that there is a revision for the present template and that it is the newest, and
/// forgets old ones that no pod has. Gives the hash of the present template.
pub(super) fn record(round: &mut Round<'_>, owner: &Json) -> String {
    let hash = replicas::template_hash(owner);
    let present = name(owner, &hash);
    let mut revisions = round.revisions(owner).to_vec();
    revisions.sort_by_key(|revision| number(revision));
    let newest = revisions.last().copied();
    let next = newest.map_or(1, |newest| number(newest) + 1);
    match revisions.iter().find(|revision| access::name(revision) == present) {
        None => {
            let object = object(owner, &present, &hash, next);
            round.create(object);
        }
        Some(found) if newest.map(access::name) != Some(&present) => {
            let mut found = (*found).clone();
            found["revision"] = Json::from(next);
            round.update(found);
        }
        Some(_) => {}
    }
    forget(round, owner, &revisions, &present);
    hash
}

fn forget(round: &mut Round<'_>, owner: &Json, revisions: &[&Json], present: &str) {
    let limit = access::number(owner, &["spec", "revisionHistoryLimit"]).unwrap_or(10);
    let mut used: BTreeSet<String> = round
        .children(owner)
        .iter()
        .filter_map(|pod| access::label(pod, HASH_LABEL))
        .flat_map(|hash| [name(owner, hash), hash.to_owned()])
        .collect();
    used.insert(present.to_owned());
    for field in ["currentRevision", "updateRevision"] {
        used.extend(access::text(owner, &["status", field]).map(str::to_owned));
    }
    let is_old = |revision: &&&Json| !used.contains(access::name(revision));
    let old: Vec<_> = revisions.iter().filter(is_old).collect();
    for revision in old.iter().take(old.len().saturating_sub(usize::try_from(limit).unwrap_or(0))) {
        round.delete(revision);
    }
}

/// The name of the revision of a template.
pub(super) fn name(owner: &Json, hash: &str) -> String {
    format!("{}-{hash}", access::name(owner))
}

/// The template that a revision holds, if it is still there.
pub(super) fn template<'a>(round: &Round<'a>, owner: &Json, revision: &str) -> Option<&'a Json> {
    let key = ObjectKey {
        group: "apps".to_owned(),
        kind: "ControllerRevision".to_owned(),
        namespace: access::namespace(owner).to_owned(),
        name: revision.to_owned(),
    };
    access::at(round.get(&key)?, &["data", "spec", "template"])
}

fn object(owner: &Json, name: &str, hash: &str, revision: i64) -> Json {
    let mut template =
        access::at(owner, &["spec", "template"]).cloned().unwrap_or_else(|| json!({}));
    template["$patch"] = Json::from("replace");
    let labels = access::at(owner, &["spec", "template", "metadata", "labels"]);
    json!({
        "apiVersion": "apps/v1", "kind": "ControllerRevision",
        "metadata": {
            "name": name,
            "namespace": access::namespace(owner),
            "labels": replicas::with_label(labels, HASH_LABEL, hash),
            "ownerReferences": [owner_reference(owner)],
        },
        "revision": revision,
        "data": {"spec": {"template": template}},
    })
}

fn number(revision: &Json) -> i64 {
    access::number(revision, &["revision"]).unwrap_or(0)
}
