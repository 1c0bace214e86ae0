//! `/healthz`, `/readyz`, `/metrics` and `/approvals`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::approvals::api;
use super::metrics::Metrics;

/// A controller whose last tick is so long ago hangs.
const HANGS_AFTER: Duration = Duration::from_mins(30);

/// The routes, over an event log in a file.
fn routes(metrics: Arc<Metrics>, log: PathBuf) -> Router {
    let observed = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(text))
        .with_state(metrics);
    observed.merge(api::routes(log))
}

/// Listens until the process ends. Gives the address that was bound.
pub async fn listen(
    address: SocketAddr,
    metrics: Arc<Metrics>,
    log: PathBuf,
) -> std::io::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, routes(metrics, log)).await {
            tracing::error!(%error, "the HTTP server has ended");
        }
    });
    Ok(bound)
}

async fn healthz(State(metrics): State<Arc<Metrics>>) -> (StatusCode, &'static str) {
    let now = crate::base::clock::now().as_millisecond() as f64 / 1000.0;
    let last = metrics.last_tick();
    if last > 0.0 && now - last > HANGS_AFTER.as_secs_f64() {
        return (StatusCode::SERVICE_UNAVAILABLE, "no tick for a long time\n");
    }
    (StatusCode::OK, "ok\n")
}

async fn readyz(State(metrics): State<Arc<Metrics>>) -> (StatusCode, &'static str) {
    if metrics.has_ticked() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "git was not read yet\n")
    }
}

async fn text(State(metrics): State<Arc<Metrics>>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, OPEN_METRICS)], metrics.text()).into_response()
}
