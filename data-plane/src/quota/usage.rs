//! What the node's sessions have used of each subscription's plan, for who tells the control plane of it.
//!
//! Reads what the counters hold and changes nothing: no window turns because somebody looks. Refuses to say what was told
//! before (`control::usage`). Called every few seconds, never for a message.

use std::collections::{HashMap, hash_map::Entry};

use tidegate_proto::{ids::SubscriptionKey, quota::Window};

use crate::quota::{
    Quotas,
    key::Unit,
    levels::{self, Level},
    time::Tick,
};

/// What was used of a subscription's plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// How often an admin has begun the counters anew.
    pub generation: u64,
    /// The counters, in no order.
    pub counters: Vec<Spent>,
}

/// What was used of one counter in its current window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    /// What is counted.
    pub unit: Unit,
    /// In how long a time.
    pub window: Window,
    /// When the window began: seconds of Unix time, by the ledger's clock.
    pub began: u64,
    /// How much.
    pub used: u64,
}

/// Shorter windows are over before anybody has read of them.
const SHORTEST: u32 = Window::REPORTED_FROM_SECONDS;

// === impl Quotas ===

impl Quotas {
    /// What this node has spent of the plans of all subscriptions that it has a counter of, be it that no session is left
    /// or the subscription has ended: a counter is kept until its window is over. Of counters that began anew, the newest.
    #[must_use]
    pub fn used(&self) -> HashMap<SubscriptionKey, Used> {
        let now = Tick::now();
        let mut all = HashMap::<_, Used>::new();
        for bucket in self.book.of_level(Level::Subscription) {
            let (key, window) = (bucket.key(), bucket.key().window);
            let Some((subscription, generation)) = levels::read_subscription(&key.subject) else {
                continue;
            };
            if window.seconds() < SHORTEST {
                continue;
            }
            let Some((began, used)) = bucket.spent(now) else {
                continue;
            };
            let spent = Spent {
                unit: key.unit,
                window,
                began,
                used,
            };
            let fresh = Used {
                generation,
                counters: vec![spent],
            };
            match all.entry(subscription) {
                Entry::Vacant(entry) => drop(entry.insert(fresh)),
                Entry::Occupied(mut entry) => {
                    let known = entry.get_mut();
                    if known.generation == generation {
                        known.counters.push(spent);
                    } else if known.generation < generation {
                        *known = fresh;
                    }
                }
            }
        }
        all
    }

    /// What the ledger's clock probably shows: milliseconds of Unix time.
    #[must_use]
    pub fn ledger_millis(&self) -> u64 {
        self.link.clock.at(Tick::now())
    }
}

#[cfg(test)]
mod tests;
