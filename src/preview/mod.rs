//! What a change in git does to every cluster: two revisions of a fleet, compared without any
//! cluster; and beside it what some clusters say to it, where they were asked ([`live`]).
//!
//! Pure. The same pipeline runs twice, for the base and for the head, over the instances that
//! the change can reach ([`reach`]); their objects are compared ([`compare`]), equal changes are
//! told once with who has them ([`group`], [`describe`]), what only repeats the chart's version is
//! folded ([`noise`]), and the rest is ordered by what it may break ([`risk`]).
//!
//! # Guarantees
//! - Equal objects of both revisions are no change, whatever their text.
//! - No value of a Secret is in a [`Preview`].
//! - An instance that cannot be rendered on either side is told as such, never as removed.

pub mod beside;
pub mod compare;
pub mod describe;
pub mod documents;
pub mod group;
mod immutable;
pub mod leaving;
pub mod live;
pub mod mask;
pub mod noise;
mod random;
pub mod reach;
pub mod risk;
pub mod rollouts;
pub mod sources;
pub mod switches;
pub mod versions;

use std::collections::{BTreeMap, BTreeSet};

use crate::base::clock::Timestamp;
use crate::base::diagnostic::{Diagnostic, Severity};
use crate::base::ids::{AddonName, ClusterName, InstanceKey, Rev};
use crate::fleet::Desired;
use crate::render::Release;

pub use describe::Labels;
pub use documents::DocumentChange;
pub use group::{Group, GroupedChange};
pub use leaving::LeavingCluster;
pub use live::LiveReport;
pub use noise::Folded;
pub use risk::Risk;
pub use rollouts::{PlannedCalendar, PlannedRollout, PlannedStage};
pub use switches::PlannedSwitch;
pub use versions::VersionChange;

/// A revision with the renders of the instances that the change can reach.
#[derive(Debug)]
pub struct Side<'a> {
    /// The revision's documents and instances.
    pub desired: &'a Desired,
    /// Of the instances that were to be rendered, those that could be.
    pub releases: BTreeMap<InstanceKey, &'a Release>,
    /// What is wrong with it.
    pub findings: &'a [Diagnostic],
    /// What guardrails and other checks have against the rendered objects.
    pub judged: &'a [Diagnostic],
}

impl<'a> Side<'a> {
    /// Of a revision, what was rendered of it and what was found on the way.
    pub fn new(desired: &'a Desired, releases: &'a [Release], findings: &'a [Diagnostic]) -> Self {
        let releases = releases.iter().map(|one| (one.instance.key.clone(), one)).collect();
        Self { desired, releases, findings, judged: &[] }
    }

    /// With what was found in the rendered objects.
    #[must_use]
    pub fn judged(self, judged: &'a [Diagnostic]) -> Self {
        Self { judged, ..self }
    }

    fn all_findings(&self) -> impl Iterator<Item = &'a Diagnostic> {
        self.findings.iter().chain(self.judged)
    }

    /// Whether it wants the instance.
    fn wants(&self, key: &InstanceKey) -> bool {
        self.desired.instance(key).is_some()
    }

    /// Whether every document could be read: only then does an instance that is not there mean
    /// that it shall not be.
    fn is_whole(&self) -> bool {
        self.findings.iter().all(|found| found.severity != Severity::Error)
    }
}

/// What a change does.
#[derive(Debug)]
pub struct Preview {
    /// What it is compared with.
    pub base: Rev,
    /// What the files say then.
    pub head: Rev,
    /// Instances at the head, and how many of both sides the change can reach.
    pub instances: usize,
    /// Instances that were rendered on at least one side.
    pub reached: usize,
    /// Instances that change.
    pub changed: BTreeSet<InstanceKey>,
    /// Clusters, addons, policies and repositories that come, go or are set otherwise.
    pub documents: Vec<DocumentChange>,
    /// Clusters that leave the fleet; what is installed there stays.
    pub leaving: Vec<LeavingCluster>,
    /// Charts that come, go or change their version.
    pub versions: Vec<VersionChange>,
    /// Equal changes with who has them, the most dangerous first.
    pub groups: Vec<Group>,
    /// Changes that say no more than that the version is another one.
    pub folded: Vec<Folded>,
    /// The rollouts that would start.
    pub rollouts: Vec<PlannedRollout>,
    /// Switches of clusters that would begin.
    pub switches: Vec<PlannedSwitch>,
    /// Instances of which nothing can be said, since one side does not render.
    pub unknown: Vec<InstanceKey>,
    /// What is wrong with the head.
    pub findings: Vec<Finding>,
    /// What clusters that were asked would make of it.
    pub live: Option<LiveReport>,
}

/// A finding at the head.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What it is.
    pub diagnostic: Diagnostic,
    /// Whether the base does not have it.
    pub is_new: bool,
}

