//! What buckets and gauges share with the task that talks to the ledger: whether it answers, what its clock shows, how
//! many nodes there are, and the queue of those who want to be visited.
//!
//! Owns no rule. Read on the slow path only.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use crate::{
    metrics::ledger::LedgerMetrics,
    quota::{
        Visit,
        rules::Rules,
        time::{LedgerClock, Tick},
    },
};

/// The state of the way to the ledger.
#[derive(Debug)]
pub struct Link {
    /// What the ledger's clock probably shows.
    pub clock: LedgerClock,
    /// What was counted on the way.
    pub stats: LedgerMetrics,
    /// How long the ledger may be silent.
    pub patience: Duration,
    /// The ledger itself, where it is in this process.
    local: Option<Mutex<Rules>>,
    away: AtomicBool,
    nodes: AtomicU32,
    fault: Mutex<String>,
    queue: UnboundedSender<Visit>,
}

// === impl Link ===

impl Link {
    /// A way that is open, to a ledger whose clock shows `unix_millis` now, shared by so many nodes; to one in this
    /// process where it `is_local`.
    #[must_use]
    pub fn new(
        unix_millis: u64,
        nodes: u32,
        patience: Duration,
        is_local: bool,
        queue: UnboundedSender<Visit>,
    ) -> Self {
        Self {
            clock: LedgerClock::new(Tick::now(), unix_millis),
            stats: LedgerMetrics::default(),
            patience,
            local: is_local.then(|| Mutex::new(Rules::in_process())),
            away: AtomicBool::new(false),
            nodes: AtomicU32::new(nodes.max(1)),
            fault: Mutex::default(),
            queue,
        }
    }

    /// Whether the ledger is in this process.
    #[must_use]
    pub const fn is_local(&self) -> bool {
        self.local.is_some()
    }

    /// The ledger, where it is in this process: it answers at once.
    pub fn local(&self) -> Option<MutexGuard<'_, Rules>> {
        let rules = self.local.as_ref()?;
        Some(rules.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the ledger has not answered for longer than the node's patience.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.away.load(Ordering::Acquire)
    }

    /// Says whether it is; returns whether that is new.
    pub fn set_away(&self, away: bool) -> bool {
        self.away.swap(away, Ordering::AcqRel) != away
    }

    /// How many nodes share the quotas, by the last word on it; at least 1.
    #[must_use]
    pub fn nodes(&self) -> u64 {
        self.nodes.load(Ordering::Relaxed).into()
    }

    /// Learns how many nodes there are.
    pub fn set_nodes(&self, nodes: u64) {
        let nodes = u32::try_from(nodes).unwrap_or(u32::MAX);
        self.nodes.store(nodes.max(1), Ordering::Relaxed);
    }

    /// What is wrong with the ledger, in words; empty while it answers.
    #[must_use]
    pub fn fault(&self) -> String {
        let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        fault.clone()
    }

    /// Says what is wrong; nothing with an empty text.
    pub fn set_fault(&self, text: &str) {
        let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        if *fault != text {
            text.clone_into(&mut fault);
        }
    }

    /// Asks for a visit. Once the node stops, nobody comes.
    pub fn call(&self, visit: Visit) {
        drop(self.queue.send(visit));
    }
}
