//! What a node knows of APIs, plans, applications, subscriptions and key managers: parsed once, then only read.
//!
//! Uses no protobuf types, and all values are valid: `decode` builds them or returns an error. Policies are in a
//! separate file.

use std::{fmt, sync::Arc};

use jsonwebtoken::{Algorithm, DecodingKey};
use tidegate_proto::{
    claims::KeyType,
    ids::{ApiId, ApplicationId, DenyPolicyId, RevisionId, SubscriptionId, SubscriptionKey},
    path::{Context, TopicTemplate, Version},
    quota::Limits,
    revision::ContentVersion,
};

use policy::{ApiPolicy, ApplicationPolicy, DenyPolicy};

pub mod policy;

/// The name of a resource, unique in the environment. Ordered so that what others point at comes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceName {
    /// `keyManagers/{name}`.
    KeyManager(Arc<str>),
    /// `apis/{uuid}`.
    Api(ApiId),
    /// `plans/{name}`.
    Plan(Arc<str>),
    /// `applications/{uuid}`.
    Application(ApplicationId),
    /// `applicationKeys/{client id}`.
    ApplicationKey(Arc<str>),
    /// `subscriptions/{uuid}`.
    Subscription(SubscriptionId),
    /// `applicationPolicies/{name}`.
    ApplicationPolicy(Arc<str>),
    /// `apiPolicies/{name}`.
    ApiPolicy(Arc<str>),
    /// `denyPolicies/{uuid}`.
    DenyPolicy(DenyPolicyId),
    /// `reservations/{uuid of the API}`.
    Reservation(ApiId),
}

/// One object of the configuration, at one version of its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// The name; always [`Body::name`] of its body.
    pub name: ResourceName,
    /// The hash of its content.
    pub version: ContentVersion,
    /// The object.
    pub body: Body,
}

/// The object of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A deployed revision of an API.
    Api(Arc<Api>),
    /// A business plan.
    Plan(Arc<Plan>),
    /// A registered application.
    Application(Arc<Application>),
    /// A key of an application.
    ApplicationKey(Arc<ApplicationKey>),
    /// An application on an API under a plan.
    Subscription(Arc<Subscription>),
    /// An issuer of tokens.
    KeyManager(Arc<KeyManager>),
    /// What an application, or each of its tokens, may use.
    ApplicationPolicy(Arc<ApplicationPolicy>),
    /// What an API or a topic lets through.
    ApiPolicy(Arc<ApiPolicy>),
    /// A rule that blocks callers.
    DenyPolicy(Arc<DenyPolicy>),
    /// The paths of an API that exists.
    Reservation(Arc<Reservation>),
}

/// A deployed revision of an API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Api {
    /// The API's id.
    pub id: ApiId,
    /// The name, for logs and metrics.
    pub name: Arc<str>,
    /// The context template.
    pub context: Context,
    /// The version.
    pub version: Version,
    /// Whether paths without a version lead here.
    pub default_version: bool,
    /// The deployed revision.
    pub revision: RevisionId,
    /// The state.
    pub state: ApiState,
    /// Where sessions with production keys go.
    pub production: Option<Endpoint>,
    /// Where sessions with sandbox keys go; never the production endpoint.
    pub sandbox: Option<Endpoint>,
    /// Whether sandbox keys may use the production endpoint.
    pub sandbox_keys_on_production_endpoint: bool,
    /// The topics, the most specific first: the first that matches is the one.
    pub topics: Vec<Topic>,
    /// The name of the API policy over all of its topics.
    pub policy: Option<Arc<str>>,
    /// Subprotocols in which a text message of the gateway's own may stand.
    pub notice_subprotocols: Vec<Box<str>>,
    /// Counts up when an admin resets the API's counters.
    pub quota_generation: u64,
}

/// Which of the endpoints of its API a session is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndpointKind {
    /// The production endpoint.
    Production,
    /// The sandbox endpoint.
    Sandbox,
}

/// What an API's lifecycle means to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ApiState {
    /// Handshakes are accepted.
    Open,
    /// Handshakes are refused.
    Blocked,
}

