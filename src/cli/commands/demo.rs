//! `fitout demo`: the main job on simulated clusters.

use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::demo::{self, Demo};
use crate::cli::exit::Exit;
use crate::cli::format::Format;

/// Arguments of `fitout demo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How it is told: as a story, or every event as one JSON object a line
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
    /// Where the demo's fleet is put; an earlier demo there is replaced
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// How many times as fast as the real one the demo's clock runs
    #[arg(long, value_name = "N", default_value_t = 150, value_parser = clap::value_parser!(u32).range(1..=1000))]
    speed: u32,
}

/// Runs it.
pub async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let demo = Demo {
        is_json: args.output == Format::Json,
        folder: args.dir.unwrap_or_else(demo::folder),
        speed: args.speed,
    };
    demo::run(&demo, context).await
}
