//! Valid and invalid credentials of every kind: who is admitted, what the others are told, and what the backend sees.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tidegate_integration_tests::{
    catalog,
    client::Upgrade,
    issuer::{Issuer, now},
    wire::Head,
};
use tidegate_proto::discovery::v1::SubscriptionState;

use crate::setup::{Gateway, ISSUER};

/// The claims of a good token but for one.
fn but(gateway: &Gateway, name: &str, value: impl Into<Value>) -> Value {
    let mut claims = gateway.issuer.claims(catalog::CLIENT);
    claims[name] = value.into();
    claims
}

async fn check(gateway: &Gateway, what: &str, token: &str, status: u16, reason: &str) {
    let upgrade = Upgrade::to(catalog::PATH).bearer(token);
    let refusal = upgrade.refused(gateway.address()).await;
    assert_eq!(
        (refusal.status(), refusal.reason().as_str()),
        (status, reason),
        "{what}"
    );
    if status == 401 {
        let challenge = refusal.head.field("www-authenticate").unwrap_or_default();
        assert!(
            challenge.starts_with("Bearer"),
            "{what}: RFC 6750, 3, asks for a challenge"
        );
    }
    assert!(
        !refusal.body.contains(token),
        "{what}: the token is in the answer"
    );
}

#[tokio::test]
async fn a_token_is_refused_for_what_is_wrong_with_it() {
    let gateway = Gateway::echo(&[]).await;
    let issuer = &gateway.issuer;
    let signed = |name: &str, value: Value| issuer.sign(&but(&gateway, name, value));

    let cases = [
        (
            "expired",
            signed("exp", json!(now() - 3600)),
            401,
            "credential_expired",
        ),
        (
            "not yet valid",
            signed("nbf", json!(now() + 3600)),
            401,
            "credential_not_yet_valid",
        ),
        (
            "of another issuer",
            signed("iss", json!("https://elsewhere.test")),
            401,
            "issuer_unknown",
        ),
        (
            "for another audience",
            signed("aud", json!("others")),
            403,
            "audience_mismatch",
        ),
        (
            "of an unknown application",
            signed("client_id", json!("client-2")),
            401,
            "application_unknown",
        ),
    ];
    for (what, token, status, reason) in cases {
        check(&gateway, what, &token, status, reason).await;
    }
    gateway.still_echoes().await;
}

#[tokio::test]
async fn what_no_key_manager_signed_is_refused() {
    let gateway = Gateway::echo(&[]).await;
    let issuer = &gateway.issuer;
    let cases = [
        (
            "without a signature",
            issuer.unsigned(&issuer.claims(catalog::CLIENT)),
            401,
            "credential_invalid",
        ),
        (
            "with a key id unknown",
            issuer.sign_as("another-key", &issuer.claims(catalog::CLIENT)),
            401,
            "credential_invalid",
        ),
        (
            "signed with another key of the same name",
            Issuer::new(ISSUER).token(catalog::CLIENT),
            401,
            "credential_invalid",
        ),
        (
            "with other claims than were signed",
            tampered(&gateway),
            401,
            "credential_invalid",
        ),
        (
            "cut off",
            gateway.token()[..60].to_owned(),
            401,
            "credential_invalid",
        ),
        (
            "no token at all",
            "hello".to_owned(),
            401,
            "credential_invalid",
        ),
        ("three dots", "...".to_owned(), 401, "credential_invalid"),
        ("very long", "x".repeat(4096), 401, "credential_invalid"),
    ];
    for (what, token, status, reason) in cases {
        check(&gateway, what, &token, status, reason).await;
    }
    let bare = Upgrade::to(catalog::PATH).refused(gateway.address()).await;
    assert_eq!(
        (bare.status(), bare.reason().as_str()),
        (401, "credential_missing")
    );
    assert_eq!(
        gateway.backend.heads(),
        [],
        "the backend heard of a refused handshake"
    );
    gateway.still_echoes().await;
}

/// A good token whose claims were changed after it was signed.
fn tampered(gateway: &Gateway) -> String {
    let good = gateway.token();
    let parts: Vec<_> = good.split('.').collect();
    let claims = but(gateway, "exp", now() + 999_999);
    let claims = URL_SAFE_NO_PAD.encode(claims.to_string());
    format!("{}.{claims}.{}", parts[0], parts[2])
}

