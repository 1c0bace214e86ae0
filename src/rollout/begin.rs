//! Whether a rollout begins, goes on with other members, or gives way to a newer commit.

use std::collections::{BTreeMap, BTreeSet};

use super::event::{Event, EventKind};
use super::model::{Goal, Member, MemberState, Phase, Rollout, RolloutId};
use super::observation::{Instances, Seen};
use super::stages::{Labels, assign, assign_late};
use crate::base::author::Author;
use crate::base::clock::Timestamp;
use crate::base::ids::{AddonName, ClusterName, PolicyName, Rev};
use crate::base::planted::{Planted, is_planted};
use crate::fleet::model::RolloutPolicySpec;

/// What git wants of one addon.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The addon.
    pub addon: AddonName,
    /// The commit that was read.
    pub rev: Rev,
    /// Who has written it.
    pub author: Option<Author>,
    /// Where each of its instances shall go: those it is placed on, and those where it shall no
    /// longer be.
    pub goals: BTreeMap<ClusterName, Goal>,
    /// Labels of these clusters.
    pub labels: BTreeMap<ClusterName, Labels>,
    /// The policy's name.
    pub policy_name: Option<PolicyName>,
    /// The policy.
    pub policy: RolloutPolicySpec,
    /// What it depends on, by way of others too.
    pub depends_on: BTreeSet<AddonName>,
}

/// What was made of a wish.
#[derive(Clone, Debug, PartialEq)]
pub enum Ensure {
    /// Everything known is as wished, or a rollout is on its way there.
    NotNeeded,
    /// These events are to be recorded: a rollout begins, or its members change.
    Changed(Vec<Event>),
    /// The same was tried and went back, or was ended: somebody has to say so, or git to change.
    Held {
        /// The rollout that did.
        rollout: RolloutId,
        /// How it ended.
        reason: String,
    },
}

/// Compares what is wished with the addon's newest rollout and with what was seen.
///
/// # Expected flow
/// - The newest rollout is under way to the same goals: its members follow clusters that come and
///   go, and its windows and freezes follow git.
/// - It is under way to other goals: it is superseded, and the new one starts at the first stage.
///   Members that it had touched go through their stage again, and go back to where they were
///   before *it*.
/// - It ended short of the same goals: held. Clusters that it went on without are left as they are.
/// - Otherwise, a rollout begins if any instance is known not to be at its goal.
pub fn ensure(newest: Option<&Rollout>, wish: &Wish, seen: &Instances, now: Timestamp) -> Ensure {
    match newest {
        Some(newest) if !newest.phase.is_ended() => {
            if has_same_goals(newest, wish) {
                return follow(newest, wish, seen, now);
            }
            Ensure::Changed(supersede(newest, begin(Some(newest), wish, seen, now), now))
        }
        newest => {
            if let Some(newest) = newest
                && !newest.is_retried
                && !is_planted(Planted::NoMemory)
                && let Some(reason) = short_of(newest, wish, seen)
            {
                return Ensure::Held { rollout: newest.id.clone(), reason };
            }
            let begun = begin(newest, wish, seen, now);
            if !begun.is_empty() {
                return Ensure::Changed(begun);
            }
            let left =
                newest.and_then(|newest| Some((newest, reason_given_up(newest, wish, seen)?)));
            match left {
                Some((newest, reason)) => Ensure::Held { rollout: newest.id.clone(), reason },
                None => Ensure::NotNeeded,
            }
        }
    }
}

/// A rollout gives way to the one that has begun; none where everything is where the newer commit wants it
/// already.
pub(super) fn supersede(newest: &Rollout, mut begun: Vec<Event>, now: Timestamp) -> Vec<Event> {
    let by = (!begun.is_empty()).then(|| newest.id.next());
    begun.insert(0, Event::of(newest, EventKind::RolloutSuperseded { by }, now));
    begun
}

/// Whether no common cluster shall go somewhere else.
pub(super) fn has_same_goals(rollout: &Rollout, wish: &Wish) -> bool {
    wish.goals.iter().all(|(name, goal)| {
        let member = rollout.members.get(name);
        member.is_none_or(|member| member.goal.digest == goal.digest)
    })
}

