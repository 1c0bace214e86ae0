//! Packed charts of an HTTP repository, and the cache that keeps them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::error::SourceError;
use super::index::{self, Entry};
use super::lock;
use crate::base::diagnostic::closest;
use crate::base::ids::Digest;
use crate::base::limits::{CHART_BYTES_MAX, INDEX_BYTES_MAX};
use crate::fleet::model::{DigestPolicy, Verify};
use crate::net::cache::write_atomically;
use crate::net::http::{Client, Credential, Url};
use crate::sprig::semver::{Constraint, Version};

/// One version of one chart.
pub(super) struct Wanted<'a> {
    pub(super) url: &'a str,
    pub(super) name: &'a str,
    pub(super) version: &'a str,
    pub(super) verify: &'a Verify,
}

/// The texts of indexes, by the repository's URL.
#[derive(Default)]
pub(super) struct Indexes {
    texts: Mutex<BTreeMap<String, Arc<str>>>,
}

impl Indexes {
    fn get(&self, url: &Url, credential: Option<&Credential>) -> Result<Arc<str>, SourceError> {
        // Held while fetching: one index is fetched once, whoever asks.
        let mut texts = lock(&self.texts);
        if let Some(text) = texts.get(url.as_str()) {
            return Ok(Arc::clone(text));
        }
        let index = url.join("index.yaml")?;
        let bytes = Client::shared()
            .get(&index, "application/yaml, text/yaml, */*", credential)?
            .bytes(INDEX_BYTES_MAX)?;
        let text: Arc<str> = String::from_utf8_lossy(&bytes).into();
        texts.insert(url.as_str().to_owned(), Arc::clone(&text));
        Ok(text)
    }
}

/// Downloads an archive and checks it against the index.
pub(super) fn fetch(
    wanted: &Wanted<'_>,
    credential: Option<&Credential>,
    indexes: &Indexes,
) -> Result<Vec<u8>, SourceError> {
    let base = Url::parse(&format!("{}/", wanted.url.trim_end_matches('/')))?;
    let index = indexes.get(&base, credential)?;
    let entry = find(&index, wanted)?;
    let expected = entry.digest.as_deref().map(|digest| digest.trim_start_matches("sha256:"));
    if expected.is_none() && wanted.verify.digest == DigestPolicy::Required {
        return Err(SourceError::NoDigest {
            url: wanted.url.to_owned(),
            name: wanted.name.to_owned(),
            version: wanted.version.to_owned(),
        });
    }
    let reference = entry.urls.first().ok_or_else(|| SourceError::BadIndex {
        url: wanted.url.to_owned(),
        reason: format!("`{}` {} has no URL", wanted.name, wanted.version),
    })?;
    let url = base.join(reference)?;
    let credential = credential.filter(|_| url.is_same_origin(&base));
    let bytes = Client::shared()
        .get(&url, "application/gzip, application/octet-stream, */*", credential)?
        .bytes(CHART_BYTES_MAX)?;
    let found = Digest::of(&bytes);
    match expected {
        Some(expected) if !expected.eq_ignore_ascii_case(found.as_str()) => {
            Err(SourceError::WrongDigest {
                url: url.as_str().to_owned(),
                expected: expected.to_owned(),
                found: found.to_string(),
            })
        }
        _ => Ok(bytes),
    }
}

/// The newest version of a chart in a range, as the index writes it.
pub(super) fn newest(
    url: &str,
    name: &str,
    range: &str,
    indexes: &Indexes,
) -> Result<String, SourceError> {
    let base = Url::parse(&format!("{}/", url.trim_end_matches('/')))?;
    let entries = versions(&indexes.get(&base, None)?, url, name)?;
    let range_of = Constraint::parse(range).ok();
    let fitting = entries.iter().filter_map(|entry| {
        let version = Version::parse(&entry.version).ok()?;
        range_of.as_ref()?.matches(&version).then_some((version, &entry.version))
    });
    match fitting.max_by(|(a, _), (b, _)| a.cmp(b)) {
        Some((_, version)) => Ok(version.clone()),
        None => Err(no_version(url, name, range, entries)),
    }
}

fn no_version(url: &str, name: &str, version: &str, entries: Vec<Entry>) -> SourceError {
    SourceError::NoVersion {
        url: url.to_owned(),
        name: name.to_owned(),
        version: version.to_owned(),
        versions: entries.into_iter().map(|entry| entry.version).collect(),
    }
}

/// All versions of a chart.
fn versions(index: &str, url: &str, name: &str) -> Result<Vec<Entry>, SourceError> {
    let (url, name) = (url.to_owned(), name.to_owned());
    let found = index::read(index, &name)
        .map_err(|reason| SourceError::BadIndex { url: url.clone(), reason })?;
    found.entries.ok_or_else(|| {
        let similar = closest(&name, found.names.iter().map(String::as_str)).map(str::to_owned);
        SourceError::NoChart { url, name, similar }
    })
}

fn find(index: &str, wanted: &Wanted<'_>) -> Result<Entry, SourceError> {
    let entries = versions(index, wanted.url, wanted.name)?;
    let plain = |version: &str| version.strip_prefix('v').unwrap_or(version).to_owned();
    let entry = entries
        .iter()
        .find(|entry| entry.version == wanted.version)
        .or_else(|| entries.iter().find(|entry| plain(&entry.version) == plain(wanted.version)));
    match entry {
        Some(entry) => Ok(entry.clone()),
        None => Err(no_version(wanted.url, wanted.name, wanted.version, entries)),
    }
}

/// Archives on disk: each by its digest, and a note for each version of which one it is.
pub(super) struct Archives {
    pub(super) folder: PathBuf,
}

impl Archives {
    /// An archive that was fetched before and is still what it was.
    pub(super) fn find(&self, wanted: &Wanted<'_>) -> Option<(Digest, Vec<u8>)> {
        let note = std::fs::read_to_string(self.note(wanted)).ok()?;
        // A repository that must have digests is asked again about what came without one.
        let (digest, is_verified) = match note.trim().split_once(' ') {
            Some((digest, "verified")) => (digest, true),
            _ => (note.trim(), false),
        };
        if !is_verified && wanted.verify.digest == DigestPolicy::Required {
            return None;
        }
        let digest = Digest::new(digest);
        let bytes = std::fs::read(self.archive(&digest)?).ok()?;
        (Digest::of(&bytes) == digest).then_some((digest, bytes))
    }

    /// Keeps an archive.
    pub(super) fn keep(&self, wanted: &Wanted<'_>, bytes: &[u8]) -> Result<Digest, SourceError> {
        let digest = Digest::of(bytes);
        let write = |path: PathBuf, bytes: &[u8]| {
            write_atomically(&path, bytes).map_err(|source| SourceError::Cache { path, source })
        };
        if let Some(path) = self.archive(&digest) {
            write(path, bytes)?;
        }
        let verified =
            if wanted.verify.digest == DigestPolicy::Required { " verified" } else { "" };
        write(self.note(wanted), format!("{digest}{verified}\n").as_bytes())?;
        Ok(digest)
    }

    /// `None` for a text that is no digest, as a damaged note may have.
    fn archive(&self, digest: &Digest) -> Option<PathBuf> {
        let text = digest.as_str();
        let is_digest = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        is_digest.then(|| self.folder.join("archives").join(format!("{text}.tgz")))
    }

    fn note(&self, wanted: &Wanted<'_>) -> PathBuf {
        let id = format!("{}\n{}\n{}", wanted.url, wanted.name, wanted.version);
        self.folder.join("versions").join(Digest::of(id.as_bytes()).as_str())
    }
}
