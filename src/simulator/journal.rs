//! The event log of a history, and the fuse that a controller dies by.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::court::Court;
use crate::base::ids::ClusterName;
use crate::rollout::{Event, RolloutId};
use crate::sim::SimCluster;
use crate::store::{MemoryStore, Sequence, Store, StoreError};
use crate::switch::SwitchEvent;

/// Ends a controller with one of its writes, before it or right after. Cheap to clone; clones are the
/// same fuse.
#[derive(Clone, Debug, Default)]
pub(super) struct Fuse(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<Burning>,
    blown: Notify,
}

#[derive(Debug, Default)]
struct Burning {
    lit: Option<Lit>,
    is_blown: bool,
}

#[derive(Clone, Copy, Debug)]
struct Lit {
    /// Writes until then.
    after: u32,
    takes_effect: bool,
    away: Duration,
}

/// What becomes of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is made, and its maker lives.
    Lives,
    /// Its maker is killed before it.
    DiesBefore,
    /// Its maker is killed before it hears of it.
    DiesAfter,
}

impl Fuse {
    fn lock(&self) -> MutexGuard<'_, Burning> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many writes from now the controller ends, for a time.
    pub(super) fn light(&self, after: u32, takes_effect: bool, away: Duration) {
        self.lock().lit = Some(Lit { after, takes_effect, away });
    }

    /// Nobody will kill the controller any more.
    pub(super) fn put_out(&self) {
        let mut burning = self.lock();
        if !burning.is_blown {
            burning.lit = None;
        }
    }

    /// A write is to be made.
    pub(super) fn burn(&self) -> Fate {
        let mut burning = self.lock();
        if burning.is_blown {
            return Fate::DiesBefore;
        }
        match &mut burning.lit {
            None => Fate::Lives,
            Some(lit) if lit.after > 0 => {
                lit.after -= 1;
                Fate::Lives
            }
            Some(lit) => {
                let fate = if lit.takes_effect { Fate::DiesAfter } else { Fate::DiesBefore };
                burning.is_blown = true;
                self.0.blown.notify_one();
                fate
            }
        }
    }

    /// Whether the controller is dead.
    pub(super) fn is_blown(&self) -> bool {
        self.lock().is_blown
    }

    /// Resolves when it is; then how long until another one begins.
    pub(super) async fn blown(&self) -> Duration {
        self.0.blown.notified().await;
        self.lock().lit.map_or(Duration::ZERO, |lit| lit.away)
    }
}

/// The event log, as one controller or operator has it.
#[derive(Clone)]
pub(super) struct Journal {
    pub(super) log: MemoryStore,
    pub(super) court: Court,
    pub(super) clusters: Arc<BTreeMap<ClusterName, SimCluster>>,
    pub(super) fuse: Fuse,
}

impl Store for Journal {
    fn read_after(&self, after: Sequence) -> Result<Vec<(Sequence, Event)>, StoreError> {
        self.log.read_after(after)
    }

    fn log(&self, rollout: &RolloutId) -> Result<Vec<Event>, StoreError> {
        self.log.log(rollout)
    }

    fn append(&mut self, after: Sequence, events: &[Event]) -> Result<Sequence, StoreError> {
        let fate = self.fuse.burn();
        if fate == Fate::DiesBefore {
            return Err(StoreError::Moved);
        }
        let sequence = self.log.append(after, events)?;
        self.court.appended(events, &|cluster, look| {
            if let Some(cluster) = self.clusters.get(cluster) {
                cluster.with(|store| look(store));
            }
        });
        if fate == Fate::DiesAfter { Err(StoreError::Moved) } else { Ok(sequence) }
    }

    // The fleets of histories have no pairs.
    fn read_switches(&self, after: Sequence) -> Result<Vec<(Sequence, SwitchEvent)>, StoreError> {
        self.log.read_switches(after)
    }

    fn append_switches(
        &mut self,
        after: Sequence,
        events: &[SwitchEvent],
    ) -> Result<Sequence, StoreError> {
        self.log.append_switches(after, events)
    }
}
