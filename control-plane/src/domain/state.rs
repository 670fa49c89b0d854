//! Everything the control plane knows at one revision number: an immutable value with persistent maps, and the indexes
//! that reads need. Cloning it costs a few pointers; a change costs the change. Readers hold an `Arc<State>` as long as
//! they like; the next state is made by `service` alone. Two states are compared with `OrdMap::diff`, which skips what
//! they share.

mod index;
mod reads;

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use tidegate_proto::{
    ids::{ApiId, ApplicationId, DenyPolicyId, DocumentId, RevisionId, SubscriptionId, UserId},
    revision::RevisionNumber,
};

use super::{
    api::Api,
    application::{Application, ApplicationKey},
    credential::{SecretHash, Session},
    document::Document,
    environment::Environment,
    name::{ClientId, EnvironmentName, KeyId, PlanName, PolicyName},
    object::{Object, ObjectKey},
    plan::Plan,
    policy::{ApiPolicy, ApplicationPolicy, DenyPolicy},
    revision::{Deployment, Revision},
    settings::Settings,
    signing::SigningKey,
    subscription::Subscription,
    thumbnail::Thumbnail,
    user::User,
};
use index::Indexes;

/// What gateways run of an API: its live revision on one environment.
pub type DeploymentKey = (EnvironmentName, ApiId);

/// Everything at one number.
#[derive(Clone, Debug, Default)]
pub struct State {
    number: RevisionNumber,
    apis: OrdMap<ApiId, Arc<Api>>,
    revisions: OrdMap<RevisionId, Arc<Revision>>,
    deployments: OrdMap<DeploymentKey, Arc<Deployment>>,
    documents: OrdMap<DocumentId, Arc<Document>>,
    thumbnails: OrdMap<ApiId, Arc<Thumbnail>>,
    environments: OrdMap<EnvironmentName, Arc<Environment>>,
    plans: OrdMap<PlanName, Arc<Plan>>,
    application_policies: OrdMap<PolicyName, Arc<ApplicationPolicy>>,
    api_policies: OrdMap<PolicyName, Arc<ApiPolicy>>,
    deny_policies: OrdMap<DenyPolicyId, Arc<DenyPolicy>>,
    applications: OrdMap<ApplicationId, Arc<Application>>,
    keys: OrdMap<ClientId, Arc<ApplicationKey>>,
    subscriptions: OrdMap<SubscriptionId, Arc<Subscription>>,
    users: OrdMap<UserId, Arc<User>>,
    sessions: OrdMap<SecretHash, Arc<Session>>,
    signing_keys: OrdMap<KeyId, Arc<SigningKey>>,
    settings: Arc<Settings>,
    has_settings: bool,
    indexes: Indexes,
}

// === impl State ===

impl State {
    /// The number of the commit that made this state.
    #[must_use]
    pub const fn number(&self) -> RevisionNumber {
        self.number
    }

    /// Every API in every version.
    #[must_use]
    pub const fn apis(&self) -> &OrdMap<ApiId, Arc<Api>> {
        &self.apis
    }

    /// Every revision of every API.
    #[must_use]
    pub const fn revisions(&self) -> &OrdMap<RevisionId, Arc<Revision>> {
        &self.revisions
    }

    /// What runs where, ordered by environment.
    #[must_use]
    pub const fn deployments(&self) -> &OrdMap<DeploymentKey, Arc<Deployment>> {
        &self.deployments
    }

    /// The documents of all APIs.
    #[must_use]
    pub const fn documents(&self) -> &OrdMap<DocumentId, Arc<Document>> {
        &self.documents
    }

    /// The pictures of APIs that have one.
    #[must_use]
    pub const fn thumbnails(&self) -> &OrdMap<ApiId, Arc<Thumbnail>> {
        &self.thumbnails
    }

    /// The gateway environments.
    #[must_use]
    pub const fn environments(&self) -> &OrdMap<EnvironmentName, Arc<Environment>> {
        &self.environments
    }

