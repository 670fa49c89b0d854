//! Commits: stored before they are seen, audited once each, and undone by nothing but the store's own word.

use std::sync::Arc;

use tidegate_kit::clock::Clock;

use super::world::{World, input, parsed};
use crate::{
    domain::{name::PlanName, plan::Plan, resource::Resource as _},
    service::{
        Service, error::ServiceError, limits::LimitsInput, listing::ListQuery, plans::PlanInput,
    },
    store::{load::load, memory::MemoryStore, sled::SledStore, tests::faulty::FaultyStore},
};

fn plan() -> PlanInput {
    PlanInput {
        limits: Some(LimitsInput {
            unlimited: true,
            ..LimitsInput::default()
        }),
        ..PlanInput::default()
    }
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::over(Arc::new(SledStore::open(folder.path()).unwrap())).await;
    let api = world.published("Echo").await;
    let number = world.state().number();
    drop(world);
    let store = Arc::new(SledStore::open(folder.path()).unwrap());
    let service = Service::open(store, Clock::manual(2)).await.unwrap();
    let state = service.state();
    assert_eq!(state.number(), number);
    assert_eq!(state.apis().get(&api.id), Some(&api));
    assert_eq!(state.versions_of("echo").count(), 1);
}

#[tokio::test]
async fn on_a_full_disk_a_change_fails_clearly_and_later_ones_work() {
    let store = FaultyStore::over(Arc::new(MemoryStore::new()));
    let world = World::over(store.clone()).await;
    let changes = world.service.states();
    let before = world.state();
    store.fail();
    let error = world
        .service
        .create::<Plan>(&world.admin, "Tin", plan())
        .await
        .unwrap_err();
    let ServiceError::Storage(text) = &error else {
        panic!("{error:?}");
    };
    assert!(text.contains("no space left"), "{text}");
    assert!(text.contains("free space"), "{text}");
    assert_eq!(world.state().number(), before.number());
    assert!(
        !world
            .state()
            .plans()
            .contains_key(&parsed::<PlanName>("Tin"))
    );
    assert!(!changes.has_changed().unwrap());
    store.mend();
    world
        .service
        .create::<Plan>(&world.admin, "Tin", plan())
        .await
        .unwrap();
    assert_eq!(world.state().number(), before.number().next());
    assert!(changes.has_changed().unwrap());
}

#[tokio::test]
async fn a_change_that_was_stored_though_its_commit_failed_is_seen_with_the_next() {
    let store = FaultyStore::over(Arc::new(MemoryStore::new()));
    let world = World::over(store.clone()).await;
    store.take_and_fail();
    world
        .service
        .create::<Plan>(&world.admin, "Tin", plan())
        .await
        .unwrap_err();
    store.mend();
    world
        .service
        .create::<Plan>(&world.admin, "Lead", plan())
        .await
        .unwrap();
    let state = world.state();
    let names = state.plans();
    assert!(
        names.contains_key(&parsed::<PlanName>("Tin"))
            && names.contains_key(&parsed::<PlanName>("Lead"))
    );
    let stored = load(&*store).unwrap().unwrap();
    assert_eq!(stored.number(), state.number());
    assert_eq!(stored.plans(), state.plans());
}

#[tokio::test]
async fn each_commit_has_one_audit_entry_with_before_and_after() {
    let world = World::new().await;
    let first = world.state().number().get();
    let api = world.published("Echo").await;
    let change = world.update(&world.creator, api.id, &[], |i| {
        i.description = "x".to_owned()
    });
    change.await.unwrap();
    world
        .service
        .delete::<Plan>(&world.admin, &parsed("Bronze"), "")
        .await
        .unwrap();
    let list = |filter: &str| {
        let query = ListQuery {
            filter: filter.to_owned(),
            ..ListQuery::default()
        };
        let world = &world;
        async move {
            world
                .service
                .list_audit(&world.admin, &query)
                .await
                .unwrap()
                .items
        }
    };
    let entries = list("").await;
    let actions: Vec<_> = entries.iter().take(3).map(|e| e.action.as_str()).collect();
    assert_eq!(actions, ["DeletePlan", "UpdateApi", "CreateApi"]);
    assert_eq!(entries.len() as u64, first + 3);
    let (deleted, updated, created) = (&entries[0], &entries[1], &entries[2]);
    assert_eq!(deleted.before.as_ref().unwrap()["name"], "Bronze");
    assert_eq!(deleted.after, None);
    assert_eq!(
        updated.before.as_ref().unwrap()["design"]["description"],
        ""
    );
    assert_eq!(
        updated.after.as_ref().unwrap()["design"]["description"],
        "x"
    );
    assert_eq!(
        (&*updated.actor, updated.resource.clone()),
        ("carl", api.resource())
    );
    assert_eq!(created.before, None);
    assert_eq!(created.touched.len(), 2, "the revision and the deployment");
    assert_eq!(
        list("actor = users/carl AND time > 2020-01-01T00:00:00Z")
            .await
            .len(),
        1
    );
    let refused = world
        .service
        .list_audit(&world.publisher, &ListQuery::default())
        .await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn the_audit_log_is_read_in_pages_without_gaps() {
    let world = World::new().await;
    for n in 0..5 {
        world
            .service
            .create::<Plan>(&world.admin, &format!("P{n}"), plan())
            .await
            .unwrap();
    }
    let mut query = ListQuery {
        page_size: 2,
        filter: "action = CreatePlan".to_owned(),
        ..ListQuery::default()
    };
    let mut resources = Vec::new();
    loop {
        let page = world
            .service
            .list_audit(&world.admin, &query)
            .await
            .unwrap();
        resources.extend(page.items.into_iter().map(|entry| entry.resource));
        query.page_token = page.next_page_token;
        if query.page_token.is_empty() {
            break;
        }
    }
    let expected: Vec<_> = (0..5).rev().map(|n| format!("plans/P{n}")).collect();
    assert_eq!(resources, expected);
}

#[tokio::test]
async fn changes_at_the_same_time_are_decided_one_after_another() {
    let world = World::new().await;
    let before = world.state().number().get();
    let create = || {
        world
            .service
            .create_api(&world.creator, input("Echo"), false)
    };
    let (a, b, c) = tokio::join!(create(), create(), create());
    let n_made = [a, b, c].iter().filter(|made| made.is_ok()).count();
    assert_eq!(n_made, 1);
    assert_eq!(world.state().number().get(), before + 1);
}
