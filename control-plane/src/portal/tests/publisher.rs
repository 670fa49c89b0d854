//! The publisher portal: each form's faults, who may do what, two editors of one thing, typed confirmation, and what is
//! escaped.

use std::sync::Arc;

use http::{Method, StatusCode, header};

use super::{Browser, Fields, Page, Stage, cookie, csrf, token_of};
use crate::{
    domain::{
        actor::Actor,
        api::Api,
        lifecycle::Lifecycle,
        name::EnvironmentName,
        subscription::{Subscription, SubscriptionState},
        user::Permission,
    },
    portal::submitted::RESUMED,
    service::{apis::ApiInput, applications::ApplicationInput, documents::DocumentInput},
};

const CREATE: &str = "/publisher/apis/create";
const EVIL: &str = "\"><script>alert(1)</script>";

impl Stage {
    /// The only API.
    fn api(&self) -> Arc<Api> {
        let state = self.service.state();
        assert_eq!(state.apis().len(), 1);
        state.apis().values().next().unwrap().clone()
    }

    /// A published API `Echo`, and where it is.
    async fn echo(&self) -> (Arc<Api>, String) {
        self.published("Echo", "").await;
        let api = self.api();
        let path = format!("/publisher/apis/{}", api.id);
        (api, path)
    }

    /// A subscription of `sue` to an API.
    async fn subscribed(&self, api: &Api) -> Arc<Subscription> {
        let state = self.service.state();
        let sue = Actor::of(state.user_named("sue").unwrap());
        let application = self
            .service
            .create_application(&sue, ApplicationInput::new("Phone", ""))
            .await;
        let application = application.unwrap();
        let made =
            self.service
                .create_subscription(&sue, application.id, api.id, "Gold".parse().unwrap());
        made.await.unwrap()
    }
}

impl Browser<'_> {
    /// Posts a form with the token that it would have on its page.
    async fn submit(&mut self, path: &str, fields: Fields) -> Page {
        let token = token_of(self, path);
        self.post(path, &token, fields).await
    }
}

