//! Models of the whole: nodes with real counters and gauges, a ledger with the real rules, and between them a network that
//! loses words, delays them and brings them out of order, while nodes crash, clocks differ, windows turn and the ledger
//! itself is lost. Here is what the models share.

mod counters;
mod counting;
mod seats;
mod words;

use std::{sync::Arc, time::Duration};

use proptest::{
    prelude::{Strategy, any},
    test_runner::{Config, RngSeed},
};
use tidegate_proto::quota::{Amount, Window, WithoutLedger};
use tokio::sync::mpsc;

use super::{
    Counter,
    bucket::{Bucket, Take},
    key::{CounterKey, Unit},
    levels::Level,
    link::Link,
    rules::LEARNING,
    time::Tick,
};

/// Where the ledger's clock begins: in the middle of a window of any length below.
const UNIX: u64 = 1_700_000_000_700;

const NODES: usize = 3;

/// How long a node may take to notice that the ledger is another, and to tell it what it holds: a sign of life is due every
/// half second, and is tried again. Shorter than the ledger waits for it.
const NOTICED: u64 = LEARNING - 500;

/// A point in time, in microseconds: clocks that show milliseconds turn at different ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Micros(u64);

// === impl Micros ===

impl Micros {
    const START: Self = Self(10_000_000);

    fn plus_millis(self, millis: u64) -> Self {
        Self(self.0 + millis * 1000)
    }

    /// What a node's clock shows that is ahead by so many microseconds.
    fn tick(self, ahead: u64) -> Tick {
        Tick::from_millis((self.0 + ahead) / 1000)
    }

    /// What the ledger's clock shows: milliseconds of Unix time.
    fn unix(self) -> u64 {
        UNIX + self.0 / 1000
    }
}

/// The same schedules each time; docs/TESTING.md says how to try others.
fn config(cases: u32) -> Config {
    Config {
        cases,
        rng_seed: RngSeed::Fixed(1),
        ..Config::default()
    }
}

fn counter(limit: u64, window: Window) -> Counter {
    Counter {
        key: CounterKey {
            level: Level::Subscription,
            subject: "1".into(),
            unit: Unit::Messages,
            window,
        },
        amount: Amount::try_new(limit).unwrap(),
        window,
        without_ledger: WithoutLedger::Deny,
        stops: true,
    }
}

/// The way to a ledger that so many nodes share.
fn link(nodes: u32) -> Arc<Link> {
    let (queue, _) = mpsc::unbounded_channel();
    Arc::new(Link::new(UNIX, nodes, Duration::from_secs(1), false, queue))
}

/// One of several, by number.
fn pick_out<T>(from: &mut Vec<T>, pick: usize) -> Option<T> {
    (!from.is_empty()).then(|| from.swap_remove(pick % from.len()))
}

fn pick() -> impl Strategy<Value = usize> + Clone {
    any::<usize>()
}

/// A counter of the ledger in this process, with which the task that keeps time looks after it at the worst moment.
#[tokio::test(start_paused = true)]
async fn a_message_never_waits_for_a_ledger_that_is_in_this_process() {
    let (queue, _visits) = mpsc::unbounded_channel();
    let link = Arc::new(Link::new(UNIX, 1, Duration::from_secs(1), true, queue));
    let counter = counter(5_000, Window::try_new(60).unwrap());
    let bucket = Arc::new(Bucket::new(&counter, link));
    for _ in 0..5_000 {
        assert_eq!(bucket.take(1, Tick::now()), Take::Taken);
        let (ask, _) = bucket.refresh(Tick::now());
        assert_eq!(ask, None, "everybody asks for himself");
    }
    assert!(matches!(
        bucket.take(1, Tick::now()),
        Take::Exhausted { .. }
    ));
}
