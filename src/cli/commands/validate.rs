//! `fitout validate`: everything that is wrong, at once.

use std::collections::BTreeSet;

use clap::ValueEnum;
use serde_json::json;

use crate::base::diagnostic::{Diagnostic, counted, has_errors};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::load;
use crate::findings::{Extent, Side};
use crate::render::RenderOptions;
use crate::report::{diagnostics, findings as report};

/// Arguments of `fitout validate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How findings are printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
    /// Check documents only, and render no charts
    #[arg(long)]
    no_render: bool,
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs
    Json,
    /// SARIF 2.1.0
    Sarif,
    /// A code quality report of GitLab
    GitlabCodeQuality,
}

/// Runs it.
pub async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let checked = load::check(context)?;
    let (desired, mut found) = (checked.value, checked.diagnostics);
    if args.no_render {
        let head = Side::new(&desired, &[]);
        found.extend(load::findings(head, None, Extent::All).diagnostics);
    } else {
        let options = RenderOptions::to_look_at();
        let rendered = load::render(&desired, &desired.instances, &options);
        // A chart that is not there was told with the document that names it.
        let told: BTreeSet<String> = found.iter().filter_map(place).collect();
        let is_news = |one: &Diagnostic| place(one).is_none_or(|place| !told.contains(&place));
        found.extend(rendered.diagnostics.into_iter().filter(is_news));
        let head = Side::new(&desired, &rendered.value);
        found.extend(load::findings(head, None, Extent::All).diagnostics);
    }
    let is_wrong = has_errors(&found);
    let counts = (desired.fleet.clusters.len(), desired.fleet.addons.len());
    match args.output {
        Format::Json => {
            let report = json!({
                "ok": !is_wrong,
                "clusters": counts.0,
                "addons": counts.1,
                "instances": desired.instances.len(),
                "diagnostics": diagnostics::json(&found),
            });
            writeln!(context.out, "{report:#}")?;
        }
        Format::Sarif => writeln!(context.out, "{:#}", report::sarif(&found))?,
        Format::GitlabCodeQuality => {
            writeln!(context.out, "{:#}", report::code_quality(&found))?;
        }
        Format::Text => {
            write!(context.out, "{}", diagnostics::text(&found, context.is_coloured))?;
            if !is_wrong {
                let instances = desired.instances.len();
                writeln!(
                    context.out,
                    "ok: {}, {}, {}",
                    counted(counts.0, "cluster"),
                    counted(counts.1, "addon"),
                    counted(instances, "instance"),
                )?;
            }
        }
    }
    Ok(Exit::of_findings(&found))
}

/// What makes two findings the same one.
fn place(diagnostic: &Diagnostic) -> Option<String> {
    let label = diagnostic.labels.first()?;
    Some(format!("{} {}", diagnostic.code, label.span))
}
