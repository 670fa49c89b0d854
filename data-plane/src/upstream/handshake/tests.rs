//! Backends that refuse, hang, talk nonsense or prove to be somebody else, and what the client hears of it.

use tidegate_kit::tls::Authority;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use crate::testing::{Answer, Node, backend, masked, read_head, soon, switching};

/// What a client is answered in front of a backend that answers every upgrade with `answer`, made from its request.
async fn answer_before(answer: impl Fn(&str) -> String + Clone + Send + Sync + 'static) -> Answer {
    let address = backend(move |mut io| {
        let answer = answer.clone();
        async move {
            let head = read_head(&mut io).await;
            io.write_all(answer(&head).as_bytes()).await.unwrap();
            // Whether the gateway closes at once or not is not this backend's business.
            drop(io.read(&mut [0]).await);
        }
    })
    .await;
    Node::before(address).await.refusal().await
}

fn assert_refused(answer: &Answer, status: u16, reason: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.problem()["reason"], reason);
}

#[tokio::test]
async fn answers_that_are_no_handshake_are_a_bad_gateway() {
    let nonsense: [fn(&str) -> String; 8] = [
        |_| "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi".to_owned(),
        |_| "SSH-2.0-OpenSSH_9.9\r\n\r\n".to_owned(),
        |_| "HTTP/1.1 101 Switching Protocols\r\n\r\n".to_owned(),
        |head| switching(head, "").replace("Accept: ", "Accept: x"),
        |head| switching(head, "").replace("websocket", "h2c"),
        |head| switching(head, "Sec-WebSocket-Protocol: mqtt\r\n"),
        |head| switching(head, "Sec-WebSocket-Extensions: permessage-deflate\r\n"),
        |head| switching(head, "Sec-WebSocket-Accept: twice\r\n"),
    ];
    for answer in nonsense {
        assert_refused(&answer_before(answer).await, 502, "backend_handshake");
    }
}

#[tokio::test]
async fn a_backend_that_never_comes_to_the_point_is_a_bad_gateway() {
    let address = backend(|mut io| async move {
        read_head(&mut io).await;
        let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(1000);
        while io.write_all(interim.as_bytes()).await.is_ok() {}
    })
    .await;
    let answer = Node::before(address).await.refusal().await;
    assert_refused(&answer, 502, "backend_handshake");
}

#[tokio::test]
async fn a_backend_that_hangs_up_without_an_answer_is_a_bad_gateway() {
    let address = backend(|mut io| async move {
        read_head(&mut io).await;
    })
    .await;
    let answer = Node::before(address).await.refusal().await;
    assert_refused(&answer, 502, "backend_handshake");
}

#[tokio::test]
async fn a_backends_refusal_is_passed_on_with_its_headers_and_body() {
    let answer = answer_before(|_| {
        "HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nX-Why: members only\r\nKeep-Alive: x\r\n\
         Transfer-Encoding: chunked\r\n\r\n7\r\nmembers\r\n5\r\n only\r\n0\r\n\r\n"
            .to_owned()
    })
    .await;
    assert_eq!((answer.status, answer.body.as_str()), (403, "members only"));
    assert_eq!(answer.header("x-why"), "members only");
    assert_eq!(answer.header("content-length"), "12");
    assert_eq!(answer.header("transfer-encoding"), "");
    assert_eq!(answer.header("keep-alive"), "");
}

#[tokio::test]
async fn of_a_long_refusal_the_beginning_is_passed_on() {
    let answer = answer_before(|_| {
        let body = "x".repeat(100_000);
        format!("HTTP/1.1 503 Busy\r\nContent-Length: 100000\r\n\r\n{body}")
    })
    .await;
    assert_eq!((answer.status, answer.body.len()), (503, 64 * 1024));
}

#[tokio::test]
async fn a_backend_that_nobody_listens_at_is_a_bad_gateway() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let node = Node::before(address).await;
    assert_refused(&node.refusal().await, 502, "backend_unreachable");
    let line = node.log.one().await;
    let cause = line["cause"].as_str().unwrap();
    assert!(cause.contains(&address.to_string()), "{cause}");
    assert_eq!(line["side"], "backend");
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_a_bad_gateway() {
    let node = Node::start("ws://backend.invalid", &[]).await;
    assert_refused(&node.refusal().await, 502, "backend_unreachable");
}

#[tokio::test]
async fn a_backend_that_does_not_answer_in_time_is_a_gateway_timeout() {
    let address = backend(|mut io| async move {
        read_head(&mut io).await;
        drop(io.read(&mut [0]).await);
    })
    .await;
    let sets = ["upstream.handshake_seconds=0.1"];
    let node = Node::start(&format!("ws://{address}"), &sets).await;
    assert_refused(&node.refusal().await, 504, "backend_timeout");
}

#[tokio::test]
async fn a_secure_backend_that_does_not_shake_hands_in_time_is_a_gateway_timeout() {
    let address = backend(|mut io| async move {
        let mut hello = Vec::new();
        drop(io.read_to_end(&mut hello).await);
    })
    .await;
    let sets = ["upstream.connect_seconds=0.1"];
    let node = Node::start(&format!("wss://{address}"), &sets).await;
    assert_refused(&node.refusal().await, 504, "backend_timeout");
}

#[tokio::test]
async fn a_secure_backend_is_verified() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::load_or_create(dir.path()).unwrap();
    let identity = authority.issue(&["localhost".to_owned()]).unwrap();
    let acceptor = TlsAcceptor::from(identity.server_config(&[]).unwrap());
    let address = backend(move |io| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut io) = acceptor.accept(io).await else {
                return;
            };
            let head = read_head(&mut io).await;
            io.write_all(switching(&head, "").as_bytes()).await.unwrap();
            let mut frame = [0; 11];
            io.read_exact(&mut frame).await.unwrap();
            io.write_all(b"\x81\x05hello").await.unwrap();
            drop(io.read(&mut [0]).await);
        }
    })
    .await;
    let endpoint = format!("wss://localhost:{}", address.port());

    let stranger = Node::start(&endpoint, &[]).await;
    assert_refused(&stranger.refusal().await, 502, "backend_tls");

    let trust = format!("upstream.ca_cert={}", dir.path().join("ca.pem").display());
    let other_name = format!("wss://127.0.0.1:{}", address.port());
    let node = Node::start(&other_name, &[&trust]).await;
    assert_refused(&node.refusal().await, 502, "backend_tls");

    let node = Node::start(&endpoint, &[&trust]).await;
    let (mut client, _) = node.open().await;
    client.write_all(&masked(0x81, b"hello")).await.unwrap();
    let mut frame = [0; 7];
    soon(client.read_exact(&mut frame)).await.unwrap();
    assert_eq!(&frame[2..], b"hello");
}

#[tokio::test]
async fn a_secure_endpoint_that_speaks_no_tls_is_a_bad_gateway() {
    let address = backend(|mut io| async move {
        drop(io.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await);
    })
    .await;
    let node = Node::start(&format!("wss://{address}"), &[]).await;
    assert_refused(&node.refusal().await, 502, "backend_tls");
}
