//! ACCEPT: opens the doors, takes connections in, and hands each to the session as `Accepted`.
//!
//! It decides what a failed accept means and how many connections there may be; it reads nothing but a TLS handshake.
//! Called by `app`, once a door.

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use tidegate_kit::{backoff::Backoff, fault_log::FaultLog, renewal::Shown, tasks::Tasks};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::{
    admit::slots::{Slot, Slots},
    listen::peer::Peer,
    metrics::{DropCause, Metrics},
    socket::{self, Socket},
};

pub mod tls;
pub mod peer;

/// Connections that the kernel completes before they are accepted. Bursts of reconnects after a drain are of this size.
const BACKLOG: u32 = 4096;

/// Lines in the log about a door in a minute.
const LINES: usize = 6;

/// A client connection that may send a request.
#[derive(Debug)]
pub struct Accepted {
    /// The bytes, decrypted where the door is `wss://`.
    pub io: Socket,
    /// Who is at the other end.
    pub peer: Peer,
    /// The connection's place among those that the node may hold.
    pub slot: Slot,
}

/// One bound door.
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<Shown>,
}

/// What a door needs of the node.
#[derive(Clone, Debug)]
pub struct Entrance {
    /// The places that there are.
    pub slots: Slots,
    /// Where arrivals are counted.
    pub metrics: Arc<Metrics>,
    /// Where the tasks of connections run.
    pub tasks: Tasks,
    /// How long a TLS handshake may take.
    pub tls_deadline: Duration,
}

/// A door that cannot be opened or that stopped working.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address is taken, not allowed or not there.
    #[error("cannot listen on {address}: {cause}; is another process on that port?")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        cause: io::Error,
    },
    /// The listening socket itself is broken.
    #[error("cannot accept on {address} any more: {cause}")]
    Accept {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        cause: io::Error,
    },
}

/// What a failed accept says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AcceptFault {
    /// The listening socket is of no use any more.
    Fatal,
    /// That one connection broke before it was taken.
    ThisConnection,
    /// File descriptors, memory or buffers ran out; trying again at once would spin.
    Exhausted,
}

// === impl Listener ===

impl Listener {
    /// Opens a door; `tls` makes it `wss://`. Must be called inside the runtime that will serve it.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn bind(address: SocketAddr, tls: Option<Shown>) -> Result<Self, ListenError> {
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

    /// The address that is really bound.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes connections in until `stop`; each is served by a task of its own.
    ///
    /// # Errors
    /// When the listening socket breaks.
    pub async fn run<F, Served>(
        self,
        entrance: Entrance,
        stop: CancellationToken,
        serve: F,
    ) -> Result<(), ListenError>
    where
        F: Fn(Accepted) -> Served + Clone + Send + Sync + 'static,
        Served: Future<Output = ()> + Send + 'static,
    {
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(1));
        let log = FaultLog::new(LINES);
        loop {
            // Stopping first: a node that drains takes nobody in, however many are waiting.
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, remote)) => {
                    backoff.reset();
                    self.take(stream, remote, &entrance, serve.clone());
                }
                Err(cause) => match AcceptFault::of(&cause) {
                    AcceptFault::Fatal => {
                        let address = self.address;
                        return Err(ListenError::Accept { address, cause });
                    }
                    AcceptFault::ThisConnection => {
                        entrance.metrics.connection_dropped(DropCause::Accept);
                    }
                    AcceptFault::Exhausted => {
                        let wait = backoff.wait();
                        // Each connection that ends makes room for one, so that success and failure alternate.
                        if let Some(line) = log.fault(&cause.to_string()) {
                            let suppressed = line.suppressed;
                            tracing::warn!(%cause, ?wait, suppressed, "cannot accept connections for now; raise the limit on open files if this lasts");
                        }
                        entrance.metrics.connection_dropped(DropCause::Exhausted);
                        tokio::select! {
                            biased;
                            () = stop.cancelled() => return Ok(()),
                            () = tokio::time::sleep(wait) => {}
                        }
                    }
                },
            }
        }
    }

    fn take<F, Served>(&self, stream: TcpStream, remote: SocketAddr, entrance: &Entrance, serve: F)
    where
        F: Fn(Accepted) -> Served + Send + Sync + 'static,
        Served: Future<Output = ()> + Send + 'static,
    {
        let metrics = &entrance.metrics;
        metrics.connection_accepted(self.tls.is_some());
        let Some(slot) = entrance.slots.take(remote.ip()) else {
            metrics.connection_dropped(DropCause::OverLimit);
            return;
        };
        if socket::prepare(&stream).is_err() {
            metrics.connection_dropped(DropCause::Accept);
            return;
        }
        let peer = Peer {
            address: remote,
            secure: self.tls.is_some(),
        };
        match &self.tls {
            None => {
                let accepted = Accepted {
                    io: Socket::Plain(stream),
                    peer,
                    slot,
                };
                entrance.tasks.spawn_bare(serve(accepted));
            }
            Some(shown) => {
                let acceptor = TlsAcceptor::from(shown.load_full());
                let (metrics, deadline) = (metrics.clone(), entrance.tls_deadline);
                entrance.tasks.spawn_bare(async move {
                    // Boxed, so that its buffers are not part of the session's future.
                    let shaken = Box::pin(tls::shake(&acceptor, stream, deadline)).await;
                    drop(acceptor);
                    match shaken {
                        Ok(io) => serve(Accepted { io, peer, slot }).await,
                        Err(cause) => {
                            tracing::debug!(peer = %peer.address, %cause, "no TLS with a client");
                            metrics.connection_dropped(DropCause::Tls);
                        }
                    }
                });
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

// === impl AcceptFault ===

impl AcceptFault {
    fn of(error: &io::Error) -> Self {
        use io::ErrorKind;

        /// `EBADF` is 9 on every Unix.
        const BAD_DESCRIPTOR: i32 = 9;

        if error.raw_os_error() == Some(BAD_DESCRIPTOR) {
            return Self::Fatal;
        }
        match error.kind() {
            ErrorKind::InvalidInput | ErrorKind::NotConnected | ErrorKind::Unsupported => {
                Self::Fatal
            }
            // accept(2): errors already pending on the new socket are passed on as errors of accept.
            ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::Interrupted
            | ErrorKind::WouldBlock
            | ErrorKind::TimedOut
            | ErrorKind::PermissionDenied
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown => Self::ThisConnection,
            // EMFILE, ENFILE, ENOBUFS, ENOMEM; and whatever is new must not make a hot loop either.
            _ => Self::Exhausted,
        }
    }
}

#[cfg(test)]
mod tests;
