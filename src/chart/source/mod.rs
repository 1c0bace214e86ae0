//! Fetching charts: from a folder of the fleet's repository, another git repository, or an HTTP
//! chart repository.
//!
//! What was downloaded is kept by its digest in the cache folder. A chart's version names one
//! content for good: which digest a version has is remembered as well, so that a version that was
//! fetched once needs no network any more and never changes under the fleet.

mod error;
mod folder;
mod index;
mod places;
mod repository;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

pub use self::error::{SourceError, UNREACHABLE};
pub use self::places::{file_in_repository, file_on_disk};
use super::load;
use super::model::{Chart, ChartFile};
use crate::base::ids::{Digest, Rev};
use crate::fleet::instance::ChartLocation;
use crate::git::settings::Settings;
use crate::git::{Repository, Source};
use crate::net::http::Credential;

/// Fetches charts and keeps them, on disk and in memory. Shared between threads.
pub struct ChartStore {
    settings: Settings,
    credentials: Credentials,
    charts: Mutex<BTreeMap<Digest, Arc<Chart>>>,
    /// What index and git references said, for the life of the store.
    indexes: repository::Indexes,
    sources: Mutex<BTreeMap<(String, String), Arc<Source>>>,
}

/// The value of an environment variable.
type Credentials = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

impl std::fmt::Debug for ChartStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ChartStore({})", self.settings.cache.display())
    }
}

impl ChartStore {
    /// Cache folder, git settings and credentials as the environment says.
    pub fn from_environment() -> Self {
        Self::new(Settings::from_environment(), |name| std::env::var(name).ok())
    }

    /// A store with settings of the caller's. `credentials` looks up the variables that
    /// ChartRepository documents name.
    pub fn new(
        settings: Settings,
        credentials: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            settings,
            credentials: Box::new(credentials),
            charts: Mutex::default(),
            indexes: repository::Indexes::default(),
            sources: Mutex::default(),
        }
    }

    /// The chart at a location, as of the fleet's revision. Blocks while it is fetched.
    pub fn load(
        &self,
        location: &ChartLocation,
        fleet: &Source,
    ) -> Result<Arc<Chart>, SourceError> {
        match location {
            ChartLocation::Path(path) => self.load_folder(fleet, path),
            ChartLocation::Git { url, reference, path } => {
                let source = self.git_source(url, reference)?;
                self.load_folder(&source, path)
            }
            ChartLocation::Http { url, name, version, credentials, verify, .. } => {
                let wanted = repository::Wanted { url, name, version, verify };
                let credential = credentials.as_ref().map(|named| self.credential(&named.env));
                self.load_packed(&wanted, credential)
            }
        }
    }

    /// The newest version in a range of a chart of an HTTP repository, as its index writes it.
    /// Blocks while the index is fetched.
    pub fn newest(&self, url: &str, name: &str, range: &str) -> Result<String, SourceError> {
        repository::newest(url, name, range, &self.indexes)
    }

    fn credential(&self, variable: &str) -> Result<Credential, SourceError> {
        (self.credentials)(variable)
            .filter(|text| !text.trim().is_empty())
            .map(|text| Credential::new(&text))
            .ok_or_else(|| SourceError::NoCredentials { variable: variable.to_owned() })
    }

    fn load_folder(&self, source: &Source, path: &str) -> Result<Arc<Chart>, SourceError> {
        let files = folder::files(source, path)?;
        self.chart(folder::digest(&files), || load::from_files(files))
    }

    fn load_packed(
        &self,
        wanted: &repository::Wanted<'_>,
        credential: Option<Result<Credential, SourceError>>,
    ) -> Result<Arc<Chart>, SourceError> {
        let archives = self.archives();
        if let Some((digest, bytes)) = archives.find(wanted) {
            return self.chart(digest, || load::from_archive(&bytes));
        }
        // Only now: what is in the cache needs no credentials.
        let credential = credential.transpose()?;
        let bytes = repository::fetch(wanted, credential.as_ref(), &self.indexes)?;
        let digest = archives.keep(wanted, &bytes)?;
        self.chart(digest, || load::from_archive(&bytes))
    }

    fn archives(&self) -> repository::Archives {
        repository::Archives { folder: self.settings.cache.join("charts") }
    }

    /// The chart that is already in memory, or the one that `build` makes.
    fn chart(
        &self,
        digest: Digest,
        build: impl FnOnce() -> Result<Chart, crate::base::diagnostic::Diagnostic>,
    ) -> Result<Arc<Chart>, SourceError> {
        if let Some(chart) = lock(&self.charts).get(&digest) {
            return Ok(Arc::clone(chart));
        }
        let chart = Arc::new(build().map_err(|found| SourceError::Invalid(Box::new(found)))?);
        Ok(Arc::clone(lock(&self.charts).entry(digest).or_insert(chart)))
    }

    fn git_source(&self, url: &str, reference: &str) -> Result<Arc<Source>, SourceError> {
        let key = (url.to_owned(), reference.to_owned());
        if let Some(source) = lock(&self.sources).get(&key) {
            return Ok(Arc::clone(source));
        }
        let repository = Repository::open_with(url, self.settings.clone())?;
        let rev = resolve(&repository, reference)?;
        let source = Arc::new(repository.source(&rev)?);
        lock(&self.sources).insert(key, Arc::clone(&source));
        Ok(source)
    }

    /// The folder of what is kept.
    pub fn cache(&self) -> &PathBuf {
        &self.settings.cache
    }
}

/// A commit in full needs no fetch when it is here; a branch or tag may have moved.
fn resolve(repository: &Repository, reference: &str) -> Result<Rev, SourceError> {
    let is_commit = reference.len() == 40 && reference.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_commit {
        repository.fetch()?;
    }
    Ok(repository.resolve(reference)?)
}

/// Nothing is left half done under these locks, so that a panic elsewhere spoils nothing.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
