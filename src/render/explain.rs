//! A failed render as the user of a fleet sees it: files by their path in the repository, and the
//! layers that set the values it is about.

use serde_json::Value as Json;

use crate::base::diagnostic::{Diagnostic, Label};
use crate::base::span::{SourceFile, Span};
use crate::chart::error::RenderError;
use crate::chart::model::Chart;
use crate::chart::source::{SourceError, file_in_repository};
use crate::fleet::instance::{ChartLocation, Instance};
use crate::fleet::origin::settings;
use crate::git::Source;
use crate::yaml::parse;

/// What follows the name of a template whose output is shown.
const RENDERED: &str = " (rendered)";

/// The finding for one instance whose chart cannot be loaded.
pub(super) fn explain_source(error: &SourceError, instance: &Instance) -> Diagnostic {
    let mut diagnostic = error.diagnostic(&instance.chart_span);
    let SourceError::Invalid(_) = error else { return diagnostic };
    diagnostic.message = plain(&diagnostic.message);
    let folder = match &instance.chart {
        ChartLocation::Path(folder) => folder.trim_matches('/').to_owned(),
        ChartLocation::Git { url, path, .. } => format!("{url} {path}"),
        ChartLocation::Http { name, version, .. } => format!("{name}-{version}.tgz"),
    };
    for label in &mut diagnostic.labels {
        if label.span.file.path != instance.chart_span.file.path && !folder.is_empty() {
            let path = format!("{folder}/{}", label.span.file.path);
            rename(label, path);
        }
    }
    diagnostic
}

/// The finding for one instance whose render fails.
pub(super) fn explain(
    error: &RenderError,
    instance: &Instance,
    chart: &Chart,
    source: &Source,
) -> Diagnostic {
    let mut diagnostic = (*error.diagnostic).clone();
    let in_repository = |name: &str| file_in_repository(source, &instance.chart, chart, name);
    for label in &mut diagnostic.labels {
        let name = &label.span.file.path;
        let (name, suffix) = match name.strip_suffix(RENDERED) {
            Some(name) => (name, RENDERED),
            None => (name.as_str(), ""),
        };
        if let Some(path) = in_repository(name) {
            rename(label, format!("{path}{suffix}"));
        }
    }
    for note in &mut diagnostic.notes {
        let start = format!("{}/", chart.name());
        let name = note.split([' ', ':']).find(|word| word.starts_with(&start));
        if let Some((name, path)) = name.and_then(|name| Some((name, in_repository(name)?))) {
            *note = note.replacen(name, &path, 1);
        }
    }
    if let Some(field) = error.field
        && let Some(path) = in_repository(&format!("{}/Chart.yaml", chart.name()))
        && let Some(span) = field_of(source, &path, field)
    {
        diagnostic = diagnostic.label(&span, "the chart says this");
    }
    for path in &error.values {
        let steps: Vec<&str> = path.iter().map(String::as_str).collect();
        let settings = settings(&instance.values, &steps);
        let Some(last) = settings.last().filter(|last| last.steps > 0) else { continue };
        let name = steps[..last.steps].join(".");
        let is_whole = last.steps == steps.len();
        let what = match last.value {
            Json::Object(_) => "",
            _ if is_whole => "",
            Json::Null => ", to nothing",
            Json::Array(_) => ", to a list and no table",
            Json::String(_) => ", to a text and no table",
            _ => ", to a number or boolean and no table",
        };
        diagnostic = diagnostic.label(last.span, format!("`{name}` is set here{what}"));
    }
    diagnostic
}

/// Helm's words without the names of Go's libraries.
fn plain(message: &str) -> String {
    if let Some((file, problem)) = message.split_once(": error converting YAML to JSON: yaml: ") {
        let problem = match problem.strip_prefix("line ").and_then(|rest| rest.split_once(": ")) {
            Some((_, problem)) => problem,
            None => problem,
        };
        return format!("{file}: it is not YAML: {problem}");
    }
    match message.strip_prefix("validation: chart.metadata.") {
        Some(rest) => format!("`Chart.yaml` is not right: {rest}"),
        None => message.to_owned(),
    }
}

fn rename(label: &mut Label, path: String) {
    let Span { file, range } = &label.span;
    label.span = Span::new(&SourceFile::new(path, file.text.as_str()), range.clone());
}

fn field_of(source: &Source, path: &str, field: &str) -> Option<Span> {
    let file = SourceFile::new(path, source.text(path)?);
    let documents = parse::parse(&file).ok()?;
    Some(documents.first()?.get(field)?.span.clone())
}
