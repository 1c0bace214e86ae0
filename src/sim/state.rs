//! A cluster's state as a file.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::metadata;
use super::ssa::Managers;
use super::store::Store;
use crate::base::clock::Timestamp;
use crate::net::cache::write_atomically;
use crate::object::access;

/// The form of the file. Another one is not read.
const FORMAT: u32 = 1;

/// A state file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It cannot be read.
    #[error("reading the simulated cluster's state at `{}`", .path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What happened.
        source: std::io::Error,
    },
    /// It cannot be written.
    #[error("writing the simulated cluster's state to `{}`", .path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// What happened.
        source: std::io::Error,
    },
    /// It makes no sense.
    #[error(
        "the simulated cluster's state at `{}` is damaged ({reason}); delete the file, or run \
         `fitout sim reset`, and the cluster begins anew",
        .path.display()
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The clusters cannot be served there.
    #[error("listening on {address}")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// What happened.
        source: std::io::Error,
    },
    /// Another process has it.
    #[error(
        "another process is using the simulated cluster's state at `{}`; wait for it to end, or \
         serve the clusters with `fitout sim serve` so that several can use them",
        .path.display()
    )]
    Taken {
        /// Which file.
        path: PathBuf,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct State {
    format: u32,
    name: String,
    nodes: u32,
    now: Timestamp,
    version: u64,
    uids: u64,
    objects: Vec<Json>,
}

/// Writes a state so that whoever reads the file sees all of it or what was there before.
///
/// # Errors
/// When the disk does not take it.
pub fn save(store: &Store, path: &Path) -> Result<(), StateError> {
    let state = State {
        format: FORMAT,
        name: store.name.clone(),
        nodes: store.nodes,
        now: store.now,
        version: store.version,
        uids: store.uids,
        objects: store.objects().keys().filter_map(|key| store.whole(key)).collect(),
    };
    let bytes = serde_json::to_vec(&state).expect("a state has text keys only");
    write_atomically(path, &bytes)
        .map_err(|source| StateError::Write { path: path.to_owned(), source })
}

/// Reads a state; `None` when there is no such file.
///
/// # Errors
/// When it cannot be read or makes no sense.
pub fn open(path: &Path) -> Result<Option<Store>, StateError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(StateError::Read { path: path.to_owned(), source }),
    };
    let damaged = |reason: String| StateError::Damaged { path: path.to_owned(), reason };
    let state: State =
        serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    if state.format != FORMAT {
        return Err(damaged(format!("its format is {}, and {FORMAT} is read", state.format)));
    }
    let mut store = Store::new(&state.name, state.nodes, state.now);
    store.version = state.version;
    store.uids = state.uids;
    for mut object in state.objects {
        let entries = metadata::of(&mut object).remove("managedFields");
        let managers = match entries {
            None => Managers::default(),
            Some(entries) => Managers::from_json(&entries)
                .ok_or_else(|| damaged(format!("managedFields of {}", access::key_of(&object))))?,
        };
        let key = access::key_of(&object);
        if key.kind.is_empty() || key.name.is_empty() {
            return Err(damaged("an object has no kind or no name".to_owned()));
        }
        store.managers.insert(key.clone(), managers);
        store.objects.insert(key, object);
    }
    Ok(Some(store.restored()))
}
