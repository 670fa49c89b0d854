//! The configuration stream: a node rejects single resources with a reason, which `GatewayService` shows; a node that
//! reconnects gets only the differences.

use std::collections::BTreeSet;

use tidegate_integration_tests::{
    admin::Admin, backend::Backend, catalog, client::Upgrade, fake_node::FakeNode, stack::Stack,
    wait,
};
use tidegate_proto::{
    admin::v1::{
        Api, CreateRevisionRequest, DeployRevisionRequest, ListDeploymentProgressRequest,
        NodeProgress, NodeProgressState,
    },
    discovery::v1::{HeldResource, Hello, KeyManager, Rejection, Resource, resource::Body},
};

use crate::setup::Gateway;

const BAD: &str = "00000000-0000-4000-8000-0000000000ff";

#[tokio::test]
async fn an_invalid_resource_is_rejected_with_a_reason_and_no_other_is() {
    let gateway = Gateway::echo(&[]).await;
    let mut session = gateway.open().await;
    let good = || catalog::echo(&gateway.issuer, &gateway.backend.url());

    let bad: [(&str, Resource); 4] = [
        (
            "an endpoint that is none",
            catalog::api(BAD, "/bad", "http://not-a-websocket.test"),
        ),
        (
            "a context that is none",
            catalog::api(BAD, "//bad", &gateway.backend.url()),
        ),
        (
            "a key that is none",
            Resource::new(
                "keyManagers/broken".to_owned(),
                Body::KeyManager(KeyManager {
                    name: "broken".to_owned(),
                    issuer: "https://broken.test".to_owned(),
                    audiences: vec!["tidegate".to_owned()],
                    jwks: vec!["no JSON".to_owned()],
                }),
            ),
        ),
        (
            "nothing in it",
            Resource {
                name: "plans/empty".to_owned(),
                version: 7,
                body: None,
            },
        ),
    ];
    for (what, resource) in bad {
        let name = resource.name.clone();
        let mut resources = good();
        resources.push(resource);
        resources.push(catalog::plan(&format!("after {what}").replace(' ', "-")));
        let ack = gateway.control.set(resources).await;
        let [rejection] = ack.rejections.as_slice() else {
            panic!("{what}: one rejection was due: {ack:?}");
        };
        assert_eq!(rejection.name, name, "{what}");
        assert!(
            rejection.reason.len() > 5,
            "{what}: no reason in {rejection:?}"
        );
        session.echo(what).await;
        gateway.still_echoes().await;
    }

    // A bad change of a good resource: the last good version serves on.
    let mut resources = good();
    resources.retain(|resource| !resource.name.starts_with("apis/"));
    resources.push(catalog::api(catalog::API, "/echo", "ftp://nowhere"));
    let ack = gateway.control.set(resources).await;
    assert_eq!(ack.rejections.len(), 1, "{ack:?}");
    assert_eq!(ack.rejections[0].name, format!("apis/{}", catalog::API));
    gateway.still_echoes().await;
    // Once it is good again, it is taken.
    let ack = gateway.control.set(good()).await;
    assert_eq!(ack.rejections, []);
    session.echo("all the while").await;
}

#[tokio::test]
async fn what_is_removed_is_gone_and_the_rest_stays() {
    let gateway = Gateway::echo(&[]).await;
    let url = gateway.backend.url();
    let mut both = catalog::echo(&gateway.issuer, &url);
    both.push(catalog::api(BAD, "/second", &url));
    gateway.control.set(both).await;
    let second = Upgrade::to("/second/1.0").bearer(&gateway.token());
    assert_eq!(
        second.refused(gateway.address()).await.reason(),
        "subscription_missing"
    );
    gateway
        .control
        .set(catalog::echo(&gateway.issuer, &url))
        .await;
    assert_eq!(
        second.refused(gateway.address()).await.reason(),
        "api_not_found"
    );
    gateway.still_echoes().await;
}

#[tokio::test]
async fn the_list_of_nodes_shows_what_a_node_rejected_and_how_far_behind_it_is() {
    let stack = Stack::builder().data_planes(0).start().await;
    let admin = stack.admin().await;
    let backend = Backend::echo().await;
    let api = admin.publish("fleet", &backend.url()).await;

    let mut node = FakeNode::join(&stack.control_plane, None, hello("fake"))
        .await
        .unwrap();
    let batch = node.batch().await.unwrap();
    let resource = batch
        .upserts
        .iter()
        .find(|resource| resource.name == api.name);
    let resource = resource.unwrap_or_else(|| panic!("no {} in {batch:?}", api.name));
    let rejection = Rejection {
        name: resource.name.clone(),
        version: resource.version,
        reason: "the node does not like it".to_owned(),
        blocked_by: String::new(),
    };
    node.ack(batch.number, vec![rejection]).await;
    node.beat(batch.number, 42).await;

    let seen = wait::until("the fleet view shows the rejection", async || {
        let node = admin
            .nodes()
            .await
            .into_iter()
            .find(|node| node.name.ends_with("/fake"))?;
        (!node.rejections.is_empty() && node.open_sessions == 42).then_some(node)
    })
    .await;
    assert!(seen.connected);
    assert_eq!(seen.revision_number, batch.number);
    assert_eq!(seen.rejections[0].resource, api.name);
    assert_eq!(seen.rejections[0].reason, "the node does not like it");
    assert!(seen.last_seen_age.is_some());

    let rejected = progress(&admin, &api).await;
    assert_eq!(rejected.state(), NodeProgressState::Rejected);
    assert_eq!(rejected.reason, "the node does not like it");

    // A change that the node does not acknowledge: it falls behind.
    redeploy(&admin, &api).await;
    assert_eq!(
        progress(&admin, &api).await.state(),
        NodeProgressState::Behind
    );
    wait::until("the node is behind", async || {
        let node = admin
            .nodes()
            .await
            .into_iter()
            .find(|node| node.name.ends_with("/fake"))?;
        (node.lag > 0).then_some(())
    })
    .await;
}

