//! What a branch is compared with.

use git2::{ErrorCode, Oid};

use super::error::GitError;
use super::repository::Repository;
use crate::base::ids::Rev;

/// Names of the branch that others are merged into, the most telling first.
const DEFAULT_BRANCHES: [&str; 6] =
    ["origin/HEAD", "origin/main", "origin/master", "HEAD", "main", "master"];

impl Repository {
    /// The branch that others are merged into: what the remote calls so, else `main` or `master`.
    ///
    /// # Errors
    /// When there is no such branch.
    pub fn default_branch(&self) -> Result<String, GitError> {
        // In a mirror, `HEAD` is the remote's.
        let names = DEFAULT_BRANCHES.iter().filter(|name| self.is_remote() || **name != "HEAD");
        for name in names {
            match self.resolve(name) {
                Ok(_) => return Ok((*name).to_owned()),
                Err(GitError::UnknownRevision { .. } | GitError::Empty(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(GitError::NoDefaultBranch(self.location().to_owned()))
    }

    /// The newest commit that both have in their history.
    ///
    /// # Errors
    /// [`GitError::NoMergeBase`] when there is none, as in a clone that is too shallow.
    pub fn merge_base(&self, one: &Rev, other: &Rev) -> Result<Rev, GitError> {
        let git = self.git()?;
        let none = || GitError::NoMergeBase {
            one: one.to_string(),
            other: other.to_string(),
            location: self.location().to_owned(),
        };
        let oid = |rev: &Rev| Oid::from_str(rev.as_str()).map_err(|_| none());
        match git.merge_base(oid(one)?, oid(other)?) {
            Ok(base) => Ok(Rev::new(base.to_string())),
            Err(error) if error.code() == ErrorCode::NotFound => Err(none()),
            Err(source) => Err(GitError::Read { location: self.location().to_owned(), source }),
        }
    }
}
