//! Each unit and each counter key over several gateways: bytes, new sessions, open sessions of an application, an API
//! and an address; and the remaining quota that clients are told.

use std::time::Instant;

use prost_types::FieldMask;
use tidegate_integration_tests::{
    client::{Client, Upgrade},
    flood::{Session, Shape},
    wait,
};
use tidegate_proto::admin::v1::{
    Allowance, Api, ApiPolicy, Application, ApplicationPolicy, CreateApiPolicyRequest,
    CreateApplicationPolicyRequest, Limits, Per, ResetSubscriptionQuotaRequest, UpdateApiRequest,
    UpdateApplicationRequest,
};

use super::{Site, messages, quiet_window};

/// Each message of a flood has so many.
const BYTES: i64 = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_are_counted_over_all_gateways_and_never_one_message_more() {
    let bytes = Limits {
        messages: None,
        bytes: Some(Allowance {
            // The last four bytes are too few for a message.
            amount: 1_000 * BYTES + 4,
            window_seconds: quiet_window(),
        }),
        ..messages(1)
    };
    let site = Site::start(4, &[("bytes", bytes)]).await;
    let shape = Shape::of(1_200, true, false);
    let admitted = site.flood("bytes", 1, &shape).await;
    // A gateway that is still at work holds some messages' worth of bytes longer than others wait for it.
    assert!((970..=1_000).contains(&admitted), "{admitted}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_sessions_are_counted_over_all_gateways() {
    const EACH_SECOND: u64 = 4;
    let slow = Limits {
        connections_per_second: i64::try_from(EACH_SECOND).unwrap(),
        ..Limits::default()
    };
    let site = Site::start(2, &[("slow", slow)]).await;
    let upgrade = site.upgrade("slow");
    let began = Instant::now();
    let (mut opened, mut refused) = (0, 0);
    while refused < 60 {
        for gateway in site.gateways() {
            match upgrade.send(gateway).await {
                Ok(client) => {
                    opened += 1;
                    drop(client);
                }
                Err(refusal) => {
                    assert_eq!(refusal.status(), 429);
                    assert_eq!(refusal.reason(), "connection_rate");
                    refused += 1;
                }
            }
        }
    }
    let seconds = began.elapsed().as_secs() + 2;
    assert!(opened > 0);
    assert!(opened <= EACH_SECOND * seconds, "{opened} in {seconds} s");
}

/// So many sessions at a time.
const SEATS: usize = 6;

fn seats() -> Limits {
    Limits {
        sessions: i64::try_from(SEATS).unwrap(),
        ..Limits::default()
    }
}

impl Site {
    /// Puts the API under a policy of its own.
    async fn seat_api(&self, name: &str, per: Per) {
        let request = CreateApiPolicyRequest {
            api_policy_id: name.to_owned(),
            api_policy: Some(ApiPolicy {
                per: per.into(),
                limits: Some(seats()),
                ..ApiPolicy::default()
            }),
        };
        let made = self.admin.api_policies().create_api_policy(request).await;
        self.put_api_under(&made.unwrap().into_inner().name).await;
    }

    async fn put_api_under(&self, policy: &str) {
        let request = UpdateApiRequest {
            api: Some(Api {
                name: self.api.name.clone(),
                policy: policy.to_owned(),
                ..Api::default()
            }),
            update_mask: Some(FieldMask {
                paths: vec!["policy".to_owned()],
            }),
        };
        self.admin.apis().update_api(request).await.unwrap();
        self.until_applied().await;
    }

    /// Puts a plan's subscriber under an application policy.
    async fn seat_application(&self, plan: &str) {
        let request = CreateApplicationPolicyRequest {
            application_policy_id: "seats".to_owned(),
            application_policy: Some(ApplicationPolicy {
                limits: Some(seats()),
                ..ApplicationPolicy::default()
            }),
        };
        let mut policies = self.admin.application_policies();
        let policy = policies.create_application_policy(request).await.unwrap();
        let request = UpdateApplicationRequest {
            application: Some(Application {
                name: self.subscribers[plan].application.clone(),
                policy: policy.into_inner().name,
                ..Application::default()
            }),
            update_mask: None,
        };
        let mut applications = self.admin.applications();
        applications.update_application(request).await.unwrap();
        self.until_applied().await;
    }

    /// Opens as many sessions as there is room for, by turns at all gateways and with all of these.
    async fn seated(&self, upgrades: &[&Upgrade]) -> Vec<Client> {
        let gateways = self.gateways();
        let mut held = Vec::new();
        loop {
            let upgrade = upgrades[held.len() % upgrades.len()];
            match upgrade.send(gateways[held.len() % gateways.len()]).await {
                Ok(client) => held.push(client),
                Err(refusal) => {
                    assert_eq!(refusal.reason(), "session_limit");
                    return held;
                }
            }
            assert!(held.len() <= 2 * SEATS, "there is no limit");
        }
    }

    /// Sees that these have all the seats between them.
    async fn share_seats(&self, upgrades: &[&Upgrade]) {
        // Those of the case before may be on their way out.
        let all = async || {
            let held = self.seated(upgrades).await;
            assert!(held.len() <= SEATS, "{} at {SEATS} seats", held.len());
            (held.len() == SEATS).then_some(())
        };
        wait::until("all seats can be had, and no more", all).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_sessions_of_an_application_an_api_and_an_address_are_counted_over_all_gateways() {
    let plans = [("one", messages(1_000)), ("two", messages(1_000))];
    let site = Site::start(2, &plans).await;
    let (one, two) = (&site.upgrade("one"), &site.upgrade("two"));

    site.seat_application("one").await;
    site.share_seats(&[one]).await;

    site.seat_api("for-each", Per::Application).await;
    site.share_seats(&[two]).await;
    site.seat_api("together", Per::Api).await;
    site.share_seats(&[one, two]).await;
    site.seat_api("from-here", Per::Address).await;
    site.share_seats(&[one, two]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_is_told_what_is_left_over_all_gateways() {
    let site = Site::start(2, &[("told", messages(100))]).await;
    let mut session = Session::open(site.gateways()[0], &site.upgrade("told"), 1).await;
    session.send(70).await;
    session.settled().await;
    // What the first gateway holds and has not spent is left, too, and given back in time.
    let told = async || {
        let session = Session::open(site.gateways()[1], &site.upgrade("told"), 1).await;
        let field = |name| session.client.head.field(name).unwrap().to_owned();
        let left: u64 = field("x-ratelimit-remaining").parse().unwrap();
        assert!(left <= 30, "{left} of 30");
        assert!(field("ratelimit").contains(&format!("r={left};")));
        (left == 30).then_some(())
    };
    wait::until("the second gateway tells what is left", told).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_applies_on_every_gateway() {
    let site = Site::start(2, &[("reset", messages(40))]).await;
    let shape = Shape {
        parts: vec![1, 1],
        ..Shape::of(60, false, false)
    };
    assert_eq!(site.flood("reset", 1, &shape).await, 40);
    let request = ResetSubscriptionQuotaRequest {
        name: site.subscribers["reset"].subscription.clone(),
    };
    let mut subscriptions = site.admin.subscriptions();
    subscriptions
        .reset_subscription_quota(request)
        .await
        .unwrap();
    site.until_applied().await;
    assert_eq!(site.flood("reset", 1, &shape).await, 80);
}
