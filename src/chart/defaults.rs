//! The defaults of a chart as layers of values, each with the file it is written in.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::model::Chart;
use super::scope::{Scope, child_and_parent};
use super::values::to_map;
use crate::base::span::SourceFile;
use crate::fleet::instance::Layer;
use crate::fleet::resolve;
use crate::yaml::node::{Node, NodeKind, ScalarStyle};

/// The defaults of a chart and its subcharts.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    /// The weakest first: those of subcharts, deepest first, what each chart imports from them
    /// (`import-values`), and its own.
    pub layers: Vec<DefaultLayer>,
    /// Subcharts that are switched on, by the path of their values.
    pub subcharts: Vec<Vec<String>>,
    /// Subcharts that conditions, tags or versions leave out, likewise.
    pub switched_off: Vec<Vec<String>>,
}

/// One layer of defaults.
#[derive(Clone, Debug)]
pub struct DefaultLayer {
    /// Values as the chart at the top sees them: those of a subchart below its name.
    pub layer: Layer,
    /// What it is, in words.
    pub words: String,
}

/// All defaults that count with a user's values. `file_name` gives the name to show for a file
/// that templates call `CHART/charts/ALIAS/values.yaml`.
///
/// A values file that cannot be read is left out: rendering tells it.
pub fn defaults(chart: &Arc<Chart>, user: &Json, file_name: &dyn Fn(&str) -> String) -> Defaults {
    let enabled = Scope::resolve(chart, &to_map(user), &mut Vec::new()).ok();
    let is_on = |keys: &[String]| {
        let Some(scope) = &enabled else { return true };
        let found = keys.iter().try_fold(scope, |scope, key| {
            scope.dependencies.iter().find(|subchart| subchart.name == *key)
        });
        found.is_some()
    };
    let mut open: Vec<(&Chart, Vec<String>)> = vec![(chart, Vec::new())];
    let mut charts = Vec::new();
    let mut defaults = Defaults::default();
    while let Some((one, keys)) = open.pop() {
        for (name, dependency) in subcharts(one) {
            let keys = [keys.as_slice(), &[name]].concat();
            if is_on(&keys) {
                defaults.subcharts.push(keys.clone());
                open.push((dependency, keys));
            } else {
                defaults.switched_off.push(keys);
            }
        }
        charts.push((one, keys));
    }
    charts.sort_by_key(|(_, keys)| std::cmp::Reverse(keys.len()));
    for (one, keys) in charts {
        defaults.layers.extend(imports(one, &keys, chart.name(), file_name));
        let Some(own) = own_defaults(one, &keys, chart.name(), file_name) else { continue };
        let words = match keys.as_slice() {
            [] => "the chart's default".to_owned(),
            keys => format!("the default of the subchart {}", keys.join(".")),
        };
        defaults.layers.push(DefaultLayer { layer: below(&keys, own), words });
    }
    defaults
}

/// The subcharts by the names that their values have: each under all its aliases.
fn subcharts(chart: &Chart) -> Vec<(String, &Chart)> {
    let requirements = chart.requirements().unwrap_or_default();
    let named = |dependency: &Chart| {
        let of = requirements.iter().filter(|of| of.name == dependency.name());
        let name =
            |alias: &str| if alias.is_empty() { dependency.name() } else { alias }.to_owned();
        let mut names: Vec<String> = of.map(|of| name(&of.alias)).collect();
        if names.is_empty() {
            names.push(dependency.name().to_owned());
        }
        names
    };
    let pairs = chart.dependencies.iter().flat_map(|dependency| {
        named(dependency).into_iter().map(move |name| (name, dependency.as_ref()))
    });
    pairs.collect()
}

/// What a chart writes in its `values.yaml`, seen from itself.
fn own_defaults(
    chart: &Chart,
    keys: &[String],
    root: &str,
    file_name: &dyn Fn(&str) -> String,
) -> Option<Layer> {
    let folders: Vec<String> = keys.iter().map(|key| format!("charts/{key}/")).collect();
    let name = file_name(&format!("{root}/{}values.yaml", folders.concat()));
    let file = SourceFile::new(name, chart.values_text.as_str());
    resolve::read_values(&file).ok()
}

/// The defaults of subcharts that a chart takes for its own values.
fn imports(
    chart: &Chart,
    keys: &[String],
    root: &str,
    file_name: &dyn Fn(&str) -> String,
) -> Vec<DefaultLayer> {
    let subcharts = subcharts(chart);
    let mut layers = Vec::new();
    for requirement in chart.requirements().unwrap_or_default() {
        let name = match requirement.alias.as_str() {
            "" => &requirement.name,
            alias => alias,
        };
        let Some((_, subchart)) = subcharts.iter().find(|(known, _)| known == name) else {
            continue;
        };
        let inner = [keys, &[name.to_string()]].concat();
        let Some(from) = own_defaults(subchart, &inner, root, file_name) else { continue };
        for (child, parent) in requirement.import_values.iter().filter_map(child_and_parent) {
            let Some(part) = at(&from, &child) else { continue };
            let parents = parent.split('.').filter(|step| !step.is_empty()).map(str::to_owned);
            let path: Vec<String> = keys.iter().cloned().chain(parents).collect();
            let words = format!("imported from the subchart {}", inner.join("."));
            layers.push(DefaultLayer { layer: below(&path, part), words });
        }
    }
    layers
}

/// The table at a path such as `a.b` as a layer of its own.
fn at(layer: &Layer, path: &str) -> Option<Layer> {
    let steps: Vec<&str> = path.split('.').collect();
    let values = steps.iter().try_fold(&*layer.values, |values, step| values.get(step))?;
    let node = layer.node.at(&steps)?;
    values.is_object().then(|| Layer {
        values: Arc::new(values.clone()),
        node: Arc::new(node.clone()),
        is_encrypted: false,
    })
}

/// A layer whose values are tables within tables.
fn below(keys: &[String], layer: Layer) -> Layer {
    keys.iter().rev().fold(layer, |layer, key| {
        let span = layer.node.span.clone();
        let kind = NodeKind::Scalar { text: key.clone(), style: ScalarStyle::Plain };
        let name = Node { span: span.clone(), tag: None, kind };
        let kind = NodeKind::Mapping(vec![(name, (*layer.node).clone())]);
        let values: Json = json!({key: *layer.values});
        let node = Arc::new(Node { span, tag: None, kind });
        Layer { values: Arc::new(values), node, is_encrypted: false }
    })
}
