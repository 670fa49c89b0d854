//! The judgement of a session by a configuration: whether it may be there, and under which limits.
//!
//! One pure function, called for a session that wants in (`admit`) and again for an open one when the configuration
//! changes (`rejudge`), so that the two can never disagree. It has no side effects.

use tidegate_proto::reason::Reason;

use super::deny;
use crate::{
    auth,
    handshake::refusal::Refusal,
    quota::levels::{self, MissingPolicy, Rule},
    session::PendingSession,
    snapshot::Snapshot,
};

/// Why a session gets no limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Objection {
    /// It must not be there.
    Denied(Reason),
    /// Nobody knows its limits: a policy that is named is not held.
    LimitsUnknown(MissingPolicy),
}

/// The limits of a session under a snapshot at `now` (seconds of Unix time).
///
/// # Errors
/// When the session may not be there, or its limits are not known.
pub fn judge(
    snapshot: &Snapshot,
    session: &PendingSession,
    now: u64,
) -> Result<Vec<Rule>, Objection> {
    let (api, principal) = auth::reauthorize(snapshot, session.api.id, &session.principal)?;
    deny::judge(snapshot, api, &principal, &session.attributes, now)?;
    // Topics may have moved since the session was let in. That one is gone changes nothing about the API's own policy.
    let template = &session.topic().template;
    let topic = api.topics.iter().find(|it| it.template == *template);
    levels::resolve(snapshot, (api, topic), &principal, &session.attributes)
        .map_err(Objection::LimitsUnknown)
}

// === impl Objection ===

impl From<Reason> for Objection {
    fn from(reason: Reason) -> Self {
        Self::Denied(reason)
    }
}

impl From<Objection> for Refusal {
    fn from(objection: Objection) -> Self {
        match objection {
            Objection::Denied(reason) => reason.into(),
            Objection::LimitsUnknown(not_held) => Self::because(Reason::GatewayFault, not_held),
        }
    }
}
