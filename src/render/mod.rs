//! Instances to releases: every distinct render once, in parallel.
//!
//! Charts come through a [`ChartStore`], which may fetch; everything else is a function of the
//! instances. Time and randomness in templates have a fixed seed, so that equal inputs give equal
//! releases.

mod digest;
mod explain;
mod merge;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value as Json;

use crate::base::diagnostic::{Checked, Diagnostic};
use crate::base::ids::{Digest, Rev};
use crate::base::parallel::in_parallel;
use crate::chart;
use crate::chart::capabilities::Served;
use crate::chart::error::RenderError;
use crate::chart::lines::Lines;
use crate::chart::model::{Chart, RenderInput, Rendered};
use crate::chart::source::ChartStore;
use crate::chart::world::SeededWorld;
use crate::fleet::blue_green::{Slot, Strategy, renamed};
use crate::fleet::instance::Instance;
use crate::git::Source;

/// One instance, rendered: what apply, diff and rollouts work on.
#[derive(Clone, Debug)]
pub struct Release {
    /// What git says.
    pub instance: Instance,
    /// The revision that said it.
    pub rev: Rev,
    /// The chart.
    pub chart: Arc<Chart>,
    /// The merged user values, as the release record keeps them.
    pub values: Arc<Json>,
    /// The objects; shared by instances with identical inputs.
    pub rendered: Arc<Rendered>,
    /// Of the rendered objects, hooks and CRDs, namespace, release name and chart version. Two
    /// revisions with equal digests are no change. Random parts are rendered with a fixed seed.
    pub digest: Digest,
    /// Which of two releases beside one another it is; none of what git says. See [`in_slot`].
    pub slot: Option<Slot>,
    /// What it renders to in each slot, where its strategy is `blueGreen`.
    pub beside: Option<Arc<BTreeMap<Slot, Arc<Rendered>>>>,
}

impl Release {
    /// What it may stand as on a cluster: what it renders to, or that of each slot.
    pub fn stands_as(&self) -> Vec<&Rendered> {
        match &self.beside {
            None => vec![&self.rendered],
            Some(slots) => slots.values().map(|rendered| &**rendered).collect(),
        }
    }

    /// The chart's version, as in `Chart.yaml`.
    pub fn chart_version(&self) -> &str {
        self.chart.metadata["version"].as_str().unwrap_or_default()
    }
}

/// What a render assumes of the release beyond what git says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderOptions {
    /// `.Release.Revision`.
    pub revision: u32,
    /// `.Release.IsUpgrade`.
    pub is_upgrade: bool,
    /// `.Capabilities.APIVersions` beyond the built-in ones.
    pub api_versions: Vec<String>,
    /// Whether values that are encrypted are taken as they are, for what is only looked at; else
    /// their instances are not rendered.
    pub takes_encrypted: bool,
}

impl RenderOptions {
    /// As a first installation: what is compared between revisions, so that how often a release
    /// was upgraded makes no difference.
    pub fn install() -> Self {
        Self { revision: 1, is_upgrade: false, api_versions: Vec::new(), takes_encrypted: false }
    }

    /// As [`Self::install`], for what no cluster gets.
    pub fn to_look_at() -> Self {
        Self { takes_encrypted: true, ..Self::install() }
    }
}

