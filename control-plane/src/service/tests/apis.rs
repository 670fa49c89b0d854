//! APIs, their lifecycle, revisions and deployments.

use super::world::{
    World, denied, exists, faults, input, not_found, parsed, refused, update, user,
};
use crate::{
    domain::{
        environment::Environment,
        invalid::reason as invalid,
        lifecycle::{Action, Lifecycle},
        name::EnvironmentName,
        resource::Resource as _,
        topic::Verbs,
        user::{Role, Roles},
    },
    service::{
        apis::TopicInput,
        environments::EnvironmentInput,
        error::{ServiceError, reason},
        listing::ListQuery,
    },
};

#[tokio::test]
async fn creating_with_publish_creates_revises_deploys_and_publishes_in_one_commit() {
    let world = World::new().await;
    let before = world.state().number();
    let api = world.published("Echo").await;
    let state = world.state();
    assert_eq!(state.number(), before.next());
    assert_eq!(api.state, Lifecycle::Published);
    let revision = state.revisions_of(api.id).next().unwrap();
    assert_eq!(
        (revision.number, revision.description.as_str()),
        (1, "Initial Revision")
    );
    let default = EnvironmentName::parse("default").unwrap();
    let deployment = state.deployment(api.id, &default).unwrap();
    assert_eq!(deployment.revision, revision.id);
    assert_eq!(api.design.topics[0].template.as_str(), "/*");
    assert_eq!(api.history.len(), 2);
}

#[tokio::test]
async fn creating_with_publish_needs_a_publisher_an_endpoint_and_a_plan() {
    let world = World::new().await;
    let service = &world.service;
    denied(service.create_api(&world.creator, input("A"), true).await);
    denied(
        service
            .create_api(&world.subscriber, input("A"), false)
            .await,
    );
    let mut bare = input("A");
    bare.production_endpoint.clear();
    let refusal = refused(
        service
            .create_api(&world.publisher, bare.clone(), true)
            .await,
    );
    assert_eq!(refusal, reason::NO_ENDPOINT);
    bare.sandbox_endpoint = "wss://sandbox".to_owned();
    bare.plans.clear();
    let refusal = refused(service.create_api(&world.publisher, bare, true).await);
    assert_eq!(refusal, reason::NO_PLAN);
    assert!(world.state().apis().is_empty(), "nothing was kept");
}

#[tokio::test]
async fn the_production_endpoint_is_no_sandbox_endpoint() {
    let world = World::new().await;
    let service = &world.service;
    let mut same = input("Echo");
    same.sandbox_endpoint.clone_from(&same.production_endpoint);
    let contradiction = [("api.sandbox_endpoint".to_owned(), invalid::CONTRADICTION)];
    let refused = service.create_api(&world.creator, same, false).await;
    assert_eq!(faults(refused), contradiction);

    let mut own = input("Echo");
    own.sandbox_endpoint = "ws://sandbox".to_owned();
    let api = service
        .create_api(&world.creator, own, false)
        .await
        .unwrap();
    for (field, url) in [
        ("sandbox_endpoint", "ws://backend:8080"),
        ("production_endpoint", "ws://sandbox"),
    ] {
        let mask = [field];
        let change = world.update(&world.creator, api.id, &mask, |input| {
            input.production_endpoint = url.to_owned();
            input.sandbox_endpoint = url.to_owned();
        });
        assert_eq!(faults(change.await), contradiction, "{field}");
    }
}

#[tokio::test]
async fn the_setting_for_sandbox_keys_is_off_until_it_is_set_and_goes_into_revisions() {
    let world = World::new().await;
    let api = world.published("Echo").await;
    assert!(!api.design.endpoints.sandbox_keys_on_production);
    let set = world.update(&world.creator, api.id, &[], |input| {
        input.sandbox_keys_on_production_endpoint = true;
    });
    let set = set.await.unwrap();
    assert!(set.design.endpoints.sandbox_keys_on_production);
    let field = ["sandbox_keys_on_production_endpoint"];
    let publisher = Roles::NONE.with(Role::Publisher);
    let publisher = user(&world.service, "paul", publisher).await;
    denied(world.update(&publisher, api.id, &field, |_| {}).await);
    let revision = world
        .service
        .create_revision(&world.creator, api.id, "")
        .await
        .unwrap();
    assert!(revision.design.endpoints.sandbox_keys_on_production);
    let unset = world.update(&world.creator, api.id, &field, |_| {});
    let unset = unset.await.unwrap();
    assert!(!unset.design.endpoints.sandbox_keys_on_production);
}