/// What a form carries on without showing it, but for the token.
fn carried(page: &Page) -> Fields {
    let inputs = page.text.split(r#"<input type="hidden" name=""#).skip(1);
    inputs.fold(Fields::new(), |fields, input| {
        let (name, rest) = input.split_once(r#"" value=""#).unwrap();
        let value = rest.split('"').next().unwrap();
        match name {
            csrf::FIELD => fields,
            _ => fields.with(name, value),
        }
    })
}

fn designed() -> Fields {
    Fields::new()
        .with("name", "EchoWebSocket")
        .with("context", "/echowebsocket")
        .with("version", "1.0")
        .with("endpoint", "ws://backend:8080")
        .with("plans", "Gold")
        .with("plans", "Silver")
}

#[tokio::test]
async fn a_creator_designs_an_api_and_lands_on_its_overview() {
    let stage = Stage::new().await;
    let mut carl = stage.signed_in("carl").await;
    let page = carl.get(CREATE).await;
    assert_eq!(page.status, StatusCode::OK);
    for label in ["Name", "Context", "Version", "Endpoint", "Business plans"] {
        assert!(page.has(label), "{label}");
    }
    assert!(
        page.has("ws://localhost:9099/&#60;context&#62;")
            || page.has("ws://localhost:9099/&lt;context&gt;")
    );
    assert!(
        !page.has("name=\"publish\""),
        "who is no publisher is not offered it"
    );
    let page = carl.submit(CREATE, designed()).await;
    let api = stage.api();
    assert_eq!(page.location(), format!("/publisher/apis/{}", api.id));
    assert_eq!((api.state, api.plans.len()), (Lifecycle::Created, 2));
    let page = carl.get(&format!("/publisher/apis/{}", api.id)).await;
    assert!(
        page.has("API EchoWebSocket created") && page.has("Only publishers can change the state.")
    );
    assert!(!page.has("name=\"action\""));
}

#[tokio::test]
async fn who_may_publish_creates_and_publishes_at_once() {
    let stage = Stage::new().await;
    let mut ada = stage.signed_in("ada").await;
    assert!(ada.get(CREATE).await.has("Create and publish"));
    let page = ada.submit(CREATE, designed().with("publish", "1")).await;
    let api = stage.api();
    assert_eq!(api.state, Lifecycle::Published);
    let page = ada.get(page.location()).await;
    assert!(page.has("ws://localhost:9099/echowebsocket/1.0"));
    assert_eq!(page.text.matches("(done)").count(), 4, "{}", page.text);
}

#[tokio::test]
async fn publishing_at_once_is_the_use_case_s_to_allow() {
    let stage = Stage::new().await;
    let mut carl = stage.signed_in("carl").await;
    let page = carl.submit(CREATE, designed().with("publish", "1")).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    let mut ada = stage.signed_in("ada").await;
    let without = |name: &'static str| designed().only(move |it| it != name).with("publish", "1");
    let page = ada.submit(CREATE, without("endpoint")).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.has("href=\"#f-endpoint\"") && page.has("Is required to publish the API"));
    let page = ada.submit(CREATE, without("plans")).await;
    assert!(page.has("href=\"#f-plans\""));
    assert!(stage.service.state().apis().is_empty());
}

#[tokio::test]
async fn each_fault_of_a_new_api_stands_beside_its_field_and_nothing_typed_is_lost() {
    let stage = Stage::new().await;
    let mut carl = stage.signed_in("carl").await;
    let page = carl
        .submit(
            CREATE,
            Fields::new()
                .with("endpoint", "http://x")
                .with("plans", "Nope"),
        )
        .await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    for field in ["name", "context", "version", "endpoint", "plans"] {
        assert!(
            page.has(&format!("id=\"f-{field}-fault\"")),
            "{field}: {}",
            page.text
        );
    }
    assert!(page.has("value=\"http://x\"") && page.has("5 fields are invalid"));

    stage.published("Echo", "").await;
    let taken = designed().only(|it| it != "name").with("name", "ECHO");
    let page = carl.submit(CREATE, taken).await;
    assert!(
        page.has("id=\"f-name-fault\"") && page.has("Is already in use"),
        "{}",
        page.text
    );
    let taken = designed()
        .only(|it| it != "context")
        .with("context", "/echo");
    let page = carl.submit(CREATE, taken).await;
    assert!(page.has("id=\"f-context-fault\""));
    assert!(
        !page.has("exists already"),
        "resource names say nothing to people"
    );
    assert!(page.text.matches(" checked").count() == 2 && page.has("value=\"EchoWebSocket\""));
}

#[tokio::test]
async fn a_page_is_linked_for_and_shown_to_those_who_may_do_what_it_offers() {
    let stage = Stage::new().await;
    let (_, path) = stage.echo().await;
    let rows = [
        ("", Permission::ViewApis),
        ("/info", Permission::DesignApis),
        ("/topics", Permission::DesignApis),
        ("/endpoints", Permission::DesignApis),
        ("/plans", Permission::ViewApis),
        ("/deployments", Permission::ViewApis),
        ("/subscribers", Permission::ManageSubscriptions),
        ("/documents", Permission::WriteDocuments),
        ("/documents/create", Permission::WriteDocuments),
        ("/version", Permission::DesignApis),
        ("/delete", Permission::DesignApis),
    ];
    for name in ["ada", "carl", "pat"] {
        let mut browser = stage.signed_in(name).await;
        let user = stage.service.state().user_named(name).unwrap().clone();
        let overview = browser.get(&path).await;
        for (part, permission) in rows {
            let may = user.roles.may(permission);
            let page = browser.get(&format!("{path}{part}")).await;
            let status = if may {
                StatusCode::OK
            } else {
                StatusCode::FORBIDDEN
            };
            assert_eq!(page.status, status, "{name} {part}");
            let link = format!("href=\"{path}{part}\"");
            let is_linked = part == "/documents/create" || overview.has(&link) == may;
            assert!(is_linked, "{name} {part}");
        }
    }
}

#[tokio::test]
async fn a_deed_is_refused_to_those_whose_role_does_not_allow_it() {
    let stage = Stage::new().await;
    let (api, path) = stage.echo().await;
    let subscription = stage.subscribed(&api).await;
    let state = stage.service.state();
    let revision = state.revisions_of(api.id).next().unwrap().id;
    let mut sue = stage.signed_in("sue").await;
    assert_eq!(sue.get(&path).await.status, StatusCode::FORBIDDEN);
    assert_eq!(
        sue.submit(CREATE, designed()).await.status,
        StatusCode::FORBIDDEN
    );

    let mut pat = stage.signed_in("pat").await;
    for part in [
        "info",
        "topics",
        "endpoints",
        "version",
        "delete",
        "revisions",
    ] {
        let page = pat.submit(&format!("{path}/{part}"), Fields::new()).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{part}");
    }
    for deed in ["restore", "delete"] {
        let page = pat
            .submit(
                &format!("{path}/revisions/{revision}/{deed}"),
                Fields::new(),
            )
            .await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{deed}");
    }
    assert!(
        !pat.get(&format!("{path}/deployments"))
            .await
            .has("Create revision")
    );
    assert_eq!(pat.get(CREATE).await.status, StatusCode::FORBIDDEN);
    let mut carl = stage.signed_in("carl").await;
    let step = carl
        .submit(
            &format!("{path}/lifecycle"),
            Fields::new().with("action", "BLOCK"),
        )
        .await;
    assert_eq!(step.status, StatusCode::FORBIDDEN);
    let block = format!("{path}/subscribers/{}", subscription.id);
    let page = carl
        .submit(&block, Fields::new().with("state", "BLOCKED"))
        .await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn the_lifecycle_goes_by_the_moves_that_are_allowed() {
    let stage = Stage::new().await;
    let (_, path) = stage.echo().await;
    let mut pat = stage.signed_in("pat").await;
    let page = pat.get(&path).await;
    assert!(page.has("The API is Published. It can change to"));
    for action in ["BLOCK", "DEPRECATE", "DEMOTE_TO_CREATED"] {
        assert!(page.has(&format!("value=\"{action}\"")), "{action}");
    }
    assert!(!page.has("value=\"RETIRE\""));
    let step = format!("{path}/lifecycle");
    let ask = |action: &str, etag: String| Fields::new().with("action", action).with("_etag", etag);
    let page = pat
        .submit(&step, ask("BLOCK", stage.api().meta.etag.to_string()))
        .await;
    assert_eq!(page.location(), path);
    let page = pat.get(&path).await;
    assert!(page.has("API Echo blocked") && page.has("Block by pat"));

    pat.submit(&step, ask("REPUBLISH", "1".to_owned())).await;
    assert!(
        pat.get(&path)
            .await
            .has("Somebody else changed this in the meantime")
    );
    assert_eq!(stage.api().state, Lifecycle::Blocked);
    pat.submit(&step, ask("RETIRE", stage.api().meta.etag.to_string()))
        .await;
    assert!(pat.get(&path).await.has("RETIRE is not allowed in BLOCKED"));
    let page = pat.submit(&step, ask("FLY", String::new())).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);

    for action in ["DEPRECATE", "RETIRE"] {
        pat.submit(&step, ask(action, stage.api().meta.etag.to_string()))
            .await;
    }
    let page = pat.get(&path).await;
    assert!(page.has("This API is retired") && !page.has("name=\"action\""));
}

#[tokio::test]
async fn a_button_pressed_in_a_session_that_was_over_does_nothing_before_it_is_pressed_again() {
    let stage = Stage::new().await;
    let (_, path) = stage.echo().await;
    let mut pat = stage.signed_in("pat").await;
    let fields = Fields::new().with("action", "BLOCK").with(RESUMED, "1");
    pat.submit(&format!("{path}/lifecycle"), fields).await;
    assert!(pat.get(&path).await.has("repeat the action to confirm it"));
    assert_eq!(stage.api().state, Lifecycle::Published);
}

#[tokio::test]
async fn basic_info_is_saved_previewed_and_refused_field_by_field() {
    let stage = Stage::new().await;
    let (api, path) = stage.echo().await;
    let mut carl = stage.signed_in("carl").await;
    let path = format!("{path}/info");
    let typed = |tags: &str| {
        Fields::new()
            .with("display_name", "The echo")
            .with("description", "# Use\n\n*Now* <script>alert(1)</script>")
            .with("tags", tags)
            .with("visible_roles", "creator")
            .with("default_version", "1")
            .with("_etag", api.meta.etag.to_string())
    };
    let page = carl.submit(&path, typed("a").with("preview", "1")).await;
    assert!(page.has("<em>Now</em>") && page.has("Not saved yet") && !page.has("<script>"));
    assert_eq!(stage.api(), api, "a preview saves nothing");

    let page = carl.submit(&path, typed("fine, a#b, x/y")).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.has("id=\"f-tags-fault\"") && page.has("Item 2: must not contain `#`"));
    assert!(page.has("value=\"fine, a#b, x/y\"") && page.has("The echo"));

    let page = carl.submit(&path, typed(" one,two words , ")).await;
    assert_eq!(page.location(), path);
    let saved = stage.api();
    assert_eq!(saved.design.display_name, "The echo");
    let tags: Vec<_> = saved.design.tags.iter().map(String::as_str).collect();
    assert_eq!(tags, ["one", "two words"]);
    assert!(saved.default_version && saved.visibility != api.visibility);
    let page = carl.get(&path).await;
    assert!(page.has("Basic info updated") && page.has("<h3>Use</h3>"));

    let open = Fields::new()
        .with("display_name", "")
        .with("_etag", saved.meta.etag.to_string());
    carl.submit(&path, open).await;
    let saved = stage.api();
    assert!(
        saved.design.tags.is_empty() && !saved.default_version,
        "what is emptied is emptied"
    );
    assert_eq!(saved.visibility, api.visibility);
}

