//! The records of applications, their keys and their subscriptions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tidegate_proto::{
    claims::KeyType,
    ids::{ApiId, ApplicationId, SubscriptionId, UserId},
};

use super::{
    Unreadable,
    frame::{hex, unhex},
    meta, part,
};
use crate::domain::{
    application::{Application, ApplicationKey},
    credential::SecretHash,
    name::{ApplicationName, ClientId, PlanName, PolicyName, UserName},
    scope::Scope,
    subscription::{Subscription, SubscriptionState},
    time::Timestamp,
};

#[derive(Serialize, Deserialize)]
pub(super) enum ApplicationRecord {
    V1(ApplicationV1),
    V2(ApplicationV2),
    V3(ApplicationV3),
}

#[derive(Serialize, Deserialize)]
pub(super) enum KeyRecord {
    V1(KeyV1),
    V2(KeyV2),
}

#[derive(Serialize, Deserialize)]
pub(super) enum SubscriptionRecord {
    V1(SubscriptionV1),
    V2(SubscriptionV2),
}

/// Knew no policy, and no resets of counters.
#[derive(Serialize, Deserialize)]
pub(super) struct ApplicationV1 {
    id: ApplicationId,
    name: String,
    description: String,
    owner: UserId,
    owner_name: String,
    created_at: u64,
    updated_at: u64,
    etag: u64,
}

/// Forgot with a subscription how often its counters had been reset.
#[derive(Serialize, Deserialize)]
pub(super) struct ApplicationV2 {
    id: ApplicationId,
    name: String,
    description: String,
    owner: UserId,
    owner_name: String,
    policy: Option<String>,
    quota_generation: u64,
    created_at: u64,
    updated_at: u64,
    etag: u64,
}

