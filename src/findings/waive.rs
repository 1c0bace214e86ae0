//! Findings that a Waiver puts up with, and waivers that are out of date.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use super::{Finding, Found};
use crate::base::diagnostic::{Diagnostic, Severity};
use crate::base::ids::ClusterName;
use crate::base::span::Span;
use crate::fleet::model::{Document, Fleet, Waiver};

/// Codes of findings that can be waived, sorted.
pub const WAIVABLE: [&str; 9] = [
    "blast-radius",
    "broken-guardrail",
    "dependency-version",
    "deprecated-api",
    "floating-image",
    "guardrail-not-judged",
    "kubernetes-version",
    "object-conflict",
    "removed-api",
];

/// The waivers that hold on a day.
pub(super) struct Waivers<'a> {
    holding: Vec<One<'a>>,
    labels: BTreeMap<&'a ClusterName, &'a BTreeMap<String, String>>,
    diagnostics: Vec<Diagnostic>,
}

struct One<'a> {
    waiver: &'a Waiver,
    span: Span,
}

impl<'a> Waivers<'a> {
    pub(super) fn of(fleet: &'a Fleet, today: Date) -> Self {
        let clusters = fleet.clusters.iter();
        let labels =
            clusters.map(|(name, document)| (name, &document.value.metadata.labels)).collect();
        let mut waivers = Self { holding: Vec::new(), labels, diagnostics: Vec::new() };
        for document in fleet.waivers.values() {
            match checked(document, today) {
                Ok(span) => waivers.holding.push(One { waiver: &document.value, span }),
                Err(found) => waivers.diagnostics.push(*found),
            }
        }
        waivers
    }

    /// Adds a finding: as a note where it is waived, as it is elsewhere.
    pub(super) fn split(
        &mut self,
        finding: Finding,
        clusters: &BTreeSet<ClusterName>,
        found: &mut Found,
    ) {
        let mut left = clusters.clone();
        for one in &self.holding {
            if !fits(&one.waiver.spec, &finding) {
                continue;
            }
            let selector = one.waiver.spec.clusters.as_ref();
            let covers = |cluster: &ClusterName| {
                selector.is_none_or(|selector| {
                    self.labels.get(cluster).is_some_and(|labels| selector.matches(labels))
                })
            };
            let (waived, others): (BTreeSet<_>, BTreeSet<_>) = left.into_iter().partition(covers);
            left = others;
            if !waived.is_empty() {
                let note = one.waiver.told();
                let diagnostic =
                    Diagnostic { severity: Severity::Note, ..finding.diagnostic.clone() };
                found.add(diagnostic.label(&one.span, "waived here").note(note), &waived);
            }
        }
        if !left.is_empty() {
            found.add(finding.diagnostic, &left);
        }
    }

    pub(super) fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.diagnostics
    }
}

fn fits(spec: &crate::fleet::model::WaiverSpec, finding: &Finding) -> bool {
    spec.code == finding.diagnostic.code
        && spec.guardrail.as_ref().is_none_or(|name| finding.guardrail.as_ref() == Some(name))
        && spec.addon.as_ref().is_none_or(|addon| finding.addons.contains(addon))
        && spec.object.as_ref().is_none_or(|object| *object == finding.object)
}

/// Where a waiver is, if it holds.
fn checked(document: &Document<Waiver>, today: Date) -> Result<Span, Box<Diagnostic>> {
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
    Ok(node.span_at(&["metadata", "name"]).clone())
}
