//! Redis restarted empty, flushed and stopped in the middle of a flood: never a message over the limit, except for
//! those that `share` and `allow` permit while Redis is unavailable.

use std::time::Duration;

use tidegate_integration_tests::{
    flood::{Shape, flood},
    redis::Redis,
    wait,
};
use tidegate_proto::admin::v1::{Limits, WithoutLedger};

use super::{Site, messages, sharing::nearly};

const LIMIT: u64 = 20_000;
const NODES: u64 = 4;

/// Twice the limit, for so long that there is something to admit at any time.
fn shape() -> Shape {
    Shape {
        bursts: 160,
        ..Shape::of(2 * LIMIT, false, false)
    }
}

/// Floods under the plans at once, each plan's flood with its place as number, while something happens to Redis when a
/// fifth of the first limit is used up. Says how much came through under each.
async fn flood_while(
    site: &mut Site,
    plans: &[&str],
    happens: impl AsyncFnOnce(&mut Redis),
) -> Vec<u64> {
    let (gateways, shape) = (site.gateways(), shape());
    let upgrades: Vec<_> = plans.iter().map(|plan| site.upgrade(plan)).collect();
    let floods = upgrades.iter().zip(0..);
    let floods = floods.map(|(upgrade, number)| flood(&gateways, upgrade, number, &shape));
    let redis = site.redis.as_mut().expect("these gateways share");
    let tally = &site.tally;
    let accident = async {
        let begun = async || (tally.of(0) > LIMIT / 5).then_some(());
        wait::until("a fifth of the limit is used up", begun).await;
        happens(redis).await;
    };
    tokio::join!(futures_util::future::join_all(floods), accident);
    (0..)
        .take(plans.len())
        .map(|number| site.tally.of(number))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_forgets_grants_nothing_twice() {
    let mut site = Site::start(4, &[("shared", messages(LIMIT))]).await;
    let admitted = flood_while(&mut site, &["shared"], async |redis| {
        redis.restart().await;
        // Long enough for the gateways to have told it what they hold, and to spend more.
        wait::pass(Duration::from_secs(3)).await;
        redis.flush().await;
    })
    .await[0];
    assert!(admitted <= LIMIT, "{admitted}");
    // Once the ledger is whole again, what is left is there for who asks.
    let admitted = site
        .flood("shared", 0, &Shape::of(LIMIT, true, false))
        .await;
    assert!(admitted <= LIMIT, "{admitted}");
    assert!(admitted >= nearly(LIMIT), "{admitted}");
}

fn without_ledger(policy: WithoutLedger) -> Limits {
    Limits {
        without_ledger: policy.into(),
        ..messages(LIMIT)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_is_stopped_for_five_seconds_each_plan_follows_its_own_policy() {
    let plans = [
        ("share", without_ledger(WithoutLedger::Share)),
        ("deny", without_ledger(WithoutLedger::Deny)),
        ("allow", without_ledger(WithoutLedger::Allow)),
    ];
    let mut site = Site::start(4, &plans).await;
    let admitted = flood_while(&mut site, &["share", "deny", "allow"], async |redis| {
        redis.pause_for(Duration::from_secs(5)).await;
    })
    .await;
    let [share, deny, allow] = admitted[..] else {
        panic!("three floods are expected")
    };
    // docs/QUOTAS.md: each gateway spends what it was granted or its share, whichever is more.
    assert!(share <= LIMIT + LIMIT * (NODES - 1) / NODES, "{share}");
    assert!(share >= LIMIT / 2, "{share}");
    assert!(deny <= LIMIT, "{deny}");
    assert!(allow > LIMIT, "{allow}");
    // What was not granted meanwhile is there afterwards.
    let shape = Shape::of(LIMIT, false, false);
    let deny = site.flood("deny", 1, &shape).await;
    assert!((nearly(LIMIT)..=LIMIT).contains(&deny), "{deny}");
}
