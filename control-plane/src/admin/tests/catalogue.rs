//! Plans, environments, users, applications, keys, subscriptions, nodes and the audit log.

use prost_types::FieldMask;
use tidegate_proto::admin::v1::{
    Allowance, Api, Application, ApplicationKey, BlockSubscriptionRequest, Burst,
    CreateApplicationKeyRequest, CreateApplicationRequest, CreateEnvironmentRequest,
    CreatePlanRequest, CreateSubscriptionRequest, CreateUserRequest, DeleteEnvironmentRequest,
    DeletePlanRequest, DeleteUserRequest, GetApplicationRequest, GetEnvironmentRequest,
    GetNodeRequest, KeyType, Limits, ListApplicationKeysRequest, ListAuditEntriesRequest,
    ListNodesRequest, ListSigningKeysRequest, OnLimit, Plan, RegenerateSecretRequest,
    Role as RoleMessage, RotateSigningKeyRequest, SigningKeyState, Subscription, SubscriptionState,
    UnblockSubscriptionRequest, UpdatePlanRequest, UpdateSubscriptionRequest, UpdateUserRequest,
    User,
};
use tonic::{Code, Status};

use super::{Caller, Stage, echo, faults, reason};
use crate::domain::user::Role;

pub(super) async fn register(caller: &Caller, display_name: &str) -> Result<Application, Status> {
    let request = CreateApplicationRequest {
        application: Some(Application {
            display_name: display_name.to_owned(),
            ..Application::default()
        }),
    };
    Ok(caller
        .applications()
        .create_application(request)
        .await?
        .into_inner())
}

pub(super) async fn subscribe(
    caller: &Caller,
    application: &str,
    api: &str,
    plan: &str,
) -> Result<Subscription, Status> {
    let request = CreateSubscriptionRequest {
        subscription: Some(Subscription {
            application: application.to_owned(),
            api: api.to_owned(),
            plan: plan.to_owned(),
            ..Subscription::default()
        }),
    };
    Ok(caller
        .subscriptions()
        .create_subscription(request)
        .await?
        .into_inner())
}

/// Another API than [`echo`].
fn other() -> Api {
    Api {
        api_name: "Other".to_owned(),
        context: "/other".to_owned(),
        ..echo()
    }
}

#[tokio::test]
async fn a_plan_is_made_changed_and_deleted_unless_it_is_in_use() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let request = CreatePlanRequest {
        plan_id: "Trial".to_owned(),
        plan: Some(Plan {
            limits: Some(a_minute(10)),
            ..Plan::default()
        }),
    };
    let plan = admin
        .plans()
        .create_plan(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (plan.name.as_str(), messages(&plan)),
        ("plans/Trial", (10, 60))
    );
    let again = admin.plans().create_plan(request).await.unwrap_err();
    assert_eq!(again.code(), Code::AlreadyExists);
    let change = UpdatePlanRequest {
        plan: Some(Plan {
            limits: Some(a_minute(20)),
            ..plan.clone()
        }),
        update_mask: Some(FieldMask {
            paths: vec!["limits".to_owned()],
        }),
    };
    let changed = admin
        .plans()
        .update_plan(change)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(messages(&changed), (20, 60));
    let delete = |name: &str| DeletePlanRequest {
        name: name.to_owned(),
        etag: String::new(),
    };
    admin
        .plans()
        .delete_plan(delete("plans/Trial"))
        .await
        .unwrap();
    admin.create(echo(), false).await.unwrap();
    let in_use = admin
        .plans()
        .delete_plan(delete("plans/Gold"))
        .await
        .unwrap_err();
    assert_eq!(reason(&in_use), "PLAN_IN_USE");
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table of values")]
async fn limits_that_are_none_are_refused_with_every_field_that_is_wrong() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let allowance = |amount, window_seconds| {
        Some(Allowance {
            amount,
            window_seconds,
        })
    };
    let cases: [(Limits, &[&str]); 9] = [
        (Limits::default(), &["plan.limits"]),
        (
            Limits {
                messages: allowance(0, 0),
                ..Limits::default()
            },
            &[
                "plan.limits.messages.amount",
                "plan.limits.messages.window_seconds",
            ],
        ),
        (
            Limits {
                messages: allowance(-1, 60),
                bytes: allowance(1 << 53, 2_678_401),
                ..Limits::default()
            },
            &[
                "plan.limits.messages.amount",
                "plan.limits.bytes.amount",
                "plan.limits.bytes.window_seconds",
            ],
        ),
        (
            Limits {
                burst: Some(Burst {
                    messages: i64::MIN,
                    per: 0,
                }),
                ..Limits::default()
            },
            &["plan.limits.burst.messages", "plan.limits.burst.per"],
        ),
        (
            Limits {
                sessions: -1,
                connections_per_second: i64::MAX,
                ..Limits::default()
            },
            &["plan.limits.sessions", "plan.limits.connections_per_second"],
        ),
        (
            Limits {
                unlimited: true,
                ..a_minute(1)
            },
            &["plan.limits.unlimited"],
        ),
        (
            Limits {
                on_limit: OnLimit::Close.into(),
                close_code: 1000,
                ..a_minute(1)
            },
            &["plan.limits.close_code"],
        ),
        (
            Limits {
                close_code: 1008,
                ..a_minute(1)
            },
            &["plan.limits.close_code"],
        ),
        (
            Limits {
                counts: 77,
                on_limit: 77,
                without_ledger: 77,
                ..a_minute(1)
            },
            &[
                "plan.limits.counts",
                "plan.limits.on_limit",
                "plan.limits.without_ledger",
            ],
        ),
    ];
    for (limits, fields) in cases {
        let request = CreatePlanRequest {
            plan_id: "Odd".to_owned(),
            plan: Some(Plan {
                limits: Some(limits),
                ..Plan::default()
            }),
        };
        let refused = admin.plans().create_plan(request).await.unwrap_err();
        let mut got: Vec<_> = faults(&refused)
            .into_iter()
            .map(|(field, _)| field)
            .collect();
        got.sort();
        let mut expected: Vec<_> = fields.iter().map(|&field| field.to_owned()).collect();
        expected.sort();
        assert_eq!(got, expected, "{limits:?}");
    }
}

