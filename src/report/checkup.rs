//! Clusters that were examined: for people, and for a comment.

use std::fmt::Write as _;

use super::paint::Paint;
use crate::base::diagnostic::{Severity, counted};
use crate::base::ids::AddonName;
use crate::checkup::{Checkup, Finding};

/// As text: a line for each cluster, what was seen of it, what stands in the way, and what gives
/// the permissions that lack.
pub fn text(checkups: &[Checkup], is_coloured: bool) -> String {
    let paint = Paint { is_coloured };
    let mut text = String::new();
    for checkup in checkups {
        let summary = summary(checkup);
        let summary =
            if checkup.has_errors() { paint.removed(&summary) } else { paint.added(&summary) };
        let _ = writeln!(text, "{}: {summary}", paint.strong(checkup.cluster.as_str()));
        for line in seen(checkup) {
            let _ = writeln!(text, "  {line}");
        }
        for finding in &checkup.findings {
            let word = match finding.severity {
                Severity::Error => paint.removed("error"),
                _ => paint.changed("warning"),
            };
            let _ = writeln!(text, "  {word}: {}", finding.message);
            if !finding.why.is_empty() {
                let _ = writeln!(text, "    for {}", finding.why);
            }
            let _ = writeln!(text, "    help: {}", finding.help);
        }
        if !checkup.rbac.is_empty() {
            let _ = write!(text, "{}\n{}", rbac_head(checkup), checkup.rbac);
        }
    }
    text
}

/// As markdown: the same.
pub fn markdown(checkups: &[Checkup]) -> String {
    let mut text = String::new();
    for checkup in checkups {
        let _ = writeln!(text, "### `{}`: {}\n", checkup.cluster, summary(checkup));
        for line in seen(checkup) {
            let _ = writeln!(text, "- {line}");
        }
        for Finding { severity, message, why, help, .. } in &checkup.findings {
            let word = if *severity == Severity::Error { "error" } else { "warning" };
            let why = if why.is_empty() { String::new() } else { format!(" (for {why})") };
            let _ = writeln!(text, "- **{word}**: {message}{why}. {help}");
        }
        if !checkup.rbac.is_empty() {
            let _ = write!(text, "\n```yaml\n{}\n{}```\n", rbac_head(checkup), checkup.rbac);
        }
        text.push('\n');
    }
    text
}

fn rbac_head(checkup: &Checkup) -> String {
    format!("# What lacks on {}, for an administrator to apply", checkup.cluster)
}

fn summary(checkup: &Checkup) -> String {
    if !checkup.is_reachable {
        return "cannot be reached".to_owned();
    }
    let count = |severity| checkup.findings.iter().filter(|one| one.severity == severity).count();
    let parts = [(count(Severity::Error), "problem"), (count(Severity::Warning), "warning")];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| counted(*count, what))
        .collect();
    if parts.is_empty() { "all well".to_owned() } else { parts.join(", ") }
}

/// What was seen, in a line or two.
fn seen(checkup: &Checkup) -> Vec<String> {
    let Some(millis) = checkup.millis else { return Vec::new() };
    let mut first = format!("answers in {millis} ms");
    if let Some(version) = &checkup.version {
        let _ = write!(first, ", runs Kubernetes {version}");
    }
    if let Some(user) = checkup.user.as_ref().filter(|user| !user.is_empty()) {
        let _ = write!(first, ", knows us as `{user}`");
    }
    if let Some(skew) = checkup.clock_skew_seconds {
        let _ = write!(first, ", clock within {} s", skew.abs() + 1);
    }
    let addons: Vec<&str> = checkup.addons.iter().map(AddonName::as_str).collect();
    let addons = if addons.is_empty() { "no addon".to_owned() } else { addons.join(", ") };
    let (kinds, permissions) = (checkup.kinds, checkup.permissions);
    let (kinds, permissions) = (counted(kinds, "kind"), counted(permissions, "permission"));
    vec![first, format!("checked for {addons}: {kinds}, {permissions}")]
}
