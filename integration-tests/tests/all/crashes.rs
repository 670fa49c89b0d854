//! `kill -9` on the control plane in the middle of writes, two hundred times: no answered write is lost, and the store
//! always opens.

use std::{collections::HashSet, time::Duration};

use tidegate_integration_tests::{admin::Admin, control_plane::ControlPlane};
use tidegate_proto::admin::v1::{CreatePlanRequest, Plan, plan_service_client::PlanServiceClient};
use tokio::{sync::mpsc, task::JoinSet, time::timeout};

use crate::store::plans_of;

const ROUNDS: usize = 200;

/// How many write at a time.
const WRITERS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_kills_during_writes_lose_no_answered_write() {
    let folder = tempfile::tempdir().unwrap();
    let mut control_plane = ControlPlane::start(folder.path(), &[]).await;
    let mut answered = HashSet::new();
    let mut in_flight = 0;
    for round in 0..ROUNDS {
        let admin = Admin::sign_in(&control_plane).await;
        let kept = plans_of(&admin).await;
        let lost: Vec<_> = answered.difference(&kept).collect();
        assert!(
            lost.is_empty(),
            "after {round} kills these answered writes are gone: {lost:?}"
        );

        let (tell, mut told) = mpsc::channel(64);
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            writers.spawn(write(
                admin.clone(),
                format!("r{round}-w{writer}"),
                tell.clone(),
            ));
        }
        drop(tell);
        // Another moment of the writing in each round.
        for _ in 0..1 + round % 13 {
            let name = timeout(Duration::from_secs(20), told.recv()).await;
            answered.extend(name.expect("writes are answered in time"));
        }
        control_plane.process.kill();
        while let Some(name) = told.recv().await {
            answered.insert(name);
        }
        while let Some(writer) = writers.join_next().await {
            in_flight += writer.expect("a writer ends by the death of its server");
        }
        control_plane.restart().await;
    }
    let kept = plans_of(&Admin::sign_in(&control_plane).await).await;
    assert_eq!(answered.difference(&kept).count(), 0);
    assert!(
        in_flight >= ROUNDS,
        "the kills did not hit writes: {in_flight}"
    );
}

/// Creates plans one after the other, tells of each that was answered, and ends when the server does: with the number
/// of calls that got no answer.
async fn write(admin: Admin, prefix: String, tell: mpsc::Sender<String>) -> usize {
    let mut plans = PlanServiceClient::new(admin.channel);
    for n in 0.. {
        let plan_id = format!("{prefix}-{n}");
        let request = CreatePlanRequest {
            plan_id: plan_id.clone(),
            plan: Some(Plan::default()),
        };
        match plans.create_plan(request).await {
            Ok(_) if tell.send(format!("plans/{plan_id}")).await.is_ok() => {}
            Ok(_) => return 0,
            Err(_) => return 1,
        }
    }
    0
}
