//! Limits how often one address may sign up. All attempts count, not only those that fail: each creates a user, or tells
//! that a name is taken.

use std::{
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::rate::{Rate, RateLimiter};
use crate::domain::time::Timestamp;

/// Counts attempts to sign up.
#[derive(Debug, Default)]
pub struct SignUpThrottle(Mutex<Attempts>);

#[derive(Debug, Default)]
struct Attempts {
    /// Attempts under names that are free.
    created: RateLimiter<Option<IpAddr>>,
    /// Attempts under names that are taken.
    refused: RateLimiter<Option<IpAddr>>,
}

/// Users created from one address: 5, then 6 a minute.
const CREATED: Rate = Rate {
    interval: Duration::from_secs(10),
    burst: 5,
    max_delay: Duration::from_secs(20),
};

/// Attempts from one address to sign up under names that are taken: 10, then 30 a minute.
const REFUSED: Rate = Rate {
    interval: Duration::from_secs(2),
    burst: 10,
    max_delay: Duration::from_secs(4),
};

impl SignUpThrottle {
    /// How long an attempt is delayed. An attempt under a taken name is refused anyway and has a rate of its own, so that
    /// it keeps nobody from signing up.
    ///
    /// # Errors
    /// With how long to wait, if too many attempts are delayed already. If that is so for free names, the answer for taken
    /// names is the same.
    pub fn begin(
        &self,
        address: Option<IpAddr>,
        is_taken: bool,
        now: Timestamp,
    ) -> Result<Duration, Duration> {
        let mut it = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = it.created.wait(&address, CREATED, now);
        if !is_taken {
            return it.created.acquire(address, CREATED, now).ok_or(wait);
        }
        let wait = if wait.is_zero() {
            it.refused.wait(&address, REFUSED, now)
        } else {
            wait
        };
        it.refused.acquire(address, REFUSED, now).ok_or(wait)
    }
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, time::Duration};

    use super::SignUpThrottle;
    use crate::domain::time::Timestamp;

    const START: Timestamp = Timestamp::from_millis(1_000_000);
    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const AWAY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn attempts_from_one_address_are_paced() {
        let throttle = SignUpThrottle::default();
        let begin = |address| throttle.begin(Some(address), false, START);
        for _ in 0..5 {
            assert_eq!(begin(HOME), Ok(Duration::ZERO));
        }
        assert_eq!(begin(HOME), Ok(Duration::from_secs(10)));
        assert_eq!(begin(HOME), Ok(Duration::from_secs(20)));
        assert_eq!(begin(HOME), Err(Duration::from_secs(10)));
        assert_eq!(begin(AWAY), Ok(Duration::ZERO));
    }

    #[test]
    fn attempts_under_taken_names_have_a_rate_of_their_own() {
        let throttle = SignUpThrottle::default();
        let begin = |is_taken| throttle.begin(Some(HOME), is_taken, START);
        let n_answered = (0..1_000).filter(|_| begin(true).is_ok()).count();
        // Ten at once, and two that are delayed.
        assert_eq!(n_answered, 12);
        assert_eq!(begin(true), Err(Duration::from_secs(2)));
        for _ in 0..5 {
            assert_eq!(begin(false), Ok(Duration::ZERO));
        }
        while begin(false).is_ok() {}
        assert_eq!(begin(true), begin(false), "a wait tells no taken name");
    }
}
