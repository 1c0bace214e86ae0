//! A page of its own to keep beside a merge request: nothing in it is fetched, and whatever comes from charts
//! is text.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::Digest as _;
use similar::{DiffOp, TextDiff};

use super::text::{LEAVING, leaving_line, version_line};
use super::{
    clean, counted, document_lines, folded_line, left_out, live_problems, live_summary,
    live_unchanged, reach, rollout_title, stage_line, summary,
};
use crate::base::diagnostic::Severity;
use crate::base::ids::ClusterName;
use crate::diff::{FieldChange, Op};
use crate::preview::{Finding, Group, GroupedChange, Preview, Risk};
use crate::report::diff::long;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// Unchanged lines around changed ones.
const CONTEXT_LINES: usize = 3;

/// The page.
pub fn html(preview: &Preview) -> String {
    let title = format!("fitout: {}", summary(preview));
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(policy());
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (summary(preview)) }
                    p.about {
                        code { (preview.base.short()) } " → " code { (preview.head.short()) } "; " (reach(preview))
                    }
                }
                main {
                    (findings(&preview.findings))
                    (versions(preview))
                    (documents(preview))
                    (leaving(preview))
                    (groups(preview))
                    (list("Folded", preview.folded.iter().map(folded_line)))
                    (list("Unknown, since one revision cannot be read or rendered",
                        preview.unknown.iter().map(ToString::to_string)))
                    (rollouts(preview))
                    (switches(preview))
                    (live(preview))
                }
                footer {
                    "Values of Secrets are hidden. Made by fitout preview"
                    @if preview.live.is_none() { "; no cluster was asked" } "."
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

/// Only this page's own style and script count, whatever a value says.
fn policy() -> String {
    let hash = |text: &str| STANDARD.encode(sha2::Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
}

fn list(title: &str, lines: impl Iterator<Item = String>) -> Markup {
    let lines: Vec<String> = lines.collect();
    html! {
        @if !lines.is_empty() {
            h2 { (title) }
            ul.plain { @for line in &lines { li { (line) } } }
        }
    }
}

fn findings(findings: &[Finding]) -> Markup {
    let class = |severity| match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    html! {
        @if !findings.is_empty() {
            h2 { "Findings" }
            @for finding in findings {
                @let found = &finding.diagnostic;
                div class=(format!("finding {}", class(found.severity))) {
                    code { (found.code) } " " (prose(&found.message))
                    @if let Some(label) = found.labels.first() { " at " code { (label.span.to_string()) } }
                    @if !finding.is_new { " (the base has it, too)" }
                    @for note in &found.notes { div.note { (prose(note)) } }
                    @for help in &found.help { div.note { "help: " (prose(help)) } }
                }
            }
        }
    }
}

/// A sentence of ours, with names in backticks; without its partner, a backtick is part of a name.
fn prose(text: &str) -> Markup {
    let text = clean(text);
    let parts: Vec<&str> = text.split('`').collect();
    let has_names = !parts.len().is_multiple_of(2);
    html! {
        @if has_names {
            @for (at, part) in parts.iter().enumerate() {
                @if at % 2 == 1 { code { (part) } } @else { (part) }
            }
        } @else { (text) }
    }
}

fn versions(preview: &Preview) -> Markup {
    html! {
        @if !preview.versions.is_empty() {
            h2 { "Charts" }
            ul.plain {
                @for change in &preview.versions {
                    li {
                        (version_line(change))
                        @for (before, after) in &change.images {
                            br; "image " code { (clean(before)) } " → " code { (clean(after)) }
                        }
                        @if !change.changelog.is_empty() {
                            details {
                                summary { "changelog" }
                                ul { @for entry in &change.changelog { li { (clean(entry)) } } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn documents(preview: &Preview) -> Markup {
    let lines = preview.documents.iter().flat_map(document_lines);
    let lines: Vec<String> = lines.map(|line| line.signed()).collect();
    html! {
        @if !lines.is_empty() {
            h2 { "Fleet" }
            table { @for line in &lines { tr { td colspan="2" { (line) } } } }
        }
    }
}

fn leaving(preview: &Preview) -> Markup {
    html! {
        @if !preview.leaving.is_empty() {
            h2 { (LEAVING) }
            ul.plain { @for one in &preview.leaving { li { (leaving_line(one)) } } }
        }
    }
}

fn groups(preview: &Preview) -> Markup {
    let groups = &preview.groups;
    let addons: BTreeSet<&str> = groups.iter().map(|group| group.addon.as_str()).collect();
    let clusters: BTreeSet<&str> =
        groups.iter().flat_map(|group| group.clusters.iter().map(ClusterName::as_str)).collect();
    let risks: BTreeSet<Risk> = groups.iter().map(|group| group.risk).collect();
    html! {
        @if !groups.is_empty() {
            h2 { "Objects" }
            form {
                label { "Search" input type="search" name="search" placeholder="name, field, value"; }
                label { "Addon" select name="addon" {
                    option value="" { "all" }
                    @for addon in addons { option { (addon) } }
                } }
                label { "Risk" select name="risk" {
                    option value="" { "all" }
                    @for risk in risks { option value=(name(risk)) { (risk.title()) } }
                } }
                label { "Cluster" select name="cluster" {
                    option value="" { "all" }
                    @for cluster in clusters { option { (cluster) } }
                } }
                button type="reset" { "Reset" }
                button type="button" id="all" { "Open or close all" }
                span id="shown" role="status" {}
            }
            @for (at, one) in groups.iter().enumerate() { (group(one, at < 5)) }
        }
    }
}

/// The name of a risk as JSON and style sheets have it.
fn name(risk: Risk) -> String {
    serde_json::to_value(risk)
        .ok()
        .and_then(|name| name.as_str().map(str::to_owned))
        .unwrap_or_default()
}

fn group(group: &Group, is_open: bool) -> Markup {
    let clusters: Vec<&str> = group.clusters.iter().map(ClusterName::as_str).collect();
    let risk = name(group.risk);
    html! {
        details.group open[is_open] data-addon=(group.addon) data-risk=(risk) data-clusters=(clusters.join(" ")) {
            summary {
                span class=(format!("risk {risk}")) { (group.risk.title()) }
                strong { (group.addon) }
                span { (clean(&group.who)) }
                span.count { (counted(group.changes.len(), "object")) }
            }
            div.names { (clusters.join(", ")) }
            @for change in &group.changes { (self::change(change, group.is_whole)) }
        }
    }
}

fn change(grouped: &GroupedChange, is_whole: bool) -> Markup {
    let change = &grouped.change;
    let (sign, class) = match change.op {
        Op::Create => ("+", "create"),
        Op::Delete => ("−", "delete"),
        Op::Update | Op::Replace => ("~", "update"),
        Op::Keep => ("=", "keep"),
    };
    let fields = if is_whole || change.op == Op::Delete { &[][..] } else { &change.fields };
    html! {
        div class=(format!("change {class}")) {
            p.object {
                (sign) " " (clean(&change.key.to_string()))
                @if let Some(from) = &change.provenance {
                    span.place { (clean(&format!("{}:{}", from.template, from.line))) }
                }
            }
            @if let Some(note) = &change.note { p.note { (clean(note)) } }
            @if grouped.variants > 1 {
                p.note { "The clusters have " (grouped.variants) " variants of it: this is one." }
            }
            @if !fields.is_empty() {
                table { @for one in fields { (field(one)) } }
            }
        }
    }
}

fn field(field: &FieldChange) -> Markup {
    let path = field.path.to_string();
    html! {
        @if !path.is_empty() { tr { th.path colspan="2" { (clean(&path)) } } }
        @for row in rows(field) {
            tr {
                (cell(row.before.as_deref(), row.is_changed, "removed"))
                (cell(row.after.as_deref(), row.is_changed, "added"))
            }
        }
    }
}

fn cell(text: Option<&str>, is_changed: bool, class: &str) -> Markup {
    let class = match text {
        None => "none",
        Some("…") if !is_changed => "more",
        Some(_) if is_changed => class,
        Some(_) => "",
    };
    html! { td class=[Some(class).filter(|class| !class.is_empty())] { (text.unwrap_or_default()) } }
}

/// A line of both sides.
struct Row {
    before: Option<String>,
    after: Option<String>,
    is_changed: bool,
}

fn rows(field: &FieldChange) -> Vec<Row> {
    let text = |value: &Option<serde_json::Value>| value.as_ref().map(long);
    let (before, after) = (text(&field.before), text(&field.after));
    let line = |line: &str| Some(line.trim_end_matches('\n').to_owned());
    let (Some(before), Some(after)) = (&before, &after) else {
        let one = |text: &Option<String>| -> Vec<Option<String>> {
            text.iter().flat_map(|text| text.lines()).map(line).collect()
        };
        let (before, after) = (one(&before), one(&after));
        let count = before.len().max(after.len());
        let at = |lines: &[Option<String>], at: usize| lines.get(at).cloned().flatten();
        return (0..count)
            .map(|one| Row { before: at(&before, one), after: at(&after, one), is_changed: true })
            .collect();
    };
    let diff = TextDiff::from_lines(before.as_str(), after.as_str());
    let (old, new): (Vec<&str>, Vec<&str>) =
        (before.split_inclusive('\n').collect(), after.split_inclusive('\n').collect());
    let mut rows = Vec::new();
    for (index, group) in diff.grouped_ops(CONTEXT_LINES).iter().enumerate() {
        if index > 0 {
            let more = Some("…".to_owned());
            rows.push(Row { before: more.clone(), after: more, is_changed: false });
        }
        for op in group {
            let (gone, come) = (op.old_range(), op.new_range());
            for at in 0..gone.len().max(come.len()) {
                let before =
                    gone.clone().nth(at).and_then(|at| old.get(at)).and_then(|text| line(text));
                let after =
                    come.clone().nth(at).and_then(|at| new.get(at)).and_then(|text| line(text));
                let is_changed = !matches!(op, DiffOp::Equal { .. });
                rows.push(Row { before, after, is_changed });
            }
        }
    }
    rows
}

fn live(preview: &Preview) -> Markup {
    html! {
        @if let Some(live) = &preview.live {
            h2 { "On the clusters now" }
            p { (live_summary(live)) }
            @for problem in live_problems(live) { div.finding.warning { (prose(&problem)) } }
            @for one in &live.groups { (group(one, false)) }
            ul.plain {
                @for one in &live.folded { li { (folded_line(one)) } }
                @if let Some(words) = live_unchanged(live) { li { (words) } }
            }
        }
    }
}

fn switches(preview: &Preview) -> Markup {
    html! {
        @if !preview.switches.is_empty() {
            h2 { "Switches of clusters that would begin" }
            @for switch in &preview.switches { div { (switch) } }
        }
    }
}

fn rollouts(preview: &Preview) -> Markup {
    html! {
        @if !preview.rollouts.is_empty() {
            h2 { "Rollouts that would start" }
            @for rollout in &preview.rollouts {
                div { (rollout_title(rollout)) }
                ol { @for stage in &rollout.stages { li { (stage_line(stage)) } } }
                @if let Some(words) = left_out(rollout) { div.finding { (words) } }
            }
        }
    }
}
