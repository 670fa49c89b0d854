//! A count of sessions that are open at the same time, over all nodes, and the seats that sessions have in it.
//!
//! The node tells the ledger how many seats its sessions have, in full, each time one is wanted and every two seconds:
//! what was lost on the way is made good by the next word, and a node that says nothing for [`LEASE`] has none. A seat is
//! a guard, so that nothing leaks.
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
    Visit,
    key::GaugeKey,
    link::Link,
    rules::{SeatAsk, Seats},
    time::Tick,
};

/// How often the ledger is told what it was told before, in milliseconds.
pub const REFRESH: u64 = 2_000;

/// A gauge on this node.
#[derive(Debug)]
pub struct Gauge {
    name: String,
    link: Arc<Link>,
    state: Mutex<State>,
}

/// A session's place in a gauge; free when it is dropped.
#[derive(Debug)]
pub struct Seat(Arc<Gauge>);

/// Why there is no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSeat {
    /// All are taken.
    Full,
    /// The ledger cannot be asked, and nobody may be let in without it.
    Unavailable,
}

#[derive(Debug, Default)]
struct State {
    taken: u64,
    seq: u64,
    /// The ask that is not answered yet.
    flying: Option<Flying>,
    waiting: VecDeque<Waiting>,
    called: bool,
    /// Not before this is there any use in asking.
    again: Tick,
    told_at: Tick,
    told: u64,
}

/// An ask on its way.
#[derive(Clone, Copy, Debug)]
struct Flying {
    seq: u64,
    /// How many seats it wants, for those who wait under this limit.
    want: u64,
    limit: u64,
}

/// Somebody who wants a seat.
#[derive(Debug)]
struct Waiting {
    limit: u64,
    answer: oneshot::Sender<Option<Seat>>,
}

/// More asks than this, as a power of two, no gauge makes in a millisecond.
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
                // Beyond what a gauge of this name has used before it was forgotten: the ledger remembers it for a while.
                seq: Tick::now().millis() << SEQ_BITS,
                ..State::default()
            }),
        }
    }

    /// How many seats this node's sessions have.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.state().taken
    }

    /// Takes a seat where fewer than `limit` are taken; waits for the ledger no longer than the node's patience.
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
            return self.enter_here(limit);
        }
        if self.link.is_away() {
            return self.enter_alone(limit, without_ledger);
        }
        let (answer, answered) = oneshot::channel();
        {
            let mut state = self.state();
            state.waiting.push_back(Waiting { limit, answer });
            self.call(&mut state);
        }
        match tokio::time::timeout(self.link.patience, answered).await {
            Ok(Ok(Some(seat))) => Ok(seat),
            Ok(Ok(None)) => Err(NoSeat::Full),
            // The ledger is slow, or has just gone.
            Ok(Err(_)) | Err(_) => self.enter_alone(limit, without_ledger),
        }
    }

    /// A seat whatever the limit, for a session that is there already or is only counted: the ledger is told and not asked.
    #[must_use]
    pub fn join(self: &Arc<Self>) -> Seat {
        self.sit(&mut self.state())
    }

    /// Takes a seat in the ledger of this process, which is this count and nothing else.
    fn enter_here(self: &Arc<Self>, limit: u64) -> Result<Seat, NoSeat> {
        let mut state = self.state();
        if state.taken >= limit {
            return Err(NoSeat::Full);
        }
        Ok(self.sit(&mut state))
    }

    fn enter_alone(
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
        Ok(self.sit(&mut state))
    }

    fn sit(self: &Arc<Self>, state: &mut State) -> Seat {
        state.taken += 1;
        if !self.link.is_local() {
            self.call(state);
        }
        Seat(self.clone())
    }

    fn call(self: &Arc<Self>, state: &mut State) {
        if !std::mem::replace(&mut state.called, true) {
            self.link.call(Visit::Gauge(self.clone()));
        }
    }

    /// A visit: what the ledger is to be asked, if anything, and when to come again.
    pub(super) fn visit(&self, now: Tick) -> (Option<SeatAsk>, Option<Tick>) {
        let mut state = self.state();
        state.called = false;
        // Who no longer waits wants nothing.
        state.waiting.retain(|waiting| !waiting.answer.is_closed());
        // Those who come first, as far as they go by one limit.
        let limit = state.waiting.front().map_or(0, |first| first.limit);
        let alike = state.waiting.iter().take_while(|it| it.limit == limit);
        let want = if now >= state.again {
            alike.count() as u64
        } else {
            0
        };
        let is_due = state.taken > 0 && now.since(state.told_at) >= REFRESH;
        let next = state.next(now);
        if state.flying.is_some() || (want == 0 && state.told == state.taken && !is_due) {
            return (None, next);
        }
        state.seq += 1;
        state.flying = Some(Flying {
            seq: state.seq,
            want,
            limit,
        });
        state.told = state.taken;
        state.told_at = now;
        let ask = SeatAsk {
            key: self.name.clone(),
            limit,
            seq: state.seq,
            taken: state.taken,
            want,
        };
        (Some(ask), state.next(now))
    }

    /// The ledger's answer to the ask of this number; when to come again.
    pub(super) fn answered(self: &Arc<Self>, seq: u64, answer: Seats, now: Tick) -> Option<Tick> {
        let mut state = self.state();
        let flying = state.flying.take_if(|flying| flying.seq == seq)?;
        let mut refused = Vec::new();
        let mut seated = Vec::new();
        match answer {
            Seats::Granted(granted) => {
                state.taken += granted;
                state.told += granted;
                for nth in 0..flying.want {
                    let is_meant = |it: &mut Waiting| it.limit == flying.limit;
                    let Some(waiting) = state.waiting.pop_front_if(is_meant) else {
                        // Nobody is left to take it.
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
            Seats::Learning { wait } => state.again = now.plus(wait),
            Seats::Outdated => {}
        }
        if !state.waiting.is_empty() || state.told != state.taken {
            self.call(&mut state);
        }
        let next = state.next(now);
        drop(state);
        // A seat that nobody takes is dropped here, which locks the state.
        for (waiting, seat) in seated {
            drop(waiting.send(Some(seat)));
        }
        for waiting in refused {
            drop(waiting.send(None));
        }
        next
    }

    /// The ask of this number got no answer; whoever waits longer than the node's patience decides alone.
    pub(super) fn unanswered(&self, seq: u64) {
        let mut state = self.state();
        state.flying.take_if(|flying| flying.seq == seq);
        state.told = u64::MAX;
    }

    /// The ledger cannot keep this count, though it answers: those who wait decide alone, at once.
    pub(super) fn ails(&self, seq: u64) {
        self.unanswered(seq);
        self.let_go();
    }

    /// Everything is to be told to the ledger anew.
    pub(super) fn tell_again(self: &Arc<Self>) {
        let mut state = self.state();
        // Also that the last session has left, where that was not heard.
        if state.taken > 0 || state.told != state.taken {
            state.told = u64::MAX;
            self.call(&mut state);
        }
    }

    /// Those who wait decide alone: the ledger is away.
    pub(super) fn let_go(&self) {
        self.state().waiting.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    fn next(&self, now: Tick) -> Option<Tick> {
        let refresh = (self.taken > 0).then(|| self.told_at.plus(REFRESH));
        let waiting = (!self.waiting.is_empty()).then_some(self.again);
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
            self.0.call(&mut state);
        }
    }
}

#[cfg(test)]
mod tests;
