//! What the benchmark needs in the control plane: a subscriber under a plan of one limit, and one that is counted
//! and never refused.

use tidegate_proto::admin::v1::{
    Allowance, Api, Application, ApplicationKey, Burst, BurstPer, Counts,
    CreateApplicationKeyRequest, CreateApplicationRequest, CreatePlanRequest,
    CreateSubscriptionRequest, Limits, ListApisRequest, OnLimit, Plan, Subscription,
    UpdateApiRequest, api_service_client::ApiServiceClient,
    application_service_client::ApplicationServiceClient, plan_service_client::PlanServiceClient,
    subscription_service_client::SubscriptionServiceClient,
};

use crate::{
    bench::stack::Admin,
    client::{self, Channel},
};

/// Where the demo's API is.
pub(super) const PATH: &str = "/echowebsocket/1.0";

const DAY: i64 = 86_400;

/// More than any benchmark sends.
const PLENTY: i64 = 1 << 50;

/// The demo's API.
async fn api(channel: &Channel) -> anyhow::Result<Api> {
    let mut apis = ApiServiceClient::new(channel.clone());
    let request = ListApisRequest {
        filter: "api_name = EchoWebSocket AND version = 1.0".to_owned(),
        ..Default::default()
    };
    let found = apis.list_apis(request).await?.into_inner().apis.pop();
    found.ok_or_else(|| anyhow::anyhow!("`up` published no demo"))
}

/// A token of a new application under a plan of so many messages of the client's a day.
pub(super) async fn subscriber(
    admin: &Admin,
    channel: &Channel,
    name: &str,
    limit: u64,
) -> anyhow::Result<String> {
    let limits = Limits {
        messages: Some(Allowance {
            amount: i64::try_from(limit)?,
            window_seconds: DAY,
        }),
        counts: Counts::Client.into(),
        on_limit: OnLimit::Drop.into(),
        ..Limits::default()
    };
    under(admin, channel, &format!("bench-{name}"), limits).await
}

/// A token of a new application under a plan that counts messages, bytes and a burst, of both directions, and refuses
/// nothing of what a benchmark sends.
pub(super) async fn counted(admin: &Admin, channel: &Channel) -> anyhow::Result<String> {
    let plenty = Allowance {
        amount: PLENTY,
        window_seconds: DAY,
    };
    let limits = Limits {
        messages: Some(plenty),
        bytes: Some(plenty),
        burst: Some(Burst {
            messages: PLENTY,
            per: BurstPer::Minute.into(),
        }),
        counts: Counts::Both.into(),
        on_limit: OnLimit::Delay.into(),
        ..Limits::default()
    };
    under(admin, channel, "bench-counted", limits).await
}

/// Creates a plan with these limits, puts it into the demo's API, and subscribes a new application under it.
async fn under(
    admin: &Admin,
    channel: &Channel,
    name: &str,
    limits: Limits,
) -> anyhow::Result<String> {
    let request = CreatePlanRequest {
        plan_id: name.to_owned(),
        plan: Some(Plan {
            limits: Some(limits),
            ..Plan::default()
        }),
    };
    let plan = PlanServiceClient::new(channel.clone())
        .create_plan(request)
        .await?;
    let plan = plan.into_inner().name;

    let mut api = api(channel).await?;
    api.plans.push(plan.clone());
    let api_name = api.name.clone();
    let request = UpdateApiRequest {
        api: Some(api),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["plans".to_owned()],
        }),
    };
    ApiServiceClient::new(channel.clone())
        .update_api(request)
        .await?;

    let mut applications = ApplicationServiceClient::new(channel.clone());
    let request = CreateApplicationRequest {
        application: Some(Application {
            display_name: name.to_owned(),
            ..Application::default()
        }),
    };
    let application = applications
        .create_application(request)
        .await?
        .into_inner()
        .name;
    let request = CreateSubscriptionRequest {
        subscription: Some(Subscription {
            application: application.clone(),
            api: api_name,
            plan,
            ..Subscription::default()
        }),
    };
    SubscriptionServiceClient::new(channel.clone())
        .create_subscription(request)
        .await?;
    let request = CreateApplicationKeyRequest {
        parent: application,
        application_key: Some(ApplicationKey::default()),
    };
    let key = applications
        .create_application_key(request)
        .await?
        .into_inner();
    client::token(
        &admin.url,
        &admin.ca_cert,
        &key.client_id,
        &key.client_secret,
    )
    .await
}
