//! The keys of counters and gauges, on the node and in the shared ledger.
//!
//! `levels` chooses the subjects, which are short and free of text from clients.

use std::{fmt, sync::Arc};

use sha2::{Digest as _, Sha256};
use tidegate_proto::quota::Window;

use crate::quota::levels::Level;

/// What a counter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// Messages.
    Messages,
    /// Payload bytes.
    Bytes,
    /// Messages of the burst limit.
    Burst,
    /// New sessions.
    Connections,
}

/// The name of a counter, without the number of its window: `<level>:<subject>:<unit>:<window in seconds>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CounterKey {
    /// The level.
    pub level: Level,
    /// Who shares the counter.
    pub subject: Arc<str>,
    /// What is counted.
    pub unit: Unit,
    /// The window.
    pub window: Window,
}

/// The name of a gauge: `<level>:<subject>:sessions`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GaugeKey {
    /// The level.
    pub level: Level,
    /// Who shares the gauge.
    pub subject: Arc<str>,
}

impl fmt::Display for CounterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            Unit::Messages => "messages",
            Unit::Bytes => "bytes",
            Unit::Burst => "burst",
            Unit::Connections => "connections",
        };
        let (level, window) = (self.level.label(), self.window.seconds());
        write!(f, "{level}:{}:{unit}:{window}", self.subject)
    }
}

impl fmt::Display for GaugeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:sessions", self.level.label(), self.subject)
    }
}

/// The shard of a key. The keys of a shard share a slot, so that Redis Cluster can run scripts on them.
#[must_use]
pub fn shard(key: &str, n_shards: u8) -> u8 {
    let hash = Sha256::digest(key.as_bytes());
    hash[0] % n_shards.max(1)
}

#[cfg(test)]
mod tests {
    use tidegate_proto::quota::Window;

    use super::{CounterKey, Unit, shard};
    use crate::quota::levels::Level;

    #[test]
    fn a_key_says_what_it_counts() {
        let key = CounterKey {
            level: Level::Subscription,
            subject: "7.0".into(),
            unit: Unit::Messages,
            window: Window::DAY,
        };
        assert_eq!(key.to_string(), "subscription:7.0:messages:86400");
    }

    #[test]
    fn a_key_is_always_in_the_same_shard() {
        assert_eq!(shard("a", 64), shard("a", 64));
        assert!(
            (0..100)
                .map(|n| shard(&n.to_string(), 64))
                .all(|it| it < 64)
        );
        assert_eq!(shard("a", 1), 0);
    }
}
