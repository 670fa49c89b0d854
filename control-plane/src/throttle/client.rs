//! Limits how often wrong client secrets may be tried: for each client id from one address, and for each address.
//!
//! Secrets are 256 random bits, so this is about load and about making an attack visible, not about guessing. Client ids
//! are no secret: knowing one must not be enough to lock its owner out from another address.

use std::{
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    failures::{FailureLimit, Failures},
    head,
};
use crate::domain::time::Timestamp;

/// Counts failed attempts of clients.
#[derive(Debug, Default)]
pub struct ClientThrottle(Mutex<ClientFailures>);

#[derive(Debug, Default)]
struct ClientFailures {
    clients: Failures<(String, IpAddr)>,
    addresses: Failures<IpAddr>,
}

const WINDOW: Duration = Duration::from_secs(60);

/// A client with a wrong configuration tries a few times a minute; nobody honest fails more often.
const CLIENT_MAX: u32 = 20;
/// Many clients may share an address.
const ADDRESS_MAX: u32 = 200;

const CLIENT: FailureLimit = FailureLimit::Window {
    max: CLIENT_MAX,
    length: WINDOW,
};
const ADDRESS: FailureLimit = FailureLimit::Window {
    max: ADDRESS_MAX,
    length: WINDOW,
};

impl ClientThrottle {
    /// How long a client must wait before it may try again; `None` if it may try now.
    #[must_use]
    pub fn wait(&self, client: &str, address: IpAddr, now: Timestamp) -> Option<Duration> {
        let it = self.lock();
        let client = it.clients.wait(&(head(client), address), CLIENT, now);
        let wait = client.max(it.addresses.wait(&address, ADDRESS, now));
        (!wait.is_zero()).then_some(wait)
    }

    /// Counts a failed attempt.
    pub fn failed(&self, client: &str, address: IpAddr, now: Timestamp) {
        let mut it = self.lock();
        it.clients.record((head(client), address), CLIENT, now);
        it.addresses.record(address, ADDRESS, now);
    }

    fn lock(&self) -> MutexGuard<'_, ClientFailures> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::{ADDRESS_MAX, CLIENT_MAX, ClientThrottle, WINDOW};
    use crate::{domain::time::Timestamp, throttle::failures::MAX_KEYS};

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    const fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_client_that_fails_too_often_waits_for_the_rest_of_the_window() {
        let throttle = ClientThrottle::default();
        for _ in 0..CLIENT_MAX {
            assert_eq!(throttle.wait("me", HERE, at(1000)), None);
            throttle.failed("me", HERE, at(1000));
        }
        assert_eq!(throttle.wait("me", HERE, at(1000)), Some(WINDOW));
        assert_eq!(
            throttle.wait("me", THERE, at(1000)),
            None,
            "its owner is locked out by somebody else"
        );
        assert_eq!(throttle.wait("you", HERE, at(1000)), None);
        assert_eq!(throttle.wait("me", HERE, at(61_000)), None);
        throttle.failed("me", HERE, at(61_000));
        assert_eq!(throttle.wait("me", HERE, at(61_000)), None);
    }

    #[test]
    fn an_address_that_tries_many_clients_waits_too() {
        let throttle = ClientThrottle::default();
        for n in 0..ADDRESS_MAX {
            throttle.failed(&format!("client-{n}"), HERE, at(0));
        }
        assert!(throttle.wait("fresh", HERE, at(1)).is_some());
        assert_eq!(throttle.wait("fresh", THERE, at(1)), None);
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_nobody_waiting() {
        let throttle = ClientThrottle::default();
        for _ in 0..CLIENT_MAX {
            throttle.failed("me", HERE, at(3_600_000));
        }
        assert_eq!(throttle.wait("me", HERE, at(1000)), None);
    }

    #[test]
    fn the_number_of_counters_is_bounded() {
        let throttle = ClientThrottle::default();
        for n in 0..2 * MAX_KEYS {
            throttle.failed(&format!("client-{n}"), HERE, at(0));
        }
        assert_eq!(throttle.lock().clients.len(), MAX_KEYS);
    }

    #[test]
    fn a_flood_of_other_clients_clears_no_counter_that_is_high() {
        let throttle = ClientThrottle::default();
        for _ in 0..CLIENT_MAX {
            throttle.failed("me", HERE, at(0));
        }
        for n in 0..2 * MAX_KEYS {
            throttle.failed(&format!("client-{n}"), THERE, at(0));
        }
        assert!(throttle.wait("me", HERE, at(1)).is_some());
    }
}
