//! Slows down attempts at a password that fail: at sign-in per user name, so that one password cannot be guessed from many
//! addresses, and per address, so that one address cannot try many names; of those who change their password per user.
//! Memory is bounded; nobody is locked out for long.
//!
//! Whoever tries a name without end would win every turn that is left under it. So a name's failures count only for
//! addresses from which it has not signed in; where it has, it has a count of its own. Nor do they count where somebody
//! changes the own password: whoever does has signed in.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tidegate_proto::ids::UserId;

use crate::domain::{name::fold, time::Timestamp};

/// The attempts that failed lately.
#[derive(Debug, Default)]
pub(super) struct Slowing {
    failures: Mutex<HashMap<Who, Failures>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Who {
    /// A name, from wherever it has not signed in.
    Name(String),
    /// A name, from where it has signed in: known by being remembered at all.
    Known(String, IpAddr),
    Peer(IpAddr),
    /// A user who has signed in and says the old password to change it.
    Change(UserId),
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Timestamp,
}

/// How many attempts may fail before there is a wait: people mistype.
const FREE: u32 = 5;
/// The wait after the first attempt beyond that; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait: long enough to make guessing hopeless, short enough that an attacker cannot lock somebody out.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// After so long without a failure everything is forgotten.
const MEMORY: Duration = Duration::from_secs(15 * 60);
/// How many names and addresses are remembered; beyond it the oldest is forgotten.
const REMEMBERED: usize = 10_000;

// === impl Slowing ===

impl Slowing {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// How long an attempt must wait; zero when it may go on. An attempt that may go on counts as failed until
    /// [`Slowing::succeeded`], so that many at once do not all slip through.
    pub(super) fn begin(&self, name: &str, peer: Option<IpAddr>, now: Timestamp) -> Duration {
        let mut failures = self.lock();
        let parties = parties(&failures, name, peer);
        attempt(&mut failures, parties, now)
    }

    /// As [`Slowing::begin`], for a user who changes the own password, until [`Slowing::changed`].
    pub(super) fn begin_change(&self, user: UserId, now: Timestamp) -> Duration {
        attempt(&mut self.lock(), vec![Who::Change(user)], now)
    }

    /// Forgets the failures of a user who has said the old password.
    pub(super) fn changed(&self, user: UserId) {
        self.lock().remove(&Who::Change(user));
    }

