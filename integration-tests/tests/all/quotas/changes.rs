//! Changes that apply from the next message of an open session.

use tidegate_integration_tests::{flood::Session, wait};
use tidegate_proto::admin::v1::{Subscription, UpdateSubscriptionRequest};

use super::{Site, messages};

#[tokio::test]
async fn a_changed_plan_and_a_moved_subscription_apply_from_the_next_message() {
    let plans = [("small", messages(4)), ("large", messages(1_000))];
    let site = Site::alone(&plans).await;
    let mut session = Session::open(site.gateways()[0], &site.upgrade("small"), 1).await;
    let mut sent = async |count: u64| {
        session.send(count).await;
        session.settled().await;
        site.tally.of(1)
    };
    assert_eq!(sent(6).await, 4);

    site.admin.change_plan("small", messages(7)).await;
    let more = async || (sent(1).await > 4).then_some(());
    wait::until("the larger plan lets more through", more).await;
    assert_eq!(sent(5).await, 7, "what was used before still counts");

    site.admin.change_plan("small", messages(5)).await;
    assert_eq!(sent(2).await, 7);

    let subscription = Subscription {
        name: site.subscribers["small"].subscription.clone(),
        plan: "plans/large".to_owned(),
        ..Subscription::default()
    };
    let request = UpdateSubscriptionRequest {
        subscription: Some(subscription),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["plan".to_owned()],
        }),
    };
    site.admin
        .subscriptions()
        .update_subscription(request)
        .await
        .unwrap();
    let more = async || (sent(1).await > 7).then_some(());
    wait::until("the other plan lets more through", more).await;
    let before = site.tally.of(1);
    assert_eq!(sent(50).await, before + 50);
}