/// Renders instances at a revision. Blocks: charts may be fetched, and all cores are used.
///
/// # Errors
/// A chart that cannot be had, or a render that fails, is a diagnostic for its instances, told
/// once for all of them; the others are in the value, in the order given.
pub fn render_fleet(
    instances: &[Instance],
    source: &Source,
    store: &ChartStore,
    options: &RenderOptions,
) -> Checked<Vec<Release>> {
    let mut failures = Failures::default();
    let charts = load_charts(instances, source, store);
    let mut merger = merge::Merger::default();
    let mut jobs: BTreeMap<JobKey, usize> = BTreeMap::new();
    let mut inputs: Vec<(Arc<Chart>, RenderInput)> = Vec::new();
    let mut assigned = Vec::new();
    for instance in instances {
        if let Some(layer) = instance.encrypted().filter(|_| !options.takes_encrypted) {
            failures.add(explain::explain_encrypted(layer), instance);
            continue;
        }
        let chart = match &charts[&location(instance)] {
            Ok(chart) => Arc::clone(chart),
            Err(error) => {
                failures.add(explain::explain_source(error, instance), instance);
                continue;
            }
        };
        let values = merger.merge(&instance.values);
        let mut job = |release_name: &str| {
            let key = JobKey {
                chart: chart.digest().clone(),
                values: values.digest.clone(),
                release_name: release_name.to_owned(),
                namespace: instance.namespace.clone(),
                kubernetes_version: instance.kubernetes_version.clone(),
            };
            *jobs.entry(key).or_insert_with(|| {
                let input = RenderInput {
                    release_name: release_name.to_owned(),
                    ..input(instance, &values.values, options)
                };
                inputs.push((Arc::clone(&chart), input));
                inputs.len() - 1
            })
        };
        let base = &instance.release_name;
        let own = job(base);
        let has_slots = instance.strategy.blue_green().is_some();
        let slots = has_slots.then(|| Slot::ALL.map(|slot| (slot, job(&slot.release_name(base)))));
        assigned.push((instance, chart, values.values, (own, slots)));
    }
    let kept = Kept::default();
    let results = in_parallel(&inputs, |(chart, input)| {
        render(chart, input).map(|rendered| kept.once(chart, input, rendered))
    });
    let mut releases = Vec::new();
    let of = |job: usize| results[job].as_ref();
    for (instance, chart, values, (own, slots)) in assigned {
        let beside = slots.map(|slots| {
            let renders = slots.map(|(slot, job)| Ok((slot, Arc::clone(&of(job)?.0))));
            renders.into_iter().collect::<Result<_, _>>()
        });
        match of(own).and_then(|own| Ok((own, beside.transpose()?))) {
            Ok(((rendered, digest), beside)) => releases.push(Release {
                instance: instance.clone(),
                rev: source.rev.clone(),
                chart,
                values,
                rendered: Arc::clone(rendered),
                digest: of_strategy(digest, &instance.strategy),
                slot: None,
                beside: beside.map(Arc::new),
            }),
            Err(error) => {
                failures.add(explain::explain(error, instance, &chart, source), instance);
            }
        }
    }
    Checked { value: releases, diagnostics: failures.into_diagnostics() }
}

/// Inputs that make a render what it is.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct JobKey {
    chart: Digest,
    values: Digest,
    release_name: String,
    namespace: String,
    kubernetes_version: String,
}

type Loaded = Result<Arc<Chart>, crate::chart::source::SourceError>;

fn load_charts(
    instances: &[Instance],
    source: &Source,
    store: &ChartStore,
) -> BTreeMap<String, Loaded> {
    let distinct: BTreeMap<String, &Instance> =
        instances.iter().map(|instance| (location(instance), instance)).collect();
    let order: Vec<(String, &Instance)> = distinct.into_iter().collect();
    let loaded = in_parallel(&order, |(_, instance)| store.load(&instance.chart, source));
    order.into_iter().map(|(location, _)| location).zip(loaded).collect()
}

fn location(instance: &Instance) -> String {
    format!("{:?}", instance.chart)
}

fn input(instance: &Instance, values: &Arc<Json>, options: &RenderOptions) -> RenderInput {
    RenderInput {
        release_name: instance.release_name.clone(),
        namespace: instance.namespace.clone(),
        revision: options.revision,
        is_upgrade: options.is_upgrade,
        values: (**values).clone(),
        kube_version: kube_version(&instance.kubernetes_version),
        served: Served::AsCluster,
        api_versions: options.api_versions.clone(),
        with_crds: true,
    }
}

/// `1.35` as Helm has it: `v1.35.0`.
fn kube_version(text: &str) -> String {
    let text = text.strip_prefix('v').unwrap_or(text);
    let numbers = text.split(['-', '+']).next().unwrap_or_default();
    if numbers.matches('.').count() >= 2 { format!("v{text}") } else { format!("v{text}.0") }
}

/// What randomness in templates follows from.
const SEED: u64 = 0;
/// What templates take for the present: 2026-01-01T00:00:00Z.
const RENDER_TIME_NANOSECONDS: i128 = 1_767_225_600_000_000_000;

fn render(chart: &Arc<Chart>, input: &RenderInput) -> Result<Rendered, RenderError> {
    let world = SeededWorld::new(SEED, RENDER_TIME_NANOSECONDS);
    chart::render(chart, input, &world)
}

