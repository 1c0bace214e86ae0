//! `fitout diff`: what apply would change, field by field.

use std::collections::BTreeSet;

use clap::ValueEnum;
use serde_json::json;

use crate::apply::{ApplyOptions, holder};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::selection::InstanceArgs;
use crate::cli::survey::{self, Survey};
use crate::plan::{Plan, RefusedBecause, StepAction};
use crate::report::diff::{self, InstanceDiff};

/// Arguments of `fitout diff`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    instances: InstanceArgs,
    /// How the difference is printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
    /// Exit with 3 when changes are pending
    #[arg(long)]
    exit_code: bool,
}

/// How something is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people at a terminal.
    Text,
    /// For programs.
    Json,
    /// For a comment on a merge request.
    Markdown,
}

/// Runs it.
pub async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let options = ApplyOptions::new(holder::current());
    let survey = survey::of_args(&args.instances, &options, context).await?;
    let plan = survey.plan();
    let diffs = diffs(&survey, &plan, args.output);
    match args.output {
        Output::Text => {
            write!(context.out, "{}", diff::text(&diffs, context.is_coloured))?;
            let same = plan.report.skipped.len();
            if same > 0 {
                writeln!(context.err, "{same} up to date")?;
            }
        }
        Output::Markdown => write!(context.out, "{}", diff::markdown(&diffs))?,
        Output::Json => {
            let report = json!({"rev": plan.rev, "instances": diffs});
            writeln!(context.out, "{report:#}")?;
        }
    }
    Ok(exit(&survey, &plan, args.exit_code))
}

fn diffs<'a>(survey: &'a Survey, plan: &'a Plan, output: Output) -> Vec<InstanceDiff<'a>> {
    let mut diffs = Vec::new();
    let mut down = BTreeSet::new();
    for (id, subject) in &survey.subjects {
        let key = &subject.key;
        if let (Err(RefusedBecause::Unreachable(why)), Output::Text | Output::Markdown) =
            (&subject.comparison, output)
        {
            // Once for each cluster: for people, its instances have nothing to add.
            if down.insert(&key.cluster) {
                diffs.push(InstanceDiff {
                    instance: key.cluster.to_string(),
                    summary: why.clone(),
                    changes: &[],
                    problems: Vec::new(),
                });
            }
            continue;
        }
        let step = plan.steps.iter().find(|step| step.id == *id);
        let mut problems = Vec::new();
        let refused = plan.report.refused.iter().filter(|refused| refused.instance == *key);
        problems.extend(refused.map(|refused| refused.because.to_string()));
        let waiting = plan.report.waiting.iter().filter(|waiting| waiting.instance == *key);
        problems.extend(waiting.map(|waiting| waiting.on.to_string()));
        let changes = subject.comparison.as_ref().map_or(&[][..], |seen| &seen.changes);
        if step.is_none() && problems.is_empty() {
            continue;
        }
        let summary = match step {
            Some(step) => {
                let version = match (&step.from_version, &step.to_version) {
                    (Some(from), Some(to)) if from != to => format!(" {from} → {to}"),
                    (Some(from), _) if step.action == StepAction::Uninstall => format!(" {from}"),
                    (_, Some(to)) if step.action == StepAction::Install => format!(" {to}"),
                    _ => String::new(),
                };
                format!("{}{version}, since {}", step.action, step.reason)
            }
            None => "not possible".to_owned(),
        };
        diffs.push(InstanceDiff { instance: key.to_string(), summary, changes, problems });
    }
    diffs
}

/// The exit code of a command that only looks.
pub fn exit(survey: &Survey, plan: &Plan, tells_changes: bool) -> Exit {
    let report = &plan.report;
    if survey.has_findings {
        Exit::Input
    } else if report.refused.iter().any(|refused| refused.because.is_failure()) {
        Exit::World
    } else if !report.refused.is_empty() || !report.waiting.is_empty() {
        Exit::Refused
    } else if tells_changes && !plan.is_empty() {
        Exit::Changes
    } else {
        Exit::Done
    }
}
