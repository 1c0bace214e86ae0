//! `fitout why CLUSTER ADDON --value PATH`: the layers that set a value, newest first, down to the
//! chart's own default.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::Args;
use crate::base::diagnostic::closest;
use crate::base::span::SourceFile;
use crate::chart::model::Chart;
use crate::chart::source::file_in_repository;
use crate::cli::context::Context;
use crate::cli::exit::{CommandError, Exit};
use crate::cli::format::Format;
use crate::cli::load;
use crate::cli::selection::one_instance;
use crate::fleet::instance::{Instance, Layer};
use crate::fleet::origin::{Setting, effective, leaves, parse_path, settings};
use crate::fleet::{Desired, layers, resolve};
use crate::yaml::helm;
use crate::yaml::node::{Node, NodeKind, ScalarStyle};

/// Explains the value at a path.
pub(super) fn value(args: &Args, path: &str, context: &mut Context) -> anyhow::Result<Exit> {
    let desired = load::desired(context)?;
    let instance = one_instance(&desired, &args.cluster, &args.addon)?;
    let steps =
        parse_path(path).map_err(|message| CommandError::Usage { message, help: Vec::new() })?;
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    let stack = Stack::of(instance, &desired, context)?;
    let merged = layers::merge(&stack.layers);
    let Some(value) = at(&merged, &steps).filter(|value| !value.is_null()) else {
        return not_set(&stack, &merged, &steps, path, args, context);
    };
    let leaves = leaves(value, &steps);
    let told: Vec<Leaf<'_>> = leaves.iter().map(|leaf| stack.leaf(leaf)).collect();
    match args.output {
        Format::Json => {
            let told: Vec<Json> = told.iter().map(|leaf| leaf.json(&stack)).collect();
            let report = json!({"instance": instance.key.to_string(), "values": told});
            writeln!(context.out, "{report:#}")?;
        }
        Format::Text => {
            let text = match told.as_slice() {
                [only] => only.text(&stack),
                several => overview(several, &stack),
            };
            write!(context.out, "{text}")?;
        }
    }
    Ok(Exit::Done)
}

/// Every layer of an instance's values, the chart's defaults first.
struct Stack {
    layers: Vec<Layer>,
    /// What each layer is.
    words: Vec<String>,
}

impl Stack {
    fn of(instance: &Instance, desired: &Desired, context: &mut Context) -> anyhow::Result<Self> {
        let mut stack = Self { layers: Vec::new(), words: Vec::new() };
        let store = load::chart_store();
        let chart = tokio::task::block_in_place(|| store.load(&instance.chart, &desired.source));
        match chart {
            Ok(chart) => stack.defaults(&chart, instance, desired),
            Err(error) => {
                let reason = error.diagnostic(&instance.span).message;
                writeln!(context.err, "warning: without the chart's defaults: {reason}")?;
            }
        }
        for layer in &instance.values {
            stack.words.push(words(layer, instance, desired).to_owned());
            stack.layers.push(layer.clone());
        }
        Ok(stack)
    }

    /// The defaults of subcharts, deepest first, and the chart's own, which go over them.
    fn defaults(&mut self, chart: &Arc<Chart>, instance: &Instance, desired: &Desired) {
        let mut open: Vec<(&Chart, Vec<String>)> = vec![(chart, Vec::new())];
        let mut found = Vec::new();
        while let Some((one, keys)) = open.pop() {
            let requirements = one.requirements().unwrap_or_default();
            for dependency in &one.dependencies {
                let required = requirements.iter().find(|of| of.name == dependency.name());
                let alias = required.map(|of| of.alias.as_str()).filter(|alias| !alias.is_empty());
                let mut keys = keys.clone();
                keys.push(alias.unwrap_or(dependency.name()).to_owned());
                open.push((dependency, keys));
            }
            found.push((one, keys));
        }
        found.sort_by_key(|(_, keys)| std::cmp::Reverse(keys.len()));
        for (one, keys) in found {
            let folders: Vec<String> = keys.iter().map(|key| format!("charts/{key}/")).collect();
            let name = format!("{}/{}values.yaml", chart.name(), folders.concat());
            let path = file_in_repository(&desired.source, &instance.chart, chart, &name);
            let file = SourceFile::new(path.unwrap_or(name), one.values_text.as_str());
            // A chart with values that cannot be read is told when it is rendered.
            let Ok(layer) = resolve::read_values(&file) else { continue };
            let layer = keys.iter().rev().fold(layer, |layer, key| below(key, &layer));
            self.layers.push(layer);
            self.words.push(if keys.is_empty() {
                "the chart's default".to_owned()
            } else {
                format!("the default of the subchart {}", keys.join("."))
            });
        }
    }

