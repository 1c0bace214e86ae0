//! What a change may break, the worst first.

use serde::Serialize;

use super::immutable;
use crate::diff::{Change, FieldChange, Op, Step};
use crate::object::key::ObjectKey;

/// Why somebody should look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Risk {
    /// An object goes away, and with it what it holds.
    Deletion,
    /// A CRD comes, goes or changes: every object of its kind is concerned.
    Crd,
    /// Somebody may do more, or less, than before.
    Rbac,
    /// A field cannot be changed: the object has to be made anew.
    Immutable,
    /// Pods are replaced.
    Restart,
    /// An addon comes to clusters that did not have it.
    Arrival,
    /// None of these.
    Other,
}

impl Risk {
    /// In a few words, as a heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Deletion => "deleted",
            Self::Crd => "CRDs",
            Self::Rbac => "permissions",
            Self::Immutable => "fields that cannot change",
            Self::Restart => "workloads restart",
            Self::Arrival => "addons that come",
            Self::Other => "other changes",
        }
    }
}

/// Of a change of any sort.
pub(super) fn of(change: &Change) -> Risk {
    match change.op {
        Op::Create => of_creation(&change.key),
        Op::Update | Op::Replace => of_update(change),
        Op::Delete => Risk::Deletion,
        Op::Keep => Risk::Other,
    }
}

pub(super) fn of_creation(key: &ObjectKey) -> Risk {
    of_kind(key).unwrap_or(Risk::Other)
}

pub(super) fn of_update(change: &Change) -> Risk {
    if change.op == Op::Replace
        || change.fields.iter().any(|field| immutable::is(&change.key, field))
    {
        return Risk::Immutable;
    }
    match of_kind(&change.key) {
        Some(risk) => risk,
        None if restarts(change) => Risk::Restart,
        None => Risk::Other,
    }
}

fn of_kind(key: &ObjectKey) -> Option<Risk> {
    match (key.group.as_str(), key.kind.as_str()) {
        ("apiextensions.k8s.io", _) => Some(Risk::Crd),
        ("rbac.authorization.k8s.io", _) => Some(Risk::Rbac),
        _ => None,
    }
}

/// Whether pods are replaced: their template is another one.
pub(super) fn restarts(change: &Change) -> bool {
    let is_workload = change.key.group == "apps"
        && matches!(change.key.kind.as_str(), "Deployment" | "StatefulSet" | "DaemonSet");
    is_workload && change.op == Op::Update && change.fields.iter().any(is_of_pods)
}

fn is_of_pods(field: &FieldChange) -> bool {
    let is =
        |step: Option<&Step>, name: &str| matches!(step, Some(Step::Field(found)) if found == name);
    is(field.path.0.first(), "spec")
        && (field.path.0.len() == 1 || is(field.path.0.get(1), "template"))
}
