//! A repository with a fleet in it: revisions by name, and their files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use git2::{ErrorCode, ObjectType, Oid, StatusOptions, TreeWalkMode, TreeWalkResult};

use super::Source;
use super::error::GitError;
use super::location::{self, Location, Remote};
use super::mirror::{self, Fetched};
use super::settings::Settings;
use crate::base::author::Author;
use crate::base::diagnostic::closest;
use crate::base::ids::{Digest, Rev};
use crate::base::limits::{FILE_BYTES_MAX, SOURCE_BYTES_MAX};

/// Folders that make a folder a fleet's root.
const FLEET_FOLDERS: [&str; 4] = ["clusters", "addons", "policies", "approvals"];
const WORKTREE: &str = "worktree:";

/// A repository, local or mirrored. May be sent between threads, not shared.
pub struct Repository {
    git: Option<git2::Repository>,
    /// The fleet's root on disk, where there is a work tree.
    folder: Option<PathBuf>,
    /// The fleet's root within the repository; empty is the top.
    prefix: String,
    /// For messages.
    location: String,
    remote: Option<(Remote, Settings)>,
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Repository({}, {:?})", self.location, self.prefix)
    }
}

impl Repository {
    /// Opens a folder (the fleet's root, or any folder below it) or the mirror of a `file://`,
    /// `https://` or `ssh://` remote. Does not use the network: call [`Repository::fetch`].
    pub fn open(location: &str) -> Result<Self, GitError> {
        Self::open_with(location, Settings::from_environment())
    }

    /// [`Repository::open`] with settings of the caller's.
    pub fn open_with(location: &str, settings: Settings) -> Result<Self, GitError> {
        match location::parse(location)? {
            Location::Folder(folder) => Self::open_folder(&folder),
            Location::Remote(remote, prefix) => Ok(Self {
                git: Some(mirror::open(&remote, &settings.cache)?),
                folder: None,
                prefix,
                location: remote.display(),
                remote: Some((remote, settings)),
            }),
        }
    }

    fn open_folder(folder: &Path) -> Result<Self, GitError> {
        let location = folder.display().to_string();
        let start = folder.canonicalize().map_err(|_| GitError::NoFolder(folder.to_owned()))?;
        let git = match git2::Repository::discover(&start) {
            Ok(git) => Some(git),
            Err(error) if error.code() == ErrorCode::NotFound => None,
            Err(source) => return Err(GitError::Open { location, source }),
        };
        let top = git.as_ref().and_then(git2::Repository::workdir).map(Path::to_owned);
        let top = top.and_then(|top| top.canonicalize().ok());
        if git.as_ref().is_some_and(git2::Repository::is_bare) {
            return Ok(Self { git, folder: None, prefix: String::new(), location, remote: None });
        }
        let root = fleet_root(&start, top.as_deref());
        let prefix = top
            .as_deref()
            .and_then(|top| root.strip_prefix(top).ok())
            .map(|path| path.to_string_lossy().replace('\\', "/"))
            .unwrap_or_default();
        Ok(Self { git, folder: Some(root), prefix, location, remote: None })
    }

    /// The repository as the user named it; never has a credential in it.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// The fleet's root on disk; none for remotes and bare repositories.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// The fleet's root within the repository; empty is the top.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether [`Repository::fetch`] goes to a remote.
    pub fn is_remote(&self) -> bool {
        self.remote.is_some()
    }

    /// Brings a remote's branches and tags up to date. A folder is always up to date.
    pub fn fetch(&self) -> Result<Fetched, GitError> {
        match (&self.remote, &self.git) {
            (Some((remote, settings)), Some(git)) => mirror::fetch(git, remote, settings, None),
            _ => Ok(Fetched::default()),
        }
    }

