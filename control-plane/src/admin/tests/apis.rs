//! APIs from creation to retirement.

use prost_types::FieldMask;
use tidegate_proto::admin::v1::{
    Api, ChangeLifecycleRequest, CreateApiVersionRequest, CreateRevisionRequest, DeleteApiRequest,
    DeleteRevisionRequest, DeployRevisionRequest, GetApiRequest, GetRevisionRequest,
    LifecycleAction, LifecycleState, ListLifecycleEventsRequest, ListRevisionsRequest,
    RestoreRevisionRequest, Revision, Role as RoleMessage, Topic, TopicVerb,
    UndeployRevisionRequest, UpdateApiRequest,
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{Caller, Stage, echo, faults, reason};

async fn update(caller: &Caller, api: Api, paths: &[&str]) -> Result<Api, Status> {
    let request = UpdateApiRequest {
        api: Some(api),
        update_mask: Some(FieldMask {
            paths: paths.iter().map(|&path| path.to_owned()).collect(),
        }),
    };
    Ok(caller.apis().update_api(request).await?.into_inner())
}

async fn act(caller: &Caller, api: &Api, action: LifecycleAction) -> Result<Api, Status> {
    let request = ChangeLifecycleRequest {
        name: api.name.clone(),
        action: action as i32,
        etag: String::new(),
    };
    Ok(caller.apis().change_lifecycle(request).await?.into_inner())
}

async fn revise(caller: &Caller, api: &Api, description: &str) -> Result<Revision, Status> {
    let request = CreateRevisionRequest {
        parent: api.name.clone(),
        revision: Some(Revision {
            description: description.to_owned(),
            ..Revision::default()
        }),
    };
    Ok(caller.apis().create_revision(request).await?.into_inner())
}

#[tokio::test]
async fn the_tutorials_api_is_created_deployed_and_published_in_one_call() {
    let stage = Stage::new().await;
    let api = stage.admin().await.create(echo(), true).await.unwrap();
    assert_eq!(api.state, LifecycleState::Published as i32);
    assert_eq!(api.deployments.len(), 1);
    assert_eq!(api.deployments[0].environment, "environments/default");
    assert!(
        api.deployments[0]
            .revision
            .starts_with(&format!("{}/revisions/", api.name))
    );
    assert_eq!(api.creator, "users/admin");
    assert_eq!(api.topics.len(), 1);
    assert_eq!(api.topics[0].template, "/*");
    assert!(!api.etag.is_empty() && api.create_time.is_some());
}

#[tokio::test]
async fn every_field_comes_back_as_it_went_in() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    admin.create_api_policy("strict", &[]).await.unwrap();
    let asked = Api {
        display_name: "Echo, the API".to_owned(),
        description: "sends\nback".to_owned(),
        tags: vec!["demo".to_owned(), "echo".to_owned()],
        sandbox_endpoint: "wss://sandbox.example/ws".to_owned(),
        sandbox_keys_on_production_endpoint: true,
        topics: vec![Topic {
            template: "/rooms/{room}".to_owned(),
            mapping: "/r?id={uri.var.room}".to_owned(),
            verbs: vec![TopicVerb::Subscribe as i32],
            description: "a room".to_owned(),
            policy: "apiPolicies/strict".to_owned(),
        }],
        policy: "apiPolicies/strict".to_owned(),
        notice_subprotocols: vec!["chat.v1".to_owned()],
        default_version: true,
        visible_roles: vec![RoleMessage::Subscriber as i32],
        ..echo()
    };
    let created = admin.create(asked.clone(), false).await.unwrap();
    let request = GetApiRequest {
        name: created.name.clone(),
    };
    let got = admin.apis().get_api(request).await.unwrap().into_inner();
    assert_eq!(got, created);
    let only_input = Api {
        name: String::new(),
        state: 0,
        allowed_actions: Vec::new(),
        deployments: Vec::new(),
        creator: String::new(),
        etag: String::new(),
        create_time: None,
        update_time: None,
        ..got
    };
    assert_eq!(only_input, asked);
}

