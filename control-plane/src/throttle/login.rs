//! Slows down guessing at passwords, in such a way that a guesser locks nobody else out.
//!
//! Failures are counted for each name from one address (a pair), for each address, and for each name from all addresses.
//! A counter over its limit starts a wait, and an attempt during the wait is *throttled*: it is answered late, after
//! [`DELAY`], and the answer says how long to wait. The counters that start a wait make no difference between names that
//! exist and names that don't, so that neither an answer nor its time tells them apart.
//!
//! A throttled attempt with the right password succeeds all the same, if its password can be checked during the delay.
//! Passwords of names that don't exist are not checked. The others are checked at two kinds of rate:
//! - A name that has signed in from an address before is known there, and has a rate of its own at that address.
//! - Names that are not known at an address share the rate of that address. A name takes part until its own counters
//!   start a wait, or until it has had its share: a few checks at one address, and from all addresses as many as its
//!   failures are allowed. Failures of other names alone lock nobody out, and no name takes the checks of all others by
//!   trying again and again.
//!
//! The checks that a name has had are counted apart, for names that exist only, and start no wait. Checks are made in the
//! order of arrival. An attempt that succeeds, or whose password could not be checked, is taken back everywhere.

use std::{
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tidegate_proto::ids::UserId;

use super::{
    failures::{FailureLimit, Failures},
    head,
    rate::{Rate, RateLimiter},
};
use crate::domain::{credential::SecretHash, name::fold, time::Timestamp};

/// Counts attempts to sign in and to change a password.
#[derive(Debug, Default)]
pub struct LoginThrottle(Mutex<Counters>);

/// An attempt to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Whether the name has signed in from this address before.
    pub known: bool,
    /// `None` for an attempt that is checked and answered at once.
    pub throttled: Option<Throttled>,
}

/// An attempt that is answered after [`DELAY`] unless its password is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttled {
    /// After how long the password is checked; `None` for not at all.
    pub check_after: Option<Duration>,
    /// How long from now on attempts are throttled.
    pub retry_after: Duration,
}

#[derive(Debug, Default)]
struct Counters {
    failures: Failures<Key>,
    /// Failures under a name from all addresses where it is not known.
    names: RateLimiter<String>,
    /// The checks at an address.
    addresses: RateLimiter<Option<IpAddr>>,
    /// The checks that a name has had at an address.
    pairs: RateLimiter<(String, Option<IpAddr>)>,
    /// The checks that a name has had at all addresses.
    checked_names: RateLimiter<String>,
    /// The checks of names at addresses where they are known. Only a successful sign-in makes an entry.
    known: RateLimiter<(String, IpAddr)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    /// A name from an address.
    Pair(String, Option<IpAddr>),
    Address(IpAddr),
    /// A session whose user enters the old password to change it. Not the user: somebody who found one session open must
    /// not block the user's others.
    PasswordChange(UserId, Option<SecretHash>),
}

/// How long the answer to a throttled attempt is delayed: long enough for the checks ahead of it and its own.
pub const DELAY: Duration = Duration::from_secs(5);

/// People mistype, so a few failures are free. The longest wait makes guessing hopeless and locks nobody out.
const FAILURES: FailureLimit = FailureLimit::Doubling {
    free: FREE,
    first: Duration::from_secs(1),
    longest: Duration::from_secs(60),
    memory: Duration::from_secs(15 * 60),
};
const FREE: u32 = 5;

/// The checks of a name at an address where it is known: 15 a minute.
const KNOWN: Rate = Rate {
    interval: Duration::from_secs(4),
    burst: 5,
    max_delay: Duration::from_secs(4),
};

/// The checks at an address, for names that are not known there: 30 a minute.
const ADDRESS: Rate = Rate {
    interval: Duration::from_secs(2),
    burst: 1,
    max_delay: Duration::from_secs(4),
};

/// The checks of one name at an address where it is not known: 5, then 1 a minute.
const PAIR: Rate = Rate {
    interval: Duration::from_secs(60),
    burst: 5,
    max_delay: Duration::ZERO,
};

/// Failures under one name from all addresses where it is not known: 50, then 2 a minute; and as many checks. One address
/// alone can't use this up: its own limits are lower.
const NAME: Rate = Rate {
    interval: Duration::from_secs(30),
    burst: 50,
    max_delay: Duration::ZERO,
};

// === impl LoginThrottle ===

