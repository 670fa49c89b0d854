//! What is counted of the configuration: which the node runs, which rules its sessions, and how many had to be judged
//! again for it.
//!
//! A part of `metrics`; written by `rejudge` and `admin`.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};

/// The metrics of the configuration.
#[derive(Debug, Default)]
pub struct ConfigurationMetrics {
    number: Gauge<u64, AtomicU64>,
    judged_by: Gauge<u64, AtomicU64>,
    rejudged: Counter,
    connected: Gauge,
}

// === impl ConfigurationMetrics ===

impl ConfigurationMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "snapshot_number",
            "The number of the configuration that the node runs",
            self.number.clone(),
        );
        registry.register(
            "sessions_judged_by",
            "The number of the configuration by which all open sessions have been judged, and whose limits they have",
            self.judged_by.clone(),
        );
        registry.register(
            "sessions_rejudged",
            "Open sessions that were judged again because the configuration had changed for them",
            self.rejudged.clone(),
        );
        registry.register(
            "control_plane_connected",
            "Whether the configuration stream is open",
            self.connected.clone(),
        );
    }

    /// The node runs the configuration of this number.
    pub fn runs(&self, number: u64) {
        self.number.set(number);
    }

    /// All open sessions have been judged by the configuration of this number, and have its limits.
    pub fn judged_by(&self, number: u64) {
        self.judged_by.set(number);
    }

    /// So many open sessions are judged again.
    pub fn rejudged(&self, sessions: usize) {
        self.rejudged.inc_by(sessions as u64);
    }

    /// Whether the configuration stream is open.
    pub fn connected(&self, connected: bool) {
        self.connected.set(i64::from(connected));
    }
}
