//! What the change would do to clusters as they are, where some were asked.

use std::collections::{BTreeMap, BTreeSet};

use super::compare::Compared;
use super::describe::Labels;
use super::group::{self, Group};
use super::noise::{self, Folded};
use super::{Side, risk};
use crate::base::ids::{ClusterName, InstanceKey};
use crate::diff::Change;

/// What one instance's cluster said.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// What an apply would change there.
    pub changes: Vec<Change>,
    /// Whether the addon as a whole comes to the cluster, or goes.
    pub is_whole: bool,
    /// Why it would not be done, or not wholly, and what could not be looked at.
    pub problems: Vec<String>,
}

/// What clusters said.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Of the instances that change.
    pub answers: BTreeMap<InstanceKey, Answer>,
    /// Clusters that said nothing, and why.
    pub silent: BTreeMap<ClusterName, String>,
    /// Clusters on which nothing of the change is to be seen.
    pub unconcerned: BTreeSet<ClusterName>,
}

/// The same, put together as the rest of a preview is.
#[derive(Clone, Debug)]
pub struct LiveReport {
    /// Clusters that answered.
    pub clusters: BTreeSet<ClusterName>,
    /// Equal changes with who has them.
    pub groups: Vec<Group>,
    /// Changes that say no more than that the version is another one.
    pub folded: Vec<Folded>,
    /// Instances on which nothing would change: they are as the head wants them.
    pub unchanged: BTreeSet<InstanceKey>,
    /// What is in the way.
    pub problems: Vec<(InstanceKey, String)>,
    /// Clusters that said nothing, and why.
    pub silent: BTreeMap<ClusterName, String>,
}

impl LiveReport {
    /// Puts answers together.
    pub fn new(base: &Side<'_>, head: &Side<'_>, asked: Asked) -> Self {
        let labels = Labels::of(base.desired, head.desired);
        let mut clusters = asked.unconcerned;
        clusters.extend(asked.answers.keys().map(|key| key.cluster.clone()));
        let (mut compared, mut problems) = (Vec::new(), Vec::new());
        let mut unchanged = BTreeSet::new();
        for (key, answer) in asked.answers {
            if answer.changes.is_empty() && answer.problems.is_empty() {
                unchanged.insert(key.clone());
            }
            problems.extend(answer.problems.into_iter().map(|problem| (key.clone(), problem)));
            compared.extend(answer.changes.into_iter().map(|change| Compared {
                addon: key.addon.clone(),
                risk: risk::of(&change),
                change,
                is_whole: answer.is_whole,
                clusters: BTreeSet::from([key.cluster.clone()]),
            }));
        }
        let split = noise::split(compared);
        Self {
            clusters,
            groups: group::all(split.changes, &labels),
            folded: noise::folded(split.folded, &labels),
            unchanged,
            problems,
            silent: asked.silent,
        }
    }

    /// How many objects would change, each counted on each cluster.
    pub fn objects(&self) -> usize {
        group::objects(&self.groups) + noise::objects(&self.folded)
    }
}
