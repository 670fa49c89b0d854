//! Who may see what a subscription has used, and what is said of one that nobody uses.

use tidegate_proto::admin::v1::{
    Application, CreateApplicationRequest, CreateSubscriptionRequest, GetSubscriptionUsageRequest,
    QuotaUnit, Subscription, SubscriptionUsage,
};
use tonic::{Code, Status};

use super::{Caller, Stage, echo, faults};
use crate::domain::user::Role;

/// A subscription of the caller's to an API that the admin has published.
async fn subscribed(stage: &Stage, owner: &Caller, plan: &str) -> Subscription {
    let mut api = echo();
    api.plans.push("plans/Unlimited".to_owned());
    let api = stage.admin().await.create(api, true).await.unwrap();
    let application = Application {
        display_name: "Mine".to_owned(),
        ..Application::default()
    };
    let request = CreateApplicationRequest {
        application: Some(application),
    };
    let application = owner.applications().create_application(request).await;
    let subscription = Subscription {
        application: application.unwrap().into_inner().name,
        api: api.name,
        plan: plan.to_owned(),
        ..Subscription::default()
    };
    let request = CreateSubscriptionRequest {
        subscription: Some(subscription),
    };
    let made = owner.subscriptions().create_subscription(request).await;
    made.unwrap().into_inner()
}

async fn usage(caller: &Caller, name: &str) -> Result<SubscriptionUsage, Status> {
    let request = GetSubscriptionUsageRequest {
        name: name.to_owned(),
    };
    let mut subscriptions = caller.subscriptions();
    let usage = subscriptions.get_subscription_usage(request).await?;
    Ok(usage.into_inner())
}

#[tokio::test]
async fn the_owner_publishers_and_admins_see_what_a_subscription_has_used_and_nobody_else_does() {
    let stage = Stage::new().await;
    let owner = stage.user("owner", &[Role::Subscriber]).await;
    let made = subscribed(&stage, &owner, "plans/Gold").await;
    let name = format!("{}/usage", made.name);
    let publisher = stage.user("publisher", &[Role::Publisher]).await;
    for caller in [&owner, &publisher, &stage.admin().await] {
        let usage = usage(caller, &name).await.unwrap();
        assert_eq!((&usage.name, &*usage.plan), (&name, "plans/Gold"));
    }
    let stranger = stage.user("stranger", &[Role::Subscriber]).await;
    let creator = stage.user("creator", &[Role::Creator]).await;
    for (caller, code) in [
        (&stranger, Code::NotFound),
        (&creator, Code::PermissionDenied),
        (&stage.nobody(), Code::Unauthenticated),
    ] {
        assert_eq!(usage(caller, &name).await.unwrap_err().code(), code);
    }
    let misnamed = usage(&owner, &made.name).await.unwrap_err();
    assert_eq!(
        faults(&misnamed),
        [("name".to_owned(), "MALFORMED".to_owned())]
    );
}

#[tokio::test]
async fn of_a_subscription_that_nobody_uses_everything_is_left() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let made = subscribed(&stage, &admin, "plans/Silver").await;
    let told = usage(&admin, &format!("{}/usage", made.name))
        .await
        .unwrap();
    assert!(!told.unlimited && told.stop_on_quota_reach);
    let [here] = &told.environments[..] else {
        panic!("it is deployed once: {told:?}")
    };
    assert_eq!(here.environment, "environments/default");
    assert_eq!((here.open_sessions, here.oldest_report_time), (0, None));
    let [quota] = here.quotas[..] else {
        panic!("the plan has one limit: {here:?}")
    };
    assert_eq!(quota.unit(), QuotaUnit::Messages);
    assert_eq!((quota.limit, quota.window_seconds), (25_000, 86_400));
    assert_eq!((quota.used, quota.remaining), (Some(0), Some(25_000)));
    let [start, end] = [quota.window_start_time, quota.window_end_time].map(|it| it.unwrap());
    assert_eq!(
        (start.seconds % 86_400, end.seconds - start.seconds),
        (0, 86_400)
    );
}

#[tokio::test]
async fn an_unlimited_plan_says_so_and_has_no_counters() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let made = subscribed(&stage, &admin, "plans/Unlimited").await;
    let told = usage(&admin, &format!("{}/usage", made.name))
        .await
        .unwrap();
    assert!(told.unlimited);
    assert_eq!(told.environments[0].quotas, []);
}
