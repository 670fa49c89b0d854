//! Applications, which are registered clients, and the keys they get tokens with.

use std::collections::BTreeMap;

use tidegate_proto::{
    claims::KeyType,
    ids::{ApiId, ApplicationId, UserId},
};

use super::{
    credential::SecretHash,
    meta::ResourceMeta,
    name::{ApplicationName, ClientId, PolicyName, UserName},
    scope::AllowedScopes,
    time::Timestamp,
};

/// A registered client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// The id.
    pub id: ApplicationId,
    /// The name, unique per owner but for letter case.
    pub name: ApplicationName,
    /// What it is for.
    pub description: String,
    /// Who registered it.
    pub owner: UserId,
    /// The owner's name.
    pub owner_name: UserName,
    /// What it may use over all of its subscriptions together.
    pub policy: Option<PolicyName>,
    /// Counts up when its counters are reset.
    pub quota_generation: u64,
    /// How often an admin had reset the counters of subscriptions that have ended since, where that was at all. The next
    /// subscription to the API counts on from there: neither back in the counters from before, nor in fresh ones.
    pub ended_generations: BTreeMap<ApiId, u64>,
    /// When it was created and last changed, and its etag.
    pub meta: ResourceMeta,
}

/// A key of an application; at most [`KEYS_MAX`] of each type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationKey {
    /// The OAuth client id.
    pub client_id: ClientId,
    /// The application it belongs to.
    pub application: ApplicationId,
    /// Which endpoints its tokens reach.
    pub key_type: KeyType,
    /// The scopes that its tokens may have. An admin says which: conditions of policies on `scope` would mean nothing if
    /// the owner of the application could.
    pub scopes: AllowedScopes,
    /// The hash of the client secret.
    pub secret: SecretHash,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its secret was last made.
    pub secret_made_at: Timestamp,
}

/// How many keys of each type an application may have at a time, so that a key can be replaced without a gap.
pub const KEYS_MAX: usize = 5;

// === impl Application ===

impl Application {
    /// The `quota_generation` that the next subscription to an API begins with.
    #[must_use]
    pub fn ended_generation(&self, api: ApiId) -> u64 {
        self.ended_generations.get(&api).copied().unwrap_or(0)
    }
}
