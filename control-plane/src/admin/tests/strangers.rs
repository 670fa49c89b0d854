//! What is open to those who have not signed in: the catalogue, and signing up where it is allowed.

use std::time::Duration;

use prost_types::FieldMask;
use tidegate_proto::admin::v1::{
    Api, ChangeLifecycleRequest, GetCatalogApiRequest, GetSignInOptionsRequest, LifecycleAction,
    ListAuditEntriesRequest, ListCatalogApisRequest, ListCatalogApisResponse, Role as RoleMessage,
    Settings, SignOutEverywhereRequest, SignUpRequest, Topic, UpdateSettingsRequest, User,
    WhoAmIRequest,
};
use tokio::time::Instant;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{
    Caller, Stage,
    catalogue::{register, subscribe},
    echo, faults, reason,
};
use crate::domain::user::Role;

async fn found(caller: &Caller, filter: &str) -> Result<ListCatalogApisResponse, Status> {
    let request = ListCatalogApisRequest {
        filter: filter.to_owned(),
        ..ListCatalogApisRequest::default()
    };
    Ok(caller
        .catalog()
        .list_catalog_apis(request)
        .await?
        .into_inner())
}

async fn names(caller: &Caller, filter: &str) -> Vec<String> {
    let page = found(caller, filter).await.unwrap();
    assert_eq!(page.apis.len(), usize::try_from(page.total_size).unwrap());
    page.apis.into_iter().map(|api| api.api_name).collect()
}

fn named(name: &str) -> Api {
    Api {
        api_name: name.to_owned(),
        context: format!("/{}", name.to_lowercase()),
        ..echo()
    }
}

async fn move_on(caller: &Caller, api: &Api, action: LifecycleAction) {
    let request = ChangeLifecycleRequest {
        name: api.name.clone(),
        action: action.into(),
        etag: String::new(),
    };
    caller.apis().change_lifecycle(request).await.unwrap();
}

#[tokio::test]
async fn a_stranger_finds_what_is_public_with_its_plans_and_urls_and_not_where_the_backend_is() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let api = Api {
        display_name: "The echo".to_owned(),
        description: "says it **again**".to_owned(),
        tags: vec!["chat".to_owned()],
        sandbox_endpoint: "ws://sandbox.internal:8765".to_owned(),
        default_version: true,
        topics: vec![Topic {
            template: "/rooms/{room}".to_owned(),
            mapping: "/secret?room={uri.var.room}".to_owned(),
            description: "one room".to_owned(),
            ..Topic::default()
        }],
        ..echo()
    };
    let api = admin.create(api, true).await.unwrap();
    let nobody = stage.nobody();
    let name = api.name.clone();
    let got = nobody
        .catalog()
        .get_catalog_api(GetCatalogApiRequest { name })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(found(&nobody, "").await.unwrap().apis[0], got);
    let told = format!("{got:?}");
    for hidden in ["8765", "internal", "secret", "users/"] {
        assert!(!told.contains(hidden), "{hidden} in {told}");
    }
    assert_eq!((got.display_name.as_str(), got.tags.len()), ("The echo", 1));
    assert_eq!(got.topics[0].template, "/rooms/{room}");
    let plans: Vec<_> = got.plans.iter().map(|plan| plan.name.as_str()).collect();
    assert_eq!(plans, ["plans/Gold", "plans/Silver"]);
    let limit = got.plans[0].limits.unwrap().messages.unwrap();
    assert_eq!((limit.amount, limit.window_seconds), (50_000, 86_400));
    let urls = &got.urls[0];
    assert_eq!(urls.environment, "environments/default");
    assert_eq!(urls.ws_url, "ws://localhost:9099/echowebsocket/1.0");
    assert_eq!(urls.wss_url, "wss://localhost:8099/echowebsocket/1.0");
    assert_eq!(urls.default_ws_url, "ws://localhost:9099/echowebsocket");
    assert_eq!(api.urls, got.urls, "publishers are told the same");
    let known = stage.user("ann", &[Role::Subscriber]).await;
    let page = found(&known, "").await.unwrap();
    assert_eq!(page.apis[0].creator, "users/admin");
}

