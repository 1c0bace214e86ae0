//! `fitout plan`: every step that apply would take, to look at or to keep.

use std::path::PathBuf;

use anyhow::Context as _;

use super::diff::{Output, exit};
use crate::apply::{ApplyOptions, holder};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::selection::InstanceArgs;
use crate::cli::survey;
use crate::report::plan;

/// Arguments of `fitout plan`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    instances: InstanceArgs,
    /// How the plan is printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
    /// Where the plan is kept, for `apply --plan`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Exit with 3 when changes are pending
    #[arg(long)]
    exit_code: bool,
    /// Plan deletions beyond the limits of the rollout policy
    #[arg(long)]
    ignore_limits: bool,
    /// Take over objects that belong to no release
    #[arg(long)]
    take_ownership: bool,
    /// Take over fields that others have set
    #[arg(long)]
    force_conflicts: bool,
}

/// Runs it.
pub async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let options = ApplyOptions {
        ignores_limits: args.ignore_limits,
        takes_ownership: args.take_ownership,
        is_forced: args.force_conflicts,
        ..ApplyOptions::new(holder::current())
    };
    let survey = survey::of_args(&args.instances, &options, context).await?;
    let made = survey.plan();
    match args.output {
        Output::Text => write!(context.out, "{}", plan::text(&made, context.is_coloured))?,
        Output::Markdown => write!(context.out, "{}", plan::markdown(&made))?,
        Output::Json => writeln!(context.out, "{}", made.to_json())?,
    }
    for beside in survey.beside() {
        writeln!(context.err, "note: {beside}")?;
    }
    for help in survey.help() {
        writeln!(context.err, "help: {help}")?;
    }
    if let Some(path) = &args.out {
        std::fs::write(path, made.to_json() + "\n")
            .with_context(|| format!("writing the plan to `{}`", path.display()))?;
    }
    Ok(exit(&survey, &made, args.exit_code))
}