impl Preview {
    /// Whether no object and no document changes.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
            && self.folded.is_empty()
            && self.documents.is_empty()
            && self.versions.is_empty()
            && self.unknown.is_empty()
    }

    /// Clusters on which any object changes.
    pub fn clusters(&self) -> BTreeSet<&ClusterName> {
        self.changed.iter().map(|key| &key.cluster).collect()
    }

    /// How many objects change, each counted on each cluster, folded changes included.
    pub fn objects(&self) -> usize {
        group::objects(&self.groups) + noise::objects(&self.folded)
    }
}

/// Compares two revisions; `now` decides which windows are open.
pub fn preview(base: &Side<'_>, head: &Side<'_>, now: Timestamp) -> Preview {
    let labels = Labels::of(base.desired, head.desired);
    let pairs = pairs(base, head);
    let compared = compare::all(&pairs);
    let split = noise::split(compared);
    let changed: BTreeSet<InstanceKey> = pairs
        .iter()
        .filter(|pair| pair.differs())
        .flat_map(|pair| pair.clusters.iter().map(|cluster| pair.key(cluster)))
        .collect();
    Preview {
        base: base.desired.source.rev.clone(),
        head: head.desired.source.rev.clone(),
        instances: head.desired.instances.len(),
        reached: base.releases.keys().chain(head.releases.keys()).collect::<BTreeSet<_>>().len(),
        documents: documents::between_sides(base, head),
        leaving: leaving::all(base, head),
        versions: versions::of(&pairs, &labels),
        groups: group::all(split.changes, &labels),
        folded: noise::folded(split.folded, &labels),
        rollouts: rollouts::planned(base, head, &changed, now),
        switches: switches::planned(base, head),
        unknown: unknown(base, head),
        findings: findings(base, head),
        changed,
        live: None,
    }
}

/// An addon's renders on both sides, with the clusters that share both.
#[derive(Debug)]
pub struct Pair<'a> {
    /// The addon.
    pub addon: AddonName,
    /// What the base renders; none where it does not want the addon.
    pub base: Option<&'a Release>,
    /// What the head renders, likewise.
    pub head: Option<&'a Release>,
    /// Who has it.
    pub clusters: BTreeSet<ClusterName>,
}

impl Pair<'_> {
    fn key(&self, cluster: &ClusterName) -> InstanceKey {
        InstanceKey { cluster: cluster.clone(), addon: self.addon.clone() }
    }

    /// Whether a rollout would see a difference.
    fn differs(&self) -> bool {
        self.base.map(|release| &release.digest) != self.head.map(|release| &release.digest)
    }
}

/// The instances of which both sides are known, equal pairs together.
fn pairs<'a>(base: &Side<'a>, head: &Side<'a>) -> Vec<Pair<'a>> {
    let keys: BTreeSet<&InstanceKey> = base.releases.keys().chain(head.releases.keys()).collect();
    let identity = |release: Option<&&'a Release>| {
        release.map(|release| {
            (std::sync::Arc::as_ptr(&release.rendered).addr(), release.chart_version().to_owned())
        })
    };
    let mut pairs: BTreeMap<_, Pair<'a>> = BTreeMap::new();
    for key in keys {
        let (before, after) = (base.releases.get(key), head.releases.get(key));
        if is_unknown(base, head, key) || leaving::leaves(base, head, &key.cluster) {
            continue;
        }
        let same = (key.addon.clone(), identity(before), identity(after));
        let pair = pairs.entry(same).or_insert_with(|| Pair {
            addon: key.addon.clone(),
            base: before.copied(),
            head: after.copied(),
            clusters: BTreeSet::new(),
        });
        pair.clusters.insert(key.cluster.clone());
    }
    pairs.into_values().collect()
}

/// Whether a side wants an instance and could not render it, or may want it and cannot tell.
fn is_unknown(base: &Side<'_>, head: &Side<'_>, key: &InstanceKey) -> bool {
    let lacks =
        |side: &Side<'_>| !side.releases.contains_key(key) && (side.wants(key) || !side.is_whole());
    lacks(base) || lacks(head)
}

/// Those that were rendered on one side only though the other one wants them, too.
fn unknown(base: &Side<'_>, head: &Side<'_>) -> Vec<InstanceKey> {
    let failed = |side: &Side<'_>, other: &Side<'_>| -> Vec<InstanceKey> {
        other
            .releases
            .keys()
            .filter(|key| !side.releases.contains_key(*key) && is_unknown(base, head, key))
            .cloned()
            .collect()
    };
    let all: BTreeSet<InstanceKey> =
        failed(base, head).into_iter().chain(failed(head, base)).collect();
    all.into_iter().collect()
}

fn findings(base: &Side<'_>, head: &Side<'_>) -> Vec<Finding> {
    let identity = |found: &Diagnostic| {
        let file = found.labels.first().map(|label| label.span.file.path.clone());
        (found.code, found.message.clone(), file)
    };
    let known: BTreeSet<_> = base.all_findings().map(identity).collect();
    let finding = |found: &Diagnostic| Finding {
        diagnostic: found.clone(),
        is_new: !known.contains(&identity(found)),
    };
    let mut findings: Vec<Finding> = head.all_findings().map(finding).collect();
    findings.sort_by_key(|found| (found.diagnostic.severity, !found.is_new));
    findings
}