#[tokio::test]
async fn every_fault_of_an_input_is_named_at_once_with_its_field() {
    let world = World::new().await;
    let mut bad = input("Echo!");
    bad.context = "/a b".to_owned();
    bad.version = "1".repeat(31);
    bad.description = "x".repeat(32_767);
    bad.tags = vec!["a,b".to_owned()];
    bad.production_endpoint = "http://backend".to_owned();
    bad.sandbox_endpoint = "ws://user:pw@backend".to_owned();
    bad.plans = vec!["Platinum".to_owned()];
    bad.policy = "no policy".to_owned();
    bad.notice_subprotocols = ["", "a b", "chat", "chat"].map(str::to_owned).to_vec();
    let verbs = Verbs::BOTH;
    let topic = |template: &str, mapping: &str| TopicInput {
        template: template.to_owned(),
        mapping: mapping.to_owned(),
        verbs,
        policy: "missing".to_owned(),
        description: String::new(),
    };
    bad.topics = vec![
        topic("rooms", ""),
        topic("/rooms/{room}", "/r?x={uri.var.other}"),
    ];
    let found = faults(world.service.create_api(&world.creator, bad, false).await);
    let found: Vec<_> = found.iter().map(|(f, r)| (f.as_str(), *r)).collect();
    assert_eq!(
        found,
        [
            ("api.api_name", invalid::FORBIDDEN_CHARACTER),
            ("api.context", invalid::FORBIDDEN_CHARACTER),
            ("api.version", invalid::TOO_LONG),
            ("api.description", invalid::TOO_LONG),
            ("api.tags[0]", invalid::FORBIDDEN_CHARACTER),
            ("api.production_endpoint", invalid::SCHEME_NOT_ALLOWED),
            ("api.sandbox_endpoint", invalid::MALFORMED),
            ("api.topics[0].template", invalid::MALFORMED),
            ("api.topics[0].policy", invalid::NOT_FOUND),
            ("api.topics[1].policy", invalid::NOT_FOUND),
            ("api.topics[1].mapping", invalid::MALFORMED),
            ("api.plans[0]", invalid::NOT_FOUND),
            ("api.policy", invalid::NOT_FOUND),
            ("api.notice_subprotocols[0]", invalid::REQUIRED),
            ("api.notice_subprotocols[1]", invalid::FORBIDDEN_CHARACTER),
            ("api.notice_subprotocols[3]", invalid::DUPLICATE),
        ]
    );
}

#[tokio::test]
async fn names_and_contexts_are_taken_whatever_their_case() {
    let world = World::new().await;
    let create = |input| world.service.create_api(&world.creator, input, false);
    create(input("Echo")).await.unwrap();
    exists(create(input("Echo")).await);
    exists(create(input("ECHO")).await);
    let mut same_context = input("Other");
    same_context.context = "/ECHO".to_owned();
    exists(create(same_context).await);
    let mut same_path = input("Other");
    same_path.context = "/{version}".to_owned() + "/echo";
    exists(create(same_path).await);
    let mut same_name = input("Echo");
    same_name.context = "/elsewhere".to_owned();
    assert_eq!(
        faults(create(same_name).await),
        [("api.api_name".to_owned(), invalid::NAME_TAKEN)]
    );
}

