//! Git: any revision of a local or remote repository, read without a checkout.
//!
//! Only reads and fetches; nothing here can push, commit or touch a work tree. Knows nothing
//! about what the files mean.
//!
//! A remote is kept as a bare mirror in the cache folder. Objects are never removed from a
//! mirror, so that a revision stays readable when its branch was rewritten since. The protocol
//! (`upload_pack`) is ours, over rustls and the user's own `ssh`: libgit2's transports would bring
//! OpenSSL and libssh2.

mod commits;
mod error;
mod location;
mod merge_base;
mod mirror;
mod repository;
pub mod settings;
pub mod signature;
mod transport;
mod upload_pack;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::author::Author;
use crate::base::ids::Rev;

pub use self::commits::{COMMITS_MAX, Commit};
pub use self::error::GitError;
pub use self::mirror::{Fetched, Moved};
pub use self::repository::Repository;

/// The files of one revision, in memory.
#[derive(Clone, Debug)]
pub struct Source {
    /// Which revision.
    pub rev: Rev,
    /// Path (with `/`, relative to the fleet's root) to content. Symbolic links and submodules are
    /// left out.
    pub files: BTreeMap<String, Arc<[u8]>>,
    /// Who has written the commit; none where it is no commit.
    pub author: Option<Author>,
}

impl Source {
    /// The text of a file, if it is there and is UTF-8.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// Files below a folder (without trailing slash; empty is everything), in order of their path.
    pub fn below(&self, folder: &str) -> impl Iterator<Item = (&str, &Arc<[u8]>)> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        self.files
            .range(prefix.clone()..)
            .take_while(move |(path, _)| path.starts_with(&prefix))
            .map(|(path, bytes)| (path.as_str(), bytes))
    }

    /// Whether any file is below a folder.
    pub fn has_folder(&self, folder: &str) -> bool {
        self.below(folder).next().is_some()
    }
}
