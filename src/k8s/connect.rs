//! From a Cluster document to a client of its API server.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use http::HeaderValue;
use kube::config::{Kubeconfig, KubeconfigError};

use super::client::ClusterClient;
use super::connection::{Connection, Settings};
use super::discovery::Resource;
use super::error::RequestError;
use super::kubeconfig::{self, Chosen, Source};
use super::login::{self, LoginError};
use super::proxy::{Environment, ProxyError, proxy};
use crate::base::ids::ClusterName;
use crate::fleet::model::{Cluster, SecretKeyRef, Simulated};
use crate::object::access;
use crate::sim::SimFleet;

/// The key under which Cluster API keeps a kubeconfig.
const KUBECONFIG_KEY: &str = "value";

/// What API servers write into their audit logs.
const USER_AGENT: &str = concat!("fitout/", env!("CARGO_PKG_VERSION"));

/// What connecting depends on besides the Cluster document.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// The kubeconfig that contexts are looked up in; the usual places when not given.
    pub kubeconfig: Option<PathBuf>,
    /// What a relative `kubeconfigFile` is relative to.
    pub base_dir: PathBuf,
    /// How long one request may take.
    pub timeout: Duration,
    /// Whether credential plugins are run that a Secret of the hub or a kubeconfig in the fleet's
    /// repository names: whoever may write there then runs commands here.
    pub runs_plugins_of_data: bool,
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
    /// The kubeconfig makes no sense.
    #[error("reading the kubeconfig of cluster `{cluster}`{}", of(.path.as_ref()))]
    Kubeconfig {
        /// Which cluster.
        cluster: ClusterName,
        /// The file, if one was named.
        path: Option<PathBuf>,
        /// What is wrong.
        source: Box<KubeconfigError>,
    },
    /// The kubeconfig cannot be read.
    #[error("reading the kubeconfig of cluster `{cluster}` at `{}`", .path.display())]
    Unreadable {
        /// Which cluster.
        cluster: ClusterName,
        /// The file.
        path: PathBuf,
        /// What happened.
        source: std::io::Error,
    },
    /// The kubeconfig has no such context.
    #[error(
        "the kubeconfig{} has no context `{context}` for cluster `{cluster}`; it has {}",
        of(.path.as_ref()),
        listed(.contexts)
    )]
    NoContext {
        /// Which cluster.
        cluster: ClusterName,
        /// The file, if one was named.
        path: Option<PathBuf>,
        /// What was looked for.
        context: String,
        /// What is there.
        contexts: Vec<String>,
    },
    /// A kubeconfig of the fleet's repository wants more than one that is data may.
    #[error("the kubeconfig of cluster `{cluster}` at `{}` {reason}", .path.display())]
    Untrusted {
        /// Which cluster.
        cluster: ClusterName,
        /// The file.
        path: PathBuf,
        /// What it wants.
        reason: &'static str,
    },
    /// No credentials.
    #[error("logging in to cluster `{cluster}`")]
    Login {
        /// Which cluster.
        cluster: ClusterName,
        /// What happened.
        source: LoginError,
    },
    /// A proxy that cannot be used.
    #[error("reaching cluster `{cluster}`")]
    Proxy {
        /// Which cluster.
        cluster: ClusterName,
        /// What is wrong.
        source: ProxyError,
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

fn listed(contexts: &[String]) -> String {
    const SHOWN_MAX: usize = 10;
    let shown: Vec<_> = contexts.iter().take(SHOWN_MAX).map(|name| format!("`{name}`")).collect();
    match contexts.len().saturating_sub(SHOWN_MAX) {
        _ if contexts.is_empty() => "none".to_owned(),
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A client for a cluster. Nothing is sent yet, except for `kubeconfigSecret`, which is read
/// from the hub: the cluster of the current kubeconfig. A credential plugin is run.
pub async fn connect(
    cluster: &Cluster,
    options: &ConnectOptions,
) -> Result<ClusterClient, ConnectError> {
    let name = &cluster.metadata.name;
    let connection = &cluster.spec.connection;
    let rate = connection.requests_per_second;
    if let Some(simulated) = &connection.simulated {
        return Ok(to_simulated(name, simulated, options).await?.at_most(rate));
    }
    let origin = if let Some(context) = &connection.context {
        let path = options.kubeconfig.clone();
        Origin::Kubeconfig { path, context: Some(context.clone()), is_data: false }
    } else if let Some(file) = &connection.kubeconfig_file {
        let path = options.base_dir.join(file);
        let is_data = is_within(&path, &options.base_dir);
        Origin::Kubeconfig { path: Some(path), context: None, is_data }
    } else if let Some(reference) = &connection.kubeconfig_secret {
        Origin::Secret(reference.clone())
    } else if connection.in_cluster.is_some() {
        Origin::InCluster
    } else {
        return Err(ConnectError::NoConnection { cluster: name.clone() });
    };
    let way = Way { name: name.clone(), origin, options: options.clone() };
    let opened = Connection::open(way).await?;
    Ok(ClusterClient::over(name.clone(), opened, options.timeout).at_most(rate))
}

/// A client of the hub: the cluster of the current kubeconfig, or else the one that fitout runs in.
///
/// `name` is told where that fails.
pub async fn connect_hub(
    name: &ClusterName,
    options: &ConnectOptions,
) -> Result<ClusterClient, ConnectError> {
    let path = options.kubeconfig.clone();
    let way = |origin| Way { name: name.clone(), origin, options: options.clone() };
    let current = Origin::Kubeconfig { path, context: None, is_data: false };
    let opened = match Connection::open(way(current)).await {
        Ok(opened) => opened,
        Err(error @ ConnectError::Login { .. }) => return Err(error),
        Err(error) => Connection::open(way(Origin::InCluster)).await.map_err(|_| error)?,
    };
    Ok(ClusterClient::over(name.clone(), opened, options.timeout))
}

/// Whether a file is below a folder, wherever links lead.
pub fn is_within(path: &Path, folder: &Path) -> bool {
    match (path.canonicalize(), folder.canonicalize()) {
        (Ok(path), Ok(folder)) => path.starts_with(folder),
        _ => false,
    }
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
        let client = client(name, kube::Config::new(url), options)?;
        return Ok(ClusterClient::new(name.clone(), client, options.timeout));
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
) -> Result<kube::Client, ConnectError> {
    // The client retries by itself, with a bound that fits a fleet.
    config.default_retry = false;
    config.headers.push((http::header::USER_AGENT, HeaderValue::from_static(USER_AGENT)));
    config.connect_timeout = Some(options.timeout.min(Duration::from_secs(10)));
    kube::Client::try_from(config)
        .map_err(|error| ConnectError::Client { cluster: name.clone(), source: Box::new(error) })
}

/// How a cluster is reached: what is read again for new credentials.
#[derive(Clone)]
pub(super) struct Way {
    name: ClusterName,
    origin: Origin,
    options: ConnectOptions,
}

/// Where the settings of a connection are.
#[derive(Clone)]
enum Origin {
    Kubeconfig {
        path: Option<PathBuf>,
        context: Option<String>,
        /// Whoever changes the fleet has written it.
        is_data: bool,
    },
    Secret(SecretKeyRef),
    InCluster,
}

impl Way {
    /// Reads everything.
    pub(super) async fn settings(&self) -> Result<Settings, ConnectError> {
        let cluster = || self.name.clone();
        let Chosen { mut config, proxy_url, plugin_sees } = match &self.origin {
            Origin::Kubeconfig { path, context, is_data } => {
                self.of_file(path.as_deref(), context.as_deref(), *is_data)?
            }
            // The hub is reached in a way of its own.
            Origin::Secret(reference) => Box::pin(self.of_secret(reference)).await?,
            Origin::InCluster => {
                let config = kube::Config::incluster().map_err(|error| {
                    ConnectError::NotInCluster { cluster: cluster(), source: Box::new(error) }
                })?;
                Chosen { config, proxy_url: None, plugin_sees: None }
            }
        };
        let environment = Environment::of_process();
        config.proxy_url = proxy(&config.cluster_url, proxy_url.as_deref(), &environment)
            .map_err(|source| ConnectError::Proxy { cluster: cluster(), source })?;
        let login = login::resolve(config.auth_info.clone(), plugin_sees).await;
        let login = login.map_err(|source| ConnectError::Login { cluster: cluster(), source })?;
        Ok(Settings::new(config, login))
    }

    pub(super) fn client(&self, config: kube::Config) -> Result<kube::Client, ConnectError> {
        client(&self.name, config, &self.options)
    }

    fn of_file(
        &self,
        path: Option<&Path>,
        context: Option<&str>,
        is_data: bool,
    ) -> Result<Chosen, ConnectError> {
        let failed = |error| ConnectError::Kubeconfig {
            cluster: self.name.clone(),
            path: path.map(Path::to_owned),
            source: Box::new(error),
        };
        let read = match path {
            Some(path) => Kubeconfig::read_from(path),
            None => Kubeconfig::read(),
        };
        let read = read.map_err(|error| match error {
            KubeconfigError::ReadConfig(source, path) => {
                ConnectError::Unreadable { cluster: self.name.clone(), path, source }
            }
            error => failed(error),
        })?;
        if let Some(path) = path.filter(|_| is_data) {
            let source = Source::Repository(&self.options.base_dir);
            let is_trusted = self.options.runs_plugins_of_data;
            if let Some(reason) = kubeconfig::refused(&read, source, is_trusted) {
                let (cluster, path) = (self.name.clone(), path.to_owned());
                return Err(ConnectError::Untrusted { cluster, path, reason });
            }
        }
        kubeconfig::chosen(&read, context).map_err(|error| match error {
            KubeconfigError::LoadContext(context) => ConnectError::NoContext {
                cluster: self.name.clone(),
                path: path.map(Path::to_owned),
                context,
                contexts: read.contexts.iter().map(|context| context.name.clone()).collect(),
            },
            error => failed(error),
        })
    }

    async fn of_secret(&self, reference: &SecretKeyRef) -> Result<Chosen, ConnectError> {
        let (name, options) = (&self.name, &self.options);
        let secret = format!("{}/{}", reference.namespace, reference.name);
        let useless = |reason| ConnectError::HubSecret {
            cluster: name.clone(),
            secret: secret.clone(),
            reason,
        };
        let hub = connect_hub(name, options).await?;
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
        let read = Kubeconfig::from_yaml(&text)
            .map_err(|_| useless("holds no kubeconfig that can be read"))?;
        if let Some(reason) =
            kubeconfig::refused(&read, Source::Secret, options.runs_plugins_of_data)
        {
            return Err(useless(reason));
        }
        kubeconfig::chosen(&read, None).map_err(|_| useless("holds no kubeconfig that can be used"))
    }
}
