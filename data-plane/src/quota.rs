//! Quotas: what each session is limited by, and how much of it is left.
//!
//! Owns the node's counters: one for each name, kept while its window runs, whoever comes and goes. Counts in this
//! process. Refuses to know sockets and frames (`relay`). Asked by `admit` for handshakes and by `quota::meter` for messages.

pub mod key;
pub mod bucket;
pub mod gauge;
pub mod levels;
pub mod limiter;
pub mod meter;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tidegate_kit::{clock::Clock, tasks::Tasks};
use tidegate_proto::quota::{Amount, Window, WithoutLedger};
use tokio::time::Instant;

use bucket::Bucket;
use gauge::Gauge;
use key::{CounterKey, GaugeKey};

/// What is counted, and how much of it is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// What is counted.
    pub key: CounterKey,
    /// How much is allowed.
    pub amount: Amount,
    /// In how long a time.
    pub window: Window,
    /// What holds while the ledger cannot be asked.
    pub without_ledger: WithoutLedger,
    /// Whether it stops at the limit.
    pub stops: bool,
}

/// The node's counters. Clones share them.
#[derive(Clone, Debug)]
pub struct Quotas(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Where timers run that wake those who wait for a window to turn.
    tasks: Tasks,
    /// When Unix time was this many seconds, as both clocks had it at the start.
    began: (Instant, Duration),
    counters: Mutex<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    buckets: HashMap<CounterKey, Arc<Bucket>>,
    gauges: HashMap<GaugeKey, Arc<Gauge>>,
    /// At how many the unused ones are swept out next.
    sweep_at: usize,
}

/// Fewer than this are not worth looking through.
const SWEEP_AT_LEAST: usize = 1024;

// === impl Quotas ===

impl Quotas {
    /// No counters yet. Timers run among `tasks`.
    #[must_use]
    pub fn new(tasks: Tasks) -> Self {
        let unix = Duration::from_millis(Clock::System.now_millis());
        Self(Arc::new(Shared {
            tasks,
            began: (Instant::now(), unix),
            counters: Mutex::default(),
        }))
    }

    /// The one bucket of a counter. Its limit is from now on the one that is given here.
    #[must_use]
    pub fn bucket(&self, counter: &Counter) -> Arc<Bucket> {
        let mut counters = self.lock();
        counters.sweep();
        let bucket = counters
            .buckets
            .entry(counter.key.clone())
            .or_insert_with(|| {
                let window = counter.window.duration();
                Arc::new(Bucket::new(self.0.tasks.clone(), self.0.began, window))
            })
            .clone();
        drop(counters);
        bucket.allow(counter.amount, counter.stops);
        bucket
    }

    /// The one gauge of a key.
    #[must_use]
    pub fn gauge(&self, key: GaugeKey) -> Arc<Gauge> {
        let mut counters = self.lock();
        counters.sweep();
        counters.gauges.entry(key).or_default().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Counters> {
        let counters = &self.0.counters;
        counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Counters ===

impl Counters {
    /// Forgets counters that nobody holds and that say nothing any more; now and then, so that it costs each new counter
    /// a constant.
    fn sweep(&mut self) {
        let held = self.buckets.len() + self.gauges.len();
        if held < self.sweep_at.max(SWEEP_AT_LEAST) {
            return;
        }
        let now = Instant::now();
        self.buckets
            .retain(|_, bucket| Arc::strong_count(bucket) > 1 || !bucket.is_fresh(now));
        self.gauges.retain(|_, gauge| Arc::strong_count(gauge) > 1);
        self.sweep_at = 2 * (self.buckets.len() + self.gauges.len());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tidegate_kit::tasks::Tasks;
    use tidegate_proto::quota::{Amount, Window, WithoutLedger};
    use tokio::time::Instant;

    use super::{
        Counter, Quotas, SWEEP_AT_LEAST,
        bucket::Take,
        key::{CounterKey, Unit},
        levels::Level,
    };

    fn counter(subject: &str) -> Counter {
        Counter {
            key: CounterKey {
                level: Level::Api,
                subject: subject.into(),
                unit: Unit::Messages,
                window: Window::MINUTE,
            },
            amount: Amount::try_new(3).unwrap(),
            window: Window::MINUTE,
            without_ledger: WithoutLedger::Share,
            stops: true,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_counter_outlives_its_sessions_until_its_window_is_over() {
        let quotas = Quotas::new(Tasks::current());
        let left = |quotas: &Quotas| quotas.bucket(&counter("one")).view().remaining;
        assert_eq!(
            quotas.bucket(&counter("one")).take(2, Instant::now()),
            Take::Taken
        );
        for n in 0..4 * SWEEP_AT_LEAST {
            drop(quotas.bucket(&counter(&n.to_string())));
        }
        assert_eq!(left(&quotas), 1);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(left(&quotas), 3);
        for n in 0..4 * SWEEP_AT_LEAST {
            drop(quotas.bucket(&counter(&n.to_string())));
        }
        assert!(quotas.lock().buckets.len() <= 4 * SWEEP_AT_LEAST);
    }
}
