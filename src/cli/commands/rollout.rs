//! `fitout rollout`: list, show and steer rollouts.

use std::collections::{BTreeMap, BTreeSet};

use clap::Subcommand;
use serde_json::{Value as Json, json};

use crate::base::clock::{Clock as _, SystemClock};
use crate::base::ids::{ClusterName, Digest};
use crate::cli::context::Context;
use crate::cli::control::{find, onlooker, open_log, told};
use crate::cli::exit::{CommandError, Exit};
use crate::cli::format::Format;
use crate::report::rollout as report;
use crate::rollout::train::Whole;
use crate::rollout::{Approving, Command, Event, Rollout, RolloutId, WaitingOn, command_together};
use crate::store::{Rollouts, SqliteStore, Store as _};

/// Arguments of `fitout rollout`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Subcommands,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// List rollouts
    List {
        /// Only those that are under way
        #[arg(long)]
        active: bool,
        /// How it is printed
        #[arg(short, long, value_enum, default_value = "text")]
        output: Format,
    },
    /// Show one: stages, clusters, what each waits for, and the timeline
    Show {
        /// A rollout such as `traefik-3`, or an addon for its newest
        rollout: String,
        /// How it is printed
        #[arg(short, long, value_enum, default_value = "text")]
        output: Format,
    },
    /// Make the decisions of one again, from what its log has, and compare
    Replay {
        /// A rollout such as `traefik-3`, or an addon for its newest
        rollout: String,
        /// How it is printed
        #[arg(short, long, value_enum, default_value = "text")]
        output: Format,
    },
    /// Approve the present stage
    Approve {
        #[command(flatten)]
        said: Said,
        /// Only if that is its plan, by its digest: what it brings to which cluster
        #[arg(long, value_name = "DIGEST")]
        plan: Option<Digest>,
        /// Print what approves it in git instead: a commit's trailer, and a document
        #[arg(long, conflicts_with = "plan")]
        in_git: bool,
    },
    /// Begin nothing new until it is resumed
    Pause(Said),
    /// Go on; failed clusters are tried again
    Resume(Said),
    /// End it; what it changed stays, unless `--rollback`
    Abort {
        #[command(flatten)]
        said: Said,
        /// Take back what the present stage changed
        #[arg(long)]
        rollback: bool,
    },
    /// Try again what went back or was aborted, or one cluster of the present stage
    Retry {
        #[command(flatten)]
        said: Said,
        /// Only this cluster, which failed or was left out; the others stay as they are
        #[arg(long)]
        cluster: Option<ClusterName>,
    },
    /// Leave a cluster out that has not begun; needs a reason
    Skip {
        #[command(flatten)]
        said: Said,
        /// The cluster, which catches up with a later rollout
        #[arg(long)]
        cluster: ClusterName,
    },
    /// Pass the present stage without its soak and gates, once its clusters are healthy; needs a reason
    Promote(Said),
}

/// Who says something to which rollout.
#[derive(Debug, clap::Args)]
struct Said {
    /// A rollout such as `traefik-3`, or an addon for its newest
    rollout: String,
    /// Who says so
    #[arg(long, value_name = "NAME", env = "USER", default_value = "somebody")]
    by: String,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Runs it.
pub async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    match args.command {
        Subcommands::List { active, output } => list(active, output, context),
        Subcommands::Show { rollout, output } => show(&rollout, output, context).await,
        Subcommands::Replay { rollout, output } => replay(&rollout, output, context),
        Subcommands::Approve { said, in_git: true, .. } => approve_in_git(&said, context),
        Subcommands::Approve { said, plan, .. } => {
            say(&said, Command::Approve(Approving { plan, ..Approving::default() }), context)
        }
        Subcommands::Pause(said) => say(&said, Command::Pause, context),
        Subcommands::Resume(said) => say(&said, Command::Resume, context),
        Subcommands::Abort { said, rollback } => {
            say(&said, Command::Abort { goes_back: rollback }, context)
        }
        Subcommands::Retry { said, cluster } => {
            let retry = |cluster| Command::RetryCluster { cluster };
            say(&said, cluster.map_or(Command::Retry, retry), context)
        }
        Subcommands::Skip { said, cluster } => {
            say(&said, Command::SkipCluster { cluster }, context)
        }
        Subcommands::Promote(said) => say(&said, Command::Promote, context),
    }
}

fn list(is_active: bool, output: Format, context: &mut Context) -> anyhow::Result<Exit> {
    let (_, rollouts) = open_log(context)?;
    let mut chosen: Vec<&Rollout> =
        rollouts.iter().filter(|one| !is_active || !one.phase.is_ended()).collect();
    chosen.sort_by_key(|rollout| rollout.started_at);
    match output {
        Format::Text if chosen.is_empty() => writeln!(context.err, "no rollouts")?,
        Format::Text => write!(context.out, "{}", report::list(chosen))?,
        Format::Json => {
            let rows: Vec<Json> = chosen.into_iter().map(summary).collect();
            writeln!(context.out, "{:#}", Json::from(rows))?;
        }
    }
    Ok(Exit::Done)
}

