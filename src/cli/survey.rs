//! The fleet against its clusters: rendered, compared, ready to be planned. Sends nothing that can
//! mutate.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use futures::StreamExt as _;

use super::clusters::{self, Connections};
use super::context::Context;
use super::load;
use super::selection::InstanceArgs;
use crate::apply::neighbours::{self, Neighbour};
use crate::apply::{self, ApplyError, ApplyOptions, Comparison, ObjectError};
use crate::base::clock::SystemClock;
use crate::base::clock::today;
use crate::base::ids::{AddonName, ClusterName, InstanceKey, Rev};
use crate::base::limits::CLUSTERS_IN_PARALLEL;
use crate::fleet::Desired;
use crate::fleet::instance::Instance;
use crate::fleet::model::Limits;
use crate::k8s::{ClusterClient, ConnectOptions, RequestError};
use crate::live::record::RecordHead;
use crate::live::{self, ReleaseId, releases};
use crate::plan::{Candidate, Evidence, Plan, RefusedBecause, Wish, make};
use crate::render::{Release, RenderOptions, render_fleet};
use crate::report::diagnostics;
use crate::report::errors::chain;

/// The selected part of a fleet and what its clusters say.
pub struct Survey {
    /// What git says, whole.
    pub desired: Desired,
    /// Clusters that could be connected to.
    pub clients: BTreeMap<ClusterName, ClusterClient>,
    /// Every selected instance, and what is left of former ones, by the id of its step.
    pub subjects: BTreeMap<String, Subject>,
    /// Whether a chart could not be had or rendered; that was told on stderr.
    pub has_findings: bool,
}

/// One instance.
pub struct Subject {
    /// Cluster and addon.
    pub key: InstanceKey,
    /// Its release.
    pub id: ReleaseId,
    /// What git says; `None` where the instance shall go.
    pub release: Option<Release>,
    /// What it depends on.
    pub depends_on: Vec<AddonName>,
    /// How much may be deleted.
    pub limits: Limits,
    /// Against its cluster.
    pub comparison: Result<Comparison, RefusedBecause>,
}

/// Which part of the fleet, where it was settled by names already.
pub struct Scope {
    /// On these clusters.
    pub clusters: BTreeSet<ClusterName>,
    /// These addons; all when empty.
    pub addons: BTreeSet<AddonName>,
}

impl Scope {
    /// What the arguments select.
    pub fn of(args: &InstanceArgs, desired: &Desired) -> anyhow::Result<Self> {
        let clusters = args.clusters.select(&desired.fleet)?;
        let addons = if args.addons.addons.is_empty() {
            BTreeSet::new()
        } else {
            args.addons.select(&desired.fleet)?
        };
        Ok(Self { clusters, addons })
    }

    fn has(&self, addon: &AddonName) -> bool {
        self.addons.is_empty() || self.addons.contains(addon)
    }
}

/// Reads the fleet and surveys the part of it that the arguments select.
pub async fn of_args(
    args: &InstanceArgs,
    options: &ApplyOptions,
    context: &mut Context,
) -> anyhow::Result<Survey> {
    let rev = context.global.rev.clone();
    let repository = load::repository(context)?;
    let checked = Desired::read(load::source(&repository, rev.as_deref())?, today());
    let desired = load::accept(context, checked)?;
    let scope = Scope::of(args, &desired)?;
    let connect = clusters::options(context, &repository);
    of_scope(desired, &scope, &connect, options, context).await
}

/// Surveys a part of a fleet.
pub async fn of_scope(
    desired: Desired,
    scope: &Scope,
    connect: &ConnectOptions,
    options: &ApplyOptions,
    context: &mut Context,
) -> anyhow::Result<Survey> {
    let selected: Vec<Instance> = desired
        .instances
        .iter()
        .filter(|instance| {
            scope.clusters.contains(&instance.key.cluster) && scope.has(&instance.key.addon)
        })
        .cloned()
        .collect();
    let connections = clusters::connect_all(&desired.fleet, &scope.clusters, connect);
    let source = desired.source.clone();
    let render = tokio::task::spawn_blocking(move || {
        let store = load::chart_store();
        render_fleet(&selected, &source, &store, &RenderOptions::install())
    });
    let (connections, rendered) = tokio::join!(connections, render);
    let rendered = rendered.context("rendering ended early")?;
    if !rendered.diagnostics.is_empty() {
        let text = diagnostics::text(&rendered.diagnostics, context.is_coloured);
        write!(context.err, "{text}").context("stderr is closed")?;
    }
    let has_findings = rendered.has_errors();
    let mut by_cluster: BTreeMap<ClusterName, Vec<Release>> =
        scope.clusters.iter().map(|name| (name.clone(), Vec::new())).collect();
    for release in rendered.value {
        by_cluster.entry(release.instance.key.cluster.clone()).or_default().push(release);
    }
    let mut subjects = BTreeMap::new();
    let (clients, down) = split(connections);
    let parts = by_cluster.into_iter().map(|(name, releases)| {
        let connection = match (clients.get(&name), down.get(&name)) {
            (Some(client), _) => Ok(client.clone()),
            (None, reason) => Err(reason.cloned().unwrap_or_default()),
        };
        of_cluster(name, connection, releases, &desired, (scope, options))
    });
    let parts: Vec<_> =
        futures::stream::iter(parts).buffer_unordered(CLUSTERS_IN_PARALLEL).collect().await;
    for (part, warnings) in parts {
        subjects.extend(part.into_iter().map(|subject| (candidate(&subject).id(), subject)));
        for warning in warnings {
            writeln!(context.err, "warning: {warning}").context("stderr is closed")?;
        }
    }
    Ok(Survey { desired, clients, subjects, has_findings })
}

