//! From an endpoint to a connected socket: name, TCP, TLS, all under one deadline.
//!
//! Every address of a name gets its turn. Names are remembered for a few seconds, so that a burst of handshakes is not
//! a burst of look-ups. Knows nothing of HTTP. Called by `upstream`.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustls::pki_types::ServerName;
use tidegate_proto::reason::Reason;
use tokio::{net::TcpStream, time::Instant};
use tokio_rustls::{TlsConnector, TlsStream};

use crate::{
    snapshot::model::Endpoint,
    socket::{self, Socket},
    upstream::authorities::Trust,
};

/// Connects to endpoints.
pub struct Dialer {
    tls: Trust,
    deadline: Duration,
    names: Mutex<HashMap<(Arc<str>, u16), Resolved>>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name has no address.
    #[error("cannot resolve backend `{host}`: {cause}")]
    Resolve {
        /// The name.
        host: Arc<str>,
        /// The resolver's error.
        cause: io::Error,
    },
    /// No address of the backend takes connections.
    #[error("cannot connect to backend `{authority}`: {cause}")]
    Connect {
        /// The endpoint's host and port.
        authority: Arc<str>,
        /// The error of the last address.
        cause: io::Error,
    },
    /// The node itself has no file descriptor, port or memory left for the connection.
    #[error("cannot open a connection to backend `{authority}`: {cause}; raise the node's limits")]
    Exhausted {
        /// The endpoint's host and port.
        authority: Arc<str>,
        /// The system's error.
        cause: io::Error,
    },
    /// TLS failed.
    #[error("no TLS with backend `{authority}`: {cause}")]
    Tls {
        /// The endpoint's host and port.
        authority: Arc<str>,
        /// The error of rustls.
        cause: io::Error,
    },
    /// It took too long.
    #[error("backend `{authority}` did not take the connection within {deadline:?}")]
    Timeout {
        /// The endpoint's host and port.
        authority: Arc<str>,
        /// The deadline.
        deadline: Duration,
    },
}

#[derive(Clone, Debug)]
struct Resolved {
    addresses: Arc<[SocketAddr]>,
    until: Instant,
}

/// Short enough that a backend that moves is found again at once, by the measure of DNS.
const REMEMBER_NAME: Duration = Duration::from_secs(5);
/// There are as many names as there are endpoints in use; beyond this the memory starts over.
const NAMES: usize = 4096;

// === impl Dialer ===

impl Dialer {
    /// Connects within `deadline`, and verifies `wss://` backends with `tls`.
    #[must_use]
    pub fn new(tls: Trust, deadline: Duration) -> Self {
        Self {
            tls,
            deadline,
            names: Mutex::default(),
        }
    }

    /// Connects to an endpoint.
    ///
    /// # Errors
    /// When it cannot be resolved, reached or verified in time.
    pub async fn dial(&self, endpoint: &Endpoint) -> Result<Socket, DialError> {
        tokio::time::timeout(self.deadline, self.connect(endpoint))
            .await
            .unwrap_or_else(|_| {
                Err(DialError::Timeout {
                    authority: endpoint.authority.clone(),
                    deadline: self.deadline,
                })
            })
    }

    async fn connect(&self, endpoint: &Endpoint) -> Result<Socket, DialError> {
        let stream = self.reach(endpoint).await?;
        if !endpoint.secure {
            return Ok(Socket::Plain(stream));
        }
        let failed = |cause| DialError::Tls {
            authority: endpoint.authority.clone(),
            cause,
        };
        let name = ServerName::try_from(endpoint.host.to_string())
            .map_err(|cause| failed(io::Error::new(io::ErrorKind::InvalidInput, cause)))?;
        // Boxed, so that its buffers are not part of every handshake's future.
        let connector = TlsConnector::from(self.tls.load_full());
        let stream = Box::pin(connector.connect(name, stream))
            .await
            .map_err(failed)?;
        Ok(Socket::Tls(Box::new(TlsStream::Client(stream))))
    }

    async fn reach(&self, endpoint: &Endpoint) -> Result<TcpStream, DialError> {
        let started = Instant::now();
        let addresses = self.resolve(endpoint).await?;
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for (index, address) in addresses.iter().enumerate() {
            // One address that swallows packets must not use up the time of the others.
            let left = self.deadline.saturating_sub(started.elapsed());
            let turn = left / u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
            let connected = tokio::time::timeout(turn, TcpStream::connect(address))
                .await
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
                .and_then(|stream| socket::prepare(&stream).map(|()| stream));
            match connected {
                Ok(stream) => return Ok(stream),
                Err(cause) => last = cause,
            }
        }
        if last.kind() == io::ErrorKind::TimedOut {
            return Err(DialError::Timeout {
                authority: endpoint.authority.clone(),
                deadline: self.deadline,
            });
        }
        let (authority, cause) = (endpoint.authority.clone(), last);
        Err(if is_exhausted(&cause) {
            DialError::Exhausted { authority, cause }
        } else {
            DialError::Connect { authority, cause }
        })
    }

    async fn resolve(&self, endpoint: &Endpoint) -> Result<Arc<[SocketAddr]>, DialError> {
        if let Ok(ip) = endpoint.host.parse::<IpAddr>() {
            return Ok(Arc::from([SocketAddr::new(ip, endpoint.port)]));
        }
        let key = (endpoint.host.clone(), endpoint.port);
        if let Some(known) = self.remembered(&key) {
            return Ok(known);
        }
        let addresses: Arc<[SocketAddr]> =
            tokio::net::lookup_host((&*endpoint.host, endpoint.port))
                .await
                .map_err(|cause| DialError::Resolve {
                    host: endpoint.host.clone(),
                    cause,
                })?
                .collect();
        self.remember(key, addresses.clone());
        Ok(addresses)
    }

    fn remembered(&self, key: &(Arc<str>, u16)) -> Option<Arc<[SocketAddr]>> {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let known = names.get(key).filter(|known| known.until > Instant::now());
        known.map(|known| known.addresses.clone())
    }

    fn remember(&self, key: (Arc<str>, u16), addresses: Arc<[SocketAddr]>) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() >= NAMES {
            names.clear();
        }
        let until = Instant::now() + REMEMBER_NAME;
        names.insert(key, Resolved { addresses, until });
    }
}

impl std::fmt::Debug for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialer")
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

// === impl DialError ===

impl DialError {
    /// The reason for the client.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Resolve { .. } | Self::Connect { .. } => Reason::BackendUnreachable,
            Self::Exhausted { .. } => Reason::GatewayFault,
            Self::Tls { .. } => Reason::BackendTls,
            Self::Timeout { .. } => Reason::BackendTimeout,
        }
    }
}

/// Whether a failed connect is the node's own want, and not the backend's doing.
fn is_exhausted(error: &io::Error) -> bool {
    /// `ENFILE` and `EMFILE` have these numbers on every Unix.
    const TOO_MANY_FILES: [i32; 2] = [23, 24];

    error
        .raw_os_error()
        .is_some_and(|number| TOO_MANY_FILES.contains(&number))
        || matches!(
            error.kind(),
            io::ErrorKind::AddrNotAvailable | io::ErrorKind::OutOfMemory
        )
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::is_exhausted;

    #[test]
    fn what_the_node_lacks_is_not_blamed_on_the_backend() {
        assert!(is_exhausted(&io::Error::from_raw_os_error(24)));
        assert!(is_exhausted(&io::ErrorKind::AddrNotAvailable.into()));
        assert!(!is_exhausted(&io::ErrorKind::ConnectionRefused.into()));
    }
}
