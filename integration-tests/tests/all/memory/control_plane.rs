//! The control plane's listeners under floods.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use futures_util::future::join_all;
use tidegate_integration_tests::{
    admin::Admin,
    control_plane::{ControlPlane, PASSWORD},
    h2::{self, Connection, INITIAL_WINDOW_SIZE, PING, PRIORITY, RST_STREAM, SETTINGS, frame},
    memory::Memory,
    wait,
};
use tidegate_proto::admin::v1::{SignInRequest, session_service_client::SessionServiceClient};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use xtask::client::{self, Bearer};

/// By how many MiB the control plane may grow under one flood: its share for requests from one address, what its
/// connections cost by themselves, and what the allocator keeps back.
const BOUND: u64 = 40;

/// What a body has in the floods: less than what was read of anybody before, so that a failure does not harm the machine.
const BODY: usize = 256 * 1024;
const STREAMS: usize = 128;
const TIME: Duration = Duration::from_secs(5);
/// How long a flood of control frames lasts.
const FLOOD: Duration = Duration::from_millis(500);

struct Victim {
    control_plane: ControlPlane,
    memory: Memory,
    _folder: tempfile::TempDir,
}

impl Victim {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let control_plane = ControlPlane::start(folder.path(), &[]).await;
        // What sign-ins take once is not the flood's; two passwords are hashed at a time.
        join_all((0..4).map(|_| sign_in(&control_plane))).await;
        Admin::sign_in(&control_plane).await;
        let memory = Memory::of(control_plane.ready.pid);
        Self {
            control_plane,
            memory,
            _folder: folder,
        }
    }

    fn management(&self) -> (SocketAddr, PathBuf) {
        let ready = &self.control_plane.ready;
        (ready.management, ready.ca_cert.clone())
    }

    fn discovery(&self) -> (SocketAddr, PathBuf) {
        let ready = &self.control_plane.ready;
        (ready.discovery, ready.ca_cert.clone())
    }

    /// Nobody is kept out, and the process has not grown beyond the bound.
    async fn stands(&self, flood: &str) {
        sign_in(&self.control_plane).await;
        Admin::sign_in(&self.control_plane).await;
        let grown = self.memory.grown();
        println!("{flood}: grown by {grown} MiB");
        assert!(
            grown <= BOUND,
            "{flood}: the control plane grew by {grown} MiB"
        );
    }
}

/// What a request over HTTP/1.1 is answered with until the connection ends.
async fn ask(control_plane: &ControlPlane, request: String) -> String {
    let ready = &control_plane.ready;
    let mut stream = h2::tls(ready.management, &ready.ca_cert, "http/1.1")
        .await
        .unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut said = Vec::new();
    // The end without a TLS goodbye is an end, too.
    let _ = wait::within("an answer", stream.read_to_end(&mut said)).await;
    String::from_utf8_lossy(&said).into_owned()
}

/// The cookie and the token of the form to sign in.
async fn form(control_plane: &ControlPlane) -> (String, String) {
    let between = |text: &str, from: &str, to: char| {
        let rest = text
            .split_once(from)
            .unwrap_or_else(|| panic!("no {from} in {text}"))
            .1;
        rest.split(to).next().unwrap_or_default().to_owned()
    };
    let page = ask(control_plane, format!("GET /sign-in {HEAD}\r\n\r\n")).await;
    let cookie = between(&page, "set-cookie: ", ';');
    let token = between(&page, "name=\"_csrf\" value=\"", '"');
    (cookie, token)
}

/// Signs in by the portal's form, as a browser does.
async fn sign_in(control_plane: &ControlPlane) {
    let (cookie, token) = form(control_plane).await;
    let password = PASSWORD.replace(' ', "+");
    let body = format!("_csrf={token}&username=admin&password={password}");
    let length = body.len();
    let request = format!(
        "POST /sign-in {HEAD}\r\ncontent-type: {FORM}\r\ncontent-length: {length}\r\ncookie: {cookie}\r\n\r\n{body}"
    );
    let said = ask(control_plane, request).await;
    assert!(said.starts_with("HTTP/1.1 303"), "cannot sign in: {said}");
}

async fn token(control_plane: &ControlPlane) -> String {
    let ready = &control_plane.ready;
    let channel = client::connect(&control_plane.url(), &ready.ca_cert, Bearer::default()).await;
    let request = SignInRequest {
        username: "admin".to_owned(),
        password: PASSWORD.to_owned(),
    };
    let mut sessions = SessionServiceClient::new(channel.unwrap());
    sessions.sign_in(request).await.unwrap().into_inner().token
}

