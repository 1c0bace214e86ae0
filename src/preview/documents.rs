//! What the fleet's own documents say otherwise than before: clusters that join or leave, policies,
//! placement. What they say of values and versions shows in the objects.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value as Json, json};

use super::Side;
use crate::diff::{FieldChange, Op, between};
use crate::fleet::model::{Document, Fleet};
use crate::object::pointer;

/// A document that comes, goes or says something else.
#[derive(Clone, Debug)]
pub struct DocumentChange {
    /// `Cluster`, `Addon`, `ChartRepository` or `RolloutPolicy`.
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

/// What differs between the documents of two revisions. A document that cannot be read on one side
/// is left out.
pub(super) fn between_sides(base: &Side<'_>, head: &Side<'_>) -> Vec<DocumentChange> {
    let (old, new) = (documents(&base.desired.fleet), documents(&head.desired.fleet));
    let is_broken = |side: &Side<'_>, kind: &str, name: &str| {
        side.desired
            .fleet
            .broken
            .iter()
            .any(|(one, broken)| one.to_string() == kind && broken == name)
    };
    let keys: BTreeSet<&(&'static str, String)> = old.keys().chain(new.keys()).collect();
    let mut changes = Vec::new();
    for key in keys {
        let (kind, name) = key;
        let (op, fields) = match (old.get(key), new.get(key)) {
            (Some(old), Some(new)) => (Op::Update, between(old, new)),
            (Some(_), None) if !is_broken(head, kind, name) => (Op::Delete, Vec::new()),
            (None, Some(_)) if !is_broken(base, kind, name) => (Op::Create, Vec::new()),
            _ => continue,
        };
        if op == Op::Update && fields.is_empty() {
            continue;
        }
        changes.push(DocumentChange { kind, name: name.clone(), op, fields });
    }
    changes
}

fn documents(fleet: &Fleet) -> BTreeMap<(&'static str, String), Json> {
    let mut all = BTreeMap::new();
    add(&mut all, "Cluster", &fleet.clusters);
    add(&mut all, "Addon", &fleet.addons);
    add(&mut all, "ChartRepository", &fleet.repositories);
    add(&mut all, "RolloutPolicy", &fleet.policies);
    all
}

fn add<N: ToString, T: Serialize>(
    all: &mut BTreeMap<(&'static str, String), Json>,
    kind: &'static str,
    documents: &BTreeMap<N, Document<T>>,
) {
    for (name, document) in documents {
        let mut value = serde_json::to_value(&document.value).unwrap_or_else(|_| json!({}));
        for path in SHOWN_ELSEWHERE {
            pointer::remove(&mut value, path);
        }
        without_nothing(&mut value);
        all.insert((kind, name.to_string()), value);
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
