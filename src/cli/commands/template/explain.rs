//! Where the values of a chart come from: `--explain`, and the places that a failure is about.

use std::sync::Arc;

use super::Args;
use crate::base::diagnostic::Diagnostic;
use crate::chart::defaults::defaults;
use crate::chart::error::RenderError;
use crate::chart::model::Chart;
use crate::chart::source::file_on_disk;
use crate::cli::commands::why;
use crate::cli::context::Context;
use crate::cli::exit::{CommandError, Exit};
use crate::fleet::layers::merge;
use crate::fleet::origin::{label, parse_path};
use crate::report::origin::Origins;

/// Prints which file or argument sets the value at a path, and which are overridden.
pub(super) fn value(
    path: &str,
    args: &Args,
    chart: &Arc<Chart>,
    context: &mut Context,
) -> anyhow::Result<Exit> {
    let steps =
        parse_path(path).map_err(|message| CommandError::Usage { message, help: Vec::new() })?;
    let layers = args.values.layers()?;
    let file_name = |name: &str| on_disk(args, chart, name).unwrap_or_else(|| name.to_owned());
    let mut origins = Origins::new(defaults(chart, &merge(&layers), &file_name));
    for layer in layers {
        let is_argument = layer.node.span.file.path.starts_with("--");
        origins.push(layer, if is_argument { "an argument" } else { "a values file" });
    }
    let explained = origins.explain(&steps).map_err(|nothing| why::not_set(path, nothing))?;
    write!(context.out, "{}", explained.text())?;
    Ok(Exit::Done)
}

/// A failed render with the files as they are called on the disk, and the places that set the
/// values it is about.
pub(super) fn failure(error: &RenderError, args: &Args, chart: &Chart) -> Diagnostic {
    let mut diagnostic = error.located(chart.name(), &|name| on_disk(args, chart, name));
    // What came in by stdin is gone.
    if args.values.reads_stdin() {
        return diagnostic;
    }
    let layers = args.values.layers().unwrap_or_default();
    for path in &error.values {
        let steps: Vec<&str> = path.iter().map(String::as_str).collect();
        if let Some((span, text)) = label(&layers, &steps) {
            diagnostic = diagnostic.label(span, text);
        }
    }
    diagnostic
}

/// The path of a chart's file, which templates call `CHART/templates/x.yaml`; nothing where it is
/// in an archive.
fn on_disk(args: &Args, chart: &Chart, name: &str) -> Option<String> {
    file_on_disk(args.name_and_chart.last()?.trim(), chart, name)
}