    /// The business plans.
    #[must_use]
    pub const fn plans(&self) -> &OrdMap<PlanName, Arc<Plan>> {
        &self.plans
    }

    /// The application policies.
    #[must_use]
    pub const fn application_policies(&self) -> &OrdMap<PolicyName, Arc<ApplicationPolicy>> {
        &self.application_policies
    }

    /// The API policies.
    #[must_use]
    pub const fn api_policies(&self) -> &OrdMap<PolicyName, Arc<ApiPolicy>> {
        &self.api_policies
    }

    /// The deny policies, in force or not.
    #[must_use]
    pub const fn deny_policies(&self) -> &OrdMap<DenyPolicyId, Arc<DenyPolicy>> {
        &self.deny_policies
    }

    /// Every application.
    #[must_use]
    pub const fn applications(&self) -> &OrdMap<ApplicationId, Arc<Application>> {
        &self.applications
    }

    /// Every key of every application.
    #[must_use]
    pub const fn keys(&self) -> &OrdMap<ClientId, Arc<ApplicationKey>> {
        &self.keys
    }

    /// Every subscription.
    #[must_use]
    pub const fn subscriptions(&self) -> &OrdMap<SubscriptionId, Arc<Subscription>> {
        &self.subscriptions
    }

    /// Everybody who may sign in.
    #[must_use]
    pub const fn users(&self) -> &OrdMap<UserId, Arc<User>> {
        &self.users
    }

    /// The sign-in sessions, expired ones included until they are swept.
    #[must_use]
    pub const fn sessions(&self) -> &OrdMap<SecretHash, Arc<Session>> {
        &self.sessions
    }

    /// The key manager's keys.
    #[must_use]
    pub const fn signing_keys(&self) -> &OrdMap<KeyId, Arc<SigningKey>> {
        &self.signing_keys
    }

    /// Who the built-in key manager is, and what admins allow.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How many objects are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.apis.len()
            + self.revisions.len()
            + self.deployments.len()
            + self.documents.len()
            + self.thumbnails.len()
            + self.environments.len()
            + self.plans.len()
            + self.application_policies.len()
            + self.api_policies.len()
            + self.deny_policies.len()
            + self.applications.len()
            + self.keys.len()
            + self.subscriptions.len()
            + self.users.len()
            + self.sessions.len()
            + self.signing_keys.len()
            + usize::from(self.has_settings)
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The object under a key.
    #[must_use]
    pub fn get(&self, key: &ObjectKey) -> Option<Object> {
        Some(match key {
            ObjectKey::Api(id) => Object::Api(self.apis.get(id)?.clone()),
            ObjectKey::Revision(id) => Object::Revision(self.revisions.get(id)?.clone()),
            ObjectKey::Deployment(api, environment) => {
                Object::Deployment(self.deployment(*api, environment)?.clone())
            }
            ObjectKey::Document(id) => Object::Document(self.documents.get(id)?.clone()),
            ObjectKey::Thumbnail(api) => Object::Thumbnail(self.thumbnails.get(api)?.clone()),
            ObjectKey::Environment(name) => {
                Object::Environment(self.environments.get(name)?.clone())
            }
            ObjectKey::Plan(name) => Object::Plan(self.plans.get(name)?.clone()),
            ObjectKey::ApplicationPolicy(name) => {
                Object::ApplicationPolicy(self.application_policies.get(name)?.clone())
            }
            ObjectKey::ApiPolicy(name) => Object::ApiPolicy(self.api_policies.get(name)?.clone()),
            ObjectKey::DenyPolicy(id) => Object::DenyPolicy(self.deny_policies.get(id)?.clone()),
            ObjectKey::Application(id) => Object::Application(self.applications.get(id)?.clone()),
            ObjectKey::Key(id) => Object::Key(self.keys.get(id)?.clone()),
            ObjectKey::Subscription(id) => {
                Object::Subscription(self.subscriptions.get(id)?.clone())
            }
            ObjectKey::User(id) => Object::User(self.users.get(id)?.clone()),
            ObjectKey::Session(token) => Object::Session(self.sessions.get(token)?.clone()),
            ObjectKey::SigningKey(id) => Object::SigningKey(self.signing_keys.get(id)?.clone()),
            ObjectKey::Settings if self.has_settings => Object::Settings(self.settings.clone()),
            ObjectKey::Settings => return None,
        })
    }

