//! Plans, applications, keys and subscriptions.

use tidegate_kit::secret::Secret;
use tidegate_proto::{
    claims::KeyType,
    ids::{ApiId, ApplicationId},
};

use super::world::{World, denied, exists, faults, not_found, parsed, refused, update};
use crate::{
    domain::{
        application::KEYS_MAX, environment::Environment, invalid::reason as invalid,
        lifecycle::Action, plan::Plan, subscription::SubscriptionState,
    },
    service::{
        applications::ApplicationInput,
        error::{ServiceError, reason},
        limits::{AllowanceInput, LimitsInput},
        listing::ListQuery,
        plans::PlanInput,
        subscriptions::{SubscriptionInput, candidates},
    },
};

fn plan(amount: i64, window_seconds: i64) -> PlanInput {
    PlanInput {
        limits: Some(LimitsInput {
            messages: Some(AllowanceInput {
                amount,
                window_seconds,
            }),
            ..LimitsInput::default()
        }),
        ..PlanInput::default()
    }
}

#[tokio::test]
async fn four_plans_and_one_environment_ship() {
    let world = World::new().await;
    let plans = world.service.list::<Plan>(&ListQuery::default());
    let names: Vec<_> = plans
        .unwrap()
        .items
        .iter()
        .map(|p| p.name.to_string())
        .collect();
    assert_eq!(names, ["Bronze", "Gold", "Silver", "Unlimited"]);
    world
        .service
        .get::<Environment>(&parsed("default"))
        .unwrap();
}

#[tokio::test]
async fn plans_are_made_changed_and_kept_while_in_use() {
    let world = World::new().await;
    let service = &world.service;
    denied(
        service
            .create::<Plan>(&world.publisher, "Tin", plan(1, 60))
            .await,
    );
    exists(
        service
            .create::<Plan>(&world.admin, "gold", plan(1, 60))
            .await,
    );
    for (limit, window, field) in [
        (1, 0, "window_seconds"),
        (1, 2_678_401, "window_seconds"),
        (0, 60, "amount"),
    ] {
        let made = service
            .create::<Plan>(&world.admin, "Tin", plan(limit, window))
            .await;
        let field = format!("plan.limits.messages.{field}");
        assert_eq!(faults(made), [(field, invalid::OUT_OF_RANGE)]);
    }
    let nothing = PlanInput::default();
    let made = service.create::<Plan>(&world.admin, "Tin", nothing).await;
    assert_eq!(
        faults(made),
        [("plan.limits".to_owned(), invalid::REQUIRED)]
    );
    let tin = service
        .create::<Plan>(&world.admin, "Tin", plan(10, 60))
        .await
        .unwrap();
    let etag = tin.meta.etag.to_string();
    let changed = service
        .update::<Plan>(
            &world.admin,
            update(parsed("Tin"), plan(20, 60), Vec::new(), &etag),
        )
        .await
        .unwrap();
    assert_ne!(changed.limits, tin.limits);
    let stale = service.update::<Plan>(
        &world.admin,
        update(parsed("Tin"), plan(30, 60), Vec::new(), &etag),
    );
    assert!(matches!(stale.await, Err(ServiceError::Aborted(_))));
    service
        .delete::<Plan>(&world.admin, &parsed("Tin"), "")
        .await
        .unwrap();
    world.published("Echo").await;
    let in_use = service
        .delete::<Plan>(&world.admin, &parsed("Gold"), "")
        .await;
    assert_eq!(refused(in_use), reason::PLAN_IN_USE);
    service
        .delete::<Plan>(&world.admin, &parsed("Bronze"), "")
        .await
        .unwrap();
}