/// The paths of an API that exists, whether or not this node runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The API's id.
    pub api: ApiId,
    /// The context template.
    pub context: Context,
    /// The version.
    pub version: Version,
    /// Whether the path without a version is reserved too.
    pub default_version: bool,
    /// The reason to refuse handshakes there while the node runs no API there.
    pub state: ApiState,
    /// Whether it only applies to other versions in its own context.
    pub draft: bool,
}

/// A topic of an API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// The template below the base path.
    pub template: TopicTemplate,
    /// The path at the backend, relative to the endpoint, instead of the topic's own path.
    pub mapping: Option<Mapping>,
    /// The name of the API policy of this topic, in addition to the API's.
    pub policy: Option<Arc<str>>,
}

/// A backend path (and query) with path parameters to fill in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The path, with its leading `/` and without a trailing one; empty for the endpoint's own.
    pub path: Vec<MappingPart>,
    /// The query without `?`; empty for none.
    pub query: Vec<MappingPart>,
}

/// A piece of a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MappingPart {
    /// Text that stays as it is.
    Literal(String),
    /// The value of a path parameter of the topic.
    Parameter(String),
}

/// A backend's address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Whether TLS is spoken (`wss://`).
    pub secure: bool,
    /// The host name, or the IP address (version 6 without brackets).
    pub host: Arc<str>,
    /// The port; 80 or 443 if the URL has none.
    pub port: u16,
    /// The `Host` header: host and port as the URL has them.
    pub authority: Arc<str>,
    /// The path of the URL; `/` if it has none.
    pub path: Arc<str>,
    /// The query, without `?`.
    pub query: Option<Arc<str>>,
}

/// A business plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The name.
    pub name: Arc<str>,
    /// What each subscription under it may use.
    pub limits: Limits,
}

/// A registered application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// The application's id.
    pub id: ApplicationId,
    /// The name, for logs.
    pub name: Arc<str>,
    /// The user name of its owner.
    pub owner: Arc<str>,
    /// The name of its application policy.
    pub policy: Option<Arc<str>>,
    /// Counts up when an admin resets the application's counters.
    pub quota_generation: u64,
}

/// A key of an application, which maps a token's client id to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationKey {
    /// The OAuth client id.
    pub client_id: Arc<str>,
    /// The name of the key manager that gave it.
    pub key_manager: Arc<str>,
    /// The application.
    pub application: ApplicationId,
    /// Which endpoint it reaches.
    pub key_type: KeyType,
}

/// An application on an API under a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The subscription's id.
    pub id: SubscriptionId,
    /// The application.
    pub application: ApplicationId,
    /// The API.
    pub api: ApiId,
    /// The name of the plan.
    pub plan: Arc<str>,
    /// The state.
    pub state: SubscriptionState,
    /// Counts up when an admin resets the subscription's counters.
    pub quota_generation: u64,
}

/// The state of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubscriptionState {
    /// In use.
    Active,
    /// Blocked for all keys.
    Blocked,
    /// Blocked for production keys only.
    ProductionBlocked,
}

/// An issuer of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyManager {
    /// The name.
    pub name: Arc<str>,
    /// The `iss` of its tokens.
    pub issuer: Arc<str>,
    /// The audiences of which a token must carry one.
    pub audiences: Vec<String>,
    /// The keys that verify its tokens, each with a unique `kid`.
    pub keys: Vec<VerificationKey>,
}

/// A public key of a key manager.
#[derive(Clone)]
pub struct VerificationKey {
    /// The key's id.
    pub kid: String,
    /// The only algorithm that it is used with, whatever a token says.
    pub algorithm: Algorithm,
    /// SHA-256 over algorithm and key material: equal keys have equal fingerprints.
    pub fingerprint: [u8; 32],
    /// The key itself.
    pub key: DecodingKey,
}

