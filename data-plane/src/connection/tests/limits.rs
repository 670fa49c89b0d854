//! Handshakes under limits: who gets 429 and when to come back, and what a 101 says about what is left.

use tidegate_proto::discovery::v1::{self, resource::Body};
use tokio::io::AsyncWriteExt as _;

use crate::{
    snapshot::fixture::limits,
    testing::{Node, echo_backend, header, masked, read_close, read_head, until},
};

async fn limited(limits: v1::Limits) -> Node {
    let mut node = Node::before(echo_backend().await).await;
    node.reconfigure(|body| {
        if let Body::Plan(plan) = body {
            plan.limits = Some(limits);
        }
        true
    });
    node
}

#[tokio::test]
async fn the_session_after_the_last_gets_429_until_one_of_them_ends() {
    let node = limited(v1::Limits {
        sessions: 2,
        ..limits(0)
    })
    .await;
    let (first, _) = node.open().await;
    let (_second, _) = node.open().await;
    let answer = node.refusal().await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.problem()["reason"], "session_limit");
    assert_eq!(answer.header("retry-after"), "2");
    drop(first);
    until("a session is over", || node.gateway.registry.len() == 1).await;
    node.open().await;
}

#[tokio::test]
async fn open_sessions_move_with_a_limit_of_sessions_and_are_never_closed_by_it() {
    let mut node = Node::before(echo_backend().await).await;
    let (mut first, _) = node.open().await;
    let (_second, _) = node.open().await;
    let mut allow = async |sessions| {
        node.reconfigure(|body| {
            if let Body::Plan(plan) = body {
                plan.limits = Some(v1::Limits {
                    sessions,
                    ..limits(0)
                });
            }
            true
        });
        node.limits_settled().await;
        node.refusal_or_none().await
    };
    assert_eq!(allow(1).await, Some(429));
    assert_eq!(allow(2).await, Some(429));
    assert_eq!(allow(3).await, None);
    first.write_all(&masked(0x88, b"")).await.unwrap();
}

#[tokio::test]
async fn sessions_that_must_end_do_not_wait_for_a_ledger_that_others_need() {
    // It takes connections, and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ledger.url=redis://{}", silent.local_addr().unwrap());
    let patient = [
        "ledger.unavailable_after_seconds=60",
        "ledger.timeout_seconds=60",
    ];
    let sets = [url.as_str(), patient[0], patient[1]];
    let mut node = Node::start(&format!("ws://{}", echo_backend().await), &sets).await;
    let (mut first, _) = node.open().await;
    let (mut second, _) = node.open().await;
    node.reconfigure(|body| {
        if let Body::Plan(plan) = body {
            plan.limits = Some(v1::Limits {
                sessions: 10,
                ..limits(0)
            });
        }
        true
    });
    node.limits_settled().await;
    node.reconfigure(|body| !matches!(body, Body::Subscription(_)));
    for client in [&mut first, &mut second] {
        assert_eq!(read_close(client).await.0, 4002);
    }
}

#[tokio::test]
async fn sessions_that_are_only_counted_wait_for_no_ledger_and_are_not_refused_by_it() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ledger.url=redis://{}", silent.local_addr().unwrap());
    let patience = "ledger.unavailable_after_seconds=0.1";
    let sets = [url.as_str(), patience];
    let mut node = Node::start(&format!("ws://{}", echo_backend().await), &sets).await;
    node.reconfigure(|body| {
        if let Body::Plan(plan) = body {
            plan.limits = Some(v1::Limits {
                sessions: 1,
                connections_per_second: 1,
                count_only: true,
                without_ledger: v1::WithoutLedger::Deny.into(),
                ..limits(0)
            });
        }
        true
    });
    node.limits_settled().await;
    let (_first, _) = node.open().await;
    node.open().await;
}

#[tokio::test]
async fn too_many_new_sessions_in_a_second_get_429_with_the_time_to_wait() {
    let node = limited(v1::Limits {
        connections_per_second: 1,
        ..limits(0)
    })
    .await;
    let mut refused = 0;
    // The second may turn in between, but not between every two of them.
    for _ in 0..10 {
        let mut io = node.connect().await;
        let upgrade = node.upgrade("/echo/1.0", "");
        io.write_all(upgrade.as_bytes()).await.unwrap();
        let head = read_head(&mut io).await;
        if head.starts_with("HTTP/1.1 429 ") {
            refused += 1;
            assert_eq!(header(&head, "retry-after"), Some("1"));
        }
    }
    assert!(refused > 0);
    until("a line for a refusal", || {
        let mut lines = node.log.access().into_iter();
        lines.any(|line| line["reason"] == "connection_rate")
    })
    .await;
}

#[tokio::test]
async fn with_nothing_left_of_a_limit_that_closes_nobody_is_let_in() {
    let node = limited(v1::Limits {
        on_limit: v1::OnLimit::Close.into(),
        close_code: 4003,
        counts: v1::Counts::Client.into(),
        ..limits(1)
    })
    .await;
    let (mut client, head) = node.open().await;
    for (name, value) in [
        ("x-ratelimit-limit", "1"),
        ("x-ratelimit-remaining", "1"),
        ("ratelimit-policy", "\"Gold\";q=1;w=60"),
    ] {
        assert_eq!(header(&head, name), Some(value), "{name}");
    }
    let reset: u64 = header(&head, "x-ratelimit-reset").unwrap().parse().unwrap();
    assert!((1..=60).contains(&reset), "{reset}");
    assert_eq!(
        header(&head, "ratelimit").unwrap(),
        format!("\"Gold\";r=1;t={reset}")
    );
    for _ in 0..2 {
        client.write_all(&masked(0x81, b"x")).await.unwrap();
    }
    let mut echo = [0; 3];
    tokio::io::AsyncReadExt::read_exact(&mut client, &mut echo)
        .await
        .unwrap();
    read_close(&mut client).await;
    let answer = node.refusal().await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.problem()["reason"], "subscription_quota");
    assert_eq!(answer.problem()["code"], 900_804);
    let retry: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&retry), "{retry}");
}
