//! Wall-clock time as a value that is passed in, so that rules about time can be tested without waiting.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A source of the time since the Unix epoch.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A clock that a test moves by hand.
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// A manual clock that starts at `seconds`.
    #[must_use]
    pub fn manual(seconds: u64) -> Self {
        Self::Manual(Arc::new(AtomicU64::new(seconds * 1000)))
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub fn now_millis(&self) -> u64 {
        match self {
            Self::System => {
                let since = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or(Duration::ZERO);
                u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
            }
            Self::Manual(millis) => millis.load(Ordering::Relaxed),
        }
    }

    /// Seconds since the Unix epoch, as token times count (RFC 7519, `NumericDate`).
    #[must_use]
    pub fn now_seconds(&self) -> u64 {
        self.now_millis() / 1000
    }

    /// Moves a manual clock forward. A system clock ignores it.
    pub fn advance(&self, by: Duration) {
        if let Self::Manual(millis) = self {
            let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
            millis.fetch_add(by, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Clock;

    #[test]
    fn a_manual_clock_moves_only_by_hand_and_its_clones_with_it() {
        let clock = Clock::manual(10);
        let same = clock.clone();
        clock.advance(Duration::from_millis(1500));
        assert_eq!((same.now_seconds(), same.now_millis()), (11, 11_500));
    }
}