type Reasons = BTreeMap<ClusterName, String>;

fn split(connections: Connections) -> (BTreeMap<ClusterName, ClusterClient>, Reasons) {
    let mut clients = BTreeMap::new();
    let mut down = Reasons::new();
    for (name, connection) in connections {
        match connection {
            Ok(client) => {
                clients.insert(name, client);
            }
            Err(error) => {
                down.insert(name, chain(&error));
            }
        }
    }
    (clients, down)
}

async fn of_cluster(
    name: ClusterName,
    connection: Result<ClusterClient, String>,
    releases: Vec<Release>,
    desired: &Desired,
    (scope, options): (&Scope, &ApplyOptions),
) -> (Vec<Subject>, Vec<String>) {
    let client = match connection {
        Ok(client) => client,
        Err(reason) => {
            let subjects = releases.into_iter().map(|release| {
                let because = RefusedBecause::Unreachable(reason.clone());
                subject(release, Err(because))
            });
            return (subjects.collect(), Vec::new());
        }
    };
    let mut warnings = version_warning(&client, &name, desired).await;
    let client = client.for_one_pass();
    let compared = releases.into_iter().map(|release| async {
        let compared = apply::compare(&client, &release, options, &SystemClock).await;
        subject(release, compared.map_err(|error| because(&error)))
    });
    let mut subjects = futures::future::join_all(compared).await;
    settle_neighbours(&mut subjects);
    let is_down = subjects
        .iter()
        .any(|subject| matches!(subject.comparison, Err(RefusedBecause::Unreachable(_))));
    if !is_down {
        match left_over(&client, &name, desired, scope, options).await {
            Ok(left) => subjects.extend(left),
            // Where not even the wanted releases could be read, that is told already.
            Err(_) if subjects.iter().all(|subject| subject.comparison.is_err()) => {}
            Err(error) => warnings.push(format!(
                "what git no longer wants on `{name}` cannot be told, and stays: {}",
                chain(&error)
            )),
        }
    }
    (subjects, warnings)
}

/// What the releases that are compared are to each other.
fn settle_neighbours(subjects: &mut [Subject]) {
    let neighbours = subjects.iter_mut().filter_map(|subject| {
        Some(Neighbour {
            release: subject.release.as_ref()?,
            comparison: subject.comparison.as_mut().ok()?,
            depends_on: &mut subject.depends_on,
        })
    });
    neighbours::settle(&mut neighbours.collect::<Vec<_>>());
}

fn subject(release: Release, comparison: Result<Comparison, RefusedBecause>) -> Subject {
    let instance = &release.instance;
    let subject = Subject {
        key: instance.key.clone(),
        id: ReleaseId::of(instance),
        depends_on: instance.depends_on.iter().map(|on| on.addon.clone()).collect(),
        limits: instance.limits.clone(),
        comparison,
        release: None,
    };
    Subject { release: Some(release), ..subject }
}

fn because(error: &ApplyError) -> RefusedBecause {
    if error.is_unreachable() {
        RefusedBecause::Unreachable(chain(error))
    } else {
        RefusedBecause::Gap(chain(error))
    }
}

