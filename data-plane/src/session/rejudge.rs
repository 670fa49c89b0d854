//! What a change of the configuration, and the passing of time, do to open sessions: those that may no longer be there
//! are ended with their reason, and no other session notices.
//!
//! Owns when sessions are judged again. What is judged is `auth`'s. Runs on the control runtime; started by `app`.

use std::{sync::Arc, time::Duration};

use tidegate_kit::clock::Clock;
use tidegate_proto::reason::Reason;
use tokio_util::sync::CancellationToken;

use crate::{
    admit::deny,
    auth,
    session::{
        Gateway,
        registry::{Registry, Session},
    },
    snapshot::Snapshot,
};

/// Whether a session may be there under a snapshot at `now` (seconds of Unix time).
///
/// # Errors
/// The reason for which it must end.
pub fn judge(snapshot: &Snapshot, session: &Session, now: u64) -> Result<(), Reason> {
    let principal = auth::rejudge(snapshot, session.api().id, session.principal())?;
    deny::judge(snapshot, session.api(), &principal, session.facts(), now)
}

/// Judges every session against every snapshot that comes, until `stopping`. Snapshots that come while sessions are
/// judged are judged once, by the latest.
pub async fn follow(gateway: Arc<Gateway>, stopping: CancellationToken) {
    let Gateway {
        snapshots,
        registry,
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
        if let Some(number) = *numbers.borrow_and_update() {
            metrics.snapshot_number(number.get());
        }
        let snapshot = snapshots.load();
        let now = clock.now_seconds();
        for sessions in registry.by_shard() {
            for session in sessions {
                if let Err(reason) = judge(&snapshot, &session, now) {
                    session.end(reason);
                }
            }
            // The control stream and the operators share this runtime.
            tokio::task::yield_now().await;
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