#[tokio::test]
async fn a_publisher_says_whether_sandbox_keys_may_use_the_production_endpoint() {
    let stage = Stage::new().await;
    let (_, overview) = stage.echo().await;
    let mut carl = stage.signed_in("carl").await;
    assert!(carl.get(&overview).await.has("; sandbox keys are refused"));
    let path = format!("{overview}/endpoints");
    let typed = |production: &str, sandbox: &str| {
        Fields::new()
            .with("production_endpoint", production)
            .with("sandbox_endpoint", sandbox)
            .with("_etag", stage.api().meta.etag.to_string())
    };
    let page = carl.get(&path).await;
    assert!(page.has("sandbox_keys_on_production_endpoint") && !page.has(" checked"));

    let ticked = typed("ws://b:1", "").with("sandbox_keys_on_production_endpoint", "1");
    carl.submit(&path, ticked).await;
    assert!(stage.api().design.endpoints.sandbox_keys_on_production);
    assert!(carl.get(&path).await.has(" checked"));
    assert!(
        carl.get(&overview)
            .await
            .has("ws://b:1, also for sandbox keys")
    );

    let page = carl.submit(&path, typed("ws://b:1", "ws://b:1")).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.has("id=\"f-sandbox_endpoint-fault\"") && page.has("is the production endpoint"));

    carl.submit(&path, typed("", "ws://s:1")).await;
    assert!(!stage.api().design.endpoints.sandbox_keys_on_production);
    let page = carl.get(&overview).await;
    assert!(page.has("ws://s:1 for sandbox keys; production keys are refused"));
}

