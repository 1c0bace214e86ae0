//! In which order addons go from a cluster, and which of those that stay would miss them.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::ids::AddonName;
use crate::fleet::instance::Instance;

/// The chosen addons, each after all that depend on it, with those. One that git does not have any
/// more says nothing about what it needs, and may be in the way of nobody.
pub(super) fn dependents_first(
    instances: &[&Instance],
    chosen: &BTreeSet<AddonName>,
) -> Vec<(AddonName, Vec<AddonName>)> {
    let mut left: BTreeMap<&AddonName, Vec<&AddonName>> =
        chosen.iter().map(|name| (name, dependents(instances, name, chosen))).collect();
    let mut order = Vec::new();
    while !left.is_empty() {
        let free = left
            .iter()
            .find(|(_, dependents)| dependents.iter().all(|one| !left.contains_key(*one)))
            // A fleet with a cycle is not accepted.
            .or_else(|| left.iter().next())
            .map(|(name, _)| *name);
        let Some(name) = free else { break };
        let dependents = left.remove(name).unwrap_or_default();
        order.push((name.clone(), dependents.into_iter().cloned().collect()));
    }
    order
}

/// Which of some addons depend on one.
fn dependents<'a>(
    instances: &[&'a Instance],
    name: &AddonName,
    among: &BTreeSet<AddonName>,
) -> Vec<&'a AddonName> {
    let depends = |one: &&&Instance| one.depends_on.iter().any(|on| on.addon == *name);
    let of = instances.iter().filter(depends).map(|one| &one.key.addon);
    of.filter(|dependent| among.contains(*dependent)).collect()
}

/// Addons that are there and not chosen, each with a chosen one that it depends on.
pub(super) fn staying_dependents(
    instances: &[&Instance],
    chosen: &BTreeSet<AddonName>,
    is_there: impl Fn(&Instance) -> bool,
) -> Vec<(AddonName, AddonName)> {
    let stays = |one: &&&Instance| !chosen.contains(&one.key.addon) && is_there(one);
    instances
        .iter()
        .filter(stays)
        .flat_map(|one| {
            let needed = one.depends_on.iter().filter(|on| chosen.contains(&on.addon));
            needed.map(|on| (one.key.addon.clone(), on.addon.clone()))
        })
        .collect()
}
