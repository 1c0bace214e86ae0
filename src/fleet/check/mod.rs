//! What is wrong between documents, and with what they say about clusters: references that lead
//! nowhere, selectors that match nothing, versions that do not fit, releases in one another's way.
//!
//! The shape of a document was checked before ([`super::shape`]); what a chart makes of its values
//! shows when it is rendered.

mod addons;
mod blue_green;
mod clusters;
mod placement;
mod policies;
mod repositories;
mod selectors;
mod switches;

use jiff::civil::Date;

use super::instance::Instance;
use super::model::Fleet;
use super::schema::Kind;
use crate::base::diagnostic::{Diagnostic, few};
use crate::base::span::Span;
use crate::git::Source;
use crate::graph;

/// Everything that is wrong, by kind of document and name.
pub(super) fn check(
    fleet: &Fleet,
    source: &Source,
    instances: &[Instance],
    today: Date,
) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if fleet.clusters.is_empty() && fleet.addons.is_empty() && fleet.broken.is_empty() {
        found
            .push(Diagnostic::warning("empty-fleet", "there are no clusters and no addons").help(
                "documents are read from the folders `clusters/`, `addons/` and `policies/`",
            ));
    }
    clusters::check(fleet, &mut found);
    repositories::check(fleet, &mut found);
    addons::check(fleet, source, &mut found);
    policies::check(fleet, &mut found);
    switches::check(fleet, &mut found);
    found.extend(graph::addons::cycles(fleet));
    placement::check(fleet, source, (instances, today), &mut found);
    found
}

/// A reference that leads nowhere; nothing where the document is there and cannot be read, since
/// that was told already.
fn unknown<'a>(
    fleet: &Fleet,
    (code, kind): (&'static str, Kind),
    name: &str,
    (message, span): (String, &Span),
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<Diagnostic> {
    if fleet.is_broken(kind, name) {
        return None;
    }
    let found = Diagnostic::error(code, message).label(span, format!("no such {}", kind.noun()));
    let found = found.did_you_mean(name, known.clone());
    if !found.help.is_empty() {
        return Some(found);
    }
    let names: Vec<&str> = known.into_iter().collect();
    Some(found.help(match names.as_slice() {
        [] => format!("the fleet has no {} at all", kind.noun()),
        names => format!("the fleet has {}", few(names)),
    }))
}
