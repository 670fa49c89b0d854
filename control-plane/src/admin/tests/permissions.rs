//! Who may call what: every call that changes something, by every role.

use tidegate_proto::{
    admin::v1::{
        Api, ApiPolicy, ApplicationKey, ApplicationPolicy, BlockSubscriptionRequest,
        ChangeLifecycleRequest, ChangePasswordRequest, CreateApiPolicyRequest, CreateApiRequest,
        CreateApiVersionRequest, CreateApplicationKeyRequest, CreateApplicationPolicyRequest,
        CreateApplicationRequest, CreateDenyPolicyRequest, CreateDocumentRequest,
        CreateEnvironmentRequest, CreatePlanRequest, CreateRevisionRequest,
        CreateSubscriptionRequest, CreateUserRequest, DeleteApiPolicyRequest, DeleteApiRequest,
        DeleteApplicationKeyRequest, DeleteApplicationPolicyRequest, DeleteApplicationRequest,
        DeleteDenyPolicyRequest, DeleteDocumentRequest, DeleteEnvironmentRequest,
        DeletePlanRequest, DeleteRevisionRequest, DeleteSubscriptionRequest,
        DeleteThumbnailRequest, DeleteUserRequest, DenyPolicy, DeployRevisionRequest, Document,
        Environment, GenerateAccessTokenRequest, GetApiRequest, GetDenyPolicyRequest,
        GetSettingsRequest, GetSubscriptionUsageRequest, LifecycleAction, ListApiPoliciesRequest,
        ListApisRequest, ListApplicationPoliciesRequest, ListAuditEntriesRequest,
        ListDenyPoliciesRequest, ListDeploymentProgressRequest, ListNodesRequest,
        ListSigningKeysRequest, Plan, RegenerateSecretRequest, ResetApiQuotaRequest,
        ResetApplicationQuotaRequest, ResetSubscriptionQuotaRequest, RestoreRevisionRequest,
        RotateSigningKeyRequest, SetThumbnailRequest, SignOutEverywhereRequest, Subscription,
        Topic, UnblockSubscriptionRequest, UndeployRevisionRequest, UpdateApiPolicyRequest,
        UpdateApiRequest, UpdateApplicationKeyRequest, UpdateApplicationPolicyRequest,
        UpdateApplicationRequest, UpdateDenyPolicyRequest, UpdateDocumentRequest,
        UpdateEnvironmentRequest, UpdatePlanRequest, UpdateSettingsRequest,
        UpdateSubscriptionRequest, UpdateUserRequest,
    },
    ids::{ApiId, ApplicationId, DenyPolicyId, DocumentId, RevisionId, SubscriptionId},
};
use tonic::{Code, Status};

use super::{Caller, Stage, echo, reason};
use crate::domain::user::Role::{self, Admin, Creator, Publisher, Subscriber};

/// Calls under one name, as one caller; what is not there is named in forms that read.
macro_rules! calls {
    ($caller:ident: $($client:ident.$call:ident($request:expr) => $roles:expr),* $(,)?) => {
        vec![$((
            stringify!($call),
            $caller.$client().$call($request).await.err(),
            $roles.to_vec(),
        )),*]
    };
}