#[tokio::test]
async fn all_faults_of_a_request_are_told_at_once() {
    let stage = Stage::new().await;
    let api = Api {
        api_name: "no/slashes".to_owned(),
        context: "/t/x".to_owned(),
        version: "1 0".to_owned(),
        production_endpoint: "http://127.0.0.1".to_owned(),
        tags: vec!["x".repeat(31)],
        plans: vec!["plans/Platinum".to_owned()],
        ..Api::default()
    };
    let refused = stage.admin().await.create(api, false).await.unwrap_err();
    assert_eq!(reason(&refused), "INVALID_ARGUMENT");
    let fields: Vec<_> = faults(&refused)
        .into_iter()
        .map(|(field, _)| field)
        .collect();
    for field in [
        "api.api_name",
        "api.context",
        "api.version",
        "api.production_endpoint",
        "api.tags[0]",
        "api.plans[0]",
    ] {
        assert!(
            fields.iter().any(|it| it == field),
            "{field} is not in {fields:?}"
        );
    }
}

#[tokio::test]
async fn missing_and_overlong_fields_are_faults() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let nothing = admin.create(Api::default(), false).await.unwrap_err();
    for field in ["api.api_name", "api.context", "api.version"] {
        assert!(faults(&nothing).contains(&(field.to_owned(), "REQUIRED".to_owned())));
    }
    let long = Api {
        api_name: "x".repeat(10_000),
        description: "x".repeat(40_000),
        ..echo()
    };
    let long = admin.create(long, false).await.unwrap_err();
    for field in ["api.api_name", "api.description"] {
        assert!(faults(&long).contains(&(field.to_owned(), "TOO_LONG".to_owned())));
    }
    assert!(long.message().len() < 500, "{}", long.message().len());
}

#[tokio::test]
async fn names_and_contexts_are_taken_once() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let first = admin.create(echo(), false).await.unwrap();
    let twin = admin.create(echo(), false).await.unwrap_err();
    assert_eq!(twin.code(), Code::AlreadyExists);
    let info = twin.get_details_resource_info().unwrap();
    assert_eq!(info.resource_name, first.name);
    let same_context = Api {
        api_name: "Other".to_owned(),
        ..echo()
    };
    let refused = admin.create(same_context, false).await.unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists);
}

#[tokio::test]
async fn publishing_needs_an_endpoint_and_a_plan() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let no_plan = Api {
        plans: Vec::new(),
        ..echo()
    };
    let refused = admin.create(no_plan, true).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(reason(&refused), "NO_PLAN");
    let no_endpoint = Api {
        production_endpoint: String::new(),
        ..echo()
    };
    let refused = admin.create(no_endpoint.clone(), true).await.unwrap_err();
    assert_eq!(reason(&refused), "NO_ENDPOINT");
    let violations = refused
        .get_details_precondition_failure()
        .unwrap()
        .violations;
    assert_eq!(violations[0].r#type, "NO_ENDPOINT");
    let created = admin.create(no_endpoint, false).await.unwrap();
    assert_eq!(created.state, LifecycleState::Created as i32);
}

#[tokio::test]
async fn an_update_changes_what_its_mask_names_and_nothing_else() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let api = admin.create(echo(), false).await.unwrap();
    let wanted = Api {
        name: api.name.clone(),
        description: "new".to_owned(),
        tags: vec!["ignored".to_owned()],
        ..Api::default()
    };
    let changed = update(&admin, wanted.clone(), &["description"])
        .await
        .unwrap();
    assert_eq!(changed.description, "new");
    assert!(changed.tags.is_empty());
    assert_ne!(changed.etag, api.etag);
    // Without a mask, what is set is changed.
    let changed = update(&admin, wanted, &[]).await.unwrap();
    assert_eq!(changed.tags, ["ignored"]);
    assert_eq!(changed.production_endpoint, api.production_endpoint);
    // A field that is named and empty is emptied.
    let empty = Api {
        name: api.name.clone(),
        ..Api::default()
    };
    let changed = update(&admin, empty, &["tags"]).await.unwrap();
    assert!(changed.tags.is_empty());
    assert_eq!(changed.description, "new");
}

