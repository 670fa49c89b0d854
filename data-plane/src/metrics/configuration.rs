//! The metrics of the configuration: the snapshot that the node runs, and the re-evaluation of sessions after a change.
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
    sessions_number: Gauge<u64, AtomicU64>,
    reevaluated: Counter,
    connected: Gauge,
}

// === impl ConfigurationMetrics ===

impl ConfigurationMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "snapshot_number",
            "The number of the last configuration that the node received; later commits that change nothing on it are not sent",
            self.number.clone(),
        );
        registry.register(
            "sessions_snapshot_number",
            "The number of the snapshot that all open sessions have been re-evaluated against",
            self.sessions_number.clone(),
        );
        registry.register(
            "sessions_reevaluated",
            "Open sessions that were re-evaluated because a change of the configuration could affect them",
            self.reevaluated.clone(),
        );
        registry.register(
            "control_plane_connected",
            "Whether the configuration stream is open",
            self.connected.clone(),
        );
    }

    /// The node runs the snapshot of this number.
    pub fn runs(&self, number: u64) {
        self.number.set(number);
    }

    /// All open sessions have been re-evaluated against the snapshot of this number, and have its limits.
    pub fn sessions_run(&self, number: u64) {
        self.sessions_number.set(number);
    }

    /// Adds to the number of re-evaluated sessions.
    pub fn reevaluated(&self, sessions: usize) {
        self.reevaluated.inc_by(sessions as u64);
    }

    /// Whether the configuration stream is open.
    pub fn connected(&self, connected: bool) {
        self.connected.set(i64::from(connected));
    }
}
