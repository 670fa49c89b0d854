//! The developer portal: who sees and does what, what is shown once, what is told beside which field.

use std::sync::LazyLock;

use http::{HeaderMap, StatusCode, header};
use tidegate_kit::secret::Secret;
use tidegate_proto::ids::ApiId;

use super::{Browser, Fields, PASSWORD, Page, Stage, cookie, token_of};
use crate::{
    domain::{
        actor::Actor,
        document::DocumentKind,
        lifecycle::Action,
        user::{Role, Roles},
    },
    service::{apis::ApiInput, documents::DocumentInput, edit::Update, listing::ListQuery},
};

/// Whoever sets the stage.
static SYSTEM: LazyLock<Actor> = LazyLock::new(Actor::system);
const EVIL: &str = "<script>alert(1)</script>";
const SIXTY: &str = "A name of sixty characters that somebody really has typed in";
const APPLICATIONS: &str = "/devportal/applications";
const SIGN_UP: &str = "/devportal/sign-up";

fn named(name: &str) -> Fields {
    Fields::new()
        .with("name", name)
        .with("description", "what it is for")
}

/// The API `Echo`, published and deployed.
async fn echo(stage: &Stage) -> ApiId {
    stage.published("Echo", "").await;
    let all = ListQuery::default();
    let apis = stage.service.list_apis(&SYSTEM, &all).unwrap();
    apis.items[0].id
}

/// Makes an application; gives its page's path.
async fn application(browser: &mut Browser<'_>, name: &str) -> String {
    let path = format!("{APPLICATIONS}/new");
    let token = browser.get(&path).await.token();
    let made = browser.post(&path, &token, named(name)).await;
    made.location().to_owned()
}

/// Makes a key; gives the page that shows its secret.
async fn key(browser: &mut Browser<'_>, application: &str) -> Page {
    let path = format!("{application}/keys");
    let token = token_of(browser, &path);
    let fields = Fields::new().with("key_type", "PRODUCTION");
    browser.post(&path, &token, fields).await
}

/// What stands behind a label of a list of facts, to be copied.
fn fact(page: &Page, label: &str) -> String {
    let (_, rest) = page.text.split_once(&format!("<dt>{label}</dt>")).unwrap();
    let (_, rest) = rest.split_once("<code>").unwrap();
    rest.split('<').next().unwrap().to_owned()
}

async fn subscribed(browser: &mut Browser<'_>, api: ApiId, application: &str) -> String {
    let path = format!("/devportal/apis/{api}/subscriptions");
    let token = token_of(browser, &path);
    let id = application.rsplit('/').next().unwrap();
    let fields = Fields::new().with("application", id).with("plan", "Gold");
    let made = browser.post(&path, &token, fields).await;
    made.location().to_owned()
}

fn is_kept_from_caches(headers: &HeaderMap) -> bool {
    headers[header::CACHE_CONTROL] == "no-store"
}

#[tokio::test]
async fn strangers_read_everything_about_a_public_api_and_are_sent_to_sign_in_for_the_rest() {
    let stage = Stage::new().await;
    let api = echo(&stage).await;
    let mut browser = stage.browser();
    for (page, text) in [
        ("", "ws://localhost:9099/echo/1.0"),
        ("", "50,000 messages per day"),
        ("/documents", "No documents"),
        ("/code", "wss://localhost:8099/echo/1.0"),
        ("/console", "data-console"),
    ] {
        let page = browser.get(&format!("/devportal/apis/{api}{page}")).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(page.has(text), "{text}: {}", page.text);
        assert!(!page.has("by system"), "strangers do not learn who made it");
    }
    let subscribe = format!("/devportal/apis/{api}/subscriptions");
    for path in [APPLICATIONS, &subscribe] {
        let page = browser.get(path).await;
        assert!(page.location().starts_with("/sign-in?next="), "{path}");
    }
}

