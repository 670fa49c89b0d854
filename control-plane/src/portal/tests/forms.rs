//! Forms: forged ones, and those whose session ended while they were filled in. The rooms' own forms have tests of their
//! own; here stands one that says back what it got.

use std::time::Duration;

use askama::Template;
use axum::{Router, body::Body, extract::State, routing::get};
use http::{Method, Request, StatusCode, header};
use tower::ServiceExt as _;

use super::{Browser, Fields, PASSWORD, Stage, cookie, csrf, token_of};
use crate::portal::{
    Portal,
    context::SignedIn,
    fields::MOST,
    form::Form,
    frame::Frame,
    layout,
    problem::Answer,
    redirect::Redirect,
    submitted::{AuthenticatedForm, FORM_BYTES, RESUMED},
};

const PATH: &str = "/publisher/echo";

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"{% extends "frame.html" %}{% import "ui.html" as ui %}{% block main %}
<form method="post" action="/publisher/echo">{{ frame.csrf("/publisher/echo") }}
{% call ui::summary(form) %}{% endcall %}{% call ui::etag(form) %}{% endcall %}
{% call ui::text(form, "name", "Name", "A hint", required=true) %}{% endcall %}
{% call ui::area(form, "description", "Description") %}{% endcall %}
{% call ui::ticks(form, "plans", "Plans", options) %}{% endcall %}
{% call ui::choice(form, "role", "Role", options) %}{% endcall %}
{% call ui::tick(form, "default", "Default version") %}{% endcall %}
{% call ui::copy("a < b") %}{% endcall %}
</form>{% endblock %}"#
)]
struct Echo {
    frame: Frame,
    form: Form,
    options: Vec<(&'static str, &'static str)>,
}

async fn show(signed_in: SignedIn) -> Answer {
    page(&signed_in, Form::new())
}

async fn submit(State(_): State<Portal>, submitted: AuthenticatedForm) -> Answer {
    let mut form = submitted.form();
    let Some(actor) = submitted.confirmed() else {
        return page(submitted.signed_in(), form);
    };
    if submitted.fields.text("name").contains('<') {
        form.fault("name", "must not contain `<`");
        return page(submitted.signed_in(), form);
    }
    let plans = submitted.fields.all("plans").count();
    let files = submitted.files.len();
    let said = format!("{} took {plans} plans and {files} files", actor.name);
    Redirect::to(PATH).success(said).answer()
}

fn page(signed_in: &SignedIn, form: Form) -> Answer {
    let frame = Frame::new(signed_in, "Echo");
    let options = vec![("Gold", "Gold"), ("Silver", "Silver")];
    let page = Echo {
        frame,
        form,
        options,
    };
    page.frame.show_with(page.form.status(), &page)
}

/// The door with one more page.
async fn stage() -> Stage {
    let mut stage = Stage::new().await;
    let rotation = crate::oauth::rotation::Rotation::new(
        stage.service.clone(),
        &crate::config::OauthConfig::default(),
    );
    let fleet = crate::discovery::fleet::Fleet::new(stage.clock.clone(), Duration::from_secs(3600));
    let key_manager = crate::oauth::KeyManager::new(
        stage.service.clone(),
        &crate::config::OauthConfig::default(),
    )
    .unwrap();
    let portal = Portal::new(stage.service.clone(), fleet, rotation, key_manager);
    let echo = Router::new()
        .route(PATH, get(show).post(submit))
        .layer(axum::extract::DefaultBodyLimit::disable())
        .layer(axum::middleware::from_fn_with_state(
            portal.clone(),
            layout::layout,
        ))
        .with_state(portal);
    stage.door = echo.fallback_service(stage.door);
    stage
}

fn typed() -> Fields {
    Fields::new()
        .with("name", "Echo")
        .with("description", "two\nlines & \"more\"")
        .with("plans", "Gold")
        .with("plans", "Silver")
        .with("new_password", "hush hush")
}

/// The hidden fields of a page's last form.
fn hidden(page: &str) -> Fields {
    let form = page.rsplit("<form").next().unwrap();
    form.split("<input type=\"hidden\" name=\"")
        .skip(1)
        .fold(Fields::new(), |fields, part| {
            let (name, rest) = part.split_once("\" value=\"").unwrap();
            let value = rest.split('"').next().unwrap();
            let value = value
                .replace("&#34;", "\"")
                .replace("&#38;", "&")
                .replace("&#60;", "<");
            fields.with(name, value)
        })
}

#[tokio::test]
async fn a_form_of_ours_is_taken_and_what_it_did_is_said_once() {
    let stage = stage().await;
    let mut browser = stage.signed_in("carl").await;
    let token = browser.get(PATH).await.token();
    let page = browser.post(PATH, &token, typed()).await;
    assert_eq!(page.location(), PATH);
    assert!(browser.get(PATH).await.has("carl took 2 plans and 0 files"));
    assert!(!browser.get(PATH).await.has("took 2 plans"));
}

