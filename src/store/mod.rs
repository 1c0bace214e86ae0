//! The append-only event log: rollouts' progress and the audit trail.
//!
//! Everything else can be rebuilt from git and the clusters. A log is written by appending to what
//! the writer has read: whoever has not read the newest entry is told so, and reads on. So any
//! number of processes may write, and none of them decides on an old state.

mod memory;
mod sqlite;
mod switches;

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::base::ids::AddonName;
use crate::rollout::{Event, Rollout, RolloutId, fold};
use crate::switch::SwitchEvent;

pub use memory::MemoryStore;
pub use sqlite::SqliteStore;
pub use switches::SwitchLog;

/// The number of an entry, from 1; 0 before the first.
pub type Sequence = i64;

/// Where the log is kept.
pub trait Store: Send {
    /// Entries after a number, in order.
    fn read_after(&self, after: Sequence) -> Result<Vec<(Sequence, Event)>, StoreError>;

    /// The log of one rollout, in order; empty when there is none.
    fn log(&self, rollout: &RolloutId) -> Result<Vec<Event>, StoreError>;

    /// Appends all of the events or none. Gives the number of the last one.
    ///
    /// # Errors
    /// [`StoreError::Moved`] unless `after` is the number of the newest entry.
    fn append(&mut self, after: Sequence, events: &[Event]) -> Result<Sequence, StoreError>;

    /// Entries of the log of switches, which is one of its own, after a number, in order.
    fn read_switches(&self, after: Sequence) -> Result<Vec<(Sequence, SwitchEvent)>, StoreError>;

    /// Appends all of the events to the log of switches, or none. Gives the number of the last one.
    ///
    /// # Errors
    /// As [`Self::append`].
    fn append_switches(
        &mut self,
        after: Sequence,
        events: &[SwitchEvent],
    ) -> Result<Sequence, StoreError>;
}

/// A log that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else has appended since it was read.
    #[error("the event log has moved on since it was read")]
    Moved,
    /// It cannot be opened, read or written.
    #[error("the event log `{}` cannot be used", .path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: rusqlite::Error,
    },
    /// An entry makes no sense.
    #[error("entry {sequence} of the event log `{}` cannot be read", .path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// Which entry.
        sequence: Sequence,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A newer fitout has written it.
    #[error("the event log `{}` has version {found}, and this fitout knows up to {known}", .path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// What it has.
        found: i64,
        /// What is known.
        known: i64,
    },
    /// The folder cannot be made.
    #[error("making the folder `{}` for the event log", .path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What happened.
        source: std::io::Error,
    },
}

impl StoreError {
    /// Ways out, for people.
    pub fn help(&self) -> Vec<String> {
        match self {
            Self::Moved => vec!["try again".to_owned()],
            Self::Database { path, source } if is_damage(source) => vec![damage_help(path)],
            Self::Entry { path, .. } => vec![damage_help(path)],
            Self::Database { .. } | Self::Folder { .. } => {
                vec!["set `FITOUT_STATE` to a folder that can be written".to_owned()]
            }
            Self::Version { .. } => vec!["use the newer fitout".to_owned()],
        }
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

fn damage_help(path: &std::path::Path) -> String {
    format!(
        "move `{}` away, or put a copy of it back: without it, what is on the clusters stays \
         as it is, and unfinished rollouts begin again at their first stage",
        path.display()
    )
}

/// Every rollout that a log has, as far as it was read.
#[derive(Clone, Debug, Default)]
pub struct Rollouts {
    /// The number of the newest entry that was read.
    pub sequence: Sequence,
    /// By addon, oldest first.
    by_addon: BTreeMap<AddonName, Vec<Rollout>>,
}

impl Rollouts {
    /// Reads a whole log.
    pub fn read(store: &dyn Store) -> Result<Self, StoreError> {
        let mut rollouts = Self::default();
        rollouts.read_on(store)?;
        Ok(rollouts)
    }

    /// Reads what was appended since, and gives it.
    pub fn read_on(&mut self, store: &dyn Store) -> Result<Vec<Event>, StoreError> {
        let mut read = Vec::new();
        for (sequence, event) in store.read_after(self.sequence)? {
            self.take(sequence, &event);
            read.push(event);
        }
        Ok(read)
    }

    fn take(&mut self, sequence: Sequence, event: &Event) {
        self.sequence = sequence;
        let of_addon = self.by_addon.entry(event.addon.clone()).or_default();
        match of_addon.iter_mut().rev().find(|rollout| rollout.id == event.rollout) {
            Some(rollout) => rollout.take(event),
            None => of_addon.extend(fold([event])),
        }
    }

    /// Appends events and takes them in.
    ///
    /// # Errors
    /// As [`Store::append`]; nothing is taken in then.
    pub fn append(&mut self, store: &mut dyn Store, events: &[Event]) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        let last = store.append(self.sequence, events)?;
        for event in events {
            self.take(last, event);
        }
        Ok(())
    }

    /// The newest rollout of an addon.
    pub fn newest(&self, addon: &AddonName) -> Option<&Rollout> {
        self.by_addon.get(addon)?.last()
    }

    /// A rollout by its name.
    pub fn get(&self, id: &RolloutId) -> Option<&Rollout> {
        self.by_addon.get(&id.addon)?.iter().find(|rollout| rollout.id == *id)
    }

    /// Every rollout, by addon, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Rollout> {
        self.by_addon.values().flatten()
    }

    /// Addons that ever had one.
    pub fn addons(&self) -> impl Iterator<Item = &AddonName> {
        self.by_addon.keys()
    }
}
