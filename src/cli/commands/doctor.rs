//! `fitout doctor`: whether clusters can be reached, and have and allow what their addons need.
//! Sends nothing that can mutate.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use futures::StreamExt as _;
use futures::future::join_all;
use serde_json::json;

use super::diff::Output;
use crate::base::clock::{Clock as _, SystemClock};
use crate::base::ids::{AddonName, ClusterName};
use crate::base::limits::CLUSTERS_IN_PARALLEL;
use crate::checkup::{Check, Checkup, Expected, Seen, judge, skew_seconds};
use crate::cli::clusters;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::load;
use crate::cli::selection::{InstanceArgs, instances_on};
use crate::fleet::Desired;
use crate::fleet::model::{Fleet, SecretKeyRef};
use crate::k8s::{
    ClusterClient, ConnectError, ConnectOptions, RequestError, Resource, connect_hub,
};
use crate::permissions::{Allowed, Catalog, Need, Permission, Scope, Wanted, needs_with_gates};
use crate::render::{Release, RenderOptions};
use crate::report;
use crate::report::diagnostics;
use crate::report::errors::chain;

/// Arguments of `fitout doctor`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    instances: InstanceArgs,
    /// How it is printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
}

/// Runs it.
pub async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let repository = load::repository(context)?;
    let desired = load::desired(context)?;
    let names = args.instances.clusters.select(&desired.fleet)?;
    let addons = args.instances.addons.select(&desired.fleet)?;
    // With addons that are not asked for: one may bring the CRD of another's objects.
    let rendered =
        load::render(&desired, &instances_on(&desired, &names), &RenderOptions::to_look_at());
    let text = diagnostics::text(&rendered.diagnostics, context.is_coloured);
    write!(context.err, "{text}")?;
    let options = clusters::options(context, &repository);
    let connections = clusters::connect_all(&desired.fleet, &names, &options).await;
    let jobs = connections.into_iter().map(|(name, connection)| {
        let expected = expected(&desired, &name, &addons);
        let releases: Vec<&Release> =
            rendered.value.iter().filter(|one| one.instance.key.cluster == name).collect();
        let (desired, options) = (&desired, &options);
        async move {
            match connection {
                Ok(client) => examine(&client, &releases, &expected, &desired.fleet).await,
                Err(error) => {
                    let secret = desired.fleet.clusters.get(&name).and_then(|cluster| {
                        cluster.value.spec.connection.kubeconfig_secret.as_ref()
                    });
                    not_connected(&expected, secret, &error, options).await
                }
            }
        }
    });
    let mut checkups: Vec<Checkup> =
        futures::stream::iter(jobs).buffer_unordered(CLUSTERS_IN_PARALLEL).collect().await;
    checkups.sort_by(|a, b| a.cluster.cmp(&b.cluster));
    match args.output {
        Output::Text => {
            write!(context.out, "{}", report::checkup::text(&checkups, context.is_coloured))?;
        }
        Output::Markdown => write!(context.out, "{}", report::checkup::markdown(&checkups))?,
        Output::Json => {
            writeln!(
                context.out,
                "{:#}",
                json!({"rev": desired.source.rev, "clusters": checkups})
            )?;
        }
    }
    Ok(exit(&checkups, Exit::of_findings(&rendered.diagnostics)))
}

fn exit(checkups: &[Checkup], of_files: Exit) -> Exit {
    if of_files != Exit::Done {
        of_files
    } else if checkups.iter().any(|checkup| !checkup.is_reachable) {
        Exit::World
    } else if checkups.iter().any(Checkup::has_errors) {
        Exit::Refused
    } else {
        Exit::Done
    }
}

fn expected(desired: &Desired, cluster: &ClusterName, addons: &BTreeSet<AddonName>) -> Expected {
    let on_it = desired.instances.iter().filter(|instance| instance.key.cluster == *cluster);
    let addons: BTreeSet<AddonName> = on_it
        .map(|instance| &instance.key.addon)
        .filter(|addon| addons.contains(*addon))
        .cloned()
        .collect();
    let range = |addon: &AddonName| desired.fleet.addons.get(addon)?.value.spec.kubernetes.clone();
    let document = desired.fleet.clusters.get(cluster);
    Expected {
        cluster: cluster.clone(),
        version: document.map_or_else(String::new, |one| one.value.spec.kubernetes_version.clone()),
        ranges: addons.iter().filter_map(|addon| Some((addon.clone(), range(addon)?))).collect(),
        addons,
    }
}

