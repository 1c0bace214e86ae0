//! The commits between two revisions: who has written them, what they say, and what they bring.

use std::collections::BTreeSet;
use std::path::Path;

use git2::{DiffOptions, Oid};

use super::error::GitError;
use super::repository::Repository;
use super::signature::Signature;
use crate::base::author::Author;
use crate::base::ids::Rev;

/// More commits than that are not read.
pub const COMMITS_MAX: usize = 1_000;

/// One commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Which.
    pub rev: Rev,
    /// Who has written it, as it says itself.
    pub author: Author,
    /// All of its message.
    pub message: String,
    /// Its signature; none where it is not signed.
    pub signature: Option<Signature>,
    /// Files below the folder that was asked for, relative to the fleet's root, whose content it brings: as none
    /// of its parents has it.
    pub brings: BTreeSet<String>,
}

impl Commit {
    /// The values of a trailer (`Key: value` in the last paragraph of the message), in order.
    pub fn trailers<'a>(&'a self, key: &str) -> impl Iterator<Item = &'a str> {
        let paragraphs = self.message.trim_end().rsplit("\n\n").next().unwrap_or_default();
        let of = |line: &'a str| line.split_once(':');
        paragraphs
            .lines()
            .filter_map(of)
            .filter(move |(name, _)| name.trim().eq_ignore_ascii_case(key))
            .map(|(_, value)| value.trim())
    }
}

impl Repository {
    /// The commits that `until` has in its history and `since` has not, newest first, at most [`COMMITS_MAX`].
    /// What they bring is told for files below `folder` of the fleet's root.
    ///
    /// # Errors
    /// When one of the two is not there, or something cannot be read.
    pub fn commits(&self, since: &Rev, until: &Rev, folder: &str) -> Result<Vec<Commit>, GitError> {
        let git = self.git()?;
        let failed = |source| GitError::Read { location: self.location().to_owned(), source };
        let oid = |rev: &Rev| {
            let gone = || GitError::CommitGone {
                commit: rev.to_string(),
                location: self.location().to_owned(),
            };
            let oid = Oid::from_str(rev.as_str()).map_err(|_| gone())?;
            git.find_commit(oid).map(|commit| commit.id()).map_err(|_| gone())
        };
        let mut walk = git.revwalk().map_err(failed)?;
        walk.push(oid(until)?).map_err(failed)?;
        walk.hide(oid(since)?).map_err(failed)?;
        let folder = Path::new(self.prefix()).join(folder);
        let commits = walk.take(COMMITS_MAX).map(|id| {
            let commit = git.find_commit(id.map_err(failed)?).map_err(failed)?;
            let brings = self.brought(git, &commit, &folder).map_err(failed)?;
            Ok(Commit { brings, ..read(git, &commit) })
        });
        commits.collect()
    }

    /// Files that a commit has otherwise than each of its parents.
    fn brought(
        &self,
        git: &git2::Repository,
        commit: &git2::Commit<'_>,
        folder: &Path,
    ) -> Result<BTreeSet<String>, git2::Error> {
        let tree = commit.tree()?;
        let mut options = DiffOptions::new();
        options.pathspec(folder).disable_pathspec_match(true);
        let mut changed = |parent: Option<&git2::Tree<'_>>| {
            let diff = git.diff_tree_to_tree(parent, Some(&tree), Some(&mut options))?;
            let paths = diff.deltas().filter_map(|delta| delta.new_file().path()?.to_str());
            let paths = paths.filter_map(|path| self.relative(path).map(str::to_owned));
            Ok::<BTreeSet<String>, git2::Error>(paths.collect())
        };
        let mut brings = match commit.parent(0) {
            Ok(first) => changed(Some(&first.tree()?))?,
            Err(_) => changed(None)?,
        };
        for parent in commit.parents().skip(1) {
            let others = changed(Some(&parent.tree()?))?;
            brings.retain(|path| others.contains(path));
        }
        Ok(brings)
    }
}

/// A commit but for what it brings.
fn read(git: &git2::Repository, commit: &git2::Commit<'_>) -> Commit {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let author = commit.author();
    let signature = git.extract_signature(&commit.id(), None).ok();
    Commit {
        rev: Rev::new(commit.id().to_string()),
        author: Author { name: text(author.name_bytes()), email: text(author.email_bytes()) },
        message: text(commit.message_bytes()),
        signature: signature.map(|(armored, signed)| Signature {
            armored: text(&armored),
            signed: signed.to_vec(),
        }),
        brings: BTreeSet::new(),
    }
}
