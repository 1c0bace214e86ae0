//! Every pair and switch that a log has, as far as it was read.

use super::{Sequence, Store, StoreError};
use crate::switch::{SwitchEvent, Switches};

/// The log of switches, and the state that is its fold.
#[derive(Clone, Debug, Default)]
pub struct SwitchLog {
    /// The number of the newest entry that was read.
    pub sequence: Sequence,
    /// The state by then.
    pub switches: Switches,
    /// Its entries.
    pub events: Vec<SwitchEvent>,
}

impl SwitchLog {
    /// Reads a whole log.
    pub fn read(store: &dyn Store) -> Result<Self, StoreError> {
        let mut log = Self::default();
        log.read_on(store)?;
        Ok(log)
    }

    /// Reads what was appended since, and gives it.
    pub fn read_on(&mut self, store: &dyn Store) -> Result<Vec<SwitchEvent>, StoreError> {
        let mut read = Vec::new();
        for (sequence, event) in store.read_switches(self.sequence)? {
            self.sequence = sequence;
            self.take(&event);
            read.push(event);
        }
        Ok(read)
    }

    fn take(&mut self, event: &SwitchEvent) {
        self.switches.take(event);
        self.events.push(event.clone());
    }

    /// Appends events and takes them in.
    ///
    /// # Errors
    /// As [`Store::append_switches`]; nothing is taken in then.
    pub fn append(
        &mut self,
        store: &mut dyn Store,
        events: &[SwitchEvent],
    ) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        self.sequence = store.append_switches(self.sequence, events)?;
        for event in events {
            self.take(event);
        }
        Ok(())
    }
}
