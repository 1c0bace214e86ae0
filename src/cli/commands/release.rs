//! `fitout release`: gives an addon of a cluster back to Helm.

use serde_json::json;

use super::uninstall::releases_of;
use crate::apply::{self, ApplyError, ApplyOptions, HandedOver, holder};
use crate::base::clock::SystemClock;
use crate::base::diagnostic::counted;
use crate::base::ids::{AddonName, InstanceKey};
use crate::cli::clusters;
use crate::cli::context::Context;
use crate::cli::execute::tell_error;
use crate::cli::exit::Exit;
use crate::cli::format::Format;
use crate::cli::load;
use crate::cli::selection::ClusterArgs;
use crate::k8s::ClusterClient;
use crate::live::ReleaseId;

/// Arguments of `fitout release`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The cluster
    #[arg(value_name = "CLUSTER")]
    cluster: String,
    /// The addon; it need not be in git any more
    #[arg(value_name = "ADDON")]
    addon: String,
    /// To Helm: its release stays as it is, and fitout leaves it alone
    #[arg(long, required = true)]
    hand_over: bool,
    /// How it is printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
    /// Only show what would be handed over
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Whoever began a change of the release that has not ended is gone
    #[arg(long)]
    unlock: bool,
}

/// Runs it.
pub async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let repository = load::repository(context)?;
    let desired = load::desired(context)?;
    let only = ClusterArgs { clusters: vec![args.cluster.clone()], ..ClusterArgs::default() };
    only.select(&desired.fleet)?;
    let connect = clusters::options(context, &repository);
    let name = args.cluster.as_str().into();
    let client = clusters::connect_one(&desired.fleet, &name, &connect).await?;
    let addon = AddonName::from(args.addon.as_str());
    let key = InstanceKey { cluster: client.name.clone(), addon: addon.clone() };
    let ids = releases_of(&client, &addon, &desired).await?;
    if ids.is_empty() {
        writeln!(context.out, "{key}: is not installed")?;
        return Ok(Exit::Refused);
    }
    let options = ApplyOptions { is_unlocked: args.unlock, ..ApplyOptions::new(holder::current()) };
    let mut surveys = Vec::new();
    for id in &ids {
        match HandedOver::survey(&client, id, &options, &SystemClock).await {
            Ok(survey) => surveys.push(survey),
            Err(error) => return fail(&key, id, &error, context),
        }
    }
    for survey in &surveys {
        match args.output {
            Format::Text => tell(&key, survey, context)?,
            Format::Json => {
                let report = json!({"cluster": key.cluster, "addon": key.addon,
                                    "release": survey.id, "handOver": survey});
                writeln!(context.out, "{report:#}")?;
            }
        }
    }
    if args.dry_run {
        return Ok(Exit::Done);
    }
    if !args.yes && !context.agrees(&format!("Hand {key} over to Helm?"))? {
        return Ok(Exit::Refused);
    }
    let is_wanted = desired.instance(&key).is_some();
    let exit = hand_over(&client, &key, &surveys, is_wanted, context).await?;
    clusters::save([&client])?;
    Ok(exit)
}

fn tell(key: &InstanceKey, survey: &HandedOver, context: &mut Context) -> anyhow::Result<()> {
    let (id, revision) = (&survey.id, survey.release_revision);
    let objects = counted(survey.objects.len(), "object");
    writeln!(context.out, "{key}: release {id}, revision {revision}, with {objects}:")?;
    for object in &survey.objects {
        writeln!(context.out, "    {object}")?;
    }
    for object in &survey.absent {
        writeln!(context.out, "    {object}  is not there")?;
    }
    for object in &survey.foreign {
        writeln!(context.out, "    {object}  does not belong to it, and is left alone")?;
    }
    Ok(())
}

async fn hand_over(
    client: &ClusterClient,
    key: &InstanceKey,
    surveys: &[HandedOver],
    is_wanted: bool,
    context: &mut Context,
) -> anyhow::Result<Exit> {
    for survey in surveys {
        if let Err(error) = apply::hand_over(client, survey, &SystemClock).await {
            return fail(key, &survey.id, &error, context);
        }
        let (id, revision) = (&survey.id, survey.release_revision);
        writeln!(context.out, "{key}: handed over to Helm, at revision {revision} of {id}")?;
    }
    let note = if is_wanted {
        format!(
            "git still wants {key}: it is left alone as long as its newest record has the label \
             `fitout.dev/handed-over`. Take it out of git (`enabled: false` in the Cluster, or the \
             Addon's placement): nothing is uninstalled by that. `fitout adopt` takes it back"
        )
    } else {
        format!("git does not want {key}, and nothing is uninstalled for that any more")
    };
    writeln!(context.err, "  note: {note}")?;
    Ok(Exit::Done)
}

fn fail(
    key: &InstanceKey,
    id: &ReleaseId,
    error: &ApplyError,
    context: &mut Context,
) -> anyhow::Result<Exit> {
    Ok(tell_error(&format_args!("{key}: release {id}"), error, &mut context.err)?)
}
