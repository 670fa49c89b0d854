//! The control plane's client: keeps the stream open, makes snapshots out of what comes, and keeps the last good one on
//! disk.
//!
//! Owns when a snapshot is swapped and what is answered. Refuses to judge sessions. Runs on the control runtime, so that
//! load on the data path cannot starve it; `app` starts it once.

mod exchange;
mod keeper;
mod cache;

use std::{path::PathBuf, sync::Arc, time::Duration};

use tidegate_kit::{backoff::Backoff, readiness::Blocker, secret::Secret};
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::snapshot::Snapshots;
use exchange::Exchange;
use keeper::Keeper;

/// Whom to talk to, as whom, and where to keep what was said.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The control plane's gateway door, for example `https://127.0.0.1:9444`.
    pub address: String,
    /// The authority to pin, PEM.
    pub ca_pem: String,
    /// What admits the node.
    pub join_token: Secret,
    /// The node's name.
    pub node: String,
    /// The gateway environment whose deployments it runs.
    pub environment: String,
    /// The version of the node's software.
    pub software: String,
    /// The directory of the last-good cache; made when it is missing.
    pub cache_dir: PathBuf,
    /// How often the node says that it is alive.
    pub beat: Duration,
}

/// What a running client tells the rest of the process.
#[derive(Clone, Debug)]
pub struct Status {
    /// Whether the stream is open and the control plane has answered on it.
    pub connected: watch::Receiver<bool>,
}

/// The client before it runs.
#[derive(Debug)]
pub struct Client {
    settings: Settings,
    snapshots: Snapshots,
    connected: watch::Sender<bool>,
}

/// The wait before connecting again: short, because a control plane that restarts is back soon; and bounded, because
/// nobody likes a node that notices late.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What a sign of life says of the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vitals {
    /// How many sessions are open.
    pub open_sessions: u64,
    /// Whether quotas are shared through Redis.
    pub shares_quotas: bool,
    /// What is wrong with their ledger, in words; empty while it answers.
    pub ledger_fault: String,
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
        }
    }

    /// What the client tells while it runs.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            connected: self.connected.subscribe(),
        }
    }

    /// Boots from the cache where there is one, then follows the control plane until `stopping` fires.
    ///
    /// `ready` is dropped when the first snapshot is held; `vitals` are asked for with each sign of life.
    pub async fn run(
        self,
        ready: Blocker,
        vitals: Arc<dyn Fn() -> Vitals + Send + Sync>,
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
            vitals: &*vitals,
            ready: &mut ready,
        };
        let following = async {
            tokio::select! {
                biased;
                () = stopping.cancelled() => {}
                () = follow(exchange) => {}
            }
        };
        tokio::join!(following, keeper.clone().run(log, stopping.clone()));
        self.connected.send_replace(false);
    }
}

/// Connects again and again. Each new kind of trouble is told once, and loudly.
async fn follow(mut exchange: Exchange<'_>) {
    let mut backoff = Backoff::new(RECONNECT.0, RECONNECT.1);
    let mut told = String::new();
    let mut connected = exchange.connected.subscribe();
    loop {
        connected.mark_unchanged();
        let Err(cause) = exchange.run().await;
        if connected.has_changed().unwrap_or(false) {
            backoff.reset();
            told.clear();
        }
        let text = cause.to_string();
        let address = &exchange.settings.address;
        if text == told {
            tracing::debug!(address, cause = text, "no stream from the control plane");
        } else {
            let number = exchange.snapshots.load().number();
            tracing::warn!(address, cause = text, %number, "no stream from the control plane; going on with what is held");
            told = text;
        }
        sleep(backoff.wait()).await;
    }
}

#[cfg(test)]
mod tests;
