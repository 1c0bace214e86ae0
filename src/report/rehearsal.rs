//! A rehearsed rollout: its timeline, and what came of it.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::paint::Paint;
use super::rollout::told;
use crate::base::clock::{Timestamp, moment};
use crate::base::diagnostic::few;
use crate::base::ids::ClusterName;
use crate::rollout::rehearsal::{Behaviour, Rehearsed};
use crate::rollout::{Event, EventKind, Phase, WaitingOn};

/// All rollouts, one below the other, with times since the start.
pub fn text(rehearsed: &[Rehearsed], behaviour: &Behaviour, is_coloured: bool) -> String {
    let paint = Paint { is_coloured };
    if rehearsed.is_empty() {
        return "no rollout would start\n".to_owned();
    }
    let mut text = String::new();
    for one in rehearsed {
        let rollout = &one.rollout;
        let policy = rollout
            .policy_name
            .as_ref()
            .map_or_else(|| "without a policy".to_owned(), |name| format!("by policy {name}"));
        let train = super::rollout::train(rollout);
        let clusters = rollout.changing_count();
        let title = format!("{}: {clusters} clusters {policy}{train}", rollout.addon());
        let _ = writeln!(text, "{}", paint.strong(&title));
        let start = format!("from {} on", moment(behaviour.start));
        let _ = writeln!(text, "  {}", paint.faint(&start));
        for line in lines(&one.log) {
            let stage = line.first.stage.as_deref().unwrap_or_default();
            let since = since(line.first.at, behaviour.start);
            let _ = writeln!(text, "  {since:>9}  {stage:<9} {}", line.told(paint));
        }
        let _ = writeln!(text, "  {}\n", paint.strong(&outcome(one)));
    }
    text
}

/// Events of one kind at one time are one line.
struct Line<'a> {
    first: &'a Event,
    clusters: Vec<&'a ClusterName>,
}

/// The events that say how it goes: those of single attempts are left out.
fn lines(log: &[Event]) -> Vec<Line<'_>> {
    let is_shown = |event: &&Event| {
        !matches!(
            event.kind,
            EventKind::RolloutStarted { .. }
                | EventKind::InstanceApplied { .. }
                | EventKind::InstanceReverted { .. }
                | EventKind::InstanceHealthy { .. }
                | EventKind::InstanceSoaked { .. }
                | EventKind::GatePassed { .. }
                | EventKind::StageStarted
        )
    };
    let mut lines: Vec<Line<'_>> = Vec::new();
    for event in log.iter().filter(is_shown) {
        let same = |line: &&mut Line<'_>| {
            let first = line.first;
            event.cluster.is_some()
                && (first.at, first.kind.name(), &first.stage, &first.reason)
                    == (event.at, event.kind.name(), &event.stage, &event.reason)
        };
        match (lines.last_mut().filter(same), &event.cluster) {
            (Some(line), Some(cluster)) => line.clusters.push(cluster),
            _ => lines.push(Line { first: event, clusters: event.cluster.iter().collect() }),
        }
    }
    lines
}

impl Line<'_> {
    fn told(&self, paint: Paint) -> String {
        let names: Vec<&str> = self.clusters.iter().map(|name| name.as_str()).collect();
        let place = match names.len() {
            0 => String::new(),
            1..4 => format!(" on {}", few(&names)),
            count => format!(" on {count} clusters: {}", few(&names)),
        };
        let what = format!("{}{place}", told(self.first));
        let what = match &self.first.reason {
            Some(reason) => format!("{what}: {reason}"),
            None => what,
        };
        match self.first.kind {
            EventKind::InstanceFailed
            | EventKind::InstanceStuck
            | EventKind::RolloutStopped { .. } => paint.removed(&what),
            EventKind::StagePassed | EventKind::RolloutCompleted => paint.added(&what),
            _ => what,
        }
    }
}

/// What came of it, in one line.
fn outcome(one: &Rehearsed) -> String {
    let rollout = &one.rollout;
    let took = since(one.ended_at(), rollout.started_at);
    let (reached, all) = (one.reached.len(), rollout.changing_count());
    match &rollout.phase {
        Phase::Completed if one.bad.is_empty() => {
            format!("completed after {took}: {reached} of {all} clusters have it")
        }
        Phase::Completed => format!(
            "completed after {took}: {reached} of {all} clusters have it, and it is bad on {} of \
             them: nothing stopped it",
            one.bad.len()
        ),
        Phase::RolledBack { .. } => {
            let stopped = one.stopped().map_or(one.ended_at(), |event| event.at);
            let stopped = since(stopped, rollout.started_at);
            format!(
                "stopped after {stopped}: it had reached {reached} of {all} clusters; back where it \
                 was after {took}"
            )
        }
        _ => {
            let waits = one.waiting.values().find(|waits| waits.is_held());
            // What holds the present stage holds all others.
            let is_later = |waits: &&WaitingOn| {
                matches!(waits, WaitingOn::EarlierStage { .. } | WaitingOn::Stage)
            };
            let waits = waits.or_else(|| one.waiting.values().find(|waits| !is_later(waits)));
            let waits = waits.or_else(|| one.waiting.values().next());
            let waits = waits.map_or_else(|| rollout.phase.word().to_owned(), ToString::to_string);
            format!("does not end: {reached} of {all} clusters have it; it waits for {waits}")
        }
    }
}

/// As JSON.
pub fn json(one: &Rehearsed) -> Json {
    let rollout = &one.rollout;
    let seconds = |at: Timestamp| at.duration_since(rollout.started_at).as_secs();
    json!({
        "addon": rollout.addon(),
        "policy": rollout.policy_name,
        "train": rollout.train,
        "phase": rollout.phase.word(),
        "startedAt": rollout.started_at,
        "endedAt": one.ended_at(),
        "seconds": seconds(one.ended_at()),
        "stoppedAfterSeconds": one.stopped().map(|event| seconds(event.at)),
        "clusters": rollout.changing_count(),
        "reached": one.reached,
        "bad": one.bad,
        "waiting": one.waiting,
        "events": one.log,
    })
}

/// `2h 05m`; seconds are told within the first ten minutes.
fn since(at: Timestamp, start: Timestamp) -> String {
    let seconds = at.duration_since(start).as_secs().max(0).unsigned_abs();
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    match (hours, minutes) {
        (0, 0..10) => format!("{minutes}m {:02}s", seconds % 60),
        (0, minutes) => format!("{minutes}m"),
        (0..48, minutes) => format!("{hours}h {minutes:02}m"),
        (hours, _) => format!("{}d {:02}h", hours / 24, hours % 24),
    }
}
