//! The path of a connection over real sockets: what passes, who is refused with what, and what becomes of a session
//! when its world changes.

use futures_util::{SinkExt as _, StreamExt as _};
use tidegate_kit::tasks::Tasks;
use tidegate_proto::discovery::v1::{self, resource::Body};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest as _};

use crate::{
    snapshot::fixture::limits,
    testing::{
        Node, backend, bare_upgrade, echo_backend, header, masked, open_on, read_answer,
        read_close, read_head, soon, switching, until,
    },
};

mod deny;
mod limits;
mod quotas;

#[tokio::test]
async fn messages_pass_both_ways_and_one_line_tells_of_the_session() {
    let node = Node::before(echo_backend().await).await;
    let mut request = format!("ws://{}/echo/1.0/room", node.addresses.ws.unwrap())
        .into_client_request()
        .unwrap();
    let bearer = format!("Bearer {}", node.token());
    let headers = request.headers_mut();
    headers.insert("authorization", bearer.parse().unwrap());
    headers.insert("user-agent", "test/1".parse().unwrap());
    let (mut client, response) = tokio_tungstenite::client_async(request, node.connect().await)
        .await
        .unwrap();
    for message in [
        Message::text("hello"),
        Message::binary(vec![7; 100_000]),
        Message::text(""),
    ] {
        client.send(message.clone()).await.unwrap();
        assert_eq!(soon(client.next()).await.unwrap().unwrap(), message);
    }
    let metrics = node.operators("GET /metrics").await;
    let counted =
        "tidegate_messages_total{api=\"api-1\",version=\"1.0\",direction=\"to_client\"} 3";
    assert!(metrics.body.contains(counted), "{}", metrics.body);
    client.close(None).await.unwrap();
    while let Some(Ok(_)) = soon(client.next()).await {}

    let line = node.log.one().await;
    let session = response.headers()["tidegate-session"].to_str().unwrap();
    for (field, value) in [
        ("session", session),
        ("path", "/echo/1.0/room"),
        ("api", "api-1"),
        ("version", "1.0"),
        ("topic", "/*"),
        ("application", "application-1"),
        ("plan", "Gold"),
        ("reason", "client_closed"),
        ("side", "client"),
        ("user_agent", "test/1"),
    ] {
        assert_eq!(line[field], value, "{field} of {line}");
    }
    assert_eq!(line["status"], 101);
    assert_eq!(
        (&line["messages_in"], &line["messages_out"]),
        (&3.into(), &3.into())
    );
    assert!(line["bytes_in"].as_u64() > Some(100_000));
    assert!(node.gateway.registry.is_empty());
    let metrics = node.operators("GET /metrics").await.body;
    let one = |line: &str| assert!(metrics.contains(line), "{line} in {metrics}");
    one(counted);
    one("tidegate_sessions_open{api=\"api-1\",version=\"1.0\"} 0");
    one(
        "tidegate_sessions_ended_total{api=\"api-1\",version=\"1.0\",reason=\"client_closed\",side=\"client\"} 1",
    );
}

#[tokio::test]
async fn a_traced_session_leaves_one_span_with_what_became_of_it() {
    let endpoint = format!("ws://{}", echo_backend().await);
    let sets = ["telemetry.otlp_endpoint=http://collector"];
    let node = Node::start(&endpoint, &sets).await;
    let (client, head) = node.open().await;
    drop(client);
    node.log.one().await;
    until("the session's span", || {
        let log = node.log.text();
        let spans = log
            .lines()
            .filter(|line| line.contains("\"target\":\"session\""));
        let spans: Vec<_> = spans.collect();
        let session = header(&head, "tidegate-session").unwrap();
        let told = ["client_lost", "application-1", session];
        spans.len() == 1 && told.iter().all(|word| spans[0].contains(word))
    })
    .await;
}

