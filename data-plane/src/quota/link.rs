//! The state that buckets and gauges share with the refill task: whether the ledger is available, its clock, the number
//! of nodes, and the queue of buckets and gauges to refresh.
//!
//! Owns no rule. Only used on the slow path.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use crate::{
    metrics::ledger::LedgerMetrics,
    quota::{
        RefillItem,
        rules::Rules,
        time::{LedgerClock, Tick},
    },
};

/// The state of the connection to the ledger.
#[derive(Debug)]
pub struct Link {
    /// An estimate of the ledger's clock.
    pub clock: LedgerClock,
    /// The metrics of the ledger's client.
    pub stats: LedgerMetrics,
    /// How long the ledger may fail to answer before it is unavailable.
    pub unavailable_after: Duration,
    /// The ledger itself, if it is in this process.
    local: Option<Mutex<Rules>>,
    unavailable: AtomicBool,
    nodes: AtomicU32,
    fault: Mutex<String>,
    queue: UnboundedSender<RefillItem>,
}

// === impl Link ===

impl Link {
    /// A link to an available ledger whose clock shows `unix_millis` now, shared by this number of nodes. The ledger is
    /// in this process if it `is_local`.
    #[must_use]
    pub fn new(
        unix_millis: u64,
        nodes: u32,
        unavailable_after: Duration,
        is_local: bool,
        queue: UnboundedSender<RefillItem>,
    ) -> Self {
        Self {
            clock: LedgerClock::new(Tick::now(), unix_millis),
            stats: LedgerMetrics::default(),
            unavailable_after,
            local: is_local.then(|| Mutex::new(Rules::in_process())),
            unavailable: AtomicBool::new(false),
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

    /// The ledger, if it is in this process. It answers at once.
    pub fn local(&self) -> Option<MutexGuard<'_, Rules>> {
        let rules = self.local.as_ref()?;
        Some(rules.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the ledger has not answered for `unavailable_after`.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        self.unavailable.load(Ordering::Acquire)
    }

    /// Sets whether the ledger is unavailable. Returns whether that has changed.
    pub fn set_unavailable(&self, unavailable: bool) -> bool {
        self.unavailable.swap(unavailable, Ordering::AcqRel) != unavailable
    }

    /// The number of nodes that share the quotas, as last reported by the ledger; at least 1.
    #[must_use]
    pub fn nodes(&self) -> u64 {
        self.nodes.load(Ordering::Relaxed).into()
    }

    /// Sets the number of nodes.
    pub fn set_nodes(&self, nodes: u64) {
        let nodes = u32::try_from(nodes).unwrap_or(u32::MAX);
        self.nodes.store(nodes.max(1), Ordering::Relaxed);
    }

    /// The ledger's current fault; empty while it is available.
    #[must_use]
    pub fn fault(&self) -> String {
        let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        fault.clone()
    }

    /// Sets the fault; an empty text clears it.
    pub fn set_fault(&self, text: &str) {
        let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        if *fault != text {
            text.clone_into(&mut fault);
        }
    }

    /// Queues an item for the refill task. Once the node shuts down, it has no effect.
    pub fn enqueue(&self, visit: RefillItem) {
        drop(self.queue.send(visit));
    }
}
