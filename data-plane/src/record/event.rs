//! What is told of one connection when it is over: plain facts, no secret among them.
//!
//! Filled by `record`, written by `access_log`.

use std::{sync::Arc, time::Duration};

use tidegate_proto::reason::Reason;
use tracing::Span;

use crate::{listen::peer::Peer, metrics::ApiLabels, relay::Ended, session::id::SessionId};

/// The facts of one connection.
#[derive(Debug)]
pub struct Event {
    /// The session's id.
    pub session: SessionId,
    /// The client's end.
    pub peer: Peer,
    /// Path and query, with credentials redacted; `None` where no request was read.
    pub path: Option<Box<str>>,
    /// What the client calls itself.
    pub user_agent: Option<Box<str>>,
    /// The API; empty where the path led to none.
    pub api: ApiLabels,
    /// The template of the topic.
    pub topic: Option<Box<str>>,
    /// The name of the application.
    pub application: Option<Arc<str>>,
    /// The name of the plan.
    pub plan: Option<Arc<str>>,
    /// From the accepted connection to its end.
    pub duration: Duration,
    /// How it came out.
    pub outcome: Outcome,
    /// The exported span, where there is one.
    pub span: Span,
}

/// How a connection came out.
#[derive(Debug)]
pub enum Outcome {
    /// There was no session.
    Refused {
        /// Why.
        reason: Reason,
        /// The status that was answered; `None` where there was nobody to answer.
        status: Option<u16>,
        /// What went wrong inside.
        cause: Option<Box<str>>,
    },
    /// There was one.
    Ended(Ended),
}

// === impl Event ===

impl Event {
    /// The beginning of an event. Until something better is known, what ends it is a fault of the gateway's.
    #[must_use]
    pub fn new(session: SessionId, peer: Peer, span: Span) -> Self {
        Self {
            session,
            peer,
            path: None,
            user_agent: None,
            api: ApiLabels::default(),
            topic: None,
            application: None,
            plan: None,
            duration: Duration::ZERO,
            outcome: Outcome::Refused {
                reason: Reason::GatewayFault,
                status: None,
                cause: None,
            },
            span,
        }
    }
}

// === impl Outcome ===

impl Outcome {
    /// Why it ended.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Refused { reason, .. } | Self::Ended(Ended { reason, .. }) => *reason,
        }
    }
}
