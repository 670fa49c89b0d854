//! A node with its doors open on free ports, over a snapshot made by hand, for tests that speak to it over real sockets:
//! backends that do exactly what a test says, clients that send exactly what it says, and the log that came of it.
//!
//! Not built outside tests.

use std::{
    io::Write,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use tidegate_kit::{config::load_from, tasks::Tasks};
use tidegate_proto::discovery::v1::resource::Body;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime::Handle,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::{
    app::{Addresses, App, Runtimes},
    config::Config,
    connection::Gateway,
    handshake::headers::accept_for,
    snapshot::{
        Snapshot, Snapshots,
        decode::decode,
        fixture::{
            Signer, api, application, application_key, key_manager, plan, snapshot, subscription,
            wire,
        },
    },
};

const ISSUER: &str = "https://issuer";

/// The key and accept key of RFC 6455, 1.3.
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub(crate) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A running node with one API, `/echo/1.0`, on one backend; one application is subscribed to it.
pub(crate) struct Node {
    pub(crate) addresses: Addresses,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) draining: CancellationToken,
    pub(crate) running: JoinHandle<anyhow::Result<()>>,
    pub(crate) log: Log,
    signer: Signer,
    bodies: Vec<Body>,
}

/// What was logged while it is held, one JSON object an event.
#[derive(Clone)]
pub(crate) struct Log {
    lines: Arc<Mutex<Vec<u8>>>,
    _guard: Arc<DefaultGuard>,
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// Waits, but not for ever.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(10), future)
        .await
        .expect("it happens within ten seconds")
}

/// Waits until something is true of the node.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never came true: {what}");
}

/// A backend that does `script` with each connection; a panic in it fails the test that awaits what it promised.
pub(crate) async fn backend<F, Done>(script: F) -> SocketAddr
where
    F: Fn(TcpStream) -> Done + Send + 'static,
    Done: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tasks = Tasks::current();
    let served = tasks.clone();
    tasks.spawn_bare(async move {
        while let Ok((stream, _)) = listener.accept().await {
            served.spawn_bare(script(stream));
        }
    });
    address
}

/// A backend that answers every upgrade rightly and then echoes bytes, unmasked frames or not.
pub(crate) async fn echo_backend() -> SocketAddr {
    backend(|stream| async move {
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        use futures_util::{SinkExt as _, StreamExt as _};
        while let Some(Ok(message)) = socket.next().await {
            if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
                break;
            }
        }
    })
    .await
}

/// Reads a request or response head, and not a byte more.
pub(crate) async fn read_head(io: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if soon(io.read(&mut byte)).await.unwrap_or(0) == 0 {
            break;
        }
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// The value of a header in a head.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (n, value) = line.split_once(':')?;
        n.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The right 101 to a request head, with some more header lines.
pub(crate) fn switching(request: &str, more: &str) -> String {
    let key = header(request, "sec-websocket-key").expect("the gateway sends a key");
    let accept = accept_for(&HeaderValue::from_str(key).unwrap());
    let accept = accept.to_str().unwrap();
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{more}\r\n"
    )
}

/// One answer, read to the end of the connection.
pub(crate) async fn read_answer(io: &mut (impl AsyncRead + Unpin)) -> Answer {
    let mut text = Vec::new();
    soon(io.read_to_end(&mut text)).await.unwrap();
    let text = String::from_utf8(text).unwrap();
    let (head, body) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no answer, but {text:?}"));
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    Answer {
        status: status.parse().unwrap(),
        headers: lines
            .map(|line| {
                let (name, value) = line.split_once(": ").unwrap();
                (
                    HeaderName::try_from(name).unwrap(),
                    HeaderValue::from_str(value).unwrap(),
                )
            })
            .collect(),
        body: body.to_owned(),
    }
}

/// A frame as a client sends it, masked with zeros so that the payload is readable.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    assert!(length < 126);
    let mut frame = vec![first, 0x80 | length, 0, 0, 0, 0];
    frame.extend_from_slice(payload);
    frame
}

