//! `fitout why`: explains a wait, or a value.

use clap::ValueEnum;

use super::why_wait;
use crate::cli::context::Context;
use crate::cli::exit::Exit;

/// Arguments of `fitout why`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The cluster
    cluster: String,
    /// The addon
    addon: String,
    /// How it is printed
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
    let is_json = args.output == Output::Json;
    why_wait::run(&args.cluster, &args.addon, is_json, context).await
}
