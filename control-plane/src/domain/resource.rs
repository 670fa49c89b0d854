//! What the kinds of resource have in common: a collection, a key, a name made of both, and a place in the state. Every
//! resource name is formatted here.

use std::{fmt::Display, sync::Arc};

use imbl::OrdMap;
use tidegate_proto::ids::{
    ApiId, ApplicationId, DenyPolicyId, DocumentId, RevisionId, SubscriptionId, UserId,
};

use super::{
    api::Api,
    application::{Application, ApplicationKey},
    document::Document,
    environment::Environment,
    meta::ResourceMeta,
    name::{ClientId, EnvironmentName, KeyId, PlanName, PolicyName},
    object::{Object, Stored},
    plan::Plan,
    policy::{ApiPolicy, ApplicationPolicy, DenyPolicy},
    revision::{Deployment, Revision},
    signing::SigningKey,
    state::State,
    subscription::Subscription,
    user::User,
};

/// A kind of thing that has a resource name.
pub trait Resource: Stored + Clone + PartialEq + Send + Sync + 'static {
    /// What identifies it within its collection.
    type Key: Clone + Ord + Display + Send + 'static;

    /// The collection, for example `plans`.
    const COLLECTION: &'static str;

    /// What identifies this one.
    fn key(&self) -> Self::Key;

    /// All of the kind.
    fn table(state: &State) -> &OrdMap<Self::Key, Arc<Self>>;

    /// The name of the one under a key, for example `plans/Gold`. Children override [`Resource::resource`] instead.
    fn name_of(key: impl Display) -> String {
        format!("{}/{key}", Self::COLLECTION)
    }

    /// Its resource name.
    fn resource(&self) -> String {
        Self::name_of(self.key())
    }
}

/// A resource that callers change: it knows when that was, and has an etag.
pub trait Versioned: Resource {
    /// Its times and its etag.
    fn meta(&self) -> &ResourceMeta;

    /// The same, to be changed.
    fn meta_mut(&mut self) -> &mut ResourceMeta;
}

/// A resource inside another one.
pub trait Child: Resource {
    /// What it is inside.
    type Parent: Resource;

    /// The key of the parent.
    fn parent(&self) -> <Self::Parent as Resource>::Key;

    /// The name of the one under a key inside a parent, for example `apis/{id}/documents/{id}`.
    fn name_in(parent: impl Display, key: impl Display) -> String {
        format!("{}/{}", Self::Parent::name_of(parent), Self::name_of(key))
    }
}

/// The name that people and the audit log know an object by.
#[must_use]
pub fn object_name(object: &Object) -> String {
    match object {
        Object::Api(it) => it.resource(),
        Object::Revision(it) => it.resource(),
        Object::Deployment(it) => deployment_name(it),
        Object::Document(it) => it.resource(),
        Object::Thumbnail(it) => thumbnail_name(it.api),
        Object::Environment(it) => it.resource(),
        Object::Plan(it) => it.resource(),
        Object::ApplicationPolicy(it) => it.resource(),
        Object::ApiPolicy(it) => it.resource(),
        Object::DenyPolicy(it) => it.resource(),
        Object::Application(it) => it.resource(),
        Object::Key(it) => it.resource(),
        Object::Subscription(it) => it.resource(),
        Object::User(it) => it.resource(),
        // The token's hash stays out of the log; the user is who matters.
        Object::Session(it) => format!("{}/sessions", User::name_of(it.user)),
        Object::SigningKey(it) => it.resource(),
        Object::Settings(_) => SETTINGS_NAME.to_owned(),
    }
}

/// The name of the settings, of which there is one.
pub const SETTINGS_NAME: &str = "settings";

/// The name of a node of an environment.
#[must_use]
pub fn node_name(environment: &EnvironmentName, node: &str) -> String {
    format!("{}/nodes/{node}", Environment::name_of(environment))
}

/// The name of the picture of an API, of which there is one.
#[must_use]
pub fn thumbnail_name(api: ApiId) -> String {
    format!("{}/thumbnail", Api::name_of(api))
}

/// The name of a deployment: an API on an environment.
#[must_use]
pub fn deployment_name(deployment: &Deployment) -> String {
    let api = Api::name_of(deployment.api);
    format!("{api}/deployments/{}", deployment.environment)
}

// The kinds, in the order of `State`.

impl Resource for Api {
    type Key = ApiId;
    const COLLECTION: &'static str = "apis";
    fn key(&self) -> ApiId {
        self.id
    }
    fn table(state: &State) -> &OrdMap<ApiId, Arc<Self>> {
        state.apis()
    }
}

impl Versioned for Api {
    fn meta(&self) -> &ResourceMeta {
        &self.meta
    }
    fn meta_mut(&mut self) -> &mut ResourceMeta {
        &mut self.meta
    }
}

impl Resource for Document {
    type Key = DocumentId;
    const COLLECTION: &'static str = "documents";
    fn key(&self) -> DocumentId {
        self.id
    }
    fn table(state: &State) -> &OrdMap<DocumentId, Arc<Self>> {
        state.documents()
    }
    fn resource(&self) -> String {
        Self::name_in(self.parent(), self.key())
    }
}

impl Child for Document {
    type Parent = Api;
    fn parent(&self) -> <Api as Resource>::Key {
        self.api
    }
}

impl Versioned for Document {
    fn meta(&self) -> &ResourceMeta {
        &self.meta
    }
    fn meta_mut(&mut self) -> &mut ResourceMeta {
        &mut self.meta
    }
}