/// Why a rollout that ended short of these goals is not repeated, if it is one.
fn short_of(newest: &Rollout, wish: &Wish, seen: &Instances) -> Option<String> {
    let reason = match &newest.phase {
        Phase::RolledBack { reason } => format!("it was rolled back: {reason}"),
        Phase::Aborted { by } => format!("{by} has ended it"),
        _ => return None,
    };
    let is_open = |name: &ClusterName, goal: &Goal| {
        seen.get(name).is_some_and(|seen| !seen.is_at(goal.digest.as_ref()))
    };
    // A cluster that came since has no say: it would get what has failed elsewhere.
    let common = wish.goals.iter().filter_map(|(name, goal)| {
        let member = newest.members.get(name)?;
        is_open(name, goal).then_some(member.goal.digest == goal.digest)
    });
    let same: Vec<bool> = common.collect();
    (!same.is_empty() && same.into_iter().all(|is_same| is_same)).then_some(reason)
}

/// Clusters that a completed rollout to the same goals went on without, until somebody says that it
/// may be tried again.
fn given_up<'a>(
    newest: Option<&'a Rollout>,
    wish: &'a Wish,
) -> impl Iterator<Item = (&'a ClusterName, &'a Member)> {
    let completed = newest.filter(|newest| newest.phase == Phase::Completed && !newest.is_retried);
    let members = completed.into_iter().flat_map(|newest| &newest.members);
    members.filter(|(name, member)| {
        let goal = wish.goals.get(*name);
        member.state.is_given_up() && goal.is_some_and(|goal| goal.digest == member.goal.digest)
    })
}

/// Why clusters are not at their goals although nothing begins.
fn reason_given_up(newest: &Rollout, wish: &Wish, seen: &Instances) -> Option<String> {
    let open = given_up(Some(newest), wish).filter(|(name, member)| {
        seen.get(*name).is_some_and(|seen| !seen.is_at(member.goal.digest.as_ref()))
    });
    let told: Vec<String> = open
        .map(|(name, member)| match &member.state {
            MemberState::Failed { reason } => format!("{name} failed: {reason}"),
            MemberState::Skipped { reason, by: Some(by) } => {
                format!("{name} was left out by {by}: {reason}")
            }
            state => format!("{name} is {}", state.word()),
        })
        .collect();
    let (first, others) = told.split_first()?;
    let more =
        if others.is_empty() { String::new() } else { format!(" (and {} more)", others.len()) };
    Some(format!("it went on without some: {first}{more}"))
}

/// Clusters that came or went since a rollout began, and a calendar that git has changed.
fn follow(rollout: &Rollout, wish: &Wish, seen: &Instances, now: Timestamp) -> Ensure {
    let mut events = Vec::new();
    for name in rollout.members.keys().filter(|name| !wish.goals.contains_key(*name)) {
        let mut left = Event::of(rollout, EventKind::InstanceLeft, now);
        left.cluster = Some(name.clone());
        events.push(left);
    }
    if matches!(rollout.phase, Phase::GoingBack { .. }) {
        return if events.is_empty() { Ensure::NotNeeded } else { Ensure::Changed(events) };
    }
    let policy = rollout.policy.with_calendar_of(&wish.policy);
    if policy != rollout.policy {
        let (calendar_of, policy) = (wish.rev.clone(), Box::new(policy));
        let kind = EventKind::RolloutRescheduled { calendar_of, policy };
        events.push(Event::of(rollout, kind, now));
    }
    for (name, goal) in wish.goals.iter().filter(|(name, _)| !rollout.members.contains_key(*name)) {
        let labels = wish.labels.get(name).cloned().unwrap_or_default();
        let seat = assign_late(&rollout.policy, &labels, rollout.stage);
        let member = Member::new(goal.clone(), seat.as_ref(), begins_as(seen.get(name), goal));
        let mut joined = Event::of(rollout, EventKind::InstanceJoined { member }, now);
        joined.cluster = Some(name.clone());
        events.push(joined);
    }
    if events.is_empty() { Ensure::NotNeeded } else { Ensure::Changed(events) }
}

