//! A listener: TLS, connections and their limits, and HTTP requests, which a router answers. `app` opens both listeners
//! of the control plane with it.
//!
//! Everything that an anonymous client can use up has a limit: connections (in all and for each address), the time for
//! the TLS handshake and for the head of a request, the streams, windows and headers of a connection, the body of a
//! request and its time, the memory of unanswered requests and unread responses ([`budget`]), the age of a connection,
//! its idle time, and its time without an admitted request.

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use axum::Router;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tidegate_kit::{
    accept::Acceptor,
    connections::{ConnectionLimits, ConnectionSlot, client_network},
    reload::SharedServerConfig,
    tasks::Tasks,
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

pub mod budget;
pub mod deadline;
pub mod metered;
pub mod management;
mod messages;

use budget::{Budget, ConnectionBudget};

use crate::config::LimitsConfig;

/// The ALPN protocols (RFC 7301), most preferred first.
pub const ALPN: &[&str] = &["h2", "http/1.1"];

/// The maximal size of a request's head.
const HEAD_BYTES: u32 = 32 * 1024;
/// The HTTP/2 windows of a stream and of a connection. They are small because unread bytes aren't charged to a budget.
/// With a round trip of 100 ms an upload of 12 MiB takes 10 s.
const WINDOW_BYTES: u32 = 128 * 1024;
/// The bytes of a response that an HTTP/2 stream buffers before they are written.
const UNSENT_BYTES: usize = 64 * 1024;
/// The maximal HTTP/2 frame size: the least that the protocol allows.
const FRAME_BYTES: u32 = 16 * 1024;
/// Streams that a peer may open and reset before they are accepted; with more, the connection is closed.
const MAX_PENDING_RESETS: usize = 20;
/// Streams that may be reset because of the peer's protocol errors; with more, the connection is closed.
const MAX_PROTOCOL_ERRORS: usize = 128;
/// How long writing a response may take.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a connection to the management listener may stay without an open request. HTTP/1.1 has less: the time for
/// the next head.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How often unwritten responses are checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// The idle time after which an HTTP/2 PING is sent.
const PING_AFTER: Duration = Duration::from_secs(30);
/// How long its answer may take.
const PONG_TIMEOUT: Duration = Duration::from_secs(20);

const MIB: usize = 1024 * 1024;
/// The budget of the discovery listener, as a multiple of the management listener's: after a restart all nodes report
/// at once what they hold.
const DISCOVERY_FACTOR: usize = 4;

/// A listener that is bound and doesn't accept yet.
pub struct Listener {
    name: &'static str,
    listener: TcpListener,
    address: SocketAddr,
    tls: SharedServerConfig,
    limits: ListenerLimits,
}

/// The limits of a listener and its connections.
#[derive(Clone, Debug)]
pub struct ListenerLimits {
    /// Open connections.
    pub connections: usize,
    /// Open connections from one address; 0 for no limit of its own.
    pub connections_per_address: usize,
    /// The time for the TLS handshake, then for the first request, and in HTTP/1.1 for the head of each further one.
    pub handshake: Duration,
    /// The age at which a connection is shut down gracefully; `None` for listeners with long streams.
    pub age: Option<Duration>,
    /// How long a connection may stay without an open request; `None` for no limit. A request is open until its
    /// response is complete.
    pub idle: Option<Duration>,
    /// How long a connection may stay before a request on it has been admitted (see [`Admission`]); `None` for no
    /// limit.
    pub admission: Option<Duration>,
    /// Open streams of one HTTP/2 connection.
    pub streams: u32,
    /// The memory for requests until they are answered.
    pub budget: Budget,
    /// Whether a response is charged to the budget until it's written. If not, the service limits it.
    pub charges_responses: bool,
}

/// A listener that can't be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for {name}: {cause}; free the port or set `listen.{name}`")]
pub struct BindError {
    name: &'static str,
    address: String,
    cause: io::Error,
}

// === impl ListenerLimits ===

impl ListenerLimits {
    /// The limits of the management listener.
    #[must_use]
    pub fn management(config: &LimitsConfig) -> Self {
        Self {
            connections: config.connections,
            connections_per_address: config.connections_per_address,
            handshake: Duration::from_secs(config.handshake_seconds),
            age: Some(Duration::from_secs(3600)),
            idle: Some(IDLE_TIMEOUT),
            admission: None,
            streams: 32,
            budget: Budget::new(config.request_mib * MIB),
            charges_responses: true,
        }
    }

    /// The limits of the discovery listener, whose streams stay open. A client that isn't a node is disconnected: the
    /// head of the request and the first message have the time of a handshake each. A node needs one stream. No body is
    /// read before the join token is checked, and one address may use the whole budget, because nodes often share an
    /// address.
    #[must_use]
    pub fn discovery(config: &LimitsConfig) -> Self {
        let management = Self::management(config);
        Self {
            age: None,
            idle: None,
            admission: Some(management.handshake * 2),
            streams: 8,
            budget: Budget::unshared(config.request_mib * MIB * DISCOVERY_FACTOR),
            charges_responses: false,
            ..management
        }
    }
}

// === impl Listener ===

impl Listener {
    /// Binds the address; [`Self::serve`] accepts connections.
    ///
    /// # Errors
    /// When the address doesn't resolve or can't be bound.
    pub async fn bind(
        name: &'static str,
        address: &str,
        tls: SharedServerConfig,
        limits: ListenerLimits,
    ) -> Result<Self, BindError> {
        let refused = |cause| BindError {
            name,
            address: address.to_owned(),
            cause,
        };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Self {
            name,
            listener,
            address,
            tls,
            limits,
        })
    }

    /// The bound address, with the port that the system chose for port 0.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts until the tasks are told to stop, each connection in a task of its own.
    pub async fn serve(self, router: Router, tasks: Tasks) {
        let stopping = tasks.stopping();
        let open =
            ConnectionLimits::new(self.limits.connections, self.limits.connections_per_address);
        let mut acceptor = Acceptor::new(self.name, self.listener);
        loop {
            let (stream, peer) = match acceptor.accept(&stopping, |_| {}).await {
                Ok(Some(accepted)) => accepted,
                Ok(None) => return,
                Err(cause) => {
                    tracing::error!(listener = self.name, %cause, "listener failed");
                    return;
                }
            };
            let Some(slot) = open.take(peer.ip()) else {
                tracing::debug!(listener = self.name, %peer, "too many connections");
                continue;
            };
            let connection = Connection {
                name: self.name,
                tls: TlsAcceptor::from(self.tls.load_full()),
                limits: self.limits.clone(),
                peer,
                router: router.clone(),
                tasks: tasks.clone(),
                slot,
            };
            tasks.spawn_bare(connection.run(stream));
        }
    }
}

