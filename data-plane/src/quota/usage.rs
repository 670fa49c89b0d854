//! What the node's sessions have used of each subscription's plan, for the reports to the control plane.
//!
//! Reads the counters and changes nothing; reading opens no window. `control::usage` tracks what was already reported.
//! Called every few seconds, never for a message.

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
    /// How often an admin has reset the counters.
    pub generation: u64,
    /// The counters, in no order.
    pub counters: Vec<Spent>,
}

/// What was used of one counter in its current window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    /// What is counted.
    pub unit: Unit,
    /// The window.
    pub window: Window,
    /// When the window began, by the ledger's clock, in seconds of Unix time.
    pub began: u64,
    /// The used amount.
    pub used: u64,
}

/// Usage of shorter windows would be outdated on arrival.
const SHORTEST: u32 = Window::REPORTED_FROM_SECONDS;

// === impl Quotas ===

impl Quotas {
    /// What this node has spent of the plans of all subscriptions that it has counters of. Counters are kept until
    /// their windows end, even without sessions or a subscription. Of counters that were reset, only the newest
    /// generation is included.
    #[must_use]
    pub fn used(&self) -> HashMap<SubscriptionKey, Used> {
        let now = Tick::now();
        let mut all = HashMap::<_, Used>::new();
        for bucket in self.counters.of_level(Level::Subscription) {
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

    /// An estimate of the ledger's clock, in milliseconds of Unix time.
    #[must_use]
    pub fn ledger_millis(&self) -> u64 {
        self.link.clock.at(Tick::now())
    }
}

#[cfg(test)]
mod tests;
