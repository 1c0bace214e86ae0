//! From what git says and what clusters have to one wish for each addon. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::head::Head;
use super::look::Look;
use crate::base::ids::{AddonName, ClusterName, InstanceKey, PolicyName};
use crate::base::planted::{Planted, is_planted};
use crate::fleet::model::RolloutPolicySpec;
use crate::fleet::schema::Kind;
use crate::live::ReleaseId;
use crate::rollout::train::dependencies;
use crate::rollout::{Goal, Rollout, Wish};
use crate::store::Rollouts;

/// What git wants of every addon.
#[derive(Debug, Default)]
pub struct Wishes {
    /// By addon.
    pub wishes: Vec<Wish>,
    /// The release of each instance that a wish names, as far as it is known.
    pub ids: BTreeMap<InstanceKey, ReleaseId>,
    /// Addons that nothing can be wished of now, and why.
    pub held: BTreeMap<AddonName, String>,
}

/// What each cluster has, by its newest look.
pub type Looks = BTreeMap<ClusterName, Look>;

/// Makes the wishes.
///
/// # Guarantees
/// An instance is only wished away when the whole of the fleet's files could be read, and when
/// fitout put it where it is. One that was handed over to Helm is not wished for.
pub fn wishes(head: &Head, looks: &Looks, rollouts: &Rollouts) -> Wishes {
    let mut made = Wishes::default();
    let left = if head.is_whole() { left_over(head, looks) } else { BTreeMap::new() };
    let mut addons: BTreeSet<AddonName> = head.desired.fleet.addons.keys().cloned().collect();
    addons.extend(left.keys().map(|key| key.addon.clone()));
    let active = |rollout: &&Rollout| !rollout.phase.is_ended();
    addons.extend(rollouts.iter().filter(active).map(|rollout| rollout.addon().clone()));
    let direct = depends_on(head);
    for addon in addons {
        let newest = rollouts.newest(&addon);
        let policy = match policy(head, &addon, newest) {
            Ok(policy) => policy,
            Err(reason) => {
                made.held.insert(addon, reason);
                continue;
            }
        };
        let mut wish = wish(head, &addon, policy, newest, (looks, &left), &mut made.ids);
        wish.depends_on = dependencies(&addon, &direct);
        if !wish.goals.is_empty() || newest.is_some_and(|newest| !newest.phase.is_ended()) {
            made.wishes.push(wish);
        }
    }
    made
}

/// The policy that an addon goes by.
///
/// # Errors
/// Why nothing can be wished of it.
fn policy(
    head: &Head,
    addon: &AddonName,
    newest: Option<&Rollout>,
) -> Result<(Option<PolicyName>, RolloutPolicySpec), String> {
    if let Some(reason) = hindrance(head, addon) {
        return Err(reason);
    }
    let short = head.rev().short();
    let unread = |name| format!("its policy `{name}` cannot be read at commit {short}");
    head.policy(addon, newest).map_err(unread)
}

/// Why nothing can be said of an addon.
fn hindrance(head: &Head, addon: &AddonName) -> Option<String> {
    let short = head.rev().short();
    if is_planted(Planted::MistakeIsAbsence) {
        return None;
    }
    if head.desired.fleet.is_broken(Kind::Addon, addon.as_str()) {
        return Some(format!("its document cannot be read at commit {short}"));
    }
    if !head.is_whole() && !head.desired.fleet.addons.contains_key(addon) {
        return Some(format!("commit {short} cannot be read as a whole"));
    }
    (!head.is_rendered(addon)).then(|| format!("it cannot be rendered at commit {short}"))
}

