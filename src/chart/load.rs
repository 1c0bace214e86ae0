//! Files to a chart, in memory, as Helm's loader does it.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value as Json};

use super::archive;
use super::crds;
use super::documents::Documents;
use super::engine::Parsed;
use super::metadata;
use super::model::{Chart, ChartFile};
use super::schema::Compiled;
use crate::base::diagnostic::Diagnostic;
use crate::base::limits::CHART_DEPTH_MAX;
use crate::base::span::{SourceFile, Span};
use crate::template::binary::lossy;
use crate::yaml::{helm, parse};

/// Loads a chart from its files; names are relative to the chart, with `/`. `.helmignore` does
/// not count here: whoever lists a folder applies it ([`super::ignore`]).
///
/// # Errors
/// `chart-invalid`, with Helm's text.
pub fn from_files(files: Vec<ChartFile>) -> Result<Chart, Diagnostic> {
    load(files, 0)
}

/// Loads a packed chart, a gzipped tar, without unpacking it to disk.
///
/// # Errors
/// `chart-archive` when it is no such archive or has unsafe names, `chart-too-large` when it exceeds
/// a limit, else as [`from_files`].
pub fn from_archive(bytes: &[u8]) -> Result<Chart, Diagnostic> {
    load(archive_files(bytes)?, 0)
}

/// The files of a packed chart, without loading it.
///
/// # Errors
/// `chart-archive` and `chart-too-large`.
pub fn archive_files(bytes: &[u8]) -> Result<Vec<ChartFile>, Diagnostic> {
    archive::files(bytes).map_err(|error| Diagnostic::error(error.code(), error.to_string()))
}

fn invalid(text: impl Into<String>) -> Diagnostic {
    Diagnostic::error("chart-invalid", text)
}

/// What is known of a chart while its files are gone through.
#[derive(Default)]
struct Loading {
    metadata: Option<Map<String, Json>>,
    lock: Option<Json>,
    values_text: String,
    values: Map<String, Json>,
    schema: Option<Vec<u8>>,
    templates: Vec<ChartFile>,
    files: Vec<ChartFile>,
    subcharts: BTreeMap<String, Vec<ChartFile>>,
    warnings: Vec<String>,
}

fn load(files: Vec<ChartFile>, depth: usize) -> Result<Chart, Diagnostic> {
    if depth > CHART_DEPTH_MAX {
        return Err(invalid(format!("subcharts are nested deeper than {CHART_DEPTH_MAX}")));
    }
    let mut loading = Loading::default();
    let mut about = None;
    // Other files depend on what this one says, wherever it stands.
    for file in files.iter().filter(|file| file.name == "Chart.yaml") {
        let document = read(file, "Chart.yaml")?;
        let metadata = loading.metadata.get_or_insert_default();
        metadata::merge(metadata, &document)
            .map_err(|problem| invalid(format!("cannot load Chart.yaml: {problem}")))?;
        metadata.entry("apiVersion").or_insert_with(|| Json::from("v1"));
        about = Some(SourceFile::new("Chart.yaml", lossy(&file.data)));
    }
    for file in files {
        loading.add(file)?;
    }
    let Some(metadata) = loading.metadata else {
        return Err(invalid("Chart.yaml file is missing"));
    };
    metadata::validate(&metadata).map_err(|problem| match &about {
        Some(file) => invalid(problem.as_str()).label(&field(file, &problem), "this chart"),
        None => invalid(problem),
    })?;
    let name = metadata.get("name").and_then(Json::as_str).unwrap_or_default().to_owned();
    let dependencies = subcharts(loading.subcharts, &name, depth)?;
    Ok(Chart {
        metadata: Json::Object(metadata),
        lock: loading.lock,
        values_text: loading.values_text,
        values: Json::Object(loading.values),
        schema: loading.schema,
        validator: Compiled::default(),
        crds: crds::Read::default(),
        templates: loading.templates,
        files: loading.files,
        dependencies,
        digest: OnceLock::new(),
        warnings: loading.warnings,
        parsed: Parsed::default(),
        documents: Documents::default(),
    })
}

/// The place of the field that Helm's `chart.metadata.FIELD is invalid` names, else the start.
fn field(file: &Arc<SourceFile>, problem: &str) -> Span {
    let name = problem.split("chart.metadata.").nth(1).unwrap_or_default();
    let name = name.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    let first_line = file.text.find('\n').unwrap_or(file.text.len());
    let documents = parse::parse(file).unwrap_or_default();
    let found = documents.first().and_then(|document| document.get(name));
    found.map_or_else(|| Span::new(file, 0..first_line), |node| node.span.clone())
}

