//! Which stage a cluster belongs to, and how many of a stage may be in flight.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use crate::base::ids::{ClusterName, PolicyName, hex};
use crate::fleet::model::{Addon, Amount, Batch, Fleet, Pick, RolloutPolicySpec, Stage};

/// Labels of clusters.
pub type Labels = BTreeMap<String, String>;

/// What is done without a policy: one stage with every cluster at once.
pub fn without_policy() -> RolloutPolicySpec {
    RolloutPolicySpec {
        stages: vec![Stage {
            name: "all".to_owned(),
            clusters: crate::fleet::model::Selector::default(),
            pick: None,
            batch: None,
            order: Vec::new(),
            soak: None,
            gates: Vec::new(),
            windows: None,
            freezes: None,
            max_failures: None,
            progress_deadline: None,
            on_failure: None,
            on_unreachable: None,
        }],
        train: false,
        max_failures: None,
        progress_deadline: None,
        on_failure: crate::fleet::model::OnFailure::Rollback,
        on_unreachable: crate::fleet::model::OnUnreachable::default(),
        windows: Vec::new(),
        freezes: Vec::new(),
        limits: crate::fleet::model::Limits::default(),
        groups: BTreeMap::new(),
        signers: BTreeMap::new(),
    }
}

/// The policy that an addon goes by, with its name if it has one.
///
/// # Errors
/// Its name, where the fleet has no such policy, or none that can be read: without it, a change
/// would go to all clusters at once.
pub fn policy_of<'a>(
    fleet: &Fleet,
    addon: &'a Addon,
) -> Result<(Option<PolicyName>, RolloutPolicySpec), &'a PolicyName> {
    let Some(name) = &addon.spec.rollout.policy else { return Ok((None, without_policy())) };
    let policy = fleet.policies.get(name).ok_or(name)?;
    Ok((Some(name.clone()), policy.value.spec.clone()))
}

/// A cluster's place in a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// The index of its stage.
    pub stage: usize,
    /// Of its stage's clusters, the lower is begun first.
    pub order: usize,
    /// Why it was picked, where its stage takes a sample.
    pub picked: Option<Picked>,
}

/// Why a cluster is in a sample.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picked {
    /// Of how many.
    pub of: usize,
    /// Values of the `spreadBy` labels that it was the first of the sample to have, as `key=value`. With
    /// none, it was its turn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub covers: Vec<String>,
}

/// The stage of each cluster: the first that takes it. Clusters that no stage takes are left out.
///
/// A `pick` is a sample of the clusters that are to be changed and that no earlier stage takes.
/// The same clusters give the same sample, in whatever order they come.
pub fn assign(
    policy: &RolloutPolicySpec,
    clusters: &BTreeMap<ClusterName, Labels>,
    changing: &BTreeSet<ClusterName>,
) -> BTreeMap<ClusterName, Seat> {
    let mut assigned: BTreeMap<ClusterName, Seat> = BTreeMap::new();
    for (index, stage) in policy.stages.iter().enumerate() {
        let mut taken: BTreeMap<&ClusterName, &Labels> = clusters
            .iter()
            .filter(|(name, labels)| {
                !assigned.contains_key(*name) && stage.clusters.matches(labels)
            })
            .collect();
        let mut sampled = BTreeMap::new();
        if let Some(pick) = &stage.pick {
            taken.retain(|name, _| changing.contains(*name));
            sampled = sample(pick, &taken);
            taken.retain(|name, _| sampled.contains_key(*name));
        }
        assigned.extend(taken.into_iter().map(|(name, labels)| {
            let (order, picked) = (stage.rank(labels), sampled.remove(name));
            (name.clone(), Seat { stage: index, order, picked })
        }));
    }
    assigned
}

/// The stage of a cluster that comes while a rollout is under way: the first whole one that takes
/// it, but none that has passed. Samples are not drawn again.
pub fn assign_late(policy: &RolloutPolicySpec, labels: &Labels, present: usize) -> Option<Seat> {
    let is_taker = |stage: &&(usize, &Stage)| stage.1.clusters.matches(labels);
    let takers: Vec<_> = policy.stages.iter().enumerate().collect();
    let whole = takers.iter().filter(is_taker).find(|(_, stage)| stage.pick.is_none());
    let (index, _) = whole.or_else(|| takers.iter().rfind(is_taker))?;
    let stage = (*index).max(present);
    let order = policy.stages.get(stage).map_or(0, |stage| stage.rank(labels));
    Some(Seat { stage, order, picked: None })
}