#[tokio::test]
async fn the_second_of_two_editors_is_told_and_sees_both() {
    let stage = Stage::new().await;
    let (api, path) = stage.echo().await;
    let mut carl = stage.signed_in("carl").await;
    let mut ada = stage.signed_in("ada").await;
    let path = format!("{path}/endpoints");
    let typed = |url: &str, etag: &str| {
        let fields = Fields::new().with("production_endpoint", url);
        fields.with("sandbox_endpoint", "").with("_etag", etag)
    };
    let etag = api.meta.etag.to_string();
    carl.submit(&path, typed("ws://carl:1", &etag)).await;
    let page = ada.submit(&path, typed("ws://ada:1", &etag)).await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    assert!(
        page.has("value=\"ws://ada:1\"") && page.has("Saved in the meantime: <q>ws://carl:1</q>")
    );
    let now = stage.api();
    assert_eq!(
        now.design.endpoints.production.as_ref().unwrap().as_str(),
        "ws://carl:1"
    );
    let etag = now.meta.etag.to_string();
    assert!(page.has(&format!("name=\"_etag\" value=\"{etag}\"")));
    ada.submit(&path, typed("ws://ada:1", &etag)).await;
    let now = stage.api();
    assert_eq!(
        now.design.endpoints.production.as_ref().unwrap().as_str(),
        "ws://ada:1"
    );

    let page = ada
        .submit(&path, typed("ftp://ada", &now.meta.etag.to_string()))
        .await;
    assert!(page.has("id=\"f-production_endpoint-fault\""));
    for part in ["info", "topics", "plans"] {
        let stale = Fields::new()
            .with("_etag", "1")
            .with("topics[0].template", "/x");
        let page = ada.submit(&path.replace("endpoints", part), stale).await;
        assert_eq!(page.status, StatusCode::CONFLICT, "{part}");
    }
}

#[tokio::test]
async fn topics_are_added_removed_and_refused_row_by_row() {
    let stage = Stage::new().await;
    let (api, path) = stage.echo().await;
    let mut carl = stage.signed_in("carl").await;
    let path = format!("{path}/topics");
    let rows = Fields::new()
        .with("_etag", api.meta.etag.to_string())
        .with("topics[0].template", "/rooms/{room}")
        .with("topics[0].mapping", "/r?id={uri.var.room}")
        .with("topics[0].verbs", "publish")
        .with("topics[2].template", "/news")
        .with("topics[2].description", "What is new");
    let page = carl.submit(&path, rows.clone().with("add", "1")).await;
    assert_eq!(page.text.matches("Remove<").count(), 3);
    let page = carl.submit(&path, rows.clone().with("remove", "0")).await;
    assert!(page.has("value=\"/news\"") && !page.has("/rooms/{room}\""));
    assert_eq!(stage.api(), api, "rows come and go without being saved");

    let bad = rows.clone().with("topics[3].template", "no-slash");
    let page = carl.submit(&path, bad).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        page.has("id=\"f-topics[2].template-fault\"") && page.has("Topic 3, template must begin")
    );

    let page = carl.submit(&path, rows).await;
    assert_eq!(page.location(), path);
    let topics = stage.api().design.topics.clone();
    assert_eq!(topics.len(), 2);
    assert!(topics[0].verbs.publish && !topics[0].verbs.subscribe);
    assert_eq!(topics[1].description, "What is new");
    let unknown = Fields::new()
        .with("policy", "nope")
        .with("topics[0].template", "/x");
    let page = carl.submit(&path, unknown).await;
    assert!(page.has("id=\"f-policy-fault\""));
}