#[tokio::test]
async fn what_never_changes_is_refused_and_not_ignored() {
    let world = World::new().await;
    let api = world.published("Echo").await;
    let change = world.update(&world.creator, api.id, &["description"], |input| {
        input.name = "Other".to_owned();
        input.context = "/other".to_owned();
        input.version = "2.0".to_owned();
        input.provider = "somebody".to_owned();
        input.description = "new".to_owned();
    });
    let fields: Vec<_> = faults(change.await);
    for field in ["api.api_name", "api.context", "api.version", "api.creator"] {
        assert!(fields.contains(&(field.to_owned(), invalid::IMMUTABLE)));
    }
    assert_eq!(fields.len(), 4);
    // The values that it has may be sent along.
    let same = world.update(&world.creator, api.id, &["description"], |input| {
        input.name = "Echo".to_owned();
        input.context = "echo".to_owned();
        input.version = "1.0".to_owned();
        input.description = "new".to_owned();
    });
    assert_eq!(same.await.unwrap().design.description, "new");
}

#[tokio::test]
async fn a_mask_names_what_changes_and_an_unknown_field_is_refused() {
    let world = World::new().await;
    let api = world.published("Echo").await;
    let set = |input: &mut crate::service::apis::ApiInput| {
        input.description = "d".to_owned();
        input.display_name = "n".to_owned();
    };
    let masked = world
        .update(&world.creator, api.id, &["description"], set)
        .await;
    assert_eq!(masked.unwrap().design.display_name, "");
    let populated = world
        .update(&world.creator, api.id, &[], set)
        .await
        .unwrap();
    assert_eq!(populated.design.display_name, "n");
    assert_eq!(populated.design.endpoints, api.design.endpoints);
    let unknown = world.update(&world.creator, api.id, &["colour"], set).await;
    assert_eq!(faults(unknown)[0].1, invalid::UNKNOWN_FIELD);
}

#[tokio::test]
async fn a_stale_etag_aborts_and_a_change_of_nothing_commits_nothing() {
    let world = World::new().await;
    let api = world.published("Echo").await;
    let stale = api.meta.etag.to_string();
    world
        .update(&world.creator, api.id, &[], |i| {
            i.description = "x".to_owned()
        })
        .await
        .unwrap();
    let deleted = world
        .service
        .delete_api(&world.creator, api.id, &stale)
        .await;
    assert_eq!(deleted, Err(ServiceError::Aborted(api.resource())));
    let number = world.state().number();
    world
        .update(&world.creator, api.id, &[], |i| {
            i.description = "x".to_owned()
        })
        .await
        .unwrap();
    assert_eq!(world.state().number(), number);
}

#[tokio::test]
async fn a_publisher_alone_may_change_plans_and_nothing_else() {
    let world = World::new().await;
    let api = world.published("Echo").await;
    let mut only_publisher = world.publisher.clone();
    only_publisher.roles = Roles::NONE.with(Role::Publisher);
    let demoted = world.service.update_user(
        &world.admin,
        update(parsed("pat"), only_publisher.roles, Vec::new(), ""),
    );
    demoted.await.unwrap();
    let plans = world.update(&only_publisher, api.id, &["plans"], |input| {
        input.plans = vec!["Bronze".to_owned()];
    });
    assert_eq!(plans.await.unwrap().plans.len(), 1);
    let text = world.update(&only_publisher, api.id, &["description"], |input| {
        input.description = "x".to_owned();
    });
    denied(text.await);
    denied(world.update(&world.subscriber, api.id, &[], |_| {}).await);
}

#[tokio::test]
async fn a_new_version_copies_and_takes_the_default_flag_over() {
    let world = World::new().await;
    let mut first = input("Echo");
    first.default_version = true;
    let service = &world.service;
    let first = service
        .create_api(&world.creator, first, false)
        .await
        .unwrap();
    let second = service
        .create_api_version(&world.creator, first.id, "2.0", true)
        .await
        .unwrap();
    assert_eq!(second.design, first.design);
    assert_eq!(second.state, Lifecycle::Created);
    let defaults: Vec<_> = world
        .state()
        .versions_of("echo")
        .filter(|api| api.default_version)
        .map(|api| api.id)
        .collect();
    assert_eq!(defaults, [second.id]);
    exists(
        service
            .create_api_version(&world.creator, first.id, "2.0", false)
            .await,
    );
    let bad = service
        .create_api_version(&world.creator, first.id, "2 0", false)
        .await;
    assert_eq!(faults(bad)[0].0, "version");
}