/// How far the node is with what is deployed of an API.
async fn progress(admin: &Admin, api: &Api) -> NodeProgress {
    let parent = api.name.clone();
    let asked = admin
        .apis()
        .list_deployment_progress(ListDeploymentProgressRequest { parent })
        .await;
    let mut deployments = asked.unwrap().into_inner().deployments;
    deployments.remove(0).nodes.remove(0)
}

/// Deploys the API as it is now.
async fn redeploy(admin: &Admin, api: &Api) {
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

#[tokio::test]
async fn the_list_of_nodes_shows_since_when_a_node_is_disconnected_and_whether_it_drained() {
    let mut stack = Stack::builder().data_planes(2).start().await;
    let admin = stack.admin().await;
    let away = async |name: &str| {
        wait::until(&format!("{name} is away"), async || {
            let nodes = admin.nodes().await.into_iter();
            let mut away = nodes.filter(|it| it.name.ends_with(name) && !it.connected);
            away.next()
        })
        .await
    };
    assert!(
        admin
            .nodes()
            .await
            .iter()
            .all(|it| it.disconnect_time.is_none() && !it.stopped)
    );
    stack.data_planes[0]
        .process
        .signal(rustix::process::Signal::TERM);
    stack.data_planes[1].process.kill();
    let stopped = away("/data-plane-1").await;
    let lost = away("/data-plane-2").await;
    assert!(stopped.stopped && !lost.stopped, "{stopped:?} {lost:?}");
    assert!(stopped.disconnect_time.is_some() && lost.disconnect_time.is_some());
    stack.data_planes.clear();
}

#[tokio::test]
async fn a_node_that_reconnects_gets_only_the_differences() {
    let stack = Stack::builder().data_planes(0).start().await;
    let admin = stack.admin().await;
    let backend = Backend::echo().await;
    let api = admin.publish("delta", &backend.url()).await;

    let mut node = FakeNode::join(&stack.control_plane, None, hello("fake"))
        .await
        .unwrap();
    let whole = node.batch().await.unwrap();
    node.ack(whole.number, Vec::new()).await;
    drop(node);

    admin.subscribe(&api, "Gold").await;
    let held = whole.upserts.iter().map(|resource| HeldResource {
        name: resource.name.clone(),
        version: resource.version,
    });
    let again = Hello {
        number: whole.number,
        held: held
            .chain([HeldResource {
                name: "plans/long-gone".to_owned(),
                version: 1,
            }])
            .collect(),
        ..hello("fake")
    };
    let mut node = FakeNode::join(&stack.control_plane, None, again)
        .await
        .unwrap();
    // Changes that come right after one another are folded, but not always into one batch.
    let mut kinds = BTreeSet::new();
    let mut removals = Vec::new();
    let due =
        BTreeSet::from(["applicationKeys", "applications", "subscriptions"].map(String::from));
    while kinds != due {
        let delta = node.batch().await.unwrap();
        for resource in delta.upserts {
            let kind = resource.name.split('/').next().unwrap_or_default();
            assert!(due.contains(kind), "{} does not differ", resource.name);
            kinds.insert(kind.to_owned());
        }
        removals.extend(delta.removals);
        node.ack(delta.number, Vec::new()).await;
    }
    assert_eq!(removals, ["plans/long-gone"]);
}

#[tokio::test]
async fn a_node_with_a_wrong_token_or_environment_is_refused() {
    let stack = Stack::builder().data_planes(0).start().await;
    let refused = async |token: Option<&str>, hello: Hello| match FakeNode::join(
        &stack.control_plane,
        token,
        hello,
    )
    .await
    {
        Err(status) => status,
        Ok(mut node) => node.batch().await.expect_err("it was let in"),
    };
    let status = refused(Some("wrong"), hello("stranger")).await;
    assert_eq!(status.code(), tonic::Code::Unauthenticated, "{status:?}");
    let elsewhere = Hello {
        environment: "elsewhere".to_owned(),
        ..hello("lost")
    };
    let status = refused(None, elsewhere).await;
    assert_eq!(status.code(), tonic::Code::NotFound, "{status:?}");
}

fn hello(node: &str) -> Hello {
    Hello {
        node: node.to_owned(),
        environment: "default".to_owned(),
        software: "test".to_owned(),
        ..Hello::default()
    }
}