    /// The commit that a branch, tag, abbreviated commit, `HEAD` or `HEAD~1` names. A commit in
    /// full that is not here is asked for from the remote, if there is one: some keep commits
    /// that no branch leads to.
    pub fn resolve(&self, rev: &str) -> Result<Rev, GitError> {
        let git = self.git()?;
        let wanted = Oid::from_str(rev).ok().filter(|_| rev.len() == 40);
        if let (Some(oid), Some((remote, settings))) = (wanted, &self.remote)
            && git.find_commit(oid).is_err()
        {
            match mirror::fetch(git, remote, settings, Some(oid)) {
                // A server that does not know the commit says so in the conversation.
                Ok(_) | Err(GitError::Protocol { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let found = git
            .revparse_single(rev)
            .and_then(|object| object.peel_to_commit())
            .map(|commit| Rev::new(commit.id().to_string()));
        found.map_err(|source| self.unresolved(rev, wanted, source))
    }

    fn unresolved(&self, rev: &str, wanted: Option<Oid>, source: git2::Error) -> GitError {
        let location = self.location.clone();
        if let Some(oid) = wanted {
            return GitError::CommitGone { commit: oid.to_string(), location };
        }
        let missing = matches!(
            source.code(),
            ErrorCode::NotFound | ErrorCode::InvalidSpec | ErrorCode::UnbornBranch
        );
        if !missing {
            return GitError::Read { location, source };
        }
        if rev == "HEAD" {
            return GitError::Empty(location);
        }
        let names = self.names();
        let similar = closest(rev, names.iter().map(String::as_str)).map(str::to_owned);
        GitError::UnknownRevision { rev: rev.to_owned(), location, similar }
    }

    fn names(&self) -> BTreeSet<String> {
        let Some(Ok(references)) = self.git.as_ref().map(git2::Repository::references) else {
            return BTreeSet::new();
        };
        references
            .flatten()
            .filter_map(|reference| reference.shorthand().ok().map(str::to_owned))
            .collect()
    }

    pub(super) fn git(&self) -> Result<&git2::Repository, GitError> {
        self.git.as_ref().ok_or_else(|| GitError::NotGit(self.location.clone()))
    }

    fn read_error(&self) -> impl Fn(git2::Error) -> GitError + '_ {
        |source| GitError::Read { location: self.location.clone(), source }
    }

    /// All files of a commit below the fleet's root. Files above the bound are left out outside
    /// of the folders with documents, and an error inside.
    pub fn source(&self, rev: &Rev) -> Result<Source, GitError> {
        let git = self.git()?;
        let gone =
            || GitError::CommitGone { commit: rev.to_string(), location: self.location.clone() };
        let oid = Oid::from_str(rev.as_str()).map_err(|_| gone())?;
        let commit = git.find_commit(oid).map_err(|_| gone())?;
        let tree = self.tree(git, &commit)?;
        let mut files = Collected::new(&self.location);
        let mut failure = None;
        let walked = tree.walk(TreeWalkMode::PreOrder, |folder, entry| {
            let is_file = entry.kind() == Some(ObjectType::Blob) && entry.filemode() != 0o120_000;
            let (true, Ok(name)) = (is_file, entry.name()) else { return TreeWalkResult::Ok };
            match self.take_blob(git, entry.id(), format!("{folder}{name}"), &mut files) {
                Ok(()) => TreeWalkResult::Ok,
                Err(error) => {
                    failure = Some(error);
                    TreeWalkResult::Abort
                }
            }
        });
        if let Some(error) = failure {
            return Err(error);
        }
        walked.map_err(self.read_error())?;
        let author = commit.author();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let author = Author { name: text(author.name_bytes()), email: text(author.email_bytes()) };
        Ok(Source { rev: rev.clone(), files: files.files, author: Some(author) })
    }

    fn tree<'a>(
        &self,
        git: &'a git2::Repository,
        commit: &git2::Commit<'a>,
    ) -> Result<git2::Tree<'a>, GitError> {
        let top = commit.tree().map_err(self.read_error())?;
        if self.prefix.is_empty() {
            return Ok(top);
        }
        top.get_path(Path::new(&self.prefix))
            .and_then(|entry| entry.to_object(git))
            .and_then(|object| object.peel_to_tree())
            .map_err(|_| GitError::NoFleet {
                folder: self.prefix.clone(),
                rev: commit.id().to_string(),
                location: self.location.clone(),
            })
    }

    fn take_blob(
        &self,
        git: &git2::Repository,
        oid: Oid,
        path: String,
        files: &mut Collected<'_>,
    ) -> Result<(), GitError> {
        let odb = git.odb().map_err(self.read_error())?;
        let (size, _) = odb.read_header(oid).map_err(self.read_error())?;
        if files.admits(&path, size as u64)? {
            let object = odb.read(oid).map_err(self.read_error())?;
            files.insert(path, object.data().into());
        }
        Ok(())
    }

    /// The files as they are on disk: tracked and untracked ones, not those that git ignores. When
    /// nothing differs from `HEAD`, this is `HEAD`'s [`Source`].
    pub fn worktree(&self) -> Result<Source, GitError> {
        let Some(root) = &self.folder else {
            return Err(GitError::NoWorktree(self.location.clone()));
        };
        let Some(git) = &self.git else {
            let mut files = Collected::new(&self.location);
            walk_folder(root, "", &mut files)?;
            return Ok(files.into_worktree());
        };
        let changed = self.changed(git)?;
        if changed.is_empty()
            && let Ok(head) = self.resolve("HEAD")
        {
            return self.source(&head);
        }
        let index = git.index().map_err(self.read_error())?;
        let tracked = index
            .iter()
            .filter(|entry| entry.mode & 0o170_000 == 0o100_000)
            .filter_map(|entry| String::from_utf8(entry.path).ok());
        let paths: BTreeSet<String> = tracked.chain(changed).collect();
        let mut files = Collected::new(&self.location);
        for path in paths {
            let Some(path) = self.relative(&path) else { continue };
            let disk = root.join(path);
            read_file(&disk, path.to_owned(), &mut files)?;
        }
        Ok(files.into_worktree())
    }

    /// A path of the repository, relative to the fleet's root; none where it is not below.
    pub(super) fn relative<'a>(&self, path: &'a str) -> Option<&'a str> {
        if self.prefix.is_empty() {
            return Some(path);
        }
        path.strip_prefix(&self.prefix).and_then(|path| path.strip_prefix('/'))
    }

    /// Paths below the fleet's root that differ from `HEAD`, relative to the repository.
    fn changed(&self, git: &git2::Repository) -> Result<Vec<String>, GitError> {
        let mut options = StatusOptions::new();
        options
            .include_untracked(true)
            .recurse_untracked_dirs(true)
            .include_ignored(false)
            .exclude_submodules(true)
            .disable_pathspec_match(true);
        if !self.prefix.is_empty() {
            options.pathspec(self.prefix.as_str());
        }
        let statuses = git.statuses(Some(&mut options)).map_err(self.read_error())?;
        Ok(statuses
            .iter()
            .filter_map(|entry| entry.path().ok().map(str::to_owned))
            .filter(|path| self.relative(path).is_some())
            .collect())
    }
}