#[tokio::test]
async fn the_catalogue_shows_each_visitor_what_is_for_him() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    admin.create(named("Draft"), false).await.unwrap();
    admin.create(named("Open"), true).await.unwrap();
    let members = Api {
        visible_roles: vec![RoleMessage::Subscriber.into()],
        ..named("Members")
    };
    let members = admin.create(members, true).await.unwrap();
    let old = admin.create(named("Old"), true).await.unwrap();
    let blocked = admin.create(named("Blocked"), true).await.unwrap();
    let ann = stage.user("ann", &[Role::Subscriber]).await;
    let application = register(&ann, "App").await.unwrap().name;
    subscribe(&ann, &application, &old.name, "plans/Gold")
        .await
        .unwrap();
    move_on(&admin, &old, LifecycleAction::Deprecate).await;
    move_on(&admin, &blocked, LifecycleAction::Block).await;
    let sam = stage.user("sam", &[Role::Subscriber]).await;
    let carl = stage.user("carl", &[Role::Creator]).await;
    for (caller, shown) in [
        (&stage.nobody(), &["Blocked", "Open"][..]),
        (&sam, &["Blocked", "Members", "Open"]),
        (&ann, &["Blocked", "Members", "Old", "Open"]),
        (&carl, &["Blocked", "Members", "Open"]),
    ] {
        assert_eq!(names(caller, "").await, shown);
    }
    let name = members.name.clone();
    let nobody = stage.nobody();
    let mut catalog = nobody.catalog();
    let hidden = catalog.get_catalog_api(GetCatalogApiRequest { name });
    assert_eq!(hidden.await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn the_catalogue_is_searched_filtered_and_paged_without_telling_what_it_does_not_show() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    for (name, tag) in [("Tides", "sea"), ("Weather", "sky"), ("Ships", "sea")] {
        let api = Api {
            description: format!("all about {}", name.to_uppercase()),
            tags: vec![tag.to_owned()],
            ..named(name)
        };
        admin.create(api, true).await.unwrap();
    }
    let nobody = stage.nobody();
    assert_eq!(names(&nobody, "tags = sea").await, ["Ships", "Tides"]);
    assert_eq!(
        names(&nobody, "text : \"about weather\"").await,
        ["Weather"]
    );
    assert_eq!(names(&nobody, "text : SKY").await, ["Weather"]);
    let first = ListCatalogApisRequest {
        page_size: 2,
        ..ListCatalogApisRequest::default()
    };
    let page = nobody.catalog().list_catalog_apis(first.clone()).await;
    let page = page.unwrap().into_inner();
    assert_eq!((page.apis.len(), page.total_size), (2, 3));
    let next = ListCatalogApisRequest {
        page_token: page.next_page_token,
        ..first
    };
    let page = nobody.catalog().list_catalog_apis(next).await;
    assert_eq!(page.unwrap().into_inner().apis[0].api_name, "Weather");
    for field in ["creator", "policy", "production_endpoint"] {
        let refused = found(&nobody, &format!("{field} : a")).await.unwrap_err();
        assert_eq!(faults(&refused)[0].0, "filter", "{field}");
    }
}

#[tokio::test]
async fn a_token_that_is_not_good_is_refused_where_none_would_do() {
    let stage = Stage::new().await;
    let refused = found(&stage.with_token(Some("unknown")), "").await;
    assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
}

async fn allow_sign_up(admin: &Caller, allowed: bool) -> Settings {
    let request = UpdateSettingsRequest {
        settings: Some(Settings {
            sign_up_allowed: allowed,
            etag: String::new(),
        }),
        update_mask: Some(FieldMask {
            paths: vec!["sign_up_allowed".to_owned()],
        }),
    };
    let changed = admin.settings().update_settings(request).await;
    changed.unwrap().into_inner()
}

async fn sign_up(stage: &Stage, username: &str, password: &str) -> Result<User, Status> {
    let request = SignUpRequest {
        username: username.to_owned(),
        password: password.to_owned(),
    };
    Ok(stage
        .nobody()
        .sessions()
        .sign_up(request)
        .await?
        .into_inner())
}

async fn is_open(stage: &Stage) -> bool {
    let asked = stage
        .nobody()
        .sessions()
        .get_sign_in_options(GetSignInOptionsRequest {})
        .await;
    asked.unwrap().into_inner().sign_up_allowed
}

