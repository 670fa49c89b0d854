//! The task that talks to the ledger for all counters and gauges of the node.
//!
//! Owns when words are exchanged and what happens when they are not: visits those who called or whose time has come,
//! sends their asks together, one exchange at a time, and hands out the answers. A ledger that is silent for longer than
//! the node's patience is away: each counter then goes by its own policy, and the first answer brings everything back in
//! order by telling it all anew. Nobody waits for this task but sessions that have nothing left. Runs on the control
//! runtime.

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
    Book, Visit,
    bucket::Bucket,
    gauge::Gauge,
    ledger::{Ledger, LedgerError, Reply, Request},
    link::Link,
    time::Tick,
};

/// What the task works with.
#[derive(Debug)]
pub(super) struct Refill {
    pub(super) link: Arc<Link>,
    pub(super) book: Arc<Book>,
    pub(super) queue: UnboundedReceiver<Visit>,
    /// `None` where the ledger is in this process, and only time has to be kept.
    pub(super) ledger: Option<Ledger>,
    /// How long an exchange may take.
    pub(super) timeout: Duration,
    pub(super) agenda: Agenda,
    pub(super) log: FaultLog,
}

/// Who is to be visited when; each at most once.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    by_time: BTreeMap<(Tick, usize), Party>,
    times: HashMap<usize, Tick>,
}

/// Somebody who is visited.
#[derive(Clone, Debug)]
enum Party {
    Bucket(Arc<Bucket>),
    Gauge(Arc<Gauge>),
}

/// An ask on its way.
struct Flying {
    party: Party,
    seq: u64,
}

/// How often the ledger hears that the node lives, and the node whether the ledger is still the same.
const HELLO: Duration = Duration::from_millis(500);

/// For how long a counter that could not be kept is told of, in milliseconds: longer than until it is tried again.
const AILS: u64 = 1_500;

/// How many are visited for one exchange at most.
const BATCH: usize = 4096;

/// Lines in the log about the ledger in a minute.
pub(super) const LINES: usize = 6;

/// How often the book is looked through for counters that nobody needs.
const SWEEP: u64 = 10_000;

// === impl Refill ===

