//! What git says: the newest commit, read and rendered, and single instances of earlier ones.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use crate::base::clock::today;
use crate::base::diagnostic::{Diagnostic, Severity, few};
use crate::base::ids::{AddonName, Digest, InstanceKey, Rev};
use crate::chart::source::ChartStore;
use crate::fleet::Desired;
use crate::fleet::instance::Instance;
use crate::git::{GitError, Repository};
use crate::render::{Release, RenderOptions, render_fleet};

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
    }

    /// Whether each instance of an addon could be rendered.
    pub fn is_rendered(&self, addon: &AddonName) -> bool {
        let of_addon = |instance: &&Instance| instance.key.addon == *addon;
        let instances = self.desired.instances.iter().filter(of_addon);
        instances.map(|instance| &instance.key).all(|key| self.releases.contains_key(key))
    }
}

/// Where a fleet is kept, and which branch of it counts.
#[derive(Clone, Debug)]
pub struct Origin {
    /// A folder or a URL.
    pub location: String,
    /// A branch, tag or commit.
    pub reference: String,
}

impl Origin {
    /// The newest commit if it is not `known`. Blocks: fetches, reads and renders.
    pub fn poll(&self, known: Option<&Rev>, charts: &ChartStore) -> Result<Option<Head>, GitError> {
        let repository = Repository::open(&self.location)?;
        repository.fetch()?;
        let rev = repository.resolve(&self.reference)?;
        if known == Some(&rev) {
            return Ok(None);
        }
        let checked = Desired::read(repository.source(&rev)?, today());
        let mut findings = checked.diagnostics;
        let desired = checked.value;
        let options = RenderOptions::install();
        let rendered = render_fleet(&desired.instances, &desired.source, charts, &options);
        findings.extend(rendered.diagnostics);
        let releases = rendered.value.into_iter();
        Ok(Some(Head {
            releases: releases.map(|release| (release.instance.key.clone(), release)).collect(),
            desired: Arc::new(desired),
            findings,
        }))
    }
}

/// Instances of earlier commits: what has not been reached by a rollout is held to its own.
pub struct Revisions {
    origin: Origin,
    charts: Arc<ChartStore>,
    read: Mutex<VecDeque<Arc<Desired>>>,
}

impl Revisions {
    /// Of one repository.
    pub fn new(origin: Origin, charts: Arc<ChartStore>) -> Self {
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
        let told = |error: GitError| crate::report::errors::chain(&error);
        let repository = Repository::open(&self.origin.location).map_err(told)?;
        let commit = repository.resolve(rev.as_str()).map_err(told)?;
        let source = repository.source(&commit).map_err(told)?;
        let desired = Arc::new(Desired::read(source, today()).value);
        read.push_front(Arc::clone(&desired));
        read.truncate(REVISIONS_MAX);
        Ok(desired)
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
