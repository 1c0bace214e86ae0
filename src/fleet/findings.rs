//! Findings that concern clusters: each is told once, with the clusters it concerns.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::diagnostic::{Diagnostic, few};
use crate::base::ids::ClusterName;

/// Collects findings; equal ones at the same place are one.
#[derive(Debug, Default)]
pub(super) struct Findings {
    found: BTreeMap<String, (Diagnostic, BTreeSet<ClusterName>)>,
}

impl Findings {
    pub(super) fn add(&mut self, diagnostic: Diagnostic, cluster: &ClusterName) {
        let place = diagnostic.labels.first().map(|label| label.span.to_string());
        let key = format!("{}\0{}", place.unwrap_or_default(), diagnostic.message);
        let (_, clusters) = self.found.entry(key).or_insert((diagnostic, BTreeSet::new()));
        clusters.insert(cluster.clone());
    }

    /// By place, each with a note that names its clusters.
    pub(super) fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.found
            .into_values()
            .map(|(diagnostic, clusters)| {
                let names: Vec<&str> = clusters.iter().map(ClusterName::as_str).collect();
                diagnostic.note(format!("on {}", few(&names)))
            })
            .collect()
    }
}
