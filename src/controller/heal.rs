//! Drift: what somebody has changed is brought back to what the instance is at, and releases that
//! moved to another name are taken off where they were.

use std::sync::Arc;

use super::attempt::Task;
use super::head::Head;
use super::observe::is_in_rollout;
use super::tick::Reconciler;
use super::wishes::{Looks, moved_away};
use crate::base::ids::InstanceKey;
use crate::base::planted::{Planted, is_planted};
use crate::rollout::Rollout;

impl Reconciler {
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
        let active: Vec<Rollout> = self.active().cloned().collect();
        let is_at_rest = |key: &&InstanceKey| {
            !self.busy.contains(*key) && !is_in_rollout(&active, &key.cluster, &key.addon)
        };
        let resting: Vec<InstanceKey> = head.releases.keys().filter(is_at_rest).cloned().collect();
        for (key, observation) in self.skim(head, looks, resting).await {
            self.metrics.compared(&key, &observation);
            let place = observation.adopted.as_ref().filter(|_| observation.pending.is_none());
            let place = place.and_then(|adopted| adopted.rev.clone().zip(adopted.digest.clone()));
            if let (Some(true), Some((rev, digest))) = (observation.has_drifted, place) {
                tracing::info!(instance = %key, "somebody has changed it; it is healed");
                self.start(head, key, Task::Heal { rev, digest });
            }
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
