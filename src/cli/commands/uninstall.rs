//! `fitout uninstall`: removes releases of addons from clusters, dependents first.

mod order;

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::time::Duration;

use futures::StreamExt as _;

use self::order::{dependents_first, needs, staying_dependents};
use crate::apply::{
    self, Allowance, ApplyError, ApplyOptions, Kept, Outcome, Removal, Rules, holder,
};
use crate::base::clock::SystemClock;
use crate::base::clock::today;
use crate::base::diagnostic::counted;
use crate::base::ids::{AddonName, ClusterName};
use crate::base::limits::CLUSTERS_IN_PARALLEL;
use crate::cli::clusters;
use crate::cli::context::Context;
use crate::cli::execute::{status_of, told, write_logs};
use crate::cli::exit::Exit;
use crate::cli::load;
use crate::cli::selection::ClusterArgs;
use crate::fleet::Desired;
use crate::fleet::instance::Instance;
use crate::k8s::{ClusterClient, RequestError};
use crate::live::record::RecordHead;
use crate::live::{ReleaseId, blue_green, releases};
use crate::report::errors::chain;

/// Objects of one list that are named; the rest is counted.
const NAMED_MAX: usize = 20;

/// Arguments of `fitout uninstall`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    clusters: ClusterArgs,
    /// The addon; it need not be in git any more; repeat for more, which go dependents first
    #[arg(long = "addon", value_name = "ADDON", required = true)]
    addons: Vec<String>,
    /// Remove the namespaces of the releases as well, with everything in them
    #[arg(long)]
    namespaces: bool,
    /// Remove the CRDs of the charts as well, with every object of their kinds
    #[arg(long)]
    crds: bool,
    /// Go on although addons that stay depend on one that goes
    #[arg(long)]
    ignore_dependents: bool,
    /// How long a hook or a deletion may take; by default as the addon's `health.timeout` says, or 5m
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,
    /// Only show what would go, what would go along with it, and what would stay
    #[arg(long)]
    dry_run: bool,
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
    let connect = clusters::options(context, &repository);
    let connections = clusters::connect_all(&desired.fleet, &names, &connect).await;
    let looks = connections.iter().map(|(name, connection)| {
        let (args, desired) = (&args, &desired);
        async move {
            let looked = match connection {
                Ok(client) => look(client, args, desired).await,
                Err(error) => Err((chain(error), Exit::World)),
            };
            (name, looked)
        }
    });
    let looked: Vec<_> =
        futures::stream::iter(looks).buffered(CLUSTERS_IN_PARALLEL).collect().await;
    let mut exit = Exit::Done;
    let mut teardowns = Vec::new();
    for (name, looked) in looked {
        match looked.and_then(|teardown| teardown.check(&args)) {
            Ok(teardown) => teardowns.push(teardown),
            Err((message, worse)) => {
                writeln!(context.out, "{name}: failed: {message}")?;
                exit = worst(exit, worse);
            }
        }
    }
    let shown = if args.dry_run { &mut context.out } else { &mut context.err };
    for teardown in &teardowns {
        write!(shown, "{}", teardown.text(args.dry_run))?;
    }
    if args.dry_run {
        return Ok(exit);
    }
    if !args.yes && !agreed(context, &teardowns)? {
        return Ok(worst(exit, Exit::Refused));
    }
    exit = worst(exit, remove_all(&teardowns, &args, context).await?);
    clusters::save(connections.values().filter_map(|connection| connection.as_ref().ok()))?;
    Ok(exit)
}

/// A failure of the world comes before a refusal.
fn worst(one: Exit, other: Exit) -> Exit {
    match (one, other) {
        (Exit::World, _) | (_, Exit::World) => Exit::World,
        (Exit::Done, other) => other,
        (one, _) => one,
    }
}

/// What is to go from one cluster.
struct Teardown<'a> {
    client: &'a ClusterClient,
    /// Dependents first.
    addons: Vec<Going<'a>>,
    /// Addons that stay, and what of that which goes they depend on.
    staying: Vec<(AddonName, AddonName)>,
    reach: Reach,
}

/// An addon that is to go.
struct Going<'a> {
    name: AddonName,
    instance: Option<&'a Instance>,
    releases: Vec<(ReleaseId, Removal)>,
    /// Of those that go, the ones that need it: they go before.
    dependents: Vec<AddonName>,
}

/// Where releases were looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// In all namespaces.
    Cluster,
    /// In that of the release that git wants.
    Namespace,
}

type Refusal = (String, Exit);

