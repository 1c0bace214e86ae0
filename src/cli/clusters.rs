//! Connections to the fleet's clusters, as the arguments and the environment say.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use futures::StreamExt as _;

use super::context::Context;
use super::control;
use crate::base::clock::SystemClock;
use crate::base::ids::ClusterName;
use crate::base::limits::CLUSTERS_IN_PARALLEL;
use crate::fleet::model::{Cluster, Fleet};
use crate::git::Repository;
use crate::k8s::{ClusterClient, ConnectError, ConnectOptions, connect};

/// The clusters that could be connected to, and why others could not.
pub type Connections = BTreeMap<ClusterName, Result<ClusterClient, ConnectError>>;

/// What connecting depends on, for commands that work on a repository.
pub fn options(context: &Context, repository: &Repository) -> ConnectOptions {
    let folder = repository.folder().map_or_else(|| PathBuf::from("."), PathBuf::from);
    // A list of files in `KUBECONFIG` is what kube itself reads.
    let kubeconfig = context
        .global
        .kubeconfig
        .clone()
        .filter(|path| path.exists() || !path.to_string_lossy().contains(':'));
    ConnectOptions {
        kubeconfig,
        base_dir: folder,
        timeout: context.global.request_timeout,
        runs_plugins_of_data: context.global.insecure_kubeconfig_exec,
        simulated: control::simulated(repository, Arc::new(SystemClock)),
    }
}

/// Connects to clusters, many at a time.
pub async fn connect_all(
    fleet: &Fleet,
    names: &BTreeSet<ClusterName>,
    options: &ConnectOptions,
) -> Connections {
    let clusters: Vec<Cluster> = names
        .iter()
        .filter_map(|name| fleet.clusters.get(name).map(|document| document.value.clone()))
        .collect();
    futures::stream::iter(clusters)
        .map(|cluster| async move {
            let connected = connect(&cluster, options).await;
            (cluster.metadata.name, connected)
        })
        .buffer_unordered(CLUSTERS_IN_PARALLEL)
        .collect()
        .await
}

/// Connects to one cluster.
///
/// # Errors
/// Why that cannot be, or that the fleet has no such cluster.
pub async fn connect_one(
    fleet: &Fleet,
    name: &ClusterName,
    options: &ConnectOptions,
) -> anyhow::Result<ClusterClient> {
    let mut connections = connect_all(fleet, &[name.clone()].into(), options).await;
    let Some((_, connection)) = connections.pop_first() else {
        anyhow::bail!("cluster `{name}` is not in the fleet");
    };
    Ok(connection?)
}

/// Keeps what simulated clusters have become.
pub fn save<'a>(clients: impl IntoIterator<Item = &'a ClusterClient>) -> anyhow::Result<()> {
    for client in clients {
        client.save()?;
    }
    Ok(())
}
