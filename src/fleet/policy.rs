//! What a rollout policy says of each of its stages.

use std::collections::BTreeMap;

use super::calendar::Calendar;
use super::model::{HumanDuration, OnFailure, OnUnreachable, RolloutPolicySpec, Stage};
use crate::git::signature::SigningKey;

impl Stage {
    /// Of clusters with these labels, the lower is begun first.
    pub fn rank(&self, labels: &BTreeMap<String, String>) -> usize {
        let first = self.order.iter().position(|selector| selector.matches(labels));
        first.unwrap_or(self.order.len())
    }
}

impl RolloutPolicySpec {
    /// When a stage may begin new clusters.
    pub fn calendar<'a>(&'a self, stage: &'a Stage) -> Calendar<'a> {
        Calendar {
            windows: stage.windows.as_deref().unwrap_or(&self.windows),
            freezes: stage.freezes.as_deref().unwrap_or(&self.freezes),
        }
    }

    /// How long a cluster of a stage may take; the default's where nobody says.
    pub fn progress_deadline(&self, stage: Option<&Stage>) -> Option<HumanDuration> {
        stage.and_then(|stage| stage.progress_deadline).or(self.progress_deadline)
    }

    /// What happens when it stops in a stage.
    pub fn on_failure(&self, stage: Option<&Stage>) -> OnFailure {
        stage.and_then(|stage| stage.on_failure).unwrap_or(self.on_failure)
    }

    /// What becomes of clusters of a stage that do not answer.
    pub fn on_unreachable(&self, stage: Option<&Stage>) -> OnUnreachable {
        stage.and_then(|stage| stage.on_unreachable).unwrap_or(self.on_unreachable)
    }

    /// The keys that people sign commits with, by person. What is no key is left out: `validate` tells of it.
    pub fn signing_keys(&self) -> Vec<(&str, SigningKey)> {
        let keys =
            self.signers.iter().flat_map(|(name, keys)| keys.iter().map(move |key| (name, key)));
        keys.filter_map(|(name, key)| Some((name.as_str(), SigningKey::parse(key).ok()?))).collect()
    }

    /// The same with the windows and freezes of another; those of stages by their names.
    #[must_use]
    pub fn with_calendar_of(&self, other: &Self) -> Self {
        let mut policy = self.clone();
        policy.windows.clone_from(&other.windows);
        policy.freezes.clone_from(&other.freezes);
        for stage in &mut policy.stages {
            if let Some(other) = other.stages.iter().find(|other| other.name == stage.name) {
                stage.windows.clone_from(&other.windows);
                stage.freezes.clone_from(&other.freezes);
            }
        }
        policy
    }
}
