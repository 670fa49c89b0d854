//! The listener with well-behaved and misbehaving clients, over real sockets.

#![expect(
    clippy::disallowed_methods,
    reason = "tasks end with the test's runtime"
)]

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    routing::{self, get},
};
use futures_util::stream;
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use hyper::{
    body::Incoming,
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::ServerName;
use tidegate_kit::{
    tasks::Tasks,
    tls::{Authority, Roots, client_config},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    ALPN, Listener, ListenerLimits, Peer,
    budget::{Budget, RESERVE_BYTES},
    metered::{ANONYMOUS_BYTES, BodyLimit},
};

const KNOWN_BYTES: usize = 100 * 1024;

const SOON: Duration = Duration::from_secs(10);

struct Opened {
    address: SocketAddr,
    ca_pem: String,
    tasks: Tasks,
    _dir: tempfile::TempDir,
}

async fn open(limits: ListenerLimits) -> Opened {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::load_or_create(dir.path()).unwrap();
    let identity = authority.issue(&["localhost".to_owned()]).unwrap();
    let tls = Arc::new(ArcSwap::new(identity.server_config(ALPN).unwrap()));
    let listener = Listener::bind("management", "127.0.0.1:0", tls, limits)
        .await
        .unwrap();
    let address = listener.address();
    let router = Router::new()
        .route(
            "/",
            get(
                |axum::Extension(Peer(peer)): axum::Extension<Peer>| async move {
                    format!("hello {peer}")
                },
            ),
        )
        .route(
            "/stream",
            get(async || Body::from_stream(stream::pending::<Result<Bytes, Infallible>>())),
        )
        .route("/anonymous", routing::post(async |body: Bytes| drop(body)))
        .route(
            "/known",
            routing::post(async |request: Request<Body>| {
                BodyLimit::raise(request.extensions(), KNOWN_BYTES);
                let body = to_bytes(request.into_body(), usize::MAX).await;
                body.map(drop).map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)
            }),
        );
    let tasks = Tasks::current();
    tasks.spawn("listener", listener.serve(router, tasks.clone()));
    Opened {
        address,
        ca_pem: authority.ca_pem,
        tasks,
        _dir: dir,
    }
}

fn limits() -> ListenerLimits {
    ListenerLimits {
        connections: 16,
        connections_per_address: 16,
        handshake: Duration::from_millis(200),
        age: None,
        idle: None,
        admission: None,
        streams: 8,
        budget: Budget::new(64 * 1024 * 1024),
        charges_responses: true,
    }
}

async fn connect(opened: &Opened, alpn: &[&str]) -> std::io::Result<TlsStream<TcpStream>> {
    let config = client_config(&Roots::Only(opened.ca_pem.clone()), alpn).unwrap();
    let stream = TcpStream::connect(opened.address).await?;
    TlsConnector::from(config)
        .connect(ServerName::try_from("localhost").unwrap(), stream)
        .await
}

/// A client of HTTP/2, and the task that ends with its connection.
async fn client(opened: &Opened) -> (SendRequest<Empty<Bytes>>, JoinHandle<()>) {
    let stream = connect(opened, &["h2"]).await.unwrap();
    let shaken = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (sender, connection) = shaken.unwrap();
    let ended = tokio::spawn(async move { drop(connection.await) });
    (sender, ended)
}

/// The response, with its body still to be read.
async fn ask(sender: &mut SendRequest<Empty<Bytes>>, path: &str) -> Response<Incoming> {
    let request = Request::get(format!("https://localhost{path}"));
    let answer = sender.send_request(request.body(Empty::new()).unwrap());
    timeout(SOON, answer).await.unwrap().unwrap()
}

/// What the server sends until it closes.
async fn rest(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut said = Vec::new();
    // A connection that is closed without a TLS alert is an error after the bytes before it.
    let read = timeout(SOON, stream.read_to_end(&mut said)).await;
    assert!(read.is_ok(), "the server did not close");
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test]
async fn requests_are_answered_with_their_peer_known() {
    let opened = open(limits()).await;
    let mut stream = connect(&opened, &["http/1.1"]).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let said = rest(&mut stream).await;
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    assert!(said.ends_with("hello 127.0.0.1"), "{said}");
}

/// Sends a request with a body of so many bytes and returns the response.
async fn post(opened: &Opened, path: &str, bytes: usize) -> String {
    let mut stream = connect(opened, &["http/1.1"]).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {bytes}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // It may be refused before it's complete.
    drop(stream.write_all(&vec![b'x'; bytes]).await);
    rest(&mut stream).await
}

#[tokio::test]
async fn a_body_is_limited_until_its_sender_is_authenticated() {
    let opened = open(limits()).await;
    for (path, bytes, taken) in [
        ("/anonymous", ANONYMOUS_BYTES, true),
        ("/anonymous", ANONYMOUS_BYTES + 1, false),
        ("/known", ANONYMOUS_BYTES + 1, true),
        ("/known", KNOWN_BYTES + 1, false),
    ] {
        let said = post(&opened, path, bytes).await;
        assert_eq!(
            said.starts_with("HTTP/1.1 200"),
            taken,
            "{path} {bytes}: {said}"
        );
    }
}

