//! Rollouts of one commit that move together: a release train.
//!
//! A train is no rollout of its own: each of its addons keeps its rollout and its log, and what they
//! decide they decide in one step, whose events are recorded together or not at all. A rollout that
//! moves alone is a train of one.

use std::borrow::{Borrow, Cow};
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::advance::{Together, advance_together};
use super::model::{Member, MemberState, Rollout, RolloutId};
use super::observation::Observation;
use super::stages::failures_max;
use crate::base::clock::Timestamp;
use crate::base::ids::{AddonName, ClusterName};
use crate::fleet::model::OnFailure;

/// The train of a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Train {
    /// After its first rollout.
    pub id: RolloutId,
    /// Everything that moves in it.
    pub addons: BTreeSet<AddonName>,
    /// What goes before this one on each cluster, and back after it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub after: BTreeSet<AddonName>,
}

/// A rollout and the others of its train, as one.
#[derive(Clone, Debug)]
pub struct Whole<'a>(Vec<&'a Rollout>);

impl<'a> Whole<'a> {
    /// A rollout with those of `all` that move with it and have not ended.
    pub fn of(rollout: &'a Rollout, all: impl IntoIterator<Item = &'a Rollout>) -> Self {
        let others = all.into_iter().filter(|other| {
            other.id != rollout.id && other.is_with(rollout) && !other.phase.is_ended()
        });
        Self(std::iter::once(rollout).chain(others).collect())
    }

    /// A rollout with all that ever moved with it, ended or not.
    pub fn ever(rollout: &'a Rollout, all: impl IntoIterator<Item = &'a Rollout>) -> Self {
        let is_other = |other: &&Rollout| other.id != rollout.id && other.is_with(rollout);
        Self(std::iter::once(rollout).chain(all.into_iter().filter(is_other)).collect())
    }

    /// The rollouts, the one that it is about first.
    pub fn rollouts(&self) -> impl Iterator<Item = &'a Rollout> {
        self.0.iter().copied()
    }

    fn first(&self) -> &'a Rollout {
        self.0[0]
    }

    /// The others.
    pub fn others(&self) -> impl Iterator<Item = &'a Rollout> {
        self.0.iter().copied().skip(1)
    }

    /// Whether everything that moves together is there.
    pub fn is_whole(&self) -> bool {
        let Some(train) = &self.first().train else { return true };
        train.addons.iter().all(|addon| self.0.iter().any(|one| one.addon() == addon))
    }

    /// Members of the present stage that are changed, by all.
    fn present(&self) -> impl Iterator<Item = (&'a ClusterName, &'a Member)> {
        let stage = self.first().stage;
        self.rollouts().flat_map(move |one| one.changing(stage))
    }

    /// Clusters of the present stage that are changed.
    pub fn clusters(&self) -> BTreeSet<&'a ClusterName> {
        self.present().map(|(name, _)| name).collect()
    }

    /// Clusters of the present stage on which something is under way.
    pub fn in_flight(&self) -> BTreeSet<&'a ClusterName> {
        let is_in_flight = |(_, member): &(_, &Member)| member.state.is_in_flight();
        self.present().filter(is_in_flight).map(|(name, _)| name).collect()
    }

    /// Clusters of the present stage on which one addon is done and another one has yet to begin.
    pub fn half_done(&self) -> BTreeSet<&'a ClusterName> {
        let of = |is: fn(&MemberState) -> bool| -> BTreeSet<&'a ClusterName> {
            self.present().filter(|(_, one)| is(&one.state)).map(|(name, _)| name).collect()
        };
        let done = of(|state| matches!(state, MemberState::Soaked { .. }));
        let waiting = of(|state| *state == MemberState::Waiting);
        done.intersection(&waiting).copied().collect()
    }

    /// When the stage was changed last, by any of them.
    pub fn changed_at(&self) -> Option<Timestamp> {
        let stage = self.first().stage;
        self.rollouts().filter_map(|one| one.stages.get(stage)?.changed_at).max()
    }

    /// How many failed clusters stop it in the present stage; none where it goes on whatever fails.
    pub fn failures_max(&self) -> Option<usize> {
        let first = self.first();
        let stage = first.present_stage();
        let max = match stage.and_then(|stage| stage.max_failures.as_ref()) {
            Some(own) => failures_max(Some(own), self.clusters().len()),
            None => {
                let changing = self.rollouts().flat_map(Rollout::all_changing);
                let clusters: BTreeSet<&ClusterName> = changing.collect();
                failures_max(first.policy.max_failures.as_ref(), clusters.len())
            }
        };
        (first.policy.on_failure(stage) != OnFailure::Continue).then_some(max)
    }

    /// Failed clusters that count against that.
    pub fn failures(&self) -> BTreeSet<&'a ClusterName> {
        self.rollouts().flat_map(Rollout::failures_counted).collect()
    }

    /// As one rollout, whose members are on each cluster of the present stage the one that is least far.
    pub fn as_one(&self) -> Cow<'a, Rollout> {
        if self.0.len() == 1 {
            return Cow::Borrowed(self.first());
        }
        let mut one = self.first().clone();
        let rank = |state: &MemberState| match state {
            MemberState::Moving { .. } => 3,
            MemberState::Healthy { .. } => 2,
            MemberState::Soaked { .. } => 1,
            _ => 0,
        };
        for (name, member) in self.others().flat_map(|other| other.changing(one.stage)) {
            let known = one.members.get(name);
            let is_further = known.is_none_or(|known| rank(&known.state) < rank(&member.state));
            if is_further {
                one.members.insert(name.clone(), member.clone());
            }
        }
        let changed_at = self.changed_at();
        if let Some(stage) = one.stages.get_mut(one.stage) {
            stage.changed_at = changed_at;
        }
        Cow::Owned(one)
    }
}