impl Resource for Revision {
    type Key = RevisionId;
    const COLLECTION: &'static str = "revisions";
    fn key(&self) -> RevisionId {
        self.id
    }
    fn table(state: &State) -> &OrdMap<RevisionId, Arc<Self>> {
        state.revisions()
    }
    fn resource(&self) -> String {
        Self::name_in(self.parent(), self.key())
    }
}

impl Child for Revision {
    type Parent = Api;
    fn parent(&self) -> <Api as Resource>::Key {
        self.api
    }
}

impl Resource for Environment {
    type Key = EnvironmentName;
    const COLLECTION: &'static str = "environments";
    fn key(&self) -> EnvironmentName {
        self.name.clone()
    }
    fn table(state: &State) -> &OrdMap<EnvironmentName, Arc<Self>> {
        state.environments()
    }
}

impl Versioned for Environment {
    fn meta(&self) -> &ResourceMeta {
        &self.meta
    }
    fn meta_mut(&mut self) -> &mut ResourceMeta {
        &mut self.meta
    }
}

impl Resource for Plan {
    type Key = PlanName;
    const COLLECTION: &'static str = "plans";
    fn key(&self) -> PlanName {
        self.name.clone()
    }
    fn table(state: &State) -> &OrdMap<PlanName, Arc<Self>> {
        state.plans()
    }
}

impl Versioned for Plan {
    fn meta(&self) -> &ResourceMeta {
        &self.meta
    }
    fn meta_mut(&mut self) -> &mut ResourceMeta {
        &mut self.meta
    }
}

impl Resource for ApplicationPolicy {
    type Key = PolicyName;
    const COLLECTION: &'static str = "applicationPolicies";
    fn key(&self) -> PolicyName {
        self.name.clone()
    }
    fn table(state: &State) -> &OrdMap<PolicyName, Arc<Self>> {
        state.application_policies()
    }
}

impl Versioned for ApplicationPolicy {
    fn meta(&self) -> &ResourceMeta {
        &self.meta
    }
    fn meta_mut(&mut self) -> &mut ResourceMeta {
        &mut self.meta
    }
}

impl Resource for ApiPolicy {
    type Key = PolicyName;
    const COLLECTION: &'static str = "apiPolicies";
    fn key(&self) -> PolicyName {
        self.name.clone()
    }
    fn table(state: &State) -> &OrdMap<PolicyName, Arc<Self>> {
        state.api_policies()
    }
}

impl Versioned for ApiPolicy {
    fn meta(&self) -> &ResourceMeta {
        &self.meta
    }
    fn meta_mut(&mut self) -> &mut ResourceMeta {
        &mut self.meta
    }
}

impl Resource for DenyPolicy {
    type Key = DenyPolicyId;
    const COLLECTION: &'static str = "denyPolicies";
    fn key(&self) -> DenyPolicyId {
        self.id
    }
    fn table(state: &State) -> &OrdMap<DenyPolicyId, Arc<Self>> {
        state.deny_policies()
    }
}

impl Versioned for DenyPolicy {
    fn meta(&self) -> &ResourceMeta {
        &self.meta
    }
    fn meta_mut(&mut self) -> &mut ResourceMeta {
        &mut self.meta
    }
}

impl Resource for Application {
    type Key = ApplicationId;
    const COLLECTION: &'static str = "applications";
    fn key(&self) -> ApplicationId {
        self.id
    }
    fn table(state: &State) -> &OrdMap<ApplicationId, Arc<Self>> {
        state.applications()
    }
}

impl Versioned for Application {
    fn meta(&self) -> &ResourceMeta {
        &self.meta
    }
    fn meta_mut(&mut self) -> &mut ResourceMeta {
        &mut self.meta
    }
}

impl Resource for ApplicationKey {
    type Key = ClientId;
    const COLLECTION: &'static str = "keys";
    fn key(&self) -> ClientId {
        self.client_id.clone()
    }
    fn table(state: &State) -> &OrdMap<ClientId, Arc<Self>> {
        state.keys()
    }
    fn resource(&self) -> String {
        Self::name_in(self.parent(), self.key())
    }
}

impl Child for ApplicationKey {
    type Parent = Application;
    fn parent(&self) -> <Application as Resource>::Key {
        self.application
    }
}

impl Resource for Subscription {
    type Key = SubscriptionId;
    const COLLECTION: &'static str = "subscriptions";
    fn key(&self) -> SubscriptionId {
        self.id
    }
    fn table(state: &State) -> &OrdMap<SubscriptionId, Arc<Self>> {
        state.subscriptions()
    }
}

impl Versioned for Subscription {
    fn meta(&self) -> &ResourceMeta {
        &self.meta
    }
    fn meta_mut(&mut self) -> &mut ResourceMeta {
        &mut self.meta
    }
}

impl Resource for User {
    type Key = UserId;
    const COLLECTION: &'static str = "users";
    fn key(&self) -> UserId {
        self.id
    }
    fn table(state: &State) -> &OrdMap<UserId, Arc<Self>> {
        state.users()
    }
    /// By the user's name, which is unique as well.
    fn resource(&self) -> String {
        Self::name_of(&self.name)
    }
}

impl Versioned for User {
    fn meta(&self) -> &ResourceMeta {
        &self.meta
    }
    fn meta_mut(&mut self) -> &mut ResourceMeta {
        &mut self.meta
    }
}

impl Resource for SigningKey {
    type Key = KeyId;
    const COLLECTION: &'static str = "signingKeys";
    fn key(&self) -> KeyId {
        self.id.clone()
    }
    fn table(state: &State) -> &OrdMap<KeyId, Arc<Self>> {
        state.signing_keys()
    }
}
