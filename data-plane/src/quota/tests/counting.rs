//! The model of counters that only count: where nothing is lost, everything that has passed is told of, once.

use std::{collections::HashMap, sync::Arc};

use proptest::prelude::{Strategy, prop, prop_assert_eq, prop_oneof, proptest};
use tidegate_proto::quota::Window;

use super::{Micros, NODES, config, counter, link, pick, pick_out};
use crate::quota::{
    Counter,
    bucket::{Bucket, Take},
    time::{COARSENESS, Tick},
};

/// What may happen next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A message of this size passes, by a clock that lies behind by so many microseconds.
    Take { node: usize, amount: u64, lag: u64 },
    /// A message goes on.
    Charge { node: usize, amount: u64 },
    /// A message is refused by another level.
    Refund { pick: usize },
    /// Time passes.
    Pass { micros: u64 },
    /// Time passes until so long after the window's last ten milliseconds.
    PassToTurn { micros: u64 },
}

struct Passed {
    node: usize,
    amount: u64,
    at: Tick,
    began: u64,
}

struct World {
    window: Window,
    ahead: [u64; NODES],
    buckets: [Arc<Bucket>; NODES],
    now: Micros,
    passed: Vec<Passed>,
    total: u64,
    /// By node: its window's beginning, and when it was first seen.
    opened: [(u64, Tick); NODES],
    /// By node and window: what was last told.
    told: HashMap<(usize, u64), u64>,
}

// === impl World ===

impl World {
    fn new(seconds: u64, ahead: [u64; NODES]) -> Self {
        let window = Window::try_new(seconds).unwrap();
        let counter = Counter {
            stops: false,
            ..counter(1, window)
        };
        let buckets = ahead.map(|ahead| {
            let link = link(1);
            link.clock
                .learn(Micros::START.tick(ahead), Micros::START.unix());
            Arc::new(Bucket::new(&counter, link))
        });
        Self {
            window,
            ahead,
            buckets,
            now: Micros::START,
            passed: Vec::new(),
            total: 0,
            opened: Default::default(),
            told: HashMap::new(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Take { node, amount, lag } => {
                let node = node % NODES;
                let at = Micros(self.now.0 - lag).tick(self.ahead[node]);
                assert_eq!(self.buckets[node].take(amount, at), Take::Taken);
                self.total += amount;
                let began = self.tell(node, at).expect("it has counted");
                self.passed.push(Passed {
                    node,
                    amount,
                    at,
                    began,
                });
            }
            Step::Charge { node, amount } => {
                let node = node % NODES;
                let at = self.now.tick(self.ahead[node]);
                self.buckets[node].charge(amount, at);
                self.total += amount;
                self.tell(node, at);
            }
            Step::Refund { pick } => {
                if let Some(passed) = pick_out(&mut self.passed, pick) {
                    let bucket = &self.buckets[passed.node];
                    bucket.refund(passed.amount, passed.at);
                    self.tell(passed.node, passed.at);
                    // Of a window that has turned everything was told; and what came by a clock that had not seen it turn
                    // is taken for its.
                    let (began, opened) = self.opened[passed.node];
                    if began == passed.began && opened <= passed.at {
                        self.total -= passed.amount;
                    }
                }
            }
            Step::Pass { micros } => self.now = Micros(self.now.0 + micros),
            Step::PassToTurn { micros } => {
                let window = u64::from(self.window.seconds()) * 1_000_000;
                let left = window - (self.now.unix() * 1000 + self.now.0 % 1000) % window;
                let micros = (left + micros).saturating_sub(10_000);
                self.now = Micros(self.now.0 + micros);
            }
        }
    }

    /// Tells what a node has spent, as often as there is something new; the beginning of its window.
    fn tell(&mut self, node: usize, now: Tick) -> Option<u64> {
        let (began, used) = self.buckets[node].spent(now)?;
        self.told.insert((node, began), used);
        if self.opened[node].0 != began {
            self.opened[node] = (began, now);
        }
        Some(began)
    }
}

fn step() -> impl Strategy<Value = Step> {
    let (node, amount) = (0..NODES, 1..9_u64);
    prop_oneof![
        8 => (node.clone(), amount.clone(), 0..COARSENESS * 1000)
            .prop_map(|(node, amount, lag)| Step::Take { node, amount, lag }),
        2 => (node, amount).prop_map(|(node, amount)| Step::Charge { node, amount }),
        2 => pick().prop_map(|pick| Step::Refund { pick }),
        2 => (1..3_000_000_u64).prop_map(|micros| Step::Pass { micros }),
        2 => (0..20_000_u64).prop_map(|micros| Step::PassToTurn { micros }),
    ]
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn what_only_counts_tells_of_all_that_has_passed(
        seconds in 1..=8_u64,
        ahead in prop::array::uniform3(0..5_000_000_u64),
        steps in prop::collection::vec(step(), 0..80),
    ) {
        let mut world = World::new(seconds, ahead);
        for step in steps {
            world.step(step);
            let told: u64 = world.told.values().sum();
            prop_assert_eq!(told, world.total, "after {:?}", step);
        }
    }
}