/// A representative sample: each next cluster is the one that has the most values of the
/// `spreadBy` labels that the sample lacks; among equals a hash of the name decides, so that a
/// cluster's rank does not depend on which others there are.
fn sample(
    pick: &Pick,
    clusters: &BTreeMap<&ClusterName, &Labels>,
) -> BTreeMap<ClusterName, Picked> {
    let percent = pick.percent.map_or(0, |percent| share(percent, clusters.len()));
    let size = percent.max(pick.at_least.unwrap_or(0) as usize).max(1).min(clusters.len());
    let mut ranked: Vec<(String, &ClusterName, &Labels)> = clusters
        .iter()
        .map(|(name, labels)| (hex(&sha2::Sha256::digest(name.as_str())), *name, *labels))
        .collect();
    ranked.sort();
    let mut sample = BTreeMap::new();
    let mut covered: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    while sample.len() < size {
        // Fewest of its values seen so far comes first, then the rank.
        let seen = |labels: &Labels| -> usize {
            let values = pick.spread_by.iter().filter_map(|key| {
                let value = labels.get(key)?;
                covered.get(&(key.as_str(), value.as_str()))
            });
            values.sum()
        };
        let next = ranked
            .iter()
            .filter(|(_, name, _)| !sample.contains_key(*name))
            .min_by_key(|(_, _, labels)| seen(labels));
        let Some((_, name, labels)) = next else { break };
        let mut covers = Vec::new();
        for key in &pick.spread_by {
            if let Some(value) = labels.get(key) {
                let before = covered.entry((key.as_str(), value.as_str())).or_default();
                if *before == 0 {
                    covers.push(format!("{key}={value}"));
                }
                *before += 1;
            }
        }
        sample.insert((*name).clone(), Picked { of: clusters.len(), covers });
    }
    sample
}

/// How many of a stage with `total` clusters may be in flight; at least one.
pub fn allowed(batch: Option<&Batch>, total: usize) -> usize {
    let Some(batch) = batch else { return total.max(1) };
    let percent = batch.percent.map_or(usize::MAX, |percent| share(percent, total));
    let at_most = batch.at_most.map_or(usize::MAX, |count| count as usize);
    percent.min(at_most).min(total).max(1)
}

/// How many failures stop a rollout that changes `total` clusters; at least one.
pub fn failures_max(amount: Option<&Amount>, total: usize) -> usize {
    match amount {
        None => 1,
        Some(Amount::Number(count)) => (*count as usize).max(1),
        Some(Amount::Percent(text)) => {
            let percent = text.trim_end_matches('%').trim().parse().unwrap_or(0);
            share(percent, total).max(1)
        }
    }
}

