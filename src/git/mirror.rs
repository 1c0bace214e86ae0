//! Bare mirrors of remotes in the cache folder, and bringing them up to date.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use git2::{Oid, Repository, RepositoryInitOptions};

use super::error::GitError;
use super::location::Remote;
use super::settings::Settings;
use super::transport::{HttpChannel, SshChannel};
use super::upload_pack::{Advertisement, Channel, Trouble, fetch_pack, read_advertisement};
use crate::base::ids::{Digest, Rev};

/// Commits told to a server as already here; it needs one that it knows.
const HAVES_MAX: usize = 256;

/// What a fetch found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// References that are not where they were, in order of their name.
    pub moved: Vec<Moved>,
}

/// A branch or tag that moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Such as `refs/heads/main`.
    pub name: String,
    /// Where it was; none when it is new.
    pub from: Option<Rev>,
    /// Where it is; none when it is gone.
    pub to: Option<Rev>,
    /// The new commit does not descend from the old one: the branch was rewritten.
    pub is_forced: bool,
}

/// Opens the mirror of a remote, made when there is none yet. Does not use the network.
pub(super) fn open(remote: &Remote, cache: &Path) -> Result<Repository, GitError> {
    let location = remote.display();
    let folder = cache.join("git").join(Digest::of(location.as_bytes()).short());
    if let Some(parent) = folder.parent() {
        std::fs::create_dir_all(parent)
            .map_err(|source| GitError::File { path: parent.to_owned(), source })?;
    }
    // Making a repository where there is one already changes nothing in it.
    Repository::init_opts(&folder, RepositoryInitOptions::new().bare(true).no_reinit(false))
        .map_err(|source| GitError::Open { location, source })
}

/// Brings branches and tags up to date, and fetches `commit` if it is named.
pub(super) fn fetch(
    repository: &Repository,
    remote: &Remote,
    settings: &Settings,
    commit: Option<Oid>,
) -> Result<Fetched, GitError> {
    let location = remote.display();
    let read = |source| GitError::Read { location: location.clone(), source };
    let before = references(repository).map_err(read)?;
    match remote {
        Remote::File(path) => {
            let url = format!("file://{}", path.display());
            fetch_file(repository, &url)
                .map_err(|source| GitError::Fetch { location: location.clone(), source })?;
        }
        Remote::Http(url) => {
            let mut channel = HttpChannel::new(url.clone(), settings.credential.clone());
            let result = converse(repository, &mut channel, commit);
            let error = channel.error.take();
            result.map_err(|trouble| match error {
                Some(source) => GitError::Http { location: location.clone(), source },
                None => protocol(&location, trouble),
            })?;
        }
        Remote::Ssh(ssh) => {
            let failed = |message| GitError::Ssh { location: location.clone(), message };
            let mut channel = SshChannel::start(ssh, &settings.ssh)
                .map_err(|error| failed(format!("ssh cannot be started: {error}")))?;
            let result = converse(repository, &mut channel, commit);
            let talk = channel.finish();
            result.map_err(|trouble| match trouble {
                Trouble::Broken(_) if !talk.is_empty() => failed(talk),
                trouble => protocol(&location, trouble),
            })?;
        }
    }
    let after = references(repository).map_err(read)?;
    Ok(Fetched { moved: moves(repository, &before, &after) })
}

fn protocol(location: &str, trouble: Trouble) -> GitError {
    let location = location.to_owned();
    let reason = match trouble {
        Trouble::Broken(error) => format!("the answer breaks off: {error}"),
        Trouble::Unexpected(reason) => reason,
        Trouble::Refused(reason) => format!("it refuses: {reason}"),
    };
    GitError::Protocol { location, reason }
}

fn fetch_file(repository: &Repository, url: &str) -> Result<(), git2::Error> {
    let mut remote = repository.remote_anonymous(url)?;
    let mut options = git2::FetchOptions::new();
    options.prune(git2::FetchPrune::On).download_tags(git2::AutotagOption::None);
    let specs = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];
    remote.fetch(&specs, Some(&mut options), None)?;
    remote.connect(git2::Direction::Fetch)?;
    let head = remote.default_branch().ok();
    remote.disconnect()?;
    if let Some(head) = head.as_ref().and_then(|head| head.as_str().ok()) {
        repository.set_head(head)?;
    }
    Ok(())
}

fn converse(
    repository: &Repository,
    channel: &mut dyn Channel,
    commit: Option<Oid>,
) -> Result<(), Trouble> {
    let advertisement = read_advertisement(&mut *channel.advertisement()?)?;
    let odb = repository.odb().map_err(local)?;
    let wants: BTreeSet<Oid> = advertisement
        .references
        .iter()
        .filter(|(name, _)| is_kept(name))
        .map(|(_, oid)| *oid)
        .chain(commit)
        .filter(|oid| !odb.exists(*oid))
        .collect();
    if !wants.is_empty() {
        let haves = haves(repository).map_err(local)?;
        let mut writer = odb.packwriter().map_err(local)?;
        fetch_pack(channel, &advertisement, (&wants, &haves), &mut writer)?;
        writer.commit().map_err(local)?;
    }
    update_references(repository, &advertisement).map_err(local)
}

fn local(error: git2::Error) -> Trouble {
    Trouble::Broken(io::Error::other(error))
}

fn is_kept(name: &str) -> bool {
    name == "HEAD" || name.starts_with("refs/heads/") || name.starts_with("refs/tags/")
}

/// Recent commits of every branch here.
fn haves(repository: &Repository) -> Result<Vec<Oid>, git2::Error> {
    let mut walk = repository.revwalk()?;
    walk.set_sorting(git2::Sort::TIME)?;
    for oid in references(repository)?.values() {
        // A tag of something that is no commit is no starting point.
        let _ = walk.push(*oid);
    }
    walk.take(HAVES_MAX).collect()
}

fn references(repository: &Repository) -> Result<BTreeMap<String, Oid>, git2::Error> {
    let mut found = BTreeMap::new();
    for reference in repository.references()? {
        let reference = reference?;
        if let (Ok(name), Some(oid)) = (reference.name(), reference.target()) {
            found.insert(name.to_owned(), oid);
        }
    }
    Ok(found)
}

fn update_references(repository: &Repository, there: &Advertisement) -> Result<(), git2::Error> {
    let here = references(repository)?;
    for (name, oid) in &there.references {
        if name != "HEAD" && is_kept(name) && here.get(name) != Some(oid) {
            repository.reference(name, *oid, true, "fetch")?;
        }
    }
    for name in here.keys().filter(|name| is_kept(name) && !there.references.contains_key(*name)) {
        repository.find_reference(name)?.delete()?;
    }
    match (&there.head, there.references.get("HEAD")) {
        (Some(name), _) => repository.set_head(name),
        (None, Some(oid)) => repository.set_head_detached(*oid),
        (None, None) => Ok(()),
    }
}

fn moves(
    repository: &Repository,
    before: &BTreeMap<String, Oid>,
    after: &BTreeMap<String, Oid>,
) -> Vec<Moved> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let rev = |oid: &Oid| Rev::new(oid.to_string());
    names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name))
        .map(|name| {
            let (from, to) = (before.get(name), after.get(name));
            let is_forced = match (from, to) {
                (Some(from), Some(to)) => {
                    !repository.graph_descendant_of(*to, *from).unwrap_or(false)
                }
                _ => false,
            };
            Moved { name: name.clone(), from: from.map(rev), to: to.map(rev), is_forced }
        })
        .collect()
}
