//! Simulated clusters on loopback: for kubectl, helm, and other fitout processes.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::any;
use http_body_util::BodyExt as _;
use serde_json::{Value as Json, json};

use super::fleet::{Serving, SimFleet, lock};
use super::request::Request;
use super::state::StateError;
use crate::base::clock::{Clock as _, SystemClock};
use crate::base::ids::ClusterName;

/// How often changed states are kept while clusters are served.
const KEEP_EVERY: Duration = Duration::from_millis(500);

/// Clusters being served, until it is dropped.
#[derive(Debug)]
pub struct Served {
    /// Where.
    pub serving: Serving,
    file: Option<PathBuf>,
    _lock: Option<File>,
    server: tokio::task::JoinHandle<()>,
    keeper: tokio::task::JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.server.abort();
        self.keeper.abort();
        if let Some(file) = &self.file {
            // One that stays is ignored: nobody holds its lock.
            let _ = std::fs::remove_file(file);
        }
    }
}

/// Serves clusters, each with so many nodes, and notes in the fleet's folder where.
///
/// # Errors
/// When the address is taken, a state cannot be used, or another process serves them.
pub async fn serve(
    fleet: &SimFleet,
    clusters: &[(ClusterName, u32)],
    address: SocketAddr,
) -> Result<Served, StateError> {
    let held = match fleet.folder() {
        Some(folder) => Some(lock(&folder.join("serving.lock")).await?),
        None => None,
    };
    for (name, nodes) in clusters {
        fleet.cluster(name, *nodes).await?;
    }
    let failed = |source| StateError::Listen { address, source };
    let listener = tokio::net::TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let serving = Serving {
        address: format!("http://{bound}"),
        clusters: clusters.iter().map(|(name, _)| name.clone()).collect(),
    };
    let file = fleet.folder().map(|folder| folder.join("serving.json"));
    if let Some(file) = &file {
        let bytes = serde_json::to_vec(&serving).expect("it has text only");
        crate::net::cache::write_atomically(file, &bytes)
            .map_err(|source| StateError::Write { path: file.clone(), source })?;
    }
    let routes =
        Router::new().route("/clusters/{name}/{*path}", any(answer)).with_state(fleet.clone());
    let server = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            tracing::error!(%error, "serving simulated clusters has ended");
        }
    });
    let keeper = tokio::spawn(keep(fleet.clone()));
    Ok(Served { serving, file, _lock: held, server, keeper })
}

/// Keeps what the clusters become, so that little is lost when the process is killed.
async fn keep(fleet: SimFleet) {
    if fleet.folder().is_none() {
        return;
    }
    let mut kept = BTreeMap::new();
    loop {
        SystemClock.sleep(KEEP_EVERY).await;
        for cluster in fleet.all_opened().await {
            let version = cluster.version();
            if kept.get(&cluster.name()) == Some(&version) {
                continue;
            }
            match fleet.save(&cluster) {
                Ok(()) => drop(kept.insert(cluster.name(), version)),
                Err(error) => tracing::warn!(%error, "a simulated cluster was not kept"),
            }
        }
    }
}

async fn answer(
    State(fleet): State<SimFleet>,
    Path((name, path)): Path<(String, String)>,
    request: axum::extract::Request,
) -> Response {
    let plain = |code: StatusCode, text: String| {
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = code;
        response
    };
    let Some(cluster) = fleet.opened(&ClusterName::from(name.as_str())).await else {
        return plain(StatusCode::NOT_FOUND, format!("there is no simulated cluster `{name}`\n"));
    };
    let (mut head, body) = request.into_parts();
    let query = head.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    // The path as it was sent: the extractor has decoded it.
    let prefix = format!("/clusters/{name}");
    let sent = head.uri.path().strip_prefix(&prefix).map_or(format!("/{path}"), str::to_owned);
    match format!("{sent}{query}").parse() {
        Ok(uri) => head.uri = uri,
        Err(_) => return plain(StatusCode::BAD_REQUEST, "the path makes no sense\n".to_owned()),
    }
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return plain(StatusCode::BAD_REQUEST, format!("{error}\n")),
    };
    match cluster.answer(Request::new(&head, body)).await {
        Ok(response) => response.map(Body::new),
        Err(error) => plain(StatusCode::BAD_GATEWAY, format!("{error}\n")),
    }
}

/// A kubeconfig with a context for each cluster, named as the cluster is.
pub fn kubeconfig(serving: &Serving) -> Json {
    let clusters: Vec<Json> = serving
        .clusters
        .iter()
        .map(|name| json!({"name": name, "cluster": {"server": serving.url(name)}}))
        .collect();
    let contexts: Vec<Json> = serving
        .clusters
        .iter()
        .map(|name| json!({"name": name, "context": {"cluster": name, "user": "simulated"}}))
        .collect();
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": clusters,
        "users": [{"name": "simulated", "user": {}}],
        "contexts": contexts,
        "current-context": serving.clusters.first(),
    })
}
