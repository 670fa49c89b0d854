//! The two clocks of quotas: the node's own that only goes forward, and an estimate of the ledger's.
//!
//! Deadlines are kept on the first, because the second may jump. A window's number is the ledger's to say; the estimate
//! only serves to ask for the right one.

use std::sync::atomic::{AtomicI64, Ordering};

use rustix::time::{ClockId, clock_gettime};

/// A point in time on the node's monotonic clock, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(u64);

/// By how many milliseconds a [`Tick::coarse`] may lie behind. The kernel's tick is at most 10 ms long.
pub const COARSENESS: u64 = 10;

/// How far the ledger's clock is ahead of the node's monotonic one, in milliseconds.
#[derive(Debug)]
pub struct LedgerClock(AtomicI64);

// === impl Tick ===

impl Tick {
    /// So many milliseconds after the clock's beginning.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the clock's beginning.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Now, to the millisecond.
    #[must_use]
    pub fn now() -> Self {
        Self::read(ClockId::Monotonic)
    }

    /// Now, or up to [`COARSENESS`] before: a fraction of the price, for every message.
    #[must_use]
    pub fn coarse() -> Self {
        Self::read(ClockId::MonotonicCoarse)
    }

    /// So many milliseconds later.
    #[must_use]
    pub const fn plus(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// So many milliseconds earlier, but not before the beginning.
    #[must_use]
    pub const fn minus(self, millis: u64) -> Self {
        Self(self.0.saturating_sub(millis))
    }

    /// How many milliseconds after `earlier` this is; 0 when it is before.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    #[cfg(not(test))]
    fn read(clock: ClockId) -> Self {
        Self::of(clock)
    }

    /// Goes with the runtime's clock, which tests stop and move.
    #[cfg(test)]
    fn read(_: ClockId) -> Self {
        static ORIGIN: std::sync::OnceLock<tokio::time::Instant> = std::sync::OnceLock::new();
        let now = tokio::time::Instant::now();
        let since = now - *ORIGIN.get_or_init(|| now);
        Self(1_000 + since.as_millis() as u64)
    }

    fn of(clock: ClockId) -> Self {
        let time = clock_gettime(clock);
        Self(time.tv_sec.cast_unsigned() * 1000 + time.tv_nsec.cast_unsigned() / 1_000_000)
    }
}

// === impl LedgerClock ===

impl LedgerClock {
    /// A clock that shows `unix_millis` at `now`.
    #[must_use]
    pub const fn new(now: Tick, unix_millis: u64) -> Self {
        Self(AtomicI64::new(
            unix_millis.cast_signed() - now.0.cast_signed(),
        ))
    }

    /// Learns that it showed `unix_millis` at `now`.
    pub fn learn(&self, now: Tick, unix_millis: u64) {
        let ahead = unix_millis.cast_signed() - now.0.cast_signed();
        self.0.store(ahead, Ordering::Relaxed);
    }

    /// What it probably shows at `now`: milliseconds of Unix time.
    #[must_use]
    pub fn at(&self, now: Tick) -> u64 {
        now.0
            .checked_add_signed(self.0.load(Ordering::Relaxed))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::{COARSENESS, ClockId, LedgerClock, Tick};

    #[test]
    fn the_coarse_clock_is_never_ahead_and_never_far_behind() {
        for _ in 0..1000 {
            let before = Tick::of(ClockId::Monotonic);
            let coarse = Tick::of(ClockId::MonotonicCoarse);
            assert!(coarse <= Tick::of(ClockId::Monotonic));
            assert!(before.since(coarse) <= COARSENESS);
        }
    }

    #[test]
    fn the_ledger_s_clock_goes_with_the_node_s() {
        let clock = LedgerClock::new(Tick::from_millis(500), 1_000_000);
        assert_eq!(clock.at(Tick::from_millis(700)), 1_000_200);
        clock.learn(Tick::from_millis(800), 2_000_000);
        assert_eq!(clock.at(Tick::from_millis(700)), 1_999_900);
    }
}
