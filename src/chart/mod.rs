//! Helm charts: loading, values, rendering, hooks and order. The measure is byte-equality with
//! `helm template` of Helm 3.22.

mod archive;
pub mod capabilities;
pub mod crds;
pub mod defaults;
pub mod directory;
mod documents;
mod engine;
pub mod error;
mod expression;
mod glob;
pub mod ignore;
pub mod lines;
pub mod load;
pub mod manifest;
mod manifest_error;
pub mod metadata;
mod missing;
pub mod model;
mod objects;
pub mod print;
pub mod release_name;
mod schema;
mod scope;
pub mod set;
pub mod source;
pub mod values;
pub mod world;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use self::capabilities::Capabilities;
use self::engine::Engine;
use self::error::RenderError;
use self::manifest::SortedDocument;
use self::model::{Chart, Printed, RenderInput, Rendered};
use self::scope::{Scope, is_compatible};
use self::values::{Coalescing, Nulls, to_json, to_map};
use self::world::Watched;
use crate::template::value::Value;
use crate::template::world::World;

/// Templates within templates need more stack than a thread has by itself, and so do the values
/// that they nest.
const STACK_BYTES: usize = 64 << 20;

/// Renders a chart with its subcharts: the same as `helm template`, as data.
///
/// # Errors
/// Whatever Helm refuses, in its words and as a diagnostic.
pub fn render(
    chart: &Arc<Chart>,
    input: &RenderInput,
    world: &dyn World,
) -> Result<Rendered, RenderError> {
    on_deep_stack(|| render_here(chart, input, world))
}

/// Does something with the stack that templates may need, unless the thread has it already.
fn on_deep_stack<T>(work: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(STACK_BYTES, STACK_BYTES, work)
}

fn render_here(
    chart: &Arc<Chart>,
    input: &RenderInput,
    world: &dyn World,
) -> Result<Rendered, RenderError> {
    check_requirements(chart)?;
    let mut warnings = chart.warnings.clone();
    let user = to_map(&input.values);
    let values_error = |text| RenderError::values(text, chart.name());
    let scope = Scope::resolve(chart, &user, &mut warnings).map_err(values_error)?;
    let capabilities = Capabilities::new(&input.kube_version, input.served, &input.api_versions)
        .map_err(RenderError::capabilities)?;
    let values = Coalescing::new(Nulls::Remove, &mut warnings)
        .values(&scope, &user)
        .map_err(values_error)?;
    schema::check(&scope, &values).map_err(values_error)?;
    check_kube_version(chart, &capabilities)?;
    let world = Watched::new(world);
    let engine = Engine {
        scope: &scope,
        values: &values,
        input,
        world: &world,
        capabilities: &capabilities,
    };
    // Templates may change their values: whoever looks for an error's cause starts afresh.
    let fresh = || Coalescing::new(Nulls::Remove, &mut Vec::new()).values(&scope, &user);
    let mut files = engine.render().map_err(|error| {
        let values = fresh().map(|values| to_json(&Value::Map(values))).unwrap_or_default();
        RenderError::template(error, &scope, &values)
    })?;
    let notes = take_notes(&mut files, &scope);
    let sorted = manifest::sort(&files, &input.namespace, &chart.documents).map_err(|problem| {
        manifest_error::error(&problem, &files, &scope, |name| {
            Engine { values: &fresh().ok()?, ..engine }.trace(name)
        })
    })?;
    warnings.extend(sorted.warnings.iter().cloned());
    let crds = if input.with_crds { crds::of(&scope, &input.namespace)? } else { Arc::default() };
    let printed = |document: &SortedDocument| Printed {
        source: Arc::clone(&document.manifest.source),
        text: Arc::clone(&document.manifest.text),
    };
    let documents = sorted.documents.iter().map(printed).collect();
    let manifests = sorted
        .documents
        .into_iter()
        .filter(|document| document.is_object)
        .flat_map(|document| manifest::objects(document.manifest, &input.namespace))
        .collect();
    Ok(Rendered {
        crds,
        manifests,
        hooks: sorted.hooks,
        documents,
        notes,
        impure: world.is_asked(),
        warnings,
    })
}

/// Values as the templates of a chart see them: the chart's own with the user's on top.
///
/// # Errors
/// For values that do not fit together.
pub fn coalesced(chart: &Arc<Chart>, user: &Json) -> Result<Json, RenderError> {
    let values_error = |text| RenderError::values(text, chart.name());
    let (user, mut warnings) = (to_map(user), Vec::new());
    let scope = Scope::resolve(chart, &user, &mut warnings).map_err(values_error)?;
    let values = Coalescing::new(Nulls::Remove, &mut warnings).values(&scope, &user);
    values.map(|values| to_json(&Value::Map(values))).map_err(values_error)
}

/// A chart's metadata and values as Helm keeps them of a release: only requirements that are switched
/// on, under their aliases, and the subcharts' defaults with what they hand up.
///
/// # Errors
/// For values that do not fit together.
pub fn as_released(chart: &Arc<Chart>, user: &Json) -> Result<(Json, Json), RenderError> {
    if chart.requirements().is_none() {
        return Ok((chart.metadata.clone(), chart.values.clone()));
    }
    let scope = Scope::resolve(chart, &to_map(user), &mut Vec::new())
        .map_err(|text| RenderError::values(text, chart.name()))?;
    Ok((scope.metadata(), to_json(&Value::Map(scope.values.clone()))))
}

/// Helm installs no libraries, and no charts whose dependencies are not there.
fn check_requirements(chart: &Chart) -> Result<(), RenderError> {
    let kind = chart.metadata["type"].as_str().unwrap_or_default();
    if !matches!(kind, "" | "application") {
        let error = RenderError::chart(format!("{kind} charts are not installable"));
        return Err(error.about("type"));
    }
    let missing = scope::missing_requirements(chart);
    if missing.is_empty() {
        return Ok(());
    }
    let error = RenderError::chart(format!(
        "An error occurred while checking for chart dependencies. You may need to run `helm \
         dependency build` to fetch missing dependencies: found in Chart.yaml, but missing in \
         charts/ directory: {}",
        missing.join(", ")
    ));
    Err(error
        .about("dependencies")
        .help("commit them to the chart's `charts/`: none are downloaded"))
}

fn check_kube_version(chart: &Chart, capabilities: &Capabilities) -> Result<(), RenderError> {
    let range = chart.metadata["kubeVersion"].as_str().unwrap_or_default();
    let version = &capabilities.kube_version.version;
    if range.is_empty() || is_compatible(range, version) {
        return Ok(());
    }
    let error = RenderError::chart(format!(
        "chart requires kubeVersion: {range} which is incompatible with Kubernetes {version}"
    ));
    Err(error.about("kubeVersion"))
}

/// Takes the notes of all charts out of the files; gives those of the chart itself.
fn take_notes(files: &mut BTreeMap<String, String>, scope: &Scope) -> String {
    let own = format!("{}/templates/NOTES.txt", scope.name);
    let notes = files.get(&own).cloned().unwrap_or_default();
    files.retain(|name, _| !name.ends_with("NOTES.txt"));
    notes
}
