//! Every gateway node that is or was connected, by its last message, and what all of them have used.
//!
//! Owns the bound on nodes and how long the absent are remembered; sums are `usage`'s. Written by the streams, read by
//! `admin`.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tidegate_kit::clock::Clock;
use tidegate_proto::{discovery::v1::Usage, ids::SubscriptionKey, revision::RevisionNumber};
use tokio_util::sync::CancellationToken;

mod view;

pub use view::{Away, LedgerView, NodeView, Progress, RejectionView};

use super::usage::{NodeKey, UsageLedger};
use crate::domain::{name::EnvironmentName, time::Timestamp, usage::Consumption};

/// The nodes of all environments. Clones see the same.
#[derive(Clone, Debug)]
pub struct Fleet(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    clock: Clock,
    most: usize,
    /// How long a node is remembered that went away without a goodbye.
    remembered: Duration,
    nodes: Mutex<Nodes>,
    /// Where both are locked, `nodes` comes first.
    used: Mutex<UsageLedger>,
}

#[derive(Debug, Default)]
struct Nodes {
    by_name: BTreeMap<NodeKey, Entry>,
    /// Counts registrations, to tell a node's streams apart.
    last_stream: u64,
}

#[derive(Debug)]
struct Entry {
    view: NodeView,
    stream: u64,
    /// Ends the stream when another one of the same node takes its place.
    replaced: CancellationToken,
}

/// A node that is connected: its stream reports through this, and dropping it disconnects the node.
#[derive(Debug)]
pub(super) struct Registration {
    fleet: Fleet,
    key: NodeKey,
    stream: u64,
    replaced: CancellationToken,
    stopped: bool,
}

/// No more nodes are taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this control plane serves as many nodes as it may ({0})")]
pub(super) struct FleetFull(usize);

/// Nodes in all, the absent included.
const NODES_MAX: usize = 4096;
/// How long a node is remembered that stopped in order: long enough to see that it has, and that it comes back where it
/// was only restarted.
const STOPPED_REMEMBERED: Duration = Duration::from_secs(600);
/// More rejections than anybody reads are counted as these.
const REJECTIONS_MAX: usize = 1000;

// === impl Fleet ===

impl Fleet {
    /// A fleet without nodes. One that goes away is remembered for so long, and not longer than ten minutes where it
    /// stopped in order.
    #[must_use]
    pub fn new(clock: Clock, remembered: Duration) -> Self {
        Self::with_most(clock, remembered, NODES_MAX)
    }

    fn with_most(clock: Clock, remembered: Duration, most: usize) -> Self {
        Self(Arc::new(Shared {
            clock,
            most,
            remembered,
            nodes: Mutex::default(),
            used: Mutex::default(),
        }))
    }

    /// The nodes of an environment, or of all, by environment and name.
    #[must_use]
    pub fn nodes(&self, environment: Option<&EnvironmentName>) -> Vec<NodeView> {
        let nodes = self.remembered();
        let views = nodes.by_name.values().map(|entry| &entry.view);
        views
            .filter(|view| environment.is_none_or(|wanted| view.environment == *wanted))
            .cloned()
            .collect()
    }

    /// One node.
    #[must_use]
    pub fn node(&self, environment: &EnvironmentName, name: &str) -> Option<NodeView> {
        let key = (environment.clone(), name.to_owned());
        self.remembered()
            .by_name
            .get(&key)
            .map(|entry| entry.view.clone())
    }

    /// What the nodes of an environment have used of an application's plan on an API in the
    /// `generation` of its counters, under whichever subscription.
    #[must_use]
    pub fn consumption(
        &self,
        environment: &EnvironmentName,
        subscription: SubscriptionKey,
        generation: u64,
    ) -> Consumption {
        let counted_apart = self.lock().count_apart(environment);
        let used = self.used();
        Consumption {
            counted_apart,
            ..used.consumption(environment, (subscription, generation), self.now())
        }
    }

    /// Enters a node whose stream has opened. An earlier stream of the same node is ended: the node has given it up,
    /// even if the control plane has not noticed.
    pub(super) fn register(
        &self,
        environment: EnvironmentName,
        name: String,
        software: String,
        number: RevisionNumber,
        process: u64,
    ) -> Result<Registration, FleetFull> {
        let now = self.now();
        let mut nodes = self.remembered();
        let key = (environment.clone(), name.clone());
        if nodes.by_name.len() >= self.0.most
            && !nodes.by_name.contains_key(&key)
            && !nodes.forget_longest_absent()
        {
            return Err(FleetFull(self.0.most));
        }
        nodes.last_stream += 1;
        let stream = nodes.last_stream;
        let replaced = CancellationToken::new();
        let entry = Entry {
            view: NodeView {
                environment,
                name,
                software,
                away: None,
                number,
                rejections: Vec::new(),
                last_seen: now,
                open_sessions: 0,
                ledger: None,
            },
            stream,
            replaced: replaced.clone(),
        };
        if let Some(before) = nodes.by_name.insert(key.clone(), entry) {
            before.replaced.cancel();
        }
        self.used().open(&key, process, stream);
        Ok(Registration {
            fleet: self.clone(),
            key,
            stream,
            replaced,
            stopped: false,
        })
    }

