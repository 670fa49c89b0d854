//! The remaining quota of a plan, as the admin API shows it to publishers and owners while gateways start and stop; and
//! the fault of a gateway's ledger that it shows.

use tidegate_integration_tests::{
    admin::{Admin, Subscriber},
    client::Upgrade,
    flood::Session,
    wait,
};
use tidegate_proto::admin::v1::{EnvironmentUsage, LedgerKind, Role};
use tonic::Code;

use super::{PATH, Site, messages};
use crate::setup::until_open;

const LIMIT: u64 = 1_000;

/// Used, left, open sessions, and nodes that are away.
fn figures(usage: &EnvironmentUsage) -> (Option<i64>, Option<i64>, i64, i32) {
    let [quota] = usage.quotas[..] else {
        panic!("the plan has one limit: {usage:?}")
    };
    (
        quota.used,
        quota.remaining,
        usage.open_sessions,
        usage.absent_nodes,
    )
}

/// Waits until somebody is told these figures.
async fn until_told(who: &Admin, subscriber: &Subscriber, figures: (i64, i64, i64, i32)) {
    let (used, remaining, sessions, absent) = figures;
    let what = format!("the admin API tells of {figures:?}");
    let expected = (Some(used), Some(remaining), sessions, absent);
    wait::until(&what, async || {
        let usage = who.usage(&subscriber.subscription).await.ok()?;
        (self::figures(&usage) == expected).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_remaining_quota_is_shown_whatever_happens_to_the_gateways() {
    let mut site = Site::start(2, &[("shared", messages(LIMIT))]).await;
    let owner = site.admin.user("owner", &[Role::Subscriber]).await;
    let subscriber = owner.subscribe(&site.api, "shared").await;
    let upgrade = Upgrade::to(PATH).bearer(&owner.token(&subscriber).await);
    let token = owner.token(&subscriber).await;
    let mut sessions = Vec::new();
    for (node, count) in site.stack.data_planes.iter().zip([30, 12]) {
        until_open(node, PATH, &token).await;
        let mut session = Session::open(node.ready.ws, &upgrade, 1).await;
        session.send(count).await;
        session.settled().await;
        sessions.push(session);
    }
    until_told(&owner, &subscriber, (42, 958, 2, 0)).await;
    let publisher = site.admin.user("publisher", &[Role::Publisher]).await;
    until_told(&publisher, &subscriber, (42, 958, 2, 0)).await;
    let other = site.admin.user("other", &[Role::Subscriber]).await;
    let refused = other.usage(&subscriber.subscription).await;
    assert_eq!(refused.unwrap_err().code(), Code::NotFound);

    // It forgets everything, and is told it again.
    site.stack.control_plane.restart().await;
    until_told(&owner, &subscriber, (42, 958, 2, 0)).await;

    site.stack.data_planes[0].process.kill();
    until_told(&owner, &subscriber, (42, 958, 1, 1)).await;
    // The same node again, in another process.
    site.stack.data_planes[0].restart(&[]).await;
    let gateway = site.stack.data_planes[0].ready.ws;
    until_open(&site.stack.data_planes[0], PATH, &token).await;
    let mut session = Session::open(gateway, &upgrade, 1).await;
    session.send(5).await;
    session.settled().await;
    until_told(&owner, &subscriber, (47, 953, 2, 0)).await;

    // One that leaves in order says what it used last.
    session.send(3).await;
    session.settled().await;
    let leaving = &mut site.stack.data_planes[0].process;
    leaving.signal(rustix::process::Signal::TERM);
    drop(session);
    leaving.ended().await;
    until_told(&owner, &subscriber, (50, 950, 1, 1)).await;
    let usage = owner.usage(&subscriber.subscription).await.unwrap();
    assert!(usage.oldest_report_time.is_some() && !usage.counted_apart);
}

#[tokio::test]
async fn a_gateway_reports_the_fault_of_its_redis_until_it_answers_again() {
    let mut site = Site::start(1, &[("shared", messages(LIMIT))]).await;
    let ledger = async || site.admin.nodes().await.remove(0).ledger;
    let told = async |what: &str, right: fn(&str) -> bool| {
        wait::until(what, async || {
            let ledger = ledger().await?;
            assert_eq!(ledger.kind(), LedgerKind::Redis);
            right(&ledger.fault).then_some(())
        })
        .await;
    };
    told("the ledger is clean", str::is_empty).await;
    let redis = site.redis.as_mut().unwrap();
    redis.kill();
    told("the fault is named", |fault| {
        fault.contains("connection to `ledger.url` refused")
    })
    .await;
    redis.restart().await;
    told("the ledger is clean again", str::is_empty).await;
}

#[tokio::test]
async fn how_long_redis_takes_is_measured_finer_than_by_the_millisecond() {
    let site = Site::start(1, &[("shared", messages(LIMIT))]).await;
    let node = site.stack.gateway();
    let seconds = wait::until("some exchanges were answered", async || {
        let count = node.metric("tidegate_ledger_request_duration_seconds_count", &[]);
        (count.await >= 5.0).then_some(())?;
        let sum = node.metric("tidegate_ledger_request_duration_seconds_sum", &[]);
        Some(sum.await)
    });
    let millis = seconds.await * 1000.0;
    assert!((millis - millis.round()).abs() > 1e-6, "{millis}");
    let failures = node.metric("tidegate_ledger_failures_total", &[]).await;
    assert!(failures < 1.0, "{failures}");
}
