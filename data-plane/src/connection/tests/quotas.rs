//! Messages under limits, end to end: each action, each level, each unit, and limits that change while a session is open.

use tidegate_proto::discovery::v1::{self, resource::Body};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    snapshot::fixture::{api_policy, application_policy, limits},
    testing::{
        Node, backend, bare_upgrade, echo_backend, header, masked, open_on, read_close, read_head,
        soon, switching, until,
    },
};

/// A limit of the client's messages, so that an echo costs one.
fn of_client(messages: u64, on_limit: v1::OnLimit) -> v1::Limits {
    v1::Limits {
        counts: v1::Counts::Client.into(),
        on_limit: on_limit.into(),
        close_code: if on_limit == v1::OnLimit::Close {
            4003
        } else {
            0
        },
        ..limits(messages)
    }
}

fn set_plan(node: &mut Node, limits: &v1::Limits) {
    node.reconfigure(|body| {
        if let Body::Plan(plan) = body {
            plan.limits = Some(*limits);
        }
        true
    });
}

async fn limited(limits: &v1::Limits) -> Node {
    let mut node = Node::before(echo_backend().await).await;
    set_plan(&mut node, limits);
    node
}

async fn say(client: &mut TcpStream, text: &str) {
    client
        .write_all(&masked(0x81, text.as_bytes()))
        .await
        .unwrap();
}

/// The next text message that the client gets.
async fn hear(client: &mut TcpStream) -> String {
    let mut head = [0; 2];
    soon(client.read_exact(&mut head)).await.unwrap();
    assert_eq!(head[0], 0x81, "a text message");
    let mut text = vec![0; usize::from(head[1])];
    soon(client.read_exact(&mut text)).await.unwrap();
    String::from_utf8(text).unwrap()
}

async fn echoed(client: &mut TcpStream, text: &str) {
    say(client, text).await;
    assert_eq!(hear(client).await, text);
}

/// A ping that comes back shows that everything before it has been dealt with.
async fn pinged(client: &mut TcpStream) {
    client.write_all(&masked(0x89, b"?")).await.unwrap();
    let mut pong = [0; 3];
    soon(client.read_exact(&mut pong)).await.unwrap();
    assert_eq!(&pong, b"\x8a\x01?", "a pong and nothing before it");
}

#[tokio::test]
async fn with_four_messages_a_window_the_fifth_is_refused_every_time() {
    for _ in 0..20 {
        let node = limited(&of_client(4, v1::OnLimit::Close)).await;
        let (mut client, _) = node.open().await;
        for text in ["1", "2", "3", "4"] {
            echoed(&mut client, text).await;
        }
        say(&mut client, "5").await;
        let (code, reason) = read_close(&mut client).await;
        assert_eq!(code, 4003);
        let told = "the limit of the subscription's plan is reached; retry in ";
        assert!(reason.starts_with(told), "{reason}");
    }
}

#[tokio::test]
async fn a_message_that_is_too_many_is_dropped_and_told_of_at_most_once_a_second() {
    let node = limited(&of_client(1, v1::OnLimit::Notify)).await;
    let (mut client, _) = node.open().await;
    echoed(&mut client, "1").await;
    for text in ["2", "3", "4"] {
        say(&mut client, text).await;
    }
    let notice = hear(&mut client).await;
    let told =
        "Error code: 4003 reason: the limit of the subscription's plan is reached; retry in ";
    assert!(
        notice.starts_with(told) && notice.ends_with(" s"),
        "{notice}"
    );
    pinged(&mut client).await;
    drop(client);
    let line = node.log.one().await;
    assert_eq!(
        (&line["messages_in"], &line["dropped_in"]),
        (&1.into(), &3.into())
    );
    let refused = "tidegate_messages_limited_total{api=\"api-1\",version=\"1.0\",level=\"subscription\",policy=\"Gold\",action=\"notify\"} 3";
    node.until_metric(refused).await;
}

#[tokio::test]
async fn a_notice_is_sent_in_no_subprotocol_but_those_that_the_api_lists() {
    for (chosen, listed) in [("ocpp1.6", false), ("chat", true)] {
        let address = backend(move |mut io| async move {
            let head = read_head(&mut io).await;
            let more = format!("Sec-WebSocket-Protocol: {chosen}\r\n");
            io.write_all(switching(&head, &more).as_bytes())
                .await
                .unwrap();
            // Echoes what comes, a ping as a pong.
            let mut frame = [0; 7];
            while io.read_exact(&mut frame).await.is_ok() {
                let opcode = if frame[0] == 0x89 { 0x8a } else { frame[0] };
                io.write_all(&[opcode, 1, frame[6] ^ frame[2]])
                    .await
                    .unwrap();
            }
        })
        .await;
        let mut node = Node::before(address).await;
        node.reconfigure(|body| {
            if let Body::Api(api) = body {
                api.notice_subprotocols = vec!["chat".to_owned()];
            }
            true
        });
        set_plan(&mut node, &of_client(1, v1::OnLimit::Notify));
        let mut client = node.connect().await;
        let more = format!("Sec-WebSocket-Protocol: {chosen}\r\n");
        open_on(&mut client, &node.upgrade("/echo/1.0", &more)).await;
        echoed(&mut client, "1").await;
        say(&mut client, "2").await;
        if listed {
            assert!(hear(&mut client).await.starts_with("Error code: 4003"));
        }
        pinged(&mut client).await;
    }
}

