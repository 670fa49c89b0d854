//! Invalid handshakes: each gets a clear response, and the next client is served normally.

use std::io;

use tidegate_integration_tests::{
    client::{self, Upgrade, send_raw},
    wait,
    wire::Head,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::setup::Gateway;

#[tokio::test]
async fn a_request_that_is_no_upgrade_is_told_what_to_do() {
    let gateway = Gateway::echo(&[]).await;
    let good = gateway.upgrade();
    let cases = [
        (
            "no Upgrade",
            good.clone().without("Upgrade"),
            426,
            "upgrade_required",
        ),
        (
            "no Connection",
            good.clone().without("Connection"),
            400,
            "malformed_request",
        ),
        (
            "another protocol",
            good.clone().without("Upgrade").with("Upgrade", "h2c"),
            426,
            "upgrade_required",
        ),
        (
            "another version",
            good.clone()
                .without("Sec-WebSocket-Version")
                .with("Sec-WebSocket-Version", "8"),
            426,
            "unsupported_version",
        ),
    ];
    check(&gateway, cases).await;
}

#[tokio::test]
async fn a_malformed_upgrade_is_400() {
    let gateway = Gateway::echo(&[]).await;
    let good = gateway.upgrade();
    let cases = [
        (
            "no key",
            good.clone().without("Sec-WebSocket-Key"),
            400,
            "malformed_request",
        ),
        (
            "a short key",
            good.clone()
                .without("Sec-WebSocket-Key")
                .with("Sec-WebSocket-Key", "c2hvcnQ="),
            400,
            "malformed_request",
        ),
        (
            "a key that is no base64",
            good.clone()
                .without("Sec-WebSocket-Key")
                .with("Sec-WebSocket-Key", "!!!!"),
            400,
            "malformed_request",
        ),
        (
            "two keys",
            good.clone()
                .with("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            400,
            "malformed_request",
        ),
        (
            "a path that climbs",
            Upgrade::to("/echo/1.0/../../x").bearer(&gateway.token()),
            400,
            "malformed_request",
        ),
        (
            "no Host",
            good.clone().without("Host"),
            400,
            "malformed_request",
        ),
    ];
    check(&gateway, cases).await;
}

async fn check<const N: usize>(gateway: &Gateway, cases: [(&str, Upgrade, u16, &str); N]) {
    for (what, upgrade, status, reason) in cases {
        let refusal = upgrade.refused(gateway.address()).await;
        assert_eq!(
            (refusal.status(), refusal.reason().as_str()),
            (status, reason),
            "{what}"
        );
        if status == 426 {
            let version = refusal.head.field("sec-websocket-version");
            assert_eq!(version, Some("13"), "{what}");
        }
    }
    gateway.still_echoes().await;
}

#[tokio::test]
async fn a_path_that_nothing_answers_to_is_not_found() {
    let gateway = Gateway::echo(&[]).await;
    for path in ["/", "/nothing/1.0", "/echo/2.0", "/echo", "/ECHO/1.0"] {
        let refusal = Upgrade::to(path)
            .bearer(&gateway.token())
            .refused(gateway.address())
            .await;
        assert_eq!(
            (refusal.status(), refusal.reason().as_str()),
            (404, "api_not_found"),
            "{path}"
        );
    }
    gateway.still_echoes().await;
}

#[tokio::test]
async fn bytes_that_are_no_http_are_answered_with_400_or_with_the_end() {
    let gateway = Gateway::echo(&[]).await;
    let tls_hello = [
        0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03,
    ];
    let cases: [(&str, &[u8]); 6] = [
        ("a TLS handshake", &tls_hello),
        ("zeros", &[0; 64]),
        ("no HTTP", b"HELLO THERE\r\n\r\n"),
        (
            "a request line of garbage",
            b"\xff\xfe\xfd / HTTP/1.1\r\nHost: x\r\n\r\n",
        ),
        ("a field without a name", b"GET / HTTP/1.1\r\n: x\r\n\r\n"),
        (
            "a field with a control character",
            b"GET / HTTP/1.1\r\nHost: a\x00b\r\n\r\n",
        ),
    ];
    for (what, bytes) in cases {
        let refusal = send_raw(gateway.address(), bytes)
            .await
            .expect(what)
            .expect_err(what);
        assert_eq!(
            (refusal.status(), refusal.reason().as_str()),
            (400, "malformed_request"),
            "{what}"
        );
    }
    gateway.still_echoes().await;
}

#[tokio::test]
async fn a_truncated_head_affects_no_other_client() {
    let gateway = Gateway::echo(&[]).await;
    let whole = gateway.upgrade().encode();
    for length in [0, 1, 10, whole.len() / 2, whole.len() - 1] {
        let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
        stream.write_all(&whole[..length]).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        // However it is answered, the connection ends.
        let _ = wait::within("the connection ends", stream.read_to_end(&mut rest)).await;
        assert!(
            !rest.starts_with(b"HTTP/1.1 101"),
            "{length} bytes were enough"
        );
    }
    gateway.still_echoes().await;
}

#[tokio::test]
async fn a_head_in_single_bytes_is_a_head() {
    let gateway = Gateway::echo(&[]).await;
    let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in gateway.upgrade().encode() {
        stream.write_all(&[byte]).await.unwrap();
    }
    let mut client = client::answer(stream)
        .await
        .unwrap()
        .expect("it is a good request");
    client.echo("slowly").await;
}

#[tokio::test]
async fn frames_that_come_with_the_head_are_not_lost() {
    let gateway = Gateway::echo(&[]).await;
    let mut bytes = gateway.upgrade().encode();
    let frame = tidegate_integration_tests::wire::Frame::text("early");
    bytes.extend(frame.encode(tidegate_integration_tests::wire::Mask::Fixed));
    let mut client = send_raw(gateway.address(), &bytes)
        .await
        .unwrap()
        .expect("a good request");
    assert_eq!(client.next().await, Some(frame));
}

#[tokio::test]
async fn an_oversized_head_is_431() {
    let gateway = Gateway::echo(&["limits.head_bytes=8192"]).await;
    let long = "x".repeat(16 << 10);
    let cases = [
        ("a long field", gateway.upgrade().with("X-Long", &long)),
        (
            "a long path",
            Upgrade::to(&format!("/echo/1.0/{long}")).bearer(&gateway.token()),
        ),
        (
            "many fields",
            (0..2000).fold(gateway.upgrade(), |upgrade, n| {
                upgrade.with(&format!("X-{n}"), "1")
            }),
        ),
    ];
    for (what, upgrade) in cases {
        // The gateway may answer and close before it was sent the whole.
        let answer = send_raw(gateway.address(), &upgrade.encode()).await;
        match answer {
            Ok(answer) => {
                let refusal = answer.expect_err(what);
                assert_eq!(refusal.status(), 431, "{what}");
                assert_eq!(refusal.reason(), "request_too_large", "{what}");
            }
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{what}"),
        }
    }
    gateway.still_echoes().await;
}

#[tokio::test]
async fn a_head_that_does_not_come_is_given_up() {
    let gateway = Gateway::echo(&["limits.head_seconds=1"]).await;
    let half = &gateway.upgrade().encode()[..40];
    let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
    stream.write_all(half).await.unwrap();
    let head = Head::read(&mut stream)
        .await
        .expect("an answer within the deadline");
    assert_eq!(head.status(), 408);
    let mut rest = Vec::new();
    wait::within("the connection ends", stream.read_to_end(&mut rest))
        .await
        .unwrap();
    gateway.still_echoes().await;
}

#[tokio::test]
async fn a_node_that_is_full_says_so_and_takes_the_next_when_there_is_room() {
    let gateway = Gateway::echo(&["limits.connections=2"]).await;
    let first = gateway.open().await;
    let _second = gateway.open().await;
    let refusal = gateway.upgrade().refused(gateway.address()).await;
    assert_eq!(
        (refusal.status(), refusal.reason().as_str()),
        (503, "connection_limit")
    );
    first.close().await;
    wait::until("there is room again", async || {
        gateway.upgrade().send(gateway.address()).await.ok()
    })
    .await;
}

#[tokio::test]
async fn a_subprotocol_is_agreed_between_client_and_backend() {
    use tidegate_integration_tests::backend::{Backend, switching_protocols};

    let backend = Backend::raw(|mut stream| async move {
        let Ok(head) = Head::read(&mut stream).await else {
            return;
        };
        assert_eq!(
            head.field("sec-websocket-protocol"),
            Some("ocpp1.6, ocpp2.0")
        );
        let answer = switching_protocols(&head, &[("Sec-WebSocket-Protocol", "ocpp2.0")]);
        stream
            .write_all(answer.as_bytes())
            .await
            .expect("the gateway reads");
        let _ = stream.read_u8().await;
    })
    .await;
    let gateway = Gateway::of(backend, &[]).await;
    let upgrade = gateway
        .upgrade()
        .with("Sec-WebSocket-Protocol", "ocpp1.6, ocpp2.0");
    let client = upgrade.open(gateway.address()).await;
    assert_eq!(client.head.field("sec-websocket-protocol"), Some("ocpp2.0"));
}
