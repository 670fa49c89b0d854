//! Creates the demo through the admin API: the tutorial's API, an application under Gold and one under Unlimited.
//! Idempotent: a second `up` finds what exists and changes only what has to change.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use serde::{Deserialize, Serialize};
use tidegate_proto::admin::v1::{
    Api, Application, ApplicationKey, CreateApiRequest, CreateApplicationKeyRequest,
    CreateApplicationRequest, CreateRevisionRequest, CreateSubscriptionRequest,
    DeleteRevisionRequest, DeployRevisionRequest, ListApisRequest, ListApplicationKeysRequest,
    ListApplicationsRequest, ListRevisionsRequest, ListSubscriptionsRequest, Subscription,
    UpdateApiRequest, api_service_client::ApiServiceClient,
    application_service_client::ApplicationServiceClient,
    subscription_service_client::SubscriptionServiceClient,
};
use tokio::time::{interval, timeout};
use tokio_tungstenite::tungstenite::{
    Error, Message,
    client::IntoClientRequest as _,
    http::{StatusCode, header::AUTHORIZATION},
};

use super::{Site, secrets::Secrets};
use crate::client::{self, Channel};

/// What is needed to try the demo.
#[derive(Debug)]
pub(crate) struct Demo {
    /// A token of the application under Gold.
    pub(crate) gold_token: String,
    /// A token of the application under Unlimited.
    pub(crate) unlimited_token: String,
}

/// What the next run has to know, because secrets are shown only once.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct SavedKeys {
    gold: Key,
    unlimited: Key,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Key {
    client_id: String,
    client_secret: String,
}

const NAME: &str = "EchoWebSocket";
const CONTEXT: &str = "/echowebsocket";
const VERSION: &str = "1.0";

/// The path of the demo's API at a gateway.
pub(crate) const PATH: &str = "/echowebsocket/1.0";

/// The file for the next run.
pub(crate) const FILE: &str = "demo.json";

const ENVIRONMENT: &str = "environments/default";

/// The plans of the demo's API.
const PLANS: [&str; 3] = ["plans/Unlimited", "plans/Gold", "plans/Silver"];

/// How many revisions an API may have.
const REVISIONS_MAX: usize = 5;

/// The gateway's own responses before it has the demo's configuration.
const MAY_BE_ITS_OWN: [StatusCode; 4] = [
    StatusCode::UNAUTHORIZED,
    StatusCode::FORBIDDEN,
    StatusCode::NOT_FOUND,
    StatusCode::SERVICE_UNAVAILABLE,
];

/// How long the data planes may take to serve a new deployment.
const SERVED: Duration = Duration::from_secs(20);

/// Creates the demo or finds it, and waits until every gateway serves it.
pub(crate) async fn demo(
    site: &Site,
    secrets: &Secrets,
    channel: &Channel,
) -> anyhow::Result<Demo> {
    eprintln!("seeding the demo");
    let api = publish(channel, &site.backend).await?;
    let mut saved: SavedKeys = secrets.read(FILE).unwrap_or_default();
    for (plan, key) in [
        ("Gold", &mut saved.gold),
        ("Unlimited", &mut saved.unlimited),
    ] {
        *key = subscribe(channel, &api, plan, key).await?;
    }
    secrets.write(FILE, &saved)?;

    let (url, ca_cert) = (&site.control_plane, &site.ca_cert);
    let token =
        async |key: &Key| client::token(url, ca_cert, &key.client_id, &key.client_secret).await;
    let gold_token = token(&saved.gold).await?;
    let unlimited_token = token(&saved.unlimited).await?;
    for gateway in &site.gateways {
        served(&format!("{gateway}{PATH}"), &gold_token, site.echoes).await?;
    }
    Ok(Demo {
        gold_token,
        unlimited_token,
    })
}

/// The demo's API, published and deployed with the backend that runs now.
async fn publish(channel: &Channel, backend: &str) -> anyhow::Result<Api> {
    let mut apis = ApiServiceClient::new(channel.clone());
    let found = apis
        .list_apis(ListApisRequest {
            filter: format!("api_name = {NAME} AND version = {VERSION}"),
            ..Default::default()
        })
        .await?;
    let Some(mut api) = found.into_inner().apis.pop() else {
        let api = Api {
            api_name: NAME.to_owned(),
            context: CONTEXT.to_owned(),
            version: VERSION.to_owned(),
            description: "Sends back what it gets.".to_owned(),
            production_endpoint: backend.to_owned(),
            plans: PLANS.map(str::to_owned).into(),
            ..Default::default()
        };
        let request = CreateApiRequest {
            api: Some(api),
            publish: true,
        };
        return Ok(apis.create_api(request).await?.into_inner());
    };
    // The tutorial creates the same API, with fewer plans.
    let lacking = PLANS
        .iter()
        .filter(|plan| !api.plans.iter().any(|has| has == *plan));
    let lacking: Vec<_> = lacking.map(|plan| (*plan).to_owned()).collect();
    if !lacking.is_empty() {
        api.plans.extend(lacking);
        api = update(&mut apis, api, "plans").await?;
    }
    if api.production_endpoint != backend {
        backend.clone_into(&mut api.production_endpoint);
        api = redeploy(&mut apis, api).await?;
    }
    Ok(api)
}

