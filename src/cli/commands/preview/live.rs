//! `--live`: what some clusters say to the change, by dry runs that send nothing that can mutate.
//!
//! The change may be hostile. Where a cluster is and how one logs in is what the *base* says, so
//! that a change cannot have the job's credentials sent to a server of its own; and a kubeconfig
//! within the repository, which the change could have replaced, is not used.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::StreamExt as _;

use crate::apply::{
    self, ApplyError, ApplyOptions, Comparison, ObjectError, Refused, holder, neighbours,
};
use crate::base::clock::SystemClock;
use crate::base::ids::{ClusterName, InstanceKey};
use crate::base::limits::CLUSTERS_IN_PARALLEL;
use crate::cli::clusters;
use crate::cli::context::Context;
use crate::cli::selection::unknown;
use crate::fleet::model::{Cluster, Fleet};
use crate::git::Repository;
use crate::k8s::{ClusterClient, ConnectOptions, connect, is_within};
use crate::live::{GapSubject, ReleaseId};
use crate::preview::live::{Answer, Asked, LiveReport};
use crate::preview::{Preview, Side};
use crate::report::errors::chain;

/// Which clusters are asked, and how long that may take.
#[derive(Debug, clap::Args)]
pub(super) struct LiveArgs {
    /// Ask these clusters as well, by server-side dry runs of what the change does there
    #[arg(long = "live", value_name = "CLUSTER", value_delimiter = ',')]
    clusters: Vec<ClusterName>,
    /// How long a cluster may take to answer
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = humantime::parse_duration)]
    live_timeout: Duration,
}

impl LiveArgs {
    /// Whether any cluster is to be asked.
    pub(super) fn is_wanted(&self) -> bool {
        !self.clusters.is_empty()
    }

    /// Refuses names that neither side has.
    pub(super) fn check(&self, base: &Fleet, head: &Fleet) -> anyhow::Result<()> {
        for name in &self.clusters {
            if !base.clusters.contains_key(name) && !head.clusters.contains_key(name) {
                let known = head.clusters.keys().map(ClusterName::as_str);
                return Err(unknown("cluster", name.as_str(), known).into());
            }
        }
        Ok(())
    }

    /// Asks the clusters; nothing where none was to be asked.
    pub(super) async fn ask(
        &self,
        (base, head): (&Side<'_>, &Side<'_>),
        made: &Preview,
        repository: &Repository,
        context: &Context,
    ) -> anyhow::Result<Option<LiveReport>> {
        if !self.is_wanted() {
            return Ok(None);
        }
        let connect = clusters::options(context, repository);
        let asking = Asking { base, head, made, connect: &connect };
        let names: BTreeSet<&ClusterName> = self.clusters.iter().collect();
        let jobs = names.into_iter().map(|name| async {
            let said = tokio::time::timeout(self.live_timeout, asking.cluster(name)).await;
            let late = humantime::format_duration(self.live_timeout);
            let said = said.unwrap_or_else(|_| Err(format!("it did not answer within {late}")));
            (name.clone(), said)
        });
        let jobs = futures::stream::iter(jobs).buffer_unordered(CLUSTERS_IN_PARALLEL);
        let mut asked = Asked::default();
        for (name, said) in jobs.collect::<Vec<_>>().await {
            match said {
                Ok(answers) if answers.is_empty() => {
                    asked.unconcerned.insert(name);
                }
                Ok(answers) => asked.answers.extend(answers),
                Err(reason) => {
                    asked.silent.insert(name, reason);
                }
            }
        }
        Ok(Some(LiveReport::new(base, head, asked)))
    }
}

/// What asking depends on.
struct Asking<'a> {
    base: &'a Side<'a>,
    head: &'a Side<'a>,
    made: &'a Preview,
    connect: &'a ConnectOptions,
}