    /// Enters a node, for tests of those who show nodes.
    #[cfg(test)]
    pub(crate) fn enter(&self, view: NodeView) {
        let key = (view.environment.clone(), view.name.clone());
        let entry = Entry {
            view,
            stream: 0,
            replaced: CancellationToken::new(),
        };
        self.lock().by_name.insert(key, entry);
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.clock.now_millis())
    }

    /// The nodes that are still remembered.
    fn remembered(&self) -> MutexGuard<'_, Nodes> {
        let now = self.now();
        let mut nodes = self.lock();
        nodes.forget_absent(now, self.0.remembered);
        nodes
    }

    fn lock(&self) -> MutexGuard<'_, Nodes> {
        self.0.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn used(&self) -> MutexGuard<'_, UsageLedger> {
        self.0.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Nodes ===

impl Nodes {
    fn forget_absent(&mut self, now: Timestamp, remembered: Duration) {
        self.by_name.retain(|_, entry| {
            entry.view.away.is_none_or(|away| {
                let most = if away.stopped {
                    remembered.min(STOPPED_REMEMBERED)
                } else {
                    remembered
                };
                now.since(away.since) < most
            })
        });
    }

    /// Whether several nodes are connected of which not all share their quotas.
    fn count_apart(&self, environment: &EnvironmentName) -> bool {
        let views = self.by_name.values().map(|entry| &entry.view);
        let here = views.filter(|view| view.connected() && view.environment == *environment);
        let ledgers: Vec<_> = here.map(|view| view.ledger.as_ref()).collect();
        let is_apart = |ledger: &Option<&LedgerView>| ledger.is_some_and(|it| !it.shared);
        ledgers.len() > 1 && ledgers.iter().any(is_apart)
    }

    /// Makes room for a node that is there; false when nobody is absent.
    fn forget_longest_absent(&mut self) -> bool {
        let absent = self.by_name.iter();
        let absent = absent.filter_map(|(key, entry)| Some((key, entry.view.away?.since)));
        let longest = absent.min_by_key(|(_, since)| *since);
        let key = longest.map(|(key, _)| key.clone());
        key.is_some_and(|key| self.by_name.remove(&key).is_some())
    }
}

// === impl Registration ===

impl Registration {
    /// Fires when another stream of the same node has taken over.
    pub(super) fn replaced(&self) -> CancellationToken {
        self.replaced.clone()
    }

    /// The node reports that it runs `number`, except for these.
    pub(super) fn acknowledged(&self, number: RevisionNumber, rejections: Vec<RejectionView>) {
        self.update(|_| {});
        self.runs(number, rejections);
    }

    /// The node runs `number`, except for these, whether it knows the number or not.
    pub(super) fn runs(&self, number: RevisionNumber, mut rejections: Vec<RejectionView>) {
        rejections.truncate(REJECTIONS_MAX);
        self.change(|view| {
            view.number = number;
            view.rejections = rejections;
        });
    }

    /// The node said goodbye: it stops in order.
    pub(super) fn goodbye(&mut self) {
        self.stopped = true;
    }

    /// A heartbeat of the node.
    pub(super) fn heartbeat(
        &self,
        number: RevisionNumber,
        open_sessions: u64,
        ledger: Option<LedgerView>,
    ) {
        self.update(|view| {
            // The node knows the number of the last batch. What came after it changed nothing that the node runs.
            view.number = view.number.max(number);
            view.open_sessions = open_sessions;
            view.ledger = ledger;
        });
    }

    /// The node has used this; how many subscriptions of it could not be kept.
    pub(super) fn used(&self, usage: Usage) -> usize {
        self.update(|_| {});
        let now = self.fleet.now();
        self.fleet.used().record(&self.key, self.stream, usage, now)
    }

    /// Changes the view by a message of the node.
    fn update(&self, change: impl FnOnce(&mut NodeView)) {
        let now = self.fleet.now();
        self.change(|view| {
            view.last_seen = now;
            change(view);
        });
    }

    fn change(&self, change: impl FnOnce(&mut NodeView)) {
        if let Some(entry) = self.fleet.lock().by_name.get_mut(&self.key)
            && entry.stream == self.stream
        {
            change(&mut entry.view);
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let away = Away {
            since: self.fleet.now(),
            stopped: self.stopped,
        };
        if let Some(entry) = self.fleet.lock().by_name.get_mut(&self.key)
            && entry.stream == self.stream
        {
            entry.view.away = Some(away);
        }
        self.fleet.used().close(&self.key, self.stream);
    }
}

#[cfg(test)]
mod tests;
