//! Diagnostics as text with an excerpt of the file, and as JSON.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde_json::{Value as Json, json};

use crate::base::diagnostic::{Diagnostic, Label, Severity, counted};
use crate::base::span::SourceFile;

/// Wide enough for a path and an excerpt, whatever the terminal: output does not depend on it.
const WIDTH: usize = 140;

/// All diagnostics as text, errors last, so that they stand where a terminal ends. Ends with a
/// summary line; empty when there are none.
pub fn text(diagnostics: &[Diagnostic], is_coloured: bool) -> String {
    if diagnostics.is_empty() {
        return String::new();
    }
    let renderer = if is_coloured { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.decor_style(DecorStyle::Ascii).term_width(WIDTH);
    let mut ordered: Vec<&Diagnostic> = diagnostics.iter().collect();
    ordered.sort_by_key(|diagnostic| std::cmp::Reverse(diagnostic.severity));
    let mut text = String::new();
    for diagnostic in ordered {
        text.push_str(renderer.render(&[group(diagnostic)]).trim_end());
        text.push_str("\n\n");
    }
    text.push_str(&summary(diagnostics));
    text.push('\n');
    text
}

/// `3 errors, 1 warning`.
pub fn summary(diagnostics: &[Diagnostic]) -> String {
    let count = |severity| diagnostics.iter().filter(|one| one.severity == severity).count();
    let parts: Vec<String> = [(Severity::Error, "error"), (Severity::Warning, "warning")]
        .into_iter()
        .map(|(severity, name)| (count(severity), name))
        .filter(|(number, _)| *number > 0)
        .map(|(number, name)| counted(number, name))
        .collect();
    if parts.is_empty() { "no findings".to_owned() } else { parts.join(", ") }
}

/// All diagnostics as JSON: `[{code, severity, message, labels: [{file, line, column, endLine,
/// endColumn, text}], notes, help}]`. Lines and columns count from 1.
pub fn json(diagnostics: &[Diagnostic]) -> Json {
    diagnostics
        .iter()
        .map(|diagnostic| {
            let labels: Vec<Json> = diagnostic.labels.iter().map(label_json).collect();
            json!({
                "code": diagnostic.code,
                "severity": diagnostic.severity,
                "message": diagnostic.message,
                "labels": labels,
                "notes": diagnostic.notes,
                "help": diagnostic.help,
            })
        })
        .collect()
}

fn label_json(label: &Label) -> Json {
    let (line, column) = label.span.line_column();
    let (end_line, end_column) = label.span.file.line_column(label.span.range.end);
    json!({
        "file": label.span.file.path,
        "line": line,
        "column": column,
        "endLine": end_line,
        "endColumn": end_column,
        "text": label.text,
    })
}

fn group(diagnostic: &Diagnostic) -> Group<'_> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let title = level.primary_title(diagnostic.message.as_str()).id(diagnostic.code);
    let mut group = Group::with_title(title);
    for (file, labels) in by_file(&diagnostic.labels) {
        // A file that was not read is only named.
        if file.text.is_empty() {
            group = group.element(Origin::path(file.path.as_str()));
            continue;
        }
        let annotations = labels.into_iter().map(|(is_primary, label)| {
            let kind = if is_primary { AnnotationKind::Primary } else { AnnotationKind::Context };
            kind.span(first_line(label)).label(label.text.as_str())
        });
        let snippet = Snippet::source(file.text.as_str()).path(file.path.as_str());
        group = group.element(snippet.annotations(annotations));
    }
    group = group.elements(diagnostic.notes.iter().map(|note| Level::NOTE.message(note)));
    group.elements(diagnostic.help.iter().map(|help| Level::HELP.message(help)))
}

type FileLabels<'a> = (&'a Arc<SourceFile>, Vec<(bool, &'a Label)>);

/// Labels of one file together, the primary one's file first.
fn by_file(labels: &[Label]) -> Vec<FileLabels<'_>> {
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    let mut files: Vec<FileLabels<'_>> = Vec::new();
    for (at, label) in labels.iter().enumerate() {
        let file = &label.span.file;
        let place = *places.entry(&file.path).or_insert_with(|| {
            files.push((file, Vec::new()));
            files.len() - 1
        });
        files[place].1.push((at == 0, label));
    }
    files
}

/// A span that covers many lines would fill the screen: its first line says where it is.
fn first_line(label: &Label) -> Range<usize> {
    let text = &label.span.file.text;
    let start = text.floor_char_boundary(label.span.range.start);
    let end = text.ceil_char_boundary(label.span.range.end);
    let line = text[start..end].find(['\n', '\r']).map_or(end, |at| start + at);
    start..line.max(start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::span::Span;

    fn diagnostic() -> Diagnostic {
        let file = SourceFile::new("clusters/a.yaml", "spec:\n  addons:\n    - name: prometeus\n");
        let at = file.text.find("prometeus").unwrap();
        Diagnostic::error("unknown-addon", "cluster `a` wants `prometeus`, which is no addon")
            .label(&Span::new(&file, at..at + 9), "no such addon")
            .note("on `a`")
            .did_you_mean("prometeus", ["prometheus"])
    }

    #[test]
    fn an_error_points_into_the_file_and_names_a_way_out() {
        insta::assert_snapshot!(text(&[diagnostic()], false), @r"
        error[unknown-addon]: cluster `a` wants `prometeus`, which is no addon
         --> clusters/a.yaml:3:13
          |
        3 |     - name: prometeus
          |             ^^^^^^^^^ no such addon
          |
          = note: on `a`
          = help: did you mean `prometheus`?

        1 error
        ");
    }

    #[test]
    fn a_diagnostic_without_text_names_the_file() {
        let file = SourceFile::new("clusters/a.yml", "");
        let found = Diagnostic::warning("not-read", "`clusters/a.yml` is not read")
            .label(&Span::new(&file, 0..0), "");
        insta::assert_snapshot!(text(&[found], false), @r"
        warning[not-read]: `clusters/a.yml` is not read
        --> clusters/a.yml

        1 warning
        ");
    }

    #[test]
    fn labels_of_many_lines_show_their_first() {
        let file = SourceFile::new("a.yaml", "a:\n  b: 1\n  c: 2\n");
        let found = Diagnostic::error("x", "y").label(&Span::new(&file, 0..16), "here");
        assert!(text(&[found], false).contains("1 | a:\n"));
    }

    #[test]
    fn json_has_lines_and_columns() {
        let found = json(&[diagnostic()]);
        assert_eq!(found[0]["labels"][0]["line"], 3);
        assert_eq!(found[0]["labels"][0]["column"], 13);
        assert_eq!(found[0]["severity"], "error");
    }
}
