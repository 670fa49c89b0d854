//! The ledger with every deployment form of Redis: with TLS and a password, with a Sentinel that fails over to another
//! master, and with a Cluster.

use std::path::Path;

use tidegate_integration_tests::{
    flood::Shape,
    redis::{
        Redis,
        group::{Cluster, Sentinel},
    },
    stack::{Builder, Stack},
    wait,
};
use tidegate_proto::admin::v1::Limits;

use super::{Site, messages};

const LIMIT: u64 = 2_000;

/// Two gateways that share the ledger at a URL.
fn sharing(url: &str) -> Builder {
    let stack = Stack::builder().data_planes(2);
    stack.data_plane_set(&format!("ledger.url={url}"))
}

/// What the two let through of a demand, over all floods of this number.
async fn admitted(site: &Site, plan: &str, number: u16, demand: u64) -> u64 {
    let shape = Shape {
        parts: vec![3, 1],
        ..Shape::of(demand, false, false)
    };
    site.flood(plan, number, &shape).await
}

/// Waits until every gateway is well with its ledger.
async fn until_well(site: &Site) {
    for node in &site.stack.data_planes {
        wait::until("the gateway is well with its ledger", async || {
            let fault = node.status().await.ledger_fault;
            fault.is_empty().then_some(())
        })
        .await;
    }
}

fn plan(name: &str) -> (&str, Limits) {
    (name, messages(LIMIT))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateways_share_a_ledger_behind_tls_and_a_password() {
    let redis = Redis::options().tls().password("sesame").start().await;
    let ca_cert = |path: &Path| format!("ledger.ca_cert={}", path.display());
    let stack = sharing(&redis.url()).data_plane_set(&ca_cert(&redis.ca_cert()));
    let site = Site::of(stack, Some(redis), &[plan("secret")]).await;
    until_well(&site).await;
    assert_eq!(admitted(&site, "secret", 1, 2 * LIMIT).await, LIMIT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_outlives_the_master_when_a_sentinel_makes_its_replica_the_next() {
    let mut group = Sentinel::start().await;
    let site = Site::of(sharing(&group.url()), None, &[plan("watched")]).await;
    until_well(&site).await;
    assert_eq!(admitted(&site, "watched", 1, LIMIT / 2).await, LIMIT / 2);

    group.until_replicated().await;
    group.master.kill();
    group.until_failed_over().await;
    until_well(&site).await;
    // No failure of the ledger's is left to go by: what is admitted now is granted by the new master, which knows the rest.
    let all = admitted(&site, "watched", 1, 2 * LIMIT).await;
    assert_eq!(all, LIMIT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_that_live_on_several_masters_of_a_cluster_are_each_exact() {
    let cluster = Cluster::start().await;
    let names: Vec<_> = (0..8).map(|n| format!("plan-{n}")).collect();
    let plans: Vec<_> = names.iter().map(|name| plan(name)).collect();
    let site = Site::of(sharing(&cluster.url()), None, &plans).await;
    until_well(&site).await;
    let floods = names.iter().zip(0..).map(async |(name, number)| {
        assert_eq!(
            admitted(&site, name, number, 2 * LIMIT).await,
            LIMIT,
            "{name}"
        );
    });
    futures_util::future::join_all(floods).await;
    let mut used = 0;
    for master in &cluster.masters {
        used += usize::from(master.keys("tidegate:*:messages:*").await.len() > 1);
    }
    assert!(used > 1, "all counters live on one master");
}