#[tokio::test]
async fn a_session_whose_token_came_among_the_subprotocols_has_none_and_gets_notices() {
    let node = limited(&of_client(1, v1::OnLimit::Notify)).await;
    let mut client = node.connect().await;
    let request = format!(
        "{}Sec-WebSocket-Protocol: tidegate.token, {}\r\n\r\n",
        bare_upgrade("/echo/1.0"),
        node.token()
    );
    open_on(&mut client, &request).await;
    echoed(&mut client, "1").await;
    say(&mut client, "2").await;
    assert!(hear(&mut client).await.starts_with("Error code: 4003"));
}

#[tokio::test]
async fn what_the_limit_drops_is_lost_and_control_frames_never_count() {
    let node = limited(&of_client(2, v1::OnLimit::Drop)).await;
    let (mut client, _) = node.open().await;
    for _ in 0..5 {
        pinged(&mut client).await;
    }
    echoed(&mut client, "1").await;
    // A message in three fragments with a ping in between counts once.
    for (first, text) in [(0x01, "a"), (0x00, "b"), (0x89, "?"), (0x80, "c")] {
        client
            .write_all(&masked(first, text.as_bytes()))
            .await
            .unwrap();
    }
    let mut pong = [0; 3];
    soon(client.read_exact(&mut pong)).await.unwrap();
    assert_eq!(&pong, b"\x8a\x01?");
    assert_eq!(hear(&mut client).await, "abc");
    say(&mut client, "3").await;
    pinged(&mut client).await;
}

#[tokio::test]
async fn a_delayed_message_waits_and_goes_on_at_once_when_the_limit_is_raised() {
    let mut node = limited(&of_client(1, v1::OnLimit::Delay)).await;
    let (mut client, _) = node.open().await;
    echoed(&mut client, "1").await;
    for text in ["2", "3", "4"] {
        say(&mut client, text).await;
    }
    let delayed = "tidegate_messages_limited_total{api=\"api-1\",version=\"1.0\",level=\"subscription\",policy=\"Gold\",action=\"delay\"} 1";
    node.until_metric(delayed).await;
    set_plan(&mut node, &of_client(4, v1::OnLimit::Delay));
    for text in ["2", "3", "4"] {
        assert_eq!(hear(&mut client).await, text);
    }
}

#[tokio::test]
async fn a_client_that_leaves_while_its_message_waits_gives_its_place_up() {
    let endpoint = format!("ws://{}", echo_backend().await);
    let mut node = Node::start(&endpoint, &["relay.ping_seconds=2"]).await;
    let one = v1::Limits {
        sessions: 1,
        ..of_client(1, v1::OnLimit::Delay)
    };
    set_plan(&mut node, &one);
    let (mut client, _) = node.open().await;
    echoed(&mut client, "1").await;
    say(&mut client, "2").await;
    let delayed = "tidegate_messages_limited_total{api=\"api-1\",version=\"1.0\",level=\"subscription\",policy=\"Gold\",action=\"delay\"} 1";
    node.until_metric(delayed).await;
    assert_eq!(node.refusal_or_none().await, Some(429));
    client.set_zero_linger().unwrap();
    drop(client);
    until("its place is free", || node.gateway.registry.is_empty()).await;
    let lines = node.log.access();
    assert!(lines.iter().any(|line| line["reason"] == "client_lost"));
    node.open().await;
}

#[tokio::test]
async fn a_message_larger_than_a_byte_limit_does_not_wait_for_ever() {
    let node = limited(&v1::Limits {
        bytes: 10,
        bytes_window_seconds: 60,
        ..of_client(0, v1::OnLimit::Delay)
    })
    .await;
    let (mut client, _) = node.open().await;
    echoed(&mut client, "short").await;
    say(&mut client, "much too long").await;
    assert_eq!(read_close(&mut client).await.0, 1009);
}

