//! For a comment on a merge request, within the limit of a comment: what does not fit is folded to
//! one line, the least dangerous first; nothing is cut in its middle.

use std::fmt::Write as _;

use super::fit::{Part, fitted};
use super::text::{LEAVING, leaving_line, sign, version_line};
use super::{
    clean, counted, document_lines, folded_line, group_lines, left_out, live_problems,
    live_summary, live_unchanged, reach, rollout_title, some, stage_line, summary, title,
};
use crate::base::diagnostic::{Diagnostic, Severity};
use crate::preview::{Finding, Folded, Group, GroupedChange, Preview};
use crate::report::diff::{fence, push};

/// What a comment of GitLab may have, in characters.
pub const GITLAB_MAX: usize = 1_000_000;
/// What a comment of GitHub may have, in characters.
pub const GITHUB_MAX: usize = 65_536;

/// The report, of at most so many characters.
pub fn markdown(preview: &Preview, max: usize) -> String {
    let mut head = format!("### fitout: {}\n\n", escaped(&summary(preview)));
    push(
        &mut head,
        &format!(
            "{} → {}; {}",
            code(preview.base.short()),
            code(preview.head.short()),
            reach(preview)
        ),
    );
    head.push('\n');
    let mut parts = Vec::new();
    parts.extend(preview.findings.iter().map(finding));
    parts.extend(versions(preview));
    parts.extend(documents(preview));
    parts.extend(leaving(preview));
    parts.extend(preview.groups.iter().map(|one| group(one, "groups")));
    parts.extend(folded(&preview.folded));
    parts.extend(unknown(preview));
    parts.extend(rollouts(preview));
    parts.extend(switches(preview));
    parts.extend(live(preview));
    fitted(head, &parts, max)
}

/// Something to open.
fn details(summary: &str, body: &str) -> String {
    format!("<details><summary>{summary}</summary>\n\n{body}\n</details>\n\n")
}

fn diff(lines: &str) -> String {
    let fence = fence(lines);
    format!("{fence}diff\n{lines}{fence}\n")
}

fn group(group: &Group, list: &'static str) -> Part {
    let mut body = String::new();
    for line in group_lines(group) {
        push(&mut body, &line.signed());
    }
    let objects = counted(group.changes.len(), "object");
    let risk = group.risk.title();
    let summary = format!("<b>{}</b>: {} ({objects})", html(risk), html(&title(group)));
    let name = |one: &GroupedChange| format!("{}{}", sign(one.change.op), one.change.key);
    let names = prose(&some(group.changes.iter().map(name)));
    let short = format!("- **{risk}**: {}: {names}\n", escaped(&title(group)));
    Part::item(list, risk, (details(&summary, &diff(&body)), short))
}

fn finding(finding: &Finding) -> Part {
    let Diagnostic { severity, code: name, message, labels, .. } = &finding.diagnostic;
    let sign = match severity {
        Severity::Error => ":x:",
        Severity::Warning => ":warning:",
        Severity::Note => ":information_source:",
    };
    let place = labels.first().map(|label| format!(" at {}", code(&label.span.to_string())));
    let old = if finding.is_new { "" } else { " (the base has it, too)" };
    let place = place.unwrap_or_default();
    let line = format!("- {sign} {}: {}{place}{old}\n", code(name), prose(message));
    Part::item("findings", "findings", (line.clone(), line))
}

fn versions(preview: &Preview) -> Option<Part> {
    if preview.versions.is_empty() {
        return None;
    }
    let mut full = String::from("**Charts**\n\n");
    for change in &preview.versions {
        push(&mut full, &format!("- {}", escaped(&version_line(change))));
        for (before, after) in &change.images {
            push(&mut full, &format!("  - image {} → {}", code(before), code(after)));
        }
        if !change.changelog.is_empty() {
            let entries: String =
                change.changelog.iter().fold(String::new(), |mut entries, entry| {
                    let _ = write!(entries, "<li>{}</li>", html(&clean(entry)));
                    entries
                });
            push(
                &mut full,
                &format!("  - <details><summary>changelog</summary><ul>{entries}</ul></details>"),
            );
        }
    }
    full.push('\n');
    let short = format!("- **Charts**: {}\n", counted(preview.versions.len(), "other version"));
    Some(Part::single(full, short))
}

fn documents(preview: &Preview) -> Option<Part> {
    if preview.documents.is_empty() {
        return None;
    }
    let mut body = String::new();
    for line in preview.documents.iter().flat_map(document_lines) {
        push(&mut body, &line.signed());
    }
    let words = counted(preview.documents.len(), "document");
    let summary = format!("<b>fleet</b>: {words}");
    Some(Part::single(details(&summary, &diff(&body)), format!("- **fleet**: {words}\n")))
}

fn leaving(preview: &Preview) -> Option<Part> {
    if preview.leaving.is_empty() {
        return None;
    }
    let mut full = format!("**{LEAVING}**\n\n");
    for one in &preview.leaving {
        push(&mut full, &format!("- :warning: {}", escaped(&leaving_line(one))));
    }
    full.push('\n');
    let count = counted(preview.leaving.len(), "cluster");
    Some(Part::single(full, format!("- :warning: **{LEAVING}**: {count}\n")))
}

