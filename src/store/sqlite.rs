//! The log in an SQLite file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Sequence, Store, StoreError};
use crate::rollout::{Event, RolloutId};
use crate::switch::SwitchEvent;

/// The version of the tables, kept as SQLite's `user_version`.
const VERSION: i64 = 1;
/// How long another process that writes is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

const TABLES: &str = "
    CREATE TABLE events (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        rollout  TEXT NOT NULL,
        event    TEXT NOT NULL
    ) STRICT;
    CREATE INDEX events_by_rollout ON events (rollout, sequence);
";

/// Of a log of the same version that lacks it, as well.
const SWITCHES: &str = "
    CREATE TABLE IF NOT EXISTS switch_events (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        event    TEXT NOT NULL
    ) STRICT;
";

/// A log in an SQLite file. An entry that was appended is on disk.
#[derive(Debug)]
pub struct SqliteStore {
    connection: Connection,
    path: PathBuf,
}

impl SqliteStore {
    /// Opens a log, and makes it if it is not there.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|source| StoreError::Folder { path: folder.to_owned(), source })?;
        }
        let failed = |source| StoreError::Database { path: path.to_owned(), source };
        let connection = Connection::open(path).map_err(failed)?;
        let mut store = Self { connection, path: path.to_owned() };
        store.prepare()?;
        Ok(store)
    }

    /// Opens a log to look at it; where there is none, an empty one that is kept nowhere.
    pub fn open_to_read(path: &Path) -> Result<Self, StoreError> {
        if path.is_file() { Self::open(path) } else { Self::open(Path::new(":memory:")) }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn prepare(&mut self) -> Result<(), StoreError> {
        let path = self.path.clone();
        let failed = |source| StoreError::Database { path: path.clone(), source };
        self.connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        self.connection.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
        self.connection.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
        let begin = self.connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = begin.map_err(failed)?;
        let found: i64 = transaction
            .query_row("SELECT user_version FROM pragma_user_version", [], |row| row.get(0))
            .map_err(failed)?;
        match found {
            0 => {
                transaction.execute_batch(TABLES).map_err(failed)?;
                transaction.pragma_update(None, "user_version", VERSION).map_err(failed)?;
            }
            VERSION => {}
            found => return Err(StoreError::Version { path, found, known: VERSION }),
        }
        transaction.execute_batch(SWITCHES).map_err(failed)?;
        transaction.commit().map_err(failed)
    }

    fn failed(&self, source: rusqlite::Error) -> StoreError {
        StoreError::Database { path: self.path.clone(), source }
    }

    fn parse<T: DeserializeOwned>(&self, sequence: Sequence, text: &str) -> Result<T, StoreError> {
        serde_json::from_str(text).map_err(|source| StoreError::Entry {
            path: self.path.clone(),
            sequence,
            source,
        })
    }

    fn rows<T: DeserializeOwned>(
        &self,
        query: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<Vec<(Sequence, T)>, StoreError> {
        let mut statement =
            self.connection.prepare_cached(query).map_err(|error| self.failed(error))?;
        let rows = statement
            .query_map(parameters, |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))
            .map_err(|error| self.failed(error))?;
        let mut events = Vec::new();
        for row in rows {
            let (sequence, text) = row.map_err(|error| self.failed(error))?;
            events.push((sequence, self.parse(sequence, &text)?));
        }
        Ok(events)
    }
}

impl Store for SqliteStore {
    fn read_after(&self, after: Sequence) -> Result<Vec<(Sequence, Event)>, StoreError> {
        let query = "SELECT sequence, event FROM events WHERE sequence > ?1 ORDER BY sequence";
        self.rows(query, params![after])
    }

    fn log(&self, rollout: &RolloutId) -> Result<Vec<Event>, StoreError> {
        let query = "SELECT sequence, event FROM events WHERE rollout = ?1 ORDER BY sequence";
        let rows = self.rows::<Event>(query, params![rollout.to_string()])?;
        Ok(rows.into_iter().map(|(_, event)| event).collect())
    }

    fn append(&mut self, after: Sequence, events: &[Event]) -> Result<Sequence, StoreError> {
        self.append_to("events", after, events, |transaction, event, text| {
            transaction.execute(
                "INSERT INTO events (rollout, event) VALUES (?1, ?2)",
                params![event.rollout.to_string(), text],
            )
        })
    }

