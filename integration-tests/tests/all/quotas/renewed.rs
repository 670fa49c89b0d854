//! The owner of an application can't reset a quota by a new subscription, a new key, or another plan and back. The
//! counters belong to the application and the API; only an admin can reset them.

use tidegate_integration_tests::{
    admin::{Admin, Subscriber},
    client::Upgrade,
    flood::Session,
    wait,
};
use tidegate_proto::admin::v1::{
    ApplicationKey, CreateApplicationKeyRequest, CreateSubscriptionRequest,
    DeleteSubscriptionRequest, Limits, ResetSubscriptionQuotaRequest, Role, Subscription,
    UpdateSubscriptionRequest,
};

use super::{PATH, Site, messages};
use crate::setup::until_open;

/// Sessions are told apart by the number of their flood.
struct Caller {
    owner: Admin,
    subscriber: Subscriber,
    floods: u16,
}

impl Caller {
    /// A person with an application that is subscribed under a plan.
    async fn start(site: &Site, plan: &str) -> Self {
        let owner = site.admin.user("owner", &[Role::Subscriber]).await;
        let subscriber = owner.subscribe(&site.api, plan).await;
        Self {
            owner,
            subscriber,
            floods: 100,
        }
    }

    /// How many of these messages get through at a gateway, in a session of their own, with a fresh token of the key.
    async fn passed(&mut self, site: &Site, node: usize, demand: u64) -> u64 {
        let token = self.owner.token(&self.subscriber).await;
        until_open(&site.stack.data_planes[node], PATH, &token).await;
        self.floods += 1;
        let upgrade = Upgrade::to(PATH).bearer(&token);
        let mut session = Session::open(site.gateways()[node], &upgrade, self.floods).await;
        session.send(demand).await;
        session.settled().await;
        site.tally.of(self.floods)
    }

    async fn unsubscribe(&self, site: &Site) {
        let request = DeleteSubscriptionRequest {
            name: self.subscriber.subscription.clone(),
            ..DeleteSubscriptionRequest::default()
        };
        let mut subscriptions = self.owner.subscriptions();
        let ended = subscriptions.delete_subscription(request);
        ended.await.expect("an owner can end a subscription");
        until_taken_over(site).await;
    }

    async fn subscribe(&mut self, site: &Site, plan: &str) {
        let subscription = Subscription {
            application: self.subscriber.application.clone(),
            api: site.api.name.clone(),
            plan: format!("plans/{plan}"),
            ..Subscription::default()
        };
        let request = CreateSubscriptionRequest {
            subscription: Some(subscription),
        };
        let mut subscriptions = self.owner.subscriptions();
        let made = subscriptions.create_subscription(request);
        let made = made.await.expect("an application can subscribe again");
        self.subscriber.subscription = made.into_inner().name;
        until_taken_over(site).await;
    }

    async fn change_plan(&self, site: &Site, plan: &str) {
        let subscription = Subscription {
            name: self.subscriber.subscription.clone(),
            plan: format!("plans/{plan}"),
            ..Subscription::default()
        };
        let request = UpdateSubscriptionRequest {
            subscription: Some(subscription),
            update_mask: Some(prost_types::FieldMask {
                paths: vec!["plan".to_owned()],
            }),
        };
        let mut subscriptions = self.owner.subscriptions();
        let moved = subscriptions.update_subscription(request);
        moved.await.expect("a plan that is offered can be taken");
        until_taken_over(site).await;
    }

    /// Gets tokens by another key from now on.
    async fn take_another_key(&mut self) {
        let request = CreateApplicationKeyRequest {
            parent: self.subscriber.application.clone(),
            application_key: Some(ApplicationKey::default()),
        };
        let mut applications = self.owner.applications();
        let key = applications.create_application_key(request);
        let key = key.await.expect("a second key can be made").into_inner();
        self.subscriber.client_id = key.client_id;
        self.subscriber.client_secret = key.client_secret;
    }

