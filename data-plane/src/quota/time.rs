//! The two clocks of quotas: the node's monotonic clock, and an estimate of the ledger's.
//!
//! Deadlines use the first, because the second may jump. The ledger determines the number of a window; the estimate is
//! only used to request the right one.

use std::sync::atomic::{AtomicI64, Ordering};

use rustix::time::{ClockId, clock_gettime};

/// A point in time on the node's monotonic clock, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(u64);

/// The maximum lag of [`Tick::coarse`] in milliseconds. The kernel's tick is at most 10 ms long.
pub const COARSENESS: u64 = 10;

/// How far the ledger's clock is ahead of the node's monotonic one, in milliseconds.
#[derive(Debug)]
pub struct LedgerClock(AtomicI64);

// === impl Tick ===

impl Tick {
    /// A number of milliseconds after the clock's start.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the clock's start.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Now, to the millisecond.
    #[must_use]
    pub fn now() -> Self {
        Self::read(ClockId::Monotonic)
    }

    /// Now, or up to [`COARSENESS`] before. Much cheaper, for use with every message.
    #[must_use]
    pub fn coarse() -> Self {
        Self::read(ClockId::MonotonicCoarse)
    }

    /// A number of milliseconds later.
    #[must_use]
    pub const fn plus(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// A number of milliseconds earlier, but not before the start.
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

    /// Follows the runtime's clock, which tests pause and advance.
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

    /// Adjusts the estimate: the clock showed `unix_millis` at `now`.
    pub fn learn(&self, now: Tick, unix_millis: u64) {
        let ahead = unix_millis.cast_signed() - now.0.cast_signed();
        self.0.store(ahead, Ordering::Relaxed);
    }

    /// The estimated time at `now`, in milliseconds of Unix time.
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