pub(super) fn a_minute(amount: i64) -> Limits {
    Limits {
        messages: Some(Allowance {
            amount,
            window_seconds: 60,
        }),
        ..Limits::default()
    }
}

fn messages(plan: &Plan) -> (i64, i64) {
    let of = plan.limits.and_then(|limits| limits.messages);
    of.map_or((0, 0), |of| (of.amount, of.window_seconds))
}

#[tokio::test]
async fn environments_come_and_go_but_for_the_one_that_ships() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let request = CreateEnvironmentRequest {
        environment_id: "eu".to_owned(),
        environment: None,
    };
    admin.gateways().create_environment(request).await.unwrap();
    let name = "environments/eu".to_owned();
    let got = admin
        .gateways()
        .get_environment(GetEnvironmentRequest { name })
        .await;
    assert_eq!(got.unwrap().into_inner().name, "environments/eu");
    let delete = |name: &str| DeleteEnvironmentRequest {
        name: name.to_owned(),
        etag: String::new(),
    };
    admin
        .gateways()
        .delete_environment(delete("environments/eu"))
        .await
        .unwrap();
    let refused = admin
        .gateways()
        .delete_environment(delete("environments/default"))
        .await;
    assert_eq!(reason(&refused.unwrap_err()), "DEFAULT_ENVIRONMENT");
}

#[tokio::test]
async fn nodes_that_were_never_seen_are_not_there() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let list = |parent: &str| ListNodesRequest {
        parent: parent.to_owned(),
        ..ListNodesRequest::default()
    };
    for parent in ["environments/default", "environments/-"] {
        let page = admin
            .gateways()
            .list_nodes(list(parent))
            .await
            .unwrap()
            .into_inner();
        assert_eq!((page.nodes.len(), page.total_size), (0, 0));
    }
    let nowhere = admin
        .gateways()
        .list_nodes(list("environments/nowhere"))
        .await
        .unwrap_err();
    assert_eq!(nowhere.code(), Code::NotFound);
    let name = "environments/default/nodes/ghost".to_owned();
    let ghost = admin
        .gateways()
        .get_node(GetNodeRequest { name })
        .await
        .unwrap_err();
    assert_eq!(ghost.code(), Code::NotFound);
}

