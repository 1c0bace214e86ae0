//! Documents to instances: which addon is on which cluster, at which version, with which values.
//!
//! Follows references and says nothing about those that lead nowhere: [`super::check`] does. What
//! depends on a cluster (a templated file name, a template that fails) is told here, once for all
//! clusters that it concerns.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use super::findings::Findings;
use super::instance::{ChartLocation, Instance, Layer};
use super::model::{
    Addon, ChartSource, Cluster, ClusterAddon, Document, Fleet, Limits, RepositoryKind, ValuesLayer,
};
use super::path::{folder_of, join};
use super::range;
use super::text::{self, Problem, Templates};
use crate::base::diagnostic::{Checked, Diagnostic};
use crate::base::ids::{ClusterName, InstanceKey};
use crate::base::span::{SourceFile, Span};
use crate::git::Source;
use crate::net::http::Url;
use crate::yaml::helm::{self, Numbers};
use crate::yaml::node::{Node, NodeKind, ScalarStyle};
use crate::yaml::parse;

/// Every instance of the fleet, in order of cluster and addon.
pub fn resolve(fleet: &Fleet, source: &Source) -> Checked<Vec<Instance>> {
    let mut resolution = Resolution::new(fleet, source);
    let mut instances = Vec::new();
    for cluster in fleet.clusters.values() {
        let view = text::view(&cluster.value);
        for addon in fleet.addons.values() {
            if let Some(at) = is_placed(&addon.value, &cluster.value) {
                let on = On { cluster, addon, view: &view, setting: at.setting };
                instances.extend(resolution.instance(&on));
            }
        }
    }
    Checked { value: instances, diagnostics: resolution.findings.into_diagnostics() }
}

/// An addon that is on a cluster.
pub(super) struct Placed {
    /// Where the cluster's own setting is in its list, if it has one.
    pub(super) setting: Option<usize>,
}

/// Whether an addon is on a cluster: as the cluster says, else as the addon's placement says.
pub(super) fn is_placed(addon: &Addon, cluster: &Cluster) -> Option<Placed> {
    let name = &addon.metadata.name;
    let setting = cluster.spec.addons.iter().position(|setting| setting.name == *name);
    let is_on = match setting {
        Some(at) => cluster.spec.addons[at].enabled,
        None => {
            let placement = addon.spec.placement.as_ref();
            placement.is_some_and(|selector| selector.matches(&cluster.metadata.labels))
        }
    };
    is_on.then_some(Placed { setting })
}

/// Why an addon is not on a cluster.
pub enum Absence<'a> {
    /// The cluster's own setting says so, here.
    SwitchedOff(&'a Span),
    /// The addon's placement does not match the cluster; or it has none, and the cluster does not list it.
    NotPlaced(Option<&'a Span>),
}

/// Why an addon is not on a cluster; none where it is.
pub fn absence<'a>(
    addon: &'a Document<Addon>,
    cluster: &'a Document<Cluster>,
) -> Option<Absence<'a>> {
    if is_placed(&addon.value, &cluster.value).is_some() {
        return None;
    }
    let name = &addon.value.metadata.name;
    let setting = cluster.value.spec.addons.iter().position(|setting| setting.name == *name);
    Some(match setting {
        Some(at) => {
            let path = ["spec", "addons", &at.to_string(), "enabled"];
            Absence::SwitchedOff(cluster.node.span_at(&path))
        }
        None => {
            let placement = addon.node.at(&["spec", "placement"]);
            Absence::NotPlaced(placement.map(|node| &node.span))
        }
    })
}

/// One addon on one cluster, on its way to an instance.
struct On<'a> {
    cluster: &'a Document<Cluster>,
    addon: &'a Document<Addon>,
    view: &'a Json,
    setting: Option<usize>,
}