/// Knew no scopes: it is allowed none.
#[derive(Serialize, Deserialize)]
pub(super) struct ApplicationV3 {
    id: ApplicationId,
    name: String,
    description: String,
    owner: UserId,
    owner_name: String,
    policy: Option<String>,
    quota_generation: u64,
    ended_generations: BTreeMap<ApiId, u64>,
    created_at: u64,
    updated_at: u64,
    etag: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct KeyV1 {
    client_id: String,
    application: ApplicationId,
    key_type: String,
    secret: String,
    created_at: u64,
    secret_made_at: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct KeyV2 {
    client_id: String,
    application: ApplicationId,
    key_type: String,
    scopes: Vec<String>,
    secret: String,
    created_at: u64,
    secret_made_at: u64,
}

/// Knew no resets of counters.
#[derive(Serialize, Deserialize)]
pub(super) struct SubscriptionV1 {
    id: SubscriptionId,
    application: ApplicationId,
    api: ApiId,
    plan: String,
    state: String,
    created_at: u64,
    updated_at: u64,
    etag: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct SubscriptionV2 {
    id: SubscriptionId,
    application: ApplicationId,
    api: ApiId,
    plan: String,
    state: String,
    quota_generation: u64,
    created_at: u64,
    updated_at: u64,
    etag: u64,
}

const PRODUCTION: &str = "PRODUCTION";
const SANDBOX: &str = "SANDBOX";

// === impl ApplicationRecord ===

impl From<&Application> for ApplicationRecord {
    fn from(it: &Application) -> Self {
        Self::V3(ApplicationV3 {
            id: it.id,
            name: it.name.to_string(),
            description: it.description.clone(),
            owner: it.owner,
            owner_name: it.owner_name.to_string(),
            policy: it.policy.as_ref().map(ToString::to_string),
            quota_generation: it.quota_generation,
            ended_generations: it.ended_generations.clone(),
            created_at: it.meta.created_at.millis(),
            updated_at: it.meta.updated_at.millis(),
            etag: it.meta.etag.get(),
        })
    }
}

impl ApplicationRecord {
    pub(super) fn object(self) -> Result<Application, Unreadable> {
        let it = match self {
            Self::V1(it) => it.next().next(),
            Self::V2(it) => it.next(),
            Self::V3(it) => it,
        };
        let policy = it
            .policy
            .map(|name| part("policy", PolicyName::parse(&name)));
        Ok(Application {
            id: it.id,
            name: part("name", ApplicationName::parse(&it.name))?,
            description: it.description,
            owner: it.owner,
            owner_name: part("owner_name", UserName::parse(&it.owner_name))?,
            policy: policy.transpose()?,
            quota_generation: it.quota_generation,
            ended_generations: it.ended_generations,
            meta: meta(it.created_at, it.updated_at, it.etag),
        })
    }
}

// === impl ApplicationV1 ===

impl ApplicationV1 {
    fn next(self) -> ApplicationV2 {
        ApplicationV2 {
            id: self.id,
            name: self.name,
            description: self.description,
            owner: self.owner,
            owner_name: self.owner_name,
            policy: None,
            quota_generation: 0,
            created_at: self.created_at,
            updated_at: self.updated_at,
            etag: self.etag,
        }
    }
}

// === impl ApplicationV2 ===

impl ApplicationV2 {
    fn next(self) -> ApplicationV3 {
        ApplicationV3 {
            id: self.id,
            name: self.name,
            description: self.description,
            owner: self.owner,
            owner_name: self.owner_name,
            policy: self.policy,
            quota_generation: self.quota_generation,
            ended_generations: BTreeMap::new(),
            created_at: self.created_at,
            updated_at: self.updated_at,
            etag: self.etag,
        }
    }
}

// === impl KeyRecord ===

impl From<&ApplicationKey> for KeyRecord {
    fn from(it: &ApplicationKey) -> Self {
        Self::V2(KeyV2 {
            client_id: it.client_id.to_string(),
            application: it.application,
            key_type: match it.key_type {
                KeyType::Production => PRODUCTION.to_owned(),
                KeyType::Sandbox => SANDBOX.to_owned(),
            },
            scopes: it.scopes.iter().map(ToString::to_string).collect(),
            secret: hex(it.secret.as_bytes()),
            created_at: it.created_at.millis(),
            secret_made_at: it.secret_made_at.millis(),
        })
    }
}

impl KeyRecord {
    pub(super) fn object(self) -> Result<ApplicationKey, Unreadable> {
        let it = match self {
            Self::V1(it) => it.next(),
            Self::V2(it) => it,
        };
        let scopes = it.scopes.iter();
        Ok(ApplicationKey {
            client_id: part("client_id", ClientId::parse(&it.client_id))?,
            application: it.application,
            key_type: match it.key_type.as_str() {
                PRODUCTION => KeyType::Production,
                SANDBOX => KeyType::Sandbox,
                other => return Err(format!("its `key_type` does not read: `{other}`")),
            },
            scopes: scopes
                .map(|scope| part("scopes", Scope::parse(scope)))
                .collect::<Result<_, _>>()?,
            secret: SecretHash::from_bytes(
                unhex(&it.secret).ok_or_else(|| "its `secret` does not read".to_owned())?,
            ),
            created_at: Timestamp::from_millis(it.created_at),
            secret_made_at: Timestamp::from_millis(it.secret_made_at),
        })
    }
}

// === impl KeyV1 ===

impl KeyV1 {
    fn next(self) -> KeyV2 {
        KeyV2 {
            client_id: self.client_id,
            application: self.application,
            key_type: self.key_type,
            scopes: Vec::new(),
            secret: self.secret,
            created_at: self.created_at,
            secret_made_at: self.secret_made_at,
        }
    }
}

// === impl SubscriptionRecord ===

impl From<&Subscription> for SubscriptionRecord {
    fn from(it: &Subscription) -> Self {
        Self::V2(SubscriptionV2 {
            id: it.id,
            application: it.application,
            api: it.api,
            plan: it.plan.to_string(),
            state: it.state.to_string(),
            quota_generation: it.quota_generation,
            created_at: it.meta.created_at.millis(),
            updated_at: it.meta.updated_at.millis(),
            etag: it.meta.etag.get(),
        })
    }
}

impl SubscriptionRecord {
    pub(super) fn object(self) -> Result<Subscription, Unreadable> {
        let it = match self {
            Self::V1(it) => it.next(),
            Self::V2(it) => it,
        };
        Ok(Subscription {
            id: it.id,
            application: it.application,
            api: it.api,
            plan: part("plan", PlanName::parse(&it.plan))?,
            state: SubscriptionState::ALL
                .into_iter()
                .find(|state| state.as_str() == it.state)
                .ok_or_else(|| format!("its `state` does not read: `{}`", it.state))?,
            quota_generation: it.quota_generation,
            meta: meta(it.created_at, it.updated_at, it.etag),
        })
    }
}

// === impl SubscriptionV1 ===

impl SubscriptionV1 {
    fn next(self) -> SubscriptionV2 {
        SubscriptionV2 {
            id: self.id,
            application: self.application,
            api: self.api,
            plan: self.plan,
            state: self.state,
            quota_generation: 0,
            created_at: self.created_at,
            updated_at: self.updated_at,
            etag: self.etag,
        }
    }
}