#[tokio::test]
async fn a_form_without_its_token_or_with_another_is_refused() {
    let stage = stage().await;
    let mut browser = stage.signed_in("carl").await;
    let of_another_form = token_of(&browser, "/sign-out");
    let other = stage.signed_in("pat").await;
    let of_another_user = token_of(&other, PATH);
    for token in ["", "x", &of_another_form, &of_another_user] {
        let page = browser.post(PATH, token, typed()).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{token}");
        assert!(!page.has("two\nlines"), "nothing of a forged form is kept");
    }
    browser.headers.push(("sec-fetch-site", "cross-site"));
    let page = browser.post(PATH, "", typed()).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_fault_stands_beside_its_field_and_nothing_typed_is_lost_or_runs() {
    let stage = stage().await;
    let mut browser = stage.signed_in("carl").await;
    let token = browser.get(PATH).await.token();
    let fields = typed().with("name", "unused");
    let evil = "\"><script>alert(1)</script>";
    let fields = Fields::new()
        .with("name", evil)
        .with_all("plans", fields.all("plans"))
        .with("role", "Silver")
        .with("description", "</textarea><script>");
    let page = browser.post(PATH, &token, fields).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.has("Must not contain `&#60;`") && page.has("aria-invalid=\"true\""));
    assert!(page.has("href=\"#f-name\""));
    assert_eq!(page.text.matches("checked").count(), 2);
    assert_eq!(page.text.matches("selected").count(), 1);
    assert!(!page.has("<script>"), "{}", page.text);
    assert!(page.has("&#60;script&#62;alert(1)"));
}

#[tokio::test]
async fn a_session_that_ends_in_the_middle_of_a_form_loses_nothing_typed() {
    let stage = stage().await;
    let mut browser = stage.signed_in("carl").await;
    let token = browser.get(PATH).await.token();
    stage.clock.advance(Duration::from_secs(13 * 3600));
    let again = browser.post(PATH, &token, typed()).await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED);
    assert!(again.has("What you typed is kept") && !again.has("hush"));

    let fields = hidden(&again.text)
        .with("username", "carl")
        .with("password", PASSWORD);
    let body = fields.encode();
    let resume = browser
        .send(Method::POST, "/sign-in", Body::from(body))
        .await;
    assert_eq!(resume.status, StatusCode::OK);
    assert!(resume.has(&format!(r#"action="{PATH}""#)));

    let fields = hidden(&resume.text);
    assert_eq!(fields.text("description"), "two\nlines & \"more\"");
    assert!(fields.has(RESUMED));
    let body = fields.encode();
    let form = browser.send(Method::POST, PATH, Body::from(body)).await;
    assert_eq!(form.status, StatusCode::OK);
    assert!(form.has(r#"value="Echo""#) && form.has("two\nlines"));
    assert_eq!(form.text.matches("checked").count(), 2);

    let page = browser.post(PATH, &form.token(), typed()).await;
    assert_eq!(page.location(), PATH);
}

#[tokio::test]
async fn a_form_of_a_session_that_was_left_is_kept_only_when_the_browser_says_it_is_ours() {
    let stage = stage().await;
    let mut browser = stage.signed_in("carl").await;
    let token = browser.get(PATH).await.token();
    browser.cookies.clear();
    let page = browser.post(PATH, &token, typed()).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    browser.headers.push(("sec-fetch-site", "same-origin"));
    let page = browser.post(PATH, &token, typed()).await;
    assert!(page.has("What you typed is kept"));
}

#[tokio::test]
async fn a_form_that_is_too_large_or_no_form_is_refused() {
    let stage = stage().await;
    let mut browser = stage.signed_in("carl").await;
    let token = browser.get(PATH).await.token();
    let large = Fields::new().with("name", "x".repeat(FORM_BYTES));
    let page = browser.post(PATH, &token, large).await;
    assert_eq!(page.status, StatusCode::PAYLOAD_TOO_LARGE);
    let many = Fields::new().with_all("a", (0..=MOST).map(|_| ""));
    let page = browser.post(PATH, &token, many.clone()).await;
    assert_eq!(page.status, StatusCode::PAYLOAD_TOO_LARGE);
    let mut stranger = stage.browser();
    let token = stranger.get("/sign-in").await.token();
    let kept = Fields::new()
        .with("username", "carl")
        .with("password", PASSWORD)
        .with("next", PATH)
        .with("kept", many.encode());
    let page = stranger.post("/sign-in", &token, kept).await;
    assert_eq!(page.status, StatusCode::PAYLOAD_TOO_LARGE);
    let request = Request::post(PATH)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from("{}"));
    let answer = stage.door.clone().oneshot(request.unwrap()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn files_come_with_a_form_and_one_that_was_not_chosen_does_not() {
    let stage = stage().await;
    let browser = stage.signed_in("carl").await;
    let token = token_of(&browser, PATH);
    let session = browser.cookie(cookie::SESSION).unwrap();
    let part = |head: &str, content: &str| {
        format!("--x\r\ncontent-disposition: form-data; {head}\r\n\r\n{content}\r\n")
    };
    let body = [
        part(&format!("name=\"{}\"", csrf::FIELD), &token),
        part("name=\"plans\"", "Gold"),
        part(
            "name=\"a\"; filename=\"a.png\"",
            &"x".repeat(3 * FORM_BYTES),
        ),
        part("name=\"b\"; filename=\"\"", ""),
        "--x--\r\n".to_owned(),
    ];
    let request = Request::post(PATH)
        .header(header::CONTENT_TYPE, "multipart/form-data; boundary=x")
        .header(header::COOKIE, format!("{}={session}", cookie::SESSION))
        .body(Body::from(body.concat()));
    let answer = stage.door.clone().oneshot(request.unwrap()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let mut browser = Browser {
        stage: &stage,
        cookies: vec![(cookie::SESSION.to_owned(), session.to_owned())],
        headers: Vec::new(),
    };
    let notice = answer.headers()[header::SET_COOKIE].to_str().unwrap();
    let (name, value) = notice.split(';').next().unwrap().split_once('=').unwrap();
    browser.cookies.push((name.to_owned(), value.to_owned()));
    assert!(browser.get(PATH).await.has("carl took 1 plans and 1 files"));
}
