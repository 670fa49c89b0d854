//! What happens to messages and handshakes over the limit, for each action of a plan, on one gateway.

use std::time::{Duration, Instant};

use tidegate_integration_tests::{
    client::Client,
    flood::Session,
    wait,
    wire::{CLOSE, Frame, TEXT},
};
use tidegate_proto::admin::v1::{Allowance, Limits, OnLimit};

use super::{Site, messages};

fn acting(amount: u64, action: OnLimit) -> Limits {
    Limits {
        on_limit: action.into(),
        ..messages(amount)
    }
}

/// The text behind the code of a close frame.
fn reason(close: &Frame) -> String {
    String::from_utf8_lossy(&close.payload[2..]).into_owned()
}

async fn until_close_frame(client: &mut Client) -> Frame {
    while let Some(frame) = client.next().await {
        if frame.opcode == CLOSE {
            return frame;
        }
    }
    panic!("the connection ended without a close frame");
}

/// The seconds in `…; retry in N s`.
fn seconds(text: &str) -> u64 {
    let rest = text.split_once("; retry in ").map(|(_, rest)| rest);
    let number = rest.and_then(|rest| rest.strip_suffix(" s"));
    number
        .and_then(|n| n.parse().ok())
        .unwrap_or_else(|| panic!("no seconds in {text:?}"))
}

#[tokio::test]
async fn messages_over_the_limit_are_notified_dropped_delayed_or_close_the_session() {
    let delayed = Limits {
        messages: Some(Allowance {
            amount: 5,
            window_seconds: 1,
        }),
        ..acting(5, OnLimit::Delay)
    };
    let closed_by = |code| Limits {
        close_code: code,
        ..acting(3, OnLimit::Close)
    };
    let bytes = Limits {
        messages: None,
        bytes: Some(Allowance {
            amount: 60,
            window_seconds: super::quiet_window(),
        }),
        ..acting(1, OnLimit::Drop)
    };
    let counted = Limits {
        stop_on_quota_reach: Some(false),
        ..acting(3, OnLimit::Close)
    };
    let plans = [
        ("notify", acting(3, OnLimit::Notify)),
        ("delay", delayed),
        ("close-4003", closed_by(0)),
        ("close-1008", closed_by(1008)),
        ("bytes", bytes),
        ("counted", counted),
    ];
    let site = Site::alone(&plans).await;
    one_notice_says_what_to_do_however_many_are_dropped(&site).await;
    what_is_delayed_arrives(&site).await;
    the_session_is_closed(&site, "close-4003", 3, 4003).await;
    the_session_is_closed(&site, "close-1008", 4, 1008).await;

    let mut session = open(&site, "bytes", 5).await;
    session.send(12).await;
    session.settled().await;
    assert_eq!(site.tally.of(5), 10, "six bytes each");

    let mut session = open(&site, "counted", 6).await;
    session.send(50).await;
    session.settled().await;
    assert_eq!(site.tally.of(6), 50, "counted, and not refused");
}

async fn open(site: &Site, plan: &str, number: u16) -> Session {
    Session::open(site.gateways()[0], &site.upgrade(plan), number).await
}

async fn one_notice_says_what_to_do_however_many_are_dropped(site: &Site) {
    let mut session = open(site, "notify", 1).await;
    session.send(3).await;
    session.settled().await;
    session.send(5).await;
    let notice = session.client.next().await.unwrap();
    assert_eq!(notice.opcode, TEXT);
    let text = String::from_utf8(notice.payload).unwrap();
    let reason = "Error code: 4003 reason: the limit of the subscription's plan is reached";
    assert!(text.starts_with(reason), "{text}");
    assert!(seconds(&text) > 0);
    assert_eq!(
        session.settled().await,
        [],
        "a second notice within the second"
    );
    assert_eq!(site.tally.of(1), 3);
}

async fn what_is_delayed_arrives(site: &Site) {
    let mut session = open(site, "delay", 2).await;
    session.send(12).await;
    let all = async || (site.tally.of(2) == 12).then_some(());
    // Two turns of the window, and time to notice them.
    let within = Duration::from_secs(6);
    wait::until_within(within, "what was kept waiting arrives", all).await;
    assert_eq!(session.settled().await, []);
}

async fn the_session_is_closed(site: &Site, plan: &str, number: u16, code: u16) {
    let mut session = open(site, plan, number).await;
    session.send(4).await;
    let close = until_close_frame(&mut session.client).await;
    assert_eq!(close.close_code(), Some(code));
    assert!(seconds(&reason(&close)) > 0, "{}", reason(&close));
    let three = async || (site.tally.of(number) == 3).then_some(());
    wait::until("the messages before it arrive", three).await;
    let refusal = site.upgrade(plan).refused(site.gateways()[0]).await;
    assert_eq!(refusal.status(), 429);
    assert_eq!(refusal.reason(), "subscription_quota");
    let retry = refusal.head.field("retry-after").unwrap();
    assert!(retry.parse::<u64>().unwrap() > 0, "{retry}");
}

#[tokio::test]
async fn a_client_is_told_what_is_left_when_its_session_opens() {
    let site = Site::alone(&[("told", messages(10))]).await;
    let mut session = open(&site, "told", 1).await;
    let field = |session: &Session, name| session.client.head.field(name).map(str::to_owned);
    assert_eq!(field(&session, "x-ratelimit-limit").as_deref(), Some("10"));
    assert_eq!(
        field(&session, "x-ratelimit-remaining").as_deref(),
        Some("10")
    );
    let resets: i64 = field(&session, "x-ratelimit-reset")
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=super::quiet_window()).contains(&resets), "{resets}");
    let policy = format!("\"told\";q=10;w={}", super::quiet_window());
    assert_eq!(field(&session, "ratelimit-policy"), Some(policy));
    session.send(7).await;
    session.settled().await;
    let session = open(&site, "told", 1).await;
    assert_eq!(
        field(&session, "x-ratelimit-remaining").as_deref(),
        Some("3")
    );
}

#[tokio::test]
async fn sessions_are_opened_no_faster_than_a_plan_allows() {
    const EACH_SECOND: u64 = 3;
    let slow = Limits {
        connections_per_second: i64::try_from(EACH_SECOND).unwrap(),
        ..Limits::default()
    };
    let site = Site::alone(&[("slow", slow)]).await;
    let began = Instant::now();
    let (mut opened, mut refused) = (0, 0);
    while refused < 20 {
        match site.upgrade("slow").send(site.gateways()[0]).await {
            Ok(client) => {
                opened += 1;
                drop(client);
            }
            Err(refusal) => {
                assert_eq!(refusal.status(), 429);
                assert_eq!(refusal.reason(), "connection_rate");
                assert_eq!(refusal.head.field("retry-after"), Some("1"));
                refused += 1;
            }
        }
    }
    let seconds = began.elapsed().as_secs() + 2;
    assert!(opened <= EACH_SECOND * seconds, "{opened} in {seconds} s");
}
