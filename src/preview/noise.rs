//! What changes with every version of a chart and says no more: labels, checksums, the chart's own
//! annotations.

use std::collections::{BTreeMap, BTreeSet};

use super::compare::Compared;
use super::describe::{Labels, describe};
use super::risk::restarts;
use crate::base::ids::{AddonName, ClusterName};
use crate::diff::{FieldChange, Op, Step};

/// Labels of a version.
const LABELS: [&str; 5] = [
    "helm.sh/chart",
    "app.kubernetes.io/version",
    "chart",
    "heritage",
    "app.kubernetes.io/managed-by",
];

/// The way to the pods of a workload, whose labels are its own.
const OF_PODS: [&[&str]; 3] =
    [&["spec", "template"], &["spec", "jobTemplate", "spec", "template"], &["spec", "jobTemplate"]];

/// Label or annotation, and its values before and after where those are told.
type Kind = (AddonName, String, Option<(String, String)>);

/// The same small change in many objects.
#[derive(Clone, Debug)]
pub struct Folded {
    /// The addon.
    pub addon: AddonName,
    /// Which label or annotation, such as `label helm.sh/chart`.
    pub what: String,
    /// Its value before and after, where all objects have the same.
    pub values: Option<(String, String)>,
    /// How many objects have it; one on two clusters is two.
    pub objects: usize,
    /// How many of them have no other change.
    pub only: usize,
    /// How many workloads replace their pods for nothing but this.
    pub restarts: usize,
    /// Who has it, in words.
    pub who: String,
    /// Who has it.
    pub clusters: BTreeSet<ClusterName>,
}

/// How many objects have no change but these, each counted on each cluster.
pub(super) fn objects(folded: &[Folded]) -> usize {
    folded.iter().map(|folded| folded.only).sum()
}

/// Changes without their small ones, and those.
pub(super) struct Split {
    pub(super) changes: Vec<Compared>,
    pub(super) folded: Vec<Small>,
}

/// A small change of one object.
pub(super) struct Small {
    addon: AddonName,
    what: String,
    values: (String, String),
    /// Whether the object has no other change.
    is_only: bool,
    /// Whether pods are replaced for it.
    restarts: bool,
    clusters: BTreeSet<ClusterName>,
}

pub(super) fn split(compared: Vec<Compared>) -> Split {
    let mut split = Split { changes: Vec::new(), folded: Vec::new() };
    for mut one in compared {
        if one.change.op != Op::Update {
            split.changes.push(one);
            continue;
        }
        let restarted = restarts(&one.change);
        let (small, rest): (Vec<FieldChange>, Vec<FieldChange>) =
            std::mem::take(&mut one.change.fields)
                .into_iter()
                .partition(|field| what(field).is_some());
        // A note, such as that of a new name, is a change of its own.
        let is_only = rest.is_empty() && one.change.note.is_none();
        let mut is_first = true;
        let mut seen = BTreeSet::new();
        for field in &small {
            let what = what(field).unwrap_or_default();
            // The same label stands on the object and on its pods.
            if !seen.insert(what.clone()) {
                continue;
            }
            split.folded.push(Small {
                addon: one.addon.clone(),
                what,
                values: (text(field.before.as_ref()), text(field.after.as_ref())),
                is_only: is_only && is_first,
                restarts: is_only && restarted && is_first,
                clusters: one.clusters.clone(),
            });
            is_first = false;
        }
        if !is_only {
            one.change.fields = rest;
            split.changes.push(one);
        }
    }
    split
}

fn text(value: Option<&serde_json::Value>) -> String {
    match value {
        None => "nothing".to_owned(),
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Which label or annotation of a version a field is, if it is one.
fn what(field: &FieldChange) -> Option<String> {
    let names: Vec<&str> = field
        .path
        .0
        .iter()
        .map(|step| match step {
            Step::Field(name) => Some(name.as_str()),
            Step::Item(_) | Step::Index(_) => None,
        })
        .collect::<Option<_>>()?;
    let (name, path) = names.split_last()?;
    let path = OF_PODS.iter().find_map(|way| path.strip_prefix(*way)).unwrap_or(path);
    match path {
        ["metadata", "labels"] if LABELS.contains(name) => Some(format!("label {name}")),
        ["metadata", "annotations"]
            if name.starts_with("checksum/") || name.ends_with("/checksum") =>
        {
            Some(format!("annotation {name}"))
        }
        _ => None,
    }
}

/// Small changes of the same kind together.
pub(super) fn folded(small: Vec<Small>, labels: &Labels) -> Vec<Folded> {
    #[derive(Default)]
    struct Sum {
        objects: usize,
        only: usize,
        restarts: usize,
        clusters: BTreeSet<ClusterName>,
    }
    let mut sums: BTreeMap<Kind, Sum> = BTreeMap::new();
    for one in small {
        // Checksums differ for each object and tell nobody anything.
        let is_checksum = one.what.starts_with("annotation ");
        let key = (one.addon, one.what, (!is_checksum).then(|| one.values.clone()));
        let sum = sums.entry(key).or_default();
        let count = one.clusters.len();
        sum.objects += count;
        sum.only += if one.is_only { count } else { 0 };
        sum.restarts += if one.restarts { count } else { 0 };
        sum.clusters.extend(one.clusters);
    }
    sums.into_iter()
        .map(|((addon, what, values), sum)| Folded {
            who: describe(&sum.clusters, &labels.of_addon(&addon)),
            addon,
            what,
            values,
            objects: sum.objects,
            only: sum.only,
            restarts: sum.restarts,
            clusters: sum.clusters,
        })
        .collect()
}
