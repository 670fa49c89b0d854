//! Fills a system so that every page of the portals shows data: APIs in several states, topics, documents, plans,
//! applications, subscriptions, policies. For `screenshots` and the tests that visit every page.

use prost_types::{FieldMask, Timestamp};
use tidegate_proto::admin::v1::{
    Allowance, Api, ApiPolicy, Application, ApplicationKey, ApplicationPolicy,
    BlockSubscriptionRequest, ChangeLifecycleRequest, CreateApiPolicyRequest, CreateApiRequest,
    CreateApplicationKeyRequest, CreateApplicationPolicyRequest, CreateApplicationRequest,
    CreateDenyPolicyRequest, CreateDocumentRequest, CreateSubscriptionRequest, DenyPolicy,
    Document, DocumentType, LifecycleAction, Limits, Per, Settings, Subscription, Topic, TopicVerb,
    UpdateSettingsRequest, api_policy_service_client::ApiPolicyServiceClient,
    api_service_client::ApiServiceClient,
    application_policy_service_client::ApplicationPolicyServiceClient,
    application_service_client::ApplicationServiceClient, deny_policy,
    deny_policy_service_client::DenyPolicyServiceClient, document,
    document_service_client::DocumentServiceClient, settings_service_client::SettingsServiceClient,
    subscription_service_client::SubscriptionServiceClient,
};

use crate::client::Channel;

/// A name of the maximal length without a possible line break.
pub const LONG_NAME: &str = "NorthernSeaBuoysTemperatureSalinityAndSignificantWaveHeight1";

/// The description of the first API.
const DESCRIPTION: &str = "Water levels of every gauge between **Dover** and **Esbjerg**, as they are measured.\n\n\
    - one message for each gauge and minute\n- heights in centimetres above chart datum\n\n\
    Send `{\"gauge\": \"dover\"}` to hear only one of them.";