#[tokio::test]
async fn application_names_are_unique_for_their_owner_whatever_their_case() {
    let world = World::new().await;
    let service = &world.service;
    let own = world.application(&world.subscriber, "My app").await;
    exists(
        service
            .create_application(&world.subscriber, ApplicationInput::new("my APP", ""))
            .await,
    );
    let theirs = world.application(&world.other, "My app").await;
    not_found(service.get_application(&world.subscriber, theirs));
    service.get_application(&world.admin, theirs).unwrap();
    let list = |actor| {
        service
            .list_applications(actor, &ListQuery::default())
            .unwrap()
            .total_size
    };
    assert_eq!((list(&world.subscriber), list(&world.admin)), (1, 2));
    denied(
        service
            .create_application(&world.creator, ApplicationInput::new("x", ""))
            .await,
    );
    let rename = |name: &str, owner: &str| {
        let input = ApplicationInput {
            owner: owner.to_owned(),
            ..ApplicationInput::new(name, "")
        };
        update(own, input, Vec::new(), "")
    };
    let moved = service
        .update_application(&world.subscriber, rename("", "sam"))
        .await;
    assert_eq!(faults(moved)[0].1, invalid::IMMUTABLE);
    let renamed = service.update_application(&world.subscriber, rename("MY app", "sue"));
    assert_eq!(renamed.await.unwrap().name.as_str(), "MY app");
}

#[tokio::test]
async fn a_secret_is_shown_once_and_a_new_one_replaces_it() {
    let world = World::new().await;
    let service = &world.service;
    let application = world.application(&world.subscriber, "app").await;
    let made = service
        .create_key(&world.subscriber, application, KeyType::Production, &[])
        .await
        .unwrap();
    let id = made.key.client_id.as_str();
    let (key, owner) = service.authenticate_client(id, &made.secret).unwrap();
    assert_eq!((key.key_type, owner.id), (KeyType::Production, application));
    let wrong = Secret::new("wrong".to_owned());
    assert!(service.authenticate_client(id, &wrong).is_none());
    assert!(
        service
            .authenticate_client("nobody", &made.secret)
            .is_none()
    );
    not_found(
        service
            .regenerate_secret(&world.other, application, parsed(id))
            .await,
    );
    let again = service
        .regenerate_secret(&world.subscriber, application, parsed(id))
        .await
        .unwrap();
    assert!(service.authenticate_client(id, &made.secret).is_none());
    assert!(service.authenticate_client(id, &again.secret).is_some());
    service
        .delete_key(&world.subscriber, application, parsed(id))
        .await
        .unwrap();
    assert!(service.authenticate_client(id, &again.secret).is_none());
    for _ in 0..KEYS_MAX {
        let key = service.create_key(&world.subscriber, application, KeyType::Sandbox, &[]);
        key.await.unwrap();
    }
    let more = service
        .create_key(&world.subscriber, application, KeyType::Sandbox, &[])
        .await;
    assert_eq!(refused(more), reason::KEY_LIMIT);
}

#[tokio::test]
async fn one_subscription_for_each_application_and_api_and_only_to_what_is_offered() {
    let world = World::new().await;
    let service = &world.service;
    let api = world.published("Echo").await;
    let application = world.application(&world.subscriber, "app").await;
    let subscribe =
        |plan| service.create_subscription(&world.subscriber, application, api.id, parsed(plan));
    assert_eq!(refused(subscribe("Bronze").await), reason::PLAN_NOT_OFFERED);
    assert_eq!(faults(subscribe("Tin").await)[0].1, invalid::NOT_FOUND);
    let theirs = service
        .create_subscription(&world.other, application, api.id, parsed("Gold"))
        .await;
    not_found(theirs);
    subscribe("Gold").await.unwrap();
    exists(subscribe("Silver").await);
    service
        .change_lifecycle(&world.publisher, api.id, Action::Block, "")
        .await
        .unwrap();
    let second = world.application(&world.subscriber, "second").await;
    let blocked = service
        .create_subscription(&world.subscriber, second, api.id, parsed("Gold"))
        .await;
    assert_eq!(refused(blocked), reason::API_NOT_PUBLISHED);
}

