//! `fitout history`: the revisions of a release, or the present one of every release.

use futures::StreamExt as _;
use serde::Serialize;

use crate::base::clock::today;
use crate::base::ids::{ClusterName, InstanceKey};
use crate::base::limits::CLUSTERS_IN_PARALLEL;
use crate::cli::clusters;
use crate::cli::context::Context;
use crate::cli::exit::{CommandError, Exit};
use crate::cli::format::Format;
use crate::cli::load;
use crate::cli::selection::ClusterArgs;
use crate::fleet::Desired;
use crate::fleet::instance::Instance;
use crate::k8s::ClusterClient;
use crate::live::record::RecordHead;
use crate::live::{ReleaseId, ReleaseStatus, blue_green, releases};
use crate::report::errors::chain;

/// Arguments of `fitout history`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The cluster
    #[arg(value_name = "CLUSTER", requires = "addon")]
    cluster: Option<String>,
    /// The addon
    #[arg(value_name = "ADDON")]
    addon: Option<String>,
    /// How it is printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    instance: String,
    release: String,
    revision: u32,
    status: ReleaseStatus,
    updated: String,
    chart: String,
    commit: String,
    description: String,
}

/// Runs it.
pub async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let repository = load::repository(context)?;
    let rev = context.global.rev.clone();
    let source = load::source(&repository, rev.as_deref())?;
    let desired = load::accept(context, Desired::read(source, today()))?;
    let connect = clusters::options(context, &repository);
    let (rows, failures) = match (&args.cluster, &args.addon) {
        (Some(cluster), Some(addon)) => {
            let instance = instance(&desired, cluster, addon)?;
            let names = [instance.key.cluster.clone()].into();
            let connections = clusters::connect_all(&desired.fleet, &names, &connect).await;
            let mut rows = Vec::new();
            for connection in connections.into_values() {
                rows = of_release(&connection?, instance).await?;
            }
            (rows, Vec::new())
        }
        _ => {
            let names = ClusterArgs::default().select_or_all(&desired.fleet)?;
            let connections = clusters::connect_all(&desired.fleet, &names, &connect).await;
            of_fleet(connections).await
        }
    };
    match args.output {
        Format::Json => writeln!(context.out, "{}", serde_json::to_string_pretty(&rows)?)?,
        Format::Text => print(&rows, context)?,
    }
    for (cluster, reason) in &failures {
        writeln!(context.err, "error: {cluster}: {reason}")?;
    }
    Ok(if failures.is_empty() { Exit::Done } else { Exit::World })
}

/// The instance that two names on the command line mean.
pub fn instance<'a>(
    desired: &'a Desired,
    cluster: &str,
    addon: &str,
) -> Result<&'a Instance, CommandError> {
    let key = InstanceKey { cluster: cluster.into(), addon: addon.into() };
    desired.instance(&key).ok_or_else(|| {
        let addons =
            desired.instances.iter().filter(|instance| instance.key.cluster == key.cluster);
        let addons: Vec<_> = addons.map(|instance| instance.key.addon.to_string()).collect();
        let help = if addons.is_empty() {
            format!("there is no cluster `{cluster}`, or nothing is on it")
        } else {
            format!("on `{cluster}` are {}", addons.join(", "))
        };
        CommandError::Usage { message: format!("git does not want {key}"), help: vec![help] }
    })
}

async fn of_release(client: &ClusterClient, instance: &Instance) -> anyhow::Result<Vec<Row>> {
    let standing = blue_green::standing(client, &ReleaseId::of(instance)).await?;
    let mut rows = Vec::new();
    for head in standing.heads() {
        let record = releases::record(client, head).await?;
        let mut row = row(head, &client.name);
        if let Some(record) = record {
            let version = record.chart.metadata["version"].as_str().unwrap_or_default();
            version.clone_into(&mut row.chart);
            row.updated = record.info.last_deployed;
            row.description = record.info.description;
        }
        rows.push(row);
    }
    Ok(rows)
}

async fn of_fleet(connections: clusters::Connections) -> (Vec<Row>, Vec<(ClusterName, String)>) {
    let parts = connections.into_iter().map(|(name, connection)| async move {
        let rows = match connection {
            Err(error) => Err(chain(&error)),
            Ok(client) => newest(&client).await,
        };
        (name, rows)
    });
    let mut parts: Vec<_> =
        futures::stream::iter(parts).buffer_unordered(CLUSTERS_IN_PARALLEL).collect().await;
    parts.sort_by(|a, b| a.0.cmp(&b.0));
    let mut rows = Vec::new();
    let mut failures = Vec::new();
    for (name, part) in parts {
        match part {
            Ok(part) => rows.extend(part),
            Err(reason) => failures.push((name, reason)),
        }
    }
    (rows, failures)
}

async fn newest(client: &ClusterClient) -> Result<Vec<Row>, String> {
    let heads = releases::all_heads(client).await.map_err(|error| chain(&error))?;
    let newest = heads.chunk_by(|a, b| a.id == b.id).filter_map(<[_]>::last);
    Ok(newest
        .filter(|head| head.origin.addon.is_some())
        .map(|head| row(head, &client.name))
        .collect())
}

fn row(head: &RecordHead, cluster: &ClusterName) -> Row {
    let addon = head.origin.addon.as_ref().map_or("(helm)", |addon| addon.as_str());
    Row {
        instance: format!("{cluster}/{addon}"),
        release: head.id.to_string(),
        revision: head.revision,
        status: head.status,
        updated: head.created_at.map(|at| at.to_string()).unwrap_or_default(),
        chart: head.origin.chart_version.clone(),
        commit: head.origin.rev.as_ref().map(|rev| rev.short().to_owned()).unwrap_or_default(),
        description: String::new(),
    }
}

fn print(rows: &[Row], context: &mut Context) -> anyhow::Result<()> {
    let head =
        ["INSTANCE", "RELEASE", "REVISION", "STATUS", "UPDATED", "CHART", "COMMIT", "DESCRIPTION"];
    let mut table = vec![head.map(str::to_owned)];
    table.extend(rows.iter().map(|row| {
        [
            row.instance.clone(),
            row.release.clone(),
            row.revision.to_string(),
            row.status.to_string(),
            row.updated.split('.').next().unwrap_or_default().to_owned(),
            row.chart.clone(),
            row.commit.clone(),
            row.description.lines().next().unwrap_or_default().to_owned(),
        ]
    }));
    let widths: Vec<usize> = (0..head.len())
        .map(|column| table.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    for row in &table {
        let cells: Vec<_> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        writeln!(context.out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}
