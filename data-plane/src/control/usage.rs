//! What the node has reported of the usage of plans on one stream, and the messages that report the changes since.
//!
//! Only what has changed is reported, each figure as an absolute value, and messages have a maximum size. Each stream
//! starts with an empty [`Reported`], so its first report is complete. Called by `exchange`.

use std::collections::{BTreeSet, HashMap, hash_map::Entry};

use tidegate_proto::{
    discovery::v1::{self, CounterUsage, SubscriptionUsage, Usage},
    ids::SubscriptionKey,
};

use super::NodeUsage;
use crate::quota::{
    key::Unit,
    usage::{Spent, Used},
};

/// What was reported on a stream.
#[derive(Debug, Default)]
pub(super) struct Reported(HashMap<SubscriptionKey, SubscriptionUsage>);

/// The maximum number of subscriptions in one message, which is then about 200 KiB.
const PART: usize = 1000;

// === impl Reported ===

impl Reported {
    /// The messages that report what has changed: at least one, which is empty if nothing has.
    pub(super) fn messages(&mut self, usage: NodeUsage) -> Vec<Usage> {
        let ledger_time_millis = usage.ledger_millis;
        let changed = self.changed(usage);
        let mut parts: Vec<_> = changed.chunks(PART).map(<[_]>::to_vec).collect();
        if parts.is_empty() {
            parts.push(Vec::new());
        }
        let message = |subscriptions| Usage {
            subscriptions,
            ledger_time_millis,
        };
        parts.into_iter().map(message).collect()
    }

    fn changed(&mut self, mut usage: NodeUsage) -> Vec<SubscriptionUsage> {
        let known = self.0.keys().chain(usage.used.keys());
        let subscriptions: BTreeSet<_> = known.chain(usage.sessions.keys()).copied().collect();
        let mut changed = Vec::new();
        for key in subscriptions {
            let used = usage.used.remove(&key);
            let sessions = usage.sessions.remove(&key).unwrap_or(0);
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
    // The node's counters have no order. Sort them, so that another order doesn't count as a change.
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
