//! Quotas over real gateways and a real Redis. This module has the setup: gateways that share a Redis, an API in front
//! of a backend that counts, and a subscriber for each plan. The cases are in the modules below.

mod sharing;
mod outages;
mod seats;
mod actions;
mod compression;
mod changes;
mod levels;
mod forms;
mod faults;
mod policies;
mod usage;
mod scripts;
mod units;
mod renewed;
mod credentials;

use std::{
    collections::HashMap,
    net::SocketAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use tidegate_integration_tests::{
    admin::{Admin, Subscriber},
    client::Upgrade,
    flood::{Shape, Tally, flood},
    redis::Redis,
    stack::{Builder, Stack},
};
use tidegate_proto::admin::v1::{Allowance, Api, Counts, Limits, OnLimit};

use crate::setup::until_open;

/// Gateways that share a Redis, and a subscriber for each plan of a test.
struct Site {
    stack: Stack,
    /// Where they share; a single gateway may count for itself.
    redis: Option<Redis>,
    admin: Admin,
    tally: Tally,
    api: Api,
    subscribers: HashMap<String, Subscriber>,
    tokens: HashMap<String, String>,
}

const PATH: &str = "/quota/1.0";

impl Site {
    /// So many gateways that share.
    async fn start(nodes: usize, plans: &[(&str, Limits)]) -> Self {
        let redis = Redis::start().await;
        let stack = Stack::builder().data_planes(nodes).redis(&redis);
        Self::of(stack, Some(redis), plans).await
    }

    /// One gateway that counts for itself.
    async fn alone(plans: &[(&str, Limits)]) -> Self {
        Self::of(Stack::builder(), None, plans).await
    }

    async fn of(stack: Builder, redis: Option<Redis>, plans: &[(&str, Limits)]) -> Self {
        let stack = stack.data_plane_set("limits.connections_per_address=0");
        let stack = stack.start().await;
        let admin = stack.admin().await;
        for (name, limits) in plans {
            admin.create_plan(name, *limits).await;
        }
        let tally = Tally::start().await;
        let names: Vec<_> = plans.iter().map(|(name, _)| *name).collect();
        let api = admin.publish_under("quota", &tally.url(), &names).await;
        let mut site = Self {
            stack,
            redis,
            admin,
            tally,
            api,
            subscribers: HashMap::new(),
            tokens: HashMap::new(),
        };
        for name in names {
            let subscriber = site.admin.subscribe(&site.api, name).await;
            let token = site.admin.token(&subscriber).await;
            site.subscribers.insert(name.to_owned(), subscriber);
            site.tokens.insert(name.to_owned(), token);
        }
        site.until_open().await;
        site
    }

    /// Waits until every gateway knows every subscriber.
    async fn until_open(&self) {
        for node in &self.stack.data_planes {
            for token in self.tokens.values() {
                until_open(node, PATH, token).await;
            }
        }
    }

    fn gateways(&self) -> Vec<SocketAddr> {
        let nodes = self.stack.data_planes.iter();
        nodes.map(|node| node.ready.ws).collect()
    }

    /// A handshake of the subscriber under a plan.
    fn upgrade(&self, plan: &str) -> Upgrade {
        Upgrade::to(PATH).bearer(&self.tokens[plan])
    }

    /// Floods all gateways under a plan, and says how many messages came through, over all floods of this number.
    async fn flood(&self, plan: &str, number: u16, shape: &Shape) -> u64 {
        flood(&self.gateways(), &self.upgrade(plan), number, shape).await;
        self.tally.of(number)
    }
}

/// So many messages of the client in a window that does not turn during the test; what is too many is dropped.
fn messages(amount: u64) -> Limits {
    Limits {
        messages: Some(Allowance {
            amount: i64::try_from(amount).unwrap(),
            window_seconds: quiet_window(),
        }),
        counts: Counts::Client.into(),
        on_limit: OnLimit::Drop.into(),
        ..Limits::default()
    }
}

/// A window of about a day that is not over before the test is: one of them always has ten minutes left, whatever the
/// time of day.
fn quiet_window() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = i64::try_from(now.as_secs()).unwrap();
    let long_left = |window: &i64| window - now % window > 600;
    let windows = [86_400, 90_001, 95_003, 100_003];
    windows.into_iter().find(long_left).unwrap()
}
