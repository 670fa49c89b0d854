//! Who is let in at a door: how many connections there may be, in all and from one address, and what an error of
//! `accept` means. Knows nothing of TLS or HTTP.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

/// Counts connections.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    most: usize,
    most_each: usize,
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    all: usize,
    each: HashMap<IpAddr, usize>,
}

/// A place inside, which is given back when it is dropped.
#[derive(Debug)]
pub struct Pass {
    gate: Gate,
    from: IpAddr,
}

/// What an error of `accept` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This connection is gone; the next may be well.
    Connection,
    /// The process or the machine is short of something; trying at once would only burn time.
    Exhausted,
    /// The listener itself is of no use any more.
    Fatal,
}

// === impl Gate ===

impl Gate {
    /// Lets in so many in all, and so many from one address.
    #[must_use]
    pub fn new(most: usize, most_each: usize) -> Self {
        Self(Arc::new(Counts {
            most,
            most_each,
            inside: Mutex::default(),
        }))
    }

    /// Takes a place, if there is one.
    #[must_use]
    pub fn enter(&self, from: IpAddr) -> Option<Pass> {
        let from = subscriber(from);
        let mut inside = self.inside();
        let each = inside.each.get(&from).copied().unwrap_or(0);
        if inside.all >= self.0.most || each >= self.0.most_each {
            return None;
        }
        inside.all += 1;
        inside.each.insert(from, each + 1);
        drop(inside);
        Some(Pass {
            gate: self.clone(),
            from,
        })
    }

    fn inside(&self) -> std::sync::MutexGuard<'_, Inside> {
        self.0.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Pass ===

impl Drop for Pass {
    fn drop(&mut self) {
        let mut inside = self.gate.inside();
        inside.all -= 1;
        if let Some(each) = inside.each.get_mut(&self.from) {
            *each -= 1;
            if *each == 0 {
                inside.each.remove(&self.from);
            }
        }
    }
}

// === impl Fault ===

impl Fault {
    /// Judges an error of `accept`.
    #[must_use]
    pub fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::InvalidInput
            | io::ErrorKind::NotConnected
            | io::ErrorKind::Unsupported => Self::Fatal,
            io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
            | io::ErrorKind::TimedOut
            | io::ErrorKind::PermissionDenied => Self::Connection,
            // EMFILE, ENFILE, ENOBUFS and ENOMEM have no kind of their own; waiting is right for the unknown as well.
            _ => Self::Exhausted,
        }
    }
}

/// One subscriber of IPv6 has a /64 at least, so that counting single addresses would bound nothing.
#[must_use]
pub fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::{io, net::IpAddr};

    use super::{Fault, Gate};

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn places_are_counted_in_all_and_for_each_address_and_given_back() {
        let gate = Gate::new(3, 2);
        let first = gate.enter(ip("192.0.2.1")).unwrap();
        let second = gate.enter(ip("::ffff:192.0.2.1")).unwrap();
        assert!(gate.enter(ip("192.0.2.1")).is_none());
        let other = gate.enter(ip("192.0.2.2")).unwrap();
        assert!(gate.enter(ip("192.0.2.3")).is_none());
        drop(first);
        assert!(gate.enter(ip("192.0.2.3")).is_some());
        drop((second, other));
        assert!(gate.inside().each.is_empty());
        assert_eq!(gate.inside().all, 0);
    }

    #[test]
    fn the_addresses_of_one_subscriber_count_as_one() {
        let gate = Gate::new(9, 1);
        let _pass = gate.enter(ip("2001:db8:1:2::1")).unwrap();
        assert!(gate.enter(ip("2001:db8:1:2:ffff::9")).is_none());
        assert!(gate.enter(ip("2001:db8:1:3::1")).is_some());
    }

    #[test]
    fn running_out_of_descriptors_is_not_a_fault_of_the_connection() {
        let emfile = io::Error::from_raw_os_error(24);
        assert_eq!(Fault::of(&emfile), Fault::Exhausted);
        let aborted = io::Error::from(io::ErrorKind::ConnectionAborted);
        assert_eq!(Fault::of(&aborted), Fault::Connection);
        let invalid = io::Error::from(io::ErrorKind::InvalidInput);
        assert_eq!(Fault::of(&invalid), Fault::Fatal);
    }
}
