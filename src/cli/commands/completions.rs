//! `fitout completions`: the script that makes a shell complete our commands.

use clap_complete::{Shell, generate};

use crate::cli;
use crate::cli::context::Context;
use crate::cli::exit::Exit;

/// Arguments of `fitout completions`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// For which shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

/// Runs it.
pub async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    // Into memory first: the generator takes a broken pipe for a bug.
    let mut script = Vec::new();
    generate(args.shell, &mut cli::command(), "fitout", &mut script);
    context.out.write_all(&script)?;
    Ok(Exit::Done)
}
