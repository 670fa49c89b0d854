//! How often wrong client secrets may be tried: so often for each client id from one address, and for each address, then
//! not for a while. Secrets are 256 random bits, so this is about load and about showing an attack, not about guessing;
//! and client ids are no secret, so that whoever knows one must not be able to keep its owner out from elsewhere.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Counts failed attempts. Time is passed in.
#[derive(Debug, Default)]
pub struct Throttle(Mutex<HashMap<Who, Failures>>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Who {
    Client(String, IpAddr),
    Address(IpAddr),
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    /// The start of the window, in milliseconds since the Unix epoch.
    since: u64,
}

/// A client that is set up wrongly tries a few times a minute; nobody honest fails more often.
const CLIENT_MAX: u32 = 20;
/// Many clients may share an address.
const ADDRESS_MAX: u32 = 200;
const WINDOW: Duration = Duration::from_secs(60);
/// Memory has a bound. Beyond it goes what is over, else the lowest count: whoever fails under many names does not clear
/// a counter that is high.
const TRACKED_MAX: usize = 10_000;

impl Throttle {
    /// How long a client must wait before it may try again; `None` when it may try now.
    #[must_use]
    pub fn wait(&self, client: &str, address: IpAddr, now_millis: u64) -> Option<Duration> {
        let failures = self.lock();
        [
            (Who::Client(head(client), address), CLIENT_MAX),
            (Who::Address(address), ADDRESS_MAX),
        ]
        .into_iter()
        .filter_map(|(who, most)| {
            let failed = failures.get(&who)?;
            (failed.count >= most).then(|| failed.left(now_millis))?
        })
        .max()
    }

    /// Counts a failed attempt.
    pub fn failed(&self, client: &str, address: IpAddr, now_millis: u64) {
        let mut failures = self.lock();
        for who in [Who::Client(head(client), address), Who::Address(address)] {
            if failures.len() >= TRACKED_MAX && !failures.contains_key(&who) {
                make_room(&mut failures, now_millis);
            }
            let fresh = Failures {
                count: 0,
                since: now_millis,
            };
            let failed = failures.entry(who).or_insert(fresh);
            if failed.left(now_millis).is_none() {
                *failed = fresh;
            }
            failed.count += 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Who, Failures>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make_room(failures: &mut HashMap<Who, Failures>, now_millis: u64) {
    failures.retain(|_, failed| failed.left(now_millis).is_some());
    if failures.len() < TRACKED_MAX {
        return;
    }
    let least = failures.iter();
    let least = least.min_by_key(|(_, failed)| (failed.count, failed.since));
    if let Some(least) = least.map(|(who, _)| who.clone()) {
        failures.remove(&least);
    }
}

/// Longer ones are nobody's, and would be kept in memory.
fn head(client: &str) -> String {
    client.chars().take(64).collect()
}

impl Failures {
    /// How long the window still is.
    fn left(self, now_millis: u64) -> Option<Duration> {
        let passed = Duration::from_millis(now_millis.saturating_sub(self.since));
        WINDOW.checked_sub(passed).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::{ADDRESS_MAX, CLIENT_MAX, TRACKED_MAX, Throttle, WINDOW};

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn a_client_that_fails_too_often_waits_for_the_rest_of_the_window() {
        let throttle = Throttle::default();
        for _ in 0..CLIENT_MAX {
            assert_eq!(throttle.wait("me", HERE, 1000), None);
            throttle.failed("me", HERE, 1000);
        }
        assert_eq!(throttle.wait("me", HERE, 1000), Some(WINDOW));
        assert_eq!(
            throttle.wait("me", THERE, 1000),
            None,
            "its owner is kept out by somebody else"
        );
        assert_eq!(throttle.wait("you", HERE, 1000), None);
        assert_eq!(throttle.wait("me", HERE, 61_000), None);
        throttle.failed("me", HERE, 61_000);
        assert_eq!(throttle.wait("me", HERE, 61_000), None);
    }

    #[test]
    fn an_address_that_tries_many_clients_waits_too() {
        let throttle = Throttle::default();
        for n in 0..ADDRESS_MAX {
            throttle.failed(&format!("client-{n}"), HERE, 0);
        }
        assert!(throttle.wait("fresh", HERE, 1).is_some());
        assert_eq!(throttle.wait("fresh", THERE, 1), None);
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let throttle = Throttle::default();
        for n in 0..2 * TRACKED_MAX {
            throttle.failed(&format!("client-{n}"), HERE, 0);
        }
        assert_eq!(throttle.lock().len(), TRACKED_MAX);
    }

    #[test]
    fn a_flood_of_other_clients_clears_no_counter_that_is_high() {
        let throttle = Throttle::default();
        for _ in 0..CLIENT_MAX {
            throttle.failed("me", HERE, 0);
        }
        for n in 0..2 * TRACKED_MAX {
            throttle.failed(&format!("client-{n}"), THERE, 0);
        }
        assert!(throttle.wait("me", HERE, 1).is_some());
    }
}
