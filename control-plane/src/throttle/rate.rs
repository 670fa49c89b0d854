//! Rate limits by key: a burst, then one attempt in each interval, delayed in the order of arrival. The number of keys is
//! bounded.

use std::{collections::HashMap, hash::Hash, time::Duration};

use crate::domain::time::Timestamp;

/// How often something may happen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    /// The time between two attempts.
    pub(super) interval: Duration,
    /// How many attempts may happen at once after a long pause.
    pub(super) burst: u32,
    /// The longest delay of an attempt; one that would have to be delayed for longer is refused.
    pub(super) max_delay: Duration,
}

/// For each key the time from which its attempts so far no longer count against the rate (GCRA's theoretical arrival
/// time).
#[derive(Debug)]
pub(super) struct RateLimiter<K>(HashMap<K, Timestamp>);

/// How many keys are remembered. Beyond it the key with the fewest recent attempts is forgotten: it is not delayed, so
/// new keys don't free those that are.
const MAX_KEYS: usize = 10_000;

// === impl RateLimiter ===

impl<K> Default for RateLimiter<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Clone + Eq + Hash> RateLimiter<K> {
    /// How long until [`Self::acquire`] allows an attempt; zero if it allows one now.
    pub(super) fn wait(&mut self, key: &K, rate: Rate, now: Timestamp) -> Duration {
        self.delay(key, rate, now).saturating_sub(rate.max_delay)
    }

    /// Allows an attempt after the returned delay. `None` if the delay would be too long; then nothing is counted.
    pub(super) fn acquire(&mut self, key: K, rate: Rate, now: Timestamp) -> Option<Duration> {
        let delay = self.delay(&key, rate, now);
        if delay > rate.max_delay {
            return None;
        }
        let until = now.after(self.backlog(&key, rate, now));
        self.put(key, until.after(rate.interval));
        Some(delay)
    }

    /// Takes an attempt back.
    pub(super) fn refund(&mut self, key: &K, rate: Rate) {
        if let Some(until) = self.0.get_mut(key) {
            let back = u64::try_from(rate.interval.as_millis()).unwrap_or(u64::MAX);
            *until = Timestamp::from_millis(until.millis().saturating_sub(back));
        }
    }

    /// Whether the key is remembered.
    pub(super) fn contains(&self, key: &K) -> bool {
        self.0.contains_key(key)
    }

    /// Forgets the attempts of a key, and remembers the key.
    pub(super) fn reset(&mut self, key: K, now: Timestamp) {
        self.put(key, now);
    }

    fn delay(&mut self, key: &K, rate: Rate, now: Timestamp) -> Duration {
        let backlog = self.backlog(key, rate, now);
        backlog.saturating_sub(rate.interval * rate.burst.saturating_sub(1))
    }

    /// How long the attempts so far still count.
    fn backlog(&mut self, key: &K, rate: Rate, now: Timestamp) -> Duration {
        let Some(until) = self.0.get_mut(key) else {
            return Duration::ZERO;
        };
        // The rate never allows more than this. A later time was set before the clock was set back.
        let most = rate.interval * rate.burst + rate.max_delay;
        *until = now.after(most).min(*until);
        until.since(now)
    }

    fn put(&mut self, key: K, until: Timestamp) {
        if self.0.len() >= MAX_KEYS && !self.0.contains_key(&key) {
            let least = self.0.iter().min_by_key(|(_, until)| **until);
            if let Some(least) = least.map(|(key, _)| key.clone()) {
                self.0.remove(&least);
            }
        }
        self.0.insert(key, until);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{MAX_KEYS, Rate, RateLimiter};
    use crate::domain::time::Timestamp;

    const START: Timestamp = Timestamp::from_millis(1_000_000);
    const RATE: Rate = Rate {
        interval: Duration::from_secs(2),
        burst: 2,
        max_delay: Duration::from_secs(3),
    };

    #[test]
    fn attempts_are_allowed_at_once_then_at_intervals_and_none_is_delayed_for_too_long() {
        let mut limiter = RateLimiter::default();
        let mut acquire =
            |seconds| limiter.acquire("it", RATE, START.after(Duration::from_secs(seconds)));
        assert_eq!(acquire(0), Some(Duration::ZERO));
        assert_eq!(acquire(0), Some(Duration::ZERO));
        assert_eq!(acquire(0), Some(Duration::from_secs(2)));
        assert_eq!(acquire(0), None);
        assert_eq!(acquire(1), Some(Duration::from_secs(3)));
        assert_eq!(acquire(100), Some(Duration::ZERO));
    }

    #[test]
    fn a_clock_that_is_set_back_makes_nobody_wait_for_longer() {
        let mut limiter = RateLimiter::default();
        let later = START.after(Duration::from_secs(3600));
        while limiter.acquire("it", RATE, later).is_some() {}
        let wait = limiter.wait(&"it", RATE, START);
        assert!(wait <= RATE.interval, "{wait:?}");
        let acquired = limiter.acquire("it", RATE, START.after(wait));
        assert_eq!(acquired, Some(RATE.max_delay));
    }

    #[test]
    fn new_keys_do_not_free_those_that_must_wait() {
        let mut limiter = RateLimiter::default();
        while limiter.acquire(0, RATE, START).is_some() {}
        for n in 1..=MAX_KEYS + 10 {
            limiter.acquire(n, RATE, START);
        }
        assert_eq!(limiter.0.len(), MAX_KEYS);
        assert!(!limiter.wait(&0, RATE, START).is_zero());
    }
}
