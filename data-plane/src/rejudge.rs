//! What a change of the configuration, and the passing of time, do to open sessions: those that may no longer be there
//! are ended with their reason, and no other session notices.
//!
//! Owns which sessions are judged again, and when. How one is judged is `admit::judge`'s. Runs on the control runtime;
//! started by `app`.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tidegate_kit::{clock::Clock, fault_log::FaultLog};
use tokio_util::sync::CancellationToken;

use crate::{
    admit::{
        judge::{Objection, judge},
        limits,
    },
    connection::Gateway,
    session::{Session, registry::Registry},
    snapshot::{Snapshot, changes::Changes},
};

/// About policies that are named and not held.
static NOT_HELD: FaultLog = FaultLog::new(6);

/// Up to this many subscriptions are looked up one by one; for more, a walk over all keys is cheaper.
const LOOKED_UP: usize = 64;

/// Judges the sessions that a change of the configuration touches, for each change, until `stopping`. Changes that come
/// while sessions are judged are gathered, and the sessions judged once by the latest configuration.
pub async fn follow(gateway: Arc<Gateway>, stopping: CancellationToken) {
    let snapshots = &gateway.snapshots;
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
        // In this order: what led to this number is among the changes, and whatever came after it fires again.
        let number = numbers.borrow_and_update().unwrap_or_default().get();
        let changes = snapshots.take_changes();
        gateway.metrics.configuration.runs(number);
        rejudge(&gateway, &changes).await;
        // Not before: whoever sees the number knows that it rules every session.
        gateway.metrics.configuration.sessions_run(number);
    }
}

/// Judges the sessions that these changes touch by the latest configuration.
async fn rejudge(gateway: &Gateway, changes: &Changes) {
    let now = gateway.clock.now_seconds();
    let snapshot = gateway.snapshots.load();
    for sessions in touched(&gateway.registry, &snapshot, changes) {
        // After the sessions: none of them was let in by a newer one, by which it may be there.
        let snapshot = gateway.snapshots.load();
        gateway.metrics.configuration.reevaluated(sessions.len());
        for session in sessions {
            apply(gateway, &snapshot, &session, now);
        }
        // The control stream and the operators share this runtime.
        tokio::task::yield_now().await;
    }
}

/// The sessions that changes may make a difference to; `snapshot` is not older than any of the changes.
///
/// A session that enters after its subscription was looked for finds the changed snapshot itself.
fn touched<'a>(
    registry: &'a Registry,
    snapshot: &'a Snapshot,
    changes: &'a Changes,
) -> Box<dyn Iterator<Item = Vec<Arc<Session>>> + Send + 'a> {
    if let Some(subscriptions) = changes.subscriptions_only()
        && subscriptions.len() <= LOOKED_UP
    {
        let keys = subscriptions.iter();
        let sessions = keys.flat_map(|key| registry.of_subscription(*key));
        return Box::new(sessions.filter(|sessions| !sessions.is_empty()));
    }
    if !changes.concerns_clients() {
        // Not under the registry's locks, which handshakes wait for.
        let subscriptions = registry.by_subscription().into_keys();
        let touched = subscriptions.filter(|key| changes.touches(snapshot, *key));
        let touched: HashSet<_> = touched.collect();
        return Box::new(registry.of_subscriptions(move |key| touched.contains(&key)));
    }
    let is_touched = |session: &Arc<Session>| {
        let (principal, address) = (session.principal(), session.request().attributes.address);
        // Whoever owns the application now.
        let application = snapshot.application(principal.application.id);
        let application = application.unwrap_or(&principal.application);
        let user = principal.token.subject.as_ref();
        let user = user.unwrap_or(&application.owner);
        changes.touches(snapshot, principal.subscription.key())
            || changes.touches_client(snapshot, user, address)
    };
    Box::new(registry.by_shard().map(move |mut sessions| {
        sessions.retain(is_touched);
        sessions
    }))
}

/// Does what the judgement of a session says. One whose limits are not known keeps those that it has.
fn apply(gateway: &Gateway, snapshot: &Snapshot, session: &Session, now: u64) {
    match judge(snapshot, session.request(), now) {
        Ok(rules) => limits::change(&gateway.quotas, snapshot, session, rules),
        Err(Objection::Denied(reason)) => session.end(reason),
        Err(Objection::LimitsUnknown(cause)) => {
            // Every session of an API may be one of them.
            if let Some(line) = NOT_HELD.fault(&cause.to_string()) {
                let suppressed = line.suppressed;
                tracing::warn!(session = %session.id(), %cause, suppressed, "limits are unknown; the open session keeps its limits");
            }
        }
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
