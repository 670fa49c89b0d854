//! What has changed between snapshots, as far as it can make a difference to an open session, and to which.
//!
//! Collected by [`super::Snapshots`] at each swap, step by step: a session that was admitted between two steps is
//! affected by the second even if the two cancel out. Taken by `rejudge`. Holds each name once, so it is bounded.

use std::{collections::HashSet, net::IpAddr, sync::Arc};

use imbl::ordmap::DiffItem;
use tidegate_proto::ids::{ApiId, ApplicationId, SubscriptionKey};

use super::{
    Snapshot,
    model::{ResourceName, policy::Target},
};

/// What has changed. The default is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Everything may have.
    all: bool,
    subscriptions: HashSet<SubscriptionKey>,
    applications: HashSet<ApplicationId>,
    apis: HashSet<ApiId>,
    plans: HashSet<Arc<str>>,
    application_policies: HashSet<Arc<str>>,
    api_policies: HashSet<Arc<str>>,
    /// Users that a deny policy is new about.
    denied_users: HashSet<Arc<str>>,
    /// Whether a deny policy is new about addresses.
    denies_addresses: bool,
}

// === impl Changes ===

impl Changes {
    /// The differences of the second snapshot, in time proportional to the difference if one was built from the other.
    #[must_use]
    pub fn between(before: &Snapshot, after: &Snapshot) -> Self {
        let mut changes = Self::default();
        if before.is_same_configuration(after) {
            return changes;
        }
        if before.is_empty() {
            // The first configuration: everything has changed, which is cheaper to flag than to list.
            changes.all = true;
            return changes;
        }
        for item in before.index.held.diff(&after.index.held) {
            match item {
                DiffItem::Add(name, _)
                | DiffItem::Remove(name, _)
                | DiffItem::Update { new: (name, _), .. } => changes.note(name, before, after),
            }
        }
        changes
    }

    fn note(&mut self, name: &ResourceName, before: &Snapshot, after: &Snapshot) {
        match name {
            ResourceName::KeyManager(name) => {
                // Open sessions don't depend on its keys.
                let issuer = |snapshot: &Snapshot| {
                    let manager = snapshot.index.key_manager_named(name);
                    manager.map(|manager| manager.issuer.clone())
                };
                self.all |= issuer(before) != issuer(after);
            }
            ResourceName::Api(id) => drop(self.apis.insert(*id)),
            ResourceName::Plan(name) => drop(self.plans.insert(name.clone())),
            ResourceName::Application(id) => drop(self.applications.insert(*id)),
            ResourceName::ApplicationKey(client_id) => {
                let keys = [before, after].map(|it| it.application_key(client_id));
                let owners = keys.iter().flatten().map(|key| key.application);
                self.applications.extend(owners);
            }
            ResourceName::Subscription(id) => {
                let keys = [before, after].map(|it| it.index.subscription_key(*id));
                self.subscriptions.extend(keys.into_iter().flatten());
            }
            ResourceName::ApplicationPolicy(name) => {
                self.application_policies.insert(name.clone());
            }
            ResourceName::ApiPolicy(name) => drop(self.api_policies.insert(name.clone())),
            // The removal of one ends no session.
            ResourceName::DenyPolicy(id) => match after.index.policies.target(*id) {
                Some(Target::Api(id)) => drop(self.apis.insert(*id)),
                Some(Target::Application(id)) => drop(self.applications.insert(*id)),
                Some(Target::User(user)) => drop(self.denied_users.insert(user.clone())),
                Some(Target::Address(_)) => self.denies_addresses = true,
                None => {}
            },
            // It affects handshakes only.
            ResourceName::Reservation(_) => {}
        }
    }

    /// Adds what has changed later.
    pub fn add(&mut self, later: Self) {
        self.all |= later.all;
        self.subscriptions.extend(later.subscriptions);
        self.applications.extend(later.applications);
        self.apis.extend(later.apis);
        self.plans.extend(later.plans);
        self.application_policies.extend(later.application_policies);
        self.api_policies.extend(later.api_policies);
        self.denied_users.extend(later.denied_users);
        self.denies_addresses |= later.denies_addresses;
    }

    /// The subscriptions that have changed, where nothing else has.
    #[must_use]
    pub fn subscriptions_only(&self) -> Option<&HashSet<SubscriptionKey>> {
        let Self {
            all: false,
            subscriptions,
            applications,
            apis,
            plans,
            application_policies,
            api_policies,
            denied_users,
            denies_addresses: false,
        } = self
        else {
            return None;
        };
        let names = [plans, application_policies, api_policies, denied_users];
        let only = applications.is_empty()
            && apis.is_empty()
            && names.iter().all(|names| names.is_empty());
        only.then_some(subscriptions)
    }

    /// Whether a change depends on the client and not only on the subscription.
    #[must_use]
    pub fn concerns_clients(&self) -> bool {
        self.denies_addresses || !self.denied_users.is_empty()
    }

    /// Whether the changes can affect the sessions of a subscription; `snapshot` isn't older than the changes.
    #[must_use]
    pub fn touches(&self, snapshot: &Snapshot, subscription: SubscriptionKey) -> bool {
        let SubscriptionKey { application, api } = subscription;
        let has_policy = |of: Option<&Arc<str>>, changed: &HashSet<Arc<str>>| {
            of.is_some_and(|name| changed.contains(name))
        };
        self.all
            || self.subscriptions.contains(&subscription)
            || self.applications.contains(&application)
            || self.apis.contains(&api)
            || has_policy(
                snapshot.subscription(application, api).map(|it| &it.plan),
                &self.plans,
            )
            || has_policy(
                snapshot
                    .application(application)
                    .and_then(|it| it.policy.as_ref()),
                &self.application_policies,
            )
            || snapshot.api(api).is_some_and(|api| {
                let of_topics = api.topics.iter().map(|topic| &topic.policy);
                let mut named = of_topics.chain([&api.policy]);
                named.any(|name| has_policy(name.as_ref(), &self.api_policies))
            })
    }

    /// Whether the changes can affect the sessions of a user at an address; `snapshot` isn't older than the changes.
    #[must_use]
    pub fn touches_client(&self, snapshot: &Snapshot, user: &Arc<str>, address: IpAddr) -> bool {
        self.denied_users.contains(user)
            || (self.denies_addresses && snapshot.denials_of_address(address).next().is_some())
    }
}
