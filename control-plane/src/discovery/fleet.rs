//! Every gateway node that is or was connected, as far as its last word tells, and what all of them have used.
//!
//! Owns the bound on nodes and how long the absent are remembered; sums are `usage`'s. Written by the streams, read by
//! `admin`.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tidegate_kit::clock::Clock;
use tidegate_proto::{
    discovery::v1::Usage,
    ids::SubscriptionKey,
    revision::{ContentVersion, RevisionNumber},
};
use tokio_util::sync::CancellationToken;

use super::usage::{Book, NodeKey};
use crate::domain::{
    name::EnvironmentName, revision::Deployment, time::Timestamp, usage::Consumption,
};

/// The nodes of all environments. Clones see the same.
#[derive(Clone, Debug)]
pub struct Fleet(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    clock: Clock,
    most: usize,
    nodes: Mutex<Nodes>,
    /// Where both are locked, `nodes` comes first.
    used: Mutex<Book>,
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

/// How a node is doing, as far as its last word tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeView {
    /// The environment whose deployments it runs.
    pub environment: EnvironmentName,
    /// Its name, unique in the environment.
    pub name: String,
    /// The version of its software.
    pub software: String,
    /// Whether its stream is open. The state of a node that is not connected is not known, only what it said last.
    pub connected: bool,
    /// The number of the configuration that it runs; zero when it has none.
    pub number: RevisionNumber,
    /// What it could not accept. It runs the last good version of each.
    pub rejections: Vec<RejectionView>,
    /// When it last said anything.
    pub last_word: Timestamp,
    /// How many sessions were open on it then.
    pub open_sessions: u64,
    /// How it counted quotas then; `None` before it has said so.
    pub ledger: Option<LedgerView>,
}

/// How far a node is with a deployment, as far as its last word tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// It runs the deployment.
    Acknowledged,
    /// It runs a configuration from before the deployment.
    Behind,
    /// It could not accept the API as it is now, for this reason in its words.
    Rejected(&'a str),
}

/// The ledger of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerView {
    /// Whether other nodes share it.
    pub shared: bool,
    /// What is wrong with it, in the node's words; empty while it answers.
    pub fault: String,
}

/// A resource that a node could not accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectionView {
    /// The resource's name in the stream, for example `apis/{uuid}`.
    pub resource: String,
    /// The version that was rejected.
    pub version: ContentVersion,
    /// What is wrong with it, in the node's words.
    pub reason: String,
}

/// A node that is connected: its stream speaks through this, and dropping it disconnects the node.
#[derive(Debug)]
pub(super) struct Registration {
    fleet: Fleet,
    key: NodeKey,
    stream: u64,
    replaced: CancellationToken,
}

/// No more nodes are taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this control plane serves as many nodes as it may ({0})")]
pub(super) struct FleetFull(usize);

/// Nodes in all, the absent included.
const NODES_MAX: usize = 4096;
/// How long an absent node is remembered.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);
/// More rejections than anybody reads are counted as these.
const REJECTIONS_MAX: usize = 1000;

// === impl Fleet ===

impl Fleet {
    /// A fleet without nodes.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self::with_most(clock, NODES_MAX)
    }

    fn with_most(clock: Clock, most: usize) -> Self {
        Self(Arc::new(Shared {
            clock,
            most,
            nodes: Mutex::default(),
            used: Mutex::default(),
        }))
    }

    /// The nodes of an environment, or of all, by environment and name.
    #[must_use]
    pub fn nodes(&self, environment: Option<&EnvironmentName>) -> Vec<NodeView> {
        let views = self.lock();
        let views = views.by_name.values().map(|entry| &entry.view);
        views
            .filter(|view| environment.is_none_or(|wanted| view.environment == *wanted))
            .cloned()
            .collect()
    }

    /// One node.
    #[must_use]
    pub fn node(&self, environment: &EnvironmentName, name: &str) -> Option<NodeView> {
        let key = (environment.clone(), name.to_owned());
        self.lock()
            .by_name
            .get(&key)
            .map(|entry| entry.view.clone())
    }

    /// What the nodes of an environment have used of an application's plan on an API since its counters began anew for the
    /// `generation`th time, under whichever subscription.
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
    /// even if nobody has told the control plane.
    pub(super) fn register(
        &self,
        environment: EnvironmentName,
        name: String,
        software: String,
        number: RevisionNumber,
        process: u64,
    ) -> Result<Registration, FleetFull> {
        let now = self.now();
        let mut nodes = self.lock();
        nodes.forget_absent(now);
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
                connected: true,
                number,
                rejections: Vec::new(),
                last_word: now,
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
        })
    }

    /// Enters a node that said this, for tests of those who show nodes.
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

    fn lock(&self) -> MutexGuard<'_, Nodes> {
        self.0.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn used(&self) -> MutexGuard<'_, Book> {
        self.0.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Nodes ===

