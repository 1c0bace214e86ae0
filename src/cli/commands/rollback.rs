//! `fitout rollback`: back to an earlier revision of a release.

use super::history::instance;
use crate::apply::{self, ApplyOptions, Brought, Failure, HEALTH_TIMEOUT, Rules, holder};
use crate::base::clock::SystemClock;
use crate::base::clock::today;
use crate::cli::clusters;
use crate::cli::context::Context;
use crate::cli::execute::{tell_error, told, write_logs};
use crate::cli::exit::{CommandError, Exit};
use crate::cli::load;
use crate::fleet::Desired;
use crate::fleet::instance::Instance;
use crate::k8s::ClusterClient;
use crate::live::{ReleaseId, Subject};
use crate::render::RenderOptions;
use crate::report::diagnostics;

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
    if instance.strategy.blue_green().is_some() {
        let back = traffic_back(&client, &desired, instance, &args, &options, context).await;
        clusters::save([&client])?;
        return back;
    }
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

/// Back to the release that is kept beside the present one: its traffic comes back.
async fn traffic_back(
    client: &ClusterClient,
    desired: &Desired,
    instance: &Instance,
    args: &Args,
    options: &ApplyOptions,
    context: &mut Context,
) -> anyhow::Result<Exit> {
    let key = &instance.key;
    if args.revision.is_some() {
        let message = format!("{key} goes back to the release that is kept, not to a revision");
        let help = vec!["say `fitout rollback` without a number".to_owned()];
        return Err(CommandError::Usage { message, help }.into());
    }
    let instances = std::slice::from_ref(instance);
    let rendered = load::render(desired, instances, &RenderOptions::install());
    let Some(release) = rendered.value.into_iter().next() else {
        let text = diagnostics::text(&rendered.diagnostics, context.is_coloured);
        write!(context.err, "{text}")?;
        return Ok(Exit::Input);
    };
    let back = apply::blue_green::traffic_back(client, &release, options, &SystemClock).await;
    match back {
        Brought::Healthy { outcome } => {
            writeln!(context.out, "{key}: {}", told(&outcome))?;
            writeln!(context.err, "  note: git still says what it said; apply goes there")?;
            Ok(Exit::Done)
        }
        Brought::Failed { failure: Failure::Apply(error), .. } => {
            Ok(tell_error(key, &error, &mut context.err)?)
        }
        Brought::Failed { failure, recovery } => {
            writeln!(context.out, "{key}: {failure}; {recovery}")?;
            Ok(Exit::Refused)
        }
    }
}
