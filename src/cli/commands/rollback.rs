//! `fitout rollback`: back to an earlier revision of a release.

use super::history::instance;
use crate::apply::{self, ApplyOptions, HEALTH_TIMEOUT, Rules, holder};
use crate::base::clock::SystemClock;
use crate::base::clock::today;
use crate::cli::clusters;
use crate::cli::context::Context;
use crate::cli::execute::{tell_error, told, write_logs};
use crate::cli::exit::Exit;
use crate::cli::load;
use crate::fleet::Desired;
use crate::live::{ReleaseId, Subject};

/// Arguments of `fitout rollback`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The cluster
    #[arg(value_name = "CLUSTER")]
    cluster: String,
    /// The addon
    #[arg(value_name = "ADDON")]
    addon: String,
    /// The revision; by default the newest that was deployed before this one
    #[arg(value_name = "REVISION")]
    revision: Option<u32>,
}

/// Runs it.
pub async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let repository = load::repository(context)?;
    let rev = context.global.rev.clone();
    let source = load::source(&repository, rev.as_deref())?;
    let desired = load::accept(context, Desired::read(source, today()))?;
    let instance = instance(&desired, &args.cluster, &args.addon)?;
    let connect = clusters::options(context, &repository);
    let client = clusters::connect_one(&desired.fleet, &instance.key.cluster, &connect).await?;
    let id = ReleaseId::of(instance);
    let options =
        ApplyOptions { rules: Rules::of(instance), ..ApplyOptions::new(holder::current()) };
    let key = &instance.key;
    let done = apply::rollback(&client, &id, args.revision, &options, &SystemClock).await;
    let exit = match done {
        Err(error) => tell_error(key, &error, &mut context.err)?,
        Ok(outcome) => {
            write_logs(&outcome.logs, &mut context.err)?;
            let timeout = instance.health.timeout.map_or(HEALTH_TIMEOUT, |timeout| timeout.0);
            let subject = Subject { checks: &instance.health.checks, ..Subject::from(&id) };
            match apply::wait(&client, subject, timeout, &SystemClock).await {
                Ok(_) => {
                    writeln!(context.out, "{key}: {}, healthy", told(&outcome))?;
                    writeln!(context.err, "  note: git still says what it said; apply goes there")?;
                    Exit::Done
                }
                Err(error) => {
                    writeln!(context.out, "{key}: {}, not healthy: {error}", told(&outcome))?;
                    write_logs(&error.logs(), &mut context.err)?;
                    Exit::Refused
                }
            }
        }
    };
    clusters::save([&client])?;
    Ok(exit)
}
