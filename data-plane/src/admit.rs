//! ADMIT: lets an authenticated client in, under what it may hold for as long as the session lives.
//!
//! Owns the permit, which enters the session in the registry. Refuses to judge credentials (`auth`). Called by
//! `session`, with the snapshot that the session was judged by.

use std::sync::Arc;

use tidegate_proto::reason::Reason;

use crate::{
    admit::permit::Permit,
    auth::{LEEWAY, Principal},
    handshake::{answer::Refusal, facts::Facts},
    quota::levels,
    record::SessionId,
    session::{
        registry::{Registry, Session},
        rejudge,
    },
    snapshot::{Snapshot, Snapshots, model::Api},
};

pub mod slots;
pub mod deny;
pub mod permit;

/// Who wants in.
#[derive(Clone, Debug)]
pub struct Applicant {
    /// The session's id.
    pub id: SessionId,
    /// The API.
    pub api: Arc<Api>,
    /// Which of its topics, as an index.
    pub topic: usize,
    /// Who it is.
    pub principal: Principal,
    /// What policies look at.
    pub facts: Facts,
    /// When it was judged, in seconds of Unix time.
    pub now: u64,
}

/// Enters a session in the registry.
///
/// The snapshot may have been swapped while the session was judged, and whoever walked the registry then did not see
/// it. So it is entered first and compared afterwards: either the walk sees the session, or the session sees the swap.
///
/// # Errors
/// `DeniedByPolicy`, `GatewayFault` where a policy that is named is not held, the reason for which the newer snapshot would not let it in, or `Draining`.
pub fn admit(
    registry: &Registry,
    snapshots: &Snapshots,
    judged_by: &Arc<Snapshot>,
    applicant: Applicant,
) -> Result<Permit, Refusal> {
    let Applicant {
        api,
        principal,
        facts,
        now,
        ..
    } = &applicant;
    let now = *now;
    deny::judge(judged_by, api, principal, facts, now)?;
    // A policy that is named and not held must not mean that there is no limit.
    levels::resolve(
        judged_by,
        (api, api.topics.get(applicant.topic)),
        principal,
        facts,
    )
    .map_err(|not_held| Refusal::because(Reason::GatewayFault, not_held))?;
    let expires_at = principal.token.expires_at;
    // A token that is taken although its time is just over, clocks being what they are, is good for as long as that.
    let ends_at = if now < expires_at {
        expires_at
    } else {
        expires_at.saturating_add(LEEWAY.as_secs())
    };
    let session = Session::new(applicant, ends_at);
    let permit = Permit::enter(registry, Arc::new(session));
    let current = snapshots.load();
    if !Arc::ptr_eq(&current, judged_by) {
        rejudge::judge(&current, permit.session(), now)?;
    }
    permit.stands()?;
    Ok(permit)
}

#[cfg(test)]
mod tests;
