//! The live sessions of the node, and the means to reach each of them: to end it, to judge it again, to count what it
//! has carried.
//!
//! Owns the set and the order in which credentials expire. Decides about no session by itself but the expired. Entered
//! and left by `admit::permit`; walked by `rejudge`, `drain` and `admin`.

use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry},
    future::poll_fn,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Poll,
};

use futures_util::task::AtomicWaker;
use tidegate_proto::{ids::SubscriptionKey, reason::Reason};

use crate::{
    admit::Applicant,
    auth::Principal,
    handshake::facts::Facts,
    metrics::ApiMetrics,
    quota::meter::Limited,
    record::SessionId,
    relay::{Live, Traffic},
    snapshot::model::{Api, Topic},
};

/// Handshakes on several cores must not queue for one lock.
const SHARDS: usize = 32;

/// The live sessions. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Registry(Arc<Shared>);

/// One live session, from its admission to its end.
#[derive(Debug)]
pub struct Session {
    id: SessionId,
    api: Arc<Api>,
    /// Which topic of the API, as an index.
    topic: usize,
    principal: Principal,
    facts: Facts,
    /// How much it may send and get.
    limited: Limited,
    /// The second (Unix time) at which its credential ends it.
    ends_at: u64,
    live: Live,
    told: OnceLock<Reason>,
    /// Whoever waits for `told` while the session is not open yet.
    waiting: AtomicWaker,
    /// Set when the client has its 101.
    counters: OnceLock<ApiMetrics>,
    /// What of its traffic the counters know.
    counted: [Counted; 2],
}

#[derive(Debug, Default)]
struct Shared {
    shards: [Mutex<Shard>; SHARDS],
    draining: AtomicBool,
}

#[derive(Debug, Default)]
struct Shard {
    sessions: HashMap<SessionId, Arc<Session>>,
    /// How many of them each subscription has; never 0.
    by_subscription: HashMap<SubscriptionKey, u32>,
    expiries: BTreeSet<(u64, SessionId)>,
}

#[derive(Debug, Default)]
struct Counted {
    messages: AtomicU64,
    dropped: AtomicU64,
    bytes: AtomicU64,
}

// === impl Registry ===

impl Registry {
    /// Enters a session; one that comes while the node drains is told so at once.
    pub fn enter(&self, session: Arc<Session>) {
        let mut shard = self.shard(session.id);
        shard.expiries.insert((session.ends_at, session.id));
        shard.sessions.insert(session.id, session.clone());
        let subscription = session.principal.subscription.key();
        *shard.by_subscription.entry(subscription).or_default() += 1;
        drop(shard);
        // After the entry: either this sees the flag, or who set it sees the entry.
        if self.0.draining.load(Ordering::SeqCst) {
            session.end(Reason::Draining);
        }
    }

    /// Takes a session out.
    pub fn leave(&self, session: &Session) {
        let mut shard = self.shard(session.id);
        shard.expiries.remove(&(session.ends_at, session.id));
        if shard.sessions.remove(&session.id).is_some() {
            shard.forget_one(session.principal.subscription.key());
        }
    }

    /// How many sessions each subscription has; those without any are left out.
    #[must_use]
    pub fn by_subscription(&self) -> HashMap<SubscriptionKey, u32> {
        let mut all = HashMap::new();
        for shard in self.shards() {
            for (subscription, count) in &shard.by_subscription {
                *all.entry(*subscription).or_default() += count;
            }
        }
        all
    }

    /// How many sessions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards().map(|shard| shard.sessions.len()).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shards().all(|shard| shard.sessions.is_empty())
    }

    /// The sessions of each shard in turn; no lock is held while the caller looks at them.
    pub fn by_shard(&self) -> impl Iterator<Item = Vec<Arc<Session>>> {
        self.shards()
            .map(|shard| shard.sessions.values().cloned().collect())
    }

    /// From now on, whoever enters is told to leave. Those who are in are not.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::SeqCst);
    }

    /// Ends the sessions whose credential is over at `now` (seconds of Unix time).
    pub fn expire(&self, now: u64) {
        for mut shard in self.shards() {
            while let Some(&(ends_at, id)) = shard.expiries.first() {
                if ends_at > now {
                    break;
                }
                shard.expiries.pop_first();
                if let Some(session) = shard.sessions.get(&id) {
                    session.end(Reason::CredentialExpired);
                }
            }
        }
    }

    /// Brings the counters up to what the sessions have carried by now.
    pub fn count(&self) {
        for sessions in self.by_shard() {
            for session in sessions {
                let (to_backend, to_client) = session.live.traffic();
                session.count(to_backend, to_client);
            }
        }
    }

    fn shards(&self) -> impl Iterator<Item = MutexGuard<'_, Shard>> {
        self.0
            .shards
            .iter()
            .map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn shard(&self, id: SessionId) -> MutexGuard<'_, Shard> {
        self.0.shards[id.spread(SHARDS)]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Shard ===

impl Shard {
    fn forget_one(&mut self, subscription: SubscriptionKey) {
        if let Entry::Occupied(mut count) = self.by_subscription.entry(subscription) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

// === impl Session ===

impl Session {
    /// A session that is not entered yet.
    #[must_use]
    pub fn new(applicant: Applicant, limited: Limited, ends_at: u64) -> Self {
        Self {
            id: applicant.id,
            api: applicant.api,
            topic: applicant.topic,
            principal: applicant.principal,
            facts: applicant.facts,
            limited,
            ends_at,
            live: Live::default(),
            told: OnceLock::new(),
            waiting: AtomicWaker::new(),
            counters: OnceLock::new(),
            counted: Default::default(),
        }
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// The API, as it was when the session was let in.
    #[must_use]
    pub const fn api(&self) -> &Arc<Api> {
        &self.api
    }

    /// The topic, as it was when the session was let in.
    #[must_use]
    pub fn topic(&self) -> &Topic {
        &self.api.topics[self.topic]
    }

    /// What policies look at of its handshake.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// How much it may send and get.
    #[must_use]
    pub const fn limited(&self) -> &Limited {
        &self.limited
    }

    /// Who is behind it.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// What the relay shares.
    #[must_use]
    pub const fn live(&self) -> &Live {
        &self.live
    }

    /// Ends it, be it open already or not; the first reason counts.
    pub fn end(&self, reason: Reason) {
        self.live.end(*self.told.get_or_init(|| reason));
        self.waiting.wake();
    }

    /// Waits until it is told to end. For the one task that opens it; the relay goes by [`Live`].
    pub async fn until_told(&self) -> Reason {
        poll_fn(|cx| {
            self.waiting.register(cx.waker());
            // After the registration: either this sees the reason, or who gives it sees the waker.
            self.told().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// The reason for which it was told to end.
    #[must_use]
    pub fn told(&self) -> Option<Reason> {
        self.told.get().copied()
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

// === impl Counted ===

impl Counted {
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

#[cfg(test)]
pub(crate) mod tests;