#[tokio::test]
async fn a_default_version_that_goes_gives_the_flag_back_and_one_that_is_unset_leaves_none() {
    let world = World::new().await;
    let service = &world.service;
    let mut first = input("Echo");
    first.default_version = true;
    let first = service
        .create_api(&world.publisher, first, true)
        .await
        .unwrap();
    let ranks = || {
        let state = world.state();
        let versions = state.versions_of("echo");
        versions
            .map(|api| (api.default_version, api.default_until.is_some()))
            .collect::<Vec<_>>()
    };
    let draft =
        |version: &'static str| service.create_api_version(&world.creator, first.id, version, true);
    let second = draft("2.0").await.unwrap();
    assert_eq!(ranks(), [(false, true), (true, false)], "it stands in");
    let third = draft("3.0").await.unwrap();
    assert_eq!(ranks(), [(false, true), (false, true), (true, false)]);
    service
        .delete_api(&world.creator, third.id, "")
        .await
        .unwrap();
    assert_eq!(ranks(), [(false, true), (true, false)]);
    let set = |id, default| {
        world.update(&world.creator, id, &["default_version"], move |input| {
            input.default_version = default;
        })
    };
    set(first.id, true).await.unwrap();
    assert_eq!(ranks(), [(true, false), (false, true)]);
    set(second.id, true).await.unwrap();
    set(second.id, false).await.unwrap();
    assert_eq!(ranks(), [(false, false); 2], "none is wanted");
}

#[tokio::test]
async fn the_lifecycle_follows_its_table_and_keeps_its_history() {
    let world = World::new().await;
    let api = world.published("Echo").await;
    let step = |action| {
        world
            .service
            .change_lifecycle(&world.publisher, api.id, action, "")
    };
    assert_eq!(
        refused(step(Action::Retire).await),
        reason::LIFECYCLE_MOVE_NOT_ALLOWED
    );
    step(Action::Block).await.unwrap();
    step(Action::Republish).await.unwrap();
    step(Action::Deprecate).await.unwrap();
    assert_eq!(world.state().deployments_of(api.id).count(), 1);
    let retired = step(Action::Retire).await.unwrap();
    assert_eq!(
        world.state().deployments_of(api.id).count(),
        0,
        "retiring undeploys"
    );
    let states: Vec<_> = retired.history.iter().map(|event| event.to).collect();
    assert_eq!(
        states,
        [
            Lifecycle::Created,
            Lifecycle::Published,
            Lifecycle::Blocked,
            Lifecycle::Published,
            Lifecycle::Deprecated,
            Lifecycle::Retired
        ]
    );
    let change = world.update(&world.creator, api.id, &[], |i| {
        i.description = "x".to_owned()
    });
    assert_eq!(refused(change.await), reason::API_RETIRED);
    denied(
        world
            .service
            .change_lifecycle(&world.creator, api.id, Action::Publish, "")
            .await,
    );
}

#[tokio::test]
async fn publishing_needs_an_endpoint_and_a_plan() {
    let world = World::new().await;
    let mut bare = input("Echo");
    bare.production_endpoint.clear();
    bare.plans.clear();
    let api = world
        .service
        .create_api(&world.creator, bare, false)
        .await
        .unwrap();
    let publish = || {
        world
            .service
            .change_lifecycle(&world.publisher, api.id, Action::Publish, "")
    };
    assert_eq!(refused(publish().await), reason::NO_ENDPOINT);
    let endpoint = world.update(&world.creator, api.id, &[], |input| {
        input.production_endpoint = "wss://backend/path".to_owned();
    });
    endpoint.await.unwrap();
    assert_eq!(refused(publish().await), reason::NO_PLAN);
}

