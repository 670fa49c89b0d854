//! Every kind of thing that is stored, as one type: what a commit writes and a load reads.

use std::sync::Arc;

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

/// One stored thing.
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

/// A kind of thing that is stored.
pub trait Stored: Sized {
    /// One of the kind as an object.
    fn object(it: Arc<Self>) -> Object;
}

/// What identifies a stored thing.
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
}

macro_rules! from {
    ($($variant:ident($type:ty)),* $(,)?) => {
        $(impl From<$type> for Object {
            fn from(it: $type) -> Self {
                Self::$variant(Arc::new(it))
            }
        }

        impl Stored for $type {
            fn object(it: Arc<Self>) -> Object {
                Object::$variant(it)
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