/// Changes one field of the working copy.
async fn update(
    apis: &mut ApiServiceClient<Channel>,
    api: Api,
    field: &str,
) -> anyhow::Result<Api> {
    let request = UpdateApiRequest {
        api: Some(api),
        update_mask: Some(prost_types::FieldMask {
            paths: vec![field.to_owned()],
        }),
    };
    Ok(apis.update_api(request).await?.into_inner())
}

/// Deploys a changed working copy to the gateways.
async fn redeploy(apis: &mut ApiServiceClient<Channel>, api: Api) -> anyhow::Result<Api> {
    let api = update(apis, api, "production_endpoint").await?;
    let parent = api.name.clone();
    let request = ListRevisionsRequest {
        parent: parent.clone(),
        ..Default::default()
    };
    let revisions = apis.list_revisions(request).await?.into_inner().revisions;
    if revisions.len() >= REVISIONS_MAX
        && let Some(oldest) = revisions
            .into_iter()
            .rfind(|revision| revision.environments.is_empty())
    {
        let name = oldest.name;
        apis.delete_revision(DeleteRevisionRequest { name }).await?;
    }
    let request = CreateRevisionRequest {
        parent,
        revision: None,
    };
    let revision = apis.create_revision(request).await?.into_inner();
    apis.deploy_revision(DeployRevisionRequest {
        name: revision.name,
        environments: vec![ENVIRONMENT.to_owned()],
    })
    .await?;
    Ok(api)
}

/// Finds or creates an application that is subscribed to the API under the plan, and a key of it whose secret is known.
async fn subscribe(channel: &Channel, api: &Api, plan: &str, saved: &Key) -> anyhow::Result<Key> {
    let mut applications = ApplicationServiceClient::new(channel.clone());
    let display_name = format!("Demo {plan}");
    let request = ListApplicationsRequest {
        filter: format!("display_name = \"{display_name}\""),
        ..Default::default()
    };
    let found = applications.list_applications(request).await?.into_inner();
    let application = match found.applications.into_iter().next() {
        Some(application) => application,
        None => {
            let application = Application {
                display_name,
                ..Default::default()
            };
            let request = CreateApplicationRequest {
                application: Some(application),
            };
            applications.create_application(request).await?.into_inner()
        }
    };

    let mut subscriptions = SubscriptionServiceClient::new(channel.clone());
    let request = ListSubscriptionsRequest {
        filter: format!(
            "application = \"{}\" AND api = \"{}\"",
            application.name, api.name
        ),
        ..Default::default()
    };
    let found = subscriptions
        .list_subscriptions(request)
        .await?
        .into_inner();
    if found.subscriptions.is_empty() {
        let subscription = Subscription {
            application: application.name.clone(),
            api: api.name.clone(),
            plan: format!("plans/{plan}"),
            ..Default::default()
        };
        let request = CreateSubscriptionRequest {
            subscription: Some(subscription),
        };
        subscriptions.create_subscription(request).await?;
    }

    let request = ListApplicationKeysRequest {
        parent: application.name.clone(),
        ..Default::default()
    };
    let keys = applications
        .list_application_keys(request)
        .await?
        .into_inner()
        .application_keys;
    if keys.iter().any(|key| key.client_id == saved.client_id) {
        return Ok(saved.clone());
    }
    let request = CreateApplicationKeyRequest {
        parent: application.name,
        application_key: Some(ApplicationKey::default()),
    };
    let key = applications
        .create_application_key(request)
        .await?
        .into_inner();
    Ok(Key {
        client_id: key.client_id,
        client_secret: key.client_secret,
    })
}

/// Waits until a gateway serves the demo.
async fn served(url: &str, token: &str, echoes: bool) -> anyhow::Result<()> {
    let mut last = anyhow::anyhow!("it was not tried");
    let tried = async {
        let mut ticks = interval(Duration::from_millis(50));
        loop {
            ticks.tick().await;
            match echo(url, token, echoes).await {
                Ok(()) => return,
                Err(error) => last = error,
            }
        }
    };
    if timeout(SERVED, tried).await.is_ok() {
        return Ok(());
    }
    Err(last.context(format!(
        "{url} did not serve the demo in {} s",
        SERVED.as_secs()
    )))
}

/// Waits for an echo. With another backend, checks that the gateway has connected to it.
async fn echo(url: &str, token: &str, echoes: bool) -> anyhow::Result<()> {
    let mut request = url.into_client_request()?;
    let bearer = format!("Bearer {token}").parse()?;
    request.headers_mut().insert(AUTHORIZATION, bearer);
    let mut socket = match tokio_tungstenite::connect_async(request).await {
        Ok((socket, _)) => socket,
        // The gateway's own refusals of an unknown API or token have other statuses.
        Err(Error::Http(answer)) if !echoes && !MAY_BE_ITS_OWN.contains(&answer.status()) => {
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    if echoes {
        socket.send(Message::text("hello")).await?;
        let answer = socket.next().await.context("closed before it echoed")??;
        ensure!(
            answer == Message::text("hello"),
            "echoed something else: {answer}"
        );
    }
    socket.close(None).await?;
    if echoes {
        while socket.next().await.is_some() {}
    }
    Ok(())
}
