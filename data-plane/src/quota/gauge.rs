//! The number of open sessions under a limit, over all nodes, and the seats that sessions take in it.
//!
//! The node reports the total of its seats to the ledger with each request and every two seconds, so a lost report is
//! corrected by the next one. A node that doesn't report for [`LEASE`] has no seats. A seat is a guard, so none leaks.
//!
//! [`LEASE`]: crate::quota::rules::LEASE

use std::{
    collections::VecDeque,
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tidegate_proto::quota::WithoutLedger;
use tokio::sync::oneshot;

use crate::quota::{
    RefillItem,
    key::GaugeKey,
    link::Link,
    rules::{SeatRequest, SeatResponse},
    time::Tick,
};

/// The interval of reports without a change, in milliseconds.
pub const REFRESH: u64 = 2_000;

/// A gauge on this node.
#[derive(Debug)]
pub struct Gauge {
    name: String,
    link: Arc<Link>,
    state: Mutex<State>,
}

/// A session's seat in a gauge; freed on drop.
#[derive(Debug)]
pub struct Seat(Arc<Gauge>);

/// Why there is no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSeat {
    /// All seats are taken.
    Full,
    /// The ledger is unavailable, and no session may be opened without it.
    Unavailable,
}

#[derive(Debug, Default)]
struct State {
    taken: u64,
    seq: u64,
    /// The request that isn't answered yet.
    in_flight: Option<SeatsInFlight>,
    waiting: VecDeque<Waiting>,
    queued: bool,
    /// The earliest time of the next request.
    not_before: Tick,
    reported_at: Tick,
    reported: u64,
}

/// A request that isn't answered yet.
#[derive(Clone, Copy, Debug)]
struct SeatsInFlight {
    seq: u64,
    /// The number of seats that it wants, for waiters under this limit.
    want: u64,
    limit: u64,
}

/// A waiter for a seat.
#[derive(Debug)]
struct Waiting {
    limit: u64,
    answer: oneshot::Sender<Option<Seat>>,
}

/// The binary logarithm of the maximum number of requests of a gauge per millisecond.
const SEQ_BITS: u32 = 10;

// === impl Gauge ===

impl Gauge {
    /// A gauge without sessions.
    #[must_use]
    pub fn new(key: &GaugeKey, link: Arc<Link>) -> Self {
        Self {
            name: key.to_string(),
            link,
            state: Mutex::new(State {
                // Higher than any number that a previous gauge of this name used, which the ledger may still remember.
                seq: Tick::now().millis() << SEQ_BITS,
                ..State::default()
            }),
        }
    }

