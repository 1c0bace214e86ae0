//! `fitout rollout`.

use crate::cli::context::Context;
use crate::cli::exit::Exit;

/// Arguments of `fitout rollout`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs it.
pub async fn run(_args: Args, _context: &mut Context) -> anyhow::Result<Exit> {
    anyhow::bail!("`fitout rollout` is not built yet")
}
