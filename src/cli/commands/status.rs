//! `fitout status`: the matrix of clusters and addons, as it is now.

use serde_json::{Value as Json, json};

use crate::base::clock::moment;
use crate::base::ids::InstanceKey;
use crate::cli::context::Context;
use crate::cli::control::{RESYNC, onlooker};
use crate::cli::exit::Exit;
use crate::cli::format::Format;
use crate::cli::selection::InstanceArgs;
use crate::controller::{Reconciler, Survey};
use crate::health::Condition;
use crate::live::ReleaseStatus;
use crate::report;
use crate::report::status::{Cell, Matrix, Standing};
use crate::rollout::WaitingOn;

/// Arguments of `fitout status`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    instances: InstanceArgs,
    /// How it is printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
}

/// Runs it.
pub async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let mut onlooker = onlooker(context)?;
    onlooker.poll().await.map_err(anyhow::Error::msg)?;
    let head = onlooker.head().ok_or_else(|| anyhow::anyhow!("git could not be read"))?;
    let fleet = &head.desired.fleet;
    let clusters = args.instances.clusters.select_or_all(fleet)?;
    let addons = args.instances.addons.select(fleet)?;
    let all = args.instances.addons.addons.is_empty();
    let is_wanted =
        |key: &InstanceKey| clusters.contains(&key.cluster) && (all || addons.contains(&key.addon));
    let survey = onlooker.survey(is_wanted).await.map_err(anyhow::Error::msg)?;
    let mut matrix = matrix(&survey, &onlooker, &is_wanted);
    matrix.clusters = clusters;
    matrix.addons.extend(addons);
    match args.output {
        Format::Text => {
            writeln!(context.err, "as of commit {}", survey.head.rev().short())?;
            write!(context.out, "{}", matrix.text(context.is_coloured))?;
        }
        Format::Json => {
            let rows: Vec<Json> = matrix
                .cells
                .iter()
                .map(|(key, cell)| json!({"cluster": key.cluster, "addon": key.addon, "state": cell}))
                .collect();
            let report =
                json!({"rev": survey.head.rev(), "instances": rows, "notes": matrix.notes});
            writeln!(context.out, "{report:#}")?;
        }
    }
    let is_unread = matrix.cells.values().any(|cell| cell.standing == Standing::Unknown);
    Ok(if is_unread { Exit::World } else { Exit::Done })
}

fn matrix(
    survey: &Survey,
    onlooker: &Reconciler,
    is_wanted: &impl Fn(&InstanceKey) -> bool,
) -> Matrix {
    let mut matrix = Matrix::default();
    let wanted = survey.head.desired.instances.iter().map(|instance| instance.key.clone());
    let keys = wanted.chain(survey.observed.keys().cloned()).filter(is_wanted);
    for key in keys {
        matrix.addons.insert(key.addon.clone());
        let cell = cell(survey, &key);
        matrix.cells.extend(cell.map(|cell| (key, cell)));
    }
    for rollout in onlooker.rollouts().iter().filter(|rollout| !rollout.phase.is_ended()) {
        let (id, stage) = (&rollout.id, rollout.stage_name(rollout.stage));
        let waits: Vec<String> = survey
            .waiting
            .get(id)
            .into_iter()
            .flatten()
            .filter(|(cluster, _)| {
                rollout.members.get(*cluster).is_some_and(|one| one.stage == Some(rollout.stage))
            })
            .map(|(cluster, waits)| match waits {
                // What is wrong with it stands above.
                WaitingOn::Health { until, .. } => {
                    format!("\n  {cluster} waits for health, until {}", moment(*until))
                }
                waits => format!("\n  {cluster} waits for {waits}"),
            })
            .collect();
        let phase = rollout.phase.word();
        matrix.notes.push(format!("rollout {id} is {phase} in stage {stage}{}", waits.concat()));
    }
    for switch in onlooker.switches().iter().filter(|switch| !switch.phase.is_ended()) {
        let waits = onlooker.waiting_switches().get(&switch.id);
        matrix.notes.push(report::switch::line(switch, waits));
    }
    for (pair, reason) in onlooker.held_pairs() {
        matrix.notes.push(format!("pair {pair} is held: {reason}"));
    }
    for (key, seen) in
        survey.observed.iter().filter(|(key, seen)| is_wanted(key) && seen.pending.is_none())
    {
        matrix.notes.extend(seen.beside.iter().map(|beside| format!("{key}: {beside}")));
    }
    for (addon, reason) in &survey.held {
        matrix.notes.push(format!("{addon} is held: {reason}"));
    }
    for addon in &survey.pending {
        matrix.notes.push(format!("{addon}: the controller has not begun its rollout yet"));
    }
    matrix
}

/// How one instance stands; nothing where it neither is nor shall be.
fn cell(survey: &Survey, key: &InstanceKey) -> Option<Cell> {
    let release = survey.head.releases.get(key);
    let is_desired = survey.head.desired.instance(key).is_some();
    let cell = |standing, version: Option<String>, reason: Option<String>| {
        Some(Cell { standing, version, reason })
    };
    if let Some(Err(reason)) = survey.looks.get(&key.cluster).map(|look| &look.releases) {
        return cell(Standing::Unknown, None, Some(reason.clone()));
    }
    let Some(seen) = survey.observed.get(key) else {
        return cell(Standing::Unknown, None, Some("it cannot be rendered".to_owned()));
    };
    if let Some(gap) = seen.gaps.first() {
        return cell(Standing::Unknown, None, Some(gap.to_string()));
    }
    if let Some(pending) = &seen.pending {
        let of_record = || format!("its newest record is {}", pending.status);
        let reason = seen.beside.clone().unwrap_or_else(of_record);
        return cell(Standing::Changing, Some(pending.chart_version.clone()), Some(reason));
    }
    let Some(adopted) = &seen.adopted else {
        return if is_desired { cell(Standing::Missing, None, None) } else { None };
    };
    let version = Some(adopted.chart_version.clone());
    let is_at_goal = adopted.digest.is_some()
        && adopted.digest.as_ref() == release.map(|release| &release.digest);
    let health = &seen.health;
    match health.condition {
        _ if adopted.status == ReleaseStatus::Failed => {
            cell(Standing::Failed, version, Some(health.message.clone()))
        }
        _ if adopted.is_handed_over => cell(Standing::HandedOver, version, None),
        _ if !is_desired => cell(Standing::Leaving, version, None),
        Condition::Ready if seen.has_drifted == Some(true) => {
            let lines = report::drift::lines(seen, RESYNC, seen.observed_at);
            cell(Standing::Drifted, version, Some(lines.join("; ")))
        }
        Condition::Ready if is_at_goal => cell(Standing::Ok, version, None),
        Condition::Ready => cell(Standing::Behind, version, None),
        _ => cell(Standing::Unhealthy, version, Some(health.message.clone())),
    }
}
