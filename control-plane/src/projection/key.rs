//! The names of wire resources as the control plane keeps them: small, ordered, and read back from what a node says.

use std::{fmt, str::FromStr};

use tidegate_proto::ids::{ApiId, ApplicationId, DenyPolicyId, SubscriptionId};

use crate::domain::name::{ClientId, PlanName, PolicyName};

/// The name of a wire resource.
///
/// Ordered so that what others point at comes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceKey {
    /// `keyManagers/resident`.
    KeyManager,
    /// `denyPolicies/{uuid}`.
    DenyPolicy(DenyPolicyId),
    /// `applicationPolicies/{name}`.
    ApplicationPolicy(PolicyName),
    /// `apiPolicies/{name}`.
    ApiPolicy(PolicyName),
    /// `plans/{name}`.
    Plan(PlanName),
    /// `reservations/{uuid of the API}`.
    Reservation(ApiId),
    /// `apis/{uuid}`.
    Api(ApiId),
    /// `applications/{uuid}`.
    Application(ApplicationId),
    /// `applicationKeys/{client id}`.
    ApplicationKey(ClientId),
    /// `subscriptions/{uuid}`.
    Subscription(SubscriptionId),
}

/// A name that no resource of this control plane has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no resource has this name")]
pub struct UnknownName;

/// The name of the built-in key manager.
pub(super) const RESIDENT: &str = "resident";

// === impl ResourceKey ===

impl fmt::Display for ResourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyManager => write!(f, "keyManagers/{RESIDENT}"),
            Self::DenyPolicy(id) => write!(f, "denyPolicies/{id}"),
            Self::ApplicationPolicy(name) => write!(f, "applicationPolicies/{name}"),
            Self::ApiPolicy(name) => write!(f, "apiPolicies/{name}"),
            Self::Plan(name) => write!(f, "plans/{name}"),
            Self::Reservation(id) => write!(f, "reservations/{id}"),
            Self::Api(id) => write!(f, "apis/{id}"),
            Self::Application(id) => write!(f, "applications/{id}"),
            Self::ApplicationKey(id) => write!(f, "applicationKeys/{id}"),
            Self::Subscription(id) => write!(f, "subscriptions/{id}"),
        }
    }
}

impl FromStr for ResourceKey {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let (collection, id) = name.split_once('/').ok_or(UnknownName)?;
        let key = match collection {
            "keyManagers" if id == RESIDENT => Some(Self::KeyManager),
            "denyPolicies" => id.parse().ok().map(Self::DenyPolicy),
            "applicationPolicies" => PolicyName::parse(id).ok().map(Self::ApplicationPolicy),
            "apiPolicies" => PolicyName::parse(id).ok().map(Self::ApiPolicy),
            "plans" => PlanName::parse(id).ok().map(Self::Plan),
            "reservations" => id.parse().ok().map(Self::Reservation),
            "apis" => id.parse().ok().map(Self::Api),
            "applications" => id.parse().ok().map(Self::Application),
            "applicationKeys" => ClientId::parse(id).ok().map(Self::ApplicationKey),
            "subscriptions" => id.parse().ok().map(Self::Subscription),
            _ => None,
        };
        // A UUID can be written in several ways; only the one that this control plane writes is a name.
        key.filter(|key| key.to_string() == name).ok_or(UnknownName)
    }
}