#[tokio::test]
async fn a_body_that_exceeds_the_budget_is_answered_with_a_retry_time() {
    let opened = open(ListenerLimits {
        budget: Budget::unshared(0),
        ..limits()
    })
    .await;
    let said = post(&opened, "/known", RESERVE_BYTES).await;
    assert!(said.starts_with("HTTP/1.1 503"), "{said}");
    assert!(said.contains("retry-after: 1"), "{said}");
    let said = post(&opened, "/known", RESERVE_BYTES / 2).await;
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
}

#[tokio::test]
async fn a_tls_handshake_that_does_not_move_is_cut() {
    let opened = open(limits()).await;
    let mut stream = TcpStream::connect(opened.address).await.unwrap();
    assert_eq!(rest(&mut stream).await, "");
}

#[tokio::test]
async fn what_is_not_tls_is_cut() {
    let opened = open(limits()).await;
    let mut stream = TcpStream::connect(opened.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let said = rest(&mut stream).await;
    assert!(!said.contains("HTTP"), "{said}");
}

#[tokio::test]
async fn a_request_head_that_trickles_in_is_cut() {
    let opened = open(limits()).await;
    let mut stream = connect(&opened, &["http/1.1"]).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: ").await.unwrap();
    let said = rest(&mut stream).await;
    assert!(!said.contains(" 200 "), "{said}");
}

#[tokio::test]
async fn a_connection_without_a_request_is_cut() {
    let opened = open(limits()).await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let settings = b"\0\0\0\x04\0\0\0\0\0";
    for (alpn, said_by_client) in [
        ("http/1.1", Vec::new()),
        ("h2", Vec::new()),
        ("h2", preface[..10].to_vec()),
        ("h2", [&preface[..], settings].concat()),
    ] {
        let mut stream = connect(&opened, &[alpn]).await.unwrap();
        stream.write_all(&said_by_client).await.unwrap();
        rest(&mut stream).await;
    }
}

#[tokio::test]
async fn a_connection_over_the_limit_is_closed_and_a_free_slot_is_used_again() {
    let opened = open(ListenerLimits {
        connections: 1,
        ..limits()
    })
    .await;
    let first = connect(&opened, &["h2"]).await.unwrap();
    assert!(connect(&opened, &["h2"]).await.is_err());
    drop(first);
    let again = async {
        while connect(&opened, &["h2"]).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, again).await.unwrap();
}

#[tokio::test]
async fn an_old_connection_is_shut_down() {
    let opened = open(ListenerLimits {
        age: Some(Duration::from_millis(50)),
        handshake: SOON,
        ..limits()
    })
    .await;
    let mut stream = connect(&opened, &["http/1.1"]).await.unwrap();
    assert_eq!(rest(&mut stream).await, "");
}

#[tokio::test]
async fn an_idle_connection_is_shut_down_and_one_with_an_open_response_stays() {
    let opened = open(ListenerLimits {
        idle: Some(Duration::from_millis(300)),
        handshake: SOON,
        ..limits()
    })
    .await;
    let (mut watching, watched) = client(&opened).await;
    let answer = ask(&mut watching, "/stream").await;
    let (mut idle, ended) = client(&opened).await;
    assert_eq!(ask(&mut idle, "/").await.status(), StatusCode::OK);
    timeout(SOON, ended).await.expect("it is idle").unwrap();
    // It began before the other, and takes another request.
    assert_eq!(ask(&mut watching, "/").await.status(), StatusCode::OK);
    drop(answer);
    timeout(SOON, watched).await.expect("it is idle").unwrap();
}

#[tokio::test]
async fn a_response_is_charged_until_it_is_complete() {
    let opened = open(ListenerLimits {
        budget: Budget::unshared(0),
        handshake: SOON,
        ..limits()
    })
    .await;
    let (mut sender, _connection) = client(&opened).await;
    let first = ask(&mut sender, "/stream").await;
    let second = ask(&mut sender, "/stream").await;
    assert_eq!(first.status(), StatusCode::OK);
    assert_eq!(second.status(), StatusCode::OK);
    let third = ask(&mut sender, "/stream").await;
    assert_eq!(third.status(), StatusCode::SERVICE_UNAVAILABLE);
    drop(first);
    let again = async {
        while ask(&mut sender, "/stream").await.status() != StatusCode::OK {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, again).await.unwrap();
}

#[tokio::test]
async fn a_listener_that_stops_leaves_nothing_running() {
    let opened = open(limits()).await;
    let _idle = connect(&opened, &["http/1.1"]).await.unwrap();
    let _mute = TcpStream::connect(opened.address).await.unwrap();
    assert_eq!(opened.tasks.shut_down(SOON).await, 0);
}

#[tokio::test]
async fn an_address_that_is_taken_is_an_error_that_names_it() {
    let opened = open(limits()).await;
    let address = opened.address.to_string();
    let identity = Authority::load_or_create(opened._dir.path())
        .unwrap()
        .issue(&["localhost".to_owned()])
        .unwrap();
    let tls = Arc::new(ArcSwap::new(identity.server_config(ALPN).unwrap()));
    let error = Listener::bind("management", &address, tls, limits())
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains(&address) && error.contains("listen.management"),
        "{error}"
    );
}
