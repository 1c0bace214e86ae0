//! The event logs in memory: gone with the process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Sequence, Store, StoreError};
use crate::rollout::{Event, RolloutId};
use crate::switch::SwitchEvent;

/// Logs in memory. Cheap to clone; clones are the same logs.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    rollouts: Arc<Mutex<Vec<Event>>>,
    switches: Arc<Mutex<Vec<SwitchEvent>>>,
}

impl MemoryStore {
    fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        self.rollouts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn read_after(&self, after: Sequence) -> Result<Vec<(Sequence, Event)>, StoreError> {
        Ok(read(&self.events(), after))
    }

    fn log(&self, rollout: &RolloutId) -> Result<Vec<Event>, StoreError> {
        let events = self.events();
        Ok(events.iter().filter(|event| event.rollout == *rollout).cloned().collect())
    }

    fn append(&mut self, after: Sequence, events: &[Event]) -> Result<Sequence, StoreError> {
        append(&mut self.events(), after, events)
    }

    fn read_switches(&self, after: Sequence) -> Result<Vec<(Sequence, SwitchEvent)>, StoreError> {
        Ok(read(&self.switches.lock().unwrap_or_else(PoisonError::into_inner), after))
    }

    fn append_switches(
        &mut self,
        after: Sequence,
        events: &[SwitchEvent],
    ) -> Result<Sequence, StoreError> {
        append(&mut self.switches.lock().unwrap_or_else(PoisonError::into_inner), after, events)
    }
}

fn read<T: Clone>(known: &[T], after: Sequence) -> Vec<(Sequence, T)> {
    let read = usize::try_from(after).unwrap_or_default().min(known.len());
    (after + 1..).zip(known[read..].iter().cloned()).collect()
}

fn append<T: Clone>(
    known: &mut Vec<T>,
    after: Sequence,
    events: &[T],
) -> Result<Sequence, StoreError> {
    if usize::try_from(after) != Ok(known.len()) {
        return Err(StoreError::Moved);
    }
    known.extend_from_slice(events);
    Ok(Sequence::try_from(known.len()).unwrap_or(Sequence::MAX))
}
