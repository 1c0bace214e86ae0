//! Why a chart could not be rendered: Helm's words for scripts, and a diagnostic for people that
//! points into the template and tells which value is missing.

use serde_json::Value as Json;

use super::engine::EngineError;
use super::manifest_error::RENDERED;
use super::missing::{Missing, owner, values_about};
use super::scope::Scope;
use crate::base::diagnostic::Diagnostic;
use crate::base::span::{SourceFile, Span};
use crate::object::pointer;
use crate::sprig::functions;
use crate::template::error::{Entered, Error, Frame, Reason};

/// Why a chart could not be rendered.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{text}")]
pub struct RenderError {
    /// Helm's text, without `Error: `.
    pub text: String,
    /// The same for people. Files of the chart are called as templates call them:
    /// `CHART/templates/x.yaml`.
    pub diagnostic: Box<Diagnostic>,
    /// Paths of the values that it is about, from the top of the user's values.
    pub values: Vec<Vec<String>>,
    /// The field of `Chart.yaml` that it is about.
    pub field: Option<&'static str>,
}

impl From<RenderError> for Diagnostic {
    fn from(error: RenderError) -> Self {
        *error.diagnostic
    }
}

impl RenderError {
    fn new(code: &'static str, text: String) -> Self {
        let diagnostic = Box::new(Diagnostic::error(code, text.clone()));
        Self { text, diagnostic, values: Vec::new(), field: None }
    }

    /// The diagnostic with the chart's files called as `path_of` calls them; those that it does not
    /// know keep their names. `root` is the chart's name.
    pub fn located(&self, root: &str, path_of: &dyn Fn(&str) -> Option<String>) -> Diagnostic {
        let mut diagnostic = (*self.diagnostic).clone();
        for label in &mut diagnostic.labels {
            let name = &label.span.file.path;
            let (name, suffix) = match name.strip_suffix(RENDERED) {
                Some(name) => (name, RENDERED),
                None => (name.as_str(), ""),
            };
            if let Some(path) = path_of(name) {
                label.rename(format!("{path}{suffix}"));
            }
        }
        let start = format!("{root}/");
        for note in &mut diagnostic.notes {
            let name = note.split([' ', ':']).find(|word| word.starts_with(&start));
            if let Some((name, path)) = name.and_then(|name| Some((name, path_of(name)?))) {
                *note = note.replacen(name, &path, 1);
            }
        }
        diagnostic
    }

    /// About a field of `Chart.yaml`.
    pub(super) fn about(mut self, field: &'static str) -> Self {
        self.field = Some(field);
        self
    }

    /// With a way out.
    pub(super) fn help(mut self, text: &str) -> Self {
        self.diagnostic.help.push(text.to_owned());
        self
    }

    /// The chart as such cannot be installed.
    pub(super) fn chart(text: String) -> Self {
        Self::new("chart-invalid", text)
    }

    /// The values do not fit the chart `root`.
    pub(super) fn values(text: String, root: &str) -> Self {
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        let is_of_schema = first.starts_with("values don't meet the specifications");
        let is_told = text.contains("\n- at '");
        let message = match (is_of_schema, is_told) {
            (true, true) => "the values do not fit the chart's schema",
            (true, false) => "the values cannot be checked against the chart's schema",
            (false, _) => first,
        };
        let mut diagnostic = Diagnostic::error("values-invalid", message);
        let mut values = Vec::new();
        let mut chart = "";
        for line in lines {
            match line.strip_prefix("- at '").and_then(|rest| rest.split_once("': ")) {
                Some((at, problem)) => {
                    let chart = subchart(chart, root).map(str::to_owned).into_iter();
                    let path: Vec<String> = chart.chain(pointer::steps(at)).collect();
                    diagnostic = diagnostic.note(match path.as_slice() {
                        [] => problem.to_owned(),
                        path => format!("`{}`: {problem}", path.join(".")),
                    });
                    values.push(path);
                }
                None => match line.strip_suffix(':') {
                    Some(name) if is_of_schema => chart = name,
                    _ => diagnostic = diagnostic.note(line),
                },
            }
        }
        Self { text, diagnostic: Box::new(diagnostic), values, field: None }
    }

    /// The capabilities that were asked for make no sense.
    pub(super) fn capabilities(text: String) -> Self {
        Self::new("kubernetes-version-invalid", text)
    }

    /// What a template gave is not YAML, or no object.
    pub(super) fn manifest(text: String, diagnostic: Diagnostic) -> Self {
        Self { text, diagnostic: Box::new(diagnostic), values: Vec::new(), field: None }
    }

