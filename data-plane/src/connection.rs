//! THE PATH of a connection: accept, handshake, route, authenticate, admit, connect, answer 101, relay, record.
//!
//! [`run`], [`open`], [`establish`], [`negotiate`] and [`reach`] name the steps in order; each gives the value that the next one needs,
//! and what must be undone is a guard. No step is implemented here. Called by `listen`, once a connection, in a task of
//! its own.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Response, header::SEC_WEBSOCKET_PROTOCOL, request};
use http_body_util::Empty;
use tidegate_kit::{clock::Clock, connections::ConnectionSlot};
use tidegate_proto::reason::Reason;

use crate::{
    admit::{AdmissionContext, admit, permit::Permit},
    auth::{
        Authenticator,
        attributes::Attributes,
        credential::{self, Carried, Places},
    },
    config::RelayConfig,
    handshake::{self, HeadLimits, Unread, answer, headers::Offer, refusal::Refusal},
    listen::{Accepted, peer::Peer},
    metrics::{Metrics, Phase},
    quota::{
        Quotas,
        meter::{Meter, Terms},
    },
    record::Record,
    relay::{self, Ended, Rules},
    route::route,
    session::{PendingSession, SessionHandle, id::SessionId, registry::Registry},
    snapshot::Snapshots,
    socket::{Leg, Socket},
    upstream::{ConnectRequest, Connector, Upstream, choose::choose},
};

/// What the connections of a node share.
#[derive(Debug)]
pub struct Gateway {
    /// The configuration.
    pub snapshots: Snapshots,
    /// Who judges credentials.
    pub authenticator: Authenticator,
    /// How backends are reached.
    pub connector: Connector,
    /// The live sessions.
    pub registry: Registry,
    /// How much is left of whose limits.
    pub quotas: Quotas,
    /// How long a handshake waits for the ledger of quotas.
    pub admission_timeout: Duration,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What time it is.
    pub clock: Clock,
    /// What a request head may cost.
    pub head: HeadLimits,
    /// What open sessions are held to.
    pub relay: RelayConfig,
    /// Whether sessions leave a span.
    pub traced: bool,
}

/// A session whose handshakes are done, on its way to the relay.
struct Opened {
    client: Leg<Socket>,
    backend: Leg<Socket>,
    rules: Rules,
    meter: Meter<SessionHandle>,
    guards: SessionGuards,
}

/// What undoes a session when it is over, in this order.
struct SessionGuards {
    record: Record,
    permit: Permit,
    /// Last: a connection is counted until it is over.
    _slot: ConnectionSlot,
}

/// Why a connection opens no session.
enum NotOpened {
    /// The client left without asking for anything.
    Silent,
    /// It is refused; the answer goes to the socket, where there is still one.
    Refused(Option<Socket>, Refusal),
}

/// Bytes of the future of a session, which lives for as long as the session: the relay's own future, two sockets, and what
/// the record needs.
const SESSION_BYTES: usize = 1000;

/// Bytes of the future of a handshake, which lives in a box until the session opens.
const HANDSHAKE_BYTES: usize = 9 * 1024;

/// Serves one connection to its end.
///
/// What only the handshake needs lives in a box, and is gone before the relay begins: an idle session is a small future.
pub fn run(gateway: Arc<Gateway>, accepted: Accepted) -> impl Future<Output = ()> {
    let opening = Box::pin(at_most::<HANDSHAKE_BYTES, _>(open(gateway, accepted)));
    at_most::<SESSION_BYTES, _>(async move {
        if let Some(opened) = opening.await {
            let (mut guards, relay) = relay(opened);
            let ended = relay.await;
            guards.record.ended(ended);
        }
    })
}

/// Fails the build where a future is larger: memory for each session is a promise.
const fn at_most<const BYTES: usize, F: Future>(future: F) -> F {
    const {
        assert!(
            size_of::<F>() <= BYTES,
            "the future has grown beyond its promise"
        );
    }
    future
}

/// Makes the relay. Boxed on the way in, so that the session's future does not hold the legs twice.
fn relay(opened: Box<Opened>) -> (SessionGuards, impl Future<Output = Ended>) {
    let Opened {
        client,
        backend,
        rules,
        meter,
        guards,
    } = *opened;
    let handle = guards.permit.handle();
    (guards, relay::run(client, backend, rules, meter, handle))
}

/// From the accepted connection to the 101; `None` when the client got a refusal or is gone.
async fn open(gateway: Arc<Gateway>, accepted: Accepted) -> Option<Box<Opened>> {
    let Accepted { io, peer, slot } = accepted;
    let id = SessionId::generate(gateway.clock.now_millis());
    let mut record = Record::begin(&gateway.metrics, id, peer, gateway.traced);
    match establish(&gateway, io, peer, slot.is_within_limits(), &mut record).await {
        Ok((client, permit, upstream)) => {
            record.opened(permit.handle());
            let subprotocol = upstream.headers.get(SEC_WEBSOCKET_PROTOCOL);
            let terms = Terms::new(permit.session().api(), subprotocol, upstream.deflate);
            Some(Box::new(Opened {
                client,
                meter: Meter::new(permit.handle(), terms, gateway.metrics.clone()),
                rules: rules(&gateway.relay, upstream.deflate.is_some()),
                backend: upstream.leg,
                guards: SessionGuards {
                    record,
                    permit,
                    _slot: slot,
                },
            }))
        }
        Err(NotOpened::Silent) => {
            record.silent();
            None
        }
        Err(NotOpened::Refused(io, refusal)) => {
            record.refused(&refusal);
            if let Some(io) = io {
                answer::refuse(io, &refusal, record.session(), gateway.head.deadline).await;
            }
            None
        }
    }
}

