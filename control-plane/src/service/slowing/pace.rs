//! Turns at a steady pace, given in the order of asking. Time is passed in; memory is bounded.

use std::{collections::HashMap, hash::Hash, time::Duration};

use crate::domain::time::Timestamp;

/// How often there is a turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// The time between two turns.
    pub(super) interval: Duration,
    /// How many turns there are at once after a long pause.
    pub(super) burst: u32,
    /// How far ahead turns are given.
    pub(super) ahead: Duration,
}

/// The turns of each of many. Of each is kept when all turns that were given are paid for by time.
#[derive(Debug)]
pub(super) struct Paced<K>(HashMap<K, Timestamp>);

/// How many are remembered. Beyond it goes whoever has the fewest turns to pay for, or has asked least lately: that is
/// nobody who is held up, so that new entries do not free those who are.
const REMEMBERED: usize = 10_000;

// === impl Paced ===

impl<K> Default for Paced<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Clone + Eq + Hash> Paced<K> {
    /// How long one must wait before a turn is given; zero when one is given now.
    pub(super) fn wait(&mut self, who: &K, pace: Pace, now: Timestamp) -> Duration {
        self.delay(who, pace, now).saturating_sub(pace.ahead)
    }

    /// Takes the next turn: after how long it is. `None` when it is too far ahead, and then none is taken.
    pub(super) fn turn(&mut self, who: K, pace: Pace, now: Timestamp) -> Option<Duration> {
        let delay = self.delay(&who, pace, now);
        if delay > pace.ahead {
            return None;
        }
        let paid = now.after(self.unpaid(&who, pace, now));
        self.put(who, paid.after(pace.interval));
        Some(delay)
    }

    /// Gives a turn back.
    pub(super) fn give_back(&mut self, who: &K, pace: Pace) {
        if let Some(paid) = self.0.get_mut(who) {
            let back = u64::try_from(pace.interval.as_millis()).unwrap_or(u64::MAX);
            *paid = Timestamp::from_millis(paid.millis().saturating_sub(back));
        }
    }

    /// Whether anything is kept of somebody.
    pub(super) fn has(&self, who: &K) -> bool {
        self.0.contains_key(who)
    }

    /// Begins anew for somebody.
    pub(super) fn renew(&mut self, who: K, now: Timestamp) {
        self.put(who, now);
    }

    fn delay(&mut self, who: &K, pace: Pace, now: Timestamp) -> Duration {
        let unpaid = self.unpaid(who, pace, now);
        unpaid.saturating_sub(pace.interval * pace.burst.saturating_sub(1))
    }

    /// How long it takes to pay for the turns that were given.
    fn unpaid(&mut self, who: &K, pace: Pace, now: Timestamp) -> Duration {
        let Some(paid) = self.0.get_mut(who) else {
            return Duration::ZERO;
        };
        // No more turns are given than these. What is beyond was given before the clock was set back.
        let most = pace.interval * pace.burst + pace.ahead;
        *paid = now.after(most).min(*paid);
        paid.since(now)
    }

    fn put(&mut self, who: K, paid: Timestamp) {
        if self.0.len() >= REMEMBERED && !self.0.contains_key(&who) {
            let least = self.0.iter().min_by_key(|(_, paid)| **paid);
            if let Some(least) = least.map(|(who, _)| who.clone()) {
                self.0.remove(&least);
            }
        }
        self.0.insert(who, paid);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Pace, Paced, REMEMBERED};
    use crate::domain::time::Timestamp;

    const START: Timestamp = Timestamp::from_millis(1_000_000);
    const PACE: Pace = Pace {
        interval: Duration::from_secs(2),
        burst: 2,
        ahead: Duration::from_secs(3),
    };

    #[test]
    fn turns_come_at_once_then_at_intervals_and_none_is_given_too_far_ahead() {
        let mut paced = Paced::default();
        let mut turn = |seconds| paced.turn("it", PACE, START.after(Duration::from_secs(seconds)));
        assert_eq!(turn(0), Some(Duration::ZERO));
        assert_eq!(turn(0), Some(Duration::ZERO));
        assert_eq!(turn(0), Some(Duration::from_secs(2)));
        assert_eq!(turn(0), None);
        assert_eq!(turn(1), Some(Duration::from_secs(3)));
        assert_eq!(turn(100), Some(Duration::ZERO));
    }

    #[test]
    fn a_clock_that_is_set_back_makes_nobody_wait_for_longer() {
        let mut paced = Paced::default();
        let later = START.after(Duration::from_secs(3600));
        while paced.turn("it", PACE, later).is_some() {}
        let wait = paced.wait(&"it", PACE, START);
        assert!(wait <= PACE.interval, "{wait:?}");
        let turn = paced.turn("it", PACE, START.after(wait));
        assert_eq!(turn, Some(PACE.ahead));
    }

    #[test]
    fn new_entries_do_not_free_who_must_wait() {
        let mut paced = Paced::default();
        while paced.turn(0, PACE, START).is_some() {}
        for n in 1..=REMEMBERED + 10 {
            paced.turn(n, PACE, START);
        }
        assert_eq!(paced.0.len(), REMEMBERED);
        assert!(!paced.wait(&0, PACE, START).is_zero());
    }
}
