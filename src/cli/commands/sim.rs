//! `fitout sim`: simulated clusters on loopback, and rollouts rehearsed.

mod check;
mod rollout;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Subcommand;
use tokio::signal::unix::{SignalKind, signal};

use crate::base::clock::SystemClock;
use crate::base::clock::today;
use crate::base::ids::ClusterName;
use crate::cli::context::Context;
use crate::cli::control;
use crate::cli::exit::{CommandError, Exit};
use crate::cli::load;
use crate::fleet::Desired;
use crate::sim::SimFleet;
use crate::sim::serve::{kubeconfig, serve};

/// Arguments of `fitout sim`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Subcommands,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Serve simulated clusters for kubectl and helm: those of the fleet, or new ones
    Serve(Serve),
    /// Forget what the fleet's simulated clusters have become
    Reset,
    /// Rehearse the rollouts that a change would start: how long they take, which cluster is touched
    /// when, and how far a bad version gets
    Rollout(rollout::Args),
    /// Put the whole of fitout through random histories, each drawn from a seed, and look for one that
    /// breaks a law
    Check(check::Args),
}

#[derive(Debug, clap::Args)]
struct Serve {
    /// So many new clusters, `sim-01` and on, instead of the fleet's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    clusters: Option<u32>,
    /// How many nodes each of the new clusters has
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1000))]
    nodes: u32,
    /// Where the kubeconfig is written
    #[arg(
        id = "kubeconfig",
        long = "kubeconfig",
        value_name = "FILE",
        default_value = "simulated.kubeconfig"
    )]
    kubeconfig: PathBuf,
    /// The port on loopback; any when 0
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,
}

/// Runs it.
pub async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    match args.command {
        Subcommands::Rollout(args) => rollout::run(&args, context),
        Subcommands::Check(args) => check::run(&args, context),
        Subcommands::Serve(args) => serve_until_signal(args, context).await,
        Subcommands::Reset => {
            let repository = load::repository(context)?;
            let gone = control::simulated(&repository, Arc::new(SystemClock)).reset()?;
            writeln!(context.out, "{gone} simulated clusters begin anew")?;
            Ok(Exit::Done)
        }
    }
}

async fn serve_until_signal(args: Serve, context: &mut Context) -> anyhow::Result<Exit> {
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    let (fleet, clusters) = match args.clusters {
        Some(count) => {
            let names = (1..=count).map(|number| (format!("sim-{number:02}").into(), args.nodes));
            (SimFleet::in_memory(Arc::new(SystemClock)), names.collect())
        }
        None => of_fleet(context)?,
    };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
    let served = serve(&fleet, &clusters, address).await?;
    let path = args.kubeconfig;
    let text = format!("{:#}\n", kubeconfig(&served.serving));
    crate::net::cache::write_atomically(&path, text.as_bytes())
        .with_context(|| format!("writing `{}`", path.display()))?;
    let (count, shown) = (clusters.len(), path.display());
    let first = clusters.first().map(|(name, _)| name.to_string()).unwrap_or_default();
    writeln!(context.out, "{}", served.serving.address)?;
    context.out.flush()?;
    writeln!(
        context.err,
        "{count} simulated clusters are served until Ctrl-C. Try:\n  \
         kubectl --kubeconfig {shown} --context {first} get nodes\n  \
         helm --kubeconfig {shown} --kube-context {first} list -A"
    )?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    fleet.save_all().await?;
    drop(served);
    Ok(Exit::Done)
}

/// The fleet's simulated clusters.
fn of_fleet(context: &mut Context) -> anyhow::Result<(SimFleet, Vec<(ClusterName, u32)>)> {
    let repository = load::repository(context)?;
    let rev = context.global.rev.clone();
    let source = load::source(&repository, rev.as_deref())?;
    let desired = load::accept(context, Desired::read(source, today()))?;
    let clusters = control::simulated_clusters(&desired);
    if clusters.is_empty() {
        return Err(CommandError::Usage {
            message: "the fleet has no simulated clusters".to_owned(),
            help: vec!["serve new ones with `--clusters 2`".to_owned()],
        }
        .into());
    }
    Ok((control::simulated(&repository, Arc::new(SystemClock)), clusters))
}
