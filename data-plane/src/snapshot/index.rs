//! The maps of a snapshot, persistent, so that the next one shares everything but what changed.
//!
//! Owns that maps and secondary indexes agree, and the rules between resources: no two APIs at one path, no two key
//! managers with one issuer, no two subscriptions of one application to one API. Refuses to parse. The outcome of a
//! change does not depend on the order of its parts, so that a path may move from one API to another within it.

use std::{mem, sync::Arc};

use imbl::{HashMap, OrdMap};
use tidegate_proto::{
    ids::{ApiId, ApplicationId, SubscriptionId, SubscriptionKey},
    revision::ContentVersion,
};

use super::model::{
    Api, Application, ApplicationKey, Body, KeyManager, Plan, Resource, ResourceName, Subscription,
};

mod policies;
mod reserved;

use policies::Policies;
use reserved::Reserved;

/// Every resource that a snapshot holds, by what a handshake looks it up with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    /// Ordered, so that two snapshots can be compared at the price of their difference.
    pub(super) held: OrdMap<ResourceName, ContentVersion>,
    pub(super) apis: HashMap<ApiId, Arc<Api>>,
    pub(super) plans: HashMap<Arc<str>, Arc<Plan>>,
    pub(super) applications: HashMap<ApplicationId, Arc<Application>>,
    pub(super) keys: HashMap<Arc<str>, Arc<ApplicationKey>>,
    pub(super) subscriptions: HashMap<(ApplicationId, ApiId), Arc<Subscription>>,
    /// Where a subscription is, for removing it by its name.
    places: HashMap<SubscriptionId, (ApplicationId, ApiId)>,
    key_managers: HashMap<Arc<str>, Arc<KeyManager>>,
    /// The names of key managers by `iss`.
    issuers: HashMap<Arc<str>, Arc<str>>,
    /// APIs by the path of their version.
    bases: HashMap<Arc<str>, ApiId>,
    /// APIs by the path without a version.
    defaults: HashMap<Arc<str>, ApiId>,
    pub(super) policies: Policies,
    pub(super) reserved: Reserved,
}

/// What stands in the way of a resource: another one holds what it claims.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// Two APIs at one path.
    #[error("its path `{path}` belongs to `apis/{owner}`")]
    BasePath {
        /// The path.
        path: Arc<str>,
        /// Whose it is.
        owner: ApiId,
    },
    /// Two default versions of one context.
    #[error("it cannot be the default version at `{path}`: `apis/{owner}` is")]
    DefaultPath {
        /// The path.
        path: Arc<str>,
        /// Whose it is.
        owner: ApiId,
    },
    /// Two key managers with one issuer.
    #[error("its issuer `{issuer}` belongs to `keyManagers/{owner}`")]
    Issuer {
        /// The issuer.
        issuer: Arc<str>,
        /// Whose it is.
        owner: Arc<str>,
    },
    /// Two subscriptions of one application to one API.
    #[error("its application and API are already joined by `subscriptions/{owner}`")]
    Subscription {
        /// The existing subscription.
        owner: SubscriptionId,
    },
}

/// A resource that could not be taken in, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflicted {
    /// The resource.
    pub name: ResourceName,
    /// The version that was offered.
    pub version: ContentVersion,
    /// What stands in its way.
    pub conflict: Conflict,
}

// === impl Conflict ===

impl Conflict {
    /// The resource that stands in the way.
    #[must_use]
    pub fn owner(&self) -> ResourceName {
        match self {
            Self::BasePath { owner, .. } | Self::DefaultPath { owner, .. } => {
                ResourceName::Api(*owner)
            }
            Self::Issuer { owner, .. } => ResourceName::KeyManager(owner.clone()),
            Self::Subscription { owner } => ResourceName::Subscription(*owner),
        }
    }
}

// === impl Index ===