/// Both handshakes: reads the client's request, opens the backend for it, and answers 101.
async fn establish(
    gateway: &Gateway,
    io: Socket,
    peer: Peer,
    is_within_limits: bool,
    record: &mut Record,
) -> Result<(Leg<Socket>, Permit, Upstream), NotOpened> {
    let (mut wire, request) = handshake::read(io, gateway.head).await?;
    let (request, _) = request.into_parts();
    record.asked(&request.uri, &request.headers);
    let negotiated = negotiate(gateway, request, is_within_limits, peer, record);
    match wire.unless_lost(negotiated).await {
        Some(Ok((response, permit, upstream))) => match wire.switch(response).await {
            Some(client) => Ok((client, permit, upstream)),
            None => Err(NotOpened::Refused(None, Reason::ClientLost.into())),
        },
        Some(Err(refusal)) => Err(NotOpened::Refused(Some(wire.into_socket()), refusal)),
        None => Err(NotOpened::Refused(None, Reason::ClientLost.into())),
    }
}

/// From the client's request to the response that opens the session.
async fn negotiate(
    gateway: &Gateway,
    request: request::Parts,
    is_within_limits: bool,
    peer: Peer,
    record: &mut Record,
) -> Result<(Response<Empty<Bytes>>, Permit, Upstream), Refusal> {
    if !is_within_limits {
        return Err(Reason::ConnectionLimit.into());
    }
    let mut offer = Offer::validate(request)?;
    // Before anybody looks at the headers: neither policies nor the backend get to see a token among the subprotocols.
    let carried = Carried::take(&mut offer.headers);
    let (permit, upstream) = reach(gateway, &offer, carried.as_ref(), peer, record).await?;
    let mut response = answer::switching(&offer, &upstream.headers, record.session());
    if let Some(carried) = &carried {
        carried.answer(response.headers_mut());
    }
    if let Some(rate_limit) = permit.session().limited().limiter().plan_rate_limit() {
        rate_limit.announce(response.headers_mut());
    }
    Ok((response, permit, upstream))
}

/// Route, authenticate, admit and connect: from the offer to a backend that accepted it.
async fn reach(
    gateway: &Gateway,
    offer: &Offer,
    carried: Option<&Carried>,
    peer: Peer,
    record: &mut Record,
) -> Result<(Permit, Upstream), Refusal> {
    let began = Instant::now();
    if !gateway.snapshots.is_held() {
        return Err(Reason::NotReady.into());
    }
    let snapshot = gateway.snapshots.load();
    let matched = route(&snapshot, offer.uri.path())?;
    record.routed(&matched);
    let now = gateway.clock.now_seconds();
    let query = offer.uri.query();
    let places = Places {
        headers: &offer.headers,
        carried,
        query,
    };
    let principal = gateway
        .authenticator
        .authenticate(&snapshot, &matched, places, now)?;
    record.authenticated(&principal);
    let endpoint = choose(&matched.api, &principal)?;
    let pending = PendingSession {
        id: record.session(),
        api: matched.api.clone(),
        topic: matched.topic_index,
        attributes: Attributes::take(&snapshot, peer.ip(), &offer.headers, query),
        principal,
    };
    let permit = admit(&gateway.admission(), &snapshot, pending, now).await?;
    record.phase(Phase::Admit, began.elapsed());
    // A backend may think for seconds; nothing of a snapshot that is swapped meanwhile need be kept for it.
    drop(snapshot);
    let ask = ConnectRequest {
        endpoint,
        path: &matched.backend_path(endpoint, credential::strip_query(query).as_deref()),
        offer,
        peer,
        session: record.session(),
        may_drop: permit.session().limited().limiter().may_drop(),
    };
    let limiter = permit.session().limited().limiter();
    let upstream = tokio::select! {
        // Much may change while a backend thinks, and what changed counts before what it says.
        biased;
        reason = permit.session().terminated() => return Err(reason.into()),
        (connected, ()) = async {
            tokio::join!(connect(gateway, &ask, record), limiter.plan_refreshed())
        } => connected?,
    };
    Ok((permit, upstream))
}

async fn connect(
    gateway: &Gateway,
    ask: &ConnectRequest<'_>,
    record: &Record,
) -> Result<Upstream, Refusal> {
    let began = Instant::now();
    let io = gateway.connector.dial(ask.endpoint).await?;
    record.phase(Phase::Connect, began.elapsed());
    let began = Instant::now();
    let upstream = gateway.connector.upgrade(io, ask).await?;
    record.phase(Phase::Upgrade, began.elapsed());
    Ok(upstream)
}

const fn rules(config: &RelayConfig, deflate: bool) -> Rules {
    Rules {
        deflate,
        idle: config.idle_seconds.unless_zero(),
        ping: config.ping_seconds.unless_zero(),
        pong: config.pong_seconds.0,
        close: config.close_seconds.0,
    }
}

// === impl Gateway ===

impl Gateway {
    /// What sessions are admitted with.
    #[must_use]
    pub const fn admission(&self) -> AdmissionContext<'_> {
        AdmissionContext {
            registry: &self.registry,
            snapshots: &self.snapshots,
            quotas: &self.quotas,
            timeout: self.admission_timeout,
        }
    }
}

// === impl NotOpened ===

impl From<Box<Unread>> for NotOpened {
    fn from(unread: Box<Unread>) -> Self {
        match unread.reason {
            Some(reason) => Self::Refused(Some(unread.io), reason.into()),
            None => Self::Silent,
        }
    }
}

#[cfg(test)]
mod tests;
