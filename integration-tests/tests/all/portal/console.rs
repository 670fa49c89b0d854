//! The live console through a real gateway: text and bytes, what is shown and filtered, a plan that is used up, a gateway
//! that goes away, and where the token is not.

use serde_json::Value;
use tidegate_integration_tests::{
    backend::{Backend, Peer},
    person::Person,
    wire::Frame,
};
use tidegate_proto::admin::v1::{Allowance, Counts, Limits, OnLimit};

use super::{House, SUBSCRIBER};

/// What of the log is shown.
const ROWS: &str = "document.querySelector('[role=log]').innerText";

async fn rows(person: &Person) -> String {
    person.page.evaluate(ROWS).await.unwrap()
}

#[tokio::test]
async fn the_console_talks_through_a_gateway_and_says_when_that_goes_away() {
    let mut house = House::with(1).await;
    let backend = Backend::echo().await;
    let api = house.admin.publish("echo", &backend.url()).await;
    house.subscriber.subscribe(&api, "Unlimited").await;
    let id = api.name.trim_start_matches("apis/");

    let mut subscriber = house.person(SUBSCRIBER).await;
    let path = format!("/devportal/apis/{id}/console");
    subscriber.go(&path).await;
    subscriber.follow("Get a token").await;
    let token = subscriber.value("Access token").await;
    assert!(token.len() > 100, "no token");
    subscriber.press("Connect").await;
    subscriber.sees("Connected").await;

    subscriber.fill("Message", "grüße").await;
    subscriber.press("Send").await;
    subscriber.sees("↓ Received").await;
    assert!(rows(&subscriber).await.contains("text, 7 bytes"));
    subscriber.tick("Binary, as hex").await;
    subscriber.fill("Message", "00 ff 7f zz").await;
    subscriber.press("Send").await;
    subscriber.sees("Hex must be pairs of the digits").await;
    subscriber.fill("Message", "00 ff 7f").await;
    subscriber.press("Send").await;
    let both = "document.querySelector('[role=log]').innerText.match(/00 ff 7f/g)?.length === 2";
    subscriber.page.until_true(both).await.unwrap();
    assert!(rows(&subscriber).await.contains("binary, 3 bytes"));
    subscriber.judges("a console with messages").await;

    subscriber.choose("Direction", "Sent").await;
    assert!(!rows(&subscriber).await.contains("Received"));
    subscriber.fill("Filter", "grü").await;
    assert!(!rows(&subscriber).await.contains("00 ff 7f"));
    subscriber.fill("Filter", "").await;
    subscriber.choose("Direction", "All").await;
    subscriber.press("Pause").await;
    subscriber.fill("Message", "aa").await;
    subscriber.press("Send").await;
    subscriber.sees("2 while paused").await;
    subscriber.choose("Direction", "Sent").await;
    assert!(rows(&subscriber).await.contains("00 ff 7f"));
    assert!(!rows(&subscriber).await.contains("aa"));
    subscriber.choose("Direction", "All").await;
    subscriber.press("Resume").await;
    subscriber.press("Clear").await;
    subscriber
        .sees("Sent and received messages appear here")
        .await;

    // The token is in no address and in no log.
    let load = subscriber.load().await;
    assert_eq!(load.complaints, Vec::<String>::new());
    assert!(load.urls.iter().all(|url| !url.contains(&token)));
    assert!(!house.stack.gateway().process.log().contains(&token));
    assert!(!house.stack.control_plane.process.log().contains(&token));

    house.stack.data_planes[0].process.kill();
    subscriber.sees("Connection lost").await;
    subscriber.press("Connect").await;
    subscriber
        .sees("Not connected: the gateway refused the connection or is unreachable")
        .await;
    let refused = subscriber.load().await.complaints;
    assert!(
        refused
            .iter()
            .all(|it| it.starts_with("WebSocket connection to")),
        "{refused:?}"
    );
    subscriber.judges("a console without a gateway").await;
}

#[tokio::test]
async fn the_console_marks_what_a_plan_refuses() {
    let house = House::with(1).await;
    let backend = Backend::echo().await;
    let limits = Limits {
        messages: Some(Allowance {
            amount: 1,
            window_seconds: 3600,
        }),
        counts: Counts::Client.into(),
        on_limit: OnLimit::Notify.into(),
        ..Limits::default()
    };
    house.admin.create_plan("One", limits).await;
    let api = house
        .admin
        .publish_under("few", &backend.url(), &["One"])
        .await;
    house.subscriber.subscribe(&api, "One").await;
    let id = api.name.trim_start_matches("apis/");

    let mut subscriber = house.person(SUBSCRIBER).await;
    subscriber
        .go(&format!("/devportal/apis/{id}/console"))
        .await;
    subscriber.follow("Get a token").await;
    subscriber.press("Connect").await;
    subscriber.sees("Connected").await;
    for text in ["one", "two"] {
        subscriber.fill("Message", text).await;
        subscriber.press("Send").await;
    }
    subscriber.sees("Throttled").await;
    subscriber.judges("a console with a notice").await;

    // With a token that is none, nobody gets in.
    subscriber.press("Disconnect").await;
    subscriber.sees("Disconnected").await;
    subscriber.fill("Access token", "not-a-token").await;
    subscriber.press("Connect").await;
    subscriber.sees("Not connected: the gateway refused").await;
}

#[tokio::test]
async fn the_console_keeps_the_newest_rows_and_saves_them() {
    const SENT: usize = 600;
    let house = House::with(1).await;
    let backend = Backend::scripted(|mut peer: Peer| async move {
        for number in 1..=SENT {
            peer.send(&Frame::text(&format!("number {number}."))).await;
        }
        peer.next().await;
    })
    .await;
    let api = house.admin.publish("many", &backend.url()).await;
    house.subscriber.subscribe(&api, "Unlimited").await;
    let id = api.name.trim_start_matches("apis/");

    let mut subscriber = house.person(SUBSCRIBER).await;
    subscriber.go(&format!("/devportal/apis/{id}")).await;
    let address = subscriber.copies("Addresses").await;
    assert!(address.starts_with("ws://localhost:") && address.ends_with("/many/1.0"));
    subscriber.follow("Console").await;
    subscriber.follow("Get a token").await;
    subscriber.press("Connect").await;
    subscriber.sees(&format!("number {SENT}.")).await;
    // That of the connection itself, twice, and what came first.
    subscriber.sees("500 rows, 102 older rows dropped").await;
    let shown = rows(&subscriber).await;
    assert!(shown.contains("number 101.") && !shown.contains("number 100."));

    // What the browser would write to disk.
    const CATCH: &str =
        "URL.createObjectURL = (blob) => { window.tidegateSaved = blob.text(); return '#'; }; null";
    let caught: Option<u8> = subscriber.page.evaluate(CATCH).await.unwrap();
    assert_eq!(caught, None);
    subscriber.press("Save").await;
    let saved: String = subscriber
        .page
        .evaluate("window.tidegateSaved")
        .await
        .unwrap();
    let saved: Vec<Value> = saved
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(saved.len(), 500);
    assert_eq!(saved[0]["text"], "number 101.");
    assert_eq!(saved[0]["kind"], "received");
    assert_eq!(saved[499]["size"], 11);
}