/// Renders that came out alike, kept once: values often differ in what a chart does not look at.
#[derive(Default)]
struct Kept {
    renders: Mutex<BTreeMap<(Digest, Digest), Arc<Rendered>>>,
    documents: digest::Documents,
}

impl Kept {
    /// A render with its digest.
    fn once(
        &self,
        chart: &Chart,
        input: &RenderInput,
        rendered: Rendered,
    ) -> (Arc<Rendered>, Digest) {
        let digest = self.documents.digest(chart, input, &rendered);
        let rest = self.documents.digest_of_text(&rendered);
        let mut kept = self.renders.lock().unwrap_or_else(PoisonError::into_inner);
        let one = kept.entry((digest.clone(), rest)).or_insert_with(|| Arc::new(rendered));
        (Arc::clone(one), digest)
    }
}

/// Renders a release once more, with random parts that follow from `key`. Blocks.
///
/// # Errors
/// The render's own, where it fails with these values and not with those of the fixed seed.
pub fn redrawn(release: &Release, key: [u8; 32]) -> Result<Rendered, RenderError> {
    let world = SeededWorld::keyed(key, RENDER_TIME_NANOSECONDS);
    let input = input(&release.instance, &release.values, &RenderOptions::install());
    chart::render(&release.chart, &input, &world)
}

/// A release as one of two beside one another: what it renders to under the name of its slot, with
/// what git says of its objects meant for those. Its digest is that of what git says, so that it is
/// the same in either slot. None for one of another strategy.
pub fn in_slot(release: &Release, slot: Slot) -> Option<Release> {
    let rendered = Arc::clone(release.beside.as_ref()?.get(&slot)?);
    let base = &release.instance.release_name;
    let mut instance = release.instance.clone();
    instance.release_name = slot.release_name(base);
    let name = &instance.release_name;
    for check in &mut instance.health.checks {
        check.object.name = renamed(&check.object.name, base, name);
    }
    for rule in &mut instance.ignore_differences {
        rule.name = rule.name.as_deref().map(|object| renamed(object, base, name));
    }
    Some(Release { instance, rendered, slot: Some(slot), beside: None, ..release.clone() })
}

/// A digest of what is rendered as that of a release: to stand beside another one is a change.
fn of_strategy(rendered: &Digest, strategy: &Strategy) -> Digest {
    match strategy {
        Strategy::InPlace => rendered.clone(),
        Strategy::BlueGreen(_) => Digest::of(format!("blue/green {rendered}").as_bytes()),
    }
}

/// The lines of templates behind those of their outputs: see [`chart::lines`]. Blocks.
pub fn lines(release: &Release, templates: &BTreeSet<&str>) -> BTreeMap<String, Lines> {
    let world = SeededWorld::new(SEED, RENDER_TIME_NANOSECONDS);
    let input = input(&release.instance, &release.values, &RenderOptions::install());
    chart::lines::lines(&release.chart, &input, &world, templates)
}

/// Failures, each told once for all instances that have it.
#[derive(Default)]
struct Failures {
    found: BTreeMap<(String, String), (Diagnostic, Vec<String>)>,
}

impl Failures {
    fn add(&mut self, mut diagnostic: Diagnostic, instance: &Instance) {
        let file = &instance.span.file.path;
        if !diagnostic.labels.iter().any(|label| label.span.file.path == *file) {
            diagnostic = diagnostic.label(&instance.span, "of this addon");
        }
        let place = diagnostic.labels.first().map(|label| label.span.to_string());
        let key = (place.unwrap_or_default(), diagnostic.message.clone());
        let (_, clusters) = self.found.entry(key).or_insert((diagnostic, Vec::new()));
        clusters.push(instance.key.cluster.to_string());
    }

    fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.found
            .into_values()
            .map(|(diagnostic, clusters)| diagnostic.on(clusters.iter().map(String::as_str)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubernetes_version_becomes_what_helm_has() {
        for (text, expected) in [
            ("1.35", "v1.35.0"),
            ("v1.35", "v1.35.0"),
            ("1.35.2", "v1.35.2"),
            ("1.35.2+k3s1", "v1.35.2+k3s1"),
        ] {
            assert_eq!(kube_version(text), expected);
        }
    }
}
