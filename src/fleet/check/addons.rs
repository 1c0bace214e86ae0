//! Addons: their charts, layers, selectors, ranges and references.

use super::clusters::pin;
use super::{blue_green, selectors, unknown};
use crate::base::diagnostic::Diagnostic;
use crate::base::ids::{AddonName, PolicyName, RepositoryName};
use crate::base::span::{SourceFile, Span};
use crate::fleet::model::{Addon, ChartSource, Cluster, Document, Fleet};
use crate::fleet::path::{self, folder_of};
use crate::fleet::range::{Range, is_exact};
use crate::fleet::resolve::{is_placed, missing_file, read_values};
use crate::fleet::schema::Kind;
use crate::fleet::text::is_template;
use crate::git::Source;
use crate::health::check::{Check, CheckError};
use crate::yaml::node::Node;

pub(super) const ADDON: (&str, Kind) = ("unknown-addon", Kind::Addon);
const REPOSITORY: (&str, Kind) = ("unknown-repository", Kind::ChartRepository);
const POLICY: (&str, Kind) = ("unknown-policy", Kind::RolloutPolicy);

/// Helm's limit for the name of a release.
pub(super) const RELEASE_NAME_BYTES_MAX: usize = 53;

pub(super) fn check(fleet: &Fleet, source: &Source, found: &mut Vec<Diagnostic>) {
    for addon in fleet.addons.values() {
        let on: Vec<&Cluster> = fleet
            .clusters
            .values()
            .map(|cluster| &cluster.value)
            .filter(|cluster| is_placed(&addon.value, cluster).is_some())
            .collect();
        let mut checking = Checking { fleet, source, addon, on, found };
        checking.chart();
        checking.release_name();
        checking.layers();
        checking.placement();
        checking.variants();
        checking.dependencies();
        checking.ranges();
        checking.health();
        checking.policy();
        blue_green::check(addon, checking.found);
    }
}

struct Checking<'a> {
    fleet: &'a Fleet,
    source: &'a Source,
    addon: &'a Document<Addon>,
    /// The clusters that have it.
    on: Vec<&'a Cluster>,
    found: &'a mut Vec<Diagnostic>,
}

