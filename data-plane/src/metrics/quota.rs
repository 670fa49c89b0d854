//! The metrics of quotas: messages over a limit, by API, level, policy and action.
//!
//! A part of `metrics`; written by `quota::meter`, off the path of messages that pass.

use std::{fmt, sync::Arc};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use super::ApiLabels;

/// What was done with a message over a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// It was dropped, and the client was notified where the session allows it, at most once a second.
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
    limited: Family<LimitedLabels, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LimitedLabels {
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
            "messages_limited",
            "Messages over a limit, which were dropped, delayed or ended their session, by API, level, plan or policy, and action",
            self.limited.clone(),
        );
    }

    pub(super) fn message_limited(
        &self,
        api: &ApiLabels,
        (level, policy): (&'static str, &Arc<str>),
        action: Action,
    ) {
        let labels = LimitedLabels {
            api: api.api.clone(),
            version: api.version.clone(),
            level,
            policy: policy.clone(),
            action,
        };
        self.limited.get_or_create(&labels).inc();
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
