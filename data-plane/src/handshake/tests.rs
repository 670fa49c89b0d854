//! What strangers may send instead of a handshake, and what they get for it.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::testing::{
    Answer, Node, bare_upgrade, echo_backend, read_answer, read_head, soon, until,
};

fn assert_refused(answer: &Answer, status: u16, reason: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.problem()["reason"], reason);
}

#[tokio::test]
async fn bytes_that_are_no_http_are_malformed() {
    let node = Node::before(echo_backend().await).await;
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS client\r\n\r\n"[..],
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /echo/1.0 HTTP/9.9\r\n\r\n",
        b"GET /echo/1.0 HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let answer = node.send(garbage).await;
        assert_refused(&answer, 400, "malformed_request");
    }
}

#[tokio::test]
async fn a_truncated_handshake_is_malformed() {
    let node = Node::before(echo_backend().await).await;
    let mut io = node.connect().await;
    io.write_all(b"GET /echo/1.0 HTTP/1.1\r\nHost: ga")
        .await
        .unwrap();
    io.shutdown().await.unwrap();
    assert_refused(&read_answer(&mut io).await, 400, "malformed_request");
}

#[tokio::test]
async fn an_oversized_head_is_refused_before_its_end() {
    let node = Node::before(echo_backend().await).await;
    let line = format!("X-Padding: {}\r\n", "a".repeat(1000));
    let long = format!("{}{}\r\n", bare_upgrade("/echo/1.0"), line.repeat(17));
    assert_refused(&node.send(long.as_bytes()).await, 431, "request_too_large");
    let endless = format!("{}{}", bare_upgrade("/echo/1.0"), line.repeat(20));
    assert_refused(
        &node.send(endless.as_bytes()).await,
        431,
        "request_too_large",
    );
    let many = format!(
        "{}{}\r\n",
        bare_upgrade("/echo/1.0"),
        "A: b\r\n".repeat(100)
    );
    assert_refused(&node.send(many.as_bytes()).await, 431, "request_too_large");
    let target = format!("{}\r\n", bare_upgrade(&format!("/{}", "a".repeat(20_000))));
    assert_refused(
        &node.send(target.as_bytes()).await,
        431,
        "request_too_large",
    );
}

#[tokio::test]
async fn a_smaller_limit_on_heads_is_kept() {
    let backend = format!("ws://{}", echo_backend().await);
    let node = Node::start(&backend, &["limits.head_bytes=1000"]).await;
    let padded = node.upgrade("/echo/1.0", &format!("X: {}\r\n", "a".repeat(1000)));
    assert_refused(
        &node.send(padded.as_bytes()).await,
        431,
        "request_too_large",
    );
    node.open().await;
}

#[tokio::test]
async fn a_slow_handshake_is_timed_out() {
    let backend = format!("ws://{}", echo_backend().await);
    let node = Node::start(&backend, &["limits.head_seconds=0.1"]).await;
    let mut io = node.connect().await;
    io.write_all(b"GET /echo/1.0 HTTP/1.1\r\n").await.unwrap();
    assert_refused(&read_answer(&mut io).await, 408, "handshake_timeout");
    // One that says nothing at all fares no better.
    let mut io = node.connect().await;
    assert_refused(&read_answer(&mut io).await, 408, "handshake_timeout");
}

#[tokio::test]
async fn plain_http_is_told_to_upgrade() {
    let node = Node::before(echo_backend().await).await;
    for request in [
        "GET /echo/1.0 HTTP/1.1\r\nHost: gateway\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "POST /echo/1.0 HTTP/1.1\r\nHost: gateway\r\nContent-Length: 3\r\n\r\nabc",
    ] {
        let answer = node.send(request.as_bytes()).await;
        assert_refused(&answer, 426, "upgrade_required");
        assert_eq!(answer.header("upgrade"), "websocket");
        assert_eq!(answer.header("connection"), "close, upgrade");
    }
}

#[tokio::test]
async fn another_version_is_told_which_one_is_spoken() {
    let node = Node::before(echo_backend().await).await;
    let request = node
        .upgrade("/echo/1.0", "")
        .replace("Version: 13", "Version: 8");
    let answer = node.send(request.as_bytes()).await;
    assert_refused(&answer, 426, "unsupported_version");
    assert_eq!(answer.header("sec-websocket-version"), "13");
}

#[tokio::test]
async fn an_upgrade_without_a_key_is_malformed() {
    let node = Node::before(echo_backend().await).await;
    let request = node
        .upgrade("/echo/1.0", "")
        .replace("Sec-WebSocket-Key", "X-Key");
    assert_refused(
        &node.send(request.as_bytes()).await,
        400,
        "malformed_request",
    );
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_a_handshake() {
    let node = Node::before(echo_backend().await).await;
    let mut io = node.connect().await;
    for byte in node.upgrade("/echo/1.0", "").as_bytes() {
        io.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert!(read_head(&mut io).await.starts_with("HTTP/1.1 101 "));
}

#[tokio::test]
async fn a_connection_without_a_word_leaves_no_line_but_is_counted() {
    let node = Node::before(echo_backend().await).await;
    drop(node.connect().await);
    node.until_metric("tidegate_connections_dropped_total{cause=\"no_data\"} 1")
        .await;
    assert_eq!(node.log.access(), Vec::<serde_json::Value>::new());
}

#[tokio::test]
async fn a_client_that_does_not_read_its_refusal_is_cut_off() {
    let node = Node::before(echo_backend().await).await;
    let mut io = node.connect().await;
    io.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    // It stays open on its side; the gateway waits a moment for it, and goes.
    until("its line in the log", || node.log.access().len() == 1).await;
    let mut rest = Vec::new();
    soon(io.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.starts_with(b"HTTP/1.1 426 "));
}
