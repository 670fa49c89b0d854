//! The scripts in Redis do the same as the ledger's rules in Rust: the same requests at the same time have the same
//! replies.
//!
//! Time is Redis's own. An ask of a window that is long over is answered with the time and changes nothing: one before and
//! one after each ask say between which milliseconds it was answered, most often within one. Where it was not, the rules
//! are followed for each of them, until an answer shows which it was.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tidegate_data_plane::quota::{
    ledger::{Credentials, Ledger, Reply, Request, Target},
    rules::{GrantRequest, GrantResponse, Rules, SeatRequest, SeatResponse},
};
use tidegate_integration_tests::redis::Redis;

/// Ledgers beside each other, and nodes that ask each.
const LEDGERS: usize = 24;
const NODES: usize = 3;

/// For how long: longer than a node that has gone silent keeps its seats, and is counted.
const TIME: Duration = Duration::from_millis(13_000);

/// When one of the nodes is silent.
const SILENCE: std::ops::Range<Duration> = Duration::from_secs(2)..Duration::from_millis(11_500);

/// For how long a node is counted, in milliseconds.
const GONE: u64 = 10_000;

struct Shared {
    url: String,
    environment: String,
    nodes: Vec<Node>,
    next_id: u64,
    /// By the rules, for each time at which Redis may have answered.
    rules: Vec<Rules>,
    /// When each node gave its last sign of life.
    signs: HashMap<u64, u64>,
    now: u64,
    asked: HashSet<&'static str>,
}

struct Node {
    id: u64,
    ledger: Ledger,
    /// The last number that it has used.
    seq: u64,
}

impl Shared {
    fn new(url: &str, environment: String) -> Self {
        let mut shared = Self {
            url: url.to_owned(),
            environment,
            nodes: Vec::new(),
            next_id: 0,
            rules: vec![Rules::default()],
            signs: HashMap::new(),
            now: 0,
            asked: HashSet::new(),
        };
        for _ in 0..NODES {
            let node = shared.node();
            shared.nodes.push(node);
        }
        shared
    }

    fn node(&mut self) -> Node {
        self.next_id += 1;
        let target = Target::parse(&self.url, None, Credentials::default()).unwrap();
        Node {
            id: self.next_id,
            ledger: Ledger::new(target, &self.environment),
            seq: 0,
        }
    }

    /// Another environment is a ledger that has lost everything.
    fn forget(&mut self, round: usize) {
        self.environment.push_str(&format!("-{round}"));
        for at in 0..NODES {
            self.nodes[at] = self.node();
        }
        self.rules = vec![Rules::default()];
        self.signs.clear();
    }

    async fn step(&mut self, rng: &mut StdRng, at: usize) {
        match rng.random_range(0..20) {
            0 => self.hello(at).await,
            1..10 => {
                let ask = self.count(rng, at);
                self.ask(at, Request::Count(ask)).await;
            }
            _ => {
                let ask = self.seat(rng, at);
                self.ask(at, Request::Seat(ask)).await;
            }
        }
    }

    async fn hello(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let hello = node.ledger.hello().await.unwrap();
        self.now = hello.now;
        self.signs.insert(node.id, hello.now);
        let there = self.signs.values().filter(|sign| **sign + GONE > hello.now);
        assert_eq!(hello.nodes, there.count() as u64);
        self.rules
            .retain_mut(|rules| rules.since(hello.now) == hello.since);
        assert!(!self.rules.is_empty(), "{hello:?}");
    }

    /// The next number, or one that comes late.
    fn seq(&mut self, rng: &mut StdRng, at: usize) -> u64 {
        let node = &mut self.nodes[at];
        if rng.random_ratio(1, 5) {
            return rng
                .random_range(node.seq.saturating_sub(8)..=node.seq)
                .max(1);
        }
        node.seq += 1;
        node.seq
    }

    fn count(&mut self, rng: &mut StdRng, at: usize) -> GrantRequest {
        let window = [1_000, 3_000, 60_000][rng.random_range(0..3)];
        let epoch = self.now / window;
        let net = rng.random_range(0..30);
        GrantRequest {
            key: format!("counter:{window}:{}", rng.random_range(0..2)),
            window,
            epoch: if rng.random_ratio(1, 10) {
                epoch + rng.random_range(0..3) - 1
            } else {
                epoch
            },
            limit: rng.random_range(1..100),
            seq: self.seq(rng, at),
            net,
            unspent: rng.random_range(0..=net),
            need: rng.random_range(0..6),
            want: rng.random_range(0..20),
        }
    }

