//! Limits on concurrent sessions over all gateways: exactly as many as allowed, and every slot is released, however its
//! session ends.

use std::time::Duration;

use futures_util::future::join_all;
use tidegate_integration_tests::{
    client::{Client, Refusal},
    wait,
};
use tidegate_proto::admin::v1::Limits;

use super::Site;

const SEATS: usize = 30;

/// How often sessions are opened and closed in all.
const CONNECTS: usize = 10_000;

/// How many at a time, so that there is room for those that are on their way out.
const AT_ONCE: usize = 10;

fn seats() -> Limits {
    Limits {
        sessions: i64::try_from(SEATS).unwrap(),
        ..Limits::default()
    }
}

/// Tries to open one more through a gateway.
async fn open(site: &Site, node: usize) -> Result<Client, Refusal> {
    site.upgrade("seats").send(site.gateways()[node]).await
}

/// Opens as many as there is room for, taking turns between the gateways.
async fn fill(site: &Site) -> Vec<Client> {
    let mut held = Vec::new();
    loop {
        match open(site, held.len() % site.gateways().len()).await {
            Ok(client) => held.push(client),
            Err(refusal) => {
                assert_eq!(refusal.status(), 429, "{refusal:?}");
                assert_eq!(refusal.reason(), "session_limit");
                assert!(refusal.head.field("retry-after").is_some(), "{refusal:?}");
                return held;
            }
        }
        assert!(held.len() <= SEATS, "one more than is allowed");
    }
}

/// Waits until every seat is free, and takes all of them.
async fn until_all_free(site: &Site, within: Duration, what: &str) -> Vec<Client> {
    wait::until_within(within, what, async || {
        let held = fill(site).await;
        (held.len() == SEATS).then_some(held)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seats_are_shared_and_come_back_after_ten_thousand_sessions_and_a_killed_gateway() {
    let mut site = Site::start(2, &[("seats", seats())]).await;
    let held = until_all_free(&site, wait::DEADLINE, "the first sessions have left").await;
    let mine = site.stack.data_planes[1].status().await.sessions;
    assert_eq!(mine, SEATS as u64 / 2, "half of them at each gateway");

    site.stack.data_planes[1].process.kill();
    site.stack.data_planes.truncate(1);
    drop(held);
    let killed = "the killed gateway's seats are free within ten seconds";
    let held = until_all_free(&site, Duration::from_secs(10), killed).await;
    drop(held);

    site.stack.add_data_plane().await;
    // It begins with what the killed one had brought to the disk, which may lack the newest changes.
    let newest = site.stack.data_planes[0].status().await.snapshot_number;
    site.stack.data_planes[1].until_number(newest).await;
    until_all_free(&site, wait::DEADLINE, "the seats are free again").await;
    for round in 0..CONNECTS / AT_ONCE {
        let opening = (0..AT_ONCE).map(|n| open(&site, (round + n) % 2));
        for opened in join_all(opening).await {
            // There are seats enough, but those of the last round may be on their way out still.
            match opened {
                Ok(client) if round % 2 == 0 => drop(client),
                Ok(client) => client.close().await,
                Err(refusal) => assert_eq!(refusal.status(), 429, "{refusal:?}"),
            }
        }
    }
    until_all_free(&site, wait::DEADLINE, "no seat has leaked").await;
}
