//! What a key of an application gives access to: only the endpoints of its type, and the scopes that are allowed on it.

use prost_types::FieldMask;
use serde_json::Value;
use tidegate_integration_tests::{
    admin::{Admin, Subscriber},
    backend::Backend,
    client::Upgrade,
    stack::Stack,
    wait,
};
use tidegate_proto::admin::v1::{
    Api, ApplicationKey, BlockSubscriptionRequest, CreateApplicationKeyRequest,
    CreateRevisionRequest, DeployRevisionRequest, KeyType, UnblockSubscriptionRequest,
    UpdateApiRequest,
};
use xtask::client::post_form;

/// A second key of a subscriber's application, for sandbox endpoints.
async fn sandbox(admin: &Admin, of: &Subscriber) -> Subscriber {
    let request = CreateApplicationKeyRequest {
        parent: of.application.clone(),
        application_key: Some(ApplicationKey {
            key_type: KeyType::Sandbox.into(),
            ..ApplicationKey::default()
        }),
    };
    let made = admin.applications().create_application_key(request).await;
    let key = made.unwrap().into_inner();
    Subscriber {
        client_id: key.client_id,
        client_secret: key.client_secret,
        ..of.clone()
    }
}

/// Says whether sandbox keys may use the production endpoint of an API, and deploys that.
async fn allow_on_production(admin: &Admin, api: &Api, allowed: bool) {
    let request = UpdateApiRequest {
        api: Some(Api {
            name: api.name.clone(),
            sandbox_keys_on_production_endpoint: allowed,
            ..Api::default()
        }),
        update_mask: Some(FieldMask {
            paths: vec!["sandbox_keys_on_production_endpoint".to_owned()],
        }),
    };
    let mut apis = admin.apis();
    apis.update_api(request).await.unwrap();
    let request = CreateRevisionRequest {
        parent: api.name.clone(),
        ..CreateRevisionRequest::default()
    };
    let revision = apis.create_revision(request).await.unwrap().into_inner();
    let request = DeployRevisionRequest {
        name: revision.name,
        environments: vec!["environments/default".to_owned()],
    };
    apis.deploy_revision(request).await.unwrap();
}

/// What a handshake comes to when the gateway has heard of the key: `open`, or why it was refused.
async fn outcome(stack: &Stack, upgrade: &Upgrade) -> String {
    let known = wait::until("the gateway knows the key", async || {
        let outcome = match upgrade.send(stack.gateway().ready.ws).await {
            Ok(client) => {
                client.close().await;
                "open".to_owned()
            }
            Err(refusal) => refusal.reason(),
        };
        let pending = [
            "application_unknown",
            "subscription_missing",
            "api_not_found",
        ];
        (!pending.contains(&outcome.as_str())).then_some(outcome)
    });
    known.await
}

async fn until(stack: &Stack, upgrade: &Upgrade, expected: &str) {
    let what = format!("the outcome of a handshake is {expected}");
    let condition = async || (outcome(stack, upgrade).await == expected).then_some(());
    wait::until(&what, condition).await;
}

#[tokio::test]
async fn a_sandbox_key_reaches_the_production_endpoint_only_where_the_api_says_so() {
    let stack = Stack::builder().start().await;
    let admin = stack.admin().await;
    let production = Backend::echo().await;
    let api = admin.publish("live", &production.url()).await;
    let subscriber = admin.subscribe(&api, "Gold").await;
    let key = sandbox(&admin, &subscriber).await;
    let to = |token: &str| Upgrade::to("/live/1.0").bearer(token);
    let by_production = to(&admin.token(&subscriber).await);
    let by_sandbox = to(&admin.token(&key).await);
    assert_eq!(outcome(&stack, &by_production).await, "open");
    assert_eq!(outcome(&stack, &by_sandbox).await, "endpoint_missing");

    allow_on_production(&admin, &api, true).await;
    until(&stack, &by_sandbox, "open").await;
    let address = stack.gateway().ready.ws;
    let mut session = by_sandbox.open(address).await;
    session.echo("over the production endpoint").await;
    let block = BlockSubscriptionRequest {
        name: subscriber.subscription.clone(),
        production_only: true,
        ..BlockSubscriptionRequest::default()
    };
    admin
        .subscriptions()
        .block_subscription(block)
        .await
        .unwrap();
    assert_eq!(session.until_close().await, Some(4002));
    assert_eq!(outcome(&stack, &by_sandbox).await, "subscription_blocked");
    let unblock = UnblockSubscriptionRequest {
        name: subscriber.subscription.clone(),
        ..UnblockSubscriptionRequest::default()
    };
    let mut subscriptions = admin.subscriptions();
    subscriptions.unblock_subscription(unblock).await.unwrap();

    until(&stack, &by_sandbox, "open").await;
    let mut session = by_sandbox.open(address).await;
    let mut other = by_production.open(address).await;
    allow_on_production(&admin, &api, false).await;
    assert_eq!(session.until_close().await, Some(4002));
    assert_eq!(outcome(&stack, &by_sandbox).await, "endpoint_missing");
    other.echo("as before").await;
    other.close().await;
}

/// What the token endpoint answers to a request for scopes.
async fn ask(admin: &Admin, by: &Subscriber, scope: &str) -> Value {
    let basic = Some((&*by.client_id, &*by.client_secret));
    let form = format!("grant_type=client_credentials&scope={scope}");
    let answer = post_form(&admin.url, &admin.ca_cert, "/oauth2/token", basic, &form).await;
    serde_json::from_str(&answer.unwrap().body).unwrap()
}

#[tokio::test]
async fn a_scope_is_granted_to_no_key_that_is_not_allowed_it() {
    let stack = Stack::builder().start().await;
    let admin = stack.admin().await;
    let api = admin.publish("scoped", "ws://127.0.0.1:9").await;
    let subscriber = admin.subscribe(&api, "Gold").await;
    let refused = ask(&admin, &subscriber, "metered").await;
    assert_eq!(refused["error"], "invalid_scope", "{refused}");
    admin.allow(&subscriber, &["metered", "fast"]).await;
    let granted = ask(&admin, &subscriber, "metered+admin").await;
    assert_eq!(granted["scope"], "metered", "{granted}");
    let other = sandbox(&admin, &subscriber).await;
    let refused = ask(&admin, &other, "metered").await;
    assert_eq!(refused["error"], "invalid_scope", "each key has its own");
}
