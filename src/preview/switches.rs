//! The switches of clusters that a change would begin: by pairs that are two at the head and were not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::Side;
use crate::base::ids::{ClusterName, PolicyName};
use crate::fleet::switch::{SwitchPolicySpec, pairs};

/// A switch that would begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedSwitch {
    /// The policy.
    pub policy: PolicyName,
    /// The cluster that joins the pair.
    pub joins: ClusterName,
    /// The other one. Which of them serves is on record, not in git.
    pub beside: ClusterName,
    /// The labels that make them a pair.
    pub labels: BTreeMap<String, String>,
    /// What has to hold besides parity, in words.
    pub gates: Vec<String>,
    /// What switches traffic, in a word.
    pub hook: &'static str,
}

impl fmt::Display for PlannedSwitch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { policy, joins, beside, hook, .. } = self;
        write!(
            f,
            "{joins} would take the place of {beside} (policy {policy}), once it is at parity"
        )?;
        for gate in &self.gates {
            write!(f, ", {gate}")?;
        }
        write!(f, ", by {hook}")
    }
}

/// The switches that would begin. Where a side cannot be read as a whole there may be more.
pub(super) fn planned(base: &Side<'_>, head: &Side<'_>) -> Vec<PlannedSwitch> {
    let mut planned = Vec::new();
    for (policy, document) in &head.desired.fleet.switches {
        let spec = &document.value.spec;
        let after = members(spec, head);
        let before = members(spec, base);
        for (labels, names) in &after {
            let known = before.get(labels).cloned().unwrap_or_default();
            let mut joining = names.difference(&known);
            let (Some(joins), None) = (joining.next(), joining.next()) else { continue };
            let mut others = names.iter().filter(|name| *name != joins);
            let (Some(beside), None) = (others.next(), others.next()) else { continue };
            planned.push(PlannedSwitch {
                policy: policy.clone(),
                joins: joins.clone(),
                beside: beside.clone(),
                labels: labels.clone(),
                gates: gates(spec),
                hook: hook(spec),
            });
        }
    }
    planned
}

type Members = BTreeMap<BTreeMap<String, String>, BTreeSet<ClusterName>>;

/// The pairs by a policy, on one side.
fn members(spec: &SwitchPolicySpec, side: &Side<'_>) -> Members {
    let clusters = side.desired.fleet.clusters.values().map(|document| &document.value);
    let pairs = pairs(spec, clusters).into_iter().map(|(values, clusters)| {
        let values = values.into_iter().map(str::to_owned);
        let labels = spec.pair.by.iter().cloned().zip(values).collect();
        (labels, clusters.iter().map(|one| one.metadata.name.clone()).collect())
    });
    pairs.collect()
}

fn gates(spec: &SwitchPolicySpec) -> Vec<String> {
    let told = spec.gates.iter().filter_map(|gate| match (&gate.approval, gate.asked()) {
        (Some(approval), _) if approval.count == 1 => Some("1 approval is given".to_owned()),
        (Some(approval), _) => Some(format!("{} approvals are given", approval.count)),
        (None, Some(asked)) => Some(format!("gate {} holds", asked.name)),
        (None, None) => None,
    });
    told.collect()
}

fn hook(spec: &SwitchPolicySpec) -> &'static str {
    match (&spec.switch.webhook, &spec.switch.job) {
        (Some(_), _) => "a webhook",
        (None, Some(_)) => "a Job",
        (None, None) => "a patch",
    }
}
