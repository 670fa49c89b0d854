//! What is left of one limit in the current window, shared by all who count under it on this node.
//!
//! Windows are aligned to Unix time. Owns the count, and who waits for room: they are woken when the window turns, when
//! something is given back, and when the limit changes.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
    time::Duration,
};

use tidegate_kit::tasks::Tasks;
use tidegate_proto::quota::Amount;
use tokio::time::Instant;

/// A point in time.
pub type Tick = Instant;

/// The answer to a take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// It is taken.
    Taken,
    /// Nobody knows yet; whoever registered is woken when the answer is there.
    Waiting,
    /// There is not so much left.
    Exhausted {
        /// In which time the next window begins.
        retry: Duration,
    },
    /// There never is so much.
    TooLarge,
    /// Nobody can be asked, and without knowing nothing is given.
    Unavailable,
}

/// What is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// The limit.
    pub limit: u64,
    /// What is left of it in this window.
    pub remaining: u64,
    /// In which time the next window begins.
    pub resets_in: Duration,
}

/// One limit in its current window.
#[derive(Debug)]
pub struct Bucket {
    tasks: Tasks,
    /// A moment by both clocks.
    began: (Instant, Duration),
    window: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: u64,
    stops: bool,
    used: u64,
    ends: Instant,
    /// Who waits for room.
    waiting: Vec<Waker>,
    /// Whether a timer runs that wakes them when the window turns.
    timed: bool,
}

// === impl Bucket ===

impl Bucket {
    pub(super) fn new(tasks: Tasks, began: (Instant, Duration), window: Duration) -> Self {
        let state = State {
            limit: 0,
            stops: true,
            used: 0,
            ends: began.0,
            waiting: Vec::new(),
            timed: false,
        };
        Self {
            tasks,
            began,
            window,
            state: Mutex::new(state),
        }
    }

    /// From now on so much is allowed.
    pub(super) fn allow(&self, amount: Amount, stops: bool) {
        let mut state = self.lock();
        if (state.limit, state.stops) != (amount.get(), stops) {
            (state.limit, state.stops) = (amount.get(), stops);
            state.wake();
        }
    }

    /// Whether it is as if nothing had ever been taken.
    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        let state = self.lock();
        state.used == 0 || now >= state.ends
    }

    /// Takes so much, or nothing.
    pub fn take(&self, n: u64, now: Tick) -> Take {
        let mut state = self.lock();
        self.turn(&mut state, now);
        if !state.stops || state.used.saturating_add(n) <= state.limit {
            state.used = state.used.saturating_add(n);
            Take::Taken
        } else if n > state.limit {
            Take::TooLarge
        } else {
            let retry = state.ends - now;
            Take::Exhausted { retry }
        }
    }

    /// Gives back what was taken, since another level refused.
    pub fn refund(&self, n: u64) {
        let mut state = self.lock();
        state.used = state.used.saturating_sub(n);
        state.wake();
    }

    /// Counts what is not refused: further fragments of a message that was let in.
    pub fn charge(&self, n: u64) {
        let mut state = self.lock();
        self.turn(&mut state, Instant::now());
        state.used = state.used.saturating_add(n);
    }

    /// Has a waker woken once, when there may be room. Take again afterwards: what came before woke nobody.
    pub fn register(self: &Arc<Self>, waker: &Waker) {
        let mut state = self.lock();
        if !state.waiting.iter().any(|other| other.will_wake(waker)) {
            state.waiting.push(waker.clone());
        }
        if state.timed {
            return;
        }
        state.timed = true;
        let (ends, bucket) = (state.ends, Arc::downgrade(self));
        drop(state);
        self.tasks.spawn_bare(async move {
            tokio::time::sleep_until(ends).await;
            if let Some(bucket) = bucket.upgrade() {
                let mut state = bucket.lock();
                state.timed = false;
                state.wake();
            }
        });
    }

    /// Waits until it is known what is left in this window, or that nobody can say: here, at once.
    pub async fn known(&self) {}

    /// What is left.
    #[must_use]
    pub fn view(&self) -> View {
        let mut state = self.lock();
        let now = Instant::now();
        self.turn(&mut state, now);
        View {
            limit: state.limit,
            remaining: state.limit.saturating_sub(state.used),
            resets_in: state.ends - now,
        }
    }

    /// Begins the window that it is time for.
    fn turn(&self, state: &mut State, now: Instant) {
        if now < state.ends {
            return;
        }
        let (instant, unix) = self.began;
        let window = self.window.as_nanos().max(1);
        let since = (unix + now.saturating_duration_since(instant)).as_nanos() % window;
        let left = u64::try_from(window - since).unwrap_or(u64::MAX);
        state.ends = now + Duration::from_nanos(left);
        state.used = 0;
        state.wake();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    fn wake(&mut self) {
        self.waiting.drain(..).for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, sync::Arc, task::Poll, time::Duration};

    use tidegate_kit::tasks::Tasks;
    use tidegate_proto::quota::Amount;
    use tokio::time::Instant;

    use super::{Bucket, Take};

    /// A bucket of a minute, at 20 seconds past one.
    fn bucket(limit: u64) -> Arc<Bucket> {
        let began = (Instant::now(), Duration::from_secs(600 + 20));
        let bucket = Bucket::new(Tasks::current(), began, Duration::from_secs(60));
        bucket.allow(Amount::try_new(limit).unwrap(), true);
        Arc::new(bucket)
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_ends_with_the_minute_by_the_clock() {
        let bucket = bucket(2);
        assert_eq!(bucket.take(2, Instant::now()), Take::Taken);
        let retry = Duration::from_secs(40);
        assert_eq!(bucket.take(1, Instant::now()), Take::Exhausted { retry });
        assert_eq!(bucket.take(3, Instant::now()), Take::TooLarge);
        tokio::time::advance(Duration::from_secs(40)).await;
        assert_eq!(bucket.take(2, Instant::now()), Take::Taken);
        let view = bucket.view();
        assert_eq!((view.limit, view.remaining), (2, 0));
        assert_eq!(view.resets_in, Duration::from_secs(60));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_is_woken_when_the_window_turns() {
        let bucket = bucket(1);
        assert_eq!(bucket.take(1, Instant::now()), Take::Taken);
        let began = Instant::now();
        poll_fn(|cx| {
            bucket.register(cx.waker());
            match bucket.take(1, Instant::now()) {
                Take::Taken => Poll::Ready(()),
                _ => Poll::Pending,
            }
        })
        .await;
        let waited = began.elapsed();
        assert!((40..41).contains(&waited.as_secs()), "{waited:?}");
    }
}
