//! The client of the control plane: keeps the configuration stream open, builds snapshots from its batches, and caches the
//! last good one on disk.
//!
//! Owns when a snapshot is swapped and what is acknowledged. Runs on the control runtime, so that load on the data path
//! can't starve it; `app` starts it once.

mod exchange;
mod keeper;
mod cache;
mod usage;
pub mod enrolment;

use std::{collections::HashMap, fmt, path::PathBuf, sync::Arc, time::Duration};

use tidegate_kit::{backoff::Backoff, fault_log::FaultLog, readiness::Blocker};
use tidegate_proto::ids::SubscriptionKey;
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{quota::usage::Used, snapshot::Snapshots};
use enrolment::Enrolment;
use exchange::Exchange;
use keeper::Keeper;

/// The settings of the client.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The control plane's discovery listener, for example `https://127.0.0.1:9444`.
    pub address: String,
    /// The CA certificate to verify with, and the join token.
    pub enrolment: Enrolment,
    /// The node's name.
    pub node: String,
    /// The gateway environment whose deployments it runs.
    pub environment: String,
    /// The version of the node's software.
    pub software: String,
    /// The directory of the configuration cache; created when it is missing.
    pub cache_dir: PathBuf,
    /// The interval of heartbeats.
    pub heartbeat_interval: Duration,
}

/// The state of a running client.
#[derive(Clone, Debug)]
pub struct ClientStatus {
    /// Whether the stream is open and the control plane has answered on it.
    pub connected: watch::Receiver<bool>,
}

/// The client before it runs.
#[derive(Debug)]
pub struct Client {
    settings: Settings,
    snapshots: Snapshots,
    connected: watch::Sender<bool>,
    /// A random id of this process, not of the node.
    process: u64,
}

/// The backoff before reconnecting. It starts short, because a control plane that restarts is back soon.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// The timeout for the final usage report of a node that shuts down. Without it, the control plane keeps the report before.
const FINAL_REPORT_TIMEOUT: Duration = Duration::from_millis(500);

/// Log lines about the stream per minute.
const LINES: usize = 6;

/// The status of the node that a heartbeat reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeStatus {
    /// How many sessions are open.
    pub open_sessions: u64,
    /// Whether quotas are shared through Redis.
    pub shares_quotas: bool,
    /// The ledger's current fault; empty while it is available.
    pub ledger_fault: String,
}

/// What the node's sessions have used of their plans.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeUsage {
    /// The time by the ledger's clock, in milliseconds of Unix time.
    pub ledger_millis: u64,
    /// What each application has used of its plan on an API, whichever subscription it used.
    pub used: HashMap<SubscriptionKey, Used>,
    /// The open sessions of each subscription.
    pub sessions: HashMap<SubscriptionKey, u32>,
}

/// Where the client gets the node's status and usage, at each heartbeat.
pub trait StatusSource: fmt::Debug + Send + Sync + 'static {
    /// The current status.
    fn status(&self) -> NodeStatus;

    /// The current usage. With many subscriptions this may take some milliseconds.
    fn usage(&self) -> NodeUsage;
}

// === impl Client ===

impl Client {
    /// A client that fills `snapshots`.
    #[must_use]
    pub fn new(settings: Settings, snapshots: Snapshots) -> Self {
        tidegate_kit::tls::install();
        tidegate_kit::jwt::install();
        Self {
            settings,
            snapshots,
            connected: watch::Sender::new(false),
            process: rand::random(),
        }
    }

    /// The state of the client, which changes while it runs.
    #[must_use]
    pub fn status(&self) -> ClientStatus {
        ClientStatus {
            connected: self.connected.subscribe(),
        }
    }

    /// Loads the cache if there is one, then follows the control plane until `stopping` is cancelled.
    ///
    /// `ready` is dropped with the first snapshot; `source` is read for each heartbeat.
    pub async fn run(
        self,
        ready: Blocker,
        source: Arc<dyn StatusSource>,
        stopping: CancellationToken,
    ) {
        let mut ready = Some(ready);
        let settings = &self.settings;
        let opened = Keeper::open(settings.cache_dir.clone(), settings.environment.clone());
        let (log, cached) = opened.await;
        if let Some(snapshot) = cached {
            self.snapshots.swap(snapshot);
            drop(ready.take());
        }
        let keeper = Keeper::default();
        let exchange = Exchange {
            settings,
            snapshots: &self.snapshots,
            keeper: &keeper,
            connected: &self.connected,
            source: &source,
            process: self.process,
            stopping: &stopping,
            ready: &mut ready,
        };
        let following = async {
            tokio::select! {
                biased;
                () = shutdown_deadline(&stopping) => {}
                () = follow(exchange) => {}
            }
        };
        tokio::join!(following, keeper.clone().run(log, stopping.clone()));
        self.connected.send_replace(false);
    }
}

/// Returns when a node that shuts down no longer waits for its final report.
async fn shutdown_deadline(stopping: &CancellationToken) {
    stopping.cancelled().await;
    sleep(FINAL_REPORT_TIMEOUT).await;
}

/// Reconnects until the node shuts down. Each new fault is logged once. Faults that alternate, and streams that open and
/// fail again and again, are limited to a few lines per minute.
async fn follow(mut exchange: Exchange<'_>) {
    let mut backoff = Backoff::new(RECONNECT.0, RECONNECT.1);
    let log = FaultLog::new(LINES);
    let mut connected = exchange.connected.subscribe();
    loop {
        connected.mark_unchanged();
        let Err(cause) = exchange.run().await;
        if exchange.stopping.is_cancelled() {
            return;
        }
        if connected.has_changed().unwrap_or(false) {
            backoff.reset();
            log.rearm();
        }
        let text = cause.to_string();
        let address = &exchange.settings.address;
        match log.fault(&text) {
            None => tracing::debug!(address, cause = text, "configuration stream lost"),
            Some(line) => {
                let (number, suppressed) = (exchange.snapshots.load().number(), line.suppressed);
                tracing::warn!(address, cause = text, %number, suppressed, "configuration stream lost; keeping the current snapshot");
            }
        }
        tokio::select! {
            biased;
            () = exchange.stopping.cancelled() => return,
            () = sleep(backoff.wait()) => {}
        }
    }
}

#[cfg(test)]
mod tests;