#[tokio::test]
async fn every_level_refuses_with_its_own_reason_and_code() {
    type Change = fn(&mut Body);
    let levels: [(Change, &str); 4] = [
        (
            |body| {
                if let Body::Api(api) = body {
                    api.policy = "policy".to_owned();
                }
            },
            "the limit of this API is reached",
        ),
        (
            |body| {
                if let Body::Api(api) = body {
                    api.topics[0].policy = "policy".to_owned();
                }
            },
            "the limit of this topic is reached",
        ),
        (
            |body| {
                if let Body::Plan(plan) = body {
                    plan.limits = Some(violation());
                }
            },
            "the limit of the subscription's plan is reached",
        ),
        (
            |body| {
                if let Body::Application(application) = body {
                    application.policy = "policy".to_owned();
                }
            },
            "the limit of the application is reached",
        ),
    ];
    fn violation() -> v1::Limits {
        v1::Limits {
            close_code: 1008,
            ..of_client(1, v1::OnLimit::Close)
        }
    }
    for (change, told) in levels {
        let mut node = Node::before(echo_backend().await).await;
        node.add(Body::ApiPolicy(api_policy(
            "policy",
            v1::Per::User,
            violation(),
        )));
        node.add(Body::ApplicationPolicy(application_policy(
            "policy",
            violation(),
        )));
        node.reconfigure(|body| {
            change(body);
            true
        });
        let (mut client, _) = node.open().await;
        echoed(&mut client, "1").await;
        say(&mut client, "2").await;
        let (code, reason) = read_close(&mut client).await;
        assert_eq!(code, 1008, "{told}");
        assert!(reason.starts_with(told), "{reason}");
    }
}

#[tokio::test]
async fn a_policy_that_comes_and_goes_holds_for_the_next_message_of_an_open_session() {
    let mut node = Node::before(echo_backend().await).await;
    node.add(Body::ApiPolicy(api_policy(
        "policy",
        v1::Per::Address,
        of_client(1, v1::OnLimit::Notify),
    )));
    let (mut client, head) = node.open().await;
    assert_eq!(header(&head, "x-ratelimit-limit"), None);
    for text in ["1", "2", "3"] {
        echoed(&mut client, text).await;
    }
    let named = |name: &'static str| {
        move |body: &mut Body| {
            if let Body::Api(api) = body {
                api.policy = name.to_owned();
            }
            true
        }
    };
    node.reconfigure(named("policy"));
    node.limits_settled().await;
    echoed(&mut client, "4").await;
    say(&mut client, "5").await;
    assert!(hear(&mut client).await.starts_with("Error code: 4003"));
    node.reconfigure(named(""));
    node.limits_settled().await;
    for text in ["6", "7"] {
        echoed(&mut client, text).await;
    }
    // A policy that is named and not held is not "no limit", and not a reason to end anybody either.
    node.reconfigure(named("gone"));
    node.limits_settled().await;
    echoed(&mut client, "8").await;
    let answer = node.refusal().await;
    assert_eq!(
        (answer.status, answer.problem()["reason"].as_str()),
        (500, Some("gateway_fault"))
    );
    assert!(node.log.text().contains("the API policy `gone` of"));
}

#[tokio::test]
async fn only_the_direction_that_counts_is_limited() {
    let counted = v1::Limits {
        counts: v1::Counts::Backend.into(),
        ..of_client(1, v1::OnLimit::Close)
    };
    let node = limited(&counted).await;
    let (mut client, _) = node.open().await;
    echoed(&mut client, "1").await;
    // The echo is the one too many.
    say(&mut client, "2").await;
    assert_eq!(read_close(&mut client).await.0, 4003);
    drop(client);
    assert_eq!(node.log.one().await["messages_in"], 2);
}

#[tokio::test]
async fn delayed_messages_come_in_their_order_when_the_window_turns() {
    let node = limited(&v1::Limits {
        burst_messages: 1,
        burst_seconds: 1,
        ..of_client(0, v1::OnLimit::Delay)
    })
    .await;
    let (mut client, _) = node.open().await;
    for text in ["1", "2", "3"] {
        say(&mut client, text).await;
    }
    for text in ["1", "2", "3"] {
        assert_eq!(hear(&mut client).await, text);
    }
}

#[tokio::test]
async fn sessions_of_one_subscription_share_its_limit() {
    let node = limited(&of_client(3, v1::OnLimit::Close)).await;
    let (mut first, _) = node.open().await;
    let (mut second, _) = node.open().await;
    echoed(&mut first, "1").await;
    echoed(&mut second, "2").await;
    echoed(&mut first, "3").await;
    say(&mut second, "4").await;
    assert_eq!(read_close(&mut second).await.0, 4003);
    say(&mut first, "5").await;
    assert_eq!(read_close(&mut first).await.0, 4003);
}

#[tokio::test]
async fn a_reset_counter_begins_anew_for_open_sessions() {
    let mut node = limited(&of_client(1, v1::OnLimit::Drop)).await;
    let (mut client, _) = node.open().await;
    echoed(&mut client, "1").await;
    say(&mut client, "2").await;
    pinged(&mut client).await;
    node.reconfigure(|body| {
        if let Body::Subscription(subscription) = body {
            subscription.quota_generation += 1;
        }
        true
    });
    node.limits_settled().await;
    echoed(&mut client, "3").await;
}
