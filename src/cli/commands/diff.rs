//! `fitout diff`: what apply would change, field by field.

use std::collections::BTreeSet;

use clap::ValueEnum;
use serde_json::json;

use crate::apply::{ApplyOptions, Comparison, holder};
use crate::base::ids::InstanceKey;
use crate::chart::source::file_in_repository;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::selection::InstanceArgs;
use crate::cli::survey::{self, Survey};
use crate::diff::{Ignored, lines};
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
    let mut survey = survey::of_args(&args.instances, &options, context).await?;
    let plan = survey.plan();
    tokio::task::block_in_place(|| locate(&mut survey));
    let diffs = diffs(&survey, &plan, args.output);
    match args.output {
        Output::Text => {
            write!(context.out, "{}", diff::text(&diffs, context.is_coloured))?;
            let same = plan.report.skipped.len();
            if same > 0 {
                writeln!(context.err, "{same} up to date")?;
            }
            for (instance, ignored) in silent(&survey, &diffs) {
                writeln!(context.err, "{instance}: {}", diff::left_alone(ignored))?;
            }
        }
        Output::Markdown => write!(context.out, "{}", diff::markdown(&diffs))?,
        Output::Json => {
            let left_alone: Vec<_> = silent(&survey, &diffs)
                .into_iter()
                .map(|(instance, ignored)| json!({"instance": instance, "ignored": ignored}))
                .collect();
            let report = json!({
                "rev": plan.rev, "instances": diffs, "leftAlone": left_alone,
            });
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
                    help: Vec::new(),
                    ignored: &[],
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
        let seen = subject.comparison.as_ref().ok();
        let beside = seen.and_then(|seen| seen.beside.as_ref());
        let summary = beside.map_or(summary.clone(), |beside| format!("{summary}; {beside}"));
        let help = seen.map(Comparison::help).unwrap_or_default();
        let ignored = seen.map_or(&[][..], |seen| &seen.ignored);
        let instance = key.to_string();
        diffs.push(InstanceDiff { instance, summary, changes, problems, help, ignored });
    }
    diffs
}

/// Finds the templates' files and lines behind the changes.
fn locate(survey: &mut Survey) {
    let source = &survey.desired.source;
    for subject in survey.subjects.values_mut() {
        let (Some(release), Ok(seen)) = (&subject.release, &mut subject.comparison) else {
            continue;
        };
        lines::locate(&mut seen.changes, release);
        for from in seen.changes.iter_mut().filter_map(|change| change.provenance.as_mut()) {
            let chart = &release.instance.chart;
            from.file = file_in_repository(source, chart, &release.chart, &from.template);
        }
    }
}

/// What is left alone of instances that have no difference.
fn silent<'a>(
    survey: &'a Survey,
    diffs: &[InstanceDiff<'_>],
) -> Vec<(&'a InstanceKey, &'a Ignored)> {
    let is_silent = |key: &InstanceKey| !diffs.iter().any(|diff| diff.instance == key.to_string());
    let subjects = survey.subjects.values().filter(|subject| is_silent(&subject.key));
    let ignored = subjects.filter_map(|subject| Some((subject, subject.comparison.as_ref().ok()?)));
    ignored
        .flat_map(|(subject, seen)| seen.ignored.iter().map(|ignored| (&subject.key, ignored)))
        .collect()
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
