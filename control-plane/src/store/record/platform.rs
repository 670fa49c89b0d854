//! The records of what admins look after: environments, plans, signing keys, settings.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidegate_kit::secret::Secret;

use super::{
    Unreadable,
    limits::{AllowanceV1, LimitsV1},
    meta, part,
};
use crate::domain::{
    endpoint::EndpointUrl,
    environment::Environment,
    meta::Etag,
    name::{EnvironmentName, KeyId, PlanName},
    plan::Plan,
    settings::Settings,
    signing::{Algorithm, SigningKey, SigningKeyState},
    time::Timestamp,
};

#[derive(Serialize, Deserialize)]
pub(super) enum EnvironmentRecord {
    V1(EnvironmentV1),
}

#[derive(Serialize, Deserialize)]
pub(super) enum PlanRecord {
    V1(PlanV1),
    V2(PlanV2),
}

#[derive(Serialize, Deserialize)]
pub(super) enum SigningKeyRecord {
    V1(SigningKeyV1),
    V2(SigningKeyV2),
}

#[derive(Serialize, Deserialize)]
pub(super) enum SettingsRecord {
    V1(SettingsV1),
    V2(SettingsV2),
}

#[derive(Serialize, Deserialize)]
pub(super) struct EnvironmentV1 {
    name: String,
    display_name: String,
    description: String,
    ws_url: Option<String>,
    wss_url: Option<String>,
    created_at: u64,
    updated_at: u64,
    etag: u64,
}

