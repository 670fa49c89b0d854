//! What is counted of quotas: messages that were refused, by API, level, policy and what was done about them.
//!
//! A part of `metrics`; written by `quota::meter`, off the path of messages that pass.

use std::{fmt, sync::Arc};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use super::ApiLabels;

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
    }

    pub(super) fn message_refused(
        &self,
        api: &ApiLabels,
        (level, policy): (&'static str, &Arc<str>),
        action: Action,
    ) {
        let labels = RefusedLabels {
            api: api.api.clone(),
            version: api.version.clone(),
            level,
            policy: policy.clone(),
            action,
        };
        self.refused.get_or_create(&labels).inc();
    }
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
