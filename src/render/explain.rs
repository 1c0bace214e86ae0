//! A failed render as the user of a fleet sees it: files by their path in the repository, and the
//! layers that set the values it is about.

use crate::base::diagnostic::Diagnostic;
use crate::base::span::{SourceFile, Span};
use crate::chart::error::RenderError;
use crate::chart::model::Chart;
use crate::chart::source::{SourceError, file_in_repository};
use crate::fleet::instance::{ChartLocation, Instance, Layer};
use crate::fleet::origin::label;
use crate::git::Source;
use crate::yaml::parse;

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
    for found in &mut diagnostic.labels {
        if found.span.file.path != instance.chart_span.file.path && !folder.is_empty() {
            let path = format!("{folder}/{}", found.span.file.path);
            found.rename(path);
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
    let in_repository = |name: &str| file_in_repository(source, &instance.chart, chart, name);
    let mut diagnostic = error.located(chart.name(), &in_repository);
    if let Some(field) = error.field
        && let Some(path) = in_repository(&format!("{}/Chart.yaml", chart.name()))
        && let Some(span) = field_of(source, &path, field)
    {
        diagnostic = diagnostic.label(&span, "the chart says this");
    }
    for path in &error.values {
        let steps: Vec<&str> = path.iter().map(String::as_str).collect();
        if let Some((span, text)) = label(&instance.values, &steps) {
            diagnostic = diagnostic.label(span, text);
        }
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

fn field_of(source: &Source, path: &str, field: &str) -> Option<Span> {
    let file = SourceFile::new(path, source.text(path)?);
    let documents = parse::parse(&file).ok()?;
    Some(documents.first()?.get(field)?.span.clone())
}

/// Values that are encrypted must not get to a cluster as they are.
pub(super) fn explain_encrypted(layer: &Layer) -> Diagnostic {
    let message = format!("`{}` is encrypted, and fitout does not decrypt", layer.file());
    Diagnostic::error("encrypted-values", message)
        .label(&layer.node.span, "these values")
        .help("`fitout validate` and `fitout preview` look at encrypted values as they are")
        .help("keep secrets on the clusters for now, and refer to them by name")
}
