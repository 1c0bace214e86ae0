//! What git says: the newest commit, read and rendered, and single instances of earlier ones.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use crate::base::clock::today;
use crate::base::diagnostic::{Diagnostic, Severity, few};
use crate::base::ids::{AddonName, Digest, InstanceKey, PolicyName, Rev};
use crate::base::planted::{Planted, is_planted};
use crate::chart::source::ChartStore;
use crate::fleet::Desired;
use crate::fleet::instance::Instance;
use crate::fleet::model::{Limits, RolloutPolicySpec};
use crate::git::{Commit, GitError, Repository, Source};
use crate::render::{Release, RenderOptions, render_fleet};
use crate::rollout::Rollout;
use crate::rollout::stages::{policy_of, without_policy};

/// Earlier commits that are kept read: as many as rollouts may be pinned to at once in practice.
const REVISIONS_MAX: usize = 16;

/// A commit, read and rendered.
#[derive(Debug)]
pub struct Head {
    /// The commit's documents and instances.
    pub desired: Arc<Desired>,
    /// Every instance that could be rendered.
    pub releases: BTreeMap<InstanceKey, Release>,
    /// What is wrong with it.
    pub findings: Vec<Diagnostic>,
}

impl Head {
    /// The commit.
    pub fn rev(&self) -> &Rev {
        &self.desired.source.rev
    }

    /// Whether every document could be read. Only then does an instance that is not there mean
    /// that it shall not be.
    pub fn is_whole(&self) -> bool {
        self.findings.iter().all(|found| found.severity != Severity::Error)
            || is_planted(Planted::MistakeIsAbsence)
    }

    /// The policy that an addon goes by. For an addon that git no longer has: the one of the name that
    /// its newest rollout went by, or that one itself.
    ///
    /// # Errors
    /// Its name, where it cannot be read.
    pub fn policy(
        &self,
        addon: &AddonName,
        newest: Option<&Rollout>,
    ) -> Result<(Option<PolicyName>, RolloutPolicySpec), PolicyName> {
        let fleet = &self.desired.fleet;
        if let Some(document) = fleet.addons.get(addon) {
            return policy_of(fleet, &document.value).map_err(Clone::clone);
        }
        let Some(newest) = newest else { return Ok((None, without_policy())) };
        let name = newest.policy_name.as_ref();
        let named = name.and_then(|name| fleet.policies.get(name));
        let policy = named.map_or(&newest.policy, |policy| &policy.value.spec);
        Ok((name.cloned(), policy.clone()))
    }

    /// How much of an instance may be deleted at once.
    pub fn limits(&self, addon: &AddonName, newest: Option<&Rollout>) -> Limits {
        self.policy(addon, newest).map_or_else(|_| Limits::default(), |(_, policy)| policy.limits)
    }

    /// Whether each instance of an addon could be rendered.
    pub fn is_rendered(&self, addon: &AddonName) -> bool {
        let of_addon = |instance: &&Instance| instance.key.addon == *addon;
        let instances = self.desired.instances.iter().filter(of_addon);
        instances.map(|instance| &instance.key).all(|key| self.releases.contains_key(key))
    }

    /// Reads and renders a commit. Blocks.
    fn read(source: Source, charts: &ChartStore) -> Self {
        let checked = Desired::read(source, today());
        let mut findings = checked.diagnostics;
        let desired = checked.value;
        let options = RenderOptions::install();
        let rendered = render_fleet(&desired.instances, &desired.source, charts, &options);
        findings.extend(rendered.diagnostics);
        let releases = rendered.value.into_iter();
        Self {
            releases: releases.map(|release| (release.instance.key.clone(), release)).collect(),
            desired: Arc::new(desired),
            findings,
        }
    }
}

/// Where a fleet is kept, and which commit of it counts.
pub trait Origin: Send + Sync {
    /// The newest commit, once it is brought here.
    fn newest(&self) -> Result<Rev, GitError>;

    /// The files of a commit.
    fn source(&self, rev: &Rev) -> Result<Source, GitError>;

    /// The commits that `until` has in its history and `since` has not, oldest first, with what they bring below
    /// a folder.
    fn commits(&self, since: &Rev, until: &Rev, folder: &str) -> Result<Vec<Commit>, GitError>;

