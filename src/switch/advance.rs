//! The next decisions about a switch: a function of where it stands, of what was seen, and of the time.

use std::collections::BTreeMap;

use super::event::{Proof, SwitchEvent, SwitchEventKind as Kind};
use super::model::{Decision, Phase, Switch};
use super::observation::{HookOutcome, Observation, SideSeen};
use super::waiting::Waiting;
use crate::base::clock::{Timestamp, after};
use crate::base::ids::ClusterName;
use crate::fleet::model::Gate;
use crate::fleet::switch::OnSwitchFailure;
use crate::rollout::{GateSeen, Verdict};

/// What is older is no evidence.
pub const FRESH: std::time::Duration = std::time::Duration::from_mins(2);
/// No step makes more events.
const EVENTS_MAX: usize = 8;

/// What comes of a look.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The switch then.
    pub switch: Switch,
    /// To be put on record before anything is done.
    pub events: Vec<SwitchEvent>,
    /// The decision whose hook is to be run, again if it was. Whoever runs it tells what it said with the
    /// next observation.
    pub run: Option<Decision>,
    /// What it waits for; none once it has ended.
    pub waiting: Option<Waiting>,
    /// When time alone changes something.
    pub wake_at: Option<Timestamp>,
}

/// Advances a switch.
///
/// # Guarantees
/// The laws of [`super::laws`] hold on what it decides, whatever is observed. Without observations it
/// decides nothing but what time alone brings.
pub fn advance(switch: &Switch, seen: &Observation, now: Timestamp) -> Step {
    let mut step = Step {
        switch: switch.clone(),
        events: Vec::new(),
        run: None,
        waiting: None,
        wake_at: None,
    };
    for _ in 0..EVENTS_MAX {
        let next = Look { switch: &step.switch, seen, now }.next();
        match next {
            Next::Event(event) => {
                step.switch.take(&event);
                step.events.push(*event);
            }
            Next::Run(decision, waiting) => {
                step.run = Some(decision);
                step.waiting = Some(waiting);
                break;
            }
            Next::Wait(waiting) => {
                step.wake_at = wake_at(&waiting);
                step.waiting = Some(waiting);
                break;
            }
            Next::End => break,
        }
    }
    step
}

fn wake_at(waiting: &Waiting) -> Option<Timestamp> {
    match waiting {
        Waiting::Time { until, .. } => Some(*until),
        Waiting::Closed(closed) => closed.until,
        _ => None,
    }
}

/// What is next.
enum Next {
    Event(Box<SwitchEvent>),
    Run(Decision, Waiting),
    Wait(Waiting),
    End,
}

struct Look<'a> {
    switch: &'a Switch,
    seen: &'a Observation,
    now: Timestamp,
}

