//! THE PATH of a connection: accept, handshake, route, authenticate, admit, connect, answer 101, relay, record.
//!
//! [`run`], [`open`] and [`reach`] name the steps in order; each gives the value that the next one needs, and what must
//! be undone is a guard. No step is implemented here. Called by `listen`, once a connection, in a task of its own.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::header;
use tidegate_kit::{clock::Clock, connections::ConnectionSlot};
use tidegate_proto::reason::Reason;

use crate::{
    admit::{
        Applicant, Desk, admit,
        permit::{Held, Permit},
    },
    auth::{
        Authenticator,
        credential::{self, Carried, Places},
    },
    config::RelayConfig,
    handshake::{
        self, HeadLimits,
        answer::{self, Refusal, allowance::Allowance},
        facts::Facts,
        headers::Offer,
    },
    listen::{Accepted, peer::Peer},
    metrics::{ApiLabels, Metrics, Phase},
    quota::{
        Quotas,
        levels::Level,
        limiter::{Limiter, Tier},
        meter::{Meter, Terms},
    },
    record::{Record, SessionId},
    relay::{self, Ended, Leg, Rules},
    route::route,
    session::registry::{Registry, Session},
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
    /// How much is left of whose limits.
    pub quotas: Quotas,
    /// How long a handshake waits for the ledger of quotas.
    pub patience: Duration,
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
    meter: Meter<Held>,
    kept: Kept,
}

/// How long a handshake waits for the ledger to say what is left, where nothing else depends on it.
const WORD: Duration = Duration::from_millis(100);

/// What undoes a session when it is over, in this order.
struct Kept {
    record: Record,
    permit: Permit,
    /// Last: a connection has its place until it is over.
    _slot: ConnectionSlot,
}

// === impl Gateway ===

impl Gateway {
    /// What sessions are entered with.
    #[must_use]
    pub const fn desk(&self) -> Desk<'_> {
        Desk {
            registry: &self.registry,
            snapshots: &self.snapshots,
            quotas: &self.quotas,
            patience: self.patience,
        }
    }
}

/// Serves one connection to its end.
///
/// What only the handshake needs lives in a box, and is gone before the relay begins: an idle session is a small future.
pub fn run(gateway: Arc<Gateway>, accepted: Accepted) -> impl Future<Output = ()> {
    let opening = Box::pin(open(gateway, accepted));
    async move {
        if let Some(opened) = opening.await {
            let (mut kept, relay) = relay(opened);
            let ended = relay.await;
            kept.record.ended(ended);
        }
    }
}

/// Makes the relay. Boxed on the way in, so that the session's future does not hold the legs twice.
fn relay(opened: Box<Opened>) -> (Kept, impl Future<Output = Ended>) {
    let Opened {
        client,
        backend,
        rules,
        meter,
        kept,
    } = *opened;
    let held = kept.permit.held();
    (kept, relay::run(client, backend, rules, meter, held))
}

