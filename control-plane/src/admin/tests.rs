//! The admin API as its callers meet it: the people's door in this process, over a store in memory.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{Extension, Router};
use tidegate_kit::{clock::Clock, secret::Secret};
use tidegate_proto::admin::v1::{
    Api, ApiPolicy, ConditionalGroup, CreateApiPolicyRequest, CreateApiRequest, Limits, Per,
    SignInRequest, api_policy_service_client::ApiPolicyServiceClient,
    api_service_client::ApiServiceClient,
    application_policy_service_client::ApplicationPolicyServiceClient,
    application_service_client::ApplicationServiceClient, audit_service_client::AuditServiceClient,
    catalog_service_client::CatalogServiceClient,
    deny_policy_service_client::DenyPolicyServiceClient,
    document_service_client::DocumentServiceClient, gateway_service_client::GatewayServiceClient,
    key_manager_service_client::KeyManagerServiceClient, plan_service_client::PlanServiceClient,
    session_service_client::SessionServiceClient, settings_service_client::SettingsServiceClient,
    subscription_service_client::SubscriptionServiceClient, user_service_client::UserServiceClient,
};
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
};
use tonic_types::{StatusExt as _, pb};

mod sessions;
mod permissions;
mod apis;
mod lists;
mod catalogue;
mod strangers;
mod documents;
mod progress;
mod tokens;
mod policies;
mod deny_policies;
mod quotas;
mod usage;
mod wire;
mod reflection;
mod secrets;

use super::Admin;
use crate::{
    config::OauthConfig,
    discovery::fleet::Fleet,
    domain::{
        actor::Actor,
        user::{Role, Roles},
    },
    http::{Peer, management},
    oauth::{KeyManager, rotation::Rotation},
    service::Service,
    store::memory::MemoryStore,
};

const ADMIN_PASSWORD: &str = "the admin's long password";
const USER_PASSWORD: &str = "everybody's long password";
const START: u64 = 1_800_000_000;

/// The people's door without its TLS.
struct Stage {
    service: Service,
    clock: Clock,
    door: Router,
}

/// The use cases over a store in memory, with what ships.
async fn in_memory(clock: Clock) -> Service {
    let store = Arc::new(MemoryStore::default());
    Service::open(store, clock).await.unwrap()
}

/// Calls with a token, or without one.
#[derive(Clone)]
struct Caller(InterceptedService<Router, Bearer>);

#[derive(Clone)]
struct Bearer(Option<MetadataValue<Ascii>>);

impl Stage {
    async fn new() -> Self {
        tidegate_kit::jwt::install();
        let clock = Clock::manual(START);
        let service = in_memory(clock.clone()).await;
        let password = Some(Secret::new(ADMIN_PASSWORD.to_owned()));
        service.ensure_admin("admin", password).await.unwrap();
        let config = OauthConfig::default();
        let rotation = Rotation::new(service.clone(), &config);
        rotation.look().await.unwrap();
        let key_manager = KeyManager::new(service.clone(), &config).unwrap();
        let fleet = Fleet::new(clock.clone(), Duration::from_secs(3600));
        let admin = Admin::new(service.clone(), fleet, rotation, key_manager.clone());
        let routes = admin.routes().await.unwrap().merge(key_manager.routes());
        let peer = Peer(IpAddr::from([192, 0, 2, 7]));
        let door = management::routes(routes, Router::new(), Duration::from_secs(30))
            .layer(Extension(peer));
        Self {
            service,
            clock,
            door,
        }
    }

    fn with_token(&self, token: Option<&str>) -> Caller {
        let value = token.map(|token| format!("Bearer {token}").parse().unwrap());
        Caller(InterceptedService::new(self.door.clone(), Bearer(value)))
    }

    fn nobody(&self) -> Caller {
        self.with_token(None)
    }

    async fn admin(&self) -> Caller {
        self.sign_in("admin", ADMIN_PASSWORD).await.unwrap()
    }

