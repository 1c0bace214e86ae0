//! Label selectors: whether they can be read, and whether any cluster could match.

use std::collections::BTreeSet;

use crate::base::diagnostic::Diagnostic;
use crate::fleet::model::{Fleet, MatchOperator, Selector};
use crate::fleet::selector::{is_label_key, is_label_value};
use crate::yaml::node::Node;

/// Checks a selector; `node` is its tree.
pub(super) fn check(fleet: &Fleet, selector: &Selector, node: &Node, found: &mut Vec<Diagnostic>) {
    let before = found.len();
    for (key, value) in &selector.match_labels {
        let at = node.at(&["matchLabels"]).and_then(|labels| labels.entry(key));
        let (key_span, value_span) = match at {
            Some((key, value)) => (&key.span, &value.span),
            None => (&node.span, &node.span),
        };
        if !is_label_key(key) {
            let message = format!("`{key}` cannot be a label");
            found.push(Diagnostic::error("bad-selector", message).label(key_span, "not a label"));
        }
        if !is_label_value(value) {
            let message = format!("`{value}` cannot be a label's value");
            found.push(
                Diagnostic::error("bad-selector", message).label(value_span, "not a label's value"),
            );
        }
    }
    for (at, expression) in selector.match_expressions.iter().enumerate() {
        let at = at.to_string();
        let span = |field: &str| node.span_at(&["matchExpressions", &at, field]);
        if !is_label_key(&expression.key) {
            let message = format!("`{}` cannot be a label", expression.key);
            found
                .push(Diagnostic::error("bad-selector", message).label(span("key"), "not a label"));
        }
        let takes_values = matches!(expression.operator, MatchOperator::In | MatchOperator::NotIn);
        let problem = match (takes_values, expression.values.is_empty()) {
            (true, true) => Some(("needs values", "operator")),
            (false, false) => Some(("takes no values", "values")),
            _ => None,
        };
        if let Some((problem, field)) = problem {
            let message = format!("the operator `{:?}` {problem}", expression.operator);
            found.push(Diagnostic::error("bad-selector", message).label(span(field), problem));
        }
    }
    if found.len() == before {
        unknown_labels(fleet, selector, node, found);
    }
}

/// A label that no cluster has is probably misspelt. `NotIn` and `DoesNotExist` are about labels
/// that clusters lack.
fn unknown_labels(fleet: &Fleet, selector: &Selector, node: &Node, found: &mut Vec<Diagnostic>) {
    if fleet.clusters.is_empty() {
        return;
    }
    let known = labels(fleet);
    for key in selector.match_labels.keys().filter(|key| !known.contains(key.as_str())) {
        let at = node.at(&["matchLabels"]).and_then(|labels| labels.entry(key));
        let span = at.map_or(&node.span, |(key, _)| &key.span);
        found.push(unknown_label(key, known.iter().copied()).label(span, "no cluster has it"));
    }
    for (at, expression) in selector.match_expressions.iter().enumerate() {
        let wants = matches!(expression.operator, MatchOperator::In | MatchOperator::Exists);
        if wants && !known.contains(expression.key.as_str()) {
            let span = node.span_at(&["matchExpressions", &at.to_string(), "key"]);
            let warning = unknown_label(&expression.key, known.iter().copied());
            found.push(warning.label(span, "no cluster has it"));
        }
    }
}

/// Every label of every cluster.
pub(super) fn labels(fleet: &Fleet) -> BTreeSet<&str> {
    let clusters = fleet.clusters.values();
    clusters.flat_map(|cluster| cluster.value.metadata.labels.keys().map(String::as_str)).collect()
}

/// The warning, without its place.
pub(super) fn unknown_label<'a>(key: &str, known: impl IntoIterator<Item = &'a str>) -> Diagnostic {
    Diagnostic::warning("unknown-label", format!("no cluster has the label `{key}`"))
        .did_you_mean(key, known)
}