fn wish(
    head: &Head,
    addon: &AddonName,
    (policy_name, policy): (Option<PolicyName>, RolloutPolicySpec),
    newest: Option<&Rollout>,
    (looks, left): (&Looks, &BTreeMap<InstanceKey, ReleaseId>),
    ids: &mut BTreeMap<InstanceKey, ReleaseId>,
) -> Wish {
    let rev = head.rev();
    let mut goals: BTreeMap<ClusterName, Goal> = BTreeMap::new();
    for (key, release) in head.releases.iter().filter(|(key, _)| key.addon == *addon) {
        let id = ReleaseId::of(&release.instance);
        ids.insert(key.clone(), id.clone());
        if looks.get(&key.cluster).is_some_and(|look| look.is_handed_over(&id)) {
            continue;
        }
        let goal = Goal { rev: rev.clone(), digest: Some(release.digest.clone()) };
        goals.insert(key.cluster.clone(), goal);
    }
    for (key, id) in left.iter().filter(|(key, _)| key.addon == *addon) {
        goals.insert(key.cluster.clone(), Goal { rev: rev.clone(), digest: None });
        ids.insert(key.clone(), id.clone());
    }
    // What is gone already shows nowhere, and a cluster whose document cannot be read has not
    // left the fleet.
    let active = newest.filter(|newest| !newest.phase.is_ended());
    for (cluster, member) in active.into_iter().flat_map(|rollout| &rollout.members) {
        let is_there = head.desired.fleet.clusters.contains_key(cluster);
        let is_leaving = is_there && member.goal.digest.is_none();
        let is_unknown = !is_there && !head.is_whole();
        if is_leaving || is_unknown {
            goals.entry(cluster.clone()).or_insert_with(|| member.goal.clone());
        }
    }
    let labels = head.desired.fleet.clusters.iter();
    let labels = labels
        .filter(|(name, _)| goals.contains_key(*name))
        .map(|(name, cluster)| (name.clone(), cluster.value.metadata.labels.clone()));
    Wish {
        addon: addon.clone(),
        rev: rev.clone(),
        author: head.desired.source.author.clone(),
        labels: labels.collect(),
        goals,
        policy_name,
        policy,
        depends_on: BTreeSet::new(),
    }
}

/// What each addon depends on somewhere.
fn depends_on(head: &Head) -> BTreeMap<AddonName, BTreeSet<AddonName>> {
    let mut direct: BTreeMap<AddonName, BTreeSet<AddonName>> = BTreeMap::new();
    for instance in &head.desired.instances {
        let of_addon = direct.entry(instance.key.addon.clone()).or_default();
        of_addon.extend(instance.depends_on.iter().map(|on| on.addon.clone()));
    }
    direct
}

/// Releases that fitout put on clusters of the fleet and that git no longer wants there.
fn left_over(head: &Head, looks: &Looks) -> BTreeMap<InstanceKey, ReleaseId> {
    let wanted: BTreeSet<&InstanceKey> =
        head.desired.instances.iter().map(|instance| &instance.key).collect();
    let mut left = BTreeMap::new();
    for (cluster, look) in looks {
        let is_known = head.desired.fleet.clusters.contains_key(cluster);
        let Some(releases) = look.releases.as_ref().ok().filter(|_| is_known) else { continue };
        for (id, sighting) in releases {
            let Some(addon) = &sighting.addon else { continue };
            let key = InstanceKey { cluster: cluster.clone(), addon: addon.clone() };
            if !wanted.contains(&key) {
                left.insert(key, id.clone());
            }
        }
    }
    left
}

/// Releases of addons that are wanted on the cluster under another name or in another namespace.
pub fn moved_away(head: &Head, looks: &Looks) -> Vec<(InstanceKey, ReleaseId)> {
    if !head.is_whole() {
        return Vec::new();
    }
    let wanted: BTreeMap<&InstanceKey, ReleaseId> = head
        .desired
        .instances
        .iter()
        .map(|instance| (&instance.key, ReleaseId::of(instance)))
        .collect();
    let mut moved = Vec::new();
    for (cluster, look) in looks {
        for (id, sighting) in look.releases.iter().flatten() {
            let Some(addon) = &sighting.addon else { continue };
            let key = InstanceKey { cluster: cluster.clone(), addon: addon.clone() };
            if wanted.get(&key).is_some_and(|present| present != id) {
                moved.push((key, id.clone()));
            }
        }
    }
    moved
}