    /// A new user of that name with those roles, signed in.
    async fn user(&self, name: &str, roles: &[Role]) -> Caller {
        let password = Secret::new(USER_PASSWORD.to_owned());
        let roles: Roles = roles.iter().copied().collect();
        self.service
            .create_user(&Actor::system(), name, &password, roles)
            .await
            .unwrap();
        self.sign_in(name, USER_PASSWORD).await.unwrap()
    }

    async fn sign_in(&self, username: &str, password: &str) -> Result<Caller, Status> {
        let request = SignInRequest {
            username: username.to_owned(),
            password: password.to_owned(),
        };
        let answer = self.nobody().sessions().sign_in(request).await?;
        Ok(self.with_token(Some(&answer.into_inner().token)))
    }
}

macro_rules! clients {
    ($($name:ident: $client:ident),* $(,)?) => {
        impl Caller {
            $(fn $name(&self) -> $client<InterceptedService<Router, Bearer>> {
                $client::new(self.0.clone())
            })*
        }
    };
}

clients!(
    sessions: SessionServiceClient,
    users: UserServiceClient,
    apis: ApiServiceClient,
    plans: PlanServiceClient,
    application_policies: ApplicationPolicyServiceClient,
    api_policies: ApiPolicyServiceClient,
    deny_policies: DenyPolicyServiceClient,
    applications: ApplicationServiceClient,
    subscriptions: SubscriptionServiceClient,
    gateways: GatewayServiceClient,
    signing_keys: KeyManagerServiceClient,
    audit: AuditServiceClient,
    catalog: CatalogServiceClient,
    documents: DocumentServiceClient,
    settings: SettingsServiceClient,
);

impl Caller {
    /// Creates an API, published or not.
    async fn create(&self, api: Api, publish: bool) -> Result<Api, Status> {
        let request = CreateApiRequest {
            api: Some(api),
            publish,
        };
        Ok(self.apis().create_api(request).await?.into_inner())
    }

    /// Creates an API policy that limits nobody but its groups.
    async fn create_api_policy(
        &self,
        name: &str,
        groups: &[ConditionalGroup],
    ) -> Result<ApiPolicy, Status> {
        let request = CreateApiPolicyRequest {
            api_policy_id: name.to_owned(),
            api_policy: Some(ApiPolicy {
                per: Per::Api.into(),
                limits: Some(Limits {
                    unlimited: true,
                    ..Limits::default()
                }),
                groups: groups.to_vec(),
                ..ApiPolicy::default()
            }),
        };
        Ok(self
            .api_policies()
            .create_api_policy(request)
            .await?
            .into_inner())
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", value.clone());
        }
        Ok(request)
    }
}

/// The tutorial's API.
fn echo() -> Api {
    Api {
        api_name: "EchoWebSocket".to_owned(),
        context: "/echowebsocket".to_owned(),
        version: "1.0".to_owned(),
        production_endpoint: "ws://127.0.0.1:8765".to_owned(),
        plans: vec!["plans/Gold".to_owned(), "plans/Silver".to_owned()],
        ..Api::default()
    }
}

/// The fields at fault and the reasons, in order.
fn faults(status: &Status) -> Vec<(String, String)> {
    use prost::Message as _;

    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let details = pb::Status::decode(status.details()).unwrap().details;
    let bad_request = details
        .iter()
        .find(|any| any.type_url.ends_with("/google.rpc.BadRequest"))
        .unwrap();
    pb::BadRequest::decode(bad_request.value.as_slice())
        .unwrap()
        .field_violations
        .into_iter()
        .map(|violation| {
            assert!(!violation.description.is_empty(), "{violation:?}");
            (violation.field, violation.reason)
        })
        .collect()
}

/// The stable reason of a refusal.
fn reason(status: &Status) -> String {
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.domain, "tidegate");
    info.reason
}
