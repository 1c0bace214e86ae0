//! One step of all rollouts of a train: each makes its part of it in the state that the others have
//! got to.

use super::{Advance, Phase, Together, Turn};
use crate::base::clock::Timestamp;
use crate::base::planted::{Planted, is_planted};
use crate::rollout::event::{Event, EventKind};
use crate::rollout::model::Rollout;
use crate::rollout::observation::Observation;

/// See [`super::advance_together`].
pub(super) fn conduct(rollouts: &[(&Rollout, &Observation)], now: Timestamp) -> Together {
    let turns = rollouts.iter().map(|(rollout, seen)| Turn::new(rollout, seen, now)).collect();
    let mut conductor = Conductor { turns, events: Vec::new() };
    conductor.go();
    conductor.each(Turn::explain);
    let parts = conductor.turns.into_iter().map(|turn| Advance {
        rollout: std::rc::Rc::unwrap_or_clone(turn.rollout),
        events: turn.events,
        decisions: turn.decisions,
        waiting: turn.waiting,
        wake_at: turn.wake_at,
    });
    Together { parts: parts.collect(), events: conductor.events }
}

struct Conductor<'a> {
    turns: Vec<Turn<'a>>,
    events: Vec<Event>,
}

impl<'a> Conductor<'a> {
    /// Has each do something, one after the other.
    fn each<T>(&mut self, mut act: impl FnMut(&mut Turn<'a>) -> T) -> Vec<T> {
        let mut made = Vec::new();
        for index in 0..self.turns.len() {
            let others = self.turns.iter().enumerate().filter(|(other, _)| *other != index);
            let others = others.map(|(_, other)| (std::rc::Rc::clone(&other.rollout), other.seen));
            let others = others.collect();
            let turn = &mut self.turns[index];
            turn.others = others;
            let known = turn.events.len();
            made.push(act(turn));
            turn.others.clear();
            self.events.extend_from_slice(&turn.events[known..]);
        }
        made
    }

    fn go(&mut self) {
        let is_forward = |turn: &Turn<'_>| {
            matches!(
                turn.rollout.phase,
                Phase::Running | Phase::Paused { .. } | Phase::Stopped { .. }
            )
        };
        if !self.turns.is_empty() && self.turns.iter().all(is_forward) {
            self.forward();
        } else {
            self.back();
        }
    }

    fn is_held(&self) -> bool {
        self.turns.iter().any(|turn| turn.rollout.is_held())
    }

    fn forward(&mut self) {
        loop {
            if self.turns.iter().all(|turn| turn.stage().is_none()) {
                if !self.is_held() {
                    self.each(|turn| turn.emit(EventKind::RolloutCompleted, None, None));
                }
                return;
            }
            if !self.is_held() {
                if self.turns.iter().all(Turn::has_nothing_left) {
                    self.each(Turn::pass_stage);
                    continue;
                }
                self.each(Turn::begin_stage);
            }
            self.each(Turn::look);
            if self.stop_if(Turn::too_many_failures) || self.stop_if(Turn::broken_gate) {
                return;
            }
            if self.is_held() {
                return;
            }
            self.each(Turn::begin_members);
            if self.stop_if(Turn::nothing_is_shown) {
                return;
            }
            let ready = self.each(Turn::is_ready);
            if is_planted(Planted::TrainApart) {
                let mut ready = ready.iter();
                self.each(|turn| {
                    if ready.next() == Some(&true) && turn.stage().is_some() {
                        turn.pass_stage();
                    }
                });
                return;
            }
            if ready.contains(&false) {
                return;
            }
            self.each(Turn::pass_stage);
        }
    }

    /// Stops all when one has a reason to. Tells whether it did.
    fn stop_if(&mut self, why: fn(&mut Turn<'a>) -> Option<String>) -> bool {
        let reasons = self.each(why);
        let found = reasons.into_iter().enumerate().find_map(|(at, why)| Some((at, why?)));
        let Some((at, reason)) = found else { return false };
        let addon = self.turns[at].rollout.addon().clone();
        let goes_back = self.each(|turn| {
            let is_own = *turn.rollout.addon() == addon;
            turn.stop(if is_own {
                reason.clone()
            } else {
                format!("{addon} of its train: {reason}")
            })
        });
        if goes_back.contains(&true) {
            self.back();
        }
        true
    }

    fn back(&mut self) {
        self.each(|turn| {
            if matches!(turn.rollout.phase, Phase::GoingBack { .. }) {
                turn.back();
            }
        });
    }
}
