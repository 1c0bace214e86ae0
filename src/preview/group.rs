//! The same change on many clusters, told once.

use std::collections::{BTreeMap, BTreeSet};

use super::compare::Compared;
use super::describe::{Labels, describe};
use super::risk::Risk;
use crate::base::ids::{AddonName, ClusterName};
use crate::diff::{Change, Op};
use crate::object::key::ObjectKey;

/// So many different values of one field are told one by one; of more, one is an example.
const VARIANTS_MAX: usize = 3;

/// Changes that the same clusters have.
#[derive(Clone, Debug)]
pub struct Group {
    /// The addon.
    pub addon: AddonName,
    /// Who has them.
    pub clusters: BTreeSet<ClusterName>,
    /// The same in words.
    pub who: String,
    /// What the worst of them may break.
    pub risk: Risk,
    /// Whether the addon as a whole comes to these clusters, or goes: then names say enough.
    pub is_whole: bool,
    /// The changes, the worst first.
    pub changes: Vec<GroupedChange>,
}

/// One change of a group.
#[derive(Clone, Debug)]
pub struct GroupedChange {
    /// What changes; with several variants, as on the first cluster.
    pub change: Change,
    /// What it may break.
    pub risk: Risk,
    /// How many different contents the clusters have.
    pub variants: usize,
}

/// How many objects change, each counted on each cluster; what stays is no change.
pub(super) fn objects(groups: &[Group]) -> usize {
    let changes =
        |group: &Group| group.changes.iter().filter(|one| one.change.op != Op::Keep).count();
    groups.iter().map(|group| changes(group) * group.clusters.len()).sum()
}

/// What changes have in common that are told together.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Common {
    addon: AddonName,
    clusters: BTreeSet<ClusterName>,
    /// None for the objects of an addon that comes or goes: they belong together.
    risk: Option<Risk>,
}

/// Groups, the most dangerous first, then by how many clusters have them.
pub(super) fn all(compared: Vec<Compared>, labels: &Labels) -> Vec<Group> {
    let mut groups: BTreeMap<Common, Vec<GroupedChange>> = BTreeMap::new();
    for Merged { one, variants } in merge_variants(merge_equal(compared)) {
        let risk = (!one.is_whole).then_some(one.risk);
        let common = Common { addon: one.addon, clusters: one.clusters, risk };
        let change = GroupedChange { change: one.change, risk: one.risk, variants };
        groups.entry(common).or_default().push(change);
    }
    let mut groups: Vec<Group> =
        groups.into_iter().map(|(common, changes)| group(common, changes, labels)).collect();
    groups.sort_by(|a, b| {
        let rank = |group: &Group| (group.risk, std::cmp::Reverse(group.clusters.len()));
        rank(a).cmp(&rank(b)).then_with(|| (&a.addon, &a.clusters).cmp(&(&b.addon, &b.clusters)))
    });
    groups
}

fn group(common: Common, mut changes: Vec<GroupedChange>, labels: &Labels) -> Group {
    changes.sort_by(|a, b| (a.risk, &a.change.key).cmp(&(b.risk, &b.change.key)));
    let is_arrival = changes.iter().all(|one| one.change.op == Op::Create);
    let worst = if is_arrival { Risk::Arrival } else { Risk::Deletion };
    Group {
        who: describe(&common.clusters, &labels.of_addon(&common.addon)),
        risk: common.risk.unwrap_or(worst),
        is_whole: common.risk.is_none(),
        addon: common.addon,
        clusters: common.clusters,
        changes,
    }
}

/// Equal changes with all their clusters.
fn merge_equal(compared: Vec<Compared>) -> Vec<Compared> {
    let mut merged: BTreeMap<(AddonName, ObjectKey, Op, bool, String), Compared> = BTreeMap::new();
    for one in compared {
        let content = if one.is_whole || one.change.op == Op::Delete {
            // That it comes or goes says enough.
            String::new()
        } else {
            // The place in the template's output moves with the text around it.
            let content = serde_json::to_string(&(&one.change.fields, &one.change.note));
            content.unwrap_or_default()
        };
        let key = (one.addon.clone(), one.change.key.clone(), one.change.op, one.is_whole, content);
        match merged.get_mut(&key) {
            Some(known) => known.clusters.extend(one.clusters),
            None => {
                merged.insert(key, one);
            }
        }
    }
    merged.into_values().collect()
}

struct Merged {
    one: Compared,
    variants: usize,
}

/// Where the same fields of the same object get many different values, one stands for all: every
/// cluster has its own name in it.
fn merge_variants(compared: Vec<Compared>) -> Vec<Merged> {
    let mut alike: BTreeMap<(AddonName, ObjectKey, Op, Vec<String>), Vec<Compared>> =
        BTreeMap::new();
    for one in compared {
        let paths = one.change.fields.iter().map(|field| field.path.to_string()).collect();
        let key = (one.addon.clone(), one.change.key.clone(), one.change.op, paths);
        alike.entry(key).or_default().push(one);
    }
    let mut merged = Vec::new();
    for mut variants in alike.into_values() {
        if variants.len() <= VARIANTS_MAX {
            merged.extend(variants.into_iter().map(|one| Merged { one, variants: 1 }));
            continue;
        }
        let count = variants.len();
        variants.sort_by_key(|one| std::cmp::Reverse(one.clusters.len()));
        let clusters = variants.iter().flat_map(|one| one.clusters.iter().cloned()).collect();
        let risk = variants.iter().map(|one| one.risk).min().unwrap_or(Risk::Other);
        let first = variants.swap_remove(0);
        merged.push(Merged { one: Compared { risk, clusters, ..first }, variants: count });
    }
    merged
}