#[tokio::test]
async fn users_get_roles_and_the_last_admin_stays() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let request = |roles: &[i32]| CreateUserRequest {
        user_id: "ann".to_owned(),
        user: Some(User {
            roles: roles.to_vec(),
            ..User::default()
        }),
        password: "long enough to use".to_owned(),
    };
    let refused = admin
        .users()
        .create_user(request(&[0, 99]))
        .await
        .unwrap_err();
    let fields: Vec<_> = faults(&refused)
        .into_iter()
        .map(|(field, _)| field)
        .collect();
    assert_eq!(fields, ["user.roles[0]", "user.roles[1]"]);
    let ann = admin
        .users()
        .create_user(request(&[RoleMessage::Creator as i32]))
        .await;
    assert_eq!(ann.unwrap().into_inner().name, "users/ann");
    let demote = UpdateUserRequest {
        user: Some(User {
            name: "users/admin".to_owned(),
            roles: vec![RoleMessage::Creator as i32],
            ..User::default()
        }),
        update_mask: None,
    };
    let refused = admin.users().update_user(demote).await.unwrap_err();
    assert_eq!(reason(&refused), "LAST_ADMIN");
    let delete = DeleteUserRequest {
        name: "users/ann".to_owned(),
        etag: String::new(),
    };
    admin.users().delete_user(delete).await.unwrap();
}

#[tokio::test]
async fn what_somebody_else_owns_is_not_there_for_a_subscriber() {
    let stage = Stage::new().await;
    let ann = stage.user("ann", &[Role::Subscriber]).await;
    let bob = stage.user("bob", &[Role::Subscriber]).await;
    let application = register(&ann, "Ann's").await.unwrap_err();
    assert!(
        !faults(&application).is_empty(),
        "an apostrophe is not allowed in a name"
    );
    let application = register(&ann, "of Ann").await.unwrap();
    let get = || GetApplicationRequest {
        name: application.name.clone(),
    };
    assert!(ann.applications().get_application(get()).await.is_ok());
    assert!(
        stage
            .admin()
            .await
            .applications()
            .get_application(get())
            .await
            .is_ok()
    );
    let hidden = bob.applications().get_application(get()).await.unwrap_err();
    assert_eq!(hidden.code(), Code::NotFound);
    // The same name for another owner is no clash.
    assert!(register(&bob, "of Ann").await.is_ok());
    let again = register(&ann, "Of ANN").await.unwrap_err();
    assert_eq!(again.code(), Code::AlreadyExists);
}

#[tokio::test]
async fn a_secret_is_shown_once_and_a_new_one_replaces_it() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let application = register(&admin, "Mine").await.unwrap();
    let request = CreateApplicationKeyRequest {
        parent: application.name.clone(),
        application_key: Some(ApplicationKey {
            key_type: KeyType::Sandbox as i32,
            ..ApplicationKey::default()
        }),
    };
    let key = admin
        .applications()
        .create_application_key(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(key.key_type, KeyType::Sandbox as i32);
    assert_eq!(
        key.name,
        format!("{}/keys/{}", application.name, key.client_id)
    );
    assert!(key.client_secret.len() >= 32);
    let list = ListApplicationKeysRequest {
        parent: application.name.clone(),
        ..ListApplicationKeysRequest::default()
    };
    let listed = admin
        .applications()
        .list_application_keys(list)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(listed.application_keys.len(), 1);
    assert_eq!(listed.application_keys[0].client_secret, "");
    let name = key.name.clone();
    let new = admin
        .applications()
        .regenerate_secret(RegenerateSecretRequest { name })
        .await;
    let new = new.unwrap().into_inner();
    assert_eq!(new.client_id, key.client_id);
    assert_ne!(new.client_secret, key.client_secret);
}

#[tokio::test]
async fn a_subscription_is_made_once_to_a_published_api_under_a_plan_it_offers() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let application = register(&admin, "Mine").await.unwrap();
    let draft = admin.create(echo(), false).await.unwrap();
    let refused = subscribe(&admin, &application.name, &draft.name, "plans/Gold").await;
    assert_eq!(reason(&refused.unwrap_err()), "API_NOT_PUBLISHED");
    let api = admin.create(other(), true).await.unwrap();
    let refused = subscribe(&admin, &application.name, &api.name, "plans/Bronze").await;
    assert_eq!(reason(&refused.unwrap_err()), "PLAN_NOT_OFFERED");
    let made = subscribe(&admin, &application.name, &api.name, "plans/Gold")
        .await
        .unwrap();
    assert_eq!(made.state, SubscriptionState::Active as i32);
    let again = subscribe(&admin, &application.name, &api.name, "plans/Silver").await;
    assert_eq!(again.unwrap_err().code(), Code::AlreadyExists);
}