/// Finds out what is to go from a cluster. Changes nothing.
async fn look<'a>(
    client: &'a ClusterClient,
    args: &Args,
    desired: &'a Desired,
) -> Result<Teardown<'a>, Refusal> {
    let instances: Vec<&Instance> =
        desired.instances.iter().filter(|one| one.key.cluster == client.name).collect();
    let chosen: BTreeSet<AddonName> =
        args.addons.iter().map(|name| AddonName::from(name.as_str())).collect();
    let found = heads(client, &instances, &chosen).await;
    let (heads, reach) = found.map_err(|error| (chain(&error), Exit::World))?;
    let of_git = |name: &AddonName| instances.iter().copied().find(|one| one.key.addon == *name);
    let is_there = |name: &AddonName| !ids(&heads, name, of_git(name)).is_empty();
    let needs = needs(&instances, &heads);
    let staying = staying_dependents(&needs, &chosen, is_there);
    let mut addons = Vec::new();
    for (name, dependents) in dependents_first(&needs, &chosen) {
        let instance = of_git(&name);
        let mut releases = Vec::new();
        for id in ids(&heads, &name, instance) {
            let removal = apply::removal(client, &id, args.allowance(), &SystemClock).await;
            let removal = removal.map_err(|error| refusal(&name, &error))?;
            releases.extend(removal.map(|removal| (id, removal)));
        }
        addons.push(Going { name, instance, releases, dependents });
    }
    Ok(Teardown { client, addons, staying, reach })
}

/// The releases of an addon on a cluster: those that say so, and the one that git wants.
pub(super) async fn releases_of(
    client: &ClusterClient,
    addon: &AddonName,
    desired: &Desired,
) -> Result<Vec<ReleaseId>, RequestError> {
    let of_cluster = |one: &&Instance| one.key.cluster == client.name;
    let instances: Vec<&Instance> = desired.instances.iter().filter(of_cluster).collect();
    let (heads, _) = heads(client, &instances, &BTreeSet::from([addon.clone()])).await?;
    let instance = instances.iter().copied().find(|one| one.key.addon == *addon);
    Ok(ids(&heads, addon, instance))
}

fn refusal(addon: &AddonName, error: &ApplyError) -> Refusal {
    let help: Vec<String> = error.help().iter().map(|help| format!("\n  help: {help}")).collect();
    (format!("{addon}: {}{}", chain(error), help.concat()), status_of(error).exit())
}

/// The records of the cluster. Who may not look over the whole cluster finds only those of the
/// releases that git wants.
async fn heads(
    client: &ClusterClient,
    instances: &[&Instance],
    chosen: &BTreeSet<AddonName>,
) -> Result<(Vec<RecordHead>, Reach), RequestError> {
    let error = match releases::all_heads(client).await {
        Err(error @ RequestError::Forbidden { .. }) => error,
        heads => return Ok((heads?, Reach::Cluster)),
    };
    let mut found = Vec::new();
    let mut is_looked_for = false;
    for instance in instances.iter().filter(|one| chosen.contains(&one.key.addon)) {
        is_looked_for = true;
        let standing = blue_green::standing(client, &ReleaseId::of(instance)).await?;
        found.extend(standing.heads().cloned());
    }
    if is_looked_for { Ok((found, Reach::Namespace)) } else { Err(error) }
}

/// The releases of an addon: those that say so, and the one that git wants.
fn ids(heads: &[RecordHead], addon: &AddonName, instance: Option<&Instance>) -> Vec<ReleaseId> {
    let wanted = instance.map(ReleaseId::of);
    let is_meant = |head: &&RecordHead| {
        head.origin.addon.as_ref() == Some(addon) || wanted.as_ref() == Some(&head.id)
    };
    let mut ids: Vec<ReleaseId> =
        heads.iter().filter(is_meant).map(|head| head.id.clone()).collect();
    ids.dedup();
    ids
}

impl Args {
    fn allowance(&self) -> Allowance<'static> {
        Allowance::Asked { namespaces: self.namespaces, crds: self.crds }
    }
}

impl Teardown<'_> {
    /// Refuses to take from addons that stay what they depend on.
    fn check(self, args: &Args) -> Result<Self, Refusal> {
        if self.staying.is_empty() || args.ignore_dependents {
            return Ok(self);
        }
        let staying: Vec<String> =
            self.staying.iter().map(|(one, on)| format!("{one} depends on {on}")).collect();
        Err((
            format!(
                "{}, and stays\n  help: uninstall it as well, with another `--addon`, or go on with \
                 `--ignore-dependents`",
                staying.join(", ")
            ),
            Exit::Refused,
        ))
    }

    /// What goes along; with `is_full` also what goes, and what stays.
    fn text(&self, is_full: bool) -> String {
        let mut text = String::new();
        for going in &self.addons {
            let head = format!("{}/{}", self.client.name, going.name);
            if going.releases.is_empty() && is_full {
                text.push_str(&format!("{head}: is not installed\n"));
            }
            for (id, removal) in &going.releases {
                text.push_str(&described(&head, id, removal, is_full));
            }
        }
        text
    }
}

fn described(head: &str, id: &ReleaseId, removal: &Removal, is_full: bool) -> String {
    let mut text = String::new();
    if is_full {
        let count = counted(removal.doomed.len(), "object");
        text.push_str(&format!("{head}: would delete {count} of release {id}\n"));
        removal.doomed.iter().for_each(|key| text.push_str(&format!("  - {key}\n")));
        removal.kept.iter().for_each(|(key, why)| text.push_str(&stays(key, why)));
    }
    for along in &removal.along {
        let count = counted(along.objects.len(), "object");
        text.push_str(&format!("{head}: with {} {count} would go as well:\n", along.with));
        for key in along.objects.iter().take(NAMED_MAX) {
            text.push_str(&format!("  - {key}\n"));
        }
        if along.objects.len() > NAMED_MAX {
            text.push_str(&format!("  and {} more\n", along.objects.len() - NAMED_MAX));
        }
    }
    text
}

