//! From a Cluster document to a client of its API server.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};

use super::client::ClusterClient;
use super::discovery::Resource;
use super::error::RequestError;
use crate::base::ids::ClusterName;
use crate::fleet::model::{Cluster, SecretKeyRef, Simulated};
use crate::object::access;
use crate::sim::SimFleet;

/// The key under which Cluster API keeps a kubeconfig.
const KUBECONFIG_KEY: &str = "value";

/// What connecting depends on besides the Cluster document.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// The kubeconfig that contexts are looked up in; the usual places when not given.
    pub kubeconfig: Option<PathBuf>,
    /// What a relative `kubeconfigFile` is relative to.
    pub base_dir: PathBuf,
    /// How long one request may take.
    pub timeout: Duration,
    /// The fleet's simulated clusters.
    pub simulated: SimFleet,
}

/// A cluster that no client could be made for. Whether it answers shows with the first request.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The document names no connection.
    #[error("cluster `{cluster}` has no connection")]
    NoConnection {
        /// Which cluster.
        cluster: ClusterName,
    },
    /// The kubeconfig lacks the context, cannot be read or makes no sense.
    #[error("reading the kubeconfig of cluster `{cluster}`{}", of(.path.as_ref()))]
    Kubeconfig {
        /// Which cluster.
        cluster: ClusterName,
        /// The file, if one was named.
        path: Option<PathBuf>,
        /// What is wrong.
        source: Box<KubeconfigError>,
    },
    /// Not within a cluster.
    #[error("cluster `{cluster}` is the one fitout runs in, but fitout runs in none")]
    NotInCluster {
        /// Which cluster.
        cluster: ClusterName,
        /// What is missing.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// TLS or login settings that no client can be made of.
    #[error("making a client for cluster `{cluster}`")]
    Client {
        /// Which cluster.
        cluster: ClusterName,
        /// What is wrong.
        source: Box<kube::Error>,
    },
    /// The hub did not give the Secret that holds the kubeconfig.
    #[error("reading the Secret `{secret}` of cluster `{cluster}` in the hub")]
    Hub {
        /// Which cluster.
        cluster: ClusterName,
        /// Namespace and name.
        secret: String,
        /// What happened.
        source: RequestError,
    },
    /// The Secret is not there or holds no usable kubeconfig.
    #[error("the Secret `{secret}` of cluster `{cluster}` {reason}")]
    HubSecret {
        /// Which cluster.
        cluster: ClusterName,
        /// Namespace and name.
        secret: String,
        /// Why it is of no use; never its content.
        reason: &'static str,
    },
    /// The simulated cluster's state cannot be used.
    #[error("opening simulated cluster `{cluster}`")]
    Simulated {
        /// Which cluster.
        cluster: ClusterName,
        /// What happened.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

fn of(path: Option<&PathBuf>) -> String {
    path.map(|path| format!(" at `{}`", path.display())).unwrap_or_default()
}

/// A client for a cluster. Nothing is sent yet, except for `kubeconfigSecret`, which is read
/// from the hub: the cluster of the current kubeconfig.
pub async fn connect(
    cluster: &Cluster,
    options: &ConnectOptions,
) -> Result<ClusterClient, ConnectError> {
    let name = &cluster.metadata.name;
    let connection = &cluster.spec.connection;
    if let Some(simulated) = &connection.simulated {
        return to_simulated(name, simulated, options).await;
    }
    let config = if let Some(context) = &connection.context {
        from_kubeconfig(name, options.kubeconfig.as_deref(), Some(context)).await?
    } else if let Some(file) = &connection.kubeconfig_file {
        from_kubeconfig(name, Some(&options.base_dir.join(file)), None).await?
    } else if let Some(reference) = &connection.kubeconfig_secret {
        from_hub(name, reference, options).await?
    } else if connection.in_cluster.is_some() {
        kube::Config::incluster().map_err(|error| ConnectError::NotInCluster {
            cluster: name.clone(),
            source: Box::new(error),
        })?
    } else {
        return Err(ConnectError::NoConnection { cluster: name.clone() });
    };
    client(name, config, options)
}

/// A simulated cluster: the one that another process serves, or one in this process.
async fn to_simulated(
    name: &ClusterName,
    simulated: &Simulated,
    options: &ConnectOptions,
) -> Result<ClusterClient, ConnectError> {
    let failed = |source| ConnectError::Simulated { cluster: name.clone(), source };
    let is_open_here = options.simulated.opened(name).await.is_some();
    let serving = options.simulated.serving().filter(|_| !is_open_here);
    if let Some(serving) = serving.filter(|serving| serving.clusters.contains(name)) {
        let url = serving.url(name).parse();
        let url = url.map_err(|error: http::uri::InvalidUri| failed(Box::new(error)))?;
        return client(name, kube::Config::new(url), options);
    }
    let cluster = options.simulated.cluster(name, simulated.nodes).await;
    let cluster = cluster.map_err(|error| failed(Box::new(error)))?;
    let fleet = options.simulated.clone();
    Ok(ClusterClient::of_simulated(name.clone(), cluster, fleet, options.timeout))
}

fn client(
    name: &ClusterName,
    mut config: kube::Config,
    options: &ConnectOptions,
) -> Result<ClusterClient, ConnectError> {
    // The client retries by itself, with a bound that fits a fleet.
    config.default_retry = false;
    config.connect_timeout = Some(options.timeout.min(Duration::from_secs(10)));
    let client = kube::Client::try_from(config)
        .map_err(|error| ConnectError::Client { cluster: name.clone(), source: Box::new(error) })?;
    Ok(ClusterClient::new(name.clone(), client, options.timeout))
}

async fn from_kubeconfig(
    name: &ClusterName,
    path: Option<&Path>,
    context: Option<&str>,
) -> Result<kube::Config, ConnectError> {
    let failed = |error| ConnectError::Kubeconfig {
        cluster: name.clone(),
        path: path.map(Path::to_owned),
        source: Box::new(error),
    };
    let options =
        KubeConfigOptions { context: context.map(str::to_owned), cluster: None, user: None };
    let kubeconfig = match path {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let kubeconfig = kubeconfig.map_err(failed)?;
    kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(failed)
}

async fn from_hub(
    name: &ClusterName,
    reference: &SecretKeyRef,
    options: &ConnectOptions,
) -> Result<kube::Config, ConnectError> {
    let secret = format!("{}/{}", reference.namespace, reference.name);
    let useless =
        |reason| ConnectError::HubSecret { cluster: name.clone(), secret: secret.clone(), reason };
    let hub = from_kubeconfig(name, options.kubeconfig.as_deref(), None).await;
    let hub = match hub {
        Ok(config) => config,
        Err(error) => kube::Config::incluster().map_err(|_| error)?,
    };
    let hub = client(name, hub, options)?;
    let secrets = Resource::core("Secret", "secrets", true);
    let found = hub.get(&secrets, &reference.namespace, &reference.name).await;
    let found = found.map_err(|source| ConnectError::Hub {
        cluster: name.clone(),
        secret: secret.clone(),
        source,
    })?;
    let found = found.ok_or_else(|| useless("is not in the hub"))?;
    let key = reference.key.as_deref().unwrap_or(KUBECONFIG_KEY);
    let text = access::text(&found, &["data", key])
        .and_then(|data| base64::engine::general_purpose::STANDARD.decode(data).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| useless("has no text under the key"))?;
    let kubeconfig = Kubeconfig::from_yaml(&text)
        .map_err(|_| useless("holds no kubeconfig that can be read"))?;
    if reaches_outside(&kubeconfig) {
        return Err(useless("runs a command or names a file to log in, which is not allowed"));
    }
    kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(|_| useless("holds no kubeconfig that can be used"))
}

/// Whether a kubeconfig would run a command or read a file here. One that comes from the hub is
/// written by whoever may write Secrets there, and must do neither.
fn reaches_outside(kubeconfig: &Kubeconfig) -> bool {
    let users = kubeconfig.auth_infos.iter().filter_map(|named| named.auth_info.as_ref());
    let clusters = kubeconfig.clusters.iter().filter_map(|named| named.cluster.as_ref());
    users.into_iter().any(|user| {
        user.exec.is_some()
            || user.auth_provider.is_some()
            || user.token_file.is_some()
            || user.client_certificate.is_some()
            || user.client_key.is_some()
    }) || clusters.into_iter().any(|cluster| cluster.certificate_authority.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubeconfig_of_the_hub_that_runs_a_command_is_not_taken() {
        let text = "apiVersion: v1\nkind: Config\nusers:\n- name: u\n  user:\n    exec:\n      \
                    apiVersion: client.authentication.k8s.io/v1\n      command: sh\n";
        assert!(reaches_outside(&Kubeconfig::from_yaml(text).unwrap()));
        let text = "apiVersion: v1\nkind: Config\nusers:\n- name: u\n  user: {token: t}\n";
        assert!(!reaches_outside(&Kubeconfig::from_yaml(text).unwrap()));
    }
}
