//! How a use case fails. Surfaces map each kind to one status; the reasons are stable and go out with it.

use std::{fmt::Display, time::Duration};

use crate::domain::{invalid::Invalid, resource::Resource};

/// A use case that was refused or failed. Nothing was changed, unless it says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// Nobody is signed in, the token is unknown or expired, or name and password do not fit.
    #[error("sign in: {0}")]
    Unauthenticated(&'static str),
    /// The actor's roles do not allow it.
    #[error("permission denied: it needs {0}")]
    PermissionDenied(String),
    /// The input has faults; all of them are listed.
    #[error("invalid: {0}")]
    Invalid(#[from] Invalid),
    /// What is named does not exist, or the actor may not know that it does.
    #[error("`{0}` does not exist")]
    NotFound(String),
    /// Something like it exists already.
    #[error("`{resource}` exists already: {description}")]
    AlreadyExists {
        /// The resource that is in the way.
        resource: String,
        /// What the two have in common, for people.
        description: String,
    },
    /// The current state does not allow it.
    #[error("{description}")]
    FailedPrecondition {
        /// Why, in `UPPER_SNAKE_CASE`. Stable.
        reason: &'static str,
        /// The resource that is not in the state it must be in.
        resource: String,
        /// Why, for people, and what to do.
        description: String,
    },
    /// The etag is not the current one: the resource was changed in the meantime.
    #[error("`{0}` was changed meanwhile; read it again and repeat the change")]
    Aborted(String),
    /// Too many attempts.
    #[error("too many attempts; try again in {} s", retry_after.as_secs().max(1))]
    ResourceExhausted {
        /// When it is worth trying again.
        retry_after: Duration,
    },
    /// The service cannot answer now: too many changes wait.
    #[error("{0}")]
    Unavailable(&'static str),
    /// The store did not take the change. The inside is in the log.
    #[error("the change could not be stored: {0}")]
    Storage(String),
}

// === impl ServiceError ===

impl ServiceError {
    /// A name that differs from another one in letter case at most.
    pub(super) fn name_taken<R: Resource>(other: impl Display) -> Self {
        Self::AlreadyExists {
            resource: R::name_of(other),
            description: "letter case does not tell names apart".to_owned(),
        }
    }
}

/// Stable reasons of failed preconditions.
pub mod reason {
    /// A plan that an API offers or a subscription uses.
    pub const PLAN_IN_USE: &str = "PLAN_IN_USE";
    /// A policy that an API, a topic, a revision or an application names.
    pub const POLICY_IN_USE: &str = "POLICY_IN_USE";
    /// The API does not offer the plan.
    pub const PLAN_NOT_OFFERED: &str = "PLAN_NOT_OFFERED";
    /// The API has as many documents as it may.
    pub const DOCUMENT_LIMIT: &str = "DOCUMENT_LIMIT";
    /// The API has as many revisions as it may.
    pub const REVISION_LIMIT: &str = "REVISION_LIMIT";
    /// The revision runs on an environment.
    pub const REVISION_DEPLOYED: &str = "REVISION_DEPLOYED";
    /// The revision does not run on the environment.
    pub const NOT_DEPLOYED: &str = "NOT_DEPLOYED";
    /// The action is not allowed in the current lifecycle state.
    pub const LIFECYCLE_MOVE_NOT_ALLOWED: &str = "LIFECYCLE_MOVE_NOT_ALLOWED";
    /// The API is retired.
    pub const API_RETIRED: &str = "API_RETIRED";
    /// The API has no endpoint.
    pub const NO_ENDPOINT: &str = "NO_ENDPOINT";
    /// The API offers no plan.
    pub const NO_PLAN: &str = "NO_PLAN";
    /// The API has subscriptions.
    pub const API_HAS_SUBSCRIPTIONS: &str = "API_HAS_SUBSCRIPTIONS";
    /// The API takes no subscriptions in its current state.
    pub const API_NOT_PUBLISHED: &str = "API_NOT_PUBLISHED";
    /// A publisher has blocked the subscription.
    pub const SUBSCRIPTION_BLOCKED: &str = "SUBSCRIPTION_BLOCKED";
    /// The environment that ships.
    pub const DEFAULT_ENVIRONMENT: &str = "DEFAULT_ENVIRONMENT";
    /// The environment has deployments.
    pub const ENVIRONMENT_IN_USE: &str = "ENVIRONMENT_IN_USE";
    /// The application has as many keys of the type as it may.
    pub const KEY_LIMIT: &str = "KEY_LIMIT";
    /// No admin would be left.
    pub const LAST_ADMIN: &str = "LAST_ADMIN";
    /// The user owns applications.
    pub const USER_OWNS_APPLICATIONS: &str = "USER_OWNS_APPLICATIONS";
    /// The settings do not allow sign-up.
    pub const SIGN_UP_NOT_ALLOWED: &str = "SIGN_UP_NOT_ALLOWED";
    /// A signing key waits for its turn already.
    pub const ROTATION_IN_PROGRESS: &str = "ROTATION_IN_PROGRESS";
}