impl Loading {
    fn is_v1(&mut self) -> bool {
        let metadata = self.metadata.get_or_insert_default();
        metadata.get("apiVersion").and_then(Json::as_str) == Some("v1")
    }

    fn add(&mut self, file: ChartFile) -> Result<(), Diagnostic> {
        match file.name.as_str() {
            "Chart.yaml" => {}
            "Chart.lock" => self.lock = Some(read(&file, "Chart.lock")?),
            "values.yaml" => {
                let text = lossy(&file.data).into_owned();
                let values = helm::read_map(&text)
                    .map_err(|problem| unreadable(&file, "values.yaml", &problem))?;
                if let Json::Object(values) = values {
                    self.values = values;
                }
                self.values_text = text;
            }
            "values.schema.json" => self.schema = Some(file.data),
            "requirements.yaml" => {
                if !self.is_v1() {
                    self.warnings.push(
                        "Warning: Dependencies are handled in Chart.yaml since apiVersion \"v2\". \
                         We recommend migrating dependencies to Chart.yaml."
                            .to_owned(),
                    );
                }
                let document = read(&file, "requirements.yaml")?;
                metadata::merge(self.metadata.get_or_insert_default(), &document)
                    .map_err(|problem| unreadable(&file, "requirements.yaml", &problem))?;
                if self.is_v1() {
                    self.files.push(file);
                }
            }
            "requirements.lock" => {
                self.lock = Some(read(&file, "requirements.lock")?);
                if self.is_v1() {
                    self.files.push(file);
                } else {
                    self.warnings.push(
                        "Warning: Dependency locking is handled in Chart.lock since apiVersion \
                         \"v2\". We recommend migrating to Chart.lock."
                            .to_owned(),
                    );
                }
            }
            name if name.starts_with("templates/") => self.templates.push(file),
            name if name.starts_with("charts/") && !name.ends_with(".prov") => {
                let rest = name.trim_start_matches("charts/").to_owned();
                let folder = rest.split('/').next().unwrap_or_default().to_owned();
                let file = ChartFile { name: rest, data: file.data };
                self.subcharts.entry(folder).or_default().push(file);
            }
            _ => self.files.push(file),
        }
        Ok(())
    }
}

fn subcharts(
    folders: BTreeMap<String, Vec<ChartFile>>,
    parent: &str,
    depth: usize,
) -> Result<Vec<Arc<Chart>>, Diagnostic> {
    let mut charts = Vec::new();
    for (folder, files) in folders {
        if folder.starts_with(['_', '.']) {
            continue;
        }
        let is_packed = std::path::Path::new(&folder).extension().is_some_and(|e| e == "tgz");
        let files = if is_packed {
            match files.first() {
                Some(file) if file.name == folder => archive_files(&file.data),
                other => {
                    let got = other.map(|file| file.name.as_str()).unwrap_or_default();
                    let problem = format!("expected {folder}, got {got}");
                    return Err(invalid(format!(
                        "error unpacking subchart tar in {parent}: {problem}"
                    )));
                }
            }
        } else {
            // A file right below `charts/` is no chart.
            Ok(files
                .into_iter()
                .filter_map(|file| {
                    let (_, name) = file.name.split_once('/')?;
                    Some(ChartFile { name: name.to_owned(), data: file.data })
                })
                .collect())
        };
        let chart = files.and_then(|files| load(files, depth + 1)).map_err(|mut problem| {
            problem.message =
                format!("error unpacking subchart {folder} in {parent}: {}", problem.message);
            for label in &mut problem.labels {
                let Span { file, range } = &label.span;
                let name = format!("charts/{folder}/{}", file.path);
                label.span = Span::new(&SourceFile::new(name, file.text.as_str()), range.clone());
            }
            problem
        })?;
        charts.push(Arc::new(chart));
    }
    Ok(charts)
}

fn read(file: &ChartFile, name: &str) -> Result<Json, Diagnostic> {
    helm::read_object(&lossy(&file.data)).map_err(|problem| unreadable(file, name, &problem))
}

/// The finding about a file that is not the YAML it should be, at the place if it is one.
fn unreadable(file: &ChartFile, name: &str, problem: &str) -> Diagnostic {
    let found = invalid(format!("cannot load {name}: {problem}"));
    let source = SourceFile::new(name, String::from_utf8_lossy(&file.data));
    match parse::parse(&source) {
        Ok(_) => found,
        Err(syntax) => Diagnostic { labels: syntax.labels, help: syntax.help, ..found },
    }
}