/// A cluster that is not known to be at its goal is to be changed.
fn begins_as(seen: Option<&Seen>, goal: &Goal) -> MemberState {
    let is_there = seen.is_some_and(|seen| seen.is_at(goal.digest.as_ref()));
    if is_there { MemberState::Unchanged } else { MemberState::Waiting }
}

/// `rollout.started`, if any instance is known not to be at its goal.
pub(super) fn begin(
    newest: Option<&Rollout>,
    wish: &Wish,
    seen: &Instances,
    now: Timestamp,
) -> Vec<Event> {
    let superseded = newest.filter(|newest| !newest.phase.is_ended());
    let unproven = superseded.map(unproven).unwrap_or_default();
    let given_up: BTreeMap<_, _> = given_up(newest, wish).collect();
    let is_known_to_differ = |name: &ClusterName, goal: &Goal| {
        !given_up.contains_key(name)
            && seen.get(name).is_some_and(|seen| {
                seen.unreachable.is_none() && !seen.has_gaps && !seen.is_at(goal.digest.as_ref())
            })
    };
    let differs = wish.goals.iter().any(|(name, goal)| is_known_to_differ(name, goal));
    let is_unproven = wish.goals.keys().any(|name| unproven.contains_key(name));
    if !differs && !is_unproven {
        return Vec::new();
    }
    let changing: BTreeSet<ClusterName> = wish
        .goals
        .iter()
        .filter(|(name, _)| !given_up.contains_key(*name))
        .filter(|(name, goal)| {
            unproven.contains_key(*name) || begins_as(seen.get(*name), goal) == MemberState::Waiting
        })
        .map(|(name, _)| name.clone())
        .collect();
    let seats = assign(&wish.policy, &wish.labels, &changing);
    let member = |(name, goal): (&ClusterName, &Goal)| {
        let is_changing = changing.contains(name);
        let kept = given_up.get(name).map(|member| member.state.clone());
        let kept = kept.filter(|_| begins_as(seen.get(name), goal) == MemberState::Waiting);
        let state = match kept {
            Some(state) => state,
            None if is_changing => MemberState::Waiting,
            None => MemberState::Unchanged,
        };
        let from = unproven.get(name).cloned();
        let member = Member { from, ..Member::new(goal.clone(), seats.get(name), state) };
        (name.clone(), member)
    };
    let first = RolloutId { addon: wish.addon.clone(), number: 1 };
    let kind = EventKind::RolloutStarted {
        policy_name: wish.policy_name.clone(),
        policy: Box::new(wish.policy.clone()),
        author: wish.author.clone(),
        members: wish.goals.iter().map(member).collect(),
        train: None,
        supersedes: superseded.map(|rollout| rollout.id.clone()),
    };
    vec![Event {
        kind,
        at: now,
        rollout: newest.map_or(first, |newest| newest.id.next()),
        addon: wish.addon.clone(),
        revision: wish.rev.clone(),
        stage: None,
        cluster: None,
        reason: None,
    }]
}

/// Members that a superseded rollout had touched in stages that have not passed, and where they
/// were before it. What it brought there was never proven.
fn unproven(rollout: &Rollout) -> BTreeMap<ClusterName, Option<super::model::Place>> {
    let has_passed = |member: &Member| {
        let stage = member.stage.and_then(|stage| rollout.stages.get(stage));
        stage.is_some_and(|stage| stage.passed_at.is_some())
    };
    let is_unproven = |member: &Member| {
        let is_off = member.state.is_touched()
            || matches!(member.state, MemberState::GoingBack { .. } | MemberState::Stuck { .. });
        is_off && !has_passed(member)
    };
    let unproven = rollout.members.iter().filter(|(_, member)| is_unproven(member));
    unproven.filter_map(|(name, member)| Some((name.clone(), member.from.clone()?))).collect()
}