#[tokio::test]
async fn at_most_five_revisions_and_a_deployed_one_stays() {
    let world = World::new().await;
    let api = world.published("Echo").await;
    let service = &world.service;
    let deployed = world.state().revisions_of(api.id).next().unwrap().id;
    let mut last = deployed;
    for _ in 0..4 {
        let made = service
            .create_revision(&world.creator, api.id, "next")
            .await;
        last = made.unwrap().id;
    }
    let sixth = service.create_revision(&world.creator, api.id, "").await;
    assert_eq!(refused(sixth), reason::REVISION_LIMIT);
    let delete = |id| service.delete_revision(&world.creator, api.id, id);
    assert_eq!(refused(delete(deployed).await), reason::REVISION_DEPLOYED);
    delete(last).await.unwrap();
    let again = service
        .create_revision(&world.creator, api.id, "")
        .await
        .unwrap();
    assert_eq!(again.number, 6, "numbers are not used again");
    let page = service.list_revisions(&world.creator, api.id, &ListQuery::default());
    assert_eq!(page.unwrap().items.len(), 5);
    not_found(service.get_revision(&world.creator, api.id, last));
}

#[tokio::test]
async fn a_restore_brings_the_design_back_and_leaves_the_plans() {
    let world = World::new().await;
    let api = world.published("Echo").await;
    let revision = world.state().revisions_of(api.id).next().unwrap().id;
    let change = world.update(&world.creator, api.id, &[], |input| {
        input.production_endpoint = "ws://elsewhere".to_owned();
        input.plans = vec!["Bronze".to_owned()];
    });
    let changed = change.await.unwrap();
    let restored = world
        .service
        .restore_revision(
            &world.creator,
            api.id,
            revision,
            &changed.meta.etag.to_string(),
        )
        .await
        .unwrap();
    assert_eq!(restored.design, api.design);
    assert_eq!(restored.plans, changed.plans);
}

#[tokio::test]
async fn a_deployment_replaces_the_one_before_it_on_each_environment() {
    let world = World::new().await;
    let api = world.published("Echo").await;
    let service = &world.service;
    let lab = EnvironmentInput {
        ..EnvironmentInput::default()
    };
    service
        .create::<Environment>(&world.admin, "lab", lab)
        .await
        .unwrap();
    let second = service
        .create_revision(&world.creator, api.id, "")
        .await
        .unwrap();
    let mars = ["mars".to_owned()];
    let both = ["default".to_owned(), "lab".to_owned()];
    let deploy = |names| service.deploy_revision(&world.publisher, api.id, second.id, names);
    assert_eq!(
        faults(deploy(&mars).await),
        [("environments[0]".to_owned(), invalid::NOT_FOUND)]
    );
    deploy(&both).await.unwrap();
    let running: Vec<_> = world
        .state()
        .deployments_of(api.id)
        .map(|deployment| (deployment.environment.to_string(), deployment.revision))
        .collect();
    assert_eq!(
        running,
        [
            ("default".to_owned(), second.id),
            ("lab".to_owned(), second.id)
        ]
    );
    let drop = service
        .delete::<Environment>(&world.admin, &parsed("lab"), "")
        .await;
    assert_eq!(refused(drop), reason::ENVIRONMENT_IN_USE);
    let undeploy = |names| service.undeploy_revision(&world.publisher, api.id, second.id, names);
    let nowhere = undeploy(&[]).await;
    assert_eq!(faults(nowhere)[0].0, "environments", "none is not all");
    undeploy(&both[1..]).await.unwrap();
    assert_eq!(refused(undeploy(&both[1..]).await), reason::NOT_DEPLOYED);
    service
        .delete::<Environment>(&world.admin, &parsed("lab"), "")
        .await
        .unwrap();
    let shipped = service
        .delete::<Environment>(&world.admin, &parsed("default"), "")
        .await;
    assert_eq!(refused(shipped), reason::DEFAULT_ENVIRONMENT);
}