/// A close frame as a server sends it: its code and its reason.
pub(crate) async fn read_close(io: &mut (impl AsyncRead + Unpin)) -> (u16, String) {
    let mut head = [0; 2];
    soon(io.read_exact(&mut head)).await.unwrap();
    assert_eq!(head[0], 0x88, "a close frame");
    let mut payload = vec![0; usize::from(head[1])];
    soon(io.read_exact(&mut payload)).await.unwrap();
    let code = u16::from_be_bytes([payload[0], payload[1]]);
    (code, String::from_utf8(payload[2..].to_vec()).unwrap())
}

// === impl Node ===

impl Node {
    /// A node in front of this backend.
    pub(crate) async fn before(backend: SocketAddr) -> Self {
        Self::start(&format!("ws://{backend}"), &[]).await
    }

    /// A node in front of this endpoint, with these settings.
    pub(crate) async fn start(endpoint: &str, sets: &[&str]) -> Self {
        Self::start_with(endpoint, sets, true).await
    }

    /// A node that waits for its first snapshot.
    pub(crate) async fn without_snapshot() -> Self {
        Self::start_with("ws://localhost", &[], false).await
    }

    /// Whether a node with these settings could open its doors.
    pub(crate) async fn try_build(sets: &[&str]) -> anyhow::Result<()> {
        let runtimes = Runtimes {
            sessions: Handle::current(),
            control: Handle::current(),
        };
        App::build(config(sets), Snapshots::default(), runtimes)
            .await
            .map(|_| ())
    }

    async fn start_with(endpoint: &str, sets: &[&str], configured: bool) -> Self {
        let log = Log::start();
        let config = config(sets);
        let signer = Signer::new("k1");
        let mut echo = api(1, "/echo", "1.0", &[("/*", "")]);
        echo.production_endpoint = endpoint.to_owned();
        let bodies = vec![
            Body::Api(echo),
            Body::Application(application(1)),
            Body::ApplicationKey(application_key("client", 1)),
            Body::Subscription(subscription(1, 1, 1, "Gold")),
            Body::Plan(plan("Gold", 0)),
            Body::KeyManager(key_manager("resident", ISSUER, &[&signer])),
        ];
        let snapshots = Snapshots::default();
        if configured {
            snapshots.swap(snapshot(bodies.clone()));
        }
        let runtimes = Runtimes {
            sessions: Handle::current(),
            control: Handle::current(),
        };
        let app = App::build(config, snapshots, runtimes).await.unwrap();
        Self {
            addresses: app.addresses(),
            gateway: app.gateway().clone(),
            draining: app.drain_token(),
            running: Tasks::current().spawn_bare(app.run(None)),
            log,
            signer,
            bodies,
        }
    }

    /// Adds a resource and swaps the snapshot.
    pub(crate) fn add(&mut self, body: Body) {
        self.bodies.push(body);
        self.reconfigure(|_| true);
    }

    /// Changes some resources, drops those for which `change` says false, and swaps the snapshot.
    pub(crate) fn reconfigure(&mut self, change: impl FnMut(&mut Body) -> bool) {
        let before: Vec<_> = self.bodies.iter().cloned().map(wire).collect();
        self.bodies.retain_mut(change);
        let after: Vec<_> = self.bodies.iter().cloned().map(wire).collect();
        let gone: Vec<_> = before
            .iter()
            .filter(|old| after.iter().all(|new| new.name != old.name))
            .map(|old| decode(old.clone()).unwrap().name)
            .collect();
        let changed = after
            .into_iter()
            .map(|resource| decode(resource).unwrap())
            .collect();
        let current = self.gateway.snapshots.load();
        let (next, _) = current.apply(current.number().next(), &gone, changed);
        self.swap(next);
    }

    pub(crate) fn swap(&self, next: Snapshot) {
        self.gateway.snapshots.swap(next);
    }

    /// Waits until every open session has been judged by the snapshot that is current.
    pub(crate) async fn limits_settled(&self) {
        let number = self.gateway.snapshots.load().number().get();
        self.until_metric(&format!("tidegate_sessions_snapshot_number {number}\n"))
            .await;
    }

