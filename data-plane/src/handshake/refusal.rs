//! Why a handshake ends without a session: what every stage gives back that turns a client away.
//!
//! Values only; `handshake::answer` writes them to the client and `record` into the log.

use std::num::NonZeroU32;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tidegate_proto::reason::Reason;

/// Why a handshake does not end in a session.
#[derive(Debug)]
pub struct Refusal {
    /// The reason, which decides the status.
    pub reason: Reason,
    /// What went wrong inside, for the log only.
    pub cause: Option<String>,
    /// After how many seconds it is worth trying again, where that is known.
    pub retry_seconds: Option<NonZeroU32>,
    /// The backend's own answer, to be passed on instead of a problem body.
    pub relayed: Option<Box<Relayed>>,
}

/// A backend's refusal on its way to the client.
#[derive(Debug)]
pub struct Relayed {
    /// The backend's status.
    pub status: StatusCode,
    /// Its end-to-end headers.
    pub headers: HeaderMap,
    /// Its body, or the beginning of a long one.
    pub body: Bytes,
}

// === impl Refusal ===

impl Refusal {
    /// A refusal whose reason says it all.
    #[must_use]
    pub const fn new(reason: Reason) -> Self {
        Self {
            reason,
            cause: None,
            retry_seconds: None,
            relayed: None,
        }
    }

    /// A refusal with what went wrong inside.
    #[must_use]
    pub fn because(reason: Reason, cause: impl ToString) -> Self {
        Self {
            reason,
            cause: Some(cause.to_string()),
            retry_seconds: None,
            relayed: None,
        }
    }

    /// The status that the client gets; `None` where there is nobody to answer.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match &self.relayed {
            Some(relayed) => Some(relayed.status),
            None => self.reason.status(),
        }
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self::new(reason)
    }
}
