//! CONNECT: a backend connection that has answered the upgrade, before the client is answered.
//!
//! Owns reaching the backend and judging its answer. Refuses to decide who may connect, and holds no connection back
//! for another session: one client, one backend connection. Called by `connection`.

use std::time::Duration;

use http::HeaderMap;

use crate::{
    config::UpstreamConfig,
    handshake::{deflate::Agreed, headers::Offer, refusal::Refusal},
    listen::peer::Peer,
    session::id::SessionId,
    snapshot::model::Endpoint,
    socket::{Leg, Socket},
    upstream::{authorities::Trust, dial::Dialer},
};

pub mod authorities;
pub mod choose;
pub mod dial;
pub mod handshake;

/// A backend that said yes.
#[derive(Debug)]
pub struct Upstream {
    /// The connection.
    pub leg: Leg<Socket>,
    /// The headers of its 101.
    pub headers: HeaderMap,
    /// What was agreed on compression; `None` for none.
    pub deflate: Option<Agreed>,
}

/// What a backend is asked for.
#[derive(Clone, Copy, Debug)]
pub struct ConnectRequest<'a> {
    /// Where.
    pub endpoint: &'a Endpoint,
    /// Path and query, without the client's credential.
    pub path: &'a str,
    /// What the client asked for.
    pub offer: &'a Offer,
    /// Who the client is.
    pub peer: Peer,
    /// The session's id.
    pub session: SessionId,
    /// Whether messages of the session may be dropped.
    pub may_drop: bool,
}

/// Reaches backends.
#[derive(Debug)]
pub struct Connector {
    dialer: Dialer,
    handshake_deadline: Duration,
}

// === impl Connector ===

impl Connector {
    /// Prepares what every connection needs.
    #[must_use]
    pub fn new(config: &UpstreamConfig, trust: Trust) -> Self {
        Self {
            dialer: Dialer::new(trust, config.connect_seconds.0),
            handshake_deadline: config.handshake_seconds.0,
        }
    }

    /// Connects to an endpoint.
    ///
    /// # Errors
    /// `BackendUnreachable`, `BackendTimeout` or `BackendTls`.
    pub async fn dial(&self, endpoint: &Endpoint) -> Result<Socket, Refusal> {
        self.dialer
            .dial(endpoint)
            .await
            .map_err(|error| Refusal::because(error.reason(), error))
    }

    /// Asks a connected backend to switch to WebSocket.
    ///
    /// # Errors
    /// `BackendRefused` with the backend's own answer, `BackendTimeout` or `BackendHandshake`.
    pub async fn upgrade(&self, io: Socket, ask: &ConnectRequest<'_>) -> Result<Upstream, Refusal> {
        handshake::upgrade(io, ask, self.handshake_deadline).await
    }
}