    /// Whether threads are there to wait for it: what is in memory needs none.
    fn blocks(&self) -> bool {
        true
    }
}

/// A branch of a repository.
#[derive(Clone, Debug)]
pub struct Branch {
    /// A folder or a URL.
    pub location: String,
    /// A branch, tag or commit.
    pub reference: String,
}

impl Origin for Branch {
    fn newest(&self) -> Result<Rev, GitError> {
        let repository = Repository::open(&self.location)?;
        repository.fetch()?;
        repository.resolve(&self.reference)
    }

    fn source(&self, rev: &Rev) -> Result<Source, GitError> {
        let repository = Repository::open(&self.location)?;
        repository.source(&repository.resolve(rev.as_str())?)
    }

    fn commits(&self, since: &Rev, until: &Rev, folder: &str) -> Result<Vec<Commit>, GitError> {
        let repository = Repository::open(&self.location)?;
        let mut commits =
            repository.commits(&repository.resolve(since.as_str())?, until, folder)?;
        commits.reverse();
        Ok(commits)
    }
}

/// Instances of earlier commits: what has not been reached by a rollout is held to its own.
pub struct Revisions {
    origin: Arc<dyn Origin>,
    charts: Arc<ChartStore>,
    read: Mutex<VecDeque<Arc<Desired>>>,
}

impl Revisions {
    /// Of one repository.
    pub fn new(origin: Arc<dyn Origin>, charts: Arc<ChartStore>) -> Self {
        Self { origin, charts, read: Mutex::default() }
    }

    /// The documents of a commit. Blocks.
    ///
    /// # Errors
    /// Says why the commit cannot be read.
    pub fn desired(&self, rev: &Rev) -> Result<Arc<Desired>, String> {
        let mut read = self.read.lock().expect("no thread panics with it");
        if let Some(at) = read.iter().position(|desired| desired.source.rev == *rev) {
            let desired = read.remove(at).expect("it was found there");
            read.push_front(Arc::clone(&desired));
            return Ok(desired);
        }
        let source = self.origin.source(rev);
        let source = source.map_err(|error| crate::report::errors::chain(&error))?;
        let desired = Arc::new(Desired::read(source, today()).value);
        read.push_front(Arc::clone(&desired));
        read.truncate(REVISIONS_MAX);
        Ok(desired)
    }

    /// The commits since a rollout's, see [`Origin::commits`]. Blocks.
    pub(super) fn commits(
        &self,
        since: &Rev,
        until: &Rev,
        folder: &str,
    ) -> Result<Vec<Commit>, GitError> {
        self.origin.commits(since, until, folder)
    }

    /// Does work with git: here, or on a thread that may wait.
    ///
    /// # Errors
    /// In words, when the work panicked.
    pub(super) async fn off<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, String> {
        if !self.origin.blocks() {
            return Ok(work(self));
        }
        let revisions = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || work(&revisions)).await;
        done.map_err(|error| error.to_string())
    }

    /// The newest commit if it is not `known`. Blocks.
    pub(super) fn poll(&self, known: Option<&Rev>) -> Result<Option<Head>, GitError> {
        let rev = self.origin.newest()?;
        if known == Some(&rev) {
            return Ok(None);
        }
        Ok(Some(Head::read(self.origin.source(&rev)?, &self.charts)))
    }

    /// One instance as a commit has it, which must render to `digest`. Blocks.
    ///
    /// # Errors
    /// Says why it cannot be had any more.
    pub fn release(
        &self,
        key: &InstanceKey,
        rev: &Rev,
        digest: &Digest,
    ) -> Result<Release, String> {
        let desired = self.desired(rev)?;
        let instance = desired.instance(key);
        let short = rev.short();
        let instance = instance.ok_or_else(|| format!("commit {short} has no {key}"))?;
        let instances = std::slice::from_ref(instance);
        let options = RenderOptions::install();
        let rendered = render_fleet(instances, &desired.source, &self.charts, &options);
        match rendered.value.into_iter().next() {
            Some(release) if release.digest == *digest => Ok(release),
            Some(_) => Err(format!("{key} of commit {short} renders differently now")),
            None => {
                let told: Vec<_> =
                    rendered.diagnostics.iter().map(|found| found.message.as_str()).collect();
                Err(format!("{key} of commit {short} cannot be rendered: {}", few(&told)))
            }
        }
    }
}
