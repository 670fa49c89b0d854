//! What is counted of quotas: messages that were refused, by API, level, policy and what was done about them; and the
//! exchanges with the ledger.
//!
//! A part of `metrics`; written by `quota::meter`, off the path of messages that pass, and by `quota::refill`.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicU64},
};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{ApiLabels, Metrics};
use crate::quota::{levels::Rule, link::Stats};

/// What was done about a message that was too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// It was dropped, and the client was told where it may be, and was not told just before.
    Notify,
    /// It was dropped.
    Drop,
    /// It waited.
    Delay,
    /// The session ended.
    Close,
}

/// The metrics of quotas.
#[derive(Debug, Default)]
pub(super) struct QuotaMetrics {
    refused: Family<RefusedLabels, Counter>,
    judged_by: Gauge<u64, AtomicU64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusedLabels {
    api: Arc<str>,
    version: Arc<str>,
    level: &'static str,
    policy: Arc<str>,
    action: Action,
}

// === impl QuotaMetrics ===

impl QuotaMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "messages_refused",
            "Messages that were dropped, delayed or ended their session, by API, level, plan or policy, and action",
            self.refused.clone(),
        );
        registry.register(
            "sessions_judged_by",
            "The number of the configuration by which all open sessions have been judged, and whose limits they have",
            self.judged_by.clone(),
        );
    }

    pub(super) fn judged_by(&self, number: u64) {
        self.judged_by.set(number);
    }

    pub(super) fn message_refused(&self, api: &ApiLabels, by: &Rule, action: Action) {
        let labels = RefusedLabels {
            api: api.api.clone(),
            version: api.version.clone(),
            level: by.level.label(),
            policy: by.policy.clone(),
            action,
        };
        self.refused.get_or_create(&labels).inc();
    }
}

// === impl Metrics ===

impl Metrics {
    /// Metrics that all stand at zero, together with what is counted on the way to the ledger.
    #[must_use]
    pub fn with_ledger(stats: &Stats) -> Self {
        let mut metrics = Self::new();
        register_ledger(stats, &mut metrics.registry);
        metrics
    }
}

fn register_ledger(stats: &Stats, registry: &mut Registry) {
    registry.register(
        "ledger_asks",
        "Asks about counters that went to the ledger",
        stats.asks.clone(),
    );
    registry.register(
        "ledger_grants",
        "Answers of the ledger to asks about counters, be it that nothing was granted",
        stats.grants.clone(),
    );
    registry.register(
        "ledger_granted",
        "Messages, bytes and sessions that the ledger granted",
        stats.granted.clone(),
    );
    registry.register(
        "ledger_given_back",
        "Messages, bytes and sessions that were granted and given back unused",
        stats.given_back.clone(),
    );
    registry.register(
        "ledger_exchange_seconds",
        "How long the shared ledger took to answer an exchange; it carries the asks of many counters",
        stats.exchanges.clone(),
    );
    registry.register(
        "ledger_failures",
        "Exchanges that the shared ledger did not answer, or answered with an error",
        stats.failures.clone(),
    );
}

// === impl Action ===

impl EncodeLabelValue for Action {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        let label = match self {
            Self::Notify => "notify",
            Self::Drop => "drop",
            Self::Delay => "delay",
            Self::Close => "close",
        };
        EncodeLabelValue::encode(&label, encoder)
    }
}