type Tried = Vec<(&'static str, Option<Status>, Vec<Role>)>;

async fn every_api_call(caller: &Caller) -> Tried {
    let api = format!("apis/{}", ApiId::generate());
    let revision = format!("{api}/revisions/{}", RevisionId::generate());
    let document = format!("{api}/documents/{}", DocumentId::generate());
    let environments = vec!["environments/default".to_owned()];
    calls!(caller:
        apis.create_api(CreateApiRequest { api: Some(echo()), publish: false }) => [Admin, Creator],
        apis.update_api(UpdateApiRequest {
            api: Some(Api { name: api.clone(), description: "x".to_owned(), ..Default::default() }),
            update_mask: None,
        }) => [Admin, Creator, Publisher],
        apis.delete_api(DeleteApiRequest { name: api.clone(), ..Default::default() }) => [Admin, Creator],
        apis.create_api_version(CreateApiVersionRequest { name: api.clone(), version: "2".to_owned(), ..Default::default() }) => [Admin, Creator],
        apis.change_lifecycle(ChangeLifecycleRequest {
            name: api.clone(),
            action: LifecycleAction::Publish as i32,
            ..Default::default()
        }) => [Admin, Publisher],
        apis.create_revision(CreateRevisionRequest { parent: api.clone(), ..Default::default() }) => [Admin, Creator],
        apis.delete_revision(DeleteRevisionRequest { name: revision.clone() }) => [Admin, Creator],
        apis.set_thumbnail(SetThumbnailRequest { name: format!("{api}/thumbnail"), ..Default::default() }) => [Admin, Creator],
        apis.delete_thumbnail(DeleteThumbnailRequest { name: format!("{api}/thumbnail") }) => [Admin, Creator],
        documents.create_document(CreateDocumentRequest { parent: api.clone(), ..Default::default() }) => [Admin, Creator, Publisher],
        documents.update_document(UpdateDocumentRequest { document: Some(Document { name: document.clone(), ..Default::default() }), ..Default::default() }) => [Admin, Creator, Publisher],
        documents.delete_document(DeleteDocumentRequest { name: document, ..Default::default() }) => [Admin, Creator, Publisher],
        apis.restore_revision(RestoreRevisionRequest { name: revision.clone(), ..Default::default() }) => [Admin, Creator],
        apis.deploy_revision(DeployRevisionRequest { name: revision.clone(), environments: environments.clone() }) => [Admin, Creator, Publisher],
        apis.list_deployment_progress(ListDeploymentProgressRequest { parent: api.clone() }) => [Admin, Creator, Publisher],
        apis.undeploy_revision(UndeployRevisionRequest { name: revision.clone(), environments: environments.clone() }) => [Admin, Creator, Publisher],
    )
}

async fn every_subscriber_call(caller: &Caller) -> Tried {
    let application = format!("applications/{}", ApplicationId::generate());
    let key = format!("{application}/keys/nobody");
    let subscription = format!("subscriptions/{}", SubscriptionId::generate());
    let wanted = Subscription {
        application: application.clone(),
        api: format!("apis/{}", ApiId::generate()),
        plan: "plans/Gold".to_owned(),
        ..Default::default()
    };
    let named = Subscription {
        name: subscription.clone(),
        plan: "plans/Gold".to_owned(),
        ..Default::default()
    };
    let mut mine = tidegate_proto::admin::v1::Application {
        display_name: "Mine".to_owned(),
        ..Default::default()
    };
    let create = CreateApplicationRequest {
        application: Some(mine.clone()),
    };
    mine.name.clone_from(&application);
    calls!(caller:
        applications.create_application(create) => [Admin, Subscriber],
        applications.update_application(UpdateApplicationRequest { application: Some(mine), ..Default::default() }) => [Admin, Subscriber],
        applications.delete_application(DeleteApplicationRequest { name: application.clone(), ..Default::default() }) => [Admin, Subscriber],
        applications.create_application_key(CreateApplicationKeyRequest { parent: application.clone(), ..Default::default() }) => [Admin, Subscriber],
        applications.update_application_key(UpdateApplicationKeyRequest {
            application_key: Some(ApplicationKey { name: key.clone(), ..Default::default() }),
            ..Default::default()
        }) => [Admin],
        applications.delete_application_key(DeleteApplicationKeyRequest { name: key.clone() }) => [Admin, Subscriber],
        applications.regenerate_secret(RegenerateSecretRequest { name: key.clone() }) => [Admin, Subscriber],
        applications.generate_access_token(GenerateAccessTokenRequest { name: key, ..Default::default() }) => [Admin, Subscriber],
        subscriptions.create_subscription(CreateSubscriptionRequest { subscription: Some(wanted) }) => [Admin, Subscriber],
        subscriptions.update_subscription(UpdateSubscriptionRequest { subscription: Some(named), ..Default::default() }) => [Admin, Publisher, Subscriber],
        subscriptions.delete_subscription(DeleteSubscriptionRequest { name: subscription.clone(), ..Default::default() }) => [Admin, Subscriber],
        subscriptions.get_subscription_usage(GetSubscriptionUsageRequest { name: format!("{subscription}/usage") }) => [Admin, Publisher, Subscriber],
        subscriptions.block_subscription(BlockSubscriptionRequest { name: subscription.clone(), ..Default::default() }) => [Admin, Publisher],
        subscriptions.unblock_subscription(UnblockSubscriptionRequest { name: subscription, ..Default::default() }) => [Admin, Publisher],
    )
}

async fn every_administrators_call(caller: &Caller) -> Tried {
    let plan = || {
        Some(Plan {
            name: "plans/Nobody".to_owned(),
            description: "x".to_owned(),
            ..Default::default()
        })
    };
    let environment = || {
        Some(Environment {
            name: "environments/nowhere".to_owned(),
            description: "x".to_owned(),
            ..Default::default()
        })
    };
    let user = Some(tidegate_proto::admin::v1::User {
        name: "users/nobody".to_owned(),
        roles: vec![1],
        ..Default::default()
    });
    calls!(caller:
        plans.create_plan(CreatePlanRequest { plan_id: "Mine".to_owned(), plan: plan() }) => [Admin],
        plans.update_plan(UpdatePlanRequest { plan: plan(), ..Default::default() }) => [Admin],
        plans.delete_plan(DeletePlanRequest { name: "plans/Nobody".to_owned(), ..Default::default() }) => [Admin],
        gateways.create_environment(CreateEnvironmentRequest { environment_id: "mine".to_owned(), ..Default::default() }) => [Admin],
        gateways.update_environment(UpdateEnvironmentRequest { environment: environment(), ..Default::default() }) => [Admin],
        gateways.delete_environment(DeleteEnvironmentRequest { name: "environments/nowhere".to_owned(), ..Default::default() }) => [Admin],
        gateways.list_nodes(ListNodesRequest { parent: "environments/-".to_owned(), ..Default::default() }) => [Admin, Creator, Publisher],
        users.create_user(CreateUserRequest { user_id: "new".to_owned(), user: user.clone(), password: "long enough".to_owned() }) => [Admin],
        users.update_user(UpdateUserRequest { user, ..Default::default() }) => [Admin],
        users.delete_user(DeleteUserRequest { name: "users/nobody".to_owned(), ..Default::default() }) => [Admin],
        users.change_password(ChangePasswordRequest { name: "users/admin".to_owned(), new_password: "long enough".to_owned(), ..Default::default() }) => [Admin],
        signing_keys.list_signing_keys(ListSigningKeysRequest {}) => [Admin],
        signing_keys.rotate_signing_key(RotateSigningKeyRequest {}) => [Admin],
        audit.list_audit_entries(ListAuditEntriesRequest::default()) => [Admin],
        settings.get_settings(GetSettingsRequest {}) => [Admin],
        settings.update_settings(UpdateSettingsRequest::default()) => [Admin],
        sessions.sign_out_everywhere(SignOutEverywhereRequest { user: "users/nobody".to_owned() }) => [Admin],
    )
}

async fn every_policy_call(caller: &Caller) -> Tried {
    let deny = || DenyPolicy {
        name: format!("denyPolicies/{}", DenyPolicyId::generate()),
        description: "x".to_owned(),
        ..Default::default()
    };
    let api = || ApiPolicy {
        name: "apiPolicies/nobody".to_owned(),
        description: "x".to_owned(),
        ..Default::default()
    };
    let application = || ApplicationPolicy {
        name: "applicationPolicies/nobody".to_owned(),
        description: "x".to_owned(),
        ..Default::default()
    };
    calls!(caller:
        application_policies.create_application_policy(CreateApplicationPolicyRequest::default()) => [Admin],
        application_policies.list_application_policies(ListApplicationPoliciesRequest::default()) => Role::ALL,
        application_policies.update_application_policy(UpdateApplicationPolicyRequest { application_policy: Some(application()), ..Default::default() }) => [Admin],
        application_policies.delete_application_policy(DeleteApplicationPolicyRequest { name: application().name, ..Default::default() }) => [Admin],
        api_policies.create_api_policy(CreateApiPolicyRequest::default()) => [Admin],
        api_policies.list_api_policies(ListApiPoliciesRequest::default()) => Role::ALL,
        api_policies.update_api_policy(UpdateApiPolicyRequest { api_policy: Some(api()), ..Default::default() }) => [Admin],
        api_policies.delete_api_policy(DeleteApiPolicyRequest { name: api().name, ..Default::default() }) => [Admin],
        deny_policies.create_deny_policy(CreateDenyPolicyRequest::default()) => [Admin],
        deny_policies.get_deny_policy(GetDenyPolicyRequest { name: deny().name }) => [Admin],
        deny_policies.list_deny_policies(ListDenyPoliciesRequest::default()) => [Admin],
        deny_policies.update_deny_policy(UpdateDenyPolicyRequest { deny_policy: Some(deny()), ..Default::default() }) => [Admin],
        deny_policies.delete_deny_policy(DeleteDenyPolicyRequest { name: deny().name, ..Default::default() }) => [Admin],
        apis.reset_api_quota(ResetApiQuotaRequest { name: format!("apis/{}", ApiId::generate()) }) => [Admin],
        applications.reset_application_quota(ResetApplicationQuotaRequest { name: format!("applications/{}", ApplicationId::generate()) }) => [Admin],
        subscriptions.reset_subscription_quota(ResetSubscriptionQuotaRequest { name: format!("subscriptions/{}", SubscriptionId::generate()) }) => [Admin],
    )
}

#[tokio::test]
async fn every_call_is_open_to_its_roles_and_to_no_others() {
    let stage = Stage::new().await;
    for role in Role::ALL {
        let caller = stage.user(role.as_str().get(..4).unwrap(), &[role]).await;
        let mut tried = every_api_call(&caller).await;
        tried.extend(every_subscriber_call(&caller).await);
        tried.extend(every_administrators_call(&caller).await);
        tried.extend(every_policy_call(&caller).await);
        for (call, refused, roles) in tried {
            let denied = refused
                .as_ref()
                .is_some_and(|it| it.code() == Code::PermissionDenied);
            // An admin's own password needs the old one, so that call is refused for another reason.
            assert_eq!(
                denied,
                !roles.contains(&role),
                "{call} as {role:?}: {refused:?}"
            );
            if let Some(refused) = refused.filter(|_| denied) {
                assert_eq!(reason(&refused), "PERMISSION_DENIED", "{call}");
            }
        }
    }
}

#[tokio::test]
async fn nothing_that_these_calls_do_is_open_to_strangers() {
    let stage = Stage::new().await;
    let nobody = stage.nobody();
    let mut tried = every_api_call(&nobody).await;
    tried.extend(every_subscriber_call(&nobody).await);
    tried.extend(every_administrators_call(&nobody).await);
    tried.extend(every_policy_call(&nobody).await);
    for (call, refused, _) in tried {
        assert_eq!(refused.unwrap().code(), Code::Unauthenticated, "{call}");
    }
}

#[tokio::test]
async fn a_publisher_chooses_the_plans_of_an_api_and_changes_nothing_else() {
    let stage = Stage::new().await;
    let api = stage.admin().await.create(echo(), false).await.unwrap();
    let publisher = stage.user("publisher", &[Publisher]).await;
    let change = |description: &str, plan: &str| UpdateApiRequest {
        api: Some(Api {
            name: api.name.clone(),
            description: description.to_owned(),
            plans: vec![plan.to_owned()],
            ..Api::default()
        }),
        update_mask: None,
    };
    let plans = publisher
        .apis()
        .update_api(change("", "plans/Bronze"))
        .await
        .unwrap();
    assert_eq!(plans.into_inner().plans, ["plans/Bronze"]);
    let more = publisher
        .apis()
        .update_api(change("mine", "plans/Gold"))
        .await
        .unwrap_err();
    assert_eq!(more.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn publishing_while_creating_needs_both_roles() {
    let stage = Stage::new().await;
    let creator = stage.user("creator", &[Creator]).await;
    let refused = creator.create(echo(), true).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let both = stage.user("both", &[Creator, Publisher]).await;
    assert!(both.create(echo(), true).await.is_ok());
}

#[tokio::test]
async fn where_the_backend_is_is_told_to_those_who_see_every_api_and_to_nobody_else() {
    let stage = Stage::new().await;
    let topic = Topic {
        template: "/rooms".to_owned(),
        mapping: "/internal".to_owned(),
        ..Topic::default()
    };
    let api = Api {
        sandbox_endpoint: "ws://sandbox:8080".to_owned(),
        sandbox_keys_on_production_endpoint: true,
        topics: vec![topic],
        ..echo()
    };
    let api = stage.admin().await.create(api, true).await.unwrap();
    for role in Role::ALL {
        let caller = stage.user(&format!("one_{role:?}"), &[role]).await;
        let name = api.name.clone();
        let got = caller.apis().get_api(GetApiRequest { name }).await;
        let listed = caller.apis().list_apis(ListApisRequest::default()).await;
        let listed = listed.unwrap().into_inner().apis.remove(0);
        for seen in [got.unwrap().into_inner(), listed] {
            let told = [
                &seen.production_endpoint,
                &seen.sandbox_endpoint,
                &seen.topics[0].mapping,
            ];
            let is_told = told.map(|it| !it.is_empty());
            assert_eq!(is_told, [role != Subscriber; 3], "{role:?}");
            let is_told = seen.sandbox_keys_on_production_endpoint;
            assert_eq!(is_told, role != Subscriber, "{role:?}");
            assert_eq!(seen.topics[0].template, "/rooms");
        }
    }
}