#[tokio::test]
async fn a_mask_that_names_what_is_not_there_is_refused() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let api = admin.create(echo(), false).await.unwrap();
    let refused = update(&admin, api, &["description", "colour"])
        .await
        .unwrap_err();
    let found = faults(&refused);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].0.starts_with("update_mask"), "{found:?}");
    assert_eq!(found[0].1, "UNKNOWN_FIELD");
}

#[tokio::test]
async fn what_never_changes_is_refused_and_not_ignored() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let api = admin.create(echo(), false).await.unwrap();
    let other = Api {
        name: api.name.clone(),
        api_name: "Other".to_owned(),
        context: "/other".to_owned(),
        version: "2.0".to_owned(),
        description: "new".to_owned(),
        ..Api::default()
    };
    for mask in [&["api_name", "context", "version", "description"][..], &[]] {
        let refused = update(&admin, other.clone(), mask).await.unwrap_err();
        for field in ["api.api_name", "api.context", "api.version"] {
            let fault = (field.to_owned(), "IMMUTABLE".to_owned());
            assert!(faults(&refused).contains(&fault), "{field} {mask:?}");
        }
    }
    let request = GetApiRequest {
        name: api.name.clone(),
    };
    let now = admin.apis().get_api(request).await.unwrap().into_inner();
    assert_eq!(now, api);
    // The values that it has are no attempt to change them.
    let same = Api {
        description: "new".to_owned(),
        ..api
    };
    assert!(update(&admin, same, &[]).await.is_ok());
}

#[tokio::test]
async fn whoever_has_read_an_older_copy_overwrites_nothing() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let api = admin.create(echo(), false).await.unwrap();
    let mine = Api {
        description: "mine".to_owned(),
        ..api.clone()
    };
    update(&admin, mine.clone(), &["description"])
        .await
        .unwrap();
    let stale = update(&admin, mine, &["description"]).await.unwrap_err();
    assert_eq!(stale.code(), Code::Aborted);
    assert_eq!(reason(&stale), "ETAG_MISMATCH");
    let delete = |etag: &str| DeleteApiRequest {
        name: api.name.clone(),
        etag: etag.to_owned(),
    };
    let stale = admin
        .apis()
        .delete_api(delete(&api.etag))
        .await
        .unwrap_err();
    assert_eq!(stale.code(), Code::Aborted);
    admin.apis().delete_api(delete("")).await.unwrap();
    let gone = admin.apis().delete_api(delete("")).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
    assert_eq!(
        gone.get_details_resource_info().unwrap().resource_name,
        api.name
    );
}

#[tokio::test]
async fn a_lifecycle_takes_the_moves_it_tells_and_keeps_them() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let api = admin.create(echo(), false).await.unwrap();
    let refused = act(&admin, &api, LifecycleAction::Retire)
        .await
        .unwrap_err();
    assert_eq!(reason(&refused), "LIFECYCLE_MOVE_NOT_ALLOWED");
    let mut last = api.clone();
    for action in [
        LifecycleAction::Publish,
        LifecycleAction::Block,
        LifecycleAction::Republish,
        LifecycleAction::Deprecate,
        LifecycleAction::Retire,
    ] {
        assert!(
            last.allowed_actions.contains(&(action as i32)),
            "{action:?}"
        );
        last = act(&admin, &api, action).await.unwrap();
    }
    assert_eq!(last.state, LifecycleState::Retired as i32);
    assert!(last.allowed_actions.is_empty());
    let request = ListLifecycleEventsRequest {
        parent: api.name.clone(),
        page_size: 2,
        page_token: String::new(),
    };
    let page = admin
        .apis()
        .list_lifecycle_events(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        page.lifecycle_events[0].action,
        LifecycleAction::Retire as i32
    );
    assert_eq!(page.lifecycle_events[0].user, "users/admin");
    assert_eq!(page.lifecycle_events.len(), 2);
    assert!(!page.next_page_token.is_empty());
    assert!(page.total_size >= 5);
    let unknown = ChangeLifecycleRequest {
        name: "apis/1".to_owned(),
        action: 99,
        etag: String::new(),
    };
    let refused = admin.apis().change_lifecycle(unknown).await.unwrap_err();
    let fields: Vec<_> = faults(&refused)
        .into_iter()
        .map(|(field, _)| field)
        .collect();
    assert_eq!(fields, ["name", "action"]);
}

