//! `fitout controller`: the whole fleet, for as long as it runs.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::base::clock::{Clock, SystemClock};
use crate::cli::context::Context;
use crate::cli::control::{self, simulated_clusters, told};
use crate::cli::exit::{CommandError, Exit};
use crate::cli::{clusters, load, logging};
use crate::controller::lock::{LockError, lock};
use crate::controller::{Options, Reconciler, serve};
use crate::sim::serve::Served;
use crate::sim::{self, SimFleet};
use crate::store::{SqliteStore, StoreError};

/// How long attempts that run are waited for at the end.
const LEAVE_WITHIN: Duration = Duration::from_secs(20);

/// Arguments of `fitout controller`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How often git is polled, such as `30s` or `5m`; SIGHUP polls at once
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = humantime::parse_duration)]
    interval: Duration,
    /// How often instances that no rollout moves are compared and healed
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = humantime::parse_duration)]
    resync: Duration,
    /// How often clusters are looked at while a rollout is under way
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = humantime::parse_duration)]
    pace: Duration,
    /// Where `/healthz`, `/readyz`, `/metrics` and `/approvals` are served; `off` for nowhere
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9464")]
    listen: String,
    /// How it logs, on stderr
    #[arg(long, value_enum, default_value = "text")]
    log: LogFormat,
    /// Ends once nothing is under way and git is as it was: 0 when all is as git says, 5 when
    /// something is held, or waits for somebody
    #[arg(long)]
    once: bool,
}

/// How the controller logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Runs it.
pub async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    logging::start(args.log == LogFormat::Json, context.global.verbose, context.is_coloured);
    let repository = load::repository(context)?;
    let options = Options {
        interval: args.interval,
        resync: args.resync,
        pace: args.pace,
        ..control::options(context, &repository, Arc::new(SystemClock))
    };
    control::ensure_branch(context, &repository)?;
    let log = control::log_path(&repository);
    drop(repository);
    let _lock = lock(&log).map_err(|error| match error {
        LockError::Held(_) => CommandError::Refused(error.to_string()).into(),
        LockError::File { .. } => anyhow::Error::new(error),
    })?;
    let store = SqliteStore::open(&log).map_err(told)?;
    let clock = Arc::clone(&options.clock);
    let simulated = options.connect.simulated.clone();
    let mut reconciler = Reconciler::new(options, Box::new(store), None).map_err(told)?;
    if args.listen != "off" {
        let address: SocketAddr = args.listen.parse().map_err(|_| CommandError::Usage {
            message: format!("`{}` is no address", args.listen),
            help: vec!["write it as `127.0.0.1:9464`, or `off`".to_owned()],
        })?;
        let bound = serve::listen(address, Arc::clone(&reconciler.metrics), log.clone()).await;
        let bound = bound.with_context(|| format!("listening on {address}"))?;
        tracing::info!(%bound, log = %log.display(), "controller begins");
    }
    let _served = serve_simulated(&simulated, &mut reconciler).await?;
    let ended = work(&mut reconciler, &*clock, args.once).await;
    clusters::save(reconciler.clients())?;
    ended
}

/// Lets other processes, such as `fitout status`, use the simulated clusters that this one has.
async fn serve_simulated(
    simulated: &SimFleet,
    reconciler: &mut Reconciler,
) -> anyhow::Result<Option<Served>> {
    if let Err(error) = reconciler.poll().await {
        tracing::warn!(error, "git could not be polled");
    }
    let clusters = reconciler.head().map(|head| simulated_clusters(&head.desired));
    let clusters = clusters.unwrap_or_default();
    if clusters.is_empty() || simulated.serving().is_some() {
        return Ok(None);
    }
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Ok(Some(sim::serve::serve(simulated, &clusters, address).await?))
}

/// Ticks until somebody says to end.
async fn work(
    reconciler: &mut Reconciler,
    clock: &dyn Clock,
    is_once: bool,
) -> anyhow::Result<Exit> {
    let mut hangup = signal(SignalKind::hangup()).context("listening for SIGHUP")?;
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    // A first look does not know yet what is held: what came before it may have been ended by force.
    let mut was_busy = true;
    loop {
        let tick = match reconciler.tick().await {
            Ok(tick) => tick,
            // Somebody has said something to a rollout in the middle of the tick.
            Err(StoreError::Moved) => continue,
            Err(error) => return Err(told(error)),
        };
        if is_once && !tick.is_busy && reconciler.head().is_some() {
            if !was_busy {
                return Ok(verdict(reconciler));
            }
            // What has just ended may be held from now on, which the next tick finds out.
            was_busy = false;
            continue;
        }
        was_busy = tick.is_busy;
        if is_once && tick.is_held {
            return Ok(Exit::Refused);
        }
        tokio::select! {
            () = clock.sleep(tick.next_in) => {}
            () = reconciler.attempt_ended() => {}
            () = received(&mut hangup) => {
                tracing::info!("SIGHUP: polling git");
                reconciler.poll_soon();
            }
            () = received(&mut terminate) => break,
            () = received(&mut interrupt) => break,
        }
    }
    tracing::info!("ending");
    // Whatever does not end in time goes on where it was with the next start.
    let _ = tokio::time::timeout(LEAVE_WITHIN, reconciler.finish()).await;
    Ok(Exit::Done)
}

async fn received(signal: &mut Signal) {
    if signal.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}

fn verdict(reconciler: &Reconciler) -> Exit {
    let is_held = !reconciler.held().is_empty() || !reconciler.held_pairs().is_empty();
    if is_held { Exit::Refused } else { Exit::Done }
}
