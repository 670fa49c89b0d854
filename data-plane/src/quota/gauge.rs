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
    key::GaugeKey,
    link::{Link, Visit},
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
    limit: u64,
    seq: u64,
    /// The ask that is not answered yet, and how many seats it wants.
    flying: Option<(u64, u64)>,
    waiting: VecDeque<oneshot::Sender<Option<Seat>>>,
    called: bool,
    /// Not before this is there any use in asking.
    again: Tick,
    told_at: Tick,
    told: u64,
}

// === impl Gauge ===

impl Gauge {
    /// A gauge without sessions.
    #[must_use]
    pub fn new(key: &GaugeKey, link: Arc<Link>) -> Self {
        Self {
            name: key.to_string(),
            link,
            state: Mutex::default(),
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
            state.limit = limit;
            state.waiting.push_back(answer);
            self.call(&mut state);
        }
        match tokio::time::timeout(self.link.patience, answered).await {
            Ok(Ok(Some(seat))) => Ok(seat),
            Ok(Ok(None)) => Err(NoSeat::Full),
            // The ledger is slow, or has just gone.
            Ok(Err(_)) | Err(_) => self.enter_alone(limit, without_ledger),
        }
    }

    /// Takes a seat in the ledger of this process, which is this count and nothing else.
    fn enter_here(self: &Arc<Self>, limit: u64) -> Result<Seat, NoSeat> {
        let mut state = self.state();
        if state.taken >= limit {
            return Err(NoSeat::Full);
        }
        state.taken += 1;
        Ok(Seat(self.clone()))
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
        state.taken += 1;
        self.call(&mut state);
        Ok(Seat(self.clone()))
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
        state.waiting.retain(|waiting| !waiting.is_closed());
        let want = if now >= state.again {
            state.waiting.len() as u64
        } else {
            0
        };
        let is_due = state.taken > 0 && now.since(state.told_at) >= REFRESH;
        let next = state.next(now);
        if state.flying.is_some() || (want == 0 && state.told == state.taken && !is_due) {
            return (None, next);
        }
        state.seq += 1;
        state.flying = Some((state.seq, want));
        state.told = state.taken;
        state.told_at = now;
        let ask = SeatAsk {
            key: self.name.clone(),
            limit: state.limit,
            seq: state.seq,
            taken: state.taken,
            want,
        };
        (Some(ask), state.next(now))
    }

    /// The ledger's answer to the ask of this number; when to come again.
    pub(super) fn answered(self: &Arc<Self>, seq: u64, answer: Seats, now: Tick) -> Option<Tick> {
        let mut state = self.state();
        let (_, wanted) = state.flying.take_if(|(flying, _)| *flying == seq)?;
        let mut refused = Vec::new();
        let mut seated = Vec::new();
        match answer {
            Seats::Granted(granted) => {
                state.taken += granted;
                state.told += granted;
                for nth in 0..wanted {
                    let Some(waiting) = state.waiting.pop_front() else {
                        // Nobody is left to take it.
                        state.taken -= u64::from(nth < granted);
                        continue;
                    };
                    if nth < granted {
                        seated.push((waiting, Seat(self.clone())));
                    } else {
                        refused.push(waiting);
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
        state.flying.take_if(|(flying, _)| *flying == seq);
        state.told = u64::MAX;
    }

    /// Everything is to be told to the ledger anew.
    pub(super) fn tell_again(self: &Arc<Self>) {
        let mut state = self.state();
        if state.taken > 0 {
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
