//! Findings that concern clusters: each is told once, with the clusters it concerns.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use super::model::Fleet;
use super::waivers::Waivers;
use crate::base::diagnostic::Diagnostic;
use crate::base::ids::{AddonName, ClusterName};

/// Collects findings; equal ones at the same place are one.
#[derive(Debug, Default)]
pub(super) struct Findings {
    found: BTreeMap<String, Finding>,
}

#[derive(Debug)]
struct Finding {
    diagnostic: Diagnostic,
    addon: Option<AddonName>,
    clusters: BTreeSet<ClusterName>,
}

impl Findings {
    pub(super) fn add(&mut self, diagnostic: Diagnostic, cluster: &ClusterName) {
        self.push(None, diagnostic, cluster);
    }

    /// One that is about an addon.
    pub(super) fn add_of(
        &mut self,
        addon: &AddonName,
        diagnostic: Diagnostic,
        cluster: &ClusterName,
    ) {
        self.push(Some(addon), diagnostic, cluster);
    }

    fn push(&mut self, addon: Option<&AddonName>, diagnostic: Diagnostic, cluster: &ClusterName) {
        let place = diagnostic.labels.first().map(|label| label.span.to_string());
        let key = format!("{}\0{}", place.unwrap_or_default(), diagnostic.message);
        let one = self.found.entry(key).or_insert_with(|| Finding {
            diagnostic,
            addon: addon.cloned(),
            clusters: BTreeSet::new(),
        });
        one.clusters.insert(cluster.clone());
    }

    /// By place, each with a note that names its clusters.
    pub(super) fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.found.into_values().map(|one| told(one.diagnostic, &one.clusters)).collect()
    }

    /// The same; what a waiver puts up with is a note.
    pub(super) fn into_waived(self, fleet: &Fleet, today: Date) -> Vec<Diagnostic> {
        let waivers = Waivers::of(fleet, today);
        let split = |Finding { diagnostic, addon, clusters }| {
            waivers.split(diagnostic, clusters, |waiver| {
                waiver.guardrail.is_none()
                    && waiver.object.is_none()
                    && waiver.addon.as_ref().is_none_or(|wanted| addon.as_ref() == Some(wanted))
            })
        };
        let all = self.found.into_values().flat_map(split);
        all.map(|(one, clusters)| told(one, &clusters)).collect()
    }
}

fn told(diagnostic: Diagnostic, clusters: &BTreeSet<ClusterName>) -> Diagnostic {
    diagnostic.on(clusters.iter().map(ClusterName::as_str))
}
