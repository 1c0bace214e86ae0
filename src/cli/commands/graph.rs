//! `fitout graph`: what depends on what. Asks no cluster.

use std::collections::BTreeMap;

use clap::ValueEnum;

use crate::base::ids::{AddonName, ClusterName, InstanceKey};
use crate::cli::context::Context;
use crate::cli::exit::{CommandError, Exit};
use crate::cli::load;
use crate::cli::selection::InstanceArgs;
use crate::fleet::Desired;
use crate::graph::picture::{self, Picture};
use crate::graph::{addons, objects};
use crate::render::RenderOptions;
use crate::report::{diagnostics, graph};

/// Arguments of `fitout graph`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Of these clusters; without any, of the addons of the whole fleet
    #[command(flatten)]
    instances: InstanceArgs,
    /// The objects of each instance instead of the addons
    #[arg(long)]
    objects: bool,
    /// How the graph is printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// An indented tree
    Text,
    /// For Graphviz
    Dot,
    /// For a Markdown page
    Mermaid,
    /// For programs
    Json,
}

/// Runs it.
pub async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let desired = load::desired(context)?;
    let mut exit = Exit::Done;
    let pictures = if args.objects {
        let selected = args.instances.select(&desired)?;
        let rendered = load::render(&desired, &selected, &RenderOptions::to_look_at());
        let told = diagnostics::text(&rendered.diagnostics, context.is_coloured);
        write!(context.err, "{told}")?;
        exit = Exit::of_findings(&rendered.diagnostics);
        let pictures = rendered.value.iter().map(|release| {
            let graph = objects::of_release(&release.rendered, &release.instance.namespace);
            picture::of_objects(&release.instance.key.to_string(), &graph)
        });
        pictures.collect()
    } else {
        let addons = args.instances.addons.select(&desired.fleet)?;
        let all = if args.instances.clusters.is_empty() {
            vec![of_fleet(&desired)]
        } else {
            let clusters = args.instances.clusters.select(&desired.fleet)?;
            let versions = desired.chart_versions();
            clusters.iter().map(|cluster| of_cluster(&desired, cluster, &versions)).collect()
        };
        around(all, &args, addons.iter())?
    };
    let pictures = Picture::grouped(pictures);
    match args.output {
        Output::Text => write!(context.out, "{}", graph::text(&pictures, context.is_coloured))?,
        Output::Dot => write!(context.out, "{}", graph::dot(&pictures))?,
        Output::Mermaid => write!(context.out, "{}", graph::mermaid(&pictures))?,
        Output::Json => writeln!(context.out, "{:#}", graph::json(&pictures))?,
    }
    Ok(exit)
}

/// What is around the addons that were asked for, one picture each.
fn around<'a>(
    pictures: Vec<Picture>,
    args: &Args,
    addons: impl Iterator<Item = &'a AddonName>,
) -> Result<Vec<Picture>, CommandError> {
    if args.instances.addons.addons.is_empty() {
        return Ok(pictures);
    }
    let mut found = Vec::new();
    for addon in addons {
        let has = |picture: &&Picture| picture.nodes.iter().any(|node| node.id == addon.as_str());
        let with = pictures.iter().filter(has).cloned();
        found.extend(with.map(|picture| picture.around(addon.as_str())));
    }
    if found.is_empty() {
        return Err(CommandError::Usage {
            message: "none of these addons is on these clusters".to_owned(),
            help: Vec::new(),
        });
    }
    Ok(found)
}

fn of_fleet(desired: &Desired) -> Picture {
    let mut counts: BTreeMap<&AddonName, usize> = BTreeMap::new();
    for instance in &desired.instances {
        *counts.entry(&instance.key.addon).or_default() += 1;
    }
    let graph = addons::of_fleet(&desired.fleet);
    picture::of_addons("fleet", &graph, &|addon| match counts.get(addon) {
        None => "on no cluster".to_owned(),
        Some(1) => "on 1 cluster".to_owned(),
        Some(count) => format!("on {count} clusters"),
    })
}

fn of_cluster(
    desired: &Desired,
    cluster: &ClusterName,
    versions: &BTreeMap<InstanceKey, String>,
) -> Picture {
    let graph = addons::of_cluster(&desired.instances, cluster);
    picture::of_addons(cluster.as_str(), &graph, &|addon| {
        let key = InstanceKey { cluster: cluster.clone(), addon: addon.clone() };
        let is_here = desired.instance(&key).is_some();
        match versions.get(&key) {
            Some(version) => version.clone(),
            None if is_here => String::new(),
            None => "not on this cluster".to_owned(),
        }
    })
}
