//! The metrics of the ledger's client: requests, grants and durations.
//!
//! A part of `metrics`, shared with `quota::refill`, which counts in it.

use prometheus_client::{
    metrics::{counter::Counter, histogram::Histogram},
    registry::Registry,
};

/// The metrics of the ledger's client.
#[derive(Debug)]
pub struct LedgerMetrics {
    /// Requests for grants that were sent.
    pub requests: Counter,
    /// Grants that were received.
    pub grants: Counter,
    /// The total amount that was granted.
    pub granted: Counter,
    /// The total amount that was returned.
    pub returned: Counter,
    /// The duration of requests that were answered, in seconds.
    pub durations: Histogram,
    /// Requests that failed.
    pub failures: Counter,
}

/// From a Redis on the same host to the longest reasonable timeout of a request.
const BUCKETS: [f64; 12] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0,
];

// === impl LedgerMetrics ===

impl LedgerMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "ledger_grant_requests",
            "Requests for grants of counters that were sent to the ledger",
            self.requests.clone(),
        );
        registry.register(
            "ledger_grants",
            "Answers of the ledger to requests for grants, empty grants included",
            self.grants.clone(),
        );
        registry.register(
            "ledger_granted",
            "Messages, bytes and sessions that the ledger granted",
            self.granted.clone(),
        );
        registry.register(
            "ledger_returned",
            "Messages, bytes and sessions that were granted and returned unused",
            self.returned.clone(),
        );
        registry.register(
            "ledger_request_duration_seconds",
            "Duration of requests to the shared ledger; one request covers many counters",
            self.durations.clone(),
        );
        registry.register(
            "ledger_failures",
            "Requests that the shared ledger did not answer, or answered with an error",
            self.failures.clone(),
        );
    }
}

impl Default for LedgerMetrics {
    fn default() -> Self {
        Self {
            requests: Counter::default(),
            grants: Counter::default(),
            granted: Counter::default(),
            returned: Counter::default(),
            durations: Histogram::new(BUCKETS),
            failures: Counter::default(),
        }
    }
}