/// Releases that fitout made and that git no longer wants there.
async fn left_over(
    client: &ClusterClient,
    cluster: &ClusterName,
    desired: &Desired,
    scope: &Scope,
    options: &ApplyOptions,
) -> Result<Vec<Subject>, RequestError> {
    let heads = releases::all_heads(client).await?;
    let wanted: BTreeSet<ReleaseId> = desired
        .instances
        .iter()
        .filter(|instance| instance.key.cluster == *cluster)
        .map(ReleaseId::of)
        .collect();
    // An instance sees to the releases in its slots itself, or says why it cannot.
    let is_wanted = |head: &RecordHead| {
        let base = live::blue_green::base_of(head);
        wanted.contains(&head.id) || base.is_some_and(|base| wanted.contains(&base))
    };
    let newest: BTreeMap<&ReleaseId, (&AddonName, &RecordHead)> = heads
        .iter()
        .filter(|head| !is_wanted(head))
        .filter_map(|head| Some((&head.id, (head.origin.addon.as_ref()?, head))))
        .filter(|(_, (addon, _))| scope.has(addon))
        .collect();
    let mut subjects = Vec::new();
    for (id, (addon, head)) in newest {
        let document = desired.fleet.addons.get(addon).map(|document| &document.value.spec);
        let policy = document.and_then(|spec| spec.rollout.policy.as_ref());
        let limits = policy
            .and_then(|policy| desired.fleet.policies.get(policy))
            .map_or_else(Limits::default, |policy| policy.value.spec.limits.clone());
        // Of one that git has no document of any more, its record tells.
        let depends_on = match document {
            Some(spec) => spec.depends_on.iter().map(|on| on.addon.clone()).collect(),
            None => head.origin.depends_on.clone(),
        };
        let compared = apply::compare_uninstall(client, id, &limits, options, &SystemClock).await;
        subjects.push(Subject {
            key: InstanceKey { cluster: cluster.clone(), addon: addon.clone() },
            id: id.clone(),
            release: None,
            depends_on,
            limits,
            comparison: compared.map_err(|error| because(&error)),
        });
    }
    Ok(subjects)
}

/// Charts are rendered for the version that the Cluster document says.
async fn version_warning(
    client: &ClusterClient,
    name: &ClusterName,
    desired: &Desired,
) -> Vec<String> {
    let minor = |version: &str| -> Vec<String> {
        let digits = version.trim_start_matches('v').split('.').take(2);
        digits.map(|part| part.chars().take_while(char::is_ascii_digit).collect()).collect()
    };
    let Some(document) = desired.fleet.clusters.get(name) else { return Vec::new() };
    let assumed = &document.value.spec.kubernetes_version;
    match client.version().await {
        Ok(live) if !live.is_empty() && minor(&live) != minor(assumed) => vec![format!(
            "cluster `{name}` runs Kubernetes {live}, and its document says {assumed}"
        )],
        _ => Vec::new(),
    }
}

impl Survey {
    /// The revision that was read.
    pub fn rev(&self) -> &Rev {
        &self.desired.source.rev
    }

    /// Ways out of what is refused.
    pub fn help(&self) -> BTreeSet<String> {
        let seen = self.subjects.values().filter_map(|subject| subject.comparison.as_ref().ok());
        seen.flat_map(Comparison::help).collect()
    }

    /// What is said of instances that are two releases beside one another.
    pub fn beside(&self) -> impl Iterator<Item = String> {
        let told = self.subjects.values().filter_map(|subject| {
            let beside = subject.comparison.as_ref().ok()?.beside.as_ref()?;
            Some(format!("{}: {beside}", subject.key))
        });
        told.collect::<Vec<_>>().into_iter()
    }

    /// The plan that follows.
    pub fn plan(&self) -> Plan {
        make(self.rev().clone(), self.subjects.values().map(candidate))
    }
}

/// What is wrong with objects: what the server does not take, or requests that failed.
fn told(seen: &Comparison, is_refusal: bool) -> Vec<String> {
    let of_kind = seen.problems.iter().filter(|error| error.is_refusal() == is_refusal);
    let told = ObjectError::told_together(of_kind);
    told.into_iter().map(|text| seen.mask.hide(&text)).collect()
}

fn candidate(subject: &Subject) -> Candidate {
    let evidence = match &subject.comparison {
        Err(because) => Err(because.clone()),
        Ok(seen) => Ok(Evidence {
            adopted: seen.adopted.clone(),
            pending: seen.pending.clone(),
            changes: seen.changes.clone(),
            failures: told(seen, false),
            problems: told(seen, true),
            guard: seen.refused.as_ref().map(ToString::to_string),
            gaps: seen.gaps.iter().map(ToString::to_string).collect(),
            states: seen.states.clone(),
        }),
    };
    Candidate {
        key: subject.key.clone(),
        namespace: subject.id.namespace.clone(),
        release: subject.id.name.clone(),
        depends_on: subject.depends_on.clone(),
        wish: subject.release.as_ref().map(|release| Wish {
            digest: release.digest.clone(),
            chart_version: release.chart_version().to_owned(),
        }),
        evidence,
    }
}
