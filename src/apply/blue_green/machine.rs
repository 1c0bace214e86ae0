//! What comes next of two releases beside one another: a function of what is seen.
//!
//! # Guarantees
//! - A release gets more traffic only while it is seen to be ready, or when the instance is at it
//!   already. One that is stalled or has failed, or of which a workload has no ready pod, has none.
//! - A release is removed only when it has no traffic and the time that it is kept for is over; a
//!   newer one that needs its place ends that time.
//! - What is intended stands on a record before it is done, so that whoever comes after a crash does
//!   the same, and a soak counts from after the traffic was moved.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::base::clock::{Timestamp, after, moment};
use crate::base::ids::Digest;
use crate::fleet::blue_green::{Slot, TrafficStep};
use crate::fleet::model::HealthCheck;
use crate::health::{Condition, Health};
use crate::live::blue_green::{Mark, Side};

/// How long a new release may be stalled before it is given up.
const STALLED_FOR: Duration = Duration::from_secs(45);

/// Where an instance shall be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Goal<'a> {
    /// At what git says.
    Digest(&'a Digest),
    /// At a release that is there.
    Side(Side),
}

/// What is seen of an instance.
#[derive(Clone, Debug)]
pub(super) struct View<'a> {
    pub(super) goal: Goal<'a>,
    /// From none of the traffic to all of it.
    pub(super) way: &'a [TrafficStep],
    /// Whether traffic goes all at once: back to what was there.
    pub(super) at_once: bool,
    /// How long it may take to become healthy.
    pub(super) timeout: Duration,
    /// How long the old release stays.
    pub(super) keep_for: Duration,
    pub(super) now: Timestamp,
    /// The releases that are there.
    pub(super) there: Vec<(Side, Beside)>,
    /// Since when one of them is what the instance is at.
    pub(super) active: Option<(Side, Timestamp)>,
    pub(super) shares: Shares,
}

/// One of the releases.
#[derive(Clone, Debug)]
pub(super) struct Beside {
    pub(super) digest: Option<Digest>,
    /// Whether its newest record is deployed.
    pub(super) is_deployed: bool,
    pub(super) mark: Option<Mark>,
    /// With the checks of the step that it is at.
    pub(super) health: Health,
    /// Whether each of its workloads has a pod that is ready.
    pub(super) can_serve: bool,
}

/// How much of the traffic each release has, in percent: of several rules, the most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shares {
    /// In the order of [`Side::ALL`].
    pub(super) of: [u32; 3],
    /// Whether rules differ, or are not in whole percents.
    pub(super) is_mixed: bool,
}

impl Shares {
    pub(super) fn of(self, side: Side) -> u32 {
        let at = Side::ALL.iter().position(|one| *one == side);
        at.map_or(0, |at| self.of[at])
    }

    /// Whether a release has exactly so much, and another one the rest.
    pub(super) fn is(self, split: Split) -> bool {
        !self.is_mixed && Side::ALL.into_iter().all(|side| self.of(side) == split.weight_of(side))
    }
}

/// How traffic is to be shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Split {
    /// A release.
    pub(super) to: Side,
    /// How much it gets, in percent.
    pub(super) weight: u32,
    /// Which one has the rest.
    pub(super) rest: Option<Side>,
}

impl Split {
    /// All of it.
    pub(super) fn all(to: Side) -> Self {
        Self { to, weight: 100, rest: None }
    }

    /// What a release has then.
    pub(super) fn weight_of(self, side: Side) -> u32 {
        if side == self.to {
            self.weight
        } else if Some(side) == self.rest {
            100 - self.weight
        } else {
            0
        }
    }
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The release that the goal renders to is to be brought up.
    Install(Side),
    /// Traffic is to be shared like this.
    Shift(Split),
    /// What a release is to the instance has changed.
    Mark { side: Side, mark: Mark },
    /// A release goes; it may be that it was given up.
    Remove { side: Side, given_up: Option<String> },
    /// Nothing, before time passes or something gets healthy.
    Wait { side: Side, on: On, until: Timestamp },
    /// The instance is there. Until then another release is kept.
    Done { active: Side, kept: Option<(Side, Timestamp)> },
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
        active => view.bring(active.map(|(side, _)| side)),
    }
}