struct Connection {
    name: &'static str,
    tls: TlsAcceptor,
    limits: ListenerLimits,
    peer: SocketAddr,
    router: Router,
    tasks: Tasks,
    slot: ConnectionSlot,
}

impl Connection {
    async fn run(self, stream: TcpStream) {
        let Self {
            name, peer, tasks, ..
        } = self;
        // Small responses must not wait for the peer's acknowledgement of earlier ones.
        drop(stream.set_nodelay(true));
        let stopping = tasks.stopping();
        let handshake = tokio::select! {
            biased;
            () = stopping.cancelled() => return,
            handshake = timeout(self.limits.handshake, self.tls.accept(stream)) => handshake,
        };
        let stream = match handshake {
            Ok(Ok(stream)) => stream,
            Ok(Err(cause)) => {
                tracing::debug!(listener = name, %peer, %cause, "TLS handshake failed");
                return;
            }
            Err(_) => {
                tracing::debug!(listener = name, %peer, "TLS handshake took too long");
                return;
            }
        };
        let router = self.router;
        let budget = self.limits.budget.connection(client_network(peer.ip()));
        let (charged, charges_responses) = (budget.clone(), self.limits.charges_responses);
        let admission = Admission::default();
        let admitted = admission.0.clone();
        let requested = CancellationToken::new();
        let first = requested.clone();
        let service = hyper::service::service_fn(move |mut request: http::Request<Incoming>| {
            first.cancel();
            let extensions = request.extensions_mut();
            extensions.insert(Peer(client_network(peer.ip())));
            extensions.insert(admission.clone());
            let answer =
                metered::serve(router.clone(), charged.clone(), charges_responses, request);
            async { Ok::<_, Infallible>(answer.await) }
        });
        let builder = protocol(&self.limits);
        let mut connection =
            std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
        let never = CancellationToken::new();
        let aged = missed(self.limits.age, &never);
        // The timer of hyper starts with the first byte of HTTP/1.1, and HTTP/2 has none.
        let no_request = missed(Some(self.limits.handshake), &requested);
        let not_admitted = missed(self.limits.admission, &admitted);
        let ended = tokio::select! {
            biased;
            () = stopping.cancelled() => None,
            () = aged => None,
            () = idle(self.limits.idle, &budget) => None,
            () = no_request => {
                tracing::debug!(listener = name, %peer, "no request on the connection in time");
                return;
            }
            () = not_admitted => {
                // An anonymous client isn't waited for.
                tracing::debug!(listener = name, %peer, "no request on the connection was admitted in time");
                return;
            }
            () = stalled(&budget) => {
                tracing::debug!(listener = name, %peer, "a response was not read in time");
                return;
            }
            ended = connection.as_mut() => Some(ended),
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                connection.as_mut().graceful_shutdown();
                // Streams that don't end are cut; the client reconnects.
                match timeout(self.limits.handshake, connection).await {
                    Ok(ended) => ended,
                    Err(_) => Ok(()),
                }
            }
        };
        if let Err(cause) = ended {
            tracing::debug!(listener = name, %peer, %cause, "connection ended");
        }
        drop(self.slot);
    }
}

