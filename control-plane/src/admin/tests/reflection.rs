//! What the server tells of itself.

use tokio_stream::StreamExt as _;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::Stage;

const SERVICES: [&str; 15] = [
    "tidegate.admin.v1.ApiPolicyService",
    "tidegate.admin.v1.ApiService",
    "tidegate.admin.v1.ApplicationPolicyService",
    "tidegate.admin.v1.ApplicationService",
    "tidegate.admin.v1.AuditService",
    "tidegate.admin.v1.CatalogService",
    "tidegate.admin.v1.DenyPolicyService",
    "tidegate.admin.v1.DocumentService",
    "tidegate.admin.v1.GatewayService",
    "tidegate.admin.v1.KeyManagerService",
    "tidegate.admin.v1.PlanService",
    "tidegate.admin.v1.SessionService",
    "tidegate.admin.v1.SettingsService",
    "tidegate.admin.v1.SubscriptionService",
    "tidegate.admin.v1.UserService",
];

macro_rules! listed {
    ($stage:ident, $version:ident) => {{
        use tonic_reflection::pb::$version::{
            ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
            server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
        };
        let request = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let mut client = ServerReflectionClient::new($stage.door.clone());
        let answers = client
            .server_reflection_info(tokio_stream::once(request))
            .await;
        let answer = answers.unwrap().into_inner().next().await.unwrap().unwrap();
        let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
            panic!("{answer:?}");
        };
        let names: Vec<_> = list
            .service
            .into_iter()
            .map(|service| service.name)
            .collect();
        names
    }};
}

#[tokio::test]
async fn both_versions_of_reflection_list_every_service_of_this_door_and_no_other() {
    let stage = Stage::new().await;
    let versions = [listed!(stage, v1), listed!(stage, v1alpha)];
    let of_grpc = [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    ];
    let expected: Vec<_> = of_grpc.into_iter().chain(SERVICES).collect();
    for mut names in versions {
        names.sort();
        assert_eq!(names, expected);
    }
}

#[tokio::test]
async fn the_health_service_knows_every_service() {
    let stage = Stage::new().await;
    for service in SERVICES {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let answer = HealthClient::new(stage.door.clone())
            .check(request)
            .await
            .unwrap();
        assert_eq!(
            answer.into_inner().status,
            ServingStatus::Serving as i32,
            "{service}"
        );
    }
}
