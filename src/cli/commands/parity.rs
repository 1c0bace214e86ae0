//! `fitout parity`: two clusters against each other.

use std::collections::BTreeSet;

use anyhow::Context as _;
use futures::StreamExt as _;
use serde_json::json;

use crate::base::clock::{Clock as _, SystemClock};
use crate::base::ids::ClusterName;
use crate::base::limits::CLUSTERS_IN_PARALLEL;
use crate::cli::clusters::{self, Connections};
use crate::cli::context::Context;
use crate::cli::exit::{CommandError, Exit};
use crate::cli::format::Format;
use crate::cli::load;
use crate::cli::selection::ClusterArgs;
use crate::fleet::Desired;
use crate::fleet::instance::Instance;
use crate::fleet::switch::{AllowedDifference, SwitchPolicySpec};
use crate::live;
use crate::parity::{self, Report, Sighting};
use crate::render::{Release, RenderOptions};
use crate::report::diagnostics;
use crate::report::errors::chain;
use crate::report::parity as report;

/// Arguments of `fitout parity`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The cluster that is to be replaced
    #[arg(value_name = "BLUE")]
    blue: String,
    /// The one that is to take its place
    #[arg(value_name = "GREEN")]
    green: String,
    /// Ask both clusters as well whether what git says is there and healthy
    #[arg(long)]
    live: bool,
    /// How it is printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
    /// Exit with 3 when they are not at parity
    #[arg(long)]
    exit_code: bool,
}

impl Args {
    /// Whether any cluster is asked.
    pub fn asks_clusters(&self) -> bool {
        self.live
    }
}

/// Runs it.
pub async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let desired = load::desired(context)?;
    let find = |name: &str| -> Result<ClusterName, CommandError> {
        let one = ClusterArgs { clusters: vec![name.to_owned()], ..ClusterArgs::default() };
        one.select(&desired.fleet)?;
        Ok(name.into())
    };
    let (blue, green) = (find(&args.blue)?, find(&args.green)?);
    if blue == green {
        let message = format!("`{blue}` is at parity with itself");
        let help = vec!["name two clusters".to_owned()];
        return Err(CommandError::Usage { message, help }.into());
    }
    let selected: Vec<Instance> = desired
        .instances
        .iter()
        .filter(|instance| [&blue, &green].contains(&&instance.key.cluster))
        .cloned()
        .collect();
    let rendered = load::render(&desired, &selected, &RenderOptions::to_look_at());
    let releases = rendered.value;
    let text = diagnostics::text(&rendered.diagnostics, context.is_coloured);
    write!(context.err, "{text}").context("stderr is closed")?;
    let mut report = tokio::task::block_in_place(|| {
        parity::compare(&desired, &releases, (&blue, &green), &load::chart_store())
    });
    if args.live {
        ask(&mut report, &desired, &releases, context).await?;
    }
    let allowed = allowed(&desired, &blue, &green);
    let lacks = report.lacks(&allowed);
    match args.output {
        Format::Text => {
            write!(context.out, "{}", report::text(&report, &lacks, context.is_coloured))?;
        }
        Format::Json => {
            let mut shown = serde_json::to_value(&report)?;
            shown["isAtParity"] = json!(lacks.is_empty());
            shown["lacks"] = json!(lacks);
            writeln!(context.out, "{shown:#}")?;
        }
    }
    let sightings = report.addons.values().filter_map(|addon| addon.live.as_ref());
    let mut sightings = sightings.flat_map(|live| [&live.blue, &live.green]).flatten();
    Ok(match Exit::of_findings(&rendered.diagnostics) {
        Exit::Done if sightings.any(|seen| seen.is_unknown) => Exit::World,
        Exit::Done if args.exit_code && !lacks.is_empty() => Exit::Changes,
        exit => exit,
    })
}

/// What the switch policy of two clusters puts up with, if one is for both.
fn allowed(desired: &Desired, blue: &ClusterName, green: &ClusterName) -> Vec<AllowedDifference> {
    let is_for = |spec: &SwitchPolicySpec, name: &ClusterName| {
        let cluster = desired.fleet.clusters.get(name);
        cluster.is_some_and(|one| spec.clusters.matches(&one.value.metadata.labels))
    };
    let mut policies = desired.fleet.switches.values().map(|policy| &policy.value.spec);
    let policy = policies.find(|spec| is_for(spec, blue) && is_for(spec, green));
    policy.map(|spec| spec.parity.allow.clone()).unwrap_or_default()
}

/// Asks both clusters about every addon that they shall have.
async fn ask(
    report: &mut Report,
    desired: &Desired,
    releases: &[Release],
    context: &Context,
) -> anyhow::Result<()> {
    let repository = load::repository(context)?;
    let options = clusters::options(context, &repository);
    let names = BTreeSet::from([report.blue.clone(), report.green.clone()]);
    let connections = &clusters::connect_all(&desired.fleet, &names, &options).await;
    let asked = releases.iter().map(|release| async move {
        let seen = sighting(release, connections).await;
        (&release.instance.key, seen)
    });
    let asked: Vec<_> =
        futures::stream::iter(asked).buffer_unordered(CLUSTERS_IN_PARALLEL).collect().await;
    for (key, seen) in asked {
        let Some(addon) = report.addons.get_mut(&key.addon) else { continue };
        let live = addon.live.get_or_insert_default();
        let side = if key.cluster == report.blue { &mut live.blue } else { &mut live.green };
        *side = Some(seen);
    }
    Ok(())
}

async fn sighting(release: &Release, connections: &Connections) -> Sighting {
    match connections.get(&release.instance.key.cluster) {
        Some(Ok(client)) => {
            let observation = live::observe(client, release, &SystemClock).await;
            Sighting::of(&observation, release)
        }
        Some(Err(error)) => Sighting::unreachable(&chain(error), SystemClock.now()),
        None => Sighting::unreachable("it is not in the fleet", SystemClock.now()),
    }
}