/// The client's address, as an extension of each request. Of an IPv6 address it's the /64 network, because attempts are
/// counted by subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// Keeps a connection open, as an extension of each request on it: a service whose listener disconnects anonymous
/// clients calls it once the client is authenticated.
#[derive(Clone, Debug, Default)]
pub struct Admission(CancellationToken);

// === impl Admission ===

impl Admission {
    /// Keeps the connection open.
    pub fn admit(&self) {
        self.0.cancel();
    }
}

/// Resolves when `within` has passed and `happened` wasn't cancelled; never resolves if it was, or if there is no
/// limit.
async fn missed(within: Option<Duration>, happened: &CancellationToken) {
    match within {
        Some(within) if timeout(within, happened.cancelled()).await.is_err() => {}
        _ => std::future::pending().await,
    }
}

/// Resolves when a connection has had no open request for so long.
async fn idle(within: Option<Duration>, budget: &ConnectionBudget) {
    let Some(within) = within else {
        return std::future::pending().await;
    };
    loop {
        let left = match budget.idle() {
            Some(idle) => within.saturating_sub(idle),
            None => within,
        };
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left).await;
    }
}

/// Resolves when a response hasn't been written in time.
async fn stalled(budget: &ConnectionBudget) {
    while !budget.is_stalled(WRITE_TIMEOUT) {
        tokio::time::sleep(CHECK_INTERVAL).await;
    }
}

fn protocol(limits: &ListenerLimits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.handshake)
        .max_buf_size(HEAD_BYTES as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES)
        .max_header_list_size(HEAD_BYTES)
        .max_send_buf_size(UNSENT_BYTES)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_PROTOCOL_ERRORS)
        .keep_alive_interval(PING_AFTER)
        .keep_alive_timeout(PONG_TIMEOUT);
    builder
}

#[cfg(test)]
mod tests;
