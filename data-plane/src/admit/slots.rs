//! How many client connections a node holds, in all and from one address: places that are given back on drop.
//!
//! Taken by `listen` before a byte is read; what a connection may do afterwards is decided elsewhere.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Accepts on several cores must not queue for one lock.
const SHARDS: usize = 16;

/// Places beyond the limit in which a client is told that there is none; beyond these too, connections are dropped.
const PLACES_TO_REFUSE_IN: usize = 64;

/// The places of a node. Clones share them.
#[derive(Clone, Debug)]
pub struct Slots(Arc<Places>);

/// One connection's place; dropping it frees the place.
#[derive(Debug)]
pub struct Slot {
    places: Arc<Places>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Within the limits; counted under its address where addresses are limited.
    Within(Option<IpAddr>),
    /// Beyond them: good for a refusal.
    Beyond,
}

#[derive(Debug)]
struct Places {
    limit: usize,
    taken: AtomicUsize,
    beyond: AtomicUsize,
    /// 0 for no limit of its own, and then nothing is counted.
    limit_per_address: usize,
    by_address: [Mutex<HashMap<IpAddr, usize>>; SHARDS],
    hasher: RandomState,
}

// === impl Slots ===

impl Slots {
    /// So many places in all, and for one address; `per_address` 0 leaves addresses without a limit of their own.
    #[must_use]
    pub fn new(limit: usize, per_address: usize) -> Self {
        Self(Arc::new(Places {
            limit,
            taken: AtomicUsize::new(0),
            beyond: AtomicUsize::new(0),
            limit_per_address: per_address,
            by_address: Default::default(),
            hasher: RandomState::new(),
        }))
    }

    /// Takes a place: one within the limits, else one to be refused in, else none.
    #[must_use]
    pub fn take(&self, address: IpAddr) -> Option<Slot> {
        let places = &self.0;
        self.take_within(address).or_else(|| {
            let slot = enter(&places.beyond, PLACES_TO_REFUSE_IN).then_some(Kind::Beyond);
            slot.map(|kind| Slot {
                places: places.clone(),
                kind,
            })
        })
    }

    fn take_within(&self, address: IpAddr) -> Option<Slot> {
        let places = &self.0;
        if !enter(&places.taken, places.limit) {
            return None;
        }
        // From here on the drop of the slot gives the place back.
        let mut slot = Slot {
            places: places.clone(),
            kind: Kind::Within(None),
        };
        if places.limit_per_address > 0 {
            let address = one_customer(address);
            let mut counts = places.shard(address);
            let count = counts.entry(address).or_default();
            if *count >= places.limit_per_address {
                return None;
            }
            *count += 1;
            slot.kind = Kind::Within(Some(address));
        }
        Some(slot)
    }

    /// How many places within the limits are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.0.taken.load(Ordering::Relaxed)
    }
}

// === impl Slot ===

impl Slot {
    /// Whether the connection is within the limits, and not only there to be refused.
    #[must_use]
    pub const fn is_within(&self) -> bool {
        matches!(self.kind, Kind::Within(_))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Kind::Within(address) = self.kind else {
            self.places.beyond.fetch_sub(1, Ordering::Relaxed);
            return;
        };
        self.places.taken.fetch_sub(1, Ordering::Relaxed);
        if let Some(address) = address {
            let mut counts = self.places.shard(address);
            if let Some(count) = counts.get_mut(&address) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(&address);
                }
            }
        }
    }
}

// === impl Places ===

impl Places {
    fn shard(&self, address: IpAddr) -> std::sync::MutexGuard<'_, HashMap<IpAddr, usize>> {
        let index = usize::try_from(self.hasher.hash_one(address) % SHARDS as u64)
            .expect("a remainder of 16 fits");
        self.by_address[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn enter(count: &AtomicUsize, limit: usize) -> bool {
    let entered = count.fetch_add(1, Ordering::Relaxed) < limit;
    if !entered {
        count.fetch_sub(1, Ordering::Relaxed);
    }
    entered
}

/// What counts as one address: an IPv6 customer gets a /64 and may use all of it.
fn one_customer(address: IpAddr) -> IpAddr {
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

    use super::{PLACES_TO_REFUSE_IN, Slot, Slots};

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn within(slots: &Slots, address: &str) -> Option<Slot> {
        slots.take(ip(address)).filter(Slot::is_within)
    }

    #[test]
    fn the_place_after_the_last_is_refused_until_one_is_given_back() {
        let slots = Slots::new(2, 0);
        let first = within(&slots, "192.0.2.1").unwrap();
        let _second = within(&slots, "192.0.2.1").unwrap();
        assert!(within(&slots, "192.0.2.2").is_none());
        drop(first);
        assert_eq!(slots.taken(), 1);
        assert!(within(&slots, "192.0.2.2").is_some());
    }

    #[test]
    fn one_address_cannot_take_all_the_places() {
        let slots = Slots::new(100, 2);
        let held: Vec<_> = (0..2)
            .map(|_| within(&slots, "192.0.2.1").unwrap())
            .collect();
        assert!(within(&slots, "::ffff:192.0.2.1").is_none());
        assert!(within(&slots, "192.0.2.2").is_some());
        drop(held);
        assert_eq!(slots.taken(), 0);
        assert!(within(&slots, "192.0.2.1").is_some());
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        let slots = Slots::new(100, 1);
        let _held = within(&slots, "2001:db8::1").unwrap();
        assert!(within(&slots, "2001:db8::ffff:2").is_none());
        assert!(within(&slots, "2001:db8:0:1::1").is_some());
    }

    #[test]
    fn only_so_many_are_told_that_there_is_no_place() {
        let slots = Slots::new(0, 0);
        let told: Vec<_> = (0..PLACES_TO_REFUSE_IN)
            .map(|_| slots.take(ip("192.0.2.1")).unwrap())
            .collect();
        assert!(told.iter().all(|slot| !slot.is_within()));
        assert!(slots.take(ip("192.0.2.1")).is_none());
        drop(told);
        assert!(slots.take(ip("192.0.2.1")).is_some());
        assert_eq!(slots.taken(), 0);
    }
}