    fn leaf<'a>(&'a self, path: &'a [String]) -> Leaf<'a> {
        let steps: Vec<&str> = path.iter().map(String::as_str).collect();
        let settings = settings(&self.layers, &steps);
        let effective = effective(&settings, &steps).cloned();
        Leaf { path, settings, effective }
    }
}

/// A layer whose values are one entry of a table.
fn below(key: &str, layer: &Layer) -> Layer {
    let span = layer.node.span.clone();
    let kind = NodeKind::Scalar { text: key.to_owned(), style: ScalarStyle::Plain };
    let name = Node { span: span.clone(), tag: None, kind };
    let kind = NodeKind::Mapping(vec![(name, (*layer.node).clone())]);
    Layer {
        values: Arc::new(json!({key: *layer.values})),
        node: Arc::new(Node { span, tag: None, kind }),
    }
}

/// What a layer is, in words.
fn words(layer: &Layer, instance: &Instance, desired: &Desired) -> &'static str {
    let fleet = &desired.fleet;
    let span = &layer.node.span;
    let is_in = |node: &Node| {
        node.span.file.path == span.file.path
            && node.span.range.start <= span.range.start
            && span.range.end <= node.span.range.end
    };
    let addon = fleet.addons.get(&instance.key.addon).map(|addon| &addon.node);
    let cluster = fleet.clusters.get(&instance.key.cluster).map(|cluster| &cluster.node);
    if cluster.is_some_and(is_in) {
        "the cluster's own setting"
    } else if addon.and_then(|addon| addon.at(&["spec", "variants"])).is_some_and(is_in) {
        "a variant of the addon"
    } else if addon.is_some_and(is_in) {
        "inline in the addon"
    } else {
        "a values file"
    }
}

/// One value that is no table, and where it comes from.
struct Leaf<'a> {
    path: &'a [String],
    settings: Vec<Setting<'a>>,
    effective: Option<Setting<'a>>,
}

impl Leaf<'_> {
    fn text(&self, stack: &Stack) -> String {
        let path = self.path.join(".");
        let mut text = match &self.effective {
            Some(setting) => format!("{path} is {}\n", self.show(setting)),
            None => format!("{path} is not set\n"),
        };
        let rows = self.settings.iter().rev().enumerate().map(|(at, setting)| {
            let words = &stack.words[setting.layer];
            let overridden = if at == 0 { "" } else { ", overridden" };
            [self.show(setting), setting.span.to_string(), format!("{words}{overridden}")]
        });
        text.push_str(&columns(&rows.collect::<Vec<_>>(), "  "));
        text
    }

    fn json(&self, stack: &Stack) -> Json {
        let settings = self.settings.iter().rev().enumerate().map(|(at, setting)| {
            let (line, column) = setting.span.line_column();
            json!({
                "value": self.shown(setting),
                "file": setting.span.file.path,
                "line": line,
                "column": column,
                "layer": stack.words[setting.layer],
                "counts": at == 0,
            })
        });
        json!({
            "path": self.path,
            "value": self.effective.as_ref().map(|setting| self.shown(setting)),
            "settings": settings.collect::<Vec<Json>>(),
        })
    }

    /// Git is no place for secrets, but a log is an even worse one.
    fn shown(&self, setting: &Setting<'_>) -> Json {
        let is_hidden = self.path.iter().any(|step| sounds_secret(step));
        if is_hidden && !setting.value.is_null() {
            return Json::from("(hidden)");
        }
        whole_numbers(setting.value)
    }

    fn show(&self, setting: &Setting<'_>) -> String {
        const LENGTH_MAX: usize = 60;
        let text = match self.shown(setting) {
            // What would be read as something else is a text only in quotes.
            Json::String(text) if reads_otherwise(&text) => Json::from(text).to_string(),
            Json::String(text) => text.replace('\n', "\\n"),
            Json::Null => "null (deletes it)".to_owned(),
            other => other.to_string(),
        };
        if text.chars().count() <= LENGTH_MAX {
            return text;
        }
        let start: String = text.chars().take(LENGTH_MAX).collect();
        format!("{start}…")
    }
}