#[tokio::test]
async fn a_new_version_is_a_copy_and_may_become_the_default() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let first = Api {
        default_version: true,
        ..echo()
    };
    let first = admin.create(first, true).await.unwrap();
    let request = |version: &str| CreateApiVersionRequest {
        name: first.name.clone(),
        version: version.to_owned(),
        default_version: true,
    };
    let second = admin
        .apis()
        .create_api_version(request("2.0"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (second.version.as_str(), second.default_version),
        ("2.0", true)
    );
    assert_eq!(second.state, LifecycleState::Created as i32);
    assert_eq!(second.production_endpoint, first.production_endpoint);
    let name = first.name.clone();
    let first_now = admin.apis().get_api(GetApiRequest { name }).await.unwrap();
    assert!(!first_now.into_inner().default_version);
    let taken = admin
        .apis()
        .create_api_version(request("1.0"))
        .await
        .unwrap_err();
    assert_eq!(taken.code(), Code::AlreadyExists);
}

#[tokio::test]
async fn revisions_are_frozen_deployed_restored_and_counted() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let api = admin.create(echo(), false).await.unwrap();
    let first = revise(&admin, &api, "first").await.unwrap();
    assert_eq!(first.number, 1);
    let mut changed = api.clone();
    changed.description = "changed".to_owned();
    update(&admin, changed, &["description"])
        .await
        .unwrap_or_else(|status| panic!("{status:?}"));
    let get = GetRevisionRequest {
        name: first.name.clone(),
    };
    let frozen = admin.apis().get_revision(get).await.unwrap().into_inner();
    assert_eq!(frozen.api.unwrap().description, "");
    let deploy = DeployRevisionRequest {
        name: first.name.clone(),
        environments: vec!["environments/default".to_owned()],
    };
    let deployed = admin
        .apis()
        .deploy_revision(deploy)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(deployed.environments, ["environments/default"]);
    let delete = || DeleteRevisionRequest {
        name: first.name.clone(),
    };
    let refused = admin.apis().delete_revision(delete()).await.unwrap_err();
    assert_eq!(reason(&refused), "REVISION_DEPLOYED");
    let restore = RestoreRevisionRequest {
        name: first.name.clone(),
        etag: String::new(),
    };
    let restored = admin
        .apis()
        .restore_revision(restore)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(restored.description, "");
    for _ in 0..4 {
        revise(&admin, &api, "").await.unwrap();
    }
    let sixth = revise(&admin, &api, "").await.unwrap_err();
    assert_eq!(reason(&sixth), "REVISION_LIMIT");
    let undeploy = UndeployRevisionRequest {
        name: first.name.clone(),
        environments: vec!["environments/default".to_owned()],
    };
    admin.apis().undeploy_revision(undeploy).await.unwrap();
    admin.apis().delete_revision(delete()).await.unwrap();
    assert_eq!(revise(&admin, &api, "").await.unwrap().number, 6);
    let list = ListRevisionsRequest {
        parent: api.name.clone(),
        page_size: 2,
        page_token: String::new(),
    };
    let page = admin
        .apis()
        .list_revisions(list)
        .await
        .unwrap()
        .into_inner();
    assert_eq!((page.revisions.len(), page.total_size), (2, 5));
    assert_eq!(page.revisions[0].number, 6);
}

#[tokio::test]
async fn a_deployment_needs_a_place_that_exists() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let api = admin.create(echo(), false).await.unwrap();
    let revision = revise(&admin, &api, "").await.unwrap();
    for environments in [vec![], vec!["environments/nowhere".to_owned()]] {
        let request = DeployRevisionRequest {
            name: revision.name.clone(),
            environments,
        };
        let refused = admin.apis().deploy_revision(request).await.unwrap_err();
        let fields = faults(&refused);
        assert!(fields[0].0.starts_with("environments"), "{fields:?}");
    }
}