impl On<'_> {
    fn name(&self) -> &ClusterName {
        &self.cluster.value.metadata.name
    }

    fn setting(&self) -> Option<&ClusterAddon> {
        self.setting.map(|at| &self.cluster.value.spec.addons[at])
    }

    /// Indexes of the variants that match the cluster.
    fn variants(&self) -> impl Iterator<Item = usize> {
        let labels = &self.cluster.value.metadata.labels;
        let variants = self.addon.value.spec.variants.iter().enumerate();
        variants.filter(|(_, variant)| variant.clusters.matches(labels)).map(|(at, _)| at)
    }

    /// A pin of the cluster, else the last variant with a version, else the addon's; and where the
    /// chart was chosen.
    fn version(&self) -> (Option<&str>, &Span) {
        let (cluster, addon) = (&self.cluster.node, &self.addon.node);
        if let (Some(at), Some(setting)) = (self.setting, self.setting())
            && let Some(version) = &setting.version
        {
            let span = cluster.span_at(&["spec", "addons", &at.to_string(), "version"]);
            return (Some(version), span);
        }
        let spec = &self.addon.value.spec;
        let variants =
            self.variants().filter_map(|at| Some((at, spec.variants[at].version.as_deref()?)));
        if let Some((at, version)) = variants.last() {
            return (
                Some(version),
                addon.span_at(&["spec", "variants", &at.to_string(), "version"]),
            );
        }
        let fields = ["version", "path", "git", "oci"];
        let span = fields.iter().find_map(|field| addon.at(&["spec", "chart", field]));
        let span = span.map_or_else(|| addon.span_at(&["spec", "chart"]), |node| &node.span);
        (spec.chart.version.as_deref(), span)
    }
}

/// What was read so far, so that clusters share it.
struct Resolution<'a> {
    fleet: &'a Fleet,
    source: &'a Source,
    findings: Findings,
    templates: Templates,
    /// By path, and for templated files by what they rendered to.
    files: BTreeMap<(String, Option<String>), Result<Layer, Diagnostic>>,
    /// Sops files by path.
    secrets: BTreeMap<String, Result<Layer, Diagnostic>>,
    /// By the byte at which the node begins, in the file of that path.
    written: BTreeMap<(String, usize), Option<Layer>>,
}

impl<'a> Resolution<'a> {
    fn new(fleet: &'a Fleet, source: &'a Source) -> Self {
        Self {
            fleet,
            source,
            findings: Findings::default(),
            templates: Templates::default(),
            files: BTreeMap::new(),
            secrets: BTreeMap::new(),
            written: BTreeMap::new(),
        }
    }

    fn instance(&mut self, on: &On<'_>) -> Option<Instance> {
        let (cluster, addon) = (&on.cluster.value, &on.addon.value);
        let spec = &addon.spec;
        let folder = folder_of(&on.addon.node.span.file.path);
        let (version, chart_span) = on.version();
        let chart = self.chart(&spec.chart, folder, version)?;
        let policy = spec.rollout.policy.clone();
        let limits = policy
            .as_ref()
            .and_then(|name| self.fleet.policies.get(name))
            .map_or_else(Limits::default, |policy| policy.value.spec.limits.clone());
        let name = &addon.metadata.name;
        Some(Instance {
            key: InstanceKey { cluster: cluster.metadata.name.clone(), addon: name.clone() },
            chart,
            namespace: spec.namespace.clone(),
            release_name: spec.release_name.clone().unwrap_or_else(|| name.to_string()),
            kubernetes_version: cluster.spec.kubernetes_version.clone(),
            values: self.layers(on),
            depends_on: spec.depends_on.clone(),
            health: spec.health.clone(),
            upgrade: spec.upgrade.clone(),
            ignore_differences: spec.ignore_differences.clone(),
            on_drift: spec.on_drift,
            strategy: spec.rollout.strategy.clone(),
            policy,
            limits,
            chart_span: chart_span.clone(),
            span: on.addon.node.span_at(&["metadata", "name"]).clone(),
        })
    }

    fn chart(
        &self,
        chart: &ChartSource,
        folder: &str,
        version: Option<&str>,
    ) -> Option<ChartLocation> {
        if let Some(path) = &chart.path {
            return join(folder, path).map(ChartLocation::Path);
        }
        if let Some(git) = &chart.git {
            return Some(ChartLocation::Git {
                url: git.url.clone(),
                reference: git.reference.clone(),
                path: git.path.clone(),
            });
        }
        let repository = self.fleet.repositories.get(chart.repository.as_ref()?)?;
        let spec = &repository.value.spec;
        if spec.kind != RepositoryKind::Http || Url::parse(&spec.url).is_err() {
            return None;
        }
        let version = version.filter(|version| range::is_exact(version))?;
        Some(ChartLocation::Http {
            repository: repository.value.metadata.name.clone(),
            url: spec.url.clone(),
            name: chart.name.clone()?,
            version: version.to_owned(),
            credentials: spec.credentials.clone(),
            verify: spec.verify.clone(),
        })
    }