    fn seat(&mut self, rng: &mut StdRng, at: usize) -> SeatRequest {
        SeatRequest {
            key: format!("gauge:{}", rng.random_range(0..2)),
            limit: rng.random_range(1..10),
            seq: self.seq(rng, at),
            taken: rng.random_range(0..4),
            want: rng.random_range(0..4),
        }
    }

    /// Asks Redis and the rules.
    async fn ask(&mut self, at: usize, request: Request) {
        let node = &mut self.nodes[at];
        let said = format!("{request:?}");
        let requests = [
            Request::Count(what_time()),
            request,
            Request::Count(what_time()),
        ];
        let replies = node.ledger.exchange(&requests).await.unwrap();
        let [
            Reply::Count(GrantResponse::Stale { now: from }),
            reply,
            Reply::Count(GrantResponse::Stale { now: to }),
        ] = &replies[..]
        else {
            panic!("{replies:?}");
        };
        self.now = *to;
        let mut followed = Vec::new();
        for rules in &mut self.rules {
            // Whoever is asked first makes the ledger.
            rules.since(*from);
            for now in *from..=*to {
                let mut rules = rules.clone();
                let is_alike = match (&requests[1], reply) {
                    (Request::Count(ask), Reply::Count(answer)) => {
                        rules.grant(node.id, ask, now) == *answer
                    }
                    (Request::Seat(ask), Reply::Seat(seats)) => {
                        rules.seat(node.id, ask, now) == *seats
                    }
                    _ => false,
                };
                if is_alike {
                    followed.push(rules);
                }
            }
        }
        assert!(
            !followed.is_empty(),
            "Redis answers {said} of node {} with {reply:?} between {from} and {to}; the rules: {:?}",
            node.id,
            self.rules
        );
        // What makes no difference for so long makes none.
        followed.truncate(64);
        self.rules = followed;
        self.asked.insert(kind(reply));
    }
}

/// An ask that is answered with the time.
fn what_time() -> GrantRequest {
    GrantRequest {
        key: "time".to_owned(),
        window: 1_000,
        epoch: 0,
        limit: 1,
        seq: 1,
        net: 0,
        unspent: 0,
        need: 0,
        want: 0,
    }
}

fn kind(reply: &Reply) -> &'static str {
    match reply {
        Reply::Count(GrantResponse::Granted(grant)) if grant.granted == 0 => "nothing granted",
        Reply::Count(GrantResponse::Granted(_)) => "granted",
        Reply::Count(GrantResponse::Stale { .. }) => "stale",
        Reply::Count(GrantResponse::Learning { .. }) => "learning",
        Reply::Count(GrantResponse::Outdated) => "outdated",
        Reply::Seat(SeatResponse::Granted(0)) => "no seats",
        Reply::Seat(SeatResponse::Granted(_)) => "seats",
        Reply::Seat(SeatResponse::Learning { .. }) => "learning seats",
        Reply::Seat(SeatResponse::Outdated) => "outdated seats",
        Reply::Failed(_) => "failed",
    }
}

#[tokio::test]
async fn redis_answers_as_the_rules_say() {
    let redis = Redis::start().await;
    let url = redis.url();
    let mut ledgers: Vec<_> = (0..LEDGERS)
        .map(|nth| Shared::new(&url, format!("rules-{nth}")))
        .collect();
    for shared in &mut ledgers {
        for at in 0..NODES {
            shared.hello(at).await;
        }
    }
    let mut rng = StdRng::seed_from_u64(1);
    let began = Instant::now();
    let mut steps = 0;
    while began.elapsed() < TIME {
        let shared = &mut ledgers[steps % LEDGERS];
        let is_silent = SILENCE.contains(&began.elapsed());
        let at = rng.random_range(0..if is_silent { NODES - 1 } else { NODES });
        match rng.random_range(0..4_000) {
            0 => shared.forget(steps),
            1..4 => shared.nodes[at] = shared.node(),
            _ => shared.step(&mut rng, at).await,
        }
        steps += 1;
    }
    let asked: HashSet<_> = ledgers.iter().flat_map(|shared| &shared.asked).collect();
    assert_eq!(asked.len(), 9, "{asked:?}");
    assert!(steps > 2_000, "{steps}");
}
