//! What a template gave is not YAML, or no object: where in the output, and which line of the
//! template wrote that.

use std::collections::BTreeMap;

use super::error::RenderError;
use super::manifest;
use super::missing::owner;
use super::scope::Scope;
use crate::base::diagnostic::Diagnostic;
use crate::base::span::{SourceFile, Span};
use crate::template::exec::Written;
use crate::yaml::parse;

const MANIFEST: &str = "manifest-invalid";

/// What follows the name of a template whose output is shown.
pub(super) const RENDERED: &str = " (rendered)";

/// The output of a template before `<no value>` is taken out, and which part wrote what.
pub(super) type Traced = (String, Vec<Written>);

/// The error for Helm's `problem` with one of the rendered files; `trace` renders a file again.
pub(super) fn error(
    problem: &str,
    files: &BTreeMap<String, String>,
    scope: &Scope,
    trace: impl Fn(&str) -> Option<Traced>,
) -> RenderError {
    let path = problem
        .strip_prefix("YAML parse error on ")
        .and_then(|rest| rest.split_once(": "))
        .map(|(path, _)| path)
        .unwrap_or_default();
    let diagnostic = match files.get(path) {
        Some(output) => {
            let found = unfit(path, output, problem);
            let at = found.labels.first().map(|label| label.span.line_column().0);
            let behind = at.and_then(|line| behind(&trace(path)?, line, path, scope));
            match behind {
                Some(span) => found.label(&span, "written by this"),
                None => found,
            }
        }
        None => Diagnostic::error(MANIFEST, problem),
    };
    let text = format!("{problem}\n\nUse --debug flag to render out invalid YAML");
    RenderError::manifest(text, diagnostic)
}

/// The part of a template that wrote the start of a line of its output.
fn behind((output, written): &Traced, line: usize, path: &str, scope: &Scope) -> Option<Span> {
    let before: usize = output.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let text = output.get(before..)?.lines().next()?;
    let at = before + (text.len() - text.trim_start().len());
    let last = written.iter().rev().find(|written| written.at <= at)?;
    let (owner, _, name) = owner(scope, path)?;
    let file = owner.chart.templates.iter().find(|file| file.name == name)?;
    let source = SourceFile::new(path, String::from_utf8_lossy(&file.data));
    let pos = if last.is_text { last.pos + (at - last.at) } else { last.pos };
    let start = source.text.get(..pos)?.rfind('\n').map_or(0, |at| at + 1);
    let line = source.text[start..].lines().next()?;
    let indent = line.len() - line.trim_start().len();
    Some(Span::new(&source, start + indent..start + line.trim_end().len()))
}

/// The finding about a template's output, at the document that is at fault.
fn unfit(path: &str, output: &str, problem: &str) -> Diagnostic {
    let file = SourceFile::new(format!("{path}{RENDERED}"), output);
    let reason = problem.rsplit_once(": ").map_or(problem, |(_, reason)| reason);
    if let Err(syntax) = parse::parse(&file) {
        let message = format!("the output of a template is not YAML: {reason}");
        let mut found = Diagnostic::error(MANIFEST, message);
        found.labels = syntax.labels;
        found.help = syntax.help;
        return found;
    }
    let lines: Vec<usize> =
        std::iter::once(0).chain(output.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let documents = manifest::split(output);
    let wrong = documents.iter().find(|document| !manifest::is_object(document.text));
    let start = wrong.and_then(|document| lines.get(document.line - 1)).copied().unwrap_or(0);
    let end = output[start..].find('\n').map_or(output.len(), |at| start + at);
    Diagnostic::error(MANIFEST, "the output of a template is not a Kubernetes object")
        .label(&Span::new(&file, start..end), "this document")
        .help("an object is a mapping with `apiVersion`, `kind` and `metadata`")
}
