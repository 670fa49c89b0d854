//! From the wire to the model: total, and one resource at a time, so that a bad one harms no other.
//!
//! Owns the validation of single resources; `index` has the rules between resources. The only file of the data path
//! that uses protobuf types. Called by `control`, off the session path.

mod api;
mod keys;
pub mod policy;

use std::sync::Arc;

use tidegate_proto::{
    claims::KeyType,
    discovery::{
        limits::InvalidLimits,
        v1::{self, resource::Body as Wire},
    },
    ids::InvalidId,
    path::InvalidPath,
    quota::Limits,
    revision::ContentVersion,
};

use policy::InvalidPolicy;

use super::model::{
    Application, ApplicationKey, Body, Plan, Resource, ResourceName, Subscription,
    SubscriptionState,
};

/// Why a resource is rejected. The text goes to the control plane, for people.
#[derive(Debug, thiserror::Error)]
pub enum InvalidResource {
    /// A kind of resource that this node does not know.
    #[error("has no body that this node knows; the node may be older than the control plane")]
    UnknownKind,
    /// A name that is not that of the body.
    #[error("is named `{name}`, but its body is `{body}`")]
    Name {
        /// The name it came under.
        name: String,
        /// The name that its body has.
        body: String,
    },
    /// A version that is not the hash of the content.
    #[error("has version {stated}, but its content hashes to {computed}")]
    Version {
        /// The version it came with.
        stated: ContentVersion,
        /// The hash of the content.
        computed: ContentVersion,
    },
    /// A field that is empty.
    #[error("`{0}` is empty")]
    Empty(&'static str),
    /// A field that is too long.
    #[error("`{field}` has {length} {unit}; the most is {most}")]
    TooLong {
        /// The field.
        field: &'static str,
        /// How long it is.
        length: usize,
        /// How long it may be.
        most: usize,
        /// What is counted.
        unit: &'static str,
    },
    /// An enum value that this node does not know.
    #[error("`{field}` is {value}, which this node does not know")]
    UnknownValue {
        /// The field.
        field: &'static str,
        /// The number on the wire.
        value: i32,
    },
    /// An id that is no UUID.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// A context, version or topic that breaks the grammar.
    #[error("`{field}` {fault}: `{text}`")]
    Path {
        /// The field.
        field: &'static str,
        /// What it holds.
        text: String,
        /// The rule that it breaks.
        fault: InvalidPath,
    },
    /// The same topic twice.
    #[error("has the topic `{0}` twice")]
    DuplicateTopic(String),
    /// A mapping that cannot be used.
    #[error("the mapping `{text}` {fault}")]
    Mapping {
        /// The mapping.
        text: String,
        /// What is wrong with it.
        fault: InvalidMapping,
    },
    /// An endpoint that is no `ws://` or `wss://` URL.
    #[error("`{field}` {fault}: `{url}`")]
    Endpoint {
        /// The field.
        field: &'static str,
        /// What it holds.
        url: String,
        /// What is wrong with it.
        fault: InvalidEndpoint,
    },
    /// Limits that are none.
    #[error("limits: {0}")]
    Limits(#[from] InvalidLimits),
    /// Something invalid in a policy.
    #[error(transparent)]
    Policy(#[from] InvalidPolicy),
    /// A key that cannot verify tokens.
    #[error("key {index}: {fault}")]
    Key {
        /// Which key, from 0.
        index: usize,
        /// What is wrong with it.
        fault: InvalidKey,
    },
}

/// What is wrong with a mapping.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMapping {
    /// A `{` without its `}`.
    #[error("has a `{{` that nothing closes")]
    Unclosed,
    /// Something else than `{uri.var.name}` in braces.
    #[error("has `{{{0}}}`; only `{{uri.var.<parameter>}}` is known")]
    Unknown(String),
    /// A path parameter that the topic does not have.
    #[error("names `{0}`, which is no parameter of the topic")]
    NoParameter(String),
    /// A character that no URL may have.
    #[error("has the character {0:?}, which must be percent-encoded")]
    Forbidden(char),
}

/// What is wrong with an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEndpoint {
    /// Not a URL.
    #[error("is no URL with a scheme and a host")]
    NotAUrl,
    /// Another scheme.
    #[error("must begin with ws:// or wss://")]
    Scheme,
    /// A user name or password in the URL.
    #[error("must not carry a user name or password")]
    UserInfo,
    /// A `#` and what follows it (RFC 6455, 3).
    #[error("must not have a fragment")]
    Fragment,
    /// Port 0 or none after a colon.
    #[error("has no usable port")]
    Port,
}

/// What is wrong with a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// Not a JWK.
    #[error("is no JWK: {0}")]
    NotAJwk(String),
    /// No `kid`.
    #[error("has no `kid`")]
    NoKid,
    /// A `kid` that another key of the key manager has.
    #[error("has the `kid` `{0}` of another key")]
    DuplicateKid(String),
    /// A key that could also sign.
    #[error("is a private key; send its public half")]
    Private,
    /// A key that is not for verifying signatures.
    #[error("is not for signatures")]
    Use,
    /// Neither P-256 with ES256 nor RSA with RS256.
    #[error("is neither P-256 for ES256 nor RSA for RS256")]
    Unsupported,
    /// Key material of the wrong length.
    #[error("has key material of a wrong length")]
    Material,
}

