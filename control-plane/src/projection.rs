//! What a gateway environment's nodes should hold: the state, seen as wire resources. Pure.
//!
//! Owns which objects reach a node and how they look there. Refuses to know nodes and streams. Keeps names and content
//! versions only; a resource is rendered when it is sent. Called by `discovery` after each commit, at the price of what
//! the commit changed.

pub mod key;
mod render;

use std::sync::Arc;

use imbl::{OrdMap, ordmap::DiffItem};
use tidegate_proto::{
    discovery::v1::Resource,
    ids::ApiId,
    revision::{ContentVersion, RevisionNumber},
};

use crate::domain::{api::Api, lifecycle::Lifecycle, name::EnvironmentName, state::State};

use key::ResourceKey;

/// The content versions of resources by their names. Maps that come one out of the other share what they have in
/// common, so that comparing them costs the difference.
pub type Versions = OrdMap<ResourceKey, ContentVersion>;

/// Everything that the nodes of one environment should hold, at one number.
#[derive(Clone, Debug)]
pub struct Projection {
    state: Arc<State>,
    environment: EnvironmentName,
    versions: Versions,
}

// === impl Projection ===

impl Projection {
    /// Projects a whole state.
    #[must_use]
    pub fn new(state: Arc<State>, environment: EnvironmentName) -> Self {
        let nothing = Self {
            state: Arc::default(),
            environment,
            versions: Versions::new(),
        };
        nothing.advance(state)
    }

    /// The projection of a later state, in time proportional to what is different.
    #[must_use]
    pub fn advance(&self, state: Arc<State>) -> Self {
        let mut next = Self {
            state,
            environment: self.environment.clone(),
            versions: self.versions.clone(),
        };
        for key in touched(&self.state, &next.state, &self.environment) {
            match next.resource(&key) {
                Some(resource) => {
                    let version = ContentVersion::new(resource.version);
                    if next.versions.get(&key) != Some(&version) {
                        next.versions.insert(key, version);
                    }
                }
                None => drop(next.versions.remove(&key)),
            }
        }
        next
    }

    /// The number of the state that this is the projection of.
    #[must_use]
    pub fn number(&self) -> RevisionNumber {
        self.state.number()
    }

    /// The environment.
    #[must_use]
    pub const fn environment(&self) -> &EnvironmentName {
        &self.environment
    }

    /// What a node should hold.
    #[must_use]
    pub const fn versions(&self) -> &Versions {
        &self.versions
    }

    /// A resource as it goes over the wire; `None` for what nodes of this environment should not hold.
    #[must_use]
    pub fn resource(&self, key: &ResourceKey) -> Option<Resource> {
        let body = render::body(&self.state, &self.environment, key)?;
        Some(Resource::new(key.to_string(), body))
    }
}

/// The keys of everything that may look different in the second state.
fn touched(old: &State, new: &State, environment: &EnvironmentName) -> Vec<ResourceKey> {
    let mut keys: Vec<ResourceKey> = Vec::new();
    keys.extend(changed(old.plans(), new.plans()).map(|name| ResourceKey::Plan(name.clone())));
    keys.extend(
        changed(old.application_policies(), new.application_policies())
            .map(|name| ResourceKey::ApplicationPolicy(name.clone())),
    );
    keys.extend(
        changed(old.api_policies(), new.api_policies())
            .map(|name| ResourceKey::ApiPolicy(name.clone())),
    );
    keys.extend(
        changed(old.deny_policies(), new.deny_policies()).map(|id| ResourceKey::DenyPolicy(*id)),
    );
    keys.extend(
        changed(old.applications(), new.applications()).map(|id| ResourceKey::Application(*id)),
    );
    keys.extend(changed(old.keys(), new.keys()).map(|id| ResourceKey::ApplicationKey(id.clone())));
    keys.extend(
        changed(old.subscriptions(), new.subscriptions()).map(|id| ResourceKey::Subscription(*id)),
    );
    let deployed = changed(old.deployments(), new.deployments())
        .filter(|(on, _)| on == environment)
        .map(|(_, api)| api);
    for api in changed(old.apis(), new.apis()).chain(deployed) {
        keys.push(ResourceKey::Api(*api));
        keys.push(ResourceKey::Reservation(*api));
        // Paths without a version may lead to another one now.
        if let Some(of) = new.apis().get(api).or_else(|| old.apis().get(api))
            && [old, new].iter().any(|state| is_candidate(state, *api))
        {
            let versions = new.versions_of(of.name.as_str());
            keys.extend(versions.map(|version| ResourceKey::Api(version.id)));
        }
        // Subscriptions go where their API goes.
        if runs(old, environment, *api) != runs(new, environment, *api) {
            let of = new.subscribers_of(*api);
            keys.extend(of.map(|subscription| ResourceKey::Subscription(subscription.id)));
        }
    }
    let signing = changed(old.signing_keys(), new.signing_keys()).next();
    if signing.is_some() || old.settings() != new.settings() {
        keys.push(ResourceKey::KeyManager);
    }
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Whether the nodes of an environment run an API: it is deployed there, and its lifecycle lets gateways know it.
fn runs(state: &State, environment: &EnvironmentName, api: ApiId) -> bool {
    let known = state.apis().get(&api).is_some_and(|api| match api.state {
        Lifecycle::Prototyped
        | Lifecycle::Published
        | Lifecycle::Blocked
        | Lifecycle::Deprecated => true,
        // Nobody can be subscribed in earnest before, and nobody is let in after.
        Lifecycle::Created | Lifecycle::Retired => false,
    });
    known && state.deployment(api, environment).is_some()
}

/// Whether paths without a version may lead to an API, if it runs and no other version goes first.
fn is_candidate(state: &State, api: ApiId) -> bool {
    let api = state.apis().get(&api);
    api.is_some_and(|api| api.default_rank().is_some())
}

/// Whether paths without a version lead to an API on an environment: of the versions that run there, to the default one,
/// or else to the one that was it last.
fn is_default(state: &State, environment: &EnvironmentName, api: &Api) -> bool {
    let running = state
        .versions_of(api.name.as_str())
        .filter(|version| version.default_rank().is_some())
        .filter(|version| runs(state, environment, version.id));
    let first = running.max_by_key(|version| version.default_rank());
    first.is_some_and(|first| first.id == api.id)
}

fn changed<'a, K: Ord, V: PartialEq>(
    old: &'a OrdMap<K, V>,
    new: &'a OrdMap<K, V>,
) -> impl Iterator<Item = &'a K> {
    old.diff(new).map(|item| match item {
        DiffItem::Add(key, _)
        | DiffItem::Remove(key, _)
        | DiffItem::Update { new: (key, _), .. } => key,
    })
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