impl Index {
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.held.ptr_eq(&other.held)
    }

    pub(super) fn api_at(&self, path: &str) -> Option<&Arc<Api>> {
        let id = self.bases.get(path).or_else(|| self.defaults.get(path))?;
        self.apis.get(id)
    }

    pub(super) fn key_manager_named(&self, name: &str) -> Option<&Arc<KeyManager>> {
        self.key_managers.get(name)
    }

    pub(super) fn subscription_key(&self, id: SubscriptionId) -> Option<SubscriptionKey> {
        let &(application, api) = self.places.get(&id)?;
        Some(SubscriptionKey { application, api })
    }

    pub(super) fn key_manager(&self, issuer: &str) -> Option<&Arc<KeyManager>> {
        self.key_managers.get(self.issuers.get(issuer)?)
    }

    /// Takes resources out and in. Where a new version meets a conflict, the version before stays.
    pub(super) fn apply(
        &mut self,
        removals: &[ResourceName],
        mut upserts: Vec<Resource>,
    ) -> Vec<Conflicted> {
        for name in removals {
            self.take_out(name);
        }
        // Sorted by name, so that the outcome of a conflict doesn't depend on the order of arrival. Everything that
        // changes is removed before anything is added, so that a path can move from one API to another.
        upserts.sort_by(|a, b| a.name.cmp(&b.name));
        // The sort is stable: of two versions of one resource, the later one stays.
        upserts.dedup_by(|later, earlier| {
            let same = later.name == earlier.name;
            if same {
                mem::swap(later, earlier);
            }
            same
        });
        upserts.retain(|new| self.held.get(&new.name) != Some(&new.version));
        let before: Vec<_> = upserts.iter().map(|new| self.take_out(&new.name)).collect();
        let mut conflicted = Vec::new();
        for (new, before) in upserts.into_iter().zip(before) {
            let (name, version) = (new.name.clone(), new.version);
            if let Err(conflict) = self.put_in(new) {
                conflicted.push(Conflicted {
                    name,
                    version,
                    conflict,
                });
                // The last good version stays, unless what it held is taken by now: then nothing answers for it.
                if let Some(before) = before {
                    drop(self.put_in(before));
                }
            }
        }
        conflicted
    }

    fn put_in(&mut self, resource: Resource) -> Result<(), Conflict> {
        match resource.body {
            Body::Api(api) => self.put_api(api)?,
            Body::Plan(plan) => drop(self.plans.insert(plan.name.clone(), plan)),
            Body::Application(application) => {
                self.applications.insert(application.id, application);
            }
            Body::ApplicationKey(key) => self.put_key(key),
            Body::Subscription(subscription) => self.put_subscription(subscription)?,
            Body::KeyManager(manager) => self.put_key_manager(manager)?,
            Body::ApplicationPolicy(policy) => self.policies.put_application(policy),
            Body::ApiPolicy(policy) => self.policies.put_api(policy),
            Body::DenyPolicy(policy) => self.policies.put_deny(policy),
            Body::Reservation(reservation) => self.reserved.put(reservation),
        }
        self.held.insert(resource.name, resource.version);
        Ok(())
    }

    fn put_api(&mut self, api: Arc<Api>) -> Result<(), Conflict> {
        let base: Arc<str> = api.base_path().into();
        let default: Option<Arc<str>> = api.default_path().map(Into::into);
        if let Some(&owner) = self.bases.get(&base) {
            return Err(Conflict::BasePath { path: base, owner });
        }
        if let Some(path) = default {
            if let Some(&owner) = self.defaults.get(&path) {
                return Err(Conflict::DefaultPath { path, owner });
            }
            self.defaults.insert(path, api.id);
        }
        self.bases.insert(base, api.id);
        self.apis.insert(api.id, api);
        Ok(())
    }

    fn put_key(&mut self, mut key: Arc<ApplicationKey>) {
        // All keys share the names of a few key managers.
        if let Some(manager) = self.key_managers.get(&key.key_manager)
            && let Some(own) = Arc::get_mut(&mut key)
        {
            own.key_manager = manager.name.clone();
        }
        self.keys.insert(key.client_id.clone(), key);
    }

    fn put_subscription(&mut self, mut subscription: Arc<Subscription>) -> Result<(), Conflict> {
        let place = (subscription.application, subscription.api);
        if let Some(other) = self.subscriptions.get(&place) {
            return Err(Conflict::Subscription { owner: other.id });
        }
        // A hundred thousand subscriptions share the names of a few plans.
        if let Some(plan) = self.plans.get(&subscription.plan)
            && let Some(own) = Arc::get_mut(&mut subscription)
        {
            own.plan = plan.name.clone();
        }
        self.places.insert(subscription.id, place);
        self.subscriptions.insert(place, subscription);
        Ok(())
    }

    fn put_key_manager(&mut self, manager: Arc<KeyManager>) -> Result<(), Conflict> {
        if let Some(owner) = self.issuers.get(&manager.issuer) {
            return Err(Conflict::Issuer {
                issuer: manager.issuer.clone(),
                owner: owner.clone(),
            });
        }
        self.issuers
            .insert(manager.issuer.clone(), manager.name.clone());
        self.key_managers.insert(manager.name.clone(), manager);
        Ok(())
    }

    fn take_out(&mut self, name: &ResourceName) -> Option<Resource> {
        let version = self.held.remove(name)?;
        let body = match name {
            ResourceName::Api(id) => {
                let api = self.apis.remove(id)?;
                self.bases.remove(api.base_path().as_str());
                if let Some(path) = api.default_path() {
                    self.defaults.remove(path.as_str());
                }
                Body::Api(api)
            }
            ResourceName::Plan(name) => Body::Plan(self.plans.remove(name)?),
            ResourceName::Application(id) => Body::Application(self.applications.remove(id)?),
            ResourceName::ApplicationKey(id) => Body::ApplicationKey(self.keys.remove(id)?),
            ResourceName::Subscription(id) => {
                let place = self.places.remove(id)?;
                Body::Subscription(self.subscriptions.remove(&place)?)
            }
            ResourceName::KeyManager(name) => {
                let manager = self.key_managers.remove(name)?;
                self.issuers.remove(&manager.issuer);
                Body::KeyManager(manager)
            }
            ResourceName::ApplicationPolicy(name) => {
                Body::ApplicationPolicy(self.policies.take_application(name)?)
            }
            ResourceName::ApiPolicy(name) => Body::ApiPolicy(self.policies.take_api(name)?),
            ResourceName::DenyPolicy(id) => Body::DenyPolicy(self.policies.take_deny(*id)?),
            ResourceName::Reservation(id) => Body::Reservation(self.reserved.take(*id)?),
        };
        Some(Resource {
            name: name.clone(),
            version,
            body,
        })
    }
}
