//! `fitout switch`: list, show and steer switches of clusters.

use clap::Subcommand;
use serde_json::{Value as Json, json};

use crate::base::clock::{Clock as _, SystemClock};
use crate::base::ids::ClusterName;
use crate::cli::context::Context;
use crate::cli::control::{log_path, onlooker, open_switches, told};
use crate::cli::exit::{CommandError, Exit};
use crate::cli::format::Format;
use crate::cli::load;
use crate::cli::selection::unknown;
use crate::controller::switches::pairs_in;
use crate::report::switch as report;
use crate::store::{SqliteStore, StoreError, SwitchLog};
use crate::switch::{
    Command, PairId, Switch, SwitchEvent, SwitchEventKind, SwitchId, Switches, command,
};

/// Arguments of `fitout switch`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Subcommands,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// List pairs of clusters: which one serves, and which is to take its place
    List {
        /// How it is printed
        #[arg(short, long, value_enum, default_value = "text")]
        output: Format,
    },
    /// Show one: where it stands, what it waits for, and the timeline
    Show {
        /// A switch such as `batch-3`, or a cluster for its newest
        switch: String,
        /// How it is printed
        #[arg(short, long, value_enum, default_value = "text")]
        output: Format,
    },
    /// Approve it, once it is at parity
    Approve(Said),
    /// Send traffic back to the cluster that served before; until the end of its keeping
    Back(Said),
    /// Try again what was stopped, has failed or went back
    Retry(Said),
    /// Say which cluster of a pair serves, where that is not on record
    Serves {
        /// The cluster
        cluster: String,
        /// Who says so
        #[arg(long, value_name = "NAME", env = "USER", default_value = "somebody")]
        by: String,
        /// Why, for the record
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
}

/// Who says something to which switch.
#[derive(Debug, clap::Args)]
struct Said {
    /// A switch such as `batch-3`, or a cluster for its newest
    switch: String,
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
        Subcommands::List { output } => list(output, context),
        Subcommands::Show { switch, output } => show(&switch, output, context).await,
        Subcommands::Approve(said) => say(&said, Command::Approve, context),
        Subcommands::Back(said) => say(&said, Command::Back, context),
        Subcommands::Retry(said) => say(&said, Command::Retry, context),
        Subcommands::Serves { cluster, by, reason } => serves(&cluster, &by, reason, context),
    }
}

/// A switch by its name, or the newest of a cluster.
///
/// # Errors
/// [`CommandError::Usage`] with what there is.
pub(super) fn find<'a>(switches: &'a Switches, text: &str) -> Result<&'a Switch, CommandError> {
    let by_id = SwitchId::parse(text).and_then(|id| switches.get(&id));
    by_id.or_else(|| switches.of_cluster(&text.into())).ok_or_else(|| {
        let known = switches.iter().flat_map(|switch| {
            [switch.id.to_string(), switch.green.to_string(), switch.blue.to_string()]
        });
        let known: Vec<String> = known.collect();
        unknown("switch", text, known.iter().map(String::as_str))
    })
}

fn list(output: Format, context: &mut Context) -> anyhow::Result<Exit> {
    let (_, log) = open_switches(context)?;
    let switches = &log.switches;
    match output {
        Format::Text if switches.pairs.is_empty() => writeln!(context.err, "no pairs of clusters")?,
        Format::Text => write!(context.out, "{}", report::list(switches))?,
        Format::Json => {
            let rows = switches.pairs.iter().map(|(id, pair)| {
                json!({
                    "policy": id.policy,
                    "labels": id.labels,
                    "serves": pair.serving,
                    "switches": pair.switches.iter().map(summary).collect::<Vec<_>>(),
                })
            });
            writeln!(context.out, "{:#}", Json::from(rows.collect::<Vec<Json>>()))?;
        }
    }
    Ok(Exit::Done)
}

