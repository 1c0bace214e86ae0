//! Waivers: which findings are put up with, on which clusters, and which waivers are out of date.

use std::collections::BTreeSet;

use jiff::civil::Date;

use super::model::{Document, Fleet, Waiver, WaiverSpec};
use crate::base::diagnostic::{Diagnostic, Severity};
use crate::base::ids::ClusterName;
use crate::base::span::Span;

/// Codes of findings that can be waived, sorted.
pub const WAIVABLE: [&str; 10] = [
    "blast-radius",
    "broken-guardrail",
    "dependency-version",
    "deprecated-api",
    "floating-image",
    "guardrail-not-judged",
    "kubernetes-version",
    "object-conflict",
    "removed-api",
    "unasked-check",
];

/// The waivers that hold on a day.
#[derive(Debug)]
pub struct Waivers<'a> {
    fleet: &'a Fleet,
    holding: Vec<(&'a Waiver, &'a Span)>,
}

impl<'a> Waivers<'a> {
    /// Of a fleet. What is wrong with the others, [`check`] says.
    pub fn of(fleet: &'a Fleet, today: Date) -> Self {
        let all = fleet.waivers.values();
        let holding = all.filter(|document| checked(document, today).is_ok());
        let holding =
            holding.map(|document| (&document.value, document.node.span_at(&["metadata", "name"])));
        Self { fleet, holding: holding.collect() }
    }

    /// A finding with who has it: a note on clusters for which it is waived, as it is on the others.
    /// `fits` says whether a waiver of its code is about it, whatever its clusters.
    pub fn split(
        &self,
        finding: Diagnostic,
        mut clusters: BTreeSet<ClusterName>,
        fits: impl Fn(&WaiverSpec) -> bool,
    ) -> Vec<(Diagnostic, BTreeSet<ClusterName>)> {
        let mut told = Vec::new();
        for (waiver, span) in &self.holding {
            if waiver.spec.code != finding.code || !fits(&waiver.spec) {
                continue;
            }
            let (waived, others): (BTreeSet<_>, BTreeSet<_>) =
                clusters.into_iter().partition(|cluster| self.covers(waiver, cluster));
            clusters = others;
            if !waived.is_empty() {
                let note = Diagnostic { severity: Severity::Note, ..finding.clone() };
                told.push((note.label(span, "waived here").note(waiver.told()), waived));
            }
        }
        if !clusters.is_empty() {
            told.push((finding, clusters));
        }
        told
    }

    fn covers(&self, waiver: &Waiver, cluster: &ClusterName) -> bool {
        waiver.spec.clusters.as_ref().is_none_or(|selector| {
            let document = self.fleet.clusters.get(cluster);
            document.is_some_and(|document| selector.matches(&document.value.metadata.labels))
        })
    }
}

/// What is wrong with the waivers of a fleet on a day.
pub fn check(fleet: &Fleet, today: Date) -> Vec<Diagnostic> {
    let checked = fleet.waivers.values().filter_map(|document| checked(document, today).err());
    checked.map(|found| *found).collect()
}

/// Whether a waiver holds.
fn checked(document: &Document<Waiver>, today: Date) -> Result<(), Box<Diagnostic>> {
    let (node, spec) = (&document.node, &document.value.spec);
    let at = |field: &str| node.span_at(&["spec", field]).clone();
    if !WAIVABLE.contains(&spec.code.as_str()) {
        let message = format!("`{}` cannot be waived", spec.code);
        return Err(Box::new(
            Diagnostic::error("bad-waiver", message)
                .label(&at("code"), "no such finding")
                .did_you_mean(&spec.code, WAIVABLE)
                .help(format!("what can be waived: {}", WAIVABLE.join(", "))),
        ));
    }
    if spec.reason.trim().is_empty() {
        let found = Diagnostic::error("bad-waiver", "a waiver needs a reason");
        return Err(Box::new(found.label(&at("reason"), "says nothing")));
    }
    let Ok(until) = spec.until.parse::<Date>() else {
        let message = format!("`{}` is no day", spec.until);
        let found = Diagnostic::error("bad-waiver", message).label(&at("until"), "not a day");
        return Err(Box::new(found.help("write it as `2027-03-31`")));
    };
    if until < today {
        let message = format!("the waiver `{}` ended on {until}", document.value.metadata.name);
        return Err(Box::new(
            Diagnostic::warning("expired-waiver", message)
                .label(&at("until"), "is over")
                .note(format!("its reason was: {}", spec.reason))
                .help("remove it, or extend it if the reason still holds"),
        ));
    }
    Ok(())
}
