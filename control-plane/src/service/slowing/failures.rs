//! Counts failures, and how long to wait after so many of them. Time is passed in; memory is bounded.
//!
//! When there is no room, what goes is forgotten anyway or has the lowest count. Whoever would clear a high counter by a
//! flood of new ones would have to fail as often under each of these.

use std::{collections::HashMap, hash::Hash, time::Duration};

use crate::domain::time::Timestamp;

#[derive(Debug)]
pub(super) struct Failures<K>(HashMap<K, Count>);

#[derive(Clone, Copy, Debug)]
struct Count {
    count: u32,
    last: Timestamp,
    /// When the one before the last failed.
    before: Timestamp,
}

/// How many attempts may fail before there is a wait: people mistype.
pub(super) const FREE: u32 = 5;
/// The wait after the first attempt beyond that; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait: long enough to make guessing hopeless, short enough that nobody is locked out.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// After so long without a failure everything is forgotten.
const MEMORY: Duration = Duration::from_secs(15 * 60);
/// How many are remembered.
pub(super) const REMEMBERED: usize = 10_000;

// === impl Failures ===

impl<K> Default for Failures<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Clone + Eq + Hash> Failures<K> {
    /// How long one must wait; zero when one may go on.
    pub(super) fn wait(&self, who: &K, now: Timestamp) -> Duration {
        self.0.get(who).map_or(Duration::ZERO, |it| it.wait(now))
    }

    /// Counts a failure.
    pub(super) fn count(&mut self, who: K, now: Timestamp) {
        if self.0.len() >= REMEMBERED && !self.0.contains_key(&who) {
            let least = self.0.iter();
            let least = least.min_by_key(|(_, it)| (!it.is_over(now), it.count, it.last));
            if let Some(least) = least.map(|(who, _)| who.clone()) {
                self.0.remove(&least);
            }
        }
        let it = self.0.entry(who).or_insert(Count {
            count: 0,
            last: now,
            before: now,
        });
        if it.is_over(now) {
            it.count = 0;
        }
        it.count = it.count.saturating_add(1);
        it.before = it.last;
        it.last = now;
    }

    /// Takes the last failure back, and the wait that began with it.
    pub(super) fn take_back(&mut self, who: &K) {
        if let Some(it) = self.0.get_mut(who) {
            it.count = it.count.saturating_sub(1);
            it.last = it.before;
        }
    }

    /// Forgets all failures of somebody.
    pub(super) fn forget(&mut self, who: &K) {
        self.0.remove(who);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

// === impl Count ===

impl Count {
    fn is_over(self, now: Timestamp) -> bool {
        now.since(self.last) > MEMORY
    }

    fn wait(self, now: Timestamp) -> Duration {
        // Further ahead than any wait is what failed before the clock was set back: how long ago, nobody knows.
        let was_set_back = self.last.since(now) > LONGEST_WAIT;
        if self.count < FREE || self.is_over(now) || was_set_back {
            return Duration::ZERO;
        }
        let doublings = (self.count - FREE).min(16);
        let wait = (FIRST_WAIT * (1 << doublings)).min(LONGEST_WAIT);
        wait.saturating_sub(now.since(self.last))
    }
}
