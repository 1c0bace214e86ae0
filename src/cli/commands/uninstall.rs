//! `fitout uninstall`: removes an addon's release from clusters.

use crate::apply::{self, ApplyOptions, holder};
use crate::base::clock::SystemClock;
use crate::base::clock::today;
use crate::base::diagnostic::counted;
use crate::base::ids::AddonName;
use crate::cli::clusters;
use crate::cli::context::Context;
use crate::cli::execute::{status_of, told};
use crate::cli::exit::Exit;
use crate::cli::load;
use crate::cli::selection::ClusterArgs;
use crate::fleet::Desired;
use crate::k8s::{ClusterClient, RequestError};
use crate::live::{ReleaseId, releases};
use crate::report::errors::chain;

/// Arguments of `fitout uninstall`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    clusters: ClusterArgs,
    /// The addon; it need not be in git any more
    #[arg(long, value_name = "ADDON")]
    addon: String,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// Runs it.
pub async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let repository = load::repository(context)?;
    let rev = context.global.rev.clone();
    let source = load::source(&repository, rev.as_deref())?;
    let desired = load::accept(context, Desired::read(source, today()))?;
    let names = args.clusters.select(&desired.fleet)?;
    let addon = AddonName::from(args.addon.as_str());
    let question = format!("Uninstall {addon} from {}?", counted(names.len(), "cluster"));
    if !args.yes && !context.agrees(&question)? {
        return Ok(Exit::Refused);
    }
    let connect = clusters::options(context, &repository);
    let connections = clusters::connect_all(&desired.fleet, &names, &connect).await;
    let options = ApplyOptions::new(holder::current());
    let mut exit = Exit::Done;
    for (name, connection) in &connections {
        let ended = match connection {
            Err(error) => Err((chain(error), Exit::World)),
            Ok(client) => on_cluster(client, &addon, &desired, &options).await,
        };
        match ended {
            Ok(message) => writeln!(context.out, "{name}/{addon}: {message}")?,
            Err((message, worse)) => {
                writeln!(context.out, "{name}/{addon}: failed: {message}")?;
                exit = if exit == Exit::World { exit } else { worse };
            }
        }
    }
    clusters::save(connections.values().filter_map(|connection| connection.as_ref().ok()))?;
    Ok(exit)
}

async fn on_cluster(
    client: &ClusterClient,
    addon: &AddonName,
    desired: &Desired,
    options: &ApplyOptions,
) -> Result<String, (String, Exit)> {
    let found = releases_of(client, addon, desired).await;
    let (ids, reach) = found.map_err(|error| (chain(&error), Exit::World))?;
    let mut messages = Vec::new();
    for id in &ids {
        let done = apply::uninstall(client, id, None, options, &SystemClock).await;
        let outcome = done.map_err(|error| (chain(&error), status_of(&error).exit()))?;
        messages.push(told(&outcome));
    }
    let message = if ids.is_empty() { "is not installed".to_owned() } else { messages.join(", ") };
    Ok(match reach {
        Reach::Cluster => message,
        Reach::Namespace => format!(
            "{message}; looked for in its namespace only, since Secrets may not be listed over the \
             whole cluster"
        ),
    })
}

/// Where releases were looked for.
pub(super) enum Reach {
    /// In all namespaces.
    Cluster,
    /// In that of the release that git wants.
    Namespace,
}

/// The releases of an addon: those that say so, and the one that git wants. Who may not look
/// over the whole cluster finds only that one.
pub(super) async fn releases_of(
    client: &ClusterClient,
    addon: &AddonName,
    desired: &Desired,
) -> Result<(Vec<ReleaseId>, Reach), RequestError> {
    let wanted = desired
        .instances
        .iter()
        .find(|instance| instance.key.cluster == client.name && instance.key.addon == *addon)
        .map(ReleaseId::of);
    let (heads, reach) = match (releases::all_heads(client).await, &wanted) {
        (Err(RequestError::Forbidden { .. }), Some(wanted)) => {
            (releases::heads(client, wanted).await?, Reach::Namespace)
        }
        (heads, _) => (heads?, Reach::Cluster),
    };
    let mut ids: Vec<ReleaseId> = heads
        .into_iter()
        .filter(|head| {
            head.origin.addon.as_ref() == Some(addon) || wanted.as_ref() == Some(&head.id)
        })
        .map(|head| head.id)
        .collect();
    ids.dedup();
    Ok((ids, reach))
}