/// The nearest folder, from `start` upward, that looks like a fleet; else the top of the
/// repository; else `start`.
fn fleet_root(start: &Path, top: Option<&Path>) -> PathBuf {
    let within = |folder: &&Path| top.is_none_or(|top| folder.starts_with(top));
    start
        .ancestors()
        .take_while(within)
        .find(|folder| FLEET_FOLDERS.iter().any(|name| folder.join(name).is_dir()))
        .or(top)
        .unwrap_or(start)
        .to_owned()
}

/// Files on their way into a [`Source`], counted.
struct Collected<'a> {
    files: BTreeMap<String, Arc<[u8]>>,
    bytes: u64,
    location: &'a str,
}

impl<'a> Collected<'a> {
    fn new(location: &'a str) -> Self {
        Self { files: BTreeMap::new(), bytes: 0, location }
    }

    /// Whether a file of that size is taken.
    fn admits(&mut self, path: &str, size: u64) -> Result<bool, GitError> {
        if size > FILE_BYTES_MAX as u64 {
            let top = path.split('/').next().unwrap_or_default();
            if FLEET_FOLDERS.contains(&top) {
                let limit = FILE_BYTES_MAX;
                return Err(GitError::FileTooLarge { path: path.to_owned(), size, limit });
            }
            return Ok(false);
        }
        self.bytes += size;
        if self.bytes > SOURCE_BYTES_MAX as u64 {
            let location = self.location.to_owned();
            return Err(GitError::TooLarge { location, limit: SOURCE_BYTES_MAX });
        }
        Ok(true)
    }

    fn insert(&mut self, path: String, bytes: Arc<[u8]>) {
        self.files.insert(path, bytes);
    }

    fn into_worktree(self) -> Source {
        use sha2::Digest as _;
        let mut hash = sha2::Sha256::new();
        for (path, bytes) in &self.files {
            hash.update((path.len() as u64).to_le_bytes());
            hash.update(path);
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        }
        let digest = Digest::new(crate::base::ids::hex(&hash.finalize()));
        Source { rev: Rev::new(format!("{WORKTREE}{digest}")), files: self.files, author: None }
    }
}

fn read_file(disk: &Path, path: String, files: &mut Collected<'_>) -> Result<(), GitError> {
    let failed = |source| GitError::File { path: disk.to_owned(), source };
    let found = match std::fs::symlink_metadata(disk) {
        Ok(found) => found,
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(());
        }
        Err(error) => return Err(failed(error)),
    };
    if found.is_file() && files.admits(&path, found.len())? {
        let bytes = std::fs::read(disk).map_err(failed)?;
        files.insert(path, bytes.into());
    }
    Ok(())
}

fn walk_folder(root: &Path, folder: &str, files: &mut Collected<'_>) -> Result<(), GitError> {
    let disk = root.join(folder);
    let failed = |source| GitError::File { path: disk.clone(), source };
    for entry in std::fs::read_dir(&disk).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            walk_folder(root, &path, files)?;
        } else if kind.is_file() {
            read_file(&entry.path(), path, files)?;
        }
    }
    Ok(())
}