#[tokio::test]
async fn strangers_sign_up_as_subscribers_where_an_admin_allows_it() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let early = sign_up(&stage, "ann", "a long password").await.unwrap_err();
    assert_eq!(reason(&early), "SIGN_UP_NOT_ALLOWED");
    assert!(!is_open(&stage).await);
    assert!(allow_sign_up(&admin, true).await.sign_up_allowed);
    assert!(is_open(&stage).await);
    let bad = sign_up(&stage, "a b", "short").await.unwrap_err();
    let fields: Vec<_> = faults(&bad).into_iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["username", "password"]);
    let system = sign_up(&stage, "System", "a long password")
        .await
        .unwrap_err();
    assert_eq!(
        faults(&system),
        [("username".to_owned(), "RESERVED".to_owned())]
    );
    let user = sign_up(&stage, "ann", "a long password").await.unwrap();
    assert_eq!(user.roles, [RoleMessage::Subscriber as i32]);
    let again = sign_up(&stage, "ANN", "a long password").await.unwrap_err();
    assert_eq!(again.code(), Code::AlreadyExists);
    let ann = stage.sign_in("ann", "a long password").await.unwrap();
    register(&ann, "App").await.unwrap();
    let request = ListAuditEntriesRequest {
        filter: "action = SignUp".to_owned(),
        ..ListAuditEntriesRequest::default()
    };
    let entries = admin.audit().list_audit_entries(request).await;
    let entry = entries.unwrap().into_inner().audit_entries.remove(0);
    assert_eq!(
        (entry.actor.as_str(), entry.resource.as_str()),
        ("users/ann", "users/ann")
    );
    allow_sign_up(&admin, false).await;
    let late = sign_up(&stage, "bob", "a long password").await.unwrap_err();
    assert_eq!(reason(&late), "SIGN_UP_NOT_ALLOWED");
}

#[tokio::test(start_paused = true)]
async fn those_who_sign_up_from_one_address_wait_for_their_turns_and_too_many_are_refused() {
    let stage = Stage::new().await;
    allow_sign_up(&stage.admin().await, true).await;
    for n in 0..5 {
        sign_up(&stage, &format!("user{n}"), "a long password")
            .await
            .unwrap();
    }
    let begun = Instant::now();
    let late = ["sixth", "seventh", "eighth"].map(|name| sign_up(&stage, name, "a long password"));
    let late = futures_util::future::join_all(late).await;
    assert!(begun.elapsed() >= Duration::from_secs(20));
    let [Ok(_), Ok(_), Err(refused)] = &late[..] else {
        unreachable!("the first two have turns: {late:?}");
    };
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let delay = refused
        .get_details_retry_info()
        .unwrap()
        .retry_delay
        .unwrap();
    stage.clock.advance(delay);
    sign_up(&stage, "one-more", "a long password")
        .await
        .unwrap();
    assert!(
        stage.sign_in("user0", "a long password").await.is_ok(),
        "signing in is not slowed"
    );
}

#[tokio::test]
async fn signing_out_everywhere_ends_every_session_of_oneself_or_for_an_admin_of_anybody() {
    let stage = Stage::new().await;
    let here = stage.user("ann", &[Role::Subscriber]).await;
    let there = stage.sign_in("ann", super::USER_PASSWORD).await.unwrap();
    let is_in = async |caller: &Caller| caller.sessions().who_am_i(WhoAmIRequest {}).await.is_ok();
    let everywhere = |user: &str| SignOutEverywhereRequest {
        user: user.to_owned(),
    };
    here.sessions()
        .sign_out_everywhere(everywhere(""))
        .await
        .unwrap();
    assert!(!is_in(&here).await && !is_in(&there).await);
    let again = stage.sign_in("ann", super::USER_PASSWORD).await.unwrap();
    let bob = stage.user("bob", &[Role::Creator]).await;
    let denied = bob
        .sessions()
        .sign_out_everywhere(everywhere("users/ann"))
        .await;
    assert_eq!(denied.unwrap_err().code(), Code::PermissionDenied);
    let admin = stage.admin().await;
    admin
        .sessions()
        .sign_out_everywhere(everywhere("users/Ann"))
        .await
        .unwrap();
    assert!(!is_in(&again).await && is_in(&bob).await && is_in(&admin).await);
}
