//! `fitout render`.

use crate::cli::context::Context;
use crate::cli::exit::Exit;

/// Arguments of `fitout render`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs it.
pub async fn run(_args: Args, _context: &mut Context) -> anyhow::Result<Exit> {
    anyhow::bail!("`fitout render` is not built yet")
}
