//! Updates the cache on disk in the background: changes are collected in memory, only the newest of each resource, and
//! written off the runtime a little later.

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

/// Collects the changes to cache. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Keeper(Arc<Gathered>);

#[derive(Debug, Default)]
struct Gathered {
    /// What isn't written yet. Bounded, because each resource is in it once.
    waiting: Mutex<Option<Changes>>,
    more: Notify,
}

/// With a full disk, every write fails, and there may be one every few seconds.
static UNWRITTEN: FaultLog = FaultLog::new(6);

/// The pause between two writes. The first write is immediate.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// The pause after a failed write, for example on a full disk.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

// === impl Keeper ===

impl Keeper {
    /// Opens the cache of a directory and reads it, off the runtime. Without a cache, the node works but can't start while
    /// the control plane is down, so the failure is logged.
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
                        "configuration loaded from the cache"
                    );
                }
                (Some(log), snapshot)
            }
            Ok(Err(cause)) => {
                tracing::error!(%cause, "cannot open the configuration cache; running without one");
                (None, None)
            }
            Err(cause) => {
                tracing::error!(%cause, "reading the configuration cache failed");
                (None, None)
            }
        }
    }

    /// Adds changes that the node already runs.
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

    /// Writes changes until it is told to stop, then writes the rest.
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
                // The write failed; retry later.
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
                    tracing::info!(suppressed, "configuration cache written again");
                }
                Some(log)
            }
            Ok((log, waiting, Err(cause))) => {
                if let Some(line) = UNWRITTEN.fault(&cause.to_string()) {
                    let suppressed = line.suppressed;
                    tracing::error!(%cause, suppressed, "cannot write the configuration cache; retrying");
                }
                self.put_back(waiting);
                Some(log)
            }
            Err(cause) => {
                let cause: JoinError = cause;
                tracing::error!(%cause, "writing the configuration cache failed");
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
        // The cache is complete; it only takes more space than it should.
        if let Some(line) = UNWRITTEN.fault(&cause.to_string()) {
            let suppressed = line.suppressed;
            tracing::error!(%cause, suppressed, "cannot compact the configuration cache");
        }
    }
    Ok(())
}
