//! What can go wrong between us and a repository.

use std::path::PathBuf;

use crate::net::http::HttpError;

/// Why a repository could not be read or fetched.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// No such folder.
    #[error("there is no folder `{0}`")]
    NoFolder(PathBuf),
    /// A URL of a kind we do not speak, or with something in it that we do not pass on.
    #[error("`{location}` cannot be used as a git repository: {reason}")]
    Location {
        /// As given, without credentials.
        location: String,
        /// Why not.
        reason: &'static str,
    },
    /// A revision was asked for, but there is no git.
    #[error("`{0}` is not in a git repository, so it has no revisions")]
    NotGit(String),
    /// A bare repository or a remote has no files that are not committed.
    #[error("`{0}` has no work tree; name a revision")]
    NoWorktree(String),
    /// The repository has no commit yet.
    #[error("`{0}` has no commits yet")]
    Empty(String),
    /// No branch, tag or commit of that name.
    #[error("there is no revision `{rev}` in `{location}`")]
    UnknownRevision {
        /// As given.
        rev: String,
        /// Where it was looked for.
        location: String,
        /// A branch or tag of a similar name.
        similar: Option<String>,
    },
    /// A commit that was there, or that somebody else has.
    #[error("commit {commit} is not in `{location}`; its branch may have been rewritten")]
    CommitGone {
        /// 40 hexadecimal digits.
        commit: String,
        /// Where it was looked for.
        location: String,
    },
    /// Nothing says which branch others are merged into.
    #[error("`{0}` has no branch that looks like the default one")]
    NoDefaultBranch(String),
    /// Two commits without a common history.
    #[error("{one} and {other} have no commit in common in `{location}`")]
    NoMergeBase {
        /// One commit.
        one: String,
        /// The other one.
        other: String,
        /// The repository.
        location: String,
    },
    /// The fleet's folder is not there at that revision.
    #[error("there is no folder `{folder}` at {rev} of `{location}`")]
    NoFleet {
        /// Within the repository.
        folder: String,
        /// The revision.
        rev: String,
        /// The repository.
        location: String,
    },
    /// One file of the fleet's own folders is above the bound.
    #[error("`{path}` has {size} bytes; at most {limit} are read")]
    FileTooLarge {
        /// Relative to the fleet's root.
        path: String,
        /// Its size.
        size: u64,
        /// The bound.
        limit: usize,
    },
    /// All files together are above the bound.
    #[error("the files of `{location}` have more than {limit} bytes")]
    TooLarge {
        /// The repository.
        location: String,
        /// The bound.
        limit: usize,
    },
    /// The folder cannot be opened as a repository.
    #[error("`{location}` cannot be opened")]
    Open {
        /// The folder.
        location: String,
        /// What libgit2 says.
        #[source]
        source: git2::Error,
    },
    /// An object or reference cannot be read.
    #[error("`{location}` cannot be read")]
    Read {
        /// The repository.
        location: String,
        /// What libgit2 says.
        #[source]
        source: git2::Error,
    },
    /// The file system failed.
    #[error("`{path}` cannot be read or written")]
    File {
        /// Which file.
        path: PathBuf,
        /// What failed.
        #[source]
        source: std::io::Error,
    },
    /// A `file://` remote.
    #[error("`{location}` cannot be fetched")]
    Fetch {
        /// The remote.
        location: String,
        /// What libgit2 says.
        #[source]
        source: git2::Error,
    },
    /// An `https://` remote.
    #[error("`{location}` cannot be fetched")]
    Http {
        /// The remote.
        location: String,
        /// What failed.
        #[source]
        source: HttpError,
    },
    /// An `ssh://` remote.
    #[error("`{location}` cannot be fetched over ssh: {message}")]
    Ssh {
        /// The remote.
        location: String,
        /// The last words of the ssh process.
        message: String,
    },
    /// The other side does not speak as git does.
    #[error("`{location}` does not answer as a git server: {reason}")]
    Protocol {
        /// The remote.
        location: String,
        /// What was unexpected.
        reason: String,
    },
}

impl GitError {
    /// Ways out.
    pub fn help(&self) -> Vec<String> {
        match self {
            Self::UnknownRevision { similar: Some(similar), .. } => {
                vec![format!("did you mean `{similar}`?")]
            }
            Self::Http { source: HttpError::Status { status: 401 | 403 | 404, .. }, .. } => {
                vec!["a private repository needs a token in `FITOUT_GIT_TOKEN`".to_owned()]
            }
            Self::CommitGone { .. } => {
                vec!["name a commit of a branch or tag that still exists".to_owned()]
            }
            Self::NoDefaultBranch(_) => vec!["name what to compare with: `--base REV`".to_owned()],
            Self::NoMergeBase { .. } => vec![
                "a shallow clone lacks the history: fetch it whole (`GIT_DEPTH: 0` in GitLab, \
                 `fetch-depth: 0` in GitHub), or name what to compare with: `--base REV`"
                    .to_owned(),
            ],
            _ => Vec::new(),
        }
    }

    /// Whether the revision that was asked for does not exist: a wrong argument, not a failure.
    pub fn is_unknown_revision(&self) -> bool {
        matches!(self, Self::UnknownRevision { .. } | Self::CommitGone { .. })
    }
}
