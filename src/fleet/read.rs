//! Files to documents: which files are the fleet's, what kind each document is, and whether it has
//! the shape of that kind.
//!
//! Everything that is wrong is collected. A document that cannot be read is left out and its name
//! kept in [`Fleet::broken`], so that references to it are not reported as well.

use std::collections::{BTreeMap, BTreeSet};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::model::{Document, Fleet};
use super::path::{self, folder_of, join};
use super::schema::{API_VERSION, Kind};
use super::shape;
use crate::base::diagnostic::{Checked, Diagnostic, has_errors};
use crate::base::span::{SourceFile, Span};
use crate::git::Source;
use crate::yaml::node::{Node, NodeKind};
use crate::yaml::{parse, strict};

/// How the `apiVersion` of our documents begins, in every version.
const GROUP: &str = "fitout.dev/";

const FOLDERS: [&str; 4] = ["clusters", "addons", "policies", "approvals"];

/// Reads every document of a revision.
pub fn read(source: &Source) -> Checked<Fleet> {
    let mut reading = Reading::default();
    let files = reading.parse(source);
    let layers = layer_files(files.iter().filter_map(|(_, parsed)| parsed.as_ref().ok()));
    for (path, parsed) in files {
        // What calls itself a document is one, whatever a layer's `{{…}}` may stand for.
        let is_layer = layers.is_match(&path);
        if is_layer && !parsed.as_ref().is_ok_and(|documents| documents.iter().any(is_document)) {
            continue;
        }
        match parsed {
            Ok(documents) => {
                for document in documents {
                    reading.take(document);
                }
            }
            Err(diagnostic) => reading.diagnostics.push(diagnostic),
        }
    }
    reading.take_jobs(source);
    Checked { value: reading.fleet, diagnostics: reading.diagnostics }
}

type Parsed = (String, Result<Vec<Node>, Diagnostic>);

#[derive(Default)]
struct Reading {
    fleet: Fleet,
    diagnostics: Vec<Diagnostic>,
    names: BTreeMap<(Kind, String), Span>,
}

impl Reading {
    fn parse(&mut self, source: &Source) -> Vec<Parsed> {
        let charts: BTreeSet<&str> = source
            .files
            .keys()
            .filter(|path| path.ends_with("/Chart.yaml"))
            .map(|path| folder_of(path))
            .collect();
        let mut files = Vec::new();
        for (path, bytes) in FOLDERS.iter().flat_map(|folder| source.below(folder)) {
            let is_in_chart = ancestors(path).any(|folder| charts.contains(folder));
            if is_in_chart {
                continue;
            }
            if path.ends_with(".yml") {
                self.diagnostics.push(
                    Diagnostic::warning("not-read", format!("`{path}` is not read"))
                        .label(&start_of(path), "its name ends with `.yml`")
                        .help("rename it to `.yaml`"),
                );
            }
            if !path.ends_with(".yaml") {
                continue;
            }
            let parsed = match std::str::from_utf8(bytes) {
                Ok(text) => parse::parse(&SourceFile::new(path, text)),
                Err(_) => Err(Diagnostic::error("not-text", format!("`{path}` is not UTF-8 text"))
                    .label(&start_of(path), "this file")),
            };
            files.push((path.to_owned(), parsed));
        }
        files
    }

    fn take(&mut self, document: Node) {
        if document.text() == Some("") {
            return;
        }
        let Some(kind) = self.kind(&document) else { return };
        let name = document.at(&["metadata", "name"]).and_then(Node::text).map(str::to_owned);
        let mut found = shape::check(kind, &document);
        let checked = strict::to_json(&document);
        found.extend(checked.diagnostics);
        let is_broken = has_errors(&found);
        self.diagnostics.append(&mut found);
        if let Some(name) = &name {
            let span = document.span_at(&["metadata", "name"]).clone();
            if let Some(first) = self.names.insert((kind, name.clone()), span.clone()) {
                let message = format!("there are two {}s named `{name}`", kind.noun());
                self.diagnostics.push(
                    Diagnostic::error("duplicate-name", message)
                        .label(&span, "again here")
                        .label(&first, "first here"),
                );
                return;
            }
        }
        if is_broken {
            self.fleet.broken.extend(name.map(|name| (kind, name)));
            return;
        }
        let fleet = &mut self.fleet;
        let inserted = match kind {
            Kind::Cluster => insert(&mut fleet.clusters, document, checked.value, |value| {
                value.metadata.name.clone()
            }),
            Kind::Addon => insert(&mut fleet.addons, document, checked.value, |value| {
                value.metadata.name.clone()
            }),
            Kind::ChartRepository => {
                insert(&mut fleet.repositories, document, checked.value, |value| {
                    value.metadata.name.clone()
                })
            }
            Kind::RolloutPolicy => insert(&mut fleet.policies, document, checked.value, |value| {
                value.metadata.name.clone()
            }),
            Kind::SwitchPolicy => insert(&mut fleet.switches, document, checked.value, |value| {
                value.metadata.name.clone()
            }),
            Kind::Waiver => insert(&mut fleet.waivers, document, checked.value, |value| {
                value.metadata.name.clone()
            }),
            Kind::Approval => insert(&mut fleet.approvals, document, checked.value, |value| {
                value.metadata.name.clone()
            }),
        };
        self.diagnostics.extend(inserted.err());
    }