impl Refill {
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_millis(500));
        // When the ledger last answered; the node begins with patience.
        let mut heard = Tick::now();
        let mut hello_at = Tick::now();
        let mut since = None;
        let mut swept = Tick::now();
        let mut failing = false;
        // When a counter could last not be kept.
        let mut ailed = None;
        loop {
            let now = Tick::now();
            if now.since(swept) >= SWEEP {
                swept = now;
                self.book.sweep(now);
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
                            self.book.tell_again();
                        }
                        failing = false;
                        heard = Tick::now();
                        self.back(ailed.is_none_or(|at| heard.since(at) > AILS));
                        hello_at = heard.plus(millis(HELLO));
                    }
                    Err(error) => {
                        failing = true;
                        self.failed(&error, heard);
                        hello_at = Tick::now().plus(millis(backoff.wait()));
                    }
                }
                continue;
            }
            let mut settled = Vec::new();
            let mut parties = self.agenda.due(now);
            let next = self.agenda.next();
            if parties.is_empty() {
                let until = [next, self.ledger.is_some().then_some(hello_at)];
                let wait = until.into_iter().flatten().min();
                let wait = wait.map_or(HELLO, |at| Duration::from_millis(at.since(now).max(1)));
                tokio::select! {
                    biased;
                    visit = self.queue.recv() => match visit {
                        Some(visit) => take_in(visit, &mut parties, &mut settled),
                        None => return,
                    },
                    () = sleep(wait) => {}
                }
            }
            while parties.len() < BATCH {
                match self.queue.try_recv() {
                    Ok(visit) => take_in(visit, &mut parties, &mut settled),
                    Err(_) => break,
                }
            }
            if !settled.is_empty() {
                parties.extend(self.book.settle());
            }
            if let Err(error) = self.visit(parties, failing, &mut heard, &mut ailed).await {
                failing = true;
                self.failed(&error, heard);
                hello_at = Tick::now().plus(millis(backoff.wait()));
            }
            for done in settled {
                // Whoever asked may be gone.
                let _ = done.send(());
            }
        }
    }

    /// Visits some, asks for them, and hands out the answers.
    async fn visit(
        &mut self,
        parties: Vec<Party>,
        failing: bool,
        heard: &mut Tick,
        ailed: &mut Option<Tick>,
    ) -> Result<(), LedgerError> {
        let now = Tick::now();
        let mut requests = Vec::new();
        let mut flying = Vec::new();
        for party in parties {
            let (request, seq, next) = match &party {
                Party::Bucket(bucket) => {
                    let (ask, next) = bucket.visit(now);
                    let seq = ask.as_ref().map_or(0, |ask| ask.seq);
                    (ask.map(Request::Count), seq, next)
                }
                Party::Gauge(gauge) => {
                    let (ask, next) = gauge.visit(now);
                    let seq = ask.as_ref().map_or(0, |ask| ask.seq);
                    (ask.map(Request::Seat), seq, next)
                }
            };
            if let Some(next) = next {
                self.agenda.add(next, party.clone());
            }
            if let Some(request) = request {
                requests.push(request);
                flying.push(Flying { party, seq });
            }
        }
        if requests.is_empty() {
            return Ok(());
        }
        let Some(ledger) = &mut self.ledger else {
            return Ok(());
        };
        if failing {
            // Tried again when it answers at all.
            unanswered(&flying);
            return Ok(());
        }
        let (sent, began) = (Tick::now(), Instant::now());
        let exchanged = timeout(self.timeout, ledger.exchange(&requests)).await;
        let replies = match exchanged {
            Ok(Ok(replies)) => replies,
            Ok(Err(error)) => {
                unanswered(&flying);
                return Err(error);
            }
            Err(_) => {
                unanswered(&flying);
                return Err(LedgerError::silent(self.timeout));
            }
        };
        let now = Tick::now();
        *heard = now;
        self.exchanged(began);
        for (flying, reply) in flying.into_iter().zip(replies) {
            let next = match (&flying.party, reply) {
                (Party::Bucket(bucket), Reply::Count(answer)) => {
                    bucket.answered(flying.seq, sent, answer, now)
                }
                (Party::Gauge(gauge), Reply::Seat(answer)) => {
                    gauge.answered(flying.seq, answer, now)
                }
                (_, Reply::Failed(fault)) => {
                    *ailed = Some(now);
                    Some(self.ails(&flying, &fault, now))
                }
                _ => None,
            };
            if let Some(next) = next {
                self.agenda.add(next, flying.party);
            }
        }
        Ok(())
    }

    /// A counter that the ledger refuses is asked for again later, which is said.
    fn ails(&mut self, flying: &Flying, fault: &str, now: Tick) -> Tick {
        let again = now.plus(millis(HELLO));
        match &flying.party {
            Party::Bucket(bucket) => bucket.ails(flying.seq, again),
            Party::Gauge(gauge) => gauge.ails(flying.seq),
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

    /// The ledger answers, and `is_well` where no counter has had trouble lately.
    fn back(&self, is_well: bool) {
        if is_well {
            self.link.set_fault("");
            if let Some(line) = self.log.recovered() {
                tracing::info!(suppressed = line.suppressed, "ledger available again");
            }
        }
        if self.link.set_away(false) {
            self.book.wake();
        }
    }

    /// The ledger does not answer; after a while it is away.
    fn failed(&mut self, error: &LedgerError, heard: Tick) {
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
        let patience = millis(self.link.patience);
        if Tick::now().since(heard) >= patience && self.link.set_away(true) {
            self.book.wake();
        }
    }
}

fn take_in(visit: Visit, parties: &mut Vec<Party>, settled: &mut Vec<oneshot::Sender<()>>) {
    match visit {
        Visit::Bucket(bucket) => parties.push(Party::Bucket(bucket)),
        Visit::Gauge(gauge) => parties.push(Party::Gauge(gauge)),
        Visit::Settle(done) => settled.push(done),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn unanswered(flying: &[Flying]) {
    let now = Tick::now();
    for Flying { party, seq } in flying {
        match party {
            Party::Bucket(bucket) => bucket.unanswered(*seq, now),
            Party::Gauge(gauge) => gauge.unanswered(*seq),
        }
    }
}

// === impl Agenda ===

impl Agenda {
    fn add(&mut self, at: Tick, party: Party) {
        let id = match &party {
            Party::Bucket(bucket) => Arc::as_ptr(bucket) as usize,
            Party::Gauge(gauge) => Arc::as_ptr(gauge) as usize,
        };
        if let Some(&known) = self.times.get(&id) {
            if known <= at {
                return;
            }
            self.by_time.remove(&(known, id));
        }
        self.times.insert(id, at);
        self.by_time.insert((at, id), party);
    }

    fn due(&mut self, now: Tick) -> Vec<Party> {
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

// === impl Book ===

impl Book {
    /// Has everything that the node holds told to the ledger anew.
    fn tell_again(&self) {
        let entries = self.lock();
        entries.buckets.values().for_each(Bucket::tell_again);
        entries.gauges.values().for_each(Gauge::tell_again);
    }

    /// Has all who wait look again.
    fn wake(&self) {
        let entries = self.lock();
        entries.buckets.values().for_each(|bucket| bucket.wake());
        entries.gauges.values().for_each(|gauge| gauge.let_go());
    }

    /// Gives everything back; those who have to tell the ledger of it.
    fn settle(&self) -> Vec<Party> {
        let entries = self.lock();
        let buckets = entries.buckets.values();
        buckets
            .map(|bucket| {
                bucket.settle();
                Party::Bucket(bucket.clone())
            })
            .collect()
    }
}