#[tokio::test]
async fn a_subscription_changes_its_plan_and_a_publisher_blocks_it() {
    let world = World::new().await;
    let service = &world.service;
    let api = world.published("Echo").await;
    let application = world.application(&world.subscriber, "app").await;
    let made = service
        .create_subscription(&world.subscriber, application, api.id, parsed("Gold"))
        .await
        .unwrap();
    let change = |plan: &str, other| {
        let input = SubscriptionInput {
            plan: plan.to_owned(),
            application: other,
            api: None,
        };
        update(made.id, input, Vec::new(), "")
    };
    let silver = service.update_subscription(&world.subscriber, change("Silver", None));
    assert_eq!(silver.await.unwrap().plan.as_str(), "Silver");
    let bronze = service
        .update_subscription(&world.publisher, change("Bronze", None))
        .await;
    assert_eq!(refused(bronze), reason::PLAN_NOT_OFFERED);
    let second = world.application(&world.subscriber, "second").await;
    let moved = service.update_subscription(&world.subscriber, change("Gold", Some(second)));
    assert_eq!(faults(moved.await)[0].1, invalid::IMMUTABLE);
    let block = |actor| {
        service.set_subscription_state(actor, made.id, SubscriptionState::ProductionBlocked, "")
    };
    denied(block(&world.subscriber).await);
    let blocked = block(&world.publisher).await.unwrap();
    assert_eq!(blocked.state, SubscriptionState::ProductionBlocked);
    let query = ListQuery {
        filter: format!("api = \"apis/{}\" AND state = PRODUCTION_BLOCKED", api.id),
        ..ListQuery::default()
    };
    let list = |actor| {
        service
            .list_subscriptions(actor, &query)
            .unwrap()
            .total_size
    };
    assert_eq!((list(&world.publisher), list(&world.other)), (1, 0));
    not_found(service.delete_subscription(&world.other, made.id, "").await);
}

#[tokio::test]
async fn counters_begun_anew_stay_so_whoever_subscribes_anew_and_another_api_knows_nothing_of_it() {
    let world = World::new().await;
    let (service, owner) = (&world.service, &world.subscriber);
    let (api, other) = (
        world.published("Echo").await,
        world.published("Other").await,
    );
    let application = world.application(owner, "app").await;
    let subscribe = async |api: ApiId, plan: &str| {
        let made = service.create_subscription(owner, application, api, parsed(plan));
        made.await.unwrap()
    };
    let etag = || world.state().applications()[&application].meta.etag;
    let before = etag();
    for (plan, expected) in [("Gold", 0), ("Silver", 2), ("Gold", 4)] {
        let made = subscribe(api.id, plan).await;
        assert_eq!(made.quota_generation, expected);
        for _ in 0..2 {
            let reset = service.reset_subscription_quota(&world.admin, made.id);
            reset.await.unwrap();
        }
        service
            .delete_subscription(owner, made.id, "")
            .await
            .unwrap();
    }
    assert_eq!(
        etag(),
        before,
        "nobody has missed a change of the application"
    );
    // What was not begun anew in between goes on, too.
    let again = subscribe(api.id, "Gold").await;
    assert_eq!(again.quota_generation, 6);
    service
        .delete_subscription(owner, again.id, "")
        .await
        .unwrap();
    assert_eq!(subscribe(api.id, "Gold").await.quota_generation, 6);
    assert_eq!(subscribe(other.id, "Gold").await.quota_generation, 0);
}

#[tokio::test]
async fn a_blocked_subscription_is_not_ended_by_its_owner_who_would_subscribe_anew() {
    let world = World::new().await;
    let service = &world.service;
    let api = world.published("Echo").await;
    let application = world.application(&world.subscriber, "app").await;
    let made = service
        .create_subscription(&world.subscriber, application, api.id, parsed("Gold"))
        .await
        .unwrap();
    for state in [
        SubscriptionState::Blocked,
        SubscriptionState::ProductionBlocked,
    ] {
        service
            .set_subscription_state(&world.publisher, made.id, state, "")
            .await
            .unwrap();
        let ended = service
            .delete_subscription(&world.subscriber, made.id, "")
            .await;
        assert_eq!(refused(ended), reason::SUBSCRIPTION_BLOCKED);
        let shed = service
            .delete_application(&world.subscriber, application, "")
            .await;
        assert_eq!(refused(shed), reason::SUBSCRIPTION_BLOCKED);
    }
    service
        .delete_subscription(&world.admin, made.id, "")
        .await
        .unwrap();
}