    fn read_switches(&self, after: Sequence) -> Result<Vec<(Sequence, SwitchEvent)>, StoreError> {
        let query =
            "SELECT sequence, event FROM switch_events WHERE sequence > ?1 ORDER BY sequence";
        self.rows(query, params![after])
    }

    fn append_switches(
        &mut self,
        after: Sequence,
        events: &[SwitchEvent],
    ) -> Result<Sequence, StoreError> {
        self.append_to("switch_events", after, events, |transaction, _, text| {
            transaction.execute("INSERT INTO switch_events (event) VALUES (?1)", params![text])
        })
    }
}

impl SqliteStore {
    /// Appends to one of the logs, if `after` is the number of its newest entry.
    fn append_to<T: Serialize>(
        &mut self,
        table: &'static str,
        after: Sequence,
        events: &[T],
        insert: impl Fn(&Transaction<'_>, &T, &str) -> rusqlite::Result<usize>,
    ) -> Result<Sequence, StoreError> {
        let path = self.path.clone();
        let failed = |source| StoreError::Database { path: path.clone(), source };
        let begin = self.connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = begin.map_err(failed)?;
        let newest: Option<Sequence> = transaction
            .query_row(&format!("SELECT max(sequence) FROM {table}"), [], |row| row.get(0))
            .optional()
            .map_err(failed)?
            .flatten();
        if newest.unwrap_or(0) != after {
            return Err(StoreError::Moved);
        }
        let mut last = after;
        for event in events {
            let text = serde_json::to_string(event).expect("an event has text keys only");
            insert(&transaction, event, &text).map_err(failed)?;
            last = transaction.last_insert_rowid();
        }
        transaction.commit().map_err(failed)?;
        Ok(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::{EventKind, RolloutId};
    use crate::store::Rollouts;

    fn event(kind: EventKind) -> Event {
        Event {
            kind,
            at: "2026-01-05T10:00:00Z".parse().unwrap(),
            rollout: RolloutId { addon: "traefik".into(), number: 1 },
            addon: "traefik".into(),
            revision: "r1".into(),
            stage: None,
            cluster: None,
            reason: None,
        }
    }

    fn started() -> Event {
        event(EventKind::RolloutStarted {
            policy_name: None,
            policy: Box::new(crate::rollout::stages::without_policy()),
            author: None,
            train: None,
            members: std::collections::BTreeMap::new(),
            supersedes: None,
        })
    }

    #[test]
    fn what_is_appended_is_there_after_opening_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/events.db");
        let mut store = SqliteStore::open(&path).unwrap();
        let mut rollouts = Rollouts::read(&store).unwrap();
        let events = [started(), event(EventKind::RolloutCompleted)];
        rollouts.append(&mut store, &events).unwrap();
        drop(store);
        let store = SqliteStore::open(&path).unwrap();
        assert_eq!(store.log(&events[0].rollout).unwrap(), events);
        let read = Rollouts::read(&store).unwrap();
        let states = [&read, &rollouts].map(|all| all.newest(&"traefik".into()).cloned());
        assert_eq!(states[0], states[1]);
        assert_eq!(read.sequence, rollouts.sequence);
    }

    #[test]
    fn whoever_has_not_read_the_newest_entry_cannot_append() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.db");
        let (mut one, mut two) =
            (SqliteStore::open(&path).unwrap(), SqliteStore::open(&path).unwrap());
        let mut seen_by_one = Rollouts::read(&one).unwrap();
        let mut seen_by_two = Rollouts::read(&two).unwrap();
        seen_by_one.append(&mut one, &[started()]).unwrap();
        let paused = event(EventKind::RolloutPaused { by: "ada".to_owned() });
        let refused = seen_by_two.append(&mut two, std::slice::from_ref(&paused));
        assert!(matches!(refused, Err(StoreError::Moved)));
        assert_eq!(seen_by_two.read_on(&two).unwrap().len(), 1);
        seen_by_two.append(&mut two, &[paused]).unwrap();
    }

    #[test]
    fn a_file_that_is_no_database_is_told_with_a_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.db");
        std::fs::write(&path, "not a database, but long enough to have a header of its own")
            .unwrap();
        let error = SqliteStore::open(&path).unwrap_err();
        assert!(error.help()[0].starts_with("move `"), "{error:?}");
    }

    #[test]
    fn a_log_of_a_newer_version_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.db");
        drop(SqliteStore::open(&path).unwrap());
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 9).unwrap();
        let error = SqliteStore::open(&path).unwrap_err();
        assert!(matches!(error, StoreError::Version { found: 9, .. }), "{error:?}");
    }
}
