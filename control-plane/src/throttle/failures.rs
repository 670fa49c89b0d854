//! Counts failures by key, and how long to wait after too many of them.
//!
//! The number of keys is bounded. When there is no room, a counter that has run out is forgotten, or else the lowest one:
//! to clear a high counter by a flood of new keys, an attacker would have to fail as often under each of these.

use std::{collections::HashMap, hash::Hash, time::Duration};

use crate::domain::time::Timestamp;

/// The failures of each key. All calls for one key must pass the same limit.
#[derive(Debug)]
pub(super) struct Failures<K>(HashMap<K, Count>);

/// How many failures are allowed, and what wait follows.
#[derive(Clone, Copy, Debug)]
pub(super) enum FailureLimit {
    /// A wait that doubles with each further failure.
    Doubling {
        /// The failures that lead to the first wait.
        free: u32,
        /// The first wait.
        first: Duration,
        /// The longest wait.
        longest: Duration,
        /// After so long without a failure everything is forgotten.
        memory: Duration,
    },
    /// A wait until the window ends, which began with the first failure in it.
    Window {
        /// The failures that are allowed in a window.
        max: u32,
        /// The length of a window.
        length: Duration,
    },
}

#[derive(Clone, Copy, Debug)]
struct Count {
    count: u32,
    first: Timestamp,
    last: Timestamp,
    /// When the failure before the last one was.
    before: Timestamp,
}

/// How many keys are remembered.
pub(super) const MAX_KEYS: usize = 10_000;

// === impl Failures ===

impl<K> Default for Failures<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Clone + Eq + Hash> Failures<K> {
    /// How long an attempt must wait; zero if it need not.
    pub(super) fn wait(&self, key: &K, limit: FailureLimit, now: Timestamp) -> Duration {
        let count = self.0.get(key);
        count.map_or(Duration::ZERO, |count| limit.wait(*count, now))
    }

    /// Counts a failure.
    pub(super) fn record(&mut self, key: K, limit: FailureLimit, now: Timestamp) {
        if self.0.len() >= MAX_KEYS && !self.0.contains_key(&key) {
            let least = self.0.iter();
            let least = least.min_by_key(|(_, it)| (!limit.is_over(**it, now), it.count, it.last));
            if let Some(least) = least.map(|(key, _)| key.clone()) {
                self.0.remove(&least);
            }
        }
        let fresh = Count {
            count: 0,
            first: now,
            last: now,
            before: now,
        };
        let it = self.0.entry(key).or_insert(fresh);
        if limit.is_over(*it, now) {
            *it = Count {
                before: it.last,
                ..fresh
            };
        } else {
            it.before = it.last;
            it.last = now;
        }
        it.count = it.count.saturating_add(1);
    }

    /// Takes the last failure back, and the wait that began with it.
    pub(super) fn undo(&mut self, key: &K) {
        if let Some(it) = self.0.get_mut(key) {
            it.count = it.count.saturating_sub(1);
            it.last = it.before;
        }
    }

    /// Forgets all failures of a key.
    pub(super) fn forget(&mut self, key: &K) {
        self.0.remove(key);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

// === impl FailureLimit ===

impl FailureLimit {
    /// Whether the failures are too old to count.
    fn is_over(self, count: Count, now: Timestamp) -> bool {
        match self {
            Self::Doubling { memory, .. } => now.since(count.last) > memory,
            Self::Window { length, .. } => {
                now.since(count.first) >= length || count.first.since(now) > length
            }
        }
    }

    fn wait(self, count: Count, now: Timestamp) -> Duration {
        if self.is_over(count, now) {
            return Duration::ZERO;
        }
        match self {
            Self::Doubling {
                free,
                first,
                longest,
                ..
            } => {
                // A failure further ahead than the longest wait was before the clock was set back; how long ago, nobody
                // knows.
                let was_set_back = count.last.since(now) > longest;
                if count.count < free || was_set_back {
                    return Duration::ZERO;
                }
                let doublings = (count.count - free).min(16);
                let wait = (first * (1 << doublings)).min(longest);
                wait.saturating_sub(now.since(count.last))
            }
            Self::Window { max, .. } if count.count < max => Duration::ZERO,
            Self::Window { length, .. } => length.saturating_sub(now.since(count.first)),
        }
    }
}
