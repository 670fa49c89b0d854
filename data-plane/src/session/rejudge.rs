//! What a change of the configuration, and the passing of time, do to open sessions: those that may no longer be there
//! are ended with their reason, and no other session notices.
//!
//! Owns when sessions are judged again. What is judged is `auth`'s. Runs on the control runtime; started by `app`.

use std::{sync::Arc, time::Duration};

use tidegate_kit::{clock::Clock, fault_log::FaultLog};
use tidegate_proto::reason::Reason;
use tokio_util::sync::CancellationToken;

use crate::{
    admit::{deny, limits},
    auth::{self, Principal},
    quota::{Quotas, levels, limiter::Limiter},
    session::{
        Gateway,
        registry::{Registry, Session},
    },
    snapshot::Snapshot,
};

/// About policies that are named and not held.
static NOT_HELD: FaultLog = FaultLog::new(6);

/// Whether a session may be there under a snapshot at `now` (seconds of Unix time).
///
/// # Errors
/// The reason for which it must end.
pub fn judge(snapshot: &Snapshot, session: &Session, now: u64) -> Result<Principal, Reason> {
    let principal = auth::rejudge(snapshot, session.api().id, session.principal())?;
    deny::judge(snapshot, session.api(), &principal, session.facts(), now)?;
    Ok(principal)
}

/// Gives a session the limits that a snapshot has for it. One whose limits are the same notices nothing; where a policy
/// is named that the node does not hold, the session keeps what it has. Waits for nobody: what changes after this session
/// must not stand behind a ledger that is slow.
pub fn limit(quotas: &Quotas, snapshot: &Snapshot, session: &Session, principal: &Principal) {
    let api = snapshot.api(session.api().id).unwrap_or(session.api());
    // Topics may have moved; that one is gone changes nothing about the API's own policy.
    let template = &session.topic().template;
    let topic = api.topics.iter().find(|topic| topic.template == *template);
    let rules = match levels::resolve(snapshot, (api, topic), principal, session.facts()) {
        Ok(rules) => rules,
        Err(not_held) => {
            // Every session of an API may be one of them.
            if let Some(line) = NOT_HELD.fault(&not_held.to_string()) {
                let suppressed = line.suppressed;
                tracing::warn!(session = %session.id(), cause = %not_held, suppressed, "an open session keeps the limits that it has");
            }
            return;
        }
    };
    let (limited, edition) = (session.limited(), snapshot.edition());
    let limiter = limited.limiter();
    if limiter.goes_by(&rules) {
        // A handshake that came between two snapshots may have set shared counters to limits that were over.
        limiter.renew(edition);
        return;
    }
    let limiter = Limiter::open(quotas, edition, rules);
    let fresh = limits::stay(&limiter, limited);
    limited.change(edition, limiter, fresh);
}

/// Judges every session against every snapshot that comes, until `stopping`. Snapshots that come while sessions are
/// judged are judged once, by the latest.
pub async fn follow(gateway: Arc<Gateway>, stopping: CancellationToken) {
    let Gateway {
        snapshots,
        registry,
        quotas,
        metrics,
        clock,
        ..
    } = &*gateway;
    let mut numbers = snapshots.watch();
    // The first look covers what was swapped before this task ran.
    numbers.mark_changed();
    loop {
        let changed = tokio::select! {
            biased;
            () = stopping.cancelled() => return,
            changed = numbers.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
        let number = snapshots.load().number().get();
        metrics.snapshot_number(number);
        let now = clock.now_seconds();
        for sessions in registry.by_shard() {
            // After the sessions: none of them was let in by a newer one, by which it may be there.
            let snapshot = snapshots.load();
            for session in sessions {
                match judge(&snapshot, &session, now) {
                    Ok(principal) => limit(quotas, &snapshot, &session, &principal),
                    Err(reason) => session.end(reason),
                }
            }
            // The control stream and the operators share this runtime.
            tokio::task::yield_now().await;
        }
        // Not before: whoever sees the number knows that it rules every session.
        metrics.judged_by(number);
    }
}

/// Ends sessions at the second at which their credential expires, until `stopping`.
pub async fn expire(clock: Clock, registry: Registry, stopping: CancellationToken) {
    loop {
        // Just after the next whole second of the wall clock.
        let until_next = Duration::from_millis(1001 - clock.now_millis() % 1000);
        tokio::select! {
            biased;
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(until_next) => {}
        }
        registry.expire(clock.now_seconds());
    }
}

#[cfg(test)]
mod tests;
