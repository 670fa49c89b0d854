//! What is counted on the way to the ledger: asks, grants, and exchanges.
//!
//! A part of `metrics`, handed out so that `quota::refill` counts in it.

use prometheus_client::{
    metrics::{counter::Counter, histogram::Histogram},
    registry::Registry,
};

/// What was counted on the way to the ledger since the node started.
#[derive(Debug)]
pub struct LedgerMetrics {
    /// Asks that were sent.
    pub asks: Counter,
    /// Grants that came back.
    pub grants: Counter,
    /// How much was granted in all.
    pub granted: Counter,
    /// How much was given back in all.
    pub given_back: Counter,
    /// How long exchanges that were answered took, in seconds.
    pub exchanges: Histogram,
    /// Exchanges that failed.
    pub failures: Counter,
}

/// From what a Redis beside the node takes to the longest time that an exchange may have.
const BUCKETS: [f64; 12] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0,
];

// === impl LedgerMetrics ===

impl LedgerMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "ledger_asks",
            "Asks about counters that went to the ledger",
            self.asks.clone(),
        );
        registry.register(
            "ledger_grants",
            "Answers of the ledger to asks about counters, be it that nothing was granted",
            self.grants.clone(),
        );
        registry.register(
            "ledger_granted",
            "Messages, bytes and sessions that the ledger granted",
            self.granted.clone(),
        );
        registry.register(
            "ledger_given_back",
            "Messages, bytes and sessions that were granted and given back unused",
            self.given_back.clone(),
        );
        registry.register(
        "ledger_exchange_seconds",
        "How long the shared ledger took to answer an exchange; it carries the asks of many counters",
        self.exchanges.clone(),
    );
        registry.register(
            "ledger_failures",
            "Exchanges that the shared ledger did not answer, or answered with an error",
            self.failures.clone(),
        );
    }
}

impl Default for LedgerMetrics {
    fn default() -> Self {
        Self {
            asks: Counter::default(),
            grants: Counter::default(),
            granted: Counter::default(),
            given_back: Counter::default(),
            exchanges: Histogram::new(BUCKETS),
            failures: Counter::default(),
        }
    }
}
