//! The task that exchanges requests with the ledger for all buckets and gauges of the node.
//!
//! Owns the timing of requests and the handling of failures. It refreshes the buckets and gauges that are queued or
//! due, sends their requests together, one exchange at a time, and distributes the answers. A ledger that doesn't
//! answer for `ledger.unavailable_after_seconds` is unavailable: each counter then applies its `without_ledger`, and
//! after the first answer everything is reported again. Only sessions without a balance wait for this task. Runs on the
//! control runtime.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use tidegate_kit::{backoff::Backoff, fault_log::FaultLog};
use tokio::{
    sync::{mpsc::UnboundedReceiver, oneshot},
    time::{Instant, sleep, timeout},
};

use crate::quota::{
    CounterTable, RefillItem,
    bucket::Bucket,
    gauge::Gauge,
    ledger::{Ledger, LedgerError, Reply, Request},
    link::Link,
    time::Tick,
};

/// The state of the task.
#[derive(Debug)]
pub(super) struct RefillTask {
    pub(super) link: Arc<Link>,
    pub(super) counters: Arc<CounterTable>,
    pub(super) queue: UnboundedReceiver<RefillItem>,
    /// `None` if the ledger is in this process; then only windows have to be opened.
    pub(super) ledger: Option<Ledger>,
    /// The timeout of an exchange.
    pub(super) timeout: Duration,
    pub(super) schedule: Schedule,
    pub(super) log: FaultLog,
}

/// When buckets and gauges are due for a refresh; each is in it at most once.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    by_time: BTreeMap<(Tick, usize), Scheduled>,
    times: HashMap<usize, Tick>,
}

/// A bucket or gauge in the schedule.
#[derive(Clone, Debug)]
enum Scheduled {
    Bucket(Arc<Bucket>),
    Gauge(Arc<Gauge>),
}

/// A request that isn't answered yet.
struct InFlight {
    item: Scheduled,
    seq: u64,
}

/// The interval of pings, which keep the node registered and detect a replaced ledger.
const HELLO: Duration = Duration::from_millis(500);

/// How long the fault of a single counter is shown, in milliseconds: longer than until it is retried.
const FAULT_SHOWN: u64 = 1_500;

/// The maximum number of buckets and gauges in one exchange.
const BATCH: usize = 4096;

/// Log lines about the ledger per minute.
pub(super) const LINES: usize = 6;

/// The interval of the cleanup of unused counters, in milliseconds.
const SWEEP: u64 = 10_000;

// === impl RefillTask ===