fn folded(folded: &[Folded]) -> Option<Part> {
    if folded.is_empty() {
        return None;
    }
    let lines: Vec<String> =
        folded.iter().map(|one| format!("- {}\n", escaped(&folded_line(one)))).collect();
    let words = format!("labels and checksums ({})", counted(folded.len(), "kind"));
    let full = details(&format!("<b>folded</b>: {words}"), &lines.concat());
    Some(Part::single(full, format!("- **folded**: {words}\n")))
}

fn unknown(preview: &Preview) -> Option<Part> {
    if preview.unknown.is_empty() {
        return None;
    }
    let told = prose(&some(&preview.unknown));
    let line = format!(
        "- :grey_question: unknown, since one revision cannot be read or rendered: {told}\n"
    );
    Some(Part::single(line.clone(), line))
}

fn rollouts(preview: &Preview) -> Option<Part> {
    if preview.rollouts.is_empty() {
        return None;
    }
    let mut full = String::from("\n**Rollouts that would start**\n\n");
    for rollout in &preview.rollouts {
        push(&mut full, &format!("- {}", escaped(&rollout_title(rollout))));
        for stage in &rollout.stages {
            push(&mut full, &format!("  1. {}", escaped(&stage_line(stage))));
        }
        if let Some(words) = left_out(rollout) {
            push(&mut full, &format!("  - :warning: {}", escaped(&words)));
        }
    }
    let short = format!("- {} would start\n", counted(preview.rollouts.len(), "rollout"));
    Some(Part::single(full, short))
}

fn switches(preview: &Preview) -> Option<Part> {
    if preview.switches.is_empty() {
        return None;
    }
    let mut full = String::from("\n**Switches of clusters that would begin**\n\n");
    for switch in &preview.switches {
        push(&mut full, &format!("- {}", escaped(&switch.to_string())));
    }
    let count = counted(preview.switches.len(), "cluster");
    Some(Part::single(full, format!("- {count} would take the place of another\n")))
}

fn live(preview: &Preview) -> Vec<Part> {
    let Some(live) = &preview.live else { return Vec::new() };
    let line = format!("\n**On the clusters now**: {}\n\n", escaped(&live_summary(live)));
    let mut parts = vec![Part::single(line.clone(), line)];
    let mut lines: Vec<String> =
        live_problems(live).map(|one| format!("- :warning: {}\n", prose(&one))).collect();
    lines.extend(live_unchanged(live).map(|one| format!("- {}\n", escaped(&one))));
    if !lines.is_empty() {
        let short = format!("- {}\n", counted(lines.len(), "remark"));
        parts.push(Part::single(lines.concat() + "\n", short));
    }
    parts.extend(live.groups.iter().map(|one| group(one, "live")));
    parts.extend(folded(&live.folded));
    parts
}

/// Text that nothing of HTML, markdown and mentions is read from.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in clean(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '@' => escaped.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '~' | '|' | '!' | '$' => {
                escaped.push('\\');
                escaped.push(c);
            }
            c => escaped.push(c),
        }
    }
    // Addresses become links by themselves.
    escaped.replace("://", ":&#47;&#47;")
}

/// A sentence of ours, with names in backticks.
fn prose(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    // Without its partner, a backtick is part of a name.
    if parts.len().is_multiple_of(2) {
        return escaped(text);
    }
    let part = |(at, part): (usize, &&str)| match (at % 2, part.is_empty()) {
        (0, _) => escaped(part),
        (_, true) => "``".to_owned(),
        (_, false) => code(part),
    };
    parts.iter().enumerate().map(part).collect()
}

/// Text within an HTML element.
fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in clean(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '@' | '`' | '*' | '_' | '[' | ']' | '~' | '|' | '!' | '$' | '\\' => {
                let _ = write!(escaped, "&#{};", u32::from(c));
            }
            c => escaped.push(c),
        }
    }
    escaped.replace("://", ":&#47;&#47;")
}

/// Text as code, whatever backticks it has.
fn code(text: &str) -> String {
    let text = clean(text);
    let mut ticks = "`".to_owned();
    while text.contains(&ticks) {
        ticks.push('`');
    }
    let space = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{ticks}{space}{text}{space}{ticks}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_stays_text() {
        assert_eq!(escaped("<b>@all [x](y)"), "&lt;b&gt;&#64;all \\[x\\](y)");
        assert_eq!(html("</summary><script>"), "&lt;/summary&gt;&lt;script&gt;");
        assert_eq!(code("a`b``c"), "```a`b``c```");
        assert_eq!(prose("`a_b` is <b>`c`"), "`a_b` is &lt;b&gt;`c`");
        assert_eq!(prose("a ` <b>"), "a \\` &lt;b&gt;");
        assert_eq!(code("a\nb"), "`a\u{fffd}b`");
    }
}