#[tokio::test]
async fn the_backend_sees_the_request_without_its_credential_and_the_client_the_whole_answer() {
    let (seen, mut heads) = mpsc::channel(1);
    let address = backend(move |mut io| {
        let seen = seen.clone();
        async move {
            let head = read_head(&mut io).await;
            let more = "Sec-WebSocket-Protocol: ocpp1.6\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\
                        Sec-WebSocket-Extensions: permessage-deflate\r\nKeep-Alive: x\r\n";
            let answer = switching(&head, more);
            io.write_all(answer.as_bytes()).await.unwrap();
            seen.send(head).await.unwrap();
            read_head(&mut io).await;
        }
    })
    .await;
    let node = Node::start(&format!("ws://{address}/base?fixed=1"), &[]).await;
    let mut client = node.connect().await;
    let request = bare_upgrade(&format!(
        "/echo/1.0/a/b?x=1&access_token={}&y=%20",
        node.token()
    ));
    let request = format!(
        "{request}Origin: https://example.org\r\nCookie: c=1\r\nSec-WebSocket-Protocol: mqtt, ocpp1.6\r\n\
         Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
         X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Hop: 1\r\n\r\n"
    )
    .replace("Connection: Upgrade", "Connection: Upgrade, X-Hop");
    let answer = open_on(&mut client, &request).await;
    let head = soon(heads.recv()).await.unwrap();

    assert!(
        head.starts_with("GET /base/a/b?fixed=1&x=1&y=%20 HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(
        !head.contains(&node.token()[..40]) && !head.contains("authorization"),
        "{head}"
    );
    let authority = address.to_string();
    for (name, value) in [
        ("host", Some(authority.as_str())),
        ("origin", Some("https://example.org")),
        ("cookie", Some("c=1")),
        ("sec-websocket-protocol", Some("mqtt, ocpp1.6")),
        (
            "sec-websocket-extensions",
            Some("permessage-deflate; client_max_window_bits"),
        ),
        ("sec-websocket-version", Some("13")),
        ("x-forwarded-for", Some("192.0.2.1, 127.0.0.1")),
        ("x-forwarded-proto", Some("http")),
        ("x-forwarded-host", Some("gateway")),
        ("tidegate-session", header(&answer, "tidegate-session")),
        ("x-hop", None),
    ] {
        assert_eq!(header(&head, name), value, "{name}");
    }
    assert_ne!(
        header(&head, "sec-websocket-key"),
        Some(crate::testing::KEY)
    );

    assert_eq!(header(&answer, "connection"), Some("Upgrade"));
    assert_eq!(
        header(&answer, "sec-websocket-accept"),
        Some(crate::testing::ACCEPT)
    );
    assert_eq!(header(&answer, "sec-websocket-protocol"), Some("ocpp1.6"));
    assert_eq!(
        header(&answer, "sec-websocket-extensions"),
        Some("permessage-deflate")
    );
    assert_eq!(answer.matches("set-cookie").count(), 2);
    assert_eq!(header(&answer, "keep-alive"), None);

    // RSV1 is legal now that compression was negotiated.
    client.write_all(&masked(0xc1, b"x")).await.unwrap();
    drop(client);
    let line = node.log.one().await;
    assert_eq!(line["messages_in"], 1, "{line}");
    let path = line["path"].as_str().unwrap();
    assert_eq!(path, "/echo/1.0/a/b?x=1&access_token=[redacted]&y=%20");
    assert!(!node.log.text().contains(&node.token()[..40]));
}

/// What became of a handshake whose subprotocols carry something.
struct Offered {
    /// The head of the gateway's answer, and the body of a refusal.
    answer: String,
    /// What the backend was offered.
    forwarded: Option<String>,
    /// Whether the log, the backend or the answer has the token.
    told: bool,
}

/// Offers these subprotocols, `TOKEN` among them for a good token, before a backend that chooses `chosen`.
async fn offer(offered: &str, chosen: Option<&'static str>) -> Offered {
    let (seen, mut heads) = mpsc::channel(1);
    let address = backend(move |mut io| {
        let seen = seen.clone();
        async move {
            let head = read_head(&mut io).await;
            let choice = |name| format!("Sec-WebSocket-Protocol: {name}\r\n");
            let answer = switching(&head, &chosen.map_or_else(String::new, choice));
            seen.send(head).await.unwrap();
            io.write_all(answer.as_bytes()).await.unwrap();
            read_head(&mut io).await;
        }
    })
    .await;
    let node = Node::before(address).await;
    let token = node.token();
    let request = format!(
        "{}Sec-WebSocket-Protocol: {}\r\n\r\n",
        bare_upgrade("/echo/1.0"),
        offered.replace("TOKEN", &token)
    );
    let mut client = node.connect().await;
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = read_head(&mut client).await;
    if !answer.starts_with("HTTP/1.1 101 ") {
        soon(client.read_to_string(&mut answer)).await.unwrap();
    }
    drop(client);
    node.log.one().await;
    let head = heads.try_recv().unwrap_or_default();
    let secret = &token[token.len() - 40..];
    let told = [&head, &answer, &node.log.text()]
        .iter()
        .any(|text| text.contains(secret));
    Offered {
        forwarded: header(&head, "sec-websocket-protocol").map(str::to_owned),
        answer,
        told,
    }
}

#[tokio::test]
async fn a_browser_carries_its_token_among_the_subprotocols_and_nobody_else_sees_it() {
    for (offered, chosen, forwarded, answered) in [
        ("tidegate.token, TOKEN", None, None, "tidegate.token"),
        (
            "mqtt, tidegate.token, TOKEN, stomp",
            Some("stomp"),
            Some("mqtt, stomp"),
            "stomp",
        ),
        (
            "tidegate.token, TOKEN, mqtt",
            None,
            Some("mqtt"),
            "tidegate.token",
        ),
    ] {
        let became = offer(offered, chosen).await;
        let answer = &became.answer;
        assert!(answer.starts_with("HTTP/1.1 101 "), "{offered}: {answer}");
        let named = header(answer, "sec-websocket-protocol");
        assert_eq!(named, Some(answered), "{offered}");
        assert_eq!(became.forwarded.as_deref(), forwarded, "{offered}");
        assert!(!became.told, "{offered}");
    }
}

#[tokio::test]
async fn a_token_among_the_subprotocols_is_judged_as_strictly_as_any_other() {
    for (offered, reason) in [
        ("tidegate.token", "credential_missing"),
        ("tidegate.token, x.y.z", "credential_invalid"),
        ("tidegate.token, (TOKEN)", "credential_invalid"),
        (
            "tidegate.token, TOKEN, tidegate.token, TOKEN",
            "credential_invalid",
        ),
        ("Tidegate.Token, mqtt", "credential_missing"),
    ] {
        let became = offer(offered, None).await;
        let answer = &became.answer;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{offered}: {answer}");
        let reason = format!("\"reason\":\"{reason}\"");
        assert!(answer.contains(&reason), "{offered}: {answer}");
        assert!(became.forwarded.is_none() && !became.told, "{offered}");
    }
}

#[tokio::test]
async fn a_backend_may_choose_neither_the_marker_nor_the_token() {
    let became = offer("tidegate.token, TOKEN, mqtt", Some("tidegate.token")).await;
    let answer = became.answer;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert!(
        answer.contains("\"reason\":\"backend_handshake\""),
        "{answer}"
    );
}

#[tokio::test]
async fn bytes_that_come_with_the_handshake_are_relayed_first() {
    let address = backend(|mut io| async move {
        let head = read_head(&mut io).await;
        let mut answer = switching(&head, "").into_bytes();
        answer.extend_from_slice(b"\x81\x05first");
        io.write_all(&answer).await.unwrap();
        let mut frame = [0; 11];
        io.read_exact(&mut frame).await.unwrap();
        assert_eq!(&frame[6..], b"early");
        io.write_all(b"\x81\x06second").await.unwrap();
        read_head(&mut io).await;
    })
    .await;
    let node = Node::before(address).await;
    let mut client = node.connect().await;
    let mut request = node.upgrade("/echo/1.0", "").into_bytes();
    request.extend(masked(0x81, b"early"));
    client.write_all(&request).await.unwrap();
    read_head(&mut client).await;
    let mut frames = [0; 15];
    soon(client.read_exact(&mut frames)).await.unwrap();
    assert_eq!(&frames, b"\x81\x05first\x81\x06second");
}

#[tokio::test]
async fn whoever_may_not_in_is_refused_with_status_reason_and_code() {
    let mut node = Node::before(echo_backend().await).await;
    let now = node.gateway.clock.now_seconds();
    let authorized = |token: String| {
        format!(
            "{}Authorization: Bearer {token}\r\n\r\n",
            bare_upgrade("/echo/1.0")
        )
    };
    for (request, status, reason, code) in [
        (node.upgrade("/nowhere/1.0", ""), 404, "api_not_found", 404),
        (
            format!("{}\r\n", bare_upgrade("/echo/1.0")),
            401,
            "credential_missing",
            900_902,
        ),
        (
            authorized("rubbish".to_owned()),
            401,
            "credential_invalid",
            900_901,
        ),
        (
            authorized(node.token_until(now - 60)),
            401,
            "credential_expired",
            900_901,
        ),
    ] {
        let answer = node.send(request.as_bytes()).await;
        assert_eq!(answer.status, status, "{reason}");
        let problem = answer.problem();
        assert_eq!(problem["reason"], reason);
        assert_eq!(problem["code"], code);
        assert_eq!(problem["status"], status);
        assert_eq!(problem["session"], answer.header("tidegate-session"));
        assert_eq!(answer.header("connection"), "close");
        assert_eq!(
            answer.header("www-authenticate").starts_with("Bearer"),
            status == 401
        );
    }

    let mut refused = async |change: fn(&mut Body) -> bool, status: u16, reason: &str| {
        node.reconfigure(change);
        let answer = node.refusal().await;
        assert_eq!(
            (answer.status, answer.problem()["reason"].as_str()),
            (status, Some(reason))
        );
    };
    refused(block_subscription, 403, "subscription_blocked").await;
    refused(
        |body| !matches!(body, Body::Subscription(_)),
        403,
        "subscription_missing",
    )
    .await;
    refused(
        |body| !matches!(body, Body::ApplicationKey(_)),
        401,
        "application_unknown",
    )
    .await;
    refused(block_api, 503, "api_blocked").await;
    until("a line for each refusal", || node.log.access().len() >= 8).await;
    let log = node.log.access();
    assert_eq!(log.len(), 8);
    assert!(
        log.iter().all(|line| line["message"] == "refused"),
        "{log:#?}"
    );
    until("every place is free", || node.gateway.registry.is_empty()).await;
}

fn block_subscription(body: &mut Body) -> bool {
    if let Body::Subscription(subscription) = body {
        subscription.state = v1::SubscriptionState::Blocked.into();
    }
    true
}

fn block_api(body: &mut Body) -> bool {
    if let Body::Api(api) = body {
        api.state = v1::ApiState::Blocked.into();
    }
    true
}

#[tokio::test]
async fn a_change_ends_the_sessions_that_it_touches_with_its_reason() {
    type Change = fn(&mut Body) -> bool;
    let changes: [(Change, u16); 5] = [
        (block_subscription, 4002),
        (|body| !matches!(body, Body::Subscription(_)), 4002),
        (|body| !matches!(body, Body::ApplicationKey(_)), 4001),
        (block_api, 4002),
        (|body| !matches!(body, Body::Api(_)), 1001),
    ];
    for (change, code) in changes {
        let mut node = Node::before(echo_backend().await).await;
        let (mut client, _) = node.open().await;
        node.reconfigure(change);
        assert_eq!(read_close(&mut client).await.0, code);
    }
}

#[tokio::test]
async fn a_policy_that_is_named_and_not_held_refuses_handshakes_and_open_sessions_stay() {
    let mut node = Node::before(echo_backend().await).await;
    let (mut client, _) = node.open().await;
    node.reconfigure(|body| {
        if let Body::Api(api) = body {
            api.policy = "gone".to_owned();
        }
        true
    });
    let answer = node.refusal().await;
    assert_eq!(answer.status, 500);
    assert_eq!(answer.problem()["reason"], "gateway_fault");
    let line = node.log.one().await;
    let cause = line["cause"].as_str().unwrap();
    assert!(cause.contains("the API policy `gone` of"), "{cause}");
    client.write_all(&masked(0x81, b"here")).await.unwrap();
    let mut echo = [0; 6];
    soon(client.read_exact(&mut echo)).await.unwrap();
    assert_eq!(&echo[2..], b"here");
}

#[tokio::test]
async fn changes_that_touch_no_session_are_noticed_by_none() {
    let mut node = Node::before(echo_backend().await).await;
    let (mut client, _) = node.open().await;
    for round in 0..50 {
        node.reconfigure(|body| {
            match body {
                Body::Plan(plan) => plan.limits = Some(limits(1000 + round)),
                Body::Application(application) => application.name = format!("name {round}"),
                Body::Api(api) => api.sandbox_endpoint = format!("ws://sandbox-{round}"),
                _ => {}
            }
            true
        });
        client
            .write_all(&masked(0x81, b"still here"))
            .await
            .unwrap();
        let mut echo = [0; 12];
        soon(client.read_exact(&mut echo)).await.unwrap();
        assert_eq!(&echo[2..], b"still here");
    }
}

#[tokio::test]
async fn a_session_ends_when_its_token_does() {
    let node = Node::before(echo_backend().await).await;
    let (mut client, _) = node.open().await;
    let now = node.gateway.clock.now_seconds();
    node.gateway.registry.expire(now + 3000);
    node.gateway.registry.expire(now + 3601);
    let (code, reason) = read_close(&mut client).await;
    assert_eq!(
        (code, reason.as_str()),
        (4001, "the access token has expired")
    );
    drop(client);
    assert_eq!(node.log.one().await["reason"], "credential_expired");
}

#[tokio::test]
async fn an_illegal_frame_ends_the_session_by_a_fault_of_its_sender() {
    let node = Node::before(echo_backend().await).await;
    let (mut client, _) = node.open().await;
    // An unmasked frame (RFC 6455, 5.1).
    client.write_all(b"\x81\x01x").await.unwrap();
    assert_eq!(read_close(&mut client).await.0, 1002);
    drop(client);
    let line = node.log.one().await;
    assert_eq!(
        (line["reason"].as_str(), line["side"].as_str()),
        (Some("client_protocol_error"), Some("client"))
    );
}

#[tokio::test]
async fn a_backend_that_dies_in_the_middle_of_a_message_is_told_to_the_client() {
    let address = backend(|mut io| async move {
        let head = read_head(&mut io).await;
        let mut answer = switching(&head, "").into_bytes();
        answer.extend_from_slice(b"\x81\x7e\x03\xe8only the beginning");
        io.write_all(&answer).await.unwrap();
    })
    .await;
    let node = Node::before(address).await;
    let (mut client, _) = node.open().await;
    let mut rest = Vec::new();
    // What came is delivered; a close frame cannot follow inside a frame.
    soon(client.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.ends_with(b"only the beginning"), "{rest:?}");
    drop(client);
    let line = node.log.one().await;
    assert_eq!(line["reason"], "backend_lost", "{line}");
}

#[tokio::test]
async fn a_client_that_leaves_while_the_backend_thinks_takes_the_dial_with_it() {
    let (gone, mut was_gone) = mpsc::channel(1);
    let address = backend(move |mut io| {
        let gone = gone.clone();
        async move {
            read_head(&mut io).await;
            gone.send("asked").await.unwrap();
            assert_eq!(io.read(&mut [0; 16]).await.unwrap_or(0), 0);
            gone.send("left").await.unwrap();
        }
    })
    .await;
    let node = Node::before(address).await;
    let mut client = node.connect().await;
    client
        .write_all(node.upgrade("/echo/1.0", "").as_bytes())
        .await
        .unwrap();
    assert_eq!(soon(was_gone.recv()).await, Some("asked"));
    assert_eq!(node.gateway.registry.len(), 1);
    drop(client);
    assert_eq!(soon(was_gone.recv()).await, Some("left"));
    let line = node.log.one().await;
    assert_eq!(line["reason"], "client_lost", "{line}");
    assert_eq!(line["status"], serde_json::Value::Null);
    assert!(node.gateway.registry.is_empty());
}

#[tokio::test]
async fn a_change_does_not_wait_for_a_backend_that_hangs() {
    let (asked, mut was_asked) = mpsc::channel(1);
    let address = backend(move |mut io| {
        let asked = asked.clone();
        async move {
            read_head(&mut io).await;
            asked.send(()).await.unwrap();
            drop(io.read(&mut [0]).await);
        }
    })
    .await;
    let mut node = Node::before(address).await;
    let mut client = node.connect().await;
    client
        .write_all(node.upgrade("/echo/1.0", "").as_bytes())
        .await
        .unwrap();
    soon(was_asked.recv()).await.unwrap();
    node.reconfigure(block_subscription);
    let answer = read_answer(&mut client).await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.problem()["reason"], "subscription_blocked");
}

