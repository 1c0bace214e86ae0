//! A git repository in memory: a branch whose commits are whole fleets.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::fleet::{Files, FleetModel};
use crate::base::author::Author;
use crate::base::ids::{Digest, Rev};
use crate::controller::Origin;
use crate::git::{Commit, GitError, Source};

/// What messages call it.
const LOCATION: &str = "memory";

/// The repository. Cheap to clone; clones are the same one.
#[derive(Clone, Debug)]
pub(super) struct Git(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    commits: BTreeMap<Rev, Files>,
    /// Of those that say so.
    authors: BTreeMap<Rev, String>,
    branch: Vec<(Rev, FleetModel)>,
    is_down: bool,
    /// How many commits there ever were: no two are the same.
    count: usize,
}

impl Git {
    /// A repository with one commit.
    pub(super) fn new(first: FleetModel) -> Self {
        let state = State {
            commits: BTreeMap::new(),
            authors: BTreeMap::new(),
            branch: Vec::new(),
            is_down: false,
            count: 0,
        };
        let git = Self(Arc::new(Mutex::new(state)));
        git.commit(first);
        git
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fleet at the newest commit.
    pub(super) fn newest(&self) -> FleetModel {
        let state = self.lock();
        state.branch.last().expect("there is always a commit").1.clone()
    }

    /// The newest commit.
    pub(super) fn newest_rev(&self) -> Rev {
        let state = self.lock();
        state.branch.last().expect("there is always a commit").0.clone()
    }

    /// One more commit, of somebody's.
    pub(super) fn commit_by(&self, fleet: FleetModel, author: &str) {
        self.commit(fleet);
        let rev = self.newest_rev();
        self.lock().authors.insert(rev, author.to_owned());
    }

    /// One more commit.
    pub(super) fn commit(&self, fleet: FleetModel) {
        let mut state = self.lock();
        state.count += 1;
        let digest = Digest::of(format!("commit {}", state.count).as_bytes());
        let rev = Rev::from(&digest.as_str()[..40]);
        state.commits.insert(rev.clone(), fleet.files());
        state.branch.push((rev, fleet));
    }

    /// The branch goes back by so many commits, of which the repository may forget the rest.
    pub(super) fn force_push(&self, back: usize, forgets: bool) {
        let mut state = self.lock();
        for _ in 0..back {
            if state.branch.len() > 1
                && let Some((rev, _)) = state.branch.pop()
                && forgets
            {
                state.commits.remove(&rev);
            }
        }
    }

    /// Whether it answers from now on.
    pub(super) fn set_down(&self, is_down: bool) {
        self.lock().is_down = is_down;
    }
}

impl Origin for Git {
    fn newest(&self) -> Result<Rev, GitError> {
        if self.lock().is_down {
            return Err(GitError::Empty(LOCATION.to_owned()));
        }
        Ok(self.newest_rev())
    }

    fn source(&self, rev: &Rev) -> Result<Source, GitError> {
        let state = self.lock();
        let files = state.commits.get(rev).cloned();
        let files = files.ok_or_else(|| GitError::CommitGone {
            commit: rev.to_string(),
            location: LOCATION.to_owned(),
        })?;
        Ok(Source { rev: rev.clone(), files, author: None })
    }

    fn commits(&self, since: &Rev, until: &Rev, folder: &str) -> Result<Vec<Commit>, GitError> {
        let state = self.lock();
        let after =
            |rev: &Rev| state.branch.iter().position(|(known, _)| known == rev).map(|at| at + 1);
        let known = state.branch.iter().map(|(rev, _)| rev);
        let range = after(since).unwrap_or_default()..after(until).unwrap_or_default();
        let mut before = range.start.checked_sub(1).and_then(|at| known.clone().nth(at));
        let mut commits = Vec::new();
        for rev in known.take(range.end).skip(range.start) {
            let files = &state.commits[rev];
            let is_new = |path: &&String| {
                let old = before.and_then(|before| state.commits[before].get(*path));
                path.starts_with(&format!("{folder}/")) && old != files.get(*path)
            };
            commits.push(Commit {
                rev: rev.clone(),
                author: author(state.authors.get(rev)),
                message: String::new(),
                signature: None,
                brings: files.keys().filter(is_new).cloned().collect(),
            });
            before = Some(rev);
        }
        Ok(commits)
    }

    fn blocks(&self) -> bool {
        false
    }
}

fn author(name: Option<&String>) -> Author {
    let name = name.map_or("somebody", String::as_str);
    Author { name: name.to_owned(), email: format!("{name}@example.org") }
}