#[tokio::test]
async fn an_application_with_a_blocked_subscription_goes_by_an_admin_or_with_the_api() {
    let world = World::new().await;
    let service = &world.service;
    let api = world.published("Echo").await;
    let blocked = async |name: &str| {
        let application = world.application(&world.subscriber, name).await;
        let made = service
            .create_subscription(&world.subscriber, application, api.id, parsed("Gold"))
            .await
            .unwrap();
        let state = SubscriptionState::Blocked;
        service
            .set_subscription_state(&world.publisher, made.id, state, "")
            .await
            .unwrap();
        application
    };
    let (first, second) = (blocked("first").await, blocked("second").await);
    service
        .delete_application(&world.admin, first, "")
        .await
        .unwrap();
    for action in [Action::Deprecate, Action::Retire] {
        service
            .change_lifecycle(&world.publisher, api.id, action, "")
            .await
            .unwrap();
    }
    service
        .delete_application(&world.subscriber, second, "")
        .await
        .unwrap();
}

#[tokio::test]
async fn an_application_goes_with_its_keys_and_subscriptions() {
    let world = World::new().await;
    let service = &world.service;
    let api = world.published("Echo").await;
    let application = world.application(&world.subscriber, "app").await;
    service
        .create_key(&world.subscriber, application, KeyType::Production, &[])
        .await
        .unwrap();
    service
        .create_subscription(&world.subscriber, application, api.id, parsed("Gold"))
        .await
        .unwrap();
    service
        .delete_application(&world.subscriber, application, "")
        .await
        .unwrap();
    let state = world.state();
    assert!(state.keys().is_empty() && state.subscriptions().is_empty());
    assert_eq!(state.subscribers_of(api.id).count(), 0);
}

#[tokio::test]
async fn subscriptions_of_one_application_or_api_are_not_looked_for_among_all() {
    let world = World::new().await;
    let [first, second] = [
        world.published("First").await,
        world.published("Second").await,
    ];
    let mut applications = Vec::new();
    for (owner, name) in [
        (&world.subscriber, "A"),
        (&world.subscriber, "B"),
        (&world.other, "C"),
    ] {
        let application = world.application(owner, name).await;
        for api in [&first, &second] {
            let made =
                world
                    .service
                    .create_subscription(owner, application, api.id, parsed("Gold"));
            made.await.unwrap();
        }
        applications.push(application);
    }
    let state = world.state();
    let count = |actor, filter: &str| {
        let query = ListQuery {
            filter: filter.to_owned(),
            ..ListQuery::default()
        };
        let looked_at = candidates(&state, actor, &query).count();
        let found = world.service.list_subscriptions(actor, &query).unwrap();
        (looked_at, found.total_size)
    };
    let of = |application: ApplicationId| format!("application = applications/{application}");
    let to = |api: ApiId| format!("api = apis/{api}");
    let (own, others) = (of(applications[0]), of(applications[2]));
    for (actor, filter, looked_at, found) in [
        (&world.publisher, &own, 2, 2),
        (
            &world.publisher,
            &format!("{} AND {own}", to(first.id)),
            2,
            1,
        ),
        (&world.publisher, &to(first.id), 3, 3),
        (
            &world.publisher,
            &format!("{} AND plan = Silver", to(first.id)),
            3,
            0,
        ),
        (&world.publisher, &"plan = Gold".to_owned(), 6, 6),
        (
            &world.publisher,
            &format!("application != applications/{}", applications[0]),
            6,
            4,
        ),
        (&world.subscriber, &own, 2, 2),
        (&world.subscriber, &others, 0, 0),
        (&world.subscriber, &to(first.id), 4, 2),
        (&world.subscriber, &String::new(), 4, 4),
        (&world.admin, &others, 2, 2),
    ] {
        assert_eq!(
            count(actor, filter),
            (looked_at, found),
            "{}: {filter}",
            actor.name
        );
    }
}
