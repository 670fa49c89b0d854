//! Fills a control plane through its admin API, with many calls at a time.

use std::time::Instant;

use anyhow::{Context as _, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tidegate_proto::admin::v1::{
    Api, Application, ApplicationKey, CreateApiRequest, CreateApplicationKeyRequest,
    CreateApplicationRequest, CreateSubscriptionRequest, Subscription,
    api_service_client::ApiServiceClient, application_service_client::ApplicationServiceClient,
    subscription_service_client::SubscriptionServiceClient,
};

use crate::client::Channel;

/// Calls in flight.
const AT_ONCE: usize = 32;
/// How many APIs an application is subscribed to.
const SUBSCRIPTIONS_EACH: usize = 100;

/// Creates everything and returns the names of the subscriptions.
pub(in crate::bench) async fn seed(
    channel: &Channel,
    apis: usize,
    subscriptions: usize,
) -> anyhow::Result<Vec<String>> {
    ensure!(
        apis >= SUBSCRIPTIONS_EACH && subscriptions > 0,
        "at least {SUBSCRIPTIONS_EACH} APIs and one subscription are needed"
    );
    let applications = subscriptions.div_ceil(SUBSCRIPTIONS_EACH);
    let apis = many("APIs", apis, |n| create_api(channel, n)).await?;
    let applications = many("applications", applications, |n| {
        create_application(channel, n)
    })
    .await?;
    many("subscriptions", subscriptions, |n| {
        let application = &applications[n / SUBSCRIPTIONS_EACH];
        // Spread, so that all APIs have about the same number.
        let api = &apis
            [(n / SUBSCRIPTIONS_EACH * SUBSCRIPTIONS_EACH + n % SUBSCRIPTIONS_EACH) % apis.len()];
        subscribe(channel, application, api)
    })
    .await
}

/// Creates many resources of a kind and shows the progress.
pub(in crate::bench) async fn many<T, F: Future<Output = anyhow::Result<T>>>(
    what: &str,
    count: usize,
    make: impl Fn(usize) -> F,
) -> anyhow::Result<Vec<T>> {
    let began = Instant::now();
    let mut made = Vec::with_capacity(count);
    let mut making = stream::iter((0..count).map(make)).buffered(AT_ONCE);
    while let Some(name) = making
        .try_next()
        .await
        .with_context(|| format!("cannot create {what}"))?
    {
        made.push(name);
        if made.len() % 5000 == 0 {
            eprintln!("{} of {count} {what}", made.len());
        }
    }
    eprintln!("{count} {what} in {:.1} s", began.elapsed().as_secs_f32());
    Ok(made)
}

async fn create_api(channel: &Channel, n: usize) -> anyhow::Result<String> {
    let api = Api {
        api_name: format!("Bench{n}"),
        context: format!("/bench{n}"),
        version: "1.0".to_owned(),
        production_endpoint: format!("ws://backend-{n}:8080"),
        plans: vec!["plans/Gold".to_owned()],
        ..Default::default()
    };
    let request = CreateApiRequest {
        api: Some(api),
        publish: true,
    };
    let api = ApiServiceClient::new(channel.clone())
        .create_api(request)
        .await?;
    Ok(api.into_inner().name)
}

/// An application with a key.
async fn create_application(channel: &Channel, n: usize) -> anyhow::Result<String> {
    let application = Application {
        display_name: format!("Bench {n}"),
        ..Default::default()
    };
    let mut client = ApplicationServiceClient::new(channel.clone());
    let request = CreateApplicationRequest {
        application: Some(application),
    };
    let name = client.create_application(request).await?.into_inner().name;
    let request = CreateApplicationKeyRequest {
        parent: name.clone(),
        application_key: Some(ApplicationKey::default()),
    };
    client.create_application_key(request).await?;
    Ok(name)
}

async fn subscribe(channel: &Channel, application: &str, api: &str) -> anyhow::Result<String> {
    let subscription = Subscription {
        application: application.to_owned(),
        api: api.to_owned(),
        plan: "plans/Gold".to_owned(),
        ..Default::default()
    };
    let request = CreateSubscriptionRequest {
        subscription: Some(subscription),
    };
    let subscription = SubscriptionServiceClient::new(channel.clone())
        .create_subscription(request)
        .await?;
    Ok(subscription.into_inner().name)
}
