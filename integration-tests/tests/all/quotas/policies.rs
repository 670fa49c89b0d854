//! Policies that admins create: for applications, for APIs with conditional groups, for topics, and deny policies; and
//! counters that an admin resets. From the admin API through the stream to open sessions.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prost_types::{FieldMask, Timestamp};
use tidegate_integration_tests::{admin::Subscriber, client::Upgrade, flood::Session, wait};
use tidegate_proto::admin::v1::{
    Api, ApiPolicy, Application, ApplicationPolicy, Condition, ConditionalGroup,
    CreateApiPolicyRequest, CreateApplicationPolicyRequest, CreateDenyPolicyRequest,
    CreateRevisionRequest, DeleteDenyPolicyRequest, DenyPolicy, DeployRevisionRequest, Limits,
    Match, Per, ResetSubscriptionQuotaRequest, Topic, UpdateApiPolicyRequest, UpdateApiRequest,
    UpdateApplicationRequest, UpdateDenyPolicyRequest, condition::Subject, deny_policy::Target,
};
use xtask::client::post_form;

use super::{PATH, Site, messages};

impl Site {
    /// Waits until every gateway runs what the control plane holds, and has accepted all of it.
    pub(super) async fn until_applied(&self) {
        let applied = async || {
            let nodes = self.admin.nodes().await;
            let rejections = nodes.iter().flat_map(|node| &node.rejections);
            assert_eq!(rejections.count(), 0, "{nodes:?}");
            nodes.iter().all(|node| node.lag == 0).then_some(())
        };
        wait::until("gateways run the latest configuration", applied).await;
    }

    /// Makes an API policy by which all callers of a group count together.
    async fn limit_apis(&self, name: &str, limits: Limits, groups: &[ConditionalGroup]) -> String {
        let request = CreateApiPolicyRequest {
            api_policy_id: name.to_owned(),
            api_policy: Some(ApiPolicy {
                per: Per::Api.into(),
                limits: Some(limits),
                groups: groups.to_vec(),
                ..ApiPolicy::default()
            }),
        };
        let made = self.admin.api_policies().create_api_policy(request).await;
        made.unwrap().into_inner().name
    }

    /// Gives an API policy other limits.
    async fn change_limits(&self, policy: &str, limits: Limits) {
        let request = UpdateApiPolicyRequest {
            api_policy: Some(ApiPolicy {
                name: policy.to_owned(),
                limits: Some(limits),
                ..ApiPolicy::default()
            }),
            update_mask: None,
        };
        let mut client = self.admin.api_policies();
        client.update_api_policy(request).await.unwrap();
    }

    /// Makes an application policy and puts a subscriber's application under it.
    async fn limit_application(&self, of: &Subscriber, name: &str, per_token: bool, amount: u64) {
        let request = CreateApplicationPolicyRequest {
            application_policy_id: name.to_owned(),
            application_policy: Some(ApplicationPolicy {
                per_token,
                limits: Some(messages(amount)),
                ..ApplicationPolicy::default()
            }),
        };
        let mut policies = self.admin.application_policies();
        let policy = policies.create_application_policy(request).await;
        let request = UpdateApplicationRequest {
            application: Some(Application {
                name: of.application.clone(),
                policy: policy.unwrap().into_inner().name,
                ..Application::default()
            }),
            update_mask: None,
        };
        let mut applications = self.admin.applications();
        applications.update_application(request).await.unwrap();
        self.until_applied().await;
    }

    /// Opens a session and sends so many messages; says how many came through, over all sessions of this number.
    async fn sent(&self, upgrade: &Upgrade, number: u16, count: u64) -> u64 {
        let mut session = Session::open(self.gateways()[0], upgrade, number).await;
        self.sent_on(&mut session, number, count).await
    }

    async fn sent_on(&self, session: &mut Session, number: u16, count: u64) -> u64 {
        session.send(count).await;
        session.settled().await;
        self.tally.of(number)
    }
}

fn group(conditions: &[(Subject, bool)], amount: u64) -> ConditionalGroup {
    let conditions = conditions.iter().cloned();
    ConditionalGroup {
        description: String::new(),
        conditions: conditions
            .map(|(subject, invert)| Condition {
                subject: Some(subject),
                invert,
            })
            .collect(),
        limits: Some(messages(amount)),
    }
}

