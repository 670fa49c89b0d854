//! ADMIT: lets an authenticated client in, under what it may hold for as long as the session lives.
//!
//! Owns the permit, which enters the session in the registry. Refuses to judge credentials (`auth`). Called by
//! `session`, with the snapshot that the session was judged by.

use std::{sync::Arc, time::Duration};

use tidegate_proto::reason::Reason;

use crate::{
    admit::permit::Permit,
    auth::{LEEWAY, Principal},
    handshake::{answer::Refusal, facts::Facts},
    quota::{Quotas, levels, limiter::Limiter, meter::Limited},
    record::SessionId,
    session::{
        registry::{Registry, Session},
        rejudge,
    },
    snapshot::{Snapshot, Snapshots, model::Api},
};

pub mod deny;
pub mod limits;
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

/// What sessions are entered with.
#[derive(Clone, Copy, Debug)]
pub struct Desk<'a> {
    /// The live sessions.
    pub registry: &'a Registry,
    /// The configuration.
    pub snapshots: &'a Snapshots,
    /// The counters.
    pub quotas: &'a Quotas,
    /// How long a handshake waits for the ledger.
    pub patience: Duration,
}

/// Judges somebody by deny policies and limits, and enters the session in the registry.
///
/// The snapshot may have been swapped while the session was judged, and whoever walked the registry then did not see
/// it. So it is entered first and compared afterwards: either the walk sees the session, or the session sees the swap.
///
/// # Errors
/// `DeniedByPolicy`; what [`limits::enter`] refuses with; `GatewayFault` where a policy that is named is not held; the
/// reason for which the newer snapshot would not let it in; `Draining`.
pub async fn admit(
    desk: &Desk<'_>,
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
    let topic = api.topics.get(applicant.topic);
    let rules = levels::resolve(judged_by, (api, topic), principal, facts)
        .map_err(|not_held| Refusal::because(Reason::GatewayFault, not_held))?;
    let limiter = Limiter::open(desk.quotas, judged_by.edition(), rules);
    let seats = limits::enter(&limiter, desk.patience).await?;
    let limited = Limited::new(judged_by.edition(), limiter, seats);
    let expires_at = principal.token.expires_at;
    // A token that is taken although its time is just over, clocks being what they are, is good for as long as that.
    let ends_at = if now < expires_at {
        expires_at
    } else {
        expires_at.saturating_add(LEEWAY.as_secs())
    };
    let session = Session::new(applicant, limited, ends_at);
    let permit = Permit::enter(desk.registry, Arc::new(session));
    let mut judged_by = judged_by.clone();
    loop {
        let current = desk.snapshots.load();
        if Arc::ptr_eq(&current, &judged_by) {
            break;
        }
        let principal = rejudge::judge(&current, permit.session(), now)?;
        rejudge::limit(desk.quotas, &current, permit.session(), &principal);
        judged_by = current;
    }
    permit.stands()?;
    Ok(permit)
}

#[cfg(test)]
mod tests;