#[tokio::test]
async fn many_topics_are_lines_that_are_opened_one_by_one() {
    let stage = Stage::new().await;
    let (api, path) = stage.echo().await;
    let mut carl = stage.signed_in("carl").await;
    let path = format!("{path}/topics");
    let about = "What happens in this room, and who has said so";
    let rows = (0..200).fold(
        Fields::new().with("_etag", api.meta.etag.to_string()),
        |rows, n| {
            rows.with(format!("topics[{n}].template"), format!("/rooms/{n}"))
                .with(format!("topics[{n}].verbs"), "publish")
                .with(format!("topics[{n}].description"), about)
        },
    );
    assert_eq!(carl.submit(&path, rows).await.location(), path);

    let page = carl.get(&path).await;
    assert!(page.text.len() < 100 * 1024, "{} bytes", page.text.len());
    assert_eq!(page.text.matches("<fieldset").count(), 0);
    let all = carried(&page);
    let page = carl.submit(&path, all.clone().with("open", "150")).await;
    assert!(page.has("id=\"f-topics[150].template\" name=\"topics[150].template\""));
    assert_eq!(page.text.matches("class=\"card topic\"").count(), 1);
    let bad = all.clone().with("topics[200].template", "no-slash");
    let page = carl.submit(&path, bad).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);

    let changed = all
        .only(|name| name != "topics[150].description")
        .with("topics[150].description", "Quiet");
    assert_eq!(carl.submit(&path, changed).await.location(), path);
    let topics = stage.api().design.topics.clone();
    assert_eq!(topics.len(), 200);
    assert_eq!(topics[150].description, "Quiet");
    assert_eq!(topics[199].description, about);
    assert!(topics[199].verbs.publish && !topics[199].verbs.subscribe);
}

#[tokio::test]
async fn plans_are_chosen_by_publishers_too_and_those_in_use_stay() {
    let stage = Stage::new().await;
    let (api, path) = stage.echo().await;
    stage.subscribed(&api).await;
    let mut pat = stage.signed_in("pat").await;
    let path = format!("{path}/plans");
    assert!(pat.get(&path).await.has("value=\"Gold\" checked"));
    let page = pat
        .submit(&path, Fields::new().with("plans", "Silver"))
        .await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.has("are under the plan `Gold`") && page.has("value=\"Silver\" checked"));
    let both = Fields::new().with("plans", "Silver").with("plans", "Gold");
    assert_eq!(pat.submit(&path, both).await.location(), path);
    assert_eq!(stage.api().plans.len(), 2);
}