impl Look<'_> {
    fn next(&self) -> Next {
        let left = self.seen.left;
        if self.switch.phase.is_before() && (left.blue || left.green) {
            let name = if left.blue { &self.switch.blue } else { &self.switch.green };
            return self.event(Kind::Abandoned, Some(format!("{name} has left the pair")));
        }
        match &self.switch.phase {
            Phase::BringingUp => self.bringing_up(),
            Phase::Gates { since } => self.gates(*since),
            Phase::Stopped => self.decide_by_hand(),
            Phase::Switching { decision } => self.switching(decision),
            Phase::Failed { decision } => self.failed(decision),
            Phase::Draining { since } => self.draining(*since),
            Phase::Kept { since } => self.kept(*since),
            Phase::Done | Phase::Back | Phase::Abandoned => Next::End,
        }
    }

    fn event(&self, kind: Kind, reason: Option<String>) -> Next {
        let event = SwitchEvent::of(self.switch, kind, self.now);
        Next::Event(Box::new(SwitchEvent { reason, ..event }))
    }

    fn is_fresh(&self, observed_at: Timestamp) -> bool {
        observed_at <= self.now && after(observed_at, FRESH) >= self.now
    }

    /// What is wrong with a cluster, by a fresh look that was made after some time.
    fn health<'b>(
        &self,
        side: Option<&'b SideSeen>,
        since: Timestamp,
    ) -> Option<(Timestamp, Option<&'b String>)> {
        let side = side.filter(|side| self.is_fresh(side.observed_at))?;
        (side.observed_at >= since).then_some((side.observed_at, side.problem.as_ref()))
    }

    /// The time of the look that shows that a cluster is well.
    fn well(&self, side: Option<&SideSeen>, since: Timestamp) -> Option<Timestamp> {
        let (observed_at, problem) = self.health(side, since)?;
        problem.is_none().then_some(observed_at)
    }

    fn bringing_up(&self) -> Next {
        let parity = self.seen.parity.as_ref();
        let Some(parity) = parity.filter(|parity| self.is_fresh(parity.observed_at)) else {
            return self.look(&self.switch.green);
        };
        if !parity.lacks.is_empty() {
            let (lacks, is_by_git) = (parity.lacks.clone(), parity.is_by_git);
            return Next::Wait(Waiting::Parity { lacks, is_by_git });
        }
        self.event(Kind::ParityReached { observed_at: parity.observed_at }, None)
    }

    /// Parity was there since a time. What was asked before it does not count.
    fn gates(&self, since: Timestamp) -> Next {
        let parity = self.seen.parity.as_ref();
        let parity = parity
            .filter(|parity| self.is_fresh(parity.observed_at) && parity.observed_at >= since);
        if let Some(lack) = parity.and_then(|parity| parity.lacks.first()) {
            let observed_at = parity.map_or(since, |parity| parity.observed_at);
            return self.event(Kind::ParityLost { observed_at }, Some(lack.clone()));
        }
        let mut proof = Proof::default();
        let asked = self.switch.policy.gates.iter().filter_map(Gate::asked);
        let mut waits = None;
        for gate in asked {
            let seen = self.seen.gates.get(gate.name).filter(|seen| {
                let until = after(after(seen.observed_at, FRESH), gate.interval);
                seen.observed_at > since && seen.observed_at <= self.now && until >= self.now
            });
            let message = match seen {
                Some(GateSeen { observed_at, verdict: Verdict::Broken(reason), .. }) => {
                    let kind =
                        Kind::GateFailed { gate: gate.name.to_owned(), observed_at: *observed_at };
                    return self.event(kind, Some(format!("gate {}: {reason}", gate.name)));
                }
                Some(GateSeen { observed_at, verdict: Verdict::Holds(_), .. }) => {
                    proof.gates.insert(gate.name.to_owned(), *observed_at);
                    continue;
                }
                Some(GateSeen { verdict: Verdict::Unknown(reason), .. }) => reason.clone(),
                None => "is asked".to_owned(),
            };
            waits.get_or_insert(Waiting::Gate { gate: gate.name.to_owned(), message });
        }
        let (have, need) = (self.switch.approvals.len(), self.switch.approvals_needed());
        if have < need {
            waits.get_or_insert(Waiting::Approval { have, need });
        }
        if let Some(waits) = waits {
            return Next::Wait(waits);
        }
        if let Some(closed) = self.switch.policy.calendar().closed(self.now) {
            return Next::Wait(Waiting::Closed(closed));
        }
        let green = self.seen.green.as_ref();
        let (Some(parity), Some(well)) = (parity, self.well(green, since)) else {
            return self.look(&self.switch.green);
        };
        proof.parity = Some(parity.observed_at);
        proof.well = Some(well);
        let reason = "green is at parity, and every gate holds".to_owned();
        self.decide(&self.switch.green, proof, reason)
    }

    fn decide(&self, to: &ClusterName, proof: Proof, reason: String) -> Next {
        let number = self.switch.decisions + 1;
        self.event(Kind::Decided { number, to: to.clone(), by: None, proof }, Some(reason))
    }

    fn switching(&self, decision: &Decision) -> Next {
        let hook = self.seen.hook.as_ref().filter(|hook| hook.number == decision.number);
        let number = decision.number;
        let message = match hook.map(|hook| &hook.outcome) {
            Some(HookOutcome::Done(told)) => {
                return self.event(Kind::HookDone { number }, Some(told.clone()));
            }
            Some(HookOutcome::Failed(reason)) => {
                return self.event(Kind::HookFailed { number }, Some(reason.clone()));
            }
            Some(HookOutcome::Open(message)) => message.clone(),
            None => "the hook is run".to_owned(),
        };
        let waiting = Waiting::Hook { to: decision.to.clone(), message };
        if decision.to == self.switch.blue {
            return Next::Run(decision.clone(), waiting);
        }
        // Between the decision and the hook there may have been a long night.
        match self.health(self.seen.green.as_ref(), decision.at) {
            Some((_, None)) => Next::Run(decision.clone(), waiting),
            Some((_, Some(problem))) => {
                let reason = format!("{} is not well: {problem}", self.switch.green);
                self.go_back(decision.at, reason)
            }
            None => self.look(&self.switch.green),
        }
    }

    fn failed(&self, decision: &Decision) -> Next {
        let reason = self.switch.reason.clone().unwrap_or_default();
        let reason = format!("the hook to {} has failed: {reason}", decision.to);
        if decision.to == self.switch.green {
            return self.go_back(decision.at, reason);
        }
        Next::Wait(Waiting::Decision { reason })
    }

    /// Back to blue by policy, where that was seen to be well since a time.
    fn go_back(&self, since: Timestamp, reason: String) -> Next {
        if self.switch.policy.on_failure == OnSwitchFailure::Stay {
            return Next::Wait(Waiting::Decision { reason });
        }
        let blue = &self.switch.blue;
        match self.health(self.seen.blue.as_ref(), since) {
            Some((observed_at, None)) => {
                let proof = Proof { well: Some(observed_at), ..Proof::default() };
                self.decide(blue, proof, reason)
            }
            Some((_, Some(problem))) => {
                let message = format!("{problem}; traffic would go back, since {reason}");
                Next::Wait(Waiting::Health { cluster: blue.clone(), message })
            }
            None => self.look(blue),
        }
    }

    fn draining(&self, since: Timestamp) -> Next {
        if self.seen.left.blue {
            return self.without_blue();
        }
        let until = after(since, self.switch.policy.drain());
        let Some((observed_at, problem)) = self.health(self.seen.green.as_ref(), since) else {
            return self.look(&self.switch.green);
        };
        match (problem, self.switch.unwell_since) {
            (Some(problem), None) => {
                self.event(Kind::Unwell { observed_at }, Some(problem.clone()))
            }
            (Some(problem), Some(unwell_since)) => {
                let fails_at = after(unwell_since, self.switch.policy.fail_after());
                let reason = format!("{} is not well: {problem}", self.switch.green);
                if observed_at >= fails_at {
                    return self.go_back(since, reason);
                }
                let cluster = self.switch.green.clone();
                Next::Wait(Waiting::Health { cluster, message: problem.clone() })
            }
            (None, Some(_)) => self.event(Kind::Well { observed_at }, None),
            (None, None) if observed_at >= until => self.event(Kind::Drained { observed_at }, None),
            (None, None) => Next::Wait(Waiting::Time { until, is_drain: true }),
        }
    }

    fn kept(&self, since: Timestamp) -> Next {
        let blue = &self.switch.blue;
        if self.seen.left.blue {
            return self.without_blue();
        }
        let until = after(since, self.switch.policy.keep());
        if self.now >= until {
            let reason = format!("{blue} can be removed from git: it has served its time");
            return self.event(Kind::Done { has_left: false }, Some(reason));
        }
        Next::Wait(Waiting::Time { until, is_drain: false })
    }

    fn without_blue(&self) -> Next {
        let reason = format!("{} has left the pair", self.switch.blue);
        self.event(Kind::Done { has_left: true }, Some(reason))
    }

    fn decide_by_hand(&self) -> Next {
        let reason = self.switch.reason.clone().unwrap_or_default();
        Next::Wait(Waiting::Decision { reason })
    }

    fn look(&self, cluster: &ClusterName) -> Next {
        let side = if *cluster == self.switch.blue { &self.seen.blue } else { &self.seen.green };
        let what = match side.as_ref().and_then(|side| side.problem.as_ref()) {
            Some(problem) => format!("{cluster}: {problem}"),
            None => cluster.to_string(),
        };
        Next::Wait(Waiting::Look { what })
    }
}

/// The gates of a policy that ask somebody else, with how often.
pub fn gates_due<'a>(
    switch: &'a Switch,
    known: &BTreeMap<String, GateSeen>,
    now: Timestamp,
) -> Vec<&'a Gate> {
    let Phase::Gates { since } = switch.phase else { return Vec::new() };
    let is_due = |gate: &&Gate| {
        let Some(asked) = gate.asked() else { return false };
        let Some(known) = known.get(asked.name) else { return true };
        known.observed_at <= since
            || known.observed_at > now
            || after(known.observed_at, asked.interval) <= now
    };
    switch.policy.gates.iter().filter(is_due).collect()
}
