//! Keeps the cache in step with what the node runs, without holding anything up: changes gather in memory, the newest
//! of each resource only, and are written off the runtime a little later.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tidegate_kit::fault_log::FaultLog;
use tokio::{
    sync::Notify,
    task::{JoinError, spawn_blocking},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::cache::{CacheError, Log, format::Changes};
use crate::snapshot::Snapshot;

/// Takes what is to be kept. Clones gather in the same place.
#[derive(Clone, Debug, Default)]
pub(super) struct Keeper(Arc<Gathered>);

#[derive(Debug, Default)]
struct Gathered {
    /// What is not written yet. Bounded by what there is: a resource is in it once.
    waiting: Mutex<Option<Changes>>,
    more: Notify,
}

/// A full disk fails each write, and there may be one every few seconds.
static UNWRITTEN: FaultLog = FaultLog::new(6);

/// After a write, the next waits so long for more to write. The first goes at once.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// After a failure (a full disk, say) the next try waits so long.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

// === impl Keeper ===

impl Keeper {
    /// Opens the cache of a directory and reads it, off the runtime. Without a cache the node works, too, but it cannot
    /// start without the control plane: the log says so.
    pub(super) async fn open(dir: PathBuf, environment: String) -> (Option<Log>, Option<Snapshot>) {
        let started = Instant::now();
        let opened = spawn_blocking(move || Log::open(&dir, &environment)).await;
        match opened {
            Ok(Ok((log, snapshot))) => {
                if let Some(snapshot) = &snapshot {
                    tracing::info!(
                        number = %snapshot.number(),
                        resources = snapshot.len(),
                        took = ?started.elapsed(),
                        "configuration read from the cache"
                    );
                }
                (Some(log), snapshot)
            }
            Ok(Err(cause)) => {
                tracing::error!(%cause, "the node keeps no configuration on disk");
                (None, None)
            }
            Err(cause) => {
                tracing::error!(%cause, "reading the cache failed");
                (None, None)
            }
        }
    }

    /// Gathers a change that the node runs by now.
    pub(super) fn keep(&self, changes: Changes) {
        {
            let mut waiting = self.lock();
            match &mut *waiting {
                Some(before) => before.add(changes),
                none => *none = Some(changes),
            }
        }
        self.0.more.notify_one();
    }

    /// Writes until it is told to stop, and then what is left.
    pub(super) async fn run(self, log: Option<Log>, stopping: CancellationToken) {
        let mut log = log;
        let mut not_before = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = stopping.cancelled() => break,
                () = self.0.more.notified() => {}
            }
            tokio::select! {
                biased;
                () = stopping.cancelled() => break,
                () = sleep_until(not_before) => {}
            }
            log = self.write(log).await;
            not_before = Instant::now() + DEBOUNCE;
            if self.lock().is_some() {
                // It failed, and what could not be written waits for another try.
                tokio::select! {
                    biased;
                    () = stopping.cancelled() => break,
                    () = sleep(AFTER_FAILURE) => self.0.more.notify_one(),
                }
            }
        }
        self.write(log).await;
    }

    async fn write(&self, log: Option<Log>) -> Option<Log> {
        let taken = self.lock().take();
        let mut log = log?;
        let Some(waiting) = taken else {
            return Some(log);
        };
        let written = spawn_blocking(move || {
            let written = write(&mut log, &waiting);
            (log, waiting, written)
        });
        match written.await {
            Ok((log, _, Ok(()))) => {
                if let Some(line) = UNWRITTEN.recovered() {
                    let suppressed = line.suppressed;
                    tracing::info!(suppressed, "the configuration is kept on disk again");
                }
                Some(log)
            }
            Ok((log, waiting, Err(cause))) => {
                if let Some(line) = UNWRITTEN.fault(&cause.to_string()) {
                    let suppressed = line.suppressed;
                    tracing::error!(%cause, suppressed, "cannot keep the configuration on disk; trying again");
                }
                self.put_back(waiting);
                Some(log)
            }
            Err(cause) => {
                let cause: JoinError = cause;
                tracing::error!(%cause, "keeping the configuration on disk failed");
                None
            }
        }
    }

    fn put_back(&self, mut before: Changes) {
        let mut waiting = self.lock();
        if let Some(newer) = waiting.take() {
            before.add(newer);
        }
        *waiting = Some(before);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Changes>> {
        self.0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn write(log: &mut Log, changes: &Changes) -> Result<(), CacheError> {
    log.append(changes)?;
    if let Err(cause) = log.rewrite_if_grown() {
        // What is kept is whole; it only takes more room than it should.
        if let Some(line) = UNWRITTEN.fault(&cause.to_string()) {
            let suppressed = line.suppressed;
            tracing::error!(%cause, suppressed, "cannot rewrite the cache");
        }
    }
    Ok(())
}
