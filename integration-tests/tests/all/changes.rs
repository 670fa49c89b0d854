//! A thousand changes of the configuration while two thousand sessions are open: none is closed, no message is lost.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tidegate_integration_tests::{
    admin::Admin,
    backend::Backend,
    client::{Client, Upgrade},
    stack::Stack,
    wire::Frame,
};
use tidegate_proto::admin::v1::{
    Allowance, Api, BlockSubscriptionRequest, CreatePlanRequest, DeletePlanRequest, Limits, Plan,
    UnblockSubscriptionRequest, UpdateApiRequest, UpdatePlanRequest,
    plan_service_client::PlanServiceClient,
};
use tokio::{sync::watch, task::JoinSet};

use crate::setup::until_open;

const SESSIONS: usize = 2_000;
const CHANGES: usize = 1_000;

/// Every session sends one message for each of so many changes.
const CHANGES_PER_MESSAGE: usize = 50;

/// How many sessions are opened at a time.
const OPENING: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_changes_close_none_of_two_thousand_sessions_and_lose_no_message() {
    allow_open_files();
    let stack = Stack::builder()
        .data_plane_set("limits.connections_per_address=0")
        // The clients answer no pings, and a busy machine may need longer than a silence lasts from one tick to the next.
        .data_plane_set("relay.ping_seconds=0")
        .start()
        .await;
    let admin = stack.admin().await;
    let backend = Backend::echo().await;
    let api = admin.publish("busy", &backend.url()).await;
    let subscriber = admin.subscribe(&api, "Unlimited").await;
    let token = admin.token(&subscriber).await;
    until_open(stack.gateway(), "/busy/1.0", &token).await;

    let upgrade = Upgrade::to("/busy/1.0").bearer(&token);
    let address = stack.gateway().ready.ws;
    let (tick, ticks) = watch::channel(0_usize);
    let mut sessions = JoinSet::new();
    for _ in 0..SESSIONS / OPENING {
        let opening = (0..OPENING).map(|_| upgrade.open(address));
        for client in futures_util::future::join_all(opening).await {
            sessions.spawn(talk(client, ticks.clone()));
        }
    }
    stack.gateway().until_sessions(SESSIONS as u64).await;

    let mut changes = Changes::new(&admin, &api).await;
    for number in 0..CHANGES {
        changes.make(number).await;
        if (number + 1) % CHANGES_PER_MESSAGE == 0 {
            tick.send_modify(|tick| *tick += 1);
        }
    }
    let last = admin.publish("last", &backend.url()).await;
    let subscriber = admin.subscribe(&last, "Unlimited").await;
    until_open(
        stack.gateway(),
        "/last/1.0",
        &admin.token(&subscriber).await,
    )
    .await;

    // All of them, once the session that saw the last change has ended.
    stack.gateway().until_sessions(SESSIONS as u64).await;
    let status = stack.gateway().status().await;
    assert!(
        status.snapshot_number >= CHANGES as u64,
        "the gateway runs number {}",
        status.snapshot_number
    );
    drop(tick);
    let mut talked = 0;
    while let Some(session) = sessions.join_next().await {
        assert_eq!(
            session.expect("no session failed"),
            CHANGES / CHANGES_PER_MESSAGE
        );
        talked += 1;
    }
    assert_eq!(talked, SESSIONS);
}

/// Sends a message at every tick and expects it back; closes when there are no more ticks.
async fn talk(mut client: Client, mut ticks: watch::Receiver<usize>) -> usize {
    let mut sent = 0;
    loop {
        let over = ticks.changed().await.is_err();
        // Ticks that came in a burst are one change of the channel, and still one message each.
        let due = *ticks.borrow_and_update();
        while sent < due {
            let text = format!("message {sent}");
            client.send(&Frame::text(&text)).await;
            assert_eq!(client.next().await, Some(Frame::text(&text)));
            sent += 1;
        }
        if over {
            client.close().await;
            return sent;
        }
    }
}

/// Changes of every kind that touch other objects than the sessions' own, and some that touch theirs harmlessly.
struct Changes {
    admin: Admin,
    api: Api,
    plans: PlanServiceClient<xtask::client::Channel>,
    other: String,
}

impl Changes {
    async fn new(admin: &Admin, api: &Api) -> Self {
        let other = admin.publish("other", "ws://127.0.0.1:9").await;
        let other = admin.subscribe(&other, "Gold").await.subscription;
        Self {
            admin: admin.clone(),
            api: api.clone(),
            plans: PlanServiceClient::new(admin.channel.clone()),
            other,
        }
    }

    async fn make(&mut self, number: usize) {
        let name = format!("plans/change-{}", number / 5);
        let plan = Plan {
            name: name.clone(),
            limits: Some(Limits {
                messages: Some(Allowance {
                    amount: 1 + number as i64,
                    window_seconds: 60,
                }),
                ..Limits::default()
            }),
            ..Plan::default()
        };
        match number % 5 {
            0 => {
                let plan_id = name.trim_start_matches("plans/").to_owned();
                let request = CreatePlanRequest {
                    plan_id,
                    plan: Some(plan),
                };
                self.plans.create_plan(request).await.map(drop)
            }
            1 => {
                let request = UpdatePlanRequest {
                    plan: Some(plan),
                    update_mask: None,
                };
                self.plans.update_plan(request).await.map(drop)
            }
            2 => {
                let name = self.other.clone();
                let request = BlockSubscriptionRequest {
                    name,
                    ..Default::default()
                };
                self.admin
                    .subscriptions()
                    .block_subscription(request)
                    .await
                    .map(drop)
            }
            3 => {
                let name = self.other.clone();
                let request = UnblockSubscriptionRequest {
                    name,
                    ..Default::default()
                };
                self.admin
                    .subscriptions()
                    .unblock_subscription(request)
                    .await
                    .map(drop)
            }
            _ if number.is_multiple_of(2) => {
                let request = DeletePlanRequest {
                    name,
                    ..Default::default()
                };
                self.plans.delete_plan(request).await.map(drop)
            }
            _ => {
                let api = Api {
                    name: self.api.name.clone(),
                    default_version: number % 4 == 1,
                    ..Api::default()
                };
                let update_mask = Some(prost_types::FieldMask {
                    paths: vec!["default_version".to_owned()],
                });
                let request = UpdateApiRequest {
                    api: Some(api),
                    update_mask,
                };
                self.admin.apis().update_api(request).await.map(drop)
            }
        }
        .unwrap_or_else(|status| panic!("change {number}: {status:?}"));
    }
}

/// Two thousand sessions are two descriptors each here, and two in the gateway, which inherits the limit.
fn allow_open_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let current = maximum.map_or(Some(65_536), |maximum| Some(maximum.min(65_536)));
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).expect("the soft limit may be raised");
    let needed = 2 * SESSIONS as u64 + 200;
    assert!(
        current.is_none_or(|current| current > needed),
        "this test needs {needed} open files: raise `ulimit -Hn`"
    );
}
