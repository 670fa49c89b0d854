//! The flood fixture: without a limit all messages arrive, and a settled session has no message in flight.

use tidegate_integration_tests::{
    client::Upgrade,
    flood::{Session, Shape, Tally, flood},
    stack::Stack,
};

use crate::setup::until_open;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_limit_every_message_of_a_flood_arrives() {
    let mut stack = Stack::builder().data_planes(3).start().await;
    stack.add_data_plane_off_by(-60).await;
    let admin = stack.admin().await;
    let tally = Tally::start().await;
    let api = admin.publish("flood", &tally.url()).await;
    let token = admin.token(&admin.subscribe(&api, "Unlimited").await).await;
    let mut gateways = Vec::new();
    for node in &stack.data_planes {
        until_open(node, "/flood/1.0", &token).await;
        gateways.push(node.ready.ws);
    }
    let upgrade = Upgrade::to("/flood/1.0").bearer(&token);
    let mut shape = Shape::of(60_001, true, true);
    shape.every /= 10;
    flood(&gateways, &upgrade, 7, &shape).await;
    assert_eq!(tally.of(7), 60_001);

    let mut session = Session::open(gateways[0], &upgrade, 8).await;
    for sent in 1..50 {
        session.send(1).await;
        assert_eq!(session.settled().await, []);
        assert_eq!(tally.of(8), sent);
    }
    assert_eq!(tally.of(9), 0);
}
