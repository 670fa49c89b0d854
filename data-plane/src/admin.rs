//! The admin listener: health, readiness, metrics, status and drain.
//!
//! Reads the state of other modules and decides nothing. Plain HTTP, for the host itself or a private network. It runs on
//! the control runtime, so it answers however loaded the data path is. Served by `app`.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
    routing::{get, post},
};
use serde::Serialize;
use tidegate_kit::{connections::ConnectionLimits, readiness::Readiness};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

mod connections;

use crate::connection::Gateway;

/// The state that the admin listener serves.
#[derive(Clone, Debug)]
pub struct Operators {
    /// The sessions, the snapshot and the metrics.
    pub gateway: Arc<Gateway>,
    /// All client connections, with and without a session.
    pub connections: ConnectionLimits,
    /// What the node still waits for before it is ready.
    pub readiness: Readiness,
    /// The node's name.
    pub node: Arc<str>,
    /// Whether the configuration stream is open.
    pub connected: watch::Receiver<bool>,
    /// Cancelled to drain the node.
    pub drain: CancellationToken,
}

/// The answer of `/status`.
#[derive(Debug, Serialize)]
struct Status<'a> {
    node: &'a str,
    /// The number of the snapshot; 0 while there is none.
    snapshot_number: u64,
    sessions: usize,
    connections: usize,
    control_plane_connected: bool,
    ready: bool,
    waiting_for: Vec<&'static str>,
    /// Whether quotas are shared through Redis.
    shares_quotas: bool,
    /// The ledger's current fault; empty while it is available.
    ledger_fault: String,
    version: &'static str,
}

/// Serves until `stopping` is cancelled.
///
/// # Errors
/// When the listening socket fails.
pub async fn serve(
    listener: TcpListener,
    operators: Operators,
    stopping: CancellationToken,
) -> std::io::Result<()> {
    connections::serve(listener, router(operators), stopping).await
}

/// Binds the listener.
///
/// # Errors
/// When the address cannot be bound.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

fn router(operators: Operators) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .route("/drain", post(drain))
        .with_state(operators)
}

/// Always healthy: nothing that can be wrong with a node is mended by restarting it.
async fn healthz() -> &'static str {
    "ok\n"
}

async fn readyz(State(operators): State<Operators>) -> (StatusCode, String) {
    let waiting_for = operators.readiness.pending();
    if waiting_for.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        let text = format!("waiting for: {}\n", waiting_for.join(", "));
        (StatusCode::SERVICE_UNAVAILABLE, text)
    }
}

async fn metrics(State(operators): State<Operators>) -> impl IntoResponse {
    let gateway = &operators.gateway;
    // Sessions live for days, so their traffic is added at each scrape and not only when they end.
    gateway.registry.count();
    let connected = *operators.connected.borrow();
    gateway.metrics.configuration.connected(connected);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], gateway.metrics.render())
}

async fn status(State(operators): State<Operators>) -> impl IntoResponse {
    let gateway = &operators.gateway;
    let waiting_for = operators.readiness.pending();
    Json(Status {
        node: &operators.node,
        snapshot_number: gateway.snapshots.load().number().get(),
        sessions: gateway.registry.len(),
        connections: operators.connections.open(),
        control_plane_connected: *operators.connected.borrow(),
        ready: waiting_for.is_empty(),
        waiting_for,
        shares_quotas: !operators.gateway.quotas.link().is_local(),
        ledger_fault: operators.gateway.quotas.link().fault(),
        version: env!("CARGO_PKG_VERSION"),
    })
    .into_response()
}

/// Answers at once. From now on `/readyz` fails, and the process exits when its sessions have ended.
///
/// Requests with an `Origin` are refused: any web page that is open on the host could send one, and no operator's tool does.
async fn drain(State(operators): State<Operators>, headers: HeaderMap) -> StatusCode {
    if headers.contains_key(header::ORIGIN) {
        return StatusCode::FORBIDDEN;
    }
    operators.drain.cancel();
    StatusCode::ACCEPTED
}