impl View<'_> {
    fn side(&self, side: Side) -> Option<&Beside> {
        self.there.iter().find(|(one, _)| *one == side).map(|(_, beside)| beside)
    }

    fn is_at_goal(&self, side: Side) -> bool {
        self.side(side).is_some_and(|one| match self.goal {
            Goal::Digest(digest) => one.digest.as_ref() == Some(digest),
            Goal::Side(goal) => side == goal,
        })
    }

    /// The instance is at the goal: what is not of it goes, each in its time.
    fn settle(&self, active: Side, since: Timestamp) -> Next {
        if !self.side(active).is_some_and(|one| one.is_deployed) {
            return Next::Install(active);
        }
        if !self.shares.is(Split::all(active)) {
            return Next::Shift(Split::all(active));
        }
        let mut kept = None;
        for (side, other) in self.there.iter().filter(|(side, _)| *side != active) {
            match other.mark {
                // The one from before the strategy has no mark.
                Some(Mark::Active { .. }) => return self.keep(*side, since),
                None if *side == Side::Plain => return self.keep(*side, since),
                Some(Mark::Kept { until, .. }) if until > self.now => kept = Some((*side, until)),
                _ => return Next::Remove { side: *side, given_up: None },
            }
        }
        Next::Done { active, kept }
    }

    fn keep(&self, side: Side, since: Timestamp) -> Next {
        Next::Mark { side, mark: Mark::Kept { since, until: after(since, self.keep_for) } }
    }

    /// The instance is elsewhere, or nowhere.
    fn bring(&self, active: Option<Side>) -> Next {
        let side = self.target();
        let third = self.there.iter().find(|(one, _)| *one != side && Some(*one) != active);
        if let Some((third, _)) = third {
            return self.vacate(*third, active, None);
        }
        let Some(one) = self.side(side) else { return self.install(side, active) };
        match &one.mark {
            Some(Mark::GivenUp { reason, .. }) => self.vacate(side, active, Some(reason.clone())),
            // All of the traffic has reached it; only the word of it is missing.
            Some(Mark::Trial { .. })
                if active.is_none()
                    && !self.is_at_goal(side)
                    && self.shares.is(Split::all(side)) =>
            {
                Next::Mark { side, mark: Mark::Active { since: self.now } }
            }
            _ if !self.is_at_goal(side) => self.vacate(side, active, None),
            _ if !one.is_deployed => self.install(side, active),
            Some(Mark::Trial { step, since, lost_at, returns }) => {
                let trial =
                    Trial { step: *step, since: *since, lost_at: *lost_at, returns: *returns };
                self.go_on(side, one, active, trial)
            }
            None | Some(Mark::Active { .. } | Mark::Kept { .. }) => {
                // At a first installation there is nothing that steps could spare.
                let returns = self.at_once || active.is_none() || one.mark.is_some();
                marked(side, Trial { step: 0, since: self.now, lost_at: Some(self.now), returns })
            }
        }
    }

    /// The release that becomes what the instance is at, or is to make room for it.
    pub(super) fn target(&self) -> Side {
        if let Goal::Side(side) = self.goal {
            return side;
        }
        let active = self.active.map(|(side, _)| side);
        let sides =
            || self.there.iter().map(|(side, _)| *side).filter(|side| Some(*side) != active);
        let at_goal = sides().find(|side| self.is_at_goal(*side));
        let beside = active.map(|active| Side::Of(active.next()));
        at_goal.or(beside).or_else(|| sides().next()).unwrap_or(Side::Of(Slot::Blue))
    }

    /// The releases that traffic moves between.
    pub(super) fn between(&self) -> BTreeSet<Side> {
        let active = self.active.map(|(side, _)| side);
        let target = active.filter(|side| self.is_at_goal(*side)).unwrap_or_else(|| self.target());
        active.into_iter().chain([target]).collect()
    }

    /// The release on its way to the goal, with what must hold of it at the step that it is at.
    pub(super) fn on_trial(&self) -> Option<(Side, Vec<HealthCheck>)> {
        let (side, one) = self.there.iter().find(|(side, one)| {
            self.is_at_goal(*side)
                && one.is_deployed
                && matches!(one.mark, Some(Mark::Trial { .. }))
        })?;
        let Some(Mark::Trial { step, returns, .. }) = one.mark else { return None };
        let way = self.way_of(returns);
        let checks = way.get(step.min(way.len().saturating_sub(1)));
        Some((*side, checks.map(|step| step.checks.clone()).unwrap_or_default()))
    }

    /// A release is brought up, while all of the traffic is elsewhere.
    fn install(&self, side: Side, active: Option<Side>) -> Next {
        self.back_at(active).unwrap_or(Next::Install(side))
    }

    /// A release goes, once it has no traffic.
    fn vacate(&self, side: Side, active: Option<Side>, given_up: Option<String>) -> Next {
        self.back_at(active).unwrap_or(Next::Remove { side, given_up })
    }

    /// What gives the release all of the traffic that the instance is at, where it has not.
    fn back_at(&self, active: Option<Side>) -> Option<Next> {
        let split = Split::all(active?);
        (!self.shares.is(split)).then_some(Next::Shift(split))
    }

    /// A new release on its way.
    fn go_on(&self, side: Side, one: &Beside, active: Option<Side>, trial: Trial) -> Next {
        let way = self.way_of(trial.returns);
        let at = trial.step.min(way.len().saturating_sub(1));
        let Some(step) = way.get(at) else { return marked(side, trial) };
        if !one.health.is_ready() {
            return self.wait_for_health(side, one, active, trial);
        }
        let split = Split { to: side, weight: step.weight, rest: active };
        // Of a first installation's none there is nobody who has the rest.
        let is_there = self.shares.is(split) || at == 0 && active.is_none();
        match trial.lost_at {
            None if !is_there => marked(side, Trial { lost_at: Some(self.now), ..trial }),
            Some(_) if !is_there => Next::Shift(split),
            Some(_) => marked(side, Trial { since: self.now, lost_at: None, ..trial }),
            None => self.pass(side, trial, at, step, way.len()),
        }
    }

    fn pass(&self, side: Side, trial: Trial, at: usize, step: &TrafficStep, steps: usize) -> Next {
        let until = after(trial.since, step.soak.map_or(Duration::ZERO, |soak| soak.0));
        if self.now < until {
            let on = On::Soak { step: at, weight: step.weight };
            return Next::Wait { side, on, until };
        }
        if at + 1 == steps {
            return Next::Mark { side, mark: Mark::Active { since: self.takes_over_at() } };
        }
        marked(side, Trial { step: at + 1, lost_at: Some(self.now), ..trial })
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

    fn wait_for_health(
        &self,
        side: Side,
        one: &Beside,
        active: Option<Side>,
        trial: Trial,
    ) -> Next {
        let message = one.health.message.clone();
        let Some(lost_at) = trial.lost_at else {
            return marked(side, Trial { lost_at: Some(self.now), ..trial });
        };
        let condition = one.health.condition;
        let limit = match condition {
            Condition::Failed => Duration::ZERO,
            Condition::Stalled => STALLED_FOR.min(self.timeout),
            _ => self.timeout,
        };
        let until = after(lost_at, limit);
        if self.now < until {
            // One that makes more pods goes on with those that it has.
            let must_go_back = condition == Condition::Stalled || !one.can_serve;
            let back = self.back_at(active).filter(|_| must_go_back);
            return back.unwrap_or(Next::Wait { side, on: On::Health { message }, until });
        }
        let at = match trial.step {
            0 => String::new(),
            step => format!(" at step {step} of the traffic"),
        };
        let reason = match condition {
            Condition::Failed | Condition::Stalled => format!("not healthy{at}: {message}"),
            _ => format!(
                "not healthy{at} after {}: {message}",
                humantime::format_duration(self.timeout)
            ),
        };
        Next::Mark { side, mark: Mark::GivenUp { since: self.now, reason } }
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

fn marked(side: Side, trial: Trial) -> Next {
    let Trial { step, since, lost_at, returns } = trial;
    Next::Mark { side, mark: Mark::Trial { step, since, lost_at, returns } }
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
