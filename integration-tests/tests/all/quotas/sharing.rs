//! Four gateways share one limit: together they pass exactly the limit, however the messages are distributed.

use std::{collections::HashMap, time::Duration};

use futures_util::future::join_all;
use tidegate_integration_tests::flood::{Session, Shape, flood};
use xtask::redis::Reply;

use super::{Site, messages};

const LIMITS: [u64; 3] = [100, 1_000, 50_000];

/// Of a limit at least 99.9 %: what four gateways may leave when the demand is a fifth more than the limit.
pub(super) fn nearly(limit: u64) -> u64 {
    limit - limit / 1_000
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_gateways_let_through_the_limit_and_never_one_more_however_messages_come() {
    let mut cases = Vec::new();
    for limit in LIMITS {
        for skewed in [false, true] {
            for bursty in [false, true] {
                let name = format!("{limit}-skewed-{skewed}-bursty-{bursty}");
                cases.push((name, limit, Shape::of(limit * 6 / 5, skewed, bursty)));
            }
        }
    }
    let plans: Vec<_> = cases
        .iter()
        .map(|(name, limit, _)| (name.as_str(), messages(*limit)))
        .collect();
    let site = Site::start(4, &plans).await;

    let floods = cases.iter().zip(0..);
    let floods = floods.map(async |((name, limit, shape), number)| {
        let admitted = site.flood(name, number, shape).await;
        (name, *limit, admitted)
    });
    let admitted = join_all(floods).await;
    let wrong: Vec<_> = admitted
        .into_iter()
        .filter(|(_, limit, admitted)| !(nearly(*limit)..=*limit).contains(admitted))
        .collect();
    assert!(wrong.is_empty(), "case, limit, admitted: {wrong:?}");
}

#[tokio::test]
async fn on_one_gateway_the_fifth_of_four_messages_is_dropped_every_time() {
    let names: Vec<_> = (0..20).map(|n| format!("four-{n}")).collect();
    let plans: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), messages(4)))
        .collect();
    let site = Site::start(1, &plans).await;
    for (name, number) in names.iter().zip(0..) {
        let mut session = Session::open(site.gateways()[0], &site.upgrade(name), number).await;
        for sent in 1..=6 {
            session.send(1).await;
            session.settled().await;
            assert_eq!(
                site.tally.of(number),
                sent.min(4),
                "{name}: after {sent} messages"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_gateway_loses_what_it_held_and_an_added_one_shares_what_is_left() {
    const LIMIT: u64 = 20_000;
    let mut site = Site::start(3, &[("shared", messages(LIMIT))]).await;
    let upgrade = site.upgrade("shared");
    let mut sessions = Vec::new();
    for gateway in site.gateways() {
        sessions.push(Session::open(gateway, &upgrade, 1).await);
    }
    for session in &mut sessions {
        session.paced(2_000, 20, Duration::from_millis(20)).await;
        session.settled().await;
    }
    assert_eq!(site.tally.of(1), 6_000);

    site.stack.data_planes[0].process.kill();
    site.stack.data_planes.remove(0);
    let before = granted(&site).await;
    drop(sessions);
    site.stack.add_data_plane().await;
    site.until_open().await;
    let shape = Shape {
        demand: 2 * LIMIT,
        parts: vec![1, 1, 1],
        bursts: 80,
        every: Duration::from_millis(50),
    };
    flood(&site.gateways(), &upgrade, 1, &shape).await;
    // Of the killed one the ledger has heard nothing since.
    let after = granted(&site).await;
    let mut unchanged = before
        .iter()
        .filter(|(node, words)| after[*node] == **words);
    let killed = unchanged
        .next()
        .expect("the killed one stays in the ledger");
    assert_eq!(unchanged.next(), None, "the others went on");
    let granted: u64 = killed.1.split(':').next().unwrap().parse().unwrap();
    let left = LIMIT - (granted - 2_000);
    let admitted = site.tally.of(1);
    let expected = left - LIMIT / 1_000..=left;
    assert!(expected.contains(&admitted), "{admitted} of {left}");
}

/// What the ledger has heard of each node of its only counter of messages.
async fn granted(site: &Site) -> HashMap<String, String> {
    let redis = site.redis.as_ref().expect("these gateways share");
    let keys = redis.keys("tidegate:*:messages:*").await;
    let [key] = &keys[..] else {
        panic!("one counter is expected: {keys:?}")
    };
    let Reply::Many(fields) = redis.must(&["HGETALL", key]).await else {
        panic!("a counter is a hash")
    };
    let texts = fields.into_iter().map(|field| match field {
        Reply::Text(text) => text,
        other => panic!("no text: {other:?}"),
    });
    let texts: Vec<_> = texts.collect();
    let pairs = texts.chunks_exact(2);
    pairs
        .map(|pair| (pair[0].clone(), pair[1].clone()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_unused_grant_of_a_drained_gateway_is_used_by_others() {
    const LIMIT: u64 = 2_000;
    let mut site = Site::start(2, &[("left", messages(LIMIT))]).await;
    let upgrade = site.upgrade("left");
    let gateways = site.gateways();
    let mut leaving = Session::open(gateways[0], &upgrade, 1).await;
    let mut staying = Session::open(gateways[1], &upgrade, 1).await;
    leaving.paced(500, 25, Duration::from_millis(20)).await;
    leaving.settled().await;
    let process = &mut site.stack.data_planes[0].process;
    process.signal(rustix::process::Signal::TERM);
    drop(leaving);
    assert!(process.ended().await.success());
    staying.paced(LIMIT, 50, Duration::from_millis(20)).await;
    staying.settled().await;
    assert_eq!(site.tally.of(1), LIMIT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateways_whose_clocks_are_a_minute_off_share_the_window_of_redis() {
    const LIMIT: u64 = 5_000;
    let mut site = Site::start(2, &[("off", messages(LIMIT))]).await;
    for seconds in [60, -60] {
        site.stack.add_data_plane_off_by(seconds).await;
    }
    site.until_open().await;
    let admitted = site
        .flood("off", 1, &Shape::of(LIMIT * 6 / 5, true, false))
        .await;
    assert!(admitted <= LIMIT, "{admitted}");
    assert!(admitted >= nearly(LIMIT), "{admitted}");
}