#[tokio::test]
async fn revisions_are_made_deployed_restored_taken_off_and_deleted() {
    let stage = Stage::new().await;
    let (api, path) = stage.echo().await;
    let mut carl = stage.signed_in("carl").await;
    let here = format!("{path}/deployments");
    let long = Fields::new().with("description", "x".repeat(256));
    let page = carl.submit(&format!("{path}/revisions"), long).await;
    assert!(page.has("id=\"f-description-fault\""));
    carl.submit(
        &format!("{path}/revisions"),
        Fields::new().with("description", EVIL),
    )
    .await;
    let page = carl.get(&here).await;
    assert!(page.has("Revision 2 created") && page.has("2 of 5") && !page.has("<script>"));
    assert!(page.has("No gateways"));
    let state = stage.service.state();
    let second = state
        .revisions_of(api.id)
        .find(|it| it.number == 2)
        .unwrap()
        .id;
    let deed = |deed: &str| format!("{path}/revisions/{second}/{deed}");
    let default = || Fields::new().with("environments", "default");
    carl.submit(&deed("deploy"), default()).await;
    assert!(carl.get(&here).await.has("Revision 2 deployed to default"));
    let environment = EnvironmentName::parse("default").unwrap();
    let runs = |stage: &Stage| {
        let state = stage.service.state();
        state.deployment(api.id, &environment).map(|it| it.revision)
    };
    assert_eq!(runs(&stage), Some(second));
    carl.submit(&deed("delete"), Fields::new()).await;
    assert!(carl.get(&here).await.has("undeploy it first"));
    carl.submit(
        &deed("deploy"),
        Fields::new().with("environments", "nowhere"),
    )
    .await;
    assert!(carl.get(&here).await.has("which does not exist"));
    carl.submit(&deed("restore"), Fields::new().with("_etag", "99"))
        .await;
    assert!(carl.get(&here).await.has("Somebody else changed this"));
    carl.submit(
        &deed("restore"),
        Fields::new().with("_etag", stage.api().meta.etag.to_string()),
    )
    .await;
    assert!(carl.get(&here).await.has("API restored from the revision"));
    carl.submit(&deed("undeploy"), default()).await;
    assert!(carl.get(&here).await.has("undeployed from default") && runs(&stage).is_none());
    carl.submit(&deed("delete"), Fields::new()).await;
    assert!(carl.get(&here).await.has("Revision deleted"));
    for _ in 0..4 {
        carl.submit(&format!("{path}/revisions"), Fields::new())
            .await;
    }
    let page = carl.get(&here).await;
    assert!(page.has("5 of 5") && page.has("Delete one first"));
    let page = carl
        .submit(&format!("{path}/revisions"), Fields::new())
        .await;
    assert!(page.status == StatusCode::UNPROCESSABLE_ENTITY && page.has("as many as it may"));
}

