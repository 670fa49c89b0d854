//! The actions of a publisher and a developer in a compose test: sign in, publish an API, subscribe, get a token.
//! Through the published port, as their tools would. Called by `compose_test`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tidegate_proto::admin::v1::{
    Allowance, Api, Application, ApplicationKey, Counts, CreateApiRequest,
    CreateApplicationKeyRequest, CreateApplicationRequest, CreatePlanRequest,
    CreateSubscriptionRequest, Limits, ListApisRequest, OnLimit, Plan, SignInRequest, Subscription,
    api_service_client::ApiServiceClient, application_service_client::ApplicationServiceClient,
    plan_service_client::PlanServiceClient, session_service_client::SessionServiceClient,
    subscription_service_client::SubscriptionServiceClient,
};

use crate::client::{self, Bearer, Channel};

/// The control plane, as the machine that runs the engine reaches it.
const URL: &str = "https://localhost:9443";

/// A client that is signed in as `admin`.
pub(super) struct Publisher {
    channel: Channel,
    ca_cert: PathBuf,
}

// === impl Publisher ===

impl Publisher {
    /// Signs in as `admin`.
    pub(super) async fn sign_in(ca_cert: &Path, password: &str) -> anyhow::Result<Self> {
        let anonymous = client::connect(URL, ca_cert, Bearer::default()).await?;
        let request = SignInRequest {
            username: "admin".to_owned(),
            password: password.to_owned(),
        };
        let session = SessionServiceClient::new(anonymous)
            .sign_in(request)
            .await
            .context("cannot sign in as `admin`")?
            .into_inner();
        Ok(Self {
            channel: client::connect(URL, ca_cert, Bearer::new(&session.token)?).await?,
            ca_cert: ca_cert.to_owned(),
        })
    }

    /// Creates a plan with a limit of client messages per minute; messages over it are dropped.
    pub(super) async fn plan_per_minute(&self, name: &str, messages: i64) -> anyhow::Result<()> {
        let limits = Limits {
            messages: Some(Allowance {
                amount: messages,
                window_seconds: 60,
            }),
            counts: Counts::Client.into(),
            on_limit: OnLimit::Drop.into(),
            ..Limits::default()
        };
        let request = CreatePlanRequest {
            plan_id: name.to_owned(),
            plan: Some(Plan {
                limits: Some(limits),
                ..Plan::default()
            }),
        };
        PlanServiceClient::new(self.channel.clone())
            .create_plan(request)
            .await?;
        Ok(())
    }

    /// Publishes the demo backend at `/<context>/1.0` under a plan.
    pub(super) async fn publish(&self, context: &str, plan: &str) -> anyhow::Result<Api> {
        let api = Api {
            api_name: format!("Compose-{context}"),
            context: format!("/{context}"),
            version: "1.0".to_owned(),
            production_endpoint: "ws://demo-backend:9001".to_owned(),
            plans: vec![format!("plans/{plan}")],
            ..Api::default()
        };
        let request = CreateApiRequest {
            api: Some(api),
            publish: true,
        };
        let created = ApiServiceClient::new(self.channel.clone())
            .create_api(request)
            .await?;
        Ok(created.into_inner())
    }

    /// How many APIs have this name.
    pub(super) async fn count(&self, api: &Api) -> anyhow::Result<usize> {
        let request = ListApisRequest {
            filter: format!("api_name = {}", api.api_name),
            ..ListApisRequest::default()
        };
        let found = ApiServiceClient::new(self.channel.clone())
            .list_apis(request)
            .await?;
        Ok(found.into_inner().apis.len())
    }

    /// Subscribes a new application under a plan and returns an access token of it.
    pub(super) async fn token(&self, api: &Api, plan: &str) -> anyhow::Result<String> {
        let mut applications = ApplicationServiceClient::new(self.channel.clone());
        let application = Application {
            display_name: api.api_name.clone(),
            ..Application::default()
        };
        let application = applications
            .create_application(CreateApplicationRequest {
                application: Some(application),
            })
            .await?
            .into_inner();
        let subscription = Subscription {
            application: application.name.clone(),
            api: api.name.clone(),
            plan: format!("plans/{plan}"),
            ..Subscription::default()
        };
        SubscriptionServiceClient::new(self.channel.clone())
            .create_subscription(CreateSubscriptionRequest {
                subscription: Some(subscription),
            })
            .await?;
        let key = applications
            .create_application_key(CreateApplicationKeyRequest {
                parent: application.name,
                application_key: Some(ApplicationKey::default()),
            })
            .await?
            .into_inner();
        client::token(URL, &self.ca_cert, &key.client_id, &key.client_secret).await
    }
}