fn sought(name: &str, value: &str) -> Match {
    Match {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

fn mask(path: &str) -> Option<FieldMask> {
    Some(FieldMask {
        paths: vec![path.to_owned()],
    })
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

#[tokio::test]
async fn an_application_policy_holds_for_all_tokens_together_or_for_each() {
    let site = Site::alone(&[("large", messages(1_000))]).await;
    let subscriber = &site.subscribers["large"];
    let first = site.upgrade("large");
    let second = Upgrade::to(PATH).bearer(&site.admin.token(subscriber).await);

    site.limit_application(subscriber, "together", false, 10)
        .await;
    assert_eq!(site.sent(&first, 1, 6).await, 6);
    assert_eq!(site.sent(&second, 2, 6).await, 4);

    site.limit_application(subscriber, "each", true, 10).await;
    assert_eq!(site.sent(&first, 3, 12).await, 10);
    assert_eq!(site.sent(&second, 4, 12).await, 10);
    assert_eq!(site.sent(&first, 5, 1).await, 0, "a token used up stays so");
}

#[tokio::test]
async fn the_first_group_of_an_api_policy_whose_conditions_hold_applies() {
    let site = Site::alone(&[("large", messages(1_000))]).await;
    let address = |range: &str| Subject::Address(range.to_owned());
    let tier = |value: &str| Subject::Header(sought("X-Tier", value));
    let groups = [
        // Tests come from the loopback address.
        group(&[(tier(""), false), (address("127.0.0.0/8"), true)], 1),
        group(
            &[(tier("gold"), false), (address("192.0.2.0/24"), true)],
            20,
        ),
        group(&[(Subject::Query(sought("beta", "")), false)], 15),
        group(&[(Subject::Claim(sought("scope", "metered")), false)], 12),
    ];
    let policy = site.limit_apis("tiers", messages(8), &groups).await;
    let request = UpdateApiRequest {
        api: Some(Api {
            name: site.api.name.clone(),
            policy: policy.clone(),
            ..Api::default()
        }),
        update_mask: mask("policy"),
    };
    site.admin.apis().update_api(request).await.unwrap();
    site.until_applied().await;

    let plain = site.upgrade("large");
    let beta = Upgrade::to(&format!("{PATH}?beta=1")).bearer(&site.tokens["large"]);
    let metered = Upgrade::to(PATH).bearer(&metered_token(&site).await);
    for (number, upgrade, expected) in [
        (1, beta.clone().with("x-tier", "gold"), 20),
        (2, beta.with("x-tier", "silver"), 15),
        (3, metered, 12),
        (4, plain.clone().with("x-tier", "silver"), 8),
    ] {
        assert_eq!(site.sent(&upgrade, number, 25).await, expected, "{number}");
    }
    assert_eq!(
        site.sent(&plain, 5, 1).await,
        0,
        "all others count together"
    );

    let mut session = Session::open(site.gateways()[0], &plain, 6).await;
    site.change_limits(&policy, messages(11)).await;
    let more = async || (site.sent_on(&mut session, 6, 1).await > 0).then_some(());
    wait::until("the changed policy rules on a live session", more).await;
    assert_eq!(site.sent_on(&mut session, 6, 9).await, 3);
}

/// A token of the subscriber whose claim `scope` is `metered`.
async fn metered_token(site: &Site) -> String {
    let (admin, subscriber) = (&site.admin, &site.subscribers["large"]);
    admin.allow(subscriber, &["metered"]).await;
    let basic = (&*subscriber.client_id, &*subscriber.client_secret);
    let form = "grant_type=client_credentials&scope=metered";
    let path = "/oauth2/token";
    let answer = post_form(&admin.url, &admin.ca_cert, path, Some(basic), form).await;
    let body: serde_json::Value = serde_json::from_str(&answer.unwrap().body).unwrap();
    body["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_policy_of_a_topic_comes_with_a_revision_and_then_changes_without_one() {
    let plans = [("one", messages(1_000)), ("two", messages(1_000))];
    let site = Site::alone(&plans).await;
    let policy = site.limit_apis("strict", messages(3), &[]).await;
    let topic = |template: &str, policy: &str| Topic {
        template: template.to_owned(),
        policy: policy.to_owned(),
        ..Topic::default()
    };
    let request = UpdateApiRequest {
        api: Some(Api {
            name: site.api.name.clone(),
            topics: vec![topic("/strict", &policy), topic("/free", "")],
            ..Api::default()
        }),
        update_mask: mask("topics"),
    };
    let mut apis = site.admin.apis();
    apis.update_api(request).await.unwrap();
    let upgrade = |topic: &str, plan: &str| {
        Upgrade::to(&format!("{PATH}/{topic}")).bearer(&site.tokens[plan])
    };
    site.until_applied().await;
    assert_eq!(site.sent(&upgrade("strict", "one"), 1, 5).await, 5);

    let request = CreateRevisionRequest {
        parent: site.api.name.clone(),
        ..CreateRevisionRequest::default()
    };
    let revision = apis.create_revision(request).await.unwrap().into_inner();
    let request = DeployRevisionRequest {
        name: revision.name,
        environments: vec!["environments/default".to_owned()],
    };
    apis.deploy_revision(request).await.unwrap();
    site.until_applied().await;
    let mut session = Session::open(site.gateways()[0], &upgrade("strict", "one"), 2).await;
    assert_eq!(site.sent_on(&mut session, 2, 5).await, 3);
    assert_eq!(site.sent(&upgrade("strict", "two"), 3, 5).await, 0);
    assert_eq!(site.sent(&upgrade("free", "one"), 4, 5).await, 5);

    site.change_limits(&policy, messages(6)).await;
    let more = async || (site.sent_on(&mut session, 2, 1).await > 3).then_some(());
    wait::until("the changed policy rules on a live session", more).await;
    assert_eq!(site.sent_on(&mut session, 2, 9).await, 6);
}

#[tokio::test]
async fn a_deny_policy_ends_sessions_and_refuses_handshakes_until_it_ends_or_goes() {
    let plans = [("one", messages(1_000)), ("two", messages(1_000))];
    let site = Site::alone(&plans).await;
    let gateway = site.gateways()[0];
    let (one, two) = (site.upgrade("one"), site.upgrade("two"));
    let mut denied = Session::open(gateway, &one, 1).await;
    let mut other = Session::open(gateway, &two, 2).await;
    let mut client = site.admin.deny_policies();
    let request = CreateDenyPolicyRequest {
        deny_policy: Some(DenyPolicy {
            target: Some(Target::Application(
                site.subscribers["one"].application.clone(),
            )),
            ..DenyPolicy::default()
        }),
    };
    let policy = client.create_deny_policy(request.clone()).await.unwrap();
    let policy = policy.into_inner();
    assert_eq!(denied.client.until_close().await, Some(4006));
    let refusal = one.refused(gateway).await;
    assert_eq!(refusal.status(), 403);
    assert_eq!(refusal.reason(), "denied_by_policy");

    let end = i64::try_from(now().as_secs()).unwrap() + 4;
    let change = UpdateDenyPolicyRequest {
        deny_policy: Some(DenyPolicy {
            name: policy.name.clone(),
            expire_time: Some(Timestamp {
                seconds: end,
                nanos: 0,
            }),
            ..DenyPolicy::default()
        }),
        update_mask: None,
    };
    client.update_deny_policy(change).await.unwrap();
    let let_in = async || one.send(gateway).await.ok();
    wait::until("a policy that has ended lets in again", let_in).await;
    assert!(i64::try_from(now().as_secs()).unwrap() >= end);

    let delete = DeleteDenyPolicyRequest {
        name: policy.name,
        etag: String::new(),
    };
    client.delete_deny_policy(delete).await.unwrap();
    let policy = client.create_deny_policy(request).await.unwrap();
    site.until_applied().await;
    assert_eq!(one.refused(gateway).await.status(), 403);
    let delete = DeleteDenyPolicyRequest {
        name: policy.into_inner().name,
        etag: String::new(),
    };
    client.delete_deny_policy(delete).await.unwrap();
    site.until_applied().await;
    assert_eq!(site.sent(&one, 3, 1).await, 1);
    assert_eq!(site.sent_on(&mut other, 2, 5).await, 5, "others go on");
}

#[tokio::test]
async fn a_reset_lets_an_open_session_use_its_whole_plan_again() {
    let site = Site::alone(&[("small", messages(4))]).await;
    let upgrade = site.upgrade("small");
    let mut session = Session::open(site.gateways()[0], &upgrade, 1).await;
    assert_eq!(site.sent_on(&mut session, 1, 6).await, 4);
    let request = ResetSubscriptionQuotaRequest {
        name: site.subscribers["small"].subscription.clone(),
    };
    let mut subscriptions = site.admin.subscriptions();
    subscriptions
        .reset_subscription_quota(request)
        .await
        .unwrap();
    let more = async || (site.sent_on(&mut session, 1, 1).await > 4).then_some(());
    wait::until("messages pass again", more).await;
    assert_eq!(site.sent_on(&mut session, 1, 9).await, 8);
}
