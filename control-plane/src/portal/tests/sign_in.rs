//! Signing in and out.

use std::time::Duration;

use http::StatusCode;
use tidegate_kit::secret::Secret;

use super::{Fields, PASSWORD, Stage, cookie, set};

#[tokio::test]
async fn signing_in_sets_a_cookie_that_only_this_host_gets_and_no_script_reads() {
    let stage = Stage::new().await;
    let mut browser = stage.browser();
    let page = browser.sign_in("carl", PASSWORD, "").await;
    assert_eq!(page.location(), "/publisher");
    let cookie = set(&page, cookie::SESSION);
    for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(cookie.starts_with("__Host-") && !cookie.contains("Domain"));
    let list = browser.get("/publisher/apis").await;
    assert_eq!(list.status, StatusCode::OK);
    assert!(list.has("carl"));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_told_beside_the_name_that_was_typed_and_too_many_are_slowed() {
    let stage = Stage::new().await;
    let mut browser = stage.browser();
    for _ in 0..5 {
        let page = browser.sign_in("carl", "not the password", "").await;
        assert_eq!(page.status, StatusCode::UNAUTHORIZED);
        assert!(page.has("user name or password is incorrect"));
        assert!(page.has(r#"value="carl""#) && !page.has("not the password"));
        assert_eq!(browser.cookie(cookie::SESSION), None);
    }
    browser.sign_in("carl", "not the password", "").await;
    let page = browser.sign_in("carl", PASSWORD, "").await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    stage.clock.advance(Duration::from_secs(61));
    let page = browser.sign_in("carl", PASSWORD, "").await;
    assert_eq!(page.location(), "/publisher");
}

#[tokio::test]
async fn one_lands_where_one_was_going_and_never_on_another_site() {
    let stage = Stage::new().await;
    let mut browser = stage.browser();
    let asked = browser.get("/publisher/apis?q=a%26b").await;
    let place = asked.location().to_owned();
    assert_eq!(place, "/sign-in?next=%2Fpublisher%2Fapis%3Fq%3Da%2526b");
    let page = browser.get(&place).await;
    assert!(page.has(r#"name="next" value="/publisher/apis?q=a%26b""#));
    let page = browser
        .sign_in("carl", PASSWORD, "/publisher/apis?q=a%26b")
        .await;
    assert_eq!(page.location(), "/publisher/apis?q=a%26b");
    for next in ["https://evil.example", "//evil.example", "/\\evil.example"] {
        let mut browser = stage.browser();
        let page = browser.sign_in("carl", PASSWORD, next).await;
        assert_eq!(page.location(), "/publisher", "{next}");
        let query = Fields::new().with("next", next).encode();
        let page = browser.get(&format!("/sign-in?{query}")).await;
        assert_eq!(page.location(), "/publisher", "{next}");
    }
}

#[tokio::test]
async fn a_sign_in_that_this_browser_was_not_asked_for_is_refused() {
    let stage = Stage::new().await;
    let theirs = stage.browser().get("/sign-in").await.token();
    let mut browser = stage.browser();
    let fields = Fields::new()
        .with("username", "carl")
        .with("password", PASSWORD);
    let page = browser.post("/sign-in", &theirs, fields).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert_eq!(browser.cookie(cookie::SESSION), None);
}

#[tokio::test]
async fn signing_out_ends_the_session_itself() {
    let stage = Stage::new().await;
    let mut browser = stage.signed_in("sue").await;
    let session = browser.cookie(cookie::SESSION).unwrap().to_owned();
    let token = browser.get("/devportal/apis").await.token();
    let page = browser.post("/sign-out", &token, Fields::new()).await;
    assert_eq!(page.location(), "/");
    assert_eq!(browser.cookie(cookie::SESSION), None);
    let said = browser.get("/").await;
    assert!(said.has("You&#39;re signed out."));
    assert!(!browser.get("/").await.has("You&#39;re signed out."));

    let mut thief = stage.browser();
    let stolen = (cookie::SESSION.to_owned(), session);
    thief.cookies.push(stolen);
    assert!(
        thief
            .get("/admin/gateways")
            .await
            .location()
            .starts_with("/sign-in")
    );
}

#[tokio::test]
async fn signing_out_on_a_page_of_an_earlier_session_ends_the_one_that_there_is() {
    let stage = Stage::new().await;
    let mut browser = stage.signed_in("sue").await;
    browser.headers.push(("sec-fetch-site", "same-origin"));
    let earlier = browser.get("/devportal/apis").await.token();
    stage.clock.advance(Duration::from_secs(12 * 3600 + 1));
    browser.sign_in("sue", PASSWORD, "").await;
    let session = Secret::new(browser.cookie(cookie::SESSION).unwrap().to_owned());
    stage.service.authenticate(&session).unwrap();

    let page = browser.post("/sign-out", &earlier, Fields::new()).await;
    assert_eq!(page.location(), "/");
    assert_eq!(browser.cookie(cookie::SESSION), None);
    assert!(browser.get("/").await.has("You&#39;re signed out."));
    stage.service.authenticate(&session).unwrap_err();
}

#[tokio::test]
async fn a_session_ends_after_its_time() {
    let stage = Stage::new().await;
    let mut browser = stage.signed_in("carl").await;
    stage.clock.advance(Duration::from_secs(12 * 3600 + 1));
    let page = browser.get("/publisher/apis").await;
    assert_eq!(page.location(), "/sign-in?next=%2Fpublisher%2Fapis");
}