    /// Puts an object in the place of the one with its key, or as a new one.
    pub(crate) fn put(&mut self, object: Object) {
        if let Some(before) = self.get(&object.key()) {
            self.indexes.remove(&before);
        }
        self.indexes.insert(&object);
        match object {
            Object::Api(it) => drop(self.apis.insert(it.id, it)),
            Object::Revision(it) => drop(self.revisions.insert(it.id, it)),
            Object::Deployment(it) => {
                drop(
                    self.deployments
                        .insert((it.environment.clone(), it.api), it),
                );
            }
            Object::Document(it) => drop(self.documents.insert(it.id, it)),
            Object::Thumbnail(it) => drop(self.thumbnails.insert(it.api, it)),
            Object::Environment(it) => drop(self.environments.insert(it.name.clone(), it)),
            Object::Plan(it) => drop(self.plans.insert(it.name.clone(), it)),
            Object::ApplicationPolicy(it) => {
                drop(self.application_policies.insert(it.name.clone(), it));
            }
            Object::ApiPolicy(it) => drop(self.api_policies.insert(it.name.clone(), it)),
            Object::DenyPolicy(it) => drop(self.deny_policies.insert(it.id, it)),
            Object::Application(it) => drop(self.applications.insert(it.id, it)),
            Object::Key(it) => drop(self.keys.insert(it.client_id.clone(), it)),
            Object::Subscription(it) => drop(self.subscriptions.insert(it.id, it)),
            Object::User(it) => drop(self.users.insert(it.id, it)),
            Object::Session(it) => drop(self.sessions.insert(it.token, it)),
            Object::SigningKey(it) => drop(self.signing_keys.insert(it.id.clone(), it)),
            Object::Settings(it) => {
                self.settings = it;
                self.has_settings = true;
            }
        }
    }

    /// Takes an object out; gives it back when it was there.
    pub(crate) fn take(&mut self, key: &ObjectKey) -> Option<Object> {
        let before = self.get(key)?;
        self.indexes.remove(&before);
        match key {
            ObjectKey::Api(id) => drop(self.apis.remove(id)),
            ObjectKey::Revision(id) => drop(self.revisions.remove(id)),
            ObjectKey::Deployment(api, environment) => {
                drop(self.deployments.remove(&(environment.clone(), *api)));
            }
            ObjectKey::Document(id) => drop(self.documents.remove(id)),
            ObjectKey::Thumbnail(api) => drop(self.thumbnails.remove(api)),
            ObjectKey::Environment(name) => drop(self.environments.remove(name)),
            ObjectKey::Plan(name) => drop(self.plans.remove(name)),
            ObjectKey::ApplicationPolicy(name) => drop(self.application_policies.remove(name)),
            ObjectKey::ApiPolicy(name) => drop(self.api_policies.remove(name)),
            ObjectKey::DenyPolicy(id) => drop(self.deny_policies.remove(id)),
            ObjectKey::Application(id) => drop(self.applications.remove(id)),
            ObjectKey::Key(id) => drop(self.keys.remove(id)),
            ObjectKey::Subscription(id) => drop(self.subscriptions.remove(id)),
            ObjectKey::User(id) => drop(self.users.remove(id)),
            ObjectKey::Session(token) => drop(self.sessions.remove(token)),
            ObjectKey::SigningKey(id) => drop(self.signing_keys.remove(id)),
            ObjectKey::Settings => {
                self.settings = Arc::default();
                self.has_settings = false;
            }
        }
        Some(before)
    }

    /// Sets the number; the last step of making a state.
    pub(crate) const fn set_number(&mut self, number: RevisionNumber) {
        self.number = number;
    }
}

/// A set of pairs, read by its first half.
type Relation<A, B> = OrdSet<(A, B)>;
