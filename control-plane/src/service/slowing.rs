//! Slows down guessing at passwords, in such a way that a guesser keeps nobody else out.
//!
//! Failures are counted for each name from one address (a pair), for each address, and for each name from everywhere. A
//! counter that is over its limit sets a wait, and an attempt within the wait is *slowed*: it is answered late, after
//! [`HELD`], and the answer is to wait. The counters see no difference between names that exist and names that do not,
//! so that nothing about an answer, and nothing about its time, tells them apart.
//!
//! A slowed attempt with the right password gets in all the same, if its turn comes while it is held. Guesses at names
//! that do not exist take no turns. There are two kinds of turn:
//! - A name that has signed in from an address before is known there, and has turns of its own at that address.
//! - Names that are not known at an address share the turns of that address. A name takes part until its own counters
//!   set a wait: failures of other names alone keep nobody out.
//!
//! Turns are given in the order of asking. Whoever asks again and again gets no more of them than who asks once.
//! Memory is bounded, and no flood of other entries clears a counter that is high (see [`failures`]).

mod failures;
mod pace;

use std::{
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tidegate_proto::ids::UserId;

use crate::domain::{credential::SecretHash, name::fold, time::Timestamp};
use failures::Failures;
use pace::{Pace, Paced};

/// Attempts to sign in and to change a password.
#[derive(Debug, Default)]
pub(super) struct Slowing(Mutex<Counters>);

/// Attempts to sign up. Each makes a user, so that all of them count, and not only those that fail.
#[derive(Debug, Default)]
pub(super) struct SignUps(Mutex<Paced<Option<IpAddr>>>);

/// What an attempt to sign in may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// Whether the name has signed in from this address before.
    pub(super) known: bool,
    /// `None` for an attempt that is checked and answered at once.
    pub(super) slowed: Option<Slowed>,
}

/// An attempt that is held for [`HELD`] unless it is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slowed {
    /// After how long its password is checked; `None` for not at all.
    pub(super) turn: Option<Duration>,
    /// After how long an attempt is not slowed, from now on.
    pub(super) retry_after: Duration,
}

#[derive(Debug, Default)]
struct Counters {
    failures: Failures<Who>,
    /// Failures at a name from all addresses where it is not known.
    names: Paced<String>,
    /// The turns of an address.
    addresses: Paced<Option<IpAddr>>,
    /// The turns of names where they are known. Only those who sign in make an entry.
    known: Paced<(String, IpAddr)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Who {
    /// A name from an address.
    Pair(String, Option<IpAddr>),
    Address(IpAddr),
    /// A session whose user says the old password to change it. Not the user: whoever found one session open must not
    /// hold up the user's others.
    Change(UserId, Option<SecretHash>),
}

/// How long a slowed attempt is held before it is told to wait: long enough for the turns ahead of it and the check of
/// the password.
pub(super) const HELD: Duration = Duration::from_secs(5);

/// The turns of a name at an address where it is known: 15 a minute.
const KNOWN: Pace = Pace {
    interval: Duration::from_secs(4),
    burst: 5,
    ahead: Duration::from_secs(4),
};

/// The turns of an address, for names that are not known there: 30 a minute.
const ADDRESS: Pace = Pace {
    interval: Duration::from_secs(2),
    burst: 1,
    ahead: Duration::from_secs(4),
};

/// Failures at one name from all addresses where it is not known: 50, then 2 a minute. One address alone fails no more
/// often at one name than this forgets, and so never sets a wait for the others.
const NAME: Pace = Pace {
    interval: Duration::from_secs(30),
    burst: 50,
    ahead: Duration::ZERO,
};

/// Users that are made from one address: 5, then 6 a minute.
const SIGN_UP: Pace = Pace {
    interval: Duration::from_secs(10),
    burst: 5,
    ahead: Duration::from_secs(20),
};

// === impl Slowing ===

impl Slowing {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// What an attempt may do. One that is not slowed counts as failed until [`Slowing::succeeded`], so that many at once
    /// do not all slip through.
    pub(super) fn begin(
        &self,
        name: &str,
        exists: bool,
        peer: Option<IpAddr>,
        now: Timestamp,
    ) -> Turn {
        let name = head(name);
        let mut it = self.lock();
        let pair = Who::Pair(name.clone(), peer);
        let here = peer.map(|peer| (name.clone(), peer));
        let known = here.as_ref().is_some_and(|here| it.known.has(here));
        let of_address = peer.map_or(Duration::ZERO, |peer| {
            it.failures.wait(&Who::Address(peer), now)
        });
        let own = it
            .failures
            .wait(&pair, now)
            .max(it.names.wait(&name, NAME, now));
        let retry_after = of_address.max(own);
        if retry_after.is_zero() {
            it.failures.count(pair, now);
            if let Some(peer) = peer {
                it.failures.count(Who::Address(peer), now);
            }
            if !known {
                it.names.turn(name, NAME, now);
            }
            return Turn {
                known,
                slowed: None,
            };
        }
        let turn = match here {
            Some(here) if known => it.known.turn(here, KNOWN, now),
            _ if exists && own.is_zero() => it.addresses.turn(peer, ADDRESS, now),
            _ => None,
        };
        Turn {
            known,
            slowed: Some(Slowed { turn, retry_after }),
        }
    }

    /// Forgets the failures of a name at the address from which it has signed in, knows it there from now on, and takes
    /// this attempt back.
    pub(super) fn succeeded(&self, name: &str, peer: Option<IpAddr>, turn: Turn, now: Timestamp) {
        let name = head(name);
        let mut it = self.lock();
        it.failures.forget(&Who::Pair(name.clone(), peer));
        if turn.slowed.is_some() {
            if !turn.known {
                it.addresses.give_back(&peer, ADDRESS);
            }
        } else {
            if let Some(peer) = peer {
                it.failures.take_back(&Who::Address(peer));
            }
            if !turn.known {
                it.names.give_back(&name, NAME);
            }
        }
        if let Some(peer) = peer {
            it.known.renew((name, peer), now);
        }
    }

    /// How long a session must wait before its user may say the old password; zero when it may now. That counts as wrong
    /// until [`Slowing::changed`].
    pub(super) fn begin_change(
        &self,
        user: UserId,
        session: Option<SecretHash>,
        now: Timestamp,
    ) -> Duration {
        let mut it = self.lock();
        let who = Who::Change(user, session);
        let wait = it.failures.wait(&who, now);
        if wait.is_zero() {
            it.failures.count(who, now);
        }
        wait
    }

    /// Forgets the failures of a session whose user has said the old password.
    pub(super) fn changed(&self, user: UserId, session: Option<SecretHash>) {
        self.lock().failures.forget(&Who::Change(user, session));
    }

    fn lock(&self) -> MutexGuard<'_, Counters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl SignUps ===

impl SignUps {
    /// How long an attempt is held until its turn.
    ///
    /// # Errors
    /// With how long it must wait, where too many are held already.
    pub(super) fn begin(&self, peer: Option<IpAddr>, now: Timestamp) -> Result<Duration, Duration> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = turns.wait(&peer, SIGN_UP, now);
        turns.turn(peer, SIGN_UP, now).ok_or(wait)
    }
}

/// A name longer than any user's is nobody's; its head is enough to slow it down.
fn head(name: &str) -> String {
    let head: String = name.chars().take(64).collect();
    fold(&head)
}

#[cfg(test)]
mod tests;
