//! What the fleet's own documents say otherwise than before: clusters that join or leave, policies,
//! placement. What they say of values and versions shows in the objects.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value as Json, json};

use super::Side;
use crate::base::diagnostic::{Diagnostic, Severity};
use crate::diff::{FieldChange, Op, between};
use crate::fleet::model::{Document, Fleet};
use crate::object::pointer;

/// A document that comes, goes or says something else.
#[derive(Clone, Debug)]
pub struct DocumentChange {
    /// `Cluster`, `Addon`, `ChartRepository`, `RolloutPolicy` or `SwitchPolicy`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Whether it comes, goes or changes.
    pub op: Op,
    /// What it says otherwise.
    pub fields: Vec<FieldChange>,
}

/// Fields that show elsewhere: in the objects, and in the versions of charts.
const SHOWN_ELSEWHERE: [&str; 5] =
    ["/spec/values", "/spec/variants", "/spec/chart", "/spec/addons", "/spec/facts"];

/// What a document says, and the file it stands in.
struct Said {
    value: Json,
    file: String,
}

/// What differs between the documents of two revisions. A document that cannot be read on one side
/// is left out.
pub(super) fn between_sides(base: &Side<'_>, head: &Side<'_>) -> Vec<DocumentChange> {
    let (old, new) = (documents(&base.desired.fleet), documents(&head.desired.fleet));
    let keys: BTreeSet<&(&'static str, String)> = old.keys().chain(new.keys()).collect();
    let mut changes = Vec::new();
    for key in keys {
        let (op, fields) = match (old.get(key), new.get(key)) {
            (Some(old), Some(new)) => (Op::Update, between(&old.value, &new.value)),
            (Some(old), None) if !may_have(head, key, &old.file) => (Op::Delete, Vec::new()),
            (None, Some(new)) if !may_have(base, key, &new.file) => (Op::Create, Vec::new()),
            _ => continue,
        };
        if op == Op::Update && fields.is_empty() {
            continue;
        }
        let (kind, name) = key;
        changes.push(DocumentChange { kind, name: name.clone(), op, fields });
    }
    changes
}

/// Whether a side may have a document that was not read: it is broken itself, or there is so much
/// wrong with its file that not even its name is known.
fn may_have(side: &Side<'_>, (kind, name): &(&'static str, String), file: &str) -> bool {
    let mut broken = side.desired.fleet.broken.iter();
    let is_in_file = |found: &Diagnostic| {
        found.severity == Severity::Error
            && found.labels.first().is_some_and(|label| label.span.file.path == file)
    };
    broken.any(|(one, broken)| one.to_string() == *kind && broken == name)
        || side.findings.iter().any(is_in_file)
}

fn documents(fleet: &Fleet) -> BTreeMap<(&'static str, String), Said> {
    let mut all = BTreeMap::new();
    add(&mut all, "Cluster", &fleet.clusters);
    add(&mut all, "Addon", &fleet.addons);
    add(&mut all, "ChartRepository", &fleet.repositories);
    add(&mut all, "RolloutPolicy", &fleet.policies);
    add(&mut all, "SwitchPolicy", &fleet.switches);
    all
}

fn add<N: ToString, T: Serialize>(
    all: &mut BTreeMap<(&'static str, String), Said>,
    kind: &'static str,
    documents: &BTreeMap<N, Document<T>>,
) {
    for (name, document) in documents {
        let mut value = serde_json::to_value(&document.value).unwrap_or_else(|_| json!({}));
        for path in SHOWN_ELSEWHERE {
            pointer::remove(&mut value, path);
        }
        without_nothing(&mut value);
        let file = document.node.span.file.path.clone();
        all.insert((kind, name.to_string()), Said { value, file });
    }
}

/// Takes out what is not set, so that it does not show as a value.
fn without_nothing(value: &mut Json) {
    match value {
        Json::Object(fields) => {
            fields.values_mut().for_each(without_nothing);
            fields.retain(|_, value| !value.is_null());
        }
        Json::Array(items) => items.iter_mut().for_each(without_nothing),
        _ => {}
    }
}
