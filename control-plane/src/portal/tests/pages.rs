//! What every page says to a browser, who sees which, and what is escaped.

use http::{Method, StatusCode};

use super::{Stage, cookie};
use crate::portal::assets;

#[tokio::test]
async fn every_page_says_what_it_may_load_and_nobody_frames_it() {
    let stage = Stage::new().await;
    let mut browser = stage.signed_in("ada").await;
    for path in [
        "/",
        "/publisher/apis",
        "/devportal/apis",
        "/admin/gateways",
        "/publisher/nowhere",
        "/publisher",
    ] {
        let page = browser.get(path).await;
        let policy = page.header("content-security-policy");
        assert!(policy.contains("default-src 'none'"), "{path}: {policy}");
        assert!(
            policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("cache-control", "no-store"),
            ("cross-origin-opener-policy", "same-origin"),
        ] {
            assert_eq!(page.header(name), value, "{path}");
        }
        if page.status == StatusCode::SEE_OTHER {
            continue;
        }
        let (_, nonce) = policy.split_once("'nonce-").unwrap();
        let nonce = nonce.split('\'').next().unwrap();
        let scripts = page.text.matches("<script").count();
        let carried = page.text.matches(&format!("nonce=\"{nonce}\"")).count();
        assert!(scripts > 0 && scripts == carried, "{path}");
        assert!(!page.has("style=\"") && !page.has("onclick="), "{path}");
        assert!(!page.has("http://") && !page.has("https://"), "{path}");
        assert!(page.text.len() < 100 * 1024, "{path}");
        let again = browser.get(path).await;
        assert_ne!(again.header("content-security-policy"), policy, "{path}");
    }
}

#[tokio::test]
async fn strangers_find_what_is_public_and_are_asked_to_sign_in_elsewhere() {
    let stage = Stage::new().await;
    stage.published("Echo", "").await;
    let mut browser = stage.browser();
    let page = browser.get("/devportal/apis").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.has(">Echo</a>"));
    assert_eq!(
        browser.cookie(cookie::ANONYMOUS),
        None,
        "nothing is kept of who only looks"
    );
    for path in ["/publisher/apis", "/admin/gateways", "/publisher", "/admin"] {
        let page = browser.get(path).await;
        assert!(page.location().starts_with("/sign-in?next="), "{path}");
    }
}

#[tokio::test]
async fn a_role_sees_its_rooms_and_is_refused_in_others_by_direct_call() {
    let stage = Stage::new().await;
    let mut sue = stage.signed_in("sue").await;
    let page = sue.get("/devportal/apis").await;
    assert!(
        !page.has("\"/publisher") && !page.has("\"/admin"),
        "{}",
        page.text
    );
    for path in ["/publisher/apis", "/admin/gateways", "/publisher", "/admin"] {
        let page = sue.get(path).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{path}");
        assert!(page.has("This page needs the role"), "{path}");
    }
    let mut pat = stage.signed_in("pat").await;
    let page = pat.get("/publisher/apis").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.has("Create API"), "only a creator designs");
    let mut carl = stage.signed_in("carl").await;
    assert!(
        carl.get("/publisher/apis")
            .await
            .has("Design a new WebSocket API")
    );
}

#[tokio::test]
async fn a_name_that_is_a_script_is_text() {
    let stage = Stage::new().await;
    let evil = "<script>alert(1)</script>";
    stage.published("Echo", evil).await;
    let mut browser = stage.signed_in("carl").await;
    let query = "?q=%22%3E%3Cscript%3E&tag=%3Cscript%3E";
    for path in ["/publisher/apis", "/devportal/apis"] {
        let page = browser.get(path).await;
        assert!(!page.has("<script>"), "{path}");
        assert!(page.has("&#60;script&#62;alert(1)"), "{path}");
        let page = browser.get(&format!("{path}{query}")).await;
        assert!(!page.has("<script>") && page.has("No matches"), "{path}");
    }
    let page = browser.get("/publisher/%3Cscript%3E").await;
    assert!(!page.has("<script>"));
}

#[tokio::test]
async fn lists_are_searched_filtered_and_paged() {
    let stage = Stage::new().await;
    for n in 0..30 {
        stage.published(&format!("Api{n:02}"), "").await;
    }
    let mut browser = stage.signed_in("pat").await;
    let page = browser
        .get("/publisher/apis?state=PUBLISHED&view=table")
        .await;
    assert!(page.has("30 APIs") && page.text.matches("scope=\"row\"").count() == 24);
    let (_, next) = page.text.rsplit_once("href=\"/publisher/apis?").unwrap();
    let next = next.split('"').next().unwrap().replace("&#38;", "&");
    let page = browser.get(&format!("/publisher/apis?{next}")).await;
    assert_eq!(page.text.matches("scope=\"row\"").count(), 6);
    assert!(page.has("First page") && !page.has("Next page"));
    let page = browser.get("/publisher/apis?q=api07").await;
    assert!(page.has("1 API<") && page.has("/api07/1.0"));
    stage.published("Gauges", "Ocean levels").await;
    let page = browser.get("/publisher/apis?q=ocean").await;
    assert!(
        page.has("1 API<") && page.has("/gauges/1.0"),
        "by what the card says"
    );
    assert!(
        browser
            .get("/publisher/apis?state=CREATED")
            .await
            .has("No matches")
    );
    let page = browser.get("/publisher/apis?page=nonsense").await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_is_nowhere_is_told_in_the_frame() {
    let stage = Stage::new().await;
    let mut browser = stage.signed_in("carl").await;
    for path in [
        "/nowhere",
        "//elsewhere.example/",
        "/publisher/nowhere",
        "/publisher/apis/x/y/z",
        "/devportal/nowhere",
        "/admin/nowhere",
    ] {
        let page = browser.get(path).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
        assert!(
            (page.has("Page not found") || page.has("Not found")) && page.has("Sign out"),
            "{path}"
        );
    }
    for room in ["/publisher", "/devportal", "/admin"] {
        assert_eq!(browser.get(&format!("{room}/")).await.location(), room);
    }
    let page = browser
        .send(Method::DELETE, "/publisher/apis", super::Body::empty())
        .await;
    assert_eq!(page.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(page.has("support the request method") && page.header("allow").contains("GET"));
}

#[tokio::test]
async fn assets_are_kept_for_good_under_what_is_in_them() {
    let stage = Stage::new().await;
    let mut browser = stage.browser();
    for (name, kind) in [("portal.css", "text/css"), ("portal.js", "text/javascript")] {
        let url = assets::url(name);
        let page = browser.get(&url).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(page.header("content-type").starts_with(kind));
        assert!(page.header("cache-control").contains("immutable"));
        assert!(browser.get("/").await.has(&url));
    }
    let stale = browser.get("/assets/0000000000000000/portal.css").await;
    assert_eq!(stale.status, StatusCode::NOT_FOUND);
    let nowhere = assets::url("portal.css").replace("portal.css", "secrets.txt");
    assert_eq!(browser.get(&nowhere).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn gateways_are_shown_with_their_environments() {
    let stage = Stage::new().await;
    let mut browser = stage.signed_in("ada").await;
    let page = browser.get("/admin/gateways").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.has("ws://localhost:9099") && page.has("No gateways"));
}