impl<'a> Checking<'a> {
    fn name(&self) -> &'a AddonName {
        &self.addon.value.metadata.name
    }

    fn node(&self, path: &[&str]) -> Option<&'a Node> {
        self.addon.node.at(path)
    }

    fn push(&mut self, diagnostic: Diagnostic) {
        self.found.push(diagnostic);
    }

    /// A path of the document as seen from the repository's root.
    fn path(&mut self, written: &str, at: &[&str]) -> Option<String> {
        let named = path::named(written, self.addon.node.span_at(at));
        named.map_err(|outside| self.push(outside)).ok()
    }

    fn chart(&mut self) {
        let chart = &self.addon.value.spec.chart;
        if let Some(path) = &chart.path {
            self.folder(path);
        }
        if let Some(oci) = self.node(&["spec", "chart", "oci"]).filter(|_| chart.oci.is_some()) {
            self.push(
                Diagnostic::error(
                    "not-supported",
                    "charts of OCI registries are not supported yet",
                )
                .label(&oci.span, "not supported yet")
                .help("a chart can be in an HTTP repository, a git repository or a folder"),
            );
        }
        match &chart.repository {
            Some(repository) => self.packed(chart, repository),
            None => {
                for field in ["name", "version"] {
                    let Some(node) = self.node(&["spec", "chart", field]) else { continue };
                    let message = format!("`{field}` is of no use without a `repository`");
                    self.push(
                        Diagnostic::error("no-versions", message)
                            .label(&node.span, "this chart is what it is"),
                    );
                }
            }
        }
    }

    fn folder(&mut self, written: &str) {
        let at = ["spec", "chart", "path"];
        let Some(folder) = self.path(written, &at) else { return };
        let file =
            if folder.is_empty() { "Chart.yaml".into() } else { format!("{folder}/Chart.yaml") };
        if self.source.files.contains_key(&file) {
            return;
        }
        let shown = if folder.is_empty() { "." } else { &folder };
        let charts = self.source.files.keys().filter_map(|path| path.strip_suffix("/Chart.yaml"));
        let has_files = self.source.has_folder(&folder);
        let label = if has_files { "there is no `Chart.yaml` in it" } else { "no such folder" };
        let message = format!("there is no chart in the folder `{shown}`");
        let found =
            Diagnostic::error("missing-chart", message).label(self.addon.node.span_at(&at), label);
        let below = format!("{folder}/");
        self.push(match charts.clone().find(|chart| chart.starts_with(&below)) {
            Some(inner) => found.help(format!("there is one in `{inner}`")),
            None => found.did_you_mean(&folder, charts),
        });
    }

    fn packed(&mut self, chart: &ChartSource, repository: &RepositoryName) {
        let span = self.addon.node.span_at(&["spec", "chart", "repository"]);
        if !self.fleet.repositories.contains_key(repository) {
            let name = self.name();
            let message = format!("`{name}` is from `{repository}`, which is no ChartRepository");
            let known = self.fleet.repositories.keys().map(RepositoryName::as_str);
            let wrong = repository.as_str();
            let at = (message, span);
            let missing = unknown(self.fleet, REPOSITORY, wrong, at, known);
            self.found.extend(missing);
        }
        for (field, value) in [("name", &chart.name), ("version", &chart.version)] {
            if value.is_none() {
                let message = format!("a chart of a repository needs a `{field}`");
                self.push(
                    Diagnostic::error("missing-field", message)
                        .label(span, format!("`{field}` is missing")),
                );
            }
        }
        if let Some(version) = self.node(&["spec", "chart", "version"]) {
            self.found.extend(exact(version));
        }
    }

    fn release_name(&mut self) {
        let name = self.name();
        let is_own = self.addon.value.spec.release_name.is_none();
        if is_own && name.as_str().len() > RELEASE_NAME_BYTES_MAX {
            let span = self.addon.node.span_at(&["metadata", "name"]);
            let message = format!("a release name has at most {RELEASE_NAME_BYTES_MAX} characters");
            self.push(
                Diagnostic::error("bad-name", message)
                    .label(span, "the release would be called this")
                    .help("give it a shorter one: `releaseName`"),
            );
        }
    }

    /// Layers that are the same for all clusters; what depends on the cluster is told when it is
    /// resolved.
    fn layers(&mut self) {
        let layers = &self.addon.value.spec.values;
        for (at, layer) in layers.iter().enumerate() {
            let at = at.to_string();
            let (written, field) = match (&layer.file, &layer.secrets) {
                (Some(file), _) => (file, "file"),
                (None, Some(secrets)) => (secrets, "secrets"),
                (None, None) => continue,
            };
            if is_template(written) {
                continue;
            }
            let field = ["spec", "values", &at, field];
            let Some(path) = self.path(written, &field) else { continue };
            match self.source.text(&path) {
                Some(text)
                    if self.on.is_empty() && layer.secrets.is_none() && !is_template(text) =>
                {
                    self.found.extend(read_values(&SourceFile::new(path, text)).err());
                }
                Some(_) => {}
                None if self.source.files.contains_key(&path) => {
                    let message = format!("`{path}` is not UTF-8 text");
                    let span = self.addon.node.span_at(&field);
                    self.push(Diagnostic::error("not-text", message).label(span, "named here"));
                }
                None if layer.optional => {}
                None => {
                    let folder = folder_of(&self.addon.node.span.file.path);
                    let files = self.source.below(folder).map(|(path, _)| path);
                    let mut missing = missing_file(&path, self.addon.node.span_at(&field));
                    let general = std::mem::take(&mut missing.help);
                    let mut missing = missing.did_you_mean(&path, files);
                    missing.help.extend(general);
                    self.push(missing);
                }
            }
        }
    }

    fn placement(&mut self) {
        let spec = &self.addon.value.spec;
        let name = self.name();
        if let (Some(selector), Some(node)) = (&spec.placement, self.node(&["spec", "placement"])) {
            selectors::check(self.fleet, selector, node, self.found);
        }
        if self.on.is_empty() && !self.fleet.clusters.is_empty() {
            let span = self.addon.node.span_at(&["spec", "placement"]);
            let warning =
                Diagnostic::warning("matches-nothing", format!("`{name}` is on no cluster"));
            self.push(match &spec.placement {
                Some(_) => warning.label(span, "matches no cluster"),
                None => warning
                    .label(self.addon.node.span_at(&["metadata", "name"]), "has no `placement`")
                    .help("`placement: {}` is every cluster; or name it in Cluster documents"),
            });
        }
    }

    fn variants(&mut self) {
        for (at, variant) in self.addon.value.spec.variants.iter().enumerate() {
            let at = at.to_string();
            let Some(node) = self.node(&["spec", "variants", &at, "clusters"]) else { continue };
            let before = self.found.len();
            selectors::check(self.fleet, &variant.clusters, node, self.found);
            pin(self.addon, self.node(&["spec", "variants", &at, "version"]), self.found);
            let matches_some =
                self.on.iter().any(|cluster| variant.clusters.matches(&cluster.metadata.labels));
            if !matches_some && !self.on.is_empty() && self.found.len() == before {
                let message = format!("a variant of `{}` is for no cluster", self.name());
                self.push(
                    Diagnostic::warning("matches-nothing", message)
                        .label(&node.span, "matches no cluster that the addon is on"),
                );
            }
        }
    }

    fn dependencies(&mut self) {
        for (at, dependency) in self.addon.value.spec.depends_on.iter().enumerate() {
            let at = at.to_string();
            let on = &dependency.addon;
            let span = self.addon.node.span_at(&["spec", "dependsOn", &at, "addon"]);
            if !self.fleet.addons.contains_key(on) {
                let message = format!("`{}` depends on `{on}`, which is no addon", self.name());
                let known = self.fleet.addons.keys().map(AddonName::as_str);
                let missing = unknown(self.fleet, ADDON, on.as_str(), (message, span), known);
                self.found.extend(missing);
            }
            self.range(&["spec", "dependsOn", &at, "version"]);
        }
    }

    fn ranges(&mut self) {
        self.range(&["spec", "kubernetes"]);
        self.range(&["spec", "updates", "version"]);
    }

    fn range(&mut self, path: &[&str]) {
        let Some(node) = self.node(path) else { return };
        let text = node.text().unwrap_or_default();
        if let Err(reason) = Range::parse(text) {
            self.push(
                Diagnostic::error("bad-range", format!("\"{text}\" is not a range of versions"))
                    .label(&node.span, reason)
                    .help("a range is like `>=1.27 <1.37`, `~9.3` or `1.x || 3.x`"),
            );
        }
    }

    fn health(&mut self) {
        for (at, check) in self.addon.value.spec.health.checks.iter().enumerate() {
            if let Err(error) = Check::compile(&check.cel) {
                let at = at.to_string();
                let span = self.addon.node.span_at(&["spec", "health", "checks", &at, "cel"]);
                self.push(bad_check(&error, span));
            }
        }
    }

    fn policy(&mut self) {
        let Some(policy) = &self.addon.value.spec.rollout.policy else { return };
        if self.fleet.policies.contains_key(policy) {
            return;
        }
        let span = self.addon.node.span_at(&["spec", "rollout", "policy"]);
        let message =
            format!("`{}` is moved by `{policy}`, which is no RolloutPolicy", self.name());
        let known = self.fleet.policies.keys().map(PolicyName::as_str);
        let at = (message, span);
        let missing = unknown(self.fleet, POLICY, policy.as_str(), at, known);
        self.found.extend(missing);
    }
}

/// A check that cannot be asked.
pub(super) fn bad_check(error: &CheckError, span: &Span) -> Diagnostic {
    Diagnostic::error("bad-check", format!("the health check {error}"))
        .label(span, "this expression")
        .help("a check is like `self.status.readyReplicas >= 1`")
}

/// A chart's version, which must be an exact one.
pub(super) fn exact(node: &Node) -> Option<Diagnostic> {
    let text = node.text().unwrap_or_default();
    if is_exact(text) {
        return None;
    }
    let found = Diagnostic::error("bad-version", format!("\"{text}\" is not an exact version"));
    let is_range = Range::parse(text).is_ok();
    let label = if is_range { "a range" } else { "not a semantic version" };
    Some(found.label(&node.span, label).help(if is_range {
        "git says one version; the range that updates may be taken from goes into `updates`"
    } else {
        "a version is like `9.3.1` or `9.3.1-cern-0.1.0-7+ba5e81`"
    }))
}
