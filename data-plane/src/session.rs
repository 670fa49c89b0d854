//! THE PATH of a connection: accept, handshake, route, authenticate, admit, connect, answer 101, relay, record.
//!
//! [`run`], [`open`] and [`reach`] name the steps in order; each gives the value that the next one needs, and what must
//! be undone is a guard. No step is implemented here. Called by `listen`, once a connection, in a task of its own.

use std::{sync::Arc, time::Instant};

use tidegate_kit::clock::Clock;
use tidegate_proto::reason::Reason;

use crate::{
    admit::{
        Applicant, admit,
        permit::{Held, Permit},
    },
    auth::{Authenticator, credential},
    config::RelayConfig,
    handshake::{
        self, HeadLimits,
        answer::{self, Refusal},
        facts::Facts,
        headers::Offer,
    },
    listen::{Accepted, peer::Peer},
    metrics::{Metrics, Phase},
    record::{Record, SessionId},
    relay::{self, Ended, Leg, OpenGate, Rules},
    route::route,
    session::registry::Registry,
    snapshot::Snapshots,
    socket::Socket,
    upstream::{Ask, Connector, Upstream, choose::choose},
};

pub mod registry;
pub mod rejudge;

/// What the sessions of a node share.
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

/// A session whose both sides have said yes, on its way to the relay.
struct Opened {
    client: Leg<Socket>,
    backend: Leg<Socket>,
    rules: Rules,
}

/// Serves one connection to its end.
pub async fn run(gateway: Arc<Gateway>, accepted: Accepted) {
    let id = SessionId::generate(gateway.clock.now_millis());
    let mut record = Record::begin(&gateway.metrics, id, accepted.peer, gateway.traced);
    // What only the handshake needs lives in this box, and is gone before the relay begins.
    let has_place = accepted.slot.is_within();
    let opening = Box::pin(open(
        &gateway,
        accepted.io,
        accepted.peer,
        has_place,
        &mut record,
    ));
    let Some((permit, opened)) = opening.await else {
        return;
    };
    let ended = relay(opened, permit.held()).await;
    record.ended(ended);
    drop(permit);
    // Not before: a connection has its place until it is over.
    drop(accepted.slot);
}

/// Begins the relay. Boxed on the way in, so that the session's future does not hold the legs twice.
fn relay(opened: Box<Opened>, held: Held) -> impl Future<Output = Ended> {
    let Opened {
        client,
        backend,
        rules,
    } = *opened;
    relay::run(client, backend, rules, OpenGate, held)
}

/// From the accepted connection to the 101; `None` when the client got a refusal or is gone.
async fn open(
    gateway: &Gateway,
    io: Socket,
    peer: Peer,
    has_place: bool,
    record: &mut Record,
) -> Option<(Permit, Box<Opened>)> {
    let (mut wire, request) = match handshake::read(io, gateway.head).await {
        Ok(read) => read,
        Err(unread) => {
            match unread.reason {
                Some(reason) => refuse(gateway, unread.io, &reason.into(), record).await,
                None => record.silent(),
            }
            return None;
        }
    };
    let (request, _) = request.into_parts();
    record.asked(&request.uri, &request.headers);
    let judged = if has_place {
        Offer::validate(request)
    } else {
        Err(Reason::ConnectionLimit)
    };
    let offer = match judged {
        Ok(offer) => offer,
        Err(reason) => {
            refuse(gateway, wire.into_socket(), &reason.into(), record).await;
            return None;
        }
    };
    let reached = wire.unless_lost(reach(gateway, &offer, peer, record)).await;
    match reached {
        Some(Ok((permit, upstream))) => {
            let response = answer::switching(&offer, &upstream.headers, record.session());
            let Some(client) = wire.switch(response).await else {
                record.refused(&Reason::ClientLost.into());
                return None;
            };
            record.opened(permit.held());
            let opened = Opened {
                client,
                backend: upstream.leg,
                rules: rules(&gateway.relay, upstream.deflate),
            };
            Some((permit, Box::new(opened)))
        }
        Some(Err(refusal)) => {
            refuse(gateway, wire.into_socket(), &refusal, record).await;
            None
        }
        None => {
            record.refused(&Reason::ClientLost.into());
            None
        }
    }
}

/// From the offer to a backend that said yes.
async fn reach(
    gateway: &Gateway,
    offer: &Offer,
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
    let principal =
        gateway
            .authenticator
            .authenticate(&snapshot, &matched, &offer.headers, query, now)?;
    record.authenticated(&principal);
    let endpoint = choose(&matched.api, &principal)?;
    let applicant = Applicant {
        id: record.session(),
        api: matched.api.clone(),
        topic: matched.topic_index,
        facts: Facts::take(&snapshot, peer.ip(), &offer.headers, query),
        principal,
        now,
    };
    let permit = admit(&gateway.registry, &gateway.snapshots, &snapshot, applicant)?;
    record.phase(Phase::Judge, began.elapsed());
    // A backend may think for seconds; nothing of a snapshot that is swapped meanwhile need be kept for it.
    drop(snapshot);
    let ask = Ask {
        endpoint,
        path: &matched.backend_path(endpoint, credential::strip_query(query).as_deref()),
        offer,
        peer,
        session: record.session(),
    };
    let upstream = tokio::select! {
        // Much may change while a backend thinks, and what changed counts before what it says.
        biased;
        reason = permit.session().until_told() => return Err(reason.into()),
        connected = connect(gateway, &ask, record) => connected?,
    };
    Ok((permit, upstream))
}

async fn connect(gateway: &Gateway, ask: &Ask<'_>, record: &Record) -> Result<Upstream, Refusal> {
    let began = Instant::now();
    let io = gateway.connector.dial(ask.endpoint).await?;
    record.phase(Phase::Dial, began.elapsed());
    let began = Instant::now();
    let upstream = gateway.connector.upgrade(io, ask).await?;
    record.phase(Phase::Upgrade, began.elapsed());
    Ok(upstream)
}

async fn refuse(gateway: &Gateway, io: Socket, refusal: &Refusal, record: &mut Record) {
    record.refused(refusal);
    answer::refuse(io, refusal, record.session(), gateway.head.deadline).await;
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

#[cfg(test)]
mod tests;