impl Rollout {
    /// Whether another rollout moves with it.
    pub fn is_with(&self, other: &Self) -> bool {
        let train = self.train.as_ref().map(|train| &train.id);
        train.is_some() && train == other.train.as_ref().map(|train| &train.id)
    }

    /// Whether it goes before another one of its train on each cluster, and back after it.
    pub fn goes_before(&self, other: &Self) -> bool {
        self.is_with(other)
            && other.train.as_ref().is_some_and(|train| train.after.contains(self.addon()))
    }

    /// Clusters that it changes, over all stages.
    fn all_changing(&self) -> impl Iterator<Item = &ClusterName> {
        self.members.iter().filter(|(_, member)| member.is_changed()).map(|(name, _)| name)
    }
}

/// Rollouts by what moves together, what goes before others first.
pub fn trains<T>(rollouts: Vec<T>, of: impl Fn(&T) -> &Rollout) -> Vec<Vec<T>> {
    let mut trains: BTreeMap<RolloutId, Vec<T>> = BTreeMap::new();
    for one in rollouts {
        let rollout = of(&one);
        let id = rollout.train.as_ref().map_or(&rollout.id, |train| &train.id).clone();
        trains.entry(id).or_default().push(one);
    }
    let before = |one: &T| of(one).train.as_ref().map_or(0, |train| train.after.len());
    trains
        .into_values()
        .map(|mut train| {
            train.sort_by_key(|one| (before(one), of(one).id.clone()));
            train
        })
        .collect()
}

/// One step of all that is under way, a train after the other.
///
/// # Assumptions
/// Nothing that moves with one of them is missing.
pub fn advance_each<R: Borrow<Rollout>>(
    observed: Vec<(R, Observation)>,
    now: Timestamp,
) -> impl Iterator<Item = Together> {
    let trains = trains(observed, |(rollout, _)| rollout.borrow());
    trains.into_iter().map(move |train| {
        let cars: Vec<_> = train.iter().map(|(rollout, seen)| (rollout.borrow(), seen)).collect();
        advance_together(&cars, now)
    })
}

/// Everything that an addon depends on, by way of others too, of what each depends on itself.
pub fn dependencies(
    addon: &AddonName,
    direct: &BTreeMap<AddonName, BTreeSet<AddonName>>,
) -> BTreeSet<AddonName> {
    let mut found = BTreeSet::new();
    let mut open = vec![addon];
    while let Some(next) = open.pop() {
        for on in direct.get(next).into_iter().flatten() {
            if on != addon && found.insert(on.clone()) {
                open.push(on);
            }
        }
    }
    found
}
