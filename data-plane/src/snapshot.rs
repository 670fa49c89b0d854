//! The configuration that a node runs: an immutable value at a number, and the handle that it is loaded from.
//!
//! Owns lookups (by path, by issuer, by client id, by application and API) and the swap. `control` fills it; `route`
//! and `auth` use it. A session loads it once and decides with that `Arc`.

pub mod model;
pub mod decode;
pub mod index;
pub mod changes;

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use tidegate_proto::{
    ids::{ApiId, ApplicationId},
    revision::{ContentVersion, RevisionNumber},
};
use tokio::sync::watch;

use changes::Changes;
use index::{Conflicted, Index};
use model::{
    Api, ApiState, Application, ApplicationKey, KeyManager, Plan, Resource, ResourceName,
    Subscription,
    policy::{ApiPolicy, ApplicationPolicy, DenyPolicy, Target},
};

/// A configuration at one number. Cheap to clone: its maps share what they have in common.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    number: RevisionNumber,
    edition: Edition,
    index: Index,
}

/// The position of a snapshot in the order in which this node's snapshots became current. It only increases, while the
/// control plane's numbers go back when it is restored from a backup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edition(u64);

/// The handle behind which snapshots are swapped. Clones see the same snapshot.
#[derive(Clone, Debug)]
pub struct Snapshots(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    current: ArcSwap<Snapshot>,
    /// `None` until the first snapshot is held.
    number: watch::Sender<Option<RevisionNumber>>,
    /// How many there have been.
    editions: AtomicU64,
    /// What has changed since it was taken last.
    changes: Mutex<Changes>,
}

// === impl Edition ===

impl Edition {
    /// The nth snapshot of this node, counted from 1.
    #[must_use]
    pub const fn new(nth: u64) -> Self {
        Self(nth)
    }
}

// === impl Snapshot ===

/// Of what it holds, not of when it became current.
impl PartialEq for Snapshot {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number && self.index == other.index
    }
}

impl Eq for Snapshot {}

impl Snapshot {
    /// The next snapshot, at `number`: without `removals` and with `upserts`, in time proportional to these.
    ///
    /// Resources that conflict with others are returned; their previous versions stay.
    #[must_use]
    pub fn apply(
        &self,
        number: RevisionNumber,
        removals: &[ResourceName],
        upserts: Vec<Resource>,
    ) -> (Self, Vec<Conflicted>) {
        let mut index = self.index.clone();
        let conflicted = index.apply(removals, upserts);
        let next = Self {
            number,
            edition: Edition::default(),
            index,
        };
        (next, conflicted)
    }

    /// The number of the control plane's state that this is.
    #[must_use]
    pub const fn number(&self) -> RevisionNumber {
        self.number
    }

    /// Which of the node's snapshots this is; the default before it is current.
    #[must_use]
    pub const fn edition(&self) -> Edition {
        self.edition
    }

    /// Whether another snapshot holds the very same configuration, be its number another. Costs nothing; may be false for
    /// equal configurations that came about in different ways.
    #[must_use]
    pub fn is_same_configuration(&self, other: &Self) -> bool {
        self.index.is_same(&other.index)
    }

    /// The API whose base path, or else whose default path, is exactly this: normalised, without a trailing slash.
    #[must_use]
    pub fn api_at(&self, base_path: &str) -> Option<&Arc<Api>> {
        self.index.api_at(base_path)
    }

    /// The reason to refuse a handshake at exactly this path while no API answers there; `None` if the path isn't
    /// reserved, or not against the API that answers at a shorter path.
    #[must_use]
    pub fn reserved_at(&self, path: &str, shorter: Option<&Api>) -> Option<ApiState> {
        self.index.reserved.at(path, shorter)
    }

    /// An API by its id.
    #[must_use]
    pub fn api(&self, id: ApiId) -> Option<&Arc<Api>> {
        self.index.apis.get(&id)
    }

    /// A plan by its name.
    #[must_use]
    pub fn plan(&self, name: &str) -> Option<&Arc<Plan>> {
        self.index.plans.get(name)
    }

    /// An application by its id.
    #[must_use]
    pub fn application(&self, id: ApplicationId) -> Option<&Arc<Application>> {
        self.index.applications.get(&id)
    }