    /// The status that an upgrade is refused with; `None` where it is let in.
    pub(crate) async fn refusal_or_none(&self) -> Option<u16> {
        let mut io = self.connect().await;
        let upgrade = self.upgrade("/echo/1.0", "");
        io.write_all(upgrade.as_bytes()).await.unwrap();
        let head = read_head(&mut io).await;
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status != 101).then_some(status)
    }

    /// A token that is good for an hour.
    pub(crate) fn token(&self) -> String {
        self.token_until(self.gateway.clock.now_seconds() + 3600)
    }

    pub(crate) fn token_until(&self, exp: u64) -> String {
        let claims: Value = json!({
            "iss": ISSUER, "sub": "client", "aud": "tidegate", "exp": exp, "client_id": "client",
        });
        self.signer.sign(&claims)
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addresses.ws.unwrap())
            .await
            .unwrap()
    }

    /// A right upgrade for a path and query, with a token and some more header lines.
    pub(crate) fn upgrade(&self, target: &str, more: &str) -> String {
        format!(
            "{}Authorization: Bearer {}\r\n{more}\r\n",
            bare_upgrade(target),
            self.token()
        )
    }

    /// Sends these bytes and reads the answer to the end of the connection.
    pub(crate) async fn send(&self, bytes: &[u8]) -> Answer {
        let mut io = self.connect().await;
        io.write_all(bytes).await.unwrap();
        read_answer(&mut io).await
    }

    /// What an upgrade for the API is refused with.
    pub(crate) async fn refusal(&self) -> Answer {
        self.send(self.upgrade("/echo/1.0", "").as_bytes()).await
    }

    /// An open session, over bare TCP; gives the head of the 101, too.
    pub(crate) async fn open(&self) -> (TcpStream, String) {
        let mut io = self.connect().await;
        let head = open_on(&mut io, &self.upgrade("/echo/1.0", "")).await;
        (io, head)
    }

    /// Waits until the metrics contain this line.
    pub(crate) async fn until_metric(&self, line: &str) {
        soon(async {
            while !self.operators("GET /metrics").await.body.contains(line) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    /// Asks the operators' door.
    pub(crate) async fn operators(&self, request: &str) -> Answer {
        self.operators_with(request, "").await
    }

    /// Asks the operators' door with more header lines.
    pub(crate) async fn operators_with(&self, request: &str, lines: &str) -> Answer {
        let mut io = TcpStream::connect(self.addresses.admin).await.unwrap();
        let request =
            format!("{request} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n{lines}\r\n");
        io.write_all(request.as_bytes()).await.unwrap();
        read_answer(&mut io).await
    }
}

fn config(sets: &[&str]) -> Config {
    let mut sets: Vec<String> = sets.iter().map(|&s| s.to_owned()).collect();
    for door in ["listen.ws", "listen.wss", "listen.admin"] {
        if !sets.iter().any(|set| set.starts_with(&format!("{door}="))) {
            sets.push(format!("{door}=127.0.0.1:0"));
        }
    }
    load_from(None, std::iter::empty(), &sets).unwrap()
}

/// Sends an upgrade and reads the 101.
pub(crate) async fn open_on(
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
    upgrade: &str,
) -> String {
    io.write_all(upgrade.as_bytes()).await.unwrap();
    let head = read_head(io).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    head
}

/// An upgrade without a credential, and without the empty line at its end.
pub(crate) fn bare_upgrade(target: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: gateway\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n"
    )
}

// === impl Log ===

impl Log {
    pub(crate) fn start() -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_max_level(tracing::Level::DEBUG)
            .with_span_events(FmtSpan::CLOSE)
            .with_writer(move || Lines(writer.clone()))
            .finish();
        Self {
            lines,
            _guard: Arc::new(tracing::subscriber::set_default(subscriber)),
        }
    }

    /// The whole log as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.lines.lock().unwrap().clone()).unwrap()
    }

    /// The lines of the access log so far.
    pub(crate) fn access(&self) -> Vec<Value> {
        self.text()
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .filter(|line| line["target"] == "access")
            .collect()
    }

    /// The one line of the access log, when it has come.
    pub(crate) async fn one(&self) -> Value {
        until("a line in the access log", || !self.access().is_empty()).await;
        let mut lines = self.access();
        assert_eq!(lines.len(), 1, "{lines:#?}");
        lines.remove(0)
    }
}

struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

// === impl Answer ===

impl Answer {
    pub(crate) fn problem(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/problem+json");
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}