    /// Puts the files that gates name into their policies, so that a policy is whole by itself. One whose file
    /// cannot be read is none.
    fn take_jobs(&mut self, source: &Source) {
        let mut broken = Vec::new();
        for (name, policy) in &mut self.fleet.policies {
            let stages = policy.value.spec.stages.iter_mut().enumerate();
            for (stage, one) in stages {
                for (at, gate) in one.gates.iter_mut().enumerate() {
                    let Some(job) = &mut gate.job else { continue };
                    let Some(file) = &job.file else { continue };
                    let (stage, at) = (stage.to_string(), at.to_string());
                    let path = ["spec", "stages", &stage, "gates", &at, "job", "file"];
                    match read_job(source, file, policy.node.span_at(&path)) {
                        Ok(manifest) => job.manifest = Some(manifest),
                        Err(found) => {
                            self.diagnostics.push(found);
                            broken.push(name.clone());
                        }
                    }
                }
            }
        }
        for name in broken {
            self.fleet.policies.remove(&name);
            self.fleet.broken.insert((Kind::RolloutPolicy, name.as_str().to_owned()));
        }
    }

    /// The kind of a document, or `None` after saying why it is none of ours.
    fn kind(&mut self, document: &Node) -> Option<Kind> {
        let at = shape::first_key(document);
        if !matches!(document.kind, NodeKind::Mapping(_)) {
            self.diagnostics.push(
                Diagnostic::error("not-a-document", "this is not a document of the fleet")
                    .label(&at, "expected `apiVersion`, `kind`, `metadata` and `spec`"),
            );
            return None;
        }
        let (version, kind) = (document.get("apiVersion"), document.get("kind"));
        let (Some(version), Some(kind)) = (version, kind) else {
            let missing = if version.is_none() { "apiVersion" } else { "kind" };
            let found = Diagnostic::error("not-a-document", "this is not a document of the fleet")
                .label(&at, format!("`{missing}` is missing"))
                .help(format!("a document begins with `apiVersion: {API_VERSION}` and a kind"));
            self.diagnostics.push(match (version, kind) {
                (None, None) => {
                    found.help("a file with values has to be named by a values layer of an Addon")
                }
                _ => found,
            });
            return None;
        };
        let version_text = version.text().unwrap_or_default();
        let is_policy = at.file.path.starts_with("policies/")
            && version_text.starts_with("admissionregistration.k8s.io/");
        // Beside guardrails stand their parameters, of any kind.
        let is_param =
            at.file.path.starts_with("policies/guardrails/") && !version_text.starts_with(GROUP);
        if is_policy || is_param {
            return None;
        }
        if version_text != API_VERSION {
            let message = format!("`{version_text}` is not an API version of the fleet");
            let found = Diagnostic::error("unknown-api-version", message)
                .label(&version.span, "no such version");
            self.diagnostics.push(if version_text.starts_with(GROUP) {
                found.help(format!("write `{API_VERSION}`"))
            } else {
                found.help("objects for a cluster belong into a chart that an Addon names")
            });
            return None;
        }
        let text = kind.text().unwrap_or_default();
        let found = Kind::parse(text);
        if found.is_none() {
            let names = Kind::ALL.map(Kind::name);
            self.diagnostics.push(
                Diagnostic::error("unknown-kind", format!("there is no kind `{text}`"))
                    .label(&kind.span, "no such kind")
                    .did_you_mean(text, names)
                    .help(format!("the kinds are {}", shape::list(&names, "and"))),
            );
        }
        found
    }
}

