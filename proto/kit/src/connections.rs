//! Connection limits of a listener, in all and for each client address: slots that are released on drop.
//!
//! A slot is taken before a byte is read. Knows nothing of TLS, HTTP or sessions.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Accepts on several cores must not queue for one lock.
const SHARDS: usize = 16;

/// How many connections there may be. Clones share the count.
#[derive(Clone, Debug)]
pub struct ConnectionLimits(Arc<Counts>);

/// One connection's slot; dropping it releases the slot.
#[derive(Debug)]
pub struct ConnectionSlot {
    counts: Arc<Counts>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Within the limits; counted under its address where addresses are limited.
    Within(Option<IpAddr>),
    /// Beyond the limits: only good for a refusal.
    Overflow,
}

#[derive(Debug)]
struct Counts {
    max: usize,
    open: AtomicUsize,
    max_overflow: usize,
    overflow: AtomicUsize,
    /// 0 for no limit, and then nothing is counted.
    max_per_address: usize,
    by_address: [Mutex<HashMap<IpAddr, usize>>; SHARDS],
    hasher: RandomState,
}

// === impl ConnectionLimits ===

impl ConnectionLimits {
    /// Allows `max` connections in all and `max_per_address` from one address; 0 means that addresses have no limit of
    /// their own.
    #[must_use]
    pub fn new(max: usize, max_per_address: usize) -> Self {
        Self::with_overflow(max, max_per_address, 0)
    }

    /// Like [`Self::new`], with `max_overflow` more slots for connections that are accepted only to be refused with an
    /// answer.
    #[must_use]
    pub fn with_overflow(max: usize, max_per_address: usize, max_overflow: usize) -> Self {
        Self(Arc::new(Counts {
            max,
            open: AtomicUsize::new(0),
            max_overflow,
            overflow: AtomicUsize::new(0),
            max_per_address,
            by_address: Default::default(),
            hasher: RandomState::new(),
        }))
    }

    /// Takes a slot within the limits, or else an overflow slot. `None` means that the connection must be dropped.
    #[must_use]
    pub fn take(&self, address: IpAddr) -> Option<ConnectionSlot> {
        let counts = &self.0;
        self.take_within(address).or_else(|| {
            increment(&counts.overflow, counts.max_overflow).then(|| ConnectionSlot {
                counts: counts.clone(),
                kind: Kind::Overflow,
            })
        })
    }

    fn take_within(&self, address: IpAddr) -> Option<ConnectionSlot> {
        let counts = &self.0;
        if !increment(&counts.open, counts.max) {
            return None;
        }
        // From here on, dropping the slot undoes the increment.
        let mut slot = ConnectionSlot {
            counts: counts.clone(),
            kind: Kind::Within(None),
        };
        if counts.max_per_address > 0 {
            let address = client_network(address);
            let mut shard = counts.shard(address);
            let count = shard.entry(address).or_default();
            if *count >= counts.max_per_address {
                return None;
            }
            *count += 1;
            slot.kind = Kind::Within(Some(address));
        }
        Some(slot)
    }

    /// How many slots within the limits are taken.
    #[must_use]
    pub fn open(&self) -> usize {
        self.0.open.load(Ordering::Relaxed)
    }
}

// === impl ConnectionSlot ===

impl ConnectionSlot {
    /// Whether the connection is within the limits, and not only accepted to be refused.
    #[must_use]
    pub const fn is_within_limits(&self) -> bool {
        matches!(self.kind, Kind::Within(_))
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let Kind::Within(address) = self.kind else {
            self.counts.overflow.fetch_sub(1, Ordering::Relaxed);
            return;
        };
        self.counts.open.fetch_sub(1, Ordering::Relaxed);
        if let Some(address) = address {
            let mut shard = self.counts.shard(address);
            if let Some(count) = shard.get_mut(&address) {
                *count -= 1;
                if *count == 0 {
                    shard.remove(&address);
                }
            }
        }
    }
}