fn summary(switch: &Switch) -> Json {
    json!({
        "switch": switch.id,
        "blue": switch.blue,
        "green": switch.green,
        "revision": switch.rev,
        "phase": switch.phase.word(),
        "startedAt": switch.started_at,
        "approvals": switch.approvals,
        "reason": switch.reason,
    })
}

async fn show(text: &str, output: Format, context: &mut Context) -> anyhow::Result<Exit> {
    let (_, log) = open_switches(context)?;
    find(&log.switches, text)?;
    let mut onlooker = onlooker(context)?;
    onlooker.survey(|_| false).await.map_err(anyhow::Error::msg)?;
    let waiting = onlooker.waiting_switches();
    let switch = find(onlooker.switches(), text)?;
    let pair = onlooker.switches().pairs.get(&switch.pair);
    match output {
        Format::Text => {
            let shown = report::show(switch, pair, &log.events, waiting, context.is_coloured);
            write!(context.out, "{shown}")?;
        }
        Format::Json => {
            let mut shown = summary(switch);
            let is_of = |event: &&SwitchEvent| event.switch.as_ref() == Some(&switch.id);
            let events: Vec<&SwitchEvent> = log.events.iter().filter(is_of).collect();
            shown["serves"] = json!(pair.and_then(|pair| pair.serving.as_ref()));
            shown["waiting"] = json!(waiting.get(&switch.id));
            shown["because"] = json!(report::line(switch, waiting.get(&switch.id)));
            shown["events"] = json!(events);
            writeln!(context.out, "{shown:#}")?;
        }
    }
    Ok(Exit::Done)
}

fn say(said: &Said, what: Command, context: &mut Context) -> anyhow::Result<Exit> {
    record(context, |log| {
        let switch = find(&log.switches, &said.switch)?;
        let now = SystemClock.now();
        let event = command(switch, what, &said.by, said.reason.as_deref(), now);
        Ok(event.map_err(|refused| CommandError::Refused(refused.to_string()))?)
    })
}

fn serves(
    cluster: &str,
    by: &str,
    reason: Option<String>,
    context: &mut Context,
) -> anyhow::Result<Exit> {
    let desired = load::desired(context)?;
    let name: ClusterName = cluster.into();
    let pairs = pairs_in(&desired.fleet);
    let Some((pair, _)) = pairs.iter().find(|(_, members)| members.contains(&name)) else {
        let known = pairs.values().flatten().map(ClusterName::as_str);
        return Err(unknown("cluster of a pair", cluster, known).into());
    };
    record(context, |log| {
        let under_way = log
            .switches
            .pairs
            .get(pair)
            .and_then(|known| known.switches.last().filter(|switch| !switch.phase.is_ended()));
        if let Some(switch) = under_way {
            let message = format!("switch {} is under way: say `fitout switch back`", switch.id);
            return Err(CommandError::Refused(message).into());
        }
        let kind = SwitchEventKind::Serving { cluster: name.clone(), by: Some(by.to_owned()) };
        let (pair, reason): (PairId, _) = (pair.clone(), reason.clone());
        Ok(SwitchEvent { kind, at: SystemClock.now(), pair, switch: None, reason })
    })
}

/// Records what follows from the log, which is read anew where the controller was faster.
fn record(
    context: &mut Context,
    event: impl Fn(&SwitchLog) -> anyhow::Result<SwitchEvent>,
) -> anyhow::Result<Exit> {
    let repository = load::repository(context)?;
    let mut store = SqliteStore::open(&log_path(&repository)).map_err(told)?;
    let mut log = SwitchLog::read(&store).map_err(told)?;
    loop {
        let event = event(&log)?;
        match log.append(&mut store, std::slice::from_ref(&event)) {
            Ok(()) => {
                let name =
                    event.switch.as_ref().map_or(event.pair.to_string(), ToString::to_string);
                writeln!(context.out, "{name}: {}", report::told(&event))?;
                return Ok(Exit::Done);
            }
            Err(StoreError::Moved) => log.read_on(&store).map_err(told)?,
            Err(error) => return Err(told(error)),
        };
    }
}