/// Opens so many connections with as many requests on each as the server lets, and feeds each body for as long as it is
/// taken. The connections stay open.
async fn unfinished(
    (address, ca_cert): (SocketAddr, PathBuf),
    connections: usize,
    fields: &[(&str, &str)],
    bytes: usize,
    prefix: &[u8],
) -> Vec<Connection> {
    let one = async || {
        let mut connection = Connection::open(address, &ca_cert, &[]).await.ok()?;
        for _ in 0..STREAMS {
            let id = connection.request(fields, false).await;
            if !prefix.is_empty() {
                connection.write(&frame(h2::DATA, 0, id, prefix)).await;
            }
        }
        connection.feed(bytes, TIME).await;
        Some(connection)
    };
    let opened = join_all((0..connections).map(|_| one())).await;
    opened.into_iter().flatten().collect()
}

fn post<'a>(path: &'a str, kind: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", path),
        ("content-type", kind),
    ]
}

const HEAD: &str = "HTTP/1.1\r\nhost: localhost\r\nconnection: close";
const FORM: &str = "application/x-www-form-urlencoded";
const GRPC: &str = "application/grpc";
/// The head of a gRPC message that has as much as the admin API takes.
const MESSAGE: &[u8] = &[0, 0, 0x0f, 0xff, 0xff];
const DISCOVERY: &str = "/tidegate.discovery.v1.Discovery/Stream";

#[tokio::test]
async fn unfinished_sign_ins_take_a_bounded_share_and_others_sign_in_meanwhile() {
    let victim = Victim::start().await;
    let open = unfinished(victim.management(), 4, &post("/sign-in", FORM), BODY, b"").await;
    victim.stands("unfinished POST /sign-in").await;
    drop(open);
}

#[tokio::test]
async fn unfinished_token_requests_with_long_heads_take_a_bounded_share() {
    let victim = Victim::start().await;
    let long = "x".repeat(15_000);
    let mut fields = post("/oauth2/token", FORM);
    fields.push(("x-long", &long));
    let open = unfinished(victim.management(), 24, &fields, 15_000, b"").await;
    victim.stands("unfinished POST /oauth2/token").await;
    drop(open);
}

#[tokio::test]
async fn unfinished_calls_of_the_admin_api_take_a_bounded_share_without_a_token_and_with_one() {
    let victim = Victim::start().await;
    let open = post("/tidegate.admin.v1.SessionService/SignIn", GRPC);
    let anonymous = unfinished(victim.management(), 4, &open, BODY, &[0, 0, 0, 0x3f, 0xff]).await;
    victim.stands("unfinished gRPC calls, no token").await;
    drop(anonymous);
    let bearer = format!("Bearer {}", token(&victim.control_plane).await);
    let mut fields = post("/tidegate.admin.v1.ApiService/CreateApi", GRPC);
    fields.push(("authorization", &bearer));
    let members = unfinished(victim.management(), 4, &fields, BODY, MESSAGE).await;
    victim.stands("unfinished gRPC calls, with a token").await;
    drop(members);
}

#[tokio::test]
async fn unfinished_hellos_take_a_bounded_share_without_the_join_token_and_with_it() {
    let victim = Victim::start().await;
    let fields = post(DISCOVERY, GRPC);
    let anonymous = unfinished(victim.discovery(), 4, &fields, BODY, MESSAGE).await;
    victim.stands("unfinished Hello, no join token").await;
    drop(anonymous);
    let token = std::fs::read_to_string(&victim.control_plane.ready.join_token_file).unwrap();
    let bearer = format!("Bearer {}", token.trim());
    let mut fields = fields;
    fields.push(("authorization", &bearer));
    let nodes = unfinished(victim.discovery(), 4, &fields, BODY, MESSAGE).await;
    victim.stands("unfinished Hello, with the join token").await;
    drop(nodes);
}

#[tokio::test]
async fn pages_that_nobody_reads_take_a_bounded_share() {
    let victim = Victim::start().await;
    let (address, ca_cert) = victim.management();
    // The page says again where to go after signing in.
    let path = format!("/sign-in?next=/{}", "x".repeat(14_000));
    let fields = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", path.as_str()),
    ];
    let one = async || {
        let deaf = [(INITIAL_WINDOW_SIZE, 0)];
        let mut connection = Connection::open(address, &ca_cert, &deaf).await.ok()?;
        for _ in 0..STREAMS {
            connection.request(&fields, true).await;
        }
        Some(connection)
    };
    let open = join_all((0..24).map(|_| one())).await;
    victim.stands("pages behind windows of zero").await;
    drop(open);
}

