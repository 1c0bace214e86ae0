//! `fitout why`.

use crate::cli::context::Context;
use crate::cli::exit::Exit;

/// Arguments of `fitout why`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs it.
pub async fn run(_args: Args, _context: &mut Context) -> anyhow::Result<Exit> {
    anyhow::bail!("`fitout why` is not built yet")
}
