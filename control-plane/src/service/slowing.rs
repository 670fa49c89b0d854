//! Slows down guessing at passwords, in such a way that a guesser keeps nobody else out.
//!
//! Failures are counted for each name from one address (a pair), for each address, and for each name from everywhere. A
//! counter that is over its limit sets a wait, and an attempt within the wait is *slowed*: it is answered late, after
//! [`HELD`], and the answer is to wait. The counters that set a wait see no difference between names that exist and
//! names that do not, so that nothing about an answer, and nothing about its time, tells them apart.
//!
//! A slowed attempt with the right password gets in all the same, if its turn comes while it is held. Guesses at names
//! that do not exist take no turns. There are two kinds of turn:
//! - A name that has signed in from an address before is known there, and has turns of its own at that address.
//! - Names that are not known at an address share the turns of that address. A name takes part until its own counters
//!   set a wait, or it has had its share: a few turns at one address, and as many as its failures have from everywhere.
//!   Failures of other names alone keep nobody out, and no name takes the turns of all others by asking again and again.
//!
//! Which turns a name has had is counted apart, for names that exist only, and sets no wait. Turns are given in the order
//! of asking. An attempt that gets in, or whose password could not be checked, is taken back everywhere.
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

/// Attempts to sign up. All of them count, and not only those that fail: each makes a user, or tells that a name is
/// taken.
#[derive(Debug, Default)]
pub(super) struct SignUps(Mutex<Newcomers>);

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
    /// Which of the turns of an address a name has had there.
    checked: Paced<(String, Option<IpAddr>)>,
    /// Which of the turns of all addresses a name has had.
    checked_names: Paced<String>,
    /// The turns of names where they are known. Only those who sign in make an entry.
    known: Paced<(String, IpAddr)>,
}

#[derive(Debug, Default)]
struct Newcomers {
    /// Attempts under names that are free.
    made: Paced<Option<IpAddr>>,
    /// Attempts under names that are taken.
    refused: Paced<Option<IpAddr>>,
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

/// The turns of one name at an address where it is not known: 5, then 1 a minute.
const PAIR: Pace = Pace {
    interval: Duration::from_secs(60),
    burst: 5,
    ahead: Duration::ZERO,
};

/// Failures at one name from all addresses where it is not known: 50, then 2 a minute; and as many turns. One address
/// alone fails no more often at one name than this forgets, nor has it more turns, and so it holds up no other.
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

/// Attempts from one address to sign up under names that are taken: 10, then 30 a minute.
const TAKEN: Pace = Pace {
    interval: Duration::from_secs(2),
    burst: 10,
    ahead: Duration::from_secs(4),
};

// === impl Slowing ===

impl Slowing {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// What an attempt may do. One that is not slowed counts as failed until [`Slowing::succeeded`] or
    /// [`Slowing::unchecked`], so that many at once do not all slip through.
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
            _ if exists && own.is_zero() => it.turn_of_stranger(name, peer, now),
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
        it.take_back(name.clone(), peer, turn);
        it.failures.forget(&Who::Pair(name.clone(), peer));
        if let Some(peer) = peer {
            it.known.renew((name, peer), now);
        }
    }

    /// Takes back an attempt whose password could not be checked, and which says nothing about it.
    pub(super) fn unchecked(&self, name: &str, peer: Option<IpAddr>, turn: Turn) {
        self.lock().take_back(head(name), peer, turn);
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

// === impl Counters ===

impl Counters {
    /// The turn of a name that exists, at an address where it is not known.
    fn turn_of_stranger(
        &mut self,
        name: String,
        peer: Option<IpAddr>,
        now: Timestamp,
    ) -> Option<Duration> {
        let everywhere = self.checked_names.wait(&name, NAME, now);
        let pair = (name.clone(), peer);
        let here = self.checked.wait(&pair, PAIR, now);
        if !everywhere.max(here).is_zero() {
            return None;
        }
        let turn = self.addresses.turn(peer, ADDRESS, now)?;
        self.checked_names.turn(name, NAME, now);
        self.checked.turn(pair, PAIR, now);
        Some(turn)
    }

    /// Undoes what the beginning of an attempt has counted and taken.
    fn take_back(&mut self, name: String, peer: Option<IpAddr>, turn: Turn) {
        match turn.slowed {
            None => {
                if !turn.known {
                    self.names.give_back(&name, NAME);
                }
                self.failures.take_back(&Who::Pair(name, peer));
                if let Some(peer) = peer {
                    self.failures.take_back(&Who::Address(peer));
                }
            }
            Some(Slowed { turn: None, .. }) => {}
            Some(_) if turn.known => {
                if let Some(peer) = peer {
                    self.known.give_back(&(name, peer), KNOWN);
                }
            }
            Some(_) => {
                self.addresses.give_back(&peer, ADDRESS);
                self.checked_names.give_back(&name, NAME);
                self.checked.give_back(&(name, peer), PAIR);
            }
        }
    }
}

// === impl SignUps ===

impl SignUps {
    /// How long an attempt is held until its turn. One under a name that is taken has a turn of another kind: it is
    /// refused anyway, and keeps nobody from signing up.
    ///
    /// # Errors
    /// With how long it must wait, where too many are held already. Where that is so for names that are free, the same is
    /// told for those that are taken.
    pub(super) fn begin(
        &self,
        peer: Option<IpAddr>,
        is_taken: bool,
        now: Timestamp,
    ) -> Result<Duration, Duration> {
        let mut it = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = it.made.wait(&peer, SIGN_UP, now);
        if !is_taken {
            return it.made.turn(peer, SIGN_UP, now).ok_or(wait);
        }
        let wait = if wait.is_zero() {
            it.refused.wait(&peer, TAKEN, now)
        } else {
            wait
        };
        it.refused.turn(peer, TAKEN, now).ok_or(wait)
    }
}

/// A name longer than any user's is nobody's; its head is enough to slow it down.
fn head(name: &str) -> String {
    let head: String = name.chars().take(64).collect();
    fold(&head)
}

#[cfg(test)]
mod tests;