fn stays(key: &impl std::fmt::Display, why: &Kept) -> String {
    format!("  stays: {key}: {why}\n")
}

/// Removes addons from clusters, clusters side by side, and tells of each cluster as it ends.
async fn remove_all(
    teardowns: &[Teardown<'_>],
    args: &Args,
    context: &mut Context,
) -> anyhow::Result<Exit> {
    let work = teardowns.iter().map(|teardown| remove(teardown, args));
    let mut ended = futures::stream::iter(work).buffer_unordered(CLUSTERS_IN_PARALLEL);
    let mut exit = Exit::Done;
    let mut is_any_left = false;
    while let Some((name, results)) = ended.next().await {
        for (addon, result) in results {
            match result {
                Ok(Removed { message, outcomes }) => {
                    writeln!(context.out, "{name}/{addon}: {message}")?;
                    for outcome in &outcomes {
                        write_logs(&outcome.logs, &mut context.err)?;
                        for (key, why) in &outcome.kept {
                            is_any_left |= *why == Kept::NotAsked;
                            write!(context.out, "{}", stays(key, why))?;
                        }
                    }
                }
                Err((message, worse)) => {
                    writeln!(context.out, "{name}/{addon}: failed: {message}")?;
                    exit = worst(exit, worse);
                }
            }
        }
    }
    if is_any_left {
        writeln!(context.err, "  help: `--namespaces` and `--crds` remove those as well")?;
    }
    Ok(exit)
}

/// An addon that is gone.
struct Removed {
    message: String,
    outcomes: Vec<Outcome>,
}

/// Removes addons from one cluster, in their order. What a dependent that is still there needs,
/// stays.
async fn remove<'t>(
    teardown: &'t Teardown<'_>,
    args: &Args,
) -> (&'t ClusterName, Vec<(&'t AddonName, Result<Removed, Refusal>)>) {
    let mut results = Vec::new();
    let mut left: BTreeSet<&AddonName> = BTreeSet::new();
    for going in &teardown.addons {
        let still = going.dependents.iter().find(|dependent| left.contains(dependent));
        let result = match still {
            Some(dependent) => Err((
                format!("not begun: {dependent}, which depends on it, is still there"),
                Exit::Refused,
            )),
            None => remove_one(teardown, going, args).await,
        };
        if result.is_err() {
            left.insert(&going.name);
        }
        results.push((&going.name, result));
    }
    (&teardown.client.name, results)
}

async fn remove_one(
    teardown: &Teardown<'_>,
    going: &Going<'_>,
    args: &Args,
) -> Result<Removed, Refusal> {
    let mut rules = going.instance.map(Rules::of).unwrap_or_default();
    rules.timeout = args.timeout.or(rules.timeout);
    let options = ApplyOptions { rules, ..ApplyOptions::new(holder::current()) };
    let mut messages = Vec::new();
    let mut outcomes = Vec::new();
    for (id, _) in &going.releases {
        let done =
            apply::uninstall(teardown.client, id, args.allowance(), &options, &SystemClock).await;
        let outcome = done.map_err(|error| {
            let logs: Vec<String> = error.logs().iter().map(|log| format!("\n  {log}")).collect();
            let (message, exit) = refusal(&going.name, &error);
            let message = message.trim_start_matches(&format!("{}: ", going.name)).to_owned();
            (format!("{message}{}", logs.concat()), exit)
        })?;
        messages.push(told(&outcome));
        outcomes.push(outcome);
    }
    let mut message =
        if messages.is_empty() { "is not installed".to_owned() } else { messages.join(", ") };
    if teardown.reach == Reach::Namespace {
        message.push_str(
            "; looked for in its namespace only, since Secrets may not be listed over the whole \
             cluster",
        );
    }
    Ok(Removed { message, outcomes })
}

/// Asks, on a terminal. Elsewhere nobody can be asked, and what nobody has named goes only with
/// `--yes`.
fn agreed(context: &mut Context, teardowns: &[Teardown<'_>]) -> anyhow::Result<bool> {
    let releases = || teardowns.iter().flat_map(|one| &one.addons).flat_map(|one| &one.releases);
    let along: usize =
        releases().flat_map(|(_, removal)| &removal.along).map(|along| along.objects.len()).sum();
    if !std::io::stdin().is_terminal() {
        if along > 0 {
            writeln!(context.err, "error: {} would go along", counted(along, "object"))?;
            writeln!(context.err, "  help: agree with `--yes`")?;
        }
        return Ok(along == 0);
    }
    let count = counted(releases().count(), "release");
    let along = if along == 0 {
        String::new()
    } else {
        format!(", and with namespaces and CRDs {}", counted(along, "other object"))
    };
    let clusters = counted(teardowns.len(), "cluster");
    context.agrees(&format!("Uninstall {count} from {clusters}{along}?"))
}
