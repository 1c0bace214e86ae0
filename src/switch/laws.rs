//! The laws, checked on a log: whoever wrote it.
//!
//! 1. Traffic is switched to green only from the gates, by evidence of parity and of health that is fresh and
//!    of the time since parity was reached, with every gate held since then and enough approvals, in a window.
//! 2. One decision about a pair's traffic is open at a time, and each has the next number: a hook's result
//!    counts for the newest one only.
//! 3. Traffic goes back by itself only while it is on its way or green is watched, and only to a blue that was
//!    seen to be well.
//! 4. What has ended stays so, unless somebody says to try again.
//! 5. Blue is drained only with green seen to be well at the end of it, and kept for as long as the policy says.

use super::advance::FRESH;
use super::event::{SwitchEvent, SwitchEventKind as Kind, Switches};
use super::model::{Phase, Switch};
use crate::base::clock::{Timestamp, after};
use crate::fleet::model::Gate;

/// Checks a log.
pub fn check(log: &[SwitchEvent]) -> Vec<String> {
    let mut state = Switches::default();
    let mut found = Vec::new();
    for (index, event) in log.iter().enumerate() {
        let broken = check_next(&state, event).into_iter();
        found.extend(broken.map(|what| format!("entry {}: {what}", index + 1)));
        state.take(event);
    }
    found
}

/// What one more event breaks, in the state before it.
pub fn check_next(state: &Switches, event: &SwitchEvent) -> Vec<String> {
    let Some(id) = &event.switch else { return Vec::new() };
    let pair = state.pairs.get(&event.pair);
    if let Kind::Started { blue, green, .. } = &event.kind {
        let pair = pair.cloned().unwrap_or_default();
        let mut found = Vec::new();
        if pair.serving.as_ref() != Some(blue) {
            found.push(format!("2: {blue} does not serve"));
        }
        if blue == green || pair.switches.iter().any(|switch| !switch.phase.is_ended()) {
            found.push("2: another switch of the pair is under way".to_owned());
        }
        return found;
    }
    let Some(switch) = pair.and_then(|pair| pair.switches.iter().find(|one| one.id == *id)) else {
        return vec![format!("4: switch {id} has not begun")];
    };
    of_switch(switch, event)
}

fn of_switch(switch: &Switch, event: &SwitchEvent) -> Vec<String> {
    let mut found = Vec::new();
    let phase = &switch.phase;
    if phase.is_ended() && !(matches!(event.kind, Kind::Retried { .. }) && *phase == Phase::Back) {
        found.push(format!("4: {} once it is {}", event.kind.name(), phase.word()));
    }
    match &event.kind {
        Kind::Decided { number, to, .. } => {
            if *number != switch.decisions + 1 {
                found.push(format!("2: decision {number} after {}", switch.decisions));
            }
            if *to == switch.green {
                found.extend(to_green(switch, event).map(|what| format!("1: {what}")));
            } else if *to == switch.blue {
                found.extend(to_blue(switch, event).map(|what| format!("3: {what}")));
            } else {
                found.push(format!("1: {to} is none of the pair"));
            }
        }
        Kind::HookDone { number } | Kind::HookFailed { number } => {
            let is_open =
                matches!(phase, Phase::Switching { decision } if decision.number == *number);
            if !is_open {
                found.push(format!("2: decision {number} is not the open one"));
            }
        }
        Kind::ParityReached { observed_at } if !is_fresh(*observed_at, event.at) => {
            found.push("1: parity by an old look".to_owned());
        }
        Kind::Drained { observed_at } => {
            let is_over = matches!(phase, Phase::Draining { since }
                if after(*since, switch.policy.drain()) <= *observed_at);
            if !is_over || switch.unwell_since.is_some() {
                found.push("5: drained before its time".to_owned());
            }
        }
        Kind::Done { has_left: false } => {
            let is_over = matches!(phase, Phase::Kept { since }
                if after(*since, switch.policy.keep()) <= event.at);
            if !is_over {
                found.push("5: done before its time".to_owned());
            }
        }
        _ => {}
    }
    found
}

fn is_fresh(observed_at: Timestamp, at: Timestamp) -> bool {
    observed_at <= at && after(observed_at, FRESH) >= at
}

/// What speaks against traffic to green.
fn to_green(switch: &Switch, event: &SwitchEvent) -> Option<String> {
    let Kind::Decided { proof, by, .. } = &event.kind else { return None };
    let Phase::Gates { since } = switch.phase else {
        return Some(format!("to green while it is {}", switch.phase.word()));
    };
    let is_shown =
        |at: Option<Timestamp>| at.is_some_and(|at| is_fresh(at, event.at) && at >= since);
    if by.is_some() || !is_shown(proof.parity) || !is_shown(proof.well) {
        return Some("to green without fresh evidence of parity and health".to_owned());
    }
    let mut asked = switch.policy.gates.iter().filter_map(Gate::asked);
    let open = asked.find(|gate| proof.gates.get(gate.name).is_none_or(|at| *at <= since));
    if let Some(open) = open {
        return Some(format!("to green without gate {}", open.name));
    }
    if switch.approvals.len() < switch.approvals_needed() {
        return Some("to green without approval".to_owned());
    }
    let closed = switch.policy.calendar().closed(event.at);
    closed.map(|closed| format!("to green {}", closed.reason))
}

/// What speaks against traffic to blue.
fn to_blue(switch: &Switch, event: &SwitchEvent) -> Option<String> {
    let Kind::Decided { proof, by, .. } = &event.kind else { return None };
    let is_possible = match &switch.phase {
        Phase::Switching { decision } => decision.to == switch.green,
        Phase::Failed { .. } | Phase::Draining { .. } => true,
        Phase::Kept { .. } => by.is_some(),
        _ => false,
    };
    if !is_possible {
        return Some(format!("back while it is {}", switch.phase.word()));
    }
    let is_well = by.is_some() || proof.well.is_some_and(|at| is_fresh(at, event.at));
    (!is_well).then(|| "back by itself to a cluster that was not seen to be well".to_owned())
}