    fn layers(&mut self, on: &On<'_>) -> Vec<Layer> {
        let mut layers = Vec::new();
        let node = &on.addon.node;
        for (at, layer) in on.addon.value.spec.values.iter().enumerate() {
            let at = at.to_string();
            let place = ["spec", "values", &at];
            layers.extend(if layer.inline.is_some() {
                node.at(&[place.as_slice(), &["inline"]].concat())
                    .and_then(|inline| self.inline(inline, on))
            } else {
                node.at(&place).and_then(|node| self.file_layer(layer, node, on))
            });
        }
        for at in on.variants() {
            let at = at.to_string();
            let values = node.at(&["spec", "variants", &at, "values"]);
            layers.extend(values.and_then(|values| self.inline(values, on)));
        }
        if let Some(at) = on.setting {
            let at = at.to_string();
            let values = on.cluster.node.at(&["spec", "addons", &at, "values"]);
            layers.extend(values.and_then(|values| self.inline(values, on)));
        }
        layers
    }

    /// Values written in a document.
    fn inline(&mut self, node: &Node, on: &On<'_>) -> Option<Layer> {
        let id = (node.span.file.path.clone(), node.span.range.start);
        if !self.written.contains_key(&id) {
            let layer = match helm::to_json(node, Numbers::Floats) {
                Ok(values) if values.is_object() => {
                    let (values, node) = (Arc::new(values), Arc::new(node.clone()));
                    Some(Layer { values, node, is_encrypted: false })
                }
                Ok(_) => None,
                Err(problem) => {
                    let found = Diagnostic::error("bad-values", problem);
                    self.findings.add(found.label(&node.span, "these values"), on.name());
                    None
                }
            };
            self.written.insert(id.clone(), layer);
        }
        let layer = self.written.get(&id)?.as_ref()?;
        let mut templates = false;
        each_text(&layer.values, &mut |text| templates |= text::is_template(text));
        if !templates {
            return Some(layer.clone());
        }
        let mut problem = None;
        let values = map_texts(&layer.values, &mut |text| {
            self.templates.render(text, on.view).unwrap_or_else(|found| {
                problem = Some((text.to_owned(), found));
                String::new()
            })
        });
        let layer = Layer { values: Arc::new(values), ..layer.clone() };
        if let Some((text, problem)) = problem {
            let span = scalar_span(node, &text).unwrap_or(&node.span);
            self.findings.add(template_error(&problem, span), on.name());
        }
        Some(layer)
    }

    /// A file named by a layer. `node` is the layer.
    fn file_layer(&mut self, layer: &ValuesLayer, node: &Node, on: &On<'_>) -> Option<Layer> {
        let (written, field) = match (&layer.file, &layer.secrets) {
            (Some(file), _) => (file.as_str(), "file"),
            (None, secrets) => (secrets.as_deref()?, "secrets"),
        };
        let span = node.span_at(&[field]);
        let is_template = text::is_template(written);
        let name = if is_template {
            match self.templates.render(written, on.view) {
                Ok(name) => name,
                // An optional file of a cluster that lacks the label is a file that is missing.
                Err(_) if layer.optional => return None,
                Err(problem) => {
                    self.findings.add(template_error(&problem, span), on.name());
                    return None;
                }
            }
        } else {
            written.to_owned()
        };
        let path = join(folder_of(&on.addon.node.span.file.path), &name)?;
        let Some(bytes) = self.source.files.get(&path) else {
            if is_template && !layer.optional {
                let found = missing_file(&path, span);
                self.findings.add(found, on.name());
            }
            return None;
        };
        let text = std::str::from_utf8(bytes).ok()?;
        if field == "secrets" {
            let read = self.secrets.entry(path.clone()).or_insert_with(|| {
                super::secrets::read(&SourceFile::new(path.as_str(), text), span)
            });
            return told(read, &mut self.findings, on);
        }
        let rendered = if text::is_template(text) {
            match self.templates.render(text, on.view) {
                Ok(rendered) => Some(rendered),
                Err(problem) => {
                    let file = SourceFile::new(path.as_str(), text);
                    let span = Span::new(&file, problem.range.clone());
                    self.findings.add(template_error(&problem, &span), on.name());
                    return None;
                }
            }
        } else {
            None
        };
        let key = (path, rendered);
        if !self.files.contains_key(&key) {
            let content = key.1.as_deref().unwrap_or(text);
            let read = read_values(&SourceFile::new(key.0.as_str(), content));
            self.files.insert(key.clone(), read);
        }
        told(self.files.get(&key)?, &mut self.findings, on)
    }
}