impl Asking<'_> {
    async fn cluster(&self, name: &ClusterName) -> Result<BTreeMap<InstanceKey, Answer>, String> {
        let Some(document) = self.base.desired.fleet.clusters.get(name) else {
            return Err("it is not asked: the base has no such cluster".to_owned());
        };
        trusted(&document.value, self.connect)?;
        let client = connect(&document.value, self.connect).await.map_err(|error| chain(&error))?;
        client.version().await.map_err(|error| chain(&error))?;
        let client = client.for_one_pass();
        let changed = self.made.changed.iter().filter(|key| key.cluster == *name);
        let jobs = changed.map(|key| async { (key.clone(), self.instance(&client, key).await) });
        Ok(futures::future::join_all(jobs).await.into_iter().collect())
    }

    async fn instance(&self, client: &ClusterClient, key: &InstanceKey) -> Answer {
        let wanted = self.head.releases.get(key);
        if let Some(layer) = wanted.and_then(|release| release.instance.encrypted()) {
            let told = format!("it is not compared: `{}` is encrypted", layer.file());
            return Answer { problems: vec![told], ..Answer::default() };
        }
        let mut options = ApplyOptions::new(holder::current());
        options.is_read_only = true;
        let compared = match (self.head.releases.get(key), self.base.releases.get(key)) {
            (Some(release), _) => apply::compare(client, release, &options, &SystemClock).await,
            (None, Some(release)) => {
                let instance = &release.instance;
                let id = ReleaseId::of(instance);
                // Of two beside one another, the one with the traffic stands for both.
                let id = apply::blue_green::present(client, &id).await.unwrap_or(id);
                apply::compare_uninstall(client, &id, &instance.limits, &options, &SystemClock)
                    .await
            }
            (None, None) => return Answer::default(),
        };
        let compared = compared.map(|mut seen| {
            let of_cluster =
                self.head.releases.iter().filter(|(one, _)| one.cluster == key.cluster);
            let unserved = std::mem::take(&mut seen.unserved);
            seen.unserved = neighbours::without_brought(unserved, of_cluster.map(|(_, one)| *one));
            seen
        });
        answer(compared, self.head.releases.contains_key(key))
    }
}

fn answer(compared: Result<Comparison, ApplyError>, is_wanted: bool) -> Answer {
    let seen = match compared {
        Ok(seen) => seen,
        Err(error) => return Answer { problems: vec![chain(&error)], ..Answer::default() },
    };
    let mut problems: Vec<String> = seen.refused.iter().map(ToString::to_string).collect();
    if !seen.unserved.is_empty() {
        problems.push(Refused::NotServed { objects: seen.unserved }.to_string());
    }
    let told = ObjectError::told_together(&seen.problems);
    problems.extend(told.into_iter().map(|text| seen.mask.hide(&text)));
    problems.extend(seen.gaps.iter().map(|gap| format!("could not be read: {gap}")));
    if seen.is_worked_out {
        let here =
            "the credentials may not ask for a dry run: it is worked out here, without webhooks";
        problems.push(here.to_owned());
    }
    let is_new = || {
        let has_records = seen.adopted.is_some() || seen.pending.is_some();
        !has_records && seen.gaps.iter().all(|gap| gap.subject != GapSubject::Records)
    };
    let is_whole = !is_wanted || is_new();
    let mut changes = seen.changes;
    for field in changes.iter_mut().flat_map(|change| &mut change.fields) {
        // Since when is another time on each cluster: the same change is told once.
        for owner in &mut field.owners {
            let name = owner.split(" since ").next().unwrap_or_default().to_owned();
            *owner = name;
        }
        field.owners.dedup();
    }
    Answer { changes, is_whole, problems }
}

/// Whether the way to a cluster is one that the change cannot have altered.
fn trusted(cluster: &Cluster, options: &ConnectOptions) -> Result<(), String> {
    let Some(file) = &cluster.spec.connection.kubeconfig_file else { return Ok(()) };
    if is_within(&options.base_dir.join(file), &options.base_dir) {
        return Err(format!(
            "it is not asked: its kubeconfig `{file}` is in the repository, where the change could \
             have replaced it; use a context"
        ));
    }
    Ok(())
}

/// Whether a wanted answer is missing.
pub(super) fn is_incomplete(report: Option<&LiveReport>) -> bool {
    report.is_some_and(|report| !report.silent.is_empty())
}
