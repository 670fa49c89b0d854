//! Deny policies take effect when they reach a gateway, also for open sessions.

use tidegate_integration_tests::{
    catalog::{self, API, CLIENT, PATH},
    client::Upgrade,
    fake_control_plane::FakeControlPlane,
    flood::{Session, Tally},
    issuer::Issuer,
};
use tidegate_proto::discovery::v1::{DenyPolicy, Resource, deny_policy::Target, resource::Body};

use crate::setup::ISSUER;

#[tokio::test]
async fn a_deny_policy_ends_open_sessions_and_refuses_new_ones() {
    let tally = Tally::start().await;
    let issuer = Issuer::new(ISSUER);
    let known = catalog::echo(&issuer, &tally.url());
    let control = FakeControlPlane::start(known.clone()).await;
    let node = control.node(&[]).await;
    let upgrade = Upgrade::to(PATH).bearer(&issuer.token(CLIENT));
    let mut session = Session::open(node.ready.ws, &upgrade, 1).await;
    session.send(1).await;
    session.settled().await;

    let id = "00000000-0000-4000-8000-0000000000d1";
    let deny = DenyPolicy {
        id: id.to_owned(),
        target: Some(Target::Api(API.to_owned())),
        ..DenyPolicy::default()
    };
    let mut denied = known.clone();
    let name = format!("denyPolicies/{id}");
    denied.push(Resource::new(name, Body::DenyPolicy(deny)));
    assert_eq!(control.set(denied).await.rejections, []);
    assert_eq!(session.client.until_close().await, Some(4006));
    let refusal = upgrade.refused(node.ready.ws).await;
    assert_eq!(refusal.status(), 403);
    assert_eq!(refusal.reason(), "denied_by_policy");

    assert_eq!(control.set(known).await.rejections, []);
    let mut session = Session::open(node.ready.ws, &upgrade, 2).await;
    session.send(1).await;
    session.settled().await;
    assert_eq!(tally.of(2), 1);
}
