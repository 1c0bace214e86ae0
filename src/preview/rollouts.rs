//! The rollouts that a change would start: which clusters, in which order, behind which gates.

use std::collections::{BTreeMap, BTreeSet};

use super::Side;
use crate::base::clock::Timestamp;
use crate::base::ids::{AddonName, ClusterName, Digest, InstanceKey, PolicyName};
use crate::fleet::calendar::{Closed, Freeze, Window};
use crate::fleet::model::{Gate, OnFailure, RolloutPolicySpec, Stage};
use crate::rollout::prometheus;
use crate::rollout::rehearsal::Part;
use crate::rollout::stages::{Labels, allowed, assign, failures_max, policy_of, without_policy};
use crate::rollout::train::dependencies;
use crate::rollout::{Goal, Place, Wish};

/// A rollout that would start.
#[derive(Clone, Debug)]
pub struct PlannedRollout {
    /// The addon that it moves.
    pub addon: AddonName,
    /// The policy that it goes by; without one, all clusters change at once.
    pub policy: Option<PolicyName>,
    /// The others that move together with it.
    pub train: BTreeSet<AddonName>,
    /// How many clusters change.
    pub clusters: usize,
    /// Stages that have anything to do, in order.
    pub stages: Vec<PlannedStage>,
    /// Clusters that no stage takes: they stay as they are.
    pub left_out: BTreeSet<ClusterName>,
    /// So many failed clusters stop it.
    pub failures_max: usize,
    /// What happens then.
    pub on_failure: OnFailure,
}

/// A stage of it.
#[derive(Clone, Debug)]
pub struct PlannedStage {
    /// Its name.
    pub name: String,
    /// Clusters that change in it, in the order in which they begin.
    pub clusters: Vec<ClusterName>,
    /// How many of them at a time.
    pub at_a_time: usize,
    /// What has to hold before the next stage, in words.
    pub gates: Vec<String>,
    /// When it may begin clusters.
    pub calendar: PlannedCalendar,
    /// How many failures stop the rollout in it, and what happens then, where the stage says so itself.
    pub own_failures: Option<(usize, OnFailure)>,
}

/// When a stage may begin clusters.
#[derive(Clone, Debug, Default)]
pub struct PlannedCalendar {
    /// In one of these; at any time without one.
    pub windows: Vec<Window>,
    /// In none of these; those that are over are left out.
    pub freezes: Vec<Freeze>,
    /// Why it could not begin any at the time of the preview.
    pub closed: Option<Closed>,
}

/// One for each addon of which an instance changes.
pub(super) fn planned(
    base: &Side<'_>,
    head: &Side<'_>,
    changed: &BTreeSet<InstanceKey>,
    now: Timestamp,
) -> Vec<PlannedRollout> {
    let addons = by_addon(head, changed);
    let planned = |(addon, clusters): (&&AddonName, &BTreeSet<ClusterName>)| {
        let together = together(base, head, addon, &addons);
        rollout(base, head, addon, clusters, &together, now)
    };
    addons.iter().filter_map(planned).collect()
}

/// The addons that move together with one, itself among them, with the clusters on which each changes.
fn together<'a>(
    base: &Side<'_>,
    head: &Side<'_>,
    addon: &'a AddonName,
    addons: &'a BTreeMap<&'a AddonName, BTreeSet<ClusterName>>,
) -> BTreeMap<&'a AddonName, &'a BTreeSet<ClusterName>> {
    let train = |addon: &AddonName| policy(base, head, addon).filter(|(_, policy)| policy.train)?.0;
    let own = train(addon);
    let is_with = |other: &AddonName| other == addon || own.is_some() && train(other) == own;
    let all = addons.iter().filter(|(other, _)| is_with(other));
    all.map(|(other, clusters)| (*other, clusters)).collect()
}

/// The same rollouts to be rehearsed: what each addon has on the base, and shall have on the head.
pub fn parts(base: &Side<'_>, head: &Side<'_>, changed: &BTreeSet<InstanceKey>) -> Vec<Part> {
    let part = |(addon, changing)| part(base, head, addon, &changing);
    by_addon(head, changed).into_iter().filter_map(part).collect()
}

