//! ACCEPT: binds the listeners, accepts connections, and hands each to the session as `Accepted`.
//!
//! Takes each connection's slot within the connection limits, and reads nothing but a TLS handshake. Called by `app`,
//! once for each listener.

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use tidegate_kit::{
    accept::{AcceptFault, Acceptor},
    connections::{ConnectionLimits, ConnectionSlot},
    reload::SharedServerConfig,
    tasks::Tasks,
};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::{
    listen::peer::Peer,
    metrics::{DropCause, Metrics},
    socket::{self, Socket},
};

pub mod tls;
pub mod peer;

/// Connections that the kernel completes before they are accepted. Bursts of reconnects after a drain are of this size.
const BACKLOG: u32 = 4096;

/// Connections beyond the limits that are accepted to be refused with an answer; any more are dropped.
pub const MAX_REFUSED_WITH_ANSWER: usize = 64;

/// A client connection that may send a request.
#[derive(Debug)]
pub struct Accepted {
    /// The bytes, decrypted if the listener is `wss://`.
    pub io: Socket,
    /// Who is at the other end.
    pub peer: Peer,
    /// The connection's slot within the connection limits.
    pub slot: ConnectionSlot,
}

/// A bound listening socket.
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<SharedServerConfig>,
}

/// What the listeners of a node share.
#[derive(Clone, Debug)]
pub struct ListenContext {
    /// How many connections there may be.
    pub limits: ConnectionLimits,
    /// Where connections are counted.
    pub metrics: Arc<Metrics>,
    /// Where the tasks of connections run.
    pub tasks: Tasks,
    /// How long a TLS handshake may take.
    pub tls_deadline: Duration,
}

/// A listener that cannot be bound or that stopped working.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address is in use, not permitted or not available.
    #[error("cannot listen on {address}: {cause}; is another process on that port?")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The error of the operating system.
        cause: io::Error,
    },
    /// The listening socket itself is broken.
    #[error("cannot accept on {address} any more: {cause}")]
    Accept {
        /// The address.
        address: SocketAddr,
        /// The error of the operating system.
        cause: io::Error,
    },
}

// === impl Listener ===

impl Listener {
    /// Binds a listener; with `tls` it is `wss://`. Must be called inside the runtime that will serve it.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn bind(address: SocketAddr, tls: Option<SharedServerConfig>) -> Result<Self, ListenError> {
        let bind = || {
            let socket = if address.is_ipv4() {
                TcpSocket::new_v4()?
            } else {
                TcpSocket::new_v6()?
            };
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            let socket = socket.listen(BACKLOG)?;
            let address = socket.local_addr()?;
            Ok((socket, address))
        };
        let (socket, address) = bind().map_err(|cause| ListenError::Bind { address, cause })?;
        Ok(Self {
            socket,
            address,
            tls,
        })
    }

    /// The address that is bound, with the port that the system chose for port 0.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts connections until `stop`; each is served by a task of its own.
    ///
    /// # Errors
    /// When the listening socket breaks.
    pub async fn run<F, Served>(
        self,
        context: ListenContext,
        stop: CancellationToken,
        serve: F,
    ) -> Result<(), ListenError>
    where
        F: Fn(Accepted) -> Served + Clone + Send + Sync + 'static,
        Served: Future<Output = ()> + Send + 'static,
    {
        let Self {
            socket,
            address,
            tls,
        } = self;
        let name = if tls.is_some() { "wss" } else { "ws" };
        let mut acceptor = Acceptor::new(name, socket);
        let metrics = context.metrics.clone();
        let on_fault = |fault| match fault {
            AcceptFault::Exhausted => metrics.connection_dropped(DropCause::Exhausted),
            AcceptFault::Connection | AcceptFault::Fatal => {
                metrics.connection_dropped(DropCause::Accept);
            }
        };
        loop {
            let accepted = acceptor.accept(&stop, on_fault).await;
            match accepted.map_err(|cause| ListenError::Accept { address, cause })? {
                None => return Ok(()),
                Some((stream, remote)) => {
                    take(stream, remote, tls.as_ref(), &context, serve.clone());
                }
            }
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("address", &self.address)
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

fn take<F, Served>(
    stream: TcpStream,
    remote: SocketAddr,
    tls: Option<&SharedServerConfig>,
    context: &ListenContext,
    serve: F,
) where
    F: Fn(Accepted) -> Served + Send + Sync + 'static,
    Served: Future<Output = ()> + Send + 'static,
{
    let metrics = &context.metrics;
    metrics.connection_accepted(tls.is_some());
    let Some(slot) = context.limits.take(remote.ip()) else {
        metrics.connection_dropped(DropCause::OverLimit);
        return;
    };
    if socket::prepare(&stream).is_err() {
        metrics.connection_dropped(DropCause::Accept);
        return;
    }
    let peer = Peer {
        address: remote,
        secure: tls.is_some(),
    };
    match tls {
        None => {
            let accepted = Accepted {
                io: Socket::Plain(stream),
                peer,
                slot,
            };
            context.tasks.spawn_bare(serve(accepted));
        }
        Some(config) => {
            let acceptor = TlsAcceptor::from(config.load_full());
            let (metrics, deadline) = (metrics.clone(), context.tls_deadline);
            context.tasks.spawn_bare(async move {
                // Boxed, so its buffers are not part of the session's future.
                let handshake = Box::pin(tls::handshake(&acceptor, stream, deadline)).await;
                drop(acceptor);
                match handshake {
                    Ok(io) => serve(Accepted { io, peer, slot }).await,
                    Err(cause) => {
                        tracing::debug!(peer = %peer.address, %cause, "TLS handshake failed");
                        metrics.connection_dropped(DropCause::Tls);
                    }
                }
            });
        }
    }
}

#[cfg(test)]
mod tests;
