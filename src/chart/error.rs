//! Why a chart could not be rendered: Helm's words for scripts, and a diagnostic for people that
//! points into the template and tells which value is missing.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use super::engine::EngineError;
use super::scope::Scope;
use crate::base::diagnostic::Diagnostic;
use crate::base::span::{SourceFile, Span};
use crate::template::error::{Entered, Frame};
use crate::yaml::node::{Node, NodeKind};
use crate::yaml::parse;

/// Why a chart could not be rendered.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{text}")]
pub struct RenderError {
    /// Helm's text, without `Error: `.
    pub text: String,
    /// The same for people.
    pub diagnostic: Box<Diagnostic>,
}

impl From<RenderError> for Diagnostic {
    fn from(error: RenderError) -> Self {
        *error.diagnostic
    }
}

impl RenderError {
    fn new(code: &'static str, text: String) -> Self {
        let diagnostic = Box::new(Diagnostic::error(code, text.clone()));
        Self { text, diagnostic }
    }

    /// The chart as such cannot be installed.
    pub(super) fn chart(text: String) -> Self {
        Self::new("chart-invalid", text)
    }

    /// The values do not fit the chart.
    pub(super) fn values(text: String) -> Self {
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default().trim_end_matches(':').to_owned();
        let mut diagnostic = Diagnostic::error("values-invalid", first);
        diagnostic.notes = lines.map(str::to_owned).collect();
        Self { text, diagnostic: Box::new(diagnostic) }
    }

    /// The capabilities that were asked for make no sense.
    pub(super) fn capabilities(text: String) -> Self {
        Self::new("kubernetes-version-invalid", text)
    }

    /// What a template gave is not YAML, or no object.
    pub(super) fn manifest(text: &str, files: &BTreeMap<String, String>) -> Self {
        let path = text
            .strip_prefix("YAML parse error on ")
            .and_then(|rest| rest.split_once(": "))
            .map(|(path, _)| path)
            .unwrap_or_default();
        let mut diagnostic = Diagnostic::error("manifest-invalid", text);
        if let Some(output) = files.get(path) {
            let file = SourceFile::new(format!("{path} (rendered)"), output.as_str());
            if let Err(syntax) = parse::parse(&file) {
                diagnostic.labels = syntax.labels;
                diagnostic.help = syntax.help;
            }
        }
        let text = format!("{text}\n\nUse --debug flag to render out invalid YAML");
        Self { text, diagnostic: Box::new(diagnostic) }
    }

    /// A template failed.
    pub(super) fn template(error: EngineError, scope: &Scope, values: &Json) -> Self {
        let mut diagnostic = Diagnostic::error("render-failed", error.text.clone());
        let mut frames = error.error.stack.iter();
        if let Some(inner) = frames.next() {
            if let Some(span) = place(scope, inner) {
                diagnostic = diagnostic.label(&span, "failed here");
            } else {
                diagnostic = diagnostic.note(format!("at {}", inner.location()));
            }
            if error.error.message.contains("nil pointer evaluating") {
                diagnostic = missing_value(diagnostic, scope, values, inner);
            }
        }
        for frame in frames {
            let how = match frame.entered {
                Entered::Template => "template",
                Entered::Call(_) | Entered::Here => "call",
            };
            let place = frame.location();
            diagnostic = diagnostic.note(format!("{how} from {place}: {}", frame.expression));
        }
        let text = format!("{}\n\nUse --debug flag to render out invalid YAML", error.text);
        Self { text, diagnostic: Box::new(diagnostic) }
    }
}

/// The chart a template belongs to, its path of names below the root, and the rest of the
/// template's name.
fn owner<'a>(scope: &'a Scope, template: &'a str) -> Option<(&'a Scope, Vec<&'a str>, &'a str)> {
    let mut rest = template.strip_prefix(scope.name.as_str())?.strip_prefix('/')?;
    let mut scope = scope;
    let mut names = Vec::new();
    while let Some(inner) = rest.strip_prefix("charts/") {
        let (name, behind) = inner.split_once('/')?;
        scope = scope.dependencies.iter().find(|sub| sub.name == name)?;
        names.push(name);
        rest = behind;
    }
    Some((scope, names, rest))
}

fn place(scope: &Scope, frame: &Frame) -> Option<Span> {
    let (owner, _, name) = owner(scope, &frame.template)?;
    let file = owner.chart.templates.iter().find(|file| file.name == name)?;
    let source = SourceFile::new(frame.template.as_str(), String::from_utf8_lossy(&file.data));
    let range = frame.range_in(&source.text);
    Some(Span::new(&source, range))
}

/// Tells which value an expression such as `.Values.a.b.c` misses and what is nearest to it.
fn missing_value(
    diagnostic: Diagnostic,
    scope: &Scope,
    values: &Json,
    frame: &Frame,
) -> Diagnostic {
    let Some((owner, names, _)) = owner(scope, &frame.template) else { return diagnostic };
    let Some(at) = frame.expression.find(".Values.") else { return diagnostic };
    let path = frame.expression[at + ".Values.".len()..]
        .split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.')))
        .next()
        .unwrap_or_default();
    let mut table = values;
    for name in &names {
        table = &table[*name];
    }
    let mut found: Vec<&str> = Vec::new();
    for part in path.split('.') {
        match table.get(part) {
            Some(inner) if !inner.is_null() => {
                found.push(part);
                table = inner;
            }
            _ => {
                let missing = [names.as_slice(), &found, &[part]].concat().join(".");
                let diagnostic = diagnostic
                    .note(format!("the value `{missing}` is not set"))
                    .help(format!("set `{missing}` in the values"));
                return match nearest(owner, &found) {
                    Some((span, text)) => diagnostic.label(&span, text),
                    None => diagnostic,
                };
            }
        }
    }
    diagnostic
}

/// The deepest table on the way that the chart's own `values.yaml` has.
fn nearest(owner: &Scope, path: &[&str]) -> Option<(Span, String)> {
    let name = format!("{}/values.yaml", owner.name);
    let file: Arc<SourceFile> = SourceFile::new(name, owner.chart.values_text.as_str());
    let documents = parse::parse(&file).ok()?;
    let mut node = documents.first()?;
    let mut key: Option<&Node> = None;
    let mut depth = 0;
    for part in path {
        let NodeKind::Mapping(entries) = &node.kind else { break };
        let is_key =
            |node: &Node| matches!(&node.kind, NodeKind::Scalar { text, .. } if text == part);
        let Some((found, value)) = entries.iter().find(|(key, _)| is_key(key)) else { break };
        key = Some(found);
        node = value;
        depth += 1;
    }
    let found = key?;
    Some((found.span.clone(), format!("`{}` has its defaults here", path[..depth].join("."))))
}