impl RefillTask {
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_millis(500));
        // When the ledger last answered; at startup it counts as available.
        let mut answered_at = Tick::now();
        let mut hello_at = Tick::now();
        let mut since = None;
        let mut swept = Tick::now();
        let mut failing = false;
        // When the ledger last rejected a counter.
        let mut last_fault = None;
        loop {
            let now = Tick::now();
            if now.since(swept) >= SWEEP {
                swept = now;
                self.counters.sweep(now);
                if let Some(mut rules) = self.link.local() {
                    rules.sweep(self.link.clock.at(now));
                }
            }
            if self.ledger.is_some() && now >= hello_at {
                match self.hello().await {
                    Ok(hello) => {
                        backoff.reset();
                        let is_new = since.replace(hello) != Some(hello);
                        if is_new || failing {
                            self.counters.report_all();
                        }
                        failing = false;
                        answered_at = Tick::now();
                        self.back(last_fault.is_none_or(|at| answered_at.since(at) > FAULT_SHOWN));
                        hello_at = answered_at.plus(millis(HELLO));
                    }
                    Err(error) => {
                        failing = true;
                        self.failed(&error, answered_at);
                        hello_at = Tick::now().plus(millis(backoff.wait()));
                    }
                }
                continue;
            }
            let mut settled = Vec::new();
            let mut due = self.schedule.due(now);
            let next = self.schedule.next();
            if due.is_empty() {
                let until = [next, self.ledger.is_some().then_some(hello_at)];
                let wait = until.into_iter().flatten().min();
                let wait = wait.map_or(HELLO, |at| Duration::from_millis(at.since(now).max(1)));
                tokio::select! {
                    biased;
                    visit = self.queue.recv() => match visit {
                        Some(visit) => take_in(visit, &mut due, &mut settled),
                        None => return,
                    },
                    () = sleep(wait) => {}
                }
            }
            while due.len() < BATCH {
                match self.queue.try_recv() {
                    Ok(visit) => take_in(visit, &mut due, &mut settled),
                    Err(_) => break,
                }
            }
            if !settled.is_empty() {
                due.extend(self.counters.settle());
            }
            if let Err(error) = self
                .refresh(due, failing, &mut answered_at, &mut last_fault)
                .await
            {
                failing = true;
                self.failed(&error, answered_at);
                hello_at = Tick::now().plus(millis(backoff.wait()));
            }
            for done in settled {
                // The caller may be gone.
                let _ = done.send(());
            }
        }
    }

    /// Refreshes buckets and gauges, sends their requests, and distributes the answers.
    async fn refresh(
        &mut self,
        due: Vec<Scheduled>,
        failing: bool,
        answered_at: &mut Tick,
        last_fault: &mut Option<Tick>,
    ) -> Result<(), LedgerError> {
        let now = Tick::now();
        let mut requests = Vec::new();
        let mut in_flight = Vec::new();
        for item in due {
            let (request, seq, next) = match &item {
                Scheduled::Bucket(bucket) => {
                    let (request, next) = bucket.refresh(now);
                    let seq = request.as_ref().map_or(0, |request| request.seq);
                    (request.map(Request::Count), seq, next)
                }
                Scheduled::Gauge(gauge) => {
                    let (request, next) = gauge.refresh(now);
                    let seq = request.as_ref().map_or(0, |request| request.seq);
                    (request.map(Request::Seat), seq, next)
                }
            };
            if let Some(next) = next {
                self.schedule.add(next, item.clone());
            }
            if let Some(request) = request {
                requests.push(request);
                in_flight.push(InFlight { item, seq });
            }
        }
        if requests.is_empty() {
            return Ok(());
        }
        let Some(ledger) = &mut self.ledger else {
            return Ok(());
        };
        if failing {
            // Retried when the ledger is available again.
            unanswered(&in_flight);
            return Ok(());
        }
        let (sent, began) = (Tick::now(), Instant::now());
        let exchanged = timeout(self.timeout, ledger.exchange(&requests)).await;
        let replies = match exchanged {
            Ok(Ok(replies)) => replies,
            Ok(Err(error)) => {
                unanswered(&in_flight);
                return Err(error);
            }
            Err(_) => {
                unanswered(&in_flight);
                return Err(LedgerError::silent(self.timeout));
            }
        };
        let now = Tick::now();
        *answered_at = now;
        self.exchanged(began);
        for (in_flight, reply) in in_flight.into_iter().zip(replies) {
            let next = match (&in_flight.item, reply) {
                (Scheduled::Bucket(bucket), Reply::Count(answer)) => {
                    bucket.answered(in_flight.seq, sent, answer, now)
                }
                (Scheduled::Gauge(gauge), Reply::Seat(answer)) => {
                    gauge.answered(in_flight.seq, answer, now)
                }
                (_, Reply::Failed(fault)) => {
                    *last_fault = Some(now);
                    Some(self.mark_faulted(&in_flight, &fault, now))
                }
                _ => None,
            };
            if let Some(next) = next {
                self.schedule.add(next, in_flight.item);
            }
        }
        Ok(())
    }

    /// The ledger rejects a counter: shows the fault, and schedules a retry.
    fn mark_faulted(&mut self, in_flight: &InFlight, fault: &str, now: Tick) -> Tick {
        let again = now.plus(millis(HELLO));
        match &in_flight.item {
            Scheduled::Bucket(bucket) => bucket.mark_faulted(in_flight.seq, again),
            Scheduled::Gauge(gauge) => gauge.mark_faulted(in_flight.seq),
        }
        self.link.set_fault(fault);
        if let Some(line) = self.log.fault(fault) {
            let suppressed = line.suppressed;
            tracing::warn!(fault, suppressed, "the ledger rejects a counter");
        }
        again
    }

    async fn hello(&mut self) -> Result<u64, LedgerError> {
        let Some(ledger) = &mut self.ledger else {
            return Ok(0);
        };
        let began = Instant::now();
        let Ok(hello) = timeout(self.timeout, ledger.hello()).await else {
            return Err(LedgerError::silent(self.timeout));
        };
        let hello = hello?;
        let now = Tick::now();
        self.link.clock.learn(now, hello.now);
        self.link.set_nodes(hello.nodes);
        self.exchanged(began);
        Ok(hello.since)
    }

    fn exchanged(&self, began: Instant) {
        let took = began.elapsed().as_secs_f64();
        self.link.stats.durations.observe(took);
    }

    /// The ledger is available; `is_well` if it has rejected no counter lately.
    fn back(&self, is_well: bool) {
        if is_well {
            self.link.set_fault("");
            if let Some(line) = self.log.recovered() {
                tracing::info!(suppressed = line.suppressed, "ledger available again");
            }
        }
        if self.link.set_unavailable(false) {
            self.counters.wake();
        }
    }

    /// The ledger failed to answer; after a while it is considered unavailable.
    fn failed(&mut self, error: &LedgerError, answered_at: Tick) {
        self.link.stats.failures.inc();
        if let Some(ledger) = &mut self.ledger {
            ledger.disconnect();
        }
        let fault = error.to_string();
        self.link.set_fault(&fault);
        if let Some(line) = self.log.fault(&fault) {
            tracing::warn!(
                fault,
                suppressed = line.suppressed,
                "ledger request failed; remaining grants are used, then each plan and policy applies its `without_ledger` setting"
            );
        }
        let unavailable_after = millis(self.link.unavailable_after);
        if Tick::now().since(answered_at) >= unavailable_after && self.link.set_unavailable(true) {
            self.counters.wake();
        }
    }
}

