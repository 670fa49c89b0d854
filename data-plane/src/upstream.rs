//! CONNECT: a backend connection that has answered the upgrade, before the client is answered.
//!
//! Owns reaching the backend and judging its answer. Refuses to decide who may connect, and holds no connection back
//! for another session: one client, one backend connection. Called by `session`.

use std::time::Duration;

use http::HeaderMap;
use tidegate_kit::tls::{Roots, TlsError, client_config};

use crate::{
    config::UpstreamConfig,
    handshake::{answer::Refusal, deflate::Agreed, headers::Offer},
    listen::peer::Peer,
    record::SessionId,
    relay::Leg,
    snapshot::model::Endpoint,
    socket::Socket,
    upstream::dial::Dialer,
};

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
pub struct Ask<'a> {
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

/// Settings by which no backend can be reached.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    /// The extra authorities cannot be read.
    #[error("cannot read `upstream.ca_cert` {path}: {cause}")]
    Authorities {
        /// The file.
        path: std::path::PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// TLS towards backends cannot be set up.
    #[error("cannot set up TLS to backends: {0}")]
    Tls(#[from] TlsError),
}

// === impl Connector ===

impl Connector {
    /// Prepares what every connection needs.
    ///
    /// # Errors
    /// When the extra authorities cannot be read.
    pub fn new(config: &UpstreamConfig) -> Result<Self, ConnectorError> {
        let extra = config
            .ca_cert
            .as_ref()
            .map(|path| {
                std::fs::read_to_string(path).map_err(|cause| ConnectorError::Authorities {
                    path: path.clone(),
                    cause,
                })
            })
            .transpose()?;
        let tls = client_config(&Roots::System(extra), &["http/1.1"])?;
        Ok(Self {
            dialer: Dialer::new(tls, config.connect_seconds.0),
            handshake_deadline: config.handshake_seconds.0,
        })
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
    pub async fn upgrade(&self, io: Socket, ask: &Ask<'_>) -> Result<Upstream, Refusal> {
        handshake::upgrade(io, ask, self.handshake_deadline).await
    }
}
