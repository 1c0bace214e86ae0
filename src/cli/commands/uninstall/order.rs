//! In which order addons go from a cluster, and which of those that stay would miss them.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::ids::AddonName;
use crate::fleet::instance::Instance;
use crate::live::record::RecordHead;

/// What each addon of a cluster depends on.
pub(super) type Needs = BTreeMap<AddonName, BTreeSet<AddonName>>;

/// By what git says, and of addons that it has no more by the newest of their records.
pub(super) fn needs(instances: &[&Instance], heads: &[RecordHead]) -> Needs {
    let of_record = heads.iter().filter_map(|head| {
        let depends_on = head.origin.depends_on.iter().cloned().collect();
        Some((head.origin.addon.clone()?, depends_on))
    });
    let of_git = instances.iter().map(|one| {
        (one.key.addon.clone(), one.depends_on.iter().map(|on| on.addon.clone()).collect())
    });
    of_record.chain(of_git).collect()
}

/// The chosen addons, each after all that depend on it, with those.
pub(super) fn dependents_first(
    needs: &Needs,
    chosen: &BTreeSet<AddonName>,
) -> Vec<(AddonName, Vec<AddonName>)> {
    let dependents = |name: &AddonName| -> Vec<&AddonName> {
        let depends = |other: &&AddonName| needs.get(*other).is_some_and(|on| on.contains(name));
        chosen.iter().filter(depends).collect()
    };
    let mut left: BTreeMap<&AddonName, Vec<&AddonName>> =
        chosen.iter().map(|name| (name, dependents(name))).collect();
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

/// Addons that are there and not chosen, each with a chosen one that it depends on.
pub(super) fn staying_dependents(
    needs: &Needs,
    chosen: &BTreeSet<AddonName>,
    is_there: impl Fn(&AddonName) -> bool,
) -> Vec<(AddonName, AddonName)> {
    let staying = needs.iter().filter(|(name, _)| !chosen.contains(*name) && is_there(name));
    let pairs = staying.flat_map(|(name, on)| {
        on.intersection(chosen).map(|needed| (name.clone(), needed.clone()))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<AddonName> {
        names.iter().map(|name| AddonName::from(*name)).collect()
    }

    fn fleet() -> Needs {
        [("dns", &[][..]), ("web", &["dns"]), ("shop", &["web", "dns"]), ("till", &["shop"])]
            .map(|(name, on)| (name.into(), names(on)))
            .into()
    }

    #[test]
    fn each_addon_goes_after_all_that_depend_on_it() {
        let order = dependents_first(&fleet(), &names(&["dns", "shop", "till", "web"]));
        let order: Vec<String> =
            order.iter().map(|(name, dependents)| format!("{name} {}", dependents.len())).collect();
        assert_eq!(order, ["till 0", "shop 1", "web 1", "dns 2"]);
    }

    #[test]
    fn a_cycle_is_no_reason_to_go_on_for_ever() {
        let needs: Needs =
            [("a", &["b"][..]), ("b", &["a"])].map(|(name, on)| (name.into(), names(on))).into();
        assert_eq!(dependents_first(&needs, &names(&["a", "b"])).len(), 2);
    }

    #[test]
    fn those_that_stay_and_would_miss_something_are_named() {
        let staying = |is_there: fn(&AddonName) -> bool| {
            staying_dependents(&fleet(), &names(&["web", "till"]), is_there)
        };
        assert_eq!(staying(|_| true), [("shop".into(), "web".into())]);
        assert_eq!(staying(|_| false), []);
    }
}