#[tokio::test]
async fn a_subscription_changes_its_plan_and_neither_its_api_nor_its_application() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let application = register(&admin, "Mine").await.unwrap();
    let api = admin.create(echo(), true).await.unwrap();
    let elsewhere = admin.create(other(), true).await.unwrap();
    let made = subscribe(&admin, &application.name, &api.name, "plans/Gold")
        .await
        .unwrap();
    let change = |subscription| UpdateSubscriptionRequest {
        subscription: Some(subscription),
        update_mask: None,
    };
    let plan = Subscription {
        name: made.name.clone(),
        plan: "plans/Silver".to_owned(),
        ..Subscription::default()
    };
    let changed = admin
        .subscriptions()
        .update_subscription(change(plan))
        .await
        .unwrap();
    assert_eq!(changed.into_inner().plan, "plans/Silver");
    let moved = Subscription {
        name: made.name.clone(),
        api: elsewhere.name,
        ..Subscription::default()
    };
    let refused = admin
        .subscriptions()
        .update_subscription(change(moved))
        .await
        .unwrap_err();
    assert_eq!(
        faults(&refused),
        [("subscription.api".to_owned(), "IMMUTABLE".to_owned())]
    );
}

#[tokio::test]
async fn a_subscription_is_blocked_and_unblocked_by_whoever_has_seen_its_latest_state() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let application = register(&admin, "Mine").await.unwrap();
    let api = admin.create(echo(), true).await.unwrap();
    let made = subscribe(&admin, &application.name, &api.name, "plans/Gold")
        .await
        .unwrap();
    for (production_only, state) in [
        (false, SubscriptionState::Blocked),
        (true, SubscriptionState::ProductionBlocked),
    ] {
        let block = BlockSubscriptionRequest {
            name: made.name.clone(),
            production_only,
            etag: String::new(),
        };
        let blocked = admin
            .subscriptions()
            .block_subscription(block)
            .await
            .unwrap();
        assert_eq!(blocked.into_inner().state, state as i32);
    }
    let unblock = |etag: &str| UnblockSubscriptionRequest {
        name: made.name.clone(),
        etag: etag.to_owned(),
    };
    let stale = admin
        .subscriptions()
        .unblock_subscription(unblock(&made.etag))
        .await;
    assert_eq!(stale.unwrap_err().code(), Code::Aborted);
    let active = admin
        .subscriptions()
        .unblock_subscription(unblock(""))
        .await
        .unwrap();
    assert_eq!(active.into_inner().state, SubscriptionState::Active as i32);
}

#[tokio::test]
async fn references_that_do_not_read_are_all_told() {
    let stage = Stage::new().await;
    let refused = subscribe(&stage.admin().await, "", "apis/1", "Gold")
        .await
        .unwrap_err();
    let fields: Vec<_> = faults(&refused)
        .into_iter()
        .map(|(field, _)| field)
        .collect();
    assert_eq!(
        fields,
        [
            "subscription.application",
            "subscription.api",
            "subscription.plan"
        ]
    );
}

#[tokio::test]
async fn a_new_signing_key_waits_for_its_turn_and_only_one_does() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let next = admin
        .signing_keys()
        .rotate_signing_key(RotateSigningKeyRequest {})
        .await;
    let next = next.unwrap().into_inner();
    assert_eq!(next.state, SigningKeyState::Next as i32);
    assert_eq!(next.algorithm, "ES256");
    assert!(next.sign_time.is_some());
    let keys = admin
        .signing_keys()
        .list_signing_keys(ListSigningKeysRequest {})
        .await;
    let keys = keys.unwrap().into_inner().signing_keys;
    let states: Vec<_> = keys.iter().map(|key| key.state).collect();
    assert_eq!(
        states,
        [
            SigningKeyState::Current as i32,
            SigningKeyState::Next as i32
        ]
    );
    let again = admin
        .signing_keys()
        .rotate_signing_key(RotateSigningKeyRequest {})
        .await;
    assert_eq!(reason(&again.unwrap_err()), "ROTATION_IN_PROGRESS");
}

#[tokio::test]
async fn the_audit_log_tells_who_did_what_before_and_after() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let api = admin.create(echo(), false).await.unwrap();
    let request = ListAuditEntriesRequest {
        filter: format!("resource = \"{}\" AND actor = \"users/admin\"", api.name),
        ..ListAuditEntriesRequest::default()
    };
    let page = admin
        .audit()
        .list_audit_entries(request)
        .await
        .unwrap()
        .into_inner();
    let entry = &page.audit_entries[0];
    assert_eq!(
        (
            entry.actor.as_str(),
            entry.action.as_str(),
            entry.resource.as_str()
        ),
        ("users/admin", "CreateApi", api.name.as_str())
    );
    assert_eq!(entry.before, "");
    let after: serde_json::Value = serde_json::from_str(&entry.after).unwrap();
    assert!(after.to_string().contains("EchoWebSocket"), "{after}");
}
