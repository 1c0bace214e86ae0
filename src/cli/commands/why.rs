//! `fitout why`: what a value, or a wait, comes from.

mod switch;
mod value;
mod wait;

pub(super) use self::value::not_set;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::format::Format;

/// Arguments of `fitout why`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The cluster
    #[arg(value_name = "CLUSTER")]
    cluster: String,
    /// The addon; without it, what the switch of the cluster waits for
    #[arg(value_name = "ADDON")]
    addon: Option<String>,
    /// Where the value at this path comes from, such as `server.image.tag`; without it, what the
    /// instance waits for
    #[arg(long, value_name = "PATH", requires = "addon")]
    value: Option<String>,
    /// How it is printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
}

/// Runs it.
pub async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let is_json = args.output == Format::Json;
    match (&args.addon, &args.value) {
        (None, _) => switch::run(&args.cluster, is_json, context).await,
        (Some(addon), Some(path)) => value::value(&args, addon, path, context),
        (Some(addon), None) => wait::run(&args.cluster, addon, is_json, context).await,
    }
}
