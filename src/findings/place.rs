//! Where in the repository an object comes from.

use serde_json::Value as Json;

use crate::base::diagnostic::Diagnostic;
use crate::base::span::{SourceFile, Span};
use crate::chart::model::Manifest;
use crate::chart::source::file_in_repository;
use crate::fleet::Desired;
use crate::render::Release;

/// A finding at the template that writes an object; at the Addon, where the chart is elsewhere.
pub(super) fn at(
    found: Diagnostic,
    desired: &Desired,
    release: &Release,
    manifest: &Manifest,
    text: &str,
) -> Diagnostic {
    let instance = &release.instance;
    match in_template(desired, release, manifest) {
        Some(span) => found.label(&span, text),
        None => found.label(&instance.chart_span, "of this chart").note(format!(
            "written by `{}`, line {} of its output",
            manifest.source, manifest.line
        )),
    }
}

/// The line that says the object's kind, or the template's first.
fn in_template(desired: &Desired, release: &Release, manifest: &Manifest) -> Option<Span> {
    let source = &desired.source;
    let chart = &release.instance.chart;
    let path = file_in_repository(source, chart, &release.chart, &manifest.source)?;
    let text = source.text(&path)?;
    let file = SourceFile::new(path, text);
    let wanted = format!("kind: {}", manifest.key.kind);
    let mut start = 0;
    let mut first = 0..text.find('\n').unwrap_or(text.len());
    for line in text.split_inclusive('\n') {
        if line.trim_end() == wanted {
            first = start..start + wanted.len();
            break;
        }
        start += line.len();
    }
    Some(Span::new(&file, first))
}

/// Says in the object where it is, as the API server does.
pub(super) fn set_namespace(object: &mut Json, namespace: &str) {
    if let Some(Json::Object(metadata)) = object.get_mut("metadata") {
        metadata.insert("namespace".to_owned(), Json::from(namespace));
    }
}
