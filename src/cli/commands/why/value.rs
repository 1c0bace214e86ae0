//! `fitout why CLUSTER ADDON --value PATH`: the layers that set a value, newest first, down to the
//! chart's own default.

use serde_json::json;

use super::Args;
use crate::chart::defaults::defaults;
use crate::chart::source::file_in_repository;
use crate::cli::context::Context;
use crate::cli::exit::{CommandError, Exit};
use crate::cli::format::Format;
use crate::cli::load;
use crate::cli::selection::one_instance;
use crate::fleet::Desired;
use crate::fleet::instance::{Instance, Layer};
use crate::fleet::layers::merge;
use crate::fleet::origin::parse_path;
use crate::report::origin::{NotSet, Origins};
use crate::yaml::node::Node;

/// Explains the value at a path.
pub(super) fn value(
    args: &Args,
    addon: &str,
    path: &str,
    context: &mut Context,
) -> anyhow::Result<Exit> {
    let desired = load::desired(context)?;
    let instance = one_instance(&desired, &args.cluster, addon)?;
    let steps =
        parse_path(path).map_err(|message| CommandError::Usage { message, help: Vec::new() })?;
    let origins = origins(instance, &desired, context)?;
    let explained = origins.explain(&steps).map_err(|nothing| not_set(path, nothing))?;
    match args.output {
        Format::Text => write!(context.out, "{}", explained.text())?,
        Format::Json => {
            let instance = instance.key.to_string();
            let report = json!({"instance": instance, "values": explained.json()});
            writeln!(context.out, "{report:#}")?;
        }
    }
    Ok(Exit::Done)
}

/// Nothing sets the value at `path`.
pub(crate) fn not_set(path: &str, nothing: NotSet) -> CommandError {
    let similar = nothing.similar.iter().map(|path| format!("did you mean `{path}`?"));
    let switched_off = nothing.switched_off.iter();
    let switched_off = switched_off.map(|name| format!("the subchart `{name}` is switched off"));
    CommandError::Usage {
        message: format!("nothing sets `{path}`: not the chart, and no layer"),
        help: similar.chain(switched_off).collect(),
    }
}

/// Every layer of an instance's values, the chart's defaults first.
fn origins(
    instance: &Instance,
    desired: &Desired,
    context: &mut Context,
) -> anyhow::Result<Origins> {
    let store = load::chart_store();
    let chart = tokio::task::block_in_place(|| store.load(&instance.chart, &desired.source));
    let mut origins = match chart {
        Ok(chart) => {
            let file_name = |name: &str| {
                let path = file_in_repository(&desired.source, &instance.chart, &chart, name);
                path.unwrap_or_else(|| name.to_owned())
            };
            Origins::new(defaults(&chart, &merge(&instance.values), &file_name))
        }
        Err(error) => {
            let reason = error.diagnostic(&instance.span).message;
            writeln!(context.err, "warning: without the chart's defaults: {reason}")?;
            Origins::default()
        }
    };
    for layer in &instance.values {
        origins.push(layer.clone(), words(layer, instance, desired));
    }
    Ok(origins)
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