// === impl ResourceName ===

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Api(id) => write!(f, "apis/{id}"),
            Self::Plan(name) => write!(f, "plans/{name}"),
            Self::Application(id) => write!(f, "applications/{id}"),
            Self::ApplicationKey(client_id) => write!(f, "applicationKeys/{client_id}"),
            Self::Subscription(id) => write!(f, "subscriptions/{id}"),
            Self::KeyManager(name) => write!(f, "keyManagers/{name}"),
            Self::ApplicationPolicy(name) => write!(f, "applicationPolicies/{name}"),
            Self::ApiPolicy(name) => write!(f, "apiPolicies/{name}"),
            Self::DenyPolicy(id) => write!(f, "denyPolicies/{id}"),
            Self::Reservation(id) => write!(f, "reservations/{id}"),
        }
    }
}

// === impl Body ===

impl Body {
    /// The name of the resource that has this body.
    #[must_use]
    pub fn name(&self) -> ResourceName {
        match self {
            Self::Api(api) => ResourceName::Api(api.id),
            Self::Plan(plan) => ResourceName::Plan(plan.name.clone()),
            Self::Application(application) => ResourceName::Application(application.id),
            Self::ApplicationKey(key) => ResourceName::ApplicationKey(key.client_id.clone()),
            Self::Subscription(subscription) => ResourceName::Subscription(subscription.id),
            Self::KeyManager(manager) => ResourceName::KeyManager(manager.name.clone()),
            Self::ApplicationPolicy(policy) => ResourceName::ApplicationPolicy(policy.name.clone()),
            Self::ApiPolicy(policy) => ResourceName::ApiPolicy(policy.name.clone()),
            Self::DenyPolicy(policy) => ResourceName::DenyPolicy(policy.id),
            Self::Reservation(reservation) => ResourceName::Reservation(reservation.api),
        }
    }
}

// === impl Api ===

impl Api {
    /// The endpoint of a kind.
    #[must_use]
    pub const fn endpoint(&self, kind: EndpointKind) -> Option<&Endpoint> {
        match kind {
            EndpointKind::Production => self.production.as_ref(),
            EndpointKind::Sandbox => self.sandbox.as_ref(),
        }
    }

    /// Which endpoint a new session with a key of this type goes to; `None` when the API has none for it.
    #[must_use]
    pub fn endpoint_for(&self, key_type: KeyType) -> Option<EndpointKind> {
        [EndpointKind::Sandbox, EndpointKind::Production]
            .into_iter()
            .find(|&kind| self.takes(key_type, kind))
    }

    /// Whether sessions with a key of this type may use the endpoint of a kind. False if there is none.
    #[must_use]
    pub const fn takes(&self, key_type: KeyType, kind: EndpointKind) -> bool {
        let allowed = match (key_type, kind) {
            (KeyType::Production, EndpointKind::Production)
            | (KeyType::Sandbox, EndpointKind::Sandbox) => true,
            (KeyType::Sandbox, EndpointKind::Production) => {
                self.sandbox_keys_on_production_endpoint
            }
            (KeyType::Production, EndpointKind::Sandbox) => false,
        };
        allowed && self.endpoint(kind).is_some()
    }

    /// The path under which this version answers.
    #[must_use]
    pub fn base_path(&self) -> String {
        self.context.base_path(&self.version)
    }

    /// The path without a version, where this is the default version.
    #[must_use]
    pub fn default_path(&self) -> Option<String> {
        self.default_version.then(|| self.context.default_path())
    }
}

// === impl Reservation ===

impl Reservation {
    /// The paths that are reserved.
    pub fn paths(&self) -> impl Iterator<Item = String> {
        let default = self.default_version.then(|| self.context.default_path());
        [self.context.base_path(&self.version)]
            .into_iter()
            .chain(default)
    }
}

// === impl Subscription ===

impl Subscription {
    /// The two that it is between.
    #[must_use]
    pub const fn key(&self) -> SubscriptionKey {
        SubscriptionKey {
            application: self.application,
            api: self.api,
        }
    }
}

// === impl KeyManager ===

impl KeyManager {
    /// The key of this id.
    #[must_use]
    pub fn key(&self, kid: &str) -> Option<&VerificationKey> {
        self.keys.iter().find(|key| key.kid == kid)
    }
}

// === impl VerificationKey ===

impl PartialEq for VerificationKey {
    fn eq(&self, other: &Self) -> bool {
        self.kid == other.kid && self.fingerprint == other.fingerprint
    }
}

impl Eq for VerificationKey {}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerificationKey")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}
