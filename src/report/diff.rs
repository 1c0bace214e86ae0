//! Differences of instances: text, markdown, and the view that JSON is.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value as Json;
use similar::{ChangeTag, TextDiff};

use super::paint::Paint;
use crate::diff::{Change, FieldChange, Ignored, Op};
use crate::yaml::write::json_to_yaml;

/// Unchanged lines shown around changed ones.
const CONTEXT_LINES: usize = 2;

/// What would happen to one instance.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceDiff<'a> {
    /// Cluster and addon; or only a cluster, where it does not answer.
    pub instance: String,
    /// In a few words, such as `upgrade 1.0.0 → 1.1.0`.
    pub summary: String,
    /// Object by object.
    pub changes: &'a [Change],
    /// Why it would not be done, or not wholly.
    pub problems: Vec<String>,
    /// Ways out of that.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub help: Vec<String>,
    /// Fields that stay as they are on the cluster, though git says otherwise.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub ignored: &'a [Ignored],
}

/// For people at a terminal.
pub fn text(diffs: &[InstanceDiff<'_>], is_coloured: bool) -> String {
    let paint = Paint { is_coloured };
    let mut text = String::new();
    for (index, diff) in diffs.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        let title = paint.strong(&diff.instance);
        push(&mut text, &format!("{title}: {}", diff.summary));
        for problem in &diff.problems {
            push(&mut text, &paint.removed(&format!("  ! {}", indented(problem))));
        }
        for help in &diff.help {
            push(&mut text, &paint.faint(&format!("    help: {help}")));
        }
        text.push_str(&objects(diff.changes, is_coloured));
        for ignored in diff.ignored {
            push(&mut text, &paint.faint(&format!("  = {}", left_alone(ignored))));
        }
    }
    text
}

/// For a terminal, without the instance that the objects are of.
pub fn objects(changes: &[Change], is_coloured: bool) -> String {
    let paint = Paint { is_coloured };
    let mut text = String::new();
    for line in changes.iter().flat_map(lines_of) {
        push(&mut text, &line.painted(paint));
    }
    text
}

/// What an `ignoreDifferences` hides, on one line.
pub fn left_alone(ignored: &Ignored) -> String {
    let Ignored { key, field, reason } = ignored;
    let told = |value: &Option<Json>| match value {
        Some(value) if is_short(value) => short(value),
        Some(_) => "something else".to_owned(),
        None => "nothing".to_owned(),
    };
    let (live, desired) = (told(&field.before), told(&field.after));
    format!("{key} {} stays {live}, where git says {desired}: {reason}", field.path)
}

/// The lines behind the first one under it.
fn indented(text: &str) -> String {
    text.trim_end().replace('\n', "\n    ")
}