#[tokio::test]
async fn sign_ins_of_thousands_of_empty_fields_take_a_bounded_share_while_they_wait() {
    let victim = Victim::start().await;
    let (address, ca_cert) = victim.management();
    let (cookie, token) = form(&victim.control_plane).await;
    let mut body = format!("_csrf={token}&username=nobody&password=guess");
    while body.len() + 2 <= 16 * 1024 {
        body.push_str("&a");
    }
    let length = body.len();
    let request = format!(
        "POST /sign-in {HEAD}\r\ncontent-type: {FORM}\r\ncontent-length: {length}\r\ncookie: {cookie}\r\n\r\n{body}"
    );
    let one = async || {
        let mut stream = h2::tls(address, &ca_cert, "http/1.1").await.ok()?;
        stream.write_all(request.as_bytes()).await.ok()?;
        Some(stream)
    };
    let open = join_all((0..96).map(|_| one())).await;
    victim.stands("POST /sign-in of many empty fields").await;
    drop(open);
}

#[tokio::test]
async fn watches_that_stay_open_take_a_bounded_share() {
    let victim = Victim::start().await;
    let (address, ca_cert) = victim.management();
    let fields = post("/grpc.health.v1.Health/Watch", GRPC);
    // An empty message is a whole one, and the end of the body.
    let message = |id| frame(h2::DATA, 1, id, &[0; 5]);
    let one = async || {
        let mut connection = Connection::open(address, &ca_cert, &[]).await.ok()?;
        for _ in 0..32 {
            let id = connection.request(&fields, false).await;
            connection.write(&message(id)).await;
        }
        connection.listen(TIME).await;
        Some(connection)
    };
    let open = join_all((0..96).map(|_| one())).await;
    victim.stands("watches of the health").await;
    drop(open);
}

#[tokio::test]
async fn one_sign_in_after_another_keeps_no_more_than_the_first() {
    let victim = Victim::start().await;
    for _ in 0..10 {
        join_all((0..4).map(|_| sign_in(&victim.control_plane))).await;
    }
    victim.stands("40 sign-ins").await;
}

#[tokio::test]
async fn floods_of_control_frames_of_which_no_answer_is_read_take_a_bounded_share() {
    let victim = Victim::start().await;
    for (address, ca_cert) in [victim.management(), victim.discovery()] {
        let reset = [
            h2::headers(1, &post("/sign-in", FORM), false),
            frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]),
        ]
        .concat();
        let window = frame(8, 0, 0, &[0, 0, 0, 1]);
        let settings = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff]);
        for (name, bytes) in [
            ("PING", frame(PING, 0, 0, &[0; 8])),
            ("SETTINGS", settings),
            ("PRIORITY", frame(PRIORITY, 0, 3, &[0, 0, 0, 0, 16])),
            ("RST_STREAM", reset),
            ("WINDOW_UPDATE", window),
        ] {
            let one = async || {
                let opened = Connection::open(address, &ca_cert, &[]).await;
                let mut connection = opened.expect("the listener is open");
                let times = if name == "RST_STREAM" {
                    resets(&mut connection, &bytes).await
                } else {
                    connection.flood(&bytes.repeat(100), FLOOD).await * 100
                };
                (connection, times)
            };
            let open = join_all((0..4).map(|_| one())).await;
            let times: usize = open.iter().map(|(_, times)| times).sum();
            victim.stands(&format!("{times} frames of {name}")).await;
        }
    }
}

/// Opens streams and resets each at once, as fast as they are taken.
async fn resets(connection: &mut Connection, first: &[u8]) -> usize {
    let mut times = 0;
    let began = std::time::Instant::now();
    while began.elapsed() < FLOOD {
        let mut bytes = Vec::new();
        for _ in 0..50 {
            let id = u32::try_from(times * 2 + 1).unwrap().to_be_bytes();
            let mut pair = first.to_vec();
            let reset = pair.len() - 13;
            pair[5..9].copy_from_slice(&id);
            pair[reset + 5..reset + 9].copy_from_slice(&id);
            bytes.extend(pair);
            times += 1;
        }
        if !connection.write(&bytes).await {
            break;
        }
    }
    times
}

#[tokio::test]
async fn unfinished_heads_and_bodies_of_http_1_take_a_bounded_share() {
    let victim = Victim::start().await;
    let (address, ca_cert) = victim.management();
    let head = format!(
        "POST /sign-in HTTP/1.1\r\nhost: localhost\r\nx: {}",
        "x".repeat(30_000)
    );
    let body = format!(
        "POST /sign-in HTTP/1.1\r\nhost: localhost\r\ncontent-type: {FORM}\r\ncontent-length: 3000000\r\n\r\n{}",
        "x".repeat(BODY * 8)
    );
    for (name, bytes) in [("heads", head), ("bodies", body)] {
        let one = async || {
            let mut stream = h2::tls(address, &ca_cert, "http/1.1").await.ok()?;
            // It is refused in the middle, or not.
            let write = stream.write_all(bytes.as_bytes());
            let _ = tokio::time::timeout(TIME, write).await;
            Some(stream)
        };
        let open = join_all((0..48).map(|_| one())).await;
        victim
            .stands(&format!("unfinished {name} over HTTP/1.1"))
            .await;
        drop(open);
    }
}