    /// A key of an application by its OAuth client id.
    #[must_use]
    pub fn application_key(&self, client_id: &str) -> Option<&Arc<ApplicationKey>> {
        self.index.keys.get(client_id)
    }

    /// The subscription of an application to an API.
    #[must_use]
    pub fn subscription(
        &self,
        application: ApplicationId,
        api: ApiId,
    ) -> Option<&Arc<Subscription>> {
        self.index.subscriptions.get(&(application, api))
    }

    /// The key manager whose tokens carry this `iss`.
    #[must_use]
    pub fn key_manager(&self, issuer: &str) -> Option<&Arc<KeyManager>> {
        self.index.key_manager(issuer)
    }

    /// An application policy by its name.
    #[must_use]
    pub fn application_policy(&self, name: &str) -> Option<&Arc<ApplicationPolicy>> {
        self.index.policies.application(name)
    }

    /// An API policy by its name.
    #[must_use]
    pub fn api_policy(&self, name: &str) -> Option<&Arc<ApiPolicy>> {
        self.index.policies.api(name)
    }

    /// The names of headers, in lower case, that any policy looks at.
    pub fn headers_looked_at(&self) -> impl Iterator<Item = &Arc<str>> {
        self.index.policies.headers()
    }

    /// The names of query parameters that any policy looks at.
    pub fn parameters_looked_at(&self) -> impl Iterator<Item = &Arc<str>> {
        self.index.policies.parameters()
    }

    /// Whether there is no deny policy at all.
    #[must_use]
    pub fn denies_nobody(&self) -> bool {
        self.index.policies.denies_nobody()
    }

    /// The deny policies about a target, in force or not; addresses are asked for by [`Self::denials_of_address`].
    pub fn denials(&self, target: &Target) -> impl Iterator<Item = &Arc<DenyPolicy>> {
        self.index.policies.about(target)
    }

    /// The deny policies that block an address, active or not.
    pub fn denials_of_address(&self, address: IpAddr) -> impl Iterator<Item = &Arc<DenyPolicy>> {
        self.index.policies.about_address(address)
    }

    /// Every resource that is held, with the version of its content, in no order.
    pub fn held(&self) -> impl Iterator<Item = (&ResourceName, ContentVersion)> {
        self.index
            .held
            .iter()
            .map(|(name, version)| (name, *version))
    }

    /// Whether a resource is held in any version.
    #[must_use]
    pub fn holds(&self, name: &ResourceName) -> bool {
        self.index.held.contains_key(name)
    }

    /// How many resources are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.held.len()
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.held.is_empty()
    }
}

// === impl Snapshots ===

impl Default for Snapshots {
    fn default() -> Self {
        Self(Arc::new(Shared {
            current: ArcSwap::default(),
            number: watch::Sender::new(None),
            editions: AtomicU64::new(0),
            changes: Mutex::default(),
        }))
    }
}

impl Snapshots {
    /// The current snapshot; an empty one at number 0 while none is held.
    #[must_use]
    pub fn load(&self) -> Arc<Snapshot> {
        self.0.current.load_full()
    }

    /// Whether there is a snapshot, from the control plane or from the cache.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.0.number.borrow().is_some()
    }

    /// Tells each swap: the number of the snapshot that is current, `None` while none is held. Latest wins.
    ///
    /// When it fires, [`Self::load`] already gives that snapshot or a later one.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Option<RevisionNumber>> {
        self.0.number.subscribe()
    }

    /// Makes `snapshot` current.
    pub fn swap(&self, mut snapshot: Snapshot) {
        let number = snapshot.number();
        snapshot.edition = Edition(self.0.editions.fetch_add(1, Ordering::Relaxed) + 1);
        let after = Arc::new(snapshot);
        let before = self.0.current.swap(after.clone());
        let changes = Changes::between(&before, &after);
        // After the swap, so that the taker of the changes finds a snapshot that has them.
        self.changes().add(changes);
        self.0.number.send_replace(Some(number));
    }

    /// Takes what has changed since the last call. [`Self::load`] already gives a snapshot that has these changes; those
    /// that led to a number are there when [`Self::watch`] shows it.
    #[must_use]
    pub fn take_changes(&self) -> Changes {
        std::mem::take(&mut *self.changes())
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.0
            .changes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
