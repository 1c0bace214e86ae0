//! Plans: text and markdown. JSON is the plan itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::paint::Paint;
use crate::base::diagnostic::counted;
use crate::diff::Op;
use crate::plan::{Plan, Step, StepAction};

/// For people at a terminal.
pub fn text(plan: &Plan, is_coloured: bool) -> String {
    let paint = Paint { is_coloured };
    let mut text = String::new();
    let mut push = |line: String| {
        writeln!(text, "{}", line.trim_end()).expect("writing to a String cannot fail");
    };
    push(paint.strong(&title(plan)));
    let width = plan.steps.iter().map(|step| step.id.chars().count()).max().unwrap_or(0);
    for step in &plan.steps {
        let action = format!("{:<9}", step.action.to_string());
        let action = match step.action {
            StepAction::Install => paint.added(&action),
            StepAction::Uninstall => paint.removed(&action),
            StepAction::Upgrade | StepAction::Heal => paint.changed(&action),
        };
        let versions = versions(step);
        let counts = counts(step);
        let reason = paint.faint(&format!("({})", step.reason));
        push(format!("  {:width$}  {action} {versions}{counts} {reason}", step.id));
        for edge in plan.before(&step.id) {
            push(paint.faint(&format!("  {:width$}  after {edge}", "")));
        }
        for (object, warning) in warnings(step) {
            let warning = format!("{}: {warning}", paint.changed("warning"));
            push(format!("  {:width$}  {warning} ({object})", ""));
        }
    }
    for waiting in &plan.report.waiting {
        push(format!("  {}  {} {}", waiting.instance, paint.changed("waits:"), waiting.on));
    }
    for (name, because) in plan.report.refusals() {
        push(format!("  {name}  {} {because}", paint.removed("refused:")));
    }
    for (because, count) in skipped(plan) {
        push(paint.faint(&format!("  {count} {because}")));
    }
    push(format!("digest {}", plan.digest));
    text
}

/// For a comment on a merge request.
pub fn markdown(plan: &Plan) -> String {
    let mut text = format!("### {}\n\n", title(plan));
    let mut push = |line: String| {
        writeln!(text, "{line}").expect("writing to a String cannot fail");
    };
    if !plan.is_empty() {
        push("| instance | action | version | objects | why |".to_owned());
        push("|---|---|---|---|---|".to_owned());
    }
    for step in &plan.steps {
        push(format!(
            "| `{}` | {} | {} | {} | {} |",
            step.id,
            step.action,
            versions(step).trim_end(),
            counts(step),
            step.reason
        ));
    }
    push(String::new());
    for step in &plan.steps {
        for (object, warning) in warnings(step) {
            push(format!("- :warning: `{}`: {warning} (`{object}`)", step.id));
        }
    }
    for waiting in &plan.report.waiting {
        push(format!("- `{}` waits: {}", waiting.instance, waiting.on));
    }
    for (name, because) in plan.report.refusals() {
        push(format!("- :x: `{name}` refused: {because}"));
    }
    for (because, count) in skipped(plan) {
        push(format!("- {count} {because}"));
    }
    push(format!("\ndigest `{}`", plan.digest));
    text
}

fn title(plan: &Plan) -> String {
    let clusters: BTreeSet<_> = plan.steps.iter().map(|step| &step.key.cluster).collect();
    let rev = plan.rev.short();
    match plan.steps.len() {
        0 => format!("Plan for {rev}: nothing to do"),
        steps => format!(
            "Plan for {rev}: {} on {}",
            counted(steps, "step"),
            counted(clusters.len(), "cluster")
        ),
    }
}

fn versions(step: &Step) -> String {
    match (&step.from_version, &step.to_version) {
        (Some(from), Some(to)) if from != to => format!("{from} → {to}  "),
        (_, Some(to)) => format!("{to}  "),
        (Some(from), None) => format!("{from}  "),
        (None, None) => String::new(),
    }
}

fn counts(step: &Step) -> String {
    let word = |op| match op {
        Op::Create => "to create",
        Op::Update => "to change",
        Op::Replace => "to recreate",
        Op::Delete => "to delete",
        Op::Keep => "to keep",
    };
    let counts = step.counts();
    if counts.is_empty() {
        return "no object changes".to_owned();
    }
    let told: Vec<_> = counts.iter().map(|(op, count)| format!("{count} {}", word(*op))).collect();
    told.join(", ")
}

/// What a step may break, with the object that it is about.
fn warnings(step: &Step) -> impl Iterator<Item = (&str, &str)> {
    step.changes.iter().flat_map(|change| {
        change.warnings.iter().map(|warning| (change.object.as_str(), warning.as_str()))
    })
}

fn skipped(plan: &Plan) -> Vec<(&'static str, usize)> {
    use crate::plan::SkippedBecause::{HandedOver, NotOurs, UpToDate};
    let mut counts: BTreeMap<_, usize> = BTreeMap::new();
    for skipped in &plan.report.skipped {
        *counts.entry(skipped.because).or_default() += 1;
    }
    let told = counts.into_iter().map(|(because, count)| match because {
        UpToDate => ("up to date", count),
        NotOurs => ("left alone: not installed by fitout", count),
        HandedOver => ("left alone: handed over to Helm", count),
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::InstanceKey;
    use crate::plan::{Candidate, Evidence, RefusedBecause, Wish, make};

    fn plan() -> Plan {
        let key = |addon: &str| InstanceKey { cluster: "prod-01".into(), addon: addon.into() };
        let candidate = |addon: &str, depends_on: &[&str], evidence| Candidate {
            key: key(addon),
            namespace: "apps".to_owned(),
            release: addon.to_owned(),
            depends_on: depends_on.iter().map(|addon| (*addon).into()).collect(),
            wish: Some(Wish { digest: "d".into(), chart_version: "2.0.0".to_owned() }),
            evidence,
        };
        let other = |addon: &str, because| {
            let key = InstanceKey { cluster: "prod-02".into(), addon: addon.into() };
            Candidate { key, ..candidate(addon, &[], Err(because)) }
        };
        let down = RefusedBecause::Unreachable("the API server cannot be reached".to_owned());
        make(
            "0123456789012345678901234567890123456789".into(),
            [
                candidate("web", &["base"], Ok(Evidence::default())),
                candidate("base", &[], Ok(Evidence::default())),
                candidate("shop", &["broken"], Ok(Evidence::default())),
                candidate("broken", &[], Err(down.clone())),
                other("web", down.clone()),
                other("shop", down),
            ],
        )
    }

    #[test]
    fn a_plan_reads_as_text_and_as_markdown() {
        insta::assert_snapshot!("text", text(&plan(), false));
        insta::assert_snapshot!("markdown", markdown(&plan()));
    }
}
