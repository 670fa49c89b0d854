//! Every kind of thing that is kept, under one name: what a commit writes and what a load reads. Also the etag.

use std::{fmt, sync::Arc};

use tidegate_proto::ids::{
    ApiId, ApplicationId, DenyPolicyId, DocumentId, RevisionId, SubscriptionId, UserId,
};

use super::{
    api::Api,
    application::{Application, ApplicationKey},
    credential::{SecretHash, Session},
    document::Document,
    environment::Environment,
    name::{ClientId, EnvironmentName, KeyId, PlanName, PolicyName},
    plan::Plan,
    policy::{ApiPolicy, ApplicationPolicy, DenyPolicy},
    revision::{Deployment, Revision},
    settings::Settings,
    signing::SigningKey,
    subscription::Subscription,
    thumbnail::Thumbnail,
    user::User,
};

/// Changes with each change of an object, so that nobody overwrites what he has not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Etag(u64);

/// One kept thing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant is the type it names")]
pub enum Object {
    Api(Arc<Api>),
    Revision(Arc<Revision>),
    Deployment(Arc<Deployment>),
    Document(Arc<Document>),
    Thumbnail(Arc<Thumbnail>),
    Environment(Arc<Environment>),
    Plan(Arc<Plan>),
    ApplicationPolicy(Arc<ApplicationPolicy>),
    ApiPolicy(Arc<ApiPolicy>),
    DenyPolicy(Arc<DenyPolicy>),
    Application(Arc<Application>),
    Key(Arc<ApplicationKey>),
    Subscription(Arc<Subscription>),
    User(Arc<User>),
    Session(Arc<Session>),
    SigningKey(Arc<SigningKey>),
    Settings(Arc<Settings>),
}

/// What identifies a kept thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each variant is the key of the type it names")]
pub enum ObjectKey {
    Api(ApiId),
    Revision(RevisionId),
    Deployment(ApiId, EnvironmentName),
    Document(DocumentId),
    Thumbnail(ApiId),
    Environment(EnvironmentName),
    Plan(PlanName),
    ApplicationPolicy(PolicyName),
    ApiPolicy(PolicyName),
    DenyPolicy(DenyPolicyId),
    Application(ApplicationId),
    Key(ClientId),
    Subscription(SubscriptionId),
    User(UserId),
    Session(SecretHash),
    SigningKey(KeyId),
    Settings,
}

// === impl Etag ===

impl Etag {
    /// The etag of what has never been changed.
    pub const FIRST: Self = Self(1);

    /// Wraps a number out of the store.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The bare number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The etag after one more change.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// === impl Object ===

impl Object {
    /// What identifies it.
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        match self {
            Self::Api(it) => ObjectKey::Api(it.id),
            Self::Revision(it) => ObjectKey::Revision(it.id),
            Self::Deployment(it) => ObjectKey::Deployment(it.api, it.environment.clone()),
            Self::Document(it) => ObjectKey::Document(it.id),
            Self::Thumbnail(it) => ObjectKey::Thumbnail(it.api),
            Self::Environment(it) => ObjectKey::Environment(it.name.clone()),
            Self::Plan(it) => ObjectKey::Plan(it.name.clone()),
            Self::ApplicationPolicy(it) => ObjectKey::ApplicationPolicy(it.name.clone()),
            Self::ApiPolicy(it) => ObjectKey::ApiPolicy(it.name.clone()),
            Self::DenyPolicy(it) => ObjectKey::DenyPolicy(it.id),
            Self::Application(it) => ObjectKey::Application(it.id),
            Self::Key(it) => ObjectKey::Key(it.client_id.clone()),
            Self::Subscription(it) => ObjectKey::Subscription(it.id),
            Self::User(it) => ObjectKey::User(it.id),
            Self::Session(it) => ObjectKey::Session(it.token),
            Self::SigningKey(it) => ObjectKey::SigningKey(it.id.clone()),
            Self::Settings(_) => ObjectKey::Settings,
        }
    }

    /// The resource name that people and the audit log know it by.
    #[must_use]
    pub fn resource(&self) -> String {
        match self {
            Self::Api(it) => it.resource(),
            Self::Revision(it) => it.resource(),
            Self::Deployment(it) => format!("apis/{}/deployments/{}", it.api, it.environment),
            Self::Document(it) => it.resource(),
            Self::Thumbnail(it) => it.resource(),
            Self::Environment(it) => format!("environments/{}", it.name),
            Self::Plan(it) => format!("plans/{}", it.name),
            Self::ApplicationPolicy(it) => it.resource(),
            Self::ApiPolicy(it) => it.resource(),
            Self::DenyPolicy(it) => it.resource(),
            Self::Application(it) => it.resource(),
            Self::Key(it) => it.resource(),
            Self::Subscription(it) => it.resource(),
            Self::User(it) => format!("users/{}", it.name),
            // The token's hash stays out of the log; the user is who matters.
            Self::Session(it) => format!("users/{}/sessions", it.user),
            Self::SigningKey(it) => format!("signingKeys/{}", it.id),
            Self::Settings(_) => "settings".to_owned(),
        }
    }
}

macro_rules! from {
    ($($variant:ident($type:ty)),* $(,)?) => {
        $(impl From<$type> for Object {
            fn from(it: $type) -> Self {
                Self::$variant(Arc::new(it))
            }
        }

        impl From<Arc<$type>> for Object {
            fn from(it: Arc<$type>) -> Self {
                Self::$variant(it)
            }
        })*
    };
}

from!(
    Api(Api),
    Revision(Revision),
    Deployment(Deployment),
    Document(Document),
    Thumbnail(Thumbnail),
    Environment(Environment),
    Plan(Plan),
    ApplicationPolicy(ApplicationPolicy),
    ApiPolicy(ApiPolicy),
    DenyPolicy(DenyPolicy),
    Application(Application),
    Key(ApplicationKey),
    Subscription(Subscription),
    User(User),
    Session(Session),
    SigningKey(SigningKey),
    Settings(Settings),
);
