//! The live sessions of the node.
//!
//! Owns the set, the order in which credentials expire, and the order by subscription in which a change finds the
//! sessions that it touches. Decides about no session by itself but the expired. Entered and left by `admit::permit`;
//! walked by `rejudge`, `drain` and `admin`.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tidegate_proto::{ids::SubscriptionKey, reason::Reason};
use tokio::sync::Notify;

use crate::session::{Session, id::SessionId};

/// Handshakes on several cores must not queue for one lock.
const SHARDS: usize = 32;

/// The live sessions. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Registry(Arc<Sessions>);

#[derive(Debug, Default)]
struct Sessions {
    shards: [Mutex<SessionShard>; SHARDS],
    len: AtomicUsize,
    draining: AtomicBool,
    /// Notified when the last session leaves.
    emptied: Notify,
}

#[derive(Debug, Default)]
struct SessionShard {
    sessions: BTreeMap<(SubscriptionKey, SessionId), Arc<Session>>,
    expiries: BTreeMap<(u64, SessionId), Arc<Session>>,
}

// === impl Registry ===

impl Registry {
    /// Enters a session. One that enters while the node drains is told to end at once.
    pub fn enter(&self, session: Arc<Session>) {
        let mut shard = self.shard(session.id());
        let key = (session.principal().subscription.key(), session.id());
        let expiry = (session.ends_at, session.id());
        if shard.sessions.insert(key, session.clone()).is_none() {
            self.0.len.fetch_add(1, Ordering::SeqCst);
        }
        shard.expiries.insert(expiry, session.clone());
        drop(shard);
        // After the entry: either this sees the flag, or who set it sees the entry.
        if self.0.draining.load(Ordering::SeqCst) {
            session.end(Reason::Draining);
        }
    }

    /// Takes a session out.
    pub fn leave(&self, session: &Session) {
        let mut shard = self.shard(session.id());
        let key = (session.principal().subscription.key(), session.id());
        shard.expiries.remove(&(session.ends_at, session.id()));
        let left = shard.sessions.remove(&key);
        drop(shard);
        if left.is_some() && self.0.len.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.emptied.notify_waiters();
        }
    }

    /// How many sessions each subscription has; those without any are left out.
    #[must_use]
    pub fn by_subscription(&self) -> HashMap<SubscriptionKey, u32> {
        let mut all = HashMap::new();
        for shard in self.shards() {
            for (subscription, _) in shard.sessions.keys() {
                *all.entry(*subscription).or_default() += 1;
            }
        }
        all
    }

    /// How many sessions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len.load(Ordering::SeqCst)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until there is no session.
    pub async fn emptied(&self) {
        loop {
            let emptied = self.0.emptied.notified();
            // After the registration: a session that leaves in between is noticed.
            if self.is_empty() {
                return;
            }
            emptied.await;
        }
    }

    /// The sessions of each shard in turn; no lock is held while the caller looks at them.
    pub fn by_shard(&self) -> impl Iterator<Item = Vec<Arc<Session>>> {
        self.of_subscriptions(|_| true)
    }

    /// The sessions of one subscription, of each shard in turn; no others are looked at, and no lock is held while the
    /// caller looks at these.
    pub fn of_subscription(
        &self,
        subscription: SubscriptionKey,
    ) -> impl Iterator<Item = Vec<Arc<Session>>> {
        let all = (subscription, SessionId::MIN)..=(subscription, SessionId::MAX);
        self.shards().map(move |shard| {
            let sessions = shard.sessions.range(all.clone());
            sessions.map(|(_, session)| session.clone()).collect()
        })
    }

    /// The sessions of the subscriptions that are `wanted`, of each shard in turn; no lock is held while the caller looks
    /// at them. Asks once for a run of sessions of one subscription.
    pub fn of_subscriptions(
        &self,
        wanted: impl Fn(SubscriptionKey) -> bool,
    ) -> impl Iterator<Item = Vec<Arc<Session>>> {
        self.shards().map(move |shard| {
            let mut last = None;
            let mut is_wanted = |subscription| match last {
                Some((before, is_wanted)) if before == subscription => is_wanted,
                _ => {
                    let is_wanted = wanted(subscription);
                    last = Some((subscription, is_wanted));
                    is_wanted
                }
            };
            let sessions = shard.sessions.iter();
            let sessions = sessions.filter(|((subscription, _), _)| is_wanted(*subscription));
            sessions.map(|(_, session)| session.clone()).collect()
        })
    }

    /// From now on, whoever enters is told to leave. Those who are in are not.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::SeqCst);
    }

    /// Ends the sessions whose credential is over at `now` (seconds of Unix time).
    pub fn expire(&self, now: u64) {
        for mut shard in self.shards() {
            while let Some(first) = shard.expiries.first_entry() {
                let (ends_at, _) = *first.key();
                if ends_at > now {
                    break;
                }
                first.remove().end(Reason::CredentialExpired);
            }
        }
    }

    /// Brings the counters up to what the sessions have carried by now.
    pub fn count(&self) {
        for sessions in self.by_shard() {
            for session in sessions {
                let (to_backend, to_client) = session.live().traffic();
                session.count(to_backend, to_client);
            }
        }
    }

    fn shards(&self) -> impl Iterator<Item = MutexGuard<'_, SessionShard>> {
        self.0
            .shards
            .iter()
            .map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn shard(&self, id: SessionId) -> MutexGuard<'_, SessionShard> {
        self.0.shards[id.spread(SHARDS)]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
pub(crate) mod tests;