/// For a comment on a merge request: signs are in the first column, where highlighting looks.
pub fn markdown(diffs: &[InstanceDiff<'_>]) -> String {
    let mut text = String::new();
    for diff in diffs {
        push(&mut text, &format!("### `{}`: {}", diff.instance, diff.summary));
        text.push('\n');
        for problem in &diff.problems {
            push(&mut text, &format!("- :x: {problem}"));
        }
        for ignored in diff.ignored {
            push(&mut text, &format!("- left alone: {}", left_alone(ignored)));
        }
        if diff.changes.is_empty() {
            continue;
        }
        let mut body = String::new();
        for line in diff.changes.iter().flat_map(lines_of) {
            push(&mut body, &line.signed());
        }
        let fence = fence(&body);
        push(&mut text, &format!("{fence}diff\n{body}{fence}"));
        text.push('\n');
    }
    text
}

pub(super) fn push(text: &mut String, line: &str) {
    writeln!(text, "{}", line.trim_end()).expect("writing to a String cannot fail");
}

/// More backticks than any run of them in the text.
pub(super) fn fence(text: &str) -> String {
    let mut longest = 0;
    let mut run = 0;
    for character in text.chars() {
        run = if character == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    "`".repeat(3.max(longest + 1))
}

/// What a line says of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    None,
    Added,
    Removed,
    Changed,
}

impl Sign {
    pub(super) fn symbol(self) -> char {
        match self {
            Self::None => ' ',
            Self::Added => '+',
            Self::Removed => '-',
            Self::Changed => '~',
        }
    }

    pub(super) fn prefix(self) -> String {
        match self {
            Self::None => String::new(),
            sign => format!("{} ", sign.symbol()),
        }
    }
}

/// One line of a difference.
pub(super) struct Line {
    pub(super) indent: usize,
    pub(super) sign: Sign,
    pub(super) content: String,
    /// The template, behind the name of an object; its line and who owns it, behind a field.
    pub(super) origin: String,
}

impl Line {
    /// For a terminal.
    pub(super) fn painted(&self, paint: Paint) -> String {
        let indent = " ".repeat(self.indent);
        let content = format!("{}{}", self.sign.prefix(), self.content);
        let content = match self.sign {
            Sign::Added => paint.added(&content),
            Sign::Removed => paint.removed(&content),
            Sign::Changed => paint.changed(&content),
            Sign::None => content,
        };
        format!("{indent}{content}{}", paint.faint(&self.origin))
    }

    /// With the sign in the first column.
    pub(super) fn signed(&self) -> String {
        let indent = " ".repeat(self.indent.saturating_sub(2));
        format!("{} {indent}{}{}", self.sign.symbol(), self.content, self.origin)
    }

    fn new(indent: usize, sign: Sign, content: impl Into<String>) -> Self {
        Self { indent, sign, content: content.into(), origin: String::new() }
    }
}

/// What is told of a change: a line that names the object, then its fields.
pub(super) fn lines_of(change: &Change) -> Vec<Line> {
    let key = &change.key;
    let note = change.note.as_deref().map(|note| format!(": {note}")).unwrap_or_default();
    let (sign, content) = match change.op {
        Op::Create => (Sign::Added, format!("{key}{note}")),
        Op::Update => (Sign::Changed, format!("{key}{note}")),
        Op::Replace => (Sign::Changed, format!("{key} is deleted and created anew{note}")),
        Op::Delete => (Sign::Removed, format!("{key}{note}")),
        Op::Keep => (Sign::None, format!("{key} stays{note}")),
    };
    let from = change.provenance.as_ref().filter(|_| change.op != Op::Keep);
    let origin = from.map(|from| {
        let file = from.file.as_ref().unwrap_or(&from.template);
        // Without a look at the template, the line of its output tells its objects apart.
        let of_output = (from.file.is_none() && from.line > 1).then_some(from.line);
        let line = from.written_at.or(of_output);
        let line = line.map(|line| format!(":{line}")).unwrap_or_default();
        format!("  {file}{line}")
    });
    let mut lines =
        vec![Line { origin: origin.unwrap_or_default(), ..Line::new(2, sign, content) }];
    for warning in &change.warnings {
        lines.push(Line::new(6, Sign::None, format!("! {warning}")));
    }
    for field in &change.fields {
        let first = lines.len();
        write_field(&mut lines, change.op, field);
        if let Some(line) = lines.get_mut(first).filter(|_| !field.path.is_root()) {
            line.origin = about(field);
        }
    }
    lines
}

/// The template's line behind a field, and who else owns it.
fn about(field: &FieldChange) -> String {
    let line = field.line.map(|line| format!("  :{line}")).unwrap_or_default();
    match field.owners.as_slice() {
        [] => line,
        owners => format!("{line}  (owned by {})", owners.join(" and ")),
    }
}

/// What is told of a field.
pub(super) fn write_field(lines: &mut Vec<Line>, op: Op, field: &FieldChange) {
    const INDENT: usize = 6;
    let path = field.path.to_string();
    if field.path.is_root() {
        // Of an object that goes, its name says enough.
        if let (Op::Create, Some(after)) = (op, &field.after) {
            let content = long(after);
            lines.extend(content.lines().map(|line| Line::new(INDENT, Sign::Added, line)));
        }
        return;
    }
    match (&field.before, &field.after) {
        (Some(before), Some(after)) if is_short(before) && is_short(after) => {
            let content = format!("{path}: {} → {}", short(before), short(after));
            lines.push(Line::new(INDENT, Sign::Changed, content));
        }
        (Some(before), Some(after)) => {
            lines.push(Line::new(INDENT, Sign::Changed, format!("{path}:")));
            write_lines(lines, INDENT + 2, &long(before), &long(after));
        }
        (before, after) => {
            let sign = if after.is_some() { Sign::Added } else { Sign::Removed };
            match after.as_ref().or(before.as_ref()) {
                Some(value) if is_short(value) => {
                    lines.push(Line::new(INDENT, sign, format!("{path}: {}", short(value))));
                }
                Some(value) => {
                    lines.push(Line::new(INDENT, sign, format!("{path}:")));
                    let content = long(value);
                    lines.extend(content.lines().map(|line| Line::new(INDENT + 2, sign, line)));
                }
                None => {}
            }
        }
    }
}

fn write_lines(lines: &mut Vec<Line>, indent: usize, before: &str, after: &str) {
    let diff = TextDiff::from_lines(before, after);
    for (index, group) in diff.grouped_ops(CONTEXT_LINES).iter().enumerate() {
        if index > 0 {
            lines.push(Line::new(indent + 2, Sign::None, "…"));
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let content = change.value().trim_end_matches('\n');
            lines.push(match change.tag() {
                ChangeTag::Insert => Line::new(indent, Sign::Added, content),
                ChangeTag::Delete => Line::new(indent, Sign::Removed, content),
                ChangeTag::Equal => Line::new(indent + 2, Sign::None, content),
            });
        }
    }
}

/// Whether a value fits behind its path.
fn is_short(value: &Json) -> bool {
    match value {
        Json::Object(fields) => fields.is_empty(),
        Json::Array(items) => items.is_empty(),
        Json::String(text) => !text.contains('\n') && text.len() <= 60,
        _ => true,
    }
}

/// One line: control characters escaped, so that no value can write to the terminal.
fn short(value: &Json) -> String {
    match value {
        Json::String(text) if is_plain(text) => text.clone(),
        value => value.to_string(),
    }
}

fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text.trim() == text
        && text.chars().all(|character| !character.is_control())
        && text.parse::<f64>().is_err()
        && !matches!(text, "true" | "false" | "null")
}

