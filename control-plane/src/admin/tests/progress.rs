//! How far nodes are with deployments, and who has subscribed.

use tidegate_proto::admin::v1::{ListDeploymentProgressRequest, ListSubscriptionsRequest};
use tonic::Code;

use super::{
    Stage,
    catalogue::{register, subscribe},
    echo,
};
use crate::domain::user::Role;

#[tokio::test]
async fn each_deployment_is_told_with_the_nodes_of_its_environment() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let api = admin.create(echo(), true).await.unwrap();
    let request = |parent: &str| ListDeploymentProgressRequest {
        parent: parent.to_owned(),
    };
    let progress = admin
        .apis()
        .list_deployment_progress(request(&api.name))
        .await;
    let deployments = progress.unwrap().into_inner().deployments;
    assert_eq!(deployments.len(), 1);
    assert_eq!(deployments[0].environment, "environments/default");
    assert_eq!(deployments[0].revision, api.deployments[0].revision);
    assert!(deployments[0].nodes.is_empty(), "no node was ever there");
    let number = stage.service.state().number();
    let kept = stage
        .service
        .state()
        .deployments()
        .values()
        .next()
        .unwrap()
        .number;
    assert_eq!(kept, number, "the commit that deployed it");
    let unknown = request("apis/00000000-0000-0000-0000-000000000001");
    let unknown = admin.apis().list_deployment_progress(unknown).await;
    assert_eq!(unknown.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn a_publisher_sees_who_has_subscribed_without_seeing_their_applications() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let api = admin.create(echo(), true).await.unwrap();
    let ann = stage.user("ann", &[Role::Subscriber]).await;
    let application = register(&ann, "Of Ann").await.unwrap();
    let made = subscribe(&ann, &application.name, &api.name, "plans/Gold")
        .await
        .unwrap();
    let publisher = stage.user("pat", &[Role::Publisher]).await;
    let request = ListSubscriptionsRequest {
        filter: format!("api = \"{}\"", api.name),
        ..ListSubscriptionsRequest::default()
    };
    let page = publisher.subscriptions().list_subscriptions(request).await;
    let listed = page.unwrap().into_inner().subscriptions;
    assert_eq!((listed.len(), &listed[0]), (1, &made));
    assert_eq!(made.application_display_name, application.display_name);
    assert_eq!(
        (made.owner.as_str(), made.api_name.as_str()),
        ("users/ann", "EchoWebSocket")
    );
    assert_eq!(made.api_version, "1.0");
}
