//! Quotas: what each session is limited by, and how much of it is left, over all nodes together.
//!
//! A quota is money in escrow: the ledger holds what is left of a window, a node takes grants out of it and spends them,
//! one atomic decrement a message (`bucket`). What was not granted cannot be spent, so a limit is not exceeded when
//! something fails; docs/QUOTAS.md names what is left. The ledger is Redis, shared by the nodes of an environment (`ledger`), or a part of this process; the rules are
//! the same (`rules`). `levels` says whose messages count together, `limiter` takes a message from all levels or none,
//! `meter` is a session's gate, `refill` exchanges words with the ledger, `usage` says what was used of plans.
//!
//! Refuses to know sockets and frames (`relay`). Asked by `admit` for handshakes and by `meter` for messages.

pub mod time;
pub mod key;
pub mod rules;
mod account;
pub mod bucket;
pub mod gauge;
pub mod link;
pub mod ledger;
mod refill;
pub mod levels;
pub mod limiter;
pub mod meter;
mod plan;
pub mod usage;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tidegate_kit::{clock::Clock, fault_log::FaultLog, tasks::Tasks};
use tidegate_proto::quota::{Amount, Window, WithoutLedger};
use tokio::sync::{mpsc, oneshot};

use bucket::Bucket;
use gauge::Gauge;
use key::{CounterKey, GaugeKey};
use ledger::Ledger;
use levels::Level;
use link::Link;
use refill::{Agenda, Refill};
use time::Tick;

use crate::snapshot::Edition;

/// What is counted, and how much of it is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// What is counted.
    pub key: CounterKey,
    /// How much is allowed.
    pub amount: Amount,
    /// In how long a time.
    pub window: Window,
    /// What holds while the ledger cannot be asked.
    pub without_ledger: WithoutLedger,
    /// Whether it stops at the limit.
    pub stops: bool,
}

/// Somebody to be visited by the task that talks to the ledger. Each is in the queue at most once.
#[derive(Debug)]
pub enum Visit {
    /// A counter.
    Bucket(Arc<Bucket>),
    /// A gauge.
    Gauge(Arc<Gauge>),
    /// Everything is to be given back; whoever asks is told when it is done.
    Settle(oneshot::Sender<()>),
}

/// How the node reaches the ledger that it shares with others.
#[derive(Debug)]
pub struct Shared {
    /// The ledger.
    pub ledger: Ledger,
    /// How long an exchange may take.
    pub timeout: Duration,
    /// How long the ledger may be silent before it is away.
    pub patience: Duration,
    /// How many nodes share it, until it says so itself.
    pub nodes: u32,
}

/// The node's counters. Clones share them.
#[derive(Clone, Debug)]
pub struct Quotas {
    link: Arc<Link>,
    book: Arc<Book>,
}

/// Every counter and gauge that the node has used lately, by its name.
#[derive(Debug, Default)]
struct Book(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    buckets: HashMap<CounterKey, Arc<Bucket>>,
    gauges: HashMap<GaugeKey, Arc<Gauge>>,
}

/// In this process nobody is waited for, but a window that turns.
const LOCAL_PATIENCE: Duration = Duration::from_secs(1);

// === impl Quotas ===

impl Quotas {
    /// Quotas that this node shares with nobody. Time is kept by a task among `tasks`.
    #[must_use]
    pub fn in_process(tasks: &Tasks) -> Self {
        Self::start(None, tasks)
    }

    /// Quotas that this node shares through a ledger. It is asked by a task among `tasks`.
    #[must_use]
    pub fn shared(shared: Shared, tasks: &Tasks) -> Self {
        Self::start(Some(shared), tasks)
    }

    fn start(shared: Option<Shared>, tasks: &Tasks) -> Self {
        // Bounded by what there is: each counter is in the queue at most once (`called` in `bucket` and `gauge`), and
        // `settle` once. Who calls is on the path of a message and cannot wait for room.
        let (sender, queue) = mpsc::unbounded_channel();
        let (nodes, patience, timeout) = shared
            .as_ref()
            .map_or((1, LOCAL_PATIENCE, LOCAL_PATIENCE), |it| {
                (it.nodes, it.patience, it.timeout)
            });
        let unix = Clock::System.now_millis();
        let link = Link::new(unix, nodes, patience, shared.is_none(), sender);
        let quotas = Self {
            link: Arc::new(link),
            book: Arc::default(),
        };
        let refill = Refill {
            link: quotas.link.clone(),
            book: quotas.book.clone(),
            queue,
            ledger: shared.map(|it| it.ledger),
            timeout,
            agenda: Agenda::default(),
            log: FaultLog::new(refill::LINES),
        };
        let stopping = tasks.stopping();
        tasks.spawn("ledger", async move {
            tokio::select! {
                biased;
                () = stopping.cancelled() => {}
                () = refill.run() => {}
            }
        });
        quotas
    }

    /// The one bucket of a counter. Its terms are from now on those that are given here, unless it has got others of a
    /// later configuration.
    #[must_use]
    pub fn bucket(&self, counter: &Counter, edition: Edition) -> Arc<Bucket> {
        let mut entries = self.book.lock();
        let bucket = entries
            .buckets
            .entry(counter.key.clone())
            .or_insert_with(|| Arc::new(Bucket::new(counter, self.link.clone())))
            .clone();
        drop(entries);
        bucket.go_by(counter, edition);
        bucket
    }

    /// The one gauge of a key.
    #[must_use]
    pub fn gauge(&self, key: GaugeKey) -> Arc<Gauge> {
        let mut entries = self.book.lock();
        let make = |key: &GaugeKey| Arc::new(Gauge::new(key, self.link.clone()));
        if let Some(gauge) = entries.gauges.get(&key) {
            return gauge.clone();
        }
        let gauge = make(&key);
        entries.gauges.insert(key, gauge.clone());
        gauge
    }

    /// The way to the ledger: its state and what was counted on it.
    #[must_use]
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Gives back what is not spent: the node stops.
    pub async fn settle(&self) {
        let (done, settled) = oneshot::channel();
        self.link.call(Visit::Settle(done));
        // Where nobody answers any more, there is nobody to give it to.
        drop(settled.await);
    }
}

// === impl Book ===

impl Book {
    /// Forgets counters that nobody holds and whose window is over.
    fn sweep(&self, now: Tick) {
        let mut entries = self.lock();
        entries
            .buckets
            .retain(|_, bucket| Arc::strong_count(bucket) > 1 || !bucket.is_over(now));
        entries
            .gauges
            .retain(|_, gauge| Arc::strong_count(gauge) > 1);
    }

    /// The counters of a level; none is locked while the caller looks at them.
    fn of_level(&self, level: Level) -> Vec<Arc<Bucket>> {
        let entries = self.lock();
        let of_level = entries
            .buckets
            .values()
            .filter(|it| it.key().level == level);
        of_level.cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