/// A layer that was read; what is wrong with it is told.
fn told(read: &Result<Layer, Diagnostic>, findings: &mut Findings, on: &On<'_>) -> Option<Layer> {
    match read {
        Ok(layer) => Some(layer.clone()),
        Err(found) => {
            findings.add(found.clone(), on.name());
            None
        }
    }
}

/// Reads a values file.
///
/// # Errors
/// `yaml-syntax` and `bad-values`.
pub fn read_values(file: &Arc<SourceFile>) -> Result<Layer, Diagnostic> {
    let start = Span::new(file, 0..0);
    let node = parse::parse(file)?.into_iter().next().unwrap_or_else(|| Node {
        span: start.clone(),
        tag: None,
        kind: NodeKind::Scalar { text: String::new(), style: ScalarStyle::Plain },
    });
    let bad = |reason: String, span: &Span| {
        let message = format!("`{}` cannot be read as values: {reason}", file.path);
        Diagnostic::error("bad-values", message).label(span, "here")
    };
    let values = match helm::to_json(&node, Numbers::Floats) {
        Ok(Json::Null) => Json::Object(serde_json::Map::new()),
        Ok(values @ Json::Object(_)) => values,
        Ok(_) => return Err(bad("values are a mapping".to_owned(), &node.span)),
        Err(reason) => return Err(bad(reason, &start)),
    };
    Ok(Layer { values: Arc::new(values), node: Arc::new(node), is_encrypted: false })
}

/// The diagnostic for a values file that is not there.
pub(super) fn missing_file(path: &str, span: &Span) -> Diagnostic {
    Diagnostic::error("missing-file", format!("there is no file `{path}`"))
        .label(span, "named here")
        .help("with `optional: true`, a file may be missing")
}

fn template_error(problem: &Problem, span: &Span) -> Diagnostic {
    let message = format!("the template cannot be rendered: {}", problem.reason);
    let found = Diagnostic::error("bad-template", message).label(span, "in this template");
    if problem.reason.starts_with("the cluster has no") {
        return found.help("`dig \"labels\" \"NAME\" \"default\" .Cluster` allows for it");
    }
    found
}

fn each_text(values: &Json, visit: &mut dyn FnMut(&str)) {
    match values {
        Json::String(text) => visit(text),
        Json::Array(items) => items.iter().for_each(|item| each_text(item, visit)),
        Json::Object(entries) => entries.values().for_each(|value| each_text(value, visit)),
        _ => {}
    }
}

fn map_texts(values: &Json, change: &mut dyn FnMut(&str) -> String) -> Json {
    match values {
        Json::String(text) if text::is_template(text) => Json::String(change(text)),
        Json::Array(items) => {
            Json::Array(items.iter().map(|item| map_texts(item, change)).collect())
        }
        Json::Object(entries) => Json::Object(
            entries.iter().map(|(key, value)| (key.clone(), map_texts(value, change))).collect(),
        ),
        other => other.clone(),
    }
}

/// The place of the first scalar with a text.
fn scalar_span<'a>(node: &'a Node, wanted: &str) -> Option<&'a Span> {
    match &node.kind {
        NodeKind::Scalar { text, .. } => (text == wanted).then_some(&node.span),
        NodeKind::Sequence(items) => items.iter().find_map(|item| scalar_span(item, wanted)),
        NodeKind::Mapping(entries) => {
            entries.iter().find_map(|(_, value)| scalar_span(value, wanted))
        }
    }
}