#[tokio::test]
async fn a_token_for_another_api_or_of_a_blocked_subscription_is_refused() {
    let gateway = Gateway::echo(&[]).await;
    let url = gateway.backend.url();

    let mut resources = catalog::echo(&gateway.issuer, &url);
    resources.push(catalog::api(
        "00000000-0000-4000-8000-000000000002",
        "/other",
        &url,
    ));
    gateway.control.set(resources).await;
    let upgrade = Upgrade::to("/other/1.0").bearer(&gateway.token());
    let refusal = upgrade.refused(gateway.address()).await;
    assert_eq!(
        (refusal.status(), refusal.reason().as_str()),
        (403, "subscription_missing")
    );

    for state in [
        SubscriptionState::Blocked,
        SubscriptionState::ProductionBlocked,
    ] {
        let resources = catalog::echo_subscribed(&gateway.issuer, &url, state);
        gateway.control.set(resources).await;
        let what = format!("{state:?}");
        check(
            &gateway,
            &what,
            &gateway.token(),
            403,
            "subscription_blocked",
        )
        .await;
    }
    gateway
        .control
        .set(catalog::echo(&gateway.issuer, &url))
        .await;
    gateway.still_echoes().await;
}

#[tokio::test]
async fn the_credential_is_taken_out_before_the_backend_sees_the_request() {
    let gateway = Gateway::echo(&[]).await;
    let token = gateway.token();
    let in_header = Upgrade::to("/echo/1.0/rooms/7?a=1&b=%20").bearer(&token);
    let path = format!("/echo/1.0/rooms/7?a=1&access_token={token}&b=%20");
    let in_query = Upgrade::to(&path);
    for upgrade in [in_header, in_query] {
        let upgrade = upgrade
            .with("Origin", "https://app.test")
            .with("Cookie", "a=b")
            .with("X-Forwarded-For", "192.0.2.1")
            .with("Proxy-Authorization", "Basic eDp5")
            .with("Keep-Alive", "timeout=5");
        upgrade.open(gateway.address()).await.echo("hello").await;
    }
    let heads = gateway.backend.heads();
    assert_eq!(heads.len(), 2);
    for head in &heads {
        assert_eq!(head.first, "GET /rooms/7?a=1&b=%20 HTTP/1.1");
        for gone in ["authorization", "proxy-authorization", "keep-alive"] {
            assert_eq!(head.field(gone), None, "{gone}");
        }
        assert_eq!(head.field("origin"), Some("https://app.test"));
        assert_eq!(head.field("cookie"), Some("a=b"));
        assert_eq!(
            head.field("host"),
            Some(gateway.backend.address.to_string().as_str())
        );
        assert_eq!(head.field("x-forwarded-for"), Some("192.0.2.1, 127.0.0.1"));
        assert_eq!(head.field("x-forwarded-proto"), Some("http"));
        assert_eq!(head.field("x-forwarded-host"), Some("gateway.test"));
        assert!(
            !mentions(head, &token),
            "the token went to the backend: {head:?}"
        );
    }
    assert_ne!(
        heads[0].field("sec-websocket-key"),
        Some("dGhlIHNhbXBsZSBub25jZQ=="),
        "the client's key was used again"
    );
    assert!(
        !gateway.node.process.log().contains(&token),
        "a token was logged"
    );
}

#[tokio::test]
async fn a_browser_s_token_comes_among_the_subprotocols_and_goes_no_further() {
    let gateway = Gateway::echo(&[]).await;
    let token = gateway.token();
    for (offered, forwarded) in [
        (format!("tidegate.token, {token}"), None),
        (
            format!("mqtt, tidegate.token, {token}, stomp"),
            Some("mqtt, stomp"),
        ),
    ] {
        let upgrade = Upgrade::to("/echo/1.0/rooms/7")
            .with("Origin", "https://app.test")
            .with("Sec-WebSocket-Protocol", &offered);
        let mut client = upgrade.open(gateway.address()).await;
        let answered = client.head.field("sec-websocket-protocol");
        assert_eq!(answered, Some("tidegate.token"));
        client.echo("hello").await;
        let heads = gateway.backend.heads();
        let head = heads.last().expect("the backend was asked");
        assert_eq!(head.field("sec-websocket-protocol"), forwarded);
        assert!(!mentions(head, &token), "the token went on: {head:?}");
    }
    let upgrade = Upgrade::to("/echo/1.0").with("Sec-WebSocket-Protocol", "tidegate.token, a.b.c");
    let refusal = upgrade.refused(gateway.address()).await;
    assert_eq!(
        (refusal.status(), refusal.reason().as_str()),
        (401, "credential_invalid")
    );
    assert!(
        !gateway.node.process.log().contains(&token),
        "a token was logged"
    );
}

fn mentions(head: &Head, token: &str) -> bool {
    head.first.contains(token) || head.fields.iter().any(|(_, value)| value.contains(token))
}