    /// The number of seats of this node's sessions.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.state().taken
    }

    /// Takes a seat if fewer than `limit` are taken. Waits for the ledger until it is considered unavailable.
    ///
    /// # Errors
    /// When there is none.
    pub async fn enter(
        self: &Arc<Self>,
        limit: NonZeroU32,
        without_ledger: WithoutLedger,
    ) -> Result<Seat, NoSeat> {
        let limit = u64::from(limit.get());
        if self.link.is_local() {
            return self.enter_local(limit);
        }
        if self.link.is_unavailable() {
            return self.enter_without_ledger(limit, without_ledger);
        }
        let (answer, answered) = oneshot::channel();
        {
            let mut state = self.state();
            state.waiting.push_back(Waiting { limit, answer });
            self.enqueue(&mut state);
        }
        match tokio::time::timeout(self.link.unavailable_after, answered).await {
            Ok(Ok(Some(seat))) => Ok(seat),
            Ok(Ok(None)) => Err(NoSeat::Full),
            // The ledger is slow, or has just become unavailable.
            Ok(Err(_)) | Err(_) => self.enter_without_ledger(limit, without_ledger),
        }
    }

    /// Takes a seat whatever the limit, for a session that is already open or is only counted. The ledger gets a
    /// report, not a request.
    #[must_use]
    pub fn join(self: &Arc<Self>) -> Seat {
        self.occupy(&mut self.state())
    }

    /// Takes a seat if the ledger is in this process. This count is then the whole ledger.
    fn enter_local(self: &Arc<Self>, limit: u64) -> Result<Seat, NoSeat> {
        let mut state = self.state();
        if state.taken >= limit {
            return Err(NoSeat::Full);
        }
        Ok(self.occupy(&mut state))
    }

    fn enter_without_ledger(
        self: &Arc<Self>,
        limit: u64,
        without_ledger: WithoutLedger,
    ) -> Result<Seat, NoSeat> {
        let mut state = self.state();
        match without_ledger {
            WithoutLedger::Deny => return Err(NoSeat::Unavailable),
            WithoutLedger::Share if state.taken >= limit / self.link.nodes() => {
                return Err(NoSeat::Full);
            }
            WithoutLedger::Share | WithoutLedger::Allow => {}
        }
        Ok(self.occupy(&mut state))
    }

    fn occupy(self: &Arc<Self>, state: &mut State) -> Seat {
        state.taken += 1;
        if !self.link.is_local() {
            self.enqueue(state);
        }
        Seat(self.clone())
    }

    fn enqueue(self: &Arc<Self>, state: &mut State) {
        if !std::mem::replace(&mut state.queued, true) {
            self.link.enqueue(RefillItem::Gauge(self.clone()));
        }
    }

    /// Refreshes the gauge: returns the next request, if any, and when to refresh it again.
    pub(super) fn refresh(&self, now: Tick) -> (Option<SeatRequest>, Option<Tick>) {
        let mut state = self.state();
        state.queued = false;
        // Drop waiters that have given up.
        state.waiting.retain(|waiting| !waiting.answer.is_closed());
        // The first waiters, as far as they have the same limit.
        let limit = state.waiting.front().map_or(0, |first| first.limit);
        let alike = state.waiting.iter().take_while(|it| it.limit == limit);
        let want = if now >= state.not_before {
            alike.count() as u64
        } else {
            0
        };
        let is_due = state.taken > 0 && now.since(state.reported_at) >= REFRESH;
        let next = state.next(now);
        if state.in_flight.is_some() || (want == 0 && state.reported == state.taken && !is_due) {
            return (None, next);
        }
        state.seq += 1;
        state.in_flight = Some(SeatsInFlight {
            seq: state.seq,
            want,
            limit,
        });
        state.reported = state.taken;
        state.reported_at = now;
        let request = SeatRequest {
            key: self.name.clone(),
            limit,
            seq: state.seq,
            taken: state.taken,
            want,
        };
        (Some(request), state.next(now))
    }

    /// Applies the ledger's answer to the request with this number. Returns when to refresh again.
    pub(super) fn answered(
        self: &Arc<Self>,
        seq: u64,
        answer: SeatResponse,
        now: Tick,
    ) -> Option<Tick> {
        let mut state = self.state();
        let in_flight = state.in_flight.take_if(|in_flight| in_flight.seq == seq)?;
        let mut refused = Vec::new();
        let mut seated = Vec::new();
        match answer {
            SeatResponse::Granted(granted) => {
                state.taken += granted;
                state.reported += granted;
                for nth in 0..in_flight.want {
                    let is_meant = |it: &mut Waiting| it.limit == in_flight.limit;
                    let Some(waiting) = state.waiting.pop_front_if(is_meant) else {
                        // The waiter has given up.
                        state.taken -= u64::from(nth < granted);
                        continue;
                    };
                    if nth < granted {
                        seated.push((waiting.answer, Seat(self.clone())));
                    } else {
                        refused.push(waiting.answer);
                    }
                }
            }
            SeatResponse::Learning { wait } => state.not_before = now.plus(wait),
            SeatResponse::Outdated => {}
        }
        if !state.waiting.is_empty() || state.reported != state.taken {
            self.enqueue(&mut state);
        }
        let next = state.next(now);
        drop(state);
        // A seat that isn't taken is dropped here, which locks the state.
        for (waiting, seat) in seated {
            drop(waiting.send(Some(seat)));
        }
        for waiting in refused {
            drop(waiting.send(None));
        }
        next
    }

    /// The request with this number got no answer. Waiters continue until the ledger is considered unavailable.
    pub(super) fn unanswered(&self, seq: u64) {
        let mut state = self.state();
        state.in_flight.take_if(|in_flight| in_flight.seq == seq);
        state.reported = u64::MAX;
    }

    /// The ledger is available but rejects this gauge. Waiters continue at once without it.
    pub(super) fn mark_faulted(&self, seq: u64) {
        self.unanswered(seq);
        self.release_waiters();
    }

    /// Reports everything to the ledger again.
    pub(super) fn report_all(self: &Arc<Self>) {
        let mut state = self.state();
        // Also if the report of the last closed session was lost.
        if state.taken > 0 || state.reported != state.taken {
            state.reported = u64::MAX;
            self.enqueue(&mut state);
        }
    }

    /// Lets waiters continue without the ledger, because it is unavailable.
    pub(super) fn release_waiters(&self) {
        self.state().waiting.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    fn next(&self, now: Tick) -> Option<Tick> {
        let refresh = (self.taken > 0).then(|| self.reported_at.plus(REFRESH));
        let waiting = (!self.waiting.is_empty()).then_some(self.not_before);
        let next = [refresh, waiting].into_iter().flatten().min();
        next.map(|tick| tick.max(now.plus(1)))
    }
}

// === impl Seat ===

impl Seat {
    /// The gauge.
    #[must_use]
    pub const fn gauge(&self) -> &Arc<Gauge> {
        &self.0
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.taken = state.taken.saturating_sub(1);
        if !self.0.link.is_local() {
            self.0.enqueue(&mut state);
        }
    }
}

#[cfg(test)]
mod tests;
