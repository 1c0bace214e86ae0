//! `fitout apply`: brings clusters to what git says.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::json;

use super::diff::{Output, exit};
use crate::apply::{ApplyOptions, holder};
use crate::base::clock::today;
use crate::cli::clusters;
use crate::cli::context::Context;
use crate::cli::execute::{Progress, StepResult, StepStatus, execute, write_logs};
use crate::cli::exit::{CommandError, Exit};
use crate::cli::load;
use crate::cli::selection::InstanceArgs;
use crate::cli::survey::{self, Scope, Survey};
use crate::fleet::Desired;
use crate::plan::{Plan, moved};
use crate::report;

/// Arguments of `fitout apply`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    instances: InstanceArgs,
    /// How results are printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
    /// Do exactly what this plan says, or nothing
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Delete beyond the limits of the rollout policy
    #[arg(long)]
    ignore_limits: bool,
    /// Take over objects that belong to no release
    #[arg(long)]
    take_ownership: bool,
    /// Take over fields that others have set
    #[arg(long)]
    force_conflicts: bool,
    /// Whoever began a change of a release that has not ended is gone
    #[arg(long)]
    unlock: bool,
}

/// Runs it.
pub async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let options = ApplyOptions {
        ignores_limits: args.ignore_limits,
        takes_ownership: args.take_ownership,
        is_forced: args.force_conflicts,
        is_unlocked: args.unlock,
        ..ApplyOptions::new(holder::current())
    };
    let (survey, plan) = match &args.plan {
        Some(path) => saved(path, &options, context).await?,
        None => {
            let survey = survey::of_args(&args.instances, &options, context).await?;
            let plan = survey.plan();
            (survey, plan)
        }
    };
    write!(context.err, "{}", report::plan::text(&plan, context.is_coloured))?;
    for beside in survey.beside() {
        writeln!(context.err, "note: {beside}")?;
    }
    for help in survey.help() {
        writeln!(context.err, "help: {help}")?;
    }
    if !plan.is_empty() && !args.yes && !context.agrees("Apply this?")? {
        return Ok(Exit::Refused);
    }
    let results = run_steps(&plan, &survey, &options, args.output, context).await?;
    if args.output == Output::Json {
        let report = json!({
            "rev": plan.rev, "plan": plan.digest, "results": results, "report": plan.report,
        });
        writeln!(context.out, "{report:#}")?;
    }
    clusters::save(survey.clients.values())?;
    Ok(worst(&results, exit(&survey, &plan, false)))
}

/// A plan that was kept, made again, and refused when anything moved.
async fn saved(
    path: &Path,
    options: &ApplyOptions,
    context: &mut Context,
) -> anyhow::Result<(Survey, Plan)> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("reading the plan `{}`", path.display()))?;
    let plan: Plan = serde_json::from_str(&text).map_err(|error| CommandError::Usage {
        message: format!("`{}` is no plan: {error}", path.display()),
        help: vec!["make one with `fitout plan --out FILE`".to_owned()],
    })?;
    if !plan.is_intact() {
        let why = "the plan was changed after it was made: its digest does not fit";
        return Err(CommandError::Refused(why.to_owned()).into());
    }
    let repository = load::repository(context)?;
    let is_worktree = plan.rev.as_str().starts_with("worktree:");
    let rev = (!is_worktree).then(|| plan.rev.as_str());
    let source = load::source(&repository, rev)?;
    if source.rev != plan.rev {
        let why = "the files of the work tree have changed since the plan was made";
        return Err(CommandError::Refused(why.to_owned()).into());
    }
    let desired = load::accept(context, Desired::read(source, today()))?;
    let scope = Scope {
        clusters: plan.steps.iter().map(|step| step.key.cluster.clone()).collect(),
        addons: plan.steps.iter().map(|step| step.key.addon.clone()).collect(),
    };
    let connect = clusters::options(context, &repository);
    let survey = survey::of_scope(desired, &scope, &connect, options, context).await?;
    let moved = moved(&plan, &survey.plan());
    if !moved.is_empty() {
        let moved: Vec<_> = moved.iter().map(|moved| format!("\n  {moved}")).collect();
        let why = format!("the plan no longer holds:{}", moved.concat());
        return Err(CommandError::Refused(why).into());
    }
    Ok((survey, plan))
}

/// Does the steps and tells of each as it goes: what begins on stderr, what has ended on stdout.
async fn run_steps(
    plan: &Plan,
    survey: &Survey,
    options: &ApplyOptions,
    output: Output,
    context: &mut Context,
) -> anyhow::Result<Vec<StepResult>> {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let (news, mut told_since) = tokio::sync::mpsc::unbounded_channel();
    let options = ApplyOptions { news: Some(news), ..options.clone() };
    let work = async move {
        let results = execute(plan, survey, &options, &sender).await;
        drop((sender, options));
        results
    };
    let tell = async {
        loop {
            tokio::select! {
                biased;
                progress = receiver.recv() => match progress {
                    Some(Progress::Begun(what)) => writeln!(context.err, "{what}")?,
                    Some(Progress::Ended(result)) => {
                        while let Ok(what) = told_since.try_recv() {
                            writeln!(context.err, "{what}")?;
                        }
                        tell(&result, output, context)?;
                    }
                    None => break,
                },
                Some(what) = told_since.recv() => writeln!(context.err, "{what}")?,
            }
        }
        anyhow::Ok(())
    };
    let (results, told) = tokio::join!(work, tell);
    told?;
    Ok(results)
}

fn tell(result: &StepResult, output: Output, context: &mut Context) -> anyhow::Result<()> {
    let mark = match result.status {
        StepStatus::Done => "",
        StepStatus::Failed => "failed: ",
        StepStatus::Refused => "refused: ",
        // Says so itself, where it is a matter of time.
        StepStatus::Unhealthy if result.message.starts_with("not healthy") => "",
        StepStatus::Unhealthy => "not healthy: ",
        StepStatus::Waiting => "not begun: ",
    };
    let (instance, message) = (&result.step, &result.message);
    match output {
        Output::Text => writeln!(context.out, "{instance}: {mark}{message}")?,
        Output::Markdown => writeln!(context.out, "- `{instance}`: {mark}{message}")?,
        Output::Json => {}
    }
    if output != Output::Json {
        write_logs(&result.logs, &mut context.err)?;
    }
    for help in &result.help {
        writeln!(context.err, "  help: {help}")?;
    }
    Ok(())
}

/// The exit code of results: a failure of the world before a refusal.
fn worst(results: &[StepResult], begin: Exit) -> Exit {
    let rank = |exit: &Exit| match exit {
        Exit::Input => 3,
        Exit::World => 2,
        Exit::Refused => 1,
        _ => 0,
    };
    results
        .iter()
        .map(|result| result.status.exit())
        .chain([begin])
        .max_by_key(rank)
        .unwrap_or(begin)
}
