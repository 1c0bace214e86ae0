//! Whether a train departs, goes on, or gives way to a newer one.

use std::collections::{BTreeMap, BTreeSet};

use super::begin::{Ensure, Wish, begin, ensure, has_same_goals, supersede};
use super::event::{Event, EventKind};
use super::model::{Rollout, RolloutId};
use super::observation::Instances;
use super::stages::{Seat, assign};
use super::train::Train;
use crate::base::clock::Timestamp;
use crate::base::ids::{AddonName, ClusterName};

/// An addon of a policy with `train: true`: its newest rollout, what git wants, and what was seen.
pub type Passenger<'a> = (Option<&'a Rollout>, &'a Wish, &'a Instances);

/// What was made of the wishes of one policy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Departure {
    /// To be recorded together, or not at all.
    pub events: Vec<Event>,
    /// Addons that do not begin, and why.
    held: BTreeMap<AddonName, (RolloutId, String)>,
    /// What it is of.
    of: Vec<AddonName>,
}

impl Departure {
    /// Of an addon that moves alone.
    pub fn alone(wish: &Wish, ensured: Ensure) -> Self {
        let mut made = Self { of: vec![wish.addon.clone()], ..Self::default() };
        match ensured {
            Ensure::NotNeeded => {}
            Ensure::Changed(events) => made.events = events,
            Ensure::Held { rollout, reason } => {
                made.held.insert(wish.addon.clone(), (rollout, reason));
            }
        }
        made
    }

    /// Why each addon that does not begin does not.
    pub fn told(&self) -> impl Iterator<Item = (AddonName, String)> {
        let held = self.held.iter();
        held.map(|(addon, (rollout, why))| (addon.clone(), format!("rollout {rollout}: {why}")))
    }

    /// The addons that it is of.
    pub fn addons(&self) -> impl Iterator<Item = &AddonName> {
        self.of.iter()
    }
}

/// Compares what is wished of all addons of a policy with `train: true` with their newest rollouts and
/// with what was seen. `stranded` are addons that are under way and of which nothing can be wished now.
///
/// # Expected flow
/// - A commit wants something else of any of them than their newest rollouts do: all that are under
///   way are superseded, and what is not where it shall be begins as one train. What went back together
///   with one that has something else to bring goes with it again.
/// - Otherwise each goes on as [`ensure`] has it, and what begins (clusters that came, retries)
///   begins as a train of its own: a cluster that joins supersedes nothing.
pub fn depart(all: &[Passenger<'_>], stranded: &[&Rollout], now: Timestamp) -> Departure {
    let of = all.iter().map(|(_, wish, _)| wish.addon.clone()).collect();
    let mut departure = Departure { of, ..Departure::default() };
    let single: Vec<Ensure> =
        all.iter().map(|(newest, wish, seen)| ensure(*newest, wish, seen, now)).collect();
    let is_new = |at: usize| {
        let (newest, wish, seen) = all[at];
        let is_known = || has_got_there(wish, seen);
        let wants_else = newest.map_or_else(|| !is_known(), |newest| !has_same_goals(newest, wish));
        wants_else && matches!(single[at], Ensure::Changed(_))
    };
    let new: Vec<usize> = (0..all.len()).filter(|at| is_new(*at)).collect();
    if let (false, Some(stays)) = (new.is_empty(), stranded.first()) {
        for at in new {
            let why = format!("its train goes with {}, which cannot change now", stays.addon());
            departure.held.insert(all[at].1.addon.clone(), (stays.id.clone(), why));
        }
        return departure;
    }
    let goes_again = |newest: Option<&Rollout>| {
        let newest = newest.filter(|newest| newest.phase.is_ended());
        newest.is_some_and(|newest| {
            new.iter().any(|at| all[*at].0.is_some_and(|other| other.is_with(newest)))
        })
    };
    for (at, (newest, wish, seen)) in all.iter().enumerate() {
        let active = newest.filter(|newest| !newest.phase.is_ended());
        let events = match (&single[at], active) {
            (_, Some(active)) if !new.is_empty() => {
                supersede(active, begin(Some(active), wish, seen, now), now)
            }
            (Ensure::Held { .. }, _) if goes_again(*newest) => begin(*newest, wish, seen, now),
            (Ensure::Changed(events), _) => events.clone(),
            (Ensure::Held { rollout, reason }, _) => {
                let held = (rollout.clone(), reason.clone());
                departure.held.insert(wish.addon.clone(), held);
                continue;
            }
            (Ensure::NotNeeded, _) => continue,
        };
        departure.events.extend(events);
    }
    bind(&mut departure.events, all);
    departure
}

/// Whether an addon without a rollout is where it shall be on some cluster: then others have come since.
fn has_got_there(wish: &Wish, seen: &Instances) -> bool {
    wish.goals.iter().any(|(name, goal)| {
        let is_there = seen.get(name).is_some_and(|seen| seen.is_at(goal.digest.as_ref()));
        goal.digest.is_some() && is_there
    })
}

/// Makes a train of all that begins: one name, one seat for each cluster.
fn bind(events: &mut [Event], all: &[Passenger<'_>]) {
    let starts = |event: &&Event| matches!(event.kind, EventKind::RolloutStarted { .. });
    let begun: Vec<(AddonName, RolloutId)> =
        events.iter().filter(starts).map(|one| (one.addon.clone(), one.rollout.clone())).collect();
    let Some(id) = begun.first().map(|(_, id)| id.clone()) else { return };
    let addons: BTreeSet<AddonName> = begun.into_iter().map(|(addon, _)| addon).collect();
    let seats = seats(events, all);
    for event in events {
        let EventKind::RolloutStarted { members, train, .. } = &mut event.kind else { continue };
        let wish = all.iter().find(|(_, wish, _)| wish.addon == event.addon).map(|one| one.1);
        let depends_on = wish.into_iter().flat_map(|wish| &wish.depends_on);
        let after = depends_on.filter(|on| addons.contains(*on)).cloned().collect();
        *train = Some(Train { id: id.clone(), addons: addons.clone(), after });
        for (name, member) in members.iter_mut() {
            member.sit(seats.get(name));
        }
    }
}

/// The seat of each cluster: a sample is drawn of all clusters on which anything changes.
fn seats(events: &[Event], all: &[Passenger<'_>]) -> BTreeMap<ClusterName, Seat> {
    let mut changing = BTreeSet::new();
    let mut labels = BTreeMap::new();
    let mut policy = None;
    for event in events {
        let EventKind::RolloutStarted { members, policy: pinned, .. } = &event.kind else {
            continue;
        };
        policy = Some(pinned);
        let is_waiting = |state: &super::MemberState| *state == super::MemberState::Waiting;
        let waiting = members.iter().filter(|(_, member)| is_waiting(&member.state));
        changing.extend(waiting.map(|(name, _)| name.clone()));
        let wish = all.iter().find(|(_, wish, _)| wish.addon == event.addon);
        labels.extend(wish.into_iter().flat_map(|(_, wish, _)| wish.labels.clone()));
    }
    policy.map_or_else(BTreeMap::new, |policy| assign(policy, &labels, &changing))
}