/// The one mapping of a file that a document names.
fn read_job(
    source: &Source,
    file: &str,
    named: &Span,
) -> Result<serde_json::Map<String, Json>, Diagnostic> {
    let path = path::named(file, named)?;
    let bytes = source.files.get(&path).ok_or_else(|| {
        Diagnostic::error("missing-file", format!("there is no file `{path}`"))
            .label(named, "named here")
    })?;
    let text = String::from_utf8_lossy(bytes);
    let mut documents = parse::parse(&SourceFile::new(&path, &*text))?.into_iter();
    let (first, second) = (documents.next(), documents.next());
    let value = first.filter(|_| second.is_none()).map(|node| strict::to_json(&node).value);
    match value {
        Some(Json::Object(manifest)) => Ok(manifest),
        _ => Err(Diagnostic::error("bad-gate", format!("`{path}` is not one document"))
            .label(named, "a file with a Job, and nothing else")),
    }
}

fn is_document(node: &Node) -> bool {
    node.get("apiVersion").and_then(Node::text).is_some_and(|version| version.starts_with(GROUP))
}

fn insert<K: Ord, T: DeserializeOwned>(
    into: &mut BTreeMap<K, Document<T>>,
    node: Node,
    mut json: Json,
    name: impl Fn(&T) -> K,
) -> Result<(), Diagnostic> {
    if let Some(fields) = json.as_object_mut() {
        fields.remove("apiVersion");
        fields.remove("kind");
    }
    let value: T = serde_json::from_value(json).map_err(|error| {
        Diagnostic::error("wrong-type", format!("the document cannot be read: {error}"))
            .label(&shape::first_key(&node), "this document")
    })?;
    into.insert(name(&value), Document { value, node });
    Ok(())
}

/// Files that the values layers of Addons and the Jobs of policies name. What stands between `{{` and `}}` in a name can
/// be anything but a `/`.
fn layer_files<'a>(files: impl Iterator<Item = &'a Vec<Node>>) -> GlobSet {
    let mut globs = GlobSetBuilder::new();
    let files: Vec<&Node> = files.flatten().collect();
    let of_kind = |kind: Kind| {
        let is_one =
            move |node: &&&Node| node.get("kind").and_then(Node::text) == Some(kind.name());
        files.iter().filter(is_one)
    };
    for policy in of_kind(Kind::RolloutPolicy) {
        let folder = folder_of(&policy.span.file.path);
        let stages = policy.at(&["spec", "stages"]).map(Node::items).unwrap_or_default();
        let gates = stages.iter().filter_map(|stage| stage.get("gates")).flat_map(Node::items);
        for file in gates.filter_map(|gate| gate.at(&["job", "file"])?.text()) {
            let glob = join(folder, file).map(|path| globset::escape(&path));
            if let Some(glob) = glob.and_then(|glob| GlobBuilder::new(&glob).build().ok()) {
                globs.add(glob);
            }
        }
    }
    for addon in of_kind(Kind::Addon) {
        let folder = folder_of(&addon.span.file.path);
        let layers = addon.at(&["spec", "values"]).map(Node::items).unwrap_or_default();
        for layer in layers {
            for field in ["file", "secrets"] {
                let Some(name) = layer.get(field).and_then(Node::text) else { continue };
                let Some(path) = join(folder, name) else { continue };
                let glob = GlobBuilder::new(&any_text(&path)).literal_separator(true).build();
                if let Ok(glob) = glob {
                    globs.add(glob);
                }
            }
        }
    }
    globs.build().unwrap_or_else(|_| GlobSet::empty())
}

/// A glob in which each `{{…}}` is a `*` and everything else stands for itself.
fn any_text(name: &str) -> String {
    let mut glob = String::new();
    let mut rest = name;
    while let Some((start, action)) = rest.split_once("{{") {
        glob.push_str(&globset::escape(start));
        glob.push('*');
        rest = action.split_once("}}").map_or("", |(_, rest)| rest);
    }
    glob.push_str(&globset::escape(rest));
    glob
}

fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

fn start_of(path: &str) -> Span {
    Span::new(&SourceFile::new(path, ""), 0..0)
}