#[tokio::test]
async fn subscribers_see_what_is_offered_to_them() {
    let world = World::new().await;
    let service = &world.service;
    let hidden = service
        .create_api(&world.creator, input("Draft"), false)
        .await
        .unwrap();
    let api = world.published("Echo").await;
    not_found(service.get_api(&world.subscriber, hidden.id));
    let seen = service
        .list_apis(&world.subscriber, &ListQuery::default())
        .unwrap();
    assert_eq!(seen.items.len(), 1);
    let all = service
        .list_apis(&world.creator, &ListQuery::default())
        .unwrap();
    assert_eq!(all.total_size, 2);
    let application = world.application(&world.subscriber, "app").await;
    let subscribe =
        service.create_subscription(&world.subscriber, application, api.id, parsed("Gold"));
    subscribe.await.unwrap();
    let step = |action| service.change_lifecycle(&world.publisher, api.id, action, "");
    step(Action::Deprecate).await.unwrap();
    service.get_api(&world.subscriber, api.id).unwrap();
    not_found(service.get_api(&world.other, api.id));
    step(Action::Retire).await.unwrap();
    not_found(service.get_api(&world.subscriber, api.id));
}

#[tokio::test]
async fn an_api_with_subscriptions_is_not_deleted_and_its_plans_in_use_stay() {
    let world = World::new().await;
    let service = &world.service;
    let api = world.published("Echo").await;
    let application = world.application(&world.subscriber, "app").await;
    let subscription = service
        .create_subscription(&world.subscriber, application, api.id, parsed("Gold"))
        .await
        .unwrap();
    let delete = || service.delete_api(&world.creator, api.id, "");
    assert_eq!(refused(delete().await), reason::API_HAS_SUBSCRIPTIONS);
    let without = world.update(&world.creator, api.id, &["plans"], |input| {
        input.plans = vec!["Silver".to_owned()];
    });
    assert_eq!(refused(without.await), reason::PLAN_IN_USE);
    service
        .delete_subscription(&world.subscriber, subscription.id, "")
        .await
        .unwrap();
    delete().await.unwrap();
    let state = world.state();
    assert!(state.revisions().is_empty() && state.deployments().is_empty());
}

#[tokio::test]
async fn a_published_api_keeps_one_plan_at_least() {
    let world = World::new().await;
    let api = world.published("Echo").await;
    let without = || world.update(&world.creator, api.id, &["plans"], |_| {});
    assert_eq!(refused(without().await), reason::NO_PLAN);
    let other = world.update(&world.creator, api.id, &["plans"], |input| {
        input.plans = vec!["Bronze".to_owned()];
    });
    other.await.unwrap();
    let block = Action::Block;
    world
        .service
        .change_lifecycle(&world.publisher, api.id, block, "")
        .await
        .unwrap();
    assert!(without().await.unwrap().plans.is_empty());
    let republished =
        world
            .service
            .change_lifecycle(&world.publisher, api.id, Action::Republish, "");
    assert_eq!(refused(republished.await), reason::NO_PLAN);
}

#[tokio::test]
async fn lists_are_filtered_ordered_and_paged_without_gaps() {
    let world = World::new().await;
    for n in 0..7 {
        let name = format!("Api{n}");
        let api = world
            .service
            .create_api(&world.publisher, input(&name), n % 2 == 0);
        api.await.unwrap();
    }
    let mut query = ListQuery {
        page_size: 3,
        filter: "state = PUBLISHED AND api_name : api".to_owned(),
        order_by: "api_name desc".to_owned(),
        ..ListQuery::default()
    };
    let first = world.service.list_apis(&world.creator, &query).unwrap();
    assert_eq!(first.total_size, 4);
    query.page_token = first.next_page_token.clone();
    // What is made meanwhile shifts nothing.
    world
        .service
        .create_api(&world.publisher, input("Api9"), true)
        .await
        .unwrap();
    let second = world.service.list_apis(&world.creator, &query).unwrap();
    let names: Vec<_> = [first.items, second.items]
        .concat()
        .iter()
        .map(|api| api.name.to_string())
        .collect();
    assert_eq!(names, ["Api6", "Api4", "Api2", "Api0"]);
    assert_eq!(second.next_page_token, "");
    query.filter.clear();
    let other_filter = world.service.list_apis(&world.creator, &query);
    assert_eq!(faults(other_filter)[0].0, "page_token");
}
