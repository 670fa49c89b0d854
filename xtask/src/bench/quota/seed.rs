//! The resources that the benchmark needs: a subscription under a plan with one limit, and one that all levels count
//! and none refuses.

use tidegate_proto::admin::v1::{
    Allowance, Api, ApiPolicy, Application, ApplicationKey, ApplicationPolicy, Burst, BurstPer,
    Counts, CreateApiPolicyRequest, CreateApiRequest, CreateApplicationKeyRequest,
    CreateApplicationPolicyRequest, CreateApplicationRequest, CreatePlanRequest,
    CreateSubscriptionRequest, Limits, ListApisRequest, OnLimit, Per, Plan, Subscription, Topic,
    UpdateApiRequest, api_policy_service_client::ApiPolicyServiceClient,
    api_service_client::ApiServiceClient,
    application_policy_service_client::ApplicationPolicyServiceClient,
    application_service_client::ApplicationServiceClient, plan_service_client::PlanServiceClient,
    subscription_service_client::SubscriptionServiceClient,
};

use crate::{
    bench::stack::Admin,
    client::{self, Channel},
};

/// The path of the demo's API.
pub(super) const PATH: &str = "/echowebsocket/1.0";

/// The path of the API that all levels count.
pub(super) const COUNTED_PATH: &str = "/counted/1.0";

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

/// A token of a new application under a plan with so many client messages a day.
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

/// A token for a second API in front of the demo's backend, which all levels count and none refuses: the API's policy
/// and the topic's, the plan (messages, bytes and a burst, of both directions) and the application's policy.
pub(super) async fn counted(admin: &Admin, channel: &Channel) -> anyhow::Result<String> {
    let plenty = Allowance {
        amount: PLENTY,
        window_seconds: DAY,
    };
    let messages = Limits {
        messages: Some(plenty),
        counts: Counts::Both.into(),
        on_limit: OnLimit::Delay.into(),
        ..Limits::default()
    };
    let limits = Limits {
        bytes: Some(plenty),
        burst: Some(Burst {
            messages: PLENTY,
            per: BurstPer::Minute.into(),
        }),
        ..messages
    };
    let plan = plan(channel, "bench-counted", limits).await?;
    let mut policies = Vec::new();
    for name in ["bench-api", "bench-topic"] {
        let request = CreateApiPolicyRequest {
            api_policy_id: name.to_owned(),
            api_policy: Some(ApiPolicy {
                per: Per::Api.into(),
                limits: Some(messages),
                ..ApiPolicy::default()
            }),
        };
        let mut client = ApiPolicyServiceClient::new(channel.clone());
        let policy = client.create_api_policy(request).await?;
        policies.push(policy.into_inner().name);
    }
    let request = CreateApplicationPolicyRequest {
        application_policy_id: "bench-application".to_owned(),
        application_policy: Some(ApplicationPolicy {
            limits: Some(messages),
            ..ApplicationPolicy::default()
        }),
    };
    let mut client = ApplicationPolicyServiceClient::new(channel.clone());
    let application = client.create_application_policy(request).await?;
    let application = application.into_inner().name;

    let demo = api(channel).await?;
    let request = CreateApiRequest {
        api: Some(Api {
            api_name: "Counted".to_owned(),
            context: "/counted".to_owned(),
            version: demo.version,
            production_endpoint: demo.production_endpoint,
            plans: vec![plan.clone()],
            policy: policies[0].clone(),
            topics: vec![Topic {
                template: "/*".to_owned(),
                policy: policies[1].clone(),
                ..Topic::default()
            }],
            ..Api::default()
        }),
        publish: true,
    };
    let mut apis = ApiServiceClient::new(channel.clone());
    let api = apis.create_api(request).await?.into_inner().name;
    subscribe(admin, channel, "bench-counted", (api, plan), application).await
}

/// Creates a plan with these limits, puts it into the demo's API, and subscribes a new application under it.
async fn under(
    admin: &Admin,
    channel: &Channel,
    name: &str,
    limits: Limits,
) -> anyhow::Result<String> {
    let plan = plan(channel, name, limits).await?;
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
    subscribe(admin, channel, name, (api_name, plan), String::new()).await
}

/// Creates a plan and returns its name.
async fn plan(channel: &Channel, id: &str, limits: Limits) -> anyhow::Result<String> {
    let request = CreatePlanRequest {
        plan_id: id.to_owned(),
        plan: Some(Plan {
            limits: Some(limits),
            ..Plan::default()
        }),
    };
    let mut plans = PlanServiceClient::new(channel.clone());
    Ok(plans.create_plan(request).await?.into_inner().name)
}

/// Subscribes a new application with a policy (none if empty) to an API under a plan, and gets a token for it.
async fn subscribe(
    admin: &Admin,
    channel: &Channel,
    name: &str,
    (api, plan): (String, String),
    policy: String,
) -> anyhow::Result<String> {
    let mut applications = ApplicationServiceClient::new(channel.clone());
    let request = CreateApplicationRequest {
        application: Some(Application {
            display_name: name.to_owned(),
            policy,
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
            api,
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