/// The clusters on which each addon changes.
fn by_addon<'a>(
    head: &Side<'_>,
    changed: &'a BTreeSet<InstanceKey>,
) -> BTreeMap<&'a AddonName, BTreeSet<ClusterName>> {
    let mut addons: BTreeMap<&AddonName, BTreeSet<ClusterName>> = BTreeMap::new();
    for key in changed {
        // A cluster that leaves the fleet is nobody's to change.
        if head.desired.fleet.clusters.contains_key(&key.cluster) {
            addons.entry(&key.addon).or_default().insert(key.cluster.clone());
        }
    }
    addons
}

fn part(
    base: &Side<'_>,
    head: &Side<'_>,
    addon: &AddonName,
    changing: &BTreeSet<ClusterName>,
) -> Option<Part> {
    let rev = &head.desired.source.rev;
    let (policy_name, policy) = policy(base, head, addon)?;
    let labels = labels(head, addon, changing);
    let digest = |side: &Side<'_>, cluster: &ClusterName| {
        let key = InstanceKey { cluster: cluster.clone(), addon: addon.clone() };
        // Of what is not rendered nothing changes.
        if !changing.contains(cluster) {
            return Some(Digest::of(b"unchanged"));
        }
        side.releases.get(&key).map(|release| release.digest.clone())
    };
    let goal = |cluster: &ClusterName| Goal { rev: rev.clone(), digest: digest(head, cluster) };
    let place = |cluster: &ClusterName| {
        let digest = digest(base, cluster)?;
        let rev = Some(base.desired.source.rev.clone());
        Some((cluster.clone(), Place { rev, digest: Some(digest), release_revision: 1 }))
    };
    let document = head.desired.fleet.addons.get(addon);
    let depends_on = document.into_iter().flat_map(|addon| &addon.value.spec.depends_on);
    Some(Part {
        before: labels.keys().filter_map(place).collect(),
        depends_on: depends_on.map(|on| on.addon.clone()).collect(),
        wish: Wish {
            depends_on: dependencies_of(head, addon),
            addon: addon.clone(),
            rev: rev.clone(),
            author: head.desired.source.author.clone(),
            goals: labels.keys().map(|cluster| (cluster.clone(), goal(cluster))).collect(),
            labels,
            policy_name,
            policy,
        },
    })
}

/// Everything that an addon depends on, by way of others too.
fn dependencies_of(head: &Side<'_>, addon: &AddonName) -> BTreeSet<AddonName> {
    let addons = head.desired.fleet.addons.iter();
    let direct = addons.map(|(name, addon)| {
        let on = addon.value.spec.depends_on.iter().map(|on| on.addon.clone());
        (name.clone(), on.collect())
    });
    dependencies(addon, &direct.collect())
}

/// Of every cluster that has an addon at the head, or changes it.
fn labels(
    head: &Side<'_>,
    addon: &AddonName,
    changing: &BTreeSet<ClusterName>,
) -> BTreeMap<ClusterName, Labels> {
    let has_addon = |name: &ClusterName| {
        let key = InstanceKey { cluster: name.clone(), addon: addon.clone() };
        changing.contains(name) || head.wants(&key)
    };
    let clusters = head.desired.fleet.clusters.iter();
    clusters
        .filter(|(name, _)| has_addon(name))
        .map(|(name, cluster)| (name.clone(), cluster.value.metadata.labels.clone()))
        .collect()
}