/// Knew no other limit than messages per window.
#[derive(Serialize, Deserialize)]
pub(super) struct PlanV1 {
    name: String,
    display_name: String,
    description: String,
    quota: QuotaV1,
    created_at: u64,
    updated_at: u64,
    etag: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum QuotaV1 {
    Unlimited,
    Messages { limit: u64, window: u32 },
}

#[derive(Serialize, Deserialize)]
pub(super) struct PlanV2 {
    name: String,
    display_name: String,
    description: String,
    limits: LimitsV1,
    created_at: u64,
    updated_at: u64,
    etag: u64,
}

/// Knew nothing of the tokens that it signed.
#[derive(Serialize, Deserialize)]
pub(super) struct SigningKeyV1 {
    id: String,
    algorithm: String,
    private_key: String,
    public_jwk: String,
    state: StateV1,
    created_at: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct SigningKeyV2 {
    #[serde(flatten)]
    v1: SigningKeyV1,
    longest_lifetime_millis: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StateV1 {
    Next { signs_from: u64 },
    Active,
    Retiring { until: u64 },
}

/// Knew nothing that an admin could change.
#[derive(Serialize, Deserialize)]
pub(super) struct SettingsV1 {
    issuer: String,
    audiences: Vec<String>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct SettingsV2 {
    issuer: String,
    audiences: Vec<String>,
    sign_up_allowed: bool,
    etag: u64,
}

// === impl EnvironmentRecord ===

impl From<&Environment> for EnvironmentRecord {
    fn from(it: &Environment) -> Self {
        Self::V1(EnvironmentV1 {
            name: it.name.to_string(),
            display_name: it.display_name.clone(),
            description: it.description.clone(),
            ws_url: it.ws_url.as_ref().map(ToString::to_string),
            wss_url: it.wss_url.as_ref().map(ToString::to_string),
            created_at: it.meta.created_at.millis(),
            updated_at: it.meta.updated_at.millis(),
            etag: it.meta.etag.get(),
        })
    }
}

impl EnvironmentRecord {
    pub(super) fn object(self) -> Result<Environment, Unreadable> {
        let Self::V1(it) = self;
        let url = |name, url: Option<String>| {
            url.map(|url| part(name, EndpointUrl::parse(&url)))
                .transpose()
        };
        Ok(Environment {
            name: part("name", EnvironmentName::parse(&it.name))?,
            display_name: it.display_name,
            description: it.description,
            ws_url: url("ws_url", it.ws_url)?,
            wss_url: url("wss_url", it.wss_url)?,
            meta: meta(it.created_at, it.updated_at, it.etag),
        })
    }
}

// === impl PlanRecord ===

impl From<&Plan> for PlanRecord {
    fn from(it: &Plan) -> Self {
        Self::V2(PlanV2 {
            name: it.name.to_string(),
            display_name: it.display_name.clone(),
            description: it.description.clone(),
            limits: LimitsV1::from(&it.limits),
            created_at: it.meta.created_at.millis(),
            updated_at: it.meta.updated_at.millis(),
            etag: it.meta.etag.get(),
        })
    }
}

impl PlanRecord {
    pub(super) fn object(self) -> Result<Plan, Unreadable> {
        let it = match self {
            Self::V1(it) => it.next(),
            Self::V2(it) => it,
        };
        Ok(Plan {
            name: part("name", PlanName::parse(&it.name))?,
            display_name: it.display_name,
            description: it.description,
            limits: it.limits.limits()?,
            meta: meta(it.created_at, it.updated_at, it.etag),
        })
    }
}

// === impl PlanV1 ===

impl PlanV1 {
    fn next(self) -> PlanV2 {
        PlanV2 {
            name: self.name,
            display_name: self.display_name,
            description: self.description,
            limits: LimitsV1::messages_only(match self.quota {
                QuotaV1::Unlimited => None,
                QuotaV1::Messages {
                    limit: amount,
                    window,
                } => Some(AllowanceV1 { amount, window }),
            }),
            created_at: self.created_at,
            updated_at: self.updated_at,
            etag: self.etag,
        }
    }
}

// === impl SigningKeyRecord ===

impl From<&SigningKey> for SigningKeyRecord {
    fn from(it: &SigningKey) -> Self {
        let v1 = SigningKeyV1 {
            id: it.id.to_string(),
            algorithm: it.algorithm.to_string(),
            private_key: it.private_key.expose().to_owned(),
            public_jwk: it.public_jwk.clone(),
            state: match it.state {
                SigningKeyState::Next { signs_from } => StateV1::Next {
                    signs_from: signs_from.millis(),
                },
                SigningKeyState::Active => StateV1::Active,
                SigningKeyState::Retiring { until } => StateV1::Retiring {
                    until: until.millis(),
                },
            },
            created_at: it.created_at.millis(),
        };
        let longest = it.longest_lifetime.as_millis();
        Self::V2(SigningKeyV2 {
            v1,
            longest_lifetime_millis: u64::try_from(longest).unwrap_or(u64::MAX),
        })
    }
}

impl SigningKeyRecord {
    pub(super) fn object(self) -> Result<SigningKey, Unreadable> {
        let (it, longest_lifetime_millis) = match self {
            // The key manager notes its present lifetime at the next start.
            Self::V1(it) => (it, 0),
            Self::V2(it) => (it.v1, it.longest_lifetime_millis),
        };
        Ok(SigningKey {
            id: part("id", KeyId::parse(&it.id))?,
            algorithm: [Algorithm::Es256, Algorithm::Rs256]
                .into_iter()
                .find(|algorithm| algorithm.as_str() == it.algorithm)
                .ok_or_else(|| format!("its `algorithm` does not read: `{}`", it.algorithm))?,
            private_key: Secret::new(it.private_key),
            public_jwk: it.public_jwk,
            state: match it.state {
                StateV1::Next { signs_from } => SigningKeyState::Next {
                    signs_from: Timestamp::from_millis(signs_from),
                },
                StateV1::Active => SigningKeyState::Active,
                StateV1::Retiring { until } => SigningKeyState::Retiring {
                    until: Timestamp::from_millis(until),
                },
            },
            longest_lifetime: Duration::from_millis(longest_lifetime_millis),
            created_at: Timestamp::from_millis(it.created_at),
        })
    }
}

// === impl SettingsRecord ===

impl From<&Settings> for SettingsRecord {
    fn from(it: &Settings) -> Self {
        Self::V2(SettingsV2 {
            issuer: it.issuer.clone(),
            audiences: it.audiences.clone(),
            sign_up_allowed: it.sign_up_allowed,
            etag: it.etag.get(),
        })
    }
}

impl SettingsRecord {
    pub(super) fn object(self) -> Settings {
        let it = match self {
            Self::V1(it) => it.next(),
            Self::V2(it) => it,
        };
        Settings {
            issuer: it.issuer,
            audiences: it.audiences,
            sign_up_allowed: it.sign_up_allowed,
            etag: Etag::new(it.etag),
        }
    }
}

// === impl SettingsV1 ===

impl SettingsV1 {
    fn next(self) -> SettingsV2 {
        SettingsV2 {
            issuer: self.issuer,
            audiences: self.audiences,
            sign_up_allowed: false,
            etag: Etag::FIRST.get(),
        }
    }
}