fn summary(rollout: &Rollout) -> Json {
    let members: serde_json::Map<String, Json> = rollout
        .members
        .iter()
        .map(|(name, member)| (name.to_string(), Json::from(member.state.word())))
        .collect();
    json!({
        "rollout": rollout.id,
        "addon": rollout.addon(),
        "revision": rollout.rev,
        "policy": rollout.policy_name,
        "train": rollout.train,
        "phase": rollout.phase.word(),
        "stage": rollout.stage_name(rollout.stage),
        "plan": rollout.plan(),
        "startedAt": rollout.started_at,
        "clusters": members,
    })
}

async fn show(text: &str, output: Format, context: &mut Context) -> anyhow::Result<Exit> {
    let (store, rollouts) = open_log(context)?;
    let rollout = find(&rollouts, text)?;
    let log = store.log(&rollout.id).map_err(told)?;
    let waiting =
        if rollout.phase.is_ended() { BTreeMap::new() } else { waiting(rollout, context).await? };
    match output {
        Format::Text => {
            write!(context.out, "{}", report::show(rollout, &log, &waiting, context.is_coloured))?;
        }
        Format::Json => {
            let mut shown = summary(rollout);
            shown["waiting"] = serde_json::to_value(&waiting)?;
            shown["events"] = serde_json::to_value(&log)?;
            writeln!(context.out, "{shown:#}")?;
        }
    }
    Ok(Exit::Done)
}

fn replay(text: &str, output: Format, context: &mut Context) -> anyhow::Result<Exit> {
    let (store, rollouts) = open_log(context)?;
    let rollout = find(&rollouts, text)?;
    let id = &rollout.id;
    let log = train_log(&store, rollout, &rollouts)?;
    let again = crate::rollout::replay::replay(&log);
    match output {
        Format::Text => write!(context.out, "{}", report::replayed(id, &again))?,
        Format::Json => {
            let difference = again.difference.as_ref().map(|difference| {
                json!({
                    "event": difference.index + 1,
                    "recorded": difference.recorded,
                    "decided": difference.decided,
                })
            });
            let shown = json!({
                "rollout": id,
                "given": again.given,
                "decided": again.decided,
                "difference": difference,
            });
            writeln!(context.out, "{shown:#}")?;
        }
    }
    Ok(if again.difference.is_none() { Exit::Done } else { Exit::Refused })
}

/// The log of a rollout and of all that moves with it, as it was written.
fn train_log(
    store: &SqliteStore,
    rollout: &Rollout,
    rollouts: &Rollouts,
) -> anyhow::Result<Vec<Event>> {
    if rollout.train.is_none() {
        return store.log(&rollout.id).map_err(told);
    }
    let whole = Whole::ever(rollout, rollouts.iter());
    let ids: BTreeSet<&RolloutId> = whole.rollouts().map(|one| &one.id).collect();
    let all = store.read_after(0).map_err(told)?.into_iter().map(|(_, event)| event);
    Ok(all.filter(|event| ids.contains(&event.rollout)).collect())
}

/// What its members wait for, as the clusters are now.
async fn waiting(
    rollout: &Rollout,
    context: &mut Context,
) -> anyhow::Result<BTreeMap<ClusterName, WaitingOn>> {
    let survey = onlooker(context)?.survey(|_| false).await.map_err(anyhow::Error::msg)?;
    Ok(survey.waiting.get(&rollout.id).cloned().unwrap_or_default())
}

/// What to commit, so that it approves the present stage of a rollout and of all that moves with it.
fn approve_in_git(said: &Said, context: &mut Context) -> anyhow::Result<Exit> {
    let (_, rollouts) = open_log(context)?;
    let rollout = find(&rollouts, &said.rollout)?;
    let whole = Whole::of(rollout, rollouts.iter());
    let lacking: Vec<&Rollout> = whole.rollouts().filter(|one| one.lacks_approval()).collect();
    if lacking.is_empty() {
        let message = format!("rollout {} lacks no approval now", rollout.id);
        return Err(CommandError::Refused(message).into());
    }
    let is_signed = lacking.iter().any(|one| one.approval_gates().any(|gate| gate.signed));
    write!(context.out, "{}", report::approval_in_git(&lacking, is_signed))?;
    Ok(Exit::Done)
}

fn say(said: &Said, what: Command, context: &mut Context) -> anyhow::Result<Exit> {
    let (mut store, mut rollouts) = open_log(context)?;
    loop {
        let rollout = find(&rollouts, &said.rollout)?;
        let now = SystemClock.now();
        let whole = Whole::ever(rollout, rollouts.iter());
        let events = command_together(&whole, &what, &said.by, said.reason.as_deref(), now)
            .map_err(|refused| CommandError::Refused(refused.to_string()))?;
        match rollouts.append(&mut store, &events) {
            Ok(()) => {
                for event in &events {
                    writeln!(context.out, "{}: {}", event.rollout, report::told(event))?;
                }
                return Ok(Exit::Done);
            }
            // The controller was faster: what it wrote may change the answer.
            Err(crate::store::StoreError::Moved) => rollouts.read_on(&store).map_err(told)?,
            Err(error) => return Err(told(error)),
        };
    }
}