fn rollout(
    base: &Side<'_>,
    head: &Side<'_>,
    addon: &AddonName,
    changing: &BTreeSet<ClusterName>,
    together: &BTreeMap<&AddonName, &BTreeSet<ClusterName>>,
    now: Timestamp,
) -> Option<PlannedRollout> {
    let (policy_name, policy) = policy(base, head, addon)?;
    // A sample is drawn once for all that moves together.
    let all = together.values().flat_map(|clusters| clusters.iter().cloned()).collect();
    let labels = together.iter().flat_map(|(addon, clusters)| labels(head, addon, clusters));
    let assigned = assign(&policy, &labels.collect(), &all);
    let stages = policy.stages.iter().enumerate().filter_map(|(index, stage)| {
        let seats = changing.iter().filter_map(|name| Some((assigned.get(name)?, name)));
        let mut seats: Vec<_> = seats.filter(|(seat, _)| seat.stage == index).collect();
        seats.sort_by_key(|(seat, _)| seat.order);
        let clusters: Vec<_> = seats.into_iter().map(|(_, name)| name.clone()).collect();
        let of = changing.len();
        (!clusters.is_empty()).then(|| planned_stage(&policy, stage, (clusters, of), now))
    });
    Some(PlannedRollout {
        addon: addon.clone(),
        policy: policy_name,
        train: together.keys().filter(|other| **other != addon).map(|one| (*one).clone()).collect(),
        clusters: changing.len(),
        stages: stages.collect(),
        left_out: changing.iter().filter(|name| !assigned.contains_key(*name)).cloned().collect(),
        failures_max: failures_max(policy.max_failures.as_ref(), changing.len()),
        on_failure: policy.on_failure,
    })
}

fn planned_stage(
    policy: &RolloutPolicySpec,
    stage: &Stage,
    (clusters, changing): (Vec<ClusterName>, usize),
    now: Timestamp,
) -> PlannedStage {
    let calendar = policy.calendar(stage);
    let is_ahead = |freeze: &&Freeze| freeze.bounds().1 > now;
    let soak = stage.soak.map(|soak| format!("healthy for {}", humantime::format_duration(soak.0)));
    let health = soak.unwrap_or_else(|| "healthy".to_owned());
    PlannedStage {
        name: stage.name.clone(),
        at_a_time: allowed(stage.batch.as_ref(), clusters.len()),
        own_failures: own_failures(policy, stage, clusters.len(), changing),
        gates: std::iter::once(health).chain(stage.gates.iter().filter_map(gate)).collect(),
        clusters,
        calendar: PlannedCalendar {
            windows: calendar.windows.to_vec(),
            freezes: calendar.freezes.iter().filter(is_ahead).cloned().collect(),
            closed: calendar.closed(now),
        },
    }
}

/// What a stage says itself about failures, of its `clusters` among all that change.
fn own_failures(
    policy: &RolloutPolicySpec,
    stage: &Stage,
    clusters: usize,
    changing: usize,
) -> Option<(usize, OnFailure)> {
    let max = match &stage.max_failures {
        Some(own) => failures_max(Some(own), clusters),
        None if stage.on_failure.is_some() => failures_max(policy.max_failures.as_ref(), changing),
        None => return None,
    };
    Some((max, policy.on_failure(Some(stage))))
}

fn gate(gate: &Gate) -> Option<String> {
    if let Some(gate) = &gate.prometheus {
        return Some(format!("{} {}", gate.name, prometheus::Asks(gate)));
    }
    if let Some(gate) = &gate.webhook {
        return Some(format!("{} says so", gate.name));
    }
    if let Some(gate) = &gate.rollout {
        return Some(format!("the rollout of {} is done", gate.addon));
    }
    if let Some(gate) = &gate.job {
        let on = gate.cluster.as_ref().map_or(String::new(), |name| format!(" on {name}"));
        let what = if gate.helm_test { "tests of the release succeed" } else { "a Job succeeds" };
        return Some(format!("{what}{on}"));
    }
    let approval = gate.approval.as_ref()?;
    let mut told = match approval.count {
        1 => "an approval".to_owned(),
        count => format!("{count} approvals"),
    };
    if !approval.from.is_empty() {
        told = format!("{told} of {}", approval.from.join(", "));
    }
    Some(if approval.not_author { format!("{told}, not the author's") } else { told })
}

/// The addon's policy at the head; of an addon that goes, that of the base. Nothing where it cannot
/// be read: then the controller begins nothing.
fn policy(
    base: &Side<'_>,
    head: &Side<'_>,
    addon: &AddonName,
) -> Option<(Option<PolicyName>, RolloutPolicySpec)> {
    let fleets = [head, base].map(|side| &side.desired.fleet);
    let found = fleets.into_iter().find_map(|fleet| Some((fleet, fleet.addons.get(addon)?)));
    found.map_or_else(
        || Some((None, without_policy())),
        |(fleet, document)| policy_of(fleet, &document.value).ok(),
    )
}
