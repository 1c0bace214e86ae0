//! `fitout demo`.

use crate::cli::context::Context;
use crate::cli::exit::Exit;

/// Arguments of `fitout demo`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs it.
pub async fn run(_args: Args, _context: &mut Context) -> anyhow::Result<Exit> {
    anyhow::bail!("`fitout demo` is not built yet")
}
