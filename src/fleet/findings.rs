//! Findings that concern clusters: each is told once, with the clusters it concerns.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use super::model::{Fleet, Waiver};
use crate::base::diagnostic::{Diagnostic, Severity, few};
use crate::base::ids::{AddonName, ClusterName};
use crate::base::span::Span;

/// Codes of these findings that a Waiver may put up with.
pub const WAIVABLE: [&str; 2] = ["dependency-version", "kubernetes-version"];

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
        let waivers: Vec<(&Waiver, &Span)> = fleet
            .waivers
            .values()
            .filter(|document| document.value.holds(today))
            .map(|document| (&document.value, document.node.span_at(&["metadata", "name"])))
            .collect();
        let waived = |finding: Finding| finding.waived(fleet, &waivers);
        self.found.into_values().flat_map(waived).collect()
    }
}

impl Finding {
    fn waived(self, fleet: &Fleet, waivers: &[(&Waiver, &Span)]) -> Vec<Diagnostic> {
        let mut left = self.clusters;
        let mut diagnostics = Vec::new();
        for (waiver, span) in waivers {
            let spec = &waiver.spec;
            let is_meant = WAIVABLE.contains(&self.diagnostic.code)
                && spec.code == self.diagnostic.code
                && spec.guardrail.is_none()
                && spec.object.is_none()
                && spec.addon.as_ref().is_none_or(|addon| self.addon.as_ref() == Some(addon));
            let covers = |cluster: &ClusterName| {
                let document = fleet.clusters.get(cluster);
                let labels = document.map(|document| &document.value.metadata.labels);
                is_meant
                    && spec.clusters.as_ref().is_none_or(|selector| {
                        labels.is_some_and(|labels| selector.matches(labels))
                    })
            };
            let (waived, others): (BTreeSet<_>, BTreeSet<_>) = left.into_iter().partition(covers);
            left = others;
            if !waived.is_empty() {
                let note = Diagnostic { severity: Severity::Note, ..self.diagnostic.clone() };
                let note = note.label(span, "waived here").note(waiver.told());
                diagnostics.push(told(note, &waived));
            }
        }
        if !left.is_empty() {
            diagnostics.push(told(self.diagnostic, &left));
        }
        diagnostics
    }
}

fn told(diagnostic: Diagnostic, clusters: &BTreeSet<ClusterName>) -> Diagnostic {
    let names: Vec<&str> = clusters.iter().map(ClusterName::as_str).collect();
    diagnostic.note(format!("on {}", few(&names)))
}
