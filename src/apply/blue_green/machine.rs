//! What comes next of two releases beside one another: a function of what is seen.
//!
//! # Guarantees
//! - A release gets more traffic only while it is seen to be ready, or when the instance is at it
//!   already.
//! - A release is removed only when it has no traffic and the time that it is kept for is over; a
//!   newer one that needs its place ends that time.
//! - What is intended stands on a record before it is done, so that whoever comes after a crash does
//!   the same, and a soak counts from after the traffic was moved.

use std::time::Duration;

use crate::base::clock::{Timestamp, after, moment};
use crate::base::ids::Digest;
use crate::fleet::blue_green::{Slot, TrafficStep};
use crate::health::{Condition, Health};
use crate::live::blue_green::Mark;

/// How long a new release may be stalled before it is given up.
const STALLED_FOR: Duration = Duration::from_secs(45);

/// What is seen of an instance.
#[derive(Clone, Debug)]
pub(super) struct View<'a> {
    /// What the instance shall be at.
    pub(super) goal: &'a Digest,
    /// From none of the traffic to all of it.
    pub(super) way: &'a [TrafficStep],
    /// Whether traffic goes all at once: back to what was there.
    pub(super) at_once: bool,
    /// How long it may take to become healthy.
    pub(super) timeout: Duration,
    /// How long the old release stays.
    pub(super) keep_for: Duration,
    pub(super) now: Timestamp,
    pub(super) blue: Option<Beside>,
    pub(super) green: Option<Beside>,
    /// Since when one of them is what the instance is at.
    pub(super) active: Option<(Slot, Timestamp)>,
    /// Whether a release without a slot is there, from before.
    pub(super) has_plain: bool,
    pub(super) shares: Shares,
}

/// One of the two releases.
#[derive(Clone, Debug)]
pub(super) struct Beside {
    pub(super) digest: Option<Digest>,
    /// Whether its newest record is deployed.
    pub(super) is_deployed: bool,
    pub(super) mark: Option<Mark>,
    /// With the checks of the step that it is at.
    pub(super) health: Health,
}

/// How much of the traffic each release has, in percent: of several rules, the most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shares {
    pub(super) blue: u32,
    pub(super) green: u32,
    /// Whether rules differ.
    pub(super) is_mixed: bool,
}

impl Shares {
    pub(super) fn of(self, slot: Slot) -> u32 {
        match slot {
            Slot::Blue => self.blue,
            Slot::Green => self.green,
        }
    }

    /// Whether a release has exactly so much, and the other one the rest.
    pub(super) fn is(self, slot: Slot, weight: u32) -> bool {
        !self.is_mixed && self.of(slot) == weight && self.of(slot.other()) == 100 - weight
    }
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The release that the goal renders to is to be brought up in a slot.
    Install(Slot),
    /// A slot gets so much of the traffic, the other one the rest.
    Shift { to: Slot, weight: u32 },
    /// What a slot is to the instance has changed.
    Mark { slot: Slot, mark: Mark },
    /// A slot's release goes; it may be that it was given up.
    Remove { slot: Slot, given_up: Option<String> },
    /// The release without a slot goes.
    RemovePlain,
    /// Nothing, before time passes or something gets healthy.
    Wait { slot: Slot, on: On, until: Timestamp },
    /// The instance is there. Until then another release is kept.
    Done { active: Slot, kept: Option<Timestamp> },
}

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum On {
    /// That a release becomes healthy.
    Health { message: String },
    /// That time passes in which it stays healthy at a step.
    Soak { step: usize, weight: u32 },
}

/// What comes next.
pub(super) fn next(view: &View<'_>) -> Next {
    match view.active {
        Some((active, since)) if view.is_at_goal(active) => view.settle(active, since),
        active => view.bring(active.map(|(slot, _)| slot)),
    }
}

