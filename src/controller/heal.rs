//! Drift: what somebody has changed is brought back to what the instance is at, and releases that
//! moved to another name are taken off where they were.

use std::sync::Arc;
use std::time::Duration;

use super::attempt::{Done, Task};
use super::head::Head;
use super::observe::is_in_rollout;
use super::tick::Reconciler;
use super::wishes::{Looks, moved_away};
use crate::base::clock::{Timestamp, after};
use crate::base::ids::InstanceKey;
use crate::base::planted::{Planted, is_planted};
use crate::fleet::model::DriftPolicy;
use crate::live::drift;
use crate::rollout::{AttemptResult, Rollout};

/// The longest pause between heals that are refused.
const PAUSE_MAX: Duration = Duration::from_hours(1);

/// Heals of one instance that were refused one after the other, such as for a field that another
/// controller declares.
#[derive(Clone, Copy, Debug)]
pub(super) struct RefusedHeals {
    pub(super) count: u32,
    pub(super) last: Timestamp,
}

impl RefusedHeals {
    /// When it is tried again: after pauses that double.
    fn not_before(self, resync: Duration) -> Timestamp {
        let pause = resync.saturating_mul(1 << self.count.min(16)).min(PAUSE_MAX.max(resync));
        after(self.last, pause)
    }
}

impl Reconciler {
    /// Remembers how a heal ended.
    pub(super) fn heal_ended(&mut self, key: &InstanceKey, done: &Done) {
        if let AttemptResult::Final(_) = done.result {
            let count = self.heals.get(key).map_or(0, |refused| refused.count) + 1;
            self.heals.insert(key.clone(), RefusedHeals { count, last: done.ended_at });
        } else {
            self.heals.remove(key);
        }
    }

    /// Compares every instance that no rollout is moving with what it is at.
    pub(super) async fn heal_if_due(&mut self, head: &Arc<Head>, looks: &Looks) {
        let now = self.options.clock.now();
        let is_due = self.healed_at.is_none_or(|at| {
            now.duration_since(at).unsigned_abs() >= self.options.resync || now < at
        });
        if !is_due || is_planted(Planted::NoHealing) {
            return;
        }
        self.healed_at = Some(now);
        let resync = self.options.resync;
        let active: Vec<Rollout> = self.active().cloned().collect();
        let is_at_rest = |key: &&InstanceKey| {
            !self.busy.contains(*key) && !is_in_rollout(&active, &key.cluster, &key.addon)
        };
        let resting: Vec<InstanceKey> = head.releases.keys().filter(is_at_rest).cloned().collect();
        for (key, observation) in self.skim(head, looks, resting).await {
            self.metrics.compared(&key, &observation);
            let place = observation.adopted.as_ref().filter(|_| observation.pending.is_none());
            let place = place.and_then(|adopted| adopted.rev.clone().zip(adopted.digest.clone()));
            let is_unfinished = observation.is_unfinished;
            let is_off = is_unfinished || observation.has_drifted == Some(true);
            let Some((rev, digest)) = place.filter(|_| is_off) else { continue };
            let fights = drift::fights(&observation.heals, now);
            for fight in &fights {
                tracing::warn!(instance = %key, "{fight}");
            }
            let healed = drift::heal_at(&observation.heals, resync, now);
            let tried = self.heals.get(&key).map_or(now, |refused| refused.not_before(resync));
            let is_reported = head
                .releases
                .get(&key)
                .is_some_and(|release| release.instance.on_drift == DriftPolicy::Report);
            // What an attempt has left to do is nobody's drift.
            let is_held = !is_unfinished && (is_reported || healed > now);
            if is_held || tried > now {
                continue;
            }
            for drift in &observation.drifts {
                tracing::info!(instance = %key, "{drift}; it is healed");
            }
            self.start(head, key, Task::Heal { rev, digest });
        }
        for (key, id) in moved_away(head, looks) {
            let is_there = looks.get(&key.cluster).is_some_and(|look| {
                let seen = look.seen(self.ids.get(&key));
                let wanted = head.releases.get(&key).map(|release| &release.digest);
                seen.place.is_some() && seen.is_at(wanted)
            });
            if is_there && !is_in_rollout(&active, &key.cluster, &key.addon) {
                let limits = head.limits(&key.addon, None);
                self.start(head, key, Task::Remove { id, limits });
            }
        }
    }
}
