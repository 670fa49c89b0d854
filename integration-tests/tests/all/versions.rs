//! The paths of an API's versions: each belongs to that version for as long as the version exists, whatever the default
//! version would serve there.

use tidegate_integration_tests::{
    admin::{Admin, Subscriber},
    backend::Backend,
    client::Upgrade,
    stack::Stack,
    wait,
};
use tidegate_proto::admin::v1::{
    Api, ChangeLifecycleRequest, CreateApiRequest, CreateApiVersionRequest, CreateRevisionRequest,
    CreateSubscriptionRequest, DeleteApiRequest, DeployRevisionRequest, LifecycleAction,
    Subscription, Topic,
};

use crate::setup::until_open;

/// Publishes version 1.0 of `/room` as the default one, with a topic for everything.
async fn publish_default(admin: &Admin, endpoint: &str) -> Api {
    let topic = Topic {
        template: "/*".to_owned(),
        ..Topic::default()
    };
    let api = Api {
        api_name: "Room".to_owned(),
        context: "/room".to_owned(),
        version: "1.0".to_owned(),
        default_version: true,
        production_endpoint: endpoint.to_owned(),
        topics: vec![topic],
        plans: vec!["plans/Gold".to_owned()],
        ..Api::default()
    };
    let request = CreateApiRequest {
        api: Some(api),
        publish: true,
    };
    let created = admin.apis().create_api(request).await;
    created.unwrap().into_inner()
}

async fn new_version(admin: &Admin, of: &Api, version: &str) -> Api {
    let request = CreateApiVersionRequest {
        name: of.name.clone(),
        version: version.to_owned(),
        default_version: false,
    };
    let created = admin.apis().create_api_version(request).await;
    created.unwrap().into_inner()
}

async fn deploy(admin: &Admin, api: &Api) {
    let request = CreateRevisionRequest {
        parent: api.name.clone(),
        revision: None,
    };
    let revision = admin.apis().create_revision(request).await.unwrap();
    let request = DeployRevisionRequest {
        name: revision.into_inner().name,
        environments: vec!["environments/default".to_owned()],
    };
    admin.apis().deploy_revision(request).await.unwrap();
}

async fn step(admin: &Admin, api: &Api, action: LifecycleAction) {
    let request = ChangeLifecycleRequest {
        name: api.name.clone(),
        action: action.into(),
        ..ChangeLifecycleRequest::default()
    };
    admin.apis().change_lifecycle(request).await.unwrap();
}

async fn subscribe_too(admin: &Admin, subscriber: &Subscriber, api: &Api) {
    let subscription = Subscription {
        application: subscriber.application.clone(),
        api: api.name.clone(),
        plan: "plans/Gold".to_owned(),
        ..Subscription::default()
    };
    let request = CreateSubscriptionRequest {
        subscription: Some(subscription),
    };
    let created = admin.subscriptions().create_subscription(request).await;
    created.unwrap();
}

/// Waits until handshakes at a path are refused with a status.
async fn until_refused(stack: &Stack, path: &str, token: &str, status: u16) {
    let upgrade = Upgrade::to(path).bearer(token);
    let what = format!("{path} is refused with {status}");
    wait::until(&what, async || {
        let answer = upgrade.send(stack.gateway().ready.ws).await;
        answer.err().filter(|it| it.head.status() == status)
    })
    .await;
}

#[tokio::test]
async fn clients_of_a_version_that_was_withdrawn_are_refused_and_never_get_the_default_one() {
    let stack = Stack::builder().start().await;
    let admin = stack.admin().await;
    let backend = Backend::echo().await;
    let first = publish_default(&admin, &backend.url()).await;
    let subscriber = admin.subscribe(&first, "Gold").await;
    let token = admin.token(&subscriber).await;
    let second = new_version(&admin, &first, "2.0").await;
    deploy(&admin, &second).await;
    step(&admin, &second, LifecycleAction::Publish).await;
    subscribe_too(&admin, &subscriber, &second).await;
    until_open(stack.gateway(), "/room/2.0/7", &token).await;
    until_open(stack.gateway(), "/room/7", &token).await;

    step(&admin, &second, LifecycleAction::Block).await;
    until_refused(&stack, "/room/2.0/7", &token, 503).await;
    step(&admin, &second, LifecycleAction::Deprecate).await;
    until_open(stack.gateway(), "/room/2.0/7", &token).await;
    step(&admin, &second, LifecycleAction::Retire).await;
    until_refused(&stack, "/room/2.0/7", &token, 404).await;
    until_open(stack.gateway(), "/room/7", &token).await;
}

#[tokio::test]
async fn a_draft_reserves_its_path_ends_no_session_there_and_frees_it_when_it_is_deleted() {
    let stack = Stack::builder().start().await;
    let admin = stack.admin().await;
    let backend = Backend::echo().await;
    let first = publish_default(&admin, &backend.url()).await;
    let subscriber = admin.subscribe(&first, "Gold").await;
    let token = admin.token(&subscriber).await;
    until_open(stack.gateway(), "/room/3.0/7", &token).await;
    let upgrade = Upgrade::to("/room/3.0/7").bearer(&token);
    let mut before = upgrade.open(stack.gateway().ready.ws).await;

    let draft = new_version(&admin, &first, "3.0").await;
    until_refused(&stack, "/room/3.0/7", &token, 404).await;
    until_open(stack.gateway(), "/room/7", &token).await;
    before.echo("still here").await;

    let request = DeleteApiRequest {
        name: draft.name,
        ..DeleteApiRequest::default()
    };
    admin.apis().delete_api(request).await.unwrap();
    until_open(stack.gateway(), "/room/3.0/7", &token).await;
}
