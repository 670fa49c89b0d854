//! The control plane's client: keeps the stream open, makes snapshots out of what comes, and keeps the last good one on
//! disk.
//!
//! Owns when a snapshot is swapped and what is answered. Refuses to judge sessions. Runs on the control runtime, so that
//! load on the data path cannot starve it; `app` starts it once.

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

/// Whom to talk to, as whom, and where to keep what was said.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The control plane's gateway door, for example `https://127.0.0.1:9444`.
    pub address: String,
    /// The authority to pin, and what admits the node.
    pub enrolment: Enrolment,
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
    /// Names this process, not the node.
    process: u64,
}

/// The wait before connecting again: short, because a control plane that restarts is back soon; and bounded, because
/// nobody likes a node that notices late.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// How long a node that stops waits until its last word is heard; a control plane that does not hear it goes by what it
/// was told before.
const LAST_WORD: Duration = Duration::from_millis(500);

/// Lines in the log about the stream in a minute.
const LINES: usize = 6;

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

/// What the node's sessions have used of their plans.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consumption {
    /// What the clock of the ledger shows: milliseconds of Unix time.
    pub ledger_millis: u64,
    /// What each application has used of its plan on an API, under whichever subscription.
    pub used: HashMap<SubscriptionKey, Used>,
    /// How many sessions each subscription has.
    pub sessions: HashMap<SubscriptionKey, u32>,
}

/// Who knows how the node is doing; asked every few seconds.
pub trait Witness: fmt::Debug + Send + Sync + 'static {
    /// What a sign of life says.
    fn vitals(&self) -> Vitals;

    /// What was used. May take some milliseconds where there are many subscriptions.
    fn consumption(&self) -> Consumption;
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

    /// What the client tells while it runs.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            connected: self.connected.subscribe(),
        }
    }

    /// Boots from the cache where there is one, then follows the control plane until `stopping` fires.
    ///
    /// `ready` is dropped when the first snapshot is held; `witness` is asked for each sign of life.
    pub async fn run(self, ready: Blocker, witness: Arc<dyn Witness>, stopping: CancellationToken) {
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
            witness: &witness,
            process: self.process,
            stopping: &stopping,
            ready: &mut ready,
        };
        let following = async {
            tokio::select! {
                biased;
                () = overdue(&stopping) => {}
                () = follow(exchange) => {}
            }
        };
        tokio::join!(following, keeper.clone().run(log, stopping.clone()));
        self.connected.send_replace(false);
    }
}

/// When a node that stops is done, whether its last word was heard or not.
async fn overdue(stopping: &CancellationToken) {
    stopping.cancelled().await;
    sleep(LAST_WORD).await;
}

/// Connects again and again, until the node stops. Each new kind of trouble is logged once; where kinds alternate, or a
/// stream opens and breaks again and again, no more than a few lines a minute.
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
            None => tracing::debug!(address, cause = text, "no stream from the control plane"),
            Some(line) => {
                let (number, suppressed) = (exchange.snapshots.load().number(), line.suppressed);
                tracing::warn!(address, cause = text, %number, suppressed, "no stream from the control plane; going on with what is held");
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