/// From the accepted connection to the 101; `None` when the client got a refusal or is gone.
async fn open(gateway: Arc<Gateway>, accepted: Accepted) -> Option<Box<Opened>> {
    let Accepted { io, peer, slot } = accepted;
    let id = SessionId::generate(gateway.clock.now_millis());
    let mut record = Record::begin(&gateway.metrics, id, peer, gateway.traced);
    let (mut wire, request) = match handshake::read(io, gateway.head).await {
        Ok(read) => read,
        Err(unread) => {
            match unread.reason {
                Some(reason) => refuse(&gateway, unread.io, &reason.into(), &mut record).await,
                None => record.silent(),
            }
            return None;
        }
    };
    let (request, _) = request.into_parts();
    record.asked(&request.uri, &request.headers);
    let judged = if slot.is_within_limits() {
        Offer::validate(request)
    } else {
        Err(Reason::ConnectionLimit)
    };
    let mut offer = match judged {
        Ok(offer) => offer,
        Err(reason) => {
            refuse(&gateway, wire.into_socket(), &reason.into(), &mut record).await;
            return None;
        }
    };
    // Before anybody looks at the headers: neither policies nor the backend get to see a token among the subprotocols.
    let carried = Carried::take(&mut offer.headers);
    let reached = reach(&gateway, &offer, carried.as_ref(), peer, &mut record);
    match wire.unless_lost(reached).await {
        Some(Ok((permit, upstream))) => {
            let mut response = answer::switching(&offer, &upstream.headers, record.session());
            if let Some(carried) = &carried {
                carried.answer(response.headers_mut());
            }
            if let Some(allowance) = allowance(permit.session()) {
                allowance.announce(response.headers_mut());
            }
            let Some(client) = wire.switch(response).await else {
                record.refused(&Reason::ClientLost.into());
                return None;
            };
            record.opened(permit.held());
            let terms = terms(permit.session(), &upstream);
            Some(Box::new(Opened {
                client,
                meter: Meter::new(permit.held(), terms, gateway.metrics.clone()),
                rules: rules(&gateway.relay, upstream.deflate.is_some()),
                backend: upstream.leg,
                kept: Kept {
                    record,
                    permit,
                    _slot: slot,
                },
            }))
        }
        Some(Err(refusal)) => {
            refuse(&gateway, wire.into_socket(), &refusal, &mut record).await;
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
    let applicant = Applicant {
        id: record.session(),
        api: matched.api.clone(),
        topic: matched.topic_index,
        facts: Facts::take(&snapshot, peer.ip(), &offer.headers, query),
        principal,
        now,
    };
    let permit = admit(&gateway.desk(), &snapshot, applicant).await?;
    record.phase(Phase::Judge, began.elapsed());
    // A backend may think for seconds; nothing of a snapshot that is swapped meanwhile need be kept for it.
    drop(snapshot);
    let ask = Ask {
        endpoint,
        path: &matched.backend_path(endpoint, credential::strip_query(query).as_deref()),
        offer,
        peer,
        session: record.session(),
        may_drop: permit.session().limited().limiter().may_drop(),
    };
    let upstream = tokio::select! {
        // Much may change while a backend thinks, and what changed counts before what it says.
        biased;
        reason = permit.session().until_told() => return Err(reason.into()),
        (connected, ()) = async {
            tokio::join!(connect(gateway, &ask, record), heard(permit.session()))
        } => connected?,
    };
    Ok((permit, upstream))
}

/// Waits a little for the ledger's word on the plan, so that the client is told what is really left.
async fn heard(session: &Session) {
    let limiter = session.limited().limiter();
    if let Some(plan) = plan(&limiter) {
        // Where it does not come in time, what is told is what this node knows.
        drop(tokio::time::timeout(WORD, plan.heard()).await);
    }
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

fn plan(limiter: &Limiter) -> Option<&Tier> {
    let mut tiers = limiter.tiers().iter();
    tiers.find(|tier| tier.level() == Level::Subscription)
}

/// What is left of the plan's message limit of which the least is left.
fn allowance(session: &Session) -> Option<Allowance> {
    let limiter = session.limited().limiter();
    let (window, view) = plan(&limiter)?.tightest()?;
    Some(Allowance {
        plan: session.principal().plan.name.to_string(),
        limit: view.limit,
        window_seconds: window.seconds(),
        remaining: view.remaining,
        resets_in: view.resets_in,
    })
}

/// What may be done to the session's messages, as its handshakes came out.
fn terms(session: &Session, upstream: &Upstream) -> Terms {
    let api = session.api();
    let subprotocol = upstream.headers.get(header::SEC_WEBSOCKET_PROTOCOL);
    Terms {
        labels: ApiLabels {
            api: api.name.clone(),
            version: Arc::from(api.version.as_str()),
        },
        keeps_window: upstream
            .deflate
            .map_or([false; 2], |it| [it.client_keeps, it.backend_keeps]),
        may_notice: subprotocol.is_none_or(|chosen| {
            let mut listed = api.notice_subprotocols.iter();
            listed.any(|name| chosen == &**name)
        }),
    }
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
