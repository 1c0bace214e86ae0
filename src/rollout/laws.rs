//! The laws, checked on a log: whoever wrote it.

use std::collections::BTreeMap;

use super::approval::Approving;
use super::event::{Event, EventKind};
use super::model::{MemberState, Phase, Rollout, RolloutId};
use super::observation::Evidence;
use super::stages::allowed;
use super::train::Whole;

/// A law that a log breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The number of the law, as `docs/concepts.md` has them.
    pub law: u8,
    /// Where in the log.
    pub index: usize,
    /// What is wrong.
    pub what: String,
}

/// Checks the log of one rollout, or of several in the order in which they were written: laws 1, 2, 5 and
/// 11, and that nothing follows their end. Of a train of which not every log is there, what its addons
/// have in common is not judged.
pub fn check(log: &[Event]) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut rollouts: BTreeMap<RolloutId, Rollout> = BTreeMap::new();
    for (index, event) in log.iter().enumerate() {
        let broken = match rollouts.get(&event.rollout) {
            Some(rollout) => check_next(&Whole::of(rollout, rollouts.values()), event),
            None => match super::event::fold([event]) {
                Some(begun) => {
                    rollouts.insert(begun.id.clone(), begun);
                    continue;
                }
                None => vec![(8, "does not begin with its start".to_owned())],
            },
        };
        found.extend(broken.into_iter().map(|(law, what)| Violation { law, index, what }));
        if let Some(rollout) = rollouts.get_mut(&event.rollout) {
            rollout.take(event);
        }
    }
    found
}

/// The laws that one more event breaks, in the state before it: their numbers, and what is wrong.
pub fn check_next(whole: &Whole<'_>, event: &Event) -> Vec<(u8, String)> {
    let Some(rollout) = whole.rollouts().next() else { return Vec::new() };
    let mut found = Vec::new();
    if rollout.phase.is_ended() && !matches!(event.kind, EventKind::RolloutRetried { .. }) {
        found.push((8, format!("{:?} after the end", event.kind)));
    }
    match &event.kind {
        EventKind::InstanceStarted { .. } => found.extend(check_start(whole, rollout, event)),
        EventKind::InstanceHealthy { observed_at } | EventKind::InstanceSoaked { observed_at } => {
            found.extend(check_evidence(rollout, event, *observed_at).map(|what| (5, what)));
            found.extend(check_soak(rollout, event).map(|what| (1, what)));
        }
        EventKind::GatePassed { gate, observed_at: Some(at), evidence }
        | EventKind::GateFailed { gate, observed_at: at, evidence } => {
            let changed_at = whole.changed_at();
            if changed_at.is_none_or(|changed_at| *at <= changed_at) {
                found.push((5, format!("gate {gate} is judged by an answer of {at}")));
            }
            let is_old = |evidence: &Evidence| !changed_at.is_some_and(|at| evidence.is_after(at));
            if evidence.as_deref().is_some_and(is_old) {
                found
                    .push((5, format!("gate {gate} is judged by evidence from before the change")));
            }
        }
        EventKind::GateApproved { how: Approving { plan: Some(plan), .. }, .. } => {
            let present = rollout.plan();
            if *plan != present {
                found.push((1, format!("plan {plan} is approved, and {present} goes on")));
            }
        }
        EventKind::StagePassed => {
            let (have, need) = rollout.approvals();
            if have < need {
                found.push((1, format!("stage {} passed by {have} of {need}", rollout.stage)));
            }
            let open = unproven(rollout);
            if !open.is_empty() {
                found.push((1, format!("stage {} passed without {open:?}", rollout.stage)));
            }
            for other in whole.others().filter(|other| other.stage == rollout.stage) {
                let open = unproven(other);
                if !open.is_empty() {
                    let (stage, addon) = (rollout.stage, other.addon());
                    let what = format!("stage {stage} passed without {addon}: {open:?}");
                    found.push((1, what));
                }
            }
            let is_empty = rollout.changing(rollout.stage).next().is_none();
            if rollout.is_followed() && !is_empty && !rollout.is_shown() {
                found.push((1, format!("stage {} passed, and showed nothing", rollout.stage)));
            }
        }
        _ => {}
    }
    found
}

fn check_start(whole: &Whole<'_>, rollout: &Rollout, event: &Event) -> Vec<(u8, String)> {
    let mut found = Vec::new();
    let Some(cluster) = &event.cluster else { return vec![(1, "starts nothing".to_owned())] };
    let stage = rollout.members.get(cluster).and_then(|member| member.stage);
    if stage != Some(rollout.stage) {
        found.push((1, format!("{cluster} of stage {stage:?} starts in stage {}", rollout.stage)));
    }
    if rollout.phase != Phase::Running {
        found.push((2, format!("{cluster} starts while it is {}", rollout.phase.word())));
    }
    let stage = rollout.present_stage();
    let closed = stage.and_then(|stage| rollout.policy.calendar(stage).closed(event.at));
    if let Some(closed) = closed {
        found.push((11, format!("{cluster} starts {}", closed.reason)));
    }
    let behind = whole.others().find(|other| other.stage < rollout.stage);
    if let Some(other) = behind {
        let (ahead, stage) = (rollout.stage, other.stage);
        let what =
            format!("{cluster} of stage {ahead} starts, and {} is in {stage}", other.addon());
        found.push((1, what));
    }
    if !whole.is_whole() {
        return found;
    }
    let in_flight = whole.in_flight();
    let policy = rollout.present_stage();
    let batch = policy.and_then(|stage| stage.batch.as_ref());
    let allowed = allowed(batch, whole.clusters().len());
    if in_flight.len() >= allowed && !in_flight.contains(cluster) {
        let in_flight = in_flight.len();
        found.push((2, format!("{cluster} starts with {in_flight} of {allowed} in flight")));
    }
    let failures = whole.failures().len();
    if whole.failures_max().is_some_and(|max| failures >= max) {
        found.push((2, format!("{cluster} starts after {failures} failures")));
    }
    found
}

fn check_evidence(
    rollout: &Rollout,
    event: &Event,
    observed_at: crate::base::clock::Timestamp,
) -> Option<String> {
    let cluster = event.cluster.as_ref()?;
    let state = &rollout.members.get(cluster)?.state;
    match state {
        MemberState::Moving { applied_at: Some(at), .. }
        | MemberState::Healthy { applied_at: at, .. }
            if observed_at > *at =>
        {
            None
        }
        state => Some(format!("{cluster} in {state:?} by evidence of {observed_at}")),
    }
}

/// A member that counts as soaked before its time.
fn check_soak(rollout: &Rollout, event: &Event) -> Option<String> {
    let EventKind::InstanceSoaked { observed_at } = event.kind else { return None };
    let cluster = event.cluster.as_ref()?;
    let member = rollout.members.get(cluster)?;
    let MemberState::Healthy { since, .. } = member.state else { return None };
    let stage = member.stage.filter(|stage| !rollout.is_promoted(*stage))?;
    let soak = rollout.policy.stages.get(stage)?.soak?;
    let until = crate::base::clock::after(since, soak.0);
    (observed_at < until).then(|| format!("{cluster} has soaked at {observed_at}, not at {until}"))
}

/// Members of the present stage that are neither proven nor counted as failed or left out.
fn unproven(rollout: &Rollout) -> BTreeMap<String, &'static str> {
    let is_open =
        |state: &MemberState| !matches!(state, MemberState::Soaked { .. }) && !state.is_over();
    rollout
        .changing(rollout.stage)
        .filter(|(_, member)| is_open(&member.state))
        .map(|(name, member)| (name.to_string(), member.state.word()))
        .collect()
}
