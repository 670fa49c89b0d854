//! What the control plane was told of the use of plans on one stream, and the words that tell it of the rest.
//!
//! Owns that only what has changed is told, each figure in full, and that no message grows beyond a bound. A stream begins
//! with an empty [`Told`], so that it begins with everything. Called by `exchange`.

use std::collections::{BTreeSet, HashMap, hash_map::Entry};

use tidegate_proto::{
    discovery::v1::{self, CounterUsage, SubscriptionUsage, Usage},
    ids::SubscriptionKey,
};

use super::Consumption;
use crate::quota::{
    key::Unit,
    usage::{Spent, Used},
};

/// What was told on a stream.
#[derive(Debug, Default)]
pub(super) struct Told(HashMap<SubscriptionKey, SubscriptionUsage>);

/// Subscriptions in one message: about 200 KiB at the most.
const PART: usize = 1000;

// === impl Told ===

impl Told {
    /// The words that tell what has changed: at least one, that nothing has, and no more than a part in each.
    pub(super) fn words(&mut self, consumption: Consumption) -> Vec<Usage> {
        let ledger_time_millis = consumption.ledger_millis;
        let changed = self.changed(consumption);
        let mut parts: Vec<_> = changed.chunks(PART).map(<[_]>::to_vec).collect();
        if parts.is_empty() {
            parts.push(Vec::new());
        }
        let word = |subscriptions| Usage {
            subscriptions,
            ledger_time_millis,
        };
        parts.into_iter().map(word).collect()
    }

    fn changed(&mut self, mut consumption: Consumption) -> Vec<SubscriptionUsage> {
        let known = self.0.keys().chain(consumption.used.keys());
        let subscriptions: BTreeSet<_> =
            known.chain(consumption.sessions.keys()).copied().collect();
        let mut changed = Vec::new();
        for key in subscriptions {
            let used = consumption.used.remove(&key);
            let sessions = consumption.sessions.remove(&key).unwrap_or(0);
            let is_gone = used.is_none() && sessions == 0;
            let now = message(key, sessions, used);
            match self.0.entry(key) {
                Entry::Occupied(before) if is_gone => {
                    before.remove();
                    changed.push(now);
                }
                Entry::Occupied(mut before) => {
                    if *before.get() != now {
                        before.insert(now.clone());
                        changed.push(now);
                    }
                }
                Entry::Vacant(entry) => {
                    entry.insert(now.clone());
                    changed.push(now);
                }
            }
        }
        changed
    }
}

fn message(key: SubscriptionKey, open_sessions: u32, used: Option<Used>) -> SubscriptionUsage {
    let (quota_generation, spent) = used.map_or((0, Vec::new()), |it| (it.generation, it.counters));
    let mut counters: Vec<_> = spent.iter().map(counter).collect();
    // The node's counters have no order, and another order is no change.
    counters.sort_unstable_by_key(|it| (it.unit, it.window_seconds));
    SubscriptionUsage {
        open_sessions,
        counters,
        quota_generation,
        application: key.application.to_string(),
        api: key.api.to_string(),
    }
}

fn counter(spent: &Spent) -> CounterUsage {
    CounterUsage {
        unit: match spent.unit {
            Unit::Messages => v1::Unit::Messages,
            Unit::Bytes => v1::Unit::Bytes,
            Unit::Burst => v1::Unit::Burst,
            Unit::Connections => v1::Unit::Connections,
        }
        .into(),
        window_seconds: spent.window.seconds(),
        window_start: spent.began,
        used: spent.used,
    }
}

#[cfg(test)]
mod tests;