#[tokio::test]
async fn the_connection_after_the_last_is_told_so() {
    let backend = echo_backend().await;
    let node = Node::start(&format!("ws://{backend}"), &["limits.connections=1"]).await;
    let (client, _) = node.open().await;
    let answer = node.refusal().await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "2"));
    assert_eq!(answer.problem()["reason"], "connection_limit");
    drop(client);
    until("the place is free", || node.gateway.registry.is_empty()).await;
    soon(async {
        // The slot is given back a moment after the registry entry.
        let mut io = node.connect().await;
        while {
            io.write_all(node.upgrade("/echo/1.0", "").as_bytes())
                .await
                .unwrap();
            !read_head(&mut io).await.starts_with("HTTP/1.1 101")
        } {
            io = node.connect().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_node_without_a_configuration_says_that_it_is_not_ready() {
    let node = Node::before(echo_backend().await).await;
    assert_eq!(node.operators("GET /readyz").await.status, 200);
    let empty = Node::without_snapshot().await;
    let answer = empty.refusal().await;
    assert_eq!(
        (answer.status, answer.problem()["reason"].as_str()),
        (503, Some("not_ready"))
    );
    let readyz = empty.operators("GET /readyz").await;
    assert_eq!(readyz.status, 503);
    assert!(readyz.body.contains("snapshot"), "{}", readyz.body);
    assert_eq!(empty.operators("GET /healthz").await.status, 200);
}

#[tokio::test]
async fn a_refused_client_that_is_still_sending_reads_its_refusal() {
    let node = Node::before(echo_backend().await).await;
    let mut client = node.connect().await;
    let mut request = node.upgrade("/nowhere", "").into_bytes();
    request.extend(std::iter::repeat_n(0, 100_000));
    client.write_all(&request).await.unwrap();
    assert_eq!(read_answer(&mut client).await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_sessions_on_many_threads_lose_nothing_while_the_configuration_moves() {
    const SESSIONS: usize = 100;
    const MESSAGES: usize = 20;
    let mut node = Node::before(echo_backend().await).await;
    let tasks = Tasks::current();
    let mut clients = Vec::new();
    for _ in 0..SESSIONS {
        let (address, upgrade) = (node.addresses.ws.unwrap(), node.upgrade("/echo/1.0", ""));
        clients.push(tasks.spawn_bare(async move {
            let mut client = TcpStream::connect(address).await.unwrap();
            open_on(&mut client, &upgrade).await;
            for _ in 0..MESSAGES {
                client.write_all(&masked(0x82, b"ping")).await.unwrap();
                let mut echo = [0; 6];
                soon(client.read_exact(&mut echo)).await.unwrap();
                assert_eq!(&echo, b"\x82\x04ping");
            }
        }));
    }
    for round in 0..100 {
        node.reconfigure(|body| {
            if let Body::Plan(plan) = body {
                // Just as many as there will be: each round brings other limits to every session.
                plan.limits = Some(limits(2 * (SESSIONS * MESSAGES) as u64 + round));
            }
            true
        });
        node.gateway.registry.count();
        tokio::task::yield_now().await;
    }
    for client in clients {
        client.await.unwrap();
    }
    until("all are gone", || node.gateway.registry.is_empty()).await;
    let total = SESSIONS * MESSAGES;
    for direction in ["to_backend", "to_client"] {
        node.until_metric(&format!(
            "tidegate_messages_total{{api=\"api-1\",version=\"1.0\",direction=\"{direction}\"}} {total}"
        ))
        .await;
    }
    node.until_metric("tidegate_sessions_open{api=\"api-1\",version=\"1.0\"} 0")
        .await;
}