/// So many percent, rounded up.
fn share(percent: u32, total: usize) -> usize {
    (total * percent as usize).div_ceil(100)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn fleet() -> BTreeMap<ClusterName, Labels> {
        let mut clusters = BTreeMap::new();
        for region in ["meyrin", "prevessin"] {
            for flavour in ["cpu", "gpu"] {
                for number in 1..=2 {
                    let name = format!("prod-{region}-{flavour}-{number}");
                    let labels = labels(&[("region", region), ("flavour", flavour)]);
                    clusters.insert(name.into(), labels);
                }
            }
        }
        clusters
    }

    fn picked(pick: &Pick, clusters: &BTreeMap<ClusterName, Labels>) -> BTreeSet<ClusterName> {
        sample(pick, &clusters.iter().collect()).into_keys().collect()
    }

    #[test]
    fn who_is_picked_says_what_for() {
        let spread_by = vec!["region".to_owned(), "flavour".to_owned()];
        let pick = Pick { percent: None, at_least: Some(3), spread_by };
        let clusters = fleet();
        let sample = sample(&pick, &clusters.iter().collect());
        let mut covers: Vec<&str> =
            sample.values().flat_map(|one| &one.covers).map(String::as_str).collect();
        covers.sort_unstable();
        let each = ["flavour=cpu", "flavour=gpu", "region=meyrin", "region=prevessin"];
        assert_eq!(covers, each);
        assert!(sample.values().all(|one| one.of == 8));
        // The third has nothing new to show.
        assert!(sample.values().any(|one| one.covers.is_empty()));
    }

    #[test]
    fn clusters_are_ranked_by_the_first_selector_that_matches_them() {
        let stage: Stage = serde_json::from_value(serde_json::json!({
            "name": "prod", "clusters": {},
            "order": [{"matchLabels": {"flavour": "cpu"}}, {"matchLabels": {"region": "meyrin"}}],
        }))
        .unwrap();
        let policy = RolloutPolicySpec { stages: vec![stage], ..without_policy() };
        let ranks: Vec<_> = assign(&policy, &fleet(), &BTreeSet::new())
            .into_iter()
            .map(|(name, seat)| (seat.order, name.to_string()))
            .collect();
        for (order, name) in &ranks {
            let expected = match name {
                name if name.contains("cpu") => 0,
                name if name.contains("meyrin") => 1,
                _ => 2,
            };
            assert_eq!(*order, expected, "{name}");
        }
        // One that comes late is ranked as if it had been there.
        let late = labels(&[("region", "meyrin"), ("flavour", "gpu")]);
        assert_eq!(assign_late(&policy, &late, 0).unwrap().order, 1);
    }

    #[test]
    fn a_sample_covers_the_labels_it_is_spread_by() {
        let spread_by = vec!["region".to_owned(), "flavour".to_owned()];
        let pick = Pick { percent: Some(20), at_least: Some(2), spread_by };
        let clusters = fleet();
        let sample = picked(&pick, &clusters);
        assert_eq!(sample.len(), 2);
        for key in ["region", "flavour"] {
            let values: BTreeSet<_> = sample.iter().map(|name| &clusters[name][key]).collect();
            assert_eq!(values.len(), 2, "{key} of {sample:?}");
        }
    }

    #[test]
    fn the_size_of_a_sample_is_the_larger_of_share_and_minimum() {
        let size = |percent, at_least| {
            picked(&Pick { percent, at_least, spread_by: Vec::new() }, &fleet()).len()
        };
        assert_eq!(size(Some(5), Some(1)), 1);
        assert_eq!(size(Some(20), None), 2);
        assert_eq!(size(Some(5), Some(3)), 3);
        assert_eq!(size(None, None), 1);
        assert_eq!(size(Some(100), Some(50)), 8);
    }

    #[test]
    fn a_batch_is_the_smaller_of_share_and_number_and_never_nothing() {
        let batch = |percent, at_most| Batch { percent, at_most };
        assert_eq!(allowed(None, 8), 8);
        assert_eq!(allowed(Some(&batch(Some(25), None)), 8), 2);
        assert_eq!(allowed(Some(&batch(Some(25), Some(1))), 8), 1);
        assert_eq!(allowed(Some(&batch(Some(1), None)), 8), 1);
        assert_eq!(allowed(Some(&batch(None, Some(20))), 8), 8);
    }

    #[test]
    fn a_failure_budget_is_a_number_or_a_share() {
        assert_eq!(failures_max(None, 8), 1);
        assert_eq!(failures_max(Some(&Amount::Number(3)), 8), 3);
        assert_eq!(failures_max(Some(&Amount::Percent("25%".to_owned())), 8), 2);
        assert_eq!(failures_max(Some(&Amount::Percent("1%".to_owned())), 8), 1);
    }

    proptest! {
        #[test]
        fn a_cluster_that_leaves_changes_no_more_than_its_own_place(gone in 0_usize..8) {
            let pick = Pick { percent: Some(50), at_least: None, spread_by: Vec::new() };
            let mut clusters = fleet();
            let before = picked(&pick, &clusters);
            let name = clusters.keys().nth(gone).unwrap().clone();
            clusters.remove(&name);
            let after = picked(&pick, &clusters);
            let kept: BTreeSet<_> = before.iter().filter(|one| **one != name).cloned().collect();
            prop_assert!(after.is_superset(&kept));
        }

        #[test]
        fn a_cluster_outside_the_sample_may_come_and_go_without_changing_it(
            gone in 0_usize..8, at_least in 1_u32..8,
        ) {
            let spread_by = vec!["region".to_owned(), "flavour".to_owned()];
            let pick = Pick { percent: None, at_least: Some(at_least), spread_by };
            let mut clusters = fleet();
            let before = picked(&pick, &clusters);
            let name = clusters.keys().nth(gone).unwrap().clone();
            clusters.remove(&name);
            if !before.contains(&name) {
                prop_assert_eq!(picked(&pick, &clusters), before);
            }
        }
    }
}
