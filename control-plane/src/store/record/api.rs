//! The records of APIs.

use serde::{Deserialize, Serialize};
use tidegate_proto::{
    ids::{ApiId, UserId},
    path::{Context, Version},
    revision::RevisionNumber,
};
use uuid::Uuid;

use super::{
    Unreadable,
    design::{DesignV1, DesignV2, policy},
    meta, part,
};
use crate::domain::{
    api::{Api, Visibility},
    lifecycle::{Action, Lifecycle, LifecycleEvent},
    name::{ApiName, PlanName, UserName},
    time::Timestamp,
    user::{Role, Roles},
};

#[derive(Serialize, Deserialize)]
pub(super) enum ApiRecord {
    V1(ApiV1),
    V2(ApiV2),
    V3(ApiV3),
    V4(ApiV4),
}

/// Knew no policies, and no resets of counters.
#[derive(Serialize, Deserialize)]
pub(super) struct ApiV1 {
    id: Uuid,
    name: String,
    context: String,
    version: String,
    owner: Option<Uuid>,
    provider: String,
    design: DesignV1,
    plans: Vec<String>,
    visible_roles: Option<Vec<String>>,
    default_version: bool,
    state: String,
    history: Vec<EventV1>,
    last_revision: u32,
    created_at: u64,
    updated_at: u64,
    etag: u64,
}

/// Knew of no default version but the current one.
#[derive(Serialize, Deserialize)]
pub(super) struct ApiV2 {
    id: Uuid,
    name: String,
    context: String,
    version: String,
    owner: Option<Uuid>,
    provider: String,
    design: DesignV2,
    plans: Vec<String>,
    policy: Option<String>,
    visible_roles: Option<Vec<String>>,
    default_version: bool,
    state: String,
    history: Vec<EventV1>,
    quota_generation: u64,
    last_revision: u32,
    created_at: u64,
    updated_at: u64,
    etag: u64,
}