// === impl Counts ===

impl Counts {
    fn shard(&self, address: IpAddr) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        let index = usize::try_from(self.hasher.hash_one(address) % SHARDS as u64)
            .expect("a remainder of 16 fits");
        self.by_address[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn increment(count: &AtomicUsize, max: usize) -> bool {
    let is_below = count.fetch_add(1, Ordering::Relaxed) < max;
    if !is_below {
        count.fetch_sub(1, Ordering::Relaxed);
    }
    is_below
}

/// What counts as one client address: an IPv4 address, or the /64 of an IPv6 address. One IPv6 subscriber has a /64 at
/// least, so counting single addresses would limit nothing.
#[must_use]
pub fn client_network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => {
            let prefix = v6.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(prefix))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{ConnectionLimits, ConnectionSlot};

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn within(limits: &ConnectionLimits, address: &str) -> Option<ConnectionSlot> {
        limits
            .take(ip(address))
            .filter(ConnectionSlot::is_within_limits)
    }

    fn counted_addresses(limits: &ConnectionLimits) -> usize {
        let shards = limits.0.by_address.iter();
        shards.map(|shard| shard.lock().unwrap().len()).sum()
    }

    #[test]
    fn the_connection_after_the_last_is_refused_until_a_slot_is_released() {
        let limits = ConnectionLimits::with_overflow(2, 0, 64);
        let first = within(&limits, "192.0.2.1").unwrap();
        let _second = within(&limits, "192.0.2.1").unwrap();
        assert!(within(&limits, "192.0.2.2").is_none());
        drop(first);
        assert_eq!(limits.open(), 1);
        assert!(within(&limits, "192.0.2.2").is_some());
    }

    #[test]
    fn slots_are_counted_in_all_and_for_each_address_and_released() {
        let limits = ConnectionLimits::new(3, 2);
        let first = limits.take(ip("192.0.2.1")).unwrap();
        let second = limits.take(ip("::ffff:192.0.2.1")).unwrap();
        assert!(limits.take(ip("192.0.2.1")).is_none());
        let other = limits.take(ip("192.0.2.2")).unwrap();
        assert!(limits.take(ip("192.0.2.3")).is_none());
        drop(first);
        assert!(limits.take(ip("192.0.2.3")).is_some());
        drop((second, other));
        assert_eq!(counted_addresses(&limits), 0);
        assert_eq!(limits.open(), 0);
    }

    #[test]
    fn one_address_cannot_take_all_the_slots() {
        let limits = ConnectionLimits::with_overflow(100, 2, 64);
        let held: Vec<_> = (0..2)
            .map(|_| within(&limits, "192.0.2.1").unwrap())
            .collect();
        assert!(within(&limits, "::ffff:192.0.2.1").is_none());
        assert!(within(&limits, "192.0.2.2").is_some());
        drop(held);
        assert_eq!(limits.open(), 0);
        assert!(within(&limits, "192.0.2.1").is_some());
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        let limits = ConnectionLimits::new(100, 1);
        let _held = limits.take(ip("2001:db8:1:2::1")).unwrap();
        assert!(limits.take(ip("2001:db8:1:2::ffff:2")).is_none());
        assert!(limits.take(ip("2001:db8:1:2:ffff::9")).is_none());
        assert!(limits.take(ip("2001:db8:1:3::1")).is_some());
    }

    #[test]
    fn overflow_slots_are_limited_and_not_counted_as_open() {
        let limits = ConnectionLimits::with_overflow(0, 0, 64);
        let refused: Vec<_> = (0..64)
            .map(|_| limits.take(ip("192.0.2.1")).unwrap())
            .collect();
        assert!(refused.iter().all(|slot| !slot.is_within_limits()));
        assert!(limits.take(ip("192.0.2.1")).is_none());
        drop(refused);
        assert!(limits.take(ip("192.0.2.1")).is_some());
        assert_eq!(limits.open(), 0);
    }
}
