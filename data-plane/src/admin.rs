//! The operators' door: health, readiness, metrics, status, and the order to leave.
//!
//! Reads what others hold and decides nothing. Plain HTTP for the machine itself or a private network; it runs on the
//! control runtime, so that load on the data path cannot silence it. Served by `app`.

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

/// What the door shows and what it may order.
#[derive(Clone, Debug)]
pub struct Operators {
    /// The sessions, the snapshot and the metrics.
    pub gateway: Arc<Gateway>,
    /// The connections, sessions or not.
    pub connections: ConnectionLimits,
    /// What is still waited for.
    pub readiness: Readiness,
    /// The node's name.
    pub node: Arc<str>,
    /// Whether the configuration stream is open.
    pub connected: watch::Receiver<bool>,
    /// Cancelled to make the node leave.
    pub leave: CancellationToken,
}

/// The answer of `/status`.
#[derive(Debug, Serialize)]
struct Status<'a> {
    node: &'a str,
    /// The number of the snapshot; 0 while there is none.
    number: u64,
    sessions: usize,
    connections: usize,
    connected: bool,
    ready: bool,
    waiting_for: Vec<&'static str>,
    /// Whether quotas are shared through Redis.
    shares_quotas: bool,
    /// What is wrong with their ledger, in words; empty while it answers.
    ledger_fault: String,
    version: &'static str,
}

/// Serves the door until `stopping`.
///
/// # Errors
/// When the listening socket breaks.
pub async fn serve(
    listener: TcpListener,
    operators: Operators,
    stopping: CancellationToken,
) -> std::io::Result<()> {
    connections::serve(listener, router(operators), stopping).await
}

/// Opens the door.
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

/// Alive, whatever else is wrong: restarting the process would not help.
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
    // Sessions live for days: what they carry is counted when somebody looks, not only when they end.
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
        number: gateway.snapshots.load().number().get(),
        sessions: gateway.registry.len(),
        connections: operators.connections.open(),
        connected: *operators.connected.borrow(),
        ready: waiting_for.is_empty(),
        waiting_for,
        shares_quotas: !operators.gateway.quotas.link().is_local(),
        ledger_fault: operators.gateway.quotas.link().fault(),
        version: env!("CARGO_PKG_VERSION"),
    })
    .into_response()
}

/// Answers at once; `/readyz` fails from now on, and the process ends when its sessions have.
///
/// Any page that is open in a browser on the machine can send a request here, and the browser says so; no operator's tool
/// has an origin.
async fn drain(State(operators): State<Operators>, headers: HeaderMap) -> StatusCode {
    if headers.contains_key(header::ORIGIN) {
        return StatusCode::FORBIDDEN;
    }
    operators.leave.cancel();
    StatusCode::ACCEPTED
}
