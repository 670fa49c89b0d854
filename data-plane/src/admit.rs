//! ADMIT: lets an authenticated client in, under what it may hold for as long as the session lives.
//!
//! Owns the permit, which enters the session in the registry. Refuses to judge credentials (`auth`). Called by
//! `connection`, with the snapshot that the client was authenticated by.

use std::{sync::Arc, time::Duration};

use crate::{
    admit::{
        judge::{Objection, judge},
        permit::Permit,
    },
    auth::LEEWAY,
    handshake::refusal::Refusal,
    quota::{Quotas, limiter::Limiter, meter::Limited},
    session::{PendingSession, Session, registry::Registry},
    snapshot::{Snapshot, Snapshots},
};

pub mod deny;
pub mod judge;
pub mod limits;
pub mod permit;

/// What sessions are admitted with.
#[derive(Clone, Copy, Debug)]
pub struct AdmissionContext<'a> {
    /// The live sessions.
    pub registry: &'a Registry,
    /// The configuration.
    pub snapshots: &'a Snapshots,
    /// The counters.
    pub quotas: &'a Quotas,
    /// How long a handshake waits for the ledger.
    pub timeout: Duration,
}

/// Admits a session that is authenticated at `now` (seconds of Unix time) and enters it in the registry.
///
/// The snapshot may be swapped while the session is judged, and whoever walked the registry then did not see it. So it
/// is entered first and compared afterwards: either the walk sees the session, or the session sees the swap.
///
/// # Errors
/// `DeniedByPolicy`; what [`limits::enter`] refuses with; `GatewayFault` where a policy that is named is not held; the
/// reason for which the newer snapshot would not let it in; `Draining`.
pub async fn admit(
    context: &AdmissionContext<'_>,
    snapshot: &Arc<Snapshot>,
    pending: PendingSession,
    now: u64,
) -> Result<Permit, Refusal> {
    let rules = judge(snapshot, &pending, now)?;
    let limiter = Limiter::open(context.quotas, snapshot.edition(), rules);
    let seats = limits::enter(&limiter, context.timeout).await?;
    let limited = Limited::new(snapshot.edition(), limiter, seats);
    let ends_at = ends_at(pending.principal.token.expires_at, now);
    let session = Session::new(pending, limited, ends_at);
    let permit = Permit::enter(context.registry, Arc::new(session));
    let mut judged_by = snapshot.clone();
    loop {
        let current = context.snapshots.load();
        if Arc::ptr_eq(&current, &judged_by) {
            break;
        }
        match judge(&current, permit.session().request(), now) {
            Ok(rules) => limits::change(context.quotas, &current, permit.session(), rules),
            Err(Objection::Denied(reason)) => return Err(reason.into()),
            // As for every open session: it keeps the limits that it has.
            Err(Objection::LimitsUnknown(_)) => {}
        }
        judged_by = current;
    }
    permit.check()?;
    Ok(permit)
}

/// When a session ends whose token expires at this second. A token that is taken although its time is just over, clocks
/// being what they are, is good for as long as that.
const fn ends_at(expires_at: u64, now: u64) -> u64 {
    if now < expires_at {
        expires_at
    } else {
        expires_at.saturating_add(LEEWAY.as_secs())
    }
}

#[cfg(test)]
mod tests;
