//! Counters that begin anew at an admin's word.

use tidegate_proto::{
    admin::v1::{
        ListAuditEntriesRequest, ResetApiQuotaRequest, ResetApplicationQuotaRequest,
        ResetSubscriptionQuotaRequest,
    },
    ids::{ApiId, ApplicationId, SubscriptionId},
};
use tonic::Code;

use super::{
    Stage,
    catalogue::{register, subscribe},
    echo,
};

#[tokio::test]
async fn a_reset_counts_the_generation_up_is_audited_and_makes_no_etag_stale() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let api = admin.create(echo(), true).await.unwrap();
    let application = register(&admin, "Mine").await.unwrap();
    let subscription = subscribe(&admin, &application.name, &api.name, "plans/Gold").await;
    let subscription = subscription.unwrap();
    for _ in 0..2 {
        let name = api.name.clone();
        let request = ResetApiQuotaRequest { name };
        let reset = admin.apis().reset_api_quota(request).await;
        assert_eq!(reset.unwrap().into_inner(), api);
        let name = application.name.clone();
        let request = ResetApplicationQuotaRequest { name };
        let reset = admin.applications().reset_application_quota(request).await;
        assert_eq!(reset.unwrap().into_inner(), application);
        let name = subscription.name.clone();
        let request = ResetSubscriptionQuotaRequest { name };
        let reset = admin
            .subscriptions()
            .reset_subscription_quota(request)
            .await;
        assert_eq!(reset.unwrap().into_inner(), subscription);
    }
    let state = stage.service.state();
    let generations = [
        state.apis().values().next().unwrap().quota_generation,
        state
            .applications()
            .values()
            .next()
            .unwrap()
            .quota_generation,
        state
            .subscriptions()
            .values()
            .next()
            .unwrap()
            .quota_generation,
    ];
    assert_eq!(generations, [2; 3]);
    for (action, resource) in [
        ("ResetApiQuota", &api.name),
        ("ResetApplicationQuota", &application.name),
        ("ResetSubscriptionQuota", &subscription.name),
    ] {
        let request = ListAuditEntriesRequest {
            filter: format!("action = {action} AND resource = \"{resource}\""),
            ..ListAuditEntriesRequest::default()
        };
        let page = admin.audit().list_audit_entries(request).await.unwrap();
        assert_eq!(page.into_inner().audit_entries.len(), 2, "{action}");
    }
}

#[tokio::test]
async fn what_does_not_exist_has_no_counters() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let name = format!("apis/{}", ApiId::generate());
    let request = ResetApiQuotaRequest { name };
    let api = admin.apis().reset_api_quota(request).await;
    let name = format!("applications/{}", ApplicationId::generate());
    let request = ResetApplicationQuotaRequest { name };
    let application = admin.applications().reset_application_quota(request).await;
    let name = format!("subscriptions/{}", SubscriptionId::generate());
    let request = ResetSubscriptionQuotaRequest { name };
    let subscription = admin
        .subscriptions()
        .reset_subscription_quota(request)
        .await;
    for refused in [
        api.unwrap_err(),
        application.unwrap_err(),
        subscription.unwrap_err(),
    ] {
        assert_eq!(refused.code(), Code::NotFound);
    }
}