/// Longest name of anything.
const NAME_MAX: usize = 256;

/// Reads one resource that came over the wire, and checks that its version is the hash of its content.
///
/// # Errors
/// Says why the resource is rejected.
pub fn decode(resource: v1::Resource) -> Result<Resource, InvalidResource> {
    let (stated, computed) = (
        ContentVersion::new(resource.version),
        resource.content_version(),
    );
    if stated != computed {
        return Err(InvalidResource::Version { stated, computed });
    }
    decode_trusted(resource)
}

/// Decodes a resource from the checksummed cache, whose bytes have passed [`decode`] before.
///
/// # Errors
/// Says why the resource is rejected.
pub fn decode_trusted(resource: v1::Resource) -> Result<Resource, InvalidResource> {
    let version = ContentVersion::new(resource.version);
    let body = match resource.body.ok_or(InvalidResource::UnknownKind)? {
        Wire::Api(api) => Body::Api(Arc::new(api::decode(&api)?)),
        Wire::Plan(plan) => Body::Plan(Arc::new(decode_plan(&plan)?)),
        Wire::Application(application) => {
            Body::Application(Arc::new(decode_application(&application)?))
        }
        Wire::ApplicationKey(key) => Body::ApplicationKey(Arc::new(decode_key(&key)?)),
        Wire::Subscription(subscription) => {
            Body::Subscription(Arc::new(decode_subscription(&subscription)?))
        }
        Wire::KeyManager(manager) => Body::KeyManager(Arc::new(keys::decode(&manager)?)),
        Wire::ApplicationPolicy(policy) => {
            Body::ApplicationPolicy(Arc::new(policy::application(&policy)?))
        }
        Wire::ApiPolicy(policy) => Body::ApiPolicy(Arc::new(policy::api(&policy)?)),
        Wire::DenyPolicy(policy) => Body::DenyPolicy(Arc::new(policy::deny(&policy)?)),
        Wire::Reservation(reservation) => {
            Body::Reservation(Arc::new(api::decode_reservation(&reservation)?))
        }
    };
    let name = body.name();
    let expected = name.to_string();
    if expected != resource.name {
        return Err(InvalidResource::Name {
            name: resource.name,
            body: expected,
        });
    }
    Ok(Resource {
        name,
        version,
        body,
    })
}

