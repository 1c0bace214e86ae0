//! A chart in memory and what a render of it gives.

use std::sync::{Arc, OnceLock};

use serde::Serialize;
use serde_json::Value as Json;

use super::capabilities::Served;
use super::crds::{self, Crds};
use super::documents::Documents;
use super::engine::Parsed;
use super::metadata::{Requirement, requirements};
use super::print::push_document;
use super::schema::Compiled;
use crate::base::ids::Digest;
use crate::object::key::ObjectKey;

/// A chart with its subcharts, as loaded; immutable and shared between renders.
#[derive(Debug)]
pub struct Chart {
    /// `Chart.yaml` as JSON, with Helm's field names; fields that Helm does not know and empty
    /// ones are left out.
    pub metadata: Json,
    /// `Chart.lock` (or `requirements.lock`), if there is one.
    pub lock: Option<Json>,
    /// `values.yaml` as text, for provenance and for the release record.
    pub values_text: String,
    /// `values.yaml` as Helm reads it; always an object, every number a float.
    pub values: Json,
    /// `values.schema.json`.
    pub schema: Option<Vec<u8>>,
    /// The same, compiled once for all renders.
    pub(super) validator: Compiled,
    /// Files below `templates/`, in Helm's order.
    pub templates: Vec<ChartFile>,
    /// All other files, CRDs included.
    pub files: Vec<ChartFile>,
    /// Subcharts below `charts/`.
    pub dependencies: Vec<Arc<Chart>>,
    /// See [`Chart::digest`].
    pub(super) digest: OnceLock<Digest>,
    /// What Helm would log while loading.
    pub warnings: Vec<String>,
    /// The CRDs of the tree below this chart, read once for all renders of it.
    pub(super) crds: crds::Read,
    /// Templates of the tree below this chart, parsed once for all renders of it.
    pub(super) parsed: Parsed,
    /// What its renders have in common.
    pub(super) documents: Documents,
}

impl Chart {
    /// Its name.
    pub fn name(&self) -> &str {
        self.metadata["name"].as_str().unwrap_or_default()
    }

    /// Its version.
    pub fn version(&self) -> &str {
        self.metadata["version"].as_str().unwrap_or_default()
    }

    /// Of everything that a render can depend on, subcharts included.
    pub fn digest(&self) -> &Digest {
        self.digest.get_or_init(|| {
            let mut bytes = Vec::new();
            // Lengths keep the end of one field apart from the start of the next.
            let mut push = |part: &[u8]| {
                bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
                bytes.extend_from_slice(part);
            };
            push(self.metadata.to_string().as_bytes());
            push(self.values_text.as_bytes());
            push(self.schema.as_deref().unwrap_or_default());
            for files in [&self.templates, &self.files] {
                push(&files.len().to_le_bytes());
                for file in files {
                    push(file.name.as_bytes());
                    push(&file.data);
                }
            }
            for dependency in &self.dependencies {
                push(dependency.digest().as_str().as_bytes());
            }
            Digest::of(&bytes)
        })
    }

    /// The charts it asks for; `None` when it has no such field.
    pub fn requirements(&self) -> Option<Vec<Requirement>> {
        requirements(&self.metadata)
    }
}

/// One file of a chart.
#[derive(Clone, Debug)]
pub struct ChartFile {
    /// Relative to the chart, such as `templates/service.yaml`.
    pub name: String,
    /// Its bytes, without a byte order mark.
    pub data: Vec<u8>,
}

/// What Helm calls the release options of a render.
#[derive(Clone, Debug)]
pub struct RenderInput {
    /// `.Release.Name`.
    pub release_name: String,
    /// `.Release.Namespace`.
    pub namespace: String,
    /// `.Release.Revision`.
    pub revision: u32,
    /// `.Release.IsUpgrade`; otherwise `.Release.IsInstall`.
    pub is_upgrade: bool,
    /// The user's values, merged from all layers; always an object. Numbers of files are floats,
    /// numbers of `--set` integers, as in Helm; the difference shows in how they print.
    pub values: Json,
    /// `.Capabilities.KubeVersion`, such as `v1.35.0`.
    pub kube_version: String,
    /// The built-in part of `.Capabilities.APIVersions`.
    pub served: Served,
    /// `.Capabilities.APIVersions` beyond the built-in ones.
    pub api_versions: Vec<String>,
    /// Whether the files of `crds/` are read: they are long, and not every caller wants them.
    pub with_crds: bool,
}

/// What a render gives.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// What is in `crds/` folders; nothing unless it was asked for. Shared by the renders of a chart.
    pub crds: Arc<Crds>,
    /// Objects in install order.
    pub manifests: Vec<Manifest>,
    /// Hooks in install order.
    pub hooks: Vec<Hook>,
    /// Every document that is no hook, in install order, also those without an object.
    pub documents: Vec<Printed>,
    /// `NOTES.txt`, rendered.
    pub notes: String,
    /// Whether anything random or the time of day went in: two renders may differ.
    pub impure: bool,
    /// What Helm would log on the way.
    pub warnings: Vec<String>,
}

impl Rendered {
    /// The documents, each below its `# Source:`: what a release record has as its manifest.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for document in &self.documents {
            push_document(&mut text, &document.source, &document.text);
        }
        text
    }
}

/// One document and the template it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Printed {
    /// `CHART/templates/FILE`.
    pub source: Arc<str>,
    /// Its text.
    pub text: Arc<str>,
}

/// One rendered object and where it came from.
#[derive(Clone, Debug, Serialize)]
pub struct Manifest {
    /// Identity; the namespace is the release's where the object says none. Whether the kind is
    /// cluster-scoped is settled against the cluster.
    pub key: ObjectKey,
    /// `apiVersion`.
    pub api_version: String,
    /// The object; shared with other renders that have the same.
    pub object: Arc<Json>,
    /// The YAML text as rendered; shared likewise.
    pub text: Arc<str>,
    /// `CHART/templates/FILE`, as in Helm's `# Source:` comment.
    pub source: Arc<str>,
    /// The line of that template's output it starts at, from 1.
    pub line: usize,
}

/// A rendered hook.
#[derive(Clone, Debug, Serialize)]
pub struct Hook {
    /// The object.
    pub manifest: Manifest,
    /// `pre-install`, `post-upgrade`, `test`, …
    pub events: Vec<String>,
    /// Lower runs first.
    pub weight: i64,
    /// `before-hook-creation`, `hook-succeeded`, `hook-failed`.
    pub delete_policies: Vec<String>,
    /// When its log is shown: `hook-succeeded`, `hook-failed`.
    pub output_log_policies: Vec<String>,
}
