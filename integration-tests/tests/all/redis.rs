//! The Redis fixture: its failures work as the tests of quotas expect.

use tidegate_integration_tests::redis::{
    Redis,
    group::{Cluster, Sentinel},
};
use xtask::redis::Reply;

#[tokio::test]
async fn a_redis_restarted_or_flushed_is_empty_and_a_stopped_one_goes_on_where_it_was() {
    let mut redis = Redis::options().password("open-sesame").start().await;
    assert!(redis.url().contains("open-sesame"));
    redis.must(&["SET", "tidegate:a", "1"]).await;
    redis.pause();
    redis.resume();
    assert_eq!(redis.keys("tidegate:*").await, ["tidegate:a"]);
    let before = redis.commands_processed().await;
    redis.spoil("tidegate:*").await;
    assert!(redis.commands_processed().await > before);
    redis.flush().await;
    assert!(redis.keys("*").await.is_empty());
    redis.must(&["SET", "tidegate:b", "1"]).await;
    redis.restart().await;
    assert!(redis.keys("*").await.is_empty());
    redis.configure("maxmemory", "1mb").await;
    let refused = redis.command(&["CONFIG", "SET", "maxmemory", "much"]).await;
    assert!(matches!(refused, Reply::Error(_)), "{refused:?}");
}

#[tokio::test]
async fn a_redis_behind_tls_answers_over_its_own_socket_too() {
    let redis = Redis::options().tls().start().await;
    assert!(redis.url().starts_with("rediss://127.0.0.1:"));
    assert!(redis.ca_cert().is_file());
    assert_eq!(redis.must(&["PING"]).await, Reply::Text("PONG".to_owned()));
}

#[tokio::test]
async fn a_sentinel_makes_the_replica_the_master_and_a_cluster_serves_every_slot() {
    let mut group = Sentinel::start().await;
    group.master.kill();
    group.until_failed_over().await;

    let cluster = Cluster::start().await;
    let moved = cluster.masters[0].command(&["GET", "tidegate"]).await;
    let other = cluster.masters[1].command(&["GET", "tidegate"]).await;
    assert_ne!(moved, other, "one of them has the slot, the other says who");
}