    /// Forgets the failures of a name that has signed in, knows it at its address from now on, and forgives the address
    /// this attempt.
    pub(super) fn succeeded(&self, name: &str, peer: Option<IpAddr>, now: Timestamp) {
        let mut failures = self.lock();
        let name = head(name);
        failures.remove(&Who::Name(name.clone()));
        if let Some(peer) = peer {
            if let Some(entry) = failures.get_mut(&Who::Peer(peer)) {
                entry.count = entry.count.saturating_sub(1);
            }
            let known = remember(&mut failures, Who::Known(name, peer), now);
            *known = Failures {
                count: 0,
                last: now,
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Who, Failures>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Failures ===

impl Failures {
    fn wait(self, now: Timestamp) -> Duration {
        if self.count < FREE || now.since(self.last) > MEMORY {
            return Duration::ZERO;
        }
        let doublings = (self.count - FREE).min(16);
        let wait = (FIRST_WAIT * (1 << doublings)).min(LONGEST_WAIT);
        wait.saturating_sub(now.since(self.last))
    }
}

/// How long these must wait; when they need not, counts an attempt of each.
fn attempt(failures: &mut HashMap<Who, Failures>, parties: Vec<Who>, now: Timestamp) -> Duration {
    let wait = parties
        .iter()
        .filter_map(|who| failures.get(who))
        .map(|failures| failures.wait(now))
        .max()
        .unwrap_or_default();
    if wait.is_zero() {
        for who in parties {
            let entry = remember(failures, who, now);
            if now.since(entry.last) > MEMORY {
                entry.count = 0;
            }
            entry.count += 1;
            entry.last = now;
        }
    }
    wait
}

fn parties(failures: &HashMap<Who, Failures>, name: &str, peer: Option<IpAddr>) -> Vec<Who> {
    let name = head(name);
    let Some(peer) = peer else {
        return vec![Who::Name(name)];
    };
    let known = Who::Known(name.clone(), peer);
    if failures.contains_key(&known) {
        vec![known, Who::Peer(peer)]
    } else {
        vec![Who::Name(name), Who::Peer(peer)]
    }
}

/// A name longer than any user's is nobody's; its head is enough to slow it down.
fn head(name: &str) -> String {
    let head: String = name.chars().take(64).collect();
    fold(&head)
}

fn remember(failures: &mut HashMap<Who, Failures>, who: Who, now: Timestamp) -> &mut Failures {
    if failures.len() >= REMEMBERED && !failures.contains_key(&who) {
        forget_oldest(failures);
    }
    failures.entry(who).or_insert(Failures {
        count: 0,
        last: now,
    })
}

fn forget_oldest(failures: &mut HashMap<Who, Failures>) {
    let oldest = failures
        .iter()
        .min_by_key(|(_, failures)| failures.last)
        .map(|(who, _)| who.clone());
    if let Some(oldest) = oldest {
        failures.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, time::Duration};

    use super::{FREE, REMEMBERED, Slowing};
    use crate::domain::time::Timestamp;

    const START: Timestamp = Timestamp::from_millis(1_000_000);

    #[test]
    fn waits_grow_with_each_failure_and_end_with_a_success() {
        let slowing = Slowing::new();
        for _ in 0..FREE {
            assert_eq!(slowing.begin("ann", None, START), Duration::ZERO);
        }
        assert_eq!(slowing.begin("Ann", None, START), Duration::from_secs(1));
        let later = START.after(Duration::from_secs(1));
        assert_eq!(slowing.begin("ann", None, later), Duration::ZERO);
        assert_eq!(slowing.begin("ann", None, later), Duration::from_secs(2));
        slowing.succeeded("ann", None, later);
        assert_eq!(slowing.begin("ann", None, later), Duration::ZERO);
    }

    #[test]
    fn one_address_that_tries_many_names_is_slowed_and_others_are_not() {
        let slowing = Slowing::new();
        let peer: IpAddr = [192, 0, 2, 1].into();
        for n in 0..FREE {
            assert!(slowing.begin(&format!("u{n}"), Some(peer), START).is_zero());
        }
        assert!(!slowing.begin("another", Some(peer), START).is_zero());
        let other: IpAddr = [192, 0, 2, 2].into();
        assert!(slowing.begin("another", Some(other), START).is_zero());
    }

    #[test]
    fn whoever_tries_a_name_without_end_keeps_its_owner_out_of_no_place_where_he_has_been() {
        let slowing = Slowing::new();
        let [home, away, attacker]: [IpAddr; 3] =
            [[192, 0, 2, 1], [192, 0, 2, 2], [192, 0, 2, 3]].map(Into::into);
        assert!(slowing.begin("ann", Some(home), START).is_zero());
        slowing.succeeded("ann", Some(home), START);
        for _ in 0..FREE {
            assert!(slowing.begin("ann", Some(attacker), START).is_zero());
        }
        assert!(!slowing.begin("ann", Some(away), START).is_zero());
        for _ in 0..FREE {
            assert!(slowing.begin("ann", Some(home), START).is_zero());
        }
        assert!(
            !slowing.begin("ann", Some(home), START).is_zero(),
            "guessing from there is slowed all the same"
        );
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let slowing = Slowing::new();
        for n in 0..REMEMBERED + 10 {
            slowing.begin(&n.to_string(), None, START);
        }
        assert_eq!(slowing.lock().len(), REMEMBERED);
    }
}
