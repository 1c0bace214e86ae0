//! The event log in memory: gone with the process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Sequence, Store, StoreError};
use crate::rollout::{Event, RolloutId};

/// A log in memory. Cheap to clone; clones are the same log.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(Arc<Mutex<Vec<Event>>>);

impl MemoryStore {
    fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn read_after(&self, after: Sequence) -> Result<Vec<(Sequence, Event)>, StoreError> {
        let events = self.events();
        let read = usize::try_from(after).unwrap_or_default().min(events.len());
        Ok((after + 1..).zip(events[read..].iter().cloned()).collect())
    }

    fn log(&self, rollout: &RolloutId) -> Result<Vec<Event>, StoreError> {
        let events = self.events();
        Ok(events.iter().filter(|event| event.rollout == *rollout).cloned().collect())
    }

    fn append(&mut self, after: Sequence, events: &[Event]) -> Result<Sequence, StoreError> {
        let mut known = self.events();
        if usize::try_from(after) != Ok(known.len()) {
            return Err(StoreError::Moved);
        }
        known.extend_from_slice(events);
        Ok(Sequence::try_from(known.len()).unwrap_or(Sequence::MAX))
    }
}
