//! Resources of the configuration stream for tests with a fake control plane: one API in front of a backend, one
//! application subscribed to it, one key manager.

use tidegate_proto::{
    discovery::v1::{
        Api, ApiPolicy, ApiState, Application, ApplicationKey, ApplicationPolicy, KeyManager,
        KeyType, Per, Plan, Resource, Subscription, SubscriptionState, Topic, resource::Body,
    },
    quota::Limits,
};

use crate::issuer::Issuer;

/// The client id of the application in [`echo`].
pub const CLIENT: &str = "client-1";

/// The path of the API in [`echo`].
pub const PATH: &str = "/echo/1.0";

/// The id of the API in [`echo`].
pub const API: &str = "00000000-0000-4000-8000-000000000001";

const APPLICATION: &str = "00000000-0000-4000-8000-0000000000a1";
const SUBSCRIPTION: &str = "00000000-0000-4000-8000-0000000000b1";

/// All resources that a client with a token of the issuer for [`CLIENT`] needs to reach the backend at `/echo/1.0`.
#[must_use]
pub fn echo(issuer: &Issuer, endpoint: &str) -> Vec<Resource> {
    vec![
        plan("Unlimited"),
        key_manager(issuer),
        api(API, "/echo", endpoint),
        application(APPLICATION),
        application_key(CLIENT, APPLICATION),
        subscription(SUBSCRIPTION, APPLICATION, API, SubscriptionState::Active),
    ]
}

/// [`echo`], with its subscription in another state.
#[must_use]
pub fn echo_subscribed(issuer: &Issuer, endpoint: &str, state: SubscriptionState) -> Vec<Resource> {
    let mut resources = echo(issuer, endpoint);
    resources.pop();
    resources.push(subscription(SUBSCRIPTION, APPLICATION, API, state));
    resources
}

/// An open API in version 1.0 with one topic for everything.
#[must_use]
pub fn api(id: &str, context: &str, endpoint: &str) -> Resource {
    let api = Api {
        id: id.to_owned(),
        name: format!("Api {context}"),
        context: context.to_owned(),
        version: "1.0".to_owned(),
        revision: "00000000-0000-4000-8000-0000000000c1".to_owned(),
        state: ApiState::Open.into(),
        production_endpoint: endpoint.to_owned(),
        topics: vec![Topic {
            template: "/*".to_owned(),
            ..Topic::default()
        }],
        ..Api::default()
    };
    Resource::new(format!("apis/{id}"), Body::Api(api))
}

/// A plan without a limit.
#[must_use]
pub fn plan(name: &str) -> Resource {
    let plan = Plan {
        name: name.to_owned(),
        limits: Some((&Limits::default()).into()),
    };
    Resource::new(format!("plans/{name}"), Body::Plan(plan))
}

/// An API policy that counts all callers together.
#[must_use]
pub fn api_policy(name: &str, limits: &Limits) -> Resource {
    let policy = ApiPolicy {
        name: name.to_owned(),
        per: Per::Api.into(),
        limits: Some(limits.into()),
        ..ApiPolicy::default()
    };
    Resource::new(format!("apiPolicies/{name}"), Body::ApiPolicy(policy))
}

/// An application policy that counts all tokens of an application together.
#[must_use]
pub fn application_policy(name: &str, limits: &Limits) -> Resource {
    let policy = ApplicationPolicy {
        name: name.to_owned(),
        per_token: false,
        limits: Some(limits.into()),
    };
    let name = format!("applicationPolicies/{name}");
    Resource::new(name, Body::ApplicationPolicy(policy))
}

/// An application.
#[must_use]
pub fn application(id: &str) -> Resource {
    let application = Application {
        id: id.to_owned(),
        name: format!("Application {id}"),
        owner: "somebody".to_owned(),
        ..Application::default()
    };
    Resource::new(format!("applications/{id}"), Body::Application(application))
}

/// A production key of an application.
#[must_use]
pub fn application_key(client_id: &str, application: &str) -> Resource {
    let key = ApplicationKey {
        client_id: client_id.to_owned(),
        application: application.to_owned(),
        key_type: KeyType::Production.into(),
        key_manager: "resident".to_owned(),
    };
    Resource::new(
        format!("applicationKeys/{client_id}"),
        Body::ApplicationKey(key),
    )
}

/// A subscription under Unlimited.
#[must_use]
pub fn subscription(id: &str, application: &str, api: &str, state: SubscriptionState) -> Resource {
    let subscription = Subscription {
        id: id.to_owned(),
        application: application.to_owned(),
        api: api.to_owned(),
        plan: "Unlimited".to_owned(),
        state: state.into(),
        ..Subscription::default()
    };
    Resource::new(
        format!("subscriptions/{id}"),
        Body::Subscription(subscription),
    )
}

/// The key manager `resident`.
#[must_use]
pub fn key_manager(issuer: &Issuer) -> Resource {
    let manager = KeyManager {
        name: "resident".to_owned(),
        issuer: issuer.issuer.clone(),
        audiences: vec![issuer.audience.clone()],
        jwks: vec![issuer.jwk()],
    };
    Resource::new("keyManagers/resident".to_owned(), Body::KeyManager(manager))
}