    /// Waits until the admin API says that so much was used of the subscription's only limit.
    async fn until_told(&self, used: i64, remaining: i64) {
        let what = format!("{used} are told to be used and {remaining} to be left");
        wait::until(&what, async || {
            let usage = self.owner.usage(&self.subscriber.subscription).await.ok()?;
            let [quota] = usage.quotas[..] else {
                panic!("the plan has one limit: {usage:?}")
            };
            let expected = (Some(used), Some(remaining));
            ((quota.used, quota.remaining) == expected).then_some(())
        })
        .await;
    }
}

/// Three of a window that is long, and three of another one.
fn plans() -> [(&'static str, Limits); 2] {
    let other = {
        let mut limits = messages(3);
        limits.messages.as_mut().unwrap().window_seconds *= 2;
        limits
    };
    [("three", messages(3)), ("other", other)]
}

/// Uses the plan up, then tries everything that an application's owner may do.
async fn nothing_is_given_anew(site: Site) {
    let last = site.stack.data_planes.len() - 1;
    let mut caller = Caller::start(&site, "three").await;
    assert_eq!(caller.passed(&site, 0, 5).await, 3);
    assert_eq!(caller.passed(&site, last, 5).await, 0);

    caller.unsubscribe(&site).await;
    caller.subscribe(&site, "three").await;
    for node in [0, last] {
        assert_eq!(caller.passed(&site, node, 5).await, 0, "subscribed anew");
    }
    caller.until_told(3, 0).await;

    caller.take_another_key().await;
    for node in [0, last] {
        assert_eq!(caller.passed(&site, node, 5).await, 0, "another key");
    }

    // The other plan has a window of its own, and it is the same one whenever the application comes back to it.
    caller.unsubscribe(&site).await;
    caller.subscribe(&site, "other").await;
    assert_eq!(caller.passed(&site, last, 5).await, 3);
    for plan in ["three", "other", "three"] {
        caller.change_plan(&site, plan).await;
        caller.until_told(3, 0).await;
        assert_eq!(caller.passed(&site, 0, 5).await, 0, "back to {plan}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_new_subscription_or_key_resets_a_quota_of_two_gateways() {
    nothing_is_given_anew(Site::start(2, &plans()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_new_subscription_or_key_resets_a_quota_of_a_gateway_that_counts_alone() {
    nothing_is_given_anew(Site::alone(&plans()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_is_of_the_application_and_the_api_and_outlives_the_subscription() {
    let site = Site::alone(&plans()).await;
    let mut caller = Caller::start(&site, "three").await;
    // One is left of the counters before the reset: a new subscription must not come back to them.
    assert_eq!(caller.passed(&site, 0, 2).await, 2);
    reset(&site, &caller).await;
    caller.until_told(0, 3).await;
    assert_eq!(caller.passed(&site, 0, 5).await, 3);

    caller.unsubscribe(&site).await;
    caller.subscribe(&site, "three").await;
    assert_eq!(caller.passed(&site, 0, 5).await, 0);
    caller.until_told(3, 0).await;

    // And the next one acts, too.
    reset(&site, &caller).await;
    caller.until_told(0, 3).await;
    assert_eq!(caller.passed(&site, 0, 5).await, 3);
}

async fn reset(site: &Site, caller: &Caller) {
    let request = ResetSubscriptionQuotaRequest {
        name: caller.subscriber.subscription.clone(),
    };
    let mut subscriptions = site.admin.subscriptions();
    let reset = subscriptions.reset_subscription_quota(request);
    reset.await.expect("an admin can begin counters anew");
    until_taken_over(site).await;
}

/// Waits until every gateway runs the last change.
async fn until_taken_over(site: &Site) {
    wait::until("every gateway runs the last change", async || {
        let nodes = site.admin.nodes().await;
        nodes.iter().all(|node| node.lag == 0).then_some(())
    })
    .await;
}
