//! How each object looks on the wire. Secrets, people and everything else that a node has no use for stay behind.

use tidegate_proto::{
    claims::KeyType,
    discovery::v1::{self, resource::Body},
    ids::ApiId,
};

mod policy;

use super::{
    is_default,
    key::{RESIDENT, ResourceKey},
    runs,
};
use crate::domain::{
    api::Api,
    endpoint::EndpointUrl,
    lifecycle::Lifecycle,
    name::{EnvironmentName, PolicyName},
    plan::Plan,
    state::State,
    subscription::SubscriptionState,
};

/// The object behind a key; `None` for what nodes of the environment should not hold.
pub(super) fn body(
    state: &State,
    environment: &EnvironmentName,
    key: &ResourceKey,
) -> Option<Body> {
    Some(match key {
        ResourceKey::KeyManager => Body::KeyManager(key_manager(state)?),
        ResourceKey::Plan(name) => Body::Plan(plan(state.plans().get(name)?)),
        ResourceKey::ApplicationPolicy(name) => {
            Body::ApplicationPolicy(policy::application(state.application_policies().get(name)?))
        }
        ResourceKey::ApiPolicy(name) => {
            Body::ApiPolicy(policy::api(state.api_policies().get(name)?))
        }
        ResourceKey::DenyPolicy(id) => {
            Body::DenyPolicy(policy::deny(state.deny_policies().get(id)?)?)
        }
        ResourceKey::Reservation(id) => Body::Reservation(reservation(state.apis().get(id)?)),
        ResourceKey::Api(id) => Body::Api(api(state, environment, *id)?),
        ResourceKey::Application(id) => {
            let application = state.applications().get(id)?;
            Body::Application(v1::Application {
                id: application.id.to_string(),
                name: application.name.to_string(),
                owner: application.owner_name.to_string(),
                policy: name(application.policy.as_ref()),
                quota_generation: application.quota_generation,
            })
        }
        ResourceKey::ApplicationKey(id) => {
            let key = state.keys().get(id)?;
            let key_type = match key.key_type {
                KeyType::Production => v1::KeyType::Production,
                KeyType::Sandbox => v1::KeyType::Sandbox,
            };
            Body::ApplicationKey(v1::ApplicationKey {
                client_id: key.client_id.to_string(),
                application: key.application.to_string(),
                key_type: key_type.into(),
                key_manager: RESIDENT.to_owned(),
            })
        }
        ResourceKey::Subscription(id) => {
            let subscription = state.subscriptions().get(id)?;
            if !runs(state, environment, subscription.api) {
                return None;
            }
            let state = match subscription.state {
                SubscriptionState::Active => v1::SubscriptionState::Active,
                SubscriptionState::Blocked => v1::SubscriptionState::Blocked,
                SubscriptionState::ProductionBlocked => v1::SubscriptionState::ProductionBlocked,
            };
            Body::Subscription(v1::Subscription {
                id: subscription.id.to_string(),
                application: subscription.application.to_string(),
                api: subscription.api.to_string(),
                plan: subscription.plan.to_string(),
                state: state.into(),
                quota_generation: subscription.quota_generation,
            })
        }
    })
}

fn api(state: &State, environment: &EnvironmentName, id: ApiId) -> Option<v1::Api> {
    if !runs(state, environment, id) {
        return None;
    }
    let api = state.apis().get(&id)?;
    let deployment = state.deployment(id, environment)?;
    let revision = state.revisions().get(&deployment.revision)?;
    let blocked = api.state == Lifecycle::Blocked;
    let endpoints = &revision.design.endpoints;
    let url = |url: Option<&EndpointUrl>| url.map_or_else(String::new, ToString::to_string);
    Some(v1::Api {
        id: api.id.to_string(),
        name: api.name.to_string(),
        context: api.context.to_string(),
        version: api.version.to_string(),
        default_version: is_default(state, environment, api),
        revision: revision.id.to_string(),
        state: if blocked {
            v1::ApiState::Blocked.into()
        } else {
            v1::ApiState::Open.into()
        },
        production_endpoint: url(endpoints.production.as_ref()),
        sandbox_endpoint: url(endpoints.distinct_sandbox()),
        sandbox_keys_on_production_endpoint: endpoints.sandbox_keys_on_production,
        topics: revision
            .design
            .topics
            .iter()
            .map(|topic| v1::Topic {
                template: topic.template.to_string(),
                mapping: topic
                    .mapping
                    .as_ref()
                    .map_or_else(String::new, ToString::to_string),
                policy: name(topic.policy.as_ref()),
            })
            .collect(),
        policy: name(api.policy.as_ref()),
        notice_subprotocols: revision.design.notice_subprotocols.clone(),
        quota_generation: api.quota_generation,
    })
}

/// Every API has one: the path of a version that is not deployed, or not any more, is still its own.
fn reservation(api: &Api) -> v1::Reservation {
    v1::Reservation {
        api: api.id.to_string(),
        context: api.context.to_string(),
        version: api.version.to_string(),
        default_version: api.default_version,
        blocked: api.state == Lifecycle::Blocked,
        // Its creation is the first step of the history.
        draft: api.state == Lifecycle::Created && api.history.len() == 1,
    }
}

/// The name of a policy; empty for none.
fn name(policy: Option<&PolicyName>) -> String {
    policy.map_or_else(String::new, ToString::to_string)
}

fn plan(plan: &Plan) -> v1::Plan {
    v1::Plan {
        name: plan.name.to_string(),
        limits: Some((&plan.limits).into()),
    }
}

/// Every key is sent: those that sign, those that signed, and those that will, so that no token comes before its key.
fn key_manager(state: &State) -> Option<v1::KeyManager> {
    let settings = state.settings();
    if settings.issuer.is_empty() {
        return None;
    }
    Some(v1::KeyManager {
        name: RESIDENT.to_owned(),
        issuer: settings.issuer.clone(),
        audiences: settings.audiences.clone(),
        jwks: state
            .signing_keys()
            .values()
            .map(|key| key.public_jwk.clone())
            .collect(),
    })
}