/// Of a cluster that no client could be made for.
async fn not_connected(
    expected: &Expected,
    secret: Option<&SecretKeyRef>,
    error: &ConnectError,
    options: &ConnectOptions,
) -> Checkup {
    match (error, secret) {
        (ConnectError::Hub { source: RequestError::Forbidden { .. }, .. }, Some(secret)) => {
            let user = match connect_hub(&expected.cluster, options).await {
                Ok(hub) => hub.user().await.ok(),
                Err(_) => None,
            };
            Checkup::behind_secret(expected, secret, user.as_deref())
        }
        _ => Checkup::unreachable(expected, chain(error)),
    }
}

async fn examine(
    client: &ClusterClient,
    releases: &[&Release],
    expected: &Expected,
    fleet: &Fleet,
) -> Checkup {
    let all: Vec<Wanted<'_>> = releases.iter().flat_map(|release| Wanted::of(release)).collect();
    match look(client, &all, expected, fleet).await {
        Ok(seen) => judge(expected, &seen),
        Err(error) => Checkup::unreachable(expected, chain(&error)),
    }
}

/// Asks a cluster everything.
///
/// # Errors
/// Only where it stops to answer.
async fn look(
    client: &ClusterClient,
    all: &[Wanted<'_>],
    expected: &Expected,
    fleet: &Fleet,
) -> Result<Seen, RequestError> {
    let mut seen = Seen { has_accepted: true, ..Seen::default() };
    let (before, began) = (SystemClock.now(), Instant::now());
    let probe = client.probe().await?;
    seen.millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let after = SystemClock.now();
    seen.skew_seconds = probe.date.map(|date| skew_seconds(date, before, after));
    if let Err(RequestError::Unauthorized) = probe.version {
        seen.has_accepted = false;
        return Ok(seen);
    }
    seen.version = Some(probe.version.map_err(|error| chain(&error)));
    match client.user().await {
        Ok(user) => seen.user = Some(user),
        Err(RequestError::Unauthorized) => {
            seen.has_accepted = false;
            return Ok(seen);
        }
        // Kubernetes before 1.28 has no such review.
        Err(RequestError::NotFound { .. }) => {}
        Err(error) => note(&mut seen, Check::Credentials, error)?,
    }
    let meant: Vec<Wanted<'_>> =
        all.iter().filter(|one| expected.addons.contains(one.addon)).copied().collect();
    let mut catalog = Catalog::of(all);
    kinds(client, &meant, &mut catalog, &mut seen).await?;
    namespaces(client, &meant, &mut seen).await?;
    let needs = needs_with_gates(&meant, &catalog, (fleet, &expected.cluster));
    permissions(client, needs, &mut seen).await?;
    Ok(seen)
}

/// Keeps why something is not known. A cluster that does not answer any more is an error.
fn note(seen: &mut Seen, check: Check, error: RequestError) -> Result<(), RequestError> {
    if error.is_whole_cluster() {
        return Err(error);
    }
    seen.unknown.entry(check).or_insert_with(|| chain(&error));
    Ok(())
}

/// Whether the cluster serves each kind, or a chart brings it.
async fn kinds(
    client: &ClusterClient,
    meant: &[Wanted<'_>],
    catalog: &mut Catalog,
    seen: &mut Seen,
) -> Result<(), RequestError> {
    let mut wanted: BTreeMap<(String, String), BTreeSet<AddonName>> = BTreeMap::new();
    for release in meant {
        for object in release.objects() {
            let kind = (object.api_version, object.key.kind);
            wanted.entry(kind).or_default().insert(release.addon.clone());
        }
    }
    seen.kinds = wanted.len();
    let jobs = wanted.into_iter().map(|(kind, addons)| async move {
        let found = client.resource(&kind.0, &kind.1).await;
        (kind, addons, found)
    });
    // How many go at once, the client sees to.
    for (kind, addons, found) in join_all(jobs).await {
        match found {
            Ok(found) => {
                catalog.learn(&found.group, &found.kind, &found.plural, found.is_namespaced);
            }
            Err(RequestError::NoSuchKind { .. }) if catalog.brings(&kind.0, &kind.1) => {}
            Err(RequestError::NoSuchKind { .. }) => {
                seen.unserved.insert(kind, addons);
            }
            Err(error) => note(seen, Check::Kinds, error)?,
        }
    }
    Ok(())
}

/// Which namespaces of releases are not there. One that may not be looked at is taken to be.
async fn namespaces(
    client: &ClusterClient,
    meant: &[Wanted<'_>],
    seen: &mut Seen,
) -> Result<(), RequestError> {
    let names: BTreeSet<&str> = meant.iter().map(|release| release.namespace).collect();
    let resource = Resource::core("Namespace", "namespaces", false);
    for name in names {
        match client.get(&resource, "", name).await {
            Ok(None) => {
                seen.absent.insert(name.to_owned());
            }
            Err(error) if error.is_whole_cluster() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// No namespace: the rules there are those that hold over the whole cluster.
const NOWHERE: &str = "fitout-asks-for-no-namespace";

/// The rules of each scope, by one review each. A scope is left out where they are not told.
async fn rules<'a>(
    client: &ClusterClient,
    asked: &BTreeSet<&'a Permission>,
) -> Result<BTreeMap<&'a Scope, Allowed>, RequestError> {
    let scopes: BTreeSet<&Scope> = asked.iter().map(|permission| &permission.scope).collect();
    let jobs = scopes.into_iter().map(|scope| async move {
        let namespace = match scope {
            Scope::Cluster => NOWHERE,
            Scope::Namespace(name) => name,
        };
        (scope, client.rules(namespace).await)
    });
    let mut rules = BTreeMap::new();
    for (scope, answer) in join_all(jobs).await {
        match answer {
            Ok(status) => {
                rules.insert(scope, Allowed::of(&status));
            }
            Err(error) if error.is_whole_cluster() => return Err(error),
            Err(_) => {}
        }
    }
    Ok(rules)
}

/// What is not allowed of what is needed. Where a server cannot tell all of its rules, what is not
/// among them is asked for one by one.
async fn permissions(
    client: &ClusterClient,
    needs: Vec<Need>,
    seen: &mut Seen,
) -> Result<(), RequestError> {
    let asked: BTreeSet<&Permission> =
        needs.iter().flat_map(|need| need.instead.iter().chain([&need.permission])).collect();
    let rules = rules(client, &asked).await?;
    let told = |permission: &Permission| rules.get(&permission.scope)?.allow(permission);
    let (told, left): (Vec<_>, Vec<_>) = asked
        .into_iter()
        .map(|permission| (permission, told(permission)))
        .partition(|(_, told)| told.is_some());
    let mut allowed: BTreeSet<Permission> = told
        .into_iter()
        .filter(|(_, told)| *told == Some(true))
        .map(|(permission, _)| permission.clone())
        .collect();
    let jobs = left.into_iter().map(|(permission, _)| async move {
        (permission, client.may(&permission.attributes()).await)
    });
    for (permission, answer) in join_all(jobs).await {
        match answer {
            Ok(true) => {
                allowed.insert(permission.clone());
            }
            Ok(false) => {}
            // One refusal says it for all of them.
            Err(error) => return note(seen, Check::Permissions, error),
        }
    }
    seen.permissions = needs.len();
    let is_there = seen.absent.is_empty();
    let lacks = |need: &Need| {
        let is_spared = is_there && need.is_for_absent_namespace();
        !is_spared && !allowed.contains(&need.permission) && !need.is_replaced_by(&allowed)
    };
    seen.denied = needs.into_iter().filter(lacks).collect();
    Ok(())
}
