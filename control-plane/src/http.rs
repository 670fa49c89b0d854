//! A door: TLS, connections and their limits, and the HTTP requests that come in. What answers them is a router that is
//! handed in; both doors are opened here, by `app`.
//!
//! Everything a stranger can hold on to has a bound: connections (in all and for each address), the time for the TLS
//! handshake and for a request's head, streams, windows and headers of a connection, a request's body and its time, what
//! unanswered requests and unread answers hold together ([`budget`]), and the life of a connection, how long it may stay
//! without a request, or before it is admitted.

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
pub mod people;
mod messages;

use budget::{Account, Budget};

use crate::config::LimitsConfig;

/// What the protocols of a door are called in TLS (RFC 7301), most wanted first.
pub const ALPN: &[&str] = &["h2", "http/1.1"];

/// The bytes that the head of a request may have.
const HEAD_BYTES: u32 = 32 * 1024;
/// The bytes that a connection of HTTP/2 may send before somebody reads them, on one stream or on all: what is not read
/// is not charged to anybody, so it is small. An upload of 12 MiB is through in 10 s where a round trip takes 100 ms.
const UNREAD_BYTES: u32 = 128 * 1024;
/// The bytes of an answer that a stream of HTTP/2 takes over before they are written.
const UNSENT_BYTES: usize = 64 * 1024;
/// The least that a peer must take in one frame of HTTP/2; larger ones are not allowed.
const FRAME_BYTES: u32 = 16 * 1024;
/// Streams that a peer opened and reset before they were looked at; beyond it the connection is closed.
const RESETS_WAITING: usize = 20;
/// Streams of a connection that were reset because the peer broke a rule of them; beyond it the connection is closed.
const FAULTS: usize = 128;
/// How long an answer may take until it is written.
const WRITTEN_WITHIN: Duration = Duration::from_secs(60);
/// How long a connection of people may stay without an open request. HTTP/1.1 has less: the time for the next head.
const IDLE: Duration = Duration::from_secs(60);
/// How often it is looked for answers that are not written.
const LOOK: Duration = Duration::from_secs(10);
/// HTTP/2 connections on which nothing is heard for so long are asked for a sign of life.
const PING_AFTER: Duration = Duration::from_secs(30);
/// How long that sign may take.
const PONG_WITHIN: Duration = Duration::from_secs(20);

const MIB: usize = 1024 * 1024;
/// So many times what people have is there for gateways: after a restart all of them say at once what they hold.
const GATEWAYS_TIMES: usize = 4;

/// A door that is bound and not open yet.
pub struct Door {
    name: &'static str,
    listener: TcpListener,
    address: SocketAddr,
    tls: SharedServerConfig,
    limits: Limits,
}

/// What a connection may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Open connections at the door.
    pub connections: usize,
    /// Open connections from one address; 0 for no limit of its own.
    pub connections_per_address: usize,
    /// For the TLS handshake, then until there is a first request, and for the head of each further one in HTTP/1.1.
    pub handshake: Duration,
    /// How long a connection may live before it is told to go; `None` where long streams are the purpose.
    pub age: Option<Duration>,
    /// How long a connection may stay without an open request; `None` where that does not matter. An answer that goes on
    /// is one.
    pub idle: Option<Duration>,
    /// How long a connection may stay before somebody on it has been admitted (see [`Admission`]); `None` where that is
    /// asked of nobody.
    pub admission: Option<Duration>,
    /// Streams that one HTTP/2 connection may have open.
    pub streams: u32,
    /// What may be held for requests until they are answered.
    pub budget: Budget,
    /// Whether an answer is charged until it is written; where it is not, whoever answers bounds it.
    pub charges_answers: bool,
}

/// A door that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for {name}: {cause}; free the port or set `listen.{name}`")]
pub struct BindError {
    name: &'static str,
    address: String,
    cause: io::Error,
}

// === impl Limits ===

impl Limits {
    /// The limits of the people's door.
    #[must_use]
    pub fn people(config: &LimitsConfig) -> Self {
        Self {
            connections: config.connections,
            connections_per_address: config.connections_per_address,
            handshake: Duration::from_secs(config.handshake_seconds),
            age: Some(Duration::from_secs(3600)),
            idle: Some(IDLE),
            admission: None,
            streams: 32,
            budget: Budget::new(config.request_mib * MIB),
            charges_answers: true,
        }
    }

    /// The limits of the gateways' door, whose streams never end by themselves. Who is no gateway goes: the head of the
    /// request and the first word have the time of a handshake each. A node needs one stream; nothing of a body is read
    /// before the join token, and whoever has that may have all of the budget: nodes often come from one address.
    #[must_use]
    pub fn gateways(config: &LimitsConfig) -> Self {
        let people = Self::people(config);
        Self {
            age: None,
            idle: None,
            admission: Some(people.handshake * 2),
            streams: 8,
            budget: Budget::unshared(config.request_mib * MIB * GATEWAYS_TIMES),
            charges_answers: false,
            ..people
        }
    }
}

// === impl Door ===

