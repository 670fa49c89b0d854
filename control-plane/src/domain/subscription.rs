//! Subscriptions: an application on an API under a plan.

use std::fmt;

use tidegate_proto::ids::{ApiId, ApplicationId, SubscriptionId, SubscriptionKey};

use super::{meta::ResourceMeta, name::PlanName};

/// An application on an API under a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The id.
    pub id: SubscriptionId,
    /// The application. Does not change.
    pub application: ApplicationId,
    /// The API. Does not change.
    pub api: ApiId,
    /// The plan.
    pub plan: PlanName,
    /// Whether it lets anybody in.
    pub state: SubscriptionState,
    /// Counts up when its counters are reset. What is used is counted by application and API, so the next subscription
    /// between the two goes on from there.
    pub quota_generation: u64,
    /// When it was created and last changed, and its etag.
    pub meta: ResourceMeta,
}

/// Whether a subscription lets anybody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SubscriptionState {
    /// In use.
    Active,
    /// Blocked for every key.
    Blocked,
    /// Blocked for production: production keys are refused, and sandbox keys reach a sandbox endpoint only.
    ProductionBlocked,
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

// === impl SubscriptionState ===

impl SubscriptionState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Active, Self::Blocked, Self::ProductionBlocked];

    /// The name, as filters and the admin API write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Blocked => "BLOCKED",
            Self::ProductionBlocked => "PRODUCTION_BLOCKED",
        }
    }
}

impl fmt::Display for SubscriptionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