#[tokio::test]
async fn an_api_for_certain_roles_is_nowhere_for_others() {
    let stage = Stage::new().await;
    let input = ApiInput {
        name: "Hidden".to_owned(),
        context: "/hidden".to_owned(),
        version: "1.0".to_owned(),
        ..ApiInput::default()
    };
    let made = stage.service.create_api(&SYSTEM, input, false);
    let api = made.await.unwrap().id;
    let mut browser = stage.browser();
    for page in ["", "/documents", "/code", "/console", "/thumbnail"] {
        let page = browser.get(&format!("/devportal/apis/{api}{page}")).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND);
    }
    let page = browser.get("/devportal/apis/nonsense").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn who_cannot_have_applications_is_not_offered_any_and_refused_by_direct_call() {
    let stage = Stage::new().await;
    let api = echo(&stage).await;
    let mut sue = stage.signed_in("sue").await;
    let of_sue = application(&mut sue, "Dashboard").await;
    let subscription = subscribed(&mut sue, api, &of_sue).await;
    let mut carl = stage.signed_in("carl").await;
    let page = carl.get(&format!("/devportal/apis/{api}")).await;
    assert!(!page.has("Applications") && !page.has("/subscriptions\""));
    let subscribe = format!("/devportal/apis/{api}/subscriptions");
    let new = format!("{APPLICATIONS}/new");
    for path in [APPLICATIONS, &new, &of_sue, &subscription, &subscribe] {
        let page = carl.get(path).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{path}");
    }
    let keys = format!("{of_sue}/keys");
    let delete = format!("{of_sue}/delete");
    let leave = format!("{subscription}/leave");
    for path in [&new, &keys, &delete, &leave, &subscription, &subscribe] {
        let token = token_of(&carl, path);
        let fields = named("x")
            .with("key_type", "PRODUCTION")
            .with("application", of_sue.rsplit('/').next().unwrap())
            .with("plan", "Gold");
        let page = carl.post(path, &token, fields).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn what_is_another_subscriber_s_does_not_exist() {
    let stage = Stage::new().await;
    let api = echo(&stage).await;
    let mut sue = stage.signed_in("sue").await;
    let of_sue = application(&mut sue, "Dashboard").await;
    let subscription = subscribed(&mut sue, api, &of_sue).await;
    let made = key(&mut sue, &of_sue).await;
    let client_id = fact(&made, "Client ID");
    let password = Secret::new(PASSWORD.to_owned());
    let roles = Roles::NONE.with(Role::Subscriber);
    let user = stage.service.create_user(&SYSTEM, "sam", &password, roles);
    user.await.unwrap();
    let mut sam = stage.signed_in("sam").await;
    let leave = format!("{subscription}/leave");
    let token_page = format!("{of_sue}/keys/{client_id}/token");
    let secret = format!("{of_sue}/keys/{client_id}/secret");
    let edit = format!("{of_sue}/edit");
    for path in [&of_sue, &edit, &subscription, &leave, &token_page, &secret] {
        assert_eq!(sam.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
        if path == &of_sue {
            continue;
        }
        let token = token_of(&sam, path);
        let page = sam
            .post(path, &token, named("x").with("plan", "Gold"))
            .await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert!(!sam.get(APPLICATIONS).await.has("Dashboard"));
}

#[tokio::test]
async fn an_application_is_made_changed_and_deleted_and_its_faults_stand_beside_their_fields() {
    let stage = Stage::new().await;
    let mut sue = stage.signed_in("sue").await;
    assert!(sue.get(APPLICATIONS).await.has("No applications yet"));
    let path = format!("{APPLICATIONS}/new");
    let token = sue.get(&path).await.token();
    let page = sue.post(&path, &token, named(EVIL)).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.has("aria-invalid") && page.has("what it is for") && !page.has(EVIL));

    let made = application(&mut sue, SIXTY).await;
    assert!(sue.get(&made).await.has(SIXTY));
    let page = sue.post(&path, &token, named(SIXTY)).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "it is there");

    let edit = format!("{made}/edit");
    let form = sue.get(&edit).await;
    let changed = named("Other").with("_etag", "1");
    let page = sue.post(&edit, &form.token(), changed.clone()).await;
    assert_eq!(page.location(), made);
    let page = sue
        .post(&edit, &form.token(), named("Third").with("_etag", "1"))
        .await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    assert!(page.has("Saved in the meantime") && page.has("value=\"Third\""));

    let delete = format!("{made}/delete");
    let form = sue.get(&delete).await;
    assert!(form.has("be undone") && sue.get(&made).await.has("Other"));
    let page = sue.post(&delete, &form.token(), Fields::new()).await;
    assert_eq!(page.location(), APPLICATIONS);
    assert_eq!(sue.get(&made).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_secret_is_in_the_answer_that_made_it_and_nowhere_else() {
    let stage = Stage::new().await;
    let mut sue = stage.signed_in("sue").await;
    let app = application(&mut sue, "Dashboard").await;
    let made = key(&mut sue, &app).await;
    assert_eq!(made.status, StatusCode::OK);
    assert!(is_kept_from_caches(&made.headers));
    let (client_id, secret) = (fact(&made, "Client ID"), fact(&made, "Client secret"));
    let again = sue.get(&format!("{app}/keys")).await;
    assert_eq!(again.location(), app);
    for path in [app.clone(), format!("{app}/keys/{client_id}/token")] {
        let page = sue.get(&path).await;
        assert!(page.has(&client_id) && !page.has(&secret), "{path}");
    }

    let renew = format!("{app}/keys/{client_id}/secret");
    let form = sue.get(&renew).await;
    assert!(form.has("Clients that request tokens with the old secret are refused"));
    let renewed = sue.post(&renew, &form.token(), Fields::new()).await;
    assert!(is_kept_from_caches(&renewed.headers));
    let other = fact(&renewed, "Client secret");
    assert_ne!(other, secret);
    assert!(!sue.get(&renew).await.has(&other));

    let delete = format!("{app}/keys/{client_id}/delete");
    let token = sue.get(&delete).await.token();
    let page = sue.post(&delete, &token, Fields::new()).await;
    assert_eq!(page.location(), app);
    assert!(!sue.get(&app).await.has(&client_id));
}

#[tokio::test]
async fn a_token_is_shown_once_and_put_into_code_and_console() {
    let stage = Stage::new().await;
    let api = echo(&stage).await;
    let mut sue = stage.signed_in("sue").await;
    let app = application(&mut sue, "Dashboard").await;
    subscribed(&mut sue, api, &app).await;
    let made = key(&mut sue, &app).await;
    let client_id = fact(&made, "Client ID");
    let id = app.rsplit('/').next().unwrap();
    for name in ["code", "console"] {
        let path = format!("/devportal/apis/{api}/{name}");
        let form = sue.get(&path).await;
        assert!(!form.has("eyJ"));
        let fields = Fields::new().with("key", format!("{id}/{client_id}"));
        let page = sue.post(&path, &token_of(&sue, &path), fields).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        assert!(
            page.has("eyJ") && is_kept_from_caches(&page.headers),
            "{name}"
        );
        assert!(!sue.get(&path).await.has("eyJ"), "{name}");
        let fields = Fields::new().with("key", "nonsense");
        let page = sue.post(&path, &token_of(&sue, &path), fields).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{name}");
    }
    let sandbox = Fields::new().with("key_type", "SANDBOX");
    let keys = format!("{app}/keys");
    sue.post(&keys, &token_of(&sue, &keys), sandbox).await;
    let page = sue.get(&format!("/devportal/apis/{api}/console")).await;
    let refused = "(refused: the API has no endpoint for sandbox keys)";
    assert_eq!(page.text.matches(refused).count(), 1, "{}", page.text);
    let path = format!("{app}/keys/{client_id}/token");
    for (lifetime, told) in [("x", "number of seconds"), ("99999999", "must be between")] {
        let fields = Fields::new().with("lifetime_seconds", lifetime);
        let page = sue.post(&path, &token_of(&sue, &path), fields).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(page.has(told) && page.has(&format!("value=\"{lifetime}\"")));
    }
    let fields = Fields::new().with("lifetime_seconds", "60");
    let page = sue.post(&path, &token_of(&sue, &path), fields).await;
    assert!(page.has("eyJ") && !sue.get(&path).await.has("eyJ"));
}

#[tokio::test]
async fn an_application_subscribes_changes_its_plan_and_leaves() {
    let stage = Stage::new().await;
    let input = ApiInput {
        name: "Echo".to_owned(),
        context: "/echo".to_owned(),
        version: "1.0".to_owned(),
        production_endpoint: "ws://backend:8080".to_owned(),
        plans: vec!["Gold".to_owned(), "Silver".to_owned()],
        ..ApiInput::default()
    };
    let made = stage.service.create_api(&SYSTEM, input, true);
    let api = made.await.unwrap().id;
    let mut sue = stage.signed_in("sue").await;
    let path = format!("/devportal/apis/{api}/subscriptions");
    let empty = sue.get(&path).await;
    assert!(empty.has("Create an application first") && empty.has("next=%2Fdevportal"));
    let app = application(&mut sue, "Dashboard").await;
    let token = sue.get(&path).await.token();
    let id = app.rsplit('/').next().unwrap();
    let fields = Fields::new().with("application", id).with("plan", "Bronze");
    let page = sue.post(&path, &token, fields).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.has("does not offer the plan"));

    let subscription = subscribed(&mut sue, api, &app).await;
    let page = sue.get(&subscription).await;
    assert!(page.has("50,000 messages left") && page.has("<meter"));
    let change = Fields::new().with("plan", "Silver").with("_etag", "1");
    let changed = sue.post(&subscription, &page.token(), change.clone()).await;
    assert_eq!(changed.location(), subscription);
    assert!(sue.get(&subscription).await.has("25,000 messages left"));
    let gold = change.with("plan", "x");
    let page = sue.post(&subscription, &page.token(), gold).await;
    assert_eq!(page.status, StatusCode::CONFLICT);

    let leave = format!("{subscription}/leave");
    let form = sue.get(&leave).await;
    assert!(form.has("is unsubscribed from"));
    let page = sue.post(&leave, &form.token(), Fields::new()).await;
    assert_eq!(page.location(), app);
    assert_eq!(sue.get(&subscription).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_api_that_takes_no_subscriptions_offers_none() {
    let stage = Stage::new().await;
    let api = echo(&stage).await;
    let blocked = stage
        .service
        .change_lifecycle(&SYSTEM, api, Action::Block, "");
    blocked.await.unwrap();
    let mut sue = stage.signed_in("sue").await;
    application(&mut sue, "Dashboard").await;
    let page = sue
        .get(&format!("/devportal/apis/{api}/subscriptions"))
        .await;
    assert!(page.has("does not accept new subscriptions") && !page.has("<select"));
    let page = sue.get(&format!("/devportal/apis/{api}")).await;
    assert!(!page.has(">Subscribe</a>"));
}

#[tokio::test]
async fn what_others_wrote_cannot_run() {
    let stage = Stage::new().await;
    let input = ApiInput {
        name: "Echo".to_owned(),
        display_name: EVIL.to_owned(),
        description: format!("{EVIL}\n\n[x](javascript:alert(1)) **bold**"),
        context: "/echo".to_owned(),
        version: "1.0".to_owned(),
        production_endpoint: "ws://backend:8080".to_owned(),
        plans: vec!["Gold".to_owned()],
        ..ApiInput::default()
    };
    let made = stage.service.create_api(&SYSTEM, input, true);
    let api = made.await.unwrap().id;
    let document = DocumentInput {
        name: "Start".to_owned(),
        summary: EVIL.to_owned(),
        kind: Some(DocumentKind::HowTo),
        markdown: format!("{EVIL}\n\n<img src=x onerror=alert(1)>"),
        url: String::new(),
    };
    let written = stage.service.create_document(&SYSTEM, api, document);
    let document = written.await.unwrap().id;
    let mut browser = stage.browser();
    let own = format!("/documents/{document}");
    for page in ["", "/documents", &own, "/code", "/console"] {
        let page = browser.get(&format!("/devportal/apis/{api}{page}")).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(!page.has("<script>") && !page.has("<img"), "{}", page.text);
        assert!(!page.has("href=\"javascript"));
    }
    let overview = browser.get(&format!("/devportal/apis/{api}")).await;
    assert!(overview.has("<strong>bold</strong>"));
}

#[tokio::test]
async fn the_console_may_connect_to_the_gateways_that_its_page_may_open_and_to_nothing_else() {
    let stage = Stage::new().await;
    let api = echo(&stage).await;
    let mut browser = stage.browser();
    let page = browser.get(&format!("/devportal/apis/{api}/console")).await;
    let policy = page.header("content-security-policy");
    let connect = "connect-src 'self' ws://localhost:9099 wss://localhost:8099;";
    assert!(policy.contains(connect), "{policy}");
    assert!(page.has("data-code=\"4003\"") && page.has("<noscript>"));
    let page = browser.get(&format!("/devportal/apis/{api}/code")).await;
    let policy = page.header("content-security-policy");
    assert!(policy.contains("connect-src 'self';"), "{policy}");
}

#[tokio::test]
async fn strangers_sign_up_where_an_admin_allows_it() {
    let stage = Stage::new().await;
    let mut browser = stage.browser();
    let page = browser.get(SIGN_UP).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(page.has("Sign-up is disabled"));
    assert!(!browser.get("/sign-in").await.has(SIGN_UP));
    let allowed = stage.service.update_settings(&SYSTEM, sign_up(true));
    allowed.await.unwrap();

    assert!(browser.get("/sign-in").await.has(SIGN_UP));
    let form = browser.get(SIGN_UP).await;
    assert!(form.has("At least 8 characters."), "what the rule is");
    let token = form.token();
    let typed = |name: &str, password: &str, again: &str| {
        Fields::new()
            .with("username", name)
            .with("password", password)
            .with("password_again", again)
    };
    for (fields, told) in [
        (
            typed("newcomer", PASSWORD, "another one"),
            "match the password",
        ),
        (
            typed("newcomer", "short", "short"),
            "Must have at least 8 characters",
        ),
        (typed(EVIL, PASSWORD, PASSWORD), "aria-invalid"),
        (typed("sue", PASSWORD, PASSWORD), "is already in use"),
    ] {
        let page = browser.post(SIGN_UP, &token, fields).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{told}");
        assert!(page.has(told) && !page.has(EVIL), "{}", page.text);
        assert!(!page.has(PASSWORD), "a password is in no page");
    }
    let page = browser
        .post(SIGN_UP, &token, typed("newcomer", PASSWORD, PASSWORD))
        .await;
    assert_eq!(page.location(), "/devportal/apis");
    assert!(browser.cookie(cookie::SESSION).is_some());
    assert!(browser.get(APPLICATIONS).await.has("No applications yet"));
}

#[tokio::test]
async fn whoever_signs_up_leaves_the_session_that_was_there() {
    let stage = Stage::new().await;
    let allowed = stage.service.update_settings(&SYSTEM, sign_up(true));
    allowed.await.unwrap();
    let mut browser = stage.browser();
    let token = browser.get(SIGN_UP).await.token();
    browser.sign_in("sue", PASSWORD, "").await;
    let before = Secret::new(browser.cookie(cookie::SESSION).unwrap().to_owned());
    let fields = Fields::new()
        .with("username", "newcomer")
        .with("password", PASSWORD)
        .with("password_again", PASSWORD);
    let page = browser.post(SIGN_UP, &token, fields).await;
    assert_eq!(page.location(), "/devportal/apis");
    assert!(browser.get("/account").await.has("newcomer"));
    stage.service.authenticate(&before).unwrap_err();
}

#[tokio::test]
async fn a_sign_up_that_was_opened_before_it_was_forbidden_makes_nobody() {
    let stage = Stage::new().await;
    let mut browser = stage.browser();
    for allowed in [true, false] {
        let changed = stage.service.update_settings(&SYSTEM, sign_up(allowed));
        changed.await.unwrap();
        if allowed {
            browser.get(SIGN_UP).await;
        }
    }
    let stranger = browser.cookie(cookie::ANONYMOUS).unwrap();
    let token = super::csrf::token(stranger, SIGN_UP);
    let fields = Fields::new()
        .with("username", "newcomer")
        .with("password", PASSWORD)
        .with("password_again", PASSWORD);
    let page = browser.post(SIGN_UP, &token, fields).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(stage.service.state().user_named("newcomer").is_none());
}

/// A change of whether anonymous visitors may sign up.
fn sign_up(is_allowed: bool) -> Update<(), bool> {
    Update {
        key: (),
        input: is_allowed,
        mask: vec!["sign_up_allowed".to_owned()],
        etag: String::new(),
    }
}