impl Door {
    /// Takes the address; nothing is accepted before [`Self::serve`].
    ///
    /// # Errors
    /// When the address does not resolve or is taken.
    pub async fn bind(
        name: &'static str,
        address: &str,
        tls: SharedServerConfig,
        limits: Limits,
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

    /// Where the door really is.
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
                    tracing::error!(door = self.name, %cause, "the door is closed");
                    return;
                }
            };
            let Some(slot) = open.take(peer.ip()) else {
                tracing::debug!(door = self.name, %peer, "too many connections");
                continue;
            };
            let connection = Connection {
                door: self.name,
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
    door: &'static str,
    tls: TlsAcceptor,
    limits: Limits,
    peer: SocketAddr,
    router: Router,
    tasks: Tasks,
    slot: ConnectionSlot,
}

impl Connection {
    async fn run(self, stream: TcpStream) {
        let Self {
            door, peer, tasks, ..
        } = self;
        // Small answers must not wait for the peer's acknowledgement of the ones before.
        drop(stream.set_nodelay(true));
        let stopping = tasks.stopping();
        let shaken = tokio::select! {
            biased;
            () = stopping.cancelled() => return,
            shaken = timeout(self.limits.handshake, self.tls.accept(stream)) => shaken,
        };
        let stream = match shaken {
            Ok(Ok(stream)) => stream,
            Ok(Err(cause)) => {
                tracing::debug!(door, %peer, %cause, "TLS handshake failed");
                return;
            }
            Err(_) => {
                tracing::debug!(door, %peer, "TLS handshake took too long");
                return;
            }
        };
        let router = self.router;
        let account = self.limits.budget.account(client_network(peer.ip()));
        let (charged, charges_answers) = (account.clone(), self.limits.charges_answers);
        let admission = Admission::default();
        let admitted = admission.0.clone();
        let asked = CancellationToken::new();
        let first = asked.clone();
        let service = hyper::service::service_fn(move |mut request: http::Request<Incoming>| {
            first.cancel();
            let extensions = request.extensions_mut();
            extensions.insert(Peer(client_network(peer.ip())));
            extensions.insert(admission.clone());
            let answer = metered::serve(router.clone(), charged.clone(), charges_answers, request);
            async { Ok::<_, Infallible>(answer.await) }
        });
        let builder = protocol(&self.limits);
        let mut connection =
            std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
        let never = CancellationToken::new();
        let aged = missed(self.limits.age, &never);
        // The protocol's own timer begins with the first byte of HTTP/1.1, and there is none in HTTP/2.
        let unasked = missed(Some(self.limits.handshake), &asked);
        let overstayed = missed(self.limits.admission, &admitted);
        let ended = tokio::select! {
            biased;
            () = stopping.cancelled() => None,
            () = aged => None,
            () = idle(self.limits.idle, &account) => None,
            () = unasked => {
                tracing::debug!(door, %peer, "nothing was asked on the connection");
                return;
            }
            () = overstayed => {
                // Nothing of a stranger's is waited for.
                tracing::debug!(door, %peer, "nobody on the connection was admitted");
                return;
            }
            () = stalled(&account) => {
                tracing::debug!(door, %peer, "an answer was not read in time");
                return;
            }
            ended = connection.as_mut() => Some(ended),
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                connection.as_mut().graceful_shutdown();
                // Streams that never end by themselves are cut: whoever holds one comes back.
                match timeout(self.limits.handshake, connection).await {
                    Ok(ended) => ended,
                    Err(_) => Ok(()),
                }
            }
        };
        if let Err(cause) = ended {
            tracing::debug!(door, %peer, %cause, "connection ended");
        }
        drop(self.slot);
    }
}

/// Who is at the other end of the connection, as an extension of each request: the address, or of IPv6 the network that
/// one subscriber has, because attempts are counted by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// Lets a connection stay, as an extension of each request on it: whoever answers requests at a door where strangers must
/// not linger says by it that this is none.
#[derive(Clone, Debug, Default)]
pub struct Admission(CancellationToken);

// === impl Admission ===

impl Admission {
    /// The connection may stay.
    pub fn admit(&self) {
        self.0.cancel();
    }
}

/// Ends when the time is over in which something was to happen; where it happens, or there is no such time, never.
async fn missed(within: Option<Duration>, happened: &CancellationToken) {
    match within {
        Some(within) if timeout(within, happened.cancelled()).await.is_err() => {}
        _ => std::future::pending().await,
    }
}

/// Ends when no request has been open on a connection for so long.
async fn idle(within: Option<Duration>, account: &Account) {
    let Some(within) = within else {
        return std::future::pending().await;
    };
    loop {
        let left = match account.idle() {
            Some(idle) => within.saturating_sub(idle),
            None => within,
        };
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left).await;
    }
}

/// Ends when an answer has waited too long to be written.
async fn stalled(account: &Account) {
    while !account.is_stalled(WRITTEN_WITHIN) {
        tokio::time::sleep(LOOK).await;
    }
}

fn protocol(limits: &Limits) -> Builder<TokioExecutor> {
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
        .initial_stream_window_size(UNREAD_BYTES)
        .initial_connection_window_size(UNREAD_BYTES)
        .max_frame_size(FRAME_BYTES)
        .max_header_list_size(HEAD_BYTES)
        .max_send_buf_size(UNSENT_BYTES)
        .max_pending_accept_reset_streams(RESETS_WAITING)
        .max_local_error_reset_streams(FAULTS)
        .keep_alive_interval(PING_AFTER)
        .keep_alive_timeout(PONG_WITHIN);
    builder
}

#[cfg(test)]
mod tests;
