//! A live session, from its admission to its end, as everybody on the node shares it: who it is, what it may do, what it
//! has carried, and how to end it.
//!
//! Owns what one session is; which there are is `registry`'s. Decides nothing. Entered by `admit`, carried by `relay`,
//! judged again by `rejudge`, ended by whoever has a reason.

use std::{
    future::poll_fn,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
};

use futures_util::task::AtomicWaker;
use tidegate_proto::reason::Reason;

use crate::{
    auth::{Principal, attributes::Attributes},
    message::Traffic,
    metrics::ApiMetrics,
    quota::meter::Limited,
    snapshot::model::{Api, Topic},
};

pub mod id;
pub mod live;
pub mod registry;

use id::SessionId;
use live::Live;

/// What is known of a session before it is admitted: who wants what.
#[derive(Clone, Debug)]
pub struct PendingSession {
    /// The session's id.
    pub id: SessionId,
    /// The API.
    pub api: Arc<Api>,
    /// Which of its topics, as an index.
    pub topic: usize,
    /// Who the client is.
    pub principal: Principal,
    /// What policies look at.
    pub attributes: Attributes,
}

/// One live session.
#[derive(Debug)]
pub struct Session {
    request: PendingSession,
    /// How much it may send and get.
    limited: Limited,
    /// The second (Unix time) at which its credential ends it.
    ends_at: u64,
    live: Live,
    /// Why it was told to end.
    termination: OnceLock<Reason>,
    /// Whoever waits for `termination` while the session is not open yet.
    waiting: AtomicWaker,
    /// Set when the client has its 101.
    counters: OnceLock<ApiMetrics>,
    /// What of its traffic the counters know.
    counted: [CountedTraffic; 2],
}

/// A shared session, as those see it who need only a part: the relay its [`Live`], the meter its [`Limited`].
#[derive(Clone, Debug)]
pub struct SessionHandle(Arc<Session>);

#[derive(Debug, Default)]
struct CountedTraffic {
    messages: AtomicU64,
    dropped: AtomicU64,
    bytes: AtomicU64,
}

// === impl Session ===

impl Session {
    /// A session that is not entered yet.
    #[must_use]
    pub fn new(request: PendingSession, limited: Limited, ends_at: u64) -> Self {
        Self {
            request,
            limited,
            ends_at,
            live: Live::default(),
            termination: OnceLock::new(),
            waiting: AtomicWaker::new(),
            counters: OnceLock::new(),
            counted: Default::default(),
        }
    }

    /// Who wanted what when it was admitted.
    #[must_use]
    pub const fn request(&self) -> &PendingSession {
        &self.request
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.request.id
    }

    /// The API, as it was when the session was admitted.
    #[must_use]
    pub const fn api(&self) -> &Arc<Api> {
        &self.request.api
    }

    /// How much it may send and get.
    #[must_use]
    pub const fn limited(&self) -> &Limited {
        &self.limited
    }

    /// Who is behind it.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.request.principal
    }

    /// What the relay shares.
    #[must_use]
    pub const fn live(&self) -> &Live {
        &self.live
    }

    /// Ends it, be it open already or not; the first reason counts.
    pub fn end(&self, reason: Reason) {
        self.live.end(*self.termination.get_or_init(|| reason));
        self.waiting.wake();
    }

    /// Waits until it is told to end. For the one task that opens it; the relay goes by [`Live`].
    pub async fn terminated(&self) -> Reason {
        poll_fn(|cx| {
            self.waiting.register(cx.waker());
            // After the registration: either this sees the reason, or who gives it sees the waker.
            self.termination().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// The reason for which it was told to end.
    #[must_use]
    pub fn termination(&self) -> Option<Reason> {
        self.termination.get().copied()
    }

    /// From now on its traffic is counted there.
    pub fn opened(&self, counters: ApiMetrics) {
        drop(self.counters.set(counters));
    }

    /// Counts traffic up to these totals. Called by its own end and by sweeps, at the same time if it so happens: each
    /// counts only what is beyond the highest total that was seen.
    pub fn count(&self, to_backend: Traffic, to_client: Traffic) {
        let Some(counters) = self.counters.get() else {
            return;
        };
        let [backend, client] = &self.counted;
        counters.carried(backend.beyond(to_backend), client.beyond(to_client));
    }
}

// === impl PendingSession ===

impl PendingSession {
    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &Topic {
        &self.api.topics[self.topic]
    }
}

// === impl SessionHandle ===

impl SessionHandle {
    /// A handle to a session.
    #[must_use]
    pub const fn new(session: Arc<Session>) -> Self {
        Self(session)
    }

    /// The session.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.0
    }
}

impl AsRef<Limited> for SessionHandle {
    fn as_ref(&self) -> &Limited {
        self.0.limited()
    }
}

impl AsRef<Live> for SessionHandle {
    fn as_ref(&self) -> &Live {
        self.0.live()
    }
}

// === impl CountedTraffic ===

impl CountedTraffic {
    fn beyond(&self, total: Traffic) -> Traffic {
        let beyond = |seen: &AtomicU64, total: u64| {
            total.saturating_sub(seen.fetch_max(total, Ordering::Relaxed))
        };
        Traffic {
            messages: beyond(&self.messages, total.messages),
            dropped: beyond(&self.dropped, total.dropped),
            bytes: beyond(&self.bytes, total.bytes),
        }
    }
}