/// Knew no setting for sandbox keys: it is off.
#[derive(Serialize, Deserialize)]
pub(super) struct ApiV3 {
    #[serde(flatten)]
    v2: ApiV2,
    default_until: Option<u64>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ApiV4 {
    #[serde(flatten)]
    v3: ApiV3,
    sandbox_keys_on_production_endpoint: bool,
}

#[derive(Serialize, Deserialize)]
struct EventV1 {
    at: u64,
    by: String,
    action: Option<String>,
    from: Option<String>,
    to: String,
}

// === impl ApiRecord ===

impl From<&Api> for ApiRecord {
    fn from(api: &Api) -> Self {
        let v2 = ApiV2 {
            id: uuid(api.id.as_bytes()),
            name: api.name.to_string(),
            context: api.context.to_string(),
            version: api.version.to_string(),
            owner: api.owner.map(|id| uuid(id.as_bytes())),
            provider: api.provider.to_string(),
            design: DesignV2::from(&api.design),
            plans: api.plans.iter().map(ToString::to_string).collect(),
            policy: api.policy.as_ref().map(ToString::to_string),
            visible_roles: match api.visibility {
                Visibility::Public => None,
                Visibility::Restricted(roles) => {
                    Some(roles.iter().map(|role| role.as_str().to_owned()).collect())
                }
            },
            default_version: api.default_version,
            state: api.state.to_string(),
            history: api.history.iter().map(EventV1::from).collect(),
            quota_generation: api.quota_generation,
            last_revision: api.last_revision,
            created_at: api.meta.created_at.millis(),
            updated_at: api.meta.updated_at.millis(),
            etag: api.meta.etag.get(),
        };
        Self::V4(ApiV4 {
            v3: ApiV3 {
                v2,
                default_until: api.default_until.map(RevisionNumber::get),
            },
            sandbox_keys_on_production_endpoint: api.design.endpoints.sandbox_keys_on_production,
        })
    }
}

impl ApiRecord {
    pub(super) fn object(self) -> Result<Api, Unreadable> {
        let ApiV4 {
            v3: ApiV3 {
                v2: it,
                default_until,
            },
            sandbox_keys_on_production_endpoint,
        } = match self {
            Self::V1(it) => it.next().next().next(),
            Self::V2(it) => it.next().next(),
            Self::V3(it) => it.next(),
            Self::V4(it) => it,
        };
        Ok(Api {
            id: ApiId::new(it.id),
            name: part("name", ApiName::parse(&it.name))?,
            context: part("context", Context::parse(&it.context))?,
            version: part("version", Version::parse(&it.version))?,
            owner: it.owner.map(UserId::new),
            provider: part("provider", UserName::parse(&it.provider))?,
            design: it.design.design(sandbox_keys_on_production_endpoint)?,
            plans: it
                .plans
                .iter()
                .map(|name| part("plans", PlanName::parse(name)))
                .collect::<Result<_, _>>()?,
            policy: policy(it.policy)?,
            visibility: match it.visible_roles {
                None => Visibility::Public,
                Some(roles) => Visibility::Restricted(
                    roles
                        .iter()
                        .map(|role| part("visible_roles", Role::parse(role)))
                        .collect::<Result<Roles, _>>()?,
                ),
            },
            default_version: it.default_version,
            default_until: default_until.map(RevisionNumber::new),
            state: lifecycle(&it.state)?,
            history: it
                .history
                .into_iter()
                .map(EventV1::event)
                .collect::<Result<_, _>>()?,
            quota_generation: it.quota_generation,
            last_revision: it.last_revision,
            meta: meta(it.created_at, it.updated_at, it.etag),
        })
    }
}

// === impl ApiV1 ===

impl ApiV1 {
    fn next(self) -> ApiV2 {
        ApiV2 {
            id: self.id,
            name: self.name,
            context: self.context,
            version: self.version,
            owner: self.owner,
            provider: self.provider,
            design: self.design.next(),
            plans: self.plans,
            policy: None,
            visible_roles: self.visible_roles,
            default_version: self.default_version,
            state: self.state,
            history: self.history,
            quota_generation: 0,
            last_revision: self.last_revision,
            created_at: self.created_at,
            updated_at: self.updated_at,
            etag: self.etag,
        }
    }
}

// === impl ApiV2 ===

impl ApiV2 {
    const fn next(self) -> ApiV3 {
        ApiV3 {
            v2: self,
            default_until: None,
        }
    }
}

// === impl ApiV3 ===

impl ApiV3 {
    const fn next(self) -> ApiV4 {
        ApiV4 {
            v3: self,
            sandbox_keys_on_production_endpoint: false,
        }
    }
}

// === impl EventV1 ===

impl From<&LifecycleEvent> for EventV1 {
    fn from(event: &LifecycleEvent) -> Self {
        Self {
            at: event.at.millis(),
            by: event.by.clone(),
            action: event.action.map(|action| action.to_string()),
            from: event.from.map(|state| state.to_string()),
            to: event.to.to_string(),
        }
    }
}

impl EventV1 {
    fn event(self) -> Result<LifecycleEvent, Unreadable> {
        let action = |name: String| {
            Action::ALL
                .into_iter()
                .find(|action| action.as_str() == name)
                .ok_or_else(|| format!("its `action` does not read: `{name}`"))
        };
        Ok(LifecycleEvent {
            at: Timestamp::from_millis(self.at),
            by: self.by,
            action: self.action.map(action).transpose()?,
            from: self.from.as_deref().map(lifecycle).transpose()?,
            to: lifecycle(&self.to)?,
        })
    }
}

pub(super) fn uuid(bytes: &[u8; 16]) -> Uuid {
    Uuid::from_bytes(*bytes)
}

fn lifecycle(name: &str) -> Result<Lifecycle, Unreadable> {
    Lifecycle::ALL
        .into_iter()
        .find(|state| state.as_str() == name)
        .ok_or_else(|| format!("its `state` does not read: `{name}`"))
}
