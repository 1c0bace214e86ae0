//! `fitout validate`: everything that is wrong, at once.

use clap::ValueEnum;
use serde_json::json;

use crate::base::diagnostic::has_errors;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::load;
use crate::report::diagnostics;

/// Arguments of `fitout validate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How findings are printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

/// Runs it.
pub async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let checked = load::check(context)?;
    let (desired, found) = (checked.value, checked.diagnostics);
    let is_wrong = has_errors(&found);
    let counts = (desired.fleet.clusters.len(), desired.fleet.addons.len());
    match args.output {
        Output::Json => {
            let report = json!({
                "ok": !is_wrong,
                "clusters": counts.0,
                "addons": counts.1,
                "instances": desired.instances.len(),
                "diagnostics": diagnostics::json(&found),
            });
            writeln!(context.out, "{report:#}")?;
        }
        Output::Text => {
            write!(context.out, "{}", diagnostics::text(&found, context.is_coloured))?;
            if !is_wrong {
                let instances = desired.instances.len();
                writeln!(
                    context.out,
                    "ok: {}, {}, {}",
                    count(counts.0, "cluster"),
                    count(counts.1, "addon"),
                    count(instances, "instance"),
                )?;
            }
        }
    }
    Ok(if is_wrong { Exit::Input } else { Exit::Done })
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
