//! The simulated clusters of a fleet: each is opened once and shared by all who ask for it.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::cluster::SimCluster;
use super::state::{self, StateError};
use crate::base::clock::{Clock, SystemClock};
use crate::base::ids::ClusterName;

/// How long a process waits for another one that has a cluster.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The simulated clusters of one fleet. Cheap to clone; clones are the same clusters.
///
/// # Guarantees
/// Of each cluster there is one at a time, over all processes that keep their state in one folder.
#[derive(Clone)]
pub struct SimFleet(Arc<Inner>);

struct Inner {
    /// Where states are kept; nowhere when there is none.
    folder: Option<PathBuf>,
    clock: Arc<dyn Clock>,
    open: Mutex<BTreeMap<ClusterName, Open>>,
}

struct Open {
    cluster: SimCluster,
    /// Nobody else has the cluster as long as this is locked.
    _lock: Option<File>,
}

/// Where another process serves the clusters of the fleet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serving {
    /// `http://127.0.0.1:6443`.
    pub address: String,
    /// Which clusters.
    pub clusters: Vec<ClusterName>,
}

impl Serving {
    /// The URL of one cluster's API.
    pub fn url(&self, cluster: &ClusterName) -> String {
        format!("{}/clusters/{cluster}", self.address)
    }
}

impl std::fmt::Debug for SimFleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SimFleet({:?})", self.0.folder)
    }
}

impl SimFleet {
    /// Clusters whose states are kept in a folder.
    pub fn in_folder(folder: PathBuf, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner { folder: Some(folder), clock, open: Mutex::default() }))
    }

    /// Clusters that are gone with the process.
    pub fn in_memory(clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner { folder: None, clock, open: Mutex::default() }))
    }

    /// Clusters that are there already.
    pub fn of(clusters: BTreeMap<ClusterName, SimCluster>, clock: Arc<dyn Clock>) -> Self {
        let open = clusters
            .into_iter()
            .map(|(name, cluster)| (name, Open { cluster, _lock: None }))
            .collect();
        Self(Arc::new(Inner { folder: None, clock, open: Mutex::new(open) }))
    }

    /// The folder that states are kept in.
    pub fn folder(&self) -> Option<&Path> {
        self.0.folder.as_deref()
    }

    /// A cluster: the one that is open, the one that was kept, or a new one.
    ///
    /// # Errors
    /// When its state cannot be used, or another process does not let go of it.
    pub async fn cluster(&self, name: &ClusterName, nodes: u32) -> Result<SimCluster, StateError> {
        let mut open = self.0.open.lock().await;
        if let Some(found) = open.get(name) {
            return Ok(found.cluster.clone());
        }
        let clock = Arc::clone(&self.0.clock);
        let (cluster, lock) = match &self.0.folder {
            None => (SimCluster::new(name.as_str(), nodes, clock), None),
            Some(folder) => {
                let lock = lock(&folder.join(format!("{name}.lock"))).await?;
                let kept = state::open(&path_of(folder, name))?;
                let cluster = match kept {
                    Some(mut store) => {
                        store.nodes = nodes;
                        SimCluster::of(store, clock)
                    }
                    None => SimCluster::new(name.as_str(), nodes, clock),
                };
                (cluster, Some(lock))
            }
        };
        open.insert(name.clone(), Open { cluster: cluster.clone(), _lock: lock });
        Ok(cluster)
    }

    /// A cluster that is open already.
    pub async fn opened(&self, name: &ClusterName) -> Option<SimCluster> {
        self.0.open.lock().await.get(name).map(|open| open.cluster.clone())
    }

    /// All clusters that are open already.
    pub async fn all_opened(&self) -> Vec<SimCluster> {
        self.0.open.lock().await.values().map(|open| open.cluster.clone()).collect()
    }

    /// Keeps what a cluster has become.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn save(&self, cluster: &SimCluster) -> Result<(), StateError> {
        let Some(folder) = &self.0.folder else { return Ok(()) };
        let store = cluster.snapshot();
        state::save(&store, &path_of(folder, &ClusterName::from(store.name.as_str())))
    }

    /// Keeps what every open cluster has become.
    ///
    /// # Errors
    /// The first of them; the others are kept all the same.
    pub async fn save_all(&self) -> Result<(), StateError> {
        let open = self.0.open.lock().await;
        let results: Vec<_> = open.values().map(|open| self.save(&open.cluster)).collect();
        results.into_iter().collect()
    }

    /// The other process that serves these clusters, if one does.
    pub fn serving(&self) -> Option<Serving> {
        let folder = self.0.folder.as_ref()?;
        let lock = File::open(folder.join("serving.lock")).ok()?;
        if lock.try_lock().is_ok() {
            // Nobody holds it: whoever served is gone.
            return None;
        }
        serde_json::from_slice(&std::fs::read(folder.join("serving.json")).ok()?).ok()
    }

    /// Forgets the states of all clusters. Tells how many there were.
    ///
    /// # Errors
    /// When another process has one of them, or a file cannot be deleted.
    pub fn reset(&self) -> Result<usize, StateError> {
        let Some(folder) = &self.0.folder else { return Ok(0) };
        let failed = |path: &Path, source| StateError::Write { path: path.to_owned(), source };
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(failed(folder, error)),
        };
        let mut paths = Vec::new();
        for entry in entries {
            paths.push(entry.map_err(|error| failed(folder, error))?.path());
        }
        for path in paths.iter().filter(|path| path.extension().is_some_and(|e| e == "lock")) {
            let file = File::open(path).map_err(|error| failed(path, error))?;
            if file.try_lock().is_err() {
                return Err(StateError::Taken { path: path.with_extension("json") });
            }
        }
        let mut states = 0;
        for path in paths {
            let is_state = path.extension().is_some_and(|extension| extension == "json")
                && path.file_stem().is_some_and(|stem| stem != "serving");
            states += usize::from(is_state);
            std::fs::remove_file(&path).map_err(|error| failed(&path, error))?;
        }
        Ok(states)
    }
}

fn path_of(folder: &Path, name: &ClusterName) -> PathBuf {
    folder.join(format!("{name}.json"))
}

/// Locks a file, and waits a while for another process that has it.
pub(super) async fn lock(path: &Path) -> Result<File, StateError> {
    let failed = |source| StateError::Write { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let file = File::options().create(true).truncate(false).write(true).open(path);
    let file = file.map_err(failed)?;
    let clock = SystemClock;
    let started = clock.now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::WouldBlock) => {}
            Err(std::fs::TryLockError::Error(error)) => return Err(failed(error)),
        }
        if clock.now().duration_since(started).unsigned_abs() >= PATIENCE {
            return Err(StateError::Taken { path: path.with_extension("json") });
        }
        clock.sleep(LOOK_EVERY).await;
    }
}