#[tokio::test]
async fn subscribers_are_seen_with_what_they_use_blocked_and_unblocked() {
    let stage = Stage::new().await;
    let (api, path) = stage.echo().await;
    let mut pat = stage.signed_in("pat").await;
    let here = format!("{path}/subscribers");
    assert!(pat.get(&here).await.has("No subscribers yet"));
    let subscription = stage.subscribed(&api).await;
    let page = pat.get(&here).await;
    assert!(
        page.has("Phone") && page.has("of sue") && page.has("0 of 50,000 messages per day"),
        "{}",
        page.text
    );
    let target = format!("{here}/{}", subscription.id);
    let to = |state: &str, etag: String| Fields::new().with("state", state).with("_etag", etag);
    let state = |stage: &Stage| stage.service.state().subscriptions()[&subscription.id].clone();
    pat.submit(&target, to("BLOCKED", subscription.meta.etag.to_string()))
        .await;
    assert_eq!(state(&stage).state, SubscriptionState::Blocked);
    let page = pat.get(&here).await;
    assert!(page.has("Phone blocked. Its sessions are closed") && page.has("Unblock"));
    pat.submit(&target, to("ACTIVE", subscription.meta.etag.to_string()))
        .await;
    assert!(pat.get(&here).await.has("Somebody else changed this"));
    pat.submit(
        &target,
        to("PRODUCTION_BLOCKED", state(&stage).meta.etag.to_string()),
    )
    .await;
    assert!(
        pat.get(&here)
            .await
            .has("sandbox keys still reach the sandbox endpoint")
    );
    pat.submit(&target, to("ACTIVE", state(&stage).meta.etag.to_string()))
        .await;
    assert_eq!(state(&stage).state, SubscriptionState::Active);
    assert!(
        pat.get(&format!("{here}?state=BLOCKED"))
            .await
            .has("No matches")
    );
    let page = pat.submit(&target, to("GONE", String::new())).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn documents_are_written_by_publishers_too_and_each_fault_is_told() {
    let stage = Stage::new().await;
    let (api, path) = stage.echo().await;
    let mut pat = stage.signed_in("pat").await;
    let here = format!("{path}/documents");
    let create = format!("{here}/create");
    assert!(pat.get(&here).await.has("No documents yet"));
    let page = pat
        .submit(
            &create,
            Fields::new()
                .with("kind", "NONE")
                .with("url", "javascript:x"),
        )
        .await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    for field in ["name", "kind", "url"] {
        assert!(page.has(&format!("id=\"f-{field}-fault\"")), "{field}");
    }
    let typed = |name: &str, text: &str| {
        let fields = Fields::new().with("name", name).with("kind", "HOW_TO");
        fields.with("markdown", text).with("summary", EVIL)
    };
    let page = pat
        .submit(&create, typed("Guide", "*soon*").with("preview", "1"))
        .await;
    assert!(page.has("<em>soon</em>") && stage.service.state().documents_of(api.id).count() == 0);
    let page = pat
        .submit(&create, typed("Guide", "Begin <b>here</b>"))
        .await;
    assert_eq!(page.location(), here);
    let page = pat.get(&here).await;
    assert!(page.has("Document Guide created") && page.has("How-to") && !page.has("<script>"));
    let page = pat.submit(&create, typed("GUIDE", "Again")).await;
    assert!(page.has("The API has it under the name `Guide`"));

    let document = stage
        .service
        .state()
        .documents_of(api.id)
        .next()
        .unwrap()
        .clone();
    let one = format!("{here}/{}", document.id);
    assert!(pat.get(&one).await.has("Begin &#60;b&#62;here"));
    pat.submit(
        &one,
        typed("Guide", "Second").with("_etag", document.meta.etag.to_string()),
    )
    .await;
    let page = pat
        .submit(
            &one,
            typed("Guide", "Third").with("_etag", document.meta.etag.to_string()),
        )
        .await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    assert!(page.has("Third") && page.has("<q>Second</q>"));
    let link = Fields::new()
        .with("name", "Guide")
        .with("kind", "OTHER")
        .with("url", "https://example.org/a");
    pat.submit(&one, link).await;
    assert!(pat.get(&here).await.has("href=\"https://example.org/a\""));
    pat.submit(&format!("{one}/delete"), Fields::new()).await;
    assert!(pat.get(&here).await.has("Document deleted"));
    assert_eq!(pat.get(&one).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_picture_is_taken_by_what_is_in_it() {
    // The smallest PNG: one pixel.
    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc\xf8\xff\xff?\0\x05\xfe\x02\xfe\xa75\x81\x84\0\0\0\0IEND\xaeB`\x82";
    let stage = Stage::new().await;
    let (_, path) = stage.echo().await;
    let mut carl = stage.signed_in("carl").await;
    let picture = format!("{path}/thumbnail");
    assert_eq!(carl.get(&picture).await.status, StatusCode::NOT_FOUND);
    let page = upload(&mut carl, &picture, b"<svg onload=alert(1)>").await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.has("id=\"f-image-fault\""));
    let page = upload(&mut carl, &picture, b"").await;
    assert!(page.has("Must be chosen"));
    let page = upload(&mut carl, &picture, PNG).await;
    assert_eq!(page.location(), format!("{path}/info"));
    let page = carl.get(&path).await;
    let (_, address) = page.text.split_once("<img class=\"tile\" src=\"").unwrap();
    let address = address.split('"').next().unwrap();
    assert!(address.starts_with(&picture));
    assert!(carl.get("/publisher/apis").await.has(address));
    let mut pat = stage.signed_in("pat").await;
    assert_eq!(
        upload(&mut pat, &picture, PNG).await.status,
        StatusCode::FORBIDDEN
    );
    let (kind, policy) = head(&mut pat, address).await;
    assert_eq!(kind, "image/png");
    assert!(policy.contains("default-src 'none'"));
    carl.submit(&format!("{picture}/delete"), Fields::new())
        .await;
    assert_eq!(carl.get(&picture).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_new_version_is_a_copy_and_one_that_exists_is_refused() {
    let stage = Stage::new().await;
    let (_, path) = stage.echo().await;
    let mut carl = stage.signed_in("carl").await;
    let path = format!("{path}/version");
    for (version, said) in [
        ("", "Must not be empty"),
        ("1.0", "Is already in use"),
        ("a b", "Must not contain"),
    ] {
        let page = carl
            .submit(&path, Fields::new().with("version", version))
            .await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(
            page.has("id=\"f-version-fault\"") && page.has(said),
            "{version}: {}",
            page.text
        );
    }
    let page = carl
        .submit(&path, Fields::new().with("version", "2.0"))
        .await;
    let page = carl.get(page.location()).await;
    assert!(page.has("Version 2.0 created") && page.has("/echo/2.0") && page.has(">1.0</a>"));
}

#[tokio::test]
async fn an_api_is_deleted_when_its_name_is_typed_once_more() {
    let stage = Stage::new().await;
    let (api, path) = stage.echo().await;
    let mut carl = stage.signed_in("carl").await;
    let path = format!("{path}/delete");
    let typed = |name: &str| {
        Fields::new()
            .with("confirm", name)
            .with("_etag", api.meta.etag.to_string())
    };
    for wrong in ["", "echo", "Ech"] {
        let page = carl.submit(&path, typed(wrong)).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
        assert!(page.has("id=\"f-confirm-fault\""));
    }
    let outdated = Fields::new().with("confirm", "Echo").with("_etag", "0");
    let page = carl.submit(&path, outdated).await;
    assert!(page.has("Somebody else changed this in the meantime"));
    assert!(!page.has("Saved in the meantime") && !page.has("Save again to overwrite it"));
    assert!(page.has(&format!(r#"name="_etag" value="{}""#, api.meta.etag)));
    let subscription = stage.subscribed(&api).await;
    let page = carl.submit(&path, typed("Echo")).await;
    assert!(page.has("The API has 1 subscriptions"));
    let system = Actor::system();
    let gone = stage
        .service
        .delete_subscription(&system, subscription.id, "");
    gone.await.unwrap();
    let page = carl.submit(&path, typed("Echo")).await;
    assert_eq!(page.location(), "/publisher/apis");
    assert!(
        carl.get("/publisher/apis")
            .await
            .has("API Echo 1.0 deleted")
    );
    assert!(stage.service.state().apis().is_empty());
    assert_eq!(carl.get(&path).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_people_typed_is_text_on_every_page_and_every_page_is_small() {
    let stage = Stage::new().await;
    let input = ApiInput {
        name: "A name of sixty characters that somebody really did type in".to_owned(),
        display_name: EVIL.to_owned(),
        description: EVIL.to_owned(),
        context: "/evil".to_owned(),
        version: "1.0".to_owned(),
        tags: vec!["a(b)".to_owned()],
        production_endpoint: "ws://backend:8080".to_owned(),
        plans: vec!["Gold".to_owned()],
        ..ApiInput::default()
    };
    let ada = Actor::of(stage.service.state().user_named("ada").unwrap());
    let api = stage.service.create_api(&ada, input, true).await.unwrap();
    stage.subscribed(&api).await;
    let document = DocumentInput {
        name: "Guide".to_owned(),
        summary: EVIL.to_owned(),
        kind: Some(crate::domain::document::DocumentKind::Other),
        markdown: EVIL.to_owned(),
        url: String::new(),
    };
    let document = stage
        .service
        .create_document(&ada, api.id, document)
        .await
        .unwrap();
    let mut browser = stage.signed_in("ada").await;
    let document = format!("documents/{}", document.id);
    for part in [
        "",
        "info",
        "topics",
        "endpoints",
        "plans",
        "deployments",
        "subscribers",
        "documents",
        &document,
        "version",
        "delete",
    ] {
        let page = browser
            .get(format!("/publisher/apis/{}/{part}", api.id).trim_end_matches('/'))
            .await;
        assert_eq!(page.status, StatusCode::OK, "{part}");
        assert!(
            !page.has("<script>") && page.has("&#60;script&#62;"),
            "{part}"
        );
        assert!(!page.has("style=\"") && !page.has("onclick="), "{part}");
        assert!(page.text.len() < 100 * 1024, "{part}");
    }
    let page = browser
        .submit(
            CREATE,
            Fields::new()
                .with("name", EVIL)
                .with("context", EVIL)
                .with("endpoint", EVIL),
        )
        .await;
    assert!(!page.has("<script>") && page.has("&#60;script&#62;"));
}

/// Posts a form with a file.
async fn upload(browser: &mut Browser<'_>, path: &str, image: &[u8]) -> Page {
    let token = token_of(browser, path);
    let head = "--x\r\ncontent-disposition: form-data; name=";
    let mut body = format!(
        "{head}\"{}\"\r\n\r\n{token}\r\n{head}\"image\"; filename=\"a.png\"\r\n\r\n",
        csrf::FIELD
    )
    .into_bytes();
    body.extend_from_slice(image);
    body.extend_from_slice(b"\r\n--x--\r\n");
    let session = browser.cookie(cookie::SESSION).unwrap();
    let request = http::Request::post(path)
        .header(header::CONTENT_TYPE, "multipart/form-data; boundary=x")
        .header(header::COOKIE, format!("{}={session}", cookie::SESSION))
        .body(super::Body::from(body))
        .unwrap();
    use tower::ServiceExt as _;
    let (parts, body) = browser
        .stage
        .door
        .clone()
        .oneshot(request)
        .await
        .unwrap()
        .into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    Page {
        status: parts.status,
        headers: parts.headers,
        text: String::from_utf8(body.to_vec()).unwrap(),
    }
}

/// The kind and the policy of what is no text.
async fn head(browser: &mut Browser<'_>, path: &str) -> (String, String) {
    let page = browser.send(Method::HEAD, path, super::Body::empty()).await;
    assert_eq!(page.status, StatusCode::OK);
    let text = |name: &str| page.headers[name].to_str().unwrap().to_owned();
    (text("content-type"), text("content-security-policy"))
}