impl LoginThrottle {
    /// Nothing is counted yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins an attempt. One that is not throttled counts as failed until [`LoginThrottle::succeeded`] or
    /// [`LoginThrottle::unchecked`], so that many at once are not all let through.
    pub fn begin(&self, name: &str, exists: bool, peer: Option<IpAddr>, now: Timestamp) -> Attempt {
        let name = fold(&head(name));
        let mut it = self.lock();
        let pair = Key::Pair(name.clone(), peer);
        let here = peer.map(|peer| (name.clone(), peer));
        let known = here.as_ref().is_some_and(|here| it.known.contains(here));
        let of_address = peer.map_or(Duration::ZERO, |peer| {
            it.failures.wait(&Key::Address(peer), FAILURES, now)
        });
        let own = it
            .failures
            .wait(&pair, FAILURES, now)
            .max(it.names.wait(&name, NAME, now));
        let retry_after = of_address.max(own);
        if retry_after.is_zero() {
            it.failures.record(pair, FAILURES, now);
            if let Some(peer) = peer {
                it.failures.record(Key::Address(peer), FAILURES, now);
            }
            if !known {
                it.names.acquire(name, NAME, now);
            }
            return Attempt {
                known,
                throttled: None,
            };
        }
        let check_after = match here {
            Some(here) if known => it.known.acquire(here, KNOWN, now),
            _ if exists && own.is_zero() => it.check_of_unknown(name, peer, now),
            _ => None,
        };
        Attempt {
            known,
            throttled: Some(Throttled {
                check_after,
                retry_after,
            }),
        }
    }

    /// Forgets the failures of a name at the address from which it signed in, makes it known there, and takes this attempt
    /// back.
    pub fn succeeded(&self, name: &str, peer: Option<IpAddr>, attempt: Attempt, now: Timestamp) {
        let name = fold(&head(name));
        let mut it = self.lock();
        it.take_back(name.clone(), peer, attempt);
        it.failures.forget(&Key::Pair(name.clone(), peer));
        if let Some(peer) = peer {
            it.known.reset((name, peer), now);
        }
    }

    /// Takes back an attempt whose password could not be checked.
    pub fn unchecked(&self, name: &str, peer: Option<IpAddr>, attempt: Attempt) {
        self.lock().take_back(fold(&head(name)), peer, attempt);
    }

    /// How long a session must wait before its user may enter the old password; zero if not at all. The attempt counts as
    /// failed until [`LoginThrottle::changed`].
    pub fn begin_change(
        &self,
        user: UserId,
        session: Option<SecretHash>,
        now: Timestamp,
    ) -> Duration {
        let mut it = self.lock();
        let key = Key::PasswordChange(user, session);
        let wait = it.failures.wait(&key, FAILURES, now);
        if wait.is_zero() {
            it.failures.record(key, FAILURES, now);
        }
        wait
    }

    /// Forgets the failures of a session whose user entered the right old password.
    pub fn changed(&self, user: UserId, session: Option<SecretHash>) {
        self.lock()
            .failures
            .forget(&Key::PasswordChange(user, session));
    }

    fn lock(&self) -> MutexGuard<'_, Counters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Counters ===

impl Counters {
    /// After how long the password of a name that exists is checked, at an address where it is not known.
    fn check_of_unknown(
        &mut self,
        name: String,
        peer: Option<IpAddr>,
        now: Timestamp,
    ) -> Option<Duration> {
        let everywhere = self.checked_names.wait(&name, NAME, now);
        let pair = (name.clone(), peer);
        let here = self.pairs.wait(&pair, PAIR, now);
        if !everywhere.max(here).is_zero() {
            return None;
        }
        let delay = self.addresses.acquire(peer, ADDRESS, now)?;
        self.checked_names.acquire(name, NAME, now);
        self.pairs.acquire(pair, PAIR, now);
        Some(delay)
    }

    /// Undoes what the beginning of an attempt counted.
    fn take_back(&mut self, name: String, peer: Option<IpAddr>, attempt: Attempt) {
        match attempt.throttled {
            None => {
                if !attempt.known {
                    self.names.refund(&name, NAME);
                }
                self.failures.undo(&Key::Pair(name, peer));
                if let Some(peer) = peer {
                    self.failures.undo(&Key::Address(peer));
                }
            }
            Some(Throttled {
                check_after: None, ..
            }) => {}
            Some(_) if attempt.known => {
                if let Some(peer) = peer {
                    self.known.refund(&(name, peer), KNOWN);
                }
            }
            Some(_) => {
                self.addresses.refund(&peer, ADDRESS);
                self.checked_names.refund(&name, NAME);
                self.pairs.refund(&(name, peer), PAIR);
            }
        }
    }
}

#[cfg(test)]
mod tests;