/// Fills a system: creates the publishers' resources as a user with all roles, and the developers' as a developer.
///
/// # Errors
/// When the admin API refuses.
pub async fn fill(admin: &Channel, developer: &Channel, backend: &str) -> anyhow::Result<()> {
    policies(admin).await?;
    let request = UpdateSettingsRequest {
        settings: Some(Settings {
            sign_up_allowed: true,
            ..Settings::default()
        }),
        update_mask: Some(FieldMask {
            paths: words(&["sign_up_allowed"]),
        }),
    };
    SettingsServiceClient::new(admin.clone())
        .update_settings(request)
        .await?;
    let tides = tides(admin, backend).await?;
    document(admin, &tides).await?;
    let ships = Api {
        description: "Where ships are, as they tell it.".to_owned(),
        tags: words(&["sea", "traffic"]),
        ..api("Ship-Positions", "/ships", backend)
    };
    let ships = publish(admin, ships).await?;
    publish(admin, api(LONG_NAME, "/buoys/{version}/live", backend)).await?;
    for (name, context, action) in [
        ("Storm-Warnings", "/storms", LifecycleAction::Block),
        ("Lock-Gates", "/locks", LifecycleAction::Deprecate),
    ] {
        let made = publish(admin, api(name, context, backend)).await?;
        let request = ChangeLifecycleRequest {
            name: made.name,
            action: action.into(),
            ..ChangeLifecycleRequest::default()
        };
        ApiServiceClient::new(admin.clone())
            .change_lifecycle(request)
            .await?;
    }
    let berth = |number: u32| Topic {
        template: format!("/berths/{number}"),
        description: format!("Who lies at berth {number}."),
        ..Topic::default()
    };
    let draft = Api {
        topics: (1..=24).map(berth).collect(),
        plans: Vec::new(),
        production_endpoint: String::new(),
        ..api("Harbour-Traffic", "/harbour", backend)
    };
    create(admin, draft, false).await?;

    let dashboard =
        application(developer, "Dashboard", "The screens in the harbour office.").await?;
    subscribe(developer, &dashboard, &tides, "Gold").await?;
    subscribe(developer, &dashboard, &ships, "Silver").await?;
    let wall = application(developer, "Tide clock", "").await?;
    let blocked = subscribe(developer, &wall, &tides, "Silver").await?;
    let request = BlockSubscriptionRequest {
        name: blocked.name,
        ..BlockSubscriptionRequest::default()
    };
    SubscriptionServiceClient::new(admin.clone())
        .block_subscription(request)
        .await?;
    Ok(())
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn api(name: &str, context: &str, backend: &str) -> Api {
    Api {
        api_name: name.to_owned(),
        context: context.to_owned(),
        version: "1.0".to_owned(),
        production_endpoint: backend.to_owned(),
        plans: words(&["plans/Gold", "plans/Silver"]),
        ..Api::default()
    }
}

async fn tides(channel: &Channel, backend: &str) -> anyhow::Result<Api> {
    let topic = |template: &str, verbs: &[TopicVerb], description: &str| Topic {
        template: template.to_owned(),
        verbs: verbs.iter().map(|verb| (*verb).into()).collect(),
        description: description.to_owned(),
        ..Topic::default()
    };
    let both = [TopicVerb::Publish, TopicVerb::Subscribe];
    let tides = Api {
        display_name: "Tides".to_owned(),
        description: DESCRIPTION.to_owned(),
        tags: words(&["sea", "measurements", "open data"]),
        topics: vec![
            topic("/levels", &both, "All gauges"),
            topic("/levels/{gauge}", &both[1..], "One gauge"),
            topic("/reports", &both[..1], "Observations of your own"),
        ],
        plans: words(&["plans/Unlimited", "plans/Gold", "plans/Silver"]),
        ..api("Tides", "/tides", backend)
    };
    publish(channel, tides).await
}

async fn publish(channel: &Channel, api: Api) -> anyhow::Result<Api> {
    create(channel, api, true).await
}

async fn create(channel: &Channel, api: Api, publish: bool) -> anyhow::Result<Api> {
    let mut apis = ApiServiceClient::new(channel.clone());
    let api = Some(api);
    Ok(apis
        .create_api(CreateApiRequest { api, publish })
        .await?
        .into_inner())
}

async fn document(channel: &Channel, api: &Api) -> anyhow::Result<()> {
    let documents = [
        Document {
            display_name: "Getting started".to_owned(),
            summary: "From a key to the first water level.".to_owned(),
            r#type: DocumentType::HowTo.into(),
            content: Some(document::Content::Markdown(
                "# Getting started\n\nConnect to `/levels` and listen:\n\n\
                 ```json\n{\"gauge\": \"dover\", \"cm\": 412}\n```\n\n\
                 | field | what it is |\n|---|---|\n| `gauge` | which |\n| `cm` | how high |\n"
                    .to_owned(),
            )),
            ..Document::default()
        },
        Document {
            display_name: "Chart datum".to_owned(),
            summary: "What heights are measured from.".to_owned(),
            r#type: DocumentType::Samples.into(),
            content: Some(document::Content::Url(
                "https://example.com/chart-datum".to_owned(),
            )),
            ..Document::default()
        },
    ];
    let mut client = DocumentServiceClient::new(channel.clone());
    for document in documents {
        let request = CreateDocumentRequest {
            parent: api.name.clone(),
            document: Some(document),
        };
        client.create_document(request).await?;
    }
    Ok(())
}

async fn policies(channel: &Channel) -> anyhow::Result<()> {
    let limits = Limits {
        messages: Some(Allowance {
            amount: 600,
            window_seconds: 60,
        }),
        ..Limits::default()
    };
    ApiPolicyServiceClient::new(channel.clone())
        .create_api_policy(CreateApiPolicyRequest {
            api_policy_id: "Per-Address".to_owned(),
            api_policy: Some(ApiPolicy {
                display_name: "A fair share for each address".to_owned(),
                per: Per::Address.into(),
                limits: Some(limits),
                ..ApiPolicy::default()
            }),
        })
        .await?;
    ApplicationPolicyServiceClient::new(channel.clone())
        .create_application_policy(CreateApplicationPolicyRequest {
            application_policy_id: "Small".to_owned(),
            application_policy: Some(ApplicationPolicy {
                display_name: "Small applications".to_owned(),
                limits: Some(limits),
                ..ApplicationPolicy::default()
            }),
        })
        .await?;
    // The year 2100, so that the pictures don't depend on when they were taken.
    let expire_time = Timestamp {
        seconds: 4_102_444_800,
        nanos: 0,
    };
    DenyPolicyServiceClient::new(channel.clone())
        .create_deny_policy(CreateDenyPolicyRequest {
            deny_policy: Some(DenyPolicy {
                description: "Scans every night".to_owned(),
                target: Some(deny_policy::Target::Address("203.0.113.0/24".to_owned())),
                expire_time: Some(expire_time),
                ..DenyPolicy::default()
            }),
        })
        .await?;
    Ok(())
}

/// An application with a key.
async fn application(
    channel: &Channel,
    name: &str,
    description: &str,
) -> anyhow::Result<Application> {
    let mut applications = ApplicationServiceClient::new(channel.clone());
    let application = Application {
        display_name: name.to_owned(),
        description: description.to_owned(),
        ..Application::default()
    };
    let request = CreateApplicationRequest {
        application: Some(application),
    };
    let application = applications.create_application(request).await?.into_inner();
    let request = CreateApplicationKeyRequest {
        parent: application.name.clone(),
        application_key: Some(ApplicationKey::default()),
    };
    applications.create_application_key(request).await?;
    Ok(application)
}

async fn subscribe(
    channel: &Channel,
    application: &Application,
    api: &Api,
    plan: &str,
) -> anyhow::Result<Subscription> {
    let subscription = Subscription {
        application: application.name.clone(),
        api: api.name.clone(),
        plan: format!("plans/{plan}"),
        ..Subscription::default()
    };
    let request = CreateSubscriptionRequest {
        subscription: Some(subscription),
    };
    Ok(SubscriptionServiceClient::new(channel.clone())
        .create_subscription(request)
        .await?
        .into_inner())
}