fn take_in(visit: RefillItem, due: &mut Vec<Scheduled>, settled: &mut Vec<oneshot::Sender<()>>) {
    match visit {
        RefillItem::Bucket(bucket) => due.push(Scheduled::Bucket(bucket)),
        RefillItem::Gauge(gauge) => due.push(Scheduled::Gauge(gauge)),
        RefillItem::Settle(done) => settled.push(done),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn unanswered(in_flight: &[InFlight]) {
    let now = Tick::now();
    for InFlight { item, seq } in in_flight {
        match item {
            Scheduled::Bucket(bucket) => bucket.unanswered(*seq, now),
            Scheduled::Gauge(gauge) => gauge.unanswered(*seq),
        }
    }
}

// === impl Schedule ===

impl Schedule {
    fn add(&mut self, at: Tick, item: Scheduled) {
        let id = match &item {
            Scheduled::Bucket(bucket) => Arc::as_ptr(bucket) as usize,
            Scheduled::Gauge(gauge) => Arc::as_ptr(gauge) as usize,
        };
        if let Some(&known) = self.times.get(&id) {
            if known <= at {
                return;
            }
            self.by_time.remove(&(known, id));
        }
        self.times.insert(id, at);
        self.by_time.insert((at, id), item);
    }

    fn due(&mut self, now: Tick) -> Vec<Scheduled> {
        let mut due = Vec::new();
        while let Some(entry) = self.by_time.first_entry() {
            let (at, id) = *entry.key();
            if at > now || due.len() >= BATCH {
                break;
            }
            due.push(entry.remove());
            self.times.remove(&id);
        }
        due
    }

    fn next(&self) -> Option<Tick> {
        self.by_time.first_key_value().map(|((at, _), _)| *at)
    }
}

// === impl CounterTable ===

impl CounterTable {
    /// Reports everything that the node holds to the ledger again.
    fn report_all(&self) {
        let entries = self.lock();
        entries.buckets.values().for_each(Bucket::report_all);
        entries.gauges.values().for_each(Gauge::report_all);
    }

    /// Wakes all waiters.
    fn wake(&self) {
        let entries = self.lock();
        entries.buckets.values().for_each(|bucket| bucket.wake());
        entries
            .gauges
            .values()
            .for_each(|gauge| gauge.release_waiters());
    }

    /// Returns all balances. Gives the buckets that have to report it.
    fn settle(&self) -> Vec<Scheduled> {
        let entries = self.lock();
        let buckets = entries.buckets.values();
        buckets
            .map(|bucket| {
                bucket.settle();
                Scheduled::Bucket(bucket.clone())
            })
            .collect()
    }
}