impl View<'_> {
    fn slot(&self, slot: Slot) -> Option<&Beside> {
        match slot {
            Slot::Blue => self.blue.as_ref(),
            Slot::Green => self.green.as_ref(),
        }
    }

    fn is_at_goal(&self, slot: Slot) -> bool {
        self.slot(slot).is_some_and(|one| one.digest.as_ref() == Some(self.goal))
    }

    /// The instance is at the goal: what is not of it goes.
    fn settle(&self, active: Slot, since: Timestamp) -> Next {
        let other = active.other();
        if !self.slot(active).is_some_and(|one| one.is_deployed) {
            return Next::Install(active);
        }
        if !self.shares.is(active, 100) {
            return Next::Shift { to: active, weight: 100 };
        }
        let over = after(since, self.keep_for);
        let is_plain_due = self.has_plain && over <= self.now;
        let kept_plain = self.has_plain.then_some(over);
        match self.slot(other).map(|one| &one.mark) {
            Some(Some(Mark::Active { .. })) => {
                Next::Mark { slot: other, mark: Mark::Kept { since, until: over } }
            }
            Some(Some(Mark::Kept { until, .. })) if *until > self.now => {
                Next::Done { active, kept: Some(*until) }
            }
            Some(_) => Next::Remove { slot: other, given_up: None },
            None if is_plain_due => Next::RemovePlain,
            None => Next::Done { active, kept: kept_plain },
        }
    }

    /// The instance is elsewhere, or nowhere.
    fn bring(&self, active: Option<Slot>) -> Next {
        let slot = match active {
            Some(active) => active.other(),
            None => self.first(),
        };
        let other = slot.other();
        if active.is_none() && self.slot(other).is_some() {
            return Next::Remove { slot: other, given_up: None };
        }
        let Some(one) = self.slot(slot) else { return Next::Install(slot) };
        match &one.mark {
            Some(Mark::GivenUp { reason, .. }) => {
                self.vacate_for(slot, active, Some(reason.clone()))
            }
            // All of the traffic has reached it; only the word of it is missing.
            Some(Mark::Trial { .. })
                if active.is_none() && !self.is_at_goal(slot) && self.shares.is(slot, 100) =>
            {
                Next::Mark { slot, mark: Mark::Active { since: self.now } }
            }
            _ if !self.is_at_goal(slot) => self.vacate_for(slot, active, None),
            _ if !one.is_deployed => Next::Install(slot),
            Some(Mark::Trial { step, since, lost_at, returns }) => {
                let trial =
                    Trial { step: *step, since: *since, lost_at: *lost_at, returns: *returns };
                self.go_on(slot, one, trial)
            }
            None | Some(Mark::Active { .. } | Mark::Kept { .. }) => {
                // At a first installation there is nothing that steps could spare.
                let returns = self.at_once || active.is_none() || one.mark.is_some();
                marked(slot, Trial { step: 0, since: self.now, lost_at: Some(self.now), returns })
            }
        }
    }

    /// The slot of an instance that is nowhere yet.
    fn first(&self) -> Slot {
        let is_there = |slot: &Slot| self.slot(*slot).is_some();
        let at_goal = Slot::ALL.into_iter().find(|slot| self.is_at_goal(*slot));
        at_goal.or_else(|| Slot::ALL.into_iter().find(is_there)).unwrap_or(Slot::Blue)
    }

    /// A release goes, once it has no traffic.
    fn vacate_for(&self, slot: Slot, active: Option<Slot>, given_up: Option<String>) -> Next {
        match active {
            Some(active) if !self.shares.is(active, 100) => Next::Shift { to: active, weight: 100 },
            _ => Next::Remove { slot, given_up },
        }
    }

    /// A new release on its way.
    fn go_on(&self, slot: Slot, one: &Beside, trial: Trial) -> Next {
        let way = self.way_of(trial.returns);
        let at = trial.step.min(way.len().saturating_sub(1));
        let Some(step) = way.get(at) else { return marked(slot, trial) };
        if !one.health.is_ready() {
            return self.wait_for_health(slot, one, trial);
        }
        // Of none of the traffic nobody needs to see to: it is where it was.
        let is_there = at == 0 || self.shares.is(slot, step.weight);
        match trial.lost_at {
            None if !is_there => marked(slot, Trial { lost_at: Some(self.now), ..trial }),
            Some(_) if !is_there => Next::Shift { to: slot, weight: step.weight },
            Some(_) => marked(slot, Trial { since: self.now, lost_at: None, ..trial }),
            None => self.pass(slot, trial, at, step, way.len()),
        }
    }

    fn pass(&self, slot: Slot, trial: Trial, at: usize, step: &TrafficStep, steps: usize) -> Next {
        let until = after(trial.since, step.soak.map_or(Duration::ZERO, |soak| soak.0));
        if self.now < until {
            let on = On::Soak { step: at, weight: step.weight };
            return Next::Wait { slot, on, until };
        }
        if at + 1 == steps {
            return Next::Mark { slot, mark: Mark::Active { since: self.takes_over_at() } };
        }
        marked(slot, Trial { step: at + 1, lost_at: Some(self.now), ..trial })
    }

    /// When a release takes over: later than the one before did, also by a clock that was set back, so
    /// that of two active ones the later one is always known.
    fn takes_over_at(&self) -> Timestamp {
        let earliest = self.active.map(|(_, since)| after(since, Duration::from_millis(1)));
        earliest.map_or(self.now, |earliest| earliest.max(self.now))
    }

    /// The way that traffic takes: what comes back comes at once.
    pub(super) fn way_of(&self, returns: bool) -> Vec<TrafficStep> {
        let (Some(first), Some(_), true) =
            (self.way.first(), self.way.last(), returns || self.at_once)
        else {
            return self.way.to_vec();
        };
        vec![first.clone(), TrafficStep { weight: 100, ..TrafficStep::default() }]
    }

    fn wait_for_health(&self, slot: Slot, one: &Beside, trial: Trial) -> Next {
        let message = one.health.message.clone();
        let Some(lost_at) = trial.lost_at else {
            return marked(slot, Trial { lost_at: Some(self.now), ..trial });
        };
        let limit = match one.health.condition {
            Condition::Failed => Duration::ZERO,
            Condition::Stalled => STALLED_FOR.min(self.timeout),
            _ => self.timeout,
        };
        let until = after(lost_at, limit);
        if self.now < until {
            return Next::Wait { slot, on: On::Health { message }, until };
        }
        let at = match trial.step {
            0 => String::new(),
            step => format!(" at step {step} of the traffic"),
        };
        let reason = match one.health.condition {
            Condition::Failed | Condition::Stalled => format!("not healthy{at}: {message}"),
            _ => format!(
                "not healthy{at} after {}: {message}",
                humantime::format_duration(self.timeout)
            ),
        };
        Next::Mark { slot, mark: Mark::GivenUp { since: self.now, reason } }
    }
}

/// [`Mark::Trial`] by itself.
#[derive(Clone, Copy, Debug)]
struct Trial {
    step: usize,
    since: Timestamp,
    lost_at: Option<Timestamp>,
    returns: bool,
}

fn marked(slot: Slot, trial: Trial) -> Next {
    let Trial { step, since, lost_at, returns } = trial;
    Next::Mark { slot, mark: Mark::Trial { step, since, lost_at, returns } }
}

/// A wait in words.
pub(super) fn told(name: &str, on: &On, until: Timestamp) -> String {
    match on {
        On::Health { message } => {
            format!("{name} is to become healthy until {}: {message}", moment(until))
        }
        On::Soak { step, weight } => {
            format!(
                "{name} soaks at step {step}, with {weight} % of the traffic, until {}",
                moment(until)
            )
        }
    }
}

#[cfg(test)]
mod tests;