/// Reads the name of a resource; `None` for a kind that this node does not know, of which it holds nothing.
#[must_use]
pub fn decode_name(name: &str) -> Option<ResourceName> {
    let (collection, id) = name.split_once('/')?;
    Some(match collection {
        "apis" => ResourceName::Api(id.parse().ok()?),
        "plans" => ResourceName::Plan(id.into()),
        "applications" => ResourceName::Application(id.parse().ok()?),
        "applicationKeys" => ResourceName::ApplicationKey(id.into()),
        "subscriptions" => ResourceName::Subscription(id.parse().ok()?),
        "keyManagers" => ResourceName::KeyManager(id.into()),
        "applicationPolicies" => ResourceName::ApplicationPolicy(id.into()),
        "apiPolicies" => ResourceName::ApiPolicy(id.into()),
        "denyPolicies" => ResourceName::DenyPolicy(id.parse().ok()?),
        "reservations" => ResourceName::Reservation(id.parse().ok()?),
        _ => return None,
    })
}

fn decode_plan(plan: &v1::Plan) -> Result<Plan, InvalidResource> {
    Ok(Plan {
        name: text("name", &plan.name)?,
        limits: limits(plan.limits.as_ref())?,
    })
}

fn decode_application(application: &v1::Application) -> Result<Application, InvalidResource> {
    Ok(Application {
        id: application.id.parse()?,
        name: text("name", &application.name)?,
        owner: text("owner", &application.owner)?,
        policy: optional("policy", &application.policy)?,
        quota_generation: application.quota_generation,
    })
}

fn decode_key(key: &v1::ApplicationKey) -> Result<ApplicationKey, InvalidResource> {
    let key_type = match v1::KeyType::try_from(key.key_type) {
        Ok(v1::KeyType::Production) => KeyType::Production,
        Ok(v1::KeyType::Sandbox) => KeyType::Sandbox,
        Ok(v1::KeyType::Unspecified) | Err(_) => return unknown("key_type", key.key_type),
    };
    Ok(ApplicationKey {
        client_id: text("client_id", &key.client_id)?,
        key_manager: text("key_manager", &key.key_manager)?,
        application: key.application.parse()?,
        key_type,
    })
}

fn decode_subscription(subscription: &v1::Subscription) -> Result<Subscription, InvalidResource> {
    let state = match v1::SubscriptionState::try_from(subscription.state) {
        Ok(v1::SubscriptionState::Active) => SubscriptionState::Active,
        Ok(v1::SubscriptionState::Blocked) => SubscriptionState::Blocked,
        Ok(v1::SubscriptionState::ProductionBlocked) => SubscriptionState::ProductionBlocked,
        Ok(v1::SubscriptionState::Unspecified) | Err(_) => {
            return unknown("state", subscription.state);
        }
    };
    Ok(Subscription {
        id: subscription.id.parse()?,
        application: subscription.application.parse()?,
        api: subscription.api.parse()?,
        plan: text("plan", &subscription.plan)?,
        state,
        quota_generation: subscription.quota_generation,
    })
}

fn limits(wire: Option<&v1::Limits>) -> Result<Limits, InvalidResource> {
    let wire = wire.ok_or(InvalidResource::Empty("limits"))?;
    Ok(Limits::try_from(wire)?)
}

fn optional(field: &'static str, name: &str) -> Result<Option<Arc<str>>, InvalidResource> {
    (!name.is_empty()).then(|| text(field, name)).transpose()
}

fn text(field: &'static str, text: &str) -> Result<Arc<str>, InvalidResource> {
    if text.is_empty() {
        return Err(InvalidResource::Empty(field));
    }
    within(field, text.len(), NAME_MAX, "bytes")?;
    Ok(text.into())
}

fn within(
    field: &'static str,
    length: usize,
    most: usize,
    unit: &'static str,
) -> Result<(), InvalidResource> {
    if length > most {
        return Err(InvalidResource::TooLong {
            field,
            length,
            most,
            unit,
        });
    }
    Ok(())
}

const fn unknown<T>(field: &'static str, value: i32) -> Result<T, InvalidResource> {
    Err(InvalidResource::UnknownValue { field, value })
}

#[cfg(test)]
mod tests;