impl Nodes {
    fn forget_absent(&mut self, now: Timestamp) {
        self.by_name.retain(|_, entry| {
            entry.view.connected || now.since(entry.view.last_word) < REMEMBERED
        });
    }

    /// Whether several nodes are connected of which not all share their quotas.
    fn count_apart(&self, environment: &EnvironmentName) -> bool {
        let views = self.by_name.values().map(|entry| &entry.view);
        let here = views.filter(|view| view.connected && view.environment == *environment);
        let ledgers: Vec<_> = here.map(|view| view.ledger.as_ref()).collect();
        let is_apart = |ledger: &Option<&LedgerView>| ledger.is_some_and(|it| !it.shared);
        ledgers.len() > 1 && ledgers.iter().any(is_apart)
    }

    /// Makes room for a node that is there; false when nobody is absent.
    fn forget_longest_absent(&mut self) -> bool {
        let absent = self.by_name.iter().filter(|(_, e)| !e.view.connected);
        let longest = absent.min_by_key(|(_, entry)| entry.view.last_word);
        let key = longest.map(|(key, _)| key.clone());
        key.is_some_and(|key| self.by_name.remove(&key).is_some())
    }
}

// === impl NodeView ===

impl NodeView {
    /// How many commits the node is behind a state.
    #[must_use]
    pub const fn lag(&self, latest: RevisionNumber) -> u64 {
        self.number.lag_behind(latest)
    }

    /// How far the node is with a deployment on its environment.
    #[must_use]
    pub fn progress(&self, deployment: &Deployment) -> Progress<'_> {
        if self.number < deployment.number || self.number == RevisionNumber::ZERO {
            return Progress::Behind;
        }
        // On the wire an API and what is deployed of it are one resource.
        let resource = format!("apis/{}", deployment.api);
        match self.rejections.iter().find(|it| it.resource == resource) {
            Some(rejection) => Progress::Rejected(&rejection.reason),
            None => Progress::Acknowledged,
        }
    }
}

// === impl Registration ===

impl Registration {
    /// Fires when another stream of the same node has taken over.
    pub(super) fn replaced(&self) -> CancellationToken {
        self.replaced.clone()
    }

    /// The node runs `number`, but for these.
    pub(super) fn acknowledged(&self, number: RevisionNumber, rejections: Vec<RejectionView>) {
        self.update(|view| {
            view.number = number;
            view.rejections = rejections;
            view.rejections.truncate(REJECTIONS_MAX);
        });
    }

    /// The node is alive.
    pub(super) fn beat(
        &self,
        number: RevisionNumber,
        open_sessions: u64,
        ledger: Option<LedgerView>,
    ) {
        self.update(|view| {
            view.number = number;
            view.open_sessions = open_sessions;
            view.ledger = ledger;
        });
    }

    /// The node has used this; how many subscriptions of it could not be kept.
    pub(super) fn used(&self, word: Usage) -> usize {
        self.update(|_| {});
        let now = self.fleet.now();
        self.fleet.used().tell(&self.key, self.stream, word, now)
    }

    fn update(&self, change: impl FnOnce(&mut NodeView)) {
        let now = self.fleet.now();
        if let Some(entry) = self.fleet.lock().by_name.get_mut(&self.key)
            && entry.stream == self.stream
        {
            entry.view.last_word = now;
            change(&mut entry.view);
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(entry) = self.fleet.lock().by_name.get_mut(&self.key)
            && entry.stream == self.stream
        {
            entry.view.connected = false;
        }
        self.fleet.used().close(&self.key, self.stream);
    }
}

#[cfg(test)]
mod tests;
