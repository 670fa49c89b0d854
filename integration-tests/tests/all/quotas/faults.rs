//! A Redis that answers with errors: the gateway reports the fault to the control plane, the plan's policy for an
//! unavailable ledger applies meanwhile, and everything recovers once the fault is fixed.

use tidegate_integration_tests::{
    catalog::{self, CLIENT, PATH},
    client::Upgrade,
    data_plane::DataPlane,
    fake_control_plane::FakeControlPlane,
    flood::{Session, Tally},
    issuer::Issuer,
    redis::Redis,
    wait,
};
use tidegate_proto::{
    discovery::v1::{LedgerKind, Plan, Resource, resource::Body},
    quota::{Allowance, Amount, Counts, Limits, OnLimit, Window},
};

use crate::setup::ISSUER;

/// A limit of a million; what is too many is dropped.
fn limits() -> Limits {
    Limits {
        messages: Some(Allowance {
            amount: Amount::try_new(1_000_000).unwrap(),
            window: Window::try_new(31 * 86_400).unwrap(),
        }),
        counts: Counts::Client,
        on_limit: OnLimit::Drop,
        ..Limits::default()
    }
}

/// A gateway that counts in a Redis, and a session of it.
struct Site {
    redis: Redis,
    control: FakeControlPlane,
    tally: Tally,
    session: Session,
    sent: u64,
    node: DataPlane,
}

impl Site {
    async fn start(redis: Redis, url: &str) -> Self {
        let tally = Tally::start().await;
        let issuer = Issuer::new(ISSUER);
        let mut resources = catalog::echo(&issuer, &tally.url());
        let plan = Plan {
            name: "Unlimited".to_owned(),
            limits: Some((&limits()).into()),
        };
        resources.retain(|resource| resource.name != "plans/Unlimited");
        resources.push(Resource::new(
            "plans/Unlimited".to_owned(),
            Body::Plan(plan),
        ));
        let control = FakeControlPlane::start(resources).await;
        let node = control.node(&[&format!("ledger.url={url}")]).await;
        let upgrade = Upgrade::to(PATH).bearer(&issuer.token(CLIENT));
        let session = Session::open(node.ready.ws, &upgrade, 1).await;
        Self {
            redis,
            control,
            tally,
            session,
            sent: 0,
            node,
        }
    }

    /// Keeps sending until the gateway says this of its ledger, and sees that every message passes all the while.
    async fn until_said(&mut self, words: &str) {
        let what = format!("the gateway says {words:?} of its ledger");
        wait::until(&what, async || {
            self.session.send(1).await;
            self.sent += 1;
            self.session.settled().await;
            assert_eq!(
                self.tally.of(1),
                self.sent,
                "a message was dropped: {words}"
            );
            says(&self.node.status().await.ledger_fault, words).then_some(())
        })
        .await;
    }

    /// Waits until the control plane has heard this of the ledger.
    async fn until_heard(&self, words: &str) {
        let what = format!("the control plane hears {words:?} of the ledger");
        wait::until(&what, async || {
            let ledger = self.control.beat()?.ledger?;
            assert_eq!(ledger.kind(), LedgerKind::Redis);
            says(&ledger.fault, words).then_some(())
        })
        .await;
    }
}

/// Whether a fault names what is wrong; no words are no fault.
fn says(fault: &str, words: &str) -> bool {
    if words.is_empty() {
        fault.is_empty()
    } else {
        fault.contains(words)
    }
}

#[tokio::test]
async fn a_fault_of_redis_is_reported_and_messages_pass_meanwhile() {
    let redis = Redis::options().password("sesame").start().await;
    let url = redis.url();
    let mut site = Site::start(redis, &url).await;
    site.until_said("").await;

    site.redis.rekey("changed").await;
    site.until_said("password").await;
    site.until_heard("password").await;
    site.redis.rekey("sesame").await;
    site.until_said("").await;
    site.until_heard("").await;

    site.redis.must(&["REPLICAOF", "127.0.0.1", "1"]).await;
    site.until_said("read-only").await;
    site.redis.must(&["REPLICAOF", "NO", "ONE"]).await;
    site.until_said("").await;

    site.redis.configure("maxmemory", "1").await;
    site.until_said("memory").await;
    site.redis.configure("maxmemory", "0").await;
    site.until_said("").await;

    site.redis.spoil("tidegate:*").await;
    site.until_said("type").await;
    site.redis.flush().await;
    site.until_said("").await;
}