/// A table's values, each with the layer that counts.
fn overview(leaves: &[Leaf<'_>], stack: &Stack) -> String {
    let rows = leaves.iter().filter_map(|leaf| {
        let setting = leaf.effective.as_ref()?;
        let words = stack.words[setting.layer].clone();
        Some([leaf.path.join("."), leaf.show(setting), setting.span.to_string(), words])
    });
    columns(&rows.collect::<Vec<_>>(), "")
}

/// Rows whose columns stand below one another.
fn columns<const N: usize>(rows: &[[String; N]], indent: &str) -> String {
    let width =
        |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(&format!("{indent}{}\n", cells.join("  ").trim_end()));
    }
    text
}

/// Whether a text without quotes would be a number, a boolean or nothing.
fn reads_otherwise(text: &str) -> bool {
    let plain = helm::read_map(&format!("v: {text}"));
    !plain.is_ok_and(|read| read["v"].as_str() == Some(text.trim()))
}

/// Whether a key is what people call secrets.
fn sounds_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    ["password", "passwd", "passphrase", "token", "credential", "keytab", "apikey", "privatekey"]
        .iter()
        .any(|word| key.replace(['-', '_'], "").contains(word))
}

/// Helm reads every number as a float; `3.0` is not what anybody wrote.
fn whole_numbers(value: &Json) -> Json {
    match value {
        Json::Number(number) => match number.as_f64() {
            Some(float) if float.fract() == 0.0 && float.abs() < 9e15 => Json::from(float as i64),
            _ => value.clone(),
        },
        Json::Array(items) => items.iter().map(whole_numbers).collect(),
        Json::Object(entries) => Json::Object(
            entries.iter().map(|(key, value)| (key.clone(), whole_numbers(value))).collect(),
        ),
        other => other.clone(),
    }
}

fn at<'a>(values: &'a Json, path: &[&str]) -> Option<&'a Json> {
    path.iter().try_fold(values, |value, step| match value {
        Json::Array(items) => items.get(step.parse::<usize>().ok()?),
        other => other.get(step),
    })
}

/// A value that is deleted is explained; one that nobody ever set is probably misspelt.
fn not_set(
    stack: &Stack,
    merged: &Json,
    steps: &[&str],
    path: &str,
    args: &Args,
    context: &mut Context,
) -> anyhow::Result<Exit> {
    let owned: Vec<String> = steps.iter().map(|step| (*step).to_owned()).collect();
    let leaf = stack.leaf(&owned);
    let is_known = leaf.settings.iter().any(|setting| setting.steps > 0);
    if is_known {
        let leaf = Leaf { effective: None, ..leaf };
        match args.output {
            Format::Text => write!(context.out, "{}", leaf.text(stack))?,
            Format::Json => {
                let instance = format!("{}/{}", args.cluster, args.addon);
                let report = json!({"instance": instance, "values": [leaf.json(stack)]});
                writeln!(context.out, "{report:#}")?;
            }
        }
        return Ok(Exit::Done);
    }
    let depth = (0..steps.len()).rev().find(|depth| at(merged, &steps[..*depth]).is_some());
    let depth = depth.unwrap_or_default();
    let keys = at(merged, &steps[..depth]).and_then(Json::as_object);
    let keys = keys.into_iter().flat_map(serde_json::Map::keys).map(String::as_str);
    let similar = closest(steps[depth], keys).map(|best| {
        let better = [&steps[..depth], &[best], &steps[depth + 1..]].concat();
        format!("did you mean `{}`?", better.join("."))
    });
    Err(CommandError::Usage {
        message: format!("nothing sets `{path}`: not the chart, and no layer"),
        help: similar.into_iter().collect(),
    }
    .into())
}
