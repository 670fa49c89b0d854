//! Quotas: what limits each session, and how much of it is left across all nodes.
//!
//! A quota works like escrow: the ledger holds what is left of a window; a node takes grants from it and spends them with one
//! atomic decrement per message (`bucket`). What wasn't granted can't be spent, so a failure never exceeds a limit;
//! docs/QUOTAS.md names the exceptions. The ledger is either Redis, shared by the nodes of an environment (`ledger`), or part
//! of this process; the rules are the same (`rules`). `levels` decides which messages count together, `limiter` charges a
//! message to all levels or to none, `meter` is the gate of a session, `plan` reads what is left of the plan, `refill` talks
//! to the ledger, and `usage` reports what the plans have used.
//!
//! Refuses to know sockets and frames (`relay`). Used by `admit` for handshakes and by `meter` for messages.

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
use refill::{RefillTask, Schedule};
use time::Tick;

use crate::snapshot::Edition;

/// A counter: what is counted, and how much of it is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Its key.
    pub key: CounterKey,
    /// The amount that is allowed.
    pub amount: Amount,
    /// The window in which it is allowed.
    pub window: Window,
    /// What applies while the ledger is unavailable.
    pub without_ledger: WithoutLedger,
    /// Whether it refuses at the limit, or only counts.
    pub stops: bool,
}

/// A request to the task that talks to the ledger. Each counter and gauge is in the queue at most once.
#[derive(Debug)]
pub enum RefillItem {
    /// Refill a counter, or returns what it does not need.
    Bucket(Arc<Bucket>),
    /// Report a gauge.
    Gauge(Arc<Gauge>),
    /// Give everything back; the sender is notified when that is done.
    Settle(oneshot::Sender<()>),
}

/// How the node reaches the ledger that it shares with other nodes.
#[derive(Debug)]
pub struct Shared {
    /// The ledger.
    pub ledger: Ledger,
    /// The timeout of one exchange.
    pub timeout: Duration,
    /// How long the ledger may be silent before it counts as unavailable.
    pub unavailable_after: Duration,
    /// The number of nodes that share it, until the ledger reports the number itself.
    pub nodes: u32,
}

/// The node's counters. Clones share them.
#[derive(Clone, Debug)]
pub struct Quotas {
    link: Arc<Link>,
    counters: Arc<CounterTable>,
}

/// Every counter and gauge that the node has used recently, by key.
#[derive(Debug, Default)]
struct CounterTable(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    buckets: HashMap<CounterKey, Arc<Bucket>>,
    gauges: HashMap<GaugeKey, Arc<Gauge>>,
}

/// A ledger in this process answers at once; only the end of a window is awaited.
const LOCAL_TIMEOUT: Duration = Duration::from_secs(1);

// === impl Quotas ===

impl Quotas {
    /// Quotas that this node shares with no other. A task in `tasks` turns the windows.
    #[must_use]
    pub fn in_process(tasks: &Tasks) -> Self {
        Self::start(None, tasks)
    }

    /// Quotas that this node shares through a ledger. A task in `tasks` talks to it.
    #[must_use]
    pub fn shared(shared: Shared, tasks: &Tasks) -> Self {
        Self::start(Some(shared), tasks)
    }

    fn start(shared: Option<Shared>, tasks: &Tasks) -> Self {
        // Bounded by what there is: each counter is in the queue at most once (`called` in `bucket` and `gauge`), and
        // `settle` once. Who calls is on the path of a message and cannot wait for room.
        let (sender, queue) = mpsc::unbounded_channel();
        let (nodes, unavailable_after, timeout) = shared
            .as_ref()
            .map_or((1, LOCAL_TIMEOUT, LOCAL_TIMEOUT), |it| {
                (it.nodes, it.unavailable_after, it.timeout)
            });
        let unix = Clock::System.now_millis();
        let link = Link::new(unix, nodes, unavailable_after, shared.is_none(), sender);
        let quotas = Self {
            link: Arc::new(link),
            counters: Arc::default(),
        };
        let refill = RefillTask {
            link: quotas.link.clone(),
            counters: quotas.counters.clone(),
            queue,
            ledger: shared.map(|it| it.ledger),
            timeout,
            schedule: Schedule::default(),
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

    /// The bucket of a counter, of which there is one. It takes these terms, unless it already has those of a later
    /// configuration.
    #[must_use]
    pub fn bucket(&self, counter: &Counter, edition: Edition) -> Arc<Bucket> {
        let mut entries = self.counters.lock();
        let bucket = entries
            .buckets
            .entry(counter.key.clone())
            .or_insert_with(|| Arc::new(Bucket::new(counter, self.link.clone())))
            .clone();
        drop(entries);
        bucket.go_by(counter, edition);
        bucket
    }

    /// The gauge of a key, of which there is one.
    #[must_use]
    pub fn gauge(&self, key: GaugeKey) -> Arc<Gauge> {
        let mut entries = self.counters.lock();
        let make = |key: &GaugeKey| Arc::new(Gauge::new(key, self.link.clone()));
        if let Some(gauge) = entries.gauges.get(&key) {
            return gauge.clone();
        }
        let gauge = make(&key);
        entries.gauges.insert(key, gauge.clone());
        gauge
    }

    /// The link to the ledger: its state and its metrics.
    #[must_use]
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Gives back what is not spent, because the node stops.
    pub async fn settle(&self) {
        let (done, settled) = oneshot::channel();
        self.link.enqueue(RefillItem::Settle(done));
        // Where the task has ended, nobody can take it back.
        drop(settled.await);
    }
}

// === impl CounterTable ===

impl CounterTable {
    /// Removes counters that no session holds and whose window is over.
    fn sweep(&self, now: Tick) {
        let mut entries = self.lock();
        entries
            .buckets
            .retain(|_, bucket| Arc::strong_count(bucket) > 1 || !bucket.is_over(now));
        entries
            .gauges
            .retain(|_, gauge| Arc::strong_count(gauge) > 1);
    }

    /// The counters of a level. No lock is held while the caller reads them.
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