/// Lines: YAML for structures, text as it is.
pub(super) fn long(value: &Json) -> String {
    let text = match value {
        Json::String(text) => text.clone(),
        value => json_to_yaml(value).unwrap_or_else(|_| value.to_string()),
    };
    text.chars()
        .map(|character| match character {
            '\n' | '\t' => character,
            control if control.is_control() => '\u{fffd}',
            other => other,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::diff::{Provenance, between};
    use crate::object::key::ObjectKey;

    fn change(op: Op, name: &str, fields: Vec<FieldChange>) -> Change {
        Change {
            key: ObjectKey {
                group: "apps".to_owned(),
                kind: "Deployment".to_owned(),
                namespace: "web".to_owned(),
                name: name.to_owned(),
            },
            op,
            fields,
            provenance: Some(Provenance {
                template: "web/templates/deployment.yaml".to_owned(),
                line: 3,
                written_at: Some(7),
                file: None,
            }),
            warnings: Vec::new(),
            note: (op == Op::Keep).then(|| "its policy says keep".to_owned()),
        }
    }

    fn changes() -> Vec<Change> {
        let before = json!({"spec": {
            "replicas": 1, "paused": false, "config": "a\nb\nc\nd\ne\nf\n", "list": [1, 2],
        }});
        let after = json!({"spec": {
            "replicas": 2, "config": "a\nb\nc\nD\ne\nf\n", "list": [1, 3],
            "env": [{"name": "A", "value": "1"}],
        }});
        let root = |before, after| FieldChange { before, after, ..FieldChange::default() };
        vec![
            change(Op::Update, "a", between(&before, &after)),
            change(Op::Create, "b", vec![root(None, Some(json!({"kind": "Deployment"})))]),
            change(Op::Delete, "c", vec![root(Some(json!({"kind": "Deployment"})), None)]),
            change(Op::Keep, "d", Vec::new()),
            change(
                Op::Replace,
                "e",
                between(&json!({"a": "x"}), &json!({"a": "y ```` \u{1b}[2J"})),
            ),
        ]
    }

    fn diffs(changes: &[Change]) -> Vec<InstanceDiff<'_>> {
        vec![InstanceDiff {
            instance: "prod-01/web".to_owned(),
            summary: "upgrade 1.0.0 → 1.1.0".to_owned(),
            changes,
            problems: vec!["limit".to_owned()],
            help: vec!["raise it".to_owned()],
            ignored: &[],
        }]
    }

    #[test]
    fn a_difference_reads_as_text_and_as_markdown() {
        let changes = changes();
        insta::assert_snapshot!("text", text(&diffs(&changes), false));
        insta::assert_snapshot!("markdown", markdown(&diffs(&changes)));
    }

    #[test]
    fn a_value_cannot_write_to_the_terminal() {
        let changes = changes();
        assert!(!text(&diffs(&changes), false).contains('\u{1b}'));
    }
}
