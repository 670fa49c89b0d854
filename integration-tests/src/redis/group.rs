//! Several redis-servers that belong together: a master with a replica and a sentinel that watches both, and a cluster
//! of three masters.

use xtask::{redis::Reply, up::ports::free_port};

use super::{Options, Redis};
use crate::wait;

/// A master, its replica, and the sentinel that makes the replica the master when the master is gone.
#[derive(Debug)]
pub struct Sentinel {
    /// The master at the beginning.
    pub master: Redis,
    /// Its replica.
    pub replica: Redis,
    sentinel: Redis,
}

/// Three masters that share the keys.
#[derive(Debug)]
pub struct Cluster {
    /// The masters.
    pub masters: Vec<Redis>,
}

/// What the sentinel calls its master.
const MASTER: &str = "ledger";

/// What the sentinel wants to hear; its master wants nothing.
const WATCHWORD: &str = "watch&word";

/// How many keys' places a cluster has.
const SLOTS: u32 = 16_384;

// === impl Sentinel ===

impl Sentinel {
    /// Starts all three and waits until the sentinel knows both.
    ///
    /// # Panics
    /// When they do not find each other.
    pub async fn start() -> Self {
        let master = Redis::start().await;
        let follows = format!("127.0.0.1 {}", master.port());
        let replica = start_replica(&follows).await;
        let sentinel = start_sentinel(master.port()).await;
        wait::until("the sentinel knows the replica", async || {
            let replicas = sentinel.must(&["SENTINEL", "REPLICAS", MASTER]).await;
            matches!(replicas, Reply::Many(found) if !found.is_empty()).then_some(())
        })
        .await;
        Self {
            master,
            replica,
            sentinel,
        }
    }

    /// The URL of the group.
    #[must_use]
    pub fn url(&self) -> String {
        format!(
            "redis+sentinel://127.0.0.1:{}/{MASTER}?sentinel_password={}",
            self.sentinel.port(),
            WATCHWORD.replace('&', "%26")
        )
    }

    /// Waits until the replica has everything that the master has now.
    ///
    /// # Panics
    /// When it does not get it.
    pub async fn until_replicated(&self) {
        let info = self.master.must(&["INFO", "replication"]).await;
        let written = info.info("master_repl_offset").expect("a master says so");
        wait::until("the replica has caught up", async || {
            let info = self.replica.must(&["INFO", "replication"]).await;
            (info.info("slave_repl_offset").ok()? >= written).then_some(())
        })
        .await;
    }

    /// Waits until the replica is the master.
    ///
    /// # Panics
    /// When it does not become it.
    pub async fn until_failed_over(&self) {
        // Two looks of the sentinel, and an election.
        wait::until_within(
            wait::DEADLINE * 2,
            "the replica becomes the master",
            async || {
                let Reply::Many(role) = self.replica.attempt(&["ROLE"]).await.ok()? else {
                    return None;
                };
                (role.first() == Some(&Reply::Text("master".to_owned()))).then_some(())
            },
        )
        .await;
    }
}

async fn start_replica(follows: &str) -> Redis {
    let replica = Redis::start().await;
    let (host, port) = follows.split_once(' ').expect("a host and a port");
    replica.must(&["REPLICAOF", host, port]).await;
    wait::until("the replica follows", async || {
        let info = replica.must(&["INFO", "replication"]).await.text().ok()?;
        info.contains("master_link_status:up").then_some(())
    })
    .await;
    replica
}

async fn start_sentinel(master: u16) -> Redis {
    let sentinel = Options::default().sentinel().password(WATCHWORD);
    let sentinel = sentinel.start().await;
    let port = master.to_string();
    sentinel
        .must(&["SENTINEL", "MONITOR", MASTER, "127.0.0.1", &port, "1"])
        .await;
    for (key, value) in [
        ("down-after-milliseconds", "500"),
        ("failover-timeout", "2000"),
    ] {
        sentinel
            .must(&["SENTINEL", "SET", MASTER, key, value])
            .await;
    }
    sentinel
}

// === impl Cluster ===

impl Cluster {
    /// Starts three masters and waits until all slots are served.
    ///
    /// # Panics
    /// When they do not find each other.
    pub async fn start() -> Self {
        let mut masters = Vec::new();
        for _ in 0..3 {
            let bus = free_port().expect("a port is free").to_string();
            let options = Redis::options().set("cluster-enabled", "yes");
            masters.push(options.set("cluster-port", &bus).start().await);
        }
        let share = SLOTS.div_ceil(3);
        for (master, from) in masters.iter().zip((0..SLOTS).step_by(share as usize)) {
            let to = (from + share - 1).min(SLOTS - 1);
            let (from, to) = (from.to_string(), to.to_string());
            master.must(&["CLUSTER", "ADDSLOTSRANGE", &from, &to]).await;
        }
        for master in &masters[1..] {
            let Reply::Many(bus) = master.must(&["CONFIG", "GET", "cluster-port"]).await else {
                panic!("a list of settings is expected");
            };
            let bus = bus.last().cloned().and_then(|bus| bus.text().ok());
            let bus = bus.expect("the bus has a port");
            let port = master.port().to_string();
            masters[0]
                .must(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus])
                .await;
        }
        for master in &masters {
            wait::until("the cluster serves every slot", async || {
                let info = master.must(&["CLUSTER", "INFO"]).await.text().ok()?;
                let whole =
                    info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3");
                whole.then_some(())
            })
            .await;
        }
        Self { masters }
    }

    /// The URL of the cluster: two of its masters are enough to find the third.
    #[must_use]
    pub fn url(&self) -> String {
        let of = |at: usize| format!("127.0.0.1:{}", self.masters[at].port());
        format!("redis+cluster://{},{}", of(0), of(1))
    }
}