    /// A template failed.
    pub(super) fn template(error: EngineError, scope: &Scope, values: &Json) -> Self {
        let mut diagnostic = Diagnostic::error("render-failed", message(&error.error));
        let mut about = Vec::new();
        let mut frames = error.error.stack.iter();
        if let Some(inner) = frames.next() {
            if let Some(span) = place(scope, inner, &error.error.message) {
                diagnostic = diagnostic.label(&span, "failed here");
            } else {
                diagnostic = diagnostic.note(format!("at {}", inner.location()));
            }
            about = values_about(scope, values, &error.error.stack);
            let missing = Missing::of(&about, values).filter(|_| is_about_a_field(&error.error));
            if let Some(missing) = missing {
                let words = format!("in Helm's words: {}", error.error.message);
                let cause = missing.text();
                diagnostic.message = format!("`{}` cannot be evaluated: {cause}", inner.expression);
                let (told, instead) = missing.explain(diagnostic, scope, values);
                diagnostic = told.note(words);
                about.extend(instead);
            } else if inner.expression.starts_with("required ") {
                diagnostic = not_set(diagnostic, values, &about);
            }
        }
        if error.error.reason == Reason::Requested {
            diagnostic = diagnostic.note("the chart itself asks for it");
        }
        let around: Vec<String> = frames
            .map(|frame| {
                let how = match frame.entered {
                    Entered::Template => "template",
                    Entered::Call(_) | Entered::Here => "call",
                };
                format!("{how} from {}: {}", frame.location(), frame.expression)
            })
            .collect();
        diagnostic.notes.extend(shortened(around));
        if let Some(name) = undefined_function(&error.error.message) {
            diagnostic = diagnostic.did_you_mean(name, functions().names());
        }
        let text = format!("{}\n\nUse --debug flag to render out invalid YAML", error.text);
        Self { text, diagnostic: Box::new(diagnostic), values: about, field: None }
    }
}

/// The first and the last of many: what is between them mostly repeats.
fn shortened(mut notes: Vec<String>) -> Vec<String> {
    const FIRST: usize = 5;
    const LAST: usize = 2;
    if notes.len() > FIRST + LAST + 1 {
        let left_out = notes.len() - FIRST - LAST;
        let told = format!("… {left_out} more …");
        notes.splice(FIRST..notes.len() - LAST, [told]);
    }
    notes
}

/// The name in `function "x" not defined`.
fn undefined_function(message: &str) -> Option<&str> {
    message.strip_prefix("function \"")?.strip_suffix("\" not defined")
}

/// Whether a field was asked for of something that has none.
fn is_about_a_field(error: &Error) -> bool {
    let message = &error.message;
    message.starts_with("nil pointer evaluating ") || message.starts_with("can't evaluate field ")
}

/// Tells which value a chart requires.
fn not_set(diagnostic: Diagnostic, values: &Json, about: &[Vec<String>]) -> Diagnostic {
    about.iter().fold(diagnostic, |diagnostic, path| {
        let found = path.iter().try_fold(values, |table, step| table.get(step));
        let is_set = found.is_some_and(|value| !value.is_null() && value != "");
        if is_set { diagnostic } else { diagnostic.help(format!("set `{}`", path.join("."))) }
    })
}

/// What went wrong, for people.
fn message(error: &Error) -> String {
    let expression = error.stack.first().map(|frame| frame.expression.as_str());
    match (error.reason, expression) {
        (Reason::Syntax, _) => format!("the template cannot be parsed: {}", error.message),
        (Reason::Evaluation, _) if error.message.contains(": no template \"") => {
            let name = error.message.split('"').nth(1).unwrap_or_default();
            format!("there is no template `{name}`")
        }
        (Reason::Evaluation, Some(expression)) if !expression.is_empty() => {
            format!("`{expression}` cannot be evaluated: {}", error.message)
        }
        _ => error.message.trim().to_owned(),
    }
}

/// The subchart that a name stands for; `None` for the chart itself.
fn subchart<'a>(name: &'a str, root: &str) -> Option<&'a str> {
    (!name.is_empty() && name != root).then_some(name)
}

fn place(scope: &Scope, frame: &Frame, message: &str) -> Option<Span> {
    let (owner, _, name) = owner(scope, &frame.template)?;
    let file = owner.chart.templates.iter().find(|file| file.name == name)?;
    let source = SourceFile::new(frame.template.as_str(), String::from_utf8_lossy(&file.data));
    let range = frame.range_in(&source.text);
    // Syntax errors have a line only, and often a word in it.
    let word = undefined_function(message).and_then(|word| {
        let at = source.text[range.clone()].find(word)?;
        Some(range.start + at..range.start + at + word.len())
    });
    Some(Span::new(&source, word.unwrap_or(range)))
}
